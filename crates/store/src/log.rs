//! Reading the log as others see it: the checkpoint, hash tiles and entry bundles (C2SP tlog-tiles).
//! Nothing here is secret: leaves hold no personal data.

use ledger::{Event, EventView, SealedContext, TileKind, TilePath, push_entry};

use crate::{Platform, Store, StoreError, platform};

const CHECKPOINT: Platform = platform!("SELECT checkpoint FROM log_head WHERE id = 0");
const TILE: Platform = platform!("SELECT width, data FROM log_tile WHERE level = $1 AND idx = $2");
const ENTRIES: Platform = platform!(
    "SELECT e.leaf FROM log_entry l JOIN event e ON e.seq = l.seq WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx"
);
pub(crate) const INDEXED_ENTRIES: Platform = platform!(
    "SELECT l.idx, e.leaf FROM log_entry l JOIN event e ON e.seq = l.seq WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx"
);
const INDEX_OF: Platform =
    platform!("SELECT l.idx FROM log_entry l JOIN event e ON e.seq = l.seq WHERE e.id = $1");
const SEALED: Platform = platform!("SELECT leaf, sealed FROM event WHERE id = $1");
const OLDEST: Platform =
    platform!("SELECT e.at FROM outbox o JOIN event e ON e.seq = o.seq ORDER BY o.seq LIMIT 1");
const WAITING: Platform = platform!("SELECT count(*) FROM outbox");

impl Store {
    pub(crate) async fn log_rows(
        &self,
        statement: Platform,
        values: &[crate::Value<'_>],
    ) -> Result<Vec<crate::Row>, StoreError> {
        let mut read = self.database().read(None).await?;
        Ok(read.rows(statement.sql(), values).await?.into_iter().map(crate::Row).collect())
    }

    /// The newest signed checkpoint; `None` before the first.
    pub async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        let rows = self.log_rows(CHECKPOINT, &[]).await?;
        let text = rows.first().map(|row| row.text(0)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// A hash tile or an entry bundle; `None` if the log doesn't reach so far.
    pub async fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, StoreError> {
        let width = path.width;
        let Ok(place) = i64::try_from(path.index) else { return Ok(None) };
        match path.kind {
            TileKind::Hashes(level) => {
                let rows = self.log_rows(TILE, &[i64::from(level).into(), place.into()]).await?;
                let Some(row) = rows.first() else { return Ok(None) };
                Ok(row.blob(1)?.get(..usize::from(width) * 32).map(<[u8]>::to_vec))
            }
            TileKind::Entries => {
                let Some(first) = place.checked_mul(256) else { return Ok(None) };
                let Some(end) = first.checked_add(i64::from(width)) else { return Ok(None) };
                let rows = self.log_rows(ENTRIES, &[first.into(), end.into()]).await?;
                if rows.len() != usize::from(width) {
                    return Ok(None);
                }
                let mut bundle = Vec::new();
                for row in &rows {
                    push_entry(&mut bundle, row.blob(0)?)
                        .map_err(|error| StoreError::Log(error.to_string()))?;
                }
                Ok(Some(bundle))
            }
        }
    }

    /// The leaves from `first` up to, not with, `end`, with their indices; those that are there.
    pub(crate) async fn leaves(&self, first: u64, end: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let (Ok(from), Ok(until)) = (i64::try_from(first), i64::try_from(end)) else { return Ok(Vec::new()) };
        let rows = self.log_rows(INDEXED_ENTRIES, &[from.into(), until.into()]).await?;
        rows.iter().map(|row| Ok((row.count(0)?, row.blob(1)?.to_vec()))).collect()
    }

    /// The leaf at an index of the log.
    pub async fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(first) = i64::try_from(index) else { return Ok(None) };
        let rows = self.log_rows(ENTRIES, &[first.into(), first.saturating_add(1).into()]).await?;
        rows.first().map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()
    }

    /// Where an event stands in the log; `None` while it waits in the outbox or if there is none.
    pub async fn index_of(&self, event: base::EventId) -> Result<Option<u64>, StoreError> {
        let rows = self.log_rows(INDEX_OF, &[(&event).into()]).await?;
        rows.first().map(|row| row.count(0)).transpose()
    }

    /// What an event says, and from where it came, sealed; none if there is no such event, or it came from nowhere.
    pub async fn sealed_source(
        &self,
        event: base::EventId,
    ) -> Result<Option<(EventView, SealedContext)>, StoreError> {
        let rows = self.log_rows(SEALED, &[(&event).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let view = Event::decode(row.blob(0)?).map_err(|error| StoreError::Log(error.to_string()))?;
        let sealed = row.opt_blob(1)?.map(<[u8]>::to_vec);
        Ok(view
            .context
            .zip(sealed)
            .map(|(commitment, bytes)| (view.clone(), SealedContext { commitment, bytes })))
    }

    /// When the event happened that waits in the outbox for the longest; `None` if none waits.
    pub async fn waiting_since(&self) -> Result<Option<base::Timestamp>, StoreError> {
        let rows = self.log_rows(OLDEST, &[]).await?;
        rows.first().map(|row| row.time(0)).transpose()
    }

    /// How many events wait in the outbox.
    pub async fn events_waiting(&self) -> Result<u64, StoreError> {
        let rows = self.log_rows(WAITING, &[]).await?;
        rows.first().map_or(Ok(0), |row| row.count(0))
    }
}
