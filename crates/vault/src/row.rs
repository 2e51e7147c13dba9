//! A record's row, with what its repository says today: labels come from the database at each read,
//! never from memory, so that a repository raised on another server is raised here.

use base::{Classification, DataKeyId, RecordId, RepositoryId, SecretBytes, Timestamp};
use keys::{Binding, DataKey};
use ledger::Commitment;
use store::{Row, Scope, Scoped, select};

use crate::{RecordMeta, Vault, VaultError, reader::Reader};

/// The part of a record that is sealed as one.
pub(crate) const BODY: &str = "body";

/// The current version of a record.
pub(crate) struct Current {
    pub(crate) repository: RepositoryId,
    pub(crate) id: RecordId,
    pub(crate) label: String,
    /// The higher of its own label and its repository's (RR-2).
    pub(crate) effective: Classification,
    pub(crate) key: DataKeyId,
    pub(crate) version: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) bytes: u64,
    pub(crate) commitment: Commitment,
    pub(crate) terms: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

const CURRENT: Scoped = select!(
    ["r.classification, p.classification, r.key_id, r.version, r.created_at, r.updated_at, r.deleted_at, r.bytes, r.commitment, r.terms, r.sealed"]
    from "record r JOIN repository p ON p.account_id = r.account_id AND p.id = r.repository_id"
    on "r" where "r.repository_id = $2 AND r.id = $3 AND r.erasing_at IS NULL"
);

impl Vault {
    /// A record that is there and not deleted. Absent, deleted and another account's are one answer,
    /// found by one statement.
    pub(crate) async fn current(
        &self,
        read: &mut Reader,
        repository: RepositoryId,
        id: RecordId,
    ) -> Result<Current, VaultError> {
        let row = read.row(CURRENT, &[(&repository).into(), (&id).into()]).await?;
        let current = row.map(|row| self.read_current(repository, id, &row)).transpose()?;
        current.filter(|current| current.deleted_at.is_none()).ok_or(VaultError::NotFound("record"))
    }

    fn read_current(&self, repository: RepositoryId, id: RecordId, row: &Row) -> Result<Current, VaultError> {
        let label = row.text(0)?.to_owned();
        let effective = self.stored_label(&label)?.max(self.stored_label(row.text(1)?)?);
        Ok(Current {
            repository,
            id,
            label,
            effective,
            key: row.id(2)?,
            version: row.count(3)?,
            created_at: row.time(4)?,
            updated_at: row.time(5)?,
            deleted_at: row.opt_time(6)?,
            bytes: row.count(7)?,
            commitment: commitment(row.blob(8)?)?,
            terms: row.blob(9)?.to_vec(),
            sealed: row.blob(10)?.to_vec(),
        })
    }
}

impl Current {
    pub(crate) fn meta(&self) -> RecordMeta {
        RecordMeta {
            id: self.id,
            repository: self.repository,
            version: self.version,
            classification: self.label.clone(),
            bytes: self.bytes,
            created_at: self.created_at,
            updated_at: self.updated_at,
            deleted_at: self.deleted_at,
        }
    }

    /// Opens the body.
    pub(crate) fn open(&self, scope: &Scope, key: &DataKey) -> Result<SecretBytes, VaultError> {
        let binding = record_binding(scope, self.repository, self.id, &self.label, self.version);
        Ok(key.open(&binding, &self.sealed)?)
    }

    /// An error unless the caller's version, if it gave one, is the current one.
    pub(crate) fn expect(&self, expected: Option<u64>) -> Result<(), VaultError> {
        match expected {
            Some(version) if version != self.version => Err(VaultError::Changed { current: self.version }),
            _ => Ok(()),
        }
    }
}

/// The place that a version of a record is sealed to.
pub(crate) fn record_binding<'a>(
    scope: &Scope,
    repository: RepositoryId,
    id: RecordId,
    label: &'a str,
    version: u64,
) -> Binding<'a> {
    Binding {
        account: scope.account(),
        repository,
        classification: label,
        kind: "record",
        id: *id.as_bytes(),
        field: BODY,
        version,
    }
}

/// A stored commitment.
pub(crate) fn commitment(bytes: &[u8]) -> Result<Commitment, VaultError> {
    bytes.try_into().map(Commitment::from_bytes).map_err(|_| VaultError::Shape("a commitment of 32 bytes"))
}
