//! Raises alarms from the log: reads what was added, and applies what it means. What happens again raises the count of the
//! alarm that there is. How far the log was read and what follows from it are one transaction.

use base::{AlarmId, Timestamp};
use ledger::{Act, Activity};
use store::{Platform, ReadEntry, SystemScope, SystemTx, platform};

use crate::{
    Alarms, MessageKind, WatchError,
    alarm::{Told, act},
    alarm_rules::{AlarmRule, meaning},
};

/// The reader of the log, by name.
const READER: &str = "alarms";
/// Most entries that are read at once.
const MAX_ENTRIES: u64 = 256;
/// Entries that mean nothing after which it is saved that they were read.
const SAVE_AFTER: u64 = 1_024;
/// Most alarms that are not over; what is about one thing counts for all from there on.
const MAX_OPEN: u64 = 1_000;
/// What those are about.
const OTHERS: &str = "*";
/// How long what does not suffice for an alarm is kept.
const KEPT_COUNTING: base::Duration = base::Duration::from_seconds(7_200);

const FIND: Platform = platform!(
    "SELECT id, state, count, first_at FROM alarm WHERE rule = $1 AND about = $2 AND state <> 'resolved'"
);
const ADD: Platform = platform!(
    "INSERT INTO alarm (id, rule, about, state, severity, count, entry, first_at, last_at, step, next_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)"
);
const COUNT: Platform = platform!("UPDATE alarm SET count = $2, first_at = $3, last_at = $4 WHERE id = $1");
const OPEN: Platform = platform!("UPDATE alarm SET state = 'open', step = 0, next_at = $2 WHERE id = $1");
const RESOLVE: Platform = platform!(
    "UPDATE alarm SET state = 'resolved', resolved_at = $2, next_at = NULL WHERE id = $1 AND state <> 'resolved'"
);
const FORGET: Platform = platform!("DELETE FROM alarm WHERE id = $1");
const SWEEP: Platform = platform!("DELETE FROM alarm WHERE state = 'counting' AND last_at < $1");
const HOW_MANY: Platform =
    platform!("SELECT count(*) FROM alarm WHERE state IN ('counting', 'open', 'acknowledged')");

/// How far the log was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    durable: u64,
    /// Up to here, nothing follows from what came after the durable one.
    read: u64,
}

/// What happened to one alarm, without interruption.
struct Happened {
    rule: &'static AlarmRule,
    about: String,
    raises: bool,
    count: u64,
    entry: u64,
    first: Timestamp,
    last: Timestamp,
}

/// An alarm to be raised.
pub(crate) struct Raise<'a> {
    pub(crate) rule: &'static AlarmRule,
    pub(crate) about: &'a str,
    pub(crate) count: u64,
    pub(crate) entry: Option<u64>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl Alarms {
    /// Reads what was added to the log, and raises and ends alarms; whether there is more.
    pub(crate) async fn read_log(
        &self,
        scope: &SystemScope,
        position: &mut Option<Position>,
    ) -> Result<bool, WatchError> {
        let at = match *position {
            Some(at) => at,
            None => {
                let durable = self.store().reader_position(scope, READER).await?;
                Position { durable, read: durable }
            }
        };
        *position = Some(at);
        let entries = self.store().entries(at.read, at.read.saturating_add(MAX_ENTRIES)).await?;
        let Some((last, _)) = entries.last() else { return Ok(false) };
        let to = last.saturating_add(1);
        let has_more = entries.len() as u64 == MAX_ENTRIES;
        let happened = happened(&entries);
        if happened.is_empty() && to.saturating_sub(at.durable) < SAVE_AFTER {
            *position = Some(Position { read: to, ..at });
            return Ok(has_more);
        }
        // A crash before the commit: the entries are read again, and nothing follows from them twice.
        let mut tx = self.store().system(scope).await?;
        if !tx.move_reader(READER, at.durable, to).await? {
            *position = None;
            return Ok(true);
        }
        let mut acts = Vec::new();
        for one in &happened {
            acts.extend(self.apply(&mut tx, one).await?);
        }
        if !happened.is_empty() {
            tx.execute(SWEEP, &[self.now().minus(KEPT_COUNTING).into()]).await?;
        }
        store::crash_point("alarm.before-raise");
        match acts.is_empty() {
            true => tx.commit_read().await?,
            false => tx.commit_all((), acts).await?.into_inner(),
        }
        *position = Some(Position { durable: to, read: to });
        Ok(has_more)
    }

    async fn apply(&self, tx: &mut SystemTx, one: &Happened) -> Result<Vec<Act>, WatchError> {
        let mut about = one.about.as_str();
        let mut found = tx.row(FIND, &[one.rule.id.into(), about.into()]).await?;
        if found.is_none() && one.raises && about != "-" {
            let open = tx.row(HOW_MANY, &[]).await?.map(|row| row.count(0)).transpose()?;
            if open.unwrap_or_default() >= MAX_OPEN {
                about = OTHERS;
                found = tx.row(FIND, &[one.rule.id.into(), about.into()]).await?;
            }
        }
        let raise = |count, first| Raise {
            rule: one.rule,
            about,
            count,
            entry: Some(one.entry),
            first,
            last: one.last,
        };
        let Some(row) = found else {
            return if one.raises {
                self.add(tx, &raise(one.count, one.first)).await
            } else {
                Ok(Vec::new())
            };
        };
        let id: AlarmId = row.id(0)?;
        let (is_counting, count, first) = (row.text(1)? == "counting", row.count(2)?, row.time(3)?);
        if !one.raises {
            if is_counting {
                tx.execute(FORGET, &[(&id).into()]).await?;
                return Ok(Vec::new());
            }
            return self.end(tx, id, one.rule, about).await;
        }
        // What lies too far apart is counted from here.
        let lapsed = one.rule.many.is_some_and(|many| is_counting && one.last.since(first) > many.within);
        let (count, first) = if lapsed { (one.count, one.first) } else { (count + one.count, first) };
        let values = [(&id).into(), as_int(count).into(), first.into(), one.last.into()];
        tx.execute(COUNT, &values).await?;
        if is_counting && one.rule.many.is_none_or(|many| count >= many.count) {
            return self.open(tx, id, &raise(count, first)).await;
        }
        Ok(Vec::new())
    }

    /// Adds an alarm, open if it suffices for one.
    pub(crate) async fn add(&self, tx: &mut SystemTx, raise: &Raise<'_>) -> Result<Vec<Act>, WatchError> {
        let id = AlarmId::new(self.store().context())?;
        let entry = raise.entry.map(as_int);
        let values = [
            (&id).into(),
            raise.rule.id.into(),
            raise.about.into(),
            "counting".into(),
            raise.rule.severity.as_str().into(),
            as_int(raise.count).into(),
            entry.into(),
            raise.first.into(),
            raise.last.into(),
            store::Value::Null,
        ];
        tx.execute(ADD, &values).await?;
        if raise.rule.many.is_none_or(|many| raise.count >= many.count) {
            return self.open(tx, id, raise).await;
        }
        Ok(Vec::new())
    }

    async fn open(&self, tx: &mut SystemTx, id: AlarmId, raise: &Raise<'_>) -> Result<Vec<Act>, WatchError> {
        let severity = raise.rule.severity;
        tx.execute(OPEN, &[(&id).into(), self.next_at(severity, 0).into()]).await?;
        let raised = act(Activity::AlarmRaise, id, raise.rule, raise.about).detail("count", raise.count);
        let raised = match raise.entry {
            Some(entry) => raised.detail("entry", entry),
            None => raised,
        };
        let (rule, about) = (raise.rule, raise.about);
        let told = Told { alarm: id, rule, about, kind: MessageKind::Raise, step: 0 };
        let mut acts = vec![raised];
        acts.extend(self.tell(tx, told).await?);
        Ok(acts)
    }

    /// Ends an alarm that is there; what it was about passed.
    pub(crate) async fn end(
        &self,
        tx: &mut SystemTx,
        id: AlarmId,
        rule: &AlarmRule,
        about: &str,
    ) -> Result<Vec<Act>, WatchError> {
        if tx.execute(RESOLVE, &[(&id).into(), self.now().into()]).await? == 0 {
            return Ok(Vec::new());
        }
        let mut acts = vec![act(Activity::AlarmResolve, id, rule, about)];
        acts.extend(self.call_off(tx, id, rule.severity, MessageKind::Resolve).await?);
        Ok(acts)
    }
}

/// What entries mean, in their order; what follows upon its like is one.
fn happened(entries: &[ReadEntry]) -> Vec<Happened> {
    let mut all: Vec<Happened> = Vec::new();
    for (index, event) in entries {
        let Some((event, meant)) = event.as_ref().and_then(|event| Some((event, meaning(event)?))) else {
            continue;
        };
        let same = all.iter_mut().rev().find(|one| one.rule.id == meant.rule.id && one.about == meant.about);
        match same {
            Some(one) if one.raises == meant.raises => {
                one.count += 1;
                one.last = one.last.max(event.time);
            }
            _ => all.push(Happened {
                rule: meant.rule,
                about: meant.about,
                raises: meant.raises,
                count: 1,
                entry: *index,
                first: event.time,
                last: event.time,
            }),
        }
    }
    all
}

pub(crate) fn as_int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
