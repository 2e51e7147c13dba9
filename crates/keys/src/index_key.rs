//! Blind indexes: equality search over sealed fields. The digest of a value under a key of the
//! account, repository and field; equal values of one field meet, nothing else does.

use std::fmt;

use aws_lc_rs::hmac;
use base::{AccountId, RepositoryId};

use crate::{
    KeyError,
    binding::length_prefixed,
    envelope::{self, Label, RawKey},
};

/// Bytes in a digest. 128 bits: a chance meeting is not expected below 2^64 values.
pub const INDEX_DIGEST_BYTES: usize = 16;

/// The key of one searchable field.
#[derive(Clone)]
pub struct IndexKey(hmac::Key);

impl IndexKey {
    pub(crate) fn derive(
        secret: &RawKey,
        account: AccountId,
        repository: RepositoryId,
        field: &str,
    ) -> Result<Self, KeyError> {
        let info = length_prefixed(b"", &[account.as_bytes(), repository.as_bytes(), field.as_bytes()]);
        let key = envelope::subkey(secret, Label::INDEX, &info)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// The digest of a value: the first 16 bytes of HMAC-SHA-256. Give the value in one canonical
    /// form, or equal values will not meet.
    pub fn digest(&self, value: &[u8]) -> [u8; INDEX_DIGEST_BYTES] {
        let tag = hmac::sign(&self.0, value);
        let mut digest = [0u8; INDEX_DIGEST_BYTES];
        digest.iter_mut().zip(tag.as_ref()).for_each(|(target, byte)| *target = *byte);
        digest
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Secret;

    #[test]
    fn only_the_same_field_of_the_same_account_meets() {
        let digest = |secret: u8, account: u8, repository: u8, field: &str| {
            let key = IndexKey::derive(
                &Secret::new([secret; 32]),
                AccountId::from_bytes([account; 16]),
                RepositoryId::from_bytes([repository; 16]),
                field,
            );
            key.unwrap().digest(b"ann@example.com")
        };
        let same = digest(1, 1, 1, "email");
        assert_eq!(same, digest(1, 1, 1, "email"));
        for other in [
            digest(2, 1, 1, "email"),
            digest(1, 2, 1, "email"),
            digest(1, 1, 2, "email"),
            digest(1, 1, 1, "mail"),
        ] {
            assert_ne!(same, other);
        }
    }
}
