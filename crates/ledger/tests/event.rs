//! The event's JSON: its golden form, its bounds, and that what is written is read back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing wrong")]

use base::{AccountId, Actor, ClientId, EventId, OperatorId, RepositoryId, RequestId, ServerId, Timestamp};
use ledger::{
    Act, Activity, Commitment, DetailValue, Event, EventError, Interface, MAX_EVENT_BYTES, ObjectRef, Origin,
    Outcome, OutcomeView, SealedContext,
};
use proptest::prelude::*;

fn commitment(byte: u8) -> Commitment {
    Commitment::from_bytes([byte; 32])
}

fn origin(actor: Actor) -> Origin {
    Origin {
        actor,
        account: Some(AccountId::from_bytes([1; 16])),
        request: RequestId::from_bytes([2; 16]),
        server: ServerId::from_bytes([3; 16]),
        subsystem: "vault",
        interface: Interface::Api,
        sealed: Some(SealedContext { commitment: commitment(0xab), bytes: b"sealed".to_vec() }),
    }
}

fn record() -> ObjectRef {
    ObjectRef::new("record", base::RecordId::from_bytes([4; 16]))
        .in_account(AccountId::from_bytes([1; 16]))
        .in_repository(RepositoryId::from_bytes([5; 16]))
        .classified("confidential")
}

fn event(origin: Origin, act: Act) -> Event {
    Event::new(EventId::from_bytes([6; 16]), Timestamp::from_micros(1_790_000_000_123_456), origin, act)
}

/// The leaf as text, with the product's version left open.
fn leaf(event: &Event) -> String {
    let version = format!("\"version\":\"{}\",\"feature\"", env!("CARGO_PKG_VERSION"));
    let text = String::from_utf8(event.encode()).unwrap();
    assert!(text.contains(&version));
    text.replace(&version, "\"version\":\"[version]\",\"feature\"")
}

fn pretty(event: &Event) -> String {
    let value: serde_json::Value = serde_json::from_str(&leaf(event)).unwrap();
    serde_json::to_string_pretty(&sorted(value)).unwrap()
}

/// Whether a JSON object keeps its order is decided by the features of the whole build.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let members: std::collections::BTreeMap<_, _> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.into_iter().collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[test]
fn the_golden_update() {
    let act = Act::new(Activity::RecordUpdate, record())
        .before(commitment(0x11))
        .after(commitment(0x22))
        .decided_by(vec!["records.owner-writes".to_owned()])
        .key(base::DataKeyId::from_bytes([7; 16]), "seal")
        .detail("version", 2i64)
        .detail("searchable", true)
        .detail("note", "a \"word\"");
    let event = event(origin(Actor::Client(ClientId::from_bytes([8; 16]))), act);
    insta::assert_snapshot!("update", leaf(&event));
    insta::assert_snapshot!("update_pretty", pretty(&event));
}

#[test]
fn the_golden_refusal() {
    let act = Act::refused(Activity::RecordErase, record(), "legal-hold", Some("DD-1"));
    insta::assert_snapshot!(pretty(&event(origin(Actor::Operator(OperatorId::from_bytes([9; 16]))), act)));
}

#[test]
fn the_golden_start() {
    let server = ServerId::from_bytes([3; 16]);
    let origin = Origin {
        account: None,
        interface: Interface::Startup,
        sealed: None,
        ..origin(Actor::System(server))
    };
    let act = Act::new(Activity::ServerStart, ObjectRef::new("server", server));
    insta::assert_snapshot!(pretty(&event(origin, act)));
}

/// Names and numbers stand in logs for ever: a line may be added, none may change.
#[test]
fn the_golden_catalogue() {
    let lines = Activity::ALL.iter().map(|one| {
        let (class, severity) = (one.class_name(), one.severity().id());
        format!(
            "{one:<24} {:<6} {class}: {} | {severity} | {}\n",
            one.type_uid(),
            one.activity_name(),
            one.clauses().join(" ")
        )
    });
    insta::assert_snapshot!(lines.collect::<String>());
}

#[test]
fn every_activity_reads_back_with_every_outcome() {
    for activity in Activity::ALL {
        let acts = [
            Act::new(*activity, record()),
            Act::refused(*activity, record(), "why", None),
            Act::refused(*activity, record(), "why", Some("CD-8")),
            Act::failed(*activity, record(), "why"),
        ];
        for act in acts {
            for actor in [Actor::Anonymous, Actor::System(ServerId::from_bytes([3; 16]))] {
                for sealed in [None, origin(actor).sealed] {
                    let event = event(Origin { sealed, ..origin(actor) }, act.clone());
                    assert_reads_back(&event);
                }
            }
        }
    }
}

/// Every element of EL-1 and EL-3 comes back as it went in.
fn assert_reads_back(event: &Event) {
    let leaf = event.encode();
    let view =
        Event::decode(&leaf).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&leaf)));
    let (origin, act) = (event.origin(), event.act());
    assert_eq!(view.id, event.id());
    assert_eq!(view.time, event.time());
    assert_eq!(view.activity, event.activity().name());
    assert_eq!(view.class_uid, event.activity().class_uid());
    assert_eq!(view.severity_id, event.severity().id());
    assert_eq!((view.actor, view.account), (origin.actor, origin.account));
    assert_eq!((view.request, view.server), (origin.request, origin.server));
    assert_eq!((view.subsystem.as_str(), view.interface), (origin.subsystem, origin.interface));
    assert_eq!(view.context, origin.sealed.as_ref().map(|sealed| sealed.commitment));
    assert_eq!(
        (view.object.kind.as_str(), view.object.id.as_str()),
        (act.object().kind(), act.object().id())
    );
    let outcome = match act.outcome() {
        Outcome::Success => OutcomeView::Success,
        Outcome::Refused { reason, clause } => {
            OutcomeView::Refused { reason: reason.to_owned(), clause: clause.map(str::to_owned) }
        }
        Outcome::Failed { reason } => OutcomeView::Failed { reason: reason.to_owned() },
    };
    assert_eq!(view.outcome, outcome);
}

/// The largest event that can be made: every bound reached, every character escaped sixfold.
#[test]
fn the_largest_event_fits() {
    let names: Vec<&'static str> =
        (0..40).map(|n| &*Box::leak(format!("{}{n:02}", "\u{1}".repeat(90)).into_boxed_str())).collect();
    let long = "\u{1}".repeat(10_000);
    let object = ObjectRef::new(Box::leak(long.clone().into_boxed_str()), &long)
        .in_account(AccountId::from_bytes([1; 16]))
        .in_repository(RepositoryId::from_bytes([1; 16]))
        .classified(&long);
    let reason: &'static str = Box::leak(long.clone().into_boxed_str());
    let mut act = Act::refused(Activity::RecordRead, object, reason, Some(reason))
        .before(commitment(1))
        .after(commitment(2))
        .decided_by(vec![long.clone(); 100])
        .key(&long, reason);
    for name in names {
        act = act.detail(name, long.as_str());
    }
    let leaf = event(Origin { subsystem: reason, ..origin(Actor::Anonymous) }, act).encode();
    assert!(leaf.len() <= MAX_EVENT_BYTES, "{}", leaf.len());
    assert!(serde_json::from_slice::<serde_json::Value>(&leaf).is_ok());
}

#[test]
fn what_is_not_an_event_is_refused() {
    let act = Act::new(Activity::RecordRead, record()).detail("count", 1i64);
    let text = String::from_utf8(event(origin(Actor::Anonymous), act).encode()).unwrap();
    assert!(Event::decode(text.as_bytes()).is_ok());
    for (from, to) in [
        ("\"activity_id\":2", "\"activity_id\":1"),
        ("\"class_uid\":6003", "\"class_uid\":6002"),
        ("\"category_uid\":6", "\"category_uid\":5"),
        ("\"severity_id\":1", "\"severity_id\":0"),
        ("\"time\":1790000000123", "\"time\":1790000000124"),
        ("\"log_version\":\"1\"", "\"log_version\":\"2\""),
        ("record.read", "record.list"),
        ("\"evt_", "\"rec_"),
        ("\"status\":\"Success\"", "\"status\":\"Failure\""),
        ("\"action_id\":1", "\"action_id\":2"),
        ("\"interface\":\"api\"", "\"interface\":\"fax\""),
        ("{\"count\":1}", "{\"count\":1,\"count\":2}"),
        ("{\"count\":1}", "{\"count\":1.5}"),
        ("{\"count\":1}", "{\"count\":{}}"),
        ("{\"count\":1}", "{\"count\":9223372036854775808}"),
        (",\"resources\"", ",\"name\":\"Jane\",\"resources\""),
        (",\"api\":{", ",\"app\":{\"name\":\"Tenet\",\"vendor_name\":\"Tenet\"},\"api\":{"),
        ("\"unmapped\":{", "\"unmapped\":{\"clause\":\"DD-1\","),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(Event::decode(text.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
    }
    assert!(Event::decode(&text.as_bytes()[1..]).is_err());
    assert!(Event::decode(format!("{text}x").as_bytes()).is_err());
    assert_eq!(Event::decode(&vec![b' '; MAX_EVENT_BYTES + 1]), Err(EventError::Long(MAX_EVENT_BYTES + 1)));
}

#[test]
fn an_activity_of_a_later_version_is_read() {
    let act = Act::new(Activity::RecordRead, record());
    let text = String::from_utf8(event(origin(Actor::Anonymous), act).encode()).unwrap();
    let later = text.replace("record.read", "record.weigh");
    assert_eq!(Event::decode(later.as_bytes()).unwrap().activity, "record.weigh");
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Success),
        Just(Outcome::Refused { reason: "r", clause: None }),
        Just(Outcome::Refused { reason: "r", clause: Some("RR-5") }),
        Just(Outcome::Failed { reason: "r" }),
    ]
}

fn any_actor() -> impl Strategy<Value = Actor> {
    any::<([u8; 16], u8)>().prop_map(|(id, kind)| match kind % 4 {
        0 => Actor::Client(ClientId::from_bytes(id)),
        1 => Actor::Operator(OperatorId::from_bytes(id)),
        2 => Actor::System(ServerId::from_bytes(id)),
        _ => Actor::Anonymous,
    })
}

proptest! {
    #[test]
    fn any_event_reads_back(
        activity in proptest::sample::select(Activity::ALL), outcome in any_outcome(), actor in any_actor(),
        micros in -60_000_000_000_000_000i64..250_000_000_000_000_000, id in ".{0,80}", text in ".{0,80}",
        number: i64, account: Option<[u8; 16]>, sealed: Option<[u8; 32]>, before: Option<[u8; 32]>,
    ) {
        let object = ObjectRef::new("thing", &id);
        let mut act = match outcome {
            Outcome::Success => Act::new(activity, object),
            Outcome::Refused { reason, clause } => Act::refused(activity, object, reason, clause),
            Outcome::Failed { reason } => Act::failed(activity, object, reason),
        };
        act = act.detail("text", text.as_str()).detail("number", number).detail("flag", true);
        if let Some(before) = before {
            act = act.before(Commitment::from_bytes(before)).key(&text, "open").decided_by(vec![id.clone(), text.clone()]);
        }
        let sealed = sealed.map(|bytes| SealedContext { commitment: Commitment::from_bytes(bytes), bytes: vec![] });
        let origin = Origin { account: account.map(AccountId::from_bytes), sealed, ..origin(actor) };
        let event = Event::new(EventId::from_bytes([6; 16]), Timestamp::from_micros(micros), origin, act);
        assert_reads_back(&event);
        let view = Event::decode(&event.encode()).unwrap();
        if text.len() <= 250 && text.chars().all(|c| c >= ' ' && c != '"' && c != '\\') {
            prop_assert_eq!(&view.details[0], &("text".to_owned(), DetailValue::Text(text.clone())));
        }
        prop_assert_eq!(&view.details[1].1, &DetailValue::Number(number));
        prop_assert_eq!(view.before, before.map(Commitment::from_bytes));
        prop_assert_eq!(view.policies.len(), if before.is_some() { 2 } else { 0 });
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes: Vec<u8>) {
        let _ = Event::decode(&bytes);
    }

    #[test]
    fn an_altered_event_is_decoded_without_panic(at in 0usize..1_200, byte: u8) {
        let act = Act::new(Activity::RecordRead, record()).detail("count", 1i64);
        let mut leaf = event(origin(Actor::Anonymous), act).encode();
        let at = at % leaf.len();
        leaf[at] = byte;
        let _ = Event::decode(&leaf);
    }
}
