//! Refusals to people who are not, or not yet, authenticated: recorded, counted against the limits, and
//! answered with as little as possible.

use base::{AccountId, Actor, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::SystemScope;

use crate::{Access, AccessError, origin::Call, throttle::Throttled};

/// A failed proof of identity.
pub(crate) struct Failure<'a> {
    /// Who it was about: established or claimed. Limits count against it.
    pub(crate) subject: Actor,
    /// The account that it was about, once the token that names it is known to be ours.
    pub(crate) account: Option<AccountId>,
    /// Why: a stable code.
    pub(crate) reason: &'static str,
    pub(crate) call: &'a Call,
    pub(crate) now: Timestamp,
}

impl Access {
    /// Refuses a call whose credential is so malformed that nothing in it can be looked at. `web` says so
    /// for what it can't even take from the headers or the form; it is a failed proof like any other.
    pub async fn reject(&self, reason: &'static str, error: AccessError, call: &Call) -> AccessError {
        let now = self.0.context.now();
        self.fail(Failure { subject: Actor::Anonymous, account: None, reason, call, now }, error).await
    }

    /// Records a failed proof of identity and counts it. Returns the error for the caller: `error`, or
    /// that of the limit if this subject or address has failed too often. Past a limit, one
    /// event a minute stands for the rest.
    pub(crate) async fn fail(&self, failure: Failure<'_>, error: AccessError) -> AccessError {
        let Failure { subject, account, reason, call, now } = failure;
        if let Err(throttled) = self.0.throttle.check(subject, call.peer.address, now) {
            return self.over_limit(subject, throttled, call, now).await;
        }
        self.0.throttle.fail(subject, call.peer.address, now);
        let act = Act::refused(Activity::AuthFail, about(subject), reason, Some("CD-8"));
        match self.record_refusal(account, act, call, now).await {
            Ok(()) => error,
            Err(unrecorded) => unrecorded,
        }
    }

    /// Answers whoever is over a limit, and records it if that is due.
    pub(crate) async fn over_limit(
        &self,
        subject: Actor,
        throttled: Throttled,
        call: &Call,
        now: Timestamp,
    ) -> AccessError {
        if throttled.report {
            let act = Act::refused(Activity::LimitExceed, about(subject), "too-many-failures", None);
            if let Err(unrecorded) = self.record_refusal(None, act, call, now).await {
                return unrecorded;
            }
        }
        AccessError::Throttled { retry_after: throttled.retry_after }
    }

    /// Records an act of nobody established. Whoever was claimed is the object, never the actor: an
    /// outsider must not be able to write events in somebody's name.
    pub(crate) async fn record_refusal(
        &self,
        account: Option<AccountId>,
        act: Act,
        call: &Call,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let scope = self.anonymous(account, call, now).await?;
        self.0.store.record_system(&scope, act).await?;
        Ok(())
    }

    /// The scope of somebody not yet established.
    pub(crate) async fn anonymous(
        &self,
        account: Option<AccountId>,
        call: &Call,
        now: Timestamp,
    ) -> Result<SystemScope, AccessError> {
        let origin = self.origin(Actor::Anonymous, account, call).await?;
        Ok(self.0.mint.system(origin, now, "somebody proves who they are"))
    }
}

/// What an authentication is about.
pub(crate) fn about(subject: Actor) -> ObjectRef {
    ObjectRef::new(subject.kind().as_str(), subject)
}
