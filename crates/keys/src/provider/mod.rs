//! Provider keys: the top of the hierarchy, held outside the database. A provider wraps and unwraps
//! account keys, subject keys and platform secrets, and never hands out its own key.

mod file;
#[cfg(feature = "pkcs11")]
mod pkcs11;

use std::{fmt, path::PathBuf};

use base::{EntropyError, Fault, Kind, SecretBytes};

pub use file::FileProvider;
#[cfg(feature = "pkcs11")]
pub use pkcs11::{PinSource, Pkcs11Options, Pkcs11Provider};

/// A secret wrapped by a version of a provider key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The version that wrapped it, counted from 1.
    pub version: u32,
    /// The ciphertext, in the provider's own format.
    pub bytes: Vec<u8>,
}

/// Holds provider keys. Calls may block (a file, a device): [`crate::Keys`] makes them off the async
/// threads. Every method may be called by several servers at once.
pub trait Provider: Send + Sync + fmt::Debug {
    /// What it is, for people: `file`, or `pkcs11` and the token's label.
    fn name(&self) -> String;
    /// The versions it can unwrap with, ascending.
    fn versions(&self) -> Result<Vec<u32>, ProviderError>;
    /// Wraps a secret with a version, bound to `purpose`: the same bytes must be given to unwrap it.
    fn wrap(&self, version: u32, purpose: &[u8], secret: &SecretBytes) -> Result<Wrapped, ProviderError>;
    /// Unwraps a secret.
    fn unwrap(&self, purpose: &[u8], wrapped: &Wrapped) -> Result<SecretBytes, ProviderError>;
    /// Makes `version` (one above the highest) exist; durable when it returns. Idempotent, so that a
    /// rotation that was interrupted can go on.
    fn add_version(&self, version: u32) -> Result<(), ProviderError>;
    /// Destroys a version; durable when it returns, and nothing it wrapped can be unwrapped again.
    /// Idempotent. The caller has made sure that nothing needs it.
    fn destroy_version(&self, version: u32) -> Result<(), ProviderError>;
    /// How often a version may wrap before it must not any more.
    fn max_wraps(&self) -> u64;
}

/// A provider key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Others than its owner can read or change the file.
    #[error(
        "the key file `{path}` is open to others (mode {mode:04o}): run `chmod 600 {path}`, and rotate the key if they may have read it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is missing.
    #[error("there is no key file `{0}`: put it back from your key backup")]
    Missing(PathBuf),
    /// The file is not what this provider writes.
    #[error("the key file `{path}` is damaged: {why}; put it back from your key backup")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file exists already.
    #[error("the key file `{0}` exists already: open it, or choose another path")]
    Exists(PathBuf),
    /// The file can't be read or written.
    #[error("the key file `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such version.
    #[error(
        "the provider has no version {0} of its key: if another server rotated it, give this server the same key file or token"
    )]
    NoSuchVersion(u32),
    /// The wrapped bytes do not open: changed, moved, or wrapped by another key.
    #[error(
        "a wrapped key does not open with the provider's version {0}: it was changed or moved, or wrapped by another provider key"
    )]
    DoesNotOpen(u32),
    /// The device does not do what is asked.
    #[error("the token: {0}")]
    Device(String),
    /// The configuration can't work.
    #[error("{0}")]
    Configuration(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The cryptographic library refused what it must be able to do.
    #[error("a cryptographic operation failed")]
    Crypto,
}

impl Fault for ProviderError {
    fn kind(&self) -> Kind {
        match self {
            Self::Device(_) | Self::Io { .. } => Kind::Unavailable,
            Self::Exposed { .. } | Self::Missing(_) | Self::Exists(_) | Self::Configuration(_) => {
                Kind::Invalid
            }
            _ => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Exposed { .. } => "key-file-exposed",
            Self::Missing(_) => "key-file-missing",
            Self::Malformed { .. } => "key-file-damaged",
            Self::Exists(_) => "key-file-exists",
            Self::Io { .. } => "key-file-unavailable",
            Self::NoSuchVersion(_) => "provider-version-unknown",
            Self::DoesNotOpen(_) => "wrapped-key-damaged",
            Self::Device(_) => "token-unavailable",
            Self::Configuration(_) => "provider-configuration",
            Self::Entropy(_) => "entropy-failed",
            Self::Crypto => "crypto-failed",
        }
    }

    fn clause(&self) -> Option<&'static str> {
        matches!(self, Self::Exposed { .. }).then_some("CD-6")
    }
}

/// Refuses a file of secrets that others can read or change, and anything that is not a plain file.
pub(crate) fn check_private(path: &std::path::Path) -> Result<(), ProviderError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::symlink_metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ProviderError::Missing(path.to_owned()),
        _ => ProviderError::Io { path: path.to_owned(), source },
    })?;
    if !found.is_file() {
        return Err(ProviderError::Malformed { path: path.to_owned(), why: "it is not a plain file" });
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ProviderError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}
