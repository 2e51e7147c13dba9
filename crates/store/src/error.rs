//! What can go wrong in the store.

use base::{EntropyError, Fault, Kind};

/// An error of the store. None of them leaves a change behind, but [`StoreError::Unknown`], which may.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with that key exists already.
    #[error("it exists already")]
    Exists,
    /// Two transactions got in each other's way; the caller may try again.
    #[error("another change to the same data came first: try again")]
    Contention,
    /// No space is left, on the disk or under the configured limit. Reads go on.
    #[error("no space is left to store this: free space or raise `database.max_bytes`, then try again")]
    Full,
    /// The database does not answer. Nothing was acknowledged.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost: the change is there wholly, with its event, or not at all.
    #[error("the answer to a commit was lost: look whether the change is there before you repeat it")]
    Unknown,
    /// The database is not as it must be; the server must not start, or not go on.
    #[error("{0}")]
    Unsafe(String),
    /// A migration can't be applied.
    #[error("migration {name}: {reason}")]
    Migration {
        /// The migration's file name.
        name: String,
        /// Why, with the remedy.
        reason: String,
    },
    /// A row is not shaped as its statement says.
    #[error("a stored row does not hold {0}")]
    Shape(&'static str),
    /// The event can't be written.
    #[error("the event can't be encoded: {0}")]
    Event(String),
    /// The statement is wrong.
    #[error("statement: {0}")]
    Statement(String),
    /// A stored log does not fit its own checkpoint.
    #[error("the log does not fit its checkpoint: {0}")]
    Log(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Fault for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists | Self::Contention => Kind::Conflict,
            Self::Full => Kind::Limit,
            Self::Unavailable(_) | Self::Unknown => Kind::Unavailable,
            _ => Kind::Internal,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Contention => "contention",
            Self::Full => "storage-full",
            Self::Unavailable(_) => "storage-unavailable",
            Self::Unknown => "outcome-unknown",
            Self::Unsafe(_) => "storage-unsafe",
            Self::Migration { .. } => "migration-failed",
            Self::Shape(_) | Self::Statement(_) => "internal",
            Self::Event(_) | Self::Log(_) => "log-failed",
            Self::Entropy(_) => "entropy-failed",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => match error.sqlite_error().map(|e| e.extended_code) {
                // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE, _ROWID
                Some(1_555 | 2_067 | 2_579) => Self::Exists,
                _ => Self::Statement(error.to_string()),
            },
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Contention,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::NotADatabase,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Statement(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(db) = error.as_db_error() else {
            return Self::Unavailable(error.to_string());
        };
        match *db.code() {
            SqlState::UNIQUE_VIOLATION => Self::Exists,
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Self::Contention,
            SqlState::DISK_FULL
            | SqlState::INSUFFICIENT_RESOURCES
            | SqlState::CONFIGURATION_LIMIT_EXCEEDED => Self::Full,
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::IO_ERROR
            | SqlState::READ_ONLY_SQL_TRANSACTION => Self::Unavailable(db.message().to_owned()),
            // The message may quote a row's values: never passed on. The code and table are enough.
            _ => Self::Statement(format!("{} on {}", db.code().code(), db.table().unwrap_or("-"))),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
