//! An organisation's policy: its files, held against the catalogue and against what is observed. A document that was made is
//! whole: every parameter is there, every clause has its wording, and nothing contradicts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Catalogue, Clause, ClauseId, Code, Files, Finding, Framework, Observed, Segment, Template, Value,
    decide::{Chosen, Decisions, Feasible, day},
    files::{NAMES, PARAMETERS, POLICY, PolicyFile, WORDING, Written},
    finding::shown,
    published::{Guidance, MAX_LINE_CHARS, plain},
    source::At,
};

/// The form of the files.
const FORMAT: i64 = 1;
/// The highest version.
const MAX_VERSION: i64 = 1_000_000;
/// Most characters of an own wording.
const MAX_WORDING_CHARS: usize = 4_000;
/// The parameter that every document has, whatever its clauses say.
const COMPANY: &str = "company";
/// What makes of a statement one that somebody has to decide on.
const WHERE_FEASIBLE: &str = "where feasible";

/// A sentence, with an id that evidence refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// `CD-8.1`.
    pub id: String,
    /// As it is published.
    pub text: String,
}

/// A clause as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentClause {
    /// Its id.
    pub id: ClauseId,
    /// Its title.
    pub title: String,
    /// Its sentences.
    pub sentences: Vec<Sentence>,
    /// Why it is here.
    pub chosen: Chosen,
    /// What was decided of "where feasible".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feasible: Option<Feasible>,
    /// Whether the organisation worded it.
    pub own_wording: bool,
}

/// A section as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSection {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its clauses.
    pub clauses: Vec<DocumentClause>,
}

/// A policy without a fault. Nothing outside of this crate makes one, but [`Document::read`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// Its title.
    pub title: String,
    /// The organisation.
    pub company: String,
    /// Its version, from 1.
    pub version: u32,
    /// Who wrote it.
    pub author: String,
    /// The frameworks that it is for.
    pub frameworks: BTreeSet<Framework>,
    /// From which day it is in effect: `2026-12-01`.
    pub effective: String,
    /// The day of its next review.
    pub next_review: String,
    /// The parameters that its clauses use.
    pub parameters: BTreeMap<String, Value>,
    /// Its sections.
    pub sections: Vec<DocumentSection>,
}

impl Document {
    /// Makes a document of files.
    ///
    /// # Errors
    /// Everything that is wrong with them, in the order of the files. What only follows from another fault is not told.
    pub fn read(files: &Files, catalogue: &Catalogue, observed: &Observed) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let written = Written::read(files, &mut findings);
        let guidance = Guidance::of(catalogue);
        let (used, own) = (BTreeSet::new(), BTreeSet::new());
        let mut reader = Reader { catalogue, guidance, findings, used, own };
        let document = reader.document(&written, observed);
        match document {
            Some(document) if reader.findings.is_empty() => Ok(document),
            _ => Err(in_order(reader.findings)),
        }
    }

    /// Its clauses, in order.
    pub fn clauses(&self) -> impl Iterator<Item = &DocumentClause> {
        self.sections.iter().flat_map(|section| &section.clauses)
    }
}

/// Everything that is wrong with the files of a policy: nothing exactly if [`Document::read`] makes a document of them.
pub fn lint(files: &Files, catalogue: &Catalogue, observed: &Observed) -> Vec<Finding> {
    Document::read(files, catalogue, observed).err().unwrap_or_default()
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|one| (NAMES.iter().position(|name| *name == one.file), one.line));
    findings
}

/// Holds files against the catalogue, and gathers what is wrong.
pub(crate) struct Reader<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) guidance: Guidance,
    pub(crate) findings: Vec<Finding>,
    /// The parameters that the document's clauses name or depend on.
    pub(crate) used: BTreeSet<String>,
    /// The clauses that the organisation words itself.
    pub(crate) own: BTreeSet<ClauseId>,
}

/// What of a policy's head is right.
struct Head {
    title: Option<String>,
    version: Option<u32>,
    author: Option<String>,
    effective: Option<String>,
    next_review: Option<String>,
    frameworks: BTreeSet<Framework>,
}

/// An own wording, and where it stands.
type OwnWordings = BTreeMap<ClauseId, At<Template>>;

impl Reader<'_> {
    pub(crate) fn wrong(
        &mut self,
        (code, file): (Code, &str),
        key: &str,
        line: Option<usize>,
        message: impl AsRef<str>,
    ) {
        self.findings.push(Finding::new(code, file, key, line, message));
    }

    /// The document, perhaps with findings; none if it lacks something.
    fn document(&mut self, written: &Written, observed: &Observed) -> Option<Document> {
        let head = written.policy.as_ref().map(|policy| self.head(policy));
        let values = written.parameters.as_ref().map(|given| self.values(given));
        let own = written.wordings.as_ref().map(|given| self.wordings(given));
        // Which clauses there are follows from the frameworks; without those nothing more is known.
        let frameworks = head.as_ref().map(|head| &head.frameworks).filter(|chosen| !chosen.is_empty());
        let says_feasible = |clause: &Clause| match own.as_ref().and_then(|own| own.get(&clause.id)) {
            Some(template) => says_feasible(&template.value) || clause.feasible,
            None => clause.feasible,
        };
        let decisions = match (&written.decisions, frameworks) {
            (Some(given), Some(frameworks)) => Some(self.decisions(given, frameworks, says_feasible)),
            (Some(given), None) => {
                self.decided_alone(given);
                None
            }
            (None, frameworks) => frameworks.map(|frameworks| self.undecided(frameworks)),
        };
        let (decisions, own, values) = (decisions?, own?, values?);
        self.own = own.keys().cloned().collect();
        if written.decisions.is_some() {
            self.unused_wordings(&own, &decisions);
        }
        let sections = self.sections(&decisions, &own, &values);
        let values: BTreeMap<_, _> = values.into_iter().filter_map(|(name, at)| Some((name, at?))).collect();
        self.observe(observed, &values, &decisions);
        let company = values.get(COMPANY).map(|at| at.value.to_string());
        let is_used = |name: &String| self.used.contains(name);
        let parameters = values.into_iter().filter(|(name, _)| is_used(name));
        let head = head?;
        Some(Document {
            title: head.title?,
            company: company?,
            version: head.version?,
            author: head.author?,
            frameworks: head.frameworks,
            effective: head.effective?,
            next_review: head.next_review?,
            parameters: parameters.map(|(name, at)| (name, at.value)).collect(),
            sections,
        })
    }

    fn head(&mut self, policy: &PolicyFile) -> Head {
        if let Some(format) = policy.format.as_ref().filter(|format| format.value != FORMAT) {
            let message = format!("this version of Tenet reads format {FORMAT}");
            self.wrong((Code::FormatUnknown, POLICY), "format", Some(format.line), message);
        }
        let version = policy.version.as_ref().and_then(|version| {
            let fits = (1..=MAX_VERSION).contains(&version.value);
            let number = u32::try_from(version.value).ok().filter(|_| fits);
            if number.is_none() {
                let message = format!(
                    "expected a whole number from 1 to {MAX_VERSION}: each adopted version has a higher one"
                );
                self.wrong((Code::VersionInvalid, POLICY), "version", Some(version.line), message);
            }
            number
        });
        let title = self.published(POLICY, "title", policy.title.as_ref());
        let author = self.published(POLICY, "author", policy.author.as_ref());
        let effective = self.day(POLICY, "effective", policy.effective.as_ref());
        let next_review = self.day(POLICY, "next_review", policy.next_review.as_ref());
        if let (Some(from), Some(review)) = (&effective, &next_review)
            && day(review) <= day(from)
        {
            let line = policy.next_review.as_ref().map(|at| at.line);
            let message = format!("the next review comes after {from}, from when the policy is in effect");
            self.wrong((Code::DatesContradict, POLICY), "next_review", line, message);
        }
        let frameworks = policy.frameworks.as_ref().map(|given| self.frameworks(given)).unwrap_or_default();
        Head { title, version, author, effective, next_review, frameworks }
    }

    fn frameworks(&mut self, given: &At<Vec<String>>) -> BTreeSet<Framework> {
        let mut frameworks = BTreeSet::new();
        for name in &given.value {
            match shown(name).parse() {
                Ok(framework) => {
                    frameworks.insert(framework);
                }
                Err(why) => {
                    let why: String = why;
                    self.wrong((Code::FrameworkUnknown, POLICY), "frameworks", Some(given.line), why);
                }
            }
        }
        if given.value.is_empty() {
            let message =
                format!("choose one at least: {}", Framework::ALL.map(Framework::as_str).join(", "));
            self.wrong((Code::FrameworksNone, POLICY), "frameworks", Some(given.line), message);
        }
        frameworks
    }

    /// A line that is published, if it can be.
    fn published(&mut self, file: &str, key: &str, given: Option<&At<String>>) -> Option<String> {
        let given = given?;
        if let Some((code, why)) = self.guidance.fault(&given.value, MAX_LINE_CHARS) {
            self.wrong((code, file), key, Some(given.line), why);
            return None;
        }
        Some(given.value.trim().to_owned())
    }

    /// A day of the calendar.
    pub(crate) fn day(&mut self, file: &str, key: &str, given: Option<&At<String>>) -> Option<String> {
        let given = given?;
        if day(&given.value).is_none() {
            let message = format!("`{}` is no day: give such as 2026-12-01", shown(&given.value));
            self.wrong((Code::DateInvalid, file), key, Some(given.line), message);
            return None;
        }
        Some(given.value.clone())
    }

    /// The values; none of a parameter whose value is wrong, so that it is not missed besides.
    fn values(&mut self, given: &BTreeMap<String, At<toml::Value>>) -> BTreeMap<String, Option<At<Value>>> {
        let mut values = BTreeMap::new();
        for (name, at) in given {
            let Some(parameter) = self.catalogue.parameter(name) else {
                let near = self.nearest(name).map(|near| format!("did you mean `{near}`?"));
                let remedy = near.unwrap_or_else(|| "take it out".to_owned());
                let message = format!("there is no such parameter: {remedy}");
                self.wrong((Code::ParameterUnknown, PARAMETERS), name, Some(at.line), message);
                continue;
            };
            let value = match Value::read(parameter, &at.value) {
                Ok(value) if value.names().into_iter().any(|one| self.guidance.is_in(one)) => Err((
                    Code::GuidancePublished,
                    "it repeats guidance, which is for the author alone: say it in your own words".to_owned(),
                )),
                read => read,
            };
            let value = value.map_err(|(code, why)| {
                self.wrong((code, PARAMETERS), name, Some(at.line), why);
            });
            values.insert(name.clone(), value.ok().map(|value| At { value, line: at.line }));
        }
        values
    }

    /// The parameter that was perhaps meant.
    fn nearest(&self, name: &str) -> Option<&str> {
        let names = self.catalogue.parameters().iter().map(|one| one.name.as_str());
        let near = names.map(|known| (strsim::damerau_levenshtein(known, &shown(name)), known));
        near.min().filter(|(distance, known)| *distance <= known.len() / 2).map(|(_, known)| known)
    }

    /// The clause of that id, or a finding.
    pub(crate) fn id(&mut self, file: &str, text: &str, line: usize) -> Option<ClauseId> {
        let known = text.parse::<ClauseId>().ok().filter(|id| self.catalogue.clause(id).is_some());
        if known.is_none() {
            let message = "there is no such clause: see `tenet policy clauses`";
            self.wrong((Code::ClauseUnknown, file), text, Some(line), message);
        }
        known
    }

    fn wordings(&mut self, given: &BTreeMap<String, At<toml::Value>>) -> OwnWordings {
        let mut all = BTreeMap::new();
        for (name, at) in given {
            let Some(id) = self.id(WORDING, name, at.line) else { continue };
            match self.wording(&at.value) {
                Ok(value) => {
                    all.insert(id, At { value, line: at.line });
                }
                Err((code, why)) => self.wrong((code, WORDING), name, Some(at.line), why),
            }
        }
        all
    }

    fn wording(&self, value: &toml::Value) -> Result<Template, (Code, String)> {
        let text = value
            .as_str()
            .ok_or_else(|| (Code::FieldInvalid, "expected a text in quotation marks".to_owned()))?;
        let template = Template::parse(text).map_err(|error| (Code::WordingInvalid, error.to_string()))?;
        if let Some(unknown) = template.parameters().find(|one| self.catalogue.parameter(one).is_none()) {
            let message = format!("it names `{{{}}}`, which is no parameter", shown(unknown));
            return Err((Code::ParameterUnknown, message));
        }
        // What is judged is what would be published; a parameter's value has been judged already.
        let as_published = words(&template, "one");
        self.guidance.fault(&as_published, MAX_WORDING_CHARS).map_or(Ok(template), Err)
    }

    fn unused_wordings(&mut self, own: &OwnWordings, decisions: &Decisions) {
        for (id, at) in own.iter().filter(|(id, _)| !decisions.chosen.contains_key(id)) {
            let message = "the clause is not in this policy: take its wording out, or keep it under [[keep]]";
            self.wrong((Code::WordingUnused, WORDING), id.as_str(), Some(at.line), message);
        }
    }

    fn sections(
        &mut self,
        decisions: &Decisions,
        own: &OwnWordings,
        values: &BTreeMap<String, Option<At<Value>>>,
    ) -> Vec<DocumentSection> {
        let catalogue = self.catalogue;
        self.need(COMPANY, "every policy", values);
        let mut sections = Vec::new();
        for section in catalogue.sections() {
            let mut clauses = Vec::new();
            for clause in &section.clauses {
                let Some(why) = decisions.chosen.get(&clause.id) else { continue };
                let own = own.get(&clause.id).map(|at| &at.value);
                let Some(sentences) = self.sentences(clause, own, values) else { continue };
                clauses.push(DocumentClause {
                    id: clause.id.clone(),
                    title: clause.title.clone(),
                    sentences,
                    chosen: why.clone(),
                    feasible: decisions.feasible.get(&clause.id).map(|at| at.value.clone()),
                    own_wording: own.is_some(),
                });
            }
            if !clauses.is_empty() {
                sections.push(DocumentSection {
                    id: section.id.clone(),
                    title: section.title.clone(),
                    clauses,
                });
            }
        }
        sections
    }

    /// The sentences of a clause; none, and findings, if a parameter is missing.
    fn sentences(
        &mut self,
        clause: &Clause,
        own: Option<&Template>,
        values: &BTreeMap<String, Option<At<Value>>>,
    ) -> Option<Vec<Sentence>> {
        let value = |name: &str| values.get(name)?.as_ref().map(|at| at.value.to_string());
        if own.is_none() {
            for fact in clause.wording.facts() {
                self.need(fact, clause.id.as_str(), values);
            }
        }
        let template = own.or_else(|| clause.wording.choose(value))?;
        for name in template.parameters() {
            self.need(name, clause.id.as_str(), values);
        }
        let texts = template.fill(value)?;
        let sentence =
            |(at, text): (usize, String)| Sentence { id: format!("{}.{}", clause.id, at + 1), text };
        Some(texts.into_iter().enumerate().map(sentence).collect())
    }

    /// Notes that a parameter is used; if it has no value, the first that needs it is told of.
    fn need(&mut self, name: &str, whose: &str, values: &BTreeMap<String, Option<At<Value>>>) {
        let is_new = self.used.insert(name.to_owned());
        if is_new && !values.contains_key(name) {
            let parameter = self.catalogue.parameter(name);
            let example = parameter.map(|one| format!("{} Such as `{name} = {}`", one.about, one.example));
            let message = format!("{whose} needs it: {}", example.unwrap_or_default());
            self.wrong((Code::ParameterMissing, PARAMETERS), name, None, message);
        }
    }
}

/// The words of a wording, with something in the place of each parameter.
fn words(template: &Template, parameter: &str) -> String {
    let sentence = |segments: &Vec<Segment>| -> String {
        let word = |segment: &Segment| match segment {
            Segment::Text(text) => text.clone(),
            Segment::Parameter(_) => parameter.to_owned(),
        };
        segments.iter().map(word).collect()
    };
    template.sentences().iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// Whether it says "where feasible".
pub(crate) fn says_feasible(template: &Template) -> bool {
    plain(&words(template, "one")).contains(WHERE_FEASIBLE)
}
