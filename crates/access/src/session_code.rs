//! Opening the console from the command line: an operator who signed in with its key asks for a code, which opens a session
//! once, within two minutes.

use base::{Actor, Secret, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource, Standing,
    challenge::Purpose,
    origin::Call,
    session::{Method, NewSession, OpenedSession},
    ways::{Proven, Spends},
};

/// A code: this is the only time that it is seen.
#[derive(Debug)]
pub struct SessionCode {
    /// The code.
    pub code: Secret<String>,
    /// Until when it works.
    pub expires: Timestamp,
}

impl Access {
    /// A code that opens the console as the caller.
    pub async fn session_code(&self, by: &Principal) -> Result<Committed<SessionCode>, AccessError> {
        let (scope, operator, decision) = self.by_oneself(by, Action::SessionOpen, &Resource::new()).await?;
        let (code, expires) = self.challenge(Purpose::Code, Some(operator))?;
        let tx = self.0.store.system(&scope).await?;
        let act = Act::new(Activity::SessionCode, ObjectRef::new("operator", operator))
            .decided_by(decision.policies())
            .detail("expires", expires);
        Ok(tx.commit(SessionCode { code: Secret::new(code), expires }, act).await?)
    }

    /// Opens a session by a code.
    pub async fn session_by_code(
        &self,
        code: &Secret<String>,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let proof = match self.challenged(Purpose::Code, code.expose()) {
            Some(challenge) => Ok(Proven {
                operator: challenge.operator,
                method: Method::Code,
                spends: Spends::Challenge(challenge),
            }),
            None => Err((Actor::Anonymous, "code-invalid")),
        };
        self.open_session(Method::Code, proof, call, self.0.context.now()).await
    }

    /// What a session of that operator would be; none for who is no operator, or is one no more, or whom no
    /// event made, or whose account is suspended.
    pub(crate) async fn session_for(
        &self,
        operator: base::OperatorId,
        method: Method,
        now: Timestamp,
    ) -> Result<Option<NewSession>, AccessError> {
        let statement = platform!(
            "SELECT o.name, o.role, o.ends_at, o.revoked_at, o.account, a.suspended_at, a.id FROM operator o \
             LEFT JOIN account a ON a.id = o.account WHERE o.id = $1"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let row = read.row(statement, &[(&operator).into()]).await?;
        drop(read);
        let Some(row) = row else { return Ok(None) };
        let account: Option<base::AccountId> = row.opt_id(4)?;
        let (role, access_ends) = (Standing::of(row.text(1)?, account), row.opt_time(2)?);
        let is_suspended = row.opt_time(5)?.is_some() || (account.is_some() && row.opt_blob(6)?.is_none());
        let is_over =
            row.opt_time(3)?.is_some() || access_ends.is_some_and(|ends| now >= ends) || is_suspended;
        let (Some(role), false) = (role, is_over) else { return Ok(None) };
        let made = self.made(operator).await?;
        let is_explained = made.is_some_and(|made| made.role == role && made.ends == access_ends);
        let name = row.text(0)?.to_owned();
        Ok(is_explained.then_some(NewSession { operator, name, role, method, access_ends }))
    }
}
