//! Delivers messages: from a queue of each route, at least once, again and again with longer waits, and by another route if
//! one fails for good. A slow receiver holds up its own route alone.

use std::{future::Future, pin::Pin, sync::Arc};

use base::{AlarmId, Duration, MessageId, Timestamp};
use ledger::{Act, Activity};
use store::{Platform, SystemScope, SystemTx, platform};
use tokio::sync::{Mutex, watch};

use crate::{
    Alarms, MessageKind, Notice, WatchError,
    alarm::{NewMessage, route},
    alarm_raise::Position,
};

/// Attempts before a message is given up on a route.
pub const MAX_ATTEMPTS: u32 = 5;
/// The wait before the second attempt; each further one is three times as long.
const FIRST_WAIT: Duration = Duration::from_seconds(10);
/// How long a receiver may take.
const LONGEST: Duration = Duration::from_seconds(45);
/// How long a message is one server's.
const LEASE: Duration = Duration::from_seconds(60);
/// How often it is looked for what is due.
const POLL: std::time::Duration = std::time::Duration::from_secs(1);
/// Most messages that one look delivers by one route.
const AT_ONCE: u32 = 100;

/// Why a receiver did not take a message. Fixed words: neither an address nor an answer's text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untaken {
    /// A stable code such as `unreachable`.
    pub code: &'static str,
    /// The answer's number, if it answered.
    pub answer: Option<u16>,
    /// Whether another attempt may do better.
    pub again: bool,
}

/// What a courier returns.
pub type CarryFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Untaken>> + Send + 'a>>;

/// Brings messages to one receiver.
pub trait Courier: Send + Sync {
    /// The route's name.
    fn route(&self) -> &str;
    /// Brings one. What returns without an error has arrived, and may have before.
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a>;
}

/// Raises alarms and brings them to their receivers.
pub struct Messenger {
    alarms: Alarms,
    couriers: Vec<Arc<dyn Courier>>,
    scope: SystemScope,
    position: Mutex<Option<Position>>,
}

/// A message in hand.
struct Claimed {
    id: MessageId,
    alarm: AlarmId,
    kind: MessageKind,
    step: u32,
    attempts: u32,
    due: Timestamp,
    made: Timestamp,
}

const NEXT: Platform = platform!(
    "SELECT id FROM alarm_delivery WHERE route = $1 AND state = 'waiting' AND due_at <= $2 AND lease_until <= $2 \
     ORDER BY due_at, id LIMIT 1"
);
const CLAIM: Platform = platform!(
    "UPDATE alarm_delivery SET attempts = attempts + 1, lease_until = $2 \
     WHERE id = $1 AND state = 'waiting' AND lease_until <= $3 RETURNING alarm, kind, step, attempts, due_at, made_at"
);
const DONE: Platform = platform!(
    "UPDATE alarm_delivery SET state = 'done', failure = NULL, at = $3 WHERE id = $1 AND state = 'waiting' AND attempts = $2"
);
const AGAIN: Platform = platform!(
    "UPDATE alarm_delivery SET due_at = $3, lease_until = 0, failure = $4 \
     WHERE id = $1 AND state = 'waiting' AND attempts = $2"
);
const FAILED: Platform = platform!(
    "UPDATE alarm_delivery SET state = 'failed', failure = $3, at = $4 \
     WHERE id = $1 AND state = 'waiting' AND attempts = $2"
);
const TOLD_BY: Platform = platform!(
    "SELECT DISTINCT route FROM alarm_delivery WHERE alarm = $1 AND kind = $2 AND step = $3 AND made_at >= $4"
);

impl Messenger {
    /// With those couriers, one for each route of the plan.
    pub fn new(alarms: Alarms, couriers: Vec<Arc<dyn Courier>>, scope: SystemScope) -> Self {
        Self { alarms, couriers, scope, position: Mutex::new(None) }
    }

    /// Until told to stop.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut tasks = tokio::task::JoinSet::new();
        for courier in this.couriers.clone() {
            let (this, mut stop) = (Arc::clone(&this), stop.clone());
            tasks.spawn(async move {
                while !*stop.borrow() {
                    if let Err(error) = this.deliver_by(courier.as_ref()).await {
                        tracing::warn!(route = courier.route(), %error, "messages wait for the store");
                    }
                    pause(&mut stop).await;
                }
            });
        }
        let mut stop = stop;
        while !*stop.borrow() {
            if let Err(error) = this.look().await {
                tracing::warn!(%error, "alarms wait for the store");
            }
            pause(&mut stop).await;
        }
        // What is on its way is waited for; what is not sent by then is, at the next start.
        while tasks.join_next().await.is_some() {}
    }

    /// Reads the log to its end, and does what is due by the clock.
    pub async fn look(&self) -> Result<(), WatchError> {
        let mut position = self.position.lock().await;
        while self.alarms.read_log(&self.scope, &mut position).await? {}
        drop(position);
        self.alarms.by_the_clock(&self.scope).await
    }

    /// Delivers what is due by every route, all at once; for tests.
    pub async fn deliver_due(&self) -> Result<u32, WatchError> {
        let mut count = 0;
        for courier in &self.couriers {
            count += self.deliver_by(courier.as_ref()).await?;
        }
        Ok(count)
    }

    /// Delivers what is due by a route, one after the other; how many attempts that was.
    async fn deliver_by(&self, courier: &dyn Courier) -> Result<u32, WatchError> {
        let mut count = 0;
        while count < AT_ONCE
            && let Some(claimed) = self.claim(courier.route()).await?
        {
            let notice = self.alarms.notice(&self.scope, claimed.id, claimed.alarm, claimed.kind).await?;
            // A crash here, or while it is on its way: the lease runs out, and it is brought again.
            store::crash_point("alarm.before-carry");
            let late = Untaken { code: "timed-out", answer: None, again: true };
            let outcome = match notice {
                Some(notice) => {
                    let carried = tokio::time::timeout(LONGEST.into(), courier.carry(&notice)).await;
                    carried.unwrap_or(Err(late))
                }
                // Its alarm is gone.
                None => Ok(()),
            };
            store::crash_point("alarm.after-carry");
            self.finish(courier.route(), &claimed, outcome).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn claim(&self, name: &str) -> Result<Option<Claimed>, WatchError> {
        let store = self.alarms.store();
        let now = self.alarms.now();
        // Most looks find nothing: they must not cost a durable write.
        let mut read = store.system_read(&self.scope).await?;
        let Some(next) = read.row(NEXT, &[name.into(), now.into()]).await? else { return Ok(None) };
        drop(read);
        let id: MessageId = next.id(0)?;
        let mut tx = store.system(&self.scope).await?;
        let values = [(&id).into(), now.plus(LEASE).into(), now.into()];
        let Some(row) = tx.row(CLAIM, &values).await? else { return Ok(None) };
        let kind = MessageKind::from_word(row.text(1)?).ok_or(store::StoreError::Shape("a message"))?;
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let claimed = Claimed {
            id,
            alarm: row.id(0)?,
            kind,
            step: number(row.int(2)?),
            attempts: number(row.int(3)?),
            due: row.time(4)?,
            made: row.time(5)?,
        };
        let act = self.act(Activity::AlarmSend, name, &claimed);
        tx.commit((), act).await?.into_inner();
        Ok(Some(claimed))
    }

    fn act(&self, activity: Activity, name: &str, claimed: &Claimed) -> Act {
        described(Act::new(activity, route(name)), claimed)
    }

    /// Writes down how it went, unless another server has it by now.
    async fn finish(
        &self,
        name: &str,
        claimed: &Claimed,
        outcome: Result<(), Untaken>,
    ) -> Result<(), WatchError> {
        let now = self.alarms.now();
        let mut tx = self.alarms.store().system(&self.scope).await?;
        let (id, attempts) = ((&claimed.id).into(), claimed.attempts.into());
        let (held, acts) = match outcome {
            Ok(()) => {
                let held = tx.execute(DONE, &[id, attempts, now.into()]).await?;
                (held, vec![self.act(Activity::AlarmDeliver, name, claimed)])
            }
            Err(why) if why.again && claimed.attempts < MAX_ATTEMPTS => {
                tracing::warn!(route = name, code = why.code, "a message about an alarm waits");
                let values = [id, attempts, now.plus(wait_after(claimed.attempts)).into(), why.code.into()];
                let held = tx.execute(AGAIN, &values).await?;
                let act = Act::failed(Activity::AlarmDeliver, route(name), why.code);
                (held, vec![answered(described(act, claimed), why)])
            }
            Err(why) => {
                tracing::error!(route = name, code = why.code, "a message about an alarm can't be delivered");
                let held = tx.execute(FAILED, &[id, attempts, why.code.into(), now.into()]).await?;
                let act = Act::failed(Activity::AlarmUndelivered, route(name), why.code);
                let mut acts = vec![answered(described(act, claimed), why)];
                if held > 0 && claimed.kind.calls() {
                    acts.extend(self.by_another(&mut tx, name, claimed).await?);
                }
                (held, acts)
            }
        };
        if held > 0 {
            tx.commit_all((), acts).await?.into_inner();
        }
        Ok(())
    }

    /// Sends it by the next route that was not told this yet.
    async fn by_another(
        &self,
        tx: &mut SystemTx,
        failed: &str,
        claimed: &Claimed,
    ) -> Result<Vec<Act>, WatchError> {
        let Claimed { alarm, kind, step, due, made, .. } = *claimed;
        let values = [(&alarm).into(), kind.as_str().into(), step.into(), made.into()];
        let rows = tx.rows(TOLD_BY, &values).await?;
        let told: Result<Vec<&str>, _> = rows.iter().map(|row| row.text(0)).collect();
        let told = told?;
        let Some(next) = self.alarms.plan().instead_of(failed).find(|one| !told.contains(one)) else {
            return Ok(Vec::new());
        };
        let message = NewMessage { alarm, route: next, kind, step, due };
        Ok(self.alarms.enqueue(tx, &message).await?.into_iter().collect())
    }
}

fn described(act: Act, claimed: &Claimed) -> Act {
    act.detail("alarm", claimed.alarm)
        .detail("message", claimed.id)
        .detail("kind", claimed.kind.as_str())
        .detail("attempt", claimed.attempts)
}

fn answered(act: Act, why: Untaken) -> Act {
    match why.answer {
        Some(number) => act.detail("answer", u32::from(number)),
        None => act,
    }
}

/// The wait after so many attempts: 10, 30, 90, 270 seconds.
fn wait_after(attempts: u32) -> Duration {
    let times = 3i64.saturating_pow(attempts.saturating_sub(1).min(8));
    Duration::from_seconds(FIRST_WAIT.seconds().saturating_mul(times))
}

async fn pause(stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(POLL) => {}
        _ = stop.changed() => {}
    }
}
