//! Objects: content of up to 5 GiB, stored once and not changed; a new content is a new object.

use base::{Classification, DataKeyId, ObjectId, RepositoryId, Timestamp};
use keys::{Binding, DataKey};
use ledger::Commitment;
use serde::{Deserialize, Serialize};
use store::{Row, Scope};

use crate::{
    MAX_CONTENT_TYPE_BYTES, MAX_OBJECT_NAME_BYTES, Vault, VaultError, repository::bounded_text,
    row::commitment,
};

/// An object to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewObject<'a> {
    /// A name for people, 1 to 1,024 bytes; kept sealed, not unique.
    pub name: &'a str,
    /// Its media type, 1 to 255 bytes.
    pub content_type: &'a str,
    /// Its label; the repository's if none is given. Not above the repository's (RR-2).
    pub classification: Option<&'a str>,
    /// Its length in bytes, if the sender said so; the content must then be that long.
    pub length: Option<u64>,
}

/// What is known about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its repository.
    pub repository: RepositoryId,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its label.
    pub classification: String,
    /// Bytes of its content.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it was deleted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// The part of an object's row that is sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) sha256: String,
}

/// An object's row, still sealed.
pub(crate) struct ObjectRow {
    pub(crate) id: ObjectId,
    pub(crate) repository: RepositoryId,
    pub(crate) label: String,
    pub(crate) effective: Classification,
    pub(crate) key: DataKeyId,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) erasing: bool,
    pub(crate) bytes: u64,
    pub(crate) commitment: Commitment,
    pub(crate) blob: String,
    pub(crate) sealed: Vec<u8>,
}

impl NewObject<'_> {
    pub(crate) fn check(&self) -> Result<(), VaultError> {
        bounded_text("name", self.name, MAX_OBJECT_NAME_BYTES)?;
        bounded_text("content_type", self.content_type, MAX_CONTENT_TYPE_BYTES)?;
        if !self.content_type.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Err(VaultError::field("content_type", "give a media type such as `application/pdf`"));
        }
        Ok(())
    }
}

impl Vault {
    /// Columns: id, classification, the repository's classification, key_id, created_at, deleted_at,
    /// erasing_at, bytes, commitment, blob, sealed.
    pub(crate) fn read_object(&self, repository: RepositoryId, row: &Row) -> Result<ObjectRow, VaultError> {
        let label = row.text(1)?.to_owned();
        let effective = self.stored_label(&label)?.max(self.stored_label(row.text(2)?)?);
        Ok(ObjectRow {
            id: row.id(0)?,
            repository,
            label,
            effective,
            key: row.id(3)?,
            created_at: row.time(4)?,
            deleted_at: row.opt_time(5)?,
            erasing: row.opt_time(6)?.is_some(),
            bytes: row.count(7)?,
            commitment: commitment(row.blob(8)?)?,
            blob: row.text(9)?.to_owned(),
            sealed: row.blob(10)?.to_vec(),
        })
    }
}

impl ObjectRow {
    pub(crate) fn binding<'a>(&'a self, scope: &Scope, field: &'a str) -> Binding<'a> {
        object_binding(scope, self.repository, self.id, &self.label, field)
    }

    /// Opens what is known about it.
    pub(crate) fn open(&self, scope: &Scope, key: &DataKey) -> Result<Object, VaultError> {
        let opened = key.open(&self.binding(scope, META), &self.sealed)?;
        let sealed: Sealed = serde_json::from_slice(opened.expose()).map_err(|_| VaultError::Damaged)?;
        Ok(Object {
            id: self.id,
            repository: self.repository,
            name: sealed.name,
            content_type: sealed.content_type,
            classification: self.label.clone(),
            bytes: self.bytes,
            sha256: sealed.sha256,
            created_at: self.created_at,
            deleted_at: self.deleted_at,
        })
    }
}

/// The part of an object that says what it is.
pub(crate) const META: &str = "meta";
/// The part of an object that is its content.
pub(crate) const CONTENT: &str = "content";

pub(crate) fn object_binding<'a>(
    scope: &Scope,
    repository: RepositoryId,
    id: ObjectId,
    label: &'a str,
    field: &'a str,
) -> Binding<'a> {
    Binding {
        account: scope.account(),
        repository,
        classification: label,
        kind: "object",
        id: *id.as_bytes(),
        field,
        version: 1,
    }
}
