//! Running rules over events, in the log's order. What correlations have counted can be saved and taken up again.

use base::Timestamp;
use ledger::{Event, EventError, EventView, OutcomeView};
use rsigma_eval::{
    CorrelationConfig, CorrelationEngine, CorrelationEventMode, CorrelationSnapshot, event::JsonEvent,
};
use rsigma_parser::Level;
use serde_json::{Value, json};

use crate::{RuleError, RuleSet, strict::MAX_IN_GROUP};

/// Most groups that correlations count at once, over all rules.
const MAX_GROUPS: usize = 50_000;
/// For how long one correlation is quiet about one group once it has told, in seconds.
const QUIET_SECONDS: u64 = 600;

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The rule's id, or its title if it has none.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The rule's level: `low`, `medium`, `high` or `critical`.
    pub level: &'static str,
    /// The entry that set it off.
    pub index: u64,
    /// That entry's event.
    pub event: String,
    /// When that was, by the server's clock.
    pub time: Timestamp,
    /// What was done.
    pub activity: String,
    /// Who: an id.
    pub actor: String,
    /// To what: an id.
    pub object: String,
    /// What a correlation counted, and over what; none where one event is enough.
    pub counted: Option<(u64, Vec<(String, String)>)>,
}

/// Rules at work.
pub struct Detector {
    engine: CorrelationEngine,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Detector({} rules)",
            self.engine.detection_rule_count() + self.engine.correlation_rule_count()
        )
    }
}

impl Detector {
    /// Rules that have seen nothing yet.
    pub fn new(rules: &RuleSet) -> Result<Self, RuleError> {
        let mut engine = CorrelationEngine::new(CorrelationConfig {
            max_state_entries: MAX_GROUPS,
            max_group_entries: Some(MAX_IN_GROUP),
            suppress: Some(QUIET_SECONDS),
            correlation_event_mode: CorrelationEventMode::None,
            ..CorrelationConfig::default()
        });
        let failed = |why: String| RuleError::Shape { file: "the rules".to_owned(), why };
        engine.add_collection(rules.collection()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { engine })
    }

    /// Takes the next entry. Rules of the level `informational` are parts of others, and tell nothing themselves.
    pub fn take(&mut self, index: u64, leaf: &[u8]) -> Result<Vec<Alert>, EventError> {
        let event = Event::decode(leaf)?;
        let mut value: Value =
            serde_json::from_slice(leaf).map_err(|error| EventError::Shape(error.to_string()))?;
        if let Some(map) = value.as_object_mut() {
            map.insert("tenet".to_owned(), short(index, &event));
        }
        let found = self.engine.process_event_at(&JsonEvent::borrow(&value), event.time.seconds());
        let alerts = found.into_iter().filter_map(|result| {
            let level = match result.header.level? {
                Level::Informational => return None,
                Level::Low => "low",
                Level::Medium => "medium",
                Level::High => "high",
                Level::Critical => "critical",
            };
            let counted = result.as_correlation().map(|found| {
                // A count: not negative, and far below where a float loses units.
                (found.aggregated_value.max(0.0) as u64, found.group_key.clone())
            });
            Some(Alert {
                rule: result.header.rule_id.clone().unwrap_or_else(|| result.header.rule_title.clone()),
                title: result.header.rule_title.clone(),
                level,
                index,
                event: event.id.to_string(),
                time: event.time,
                activity: event.activity.clone(),
                actor: event.actor.to_string(),
                object: event.object.id.clone(),
                counted,
            })
        });
        Ok(alerts.collect())
    }

    /// What correlations have counted so far, to be saved.
    pub fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.engine.export_state()).unwrap_or_default()
    }

    /// Takes up what was saved; whether it could be. What is left of rules that are no longer there is dropped.
    pub fn restore(&mut self, saved: &[u8]) -> bool {
        serde_json::from_slice::<CorrelationSnapshot>(saved)
            .is_ok_and(|snapshot| self.engine.import_state(snapshot))
    }
}

fn short(index: u64, event: &EventView) -> Value {
    let (outcome, reason, clause) = match &event.outcome {
        OutcomeView::Success => ("success", None, None),
        OutcomeView::Refused { reason, clause } => ("refused", Some(reason), clause.as_ref()),
        OutcomeView::Failed { reason } => ("failed", Some(reason), None),
    };
    json!({
        "index": index,
        "activity": event.activity,
        "actor": event.actor.to_string(),
        "actor_kind": event.actor.kind().as_str(),
        "account": event.account.or(event.object.account).map(|account| account.to_string()),
        "object": event.object.id,
        "object_kind": event.object.kind,
        "outcome": outcome,
        "reason": reason,
        "clause": clause,
        "server": event.server.to_string(),
        "source": event.context.map(|context| context.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{AccountId, Actor, ClientId, Duration, EventId, OperatorId, RequestId, ServerId};
    use ledger::{Act, Activity, Commitment, Interface, ObjectRef, Origin, SealedContext};

    struct World {
        detector: Detector,
        index: u64,
        now: Timestamp,
    }

    fn operator() -> Actor {
        Actor::Operator(OperatorId::from_bytes([3; 16]))
    }
    fn client(byte: u8) -> Actor {
        Actor::Client(ClientId::from_bytes([byte; 16]))
    }
    fn thing(number: u64) -> ObjectRef {
        ObjectRef::new("record", format!("rec_{number}")).in_account(AccountId::from_bytes([1; 16]))
    }

    impl World {
        fn new() -> Self {
            let detector = Detector::new(&RuleSet::starter().unwrap()).unwrap();
            Self { detector, index: 0, now: Timestamp::from_seconds(1_767_225_600) }
        }
        /// The titles of the alerts.
        fn add(&mut self, actor: Actor, act: Act) -> Vec<String> {
            let origin = Origin {
                actor,
                account: None,
                request: RequestId::from_bytes([5; 16]),
                server: ServerId::from_bytes([6; 16]),
                subsystem: "test",
                interface: Interface::Api,
                sealed: Some(SealedContext {
                    commitment: Commitment::from_bytes([9; 32]),
                    bytes: Vec::new(),
                }),
            };
            let leaf = Event::new(EventId::from_bytes([7; 16]), self.now, origin, act).encode();
            self.index += 1;
            let alerts = self.detector.take(self.index - 1, &leaf).unwrap();
            for alert in &alerts {
                assert_eq!((alert.index, alert.time), (self.index - 1, self.now));
            }
            alerts.into_iter().map(|alert| format!("{}: {}", alert.level, alert.title)).collect()
        }
        fn wait(&mut self, seconds: i64) {
            self.now = self.now + Duration::from_seconds(seconds);
        }
        fn many(&mut self, count: u64, actor: Actor, act: impl Fn(u64) -> Act) -> Vec<String> {
            (0..count).flat_map(|number| self.add(actor, act(number))).collect()
        }
    }

    #[test]
    fn one_event_is_enough_for_some() {
        let mut world = World::new();
        for (activity, expected) in [
            (Activity::IntegrityViolation, "critical: The log was tampered with, or set back"),
            (Activity::LogFork, "critical: The log was tampered with, or set back"),
            (Activity::LogRecover, "critical: The log was tampered with, or set back"),
            (Activity::LogUnwitnessed, "high: A control stands still"),
            (Activity::LogGap, "high: A control stands still"),
            (Activity::SafeguardWeaken, "high: A control stands still"),
            (Activity::HoldLift, "medium: A legal hold was lifted"),
            (Activity::OperatorRevoke, "medium: An operator's keys were revoked"),
        ] {
            assert_eq!(world.add(operator(), Act::new(activity, thing(1))), [expected], "{activity}");
        }
        let enrol = |role: &str| Act::new(Activity::OperatorEnrol, thing(1)).detail("role", role);
        assert_eq!(world.add(Actor::Anonymous, enrol("administrator")), ["high: A new administrator"]);
        assert_eq!(world.add(Actor::Anonymous, enrol("auditor")), [""; 0]);
        let refused = Act::refused(Activity::OperatorEnrol, thing(1), "link-used", None);
        assert_eq!(world.add(Actor::Anonymous, refused.detail("role", "administrator")), [""; 0]);
        let held = Act::refused(Activity::HoldLift, thing(1), "not-found", None);
        assert_eq!(world.add(Actor::Anonymous, held), [""; 0]);
        for quiet in
            [Activity::RecordRead, Activity::ServerHeartbeat, Activity::KeyUse, Activity::AccountList]
        {
            assert_eq!(world.add(client(1), Act::new(quiet, thing(1))), [""; 0], "{quiet}");
        }
    }

    #[test]
    fn others_need_many_within_a_time() {
        let mut world = World::new();
        let absent = |number| Act::refused(Activity::RecordRead, thing(number), "not-found", None);
        assert_eq!(world.many(19, client(1), absent), [""; 0]);
        assert_eq!(world.many(19, client(2), absent), [""; 0], "another caller is counted apart");
        assert_eq!(world.many(200, client(3), |_| absent(1)), [""; 0], "one id again and again is no search");
        let told = ["high: Many requests for what is not the caller's"];
        assert_eq!(world.add(client(1), absent(19)), told);
        assert_eq!(world.add(client(1), absent(20)), [""; 0], "and is then quiet for a while");
        world.wait(601);
        assert_eq!(world.many(19, client(2), absent), [""; 0], "what is past does not count");

        let read = |number| Act::new(Activity::RecordRead, thing(number));
        assert_eq!(world.many(999, client(4), read), [""; 0]);
        assert_eq!(world.add(client(4), read(999)), ["high: Mass reads by one caller"]);
        let erase = |number| Act::new(Activity::RecordEraseStart, thing(number));
        assert_eq!(world.many(200, client(5), erase), ["high: Mass erasure by one caller"]);
        let system = Actor::System(ServerId::from_bytes([6; 16]));
        assert_eq!(world.many(300, system, erase), [""; 0], "the retention schedule erases as it should");

        let failed = |_| Act::refused(Activity::AuthFail, thing(1), "signature", None);
        assert_eq!(world.many(10, Actor::Anonymous, failed), ["high: Many failed sign-ins from one place"]);
        let create = |number| Act::new(Activity::AccountCreate, thing(number));
        assert_eq!(world.many(50, operator(), create), ["high: Many administrative changes by one operator"]);
        let other = Actor::Operator(OperatorId::from_bytes([4; 16]));
        assert_eq!(world.many(90, other, |number| Act::new(Activity::AccountList, thing(number))), [""; 0]);
        let denied =
            |number| Act::refused(Activity::AccessDeny, thing(number), "nothing-permits", Some("SD-1"));
        assert_eq!(world.many(5, other, denied), ["high: An operator tries what is not theirs to do"]);
    }

    #[test]
    fn what_was_counted_is_taken_up_again() {
        let mut world = World::new();
        let failed = |_| Act::refused(Activity::AuthFail, thing(1), "signature", None);
        assert_eq!(world.many(6, Actor::Anonymous, failed), [""; 0]);
        let saved = world.detector.save();
        let mut again = World { index: world.index, now: world.now, ..World::new() };
        assert!(again.detector.restore(&saved));
        assert_eq!(again.many(4, Actor::Anonymous, failed), ["high: Many failed sign-ins from one place"]);
        let mut fresh = World::new();
        assert!(!fresh.detector.restore(b"nonsense"));
        assert_eq!(fresh.many(4, Actor::Anonymous, failed), [""; 0]);
        assert!(fresh.detector.take(0, b"{}").is_err());
    }
}
