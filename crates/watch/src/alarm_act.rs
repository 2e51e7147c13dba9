//! What operators do with alarms: look at them, take them on until a time, end them, and try whether they arrive. And what
//! the check `alarms-arrive` sees.

use access::{Action, Principal, Resource};
use base::{AlarmId, Duration, MessageId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Committed, Platform, SystemReadTx, SystemScope, Value, platform};

use crate::{
    Acknowledged, Alarm, AlarmState, Alarms, MessageKind, Sight, WatchError,
    alarm::{COLUMNS, NOUN, act, object},
    alarm_rules::rule_of,
    line,
};

/// Most alarms on a page.
pub const MAX_ALARMS: usize = 500;
/// The longest that an acknowledgement holds.
const LONGEST: Duration = Duration::from_days(30);
/// How long a test alarm may be on its way.
const ON_ITS_WAY: Duration = Duration::from_seconds(900);
/// Most messages that are shown of an alarm.
const MAX_SHOWN: i64 = 200;

/// A message about an alarm, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The message.
    pub message: MessageId,
    /// By which route.
    pub route: String,
    /// What it says.
    pub kind: MessageKind,
    /// Of which step.
    pub step: u32,
    /// `waiting`, `done`, `failed` or `dropped`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Not before then.
    pub due_at: Timestamp,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was done or given up; before that, when it was made.
    pub at: Timestamp,
}

/// An alarm with its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownAlarm {
    /// The alarm.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// Its messages, the oldest first.
    pub deliveries: Vec<Delivery>,
}

/// A route, and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRoute {
    /// Its name.
    pub name: String,
    /// Which kind of receiver.
    pub kind: String,
    /// The steps that it is in, from 0.
    pub steps: Vec<usize>,
    /// Messages that wait for it.
    pub waiting: u64,
    /// When it took one last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When one was given up last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
}

/// A page of alarms, the newest first.
#[derive(Clone, Debug, Default)]
pub struct AlarmPage {
    /// The alarms.
    pub items: Vec<Alarm>,
    /// Where the next page begins: before this.
    pub next: Option<AlarmId>,
}

const LIST: Platform = platform!(
    "SELECT id, rule, about, state, severity, count, first_at, last_at, entry, step, next_at, by_operator, reason, until, \
     resolved_at FROM alarm WHERE id < $1 AND state <> 'counting' AND (CAST($2 AS BIGINT) = 1 OR state IN ('open', 'acknowledged')) \
     ORDER BY id DESC LIMIT $3"
);
const MESSAGES: Platform = platform!(
    "SELECT id, route, kind, step, state, attempts, due_at, failure, at FROM alarm_delivery WHERE alarm = $1 ORDER BY id LIMIT $2"
);
const TAKE: Platform = platform!(
    "UPDATE alarm SET state = 'acknowledged', by_operator = $2, reason = $3, until = $4, next_at = NULL \
     WHERE id = $1 AND state IN ('open', 'acknowledged')"
);
const END: Platform = platform!(
    "UPDATE alarm SET state = 'resolved', resolved_at = $2, next_at = NULL \
     WHERE id = $1 AND state IN ('open', 'acknowledged')"
);
const OF_ROUTE: Platform = platform!(
    "SELECT count(CASE WHEN state = 'waiting' THEN 1 END), max(CASE WHEN state = 'done' THEN at END), \
     max(CASE WHEN state = 'failed' THEN at END) FROM alarm_delivery WHERE route = $1"
);
const TESTS: Platform =
    platform!("SELECT id, first_at FROM alarm WHERE state = 'test' ORDER BY first_at DESC, id DESC LIMIT 2");

impl Alarms {
    /// A page of alarms: those that are not over, or every one. An operator's act.
    pub async fn list(
        &self,
        by: &Principal,
        all: bool,
        before: Option<AlarmId>,
        limit: usize,
    ) -> Result<AlarmPage, WatchError> {
        let (scope, decision) = self.access().operate(by, Action::AlarmList, &Resource::new()).await?;
        let limit = limit.clamp(1, MAX_ALARMS);
        // No id is above this: it is longer.
        let before = before.map_or(vec![0xff; 17], |id| id.as_bytes().to_vec());
        let mut read = self.store().system_read(scope).await?;
        let values = [before.as_slice().into(), all.into(), (limit as i64 + 1).into()];
        let rows = read.rows(LIST, &values).await?;
        drop(read);
        let items: Result<Vec<Alarm>, _> = rows.iter().take(limit).map(|row| self.read(row)).collect();
        let items = items?;
        let next = items.last().filter(|_| rows.len() > limit).map(|one| one.id);
        let act = Act::new(Activity::AlarmList, ObjectRef::new(NOUN, "-"));
        let act = act.decided_by(decision.policies()).detail("count", items.len());
        self.store().record_system(scope, act).await?;
        Ok(AlarmPage { items, next })
    }

    /// An alarm with its messages. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`].
    pub async fn show(&self, by: &Principal, id: AlarmId) -> Result<ShownAlarm, WatchError> {
        let resource = Resource::new().id(id);
        let (scope, decision) = self.access().operate(by, Action::AlarmList, &resource).await?;
        let mut read = self.store().system_read(scope).await?;
        let Some(alarm) = self.alarm(&mut read, id).await? else {
            drop(read);
            return Err(self.refused(scope, Activity::AlarmList, id, WatchError::NotFound("alarm")).await?);
        };
        let deliveries = self.messages(&mut read, id).await?;
        drop(read);
        let act = Act::new(Activity::AlarmList, object(id)).decided_by(decision.policies());
        self.store().record_system(scope, act).await?;
        Ok(ShownAlarm { alarm, deliveries })
    }

    /// The routes, and how they do. An operator's act.
    pub async fn routes(&self, by: &Principal) -> Result<Vec<ShownRoute>, WatchError> {
        let (scope, decision) = self.access().operate(by, Action::AlarmList, &Resource::new()).await?;
        let mut read = self.store().system_read(scope).await?;
        let mut shown = Vec::new();
        for route in &self.plan().routes {
            let row = read.row(OF_ROUTE, &[(&route.name).into()]).await?;
            let row = row.ok_or(store::StoreError::Shape("a count"))?;
            let steps = self.plan().steps.iter().enumerate();
            let within = steps.filter(|(_, step)| step.routes.contains(&route.name)).map(|(at, _)| at);
            shown.push(ShownRoute {
                name: route.name.clone(),
                kind: route.kind.clone(),
                steps: if self.plan().steps.is_empty() { vec![0] } else { within.collect() },
                waiting: row.count(0)?,
                delivered_at: row.opt_int(1)?.map(Timestamp::from_micros),
                failed_at: row.opt_int(2)?.map(Timestamp::from_micros),
            });
        }
        drop(read);
        let act = Act::new(Activity::AlarmList, ObjectRef::new("route", "-"));
        let act = act.decided_by(decision.policies()).detail("count", shown.len());
        self.store().record_system(scope, act).await?;
        Ok(shown)
    }

    /// Takes an alarm on until then: it is not told again before, whatever happens again. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`], [`WatchError::Over`], [`WatchError::Invalid`].
    pub async fn acknowledge(
        &self,
        by: &Principal,
        id: AlarmId,
        reason: &str,
        until: Timestamp,
    ) -> Result<Committed<Alarm>, WatchError> {
        let resource = Resource::new().id(id);
        let (scope, decision) = self.access().operate(by, Action::AlarmAcknowledge, &resource).await?;
        let now = self.now();
        let bounds = || {
            line("reason", reason)?;
            let is_within = until > now && until <= now.plus(LONGEST);
            let reason = "it lies in the past, or more than 30 days ahead";
            if is_within { Ok(()) } else { Err(WatchError::Invalid { field: "until", reason }) }
        };
        let alarm = match (self.standing(scope, id).await, bounds()) {
            (Ok(alarm), Ok(())) => alarm,
            (Err(error), _) | (_, Err(error)) => {
                return Err(self.refused(scope, Activity::AlarmAcknowledge, id, error).await?);
            }
        };
        let who = scope.actor().to_string();
        let mut tx = self.store().system(scope).await?;
        let values = [(&id).into(), (&who).into(), reason.into(), until.into()];
        if tx.execute(TAKE, &values).await? == 0 {
            drop(tx);
            return Err(self.refused(scope, Activity::AlarmAcknowledge, id, WatchError::Over).await?);
        }
        let mut acts = self.call_off(&mut tx, id, alarm.severity, MessageKind::Acknowledge).await?;
        acts.push(
            self.act(Activity::AlarmAcknowledge, &alarm)
                .decided_by(decision.policies())
                .detail("reason", reason.to_owned())
                .detail("until", until),
        );
        let acknowledged = Some(Acknowledged { by: who, reason: reason.to_owned(), until });
        let alarm = Alarm { state: AlarmState::Acknowledged, next_at: None, acknowledged, ..alarm };
        Ok(tx.commit_all(alarm, acts).await?)
    }

    /// Ends an alarm: it is over, for that reason. If it happens again, that is another one. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`], [`WatchError::Over`], [`WatchError::Invalid`].
    pub async fn resolve(
        &self,
        by: &Principal,
        id: AlarmId,
        reason: &str,
    ) -> Result<Committed<Alarm>, WatchError> {
        let resource = Resource::new().id(id);
        let (scope, decision) = self.access().operate(by, Action::AlarmResolve, &resource).await?;
        let alarm = match (self.standing(scope, id).await, line("reason", reason)) {
            (Ok(alarm), Ok(())) => alarm,
            (Err(error), _) | (_, Err(error)) => {
                return Err(self.refused(scope, Activity::AlarmResolve, id, error).await?);
            }
        };
        let now = self.now();
        let mut tx = self.store().system(scope).await?;
        if tx.execute(END, &[(&id).into(), now.into()]).await? == 0 {
            drop(tx);
            return Err(self.refused(scope, Activity::AlarmResolve, id, WatchError::Over).await?);
        }
        let mut acts = self.call_off(&mut tx, id, alarm.severity, MessageKind::Resolve).await?;
        acts.push(
            self.act(Activity::AlarmResolve, &alarm)
                .decided_by(decision.policies())
                .detail("reason", reason.to_owned()),
        );
        let alarm = Alarm { state: AlarmState::Resolved, next_at: None, resolved_at: Some(now), ..alarm };
        Ok(tx.commit_all(alarm, acts).await?)
    }

    /// Sends a test by every route. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NoRoute`] if there is none.
    pub async fn test(&self, by: &Principal) -> Result<Committed<AlarmId>, WatchError> {
        let (scope, decision) = self.access().operate(by, Action::AlarmTest, &Resource::new()).await?;
        if self.plan().routes.is_empty() {
            let act = Act::refused(Activity::AlarmTest, ObjectRef::new(NOUN, "-"), "no-route", Some("CD-9"));
            self.store().record_system(scope, act).await?;
            return Err(WatchError::NoRoute);
        }
        let name = base::RequestId::new(self.store().context())?.to_string();
        let made = self.new_test(scope, &name).await?;
        let (tx, id, mut acts) = made.ok_or(store::StoreError::Shape("a test's name"))?;
        if let Some(first) = acts.first_mut() {
            *first = first.clone().decided_by(decision.policies());
        }
        Ok(tx.commit_all(id, acts).await?)
    }

    /// Whether every route took the last test alarm. One that is on its way still says nothing: then it is the one before.
    pub async fn arrival(&self, scope: &SystemScope) -> Result<Sight, WatchError> {
        let now = self.now();
        let mut read = self.store().system_read(scope).await?;
        let tests = read.rows(TESTS, &[]).await?;
        for row in &tests {
            let (id, sent): (AlarmId, Timestamp) = (row.id(0)?, row.time(1)?);
            let messages = self.messages(&mut read, id).await?;
            let of = |route: &str| messages.iter().find(|one| one.route == route);
            let routes = &self.plan().routes;
            let is_underway =
                routes.iter().any(|route| of(&route.name).is_some_and(|one| one.state == "waiting"));
            if is_underway && now < sent.plus(ON_ITS_WAY) {
                continue;
            }
            let every = self.plan().test_every;
            if now > sent.plus(every).plus(every) {
                return Ok(Sight::whether(false, format!("the last test alarm was sent at {sent}")));
            }
            let missed: Vec<&str> = routes
                .iter()
                .map(|route| route.name.as_str())
                .filter(|route| of(route).is_none_or(|one| one.state != "done"))
                .collect();
            let (count, failed) = (routes.len() as u64, missed.len() as u64);
            let summary = if missed.is_empty() {
                format!("each of {count} routes took the test alarm of {sent}")
            } else {
                format!("did not take the test alarm of {sent}: {}", missed.join(", "))
            };
            return Ok(Sight::counted(count, failed, summary));
        }
        Ok(Sight::unknown("no test alarm has gone out yet"))
    }

    fn access(&self) -> &access::Access {
        &self.0.watch.0.access
    }

    fn act(&self, activity: Activity, alarm: &Alarm) -> Act {
        match rule_of(&alarm.rule) {
            Some(rule) => act(activity, alarm.id, rule, &alarm.about),
            None => Act::new(activity, object(alarm.id)),
        }
    }

    /// An alarm that is not over.
    async fn standing(&self, scope: &SystemScope, id: AlarmId) -> Result<Alarm, WatchError> {
        let mut read = self.store().system_read(scope).await?;
        let row = read.row(COLUMNS, &[(&id).into()]).await?;
        let alarm = row.ok_or(WatchError::NotFound("alarm"))?;
        match self.read(&alarm)? {
            alarm if matches!(alarm.state, AlarmState::Open | AlarmState::Acknowledged) => Ok(alarm),
            _ => Err(WatchError::Over),
        }
    }

    /// Records a refusal, and hands back why.
    async fn refused(
        &self,
        scope: &SystemScope,
        activity: Activity,
        id: AlarmId,
        error: WatchError,
    ) -> Result<WatchError, WatchError> {
        let act = Act::refused(activity, object(id), base::Fault::code(&error), None);
        self.store().record_system(scope, act).await?;
        Ok(error)
    }

    async fn messages(&self, read: &mut SystemReadTx, alarm: AlarmId) -> Result<Vec<Delivery>, WatchError> {
        let values: [Value<'_>; 2] = [(&alarm).into(), MAX_SHOWN.into()];
        let rows = read.rows(MESSAGES, &values).await?;
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let one = |row: &store::Row| {
            Ok(Delivery {
                message: row.id(0)?,
                route: row.text(1)?.to_owned(),
                kind: MessageKind::from_word(row.text(2)?).ok_or(store::StoreError::Shape("a message"))?,
                step: number(row.int(3)?),
                state: row.text(4)?.to_owned(),
                attempts: number(row.int(5)?),
                due_at: row.time(6)?,
                failure: row.opt_text(7)?.map(str::to_owned),
                at: row.time(8)?,
            })
        };
        rows.iter().map(one).collect()
    }
}
