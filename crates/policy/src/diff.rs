//! What changed between two versions: which clauses, and in which words. Whoever acknowledged the first is asked again for
//! those alone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{ClauseId, Document, DocumentClause};

/// Most words of a clause that are compared one by one; longer ones are shown whole.
const MAX_WORDS: usize = 400;

/// What became of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It reads otherwise.
    Changed,
}

/// A word of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "is", content = "text")]
pub enum Word {
    /// In both.
    Same(String),
    /// In the old one alone.
    Old(String),
    /// In the new one alone.
    New(String),
}

/// A clause that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseChange {
    /// Which.
    pub clause: ClauseId,
    /// What became of it.
    pub change: Change,
    /// Its words, those of both versions.
    pub words: Vec<Word>,
}

/// What two versions differ in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The versions.
    pub versions: (u32, u32),
    /// Members of the head, and parameters, with what they were and are.
    pub facts: Vec<(String, String, String)>,
    /// The clauses, in order.
    pub clauses: Vec<ClauseChange>,
}

impl Difference {
    /// Whether somebody who acknowledged the old version is asked again.
    pub fn asks_again(&self) -> bool {
        !self.clauses.is_empty()
    }
}

/// Compares two documents.
pub fn compare(old: &Document, new: &Document) -> Difference {
    let mut facts = Vec::new();
    let names = |document: &Document| {
        document.frameworks.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
    };
    for (name, was, is) in [
        ("title", &old.title, &new.title),
        ("author", &old.author, &new.author),
        ("effective", &old.effective, &new.effective),
        ("next_review", &old.next_review, &new.next_review),
        ("frameworks", &names(old), &names(new)),
    ] {
        if was != is {
            facts.push((name.to_owned(), was.clone(), is.clone()));
        }
    }
    let shown = |document: &Document, name: &str| {
        document.parameters.get(name).map(ToString::to_string).unwrap_or_default()
    };
    let mut names: Vec<_> = old.parameters.keys().chain(new.parameters.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (was, is) = (shown(old, name), shown(new, name));
        if was != is {
            facts.push((name.clone(), was, is));
        }
    }
    let hashes = |document: &Document| -> BTreeMap<ClauseId, String> {
        document.manifest().clauses.into_iter().map(|one| (one.clause, one.sha256)).collect()
    };
    let (before, after) = (hashes(old), hashes(new));
    let mut ids: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    ids.sort();
    ids.dedup();
    let order: Vec<_> = new.sections.iter().chain(&old.sections).map(|section| section.id.clone()).collect();
    ids.sort_by_key(|id| order.iter().position(|section| id.as_str().starts_with(section.as_str())));
    let of = |document: &Document, id: &ClauseId| {
        document.clauses().find(|clause| clause.id == *id).map(text).unwrap_or_default()
    };
    let change = |id: ClauseId| {
        let change = match (before.get(&id), after.get(&id)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (was, is) if was == is => return None,
            _ => Change::Changed,
        };
        let words = words(&of(old, &id), &of(new, &id));
        Some(ClauseChange { clause: id, change, words })
    };
    Difference {
        versions: (old.version, new.version),
        facts,
        clauses: ids.into_iter().filter_map(change).collect(),
    }
}

fn text(clause: &DocumentClause) -> String {
    let mut all: Vec<String> = clause.sentences.iter().map(|sentence| sentence.text.clone()).collect();
    all.extend(clause.feasible.as_ref().map(crate::render::feasible));
    all.join(" ")
}

/// The longest words that both have in common, in order, and the rest between them.
fn words(old: &str, new: &str) -> Vec<Word> {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split_whitespace().collect(), new.split_whitespace().collect());
    if a.len() > MAX_WORDS || b.len() > MAX_WORDS {
        return vec![Word::Old(old.to_owned()), Word::New(new.to_owned())];
    }
    let wide = b.len() + 1;
    let mut longest = vec![0u16; (a.len() + 1) * wide];
    let at = |table: &[u16], i: usize, j: usize| table.get(i * wide + j).copied().unwrap_or(0);
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let value = if a.get(i) == b.get(j) {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(place) = longest.get_mut(i * wide + j) {
                *place = value;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    loop {
        match (a.get(i), b.get(j)) {
            (None, None) => return out,
            (Some(one), Some(other)) if one == other => {
                out.push(Word::Same((*one).to_owned()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                out.push(Word::Old((*one).to_owned()));
                i += 1;
            }
            (_, Some(other)) => {
                out.push(Word::New((*other).to_owned()));
                j += 1;
            }
            (Some(_), None) => i += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_texts_can_be_read_out_of_a_comparison(old in "[a-d ]{0,40}", new in "[a-d ]{0,40}") {
            let found = words(&old, &new);
            let side = |keep: fn(&Word) -> Option<&String>| found.iter().filter_map(keep).cloned().collect::<Vec<_>>();
            let of_old = side(|word| match word { Word::Same(text) | Word::Old(text) => Some(text), Word::New(_) => None });
            let of_new = side(|word| match word { Word::Same(text) | Word::New(text) => Some(text), Word::Old(_) => None });
            prop_assert_eq!(of_old, old.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            prop_assert_eq!(of_new, new.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
