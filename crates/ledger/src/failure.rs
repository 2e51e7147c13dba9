//! What is wrong with a log: told apart, and with the first bad entry named.

use base::{Fault, Kind};

use crate::{EventError, NoteError};

/// What a source of tiles answers instead of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// It can't be read, which says nothing about the log: try again.
    #[error("it can't be read: {0}")]
    Unreadable(String),
}

/// Why a log does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A file can't be read, which says nothing about the log.
    #[error("`{path}` can't be read: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// There is no checkpoint.
    #[error("there is no checkpoint: the log's head is missing")]
    NoCheckpoint,
    /// The checkpoint is not signed by the key that is trusted: it was rewritten, or is another log's.
    #[error("the checkpoint is not authentic: {0}")]
    Checkpoint(NoteError),
    /// The log is shorter than it is known to have been.
    #[error(
        "the log was cut back: it has {size} entries and once had {known}; the first missing is entry {size}"
    )]
    CutBack {
        /// The size now.
        size: u64,
        /// The size that is known.
        known: u64,
    },
    /// The log's beginning is not what it is known to have been.
    #[error("the log was rewritten: its first {known} entries are not those that were signed before")]
    Forked {
        /// The size that is known.
        known: u64,
    },
    /// Entries and hash tiles agree with one another and not with the signed root.
    #[error(
        "the signed root is not that of the log: its {size} entries and their hashes agree with one another, \
         so the checkpoint was rewritten, or all of them were"
    )]
    Root {
        /// The size that the checkpoint states.
        size: u64,
    },
    /// An entry is not what was logged.
    #[error("entry {index} was altered: it is not what was logged there")]
    EntryAltered {
        /// The first bad entry.
        index: u64,
    },
    /// An entry belongs elsewhere in the log.
    #[error("entry {index} was swapped or moved: what stands there belongs at {belongs_at}")]
    EntryMoved {
        /// The first bad entry.
        index: u64,
        /// Where what stands there belongs.
        belongs_at: u64,
    },
    /// Entries are missing.
    #[error("entries from {index} on are missing: {}", if *.tail { "the log's tail was removed" } else { "later ones are there" })]
    EntriesMissing {
        /// The first missing entry.
        index: u64,
        /// Whether nothing is left after it.
        tail: bool,
    },
    /// A bundle holds more than its entries.
    #[error("the bundle of entry {index} goes on after its last entry: something was added")]
    EntriesAdded {
        /// The first entry too many.
        index: u64,
    },
    /// A hash tile was altered; the entries beneath it may be whole.
    #[error("hash tile `{path}` was altered: the hash that covers entry {index} is not that of the entries")]
    TileAltered {
        /// Which tile.
        path: String,
        /// The first entry that the altered hash covers.
        index: u64,
    },
    /// A hash tile is missing.
    #[error("hash tile `{path}` is missing: it covers the entries from {index} on")]
    TileMissing {
        /// Which tile.
        path: String,
        /// The first entry that it covers.
        index: u64,
    },
    /// Entries and the hashes over them were altered together.
    #[error(
        "the entries from {index} on and hash tile `{path}` over them were altered together: neither is what was signed"
    )]
    Together {
        /// Which tile.
        path: String,
        /// The first entry that may be bad.
        index: u64,
    },
    /// An entry is as it was logged, and is not an event.
    #[error("entry {index} is not an event: {error}")]
    NotAnEvent {
        /// The first bad entry.
        index: u64,
        /// Why it is none.
        error: EventError,
    },
}

impl Failure {
    /// The first bad entry, where one can be named.
    pub fn first_bad(&self) -> Option<u64> {
        match self {
            Self::EntryAltered { index }
            | Self::EntryMoved { index, .. }
            | Self::EntriesMissing { index, .. }
            | Self::EntriesAdded { index }
            | Self::TileAltered { index, .. }
            | Self::TileMissing { index, .. }
            | Self::Together { index, .. }
            | Self::NotAnEvent { index, .. } => Some(*index),
            Self::CutBack { size, .. } => Some(*size),
            Self::Unreadable { .. }
            | Self::NoCheckpoint
            | Self::Checkpoint(_)
            | Self::Forked { .. }
            | Self::Root { .. } => None,
        }
    }
}

impl Fault for Failure {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable { .. } => Kind::Unavailable,
            _ => Kind::Invalid,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "log-unreadable",
            Self::NoCheckpoint => "log-no-checkpoint",
            Self::Checkpoint(_) => "log-checkpoint",
            Self::CutBack { .. } => "log-cut-back",
            Self::Forked { .. } => "log-forked",
            Self::Root { .. } => "log-root",
            Self::EntryAltered { .. } => "log-entry-altered",
            Self::EntryMoved { .. } => "log-entry-moved",
            Self::EntriesMissing { .. } => "log-entries-missing",
            Self::EntriesAdded { .. } => "log-entries-added",
            Self::TileAltered { .. } => "log-tile-altered",
            Self::TileMissing { .. } => "log-tile-missing",
            Self::Together { .. } => "log-altered-together",
            Self::NotAnEvent { .. } => "log-not-an-event",
        }
    }
}
