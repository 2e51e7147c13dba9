//! What authentication and authorization cost, on the embedded engine:
//! `cargo run --release -p access --example cost`.
//!
//! Prints microseconds a call: the first and the later uses of a token, the policies asked for the first
//! time and again, and a token issued (durable, with its two events).

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement, run by hand: it prints, and it reads the machine's clock"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use access::{
    Access, Action, Call, Config, Credential, Enrolment, NewClient, NewCredential, Peer, Resource, ScopeSet,
    SigningKey, TokenRequest,
};
use base::{RequestId, Scheme, Secret, SecretBytes};
use keys::{FileProvider, Keys, Limits};
use testkit::{Engine, Harness};

const ISSUER: &str = "https://tenet.test";
const REPEATS: u32 = 20_000;

#[tokio::main]
async fn main() {
    let h = Harness::new(Engine::Sqlite).await;
    let access = open(&h).await;
    let call = Call {
        peer: Peer { address: Some([192, 0, 2, 1].into()), tool: "cost".into() },
        request: RequestId::new(&h.context).expect("an id"),
        subsystem: "cost",
    };
    let client = client(&h, &access, &call).await;

    let started = Instant::now();
    let mut tokens = Vec::new();
    for _ in 0..200 {
        let issued = access.token(client.clone(), &call).await.expect("a token");
        tokens.push(issued.into_inner().token);
    }
    report("token issued, durable, alone", started.elapsed(), 200);

    let started = Instant::now();
    for token in &tokens {
        access.authenticate(token.expose(), &call).await.expect("a principal");
    }
    report("authenticate, first use of a token", started.elapsed(), 200);

    let token = tokens.first().expect("a token");
    let started = Instant::now();
    for _ in 0..REPEATS {
        access.authenticate(token.expose(), &call).await.expect("a principal");
    }
    report("authenticate, later uses", started.elapsed(), REPEATS);

    let principal = access.authenticate(token.expose(), &call).await.expect("a principal");
    let scheme = Scheme::default();
    let resources: Vec<_> = ["public", "internal", "confidential", "restricted"]
        .map(|name| Resource::new().classified(&scheme.parse(name).expect("a level")))
        .into();
    let allowed: Vec<_> =
        Action::ALL.iter().filter(|a| a.resource() != access::ResourceKind::Platform).collect();
    let questions = u32::try_from(allowed.len() * resources.len()).expect("a count");
    let started = Instant::now();
    for action in &allowed {
        for resource in &resources {
            access.authorize(&principal, **action, resource).await.expect("allowed");
        }
    }
    report("authorize, first time (evaluated)", started.elapsed(), questions);
    let resource = resources.first().expect("a resource");
    let started = Instant::now();
    for _ in 0..REPEATS {
        access.authorize(&principal, Action::RecordRead, resource).await.expect("allowed");
    }
    report("authorize, again (remembered)", started.elapsed(), REPEATS);
}

fn report(what: &str, took: Duration, calls: u32) {
    println!("{what:<36} {:>9.2} µs", took.as_secs_f64() * 1e6 / f64::from(calls));
}

async fn open(h: &Harness) -> Access {
    let provider =
        FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).expect("a provider");
    let mint = h.another_mint().await;
    let keys = Keys::open(h.data.clone(), h.keys.clone(), mint, Arc::new(provider), Limits::default()).await;
    let config = Config {
        issuer: ISSUER.into(),
        audience: ISSUER.into(),
        addresses: vec![ISSUER.into()],
        token_endpoints: vec![format!("{ISSUER}/v1/token")],
        scheme: Scheme::default(),
        throttle: access::ThrottleLimits::default(),
        sign_in: access::SignIn::default(),
    };
    let mint = h.another_mint().await;
    Access::open(h.data.clone(), mint, keys.expect("keys"), h.context.clone(), config).await.expect("access")
}

/// An account's client of all scopes: the request that gets it a token.
async fn client(h: &Harness, access: &Access, call: &Call) -> TokenRequest {
    let link = access.enrolment_link().await.expect("a link").expect("the first").into_inner();
    let key = SigningKey::from_seed(&SecretBytes::new(vec![1; 32])).expect("a key");
    let enrolment = Enrolment { secret: link.secret, key: key.public(), name: "Somebody".into() };
    let id = access.enrol(enrolment, call).await.expect("an operator").id.to_string();
    let now = h.context.now().seconds();
    let claims = serde_json::json!({
        "iss": id, "sub": id, "aud": format!("{ISSUER}/v1/token"), "jti": "once", "iat": now, "exp": now + 60,
    });
    let assertion = Credential::Assertion {
        client: None,
        assertion_type: access::ASSERTION_TYPE.into(),
        assertion: Secret::new(key.sign("JWT", &claims).expect("an assertion")),
    };
    let token = access.token(request(assertion), call).await.expect("a token").into_inner().token;
    let operator = access.authenticate(token.expose(), call).await.expect("an operator");
    let account = access.account_create(&operator, "Acme").await.expect("an account").id;
    let new = NewClient {
        name: "An application".into(),
        scopes: ScopeSet::all(),
        clearance: None,
        credential: NewCredential::Secret,
    };
    let made = access.client_create(&operator, account, new).await.expect("a client").into_inner();
    let client = made.client.id.to_string();
    request(Credential::Secret { client, secret: made.secret.expect("a secret") })
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
