//! A server in process, with an operator, two accounts, and a client of each. Every answer is held
//! against the OpenAPI document.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use access::{Access, Config, PublicKey, SigningKey, ThrottleLimits};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use base::{Duration, Scheme, Secret, SecretBytes};
use keys::{FileProvider, Keys};
use ledger::{Interface, LogSigner};
use object_store::{ObjectStore, memory::InMemory};
use policy::Observed;
use serde_json::{Value, json};
use store::{JobHandler, Realm, Sequencer};
use testkit::Harness;
use tower::ServiceExt;
use vault::{Vault, VaultConfig};
use watch::{AlarmPlan, AlarmRoute, Alarms, Watch};
use web::{App, AppParts, Limits};

pub(crate) const ISSUER: &str = "https://tenet.test";
const ALL_SCOPES: &str = "records:read records:write records:delete records:erase objects:read objects:write \
                          objects:delete objects:erase holds:write repositories:read repositories:write";

/// A server, and those who call it.
pub(crate) struct World {
    pub(crate) h: Harness,
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) document: Value,
    pub(crate) signer: Arc<LogSigner>,
    access: Access,
    keys: Keys,
    vault: Vault,
    /// An administrator's token.
    pub(crate) watch: Watch,
    pub(crate) operator: String,
    first: String,
    /// The account `A`, and a client of it with every scope.
    pub(crate) account: String,
    pub(crate) client: Client,
    /// A client of another account, with every scope.
    pub(crate) stranger: Client,
}

/// A client's credentials and a token.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }
    pub(crate) fn text(&self, pointer: &str) -> String {
        let value = self.json();
        let found = value.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {value}")).to_owned()
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
    pub(crate) fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{body}");
        self
    }
}

/// A request that is put together.
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

pub(crate) fn ask(method: &'static str, path: impl Into<String>) -> Ask {
    Ask { method, path: path.into(), headers: Vec::new(), body: Body::empty() }
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
    pub(crate) fn json(self, value: &Value) -> Self {
        self.raw("application/json", value.to_string())
    }
    pub(crate) fn form(self, pairs: &str) -> Self {
        self.raw("application/x-www-form-urlencoded", pairs.to_owned())
    }
    pub(crate) fn raw(mut self, media: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self = self.header("content-length", bytes.len().to_string()).header("content-type", media);
        self.body = Body::from(bytes);
        self
    }
    pub(crate) fn stream(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

impl World {
    /// A setting that keeps the record of what is done becomes weaker than it was.
    pub(crate) async fn weaken_a_safeguard(&self) {
        self.safeguard("strong", 2).await;
        self.safeguard("weak", 1).await;
    }
    /// It is what it was.
    pub(crate) async fn restore_the_safeguard(&self) {
        self.safeguard("strong", 2).await;
    }
    async fn safeguard(&self, value: &str, strength: i64) {
        let scope = self.access.server_scope(Interface::Startup, "server", "a test").unwrap();
        let one = access::Safeguard { name: "a.b", value: value.into(), strength, exchangeable: true };
        self.access.safeguards_at_start(&scope, vec![one]).await.unwrap();
    }
    pub(crate) async fn new(h: Harness) -> Self {
        Self::with(h, Limits::default()).await
    }

    pub(crate) async fn with(h: Harness, limits: Limits) -> Self {
        let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
        let (data, wrapped, mint) = (h.data.clone(), h.keys.clone(), h.another_mint().await);
        let keys = Keys::open(data.clone(), wrapped, mint, Arc::new(provider), keys::Limits::default());
        let keys = keys.await.unwrap();
        let config = Config {
            issuer: ISSUER.into(),
            audience: ISSUER.into(),
            addresses: vec![ISSUER.into()],
            token_endpoints: vec![format!("{ISSUER}/v1/token")],
            scheme: Scheme::default(),
            throttle: ThrottleLimits::default(),
            sign_in: access::SignIn::default(),
        };
        let mint = h.another_mint().await;
        let access = Access::open(data.clone(), mint, keys.clone(), h.context.clone(), config).await.unwrap();
        let signer = Arc::new(LogSigner::new("log.test/tenet", &Secret::new([7; 32])).unwrap());
        let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let vault = Vault::open(
            data.clone(),
            keys.clone(),
            blobs,
            Scheme::default(),
            VaultConfig::default(),
            signer.clone(),
        );
        let vault = vault.await.unwrap();
        let link = access.enrolment_link().await.unwrap().expect("a first link").into_inner();
        let system =
            access.server_scope(Interface::Api, "listener", "the listener records refusals").unwrap();
        let watch =
            Watch::open(data.clone(), access.clone(), Observed::default(), |_| BTreeSet::new()).unwrap();
        let app = App::new(AppParts {
            access: access.clone(),
            alarms: Alarms::new(watch.clone(), plan()),
            watch: watch.clone(),
            vault: vault.clone(),
            keys: keys.clone(),
            store: data,
            system,
            signer: signer.clone(),
            scheme: Scheme::default(),
            limits,
            packer: None,
            demo: false,
            authority: String::new(),
            version: "1.2.3",
        });
        let router = app.router();
        let empty = || Client { id: String::new(), secret: String::new(), token: String::new() };
        let mut world = Self {
            h,
            app,
            router,
            document: Value::Null,
            signer,
            access,
            keys,
            vault,
            watch,
            operator: String::new(),
            first: String::new(),
            account: String::new(),
            client: empty(),
            stranger: empty(),
        };
        world.document = world.plain(ask("GET", "/openapi.json")).await.expect(200).json();
        world.people(link.secret.expose()).await;
        world
    }

    /// The administrator signs in again.
    pub(crate) async fn renew(&mut self) {
        let key = SigningKey::from_seed(&SecretBytes::new(vec![1; 32])).unwrap();
        self.operator = self.sign_in(&key, &self.first).await;
    }

    async fn people(&mut self, link: &str) {
        let key = SigningKey::from_seed(&SecretBytes::new(vec![1; 32])).unwrap();
        let body = json!({"secret": link, "name": "Ada", "public_key": public(&key.public())});
        let operator = self.call(ask("POST", "/v1/enrol").json(&body)).await.expect(201).text("/id");
        self.first = operator;
        self.renew().await;
        self.account = self.make_account("A").await;
        self.client = self.make_client(&self.account, ALL_SCOPES).await;
        let other = self.make_account("B").await;
        self.stranger = self.make_client(&other, ALL_SCOPES).await;
    }

    /// A token by a signed assertion.
    pub(crate) async fn sign_in(&self, key: &SigningKey, id: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A\
             client-assertion-type%3Ajwt-bearer&client_assertion={}",
            self.assertion(key, id)
        );
        self.call(ask("POST", "/v1/token").form(&form)).await.expect(200).text("/access_token")
    }

    pub(crate) fn assertion(&self, key: &SigningKey, id: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = self.h.context.now().seconds();
        let jti = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let endpoint = format!("{ISSUER}/v1/token");
        let claims = json!({"iss": id, "sub": id, "aud": endpoint, "jti": jti, "iat": now, "exp": now + 60});
        key.sign("JWT", &claims).unwrap()
    }

    pub(crate) async fn make_account(&self, name: &str) -> String {
        let ask = ask("POST", "/v1/accounts").bearer(&self.operator).json(&json!({"name": name}));
        self.call(ask).await.expect(201).text("/id")
    }

    pub(crate) async fn make_client(&self, account: &str, scope: &str) -> Client {
        self.make_client_cleared(account, scope, None).await
    }

    /// A client that may touch data up to a level.
    pub(crate) async fn make_client_cleared(
        &self,
        account: &str,
        scope: &str,
        clearance: Option<&str>,
    ) -> Client {
        let mut body = json!({"name": "app", "scope": scope});
        if let Some(level) = clearance {
            body["clearance"] = level.into();
        }
        let path = format!("/v1/accounts/{account}/clients");
        let made = self.call(ask("POST", path).bearer(&self.operator).json(&body)).await.expect(201);
        let (id, secret) = (made.text("/client/id"), made.text("/secret"));
        let token = self.token(&id, &secret, "").await;
        Client { id, secret, token }
    }

    pub(crate) async fn token(&self, id: &str, secret: &str, more: &str) -> String {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{more}");
        self.call(ask("POST", "/v1/token").form(&form)).await.expect(200).text("/access_token")
    }

    /// A repository of the account `A`.
    pub(crate) async fn repository(&self, name: &str, classification: &str) -> String {
        let ask = ask("POST", "/v1/repositories").bearer(&self.client.token);
        self.call(ask.json(&declaration(name, classification))).await.expect(201).text("/id")
    }

    /// Moves everything into the log.
    pub(crate) async fn drain(&self) {
        Sequencer::new(self.h.data.clone(), self.signer.clone()).unwrap().drain().await.unwrap();
    }

    /// The same application with no place for any request.
    pub(crate) fn with_no_place(world: &Self) -> App {
        App::new(AppParts {
            access: world.access.clone(),
            alarms: Alarms::new(world.watch.clone(), plan()),
            watch: world.watch.clone(),
            vault: world.vault.clone(),
            keys: world.keys.clone(),
            store: world.h.data.clone(),
            system: world.h.system(),
            signer: world.signer.clone(),
            scheme: Scheme::default(),
            limits: Limits { requests: 0, ..Limits::default() },
            packer: None,
            demo: false,
            authority: String::new(),
            version: "1.2.3",
        })
    }

    /// The handlers of every job.
    pub(crate) fn job_handlers(&self) -> Vec<Box<dyn JobHandler>> {
        self.keys.job_handlers().into_iter().chain(self.vault.job_handlers()).collect()
    }

    /// Calls, and holds the answer against the document.
    pub(crate) async fn call(&self, ask: Ask) -> Reply {
        let (method, path) = (ask.method, ask.path.clone());
        let reply = self.plain(ask).await;
        crate::document::conforms(&self.document, method, &path, &reply);
        reply
    }

    /// Calls, each time from another address.
    pub(crate) async fn plain(&self, ask: Ask) -> Reply {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let host = NEXT.fetch_add(1, Ordering::Relaxed);
        self.call_from(ask, SocketAddr::from(([10, (host >> 16) as u8, (host >> 8) as u8, host as u8], 1)))
            .await
    }

    pub(crate) async fn call_from(&self, ask: Ask, peer: SocketAddr) -> Reply {
        let mut request = Request::builder().method(ask.method).uri(&ask.path);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(ask.body).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 * 1_048_576).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    /// The names of the events that a request left, in their order.
    pub(crate) fn events_of(&self, reply: &Reply) -> Vec<String> {
        let request = reply.header("x-request-id");
        self.leaves().into_iter().filter(|leaf| leaf.contains(request)).map(|leaf| name_of(&leaf)).collect()
    }

    /// The events' leaves, in their order.
    pub(crate) fn leaves(&self) -> Vec<String> {
        let rows = self.h.tamper(Realm::Data, "SELECT leaf FROM event ORDER BY seq");
        rows.iter().map(|row| String::from_utf8(unhex(row)).unwrap()).collect()
    }

    /// Moves the clock on.
    pub(crate) fn wait(&self, seconds: i64) {
        self.h.clock.advance(Duration::from_seconds(seconds));
    }
}

/// The activity's name of a leaf.
pub(crate) fn name_of(leaf: &str) -> String {
    let value: Value = serde_json::from_str(leaf).unwrap();
    value
        .pointer("/metadata/event_code")
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{leaf}"))
        .to_owned()
}

pub(crate) fn declaration(name: &str, classification: &str) -> Value {
    json!({
        "name": name, "classification": classification, "searchable": ["/number"],
        "retention": {"period_days": 365, "basis": "business", "reason": "a test", "data_type": "samples",
            "media": "database"},
    })
}

pub(crate) fn public(key: &PublicKey) -> String {
    key.to_text()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The challenge of a 401, if any.
pub(crate) fn challenge(reply: &Reply) -> &str {
    reply.header(header::WWW_AUTHENTICATE.as_str())
}

/// One route, to which nothing is brought.
pub(crate) fn plan() -> AlarmPlan {
    let route = AlarmRoute { name: "chat".into(), kind: "slack".into() };
    AlarmPlan { routes: vec![route], ..AlarmPlan::default() }
}
