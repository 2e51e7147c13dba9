//! The key hierarchy: what is sealed, with which key, and how a key ends.
//!
//! A provider key (a file, or a hardware token) wraps one key for each account; that wraps a random
//! data key for each record or object; that seals. So an account's data opens under that account's key
//! alone (CD-8), the company holds the top of the hierarchy (CD-5), and one record is erased by
//! destroying one key (DD-1). Wrapped keys live in a realm of their own, apart from what they open.
//!
//! It does not know what a record is, nor who may read it: it takes a [`store::Scope`] as proof of
//! that, and says what a sealed value belongs to with a [`Binding`]. Formats: `docs/keys.md`.

mod account;
mod binding;
mod cache;
mod data_key;
mod destroy;
mod envelope;
mod error;
mod index_key;
mod keys;
mod limits;
mod new_data_key;
mod pool;
mod provider;
mod purpose;
mod read_data_key;
mod retire;
mod rotate_account;
mod rotate_provider;
mod rotation;
#[cfg(test)]
mod samples;
mod secret;
mod status;
mod stream;
mod subject;
mod use_account_key;
mod uses;
#[cfg(test)]
mod vectors;

pub use binding::Binding;
pub use data_key::{DataKey, SEAL_OVERHEAD_BYTES};
pub use error::KeyError;
pub use index_key::{INDEX_DIGEST_BYTES, IndexKey};
pub use keys::Keys;
pub use limits::Limits;
pub use new_data_key::NewDataKey;
pub use provider::{FileProvider, Provider, ProviderError, Wrapped};
#[cfg(feature = "pkcs11")]
pub use provider::{PinSource, Pkcs11Options, Pkcs11Provider};
pub use purpose::Purpose;
pub use read_data_key::DataKeyState;
pub use rotation::{Rotation, RotationStatus};
pub use status::{AccountStatus, ProviderVersion, Status};
pub use stream::{
    CHUNK_BYTES, MAX_STREAM_CHUNKS, STREAM_HEADER_BYTES, StreamLayout, StreamOpener, StreamSealer,
};
pub use subject::Subject;
