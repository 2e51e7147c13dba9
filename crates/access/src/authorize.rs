//! Whether a principal may do something. What the policies refuse is recorded before it is answered.

use std::sync::Arc;

use ledger::{Act, Activity, ObjectRef};
use store::{SystemScope, Witnessing};

use crate::{
    Access, AccessError, Action, Principal, PrincipalKind, Resource,
    policy::{Asker, Question, Ruling},
    session::FRESH,
};

/// That something was allowed, and because of which policies: for the event of what is then done.
#[derive(Clone, Debug)]
pub struct Decision {
    action: Action,
    ruling: Arc<Ruling>,
}

impl Decision {
    /// What was allowed.
    pub const fn action(&self) -> Action {
        self.action
    }
    /// The names of the policies that decided: for `Act::decided_by`.
    pub fn policies(&self) -> Vec<String> {
        self.ruling.policies.clone()
    }
}

impl Access {
    /// Whether `principal` may do `action` to `resource`. A resource without an account counts as the
    /// caller's own, one without a classification as of the highest. A refusal is the event
    /// `access.deny` before it is returned as [`AccessError::Denied`].
    pub async fn authorize(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<Decision, AccessError> {
        let ruling = self.0.policies.ask(self.question(principal, action, resource))?;
        if ruling.allowed {
            let is_stale = principal.proved.is_some_and(|proved| self.0.context.now() >= proved + FRESH);
            if is_stale && action.waits_for_proof() {
                let act = Act::refused(
                    Activity::AccessDeny,
                    object(principal, action, resource),
                    "proof-needed",
                    Some("MS-7"),
                );
                let act = act.decided_by(ruling.policies.clone()).detail("action", action.name());
                self.deny(principal, act).await?;
                return Err(AccessError::ProofNeeded);
            }
            let waits = action.waits_for_witnesses() || self.0.store.witnesses_gate_everything();
            if waits && let Witnessing::Stale { last } = self.0.store.witnessing() {
                let act = unwitnessed(object(principal, action, resource))
                    .decided_by(ruling.policies.clone())
                    .detail("action", action.name());
                self.deny(principal, act).await?;
                return Err(told(principal, AccessError::Unwitnessed { last }));
            }
            if action.waits_for_witnesses() && self.is_weakened().await? {
                let act = weakened(object(principal, action, resource))
                    .decided_by(ruling.policies.clone())
                    .detail("action", action.name());
                self.deny(principal, act).await?;
                return Err(told(principal, AccessError::Weakened));
            }
            return Ok(Decision { action, ruling });
        }
        let clause = ruling.clause.unwrap_or("SD-1");
        let reason = if ruling.policies.is_empty() { "nothing-permits" } else { "policy-forbids" };
        let act =
            Act::refused(Activity::AccessDeny, object(principal, action, resource), reason, Some(clause))
                .decided_by(ruling.policies.clone())
                .detail("action", action.name());
        self.deny(principal, act).await?;
        Err(told(principal, AccessError::Denied { policies: ruling.policies.clone(), clause }))
    }

    /// Whether the policies let this principal do it: for what a page offers, never in the place of [`Access::authorize`]. It is no
    /// attempt and leaves no event; how long ago somebody proved who they are, and whether witnesses stand by the log, is not asked.
    pub fn may(&self, principal: &Principal, action: Action) -> bool {
        let ruling = self.0.policies.ask(self.question(principal, action, &Resource::new()));
        ruling.is_ok_and(|ruling| ruling.allowed)
    }

    async fn deny(&self, principal: &Principal, act: Act) -> Result<(), AccessError> {
        match &principal.kind {
            PrincipalKind::Client { scope, .. } | PrincipalKind::Customer { scope, .. } => {
                self.0.store.record(scope, act).await?
            }
            PrincipalKind::Operator { scope, .. } => self.0.store.record_system(scope, act).await?,
        };
        Ok(())
    }

    /// Authorizes an act on the platform, and gives the operator's scope for it. A client is refused by
    /// the policies; the type has no scope to give it either.
    pub async fn operate<'a>(
        &self,
        by: &'a Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<(&'a SystemScope, Decision), AccessError> {
        let decision = self.authorize(by, action, resource).await?;
        let scope = by.system().ok_or(AccessError::Internal("a client was allowed an operator's act"))?;
        Ok((scope, decision))
    }

    fn question(&self, principal: &Principal, action: Action, resource: &Resource) -> Question {
        let (asker, own) = match &principal.kind {
            PrincipalKind::Client { scope, scopes, clearance, .. } => (
                Asker::Client { scopes: *scopes, clearance: *clearance },
                resource.account.is_none_or(|account| account == scope.account()),
            ),
            PrincipalKind::Customer { scope, .. } => {
                (Asker::Customer, resource.account.is_none_or(|account| account == scope.account()))
            }
            PrincipalKind::Operator { role, .. } => (Asker::Operator(*role), false),
        };
        let rank = resource.classification.as_ref().map_or_else(
            || self.highest(),
            |classification| i64::try_from(classification.rank()).unwrap_or(i64::MAX),
        );
        Question { asker, action, own, rank }
    }
}

/// What whoever asked is told of a refusal: a customer's administrator hears nothing of the platform or of how it decides.
fn told(principal: &Principal, error: AccessError) -> AccessError {
    match (&principal.kind, error) {
        (PrincipalKind::Customer { .. }, AccessError::Denied { .. }) => AccessError::NotOfAccount,
        (PrincipalKind::Customer { .. }, AccessError::Unwitnessed { .. } | AccessError::Weakened) => {
            AccessError::NotNow
        }
        (_, error) => error,
    }
}

/// The refusal of an act for which witnesses would have to stand by the log.
pub(crate) fn unwitnessed(object: ObjectRef) -> Act {
    Act::refused(Activity::AccessDeny, object, "log-unwitnessed", Some("AO-2"))
}

/// The refusal of an act that waits until a safeguard is what it was, or was approved.
pub(crate) fn weakened(object: ObjectRef) -> Act {
    Act::refused(Activity::AccessDeny, object, "safeguard-weakened", Some("AO-1"))
}

fn object(principal: &Principal, action: Action, resource: &Resource) -> ObjectRef {
    let mut object = ObjectRef::new(action.resource().word(), resource.id.as_deref().unwrap_or("-"));
    if let Some(account) = resource.account.or_else(|| principal.scope().map(store::Scope::account)) {
        object = object.in_account(account);
    }
    if let Some(repository) = resource.repository {
        object = object.in_repository(repository);
    }
    if let Some(classification) = &resource.classification {
        object = object.classified(classification.name());
    }
    object
}
