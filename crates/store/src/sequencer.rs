//! The sequencer: moves committed events from the outbox into the Merkle log and signs a checkpoint.
//!
//! One step is one transaction: entries get their numbers, the outbox loses them, the tiles and the
//! checkpoint follow. A crash before it commits leaves everything in the outbox; after it, everything
//! in the log. There is no state in between, so nothing is lost and nothing doubled.
//!
//! With several servers on one PostgreSQL, the row in `log_head` elects one: it holds the row for a few
//! seconds at a time, and its lock during each step. Clocks that differ can only delay a take-over;
//! two sequencers can't both commit a step, because each must update that row.

use std::{collections::HashMap, sync::Arc};

use base::{Duration, EventId};
use ledger::{Act, Activity, Frontier, LogSigner, ObjectRef, TILE_WIDTH, leaf_hash};
use tokio::sync::{Mutex, watch};

use crate::{
    Mint, Platform, Row, Store, StoreError, SystemScope, SystemTx, crash_point, platform, seal::Seals,
};

/// Most events moved by one step.
const MAX_BATCH: i64 = 2_048;
/// How long a server may sequence without showing itself before another takes over.
const HOLD: Duration = Duration::from_seconds(3);
/// A hold that reaches further than this into the future was written by a clock that was wrong: it holds nobody up.
const FAR: Duration = Duration::from_seconds(60);
/// How long a sequencer rests after a step that emptied the outbox: events gather meanwhile, and share
/// the cost of a step (tiles written, a checkpoint signed, a commit).
const REST: Duration = Duration::from_millis(50);
/// How long an event may wait for its seal: a server that starts for the first time records some before it has the key.
const UNSEALED_FOR: Duration = Duration::from_seconds(60);
/// How often an idle sequencer looks, in case nobody woke it (another server wrote).
const POLL: Duration = Duration::from_millis(100);

const HOLD_HEAD: Platform = platform!(
    "UPDATE log_head SET holder = $1, held_until = $2 WHERE id = 0 AND (holder = $1 OR held_until < $3 OR held_until > $4) RETURNING size, checkpoint"
);
const PENDING: Platform = platform!("SELECT seq FROM outbox ORDER BY seq LIMIT 1");
const LAST_PENDING: Platform = platform!("SELECT seq FROM outbox ORDER BY seq DESC LIMIT 1");
const PENDING_UNTIL: Platform = platform!("SELECT seq FROM outbox WHERE seq <= $1 LIMIT 1");
const HEAD: Platform = platform!("SELECT holder, held_until FROM log_head WHERE id = 0");
const NUMBER: Platform = platform!(
    "INSERT INTO log_entry (idx, seq) SELECT $1 - 1 + row_number() OVER (ORDER BY seq), seq \
     FROM (SELECT seq FROM outbox WHERE seal IS NOT NULL OR $3 = 1 ORDER BY seq LIMIT $2) AS oldest"
);
const CLEAR: Platform = platform!(
    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM log_entry WHERE idx >= $1) RETURNING seq, seal"
);
const NEW_LEAVES: Platform = platform!(
    "SELECT l.idx, e.leaf, l.seq, e.id FROM log_entry l JOIN event e ON e.seq = l.seq WHERE l.idx >= $1 ORDER BY l.idx"
);
const UNSEALED: Platform = platform!(
    "SELECT o.seq, e.id FROM outbox o LEFT JOIN event e ON e.seq = o.seq WHERE o.seal IS NULL AND (e.at IS NULL OR e.at < $1) \
     ORDER BY o.seq LIMIT 256"
);
const PUT_TILE: Platform = platform!(
    "INSERT INTO log_tile (level, idx, width, data) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (level, idx) DO UPDATE SET width = excluded.width, data = excluded.data"
);
const GET_TILE: Platform = platform!("SELECT width, data FROM log_tile WHERE level = $1 AND idx = $2");
const PUT_HEAD: Platform =
    platform!("UPDATE log_head SET size = $1, checkpoint = $2 WHERE id = 0 AND holder = $3");
const LET_GO: Platform = platform!("UPDATE log_head SET held_until = 0 WHERE id = 0 AND holder = $1");

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Events moved into the log.
    pub moved: u64,
    /// The log's size now; `None` while another server sequences.
    pub size: Option<u64>,
}

/// Moves events into the log.
pub struct Sequencer {
    store: Store,
    signer: Arc<LogSigner>,
    scope: SystemScope,
    /// The edge of the tree as of the last step; thrown away on any doubt.
    edge: Mutex<Option<Frontier>>,
}

impl Sequencer {
    /// A sequencer that signs with `signer`.
    pub fn new(store: Store, signer: Arc<LogSigner>) -> Result<Self, StoreError> {
        let origin = store.own_origin("sequencer")?;
        let scope = Mint::new().system(origin, store.context().now(), "the log spans accounts");
        Ok(Self { store, signer, scope, edge: Mutex::new(None) })
    }

    /// Moves what waits, up to a bound, if this server may sequence. Always leaves a signed
    /// checkpoint behind, be it of an empty log.
    pub async fn step(&self) -> Result<Sequenced, StoreError> {
        loop {
            // None: what nobody recorded was set aside, and the others follow.
            if let Some(step) = self.try_step().await? {
                return Ok(step);
            }
        }
    }

    async fn try_step(&self) -> Result<Option<Sequenced>, StoreError> {
        let mut edge = self.edge.lock().await;
        // A transaction that fails anywhere below must not leave an edge that is ahead of the tables.
        let known = edge.take();
        let now = self.store.context().now();
        let server = self.store.server();
        let mut tx = self.store.system(&self.scope).await?;
        let values = [(&server).into(), now.plus(HOLD).into(), now.into(), now.plus(FAR).into()];
        let held = tx.row(HOLD_HEAD, &values).await?;
        let Some(held) = held else { return Ok(Some(Sequenced { moved: 0, size: None })) };
        let size = held.count(0)?;
        let mut frontier = match known.filter(|frontier| frontier.size() == size) {
            Some(frontier) => frontier,
            None => {
                let frontier = load_edge(&mut tx, size).await?;
                self.check_edge(&frontier, held.text(1)?)?;
                frontier
            }
        };
        let moved = match move_entries(&mut tx, &mut frontier, self.store.seals()).await? {
            Moved::All(moved) => moved,
            Moved::Planted(planted) => {
                drop(tx);
                self.set_aside(&planted).await?;
                return Ok(None);
            }
        };
        let checkpoint = self.signer.sign(frontier.size(), frontier.root());
        let values = [as_int(frontier.size())?.into(), (&checkpoint).into(), (&server).into()];
        if tx.execute(PUT_HEAD, &values).await? != 1 {
            return Err(StoreError::Log("the head's row is gone".to_owned()));
        }
        crash_point("sequencer.before-commit");
        tx.commit_bookkeeping().await?;
        crash_point("sequencer.after-commit");
        let size = Some(frontier.size());
        *edge = Some(frontier);
        Ok(Some(Sequenced { moved, size }))
    }

    /// Sets planted events aside, with the event that says so.
    async fn set_aside(&self, planted: &[(i64, Option<EventId>)]) -> Result<(), StoreError> {
        let tx = self.store.system(&self.scope).await?;
        self.store.set_aside(tx, planted).await
    }

    /// Looks for events that nobody sealed in time: those were planted too.
    async fn look_for_unsealed(&self) -> Result<(), StoreError> {
        if !self.store.seals().are_made() {
            return Ok(());
        }
        let before = self.store.context().now().minus(UNSEALED_FOR);
        let mut read = self.store.system_read(&self.scope).await?;
        let rows = read.rows(UNSEALED, &[before.into()]).await?;
        drop(read);
        let mut planted = Vec::with_capacity(rows.len());
        for row in &rows {
            planted.push((row.int(0)?, id_of(row, 1)));
        }
        if planted.is_empty() { Ok(()) } else { self.set_aside(&planted).await }
    }

    /// A tree that was picked up from the tables must be the one that was signed: otherwise somebody
    /// changed them, and signing on would cover it up.
    fn check_edge(&self, frontier: &Frontier, checkpoint: &str) -> Result<(), StoreError> {
        if checkpoint.is_empty() && frontier.size() == 0 {
            return Ok(());
        }
        let signed =
            self.signer.verifier().verify(checkpoint).map_err(|error| StoreError::Log(error.to_string()))?;
        if signed.size == frontier.size() && signed.root == frontier.root() {
            Ok(())
        } else {
            Err(StoreError::Log(format!(
                "the tables hold {} entries that are not the {} that were signed: restore the database",
                frontier.size(),
                signed.size
            )))
        }
    }

    /// Steps until nothing waits; for shutdown and tests.
    pub async fn drain(&self) -> Result<Sequenced, StoreError> {
        let mut total = 0;
        loop {
            let step = self.step().await?;
            total += step.moved;
            if step.moved == 0 {
                return Ok(Sequenced { moved: total, size: step.size });
            }
        }
    }

    /// Steps whenever something waits, until told to stop; then drains, and lets another server go on.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // A witness knows another past: signing on would make it two.
            if self.store.is_log_broken() {
                let _ = stop.changed().await;
                break;
            }
            match self.has_work().await {
                Ok(true) => match self.step().await {
                    Ok(step) if step.moved >= MAX_BATCH.unsigned_abs() => continue,
                    // Something waits that no step moves.
                    Ok(step) if step.moved == 0 => {
                        if let Err(error) = self.look_for_unsealed().await {
                            self.failed(&error).await;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => self.failed(&error).await,
                },
                Ok(false) => {}
                Err(error) => self.failed(&error).await,
            }
            tokio::select! {
                () = tokio::time::sleep(REST.into()) => {}
                _ = stop.changed() => continue,
            }
            tokio::select! {
                () = self.store.events_added() => {}
                () = tokio::time::sleep(POLL.into()) => {}
                _ = stop.changed() => {}
            }
        }
        if self.store.is_log_broken() {
            return;
        }
        if let Err(error) = self.let_go().await {
            tracing::warn!(%error, "events stay in the outbox until the next start");
        }
    }

    /// What a step that failed means: the store does not answer, or somebody changed the log's tables. The second
    /// does not pass by itself: it is an event, once, and stays in sight of whoever watches this server.
    async fn failed(&self, error: &StoreError) {
        if !matches!(error, StoreError::Log(_)) {
            tracing::warn!(%error, "the log waits for the store");
            return;
        }
        if self.store.log_broke() {
            return;
        }
        tracing::error!(%error, "the log's tables were changed: nothing is signed any more");
        let act = Act::new(Activity::IntegrityViolation, ObjectRef::new("log", self.signer.origin()));
        if let Err(error) = self.store.record_system(&self.scope, act).await {
            tracing::error!(%error, "the change of the log's tables could not be recorded");
        }
    }

    async fn has_work(&self) -> Result<bool, StoreError> {
        let mut read = self.store.system_read(&self.scope).await?;
        let Some(head) = read.row(HEAD, &[]).await? else {
            return Err(StoreError::Log("the head's row is gone".to_owned()));
        };
        let ours = head.opt_blob(0)? == Some(self.store.server().as_bytes());
        let (now, until) = (self.store.context().now(), head.time(1)?);
        let free = until < now || until > now.plus(FAR);
        Ok((ours || free) && read.row(PENDING, &[]).await?.is_some())
    }

    /// Moves what waits at this moment, and lets another server go on. What others add meanwhile is theirs to
    /// move: waiting for a moment without any would be waiting for ever.
    async fn let_go(&self) -> Result<(), StoreError> {
        let mut read = self.store.system_read(&self.scope).await?;
        let last = read.row(LAST_PENDING, &[]).await?.map(|row| row.int(0)).transpose()?;
        drop(read);
        if let Some(last) = last {
            loop {
                let step = self.step().await?;
                let mut read = self.store.system_read(&self.scope).await?;
                if step.moved == 0 || read.row(PENDING_UNTIL, &[last.into()]).await?.is_none() {
                    break;
                }
            }
        }
        let mut tx = self.store.system(&self.scope).await?;
        tx.execute(LET_GO, &[(&self.store.server()).into()]).await?;
        tx.commit_bookkeeping().await
    }
}

/// The partial tiles at the right edge of a tree: level, index, width.
pub(crate) fn edge_tiles(size: u64) -> impl Iterator<Item = (u8, u64, u16)> {
    let wide = u64::from(TILE_WIDTH);
    (0u8..8)
        .map_while(move |level| {
            let of_level = size.checked_shr(8 * u32::from(level)).filter(|count| *count > 0)?;
            Some((level, of_level / wide, (of_level % wide) as u16))
        })
        .filter(|(_, _, width)| *width > 0)
}

pub(crate) async fn load_edge(tx: &mut SystemTx, size: u64) -> Result<Frontier, StoreError> {
    let mut tiles = Vec::new();
    for (level, index, width) in edge_tiles(size) {
        let found = tx.row(GET_TILE, &[i64::from(level).into(), as_int(index)?.into()]).await?;
        let row = found.ok_or_else(|| StoreError::Log(format!("tile {level}/{index} is missing")))?;
        let data = row.blob(1)?.get(..usize::from(width) * 32);
        let data = data.ok_or_else(|| StoreError::Log(format!("tile {level}/{index} is too short")))?;
        tiles.push(((level, index), data.to_vec()));
    }
    let read = |level: u8, index: u64, _width: u16| {
        let found = tiles.iter().find(|((l, i), _)| (*l, *i) == (level, index));
        found
            .map(|(_, data)| data.clone())
            .ok_or_else(|| StoreError::Log(format!("tile {level}/{index} is missing")))
    };
    Frontier::load(size, read).map_err(|error| StoreError::Log(error.to_string()))
}

/// What became of a batch.
enum Moved {
    /// It is in the log.
    All(u64),
    /// These are no events of any server: the transaction is to be thrown away.
    Planted(Vec<(i64, Option<EventId>)>),
}

async fn move_entries(
    tx: &mut SystemTx,
    frontier: &mut Frontier,
    seals: &Seals,
) -> Result<Moved, StoreError> {
    let first = as_int(frontier.size())?;
    // A first start records before it has a key; nothing is there yet that could be falsified.
    let unsealed_too = first == 0 || !seals.are_made();
    if tx.execute(NUMBER, &[first.into(), MAX_BATCH.into(), i64::from(unsealed_too).into()]).await? == 0 {
        return Ok(Moved::All(0));
    }
    let cleared = tx.rows(CLEAR, &[first.into()]).await?;
    let leaves = tx.rows(NEW_LEAVES, &[first.into()]).await?;
    if seals.are_made() {
        let planted = planted(&cleared, &leaves, seals, unsealed_too)?;
        if !planted.is_empty() {
            return Ok(Moved::Planted(planted));
        }
    }
    for row in &leaves {
        if row.count(0)? != frontier.size() {
            return Err(StoreError::Log(format!("entry {} is missing", frontier.size())));
        }
        frontier.append(leaf_hash(row.blob(1)?));
    }
    put_tiles(tx, frontier).await?;
    Ok(Moved::All(leaves.len() as u64))
}

/// Those whose seal is not that of any server.
fn planted(
    cleared: &[Row],
    leaves: &[Row],
    seals: &Seals,
    unsealed_too: bool,
) -> Result<Vec<(i64, Option<EventId>)>, StoreError> {
    let mut given = HashMap::with_capacity(cleared.len());
    for row in cleared {
        given.insert(row.int(0)?, row.opt_blob(1)?);
    }
    let mut planted = Vec::new();
    for row in leaves {
        let (leaf, seq) = (row.blob(1)?, row.int(2)?);
        let seal = given.get(&seq).copied().flatten();
        if (seal.is_none() && unsealed_too) || seals.hold(leaf, seal) {
            continue;
        }
        planted.push((seq, id_of(row, 3)));
    }
    Ok(planted)
}

/// The event's id, if what was planted has one.
fn id_of(row: &Row, column: usize) -> Option<EventId> {
    row.opt_id::<base::kinds::Event>(column).ok().flatten()
}

/// Stores the tiles that changed.
pub(crate) async fn put_tiles(tx: &mut SystemTx, frontier: &mut Frontier) -> Result<(), StoreError> {
    for tile in frontier.take_changed() {
        let values = [
            i64::from(tile.level).into(),
            as_int(tile.index)?.into(),
            i64::from(tile.width).into(),
            (&tile.data).into(),
        ];
        tx.execute(PUT_TILE, &values).await?;
    }
    Ok(())
}

pub(crate) fn as_int(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Log("larger than 2^63 entries".to_owned()))
}
