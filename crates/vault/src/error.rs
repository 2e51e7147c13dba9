//! What can go wrong in the vault. A thing of another account and a thing that is not there give the
//! same error, found by the same statements (CD-8).

use base::{EntropyError, Fault, Kind, Timestamp};
use keys::KeyError;
use ledger::StatementError;
use store::StoreError;

/// An error of the vault. None of them leaves a change behind, unless its own words say so.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Absent, deleted, or another account's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Content is labelled above what its repository may hold (RR-2).
    #[error(
        "`{field}` is labelled `{given}`, above the repository's `{allowed}`: raise the repository, or store it in one that is classified for it"
    )]
    Above {
        /// The field, or `classification` for the whole.
        field: String,
        /// Its label.
        given: String,
        /// The repository's.
        allowed: String,
    },
    /// No retention schedule is declared (AR-2).
    #[error(
        "a repository needs a retention schedule: give `retention` with a period in days, its basis, data type and media"
    )]
    NoSchedule,
    /// A field of the request can't be used.
    #[error("`{field}`: {reason}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong, with the remedy.
        reason: String,
    },
    /// The body does not satisfy the repository's schema.
    #[error("`{field}` does not satisfy the repository's schema: {reason}")]
    Schema {
        /// Where in the body, as a JSON Pointer.
        field: String,
        /// What is wrong; values are masked.
        reason: String,
    },
    /// The name is another's.
    #[error("a {0} of that name exists already: choose another name")]
    NameTaken(&'static str),
    /// It was changed since the caller read it.
    #[error("it was changed since: the current version is {current}; read it again, then decide")]
    Changed {
        /// The version now.
        current: u64,
    },
    /// A legal hold keeps it (DD-1).
    #[error("a legal hold keeps it: it can't be deleted or erased until the hold is lifted")]
    Held,
    /// Its retention period keeps it (AR-2).
    #[error("its retention period by {basis} lasts until {until}: it can't be erased before")]
    Retained {
        /// `law` or `contract`.
        basis: &'static str,
        /// The end of the period.
        until: Timestamp,
    },
    /// A schedule by law or contract may not be weakened under what is stored already (AR-2).
    #[error(
        "`retention`: the repository holds data that is kept {days} days by {basis}: hold it as long or longer on that basis, or make another repository for new data"
    )]
    ScheduleKept {
        /// `law` or `contract`.
        basis: &'static str,
        /// The period in force, in days.
        days: u32,
    },
    /// It was deleted too long ago to be restored.
    #[error("it can't be restored: the window of restoring ended at {0}")]
    WindowClosed(Timestamp),
    /// It is not deleted, so that there is nothing to restore.
    #[error("it is not deleted: there is nothing to restore")]
    NotDeleted,
    /// The hold was lifted before.
    #[error("the hold is lifted already")]
    Lifted,
    /// The idempotency key stands for another request.
    #[error("this `Idempotency-Key` was used for another request: use a new key for each request")]
    KeyReused,
    /// Not a cursor that was handed out for this listing.
    #[error("`cursor`: not a cursor of this listing: start again without one")]
    Cursor,
    /// A range outside the object.
    #[error("`range`: outside the object's {bytes} bytes")]
    Range {
        /// The object's length.
        bytes: u64,
    },
    /// An operation of a batch can't be done; none of the batch is.
    #[error("operation {index}: {source}")]
    Operation {
        /// Which, from 0.
        index: usize,
        /// Its place and its own field, such as `operations/3/body`.
        at: String,
        /// Why.
        source: Box<VaultError>,
    },
    /// A limit is reached.
    #[error("{what}: at most {limit} {unit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The most.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The content that was being sent broke off. Nothing is stored.
    #[error("the content broke off while it was received: send it again")]
    Broken,
    /// Stored data is not what was stored. Nothing of it is returned; an event says so.
    #[error("the stored data does not open: it is not what was stored")]
    Damaged,
    /// The object storage does not answer.
    #[error("the object storage does not answer: {0}")]
    Blobs(String),
    /// No space is left in the object storage. Reads go on.
    #[error("no space is left to store objects: free space in the object storage, then try again")]
    BlobsFull,
    /// The keys failed.
    #[error(transparent)]
    Keys(KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate can't be signed.
    #[error("the certificate can't be signed: {0}")]
    Sign(#[from] StatementError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A stored value that no code of ours writes.
    #[error("a stored row does not hold {0}")]
    Shape(&'static str),
}

impl VaultError {
    pub(crate) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }
    /// Says which operation of a batch an error is about; those that are ours, or that a second
    /// attempt may not meet again, pass as they are.
    pub(crate) fn operation(index: usize, error: Self) -> Self {
        if matches!(error.kind(), Kind::Internal | Kind::Unavailable) || matches!(error, Self::Store(_)) {
            return error;
        }
        let at = match Fault::field(&error) {
            Some(field) => format!("operations/{index}/{}", field.trim_start_matches('/')),
            None => format!("operations/{index}"),
        };
        Self::Operation { index, at, source: Box::new(error) }
    }
    pub(crate) const fn limit(what: &'static str, limit: u64, unit: &'static str) -> Self {
        Self::Limit { what, limit, unit }
    }
}

impl From<KeyError> for VaultError {
    fn from(error: KeyError) -> Self {
        match error {
            // A row of the account's that names a key which is not the account's was put there.
            KeyError::DoesNotOpen | KeyError::NoSuchKey => Self::Damaged,
            KeyError::Store(error) => Self::Store(error),
            KeyError::Entropy(error) => Self::Entropy(error),
            other => Self::Keys(other),
        }
    }
}

impl From<object_store::Error> for VaultError {
    fn from(error: object_store::Error) -> Self {
        match error {
            // A row names it, and it is not there: somebody took it away.
            object_store::Error::NotFound { .. } => Self::Damaged,
            other if is_full(&other) => Self::BlobsFull,
            other => Self::Blobs(other.to_string()),
        }
    }
}

/// Whether the system said, somewhere below, that space or the quota ran out (ENOSPC, EDQUOT).
fn is_full(error: &object_store::Error) -> bool {
    use std::io::ErrorKind;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(io) = one.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        }
        cause = one.source();
    }
    false
}

impl Fault for VaultError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Above { .. } | Self::NoSchedule | Self::Field { .. } | Self::Schema { .. } => Kind::Invalid,
            Self::Cursor | Self::Range { .. } | Self::Broken => Kind::Invalid,
            Self::NameTaken(_) | Self::Changed { .. } | Self::Held | Self::Retained { .. } => Kind::Conflict,
            Self::WindowClosed(_) | Self::NotDeleted | Self::Lifted | Self::KeyReused => Kind::Conflict,
            Self::ScheduleKept { .. } => Kind::Conflict,
            Self::Limit { .. } | Self::BlobsFull => Kind::Limit,
            Self::Operation { source, .. } => source.kind(),
            Self::Blobs(_) => Kind::Unavailable,
            Self::Keys(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Damaged | Self::Sign(_) | Self::Entropy(_) | Self::Shape(_) => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::Above { .. } => "above-repository",
            Self::NoSchedule => "retention-required",
            Self::Field { .. } => "invalid-field",
            Self::Schema { .. } => "schema-mismatch",
            Self::NameTaken(_) => "name-taken",
            Self::Changed { .. } => "precondition-failed",
            Self::Held => "legal-hold",
            Self::Retained { .. } => "retention-period",
            Self::ScheduleKept { .. } => "retention-weakened",
            Self::WindowClosed(_) => "restore-window-closed",
            Self::NotDeleted => "not-deleted",
            Self::Lifted => "hold-lifted",
            Self::KeyReused => "idempotency-key-reused",
            Self::Cursor => "invalid-cursor",
            Self::Range { .. } => "range-not-satisfiable",
            Self::Limit { .. } => "limit-exceeded",
            Self::Operation { source, .. } => source.code(),
            Self::Broken => "content-broken-off",
            Self::Damaged => "stored-data-damaged",
            Self::Blobs(_) => "object-storage-unavailable",
            Self::BlobsFull => "storage-full",
            Self::Keys(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Sign(_) => "certificate-not-signed",
            Self::Entropy(_) => "entropy-failed",
            Self::Shape(_) => "internal",
        }
    }

    fn clause(&self) -> Option<&'static str> {
        match self {
            Self::Above { .. } => Some("RR-2"),
            Self::NoSchedule | Self::Retained { .. } | Self::ScheduleKept { .. } => Some("AR-2"),
            Self::Held | Self::WindowClosed(_) => Some("DD-1"),
            Self::Changed { .. } | Self::Damaged => Some("CD-2"),
            Self::Cursor => Some("CD-8"),
            Self::Operation { source, .. } => source.clause(),
            Self::Keys(error) => error.clause(),
            _ => None,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Above { field, .. } | Self::Field { field, .. } | Self::Schema { field, .. } => Some(field),
            Self::NoSchedule | Self::ScheduleKept { .. } => Some("retention"),
            Self::Operation { at, .. } => Some(at),
            Self::Cursor => Some("cursor"),
            Self::Range { .. } => Some("range"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_space_and_no_answer_are_told_apart() {
        let of = |error: std::io::Error| {
            let source = Box::new(error);
            VaultError::from(object_store::Error::Generic { store: "LocalFileSystem", source })
        };
        for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
            let error = of(kind.into());
            assert_eq!((error.kind(), error.code()), (Kind::Limit, "storage-full"));
        }
        // ENOSPC and EDQUOT, as Linux numbers them.
        for number in [28, 122] {
            assert_eq!(of(std::io::Error::from_raw_os_error(number)).code(), "storage-full");
        }
        assert_eq!(of(std::io::ErrorKind::TimedOut.into()).kind(), Kind::Unavailable);
    }
}
