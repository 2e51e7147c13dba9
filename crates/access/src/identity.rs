//! Who somebody is at the company's provider of identities (OpenID Connect: authorization code, PKCE). A person there counts
//! here only once an operator is linked with them, and the log says so: the provider makes no operators, and whoever runs it
//! gets in as those whom it may speak for, and as nobody else. Nothing is stored while somebody is away there: what they set out
//! with is sealed, and bound to their browser by a secret in its cookie.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use base::{Actor, IdentityId, OperatorId, Secret, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Row, StoreError, SystemTx, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource,
    challenge::{Challenge, Purpose},
    id_token::{IdToken, IdTokenFault, Wanted, id_token},
    jws::{encode, sha256},
    operator::hold,
    origin::Call,
    session::{Method, OpenedSession, Session},
    ways::{Proven, Removal, Spends, Unproven, Way},
};

/// Most identities that an operator has.
const MAX_IDENTITIES: i64 = 5;
/// Most bytes of what a provider hands back.
const MAX_CODE_BYTES: usize = 4_096;

/// A provider of identities, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// What people call it.
    pub name: String,
    /// Its `iss`.
    pub issuer: String,
    /// What we are there.
    pub client_id: String,
    /// Words of `amr` or `acr` by which it says that it took something that can't be handed on to another site.
    pub strong: Vec<String>,
}

/// Why a provider gave nothing: a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderFault {
    /// Which.
    pub reason: &'static str,
    /// Whether it refused, rather than not being there.
    pub refused: bool,
}

/// What is to be exchanged for an ID token.
#[derive(Debug)]
pub struct Redemption {
    /// The code that it handed out.
    pub code: Secret<String>,
    /// The secret of PKCE (RFC 7636).
    pub verifier: Secret<String>,
    /// Where it sent the browser back to.
    pub redirect: String,
}

/// What a provider does, later.
pub type ProviderFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderFault>> + Send + 'a>>;

/// A provider of identities: the calls that go to it. `tenet` makes one; what it answers is looked at here.
pub trait IdentityProvider: fmt::Debug + Send + Sync {
    /// How it is configured.
    fn info(&self) -> &ProviderInfo;
    /// Where it signs people in: its authorization endpoint.
    fn endpoint(&self) -> ProviderFuture<'_, String>;
    /// Exchanges a code for an ID token.
    fn redeem(&self, redemption: Redemption) -> ProviderFuture<'_, String>;
    /// Its keys, as a JWK set; anew if those that are known do not do.
    fn keys(&self, anew: bool) -> ProviderFuture<'_, Arc<[u8]>>;
}

/// Where somebody is sent, and what their browser keeps meanwhile.
#[derive(Debug)]
pub struct ProviderAsked {
    /// The address at the provider.
    pub url: String,
    /// For the cookie.
    pub secret: Secret<String>,
}

/// What the provider sent somebody back with, and what their browser kept.
#[derive(Clone, Debug)]
pub struct ProviderAnswer {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Secret<String>,
    /// `iss` (RFC 9207), if it came.
    pub issuer: Option<String>,
    /// Out of the cookie.
    pub secret: Secret<String>,
    /// The address of this server that they came back to.
    pub address: String,
}

/// What somebody who enrols at the provider brings.
#[derive(Clone, Debug)]
pub struct IdentityEnrolment {
    /// The secret of the link.
    pub secret: Secret<String>,
    /// The operator's name.
    pub name: String,
    /// What the provider said.
    pub answer: ProviderAnswer,
}

/// An identity, as its own operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Whose word it is.
    pub issuer: String,
    /// When it was added.
    pub added: Timestamp,
}

/// Somebody at the provider.
pub(crate) struct Person {
    pub(crate) challenge: Challenge,
    /// Keyed, of issuer and subject.
    hash: [u8; 32],
    issuer: String,
    is_strong: bool,
}

fn redirect(address: &str) -> String {
    format!("{address}/sign-in/back")
}

/// A value that the browser's secret and what it set out with make, and nobody else can.
fn bound(kind: &str, secret: &Secret<String>, state: &str) -> String {
    encode(sha256(format!("tenet {kind}\n{}\n{state}", secret.expose()).as_bytes()))
}

/// A parameter's value (RFC 3986: all but unreserved characters).
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Access {
    /// The company's provider of identities, if there is one.
    pub fn provider(&self) -> Option<&ProviderInfo> {
        self.0.config.sign_in.provider.as_deref().map(IdentityProvider::info)
    }

    /// Sends somebody to the provider. `address`: that of this server which they use.
    pub async fn provider_ask(
        &self,
        purpose: Purpose,
        operator: Option<OperatorId>,
        address: &str,
        call: &Call,
    ) -> Result<ProviderAsked, AccessError> {
        let Some(provider) = self.0.config.sign_in.provider.as_ref() else {
            return Err(self.reject("provider-off", AccessError::WayOff, call).await);
        };
        if !self.0.config.addresses.iter().any(|one| one == address) {
            let reason = "sign in at an address that this server knows as its own";
            let error = AccessError::Invalid { field: "address", reason };
            return Err(self.reject("address-unknown", error, call).await);
        }
        let Ok(endpoint) = provider.endpoint().await else {
            return Err(self.reject("provider-unreachable", AccessError::ProviderUnreachable, call).await);
        };
        let (state, _) = self.challenge(purpose, operator)?;
        let secret = Secret::new(encode(self.0.context.random::<32>()?));
        let verifier = bound("code verifier", &secret, &state);
        let nonce = bound("nonce", &secret, &state);
        let info = provider.info();
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        let mut url = format!(
            "{endpoint}{mark}response_type=code&scope=openid&client_id={}&redirect_uri={}&state={state}&nonce={nonce}\
             &code_challenge={}&code_challenge_method=S256",
            quoted(&info.client_id),
            quoted(&redirect(address)),
            encode(sha256(verifier.as_bytes())),
        );
        if purpose == Purpose::ProviderProve {
            // An age that is asked for makes it say when its person proved who it is. Nought asks some providers for ever.
            url.push_str("&prompt=login&max_age=60");
        }
        Ok(ProviderAsked { url, secret })
    }

    /// For which of the purposes somebody is back: the seal of what they set out with says it.
    pub fn provider_purpose(&self, state: &str) -> Option<Purpose> {
        let all =
            [Purpose::ProviderSignIn, Purpose::ProviderAdd, Purpose::ProviderEnrol, Purpose::ProviderProve];
        all.into_iter().find(|purpose| self.challenged(*purpose, state).is_some())
    }

    /// Opens a session for who the provider says it is.
    pub async fn session_by_provider(
        &self,
        answer: ProviderAnswer,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let proof = match self.person_there(answer, Purpose::ProviderSignIn, now).await? {
            Ok(person) => match self.linked(person).await? {
                Ok(proven) => Ok(proven),
                Err((subject, "identity-unknown")) => {
                    let failure = crate::refuse::Failure {
                        subject,
                        account: None,
                        reason: "identity-unknown",
                        call,
                        now,
                    };
                    return Err(self.fail(failure, AccessError::IdentityUnknown).await);
                }
                Err(refused) => Err(refused),
            },
            Err(reason) => Err((Actor::Anonymous, reason)),
        };
        self.open_session(Method::Provider, proof, call, now).await
    }

    /// Proves there once more who one is: the provider must say that its person proved it since they were sent.
    pub async fn session_prove_by_provider(
        &self,
        by: &Principal,
        session: &Session,
        answer: ProviderAnswer,
        call: &Call,
    ) -> Result<Committed<()>, AccessError> {
        let proof = match self.person_there(answer, Purpose::ProviderProve, self.0.context.now()).await? {
            Ok(person) => self.linked(person).await?,
            Err(reason) => Err((Actor::Anonymous, reason)),
        };
        self.refresh_session((by, session), Method::Provider, proof, call).await
    }

    /// Links the caller with who the provider says it is.
    pub async fn identity_add(
        &self,
        by: &Principal,
        answer: ProviderAnswer,
    ) -> Result<Committed<Identity>, AccessError> {
        let (scope, operator, decision) =
            self.by_oneself(by, Action::IdentityManage, &Resource::new()).await?;
        let scope = &scope;
        let id = IdentityId::new(&self.0.context)?;
        let refused =
            |reason| Act::refused(Activity::IdentityAdd, ObjectRef::new("identity", id), reason, None);
        let person = match self.person_there(answer, Purpose::ProviderAdd, scope.now()).await? {
            Ok(person) if person.challenge.operator == operator => person,
            Ok(_) => {
                self.0.store.record_system(scope, refused("challenge-of-another")).await?;
                return Err(AccessError::ProviderInvalid);
            }
            Err(reason) => {
                self.0.store.record_system(scope, refused(reason)).await?;
                return Err(AccessError::ProviderInvalid);
            }
        };
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, operator.as_bytes(), scope.now()).await?
            || !person.challenge.spend(&mut tx, scope.now()).await?
        {
            tx.refuse(refused("challenge-spent")).await?;
            return Err(AccessError::ProviderInvalid);
        }
        match self.add_identity(&mut tx, (id, operator), &person, scope.now()).await {
            Ok(act) => {
                let identity = Identity { id, issuer: person.issuer, added: scope.now() };
                Ok(tx.commit(identity, act.decided_by(decision.policies())).await?)
            }
            Err(error) => {
                tx.refuse(refused(base::Fault::code(&error))).await?;
                Err(error)
            }
        }
    }

    /// Adds the row, and says what was done.
    pub(crate) async fn add_identity(
        &self,
        tx: &mut SystemTx,
        (id, operator): (IdentityId, OperatorId),
        person: &Person,
        now: Timestamp,
    ) -> Result<Act, AccessError> {
        let count = platform!("SELECT COUNT(*) FROM identity WHERE operator = $1 AND removed_at IS NULL");
        let row = tx.row(count, &[(&operator).into()]).await?;
        if row.ok_or(AccessError::Internal("a count has no row"))?.int(0)? >= MAX_IDENTITIES {
            let reason = "you are linked 5 times, the most there may be: remove one first";
            return Err(AccessError::Invalid { field: "identity", reason });
        }
        let add = platform!(
            "INSERT INTO identity (id, operator, issuer, subject_hash, added_at, removed_at) \
             VALUES ($1, $2, $3, $4, $5, NULL)"
        );
        let values = [
            (&id).into(),
            (&operator).into(),
            person.issuer.as_str().into(),
            (&person.hash).into(),
            now.into(),
        ];
        match tx.execute(add, &values).await {
            Ok(_) => {}
            Err(StoreError::Exists) => return Err(AccessError::IdentityTaken),
            Err(error) => return Err(error.into()),
        }
        Ok(Act::new(Activity::IdentityAdd, ObjectRef::new("identity", id))
            .detail("operator", operator)
            .detail("key", hex(&person.hash)))
    }

    /// The caller's own identities, in the order in which they were added.
    pub async fn identities(&self, by: &Principal) -> Result<Vec<Identity>, AccessError> {
        let (scope, operator, _) = self.by_oneself(by, Action::SessionOpen, &Resource::new()).await?;
        let scope = &scope;
        let list = platform!(
            "SELECT id, issuer, added_at FROM identity WHERE operator = $1 AND removed_at IS NULL ORDER BY added_at, id"
        );
        let mut read = self.0.store.system_read(scope).await?;
        let rows = read.rows(list, &[(&operator).into()]).await?;
        let identity = |row: &Row| -> Result<Identity, StoreError> {
            Ok(Identity { id: row.id(0)?, issuer: row.text(1)?.to_owned(), added: row.time(2)? })
        };
        Ok(rows.iter().map(identity).collect::<Result<_, _>>()?)
    }

    /// Removes one of the caller's own identities, and ends the caller's other sessions.
    pub async fn identity_remove(
        &self,
        by: &Principal,
        session: &Session,
        id: IdentityId,
    ) -> Result<Committed<()>, AccessError> {
        let statement = platform!(
            "UPDATE identity SET removed_at = $3 WHERE id = $1 AND operator = $2 AND removed_at IS NULL"
        );
        let removal = Removal {
            action: Action::IdentityManage,
            activity: Activity::IdentityRemove,
            kind: "identity",
            id: *id.as_bytes(),
            name: id.to_string(),
            statement,
        };
        self.remove_way((by, session), removal).await
    }

    /// Who the provider says it is; or the reason why that is not believed.
    pub(crate) async fn person_there(
        &self,
        answer: ProviderAnswer,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Result<Person, &'static str>, AccessError> {
        let Some(provider) = self.0.config.sign_in.provider.as_ref() else { return Ok(Err("provider-off")) };
        let Some(challenge) = self.challenged(purpose, &answer.state) else {
            return Ok(Err("challenge-invalid"));
        };
        let info = provider.info();
        if answer.issuer.as_ref().is_some_and(|issuer| *issuer != info.issuer) {
            return Ok(Err("provider-mixed-up"));
        }
        if answer.code.expose().is_empty() || answer.code.expose().len() > MAX_CODE_BYTES {
            return Ok(Err("provider-code"));
        }
        let nonce = bound("nonce", &answer.secret, &answer.state);
        let verifier = Secret::new(bound("code verifier", &answer.secret, &answer.state));
        let redemption = Redemption { code: answer.code, verifier, redirect: redirect(&answer.address) };
        let unreachable = |fault: ProviderFault| {
            if fault.refused { Ok(fault.reason) } else { Err(AccessError::ProviderUnreachable) }
        };
        let token = match provider.redeem(redemption).await {
            Ok(token) => token,
            Err(fault) => return unreachable(fault).map(Err),
        };
        let wanted = Wanted {
            issuer: &info.issuer,
            client_id: &info.client_id,
            nonce: &nonce,
            now,
            proved_since: (purpose == Purpose::ProviderProve).then_some(challenge.made),
        };
        let mut read = Err(IdTokenFault::Key);
        // A provider changes its keys: one that is not known is looked for once more.
        for anew in [false, true] {
            let keys = match provider.keys(anew).await {
                Ok(keys) => keys,
                Err(fault) => return unreachable(fault).map(Err),
            };
            read = id_token(&token, &keys, &wanted);
            if read != Err(IdTokenFault::Key) {
                break;
            }
        }
        Ok(read.map_err(IdTokenFault::reason).map(|said| self.person_of(challenge, info, &said)))
    }

    fn person_of(&self, challenge: Challenge, info: &ProviderInfo, said: &IdToken) -> Person {
        let parts = [info.issuer.as_bytes(), said.subject.as_bytes()];
        Person {
            challenge,
            hash: self.0.seals.seal("identity", &parts),
            issuer: info.issuer.clone(),
            is_strong: said.means.iter().any(|word| info.strong.contains(word)),
        }
    }

    /// Which operator somebody at the provider is, as the log explains it.
    async fn linked(&self, person: Person) -> Result<Result<Proven, Unproven>, AccessError> {
        let find =
            platform!("SELECT id, operator FROM identity WHERE subject_hash = $1 AND removed_at IS NULL");
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let row = read.row(find, &[(&person.hash).into()]).await?;
        drop(read);
        let Some(row) = row else { return Ok(Err((Actor::Anonymous, "identity-unknown"))) };
        let (id, operator): (IdentityId, OperatorId) = (row.id(0)?, row.id(1)?);
        let way = Way {
            object: ObjectRef::new("identity", id),
            operator,
            key: &hex(&person.hash),
            added: Activity::IdentityAdd,
            removed: Activity::IdentityRemove,
        };
        if !self.is_explained_way(way).await? {
            return Ok(Err((Actor::Operator(operator), "identity-unexplained")));
        }
        let method = if person.is_strong { Method::StrongProvider } else { Method::Provider };
        Ok(Ok(Proven { operator, method, spends: Spends::Challenge(person.challenge) }))
    }
}

impl Person {
    /// How somebody signs in who enrols as that person.
    pub(crate) const fn method(&self) -> Method {
        if self.is_strong { Method::StrongProvider } else { Method::Provider }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
