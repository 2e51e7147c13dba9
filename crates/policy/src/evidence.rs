//! What is known of a document at an instant: of each sentence a state, which follows from the observations of the checks that
//! hold it. Whoever computes it anew from the same observations gets the same.
//!
//! - A check is *satisfied* while its newest observation passed and is still valid; *not satisfied* while that failed and is
//!   valid; *stale* once it is not valid any more; *never observed* before there is one. An observation that could not tell
//!   says nothing: the one before it counts for as long as it is valid, so that a collector that died is never green.
//! - A sentence is a *gap* if nothing that runs observes it, else as its worst check is. That a person attests an own wording
//!   changes no gap: there is nothing that would hold what the words say.
//! - A clause is as its worst sentence is; *not applicable* while somebody answers for that, with a reason and an end.
//! - An exception changes no state. It says who answers for it, and until when.

use std::collections::{BTreeMap, BTreeSet};

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Check, CheckKind, ClauseId, Document, DocumentClause, Registry};

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It is so.
    Pass,
    /// It is not so.
    Fail,
    /// Nobody could tell.
    Unknown,
}

impl Seen {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
    /// The one of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Unknown].into_iter().find(|one| one.as_str() == word)
    }
}

/// One observation of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The event that records it.
    pub event: String,
    /// Which check.
    pub check: String,
    /// As of when it is true.
    pub effective: Timestamp,
    /// When somebody or something looked.
    pub collected: Timestamp,
    /// When it was recorded.
    pub received: Timestamp,
    /// Who looked: an operator or a server.
    pub by: String,
    /// What was seen.
    pub seen: Seen,
    /// How many things were looked at.
    pub examined: u64,
    /// How many of them were not so.
    pub failed: u64,
    /// In words.
    pub summary: String,
    /// SHA-256 of a document that a person looked at, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// Somebody's word that a clause does not apply, or that it is not held for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The event that records it: its id.
    pub event: String,
    /// Which clause.
    pub clause: ClauseId,
    /// Whether the clause does not apply; otherwise it does and is not held.
    pub not_applicable: bool,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Who set it.
    pub by: String,
    /// From when.
    pub from: Timestamp,
    /// Until when, at the latest.
    pub until: Timestamp,
    /// When it was ended before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

impl Exception {
    /// Whether it holds then.
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until && self.ended.is_none_or(|ended| at < ended)
    }
}

/// What is known of a check, a sentence or a clause. The later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not apply here, and somebody answers for that.
    NotApplicable,
    /// It was observed to be so, recently enough.
    Satisfied,
    /// It was observed, and too long ago.
    Stale,
    /// Nobody has looked yet.
    NeverObserved,
    /// No control that runs holds it.
    Gap,
    /// It was observed not to be so.
    NotSatisfied,
}

impl State {
    /// Each, the worst last.
    pub const ALL: [Self; 6] = [
        Self::NotApplicable,
        Self::Satisfied,
        Self::Stale,
        Self::NeverObserved,
        Self::Gap,
        Self::NotSatisfied,
    ];
    /// Its words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Satisfied => "satisfied",
            Self::Stale => "stale",
            Self::NeverObserved => "never observed",
            Self::Gap => "gap",
            Self::NotSatisfied => "not satisfied",
        }
    }
}

/// What observations there are of a check at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// The newest that could tell.
    pub definite: Option<Observation>,
    /// The newest that could not, if it is newer.
    pub unknown: Option<Observation>,
}

/// What is known, by who calls: everything as of one instant.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By check, the newest observations.
    pub latest: BTreeMap<String, Latest>,
    /// The controls that are not there, because what they need is not configured.
    pub absent: BTreeSet<String>,
    /// Exceptions that were set.
    pub exceptions: Vec<Exception>,
}

/// What is known of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckState {
    /// Its id.
    pub check: String,
    /// The control that it observes; none for one on an own wording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// What it shows.
    pub title: String,
    /// Who observes: `automatic`, `drill`, `manual`.
    pub kind: CheckKind,
    /// What is known.
    pub state: State,
    /// Until when its observation says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The observation that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// A newer one that could not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub could_not_tell: Option<Observation>,
}

/// What is known of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentenceState {
    /// Its id: `CD-8.1`.
    pub id: String,
    /// As it is published.
    pub text: String,
    /// What is known.
    pub state: State,
    /// The checks that observe it.
    pub checks: Vec<String>,
}

/// What is known of a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClauseState {
    /// Its id.
    pub clause: ClauseId,
    /// Its title.
    pub title: String,
    /// What is known.
    pub state: State,
    /// Its sentences.
    pub sentences: Vec<SentenceState>,
    /// What holds for it, of what was set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

/// What is known of a document at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// As of when.
    pub at: Timestamp,
    /// The document's version.
    pub version: u32,
    /// Its hash.
    pub sha256: String,
    /// How many clauses there are of each state.
    pub counts: BTreeMap<State, usize>,
    /// Its clauses, in order.
    pub clauses: Vec<ClauseState>,
    /// The checks that were asked, by id.
    pub checks: Vec<CheckState>,
}

/// What is known of a check at an instant.
pub fn check_state(
    control: Option<&str>,
    check: &Check,
    latest: Option<&Latest>,
    at: Timestamp,
) -> CheckState {
    let valid_until = |one: &Observation| one.effective.plus(check.valid);
    let definite = latest.and_then(|latest| latest.definite.as_ref());
    let state = match definite {
        None => State::NeverObserved,
        Some(one) if at >= valid_until(one) => State::Stale,
        Some(one) if one.seen == Seen::Pass => State::Satisfied,
        Some(_) => State::NotSatisfied,
    };
    let unknown = latest.and_then(|latest| latest.unknown.as_ref());
    let is_newer = |one: &&Observation| definite.is_none_or(|other| one.effective > other.effective);
    CheckState {
        check: check.id.clone(),
        control: control.map(str::to_owned),
        title: check.title.clone(),
        kind: check.kind,
        state,
        valid_until: definite.map(valid_until),
        observation: definite.cloned(),
        could_not_tell: unknown.filter(is_newer).cloned(),
    }
}

/// What is known of a document at an instant, by the controls that there are.
pub fn assess(document: &Document, registry: &Registry, known: &Known, at: Timestamp) -> Assessment {
    let mut checks: BTreeMap<String, CheckState> = BTreeMap::new();
    let mut clauses = Vec::new();
    for clause in document.clauses() {
        clauses.push(of_clause(clause, registry, known, at, &mut checks));
    }
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for clause in &clauses {
        *counts.entry(clause.state).or_default() += 1;
    }
    let manifest = document.manifest();
    Assessment {
        at,
        version: document.version,
        sha256: manifest.sha256,
        counts,
        clauses,
        checks: checks.into_values().collect(),
    }
}

fn of_clause(
    clause: &DocumentClause,
    registry: &Registry,
    known: &Known,
    at: Timestamp,
    checks: &mut BTreeMap<String, CheckState>,
) -> ClauseState {
    let mut sentences = Vec::new();
    for (number, sentence) in (1..).zip(&clause.sentences) {
        let mut asked = Vec::new();
        let mut worst: Option<State> = None;
        let mut ask = |control: Option<&str>, check: &Check| {
            let state = checks
                .entry(check.id.clone())
                .or_insert_with(|| check_state(control, check, known.latest.get(&check.id), at));
            asked.push(check.id.clone());
            worst = worst.max(Some(state.state));
        };
        let mut is_held = false;
        for (control, check) in registry.checks() {
            // Of own words nobody knows which sentence says what: each check of the clause counts for each of them.
            let is_asked = check.holds.iter().any(|one| {
                if clause.own_wording { one.clause == clause.id } else { one.covers(&clause.id, number) }
            });
            if is_asked && !known.absent.contains(&control.id) {
                ask(Some(&control.id), check);
                is_held = true;
            }
        }
        // A person's word on controls makes nothing of a sentence that none of them observes.
        let unheld = (!is_held).then_some(State::Gap);
        if clause.own_wording {
            ask(None, &Registry::own_wording(&clause.id));
        }
        let state = worst.max(unheld).unwrap_or(State::Gap);
        sentences.push(SentenceState {
            id: sentence.id.clone(),
            text: sentence.text.clone(),
            state,
            checks: asked,
        });
    }
    let in_force = known.exceptions.iter().filter(|one| one.clause == clause.id && one.is_in_force(at));
    let exceptions: Vec<_> = in_force.cloned().collect();
    let is_exempt = exceptions.iter().any(|one| one.not_applicable);
    let worst = sentences.iter().map(|one| one.state).max().unwrap_or(State::Gap);
    let state = if is_exempt { State::NotApplicable } else { worst };
    ClauseState { clause: clause.id.clone(), title: clause.title.clone(), state, sentences, exceptions }
}

impl Assessment {
    /// The check of that id, if it was asked.
    pub fn check(&self, id: &str) -> Option<&CheckState> {
        self.checks.iter().find(|one| one.check == id)
    }
    /// Whether everything that applies is satisfied.
    pub fn is_satisfied(&self) -> bool {
        self.clauses.iter().all(|one| matches!(one.state, State::Satisfied | State::NotApplicable))
    }
}

/// The newest of observations by check, of those that were recorded by then: for whoever has them all.
pub fn latest<'a>(all: impl IntoIterator<Item = &'a Observation>, at: Timestamp) -> BTreeMap<String, Latest> {
    let mut latest: BTreeMap<String, Latest> = BTreeMap::new();
    for one in all {
        if one.received > at || one.effective > at {
            continue;
        }
        let known = latest.entry(one.check.clone()).or_default();
        let place = if one.seen == Seen::Unknown { &mut known.unknown } else { &mut known.definite };
        let is_newer = |other: &Observation| {
            (one.effective, one.received, &one.event) > (other.effective, other.received, &other.event)
        };
        if place.as_ref().is_none_or(is_newer) {
            *place = Some(one.clone());
        }
    }
    latest
}

/// What a check did wrong from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckFinding {
    /// The event of the observation that failed first: its id.
    pub event: String,
    /// Which check.
    pub check: String,
    /// When it failed first.
    pub opened: Timestamp,
    /// When it passed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// What was seen then.
    pub summary: String,
}
