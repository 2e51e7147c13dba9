//! The two engines behind one connection type. Nothing outside `store` sees this.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use crate::{StoreError, Value, value::Owned};

/// Rows of raw values.
pub(crate) type Rows = Vec<Vec<Owned>>;

/// The two engines, open.
pub(crate) enum Database {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// A transaction that may write.
pub(crate) struct Write {
    on: WriteOn,
    /// Whether a statement failed since it began. PostgreSQL would answer the commit of such a transaction
    /// by undoing it, and call that a success.
    failed: bool,
}

enum WriteOn {
    Sqlite(sqlite::WriteTx),
    Postgres(Box<postgres::PgTx>),
}

/// A transaction that reads one snapshot.
pub(crate) enum Read {
    Sqlite(sqlite::ReadTx),
    Postgres(Box<postgres::PgTx>),
}

/// Says which statement runs, without its values: tests compare what two requests cost.
fn trace(sql: &'static str) {
    tracing::trace!(target: "store::statement", sql);
}

impl Database {
    pub(crate) async fn write(&self, account: Option<&[u8; 16]>) -> Result<Write, StoreError> {
        let on = match self {
            Self::Sqlite(db) => WriteOn::Sqlite(db.write().await?),
            Self::Postgres(db) => WriteOn::Postgres(Box::new(db.begin(account, false).await?)),
        };
        Ok(Write { on, failed: false })
    }
    pub(crate) async fn read(&self, account: Option<&[u8; 16]>) -> Result<Read, StoreError> {
        match self {
            Self::Sqlite(db) => db.read().await.map(Read::Sqlite),
            Self::Postgres(db) => db.begin(account, true).await.map(Box::new).map(Read::Postgres),
        }
    }
}

impl Write {
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        trace(sql);
        let outcome = match &mut self.on {
            WriteOn::Sqlite(tx) => tx.execute(sql, values),
            WriteOn::Postgres(tx) => tx.execute(sql, values).await,
        };
        self.failed |= outcome.is_err();
        outcome
    }
    pub(crate) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        trace(sql);
        let outcome = match &mut self.on {
            WriteOn::Sqlite(tx) => tx.rows(sql, values),
            WriteOn::Postgres(tx) => tx.rows(sql, values).await,
        };
        self.failed |= outcome.is_err();
        outcome
    }
    /// Undoes what was done so far; the transaction goes on, empty.
    pub(crate) async fn undo(&mut self) -> Result<(), StoreError> {
        match &mut self.on {
            WriteOn::Sqlite(tx) => tx.undo(),
            WriteOn::Postgres(tx) => tx.undo().await,
        }?;
        self.failed = false;
        Ok(())
    }
    /// Returns once everything is durable. After a statement that failed there is nothing to commit, on
    /// either engine: undo first.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Statement("a statement of this transaction failed before".to_owned()));
        }
        match self.on {
            WriteOn::Sqlite(tx) => tx.commit().await,
            WriteOn::Postgres(tx) => tx.commit().await,
        }
    }
}

impl Read {
    pub(crate) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        trace(sql);
        match self {
            Self::Sqlite(tx) => tx.rows(sql, values),
            Self::Postgres(tx) => tx.rows(sql, values).await,
        }
    }
}
