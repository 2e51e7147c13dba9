//! The servers that run, and what each finds of those that stopped: announced, or not (a crash or a kill). Heartbeats
//! in the log at a fixed greatest gap, so that silence is evidence (AO-1). Also the moment when space ran out and came
//! back, which can only be written afterwards.

use std::{collections::BTreeMap, sync::Mutex};

use base::{Context, Duration, ServerId, Timestamp, kinds};
use ledger::{Act, Activity, GapCause, Heartbeat, ObjectRef};

use crate::{Platform, Store, StoreError, SystemScope, SystemTx, platform};

/// How often a server shows itself to the others, in its row; after three missed ones they take it for crashed.
pub const BEAT: Duration = Duration::from_seconds(5);
/// How often a server shows itself in the log unless it is told otherwise.
const HEARTBEAT: Duration = Duration::from_seconds(30);
/// How far the newest event may lie in the future of a server that starts: servers' clocks differ.
const AHEAD: Duration = Duration::from_seconds(10);
/// A server that has not shown itself for this long, and did not say that it stopped, has crashed.
const SILENCE: Duration = Duration::from_seconds(15);

const ADD: Platform =
    platform!("INSERT INTO server (id, started_at, seen_at, stopped_at) VALUES ($1, $2, $2, NULL)");
const SEEN: Platform = platform!("UPDATE server SET seen_at = $2, stopped_at = NULL WHERE id = $1");
const STOPPED: Platform = platform!("UPDATE server SET stopped_at = $2 WHERE id = $1");
const NEWEST: Platform = platform!("SELECT at FROM event ORDER BY seq DESC LIMIT 1");
/// Most other servers that are followed at once.
const MAX_OTHERS: i64 = 1_024;

const OTHERS: Platform = platform!(
    "SELECT id, seen_at FROM server WHERE stopped_at IS NULL AND id <> $1 ORDER BY seen_at LIMIT $2"
);
const STOPPED_SILENTLY: Platform =
    platform!("UPDATE server SET stopped_at = $2 WHERE id = $1 AND stopped_at IS NULL AND seen_at = $3");
const SILENT: Platform = platform!(
    "UPDATE server SET stopped_at = $1 WHERE stopped_at IS NULL AND id <> $2 AND seen_at < $3 RETURNING id, seen_at"
);

/// A server that stopped without saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastStop {
    /// Which.
    pub server: ServerId,
    /// When it last showed itself.
    pub seen_at: Timestamp,
}

/// This server's row.
#[derive(Debug)]
pub struct ServerRow {
    store: Store,
    /// Whether no other server can be there.
    alone: bool,
    interval: Duration,
    heart: Mutex<Heart>,
    /// The others: what each showed last, and when that was first seen, by this process's own clock. Their clocks
    /// and this one's may differ by anything.
    others: Mutex<BTreeMap<ServerId, (Timestamp, Duration)>>,
}

/// What was shown so far.
#[derive(Clone, Copy, Debug)]
struct Heart {
    /// When the run began, by the clock that nobody sets.
    start: Duration,
    /// The last heartbeat, or the start: by that clock, and by the machine's.
    last: (Duration, Timestamp),
    number: u64,
    failed: u64,
}

impl Heart {
    fn new(context: &Context) -> Self {
        let start = context.elapsed();
        Self { start, last: (start, context.now()), number: 0, failed: 0 }
    }

    /// The heartbeat that is due now, if one is. One that would be due before the next look counts as due.
    fn due(&self, context: &Context, interval: Duration, full: bool) -> Option<Heartbeat> {
        let (elapsed, now) = (context.elapsed(), context.now());
        let passed = |from: Duration| Duration::from_micros(elapsed.micros().saturating_sub(from.micros()));
        let since = passed(self.last.0);
        let moved = now.micros().saturating_sub(self.last.1.micros()).saturating_sub(since.micros());
        let jumped = moved.unsigned_abs() > ledger::CLOCK_TOLERANCE.micros().unsigned_abs();
        let early = Duration::from_micros(BEAT.micros() / 2);
        (since + early >= interval || full || jumped).then_some(Heartbeat {
            number: self.number + 1,
            interval,
            uptime: passed(self.start),
            since,
            failed: self.failed,
            clock_moved: moved,
            full,
        })
    }
}

impl ServerRow {
    /// Announces this server, with the event of its start, and finds the ones that stopped without a
    /// word: each is an event. With `alone`, every other row is such a one, for nobody else can have
    /// the data directory open.
    pub async fn start(
        store: &Store,
        scope: &SystemScope,
        alone: bool,
        version: &str,
    ) -> Result<(Self, Vec<LastStop>), StoreError> {
        let now = store.context().now();
        let before = if alone { Timestamp::from_micros(i64::MAX) } else { now.minus(SILENCE) };
        let mut tx = store.system(scope).await?;
        let server = store.server();
        let silent = tx.rows(SILENT, &[now.into(), (&server).into(), before.into()]).await?;
        let mut acts = Vec::new();
        let mut stops = Vec::new();
        for row in silent {
            let stop = LastStop { server: row.id::<kinds::Server>(0)?, seen_at: row.time(1)? };
            acts.push(crash(&stop));
            stops.push(stop);
        }
        // A clock that was set back while nothing ran, or a database from another time.
        if let Some(newest) = tx.row(NEWEST, &[]).await?.map(|row| row.time(0)).transpose()?
            && newest > now.plus(AHEAD)
        {
            acts.push(
                Act::new(Activity::LogGap, ObjectRef::new("server", server))
                    .detail("cause", GapCause::ClockJump.as_str())
                    .detail("newest", newest),
            );
        }
        tx.execute(ADD, &[(&server).into(), now.into()]).await?;
        acts.push(
            Act::new(Activity::ServerStart, ObjectRef::new("server", server))
                .detail("version", version.to_owned()),
        );
        tx.commit_all((), acts).await?.into_inner();
        let heart = Mutex::new(Heart::new(store.context()));
        let others = Mutex::default();
        Ok((Self { store: store.clone(), alone, interval: HEARTBEAT, heart, others }, stops))
    }

    /// Shows itself in the log that often, instead of every 30 seconds.
    #[must_use]
    pub fn showing_every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Shows that this server is alive; to be called every [`BEAT`]. Writes a heartbeat into the log once one is due,
    /// with what was wrong since the one before; what could not be written while space had run out; and the end of
    /// another server that stopped without a word.
    pub async fn beat(&self, scope: &SystemScope) -> Result<(), StoreError> {
        let (full, context) = (self.store.is_full(), self.store.context());
        let due = self.heart().due(context, self.interval, full);
        let shown = (context.elapsed(), context.now());
        let outcome = self.show(scope, due, full).await;
        let mut heart = self.heart();
        match (&outcome, due) {
            (Ok(()), Some(beat)) => (heart.last, heart.number, heart.failed) = (shown, beat.number, 0),
            (Ok(()), None) => {}
            (Err(_), _) => heart.failed = heart.failed.saturating_add(1),
        }
        outcome
    }

    /// Other servers that have shown nothing new for long, each marked, with its event.
    async fn others_stopped(&self, tx: &mut SystemTx, now: Timestamp) -> Result<Vec<Act>, StoreError> {
        let elapsed = self.store.context().elapsed();
        let mut shown = Vec::new();
        for row in tx.rows(OTHERS, &[(&self.store.server()).into(), MAX_OTHERS.into()]).await? {
            shown.push((row.id::<kinds::Server>(0)?, row.time(1)?));
        }
        let silent = {
            let mut others = self.others.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            others.retain(|server, _| shown.iter().any(|(known, _)| known == server));
            for (server, seen) in &shown {
                let known = others.entry(*server).or_insert((*seen, elapsed));
                if known.0 != *seen {
                    *known = (*seen, elapsed);
                }
            }
            shown.retain(|(server, _)| {
                others.get(server).is_some_and(|(_, first)| elapsed > *first + SILENCE)
            });
            shown
        };
        let mut acts = Vec::new();
        for (server, seen_at) in silent {
            // Another one may have marked it in between, or it showed itself.
            if tx.execute(STOPPED_SILENTLY, &[(&server).into(), now.into(), seen_at.into()]).await? == 1 {
                acts.push(crash(&LastStop { server, seen_at }));
            }
        }
        Ok(acts)
    }

    fn heart(&self) -> std::sync::MutexGuard<'_, Heart> {
        // Plain numbers, each valid: a panic elsewhere spoils nothing here.
        self.heart.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn show(&self, scope: &SystemScope, due: Option<Heartbeat>, full: bool) -> Result<(), StoreError> {
        let mut tx = self.store.system(scope).await?;
        let server = self.store.server();
        let now = self.store.context().now();
        tx.execute(SEEN, &[(&server).into(), now.into()]).await?;
        let object = || ObjectRef::new("server", server);
        let mut acts = Vec::new();
        if !self.alone {
            acts = self.others_stopped(&mut tx, now).await?;
        }
        if full {
            acts.push(Act::failed(Activity::StorageFull, object(), "storage-full"));
            acts.push(Act::new(Activity::StorageRecover, object()));
        }
        if let Some(beat) = due {
            if let Some(cause) = beat.cause() {
                let act = Act::new(Activity::LogGap, object()).detail("cause", cause.as_str());
                acts.push(act.detail("beat", beat.number).detail("since_ms", beat.since.micros() / 1_000));
            }
            let act = Act::new(Activity::ServerHeartbeat, object());
            acts.push(beat.details().into_iter().fold(act, |act, (name, value)| act.detail(name, value)));
        }
        if acts.is_empty() {
            return tx.commit_bookkeeping().await;
        }
        tx.commit_all((), acts).await?.into_inner();
        if full {
            // Only now: whatever went wrong before this line leaves it to be said at the next beat.
            self.store.clear_full();
        }
        Ok(())
    }

    /// Announces the stop, with its event.
    pub async fn stop(&self, scope: &SystemScope) -> Result<(), StoreError> {
        let mut tx = self.store.system(scope).await?;
        let server = self.store.server();
        tx.execute(STOPPED, &[(&server).into(), self.store.context().now().into()]).await?;
        tx.commit((), Act::new(Activity::ServerStop, ObjectRef::new("server", server))).await?.into_inner();
        Ok(())
    }
}

fn crash(stop: &LastStop) -> Act {
    let object = ObjectRef::new("server", stop.server);
    Act::failed(Activity::ServerCrashDetected, object, "stopped-unannounced")
        .detail("last_seen", stop.seen_at.to_string())
}
