//! Storing an object: its content is sealed as it comes and put in parts, in constant memory; then one
//! transaction adds the row. Until that commits nobody can see any of it. Room for it is reserved before
//! it is put, and whoever sends may go away at any moment (`upload`).

use aws_lc_rs::digest;
use base::{DataKeyId, ObjectId, RepositoryId, Timestamp};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use keys::{DataKey, NewDataKey, StreamSealer};
use ledger::{Act, Activity, Commitment, ObjectRef};
use store::{Committed, Scope, Scoped, StoreError, insert, select};

use crate::{
    Decided, MAX_OBJECT_BYTES, MAX_UPLOAD, NewObject, Object, Target, Vault, VaultError,
    blob::PART_BYTES,
    object::{CONTENT, META, Sealed, object_binding},
    reader::Attempt,
    upload::Unfinished,
    vault::retried,
};

/// Plaintext that is sealed at a time.
const STEP_BYTES: usize = 65_536;

const USAGE: Scoped = select!(["objects, bytes"] from "object_usage" where "1 = 1");
const ADD: Scoped = insert!(
    "object" ("repository_id, id, classification, key_id, created_at, deleted_at, erasing_at, holds, bytes, commitment, blob, sealed")
    values "$2, $3, $4, $5, $6, NULL, NULL, 0, $7, $8, $9, $10"
);

/// An upload in progress.
struct Upload {
    unfinished: Unfinished,
    started: Timestamp,
    sealer: StreamSealer,
    hash: digest::Context,
    /// Sealed and not yet put.
    pending: Vec<u8>,
    bytes: u64,
}

/// What an upload needs from its first byte to its row.
struct Ready {
    label: String,
    name: String,
    content_type: String,
    length: Option<u64>,
    key: NewDataKey,
}

/// An object's row, ready for its transaction.
struct NewRow<'a> {
    object: &'a Object,
    key: DataKeyId,
    commitment: Commitment,
    blob: &'a str,
    sealed: &'a Vec<u8>,
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
        let object = Target::Object(repository, id).object_ref(scope);
        let begun = self.begin_put(scope, (repository, id), new, decided).await;
        let (mut upload, ready) = self.noted(scope, decided, Activity::ObjectCreate, object, begun).await?;
        // Dropped within this, the upload settles itself.
        let received = upload.receive(content, ready.length).await;
        let Upload { unfinished, sealer, hash, pending, bytes, .. } = upload;
        if let Err(error) = received {
            return Err(unfinished.fail(error).await);
        }
        let ending = Ending { unfinished, sealer, hash, pending, bytes };
        // What is received wholly is stored, whether or not anybody waits for it: a commit that is
        // broken off would leave nobody knowing.
        let stored = tokio::spawn(ending.store(ready));
        stored.await.map_err(|_| VaultError::Store(StoreError::Unknown))?
    }

    async fn begin_put(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, ObjectId),
        new: NewObject<'_>,
        decided: &Decided,
    ) -> Result<(Upload, Ready), VaultError> {
        new.check()?;
        let loaded = self.declaration(scope, repository, Attempt::FIRST).await?;
        let label = self.label_of(&loaded, new.classification)?;
        self.check_quota(scope, new.length.unwrap_or(0)).await?;
        let key = self.keys().new_data_key(scope).await?;
        let upload = Upload {
            sealer: key.stream_sealer(&object_binding(scope, repository, id, &label, CONTENT))?,
            unfinished: Unfinished::new(
                self,
                scope,
                decided,
                (repository, id, self.blob_name(id)?),
                new.length,
            ),
            started: self.context().now(),
            hash: digest::Context::new(&digest::SHA256),
            pending: Vec::new(),
            bytes: 0,
        };
        let (name, content_type) = (new.name.to_owned(), new.content_type.to_owned());
        Ok((upload, Ready { label, name, content_type, length: new.length, key }))
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

    /// The transaction. The label was held against the declaration of before the upload; whatever
    /// changed since, it is still allowed, for a repository is never lowered. Its schedule stays as it is
    /// until the object is there.
    async fn commit_object(
        &self,
        scope: &Scope,
        row: &NewRow<'_>,
        act: Act,
    ) -> Result<Committed<Object>, VaultError> {
        let NewRow { object, key, commitment, blob, sealed } = row;
        let bytes = i64::try_from(object.bytes).unwrap_or(i64::MAX);
        let mut tx = self.store().begin(scope).await?;
        Self::keep_repository(&mut tx, object.repository).await?.ok_or(VaultError::NotFound("repository"))?;
        self.end_upload(&mut tx, object.id, object.bytes).await?;
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

impl Upload {
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
            if self.unfinished.vault.context().now().since(self.started) > MAX_UPLOAD {
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
            self.unfinished.put(part, self.bytes).await?;
        }
        Ok(())
    }
}

/// An upload whose content is wholly received.
struct Ending {
    unfinished: Unfinished,
    sealer: StreamSealer,
    hash: digest::Context,
    pending: Vec<u8>,
    bytes: u64,
}

impl Ending {
    /// Puts the last parts and adds the row; settles the upload if that can't be done.
    async fn store(self, ready: Ready) -> Result<Committed<Object>, VaultError> {
        let Self { mut unfinished, sealer, hash, mut pending, bytes } = self;
        if let Err(error) = put_rest(&mut unfinished, sealer, &mut pending, bytes).await {
            return Err(unfinished.fail(error).await);
        }
        store::crash_point("vault.object-uploaded"); // a crash here: blobs without a row; the schedule settles it
        let sha256 = hash.finish().as_ref().to_vec();
        unfinished.leave();
        match add_object(&unfinished, ready, bytes, &sha256).await {
            Ok(stored) => Ok(stored),
            // Perhaps it is stored: the schedule looks, and settles it if it is not.
            Err(error @ VaultError::Store(StoreError::Unknown)) => {
                let Unfinished { vault, scope, decided, repository, id, .. } = &unfinished;
                let object = Target::Object(*repository, *id).object_ref(scope);
                vault.noted(scope, decided, Activity::ObjectCreate, object, Err(error)).await
            }
            Err(error) => Err(unfinished.fail(error).await),
        }
    }
}

async fn put_rest(
    unfinished: &mut Unfinished,
    sealer: StreamSealer,
    pending: &mut Vec<u8>,
    bytes: u64,
) -> Result<(), VaultError> {
    sealer.finish(pending)?;
    while !pending.is_empty() {
        let rest = pending.split_off(PART_BYTES.min(pending.len()));
        let part = std::mem::replace(pending, rest);
        unfinished.put(part, bytes).await?;
    }
    Ok(())
}

async fn add_object(
    unfinished: &Unfinished,
    ready: Ready,
    bytes: u64,
    sha256: &[u8],
) -> Result<Committed<Object>, VaultError> {
    let Unfinished { vault, scope, decided, repository, id, blob, .. } = unfinished;
    let Ready { label, name, content_type, key, .. } = ready;
    let commitment = key.commit(CONTENT, sha256)?;
    let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let object = Object {
        id: *id,
        repository: *repository,
        name,
        content_type,
        classification: label.clone(),
        bytes,
        sha256: sha256.clone(),
        created_at: vault.context().now(),
        deleted_at: None,
    };
    let meta = Sealed { name: object.name.clone(), content_type: object.content_type.clone(), sha256 };
    let meta = serde_json::to_vec(&meta).map_err(|_| VaultError::Shape("an object's description"))?;
    let sealed = key.seal(&object_binding(scope, *repository, *id, &label, META), &meta)?;
    let act = create_act(scope, &object, commitment, &key, decided);
    let row = NewRow { object: &object, key: key.id(), commitment, blob, sealed: &sealed };
    let commit = retried(|_| vault.commit_object(scope, &row, act.clone()));
    NewDataKey::used_by(&mut [key], commit).await
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

    fn usage(h: &testkit::Harness) -> String {
        h.tamper(store::Realm::Data, "SELECT objects, bytes FROM object_usage").remove(0)
    }

    testkit::on_both_engines! {
        async fn an_unknown_outcome_keeps_the_parts(h: Harness) {
            let Sample { h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let pieces = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"content"))]);
            let object = vault.object_put(&scope, repository, NEW, pieces, &decided).await.unwrap();
            let begin = || {
                let id = ObjectId::new(&h.context).unwrap();
                let blob = vault.blob_name(id).unwrap();
                Unfinished::new(&vault, &scope, &decided, (repository, id, blob), None)
            };
            // The answer to its commit was lost, and it is not there: the schedule settles it, in time.
            let mut lost = begin();
            lost.put(vec![1], 1).await.unwrap();
            lost.leave();
            assert_eq!((parts(&vault).await, usage(&h)), (2, "2|8".into()));
            let runner = JobRunner::new(h.data.clone(), vault.job_handlers());
            h.clock.advance(Duration::from_seconds(3_601));
            runner.run_due().await.unwrap();
            assert_eq!((parts(&vault).await, usage(&h)), (2, "2|8".into()));
            h.clock.advance(Duration::from_days(1));
            runner.run_due().await.unwrap();
            assert_eq!((parts(&vault).await, usage(&h)), (1, "1|7".into()));
            let content = vault.object_get(&scope, (repository, object.id), None, &decided).await.unwrap();
            let read: Vec<Bytes> = content.stream.try_collect().await.unwrap();
            assert_eq!(read.concat(), b"content");
            // Any other failure: at once.
            let mut broken = begin();
            broken.put(vec![1], 1).await.unwrap();
            assert_eq!(broken.fail(VaultError::Broken).await.kind(), Kind::Invalid);
            assert_eq!((parts(&vault).await, usage(&h)), (1, "1|7".into()));
        }

        async fn a_last_part_that_fails_is_cleared_too(h: Harness) {
            let Sample { h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let id = ObjectId::new(&h.context).unwrap();
            let blob = vault.blob_name(id).unwrap();
            // It came to be there, and its answer said that it did not.
            vault.put_part(&scope, &blob, 0, vec![1]).await.unwrap();
            let mut unfinished = Unfinished::new(&vault, &scope, &decided, (repository, id, blob), None);
            unfinished.parts = 1;
            let _ = unfinished.fail(VaultError::Blobs("no answer".into())).await;
            assert_eq!(parts(&vault).await, 0);
        }

        async fn an_upload_whose_sender_goes_away_is_settled(h: Harness) {
            let Sample { h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let piece = Bytes::from(vec![7; 3 * PART_BYTES]);
            let pieces = futures::stream::iter([Ok::<_, std::io::Error>(piece)]).chain(futures::stream::pending());
            {
                let mut putting = std::pin::pin!(vault.object_put(&scope, repository, NEW, pieces, &decided));
                let two_parts = async {
                    while parts(&vault).await < 2 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    _ = &mut putting => unreachable!("the sender never ends"),
                    () = two_parts => {}
                }
                // What it takes is reserved while it comes.
                assert_eq!(usage(&h), format!("1|{}", 3 * PART_BYTES));
            }
            let said: String = "content-broken-off".bytes().map(|byte| format!("{byte:02x}")).collect();
            let leaves = "SELECT leaf FROM event WHERE activity = 'object.create'";
            while !h.tamper(store::Realm::Data, leaves).iter().any(|leaf| leaf.contains(&said)) {
                tokio::task::yield_now().await;
            }
            assert_eq!((parts(&vault).await, usage(&h)), (0, "0|0".into()));
            assert_eq!(h.tamper(store::Realm::Data, "SELECT COUNT(*) FROM object_upload"), ["0"]);
        }
    }
}
