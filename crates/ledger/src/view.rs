//! Reading an event back from the log: for the verifier, the console and people who check. Strict:
//! a leaf with anything that this version doesn't know is refused, not half understood.

use base::{AccountId, Actor, EventId, Fault, Kind, RepositoryId, RequestId, ServerId, Timestamp};

use crate::{Commitment, DetailValue, Event, Interface, MAX_EVENT_BYTES, canonical::Canonical, leaf::Leaf};

/// An event as read from a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// What was done: the name of an [`Activity`](crate::Activity), or one that a later version knows.
    pub activity: String,
    /// OCSF's number of its class.
    pub class_uid: u32,
    /// OCSF's number of its severity.
    pub severity_id: u8,
    /// Who acted.
    pub actor: Actor,
    /// The account in which it happened.
    pub account: Option<AccountId>,
    /// The request that it was part of.
    pub request: RequestId,
    /// The server that carried it out.
    pub server: ServerId,
    /// The version of Tenet that carried it out.
    pub product_version: String,
    /// The part of Tenet that carried it out.
    pub subsystem: String,
    /// By which way it came in.
    pub interface: Interface,
    /// A commitment to the peer's address and tool.
    pub context: Option<Commitment>,
    /// To which object.
    pub object: ObjectView,
    /// With what outcome.
    pub outcome: OutcomeView,
    /// A commitment to the value before.
    pub before: Option<Commitment>,
    /// A commitment to the value after.
    pub after: Option<Commitment>,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// The key that was used, and its purpose.
    pub key: Option<(String, String)>,
    /// Whether the server's clock was not known to be right.
    pub clock_doubtful: bool,
    /// Details, in the order they were given.
    pub details: Vec<(String, DetailValue)>,
}

impl EventView {
    fn detail<'a, T>(&'a self, wanted: &str, of: impl Fn(&'a DetailValue) -> Option<T>) -> Option<T> {
        self.details.iter().filter(|(name, _)| name == wanted).find_map(|(_, value)| of(value))
    }
    /// The text of a detail, if it has that one and it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.detail(name, |value| match value {
            DetailValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
    /// The number of a detail, if it has that one and it is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.detail(name, |value| match value {
            DetailValue::Number(number) => Some(*number),
            _ => None,
        })
    }
    /// The same, if it is not negative.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.number(name).and_then(|number| u64::try_from(number).ok())
    }
}

/// The object of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectView {
    /// The word for its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: Option<AccountId>,
    /// In which repository it is.
    pub repository: Option<RepositoryId>,
    /// The name of its classification.
    pub classification: Option<String>,
}

/// How the act ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeView {
    /// Allowed, and done.
    Success,
    /// Not allowed.
    Refused {
        /// Why.
        reason: String,
        /// The clause that refuses.
        clause: Option<String>,
    },
    /// Allowed, and failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A leaf that is not an event of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Longer than any event.
    #[error("the entry has {0} bytes: an event has at most {MAX_EVENT_BYTES}")]
    Long(usize),
    /// Not JSON of the shape of an event.
    #[error("the entry is not an event: {0}")]
    Shape(String),
    /// Parts that contradict one another.
    #[error("the entry is not an event: {0}")]
    Contradiction(&'static str),
}

impl Fault for EventError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Long(_) => "event-long",
            Self::Shape(_) => "event-shape",
            Self::Contradiction(_) => "event-contradiction",
        }
    }
}

impl Event {
    /// Reads a leaf.
    pub fn decode(leaf: &[u8]) -> Result<EventView, EventError> {
        read(leaf)?.view()
    }

    /// Whether a leaf is an event, without building the view.
    pub(crate) fn check(leaf: &[u8], quick: &mut Canonical) -> Result<(), EventError> {
        if quick.accepts(leaf) { Ok(()) } else { read(leaf)?.check() }
    }
}

fn read(leaf: &[u8]) -> Result<Leaf<'_>, EventError> {
    if leaf.len() > MAX_EVENT_BYTES {
        return Err(EventError::Long(leaf.len()));
    }
    serde_json::from_slice(leaf).map_err(|error| EventError::Shape(error.to_string()))
}

impl Leaf<'_> {
    fn view(self) -> Result<EventView, EventError> {
        self.check()?;
        let object = self.object().ok_or(EventError::Contradiction("there is not exactly one object"))?;
        let data = object.data.as_ref();
        let object = ObjectView {
            kind: object.kind.to_string(),
            id: object.uid.to_string(),
            account: parsed(data.and_then(|data| data.account.as_deref()))?,
            repository: parsed(data.and_then(|data| data.repository.as_deref()))?,
            classification: data.and_then(|data| data.classification.as_deref()).map(str::to_owned),
        };
        let context = self.src_endpoint.as_ref().filter(|source| *source.uid != *self.device.uid);
        Ok(EventView {
            id: required(&self.metadata.uid)?,
            time: self.time_dt,
            activity: self.metadata.event_code.to_string(),
            class_uid: self.class_uid,
            severity_id: self.severity_id,
            actor: required(&self.actor.user.uid)?,
            account: parsed(self.metadata.tenant_uid.as_deref())?,
            request: required(&self.metadata.correlation_uid)?,
            server: required(&self.device.uid)?,
            product_version: self.metadata.product.version.to_string(),
            subsystem: self.metadata.product.feature.name.to_string(),
            interface: Interface::from_word(&self.unmapped.interface)
                .ok_or(EventError::Contradiction("its interface is unknown"))?,
            context: parsed(context.map(|source| &*source.uid))?,
            object,
            outcome: self.outcome()?,
            before: parsed(self.unmapped.before.as_deref())?,
            after: parsed(self.unmapped.after.as_deref())?,
            policies: self
                .actor
                .authorizations
                .iter()
                .flatten()
                .map(|one| one.policy.uid.to_string())
                .collect(),
            clock_doubtful: self.unmapped.clock.is_some(),
            key: self.unmapped.key.map(|key| (key.uid.to_string(), key.purpose.to_string())),
            details: self.unmapped.detail.into_values(),
        })
    }

    fn outcome(&self) -> Result<OutcomeView, EventError> {
        let reason = || self.status_code.as_deref().unwrap_or_default().to_owned();
        match (self.status_id, self.action_id) {
            (1, 1) => Ok(OutcomeView::Success),
            (2, 1) => Ok(OutcomeView::Failed { reason: reason() }),
            (2, 2) => {
                let clause = self.unmapped.clause.as_deref().map(str::to_owned);
                Ok(OutcomeView::Refused { reason: reason(), clause })
            }
            _ => Err(EventError::Contradiction("its outcome contradicts itself")),
        }
    }
}

fn required<T: std::str::FromStr>(text: &str) -> Result<T, EventError> {
    text.parse().map_err(|_| EventError::Contradiction("it has an id that is none"))
}

fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, EventError> {
    text.map(required).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, Activity, ObjectRef, Origin, SealedContext};
    use proptest::prelude::*;

    fn leaf(activity: Activity, outcome: u8, with: u8) -> Vec<u8> {
        let bit = |bit: u8| with & (1 << bit) != 0;
        let mut object = ObjectRef::new("record", RepositoryId::from_bytes([9; 16]));
        if bit(0) {
            object = object.in_account(AccountId::from_bytes([1; 16]));
        }
        if bit(1) {
            object = object.in_repository(RepositoryId::from_bytes([2; 16])).classified("internal");
        }
        let mut act = match outcome % 4 {
            0 => Act::new(activity, object),
            1 => Act::refused(activity, object, "why", None),
            2 => Act::refused(activity, object, "why", Some("DD-1")),
            _ => Act::failed(activity, object, "why"),
        };
        let commitment = Commitment::from_bytes([0xcd; 32]);
        if bit(2) {
            act = act.before(commitment).detail("a", -5i64).detail("b", "text").detail("c", true);
        }
        if bit(3) {
            act = act.after(commitment).key("name", "seal").decided_by(vec!["p".into(), "q".into()]);
        }
        let actor = match with >> 6 {
            0 => Actor::Anonymous,
            1 => Actor::Client(base::ClientId::from_bytes([3; 16])),
            2 => Actor::Operator(base::OperatorId::from_bytes([3; 16])),
            _ => Actor::System(ServerId::from_bytes([3; 16])),
        };
        let origin = Origin {
            actor,
            account: bit(4).then(|| AccountId::from_bytes([1; 16])),
            request: RequestId::from_bytes([5; 16]),
            server: ServerId::from_bytes([6; 16]),
            subsystem: "vault",
            interface: Interface::Api,
            sealed: bit(5).then(|| SealedContext { commitment, bytes: vec![] }),
        };
        let event = Event::new(
            EventId::from_bytes([7; 16]),
            Timestamp::from_micros(951_782_399_999_999),
            origin,
            act,
        );
        if outcome >= 128 { event.with_doubtful_clock() } else { event }.encode()
    }

    #[test]
    fn the_quick_check_accepts_what_is_written() {
        let mut quick = Canonical::default();
        for activity in Activity::ALL {
            for outcome in 0..4 {
                for with in (0..=255).step_by(5) {
                    for doubtful in [0, 128] {
                        let leaf = leaf(*activity, outcome + doubtful, with);
                        assert!(quick.accepts(&leaf), "{}", String::from_utf8_lossy(&leaf));
                        assert_eq!(Event::decode(&leaf).unwrap().clock_doubtful, doubtful > 0);
                    }
                }
            }
        }
    }

    #[test]
    fn the_quick_check_minds_commas() {
        let text = String::from_utf8(leaf(Activity::RecordRead, 0, 3)).unwrap();
        for (from, to) in [
            ("\",\"repository\"", "\"\"repository\""),
            ("\"internal\"}", "\"internal\",}"),
            ("{\"account\"", "{,\"account\""),
        ] {
            assert!(text.contains(from), "{from}");
            let wrong = text.replacen(from, to, 1);
            assert!(
                !Canonical::default().accepts(wrong.as_bytes()) && Event::decode(wrong.as_bytes()).is_err(),
                "{to}"
            );
        }
    }

    /// Every byte left out, and every mark of JSON put in everywhere, in leaves of every class.
    #[test]
    fn the_quick_check_accepts_no_damaged_event() {
        let of_class = |uid| *Activity::ALL.iter().find(|one| one.class_uid() == uid).unwrap();
        for (uid, outcome, with) in [
            (2004, 0, 0xff),
            (3002, 1, 0x3f),
            (3004, 2, 0x95),
            (4001, 3, 0x0f),
            (6002, 0, 0xd0),
            (6003, 2, 0x7f),
            (6003, 129, 0x0f),
            (6002, 128, 0xd0),
            (6008, 3, 0xaa),
        ] {
            let right = leaf(of_class(uid), outcome, with);
            let mut quick = Canonical::default();
            let mut hold = |wrong: &[u8]| {
                let agreed = !quick.accepts(wrong) || Event::decode(wrong).is_ok();
                assert!(agreed, "{}", String::from_utf8_lossy(wrong));
            };
            for at in 0..right.len() {
                for put in [&b""[..], b",", b"\"", b"{", b"}", b":", b"0", b"a"] {
                    hold(&[&right[..at], put, &right[at + 1..]].concat());
                    hold(&[&right[..at], put, &right[at..]].concat());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
        #[test]
        fn the_quick_check_accepts_events_alone(
            activity in proptest::sample::select(Activity::ALL), outcome: u8, with: u8,
            at: proptest::sample::Index, cut in 0usize..3, put in "[0-9a-z{}\",:_-]{0,3}",
        ) {
            let mut leaf = leaf(activity, outcome, with);
            let at = at.index(leaf.len());
            leaf.splice(at..(at + cut).min(leaf.len()), put.bytes());
            if Canonical::default().accepts(&leaf) {
                prop_assert!(Event::decode(&leaf).is_ok(), "{}", String::from_utf8_lossy(&leaf));
            }
        }
    }
}
