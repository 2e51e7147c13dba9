//! What a person does about themselves, and what a customer's administrator does about their account. The tables of people,
//! sessions and clients are the platform's; so each such act gets a scope of the system here, made for just this call from
//! the principal's own origin, and never leaves this crate with it. The account is the one of the principal's scope: nothing
//! that a caller sends names one.

use base::{AccountId, OperatorId};
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, SystemScope, SystemTx};

use crate::{
    Access, AccessError, Action, Decision, Principal, PrincipalKind, Resource, account::hold_account,
    operator::hold,
};

/// An account in the hands of its own administrator, who was allowed to do something to it.
pub(crate) struct Governed<'a> {
    scope: &'a Scope,
    /// For the tables of clients and people, which are read before there is an account.
    pub(crate) system: SystemScope,
    pub(crate) person: OperatorId,
    pub(crate) policies: Vec<String>,
}

impl Governed<'_> {
    /// The one account that it is about.
    pub(crate) fn account(&self) -> AccountId {
        self.scope.account()
    }
    /// The scope of that account.
    pub(crate) fn scope(&self) -> &Scope {
        self.scope
    }
}

impl Access {
    /// The scope in which a person acts on their own sign-in, and who it is. A client has none.
    pub(crate) fn oneself(&self, by: &Principal) -> Result<(SystemScope, OperatorId), AccessError> {
        match &by.kind {
            PrincipalKind::Operator { scope, operator, .. } => Ok((scope.clone(), *operator)),
            PrincipalKind::Customer { scope, person } => {
                let reason = "a customer's administrator acts on their own sign-in or account";
                Ok((self.0.mint.system(scope.origin().clone(), scope.now(), reason), *person))
            }
            PrincipalKind::Client { .. } => Err(AccessError::Internal("a client has a sign-in of a person")),
        }
    }

    /// Authorizes an act of a person on their own sign-in, and gives the scope for it.
    pub(crate) async fn by_oneself(
        &self,
        by: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<(SystemScope, OperatorId, Decision), AccessError> {
        let decision = self.authorize(by, action, resource).await?;
        let (scope, person) = self.oneself(by)?;
        Ok((scope, person, decision))
    }

    /// Authorizes an act within the account of the caller, and gives the scope of that account: whatever is done with it is
    /// bound to it. An operator is refused by the policies; the type has no scope to give it either.
    pub async fn within<'a>(
        &self,
        by: &'a Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<(&'a Scope, Decision), AccessError> {
        let decision = self.authorize(by, action, resource).await?;
        let scope =
            by.scope().ok_or(AccessError::Internal("an operator was allowed an act in an account"))?;
        Ok((scope, decision))
    }

    /// Authorizes an act of a customer's administrator on their own account.
    pub(crate) async fn govern<'a>(
        &self,
        by: &'a Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<Governed<'a>, AccessError> {
        let decision = self.authorize(by, action, resource).await?;
        let PrincipalKind::Customer { scope, .. } = &by.kind else {
            return Err(AccessError::Internal("somebody else was allowed to govern an account"));
        };
        let (system, person) = self.oneself(by)?;
        Ok(Governed { scope, system, person, policies: decision.policies() })
    }

    /// Begins a change of an account by its administrator, who must still be one, of an account that is not suspended, until
    /// the transaction ends. Whoever was revoked or suspended meanwhile ends as their next request would.
    pub(crate) async fn begin_governed(
        &self,
        of: &Governed<'_>,
        activity: Activity,
        object: ObjectRef,
    ) -> Result<SystemTx, AccessError> {
        let mut tx = self.0.store.system(&of.system).await?;
        let is_there = hold(&mut tx, of.person.as_bytes(), of.system.now()).await?
            && hold_account(&mut tx, of.account()).await?;
        if is_there {
            return Ok(tx);
        }
        tx.refuse(Act::refused(activity, object, "access-ended", Some("CD-8"))).await?;
        Err(AccessError::NoSession)
    }
}
