//! The adopted policy, and what is observed of it: versions and who approved and acknowledged them; observations of checks,
//! and the findings that follow; exceptions. It owns the chain from a clause to its evidence: clause, control, check,
//! observation, finding. And alarms: whoever can act is told what is wrong, until somebody takes it on.
//!
//! What holds is what the log says (`events.rs`); the tables find it again, and a row that no event confirms counts for
//! nothing. It does not know how a check is made: whoever wires a server brings [`Probe`]s.

mod acknowledge;
mod alarm;
mod alarm_act;
mod alarm_deliver;
mod alarm_escalate;
mod alarm_notice;
mod alarm_plan;
mod alarm_raise;
mod alarm_rules;
mod approve;
mod assess;
mod error;
mod events;
mod except;
mod job;
mod observe;
mod propose;
mod read;

use std::{collections::BTreeSet, sync::Arc};

use access::Access;
use base::Timestamp;
use ledger::{Activity, EventQuery, OutcomeWord};
use policy::{Catalogue, Document, Files, Observed, Registry};
use serde::{Deserialize, Serialize};
use store::Store;

pub use acknowledge::{Asked, Outstanding, staff};
pub use alarm::{Acknowledged, Alarm, AlarmState, Alarms, MessageKind};
pub use alarm_act::{AlarmPage, Delivery, MAX_ALARMS, ShownAlarm, ShownRoute};
pub use alarm_deliver::{CarryFuture, Courier, MAX_ATTEMPTS, Messenger, Untaken};
pub use alarm_notice::Notice;
pub use alarm_plan::{AlarmPlan, AlarmRoute, AlarmStep, QuietHours};
pub use alarm_rules::{ALARM_RULES, AlarmRule, AlarmSeverity};
pub use assess::Assessed;
pub use error::WatchError;
pub use events::{
    APPROVALS, Acknowledgement, Adoption, Approval, Standing, Version, exceptions, findings, observation,
};
pub use except::NewException;
pub use job::{ChecksJob, LookFuture, Probe, Sight};
pub use observe::{Attestation, MAX_OBSERVATIONS, ObservationPage};
pub use read::{MANIFEST_TYPE, StoredVersion, VersionSummary, manifest_statement};

/// Most bytes of the files of a version.
pub const MAX_FILES_BYTES: usize = 256 * 1024;
/// Most characters of a reason or a summary.
pub const MAX_TEXT_CHARS: usize = 200;

/// The policy and what is observed of it. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    store: Store,
    access: Access,
    catalogue: Catalogue,
    registry: Registry,
    /// What this server runs with: statements that it contradicts are refused.
    running: Observed,
    /// Controls that are not there, because what they need is not configured.
    absent: BTreeSet<String>,
}

/// What is stored of a version: its files, and the document that they made, so that it reads the same for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The files, as they were given.
    pub files: Files,
    /// The document.
    pub document: Document,
}

impl Watch {
    /// Of a store's log. `running` is what the configuration says; `absent` says which controls it does not install.
    ///
    /// # Errors
    /// The catalogue or the registry is faulty.
    pub fn open(
        store: Store,
        access: Access,
        running: Observed,
        absent: impl FnOnce(&Registry) -> BTreeSet<String>,
    ) -> Result<Self, WatchError> {
        let catalogue = Catalogue::load()?;
        let registry = Registry::load(&catalogue)?;
        let absent = absent(&registry);
        Ok(Self(Arc::new(Inner { store, access, catalogue, registry, running, absent })))
    }

    /// Every clause that there is.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }
    /// Every control and check that there is.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }
    /// The controls that are not there.
    pub fn absent(&self) -> &BTreeSet<String> {
        &self.0.absent
    }
    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }
    /// What this server runs with.
    pub fn running(&self) -> &Observed {
        &self.0.running
    }

    /// What the log says of the policy's versions, of what happened until then.
    pub async fn adoption(&self, until: Timestamp) -> Result<Adoption, WatchError> {
        // Not that somebody read a version: that is recorded too, and there is no end of it.
        let acts = [
            Activity::PolicyPropose,
            Activity::PolicyApprove,
            Activity::PolicyAdopt,
            Activity::PolicyAcknowledge,
        ];
        let events = self.0.store.recorded_of(&acts, &about("policy", until)).await?;
        Ok(Adoption::fold(&events, until))
    }

    /// What changes when something changes that is known of the policy: a text to compare, which says nothing else.
    pub async fn mark(&self, scope: &store::SystemScope) -> Result<String, WatchError> {
        let newest = store::platform!(
            "SELECT (SELECT COUNT(*) FROM policy_content), (SELECT COUNT(*) FROM open_finding), \
             (SELECT COALESCE(MAX(at), 0) FROM open_finding)"
        );
        // By check, so that an index answers it however many observations there are.
        let of_check = store::platform!("SELECT MAX(received) FROM observation WHERE check_id = $1");
        let mut read = self.0.store.system_read(scope).await?;
        let mut mark = String::new();
        for row in read.rows(newest, &[]).await? {
            mark = format!("{}.{}.{}", row.int(0)?, row.int(1)?, row.int(2)?);
        }
        let mut last = 0;
        for (_, check) in self.0.registry.checks() {
            if let Some(row) = read.row(of_check, &[(&check.id).into()]).await? {
                last = last.max(row.opt_int(0)?.unwrap_or(0));
            }
        }
        Ok(format!("{mark}.{last}"))
    }

    fn now(&self) -> Timestamp {
        self.0.store.context().now()
    }
}

/// What succeeded of one kind of activities, until then.
fn about(noun: &str, until: Timestamp) -> EventQuery {
    EventQuery {
        activity: Some(noun.to_owned()),
        outcome: Some(OutcomeWord::Success),
        until: Some(Timestamp::from_micros(until.micros().saturating_add(1))),
        ..EventQuery::default()
    }
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line that a person wrote, for an event: not empty, bounded, without control characters.
fn line(field: &'static str, text: &str) -> Result<(), WatchError> {
    let is_long = text.chars().count() > MAX_TEXT_CHARS || text.len() > 250;
    if text.trim().is_empty()
        || is_long
        || text.chars().any(|one| one.is_control() || one == '"' || one == '\\')
    {
        let reason = "expected one line of 1 to 200 characters, without quotation marks and backslashes";
        return Err(WatchError::Invalid { field, reason });
    }
    Ok(())
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
