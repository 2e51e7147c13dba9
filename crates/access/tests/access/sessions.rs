//! Sessions of the console, and the passkeys that open them: who gets in, for how long, and what a changed database gives.

use access::{
    AccessError, Action, FRESH, OpenedSession, PasskeyAnswer, PasskeyEnrolment, Principal, Purpose,
    Registration, Resource, Role, SESSION_IDLE, SESSION_LIFE, Session, Use,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base::{Duration, Fault, OperatorId, Secret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ciborium::Value;
use serde_json::json;
use store::Realm;
use testkit::on_both_engines;

use crate::support::{House, ISSUER, call_from};

/// An authenticator with one credential, as a browser speaks for it.
pub(crate) struct Authenticator {
    pair: EcdsaKeyPair,
    credential: Vec<u8>,
    count: u32,
    user: Vec<u8>,
}

impl Authenticator {
    pub(crate) fn new(credential: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self { pair, credential: credential.as_bytes().to_vec(), count: 0, user: Vec::new() }
    }

    fn client_data(ceremony: &str, challenge: &str) -> Vec<u8> {
        json!({ "type": ceremony, "challenge": challenge, "origin": ISSUER, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn data(&self, flags: u8, rest: &[u8]) -> Vec<u8> {
        let party = digest(&SHA256, b"tenet.test");
        [party.as_ref(), &[flags], &self.count.to_be_bytes(), rest].concat()
    }

    pub(crate) fn create(&self, challenge: &str) -> Registration {
        let point = self.pair.public_key().as_ref();
        let number = |of: i64| Value::Integer(of.into());
        let bytes = |of: &[u8]| Value::Bytes(of.to_vec());
        let encode = |value: &Value| {
            let mut out = Vec::new();
            ciborium::into_writer(value, &mut out).unwrap();
            out
        };
        let key = encode(&Value::Map(vec![
            (number(1), number(2)),
            (number(3), number(-7)),
            (number(-1), number(1)),
            (number(-2), bytes(&point[1..33])),
            (number(-3), bytes(&point[33..])),
        ]));
        let length = (self.credential.len() as u16).to_be_bytes();
        let rest = [&[0u8; 16][..], &length, &self.credential, &key].concat();
        let attestation = encode(&Value::Map(vec![
            (Value::Text("fmt".into()), Value::Text("none".into())),
            (Value::Text("attStmt".into()), Value::Map(vec![])),
            (Value::Text("authData".into()), Value::Bytes(self.data(0x45, &rest))),
        ]));
        Registration {
            challenge: challenge.to_owned(),
            client_data: B64.encode(Self::client_data("webauthn.create", challenge)),
            attestation: B64.encode(attestation),
        }
    }

    pub(crate) fn get(&mut self, challenge: &str) -> PasskeyAnswer {
        self.count += 1;
        let client = Self::client_data("webauthn.get", challenge);
        let data = self.data(0x05, b"");
        let signed = [data.clone(), digest(&SHA256, &client).as_ref().to_vec()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        PasskeyAnswer {
            challenge: challenge.to_owned(),
            credential: B64.encode(&self.credential),
            client_data: B64.encode(client),
            authenticator_data: B64.encode(data),
            signature: B64.encode(signature.as_ref()),
            user_handle: B64.encode(&self.user),
        }
    }
}

impl House {
    /// A call from a private network.
    fn near(&self) -> access::Call {
        let mut call = self.call();
        call.peer.address = Some([10, 0, 0, 7].into());
        call
    }

    /// The administrator's session, opened by a code.
    async fn console(&self) -> OpenedSession {
        let code = self.access.session_code(&self.admin().await).await.unwrap().into_inner();
        self.access.session_by_code(&code.code, &self.near()).await.unwrap().into_inner()
    }

    async fn in_session(&self, opened: &OpenedSession) -> Result<(Principal, Session), AccessError> {
        self.access.authenticate_session(&opened.secret, &self.near(), Use::ByPerson).await
    }

    /// Adds a passkey in a session.
    pub(crate) async fn with_passkey(&self, opened: &OpenedSession, credential: &str) -> Authenticator {
        let (by, session) = self.in_session(opened).await.unwrap();
        let mut authenticator = Authenticator::new(credential);
        authenticator.user = session.operator.as_bytes().to_vec();
        let (challenge, _) = self.access.challenge(Purpose::Add, Some(session.operator)).unwrap();
        self.access.passkey_add(&by, "Laptop", &authenticator.create(&challenge)).await.unwrap().into_inner();
        authenticator
    }

    async fn by_passkey(&self, authenticator: &mut Authenticator) -> Result<OpenedSession, AccessError> {
        let (challenge, _) = self.access.challenge(Purpose::SignIn, None).unwrap();
        let answer = authenticator.get(&challenge);
        self.access.session_by_passkey(&answer, &self.call()).await.map(store::Committed::into_inner)
    }

    pub(crate) fn last(&self) -> String {
        self.acts_since(0).last().unwrap().clone()
    }
}

fn code<T: std::fmt::Debug>(of: Result<T, AccessError>) -> &'static str {
    of.unwrap_err().code()
}

on_both_engines! {
    async fn a_code_opens_one_session_as_its_operator(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let made = house.access.session_code(&admin).await.unwrap().into_inner();
        let from = house.events().len();
        let opened = house.access.session_by_code(&made.code, &house.near()).await.unwrap().into_inner();
        assert_eq!(house.acts_since(from), ["auth.succeed ok", "session.begin ok"]);
        let (by, session) = house.in_session(&opened).await.unwrap();
        assert_eq!((by.actor(), session.role), (admin.actor(), Role::Administrator.into()));
        assert!(house.access.authorize(&by, Action::AccountList, &Resource::new()).await.is_ok());
        assert_eq!(code(house.access.session_by_code(&made.code, &house.near()).await), "code-invalid");
        assert_eq!(house.last(), "auth.fail refused code-spent");
        let late = house.access.session_code(&admin).await.unwrap().into_inner();
        house.h.clock.advance(Duration::from_seconds(120));
        assert_eq!(code(house.access.session_by_code(&late.code, &house.near()).await), "code-invalid");
        // A challenge of another kind, or for another end, is no code.
        let (other, _) = house.access.challenge(Purpose::SignIn, Some(session.operator)).unwrap();
        assert_eq!(code(house.access.session_by_code(&Secret::new(other), &house.near()).await), "code-invalid");
        let (by, session) = house.in_session(&opened).await.unwrap();
        house.access.session_end(&by, &session).await.unwrap().into_inner();
        assert_eq!(code(house.in_session(&opened).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-ended");
    }

    async fn a_session_ends_by_itself(h: Harness) {
        let house = House::open(h).await;
        let idle = house.console().await;
        house.h.clock.advance(Duration::from_seconds(SESSION_IDLE.seconds() - 60));
        // A page that keeps itself up to date is nobody who is there.
        assert!(house.access.authenticate_session(&idle.secret, &house.near(), Use::ByPage).await.is_ok());
        house.h.clock.advance(Duration::from_seconds(60));
        assert_eq!(code(house.in_session(&idle).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-idle");
        let used = house.console().await;
        let mut spent = Duration::from_seconds(0);
        while spent < SESSION_LIFE {
            assert!(house.in_session(&used).await.is_ok(), "{spent:?}");
            house.h.clock.advance(Duration::from_seconds(1_200));
            spent = Duration::from_seconds(spent.seconds() + 1_200);
        }
        assert_eq!(code(house.in_session(&used).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-over");
        assert!(house.acts_since(0).contains(&"session.continue ok".to_owned()));
    }

    async fn on_a_public_network_only_a_passkey_opens(h: Harness) {
        let house = House::open(h).await;
        let by_code = house.console().await;
        let far = call_from(&house.h, 9);
        let refused = house.access.authenticate_session(&by_code.secret, &far, Use::ByPerson).await;
        assert_eq!(code(refused), "stronger-sign-in-needed");
        let mut authenticator = house.with_passkey(&by_code, "one").await;
        let strong = house.by_passkey(&mut authenticator).await.unwrap();
        assert!(house.access.authenticate_session(&strong.secret, &far, Use::ByPerson).await.is_ok());
    }

    async fn what_is_dangerous_waits_for_a_fresh_proof(h: Harness) {
        let house = House::open(h).await;
        let opened = house.console().await;
        let mut authenticator = house.with_passkey(&opened, "one").await;
        house.h.clock.advance(FRESH);
        let (by, session) = house.in_session(&opened).await.unwrap();
        let refused = house.access.account_create(&by, "Acme").await;
        assert_eq!(code(refused), "proof-needed");
        assert_eq!(house.last(), "access.deny refused proof-needed");
        assert!(house.access.account_list(&by, None, 10).await.is_ok(), "looking needs none");
        // For another operator, or another ceremony, it proves nothing.
        let (wrong, _) = house.access.challenge(Purpose::SignIn, Some(session.operator)).unwrap();
        let answer = authenticator.get(&wrong);
        assert_eq!(code(house.access.session_prove(&by, &session, &answer, &house.near()).await), "passkey-invalid");
        let (wrong, _) = house.access.challenge(Purpose::Prove, None).unwrap();
        let answer = authenticator.get(&wrong);
        assert_eq!(code(house.access.session_prove(&by, &session, &answer, &house.near()).await), "passkey-invalid");
        let (challenge, _) = house.access.challenge(Purpose::Prove, Some(session.operator)).unwrap();
        let answer = authenticator.get(&challenge);
        house.access.session_prove(&by, &session, &answer, &house.near()).await.unwrap().into_inner();
        assert_eq!(house.last(), "session.prove ok");
        let (by, _) = house.in_session(&opened).await.unwrap();
        assert!(house.access.account_create(&by, "Acme").await.is_ok());
        let again = house.access.session_prove(&by, &session, &answer, &house.near()).await;
        assert_eq!(code(again), "passkey-invalid", "each challenge once");
    }

    async fn a_passkey_proves_its_holder_and_nobody_else(h: Harness) {
        let house = House::open(h).await;
        let opened = house.console().await;
        let mut authenticator = house.with_passkey(&opened, "one").await;
        let (challenge, _) = house.access.challenge(Purpose::SignIn, None).unwrap();
        let answer = authenticator.get(&challenge);
        let call = house.call();
        assert!(house.access.session_by_passkey(&answer, &call).await.is_ok());
        assert_eq!(code(house.access.session_by_passkey(&answer, &call).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-counter");
        let mut other = Authenticator::new("one");
        other.count = 40;
        assert_eq!(code(house.by_passkey(&mut other).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-user");
        other.user = authenticator.user.clone();
        assert_eq!(code(house.by_passkey(&mut other).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-signature");
        assert_eq!(code(house.by_passkey(&mut Authenticator::new("two")).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-unknown");
        house.h.clock.advance(Duration::from_seconds(300));
        let answer = authenticator.get(&challenge);
        assert_eq!(code(house.access.session_by_passkey(&answer, &call).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-challenge");
        // The same credential is nobody else's too.
        let (by, session) = house.in_session(&house.console().await).await.unwrap();
        let (challenge, _) = house.access.challenge(Purpose::Add, Some(session.operator)).unwrap();
        let taken = house.access.passkey_add(&by, "Again", &authenticator.create(&challenge)).await;
        assert_eq!(code(taken), "key-taken");
        let foreign = OperatorId::from_bytes([9; 16]);
        let (challenge, _) = house.access.challenge(Purpose::Add, Some(foreign)).unwrap();
        let made = Authenticator::new("three").create(&challenge);
        assert_eq!(code(house.access.passkey_add(&by, "Three", &made).await), "passkey-invalid");
        assert_eq!(house.last(), "passkey.add refused passkey-challenge");
    }

    async fn removing_a_passkey_ends_what_was_opened_with_it(h: Harness) {
        let house = House::open(h).await;
        let opened = house.console().await;
        let mut authenticator = house.with_passkey(&opened, "one").await;
        let elsewhere = house.by_passkey(&mut authenticator).await.unwrap();
        let (by, session) = house.in_session(&opened).await.unwrap();
        let id = house.access.passkeys(&by).await.unwrap()[0].id;
        house.access.passkey_remove(&by, &session, id).await.unwrap().into_inner();
        assert_eq!(code(house.in_session(&elsewhere).await), "session-invalid");
        assert!(house.in_session(&opened).await.is_ok(), "but this one");
        assert_eq!(code(house.by_passkey(&mut authenticator).await), "passkey-invalid");
        assert_eq!(code(house.access.passkey_remove(&by, &session, id).await), "not-found");
    }

    async fn who_enrols_with_a_passkey_has_no_other_way_in(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Security).await.unwrap().into_inner();
        let operator = OperatorId::new(&house.h.context).unwrap();
        let (challenge, _) = house.access.challenge(Purpose::Enrol, Some(operator)).unwrap();
        let mut authenticator = Authenticator::new("one");
        authenticator.user = operator.as_bytes().to_vec();
        let enrolment = PasskeyEnrolment {
            secret: Secret::new(link.secret.expose().clone()),
            name: "Sam Okoro".to_owned(),
            registration: authenticator.create(&challenge),
        };
        let from = house.events().len();
        let opened = house.access.enrol_by_passkey(enrolment.clone(), &house.call()).await.unwrap().into_inner();
        assert_eq!(
            house.acts_since(from),
            ["operator.enrol ok", "passkey.add ok", "auth.succeed ok", "session.begin ok"]
        );
        let (by, session) = house.access.authenticate_session(&opened.secret, &house.call(), Use::ByPerson).await.unwrap();
        assert_eq!((session.operator, session.role), (operator, Role::Security.into()));
        assert_eq!(code(house.access.enrol_by_passkey(enrolment, &house.call()).await), "link-invalid");
        assert!(house.by_passkey(&mut authenticator).await.is_ok());
        let id = house.access.passkeys(&by).await.unwrap()[0].id;
        assert_eq!(code(house.access.passkey_remove(&by, &session, id).await), "invalid", "the only way in stays");
        assert_eq!(house.last(), "passkey.remove refused last-way-in");
        let denied = house.access.account_create(&by, "Acme").await;
        assert_eq!(code(denied), "access-denied", "duties are apart");
    }

    async fn access_that_has_an_end_ends(h: Harness) {
        let house = House::open(h).await;
        let ends = house.h.context.now() + Duration::from_days(14);
        let admin = house.admin().await;
        let late = house.access.link_create_until(&admin, Role::Auditor, Some(house.h.context.now())).await;
        assert_eq!(code(late), "invalid");
        let link = house.access.link_create_until(&admin, Role::Auditor, Some(ends)).await.unwrap().into_inner();
        let auditor = crate::support::enrol(&house.h, &house.access, link.secret, 2).await.unwrap();
        let token = house.sign_in(&auditor).await.unwrap();
        let by = house.authenticate(&token).await.unwrap();
        let made = house.access.session_code(&by).await.unwrap().into_inner();
        let opened = house.access.session_by_code(&made.code, &house.near()).await.unwrap().into_inner();
        house.h.clock.advance(Duration::from_seconds(14 * 86_400 - 60));
        let token = house.sign_in(&auditor).await.unwrap();
        let made = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let short = house.access.session_by_code(&made.code, &house.near()).await.unwrap().into_inner();
        assert_eq!(short.session.ends, ends, "no session outlasts it");
        house.h.clock.advance(Duration::from_seconds(60));
        assert_eq!(code(house.in_session(&short).await), "session-invalid");
        assert_eq!(code(house.in_session(&opened).await), "session-invalid");
        assert_eq!(code(house.authenticate(&token).await), "token-invalid");
        assert_eq!(code(house.sign_in(&auditor).await), "client-invalid");
        // Who writes to the database gives nobody more time.
        house.h.tamper(Realm::Data, "UPDATE operator SET ends_at = NULL WHERE name = 'Operator 2'");
        let token = house.sign_in(&auditor).await;
        assert!(token.is_err() || house.authenticate(&token.unwrap()).await.is_err());
    }

    async fn who_has_access_for_a_while_gives_none_for_longer_and_keeps_no_house(h: Harness) {
        let house = House::open(h).await;
        let ends = house.h.context.now() + Duration::from_days(1);
        let admin = house.admin().await;
        let link = house.access.link_create_until(&admin, Role::Administrator, Some(ends)).await.unwrap().into_inner();
        let brief = crate::support::enrol(&house.h, &house.access, link.secret, 2).await.unwrap();
        let token = house.sign_in(&brief).await.unwrap();
        let by = house.authenticate(&token).await.unwrap();
        let own = house.access.operator_revoke(&admin, house.administrator.id.parse().unwrap()).await;
        assert_eq!(code(own), "last-administrator", "one whose access ends does not count");
        let link = house.access.link_create(&by, Role::Administrator).await.unwrap().into_inner();
        assert_eq!(link.access_ends, Some(ends));
        house.h.clock.advance(Duration::from_days(1));
        let late = crate::support::enrol(&house.h, &house.access, link.secret, 3).await;
        assert_eq!(late.err().unwrap().code(), "link-invalid");
    }

    async fn a_changed_database_makes_no_session_and_no_passkey(h: Harness) {
        let house = House::open(h).await;
        let opened = house.console().await;
        house.h.clock.advance(FRESH);
        let later = house.h.context.now().micros();
        house.h.tamper(Realm::Data, &format!("UPDATE console_session SET proved_at = {later}"));
        assert_eq!(code(house.in_session(&opened).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-unexplained");
        for change in ["ends_at = ends_at + 86400000000", "method = 'passkey'"] {
            let opened = house.console().await;
            house.h.tamper(Realm::Data, &format!("UPDATE console_session SET {change} WHERE ended_at IS NULL"));
            assert_eq!(code(house.in_session(&opened).await), "session-invalid", "{change}");
        }
        let opened = house.console().await;
        let mut authenticator = house.with_passkey(&opened, "one").await;
        let auditor = house.invite(Role::Auditor, 2).await;
        let token = house.sign_in(&auditor).await.unwrap();
        let other = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let other = house.access.session_by_code(&other.code, &house.near()).await.unwrap().into_inner();
        let mut theirs = house.with_passkey(&other, "two").await;
        // The auditor's passkey becomes the administrator's, by whoever writes to the database.
        theirs.user = authenticator.user.clone();
        house.h.tamper(
            Realm::Data,
            "UPDATE passkey SET operator = (SELECT id FROM operator WHERE role = 'administrator') WHERE operator = \
             (SELECT id FROM operator WHERE name = 'Operator 2')",
        );
        assert_eq!(code(house.by_passkey(&mut theirs).await), "passkey-invalid");
        assert_eq!(house.last(), "auth.fail refused passkey-unexplained");
        let told = house.acts_since(0).iter().filter(|act| act.starts_with("integrity.violation")).count();
        assert_eq!(told, 1);
        assert!(house.by_passkey(&mut authenticator).await.is_ok(), "the others are as they were");
    }

    async fn a_revoked_operator_is_out_of_every_session(h: Harness) {
        let house = House::open(h).await;
        let second = house.invite(Role::Administrator, 2).await;
        let token = house.sign_in(&second).await.unwrap();
        let made = house.access.session_code(&house.authenticate(&token).await.unwrap()).await.unwrap().into_inner();
        let opened = house.access.session_by_code(&made.code, &house.near()).await.unwrap().into_inner();
        let admin = house.admin().await;
        house.access.operator_revoke(&admin, second.id.parse().unwrap()).await.unwrap().into_inner();
        assert_eq!(code(house.in_session(&opened).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-ended");
    }
}
