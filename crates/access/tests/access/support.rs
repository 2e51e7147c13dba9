//! An installation with its first administrator, and those who call it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use access::{
    ASSERTION_TYPE, Access, AccessError, Call, Config, CreatedClient, Credential, Enrolment, IssuedToken,
    NewClient, NewCredential, Peer, Principal, Role, ScopeSet, SigningKey, ThrottleLimits, TokenRequest,
};
use base::{AccountId, RequestId, Scheme, Secret, SecretBytes};
use keys::{FileProvider, Keys, Limits};
use ledger::{Event, EventView};
use serde_json::json;
use store::{Mint, Realm, Store};
use testkit::Harness;

pub(crate) const ISSUER: &str = "https://tenet.test";
pub(crate) const ENDPOINT: &str = "https://tenet.test/v1/token";

/// Servers over one database, and their first administrator.
pub(crate) struct House {
    pub(crate) h: Harness,
    pub(crate) access: Access,
    pub(crate) keys: Keys,
    pub(crate) administrator: Person,
}

/// An operator's key and id.
pub(crate) struct Person {
    pub(crate) key: SigningKey,
    pub(crate) id: String,
}

pub(crate) fn config() -> Config {
    Config {
        issuer: ISSUER.into(),
        audience: ISSUER.into(),
        addresses: vec![ISSUER.into()],
        token_endpoints: vec![ENDPOINT.into()],
        scheme: Scheme::default(),
        throttle: ThrottleLimits::default(),
        sign_in: access::SignIn::default(),
    }
}

/// A call from 192.0.2.`host`.
pub(crate) fn call_from(h: &Harness, host: u8) -> Call {
    Call {
        peer: Peer { address: Some([192, 0, 2, host].into()), tool: "test/1".into() },
        request: RequestId::new(&h.context).unwrap(),
        subsystem: "test",
    }
}

pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&SecretBytes::new(vec![byte; 32])).unwrap()
}

/// An assertion's text, never the same twice.
pub(crate) fn assertion(h: &Harness, key: &SigningKey, id: &str) -> String {
    signed_for(h, key, id, ENDPOINT)
}

/// The same, for another audience.
pub(crate) fn assertion_for(h: &Harness, person: &Person, audience: &str) -> String {
    signed_for(h, &person.key, &person.id, audience)
}

fn signed_for(h: &Harness, key: &SigningKey, id: &str, audience: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = h.context.now().seconds();
    let jti = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    key.sign(
        "JWT",
        &json!({ "iss": id, "sub": id, "aud": audience, "jti": jti, "iat": now, "exp": now + 60 }),
    )
    .unwrap()
}

pub(crate) fn by_assertion(assertion: String) -> TokenRequest {
    let assertion = Secret::new(assertion);
    request(Credential::Assertion { client: None, assertion_type: ASSERTION_TYPE.into(), assertion })
}

pub(crate) fn by_secret(client: impl ToString, secret: &str) -> TokenRequest {
    request(Credential::Secret { client: client.to_string(), secret: Secret::new(secret.to_owned()) })
}

fn request(credential: Credential) -> TokenRequest {
    TokenRequest {
        grant: "client_credentials".into(),
        credential,
        account: None,
        scope: None,
        audiences: Vec::new(),
    }
}

pub(crate) fn new_client(scopes: &str) -> NewClient {
    NewClient {
        name: "An application".into(),
        scopes: ScopeSet::parse(scopes).unwrap(),
        clearance: None,
        credential: NewCredential::Secret,
    }
}

impl House {
    /// An installation in which somebody has become the first administrator.
    pub(crate) async fn open(h: Harness) -> Self {
        let keys = open_keys(&h, &h.data, &h.keys).await;
        let access =
            Access::open(h.data.clone(), h.another_mint().await, keys.clone(), h.context.clone(), config());
        let access = access.await.unwrap();
        let link = access.enrolment_link().await.unwrap().expect("a link on the first start").into_inner();
        assert_eq!(link.role, Role::Administrator);
        let administrator = enrol(&h, &access, link.secret, 1).await.unwrap();
        Self { h, access, keys, administrator }
    }

    /// Another server over the same database.
    pub(crate) async fn another_server(&self, config: Config) -> Access {
        let (data, keys_store, mint): (Store, Store, Mint) = self.h.reopen().await;
        let keys = open_keys(&self.h, &data, &keys_store).await;
        Access::open(data, mint, keys, self.h.context.clone(), config).await.unwrap()
    }

    /// The key that tokens are signed with.
    pub(crate) async fn true_key(&self) -> SigningKey {
        let seed = self.keys.secret("token-signing-seed", |_| panic!("it exists")).await.unwrap();
        SigningKey::from_seed(&seed).unwrap()
    }

    pub(crate) fn call(&self) -> Call {
        call_from(&self.h, 1)
    }

    /// A token for an operator.
    pub(crate) async fn sign_in(&self, person: &Person) -> Result<IssuedToken, AccessError> {
        let request = by_assertion(assertion(&self.h, &person.key, &person.id));
        self.access.token(request, &self.call()).await.map(store::Committed::into_inner)
    }

    /// The administrator, authenticated.
    pub(crate) async fn admin(&self) -> Principal {
        let token = self.sign_in(&self.administrator).await.unwrap();
        self.authenticate(&token).await.unwrap()
    }

    pub(crate) async fn authenticate(&self, token: &IssuedToken) -> Result<Principal, AccessError> {
        self.access.authenticate(token.token.expose(), &self.call()).await
    }

    /// An account with a client of all scopes.
    pub(crate) async fn customer(&self, name: &str) -> (AccountId, CreatedClient) {
        let admin = self.admin().await;
        let account = self.access.account_create(&admin, name).await.unwrap().id;
        let all = ScopeSet::all().to_string();
        let client = self.access.client_create(&admin, account, new_client(&all)).await.unwrap().into_inner();
        (account, client)
    }

    /// A token for a client with a secret.
    pub(crate) async fn client_token(&self, client: &CreatedClient) -> Result<IssuedToken, AccessError> {
        let secret = client.secret.as_ref().unwrap();
        let request = by_secret(client.client.id, secret.expose());
        self.access.token(request, &self.call()).await.map(store::Committed::into_inner)
    }

    /// Another operator, invited by the administrator.
    pub(crate) async fn invite(&self, role: Role, seed: u8) -> Person {
        let link = self.access.link_create(&self.admin().await, role).await.unwrap().into_inner();
        enrol(&self.h, &self.access, link.secret, seed).await.unwrap()
    }

    /// Every event so far, in order.
    pub(crate) fn events(&self) -> Vec<EventView> {
        events(&self.h)
    }

    /// The names and outcomes of the events after the first `from`, without those that the keys write
    /// of themselves: `auth.fail refused secret-wrong`.
    pub(crate) fn acts_since(&self, from: usize) -> Vec<String> {
        let events = self.events();
        let ours = events.iter().skip(from).filter(|event| !event.object.kind.ends_with("_key"));
        ours.map(|event| format!("{} {}", event.activity, outcome(event))).collect()
    }
}

pub(crate) fn events(h: &Harness) -> Vec<EventView> {
    let rows = h.tamper(Realm::Data, "SELECT leaf FROM event ORDER BY seq");
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    rows.iter().map(|row| Event::decode(&bytes(row)).unwrap()).collect()
}

fn outcome(event: &EventView) -> String {
    match &event.outcome {
        ledger::OutcomeView::Success => "ok".into(),
        ledger::OutcomeView::Refused { reason, .. } => format!("refused {reason}"),
        ledger::OutcomeView::Failed { reason } => format!("failed {reason}"),
    }
}

/// Enrols somebody with the key of that seed.
pub(crate) async fn enrol(
    h: &Harness,
    access: &Access,
    secret: Secret<String>,
    seed: u8,
) -> Result<Person, AccessError> {
    let key = key(seed);
    let enrolment = Enrolment { secret, key: key.public(), name: format!("Operator {seed}") };
    let operator = access.enrol(enrolment, &call_from(h, 1)).await?;
    Ok(Person { key, id: operator.id.to_string() })
}

/// Opens the keys of a server, under the installation's one provider key.
async fn open_keys(h: &Harness, data: &Store, keys: &Store) -> Keys {
    let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
    let mint = h.another_mint().await;
    Keys::open(data.clone(), keys.clone(), mint, Arc::new(provider), Limits::default()).await.unwrap()
}
