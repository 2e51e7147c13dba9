//! What events say of the policy and of what is observed: the one place where they are read back. Pure, so that whoever has
//! the log has the same, without a server.

use std::collections::{BTreeMap, BTreeSet};

use base::Timestamp;
use ledger::{Activity, EventView, OutcomeView};
use policy::{CheckFinding, Exception, Observation, Seen};
use serde::{Deserialize, Serialize};

/// How many people approve a version, besides whoever put it up.
pub const APPROVALS: usize = 1;

/// Somebody's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who approved.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A version of the policy, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its number.
    pub version: u32,
    /// The hash of the document.
    pub sha256: String,
    /// The hash of what is stored of it: files and document.
    pub content: String,
    /// Who put it up.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Timestamp,
    /// From when it is to be in effect.
    pub effective: Timestamp,
    /// When it is to be reviewed next.
    pub next_review: Timestamp,
    /// Who approved it.
    pub approvals: Vec<Approval>,
    /// When it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_at: Option<Timestamp>,
}

/// That somebody acknowledged a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Which version.
    pub version: u32,
    /// The hash of the document that was acknowledged.
    pub sha256: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How a version stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The one that is in effect.
    InEffect,
    /// Adopted, and in effect later.
    Adopted,
    /// Was in effect before.
    Superseded,
    /// Put up, and not approved yet.
    Proposed,
    /// None was put up: the catalogue's clauses, with examples for what an organisation fills in.
    Specimen,
}

impl Standing {
    /// Its words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InEffect => "in effect",
            Self::Adopted => "adopted",
            Self::Superseded => "superseded",
            Self::Proposed => "proposed",
            Self::Specimen => "specimen",
        }
    }
}

/// What the log says of the policy's versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// By number.
    pub versions: BTreeMap<u32, Version>,
    /// In order.
    pub acknowledgements: Vec<Acknowledgement>,
}

impl Version {
    /// From when it is in effect, if it is adopted: from its day, or from its adoption if that came later.
    pub fn in_effect_from(&self) -> Option<Timestamp> {
        self.adopted_at.map(|adopted| adopted.max(self.effective))
    }
}

impl Adoption {
    /// Reads events, in the log's order, of those that happened until then.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a EventView>, until: Timestamp) -> Self {
        let mut all = Self::default();
        for event in events {
            if event.time <= until && event.outcome == OutcomeView::Success && event.object.kind == "policy" {
                all.take(event);
            }
        }
        all
    }

    fn take(&mut self, event: &EventView) -> Option<()> {
        let number: u32 = event.object.id.parse().ok()?;
        let sha256 = event.text("sha256")?;
        let by = event.actor.to_string();
        match Activity::from_name(&event.activity)? {
            Activity::PolicyPropose => {
                let is_adopted = self.versions.get(&number).is_some_and(|one| one.adopted_at.is_some());
                let version = Version {
                    version: number,
                    sha256: sha256.to_owned(),
                    content: event.text("content")?.to_owned(),
                    proposed_by: by,
                    proposed_at: event.time,
                    effective: instant(event, "effective")?,
                    next_review: instant(event, "next_review")?,
                    approvals: Vec::new(),
                    adopted_at: None,
                };
                if !is_adopted {
                    self.versions.insert(number, version);
                }
            }
            Activity::PolicyApprove => {
                let version = self.versions.get_mut(&number).filter(|one| one.sha256 == sha256)?;
                let is_new = version.approvals.iter().all(|one| one.by != by);
                if is_new && version.proposed_by != by {
                    version.approvals.push(Approval { by, at: event.time });
                }
            }
            Activity::PolicyAdopt => {
                let version = self.versions.get_mut(&number).filter(|one| one.sha256 == sha256)?;
                if version.approvals.len() >= APPROVALS && version.adopted_at.is_none() {
                    version.adopted_at = Some(event.time);
                }
            }
            Activity::PolicyAcknowledge => {
                self.versions.get(&number).filter(|one| one.sha256 == sha256 && one.adopted_at.is_some())?;
                self.acknowledgements.push(Acknowledgement {
                    version: number,
                    sha256: sha256.to_owned(),
                    by,
                    at: event.time,
                });
            }
            _ => {}
        }
        Some(())
    }

    /// The version in effect then: the highest of those that are.
    pub fn in_effect(&self, at: Timestamp) -> Option<&Version> {
        self.versions.values().rev().find(|one| one.in_effect_from().is_some_and(|from| from <= at))
    }

    /// The version that is spoken of then, if none is named: the one in effect; or else the newest that is adopted; or
    /// else the newest that was put up.
    pub fn current(&self, at: Timestamp) -> Option<&Version> {
        let adopted = || self.versions.values().rev().find(|one| one.adopted_at.is_some());
        self.in_effect(at).or_else(adopted).or_else(|| self.versions.values().next_back())
    }

    /// How a version stands then.
    pub fn standing(&self, version: &Version, at: Timestamp) -> Standing {
        match version.in_effect_from() {
            None => Standing::Proposed,
            Some(from) if from > at => Standing::Adopted,
            Some(_) if self.in_effect(at).is_some_and(|one| one.version == version.version) => {
                Standing::InEffect
            }
            Some(_) => Standing::Superseded,
        }
    }

    /// The newest version that is adopted.
    pub fn newest_adopted(&self) -> Option<&Version> {
        self.versions.values().rev().find(|one| one.adopted_at.is_some())
    }

    /// The versions that somebody acknowledged.
    pub fn acknowledged_by(&self, who: &str) -> BTreeSet<u32> {
        self.acknowledgements.iter().filter(|one| one.by == who).map(|one| one.version).collect()
    }
}

/// What an event says was observed; none if it is no such event.
pub fn observation(event: &EventView) -> Option<Observation> {
    if event.activity != Activity::EvidenceObserve.name() || event.outcome != OutcomeView::Success {
        return None;
    }
    Some(Observation {
        event: event.id.to_string(),
        check: event.object.id.clone(),
        effective: instant(event, "effective")?,
        collected: instant(event, "collected")?,
        received: event.time,
        by: event.actor.to_string(),
        seen: Seen::from_word(event.text("seen")?)?,
        examined: event.count("examined")?,
        failed: event.count("failed")?,
        summary: event.text("summary")?.to_owned(),
        document: event.text("document").map(str::to_owned),
    })
}

/// What events say of exceptions, of those that happened until then.
pub fn exceptions<'a>(events: impl IntoIterator<Item = &'a EventView>, until: Timestamp) -> Vec<Exception> {
    let mut all: Vec<Exception> = Vec::new();
    let done = |event: &&EventView| event.time <= until && event.outcome == OutcomeView::Success;
    for event in events.into_iter().filter(done) {
        match Activity::from_name(&event.activity) {
            Some(Activity::ExceptionSet) => all.extend(exception(event)),
            // Whoever reviews it and objects ends it, as whoever ends it does.
            Some(Activity::ExceptionEnd | Activity::ReviewObject) => {
                let ended = all.iter_mut().find(|one| one.event == event.object.id && one.ended.is_none());
                if let Some(ended) = ended {
                    ended.ended = Some(event.time);
                }
            }
            _ => {}
        }
    }
    all
}

fn exception(event: &EventView) -> Option<Exception> {
    Some(Exception {
        event: event.id.to_string(),
        clause: event.object.id.parse().ok()?,
        not_applicable: event.text("kind")? == "not-applicable",
        reason: event.text("reason")?.to_owned(),
        owner: event.text("owner")?.to_owned(),
        by: event.actor.to_string(),
        from: event.time,
        until: instant(event, "until")?,
        ended: None,
    })
}

/// What events say of findings, of those that happened until then. A finding's id is that of the observation that failed.
pub fn findings<'a>(events: impl IntoIterator<Item = &'a EventView>, until: Timestamp) -> Vec<CheckFinding> {
    let mut all: Vec<CheckFinding> = Vec::new();
    let done = |event: &&EventView| event.time <= until && event.outcome == OutcomeView::Success;
    for event in events.into_iter().filter(done) {
        let check = &event.object.id;
        match Activity::from_name(&event.activity) {
            Some(Activity::FindingOpen) => {
                // Two servers may have seen it at once: it is one finding.
                if all.iter().any(|one| one.check == *check && one.closed.is_none()) {
                    continue;
                }
                let observation = event.text("observation").map(str::to_owned);
                all.push(CheckFinding {
                    event: observation.unwrap_or_else(|| event.id.to_string()),
                    check: check.clone(),
                    opened: event.time,
                    closed: None,
                    summary: event.text("summary").unwrap_or_default().to_owned(),
                });
            }
            Some(Activity::FindingClose) => {
                let open = all.iter_mut().find(|one| one.check == *check && one.closed.is_none());
                if let Some(open) = open {
                    open.closed = Some(event.time);
                }
            }
            _ => {}
        }
    }
    all
}

fn instant(event: &EventView, wanted: &str) -> Option<Timestamp> {
    event.text(wanted)?.parse().ok()
}
