//! What can go wrong with keys. No message holds key material or names another account's things.

use base::{EntropyError, Fault, Kind};
use store::StoreError;

use crate::ProviderError;

/// An error of the keys. None of them leaves a key half made: see each operation's own words.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Sealed bytes that are not what was sealed to this place with this key. One error for every cause.
    #[error("the sealed data does not open: it was changed or moved, or sealed with another key")]
    DoesNotOpen,
    /// The data key was destroyed: what it sealed can never be read again.
    #[error("the key of this data was destroyed")]
    Destroyed,
    /// The account has no such data key.
    #[error("there is no such key")]
    NoSuchKey,
    /// The account has no keys.
    #[error("there is no such account")]
    NoSuchAccount,
    /// The account is suspended: its keys are not used.
    #[error("the account is suspended: its keys can't be used until it is resumed")]
    Suspended,
    /// A version that something is still sealed with.
    #[error(
        "version {version} of the {which} can't be retired: {uses} keys are still wrapped with it; rotate first, and wait until `keys status` shows none"
    )]
    InUse {
        /// `provider key` or `account key`.
        which: &'static str,
        /// The version.
        version: u32,
        /// How many keys.
        uses: u64,
    },
    /// A version that can't be retired since it is the one in use for new keys, or never was.
    #[error("version {version} of the {which} can't be retired: it is {why}")]
    NotRetirable {
        /// `provider key` or `account key`.
        which: &'static str,
        /// The version.
        version: u32,
        /// `the current one` or `unknown`.
        why: &'static str,
    },
    /// A rotation runs already.
    #[error("a rotation of the {0} is already running: wait until `keys status` shows it complete")]
    Rotating(&'static str),
    /// The key has wrapped as much as it may.
    #[error("the {0} has reached its limit of uses: rotate it")]
    Exhausted(&'static str),
    /// A stream longer than the format allows.
    #[error("the content is too long to seal: a stream holds at most 256 TiB")]
    StreamTooLong,
    /// The configured provider key is not the one that wrapped this database's keys.
    #[error("the provider key `{provider}` is not the one that these keys were wrapped with: {why}")]
    WrongProvider {
        /// The configured provider.
        provider: String,
        /// What is the matter, with the remedy.
        why: String,
    },
    /// The keys' realm has no key at all, and the data realm has what only a server with keys writes.
    #[error(
        "the keys' database is empty, and the data's is not: restore the keys' database that belongs to this data"
    )]
    KeysMissing,
    /// The provider key can't be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The cryptographic library refused what it must be able to do.
    #[error("a cryptographic operation failed")]
    Crypto,
    /// A stored row that no code of ours writes.
    #[error("a stored key row is damaged: {0}")]
    Damaged(&'static str),
}

impl Fault for KeyError {
    fn kind(&self) -> Kind {
        match self {
            Self::Destroyed | Self::NoSuchKey | Self::NoSuchAccount => Kind::NotFound,
            Self::Suspended => Kind::Denied,
            Self::InUse { .. } | Self::NotRetirable { .. } | Self::Rotating(_) => Kind::Conflict,
            Self::Exhausted(_) | Self::StreamTooLong => Kind::Limit,
            Self::Provider(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::DoesNotOpen
            | Self::WrongProvider { .. }
            | Self::KeysMissing
            | Self::Entropy(_)
            | Self::Crypto
            | Self::Damaged(_) => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::DoesNotOpen => "sealed-data-damaged",
            Self::Destroyed => "key-destroyed",
            Self::NoSuchKey => "key-unknown",
            Self::NoSuchAccount => "account-unknown",
            Self::Suspended => "account-suspended",
            Self::InUse { .. } => "key-in-use",
            Self::NotRetirable { .. } => "key-not-retirable",
            Self::Rotating(_) => "key-rotating",
            Self::Exhausted(_) => "key-exhausted",
            Self::StreamTooLong => "content-too-long",
            Self::WrongProvider { .. } => "wrong-provider-key",
            Self::KeysMissing => "keys-missing",
            Self::Provider(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Entropy(_) => "entropy-failed",
            Self::Crypto => "crypto-failed",
            Self::Damaged(_) => "key-row-damaged",
        }
    }

    fn clause(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } | Self::NotRetirable { .. } | Self::Exhausted(_) => Some("CD-6"),
            Self::Suspended => Some("CD-8"),
            _ => None,
        }
    }
}
