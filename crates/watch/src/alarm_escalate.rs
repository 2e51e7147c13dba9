//! What time does to alarms: the next step if nobody acknowledges, an acknowledgement that runs out, a test that is due, a
//! log that stands still, and alarms that were over long ago.

use base::{AlarmId, Duration, Timestamp};
use ledger::Activity;
use store::{Platform, Row, StoreError, SystemScope, Value, platform};

use crate::{
    AlarmSeverity, Alarms, MessageKind, WatchError,
    alarm::{NewMessage, Told, act},
    alarm_raise::Raise,
    alarm_rules::{AlarmRule, LOG_STILL, TEST, rule_of},
};

/// Most alarms of one kind that are looked at at once.
const AT_ONCE: i64 = 50;
/// How long an event may wait for the log.
const STILL_AFTER: Duration = Duration::from_seconds(300);
/// How long alarms are kept that are over, and tests.
const KEPT: Duration = Duration::from_days(90);
/// The log is not what it was: nothing is signed any more, until somebody has looked.
const BROKEN: &str = "broken";
/// Events wait for it.
const WAITING: &str = "waiting";

const DUE: Platform = platform!(
    "SELECT id, rule, about, severity, step FROM alarm WHERE state = 'open' AND next_at <= $1 ORDER BY next_at, id LIMIT $2"
);
const STEP: Platform = platform!(
    "UPDATE alarm SET step = $3, next_at = $4 WHERE id = $1 AND state = 'open' AND step = $2 AND next_at <= $5"
);
const LAPSED: Platform = platform!(
    "SELECT id, rule, about, severity, step FROM alarm WHERE state = 'acknowledged' AND until <= $1 ORDER BY until, id LIMIT $2"
);
const REOPEN: Platform = platform!(
    "UPDATE alarm SET state = 'open', step = 0, next_at = $2, by_operator = NULL, reason = NULL, until = NULL \
     WHERE id = $1 AND state = 'acknowledged' AND until <= $3"
);
const LAST_TEST: Platform = platform!("SELECT max(first_at) FROM alarm WHERE state = 'test'");
const ADD_TEST: Platform = platform!(
    "INSERT INTO alarm (id, rule, about, state, severity, count, first_at, last_at, step) \
     VALUES ($1, $2, $3, 'test', 'info', 1, $4, $4, 0) ON CONFLICT DO NOTHING"
);
const STILL: Platform =
    platform!("SELECT id FROM alarm WHERE rule = $1 AND about = $2 AND state <> 'resolved'");
const OLD: Platform = platform!(
    "SELECT 1 FROM alarm WHERE (state = 'resolved' AND resolved_at < $1) OR (state = 'test' AND first_at < $1) LIMIT 1"
);
const DROP_OLD_MESSAGES: Platform = platform!(
    "DELETE FROM alarm_delivery WHERE alarm IN (SELECT id FROM alarm WHERE (state = 'resolved' AND resolved_at < $1) \
     OR (state = 'test' AND first_at < $1))"
);
const DROP_OLD: Platform = platform!(
    "DELETE FROM alarm WHERE (state = 'resolved' AND resolved_at < $1) OR (state = 'test' AND first_at < $1)"
);

/// What is read of an alarm that time does something to.
struct Pending {
    id: AlarmId,
    rule: &'static AlarmRule,
    about: String,
    severity: AlarmSeverity,
    step: u32,
}

impl Pending {
    /// None of a rule that this version does not know: whoever knows it does it.
    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let Some(rule) = rule_of(row.text(1)?) else { return Ok(None) };
        let severity = AlarmSeverity::from_word(row.text(3)?).ok_or(StoreError::Shape("a severity"))?;
        let step = u32::try_from(row.int(4)?).unwrap_or_default();
        Ok(Some(Self { id: row.id(0)?, rule, about: row.text(2)?.to_owned(), severity, step }))
    }

    fn told(&self, kind: MessageKind, step: u32) -> Told<'_> {
        Told { alarm: self.id, rule: self.rule, about: &self.about, kind, step }
    }
}

impl Alarms {
    /// Everything that is due by the clock.
    pub(crate) async fn by_the_clock(&self, scope: &SystemScope) -> Result<(), WatchError> {
        self.log_stands_still(scope).await?;
        for one in self.pending(scope, DUE).await? {
            self.escalate(scope, &one).await?;
        }
        for one in self.pending(scope, LAPSED).await? {
            self.lapse(scope, &one).await?;
        }
        if !self.plan().routes.is_empty() {
            self.test_if_due(scope).await?;
        }
        Ok(())
    }

    async fn pending(&self, scope: &SystemScope, statement: Platform) -> Result<Vec<Pending>, WatchError> {
        let mut read = self.store().system_read(scope).await?;
        let rows = read.rows(statement, &[self.now().into(), AT_ONCE.into()]).await?;
        let found: Result<Vec<_>, _> = rows.iter().map(Pending::read).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Nobody acknowledged it in time. Another server that was first has moved the step.
    async fn escalate(&self, scope: &SystemScope, one: &Pending) -> Result<(), WatchError> {
        let next = one.step.saturating_add(1);
        let mut tx = self.store().system(scope).await?;
        let values = [
            (&one.id).into(),
            one.step.into(),
            next.into(),
            self.next_at(one.severity, next).into(),
            self.now().into(),
        ];
        if tx.execute(STEP, &values).await? == 0 {
            return Ok(());
        }
        let told = one.told(MessageKind::Escalate, next);
        let mut acts = vec![act(Activity::AlarmEscalate, one.id, one.rule, &one.about).detail("step", next)];
        acts.extend(self.tell(&mut tx, told).await?);
        store::crash_point("alarm.before-escalate");
        tx.commit_all((), acts).await?.into_inner();
        Ok(())
    }

    /// Whoever took it on did not end it.
    async fn lapse(&self, scope: &SystemScope, one: &Pending) -> Result<(), WatchError> {
        let mut tx = self.store().system(scope).await?;
        let values = [(&one.id).into(), self.next_at(one.severity, 0).into(), self.now().into()];
        if tx.execute(REOPEN, &values).await? == 0 {
            return Ok(());
        }
        let told = one.told(MessageKind::Again, 0);
        let mut acts = vec![act(Activity::AlarmLapse, one.id, one.rule, &one.about)];
        acts.extend(self.tell(&mut tx, told).await?);
        tx.commit_all((), acts).await?.into_inner();
        Ok(())
    }

    async fn test_if_due(&self, scope: &SystemScope) -> Result<(), WatchError> {
        let now = self.now();
        if self.last_test(scope).await?.is_some_and(|at| now < at.plus(self.plan().test_every)) {
            return Ok(());
        }
        // Of two servers that send it at once, one does: the period's number is the same.
        let period = now.seconds() / self.plan().test_every.seconds().max(1);
        if let Some((tx, _, acts)) = self.new_test(scope, &format!("t{period}")).await? {
            tx.commit_all((), acts).await?.into_inner();
        }
        Ok(())
    }

    async fn last_test(&self, scope: &SystemScope) -> Result<Option<Timestamp>, WatchError> {
        let mut read = self.store().system_read(scope).await?;
        let row = read.row(LAST_TEST, &[]).await?;
        Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten().map(Timestamp::from_micros))
    }

    /// A test by every route, not committed yet; none if there is one of that name. Those that are old go.
    pub(crate) async fn new_test(
        &self,
        scope: &SystemScope,
        about: &str,
    ) -> Result<Option<(store::SystemTx, AlarmId, Vec<ledger::Act>)>, WatchError> {
        let now = self.now();
        let id = AlarmId::new(self.store().context())?;
        let mut tx = self.store().system(scope).await?;
        let values = [(&id).into(), TEST.into(), about.into(), now.into()];
        if tx.execute(ADD_TEST, &values).await? == 0 {
            return Ok(None);
        }
        let old: [Value<'_>; 1] = [now.minus(KEPT).into()];
        if tx.row(OLD, &old).await?.is_some() {
            tx.execute(DROP_OLD_MESSAGES, &old).await?;
            tx.execute(DROP_OLD, &old).await?;
        }
        let routes = &self.plan().routes;
        let test = ledger::Act::new(Activity::AlarmTest, crate::alarm::object(id));
        let mut acts = vec![test.detail("routes", routes.len())];
        for route in routes {
            let route = route.name.as_str();
            let message = NewMessage { alarm: id, route, kind: MessageKind::Test, step: 0, due: now };
            acts.extend(self.enqueue(&mut tx, &message).await?);
        }
        Ok(Some((tx, id, acts)))
    }

    /// What no entry of the log can say: that it takes none any more.
    async fn log_stands_still(&self, scope: &SystemScope) -> Result<(), WatchError> {
        let now = self.now();
        if self.store().is_log_broken() {
            self.still(scope, BROKEN, true).await?;
        }
        let since = self.store().waiting_since().await?;
        let waits = since.is_some_and(|since| now.since(since) > STILL_AFTER);
        self.still(scope, WAITING, waits).await
    }

    /// Raises that alarm if it is so, or ends it.
    async fn still(&self, scope: &SystemScope, about: &str, is_so: bool) -> Result<(), WatchError> {
        let Some(rule) = rule_of(LOG_STILL) else { return Ok(()) };
        let key = [rule.id.into(), about.into()];
        let mut read = self.store().system_read(scope).await?;
        let is_there = read.row(STILL, &key).await?.is_some();
        drop(read);
        if is_there == is_so {
            return Ok(());
        }
        let mut tx = self.store().system(scope).await?;
        let acts = match tx.row(STILL, &key).await? {
            None if is_so => {
                let now = self.now();
                let raise = Raise { rule, about, count: 1, entry: None, first: now, last: now };
                self.add(&mut tx, &raise).await?
            }
            Some(row) if !is_so => {
                let id = row.id(0)?;
                self.end(&mut tx, id, rule, about).await?
            }
            _ => Vec::new(),
        };
        if !acts.is_empty() {
            tx.commit_all((), acts).await?.into_inner();
        }
        Ok(())
    }
}
