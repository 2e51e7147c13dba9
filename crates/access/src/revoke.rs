//! Revoking a token before its time (RFC 7009). It acts at once on every server, since each use of a token
//! asks the store.

use base::{AccountId, Actor};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{
    Access, AccessError, Principal, PrincipalKind,
    claims::{CLOCK_SKEW, Claims, Subject},
};

impl Access {
    /// Revokes a token of the caller's own, whether or not this server would take it now: another whose clock
    /// differs might. What was never a token of ours can't be revoked: `None`, which is recorded too. One
    /// of somebody else is refused, and recorded.
    pub async fn revoke(&self, by: &Principal, token: &str) -> Result<Option<Committed<()>>, AccessError> {
        let now = self.0.context.now();
        let origin = match &by.kind {
            PrincipalKind::Client { scope, .. } | PrincipalKind::Customer { scope, .. } => {
                scope.origin().clone()
            }
            PrincipalKind::Operator { scope, .. } => scope.origin().clone(),
        };
        let own_account = by.scope().map(store::Scope::account);
        let scope = self.0.mint.system(origin, now, "a token is revoked");
        let claims = match self.0.verifier.signed(token) {
            Ok(claims) => claims,
            Err(fault) => {
                let object = ObjectRef::new("token", "-");
                let act = Act::refused(Activity::TokenRevoke, object, fault.reason(), None);
                self.0.store.record_system(&scope, act).await?;
                return Ok(None);
            }
        };
        let (subject, account) = subject_of(&claims);
        let object = ObjectRef::new("token", claims.token);
        if subject != by.actor() || account != own_account {
            let act = Act::refused(Activity::TokenRevoke, object, "another-subject", Some("CD-8"));
            self.0.store.record_system(&scope, act).await?;
            return Err(AccessError::NotFound("token"));
        }
        let mut tx = self.0.store.system(&scope).await?;
        let statement = platform!(
            "INSERT INTO token_revocation (token, revoked_at, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (token) DO NOTHING"
        );
        // As long as a clock within the allowance may take the token; the sweep keeps it longer still.
        let matters = claims.expires + CLOCK_SKEW;
        tx.execute(statement, &[(&claims.token).into(), now.into(), matters.into()]).await?;
        tx.enqueue(crate::sweep::job(now)).await?;
        Ok(Some(tx.commit((), Act::new(Activity::TokenRevoke, object)).await?))
    }
}

fn subject_of(claims: &Claims) -> (Actor, Option<AccountId>) {
    match claims.subject {
        Subject::Client { client, account } => (Actor::Client(client), Some(account)),
        Subject::Customer { person, account } => (Actor::Operator(person), Some(account)),
        Subject::Operator(operator) => (Actor::Operator(operator), None),
    }
}
