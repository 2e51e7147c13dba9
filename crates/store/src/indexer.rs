//! Building the index of the log, some way behind it. A segment is written in one transaction with the number of
//! entries that are indexed: a crash leaves both or neither, and two servers can't both write one. Nothing waits for
//! the index: what is not in it yet, a search reads.

use base::Duration;
use ledger::{Event, LARGE_SEGMENT, SMALL_SEGMENT, SegmentBuilder, SegmentPage};
use tokio::sync::watch;

use crate::{Mint, Platform, Store, StoreError, SystemScope, platform, sequencer::as_int};

/// How often it looks whether there is enough for a segment.
const POLL: Duration = Duration::from_seconds(1);
/// Entries of which one earliest and one latest time are kept.
pub(crate) const TIMES_OF: u64 = 256;
/// Bytes of an earliest and a latest time.
pub(crate) const TIMES_BYTES: usize = 16;
pub(crate) const SMALL: u64 = SMALL_SEGMENT as u64;
pub(crate) const LARGE: u64 = LARGE_SEGMENT as u64;
const SMALL_IN_LARGE: u64 = LARGE / SMALL;

const SIZE: Platform = platform!("SELECT size FROM log_head WHERE id = 0");
const INDEXED: Platform = platform!("SELECT size FROM log_indexed WHERE id = 0");
const LARGE_COUNT: Platform = platform!("SELECT count(*) FROM log_segment WHERE level = 1");
const PUT_INDEXED: Platform = platform!("UPDATE log_indexed SET size = $1 WHERE id = 0 AND size = $2");
const PUT_SEGMENT: Platform =
    platform!("INSERT INTO log_segment (level, segment, times) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
const PUT_PAGE: Platform =
    platform!("INSERT INTO log_segment_page (level, segment, first, data) VALUES ($1, $2, $3, $4)");
/// The times of some segments of a level, in their order.
pub(crate) const TIMES: Platform = platform!(
    "SELECT segment, times FROM log_segment WHERE level = $1 AND segment >= $2 AND segment < $3 ORDER BY segment"
);
const PAGES: Platform =
    platform!("SELECT data FROM log_segment_page WHERE level = 0 AND segment = $1 ORDER BY first");
const DROP_SMALL: Platform =
    platform!("DELETE FROM log_segment WHERE level = 0 AND segment >= $1 AND segment < $2");
const DROP_SMALL_PAGES: Platform =
    platform!("DELETE FROM log_segment_page WHERE level = 0 AND segment >= $1 AND segment < $2");

/// Builds the index of a store's log.
#[derive(Debug)]
pub struct Indexer {
    store: Store,
    scope: SystemScope,
}

struct Segment {
    times: Vec<u8>,
    pages: Vec<SegmentPage>,
}

impl Indexer {
    /// An indexer of this store's log.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let origin = store.own_origin("indexer")?;
        let scope = Mint::new().system(origin, store.context().now(), "the log spans accounts");
        Ok(Self { store, scope })
    }

    /// Indexes whenever there is enough, until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the index of the log waits"),
            }
            tokio::select! {
                () = tokio::time::sleep(POLL.into()) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Adds one segment, if there is enough for one; whether it did.
    pub async fn step(&self) -> Result<bool, StoreError> {
        let number = |rows: Vec<crate::Row>| {
            rows.first().ok_or(StoreError::Log("the index's row is gone".to_owned()))?.count(0)
        };
        let size = number(self.store.log_rows(SIZE, &[]).await?)?;
        let indexed = number(self.store.log_rows(INDEXED, &[]).await?)?;
        let large = number(self.store.log_rows(LARGE_COUNT, &[]).await?)?;
        if indexed >= (large + 1) * LARGE {
            self.merge(large).await
        } else if size >= indexed.saturating_add(SMALL) {
            self.add(indexed).await
        } else {
            Ok(false)
        }
    }

    /// Steps until there is not enough for a segment; for tests.
    pub async fn drain(&self) -> Result<(), StoreError> {
        while self.step().await? {}
        Ok(())
    }

    /// The small segment that starts at `first`.
    async fn add(&self, first: u64) -> Result<bool, StoreError> {
        let mut builder = SegmentBuilder::new();
        let mut times = Vec::new();
        let mut at = first;
        while at < first + SMALL {
            let leaves = self.store.leaves(at, at + TIMES_OF).await?;
            let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
            for (index, leaf) in &leaves {
                // One that is no event was changed: `verify` names it, and no search finds it.
                let Ok(event) = Event::decode(leaf) else { continue };
                earliest = earliest.min(event.time.micros());
                latest = latest.max(event.time.micros());
                builder
                    .add(u16::try_from(index - first).map_err(|_| StoreError::Shape("a position"))?, &event);
            }
            times.extend_from_slice(&earliest.to_be_bytes());
            times.extend_from_slice(&latest.to_be_bytes());
            at += TIMES_OF;
            // A long stretch of work that never waits would hold up the others on this thread.
            tokio::task::yield_now().await;
        }
        let segment = Segment { times, pages: builder.finish() };
        let mut tx = self.store.system(&self.scope).await?;
        let moved = [as_int(first + SMALL)?.into(), as_int(first)?.into()];
        if tx.execute(PUT_INDEXED, &moved).await? != 1 {
            return Ok(true);
        }
        put(&mut tx, 0, first / SMALL, &segment).await?;
        tx.commit_bookkeeping().await?;
        Ok(true)
    }

    /// The large segment of that number, of small ones, which then go.
    async fn merge(&self, large: u64) -> Result<bool, StoreError> {
        let range = [as_int(large * SMALL_IN_LARGE)?.into(), as_int((large + 1) * SMALL_IN_LARGE)?.into()];
        let [from, until] = range;
        let mut times = Vec::new();
        let mut pages = Vec::new();
        for row in self.store.log_rows(TIMES, &[0i64.into(), from, until]).await? {
            times.extend_from_slice(row.blob(1)?);
            let segment = row.int(0)?;
            let rows = self.store.log_rows(PAGES, &[segment.into()]).await?;
            let offset = row.count(0)?.saturating_sub(large * SMALL_IN_LARGE) * SMALL;
            let offset = u16::try_from(offset).map_err(|_| StoreError::Shape("a segment"))?;
            for row in &rows {
                pages.push((offset, row.blob(0)?.to_vec()));
            }
        }
        let merging = tokio::task::spawn_blocking(move || {
            let mut builder = SegmentBuilder::new();
            for (offset, page) in &pages {
                builder.add_page(*offset, page)?;
            }
            Ok::<_, ledger::SegmentError>(builder.finish())
        });
        let merged = merging.await.map_err(|error| StoreError::Log(error.to_string()))?;
        let pages = merged.map_err(|error| StoreError::Log(error.to_string()))?;
        let mut tx = self.store.system(&self.scope).await?;
        // Another server that was first has taken the small ones away.
        if tx.execute(DROP_SMALL, &range).await? != SMALL_IN_LARGE {
            return Ok(false);
        }
        tx.execute(DROP_SMALL_PAGES, &range).await?;
        put(&mut tx, 1, large, &Segment { times, pages }).await?;
        tx.commit_bookkeeping().await?;
        Ok(true)
    }
}

async fn put(tx: &mut crate::SystemTx, level: i64, number: u64, segment: &Segment) -> Result<(), StoreError> {
    let number = as_int(number)?;
    tx.execute(PUT_SEGMENT, &[level.into(), number.into(), (&segment.times).into()]).await?;
    for page in &segment.pages {
        let values = [level.into(), number.into(), page.first.into(), (&page.data).into()];
        tx.execute(PUT_PAGE, &values).await?;
    }
    Ok(())
}
