//! Sessions of the console: begun by who proved who it is, bound to a cookie, ended by time, by hand, or with its operator.
//! Only a hash of the cookie's secret is stored, and what a row allows is sealed: who writes to the database makes no session.

use std::net::IpAddr;

use base::{AccountId, Actor, Duration, OperatorId, Secret, SessionId, Timestamp};
use ledger::{Act, Activity};
use store::{Committed, Row, StoreError, SystemScope, SystemTx, platform};

use crate::{
    Access, AccessError, Principal, PrincipalKind, Role, Standing,
    challenge::act,
    jws::{decode, encode, sha256},
    origin::Call,
    refuse::{Failure, about},
};

/// How long a session lasts, whatever is done in it.
pub const SESSION_LIFE: Duration = Duration::from_seconds(8 * 3_600);
/// How long one may be left alone.
pub const SESSION_IDLE: Duration = Duration::from_seconds(30 * 60);
/// How long after proving who one is dangerous acts are taken without proving it again.
pub const FRESH: Duration = Duration::from_seconds(10 * 60);
/// How often it is stored, and recorded, that one is in use.
const SEEN_EVERY: Duration = Duration::from_seconds(5 * 60);
/// Most sessions that an operator has at a time; the oldest ends when there is one more.
const MAX_SESSIONS: i64 = 16;

/// How somebody proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A passkey: bound to this installation's address, with its user verified.
    Passkey,
    /// A code that the command line asked for, signing with the operator's own key.
    Code,
    /// A password, and a code of an authenticator app.
    Password,
    /// The company's provider of identities.
    Provider,
    /// The same, which says that it took something that can't be handed on to another site.
    StrongProvider,
}

impl Method {
    const ALL: [Self; 5] = [Self::Passkey, Self::Code, Self::Password, Self::Provider, Self::StrongProvider];

    /// Its word, as stored and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Code => "code",
            Self::Password => "password",
            Self::Provider => "provider",
            Self::StrongProvider => "provider-strong",
        }
    }
    /// In words that follow "by".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Passkey => "a passkey",
            Self::Code => "a code of the command line",
            Self::Password => "password and code",
            Self::Provider | Self::StrongProvider => "your company's sign-in",
        }
    }
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
    /// Whether it will do on a network that anybody is on (MS-7): a passkey can't be handed on to another site.
    const fn is_strong(self) -> bool {
        matches!(self, Self::Passkey | Self::StrongProvider)
    }
    /// Whether it will not do from there.
    pub(crate) fn is_too_weak_from(self, peer: Option<IpAddr>) -> bool {
        !self.is_strong() && peer.is_some_and(is_public)
    }
    /// What whoever fails by it is told.
    pub(crate) const fn invalid(self) -> AccessError {
        match self {
            Self::Passkey => AccessError::PasskeyInvalid,
            Self::Code => AccessError::CodeInvalid,
            Self::Password => AccessError::PasswordInvalid,
            Self::Provider | Self::StrongProvider => AccessError::ProviderInvalid,
        }
    }
    /// Why a proof is refused that was good once.
    pub(crate) const fn spent(self) -> &'static str {
        match self {
            Self::Passkey => "passkey-replayed",
            Self::Code => "code-spent",
            Self::Password => "app-code-spent",
            Self::Provider | Self::StrongProvider => "provider-replayed",
        }
    }
}

/// Who makes a call in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Somebody: the session is not left alone.
    ByPerson,
    /// A page that keeps itself up to date, whether or not somebody looks at it.
    ByPage,
}

/// A session, as its own operator sees it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub operator: OperatorId,
    /// The operator's name.
    pub name: String,
    /// The operator's role, or the account that its person governs.
    pub role: Standing,
    /// How it began.
    pub method: Method,
    /// When it began.
    pub began: Timestamp,
    /// When its operator last proved who it is.
    pub proved: Timestamp,
    /// When it ends, at the latest.
    pub ends: Timestamp,
}

/// A session and the secret of its cookie: this is the only time that it is seen.
#[derive(Debug)]
pub struct OpenedSession {
    /// For the cookie.
    pub secret: Secret<String>,
    /// The session.
    pub session: Session,
}

/// What a session is to be.
pub(crate) struct NewSession {
    pub(crate) operator: OperatorId,
    pub(crate) name: String,
    pub(crate) role: Standing,
    pub(crate) method: Method,
    /// When the operator's access ends, if it does.
    pub(crate) access_ends: Option<Timestamp>,
}

/// A row, with what stands in it of the operator.
struct Found {
    session: Session,
    seen: Timestamp,
    ended: bool,
    revoked: bool,
    access_ends: Option<Timestamp>,
    /// Whether the account that its person governs is suspended.
    suspended: bool,
    sealed: bool,
}

impl Access {
    /// Adds a session within a transaction; the acts of its beginning.
    pub(crate) async fn add_session(
        &self,
        tx: &mut SystemTx,
        new: NewSession,
        now: Timestamp,
    ) -> Result<(OpenedSession, Vec<Act>), AccessError> {
        let secret = Secret::new(self.0.context.random::<32>()?);
        let hash = sha256(secret.expose());
        let id = SessionId::new(&self.0.context)?;
        let life = now + SESSION_LIFE;
        let ends = new.access_ends.map_or(life, |ends| ends.min(life));
        let session = Session {
            id,
            operator: new.operator,
            name: new.name,
            role: new.role,
            method: new.method,
            began: now,
            proved: now,
            ends,
        };
        let oldest = platform!(
            "UPDATE console_session SET ended_at = $2 WHERE operator = $1 AND ended_at IS NULL AND began_at <= \
             (SELECT began_at FROM console_session WHERE operator = $1 AND ended_at IS NULL ORDER BY began_at DESC LIMIT 1 OFFSET $3)"
        );
        let ended =
            tx.execute(oldest, &[(&new.operator).into(), now.into(), (MAX_SESSIONS - 1).into()]).await?;
        let add = platform!(
            "INSERT INTO console_session (id, secret_hash, operator, method, began_at, proved_at, ends_at, seen_at, ended_at, seal) \
             VALUES ($1, $2, $3, $4, $5, $5, $6, $5, NULL, $7)"
        );
        let seal = self.seal_of(&hash, &session);
        let values = [
            (&id).into(),
            (&hash).into(),
            (&new.operator).into(),
            new.method.as_str().into(),
            now.into(),
            ends.into(),
            (&seal).into(),
        ];
        tx.execute(add, &values).await?;
        let subject = Actor::Operator(new.operator);
        let begin =
            act(Activity::SessionBegin, id).detail("method", new.method.as_str()).detail("ends", ends);
        let begin = if ended == 0 { begin } else { begin.detail("sessions-ended", ended) };
        let acts = vec![
            Act::new(Activity::AuthSucceed, about(subject)).detail("credential", new.method.as_str()),
            begin,
        ];
        Ok((OpenedSession { secret: Secret::new(encode(secret.expose())), session }, acts))
    }

    /// What a row allows, under a key that is not in its database.
    fn seal_of(&self, hash: &[u8; 32], session: &Session) -> [u8; 32] {
        let times = [session.began, session.proved, session.ends].map(|time| time.micros().to_be_bytes());
        let [began, proved, ends] = &times;
        let parts: [&[u8]; 7] = [
            session.id.as_bytes(),
            hash,
            session.operator.as_bytes(),
            session.method.as_str().as_bytes(),
            began,
            proved,
            ends,
        ];
        self.0.seals.seal("session", &parts)
    }

    /// Who makes this call, by the cookie that came with it. A refusal is recorded before it is returned.
    pub async fn authenticate_session(
        &self,
        cookie: &Secret<String>,
        call: &Call,
        use_of: Use,
    ) -> Result<(Principal, Session), AccessError> {
        let now = self.0.context.now();
        let hash = match decode(cookie.expose()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(secret) => sha256(&secret),
            None => return Err(self.no_session(Actor::Anonymous, "session-unreadable", call, now).await),
        };
        let found = match self.session_of(&hash).await? {
            Ok(found) => found,
            Err(reason) => return Err(self.no_session(Actor::Anonymous, reason, call, now).await),
        };
        let operator = found.session.operator;
        let subject = Actor::Operator(operator);
        let reason = self.is_good(&found, call.peer.address, now);
        let reason = match reason {
            Ok(()) => {
                let made = self.made(operator).await?;
                let explained = made
                    .is_some_and(|made| made.role == found.session.role && made.ends == found.access_ends);
                if explained { None } else { Some("operator-unexplained") }
            }
            Err(reason) => Some(reason),
        };
        if let Some(reason) = reason {
            return Err(self.no_session(subject, reason, call, now).await);
        }
        let session = found.session;
        let account = session.role.account();
        let origin = self.origin(subject, account, call).await?;
        let scope = self.0.mint.system(origin.clone(), now, "a person is in a session of the console");
        if use_of == Use::ByPerson && now >= found.seen + SEEN_EVERY {
            self.seen(&scope, session.id).await?;
        }
        let kind = match session.role {
            Standing::Operator(role) => PrincipalKind::Operator { scope, operator, role },
            Standing::Customer(account) => {
                let scope = self.0.mint.scope(account, origin, now);
                PrincipalKind::Customer { scope, person: operator }
            }
        };
        let proved = Some(session.proved);
        Ok((Principal { kind, token: None, expires: session.ends, proved }, session))
    }

    /// The session of that secret, or why there is none.
    async fn session_of(&self, hash: &[u8; 32]) -> Result<Result<Found, &'static str>, AccessError> {
        let statement = platform!(
            "SELECT s.id, s.operator, s.method, s.began_at, s.proved_at, s.ends_at, s.seen_at, s.ended_at, s.seal, \
             o.name, o.role, o.revoked_at, o.ends_at, o.account, a.suspended_at, a.id FROM console_session s \
             JOIN operator o ON o.id = s.operator LEFT JOIN account a ON a.id = o.account WHERE s.secret_hash = $1"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let row = read.row(statement, &[hash.into()]).await?;
        drop(read);
        let Some(row) = row else { return Ok(Err("session-unknown")) };
        Ok(self.found(&row, hash)?.ok_or("operator-role"))
    }

    /// None where the role and the account of its operator contradict each other.
    fn found(&self, row: &Row, hash: &[u8; 32]) -> Result<Option<Found>, StoreError> {
        let account: Option<AccountId> = row.opt_id(13)?;
        let Some(role) = Standing::of(row.text(10)?, account) else { return Ok(None) };
        let session = Session {
            id: row.id(0)?,
            operator: row.id(1)?,
            name: row.text(9)?.to_owned(),
            role,
            method: Method::from_word(row.text(2)?).ok_or(StoreError::Shape("a method"))?,
            began: row.time(3)?,
            proved: row.time(4)?,
            ends: row.time(5)?,
        };
        let sealed = base::constant_time_eq(row.blob(8)?, &self.seal_of(hash, &session));
        Ok(Some(Found {
            seen: row.time(6)?,
            ended: row.opt_time(7)?.is_some(),
            revoked: row.opt_time(11)?.is_some(),
            access_ends: row.opt_time(12)?,
            suspended: row.opt_time(14)?.is_some() || (account.is_some() && row.opt_blob(15)?.is_none()),
            sealed,
            session,
        }))
    }

    /// The reason why a session that a code has just opened is refused from there; none if it is not. For a drill.
    pub(crate) fn is_weak_from(
        &self,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Option<&'static str>, AccessError> {
        let session = Session {
            id: SessionId::new(&self.0.context)?,
            operator: OperatorId::from_bytes([0; 16]),
            name: String::new(),
            role: Role::Administrator.into(),
            method: Method::Code,
            began: now,
            proved: now,
            ends: now + SESSION_LIFE,
        };
        let (ended, revoked, suspended) = (false, false, false);
        let found = Found { session, seen: now, ended, revoked, access_ends: None, suspended, sealed: true };
        Ok(self.is_good(&found, Some(peer), now).err())
    }

    /// Whether a session may go on, or the reason why not.
    fn is_good(&self, found: &Found, peer: Option<IpAddr>, now: Timestamp) -> Result<(), &'static str> {
        let checks = [
            (!found.sealed, "session-unexplained"),
            (found.ended, "session-ended"),
            (now >= found.session.ends, "session-over"),
            (now >= found.seen + SESSION_IDLE, "session-idle"),
            (found.revoked, "operator-revoked"),
            (found.access_ends.is_some_and(|ends| now >= ends), "access-ended"),
            (found.suspended, "account-suspended"),
            (found.session.method.is_too_weak_from(peer), "stronger-sign-in-needed"),
        ];
        checks.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, reason)| Err(reason))
    }

    async fn no_session(
        &self,
        subject: Actor,
        reason: &'static str,
        call: &Call,
        now: Timestamp,
    ) -> AccessError {
        let error = if reason == "stronger-sign-in-needed" {
            AccessError::StrongerSignIn
        } else {
            AccessError::NoSession
        };
        self.fail(Failure { subject, account: None, reason, call, now }, error).await
    }

    async fn seen(&self, scope: &SystemScope, session: SessionId) -> Result<(), AccessError> {
        let statement = platform!("UPDATE console_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2");
        let mut tx = self.0.store.system(scope).await?;
        tx.execute(statement, &[(&session).into(), scope.now().into()]).await?;
        tx.commit((), act(Activity::SessionContinue, session)).await?.into_inner();
        Ok(())
    }

    /// Stores that an operator proved once more who it is.
    pub(crate) async fn proved(
        &self,
        tx: &mut SystemTx,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let hash = platform!("SELECT secret_hash FROM console_session WHERE id = $1 AND ended_at IS NULL");
        let row = tx.row(hash, &[(&session.id).into()]).await?.ok_or(AccessError::NoSession)?;
        let hash: [u8; 32] = row.blob(0)?.try_into().map_err(|_| StoreError::Shape("a hash"))?;
        let seal = self.seal_of(&hash, &Session { proved: now, ..session.clone() });
        let statement = platform!(
            "UPDATE console_session SET proved_at = $2, seal = $3 WHERE id = $1 AND ended_at IS NULL"
        );
        tx.execute(statement, &[(&session.id).into(), now.into(), (&seal).into()]).await?;
        Ok(())
    }

    /// Ends one's own session, at once on every server.
    pub async fn session_end(&self, by: &Principal, session: &Session) -> Result<Committed<()>, AccessError> {
        let (scope, _) = &self.oneself(by)?;
        let statement =
            platform!("UPDATE console_session SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL");
        let mut tx = self.0.store.system(scope).await?;
        tx.execute(statement, &[(&session.id).into(), scope.now().into()]).await?;
        Ok(tx.commit((), act(Activity::SessionEnd, session.id)).await?)
    }
}

/// What stands for a session in a form, so that no other site fills it in: whoever has the cookie can make it, and nobody else.
pub fn form_token(cookie: &Secret<String>) -> String {
    encode(sha256(format!("tenet form token\n{}", cookie.expose()).as_bytes()))
}

/// An address that anybody may have: not of this machine, of a private network (RFC 1918, RFC 4193), of a link, or shared (RFC 6598).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_one_that_anybody_may_have() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.9",
            "172.16.0.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "192.0.2.1", "100.128.0.1", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_form_token_follows_from_the_cookie() {
        let cookie = |text: &str| Secret::new(text.to_owned());
        assert_eq!(form_token(&cookie("a")), form_token(&cookie("a")));
        assert_ne!(form_token(&cookie("a")), form_token(&cookie("b")));
        assert!(!form_token(&cookie("secret")).contains("secret"));
    }
}
