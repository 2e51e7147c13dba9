//! An organisation's policy: its files, read and held against the catalogue and against what is observed. A document that
//! was made is whole: every parameter is there, every clause has its wording, and nothing contradicts.

use std::collections::{BTreeMap, BTreeSet};

use base::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Catalogue, Clause, ClauseId, Finding, Framework, Observed, Template, Value, finding::line_of,
    parameter::is_placeholder,
};

/// Most bytes of one file.
pub const MAX_FILE_BYTES: usize = 1_048_576;
/// The form of the files.
const FORMAT: i64 = 1;
pub(crate) const POLICY: &str = "policy.toml";
pub(crate) const PARAMETERS: &str = "parameters.toml";
pub(crate) const DECISIONS: &str = "decisions.toml";
const WORDING: &str = "wording.toml";
/// Least characters of a reason.
const MIN_REASON_CHARS: usize = 10;

/// The files of a policy, by name.
pub type Files = BTreeMap<String, String>;

/// Why a clause is in the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chosen {
    /// These frameworks require it.
    Required(BTreeMap<Framework, Vec<String>>),
    /// The organisation keeps it, for this reason.
    Kept(String),
}

/// A sentence, with an id that evidence refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// `CD-8.1`.
    pub id: String,
    /// As it is published.
    pub text: String,
}

/// A clause as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    pub feasible: Option<String>,
    /// Whether the organisation worded it.
    pub own_wording: bool,
}

/// A section as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentSection {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its clauses.
    pub clauses: Vec<DocumentClause>,
}

/// A policy without a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    format: i64,
    title: String,
    version: i64,
    author: String,
    frameworks: Vec<String>,
    effective: String,
    next_review: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionsFile {
    #[serde(default)]
    keep: Vec<Decision>,
    #[serde(default)]
    drop: Vec<Decision>,
    #[serde(default)]
    feasible: Vec<Decision>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    clause: String,
    reason: String,
    by: String,
    date: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordingFile {
    #[serde(default)]
    text: BTreeMap<String, String>,
}

/// Reads files, and gathers what is wrong.
pub(crate) struct Reader<'a> {
    files: &'a Files,
    catalogue: &'a Catalogue,
    findings: Vec<Finding>,
}

impl Document {
    /// Makes a document of files.
    ///
    /// # Errors
    /// Everything that is wrong with them, in the order of the files.
    pub fn read(files: &Files, catalogue: &Catalogue, observed: &Observed) -> Result<Self, Vec<Finding>> {
        let mut reader = Reader { files, catalogue, findings: Vec::new() };
        let document = reader.read(observed);
        match document {
            Some(document) if reader.findings.is_empty() => Ok(document),
            _ => {
                let order = |finding: &Finding| {
                    let file =
                        [POLICY, PARAMETERS, DECISIONS, WORDING].iter().position(|one| *one == finding.file);
                    (file, finding.line)
                };
                reader.findings.sort_by_key(order);
                Err(reader.findings)
            }
        }
    }

    /// Its clauses, in order.
    pub fn clauses(&self) -> impl Iterator<Item = &DocumentClause> {
        self.sections.iter().flat_map(|section| &section.clauses)
    }
}

impl Reader<'_> {
    pub(crate) fn wrong(&mut self, code: &'static str, file: &str, key: &str, message: impl Into<String>) {
        let line = self.files.get(file).and_then(|text| line_of(text, key));
        let finding =
            Finding { code, file: file.to_owned(), key: key.to_owned(), line, message: message.into() };
        self.findings.push(finding);
    }

    fn parse<T: DeserializeOwned>(&mut self, file: &'static str) -> Option<T> {
        let text = self.files.get(file)?;
        if text.len() > MAX_FILE_BYTES {
            self.wrong("file-long", file, "-", format!("a file has at most {MAX_FILE_BYTES} bytes"));
            return None;
        }
        match toml::from_str(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let at = error
                    .span()
                    .and_then(|span| text.get(..span.start))
                    .map(|before| before.lines().count().max(1));
                let message = error.message().to_owned();
                self.findings.push(Finding {
                    code: "file-shape",
                    file: file.to_owned(),
                    key: "-".to_owned(),
                    line: at,
                    message,
                });
                None
            }
        }
    }

    fn read(&mut self, observed: &Observed) -> Option<Document> {
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            if ![POLICY, PARAMETERS, DECISIONS, WORDING].contains(&name.as_str()) {
                self.wrong(
                    "file-unknown",
                    &name,
                    "-",
                    "a policy has policy.toml, parameters.toml, decisions.toml and wording.toml",
                );
            }
        }
        for name in [POLICY, PARAMETERS] {
            if !self.files.contains_key(name) {
                self.wrong("file-missing", name, "-", "it is missing: `tenet policy init` makes it");
            }
        }
        let policy: Option<PolicyFile> = self.parse(POLICY);
        let values: Option<BTreeMap<String, toml::Value>> = self.parse(PARAMETERS);
        let decisions: Option<DecisionsFile> = if self.files.contains_key(DECISIONS) {
            self.parse(DECISIONS)
        } else {
            Some(DecisionsFile::default())
        };
        let wording: Option<WordingFile> =
            if self.files.contains_key(WORDING) { self.parse(WORDING) } else { Some(WordingFile::default()) };
        let (policy, values, decisions, wording) = (policy?, values?, decisions?, wording?);
        let frameworks = self.head(&policy);
        let values = self.values(&values);
        let wordings = self.wordings(&wording);
        let chosen = self.chosen(&decisions, &frameworks);
        let feasible = self.feasible(&decisions, &chosen);
        let mut used = BTreeSet::new();
        let mut sections = Vec::new();
        let catalogue = self.catalogue;
        for section in catalogue.sections() {
            let mut clauses = Vec::new();
            for clause in &section.clauses {
                let Some(why) = chosen.get(&clause.id) else { continue };
                let own = wordings.get(&clause.id);
                if let Some(sentences) = self.sentences(clause, own, &values, &mut used) {
                    clauses.push(DocumentClause {
                        id: clause.id.clone(),
                        title: clause.title.clone(),
                        sentences,
                        chosen: why.clone(),
                        feasible: feasible.get(&clause.id).cloned(),
                        own_wording: own.is_some(),
                    });
                }
            }
            if !clauses.is_empty() {
                sections.push(DocumentSection {
                    id: section.id.clone(),
                    title: section.title.clone(),
                    clauses,
                });
            }
        }
        self.observe(observed, &values, &used, (&chosen, &feasible));
        let company = values.get("company").map(ToString::to_string).unwrap_or_default();
        Some(Document {
            title: policy.title,
            company,
            version: u32::try_from(policy.version).unwrap_or(0),
            author: policy.author,
            frameworks,
            effective: policy.effective,
            next_review: policy.next_review,
            parameters: values.into_iter().filter(|(name, _)| used.contains(name)).collect(),
            sections,
        })
    }

    fn head(&mut self, policy: &PolicyFile) -> BTreeSet<Framework> {
        if policy.format != FORMAT {
            self.wrong("format-unknown", POLICY, "format", format!("this version reads format {FORMAT}"));
        }
        if !(1..=1_000_000).contains(&policy.version) {
            self.wrong(
                "version-invalid",
                POLICY,
                "version",
                "expected a whole number from 1: each adopted version has a higher one",
            );
        }
        for (key, text) in [("title", &policy.title), ("author", &policy.author)] {
            if text.trim().is_empty()
                || is_placeholder(text)
                || text.chars().any(char::is_control)
                || text.len() > 200
            {
                self.wrong("text-invalid", POLICY, key, "fill it in: one line of at most 200 characters");
            }
        }
        let mut dates = Vec::new();
        for (key, text) in [("effective", &policy.effective), ("next_review", &policy.next_review)] {
            match day(text) {
                Some(at) => dates.push(at),
                None => self.wrong(
                    "date-invalid",
                    POLICY,
                    key,
                    format!("`{text}` is no day: give such as 2026-12-01"),
                ),
            }
        }
        if let [effective, review] = dates.as_slice()
            && review <= effective
        {
            self.wrong(
                "dates-contradict",
                POLICY,
                "next_review",
                "the next review comes after the day from which the policy is in effect",
            );
        }
        let mut frameworks = BTreeSet::new();
        for name in &policy.frameworks {
            match name.parse() {
                Ok(framework) => {
                    frameworks.insert(framework);
                }
                Err(why) => self.wrong("framework-unknown", POLICY, "frameworks", why),
            }
        }
        if policy.frameworks.is_empty() {
            self.wrong(
                "frameworks-none",
                POLICY,
                "frameworks",
                "choose one at least: iso27001, soc2, nist80053, hipaa, gdpr",
            );
        }
        frameworks
    }

    fn values(&mut self, given: &BTreeMap<String, toml::Value>) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        for (name, value) in given {
            let Some(parameter) = self.catalogue.parameter(name) else {
                let near = self.catalogue.parameters().iter().map(|one| one.name.as_str());
                let near =
                    near.min_by_key(|known| strsim::damerau_levenshtein(known, name)).unwrap_or_default();
                self.wrong(
                    "parameter-unknown",
                    PARAMETERS,
                    name,
                    format!("there is no such parameter: did you mean `{near}`?"),
                );
                continue;
            };
            match Value::read(parameter, value) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(why) => self.wrong("parameter-invalid", PARAMETERS, name, why),
            }
        }
        values
    }

    fn id(&mut self, file: &str, text: &str) -> Option<ClauseId> {
        let known = text.parse::<ClauseId>().ok().filter(|id| self.catalogue.clause(id).is_some());
        if known.is_none() {
            self.wrong("clause-unknown", file, text, "there is no such clause: see `tenet policy clauses`");
        }
        known
    }

    fn wordings(&mut self, file: &WordingFile) -> BTreeMap<ClauseId, Template> {
        let mut all = BTreeMap::new();
        for (name, text) in &file.text {
            let Some(id) = self.id(WORDING, name) else { continue };
            let template = match Template::parse(text) {
                Ok(template) => template,
                Err(error) => {
                    self.wrong("wording-invalid", WORDING, name, error.to_string());
                    continue;
                }
            };
            if let Some(unknown) = template.parameters().find(|one| self.catalogue.parameter(one).is_none()) {
                self.wrong(
                    "parameter-unknown",
                    WORDING,
                    name,
                    format!("it names `{{{unknown}}}`, which is no parameter"),
                );
                continue;
            }
            let guidance =
                self.catalogue.clause(&id).map(|clause| clause.guidance.clone()).unwrap_or_default();
            if is_placeholder(text) || (!guidance.is_empty() && text.contains(&guidance)) {
                self.wrong(
                    "guidance-published",
                    WORDING,
                    name,
                    "it holds guidance, or text that was left to be filled in: that would be published",
                );
                continue;
            }
            all.insert(id, template);
        }
        all
    }

    fn decided(&mut self, decision: &Decision) -> Option<ClauseId> {
        let id = self.id(DECISIONS, &decision.clause)?;
        let key = decision.clause.as_str();
        if decision.reason.trim().chars().count() < MIN_REASON_CHARS || is_placeholder(&decision.reason) {
            self.wrong(
                "reason-missing",
                DECISIONS,
                key,
                format!("give a reason, of at least {MIN_REASON_CHARS} characters"),
            );
        }
        if decision.by.trim().is_empty() || is_placeholder(&decision.by) {
            self.wrong("decider-missing", DECISIONS, key, "say who decided it: `by`");
        }
        if day(&decision.date).is_none() {
            self.wrong(
                "date-invalid",
                DECISIONS,
                key,
                format!("`{}` is no day: give such as 2026-12-01", decision.date),
            );
        }
        Some(id)
    }

    fn chosen(
        &mut self,
        decisions: &DecisionsFile,
        frameworks: &BTreeSet<Framework>,
    ) -> BTreeMap<ClauseId, Chosen> {
        let mut chosen = BTreeMap::new();
        for clause in self.catalogue.clauses() {
            let by: BTreeMap<_, _> = clause
                .frameworks
                .iter()
                .filter(|(framework, _)| frameworks.contains(framework))
                .map(|(one, controls)| (*one, controls.clone()))
                .collect();
            if !by.is_empty() {
                chosen.insert(clause.id.clone(), Chosen::Required(by));
            }
        }
        for decision in &decisions.keep {
            let Some(id) = self.decided(decision) else { continue };
            if chosen.contains_key(&id) {
                self.wrong(
                    "keep-needless",
                    DECISIONS,
                    &decision.clause,
                    "it is required anyway: leave the decision out",
                );
            }
            chosen.insert(id, Chosen::Kept(decision.reason.clone()));
        }
        for decision in &decisions.drop {
            let Some(id) = self.decided(decision) else { continue };
            match chosen.get(&id) {
                Some(Chosen::Required(by)) => {
                    let by: Vec<_> = by.keys().map(|one| one.title()).collect();
                    self.wrong(
                        "drop-required",
                        DECISIONS,
                        &decision.clause,
                        format!("it can't be dropped: {} requires it", by.join(", ")),
                    );
                }
                Some(Chosen::Kept(_)) => {
                    self.wrong("drop-kept", DECISIONS, &decision.clause, "it is kept and dropped: decide")
                }
                None => {}
            }
        }
        chosen
    }

    fn feasible(
        &mut self,
        decisions: &DecisionsFile,
        chosen: &BTreeMap<ClauseId, Chosen>,
    ) -> BTreeMap<ClauseId, String> {
        let mut decided = BTreeMap::new();
        for decision in &decisions.feasible {
            let Some(id) = self.decided(decision) else { continue };
            if !self.catalogue.clause(&id).is_some_and(|clause| clause.feasible) {
                self.wrong(
                    "feasible-needless",
                    DECISIONS,
                    &decision.clause,
                    "it does not say `where feasible`: leave the decision out",
                );
            }
            decided.insert(id, decision.reason.clone());
        }
        let catalogue = self.catalogue;
        for clause in catalogue.clauses().filter(|clause| clause.feasible && chosen.contains_key(&clause.id))
        {
            if !decided.contains_key(&clause.id) {
                let what = "it holds `where feasible`: record what that means here, under [[feasible]]";
                self.wrong("feasible-undecided", DECISIONS, clause.id.as_str(), what);
            }
        }
        decided
    }

    fn sentences(
        &mut self,
        clause: &Clause,
        own: Option<&Template>,
        values: &BTreeMap<String, Value>,
        used: &mut BTreeSet<String>,
    ) -> Option<Vec<Sentence>> {
        let needs = clause.wording.facts().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        for fact in needs.iter().filter(|_| own.is_none()) {
            used.insert(fact.clone());
            if !values.contains_key(fact) {
                self.missing(fact, clause);
            }
        }
        let template = match own {
            Some(own) => own,
            None => clause.wording.choose(|fact| values.get(fact).map(ToString::to_string))?,
        };
        let mut is_whole = true;
        for name in template.parameters() {
            used.insert(name.to_owned());
            if !values.contains_key(name) {
                self.missing(name, clause);
                is_whole = false;
            }
        }
        if !is_whole {
            return None;
        }
        let texts = template.fill(|name| values.get(name).map(ToString::to_string))?;
        let sentence =
            |(at, text): (usize, String)| Sentence { id: format!("{}.{}", clause.id, at + 1), text };
        Some(texts.into_iter().enumerate().map(sentence).collect())
    }

    fn missing(&mut self, name: &str, clause: &Clause) {
        // One that is there and wrong was told of; one that is missing is told once.
        let told = self.findings.iter().any(|one| one.file == PARAMETERS && one.key == name);
        if !told {
            let example =
                self.catalogue.parameter(name).map(|one| (one.about.clone(), one.example.to_string()));
            let (about, example) = example.unwrap_or_default();
            let message = format!("{} needs it: {about} Such as `{name} = {example}`", clause.id);
            self.wrong("parameter-missing", PARAMETERS, name, message);
        }
    }
}

/// A day in the calendar, as the instant at which it begins.
fn day(text: &str) -> Option<Timestamp> {
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_day.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten()
}
