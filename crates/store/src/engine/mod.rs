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
pub(crate) enum Write {
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
        match self {
            Self::Sqlite(db) => db.write().await.map(Write::Sqlite),
            Self::Postgres(db) => db.begin(account, false).await.map(Box::new).map(Write::Postgres),
        }
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
        match self {
            Self::Sqlite(tx) => tx.execute(sql, values),
            Self::Postgres(tx) => tx.execute(sql, values).await,
        }
    }
    pub(crate) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        trace(sql);
        match self {
            Self::Sqlite(tx) => tx.rows(sql, values),
            Self::Postgres(tx) => tx.rows(sql, values).await,
        }
    }
    /// Undoes what was done so far; the transaction goes on, empty.
    pub(crate) async fn undo(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.undo(),
            Self::Postgres(tx) => tx.undo().await,
        }
    }
    /// Returns once everything is durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
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
