//! Several writes of one repository as one: all of them happen, or none.

use std::collections::BTreeSet;

use base::{RecordId, RepositoryId};
use keys::NewDataKey;
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Committed, Scope, Tx};

use crate::{
    Decided, IdempotencyKey, Lifecycle, MAX_BATCH_BYTES, MAX_BATCH_OPERATIONS, NewRecord, Target, Vault,
    VaultError, Written,
    declaration::Loaded,
    delete::{apply_delete, delete_act},
    idempotency::{Answer, Once},
    reader::Attempt,
    target::Head,
    vault::retried,
    write::{Draft, Plan, next_version},
};

/// One write of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchOperation<'a> {
    /// Stores a record.
    Create(NewRecord<'a>),
    /// Replaces a record; the version it must have, if one is given.
    Replace(RecordId, NewRecord<'a>, Option<u64>),
    /// Changes a record by a merge patch; the version it must have, if one is given.
    Patch(RecordId, NewRecord<'a>, Option<u64>),
    /// Deletes a record; the version it must have, if one is given.
    Delete(RecordId, Option<u64>),
}

/// What a batch answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchWritten {
    /// The repository.
    pub repository: RepositoryId,
    /// What became of each operation, in their order.
    pub records: Vec<Written>,
    /// Whether this is the answer to an earlier request of the same idempotency key.
    #[serde(skip)]
    pub replayed: bool,
}

impl Answer for BatchWritten {
    fn replayed(&mut self) {
        self.replayed = true;
        self.records.iter_mut().for_each(Answer::replayed);
    }
    fn object(&self) -> ObjectRef {
        ObjectRef::new("repository", self.repository)
    }
    fn targets(&self) -> Vec<[u8; 16]> {
        self.records.iter().flat_map(Answer::targets).collect()
    }
}

/// One operation, held against the declaration; nothing is sealed yet.
enum Drafted {
    Write(Box<Draft>),
    Delete(Target, Box<Head>, Lifecycle),
}

/// One operation, ready for the transaction.
enum Ready {
    Write(Box<Plan>),
    Delete(Target, Box<Head>, Lifecycle),
}

impl BatchOperation<'_> {
    fn target(&self) -> Option<RecordId> {
        match self {
            Self::Create(_) => None,
            Self::Replace(id, ..) | Self::Patch(id, ..) | Self::Delete(id, _) => Some(*id),
        }
    }
    fn bytes(&self) -> usize {
        match self {
            Self::Create(new) | Self::Replace(_, new, _) | Self::Patch(_, new, _) => new.body.len(),
            Self::Delete(..) => 0,
        }
    }
}

impl Vault {
    /// Does up to 1,000 writes as one. Each is an event of its own, and the batch is one more.
    ///
    /// # Errors
    /// [`VaultError::Operation`] names the first operation that can't be done; none is.
    pub async fn record_batch(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        operations: &[BatchOperation<'_>],
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<BatchWritten>, VaultError> {
        let outcome =
            retried(|attempt| self.write_batch(scope, repository, operations, once, decided, attempt)).await;
        let object = ObjectRef::new("repository", repository).in_account(scope.account());
        self.noted(scope, decided, Activity::RecordBatch, object, outcome).await
    }

    async fn write_batch(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        operations: &[BatchOperation<'_>],
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<BatchWritten>, VaultError> {
        let once = self.once(scope, once)?;
        if let Some(answer) = self.answered(scope, once.as_ref(), decided, attempt).await? {
            return Ok(answer);
        }
        check_bounds(operations)?;
        let loaded = self.declaration(scope, repository, attempt).await?;
        let mut drafted = Vec::with_capacity(operations.len());
        let mut bytes: usize = operations.iter().map(BatchOperation::bytes).sum();
        for (index, operation) in operations.iter().enumerate() {
            let one = self.drafted(scope, &loaded, operation, (&mut bytes, attempt)).await;
            drafted.push(one.map_err(|error| VaultError::operation(index, error))?);
        }
        // All of it holds: only now are keys made for it.
        let mut ready = Vec::with_capacity(drafted.len());
        for (index, one) in drafted.into_iter().enumerate() {
            let one = self.ready(scope, &loaded, one).await;
            ready.push(one.map_err(|error| VaultError::operation(index, error))?);
        }
        self.commit_batch(scope, &loaded, ready, once.as_ref(), decided).await
    }

    async fn commit_batch(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        mut ready: Vec<Ready>,
        once: Option<&Once>,
        decided: &Decided,
    ) -> Result<Committed<BatchWritten>, VaultError> {
        let repository = loaded.repository.id;
        let mut acts: Vec<Act> =
            ready.iter().map(|one| one.act(scope, decided).detail("batch", true)).collect();
        let object = ObjectRef::new("repository", repository)
            .in_account(scope.account())
            .in_repository(repository)
            .classified(loaded.repository.classification.name());
        acts.push(
            Act::new(Activity::RecordBatch, object)
                .decided_by(decided.policies.clone())
                .detail("count", ready.len()),
        );
        let records = ready.iter().map(Ready::written).collect();
        let written = BatchWritten { repository, records, replayed: false };
        let mut tx = self.store().begin(scope).await?;
        self.claim(&mut tx, once, &written).await?;
        self.check_revision(&mut tx, loaded).await?;
        for (index, one) in ready.iter().enumerate() {
            one.apply(&mut tx).await.map_err(|error| VaultError::operation(index, error))?;
        }
        store::crash_point("vault.batch-before-commit"); // a crash here: nothing of the batch is there
        let mut fresh: Vec<NewDataKey> = ready.iter_mut().filter_map(Ready::take_fresh).collect();
        Ok(NewDataKey::used_by(&mut fresh, tx.commit_all(written, acts)).await?)
    }

    async fn ready(&self, scope: &Scope, loaded: &Loaded, one: Drafted) -> Result<Ready, VaultError> {
        Ok(match one {
            Drafted::Write(draft) => Ready::Write(Box::new(self.plan(scope, loaded, *draft).await?)),
            Drafted::Delete(target, head, deletion) => Ready::Delete(target, head, deletion),
        })
    }

    async fn drafted(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        operation: &BatchOperation<'_>,
        (bytes, attempt): (&mut usize, Attempt),
    ) -> Result<Drafted, VaultError> {
        let repository = loaded.repository.id;
        if let BatchOperation::Delete(id, expected) = operation {
            let target = Target::Record(repository, *id);
            let head = self.head(scope, &target, attempt).await?;
            let deletion = self.plan_delete(&target, &head, *expected)?;
            return Ok(Drafted::Delete(target, Box::new(head), deletion));
        }
        let draft = match operation {
            BatchOperation::Create(new) => {
                self.draft_create(scope, loaded, RecordId::new(self.context())?, *new).await?
            }
            BatchOperation::Replace(id, new, expected) | BatchOperation::Patch(id, new, expected) => {
                let before = self.current(&mut self.reader(scope, attempt).await?, repository, *id).await?;
                before.expect(*expected)?;
                next_version(Some(&before))?;
                *bytes = bytes.saturating_add(before.sealed.len());
                if *bytes > MAX_BATCH_BYTES {
                    return Err(too_many_bytes());
                }
                match operation {
                    BatchOperation::Patch(..) => self.draft_patch(scope, loaded, before, *new).await?,
                    _ => self.draft_replace(scope, loaded, before, *new).await?,
                }
            }
            BatchOperation::Delete(..) => return Err(VaultError::Shape("a write")),
        };
        Ok(Drafted::Write(Box::new(draft)))
    }
}

impl Ready {
    fn act(&self, scope: &Scope, decided: &Decided) -> Act {
        match self {
            Self::Write(plan) => plan.act(scope, decided),
            Self::Delete(target, head, _) => delete_act(scope, target, head, decided),
        }
    }

    /// The key that was made for it, if one was.
    fn take_fresh(&mut self) -> Option<NewDataKey> {
        match self {
            Self::Write(plan) => plan.fresh.take(),
            Self::Delete(..) => None,
        }
    }

    fn written(&self) -> Written {
        match self {
            Self::Write(plan) => plan.written(),
            Self::Delete(target, head, deletion) => Written {
                id: RecordId::from_bytes(*target.id()),
                repository: target.repository(),
                version: head.version,
                classification: head.label.clone(),
                created_at: head.created_at,
                updated_at: deletion.deleted_at.unwrap_or(head.created_at),
                deleted_at: deletion.deleted_at,
                replayed: false,
            },
        }
    }

    async fn apply(&self, tx: &mut Tx) -> Result<(), VaultError> {
        match self {
            Self::Write(plan) => plan.apply(tx).await,
            Self::Delete(target, _, deletion) => apply_delete(tx, target, deletion).await,
        }
    }
}

fn check_bounds(operations: &[BatchOperation<'_>]) -> Result<(), VaultError> {
    if operations.is_empty() || operations.len() > MAX_BATCH_OPERATIONS {
        let reason = format!("give 1 to {MAX_BATCH_OPERATIONS} operations");
        return Err(VaultError::field("operations", reason));
    }
    if operations.iter().map(BatchOperation::bytes).sum::<usize>() > MAX_BATCH_BYTES {
        return Err(too_many_bytes());
    }
    let mut seen = BTreeSet::new();
    for (index, operation) in operations.iter().enumerate() {
        if operation.target().is_some_and(|id| !seen.insert(id)) {
            let twice = VaultError::field("id", "the record is named twice in one batch");
            return Err(VaultError::operation(index, twice));
        }
    }
    Ok(())
}

fn too_many_bytes() -> VaultError {
    VaultError::limit("batch", MAX_BATCH_BYTES as u64, "bytes of bodies, those that it replaces included")
}
