//! What is printed, in order: one content for both forms, with every text of it checked.

use policy::{Document, DocumentClause, DocumentSection};
use serde::Serialize;

use crate::{Adoption, PrintError};

/// What the appendix says of its hashes.
const ABOUT_HASHES: &str = "Each hash is the SHA-256 of a clause: of its id, title, sentences and what was decided of them. \
    The hash on the first page is over all of this document. Acknowledgements and evidence refer to these hashes: as long as \
    one stays, what it stands for reads the same.";

/// A document as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) company: String,
    pub(crate) author: String,
    /// `Version 3`.
    pub(crate) version: String,
    /// From which day it is in effect.
    pub(crate) effective: String,
    /// What it is, in a line: `Adopted on 2026-11-30`, or that it is a draft.
    pub(crate) status: String,
    pub(crate) adopted: bool,
    /// `Approved by`, and who.
    pub(crate) approvers: Vec<String>,
    /// Names and values under the title.
    pub(crate) head: Vec<(&'static str, String)>,
    pub(crate) sections: Vec<SheetSection>,
    pub(crate) sha256: String,
    pub(crate) about_hashes: &'static str,
    /// Each clause's id and hash.
    pub(crate) hashes: Vec<(String, String)>,
}

/// A section as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct SheetSection {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) clauses: Vec<SheetClause>,
}

/// A clause as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct SheetClause {
    pub(crate) id: String,
    pub(crate) title: String,
    /// Ids and texts.
    pub(crate) sentences: Vec<(String, String)>,
    /// What was decided of "where feasible".
    pub(crate) feasible: Option<String>,
    /// Why the clause is here.
    pub(crate) why: String,
}

impl Sheet {
    /// What is printed of a document.
    ///
    /// # Errors
    /// The adoption is of another document or no adoption; a text is empty that may not be, or can't be printed.
    pub(crate) fn of(document: &Document, adoption: Option<&Adoption>) -> Result<Self, PrintError> {
        if let Some(adoption) = adoption {
            adoption.fits(document)?;
        }
        let manifest = document.manifest();
        let status = match adoption {
            Some(adoption) => format!("Adopted on {}", adoption.adopted),
            None => "Draft, not adopted".to_owned(),
        };
        let sheet = Self {
            title: document.title.clone(),
            company: document.company.clone(),
            author: document.author.clone(),
            version: format!("Version {}", document.version),
            effective: document.effective.clone(),
            status,
            adopted: adoption.is_some(),
            approvers: adoption.map(|adoption| adoption.approvers.clone()).unwrap_or_default(),
            head: policy::head(document).into(),
            sections: document.sections.iter().map(SheetSection::of).collect(),
            sha256: manifest.sha256,
            about_hashes: ABOUT_HASHES,
            hashes: manifest.clauses.into_iter().map(|one| (one.clause.to_string(), one.sha256)).collect(),
        };
        sheet.check()?;
        Ok(sheet)
    }

    /// Its texts that somebody wrote, each with where it stands.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines =
            [("the title", &self.title), ("the company", &self.company), ("the author", &self.author)];
        let lines = lines.into_iter().map(|(place, text)| (place, text.as_str()));
        let approvers = self.approvers.iter().map(|name| ("the name of an approver", name.as_str()));
        let head = self.head.iter().map(|(name, value)| (*name, value.as_str()));
        lines.chain(approvers).chain(head).chain(self.sections.iter().flat_map(SheetSection::texts))
    }

    fn check(&self) -> Result<(), PrintError> {
        for (place, text) in self.texts() {
            if text.trim().is_empty() {
                return Err(PrintError::Empty(place.to_owned()));
            }
            if let Some(letter) = text.chars().find(|letter| is_unprintable(*letter)) {
                return Err(PrintError::LetterInvalid { place: place.to_owned(), letter });
            }
        }
        Ok(())
    }
}

impl SheetSection {
    fn of(section: &DocumentSection) -> Self {
        let (id, title) = (section.id.clone(), section.title.clone());
        Self { id, title, clauses: section.clauses.iter().map(SheetClause::of).collect() }
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let section = [("the id of a section", self.id.as_str()), (self.id.as_str(), self.title.as_str())];
        section.into_iter().chain(self.clauses.iter().flat_map(SheetClause::texts))
    }
}

impl SheetClause {
    fn of(clause: &DocumentClause) -> Self {
        let sentences = clause.sentences.iter().map(|one| (one.id.clone(), one.text.clone())).collect();
        Self {
            id: clause.id.to_string(),
            title: clause.title.clone(),
            sentences,
            feasible: clause.feasible.as_ref().map(policy::feasible),
            why: policy::why(clause),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let id = self.id.as_str();
        let sentences = self.sentences.iter();
        let sentences = sentences
            .flat_map(|(id, text)| [("the id of a sentence", id.as_str()), (id.as_str(), text.as_str())]);
        let rest = self.feasible.iter().chain([&self.why]).map(move |text| (id, text.as_str()));
        [("the id of a clause", id), (id, self.title.as_str())].into_iter().chain(sentences).chain(rest)
    }
}

/// What steers the eye, as nowhere in a policy; and the two that XML 1.0 can't hold, section 2.2. The surrogates are no `char`.
fn is_unprintable(letter: char) -> bool {
    policy::steers(letter) || matches!(letter, '\u{fffe}' | '\u{ffff}')
}
