//! Records: what goes in, what is known about one, and what comes out; and making one.

use base::{RecordId, RepositoryId, SecretBytes, Timestamp};
use ledger::{Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Committed, Scope};

use crate::{
    Decided, IdempotencyKey, Vault, VaultError, body::Body, declaration::Loaded, idempotency::Answer,
    reader::Attempt, repository::label_within, vault::retried, write::Draft,
};

/// A record to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// One JSON object, at most 1 MiB.
    pub body: &'a [u8],
    /// Its label; the repository's if none is given. Not above the repository's (RR-2).
    pub classification: Option<&'a str>,
}

/// What a write answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The record.
    pub id: RecordId,
    /// Its repository.
    pub repository: RepositoryId,
    /// Its version now: the number in its ETag.
    pub version: u64,
    /// Its label.
    pub classification: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When this version was made.
    pub updated_at: Timestamp,
    /// When it was deleted, if it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deleted_at: Option<Timestamp>,
    /// Whether this is the answer to an earlier request of the same idempotency key.
    #[serde(skip)]
    pub replayed: bool,
}

impl Answer for Written {
    fn replayed(&mut self) {
        self.replayed = true;
    }
    fn object(&self) -> ObjectRef {
        ObjectRef::new("record", self.id).in_repository(self.repository)
    }
    fn targets(&self) -> Vec<[u8; 16]> {
        vec![*self.id.as_bytes()]
    }
}

/// What is known about a record without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordMeta {
    /// The record.
    pub id: RecordId,
    /// Its repository.
    pub repository: RepositoryId,
    /// The version: the number in its ETag.
    pub version: u64,
    /// Its label.
    pub classification: String,
    /// Bytes of the body.
    pub bytes: u64,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When this version was made.
    pub updated_at: Timestamp,
    /// When it was deleted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// A record that is read.
#[derive(Debug)]
pub struct Record {
    /// What is known about it.
    pub meta: RecordMeta,
    /// Its body, one JSON object; none if it was not asked for, or the record is deleted.
    pub body: Option<SecretBytes>,
}

/// A record as the object of an event.
pub(crate) fn record_ref(scope: &Scope, repository: RepositoryId, id: RecordId) -> ObjectRef {
    ObjectRef::new("record", id).in_account(scope.account()).in_repository(repository)
}

impl Vault {
    /// Stores a record under an id of the vault's choosing, its key made for it alone.
    ///
    /// # Errors
    /// [`VaultError::Above`] for a label above the repository's (RR-2), [`VaultError::Schema`],
    /// [`VaultError::NotFound`] for the repository.
    pub async fn record_create(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        new: NewRecord<'_>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<Written>, VaultError> {
        let id = RecordId::new(self.context())?;
        let outcome =
            retried(|attempt| self.create_record(scope, (repository, id), new, once, decided, attempt)).await;
        self.noted(scope, decided, Activity::RecordCreate, record_ref(scope, repository, id), outcome).await
    }

    async fn create_record(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, RecordId),
        new: NewRecord<'_>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<Written>, VaultError> {
        let once = self.once(scope, once)?;
        if let Some(answer) = self.answered(scope, once.as_ref(), decided, attempt).await? {
            return Ok(answer);
        }
        let loaded = self.declaration(scope, repository, attempt).await?;
        let plan = self.plan(scope, &loaded, self.draft_create(scope, &loaded, id, new).await?).await?;
        self.commit_plan(scope, &loaded, plan, once.as_ref(), decided).await
    }

    /// A new record, held against the declaration.
    pub(crate) async fn draft_create(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        id: RecordId,
        new: NewRecord<'_>,
    ) -> Result<Draft, VaultError> {
        let body = Body::parse(new.body)?;
        loaded.check(&body.value)?;
        let label = self.label_of(loaded, new.classification)?;
        let terms = self.terms(scope, loaded, &body).await?;
        let body = body.bytes;
        Ok(Draft { activity: Activity::RecordCreate, id, label, body, terms, before: None })
    }

    /// The label of a write: the one given, or the repository's.
    pub(crate) fn label_of(&self, loaded: &Loaded, given: Option<&str>) -> Result<String, VaultError> {
        let allowed = &loaded.repository.classification;
        let label =
            given.map(|name| label_within(self.scheme(), "classification", name, allowed)).transpose()?;
        Ok(label.as_ref().unwrap_or(allowed).name().to_owned())
    }
}
