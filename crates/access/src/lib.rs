//! Who may do what: accounts, their clients, operators, tokens, sessions of the console and authorization.
//!
//! [`Access`] holds the one mint of scopes. [`Access::authenticate`] turns a bearer token into a
//! [`Principal`]: a client's has a `Scope` of the account that was signed into the token, an operator's
//! never has one. [`Access::authorize`] asks the policies in `policies/` and records what they refuse.
//! Nothing here knows HTTP, and nothing here reads customers' data.

mod account;
mod account_create;
mod account_get;
mod account_list;
mod account_suspend;
mod action;
mod app_code;
mod assertion;
mod authenticate;
mod authorize;
mod challenge;
mod claims;
mod client;
mod client_create;
mod client_list;
mod client_revoke;
mod credential;
mod customer_invite;
mod customer_list;
mod drill;
mod enrol;
mod error;
mod explained;
mod id_token;
mod identity;
mod jws;
mod link_create;
mod log_reconcile;
mod log_search;
mod log_source;
mod names;
mod operator;
mod operator_list;
mod operator_revoke;
mod origin;
mod own;
mod own_account;
mod own_events;
mod passkey;
mod password;
mod policy;
mod principal;
mod protected;
mod refuse;
mod review;
mod revoke;
mod safeguard;
mod scopes;
mod session;
mod session_code;
mod sessions;
mod standing;
mod subject_erase;
mod sweep;
mod throttle;
mod token;
mod verified;
mod ways;
mod webauthn;

use std::sync::Arc;

use base::{AccountId, Actor, Context, RequestId, Scheme};
use keys::Keys;
use ledger::{Interface, Origin};
use store::{Mint, Store, SystemScope};

pub use account::{Account, MAX_NAME_CHARS};
pub use action::{Action, Resource, ResourceKind};
pub use app_code::AppSecret;
pub use assertion::{ASSERTION_TYPE, Asserted, Assertion, AssertionFault, MAX_ASSERTION_LIFE};
pub use authorize::Decision;
pub use challenge::{CHALLENGE_LIFE, CODE_LIFE, Purpose};
pub use claims::{CLOCK_SKEW, Claims, Issuer, Subject, TOKEN_LIFE, TOKEN_TYPE, TokenFault};
pub use client::{Client, MAX_PAGE, Page};
pub use client_create::{CreatedClient, NewClient, NewCredential};
pub use drill::{DrillClient, Drilled};
pub use enrol::{Enrolment, PasskeyEnrolment, PasswordEnrolment};
pub use error::AccessError;
pub use id_token::{IdToken, IdTokenFault, MAX_ID_TOKEN_BYTES, Wanted, id_token};
pub use identity::{
    Identity, IdentityEnrolment, IdentityProvider, ProviderAnswer, ProviderAsked, ProviderFault,
    ProviderFuture, ProviderInfo, Redemption,
};
pub use jws::{JwsError, MAX_TOKEN_BYTES, PUBLIC_KEY_BYTES, PublicKey, SeedError, SigningKey};
pub use link_create::{EnrolmentLink, LINK_LIFE};
pub use log_source::EventSource;
pub use names::{MAX_NAMED, Names};
pub use operator::{Operator, Role};
pub use origin::{Call, Peer};
pub use own_account::OwnAccount;
pub use own_events::{OwnEvent, OwnEventPage, OwnEventQuery, Who};
pub use passkey::{MAX_PASSKEYS, Passkey, PasskeyAnswer, Registration};
pub use password::{NewPassword, PASSWORD_CHARS, PasswordAnswer, PasswordWay};
pub use policy::{MAX_RULINGS, PolicyError};
pub use principal::{Principal, PrincipalKind};
pub use review::{MAX_NOTE_CHARS, Review, ReviewState, Verdict};
pub use safeguard::{APPROVALS, Safeguard, SafeguardState};
pub use scopes::{ScopeError, ScopeSet, TokenScope};
pub use session::{FRESH, Method, OpenedSession, SESSION_IDLE, SESSION_LIFE, Session, Use, form_token};
pub use session_code::SessionCode;
pub use sessions::{MAX_SHOWN_SESSIONS, OpenSession, Person};
pub use standing::Standing;
pub use subject_erase::{SUBJECT_RECEIPT_TYPE, SubjectErasure};
pub use throttle::{Limit, ThrottleLimits, Throttled};
pub use token::{Credential, IssuedToken, TokenRequest};
pub use verified::MAX_VERIFIED_TOKENS;
pub use webauthn::{ALGORITHMS, WebauthnFault, asserted, created, party_of};

/// Passwords that are hashed at a time.
const HASHERS: usize = 2;

/// How this installation names itself, and what it allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// `iss` of tokens. The same on every server of an installation and at every start, whatever the
    /// address: a token must be good where it was not issued.
    pub issuer: String,
    /// `aud` of tokens: the service that they are for. Usually the same as the issuer.
    pub audience: String,
    /// The addresses at which this server is reached, without a slash at the end. A token may be asked for
    /// by any of them (RFC 8707).
    pub addresses: Vec<String>,
    /// The full addresses of the token endpoint at which this server is reached. An assertion names one
    /// of them or the issuer as its audience (RFC 7523 3), and nothing else.
    pub token_endpoints: Vec<String>,
    /// The organisation's classifications.
    pub scheme: Scheme,
    /// The limits on failed sign-ins.
    pub throttle: ThrottleLimits,
    /// Ways into the console besides passkeys and codes.
    pub sign_in: SignIn,
}

/// Ways into the console besides passkeys and codes of the command line.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Whether people may set a password, with an authenticator app.
    pub passwords: bool,
    /// The company's provider of identities.
    pub provider: Option<Arc<dyn IdentityProvider>>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { passwords: true, provider: None }
    }
}

/// Accounts, clients, operators, tokens and authorization. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    store: Store,
    mint: Mint,
    keys: Keys,
    context: Context,
    config: Config,
    verifier: verified::Verifier,
    policies: policy::Policies,
    throttle: throttle::Throttle,
    /// Attempts with a password.
    attempts: throttle::Throttle,
    /// Turns at hashing one.
    hashing: tokio::sync::Semaphore,
    origins: origin::Origins,
    explained: explained::Explained,
    rows: protected::RowDigest,
    seals: challenge::Seals,
    safeguards: safeguard::Safeguards,
    /// What an assertion may name as its audience.
    assertion_audiences: Vec<String>,
    /// Reads the tables of this crate, before anybody is known.
    reader: SystemScope,
    /// Verifies the assertions of those who don't exist, so that they take as long as others'.
    stand_in: PublicKey,
}

impl Access {
    /// Opens access: loads and checks the policies, and gets the signing key of tokens from `keys`
    /// (made at the first start, then shared by all servers).
    pub async fn open(
        store: Store,
        mint: Mint,
        keys: Keys,
        context: Context,
        config: Config,
    ) -> Result<Self, AccessError> {
        let policies = policy::Policies::load()?;
        let make = |context: &Context| Ok(base::SecretBytes::new(context.random::<32>()?.to_vec()));
        let seed = keys.secret("token-signing-seed", make).await?;
        let key =
            SigningKey::from_seed(&seed).map_err(|_| AccessError::Internal("the token key is not a seed"))?;
        let rows = protected::RowDigest::open(&keys).await?;
        let seals = challenge::Seals::open(&keys).await?;
        let stand_in = base::SecretBytes::new(context.random::<32>()?.to_vec());
        let stand_in =
            SigningKey::from_seed(&stand_in).map_err(|_| AccessError::Internal("no stand-in key"))?;
        let origin = Origin {
            actor: Actor::System(store.server()),
            account: None,
            request: RequestId::new(&context)?,
            server: store.server(),
            subsystem: "access",
            interface: Interface::Startup,
            sealed: None,
        };
        let reader = mint.system(origin, context.now(), "authentication reads who exists");
        let mut assertion_audiences = config.token_endpoints.clone();
        assertion_audiences.push(config.issuer.clone());
        let issuer = Issuer { name: config.issuer.clone(), audience: config.audience.clone() };
        Ok(Self(Arc::new(Inner {
            verifier: verified::Verifier::new(issuer, vec![key]),
            policies,
            throttle: throttle::Throttle::new(config.throttle),
            attempts: throttle::Throttle::new(password::ATTEMPTS),
            hashing: tokio::sync::Semaphore::new(HASHERS),
            origins: origin::Origins::new(),
            explained: explained::Explained::default(),
            rows,
            seals,
            safeguards: safeguard::Safeguards::default(),
            assertion_audiences,
            reader,
            stand_in: stand_in.public(),
            store,
            mint,
            keys,
            context,
            config,
        })))
    }

    /// The public keys of tokens, as a JWK set (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> serde_json::Value {
        let jwk = |key: &SigningKey| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": key.public().to_text(),
                "kid": key.kid(), "alg": "EdDSA", "use": "sig",
            })
        };
        let keys: Vec<_> = self.0.verifier.keys().iter().map(jwk).collect();
        serde_json::json!({ "keys": keys })
    }

    /// A scope of the server itself, for its start, its stop and the work of its wiring: `tenet` alone
    /// calls this, never the handling of a request.
    pub fn server_scope(
        &self,
        interface: Interface,
        subsystem: &'static str,
        reason: &'static str,
    ) -> Result<SystemScope, AccessError> {
        let actor = Actor::System(self.0.store.server());
        let origin = self.bare_origin(actor, None, RequestId::new(&self.0.context)?, subsystem, interface);
        Ok(self.0.mint.system(origin, self.0.context.now(), reason))
    }

    fn bare_origin(
        &self,
        actor: Actor,
        account: Option<AccountId>,
        request: RequestId,
        subsystem: &'static str,
        interface: Interface,
    ) -> Origin {
        Origin { actor, account, request, server: self.0.store.server(), subsystem, interface, sealed: None }
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({})", self.0.config.issuer)
    }
}
