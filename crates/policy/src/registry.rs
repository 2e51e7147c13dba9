//! The controls that hold clauses, and the checks that observe them. They stand in `controls/`, one file a section.
//! What is not here is not held: a sentence without a control is a gap, whatever anybody says of it.

use std::collections::{BTreeMap, BTreeSet};

use base::Duration;
use serde::{Deserialize, Serialize};

use crate::{Catalogue, CatalogueError, Clause, ClauseId, Hold};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$((concat!("controls/", $name, ".toml"), include_str!(concat!("../controls/", $name, ".toml")))),*];
    };
}
files!["rr", "cd", "nd", "ar", "sd", "dd", "tr", "ix", "ms", "el", "ao", "di", "pd"];

/// How the checks on own wordings begin: `wording/CD-5`.
pub const OWN_WORDING: &str = "wording/";
/// How long it is good that somebody attested an own wording.
const OWN_WORDING_VALID: Duration = Duration::from_days(365);

/// What a control or a check holds: a clause, or one sentence of it as the catalogue words it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holds {
    /// Which clause.
    pub clause: ClauseId,
    /// Which sentence, from 1; none: all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<usize>,
}

impl Holds {
    fn parse(text: &str) -> Result<Self, String> {
        let (clause, sentence) = match text.split_once('.') {
            None => (text, None),
            Some((clause, number)) => {
                let number: usize = number
                    .parse()
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| format!("`{text}` names no sentence: such as `CD-8.2`"))?;
                (clause, Some(number))
            }
        };
        Ok(Self { clause: clause.parse()?, sentence })
    }

    /// Whether it holds that sentence.
    pub fn covers(&self, clause: &ClauseId, sentence: usize) -> bool {
        self.clause == *clause && self.sentence.is_none_or(|one| one == sentence)
    }
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sentence {
            None => write!(f, "{}", self.clause),
            Some(sentence) => write!(f, "{}.{sentence}", self.clause),
        }
    }
}

/// Who observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// Tenet looks by itself.
    Automatic,
    /// Tenet attempts what is forbidden, and sees it refused.
    Drill,
    /// A person looks, and attests.
    Manual,
}

impl CheckKind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Drill => "drill",
            Self::Manual => "manual",
        }
    }
}

/// Something that is looked at on a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its id: `log-grows`.
    pub id: String,
    /// What it shows, as a statement that is true or not.
    pub title: String,
    /// Who observes.
    pub kind: CheckKind,
    /// How often it is done; of a manual one, how often it is asked for.
    #[serde(serialize_with = "seconds")]
    pub every: Duration,
    /// For how long an observation says something.
    #[serde(serialize_with = "seconds")]
    pub valid: Duration,
    /// What it observes of.
    pub holds: Vec<Holds>,
}

fn seconds<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(span.seconds())
}

/// What holds clauses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Its id: `tenant-isolation`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How it holds what it holds.
    pub hold: Vec<Hold>,
    /// What it holds.
    pub holds: Vec<Holds>,
    /// How it works.
    pub text: String,
    /// The tests that fail if it stops working: `crates/a/src/b.rs::name`.
    pub tests: Vec<String>,
    /// What a third party can look at.
    pub evidence: String,
    /// What it does not do yet; empty: nothing that is known.
    pub open: String,
    /// What has to be configured for it to be there; empty: nothing.
    pub needs: String,
    /// What observes it.
    pub checks: Vec<Check>,
}

/// Every control.
#[derive(Clone, Debug)]
pub struct Registry {
    controls: Vec<Control>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    control: Vec<ControlFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlFile {
    id: String,
    title: String,
    hold: Vec<Hold>,
    holds: Vec<String>,
    text: String,
    tests: Vec<String>,
    evidence: String,
    #[serde(default)]
    open: String,
    #[serde(default)]
    needs: String,
    #[serde(default)]
    check: Vec<CheckFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckFile {
    id: String,
    title: String,
    kind: CheckKind,
    every: String,
    valid: String,
    #[serde(default)]
    holds: Vec<String>,
}

impl Registry {
    /// The controls that Tenet brings.
    ///
    /// # Errors
    /// A file is not TOML of the right form, or contradicts itself or the catalogue: a fault of the build.
    pub fn load(catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        Self::read(catalogue, FILES)
    }

    /// The controls of files: their names and texts.
    ///
    /// # Errors
    /// A file is not TOML of the right form, or contradicts itself or the catalogue.
    pub fn read(catalogue: &Catalogue, files: &[(&'static str, &str)]) -> Result<Self, CatalogueError> {
        let mut controls: Vec<Control> = Vec::new();
        let mut ids = BTreeSet::new();
        for (file, text) in files {
            let wrong = |why: String| CatalogueError { file, why };
            let parsed: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
            for given in parsed.control {
                let id = given.id.clone();
                let control = read(given, catalogue).map_err(|why| wrong(format!("{id}: {why}")))?;
                let checks = control.checks.iter().map(|check| &check.id);
                for id in std::iter::once(&control.id).chain(checks) {
                    if !ids.insert(id.clone()) {
                        return Err(wrong(format!("the id `{id}` is there twice")));
                    }
                }
                controls.push(control);
            }
        }
        Ok(Self { controls })
    }

    /// Its controls, in order.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }
    /// Every check, with the control that it observes.
    pub fn checks(&self) -> impl Iterator<Item = (&Control, &Check)> {
        self.controls.iter().flat_map(|control| control.checks.iter().map(move |check| (control, check)))
    }
    /// The check of that id.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks().map(|(_, check)| check).find(|check| check.id == id)
    }
    /// The controls that hold something of a clause.
    pub fn of_clause(&self, clause: &ClauseId) -> impl Iterator<Item = &Control> {
        self.controls.iter().filter(move |control| control.holds.iter().any(|one| one.clause == *clause))
    }

    /// The check that a clause in the organisation's own words asks for: no check of ours knows what those say, so a person
    /// attests that the controls hold them.
    pub fn own_wording(clause: &ClauseId) -> Check {
        Check {
            id: format!("{OWN_WORDING}{clause}"),
            title: format!("The controls hold {clause} as the organisation words it."),
            kind: CheckKind::Manual,
            every: OWN_WORDING_VALID,
            valid: OWN_WORDING_VALID,
            holds: vec![Holds { clause: clause.clone(), sentence: None }],
        }
    }
}

fn is_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=48).contains(&text.len())
        && text.bytes().all(is_part)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

fn read(given: ControlFile, catalogue: &Catalogue) -> Result<Control, String> {
    let ids = std::iter::once(&given.id).chain(given.check.iter().map(|check| &check.id));
    if let Some(wrong) = ids.clone().find(|id| !is_id(id)) {
        return Err(format!("`{wrong}` is no id: 3 to 48 lower-case letters, digits and hyphens"));
    }
    for (name, text) in [("title", &given.title), ("text", &given.text), ("evidence", &given.evidence)] {
        if text.trim().is_empty() {
            return Err(format!("`{name}` is empty"));
        }
    }
    if given.hold.is_empty() || given.tests.is_empty() {
        return Err(
            "`hold` and `tests` have one member at least: what nothing tests is no control".to_owned()
        );
    }
    let holds = all(&given.holds, catalogue)?;
    if holds.is_empty() {
        return Err("`holds` names one clause at least".to_owned());
    }
    let mut checks = Vec::new();
    for check in given.check {
        let observes = if check.holds.is_empty() { holds.clone() } else { all(&check.holds, catalogue)? };
        let is_held = |one: &Holds| {
            holds.iter().any(|held| held == one || (held.clause == one.clause && held.sentence.is_none()))
        };
        if let Some(more) = observes.iter().find(|one| !is_held(one)) {
            return Err(format!(
                "`{}` observes of {}, which the control does not hold",
                check.id, more.clause
            ));
        }
        let (every, valid) = (span(&check.every)?, span(&check.valid)?);
        if valid < every {
            return Err(format!("`{}` is valid for less long than until the next one", check.id));
        }
        checks.push(Check {
            id: check.id,
            title: check.title,
            kind: check.kind,
            every,
            valid,
            holds: observes,
        });
    }
    Ok(Control {
        id: given.id,
        title: given.title,
        hold: given.hold,
        holds,
        text: given.text.trim().to_owned(),
        tests: given.tests,
        evidence: given.evidence.trim().to_owned(),
        open: given.open.trim().to_owned(),
        needs: given.needs.trim().to_owned(),
        checks,
    })
}

fn all(names: &[String], catalogue: &Catalogue) -> Result<Vec<Holds>, String> {
    let each = names.iter().map(|name| {
        let holds = Holds::parse(name)?;
        let clause = catalogue
            .clause(&holds.clause)
            .ok_or_else(|| format!("there is no clause `{}`", holds.clause))?;
        let least =
            clause.wording.templates().into_iter().map(|one| one.sentences().len()).min().unwrap_or(0);
        if holds.sentence.is_some_and(|sentence| sentence > least) {
            return Err(format!("`{name}`: a wording of {} has {least} sentences", holds.clause));
        }
        Ok(holds)
    });
    each.collect()
}

/// `15 minutes`, `1 hour`, `30 days`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: such as `15 minutes`, `1 hour` or `30 days`");
    let (number, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let number: i64 = number.parse().ok().filter(|number| (1..=1_000).contains(number)).ok_or_else(wrong)?;
    let unit = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_seconds(number * unit))
}

/// `1 day`, `90 minutes`: the largest unit that leaves nothing over.
pub(crate) fn shown(span: Duration) -> String {
    let seconds = span.seconds();
    let (number, unit) = match seconds {
        s if s % 86_400 == 0 => (s / 86_400, "day"),
        s if s % 3_600 == 0 => (s / 3_600, "hour"),
        s => (s / 60, "minute"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// `docs/clauses.md`: what holds each clause today, and what holds it not yet.
pub fn clauses_markdown(catalogue: &Catalogue, registry: &Registry) -> String {
    let mut text = String::from(HEAD);
    text.push_str(&summary(catalogue, registry));
    let mut told: BTreeMap<&str, &ClauseId> = BTreeMap::new();
    for section in catalogue.sections() {
        text.push_str(&format!("\n## {} {}\n", section.id, section.title));
        for clause in &section.clauses {
            text.push_str(&format!("\n### {} {} ({})\n\n", clause.id, clause.title, letters(&clause.hold)));
            for control in registry.of_clause(&clause.id) {
                match told.get(control.id.as_str()) {
                    Some(first) => text.push_str(&again(control, &clause.id, first)),
                    None => {
                        told.insert(&control.id, &clause.id);
                        text.push_str(&written(control));
                    }
                }
            }
            text.push_str(&gaps(clause, registry));
        }
    }
    text
}

const HEAD: &str = "\
# Clauses

What holds each clause today: the control, what observes it, the tests that fail if it stops holding, and what a third party can
look at. Only what is true now; what a control still lacks, and what its checks do not look at, stands under \"open\". Written from
the registry of controls by `tenet policy controls --format md`; a test compares, and another checks that each test named here exists.

**E** enforced: a violation can't happen or is refused. **D** detected: it raises a finding. **A** attested: a person's dated review.
Beside a clause stands what it asks for, beside a control what that does. `CD-8.2` is the second sentence of a clause.
";

fn letters(hold: &[Hold]) -> String {
    let letters: Vec<_> = hold.iter().map(|hold| hold.letter()).collect();
    letters.join("+")
}

/// How much of the policy is held, and what is not.
fn summary(catalogue: &Catalogue, registry: &Registry) -> String {
    let all = catalogue.clauses().count();
    let bare: Vec<_> = catalogue
        .clauses()
        .filter(|clause| registry.of_clause(&clause.id).next().is_none())
        .map(|clause| clause.id.to_string())
        .collect();
    let of = |kind: CheckKind| registry.checks().filter(|(_, check)| check.kind == kind).count();
    format!(
        "\n{} controls hold something of {} clauses out of {all}; {} checks run by themselves, {} are drills, {} are a person's. No \
         control holds anything of {}.\n",
        registry.controls().len(),
        all - bare.len(),
        of(CheckKind::Automatic),
        of(CheckKind::Drill),
        of(CheckKind::Manual),
        bare.join(", "),
    )
}

/// What of a clause nothing holds or observes.
fn gaps(clause: &Clause, registry: &Registry) -> String {
    let controls: Vec<_> = registry.of_clause(&clause.id).collect();
    if controls.is_empty() {
        return "Gap: no control of Tenet holds it yet.\n".to_owned();
    }
    let mut text = String::new();
    let lacks: Vec<_> = clause
        .hold
        .iter()
        .filter(|hold| !controls.iter().any(|control| control.hold.contains(hold)))
        .map(|hold| match hold {
            Hold::Enforced => "no control enforces it",
            Hold::Detected => "beyond its checks, no control detects a violation of it",
            Hold::Attested => "nobody is asked to attest it",
        })
        .collect();
    if !lacks.is_empty() {
        text.push_str(&format!("\nGap: {}.\n", lacks.join("; ")));
    }
    let is_observed = |sentence: usize| {
        registry.checks().any(|(_, check)| check.holds.iter().any(|one| one.covers(&clause.id, sentence)))
    };
    let wordings = clause.wording.templates();
    let sentences = wordings.first().map_or(0, |one| one.sentences().len());
    let bare: Vec<_> = (1..=sentences).filter(|sentence| !is_observed(*sentence)).collect();
    if !bare.is_empty() {
        let all = bare.len() == sentences;
        let ids: Vec<_> = bare.iter().map(|sentence| format!("`{}.{sentence}`", clause.id)).collect();
        let what = if all { "it".to_owned() } else { ids.join(", ") };
        text.push_str(&format!("\nGap: no check observes {what}.\n"));
    }
    text
}

/// A control that was told of at an earlier clause, and what of it observes this one.
fn again(control: &Control, clause: &ClauseId, first: &ClauseId) -> String {
    let checks: Vec<_> = control
        .checks
        .iter()
        .filter(|check| check.holds.iter().any(|one| one.clause == *clause))
        .map(|check| format!("`{}`", check.id))
        .collect();
    let observed = match checks.len() {
        0 => "no check of it observes this clause".to_owned(),
        _ => format!("observed by {}", checks.join(", ")),
    };
    format!("- **{}** ({}): as for {first}; {observed}.\n", control.title, letters(&control.hold))
}

fn written(control: &Control) -> String {
    let mut text = format!(
        "- **{}** (`{}`, {}): {}\n",
        control.title,
        control.id,
        letters(&control.hold),
        line(&control.text)
    );
    for check in &control.checks {
        let some = if check.holds == control.holds { String::new() } else { only(&check.holds) };
        text.push_str(&format!(
            "  - Check `{}` ({}, every {}, valid {}{some}): {}\n",
            check.id,
            check.kind.as_str(),
            shown(check.every),
            shown(check.valid),
            line(&check.title)
        ));
    }
    text.push_str("  - Tests:\n");
    for test in &control.tests {
        text.push_str(&format!("    - `{test}`\n"));
    }
    text.push_str(&format!("  - Evidence: {}\n", line(&control.evidence)));
    if !control.needs.is_empty() {
        text.push_str(&format!(
            "  - Needs: `{}`; without it the control is not there.\n",
            line(&control.needs)
        ));
    }
    if !control.open.is_empty() {
        text.push_str(&format!("  - Open: {}\n", line(&control.open)));
    }
    text
}

/// Of a check that observes less than its control holds: what.
fn only(holds: &[Holds]) -> String {
    let names: Vec<_> = holds.iter().map(Holds::to_string).collect();
    format!(", of {} alone", names.join(", "))
}

fn line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[control]]
id = "one"
title = "One"
hold = ["enforced"]
holds = ["CD-8"]
text = "It works."
tests = ["crates/a/src/b.rs::c"]
evidence = "the log"
[[control.check]]
id = "one-is-so"
title = "It is so."
kind = "automatic"
every = "1 hour"
valid = "1 day"
"#;

    fn parse(text: &str) -> Result<Registry, String> {
        let catalogue = Catalogue::load().map_err(|error| error.to_string())?;
        Registry::read(&catalogue, &[("controls/x.toml", text)]).map_err(|error| error.why)
    }

    #[test]
    fn what_contradicts_itself_or_the_catalogue_is_refused() {
        assert!(parse(GOOD).is_ok());
        for (from, to, why) in [
            ("CD-8\"", "CD-99\"", "there is no clause"),
            ("CD-8\"", "CD-8.7\"", "has 2 sentences"),
            ("CD-8\"", "CD-8.0\"", "names no sentence"),
            ("\"one\"", "\"One\"", "is no id"),
            ("\"one-is-so\"", "\"one\"", "is there twice"),
            ("\"1 day\"", "\"1 minute\"", "less long"),
            ("\"1 day\"", "\"soon\"", "is no time"),
            ("[\"crates/a/src/b.rs::c\"]", "[]", "what nothing tests"),
            ("\"the log\"", "\"\"", "`evidence` is empty"),
            ("valid =", "holds = [\"RR-1\"]\nvalid =", "which the control does not hold"),
            ("text =", "txt =", "unknown field"),
        ] {
            let refused = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(refused.contains(why), "{from} to {to}: {refused}");
        }
    }

    #[test]
    fn times_are_shown_in_the_largest_unit() {
        for (text, expected) in
            [("15 minutes", "15 minutes"), ("60 minutes", "1 hour"), ("48 hours", "2 days")]
        {
            assert_eq!(shown(span(text).unwrap()), expected);
        }
    }
}
