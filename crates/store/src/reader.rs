//! Readers of the log: whoever acts on what happened goes on where they were. A position moves in the same transaction as
//! what follows from the entries before it: a crash leaves both or neither, and two servers can't both act on an entry.

use ledger::{Event, EventView};

use crate::{Platform, Store, StoreError, SystemScope, SystemTx, platform, sequencer::as_int};

const POSITION: Platform = platform!("SELECT next_idx FROM log_reader WHERE name = $1");
const START: Platform = platform!(
    "INSERT INTO log_reader (name, next_idx) SELECT $1, size FROM log_head WHERE id = 0 ON CONFLICT DO NOTHING"
);
const MOVE: Platform = platform!("UPDATE log_reader SET next_idx = $3 WHERE name = $1 AND next_idx = $2");

/// An entry of the log, read. None if it is no event that this version knows.
pub type ReadEntry = (u64, Option<EventView>);

impl Store {
    /// Where the reader of that name goes on. A new one starts at the log's end: what is past is not acted on.
    pub async fn reader_position(&self, scope: &SystemScope, name: &'static str) -> Result<u64, StoreError> {
        if let Some(row) = self.log_rows(POSITION, &[name.into()]).await?.first() {
            return row.count(0);
        }
        let mut tx = self.system(scope).await?;
        tx.execute(START, &[name.into()]).await?;
        tx.commit_bookkeeping().await?;
        let rows = self.log_rows(POSITION, &[name.into()]).await?;
        rows.first().ok_or(StoreError::Shape("a reader's position"))?.count(0)
    }

    /// The entries from `first` up to, not with, `end`; those that are there.
    pub async fn entries(&self, first: u64, end: u64) -> Result<Vec<ReadEntry>, StoreError> {
        let leaves = self.leaves(first, end).await?;
        Ok(leaves.into_iter().map(|(index, leaf)| (index, Event::decode(&leaf).ok())).collect())
    }
}

impl SystemTx {
    /// Moves a reader. False if it is not at `from` any more: another server has acted on these entries, and this
    /// transaction is to be dropped.
    pub async fn move_reader(&mut self, name: &'static str, from: u64, to: u64) -> Result<bool, StoreError> {
        let values = [name.into(), as_int(from)?.into(), as_int(to)?.into()];
        self.moved = self.execute(MOVE, &values).await? == 1;
        Ok(self.moved)
    }

    /// Makes durable what follows from entries of the log, and how far it was read: the events of that are these entries.
    ///
    /// # Errors
    /// No reader was moved.
    pub async fn commit_read(self) -> Result<(), StoreError> {
        if !self.moved {
            return Err(StoreError::Event("a change needs at least one".to_owned()));
        }
        self.commit_bookkeeping().await
    }
}
