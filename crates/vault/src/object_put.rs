//! Storing an object: its content is sealed as it comes and put in parts, in constant memory; then one
//! transaction adds the row. Until that commits nobody can see any of it.

use aws_lc_rs::digest;
use base::{DataKeyId, ObjectId, RepositoryId, Timestamp};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use keys::{DataKey, StreamSealer};
use ledger::{Act, Activity, Commitment, ObjectRef};
use store::{Committed, Scope, Scoped, StoreError, insert, select, update};

use crate::{
    Decided, MAX_OBJECT_BYTES, MAX_UPLOAD, NewObject, Object, Target, Vault, VaultError,
    blob::PART_BYTES,
    declaration::Loaded,
    object::{CONTENT, META, Sealed, object_binding},
    reader::Attempt,
    vault::retried,
};

/// Plaintext that is sealed at a time.
const STEP_BYTES: usize = 65_536;

const USAGE: Scoped = select!(["objects, bytes"] from "object_usage" where "1 = 1");
const TAKE: Scoped = update!(
    "object_usage" set "objects = objects + 1, bytes = bytes + $2"
    where "objects < $3 AND bytes + $2 <= $4"
);
const ADD: Scoped = insert!(
    "object" ("repository_id, id, classification, key_id, created_at, deleted_at, erasing_at, holds, bytes, commitment, blob, sealed")
    values "$2, $3, $4, $5, $6, NULL, NULL, 0, $7, $8, $9, $10"
);

/// An upload in progress.
struct Upload<'a> {
    vault: &'a Vault,
    scope: &'a Scope,
    blob: &'a str,
    started: Timestamp,
    sealer: StreamSealer,
    hash: digest::Context,
    /// Sealed and not yet put.
    pending: Vec<u8>,
    parts: u64,
    bytes: u64,
}

/// An object's row, ready for its transaction.
struct NewRow<'a> {
    object: &'a Object,
    key: DataKeyId,
    commitment: Commitment,
    blob: &'a str,
    sealed: &'a Vec<u8>,
}

/// A content that is wholly put.
struct Put {
    bytes: u64,
    sha256: Vec<u8>,
}

impl Vault {
    /// Stores an object from a stream. An error of the stream stores nothing.
    ///
    /// # Errors
    /// [`VaultError::Above`] for a label above the repository's (RR-2), [`VaultError::Limit`] above
    /// 5 GiB or the account's quota, [`VaultError::Broken`] if the content broke off or is not as long
    /// as was said.
    pub async fn object_put<S, E>(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        new: NewObject<'_>,
        content: S,
        decided: &Decided,
    ) -> Result<Committed<Object>, VaultError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Send,
    {
        let id = ObjectId::new(self.context())?;
        let outcome = self.put_object(scope, (repository, id), new, content, decided).await;
        let object = Target::Object(repository, id).object_ref(scope);
        self.noted(scope, decided, Activity::ObjectCreate, object, outcome).await
    }

    async fn put_object<S, E>(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, ObjectId),
        new: NewObject<'_>,
        content: S,
        decided: &Decided,
    ) -> Result<Committed<Object>, VaultError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Send,
    {
        new.check()?;
        let loaded = self.declaration(scope, repository, Attempt::FIRST).await?;
        let label = self.label_of(&loaded, new.classification)?;
        self.check_quota(scope, new.length.unwrap_or(0)).await?;
        let key = self.keys().new_data_key(scope).await?;
        let blob = self.blob_name(id)?;
        let mut upload = Upload {
            vault: self,
            scope,
            blob: &blob,
            started: self.context().now(),
            sealer: key.stream_sealer(&object_binding(scope, repository, id, &label, CONTENT))?,
            hash: digest::Context::new(&digest::SHA256),
            pending: Vec::new(),
            parts: 0,
            bytes: 0,
        };
        let outcome = upload.receive(content, new.length).await;
        let parts = upload.parts;
        let outcome = match outcome {
            Ok(()) => upload.end().await,
            Err(error) => Err(error),
        };
        let committed = match outcome {
            Ok(put) => {
                store::crash_point("vault.object-uploaded"); // a crash here: blobs without a row, swept in a day
                self.add_object(scope, &loaded, (id, label, &blob), (new, put), &key, decided).await
            }
            Err(error) => Err(error),
        };
        self.settle_upload(scope, (id, &blob), parts, committed).await
    }

    /// Deletes the parts of an upload that failed; not if nobody knows whether its row is there: the
    /// schedule looks, and deletes them if it is not.
    async fn settle_upload<T>(
        &self,
        scope: &Scope,
        (id, blob): (ObjectId, &str),
        parts: u64,
        outcome: Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        if matches!(outcome, Ok(_) | Err(VaultError::Store(StoreError::Unknown))) {
            return outcome;
        }
        if let Err(error) = self.delete_parts(scope, blob, parts.saturating_add(1)).await {
            tracing::warn!(%error, object = %id, "an unfinished upload could not be deleted: the schedule will");
        }
        outcome
    }

    /// Refuses early what the account has no room for; the transaction decides.
    async fn check_quota(&self, scope: &Scope, length: u64) -> Result<(), VaultError> {
        if length > MAX_OBJECT_BYTES {
            return Err(VaultError::limit("object", MAX_OBJECT_BYTES, "bytes"));
        }
        let row = self.store().read(scope).await?.row(USAGE, &[]).await?;
        let (objects, bytes) = match row {
            Some(row) => (row.count(0)?, row.count(1)?),
            None => (0, 0),
        };
        if objects >= self.config().max_objects {
            return Err(VaultError::limit("objects", self.config().max_objects, "an account"));
        }
        if bytes.saturating_add(length) > self.config().max_object_bytes {
            return Err(VaultError::limit("objects", self.config().max_object_bytes, "bytes an account"));
        }
        Ok(())
    }

    async fn add_object(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        (id, label, blob): (ObjectId, String, &str),
        (new, put): (NewObject<'_>, Put),
        key: &DataKey,
        decided: &Decided,
    ) -> Result<Committed<Object>, VaultError> {
        let repository = loaded.repository.id;
        let commitment = key.commit(CONTENT, &put.sha256)?;
        let sha256: String = put.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let object = Object {
            id,
            repository,
            name: new.name.to_owned(),
            content_type: new.content_type.to_owned(),
            classification: label.clone(),
            bytes: put.bytes,
            sha256: sha256.clone(),
            created_at: self.context().now(),
            deleted_at: None,
        };
        let meta = Sealed { name: object.name.clone(), content_type: object.content_type.clone(), sha256 };
        let meta = serde_json::to_vec(&meta).map_err(|_| VaultError::Shape("an object's description"))?;
        let sealed = key.seal(&object_binding(scope, repository, id, &label, META), &meta)?;
        let act = create_act(scope, &object, commitment, key, decided);
        let row = NewRow { object: &object, key: key.id(), commitment, blob, sealed: &sealed };
        retried(|_| self.commit_object(scope, &row, act.clone())).await
    }

    /// The transaction. The label was held against the declaration of before the upload; whatever
    /// changed since, it is still allowed, for a repository is never lowered. Its schedule stays as it is
    /// until the object is there.
    async fn commit_object(
        &self,
        scope: &Scope,
        row: &NewRow<'_>,
        act: Act,
    ) -> Result<Committed<Object>, VaultError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let NewRow { object, key, commitment, blob, sealed } = row;
        let bytes = signed(object.bytes);
        let config = self.config();
        let quota = [bytes.into(), signed(config.max_objects).into(), signed(config.max_object_bytes).into()];
        let mut tx = self.store().begin(scope).await?;
        Self::keep_repository(&mut tx, object.repository).await?.ok_or(VaultError::NotFound("repository"))?;
        if tx.execute(TAKE, &quota).await? != 1 {
            return Err(VaultError::limit("objects", config.max_object_bytes, "bytes an account"));
        }
        let values = [
            (&object.repository).into(),
            (&object.id).into(),
            (&object.classification).into(),
            key.into(),
            object.created_at.into(),
            bytes.into(),
            commitment.as_bytes().into(),
            (*blob).into(),
            (*sealed).into(),
        ];
        tx.execute(ADD, &values).await?;
        Ok(tx.commit((*object).clone(), act).await?)
    }
}

fn create_act(
    scope: &Scope,
    object: &Object,
    commitment: Commitment,
    key: &DataKey,
    decided: &Decided,
) -> Act {
    let reference = ObjectRef::new("object", object.id)
        .in_account(scope.account())
        .in_repository(object.repository)
        .classified(object.classification.clone());
    Act::new(Activity::ObjectCreate, reference)
        .after(commitment)
        .key(key.id(), "write")
        .decided_by(decided.policies.clone())
        .detail("bytes", object.bytes)
}

impl Upload<'_> {
    async fn receive<S, E>(&mut self, mut content: S, length: Option<u64>) -> Result<(), VaultError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Send,
    {
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|_| VaultError::Broken)?;
            self.bytes = self.bytes.saturating_add(piece.len() as u64);
            if self.bytes > MAX_OBJECT_BYTES {
                return Err(VaultError::limit("object", MAX_OBJECT_BYTES, "bytes"));
            }
            if length.is_some_and(|length| self.bytes > length) {
                return Err(VaultError::Broken);
            }
            for step in piece.chunks(STEP_BYTES) {
                self.hash.update(step);
                self.sealer.update(step, &mut self.pending)?;
                self.put_full().await?;
            }
            // A part that outlives the sweep of blobs without a row would be swept while it is sent.
            if self.vault.context().now().since(self.started) > MAX_UPLOAD {
                return Err(VaultError::limit("upload", MAX_UPLOAD.seconds().unsigned_abs(), "seconds"));
            }
        }
        if length.is_some_and(|length| self.bytes != length) {
            return Err(VaultError::Broken);
        }
        Ok(())
    }

    async fn put_full(&mut self) -> Result<(), VaultError> {
        while self.pending.len() >= PART_BYTES {
            let rest = self.pending.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.pending, rest);
            self.vault.put_part(self.scope, self.blob, self.parts, part).await?;
            self.parts = self.parts.saturating_add(1);
        }
        Ok(())
    }

    async fn end(self) -> Result<Put, VaultError> {
        let Self { vault, scope, blob, sealer, hash, mut pending, mut parts, bytes, .. } = self;
        sealer.finish(&mut pending)?;
        while !pending.is_empty() {
            let rest = pending.split_off(PART_BYTES.min(pending.len()));
            let part = std::mem::replace(&mut pending, rest);
            vault.put_part(scope, blob, parts, part).await?;
            parts = parts.saturating_add(1);
        }
        Ok(Put { bytes, sha256: hash.finish().as_ref().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Sample;
    use base::{Duration, Fault as _, Kind};
    use futures::TryStreamExt as _;
    use store::JobRunner;

    const NEW: NewObject<'static> =
        NewObject { name: "scan", content_type: "text/plain", classification: None, length: None };

    async fn parts(vault: &Vault) -> usize {
        vault.0.blobs.list(None).try_collect::<Vec<_>>().await.unwrap().len()
    }

    testkit::on_both_engines! {
        async fn an_unknown_outcome_keeps_the_parts(h: Harness) {
            let Sample { h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let pieces = || futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"content"))]);
            let object = vault.object_put(&scope, repository, NEW, pieces(), &decided).await.unwrap();
            let blob = h.tamper(store::Realm::Data, "SELECT blob FROM object").remove(0);
            // The row is there, but its commit's answer was lost.
            let unknown: Result<(), _> = Err(VaultError::Store(StoreError::Unknown));
            let error = vault.settle_upload(&scope, (object.id, &blob), 0, unknown).await.unwrap_err();
            assert_eq!((error.code(), error.kind()), ("outcome-unknown", Kind::Unavailable));
            let target = Target::Object(repository, object.id);
            let noted: Result<(), _> = vault
                .noted(&scope, &decided, Activity::ObjectCreate, target.object_ref(&scope), Err(error))
                .await;
            assert_eq!(noted.unwrap_err().code(), "outcome-unknown");
            let reason = "SELECT COUNT(*) FROM event WHERE activity = 'object.create'";
            assert_eq!(h.tamper(store::Realm::Data, reason), ["2"]);
            let leaf = "SELECT leaf FROM event WHERE activity = 'object.create' ORDER BY seq DESC LIMIT 1";
            let said: String = "outcome-unknown".bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(h.tamper(store::Realm::Data, leaf).remove(0).contains(&said));
            // The row is not there: the schedule deletes the parts, in its time.
            let lost = vault.blob_name(ObjectId::new(&h.context).unwrap()).unwrap();
            vault.put_part(&scope, &lost, 0, vec![1]).await.unwrap();
            let unknown: Result<(), _> = Err(VaultError::Store(StoreError::Unknown));
            let _ = vault.settle_upload(&scope, (object.id, &lost), 0, unknown).await.unwrap_err();
            assert_eq!(parts(&vault).await, 2);
            let runner = JobRunner::new(h.data.clone(), vault.job_handlers());
            for _ in 0..42 {
                h.clock.advance(Duration::from_seconds(3_601));
                runner.run_due().await.unwrap();
            }
            assert_eq!(parts(&vault).await, 1);
            let content = vault.object_get(&scope, (repository, object.id), None, &decided).await.unwrap();
            let read: Vec<Bytes> = content.stream.try_collect().await.unwrap();
            assert_eq!(read.concat(), b"content");
            // Any other failure: at once.
            vault.put_part(&scope, &lost, 0, vec![1]).await.unwrap();
            let broken: Result<(), _> = Err(VaultError::Broken);
            let _ = vault.settle_upload(&scope, (object.id, &lost), 0, broken).await.unwrap_err();
            assert_eq!(parts(&vault).await, 1);
        }
    }
}
