//! An installation with its watch, and operators who use it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use access::{
    ASSERTION_TYPE, Access, Call, Config, Credential, Enrolment, Peer, Principal, Role, SigningKey,
    ThrottleLimits, TokenRequest,
};
use base::{Actor, Duration, EventId, RequestId, Scheme, Secret, SecretBytes, Timestamp};
use keys::{FileProvider, Keys, Limits};
use ledger::{Act, Event, EventView, Interface, LogSigner, OutcomeView};
use policy::{Answers, Files, Framework, Observed, Seen, State, starter};
use store::{Realm, Sequencer, SystemScope};
use testkit::Harness;
use watch::{Assessed, Attestation, Sight, Version, Watch, WatchError};

const ISSUER: &str = "https://tenet.test";
const ENDPOINT: &str = "https://tenet.test/v1/token";

/// A server, its watch, and Ann, who is its first administrator.
pub(crate) struct House {
    pub(crate) h: Harness,
    pub(crate) access: Access,
    pub(crate) watch: Watch,
    pub(crate) ann: Person,
}

/// An operator's key and id.
pub(crate) struct Person {
    key: SigningKey,
    pub(crate) id: String,
}

impl House {
    pub(crate) async fn open(h: Harness) -> Self {
        Self::running(h, Observed::default(), &[]).await
    }

    /// One that runs with that, and without those controls.
    pub(crate) async fn running(h: Harness, running: Observed, absent: &[&str]) -> Self {
        let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
        let (data, mint) = (h.data.clone(), h.another_mint().await);
        let keys = Keys::open(data.clone(), h.keys.clone(), mint, Arc::new(provider), Limits::default());
        let config = Config {
            issuer: ISSUER.into(),
            audience: ISSUER.into(),
            addresses: vec![ISSUER.into()],
            token_endpoints: vec![ENDPOINT.into()],
            scheme: Scheme::default(),
            throttle: ThrottleLimits::default(),
            sign_in: access::SignIn::default(),
        };
        let keys = keys.await.unwrap();
        let access = Access::open(data, h.another_mint().await, keys, h.context.clone(), config);
        let access = access.await.unwrap();
        let link = access.enrolment_link().await.unwrap().expect("a link on the first start").into_inner();
        let ann = enrol(&h, &access, link.secret, 1).await;
        let absent: BTreeSet<String> = absent.iter().map(|one| (*one).to_owned()).collect();
        let watch = Watch::open(h.data.clone(), access.clone(), running, |_| absent).unwrap();
        Self { h, access, watch, ann }
    }

    /// The same, as a server sees it that runs with that.
    pub(crate) fn watch_that_runs(&self, running: Observed) -> Watch {
        Watch::open(self.h.data.clone(), self.access.clone(), running, |_| BTreeSet::new()).unwrap()
    }

    /// An operator, invited by Ann. Each has a seed of their own, from 2.
    pub(crate) async fn invite(&self, role: Role, seed: u8) -> Person {
        let link = self.access.link_create(&self.by(&self.ann).await, role).await.unwrap().into_inner();
        enrol(&self.h, &self.access, link.secret, seed).await
    }

    /// That operator, signed in now.
    pub(crate) async fn by(&self, person: &Person) -> Principal {
        let call = call(&self.h);
        let token = self.access.token(assertion(&self.h, person), &call).await.unwrap().into_inner();
        self.access.authenticate(token.token.expose(), &call).await.unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.h.context.now()
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.h.clock.advance(Duration::from_days(days));
    }

    /// The scope of the server's own acts.
    pub(crate) fn server(&self) -> SystemScope {
        self.access.server_scope(Interface::Startup, "server", "a test").unwrap()
    }

    /// A probe saw that, now. A microsecond passes, so that no two are of one instant.
    pub(crate) async fn saw(&self, check: &str, seen: Seen) {
        let sight = match seen {
            Seen::Pass => Sight::whether(true, "as it should be"),
            Seen::Fail => Sight::whether(false, "not as it should be"),
            Seen::Unknown => Sight::unknown("nobody could tell"),
        };
        self.watch.observe(&self.server(), check, &sight).await.unwrap().into_inner();
        self.h.clock.advance(Duration::from_micros(1));
    }

    /// What is known now, or then.
    pub(crate) async fn known(&self, at: Option<Timestamp>) -> Assessed {
        self.watch.assess(&self.by(&self.ann).await, None, at).await.unwrap()
    }

    /// What is known of a check now.
    pub(crate) async fn state(&self, check: &str) -> State {
        state(&self.known(None).await, check)
    }

    /// Whether a version was put up as it should be.
    pub(crate) async fn propose(&self, by: &Person, files: Files) -> Result<Version, WatchError> {
        self.watch.propose(&self.by(by).await, files).await.map(store::Committed::into_inner)
    }

    pub(crate) async fn approve(&self, by: &Person, version: &Version) -> Result<Version, WatchError> {
        self.watch.approve(&self.by(by).await, version.version, &version.sha256).await
    }

    /// Put up by one, approved by another.
    pub(crate) async fn adopt(&self, by: &Person, other: &Person, files: Files) -> Version {
        let version = self.propose(by, files).await.unwrap();
        let version = self.approve(other, &version).await.unwrap();
        assert!(version.adopted_at.is_some());
        version
    }

    /// What waits enters the log.
    pub(crate) async fn sequence(&self) {
        let signer = Arc::new(LogSigner::new("log.test/watch", &Secret::new([7; 32])).unwrap());
        Sequencer::new(self.h.data.clone(), signer).unwrap().drain().await.unwrap();
    }

    /// Every event so far, in order.
    pub(crate) fn events(&self) -> Vec<EventView> {
        let rows = self.h.tamper(Realm::Data, "SELECT leaf FROM event ORDER BY seq");
        rows.iter().map(|row| Event::decode(&bytes(row)).unwrap()).collect()
    }

    /// The names and outcomes of the acts on the policy since then: `policy.propose refused policy-faulty`. Not those of
    /// signing in, and of keys.
    pub(crate) fn acts_since(&self, from: usize) -> Vec<String> {
        let nouns = ["policy", "evidence", "finding", "exception", "access"];
        let events = self.events().into_iter().skip(from);
        let ours = events.filter(|event| nouns.contains(&event.activity.split('.').next().unwrap()));
        ours.map(|event| format!("{} {}", event.activity, outcome(&event))).collect()
    }

    /// The last of them.
    pub(crate) fn last_act(&self) -> String {
        self.acts_since(0).pop().unwrap()
    }

    /// An event that nobody recorded.
    pub(crate) fn made_up(&self, actor: Actor, act: Act) -> EventView {
        Event::decode(&self.leaf(EventId::new(&self.h.context).unwrap(), actor, act)).unwrap()
    }

    pub(crate) fn leaf(&self, id: EventId, actor: Actor, act: Act) -> Vec<u8> {
        Event::new(id, self.now(), self.h.origin(actor), act).encode()
    }
}

fn outcome(event: &EventView) -> String {
    match &event.outcome {
        OutcomeView::Success => "ok".into(),
        OutcomeView::Refused { reason, .. } => format!("refused {reason}"),
        OutcomeView::Failed { reason } => format!("failed {reason}"),
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is known of a check.
pub(crate) fn state(known: &Assessed, check: &str) -> State {
    known.assessment.check(check).unwrap_or_else(|| panic!("`{check}` was not asked")).state
}

/// What is known of a clause.
pub(crate) fn clause<'a>(known: &'a Assessed, id: &str) -> &'a policy::ClauseState {
    known.assessment.clauses.iter().find(|one| one.clause.as_str() == id).unwrap()
}

/// The day of the calendar, at midnight.
pub(crate) fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

/// That a person saw something now, and it was so.
pub(crate) fn attestation(check: &str) -> Attestation {
    Attestation {
        check: check.to_owned(),
        effective: None,
        collected: None,
        holds: true,
        examined: 3,
        failed: 0,
        summary: "three were looked at".to_owned(),
        document: None,
    }
}

/// A policy with everything filled in, for all frameworks.
pub(crate) fn files(version: u32, effective: &str) -> Files {
    let catalogue = policy::Catalogue::load().unwrap();
    let answers = Answers {
        company: "Acme, Inc.".into(),
        author: "Ann Author".into(),
        frameworks: Framework::ALL.to_vec(),
        effective: effective.into(),
        next_review: "2027-12-01".into(),
    };
    let mut files = starter(&catalogue, &answers);
    let parameters = catalogue.parameters().iter();
    let parameters: String = parameters.map(|one| format!("{} = {}\n", one.name, one.example)).collect();
    files.insert("parameters.toml".into(), parameters);
    let decisions = files["decisions.toml"]
        .replace("date = \"TODO\"", "date = \"2025-12-20\"")
        .replace("\"TODO\"", "\"Sam Security looked at it\"");
    files.insert("decisions.toml".into(), decisions);
    edited(files, "policy.toml", "version = 1\n", &format!("version = {version}\n"))
}

/// The files with a text of one replaced.
pub(crate) fn edited(mut files: Files, file: &str, from: &str, to: &str) -> Files {
    let text = &files[file];
    assert!(text.contains(from), "{file} has no `{from}`:\n{text}");
    let text = text.replacen(from, to, 1);
    files.insert(file.into(), text);
    files
}

/// The files, with own words for a clause.
pub(crate) fn worded(mut files: Files, clause: &str, words: &str) -> Files {
    let text = files["wording.toml"].clone() + &format!("\"{clause}\" = \"{words}\"\n");
    files.insert("wording.toml".into(), text);
    files
}

fn call(h: &Harness) -> Call {
    Call {
        peer: Peer { address: Some([192, 0, 2, 1].into()), tool: "test/1".into() },
        request: RequestId::new(&h.context).unwrap(),
        subsystem: "test",
    }
}

fn assertion(h: &Harness, person: &Person) -> TokenRequest {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = h.context.now().seconds();
    let jti = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let id = &person.id;
    let claims = serde_json::json!({
        "iss": id, "sub": id, "aud": ENDPOINT, "jti": jti, "iat": now, "exp": now + 60
    });
    let assertion = Secret::new(person.key.sign("JWT", &claims).unwrap());
    TokenRequest {
        grant: "client_credentials".into(),
        credential: Credential::Assertion { client: None, assertion_type: ASSERTION_TYPE.into(), assertion },
        account: None,
        scope: None,
        audiences: Vec::new(),
    }
}

pub(crate) async fn enrol(h: &Harness, access: &Access, secret: Secret<String>, seed: u8) -> Person {
    let key = SigningKey::from_seed(&SecretBytes::new(vec![seed; 32])).unwrap();
    let enrolment = Enrolment { secret, key: key.public(), name: format!("Operator {seed}") };
    let operator = access.enrol(enrolment, &call(h)).await.unwrap();
    Person { key, id: operator.id.to_string() }
}
