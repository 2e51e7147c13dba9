//! Where an operation reads what it starts from. A first attempt reads a snapshot, which waits for
//! nobody. When its writing found the snapshot out of date, the next attempt reads where the writing
//! will be: on an embedded database that shows changes which are still on their way to the disk.
//! Whatever is decided on those is itself recorded behind them, and fails with them.

use store::{ReadTx, Row, Scope, Scoped, StoreError, Tx, Value};

use crate::Vault;

/// Which attempt of an operation this is, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt(pub(crate) u32);

impl Attempt {
    pub(crate) const FIRST: Self = Self(1);
}

/// A place to read from.
pub(crate) enum Reader {
    /// What is durable.
    Snapshot(ReadTx),
    /// The newest there is.
    Newest(Tx),
}

impl Reader {
    pub(crate) async fn row(
        &mut self,
        statement: Scoped,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Snapshot(read) => read.row(statement, values).await,
            Self::Newest(tx) => tx.row(statement, values).await,
        }
    }

    pub(crate) async fn rows(
        &mut self,
        statement: Scoped,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Snapshot(read) => read.rows(statement, values).await,
            Self::Newest(tx) => tx.rows(statement, values).await,
        }
    }
}

impl Vault {
    /// Where this attempt reads.
    pub(crate) async fn reader(&self, scope: &Scope, attempt: Attempt) -> Result<Reader, StoreError> {
        if attempt == Attempt::FIRST {
            self.snapshot(scope).await
        } else {
            Ok(Reader::Newest(self.store().begin(scope).await?))
        }
    }

    /// What is durable.
    pub(crate) async fn snapshot(&self, scope: &Scope) -> Result<Reader, StoreError> {
        Ok(Reader::Snapshot(self.store().read(scope).await?))
    }
}
