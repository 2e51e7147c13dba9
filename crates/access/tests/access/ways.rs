//! Ways into the console besides passkeys: a password with an authenticator app, and a company's provider of identities.

use std::sync::{Arc, Mutex};

use access::{
    Access, AccessError, Call, FRESH, IdentityEnrolment, IdentityProvider, NewPassword, OpenedSession,
    PasswordAnswer, PasswordEnrolment, Principal, ProviderAnswer, ProviderFault, ProviderFuture,
    ProviderInfo, Purpose, Redemption, Role, Session, SignIn, Use,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base::{Duration, Fault, OperatorId, Secret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use store::Realm;
use testkit::on_both_engines;

use crate::support::{House, ISSUER, call_from, config};

const PASSWORD: &str = "seventeen quiet lamps walk north";

fn near(house: &House) -> Call {
    let mut call = house.call();
    call.peer.address = Some([10, 0, 0, 7].into());
    call
}

async fn console(house: &House) -> OpenedSession {
    let code = house.access.session_code(&house.admin().await).await.unwrap().into_inner();
    house.access.session_by_code(&code.code, &near(house)).await.unwrap().into_inner()
}

async fn within(house: &House, opened: &OpenedSession) -> Result<(Principal, Session), AccessError> {
    house.access.authenticate_session(&opened.secret, &near(house), Use::ByPerson).await
}

fn last(house: &House) -> String {
    house.acts_since(0).last().unwrap().clone()
}

fn code<T: std::fmt::Debug>(of: Result<T, AccessError>) -> &'static str {
    of.unwrap_err().code()
}

/// What an app on somebody's telephone shows.
struct App(totp_rs::Totp);

impl App {
    fn scan(house: &House, purpose: Purpose, challenge: &str) -> Self {
        let shown = house.access.authenticator_app(purpose, challenge, "Ada").unwrap();
        Self(totp_rs::Totp::from_url(shown.uri.expose()).unwrap())
    }
    fn code(&self, house: &House) -> Secret<String> {
        let seconds = u64::try_from(house.h.context.now().seconds()).unwrap();
        Secret::new(self.0.generate(seconds).to_string())
    }
}

fn new(challenge: &str, login: &str, password: &str, code: Secret<String>) -> NewPassword {
    NewPassword {
        challenge: challenge.to_owned(),
        login: login.to_owned(),
        password: Secret::new(password.to_owned()),
        code,
    }
}

fn given(login: &str, password: &str, code: Secret<String>) -> PasswordAnswer {
    PasswordAnswer { login: login.to_owned(), password: Secret::new(password.to_owned()), code }
}

/// Sets the password of whoever is in the session.
async fn set(house: &House, opened: &OpenedSession, login: &str) -> App {
    let (by, session) = within(house, opened).await.unwrap();
    let (challenge, _) = house.access.challenge(Purpose::Password, Some(session.operator)).unwrap();
    let app = App::scan(house, Purpose::Password, &challenge);
    let new = new(&challenge, login, PASSWORD, app.code(house));
    house.access.password_set(&by, &session, &new).await.unwrap().into_inner();
    // The code that it was set with is used.
    house.h.clock.advance(Duration::from_seconds(30));
    app
}

/// A provider of identities, as far as its answers go.
#[derive(Debug)]
struct Provider {
    info: ProviderInfo,
    pair: EcdsaKeyPair,
    /// The claims of the next token; none: it is not there.
    next: Mutex<Option<Value>>,
    redeemed: Mutex<Option<(String, String, String)>>,
}

impl Provider {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            info: ProviderInfo {
                name: "Example".into(),
                issuer: "https://login.example".into(),
                client_id: "tenet".into(),
                strong: vec!["hwk".into()],
            },
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            next: Mutex::default(),
            redeemed: Mutex::default(),
        })
    }
}

impl IdentityProvider for Provider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }
    fn endpoint(&self) -> ProviderFuture<'_, String> {
        Box::pin(async { Ok("https://login.example/authorize".to_owned()) })
    }
    fn redeem(&self, of: Redemption) -> ProviderFuture<'_, String> {
        let parts = (of.code.expose().clone(), of.verifier.expose().clone(), of.redirect);
        *self.redeemed.lock().unwrap() = Some(parts);
        let claims = self.next.lock().unwrap().take();
        let Some(claims) = claims else {
            return Box::pin(async { Err(ProviderFault { reason: "provider-unreachable", refused: false }) });
        };
        let header = json!({ "alg": "ES256", "kid": "k" });
        let signed = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", B64.encode(signature.as_ref()));
        Box::pin(async { Ok(token) })
    }
    fn keys(&self, _: bool) -> ProviderFuture<'_, Arc<[u8]>> {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (B64.encode(&point[1..33]), B64.encode(&point[33..]));
        let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y }] });
        let keys: Arc<[u8]> = keys.to_string().into_bytes().into();
        Box::pin(async { Ok(keys) })
    }
}

/// A server with a provider, over the same database.
struct Linked<'a> {
    house: &'a House,
    access: Access,
    provider: Arc<Provider>,
}

impl<'a> Linked<'a> {
    async fn open(house: &'a House) -> Self {
        let provider = Provider::new();
        let sign_in = SignIn { provider: Some(provider.clone()), ..SignIn::default() };
        let access = house.another_server(access::Config { sign_in, ..config() }).await;
        Self { house, access, provider }
    }

    /// Somebody goes there, and comes back as that person. `changes`: to what is said of them.
    async fn back(
        &self,
        purpose: Purpose,
        operator: Option<OperatorId>,
        person: &str,
        changes: Value,
    ) -> ProviderAnswer {
        let asked = self.access.provider_ask(purpose, operator, ISSUER, &self.house.call()).await.unwrap();
        let query: std::collections::HashMap<_, _> = asked
            .url
            .split_once('?')
            .unwrap()
            .1
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .collect();
        assert_eq!(query["redirect_uri"], "https%3A%2F%2Ftenet.test%2Fsign-in%2Fback");
        let now = self.house.h.context.now().seconds();
        let mut claims = json!({
            "iss": "https://login.example", "sub": person, "aud": "tenet", "iat": now, "exp": now + 300, "nonce": query["nonce"],
        });
        for (key, value) in changes.as_object().unwrap() {
            claims[key] = value.clone();
        }
        *self.provider.next.lock().unwrap() = Some(claims);
        ProviderAnswer {
            state: query["state"].to_owned(),
            code: Secret::new("code".into()),
            issuer: None,
            secret: asked.secret,
            address: ISSUER.to_owned(),
        }
    }

    async fn sign_in(&self, person: &str, changes: Value, call: &Call) -> Result<OpenedSession, AccessError> {
        let answer = self.back(Purpose::ProviderSignIn, None, person, changes).await;
        self.access.session_by_provider(answer, call).await.map(store::Committed::into_inner)
    }

    async fn link(&self, opened: &OpenedSession, person: &str) -> Result<access::Identity, AccessError> {
        let (by, session) = within(self.house, opened).await.unwrap();
        let answer = self.back(Purpose::ProviderAdd, Some(session.operator), person, json!({})).await;
        self.access.identity_add(&by, answer).await.map(store::Committed::into_inner)
    }
}

on_both_engines! {
    async fn a_password_and_a_code_open_a_session_from_where_not_everybody_is(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let app = set(&house, &opened, "Ada").await;
        assert_eq!(last(&house), "password.set ok");
        let answer = given(" ADA ", PASSWORD, app.code(&house));
        let from = house.events().len();
        let by_password = house.access.session_by_password(&answer, &near(&house)).await.unwrap().into_inner();
        assert_eq!(house.acts_since(from), ["auth.succeed ok", "session.begin ok"]);
        assert_eq!(within(&house, &by_password).await.unwrap().1.role, Role::Administrator);
        assert_eq!(code(house.access.session_by_password(&answer, &near(&house)).await), "password-invalid");
        assert_eq!(last(&house), "auth.fail refused app-code-spent");
        house.h.clock.advance(Duration::from_seconds(60));
        let answer = given("ada", PASSWORD, app.code(&house));
        let far = call_from(&house.h, 9);
        assert_eq!(code(house.access.session_by_password(&answer, &far).await), "stronger-sign-in-needed");
        assert!(house.access.session_by_password(&answer, &near(&house)).await.is_ok(), "that used no code up");
        let stolen = house.access.authenticate_session(&by_password.secret, &far, Use::ByPerson).await;
        assert_eq!(code(stolen), "stronger-sign-in-needed");
    }

    async fn whoever_guesses_is_told_nothing_and_soon_waits(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let app = set(&house, &opened, "ada").await;
        let wrong = [
            (given("nobody", PASSWORD, app.code(&house)), "login-unknown"),
            (given("ada", "seventeen quiet lamps walk south", app.code(&house)), "password-wrong"),
            (given("ada", PASSWORD, Secret::new("000000".into())), "app-code-wrong"),
            (given("ada", PASSWORD, Secret::new(String::new())), "app-code-wrong"),
            (given("ada", &"x".repeat(1_000), app.code(&house)), "password-too-long"),
        ];
        for (answer, reason) in wrong {
            let refused = house.access.session_by_password(&answer, &near(&house)).await;
            assert_eq!(refused.unwrap_err().to_string(), AccessError::PasswordInvalid.to_string());
            assert_eq!(last(&house), format!("auth.fail refused {reason}"));
        }
        for _ in 0..7 {
            let answer = given("ada", "wrong", app.code(&house));
            assert_eq!(code(house.access.session_by_password(&answer, &near(&house)).await), "password-invalid");
        }
        // Not even what is right is looked at then: guessing is counted before.
        let answer = given("ada", PASSWORD, app.code(&house));
        assert_eq!(code(house.access.session_by_password(&answer, &near(&house)).await), "too-many-failures");
        assert_eq!(last(&house), "limit.exceed refused too-many-failures");
        house.h.clock.advance(Duration::from_seconds(30));
        let answer = given("ada", PASSWORD, app.code(&house));
        assert!(house.access.session_by_password(&answer, &near(&house)).await.is_ok());
    }

    async fn a_password_must_be_hard_to_guess_and_its_app_must_work(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let (by, session) = within(&house, &opened).await.unwrap();
        let operator = session.operator;
        let challenge = || house.access.challenge(Purpose::Password, Some(operator)).unwrap().0;
        let field = |error: AccessError| error.field().map(str::to_owned).unwrap_or_default();
        for (login, password, wrong) in [
            ("ad", PASSWORD, "login"),
            ("ada l", PASSWORD, "login"),
            ("ada", "short words", "password"),
            ("ada", "passwordpassword", "password"),
            ("ada-lovelace", "ada-lovelace-1", "password"),
            ("ada.lovelace", "Operator Lovelace Ada", "password"),
            ("ada", &"long ".repeat(30), "password"),
        ] {
            let challenge = challenge();
            let code = App::scan(&house, Purpose::Password, &challenge).code(&house);
            let refused = house.access.password_set(&by, &session, &new(&challenge, login, password, code)).await;
            assert_eq!(field(refused.unwrap_err()), wrong, "{login} {password}");
            assert_eq!(last(&house), "password.set refused invalid");
        }
        let code_of_nothing = new(&challenge(), "ada", PASSWORD, Secret::new("123456".into()));
        let refused = house.access.password_set(&by, &session, &code_of_nothing).await;
        assert_eq!(field(refused.unwrap_err()), "code");
        let foreign = house.access.challenge(Purpose::Password, Some(OperatorId::from_bytes([9; 16]))).unwrap().0;
        let shown = App::scan(&house, Purpose::Password, &foreign).code(&house);
        let refused = house.access.password_set(&by, &session, &new(&foreign, "ada", PASSWORD, shown)).await;
        assert_eq!(field(refused.unwrap_err()), "challenge");
        assert!(house.access.password(&by).await.unwrap().is_none());
        // Once it is set, its form sets nothing again; and the name is nobody else's.
        let once = challenge();
        let shown = App::scan(&house, Purpose::Password, &once).code(&house);
        house.access.password_set(&by, &session, &new(&once, "ada", PASSWORD, shown.clone())).await.unwrap().into_inner();
        let again = house.access.password_set(&by, &session, &new(&once, "ada", PASSWORD, shown)).await;
        assert_eq!(code(again), "password-invalid");
        let second = house.invite(Role::Auditor, 2).await;
        let token = house.sign_in(&second).await.unwrap();
        let made = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let theirs = house.access.session_by_code(&made.code, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &theirs).await.unwrap();
        let (challenge, _) = house.access.challenge(Purpose::Password, Some(session.operator)).unwrap();
        let shown = App::scan(&house, Purpose::Password, &challenge).code(&house);
        let taken = house.access.password_set(&by, &session, &new(&challenge, "ada", PASSWORD, shown)).await;
        assert_eq!(code(taken), "login-taken");
    }

    async fn another_password_ends_the_first_and_what_was_opened_with_it(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let first = set(&house, &opened, "ada").await;
        let answer = given("ada", PASSWORD, first.code(&house));
        let elsewhere = house.access.session_by_password(&answer, &near(&house)).await.unwrap().into_inner();
        let from = house.events().len();
        let second = set(&house, &opened, "ada").await;
        assert_eq!(house.acts_since(from), ["password.remove ok", "password.set ok"]);
        assert_eq!(code(within(&house, &elsewhere).await), "session-invalid");
        house.h.clock.advance(Duration::from_seconds(30));
        let old = given("ada", PASSWORD, first.code(&house));
        assert_eq!(code(house.access.session_by_password(&old, &near(&house)).await), "password-invalid");
        let now = given("ada", PASSWORD, second.code(&house));
        let elsewhere = house.access.session_by_password(&now, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &opened).await.unwrap();
        let id = house.access.password(&by).await.unwrap().unwrap().id;
        house.access.password_remove(&by, &session, id).await.unwrap().into_inner();
        assert_eq!(last(&house), "password.remove ok");
        assert_eq!(code(within(&house, &elsewhere).await), "session-invalid");
        house.h.clock.advance(Duration::from_seconds(30));
        let gone = given("ada", PASSWORD, second.code(&house));
        assert_eq!(code(house.access.session_by_password(&gone, &near(&house)).await), "password-invalid");
    }

    async fn what_is_dangerous_takes_a_password_for_a_proof(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let app = set(&house, &opened, "ada").await;
        house.h.clock.advance(FRESH);
        let (by, session) = within(&house, &opened).await.unwrap();
        assert_eq!(code(house.access.account_create(&by, "Acme").await), "proof-needed");
        let answer = given("ada", PASSWORD, app.code(&house));
        let far = call_from(&house.h, 9);
        let refused = house.access.session_prove_by_password(&by, &session, &answer, &far).await;
        assert_eq!(code(refused), "stronger-sign-in-needed");
        house.access.session_prove_by_password(&by, &session, &answer, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &opened).await.unwrap();
        assert!(house.access.account_create(&by, "Acme").await.is_ok());
        let again = house.access.session_prove_by_password(&by, &session, &answer, &near(&house)).await;
        assert_eq!(code(again), "password-invalid", "each code once");
        // Somebody else's proves nothing here.
        let second = house.invite(Role::Administrator, 2).await;
        let token = house.sign_in(&second).await.unwrap();
        let made = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let theirs = house.access.session_by_code(&made.code, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &theirs).await.unwrap();
        house.h.clock.advance(Duration::from_seconds(60));
        let answer = given("ada", PASSWORD, app.code(&house));
        let refused = house.access.session_prove_by_password(&by, &session, &answer, &near(&house)).await;
        assert_eq!(code(refused), "password-invalid");
        assert_eq!(last(&house), "auth.fail refused proof-of-another");
    }

    async fn who_enrols_with_a_password_has_it_for_the_only_way_in(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Employee).await.unwrap().into_inner();
        let operator = OperatorId::new(&house.h.context).unwrap();
        let (challenge, _) = house.access.challenge(Purpose::Enrol, Some(operator)).unwrap();
        let app = App::scan(&house, Purpose::Enrol, &challenge);
        let enrolment = |password: &str| PasswordEnrolment {
            secret: Secret::new(link.secret.expose().clone()),
            name: "Sam Okoro".to_owned(),
            password: new(&challenge, "sam", password, app.code(&house)),
        };
        let far = call_from(&house.h, 9);
        let refused = house.access.enrol_by_password(enrolment(PASSWORD), &far).await;
        assert_eq!(code(refused), "stronger-sign-in-needed");
        assert_eq!(code(house.access.enrol_by_password(enrolment("sam okoro 1234"), &near(&house)).await), "invalid");
        assert_eq!(last(&house), "operator.enrol refused invalid");
        let from = house.events().len();
        let opened = house.access.enrol_by_password(enrolment(PASSWORD), &near(&house)).await.unwrap().into_inner();
        assert_eq!(
            house.acts_since(from),
            ["operator.enrol ok", "password.set ok", "auth.succeed ok", "session.begin ok"]
        );
        let (by, session) = within(&house, &opened).await.unwrap();
        assert_eq!((session.operator, session.role.role()), (operator, Some(Role::Employee)));
        assert_eq!(code(house.access.enrol_by_password(enrolment(PASSWORD), &near(&house)).await), "link-invalid");
        let id = house.access.password(&by).await.unwrap().unwrap().id;
        assert_eq!(code(house.access.password_remove(&by, &session, id).await), "invalid", "the only way in stays");
        assert_eq!(last(&house), "password.remove refused last-way-in");
    }

    async fn a_changed_database_gives_nobody_a_password(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let _ = set(&house, &opened, "ada").await;
        let auditor = house.invite(Role::Auditor, 2).await;
        let token = house.sign_in(&auditor).await.unwrap();
        let made = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let theirs = house.access.session_by_code(&made.code, &near(&house)).await.unwrap().into_inner();
        let app = set(&house, &theirs, "eve").await;
        // The auditor's password becomes the administrator's, by whoever writes to the database.
        house.h.tamper(Realm::Data, "UPDATE password SET removed_at = 1 WHERE login = 'ada'");
        house.h.tamper(
            Realm::Data,
            "UPDATE password SET operator = (SELECT id FROM operator WHERE role = 'administrator') WHERE login = 'eve'",
        );
        let answer = given("eve", PASSWORD, app.code(&house));
        assert_eq!(code(house.access.session_by_password(&answer, &near(&house)).await), "password-invalid");
        assert_eq!(last(&house), "auth.fail refused password-unexplained");
        house.h.tamper(Realm::Data, "UPDATE password SET cost = 'none' WHERE login = 'eve'");
        assert_eq!(code(house.access.session_by_password(&answer, &near(&house)).await), "password-invalid");
    }

    async fn passwords_that_are_off_open_nothing(h: Harness) {
        let house = House::open(h).await;
        let opened = console(&house).await;
        let app = set(&house, &opened, "ada").await;
        let sign_in = SignIn { passwords: false, provider: None };
        let strict = house.another_server(access::Config { sign_in, ..config() }).await;
        let answer = given("ada", PASSWORD, app.code(&house));
        assert_eq!(code(strict.session_by_password(&answer, &near(&house)).await), "password-invalid");
        assert_eq!(last(&house), "auth.fail refused password-off");
        let (by, session) = within(&house, &opened).await.unwrap();
        let (challenge, _) = strict.challenge(Purpose::Password, Some(session.operator)).unwrap();
        let shown = App::scan(&house, Purpose::Password, &challenge).code(&house);
        let refused = strict.password_set(&by, &session, &new(&challenge, "ada", PASSWORD, shown)).await;
        assert_eq!(code(refused), "way-off");
        assert_eq!(last(&house), "password.set refused way-off");
    }

    async fn the_companys_provider_opens_a_session_as_who_is_linked(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let opened = console(&house).await;
        let near = near(&house);
        assert_eq!(code(linked.sign_in("ada", json!({}), &near).await), "identity-unknown");
        assert_eq!(last(&house), "auth.fail refused identity-unknown");
        linked.link(&opened, "ada").await.unwrap();
        assert_eq!(last(&house), "identity.add ok");
        let by_provider = linked.sign_in("ada", json!({}), &near).await.unwrap();
        assert_eq!(by_provider.session.role, Role::Administrator);
        // PKCE: what was redeemed is what the browser set out with, by its hash.
        let (_, verifier, redirect) = linked.provider.redeemed.lock().unwrap().clone().unwrap();
        assert_eq!(redirect, "https://tenet.test/sign-in/back");
        let asked = linked.access.provider_ask(Purpose::ProviderSignIn, None, ISSUER, &near).await.unwrap();
        assert!(asked.url.contains("code_challenge_method=S256"));
        assert!(!asked.url.contains(&verifier) && !asked.url.contains(&B64.encode(digest(&SHA256, verifier.as_bytes()))));
        assert_eq!(code(linked.sign_in("eve", json!({}), &near).await), "identity-unknown", "and as nobody else");
        // From where everybody is, only if it says that it took something that can't be handed on.
        let far = call_from(&house.h, 9);
        assert_eq!(code(linked.sign_in("ada", json!({ "amr": ["pwd", "otp"] }), &far).await), "stronger-sign-in-needed");
        let strong = linked.sign_in("ada", json!({ "amr": ["hwk"] }), &far).await.unwrap();
        assert!(house.access.authenticate_session(&strong.secret, &far, Use::ByPerson).await.is_ok());
        assert_eq!(code(linked.link(&console(&house).await, "ada").await), "identity-taken");
    }

    async fn what_the_provider_says_counts_for_one_browser_once(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let opened = console(&house).await;
        let near = near(&house);
        linked.link(&opened, "ada").await.unwrap();
        let refused = |answer: ProviderAnswer| {
            let linked = &linked;
            let near = &near;
            async move { code(linked.access.session_by_provider(answer, near).await) }
        };
        let back = || linked.back(Purpose::ProviderSignIn, None, "ada", json!({}));
        let mut stolen = back().await;
        stolen.secret = Secret::new("another browser's".into());
        assert_eq!(refused(stolen).await, "provider-invalid");
        assert_eq!(last(&house), "auth.fail refused id-token-nonce");
        let mut mixed_up = back().await;
        mixed_up.issuer = Some("https://evil.example".into());
        assert_eq!(refused(mixed_up).await, "provider-invalid");
        assert_eq!(last(&house), "auth.fail refused provider-mixed-up");
        let foreign = linked.back(Purpose::ProviderSignIn, None, "ada", json!({ "aud": "another" })).await;
        assert_eq!(refused(foreign).await, "provider-invalid");
        assert_eq!(last(&house), "auth.fail refused id-token-audience");
        let other = linked.back(Purpose::ProviderAdd, Some(opened.session.operator), "ada", json!({})).await;
        assert_eq!(refused(other).await, "provider-invalid", "asked for something else");
        let late = back().await;
        house.h.clock.advance(Duration::from_seconds(300));
        assert_eq!(refused(late).await, "provider-invalid");
        assert_eq!(last(&house), "auth.fail refused challenge-invalid");
        let answer = back().await;
        let claims = linked.provider.next.lock().unwrap().clone();
        assert!(linked.access.session_by_provider(answer.clone(), &near).await.is_ok());
        *linked.provider.next.lock().unwrap() = claims;
        assert_eq!(refused(answer).await, "provider-invalid", "once");
        assert_eq!(last(&house), "auth.fail refused provider-replayed");
        let gone = back().await;
        linked.provider.next.lock().unwrap().take();
        assert_eq!(refused(gone).await, "provider-unreachable");
    }

    async fn the_provider_proves_somebody_once_more_only_if_it_asked_again(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let opened = console(&house).await;
        linked.link(&opened, "ada").await.unwrap();
        house.h.clock.advance(FRESH);
        let near = near(&house);
        let (by, session) = within(&house, &opened).await.unwrap();
        let operator = Some(session.operator);
        let before = house.h.context.now().seconds() - 600;
        let prove = |changes| linked.back(Purpose::ProviderProve, operator, "ada", changes);
        for stale in [json!({}), json!({ "auth_time": before })] {
            let answer = prove(stale).await;
            let refused = linked.access.session_prove_by_provider(&by, &session, answer, &near).await;
            assert_eq!(code(refused), "provider-invalid");
            assert_eq!(last(&house), "auth.fail refused id-token-proof");
        }
        let answer = prove(json!({ "auth_time": house.h.context.now().seconds() })).await;
        linked.access.session_prove_by_provider(&by, &session, answer, &near).await.unwrap().into_inner();
        let (by, _) = within(&house, &opened).await.unwrap();
        assert!(house.access.account_create(&by, "Acme").await.is_ok());
    }

    async fn a_link_is_used_by_who_the_provider_says_it_is(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let near = near(&house);
        let link = house.access.link_create(&house.admin().await, Role::Security).await.unwrap().into_inner();
        assert!(linked.access.enrolment_open(&link.secret, &near).await.is_ok());
        assert_eq!(code(linked.access.enrolment_open(&Secret::new("x".into()), &near).await), "link-invalid");
        let operator = OperatorId::new(&house.h.context).unwrap();
        let enrolment = |answer| IdentityEnrolment {
            secret: Secret::new(link.secret.expose().clone()),
            name: "Sam Okoro".to_owned(),
            answer,
        };
        let answer = linked.back(Purpose::ProviderEnrol, Some(operator), "sam", json!({ "iss": "https://evil.example" })).await;
        assert_eq!(code(linked.access.enrol_by_provider(enrolment(answer), &near).await), "provider-invalid");
        assert_eq!(last(&house), "operator.enrol refused id-token-issuer");
        let answer = linked.back(Purpose::ProviderEnrol, Some(operator), "sam", json!({})).await;
        let from = house.events().len();
        let opened = linked.access.enrol_by_provider(enrolment(answer), &near).await.unwrap().into_inner();
        assert_eq!(
            house.acts_since(from),
            ["operator.enrol ok", "identity.add ok", "auth.succeed ok", "session.begin ok"]
        );
        assert_eq!((opened.session.operator, opened.session.role.role()), (operator, Some(Role::Security)));
        let again = linked.sign_in("sam", json!({}), &near).await.unwrap();
        let (by, session) = within(&house, &again).await.unwrap();
        let id = house.access.identities(&by).await.unwrap()[0].id;
        assert_eq!(code(house.access.identity_remove(&by, &session, id).await), "invalid", "the only way in stays");
    }

    async fn a_changed_database_links_nobody(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let opened = console(&house).await;
        let near = near(&house);
        let identity = linked.link(&opened, "ada").await.unwrap();
        house.invite(Role::Auditor, 2).await;
        house.h.tamper(Realm::Data, "UPDATE identity SET operator = (SELECT id FROM operator WHERE role = 'auditor')");
        assert_eq!(code(linked.sign_in("ada", json!({}), &near).await), "provider-invalid");
        assert_eq!(last(&house), "auth.fail refused identity-unexplained");
        house.h.tamper(Realm::Data, "UPDATE identity SET operator = (SELECT id FROM operator WHERE role = 'administrator')");
        let elsewhere = linked.sign_in("ada", json!({}), &near).await.unwrap();
        let (by, session) = within(&house, &opened).await.unwrap();
        house.access.identity_remove(&by, &session, identity.id).await.unwrap().into_inner();
        assert_eq!(last(&house), "identity.remove ok");
        assert_eq!(code(within(&house, &elsewhere).await), "session-invalid");
        house.h.tamper(Realm::Data, "UPDATE identity SET removed_at = NULL");
        assert_eq!(code(linked.sign_in("ada", json!({}), &near).await), "provider-invalid", "removed is removed");
    }

    async fn a_customers_administrator_has_a_password_and_is_nobody_at_the_companys_provider(h: Harness) {
        let house = House::open(h).await;
        let linked = Linked::open(&house).await;
        let (account, _) = house.customer("Acme").await;
        let link = house.access.customer_invite(&house.admin().await, account, None).await.unwrap().into_inner();
        assert_eq!(code(linked.access.enrolment_open(&link.secret, &near(&house)).await), "way-off");
        assert_eq!(last(&house), "operator.enrol refused provider-of-the-company");
        let operator = OperatorId::new(&house.h.context).unwrap();
        let answer = linked.back(Purpose::ProviderEnrol, Some(operator), "cleo", json!({})).await;
        let enrolment =
            IdentityEnrolment { secret: Secret::new(link.secret.expose().clone()), name: "Cleo".to_owned(), answer };
        assert_eq!(code(linked.access.enrol_by_provider(enrolment, &near(&house)).await), "way-off");
        let (challenge, _) = house.access.challenge(Purpose::Enrol, Some(operator)).unwrap();
        let app = App::scan(&house, Purpose::Enrol, &challenge);
        let enrolment = PasswordEnrolment {
            secret: Secret::new(link.secret.expose().clone()),
            name: "Cleo".to_owned(),
            password: new(&challenge, "cleo", PASSWORD, app.code(&house)),
        };
        let opened = house.access.enrol_by_password(enrolment, &near(&house)).await.unwrap().into_inner();
        assert_eq!(opened.session.role.account(), Some(account));
        house.h.clock.advance(Duration::from_seconds(30));
        let answer = given("cleo", PASSWORD, app.code(&house));
        let again = house.access.session_by_password(&answer, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &again).await.unwrap();
        assert!(by.system().is_none() && by.scope().is_some(), "by every way in the same");
        let answer = linked.back(Purpose::ProviderAdd, Some(session.operator), "cleo", json!({})).await;
        assert_eq!(code(linked.access.identity_add(&by, answer).await), "access-denied");
        house.h.clock.advance(FRESH);
        let answer = given("cleo", PASSWORD, app.code(&house));
        let (by, session) = within(&house, &again).await.unwrap();
        house.access.session_prove_by_password(&by, &session, &answer, &near(&house)).await.unwrap().into_inner();
        let (by, session) = within(&house, &again).await.unwrap();
        let set = house.access.password(&by).await.unwrap().unwrap();
        assert_eq!(code(house.access.password_remove(&by, &session, set.id).await), "invalid", "the only way in stays");
    }
}
