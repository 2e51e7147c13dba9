//! Alarms: what is wrong and who was told. Raised from what happened (`alarm_raise.rs`), told by routes (`alarm_deliver.rs`),
//! told again until somebody takes them on (`alarm_escalate.rs`), taken on and ended by operators (`alarm_act.rs`).
//! Each change of an alarm's state is an event in the same transaction; a row finds the alarm again.

use std::sync::Arc;

use base::{AlarmId, MessageId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Platform, Row, StoreError, SystemReadTx, SystemTx, platform};

use crate::{
    AlarmPlan, AlarmSeverity, Watch, WatchError,
    alarm_rules::{AlarmRule, FINDING, ROUTE, rule_of},
};

pub(crate) const NOUN: &str = "alarm";
/// Most messages that wait for one route.
pub(crate) const MAX_WAITING: u64 = 1_000;

/// Alarms of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Alarms(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) watch: Watch,
    pub(crate) plan: AlarmPlan,
}

/// How an alarm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmState {
    /// Nobody has taken it on.
    Open,
    /// Somebody has, until a time.
    Acknowledged,
    /// It is over.
    Resolved,
    /// It was a test.
    Test,
}

/// Who takes an alarm on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Which operator.
    pub by: String,
    /// Why, or what they do.
    pub reason: String,
    /// Until when; then it alarms again.
    pub until: Timestamp,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its id.
    pub id: AlarmId,
    /// The rule that raised it.
    pub rule: String,
    /// What is wrong.
    pub title: String,
    /// What it is about: a check, a setting, a route, an id; `-` if nothing in particular.
    pub about: String,
    /// How it stands.
    pub state: AlarmState,
    /// How grave it is.
    pub severity: AlarmSeverity,
    /// The clauses that it touches.
    pub clauses: Vec<String>,
    /// How often it happened.
    pub count: u64,
    /// When it happened first.
    pub first_at: Timestamp,
    /// When it happened last.
    pub last_at: Timestamp,
    /// The entry of the log that raised it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// The step that it was told in last, from 0.
    pub step: u32,
    /// When it is told in the next step, unless somebody acknowledges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Who has taken it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// An alarm is raised.
    Raise,
    /// An acknowledgement ran out.
    Again,
    /// Nobody acknowledged in time.
    Escalate,
    /// Somebody took it on.
    Acknowledge,
    /// It is over.
    Resolve,
    /// A test.
    Test,
}

impl MessageKind {
    const ALL: [Self; 6] =
        [Self::Raise, Self::Again, Self::Escalate, Self::Acknowledge, Self::Resolve, Self::Test];
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Again => "again",
            Self::Escalate => "escalate",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Test => "test",
        }
    }
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
    /// Whether it asks somebody to act: those are told by another route if one fails.
    pub(crate) const fn calls(self) -> bool {
        matches!(self, Self::Raise | Self::Again | Self::Escalate)
    }
}

pub(crate) const COLUMNS: Platform = platform!(
    "SELECT id, rule, about, state, severity, count, first_at, last_at, entry, step, next_at, by_operator, reason, until, \
     resolved_at FROM alarm WHERE id = $1 AND state <> 'counting'"
);

impl Alarms {
    /// Of what is watched, by that plan.
    pub fn new(watch: Watch, plan: AlarmPlan) -> Self {
        Self(Arc::new(Inner { watch, plan }))
    }

    /// The plan.
    pub fn plan(&self) -> &AlarmPlan {
        &self.0.plan
    }

    pub(crate) fn store(&self) -> &store::Store {
        self.0.watch.store()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store().context().now()
    }

    pub(crate) async fn alarm(
        &self,
        read: &mut SystemReadTx,
        id: AlarmId,
    ) -> Result<Option<Alarm>, WatchError> {
        let row = read.row(COLUMNS, &[(&id).into()]).await?;
        Ok(row.map(|row| self.read(&row)).transpose()?)
    }

    /// A row of [`COLUMNS`].
    pub(crate) fn read(&self, row: &Row) -> Result<Alarm, StoreError> {
        let (rule, about) = (row.text(1)?, row.text(2)?);
        let state = match row.text(3)? {
            "open" => AlarmState::Open,
            "acknowledged" => AlarmState::Acknowledged,
            "test" => AlarmState::Test,
            _ => AlarmState::Resolved,
        };
        let acknowledged = match (row.opt_text(11)?, row.opt_text(12)?, row.opt_int(13)?) {
            (Some(by), Some(reason), Some(until)) => Some(Acknowledged {
                by: by.to_owned(),
                reason: reason.to_owned(),
                until: Timestamp::from_micros(until),
            }),
            _ => None,
        };
        let known = rule_of(rule);
        Ok(Alarm {
            id: row.id(0)?,
            rule: rule.to_owned(),
            title: known.map_or("A rule that this version does not know", |one| one.title).to_owned(),
            about: about.to_owned(),
            state,
            severity: AlarmSeverity::from_word(row.text(4)?).ok_or(StoreError::Shape("a severity"))?,
            clauses: self.clauses(known, about),
            count: row.count(5)?,
            first_at: row.time(6)?,
            last_at: row.time(7)?,
            entry: row.opt_int(8)?.and_then(|entry| u64::try_from(entry).ok()),
            step: u32::try_from(row.int(9)?).unwrap_or_default(),
            next_at: row.opt_int(10)?.map(Timestamp::from_micros),
            acknowledged,
            resolved_at: row.opt_int(14)?.map(Timestamp::from_micros),
        })
    }

    /// The clauses of a rule; of a finding, those that its check observes.
    fn clauses(&self, rule: Option<&AlarmRule>, about: &str) -> Vec<String> {
        let Some(rule) = rule else { return Vec::new() };
        if rule.id != FINDING {
            return rule.clauses.iter().map(|one| (*one).to_owned()).collect();
        }
        if let Some(clause) = about.strip_prefix(policy::OWN_WORDING) {
            return vec![clause.to_owned()];
        }
        let holds = self.0.watch.registry().check(about).map(|check| check.holds.iter());
        let mut clauses: Vec<String> =
            holds.into_iter().flatten().map(|one| one.clause.to_string()).collect();
        clauses.dedup();
        clauses
    }

    /// Puts a message into a route's queue; an act if there is no room.
    pub(crate) async fn enqueue(
        &self,
        tx: &mut SystemTx,
        message: &NewMessage<'_>,
    ) -> Result<Option<Act>, WatchError> {
        let waiting = platform!("SELECT count(*) FROM alarm_delivery WHERE route = $1 AND state = 'waiting'");
        let add = platform!(
            "INSERT INTO alarm_delivery (id, alarm, route, kind, step, state, attempts, due_at, lease_until, failure, made_at, at) \
             VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, 0, NULL, $7, $7)"
        );
        let waits = tx.row(waiting, &[message.route.into()]).await?;
        if waits.map(|row| row.count(0)).transpose()?.unwrap_or_default() >= MAX_WAITING {
            let act = Act::failed(Activity::AlarmUndelivered, route(message.route), "queue-full");
            return Ok(Some(act.detail("alarm", message.alarm)));
        }
        let id = MessageId::new(self.store().context())?;
        let values = [
            (&id).into(),
            (&message.alarm).into(),
            message.route.into(),
            message.kind.as_str().into(),
            message.step.into(),
            message.due.into(),
            self.now().into(),
        ];
        tx.execute(add, &values).await?;
        Ok(None)
    }

    /// Puts a message into the queue of each route of a step; acts for those that have no room.
    pub(crate) async fn tell(&self, tx: &mut SystemTx, told: Told<'_>) -> Result<Vec<Act>, WatchError> {
        let Told { alarm, rule, about, kind, step } = told;
        let due = self.plan().due(rule.severity, self.now());
        let mut acts = Vec::new();
        let mut routes = self.plan().step(rule.severity, step).map(|(routes, _)| routes).unwrap_or_default();
        // That a route fails is not said by that route, if there is another.
        if rule.id == ROUTE && routes.contains(&about) {
            routes.retain(|route| *route != about);
            let another = self.plan().instead_of(about).next();
            if routes.is_empty() {
                routes.push(another.unwrap_or(about));
            }
        }
        for route in routes {
            acts.extend(self.enqueue(tx, &NewMessage { alarm, route, kind, step, due }).await?);
        }
        Ok(acts)
    }

    /// When the step after that one is due; none if it is the last.
    pub(crate) fn next_at(&self, severity: AlarmSeverity, step: u32) -> Option<Timestamp> {
        let wait = self.plan().step(severity, step)?.1?;
        Some(self.plan().due(severity, self.now()).plus(wait))
    }

    /// Takes what waits of an alarm out of the queues: what it calls for is done. Whoever was called is told that.
    pub(crate) async fn call_off(
        &self,
        tx: &mut SystemTx,
        alarm: AlarmId,
        severity: AlarmSeverity,
        kind: MessageKind,
    ) -> Result<Vec<Act>, WatchError> {
        let drop_waiting = platform!(
            "UPDATE alarm_delivery SET state = 'dropped' WHERE alarm = $1 AND state = 'waiting' AND lease_until <= $2"
        );
        let called = platform!(
            "SELECT DISTINCT route FROM alarm_delivery WHERE alarm = $1 AND (state = 'done' OR (state = 'waiting' AND lease_until > $2)) \
             AND kind IN ('raise', 'again', 'escalate') ORDER BY route"
        );
        let now = self.now();
        let due = self.plan().due(severity, now);
        tx.execute(drop_waiting, &[(&alarm).into(), now.into()]).await?;
        let mut acts = Vec::new();
        for row in tx.rows(called, &[(&alarm).into(), now.into()]).await? {
            let route = row.text(0)?;
            if self.plan().routes.iter().any(|one| one.name == route) {
                let message = NewMessage { alarm, route, kind, step: 0, due };
                acts.extend(self.enqueue(tx, &message).await?);
            }
        }
        Ok(acts)
    }
}

/// A message for a route.
pub(crate) struct NewMessage<'a> {
    pub(crate) alarm: AlarmId,
    pub(crate) route: &'a str,
    pub(crate) kind: MessageKind,
    pub(crate) step: u32,
    pub(crate) due: Timestamp,
}

/// What is told in a step.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) alarm: AlarmId,
    pub(crate) rule: &'static AlarmRule,
    pub(crate) about: &'a str,
    pub(crate) kind: MessageKind,
    pub(crate) step: u32,
}

/// A route as the object of an act.
pub(crate) fn route(name: &str) -> ObjectRef {
    ObjectRef::new("route", name)
}

/// An alarm as the object of an act.
pub(crate) fn object(id: AlarmId) -> ObjectRef {
    ObjectRef::new(NOUN, id)
}

/// An act of an alarm: with its rule, what it is about, and how grave it is.
pub(crate) fn act(activity: Activity, id: AlarmId, rule: &AlarmRule, about: &str) -> Act {
    Act::new(activity, object(id))
        .detail("rule", rule.id)
        .detail("about", about.to_owned())
        .detail("level", rule.severity.as_str())
}

impl std::fmt::Debug for Alarms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alarms")
    }
}
