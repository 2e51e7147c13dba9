//! The key of one record or object: seals its values, streams its content, and commits to what events
//! may say of it. Destroyed with the record, and everything it sealed or committed to with it.

use std::fmt;

use aws_lc_rs::hmac;
use base::{Context, DataKeyId, SecretBytes};
use ledger::Commitment;

use crate::{
    Binding, KeyError, StreamOpener, StreamSealer,
    binding::length_prefixed,
    envelope::{self, Label, RawKey},
};

/// Bytes that [`DataKey::seal`] adds to a plaintext.
pub const SEAL_OVERHEAD_BYTES: usize = envelope::HEADER_BYTES + envelope::TAG_BYTES;

/// The key of one record or object. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct DataKey {
    id: DataKeyId,
    secret: RawKey,
    context: Context,
}

impl DataKey {
    pub(crate) fn new(id: DataKeyId, secret: RawKey, context: Context) -> Self {
        Self { id, secret, context }
    }

    /// Its id: what the record's row names.
    pub fn id(&self) -> DataKeyId {
        self.id
    }

    /// Seals a value to its place: AES-256-GCM under a key derived for this message alone
    /// (HKDF-SHA-512, 32 random bytes of salt), with a commitment to key and place. The result is
    /// [`SEAL_OVERHEAD_BYTES`] longer.
    pub fn seal(&self, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let associated = binding.associated_data(self.id);
        envelope::seal(&self.context, &self.secret, Label::MESSAGE, &associated, plaintext)
    }

    /// Opens a value that was sealed to this very place by this key.
    ///
    /// # Errors
    /// [`KeyError::DoesNotOpen`] for every cause: changed, cut, moved, or sealed with another key.
    pub fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<SecretBytes, KeyError> {
        let associated = binding.associated_data(self.id);
        envelope::open(&self.secret, Label::MESSAGE, &associated, sealed)
    }

    /// Commits to a value for an event: HMAC-SHA-256 under a key derived from this one, so that the
    /// log says whether a value changed, yet nobody can guess the value once this key is destroyed.
    /// `label` says which value it is, such as `body`.
    pub fn commit(&self, label: &str, bytes: &[u8]) -> Result<Commitment, KeyError> {
        let key = envelope::subkey(&self.secret, Label::COMMIT, self.id.as_bytes())?;
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.expose()),
            &length_prefixed(b"", &[label.as_bytes(), bytes]),
        );
        let digest = tag.as_ref().try_into().map_err(|_| KeyError::Crypto)?;
        Ok(Commitment::from_bytes(digest))
    }

    /// Seals a stream of any length, 64 KiB at a time.
    pub fn stream_sealer(&self, binding: &Binding<'_>) -> Result<StreamSealer, KeyError> {
        StreamSealer::new(&self.context, &self.secret, binding.associated_data(self.id))
    }

    /// Opens chunks of a sealed stream in any order; `header` is its first
    /// [`crate::STREAM_HEADER_BYTES`] bytes.
    pub fn stream_opener(&self, binding: &Binding<'_>, header: &[u8]) -> Result<StreamOpener, KeyError> {
        StreamOpener::new(&self.secret, binding.associated_data(self.id), header)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{binding, samples};

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let key = samples::data_key(5);
        let sealed = key.seal(&binding::samples::binding(), b"value").unwrap();
        assert_eq!(sealed.len(), 5 + SEAL_OVERHEAD_BYTES);
        assert_eq!(key.open(&binding::samples::binding(), &sealed).unwrap().expose(), b"value");
        for (name, other) in binding::samples::neighbours() {
            assert!(matches!(key.open(&other, &sealed), Err(KeyError::DoesNotOpen)), "{name}");
        }
    }

    #[test]
    fn the_same_secret_under_another_id_is_refused() {
        let key = samples::data_key(5);
        let sealed = key.seal(&binding::samples::binding(), b"value").unwrap();
        let renamed = DataKey::new(DataKeyId::from_bytes([99; 16]), key.secret.clone(), samples::context());
        assert!(renamed.open(&binding::samples::binding(), &sealed).is_err());
    }

    #[test]
    fn commitments_depend_on_key_label_and_value() {
        let key = samples::data_key(5);
        let same = key.commit("body", b"value").unwrap();
        assert_eq!(same, key.commit("body", b"value").unwrap());
        assert_ne!(same, key.commit("bodyv", b"alue").unwrap());
        assert_ne!(same, key.commit("body", b"valuf").unwrap());
        assert_ne!(same, samples::data_key(6).commit("body", b"value").unwrap());
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let shown = format!("{:?}", samples::data_key(5));
        assert_eq!(shown, format!("DataKey({})", DataKeyId::from_bytes([5; 16])));
    }
}
