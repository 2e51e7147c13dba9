//! Sessions of the console as they are looked at and ended: one's own, and somebody else's. What makes and checks one is
//! in `session.rs`.

use base::{OperatorId, SessionId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Platform, Row, StoreError, SystemScope, platform};

use crate::{
    Access, AccessError, Action, Operator, Passkey, Principal, Resource, challenge::act,
    operator_list::from_row, session::SESSION_IDLE,
};

/// Most sessions that are shown of an operator: more than they can have.
pub const MAX_SHOWN_SESSIONS: i64 = 100;

const OPEN: Platform = platform!(
    "SELECT id, method, began_at, proved_at, seen_at, ends_at FROM console_session \
     WHERE operator = $1 AND ended_at IS NULL AND ends_at > $2 AND seen_at > $3 ORDER BY began_at DESC, id LIMIT $4"
);

/// A session that is open, as its row says. A row that was planted is shown too, and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// The word for how it began.
    pub method: String,
    /// When it began.
    pub began: Timestamp,
    /// When its operator last proved who it is.
    pub proved: Timestamp,
    /// When it was last in use, to within five minutes.
    pub used: Timestamp,
    /// When it ends, at the latest.
    pub ends: Timestamp,
}

/// An operator, with the ways in and what is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub operator: Operator,
    /// Passkeys, in the order in which they were added.
    pub passkeys: Vec<Passkey>,
    /// Sessions that are open, the newest first.
    pub sessions: Vec<OpenSession>,
}

impl Access {
    /// One operator, with passkeys and open sessions. An operator's act.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], which is recorded.
    pub async fn operator_get(&self, by: &Principal, operator: OperatorId) -> Result<Person, AccessError> {
        let (scope, decision) = self.operate(by, Action::OperatorRead, &Resource::new().id(operator)).await?;
        let one = platform!(
            "SELECT id, name, role, enrolled_at, revoked_at, ends_at, account FROM operator WHERE id = $1 AND account IS NULL"
        );
        let passkeys = platform!(
            "SELECT id, name, added_at FROM passkey WHERE operator = $1 AND removed_at IS NULL ORDER BY added_at, id"
        );
        let mut read = self.0.store.system_read(scope).await?;
        let row = read.row(one, &[(&operator).into()]).await?;
        let passkeys = read.rows(passkeys, &[(&operator).into()]).await?;
        drop(read);
        let Some(row) = row else {
            let act = Act::refused(Activity::OperatorRead, object(operator), "operator-unknown", None);
            self.0.store.record_system(scope, act).await?;
            return Err(AccessError::NotFound("operator"));
        };
        let found = from_row(&row)?;
        // Whoever has no access is in no session, whatever rows are left.
        let is_gone = found.revoked.is_some() || found.ends.is_some_and(|ends| ends <= scope.now());
        let sessions = if is_gone { Vec::new() } else { self.open_sessions(scope, operator).await? };
        let passkey = |row: &Row| -> Result<Passkey, StoreError> {
            Ok(Passkey { id: row.id(0)?, name: row.text(1)?.to_owned(), added: row.time(2)? })
        };
        let passkeys = passkeys.iter().map(passkey).collect::<Result<_, _>>()?;
        let act = Act::new(Activity::OperatorRead, object(operator))
            .decided_by(decision.policies())
            .detail("sessions", sessions.len());
        self.0.store.record_system(scope, act).await?;
        Ok(Person { operator: found, passkeys, sessions })
    }

    /// Ends every session of an operator at once, on every server; how many there were. Their passkeys and their role stay: for a
    /// device that is lost, or a session that nobody can explain. An administrator's act, also on oneself.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], which is recorded.
    pub async fn operator_sessions_end(
        &self,
        by: &Principal,
        operator: OperatorId,
    ) -> Result<Committed<u64>, AccessError> {
        let (scope, decision) =
            self.operate(by, Action::OperatorSessionsEnd, &Resource::new().id(operator)).await?;
        let mut tx = self.0.store.system(scope).await?;
        // A session that is just being opened waits here, or is there to be ended.
        let lock = platform!("UPDATE operator SET role = role WHERE id = $1");
        if tx.execute(lock, &[(&operator).into()]).await? == 0 {
            let act = Act::refused(Activity::OperatorSessionsEnd, object(operator), "operator-unknown", None);
            tx.refuse(act).await?;
            return Err(AccessError::NotFound("operator"));
        }
        let end = platform!(
            "UPDATE console_session SET ended_at = $2 WHERE operator = $1 AND ended_at IS NULL AND ends_at > $2"
        );
        let ended = tx.execute(end, &[(&operator).into(), scope.now().into()]).await?;
        let act = Act::new(Activity::OperatorSessionsEnd, object(operator))
            .decided_by(decision.policies())
            .detail("sessions-ended", ended);
        Ok(tx.commit(ended, act).await?)
    }

    /// The caller's own open sessions, the newest first.
    pub async fn own_sessions(&self, by: &Principal) -> Result<Vec<OpenSession>, AccessError> {
        let (scope, person, _) = self.by_oneself(by, Action::SessionOpen, &Resource::new()).await?;
        self.open_sessions(&scope, person).await
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] of one that is not the caller's, or is over; it is recorded.
    pub async fn own_session_end(
        &self,
        by: &Principal,
        session: SessionId,
    ) -> Result<Committed<()>, AccessError> {
        let resource = Resource::new().id(session);
        let (scope, operator, decision) = self.by_oneself(by, Action::SessionOpen, &resource).await?;
        let scope = &scope;
        let end = platform!(
            "UPDATE console_session SET ended_at = $3 WHERE id = $1 AND operator = $2 AND ended_at IS NULL"
        );
        let mut tx = self.0.store.system(scope).await?;
        let values = [(&session).into(), (&operator).into(), scope.now().into()];
        if tx.execute(end, &values).await? == 0 {
            let object = ObjectRef::new("session", session);
            tx.refuse(Act::refused(Activity::SessionEnd, object, "not-found", None)).await?;
            return Err(AccessError::NotFound("session"));
        }
        Ok(tx.commit((), act(Activity::SessionEnd, session).decided_by(decision.policies())).await?)
    }

    async fn open_sessions(
        &self,
        scope: &SystemScope,
        operator: OperatorId,
    ) -> Result<Vec<OpenSession>, AccessError> {
        let idle = scope.now().minus(SESSION_IDLE);
        let values = [(&operator).into(), scope.now().into(), idle.into(), MAX_SHOWN_SESSIONS.into()];
        let rows = self.0.store.system_read(scope).await?.rows(OPEN, &values).await?;
        let session = |row: &Row| -> Result<OpenSession, StoreError> {
            Ok(OpenSession {
                id: row.id(0)?,
                method: row.text(1)?.to_owned(),
                began: row.time(2)?,
                proved: row.time(3)?,
                used: row.time(4)?,
                ends: row.time(5)?,
            })
        };
        Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
    }
}

fn object(operator: OperatorId) -> ObjectRef {
    ObjectRef::new("operator", operator)
}
