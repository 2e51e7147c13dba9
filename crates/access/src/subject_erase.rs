//! Erasing whose acts came from where: the key goes under which the addresses and tools of one who acted are sealed. The
//! log stays as it is and verifies; what it commits to about them can't be read or guessed any more.

use base::{Actor, EventId, Timestamp};
use keys::Subject;
use ledger::{Act, Activity, ObjectRef};
use serde::Serialize;

use crate::{Access, AccessError, Action, Principal, Resource};

/// `type` of a receipt.
pub const SUBJECT_RECEIPT_TYPE: &str = "tenet.subject-erasure.v1";

/// What a receipt says of an erasure, for the log's key to sign. No personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectErasure {
    /// [`SUBJECT_RECEIPT_TYPE`].
    #[serde(rename = "type")]
    pub kind_of_statement: &'static str,
    /// Who acted: the id of a client or an operator.
    pub subject: String,
    /// Whether there was a key: nothing was sealed under one otherwise.
    pub had_key: bool,
    /// How it was erased.
    pub method: &'static str,
    /// The clause that asks for deletion to be recorded.
    pub clause: &'static str,
    /// When the key was gone.
    pub erased_at: Timestamp,
    /// The event that says so.
    pub event: EventId,
}

impl Access {
    /// Erases from where a client or an operator acted up to now. An administrator's act, reviewed by a second person,
    /// and nobody's about themselves. What they do from now on is sealed under a new key. Idempotent.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for a subject that is neither, [`AccessError::OwnTrail`].
    pub async fn subject_erase(&self, by: &Principal, subject: Actor) -> Result<SubjectErasure, AccessError> {
        let (scope, decision) = self.operate(by, Action::SubjectErase, &Resource::new().id(subject)).await?;
        let object = || ObjectRef::new("subject", subject);
        let refused = |reason, clause| Act::refused(Activity::SubjectErase, object(), reason, clause);
        if !matches!(subject, Actor::Client(_) | Actor::Operator(_)) {
            self.0.store.record_system(scope, refused("subject-unknown", None)).await?;
            let reason = "give the id of a client (`cli_...`) or of an operator (`opr_...`)";
            return Err(AccessError::Invalid { field: "subject", reason });
        }
        if subject == scope.actor() {
            self.0.store.record_system(scope, refused("own-trail", Some("AO-1"))).await?;
            return Err(AccessError::OwnTrail);
        }
        let key = Subject::of(subject, scope.now());
        let had_key = self.0.keys.decided_by(decision.policies()).destroy_subject(scope, &key).await?;
        // What is sealed already is not used again: the next act makes a key.
        self.0.origins.forget(subject);
        let act = Act::new(Activity::SubjectErase, object())
            .decided_by(decision.policies())
            .detail("had_key", had_key);
        let recorded = self.0.store.record_system(scope, act).await?;
        Ok(SubjectErasure {
            kind_of_statement: SUBJECT_RECEIPT_TYPE,
            subject: subject.to_string(),
            had_key,
            method: "cryptographic erasure: the only key of the sealed addresses and tools is destroyed",
            clause: "DD-2",
            erased_at: self.0.context.now(),
            event: recorded.event_id(),
        })
    }
}
