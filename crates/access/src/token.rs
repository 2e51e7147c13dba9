//! The token endpoint's logic: OAuth 2 client credentials (RFC 6749 4.4) with the chosen account, proved by
//! a secret or by a signed assertion (RFC 7523).

use base::{AccountId, Actor, ClientId, Duration, Secret, Timestamp, TokenId};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{
    Access, AccessError, PublicKey, ScopeSet,
    assertion::{ASSERTION_TYPE, Asserted, Assertion},
    claims::{Claims, Subject, TOKEN_LIFE},
    credential::SecretHash,
    origin::Call,
    refuse::{Failure, about},
};

/// A request for a token, as parsed from the form and the `Authorization` header.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// `grant_type`.
    pub grant: String,
    /// The proof of who asks.
    pub credential: Credential,
    /// The chosen account. May be left out: a client has one.
    pub account: Option<String>,
    /// The scopes that are asked for, separated by spaces; all that the client has if left out.
    pub scope: Option<String>,
    /// `audience` and `resource` (RFC 8707): the service that the token is for; this one if left out.
    pub audiences: Vec<String>,
}

/// The proof of who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `client_secret_basic` or `client_secret_post`.
    Secret {
        /// `client_id`.
        client: String,
        /// `client_secret`.
        secret: Secret<String>,
    },
    /// `private_key_jwt`.
    Assertion {
        /// `client_id`, which may be left out.
        client: Option<String>,
        /// `client_assertion_type`.
        assertion_type: String,
        /// `client_assertion`.
        assertion: Secret<String>,
    },
}

/// A token, for the answer of the endpoint (RFC 6749 5.1). It is not stored.
#[derive(Debug)]
pub struct IssuedToken {
    /// `access_token`.
    pub token: Secret<String>,
    /// `expires_in`.
    pub life: Duration,
    /// `scope`; empty for an operator.
    pub scopes: ScopeSet,
    /// The account that is signed in; none for an operator.
    pub account: Option<AccountId>,
    /// The token's id.
    pub id: TokenId,
    /// When it ends.
    pub expires: Timestamp,
}

/// What the store knows of whoever asks, or nothing.
#[derive(Default)]
struct Known {
    account: Option<AccountId>,
    scopes: ScopeSet,
    secret: Option<SecretHash>,
    key: Option<PublicKey>,
    revoked: bool,
    suspended: bool,
}

impl Access {
    /// Issues a token to a client or an operator. Every outcome is an event. Whether a client exists
    /// shows neither in the answer nor in the time that it takes.
    pub async fn token(
        &self,
        request: TokenRequest,
        call: &Call,
    ) -> Result<Committed<IssuedToken>, AccessError> {
        let now = self.0.context.now();
        if request.grant != "client_credentials" {
            return Err(self
                .refuse_token(Actor::Anonymous, None, AccessError::UnsupportedGrant, call, now)
                .await);
        }
        let (subject, known, asserted) = self.prove(&request.credential, call, now).await?;
        if known.suspended {
            return Err(self.refuse_token(subject, known.account, AccessError::Suspended, call, now).await);
        }
        let scopes = match self.grant(&request, subject, &known) {
            Ok(scopes) => scopes,
            Err(error) => return Err(self.refuse_token(subject, known.account, error, call, now).await),
        };
        self.issue(subject, known.account, scopes, asserted, call, now).await
    }

    /// Establishes who asks. What comes back is known, not revoked, and has proved itself; an assertion
    /// has still to be spent.
    async fn prove(
        &self,
        credential: &Credential,
        call: &Call,
        now: Timestamp,
    ) -> Result<(Actor, Known, Option<Asserted>), AccessError> {
        let refused = |subject, reason| Failure { subject, account: None, reason, call, now };
        let parsed = match credential {
            Credential::Secret { client, .. } => {
                Ok((client.parse().map_or(Actor::Anonymous, Actor::Client), None))
            }
            Credential::Assertion { assertion_type, .. } if assertion_type != ASSERTION_TYPE => {
                Err("assertion-type")
            }
            Credential::Assertion { client, assertion, .. } => match Assertion::parse(assertion.expose()) {
                Ok(parsed) if client.as_ref().is_some_and(|id| *id != parsed.claimed.to_string()) => {
                    Err("assertion-claims")
                }
                Ok(parsed) => Ok((parsed.claimed, Some(parsed))),
                Err(fault) => Err(fault.reason()),
            },
        };
        let (subject, assertion) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                return Err(self.fail(refused(Actor::Anonymous, reason), AccessError::InvalidClient).await);
            }
        };
        // The proof comes before any limit: whoever has the right credential is let in however often others
        // failed under the same name or from the same address.
        let known = self.known(subject).await?;
        let proof = match (credential, &assertion) {
            (Credential::Secret { secret, .. }, _) => {
                let matches = SecretHash::of(secret).matches(known.secret);
                if matches { Ok(None) } else { Err("secret-wrong") }
            }
            (_, Some(assertion)) => {
                let key = known.key.unwrap_or(self.0.stand_in);
                let verified = assertion.verify(&key, &self.0.assertion_audiences, now);
                verified.map(Some).map_err(|fault| fault.reason())
            }
            (Credential::Assertion { .. }, None) => Err("assertion-malformed"),
        };
        let reason = match proof {
            Ok(asserted) if !known.revoked => {
                if self.is_explained(subject, &known).await? {
                    return Ok((subject, known, asserted));
                }
                if matches!(subject, Actor::Operator(_)) {
                    "operator-unexplained"
                } else {
                    "client-unexplained"
                }
            }
            Ok(_) => "revoked",
            Err(reason) => reason,
        };
        Err(self.fail(refused(subject, reason), AccessError::InvalidClient).await)
    }

    /// Whether the log has what made this operator or client, with this key or secret, and for a client with this account
    /// and these scopes.
    async fn is_explained(&self, subject: Actor, known: &Known) -> Result<bool, AccessError> {
        let key = known.key.map(PublicKey::thumbprint);
        match subject {
            Actor::Operator(operator) => {
                let made = self.made(operator).await?;
                Ok(made.is_some_and(|made| {
                    known.account == made.role.account() && key.is_some_and(|key| Some(key) == made.key)
                }))
            }
            Actor::Client(client) => {
                let made = self.made_client(client).await?;
                let credential = key.or_else(|| known.secret.map(|secret| secret.digest()));
                Ok(made.is_some_and(|made| {
                    known.account == Some(made.account)
                        && known.scopes.to_string() == made.scopes
                        && credential.is_some_and(|credential| credential == made.credential)
                }))
            }
            Actor::System(_) | Actor::Anonymous => Ok(false),
        }
    }

    /// What is stored of a subject: one statement, also for somebody who can't exist.
    async fn known(&self, subject: Actor) -> Result<Known, AccessError> {
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        if let Actor::Operator(operator) = subject {
            let statement = platform!(
                "SELECT o.public_key, o.revoked_at, o.ends_at, o.account, a.suspended_at FROM operator o \
                 LEFT JOIN account a ON a.id = o.account WHERE o.id = $1"
            );
            let Some(row) = read.row(statement, &[(&operator).into()]).await? else {
                return Ok(Known::default());
            };
            let key = row.opt_blob(0)?.and_then(|bytes| bytes.try_into().ok()).map(PublicKey::from_bytes);
            let is_over = row.opt_time(2)?.is_some_and(|ends| self.0.context.now() >= ends);
            let revoked = row.opt_time(1)?.is_some() || is_over;
            let (account, suspended) = (row.opt_id(3)?, row.opt_time(4)?.is_some());
            return Ok(Known { account, key, revoked, suspended, ..Known::default() });
        }
        let client = match subject {
            Actor::Client(client) => client,
            _ => ClientId::from_bytes([0; 16]),
        };
        let statement = platform!(
            "SELECT c.account, c.scopes, c.secret_hash, c.public_key, c.revoked_at, a.suspended_at \
             FROM client c JOIN account a ON a.id = c.account WHERE c.id = $1"
        );
        let Some(row) = read.row(statement, &[(&client).into()]).await? else { return Ok(Known::default()) };
        Ok(Known {
            account: row.opt_id(0)?,
            scopes: ScopeSet::parse(row.text(1)?).unwrap_or_default(),
            secret: row.opt_blob(2)?.and_then(SecretHash::from_slice),
            key: row.opt_blob(3)?.and_then(|bytes| bytes.try_into().ok()).map(PublicKey::from_bytes),
            revoked: row.opt_time(4)?.is_some(),
            suspended: row.opt_time(5)?.is_some(),
        })
    }

    /// The scopes that are granted of those that are asked for, once account and audience are right.
    fn grant(&self, request: &TokenRequest, subject: Actor, known: &Known) -> Result<ScopeSet, AccessError> {
        let config = &self.0.config;
        let ours = |asked: &String| {
            let asked = asked.strip_suffix('/').unwrap_or(asked);
            asked == config.audience || config.addresses.iter().any(|address| address == asked)
        };
        if !request.audiences.iter().all(ours) {
            return Err(AccessError::InvalidTarget);
        }
        let chosen = request.account.as_deref().map(str::parse::<AccountId>).transpose();
        if chosen.is_err() || chosen.is_ok_and(|chosen| chosen.is_some() && chosen != known.account) {
            return Err(AccessError::InvalidAccount);
        }
        let asked = request.scope.as_deref().map(ScopeSet::parse).transpose()?;
        let granted = asked.unwrap_or(known.scopes);
        if !granted.is_subset_of(known.scopes) {
            return Err(AccessError::InvalidScope(known.scopes.to_string()));
        }
        if granted.is_empty() && matches!(subject, Actor::Client(_)) {
            return Err(AccessError::InvalidScope(known.scopes.to_string()));
        }
        Ok(granted)
    }

    /// Spends the assertion, records, and signs. A crash before the commit issues nothing and leaves
    /// the assertion unspent; one after it leaves a token that nobody has.
    async fn issue(
        &self,
        subject: Actor,
        account: Option<AccountId>,
        scopes: ScopeSet,
        asserted: Option<Asserted>,
        call: &Call,
        now: Timestamp,
    ) -> Result<Committed<IssuedToken>, AccessError> {
        let token = TokenId::new(&self.0.context)?;
        let issued = Timestamp::from_seconds(now.seconds());
        let expires = issued + TOKEN_LIFE;
        let claims_subject = match (subject, account) {
            (Actor::Client(client), Some(account)) => Subject::Client { client, account },
            (Actor::Operator(person), Some(account)) => Subject::Customer { person, account },
            (Actor::Operator(operator), None) => Subject::Operator(operator),
            _ => return Err(AccessError::Internal("a token is for a client or a person")),
        };
        let claims = Claims { subject: claims_subject, scopes, token, issued, expires };
        let text = self.0.verifier.sign(&claims).ok_or(AccessError::Internal("the token can't be signed"))?;
        let origin = self.origin(subject, account, call).await?;
        let scope = self.0.mint.system(origin, now, "a token is issued");
        let mut tx = self.0.store.system(&scope).await?;
        if let Some(asserted) = asserted {
            let spend = platform!(
                "INSERT INTO assertion_use (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"
            );
            if tx.execute(spend, &[(&asserted.replay).into(), asserted.expires.into()]).await? == 0 {
                drop(tx);
                let failure = Failure { subject, account, reason: "assertion-replayed", call, now };
                return Err(self.fail(failure, AccessError::InvalidClient).await);
            }
            tx.enqueue(crate::sweep::job(now)).await?;
        }
        let proof = if asserted.is_some() { "private_key_jwt" } else { "client_secret" };
        let mut issue =
            Act::new(Activity::TokenIssue, ObjectRef::new("token", token)).detail("expires", expires);
        if !scopes.is_empty() {
            issue = issue.detail("scope", scopes.to_string());
        }
        let succeed = Act::new(Activity::AuthSucceed, about(subject)).detail("credential", proof);
        let life = expires.since(now);
        let made = IssuedToken { token: Secret::new(text), life, scopes, account, id: token, expires };
        Ok(tx.commit_all(made, vec![succeed, issue]).await?)
    }

    /// Records that a token is refused to somebody, established or (anonymous) not even that.
    async fn refuse_token(
        &self,
        subject: Actor,
        account: Option<AccountId>,
        error: AccessError,
        call: &Call,
        now: Timestamp,
    ) -> AccessError {
        use base::Fault as _;
        if let Err(throttled) = self.0.throttle.check(subject, call.peer.address, now) {
            return self.over_limit(subject, throttled, call, now).await;
        }
        self.0.throttle.fail(subject, call.peer.address, now);
        let act = Act::refused(Activity::TokenRefuse, about(subject), error.code(), error.clause());
        let recorded = match self.origin(subject, account, call).await {
            Ok(origin) => {
                let scope = self.0.mint.system(origin, now, "a token is refused");
                self.0.store.record_system(&scope, act).await.map_err(AccessError::from)
            }
            Err(error) => Err(error),
        };
        recorded.err().unwrap_or(error)
    }
}
