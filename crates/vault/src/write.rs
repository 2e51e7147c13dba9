//! Writing a version of a record. Everything that needs keys is planned first; inside the transaction
//! there are only statements: one for the record, one for the version that it replaces, and one for
//! each searchable field that changed.

use base::{DataKeyId, RecordId, RepositoryId, SecretBytes, Timestamp};
use keys::{DataKey, INDEX_DIGEST_BYTES, NewDataKey};
use ledger::{Act, Activity, Commitment};
use store::{Scope, Scoped, Tx, delete, insert, update};

use crate::{
    Decided, MAX_VERSIONS, Vault, VaultError, Written,
    body::Body,
    declaration::Loaded,
    field,
    record::record_ref,
    row::{BODY, Current, record_binding},
    vault::stale,
};

/// What is to be written, before it is sealed.
pub(crate) struct Draft {
    pub(crate) activity: Activity,
    pub(crate) id: RecordId,
    pub(crate) label: String,
    /// The body's bytes; its parsed values, which may take many times as much, are gone by now.
    pub(crate) body: SecretBytes,
    /// The digests of its searchable fields.
    pub(crate) terms: Vec<u8>,
    /// The version that it replaces, and the record's key; a new record gets a key of its own.
    pub(crate) before: Option<(Current, DataKey)>,
}

/// A version, sealed and ready for its transaction.
pub(crate) struct Plan {
    activity: Activity,
    repository: RepositoryId,
    id: RecordId,
    label: String,
    key: DataKeyId,
    version: u64,
    now: Timestamp,
    created_at: Timestamp,
    bytes: usize,
    commitment: Commitment,
    terms: Vec<u8>,
    sealed: Vec<u8>,
    before: Option<Current>,
    /// A new record's key, until its commit.
    pub(crate) fresh: Option<NewDataKey>,
}

const ADD: Scoped = insert!(
    "record" ("repository_id, id, classification, key_id, version, created_at, updated_at, deleted_at, erasing_at, holds, bytes, commitment, terms, sealed")
    values "$2, $3, $4, $5, 1, $6, $6, NULL, NULL, 0, $7, $8, $9, $10"
);
const CHANGE: Scoped = update!(
    "record" set "classification = $5, version = version + 1, updated_at = $6, bytes = $7, commitment = $8, terms = $9, sealed = $10"
    where "repository_id = $2 AND id = $3 AND version = $4 AND deleted_at IS NULL AND erasing_at IS NULL"
);
const KEEP: Scoped = insert!(
    "record_version" ("repository_id, record_id, version, classification, created_at, bytes, commitment, sealed")
    values "$2, $3, $4, $5, $6, $7, $8, $9"
);
const ADD_TERM: Scoped = insert!("record_term" ("repository_id, digest, record_id") values "$2, $3, $4");
pub(crate) const DROP_TERM: Scoped =
    delete!("record_term" where "repository_id = $2 AND digest = $3 AND record_id = $4");

impl Vault {
    /// Seals a draft with the record's key. A new record's is made here, once nothing is left to be
    /// refused.
    pub(crate) async fn plan(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        draft: Draft,
    ) -> Result<Plan, VaultError> {
        let Draft { activity, id, label, body, terms, before } = draft;
        let (before, key) = before.map_or((None, None), |(before, key)| (Some(before), Some(key)));
        let version = next_version(before.as_ref())?;
        let fresh = match key {
            Some(_) => None,
            None => Some(self.keys().new_data_key(scope).await?),
        };
        let key = key.as_ref().or(fresh.as_deref()).ok_or(VaultError::Shape("a key"))?;
        let repository = loaded.repository.id;
        let binding = record_binding(scope, repository, id, &label, version);
        let sealed = key.seal(&binding, body.expose())?;
        let commitment = key.commit(BODY, body.expose())?;
        let now = self.context().now();
        Ok(Plan {
            activity,
            repository,
            id,
            key: key.id(),
            version,
            now,
            created_at: before.as_ref().map_or(now, |before| before.created_at),
            bytes: body.expose().len(),
            commitment,
            terms,
            sealed,
            before,
            label,
            fresh,
        })
    }

    /// The digests of a body's searchable fields, in the order of the fields, none twice.
    pub(crate) async fn terms(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        body: &Body,
    ) -> Result<Vec<u8>, VaultError> {
        let mut terms: Vec<u8> = Vec::new();
        for pointer in &loaded.repository.searchable {
            let Some(value) = body.value.pointer(pointer).and_then(field::indexed) else { continue };
            let key = self.keys().index_key(scope, loaded.repository.id, pointer).await?;
            let digest = key.digest(&value);
            if !has_term(&terms, &digest) {
                terms.extend_from_slice(&digest);
            }
        }
        Ok(terms)
    }
}

/// The number of the version that replaces this one.
pub(crate) fn next_version(before: Option<&Current>) -> Result<u64, VaultError> {
    let version = before.map_or(1, |before| before.version.saturating_add(1));
    if version > MAX_VERSIONS {
        return Err(VaultError::limit("versions", MAX_VERSIONS, "a record"));
    }
    Ok(version)
}

/// Whether a digest is among those of a row.
pub(crate) fn has_term(terms: &[u8], digest: &[u8]) -> bool {
    terms.chunks_exact(INDEX_DIGEST_BYTES).any(|term| term == digest)
}

impl Plan {
    /// What the caller will hear.
    pub(crate) fn written(&self) -> Written {
        Written {
            id: self.id,
            repository: self.repository,
            version: self.version,
            classification: self.label.clone(),
            created_at: self.created_at,
            updated_at: self.now,
            deleted_at: None,
            replayed: false,
        }
    }

    /// The event.
    pub(crate) fn act(&self, scope: &Scope, decided: &Decided) -> Act {
        let object = record_ref(scope, self.repository, self.id).classified(self.label.clone());
        let act = Act::new(self.activity, object)
            .after(self.commitment)
            .key(self.key, "write")
            .decided_by(decided.policies.clone())
            .detail("version", self.version);
        match &self.before {
            Some(before) => act.before(before.commitment),
            None => act,
        }
    }

    /// The statements. An error that makes the operation start afresh if the version that it
    /// replaces is no longer the current one.
    pub(crate) async fn apply(&self, tx: &mut Tx) -> Result<(), VaultError> {
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        match &self.before {
            None => {
                let values = [
                    (&self.repository).into(),
                    (&self.id).into(),
                    (&self.label).into(),
                    (&self.key).into(),
                    self.now.into(),
                    bytes.into(),
                    self.commitment.as_bytes().into(),
                    (&self.terms).into(),
                    (&self.sealed).into(),
                ];
                tx.execute(ADD, &values).await?;
            }
            Some(before) => self.replace(tx, before, bytes).await?,
        }
        let old = self.before.as_ref().map_or(&[][..], |before| &before.terms);
        for term in old.chunks_exact(INDEX_DIGEST_BYTES).filter(|term| !has_term(&self.terms, term)) {
            tx.execute(DROP_TERM, &[(&self.repository).into(), term.into(), (&self.id).into()]).await?;
        }
        for term in self.terms.chunks_exact(INDEX_DIGEST_BYTES).filter(|term| !has_term(old, term)) {
            tx.execute(ADD_TERM, &[(&self.repository).into(), term.into(), (&self.id).into()]).await?;
        }
        Ok(())
    }

    async fn replace(&self, tx: &mut Tx, before: &Current, bytes: i64) -> Result<(), VaultError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let values = [
            (&self.repository).into(),
            (&self.id).into(),
            signed(before.version).into(),
            (&self.label).into(),
            self.now.into(),
            bytes.into(),
            self.commitment.as_bytes().into(),
            (&self.terms).into(),
            (&self.sealed).into(),
        ];
        if tx.execute(CHANGE, &values).await? != 1 {
            return Err(stale());
        }
        let values = [
            (&self.repository).into(),
            (&self.id).into(),
            signed(before.version).into(),
            (&before.label).into(),
            before.updated_at.into(),
            signed(before.bytes).into(),
            before.commitment.as_bytes().into(),
            (&before.sealed).into(),
        ];
        tx.execute(KEEP, &values).await?;
        Ok(())
    }
}
