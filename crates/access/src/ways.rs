//! What the ways into the console have in common: a passkey, a password with an app's code, the company's provider of
//! identities, a code of the command line. Each proves who somebody is, uses something up, and opens a session or refreshes
//! one; and each counts only as long as the log explains it.

use base::{Actor, OperatorId, PasskeyId, PasswordId, Timestamp};
use ledger::{Act, Activity, EventQuery, ObjectRef};
use store::{Committed, Platform, SystemTx, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource,
    challenge::{Challenge, act},
    explained::succeeded,
    operator::{hold, refuse_revoked},
    origin::Call,
    refuse::Failure,
    session::{Method, OpenedSession, Session},
};

/// Somebody who proved who it is.
pub(crate) struct Proven {
    pub(crate) operator: OperatorId,
    pub(crate) method: Method,
    pub(crate) spends: Spends,
}

/// Whom a failed proof was about, and why it failed.
pub(crate) type Unproven = (Actor, &'static str);

/// What a proof uses up, in the transaction of what it is for: none is good twice.
pub(crate) enum Spends {
    /// What was handed out, and came back.
    Challenge(Challenge),
    /// The same, and the authenticator's counter.
    Passkey(Challenge, PasskeyId, u32),
    /// The period of an app's code.
    Step(PasswordId, i64),
}

impl Spends {
    /// No if it was used up before, or what it is of was removed meanwhile.
    async fn spend(&self, tx: &mut SystemTx, now: Timestamp) -> Result<bool, AccessError> {
        let count = platform!(
            "UPDATE passkey SET sign_count = $2 WHERE id = $1 AND removed_at IS NULL AND (sign_count < $2 OR $2 = 0)"
        );
        let step = platform!(
            "UPDATE password SET last_step = $2 WHERE id = $1 AND removed_at IS NULL AND last_step < $2"
        );
        Ok(match self {
            Self::Challenge(challenge) => challenge.spend(tx, now).await?,
            Self::Passkey(challenge, id, counter) => {
                challenge.spend(tx, now).await?
                    && tx.execute(count, &[id.into(), i64::from(*counter).into()]).await? == 1
            }
            Self::Step(id, at) => tx.execute(step, &[id.into(), (*at).into()]).await? == 1,
        })
    }

    const fn challenge(&self) -> Option<&Challenge> {
        match self {
            Self::Challenge(challenge) | Self::Passkey(challenge, ..) => Some(challenge),
            Self::Step(..) => None,
        }
    }
}

/// A way in as a row has it: for the log to explain.
pub(crate) struct Way<'a> {
    pub(crate) object: ObjectRef,
    pub(crate) operator: OperatorId,
    /// What the event says of the key.
    pub(crate) key: &'a str,
    pub(crate) added: Activity,
    pub(crate) removed: Activity,
}

/// One of the caller's own ways in, to be removed.
pub(crate) struct Removal {
    pub(crate) action: Action,
    pub(crate) activity: Activity,
    pub(crate) kind: &'static str,
    pub(crate) id: [u8; 16],
    /// The id as text.
    pub(crate) name: String,
    /// Takes the id, the operator and the time.
    pub(crate) statement: Platform,
}

impl Access {
    /// Opens a session for who proved who it is by `method`, or refuses and records why not.
    pub(crate) async fn open_session(
        &self,
        method: Method,
        proof: Result<Proven, Unproven>,
        call: &Call,
        now: Timestamp,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let refused = |subject, reason| Failure { subject, account: None, reason, call, now };
        let Proven { operator, method, spends } = match proof {
            Ok(proven) => proven,
            Err((subject, reason)) => {
                return Err(self.fail(refused(subject, reason), method.invalid()).await);
            }
        };
        let subject = Actor::Operator(operator);
        if method.is_too_weak_from(call.peer.address) {
            let failure = refused(subject, "stronger-sign-in-needed");
            return Err(self.fail(failure, AccessError::StrongerSignIn).await);
        }
        let Some(new) = self.session_for(operator, method, now).await? else {
            return Err(self.fail(refused(subject, "operator-unknown"), method.invalid()).await);
        };
        let origin = self.origin(subject, new.role.account(), call).await?;
        let scope = self.0.mint.system(origin, now, "a person opens the console");
        let mut tx = self.0.store.system(&scope).await?;
        if !hold(&mut tx, operator.as_bytes(), now).await? || !spends.spend(&mut tx, now).await? {
            drop(tx);
            return Err(self.fail(refused(subject, method.spent()), method.invalid()).await);
        }
        let (opened, acts) = self.add_session(&mut tx, new, now).await?;
        Ok(tx.commit_all(opened, acts).await?)
    }

    /// Proves once more who one is, in a session of one's own: what is dangerous waits for that (MS-7).
    pub(crate) async fn refresh_session(
        &self,
        (by, session): (&Principal, &Session),
        method: Method,
        proof: Result<Proven, Unproven>,
        call: &Call,
    ) -> Result<Committed<()>, AccessError> {
        let (scope, operator) = self.oneself(by)?;
        let scope = &scope;
        let now = scope.now();
        let refused =
            |reason| Failure { subject: Actor::Operator(operator), account: None, reason, call, now };
        let Proven { method, spends, .. } = match proof {
            Ok(proven)
                if proven.operator == operator
                    && proven.spends.challenge().is_none_or(|challenge| challenge.operator == operator) =>
            {
                proven
            }
            Ok(_) => return Err(self.fail(refused("proof-of-another"), method.invalid()).await),
            Err((_, reason)) => return Err(self.fail(refused(reason), method.invalid()).await),
        };
        if method.is_too_weak_from(call.peer.address) {
            return Err(self.fail(refused("stronger-sign-in-needed"), AccessError::StrongerSignIn).await);
        }
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, operator.as_bytes(), now).await? || !spends.spend(&mut tx, now).await? {
            drop(tx);
            return Err(self.fail(refused(method.spent()), method.invalid()).await);
        }
        self.proved(&mut tx, session, now).await?;
        let act = act(Activity::SessionProve, session.id).detail("method", method.as_str());
        Ok(tx.commit((), act).await?)
    }

    /// Whether the log has that just this was added, for just this operator, and not that it was removed.
    pub(crate) async fn is_explained_way(&self, way: Way<'_>) -> Result<bool, AccessError> {
        let about = EventQuery {
            activity: Some(way.object.kind().to_owned()),
            object: Some(way.object.id().to_owned()),
            ..succeeded()
        };
        let events = self.0.store.recorded(&about).await?;
        let of = |activity: Activity| events.iter().find(|event| event.activity == activity.name());
        let operator = way.operator.to_string();
        let added = of(way.added).is_some_and(|event| {
            event.text("key") == Some(way.key) && event.text("operator") == Some(operator.as_str())
        });
        let is_explained = added && of(way.removed).is_none();
        if !is_explained {
            let act = Act::new(Activity::IntegrityViolation, way.object)
                .detail("why", "no event explains it as it stands in the database");
            self.0.store.record_system(&self.0.reader, act).await?;
        }
        Ok(is_explained)
    }

    /// Removes one of the caller's own ways in, and ends the caller's other sessions: who had it may be in one.
    pub(crate) async fn remove_way(
        &self,
        (by, session): (&Principal, &Session),
        removal: Removal,
    ) -> Result<Committed<()>, AccessError> {
        let Removal { action, activity, kind, id, name, statement } = removal;
        let (scope, operator, decision) = self.by_oneself(by, action, &Resource::new().id(&name)).await?;
        let scope = &scope;
        let object = || ObjectRef::new(kind, &name);
        let mut tx = self.0.store.system(scope).await?;
        // Two removals wait for each other here: the second sees what the first left.
        if !hold(&mut tx, operator.as_bytes(), scope.now()).await? {
            return Err(refuse_revoked(tx, activity, object()).await);
        }
        if tx.execute(statement, &[(&id).into(), (&operator).into(), scope.now().into()]).await? == 0 {
            tx.refuse(Act::refused(activity, object(), "not-found", None)).await?;
            return Err(AccessError::NotFound(kind));
        }
        if self.is_last_way_in(&mut tx, operator).await? {
            tx.refuse(Act::refused(activity, object(), "last-way-in", None)).await?;
            let reason = "it is your only way to sign in: add another first";
            return Err(AccessError::Invalid { field: kind, reason });
        }
        let ended = end_others(&mut tx, operator, session, scope.now()).await?;
        let act =
            Act::new(activity, object()).decided_by(decision.policies()).detail("sessions-ended", ended);
        Ok(tx.commit((), act).await?)
    }

    /// Whether nothing is left to sign in with: no passkey, no password, no identity, and no key of the command line.
    async fn is_last_way_in(&self, tx: &mut SystemTx, operator: OperatorId) -> Result<bool, AccessError> {
        let left = platform!(
            "SELECT COUNT(*) FROM operator o WHERE o.id = $1 AND (o.public_key IS NOT NULL \
             OR EXISTS (SELECT 1 FROM passkey p WHERE p.operator = o.id AND p.removed_at IS NULL) \
             OR EXISTS (SELECT 1 FROM password w WHERE w.operator = o.id AND w.removed_at IS NULL) \
             OR EXISTS (SELECT 1 FROM identity i WHERE i.operator = o.id AND i.removed_at IS NULL))"
        );
        let row = tx.row(left, &[(&operator).into()]).await?;
        Ok(row.ok_or(AccessError::Internal("a count has no row"))?.int(0)? == 0)
    }
}

/// Ends an operator's sessions but one; how many.
pub(crate) async fn end_others(
    tx: &mut SystemTx,
    operator: OperatorId,
    session: &Session,
    now: Timestamp,
) -> Result<u64, AccessError> {
    let end = platform!(
        "UPDATE console_session SET ended_at = $3 WHERE operator = $1 AND id <> $2 AND ended_at IS NULL"
    );
    Ok(tx.execute(end, &[(&operator).into(), (&session.id).into(), now.into()]).await?)
}
