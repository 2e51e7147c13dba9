//! Where objects' contents are: parts of 4 MiB of the sealed stream, each put by itself, so that
//! memory stays constant on any storage and nothing is ever half there under its name. A blob's path
//! starts with a keyed digest of the account, and its name ends in 128 random bits: nobody guesses it,
//! and a name moved into another account's row leads nowhere.

use std::ops::Range;

use base::{ObjectId, Timestamp};
use bytes::{Bytes, BytesMut};
use keys::StreamLayout;
use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use store::Scope;

use crate::{Vault, VaultError, vault::digest};

/// Sealed bytes in a part; the last may hold fewer.
pub(crate) const PART_BYTES: usize = 4 * 1_048_576;
/// Folders that an account's blobs are spread over.
pub(crate) const SHARDS: u8 = 16;
const PART: u64 = PART_BYTES as u64;

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The instant in a blob's name: that of its object's id.
pub(crate) fn named_at(name: &str) -> Option<Timestamp> {
    let millis = i64::from_str_radix(name.get(..12)?, 16).ok()?;
    Some(Timestamp::from_micros(millis.checked_mul(1_000)?))
}

/// Nothing has to be there before a put but the bucket or folder itself: what is missing is the
/// storage, and no damage.
fn put_error(error: object_store::Error) -> VaultError {
    match error {
        object_store::Error::NotFound { .. } => VaultError::Blobs(error.to_string()),
        other => other.into(),
    }
}

/// How many parts a content of so many bytes has.
pub(crate) fn parts_of(plain_bytes: u64) -> Result<u64, VaultError> {
    Ok(StreamLayout::of(plain_bytes)?.sealed_bytes().div_ceil(PART))
}

impl Vault {
    /// A new blob's name: shard, object id, random bits.
    pub(crate) fn blob_name(&self, id: ObjectId) -> Result<String, VaultError> {
        let random = self.context().random::<16>()?;
        let shard = random.first().copied().unwrap_or(0) % SHARDS;
        Ok(format!("{shard:x}/{}-{}", hex(id.as_bytes()), hex(&random)))
    }

    /// The folder of a shard of an account's blobs.
    pub(crate) fn shard_path(&self, scope: &Scope, shard: u8) -> Path {
        Path::from(format!("{}/{:x}", self.account_folder(scope), shard % SHARDS))
    }

    fn account_folder(&self, scope: &Scope) -> String {
        let tag = digest(&self.0.secrets.blob, &[scope.account().as_bytes()]);
        format!("objects/{}", hex(tag.get(..16).unwrap_or_default()))
    }

    fn part_path(&self, scope: &Scope, blob: &str, part: u64) -> Path {
        Path::from(format!("{}/{blob}/{part:06}", self.account_folder(scope)))
    }

    /// Makes one part durable.
    pub(crate) async fn put_part(
        &self,
        scope: &Scope,
        blob: &str,
        part: u64,
        bytes: Vec<u8>,
    ) -> Result<(), VaultError> {
        let path = self.part_path(scope, blob, part);
        self.0.blobs.put(&path, PutPayload::from(bytes)).await.map_err(put_error)?;
        Ok(())
    }

    /// Bytes of the sealed stream, across parts.
    pub(crate) async fn read_sealed(
        &self,
        scope: &Scope,
        blob: &str,
        range: Range<u64>,
    ) -> Result<Bytes, VaultError> {
        let mut out = BytesMut::new();
        let mut at = range.start;
        while at < range.end {
            let part = at / PART;
            let start = at % PART;
            let end = (range.end - part * PART).min(PART);
            let path = self.part_path(scope, blob, part);
            let bytes = match self.0.blobs.get_range(&path, start..end).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(self.why_unread(&path, end, error).await),
            };
            if bytes.len() as u64 != end - start {
                return Err(VaultError::Damaged);
            }
            at = part * PART + end;
            if bytes.len() as u64 == range.end - range.start {
                return Ok(bytes);
            }
            out.extend_from_slice(&bytes);
        }
        Ok(out.freeze())
    }

    /// A part that is gone or shorter than it was is damage; anything else is the storage's trouble.
    /// Each storage has an error of its own for a range past the end.
    async fn why_unread(&self, path: &Path, end: u64, error: object_store::Error) -> VaultError {
        match self.0.blobs.head(path).await {
            Ok(found) if found.size < end => VaultError::Damaged,
            _ => error.into(),
        }
    }

    /// Deletes every part; those that are gone already don't matter.
    pub(crate) async fn delete_blob(
        &self,
        scope: &Scope,
        blob: &str,
        plain_bytes: u64,
    ) -> Result<(), VaultError> {
        self.delete_parts(scope, blob, parts_of(plain_bytes)?).await
    }

    pub(crate) async fn delete_parts(&self, scope: &Scope, blob: &str, parts: u64) -> Result<(), VaultError> {
        for part in 0..parts {
            self.delete_path(&self.part_path(scope, blob, part)).await?;
        }
        Ok(())
    }

    pub(crate) async fn delete_path(&self, path: &Path) -> Result<(), VaultError> {
        match self.0.blobs.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Fault as _;

    #[test]
    fn a_missing_bucket_is_not_damage() {
        let missing = || object_store::Error::NotFound {
            path: "p".into(),
            source: std::io::Error::other("none").into(),
        };
        assert_eq!(put_error(missing()).code(), "object-storage-unavailable");
        assert_eq!(VaultError::from(missing()).code(), "stored-data-damaged");
    }

    #[test]
    fn names_tell_their_age() {
        let instant = Timestamp::from_seconds(1_800_000_000);
        let millis = instant.micros() / 1_000;
        assert_eq!(named_at(&format!("{millis:012x}7abc-00")), Some(instant));
        for wrong in ["", "0123", "zzzzzzzzzzzz"] {
            assert_eq!(named_at(wrong), None);
        }
    }
}
