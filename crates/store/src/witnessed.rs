//! How far witnesses stand by the log: the cosigned checkpoints, and what follows where none is new enough.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

use base::{Duration, Timestamp};
use ledger::{Frontier, Hash, ProofError, TileKind, TilePath};

use crate::{Platform, Row, Store, StoreError, SystemScope, platform, sequencer::edge_tiles};

const PUT: Platform = platform!(
    "INSERT INTO log_witnessed (size, first_at, first_note, at, note) VALUES ($1, $2, $3, $2, $3) \
     ON CONFLICT (size) DO UPDATE SET at = excluded.at, note = excluded.note WHERE excluded.at >= log_witnessed.at"
);
const NEWEST: Platform = platform!("SELECT size, at, note FROM log_witnessed ORDER BY size DESC LIMIT 1");
const BEFORE: Platform =
    platform!("SELECT size, at, note FROM log_witnessed WHERE size <= $1 ORDER BY size DESC LIMIT 1");
const BEHIND: Platform = platform!(
    "SELECT size, first_at, first_note FROM log_witnessed WHERE size > $1 ORDER BY size ASC LIMIT 1"
);
// Of each minute that is long past, the newest: what bounds an entry's time to a minute is kept for ever, and the
// table grows by no more.
const THIN: Platform = platform!(
    "DELETE FROM log_witnessed WHERE at < $1 AND size NOT IN \
     (SELECT MAX(size) FROM log_witnessed WHERE at < $1 GROUP BY at / 60000000)"
);
const SIGNED: Platform = platform!("SELECT size, checkpoint, holder FROM log_head WHERE id = 0");
/// A bound on reading tiles for one proof: two for each of 8 levels, and some.
const MAX_TILES: usize = 40;
/// No cosignature is known.
const NEVER: i64 = i64::MIN;

/// A checkpoint that the quorum of witnesses cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The log's size.
    pub size: u64,
    /// Since when the quorum stands by it, by the witnesses' clocks.
    pub at: Timestamp,
    /// The note, with the cosignatures.
    pub note: String,
}

/// The newest checkpoint that the log signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The log's size.
    pub size: u64,
    /// The note.
    pub note: String,
    /// Whether it is this server that sequences.
    pub ours: bool,
}

/// Whether witnesses stand by the log now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witnessing {
    /// No witness is configured.
    Off,
    /// The quorum's newest cosignature is new enough.
    Fresh,
    /// It is too old, or there never was one.
    Stale {
        /// When it was made.
        last: Option<Timestamp>,
    },
}

/// A tile that a proof needs and that is not read yet.
#[derive(Debug)]
pub struct Missing(u8, u64, u16);

#[derive(Debug)]
pub(crate) struct Gate {
    on: AtomicBool,
    everything: AtomicBool,
    limit: AtomicI64,
    newest: AtomicI64,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            on: AtomicBool::new(false),
            everything: AtomicBool::new(false),
            limit: AtomicI64::new(0),
            newest: AtomicI64::new(NEVER),
        }
    }
}

impl Store {
    /// From now on a cosignature of the quorum that is older than `limit` is too old: for administrative acts, or
    /// for `everything` that is authorized.
    pub async fn require_witnesses(&self, limit: Duration, everything: bool) -> Result<(), StoreError> {
        self.0.gate.everything.store(everything, Ordering::Relaxed);
        self.0.gate.limit.store(limit.micros(), Ordering::Relaxed);
        self.0.gate.on.store(true, Ordering::Relaxed);
        self.refresh_witnessed().await.map(|_| ())
    }

    /// Whether witnesses stand by the log now: by what this server last heard, of itself or of the one that
    /// sequences.
    pub fn witnessing(&self) -> Witnessing {
        if !self.0.gate.on.load(Ordering::Relaxed) {
            return Witnessing::Off;
        }
        let newest = self.0.gate.newest.load(Ordering::Relaxed);
        if newest == NEVER {
            return Witnessing::Stale { last: None };
        }
        let last = Timestamp::from_micros(newest);
        let limit = Duration::from_micros(self.0.gate.limit.load(Ordering::Relaxed));
        // A witness's clock that is ahead must not keep the log fresh for longer than one that is right.
        let now = self.context().now();
        if now.since(last) <= limit && last.since(now) <= limit {
            Witnessing::Fresh
        } else {
            Witnessing::Stale { last: Some(last) }
        }
    }

    /// Whether customers' requests wait for witnesses too, not administrative acts alone.
    pub fn witnesses_gate_everything(&self) -> bool {
        self.0.gate.everything.load(Ordering::Relaxed)
    }

    /// Reads what the server that sequences has published.
    pub async fn refresh_witnessed(&self) -> Result<Option<Witnessed>, StoreError> {
        let newest = self.witnessed().await?;
        self.0.gate.newest.store(newest.as_ref().map_or(NEVER, |it| it.at.micros()), Ordering::Relaxed);
        Ok(newest)
    }

    /// Publishes a checkpoint that the quorum cosigned. An older cosignature of the same size changes nothing.
    pub async fn put_witnessed(&self, scope: &SystemScope, witnessed: &Witnessed) -> Result<(), StoreError> {
        let size = i64::try_from(witnessed.size).map_err(|_| StoreError::Shape("a size"))?;
        let mut tx = self.system(scope).await?;
        tx.execute(PUT, &[size.into(), witnessed.at.into(), witnessed.note.as_str().into()]).await?;
        tx.commit_bookkeeping().await?;
        self.refresh_witnessed().await.map(|_| ())
    }

    /// Thins out cosigned checkpoints that are older than `age`: one a minute stays.
    pub async fn thin_witnessed(&self, scope: &SystemScope, age: Duration) -> Result<u64, StoreError> {
        let mut tx = self.system(scope).await?;
        let thinned = tx.execute(THIN, &[self.context().now().minus(age).into()]).await?;
        tx.commit_bookkeeping().await?;
        Ok(thinned)
    }

    /// The newest checkpoint that the quorum cosigned.
    pub async fn witnessed(&self) -> Result<Option<Witnessed>, StoreError> {
        self.one_witnessed(NEWEST, &[]).await
    }

    /// The newest checkpoint that the log signed, cosigned or not.
    pub async fn signed_head(&self) -> Result<Option<SignedHead>, StoreError> {
        let rows = self.log_rows(SIGNED, &[]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let note = row.text(1)?.to_owned();
        let ours = row.opt_blob(2)? == Some(self.server().as_bytes());
        Ok(Some(SignedHead { size: row.count(0)?, note, ours }).filter(|head| !head.note.is_empty()))
    }

    /// The checkpoint that is shown to everybody: the newest cosigned one where witnesses are configured and there
    /// is one, so that what is shown never goes back; else the newest signed one.
    pub async fn published_checkpoint(&self) -> Result<Option<String>, StoreError> {
        if self.0.gate.on.load(Ordering::Relaxed)
            && let Some(witnessed) = self.witnessed().await?
        {
            return Ok(Some(witnessed.note));
        }
        self.checkpoint().await
    }

    /// Between which cosigned checkpoints an entry entered the log: the newest without it, the oldest with it. By
    /// the witnesses' clocks it was not there at the first's time, and was at the second's.
    pub async fn witnessed_around(
        &self,
        index: u64,
    ) -> Result<(Option<Witnessed>, Option<Witnessed>), StoreError> {
        let Ok(place) = i64::try_from(index) else { return Ok((None, None)) };
        let before = self.one_witnessed(BEFORE, &[place.into()]).await?;
        Ok((before, self.one_witnessed(BEHIND, &[place.into()]).await?))
    }

    /// The root of the log's tree when it had `size` entries, which it has.
    pub async fn root_at(&self, size: u64) -> Result<Hash, StoreError> {
        let mut tiles = HashMap::new();
        for (level, index, width) in edge_tiles(size) {
            let path = TilePath { kind: TileKind::Hashes(level), index, width };
            let data = self.tile(&path).await?;
            tiles
                .insert((level, index), data.ok_or_else(|| StoreError::Log(format!("`{path}` is missing")))?);
        }
        let read = |level: u8, index: u64, _: u16| {
            tiles.get(&(level, index)).cloned().ok_or(StoreError::Shape("a tile of the edge"))
        };
        Frontier::load(size, read).map(|tree| tree.root()).map_err(|error| StoreError::Log(error.to_string()))
    }

    async fn one_witnessed(
        &self,
        statement: Platform,
        values: &[crate::Value<'_>],
    ) -> Result<Option<Witnessed>, StoreError> {
        let read = |row: &Row| {
            Ok(Witnessed { size: row.count(0)?, at: row.time(1)?, note: row.text(2)?.to_owned() })
        };
        self.log_rows(statement, values).await?.first().map(read).transpose()
    }

    /// A proof about the log, which `make` builds of the tiles that it asks for. Building is pure; what it lacks is
    /// read, and it is built anew.
    pub async fn prove<T>(
        &self,
        mut make: impl FnMut(
            &mut dyn FnMut(u8, u64, u16) -> Result<Vec<u8>, Missing>,
        ) -> Result<T, ProofError<Missing>>,
    ) -> Result<T, StoreError> {
        let mut tiles: HashMap<(u8, u64, u16), Vec<u8>> = HashMap::new();
        for _ in 0..=MAX_TILES {
            let mut read = |level, index, width| {
                tiles.get(&(level, index, width)).cloned().ok_or(Missing(level, index, width))
            };
            match make(&mut read) {
                Ok(made) => return Ok(made),
                Err(ProofError::Read(Missing(level, index, width))) => {
                    let path = TilePath { kind: TileKind::Hashes(level), index, width };
                    let data = self.tile(&path).await?;
                    let data = data.ok_or_else(|| StoreError::Log(format!("`{path}` is missing")))?;
                    tiles.insert((level, index, width), data);
                }
                Err(ProofError::Range { index, size }) => {
                    return Err(StoreError::Log(format!("the log of {size} entries has nothing at {index}")));
                }
                Err(ProofError::Length { path, .. }) => {
                    return Err(StoreError::Log(format!("`{path}` is damaged")));
                }
            }
        }
        Err(StoreError::Log("a proof needs more tiles than a log can have".to_owned()))
    }
}
