//! Why a witness can't be opened, and why it does not cosign.

use std::{io, path::PathBuf};

use base::{Fault, Kind};
use ledger::{MirrorInfo, NoteError, SubmissionError};

/// Why a copy can't be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its files can't be read or made.
    #[error("`{path}` can't be used: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is on disk is not what was cosigned.
    #[error("the copy of `{origin}` in `{path}` is not what was cosigned: {why}")]
    Damaged {
        /// Which log.
        origin: String,
        /// Its directory.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// One log, given twice.
    #[error("the log `{0}` is given twice: give one key for each log")]
    Twice(String),
}

impl Fault for OpenError {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Unavailable,
            Self::Damaged { .. } => Kind::Internal,
            Self::Twice(_) => Kind::Invalid,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "witness-files",
            Self::Damaged { .. } => "witness-copy-damaged",
            Self::Twice(_) => "witness-log-twice",
        }
    }
}

/// Why a checkpoint is not cosigned. The answers are those of C2SP tlog-witness.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The body is malformed (400).
    #[error(transparent)]
    Malformed(#[from] SubmissionError),
    /// The checkpoint is malformed (400).
    #[error("the checkpoint is not one: {0}")]
    Checkpoint(NoteError),
    /// The old size is larger than the checkpoint's (400).
    #[error("the old size is larger than the checkpoint's")]
    Order,
    /// No such log here (404).
    #[error("this witness does not know the checkpoint's log")]
    UnknownLog,
    /// Not signed by the log (403).
    #[error("the checkpoint is not signed by its log")]
    Unsigned,
    /// It starts from another size than the witness knows (409): that size.
    #[error("the witness knows {size} entries of this log: prove from there")]
    Conflict {
        /// What it knows.
        size: u64,
    },
    /// The log signed something else than before (409; 422 for another tree of the newest size): the size that the
    /// witness knows.
    #[error("the log signed another past than the witness knows: its checkpoint is kept as evidence")]
    Fork {
        /// What it knows.
        size: u64,
        /// Whether it is another tree of the newest size.
        same_size: bool,
    },
    /// The witness's clock went back (503).
    #[error("the witness's clock is behind its newest cosignature: it waits")]
    Clock,
    /// The proof does not hold (422).
    #[error("the checkpoint does not continue the {size} entries that the witness knows")]
    NotConsistent {
        /// What it knows.
        size: u64,
    },
    /// Disk or memory (500).
    #[error("the witness can't store the checkpoint: {0}")]
    Io(#[from] io::Error),
    /// The cosigner failed (500).
    #[error("the witness can't sign: {0}")]
    Sign(NoteError),
}

/// Why entries are not taken. The answers are those of C2SP tlog-mirror.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The body is malformed, or brought nothing whole (400).
    #[error(transparent)]
    Malformed(#[from] SubmissionError),
    /// No such log here (404).
    #[error("this mirror does not know that log")]
    UnknownLog,
    /// The upload starts or ends elsewhere than the mirror can go on (409): where it stands.
    #[error("the mirror goes on from entry {}, up to {}", .0.next, .0.size)]
    Conflict(MirrorInfo),
    /// The entries are not those of the checkpoint (422).
    #[error("the entries are not those of the checkpoint")]
    NotProved,
    /// The witness's clock went back (503).
    #[error("the mirror's clock is behind its newest cosignature: it waits")]
    Clock,
    /// Disk or memory (500).
    #[error("the mirror can't store the entries: {0}")]
    Io(#[from] io::Error),
    /// The cosigner failed (500).
    #[error("the mirror can't sign: {0}")]
    Sign(NoteError),
}
