//! Deleting a record or an object: it is gone for readers, and can be restored within the window.
//! The schedule erases it afterwards.

use base::{RepositoryId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Committed, Scope};

use crate::{
    Decided, IdempotencyKey, Target, TargetKind, Vault, VaultError,
    idempotency::{Answer, Once},
    reader::Attempt,
    target::{Head, mark_deleted, parse_target},
    vault::{retried, stale},
};

/// What deleting or restoring answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Which kind of thing.
    pub kind: TargetKind,
    /// Its id's text.
    pub id: String,
    /// Its repository.
    pub repository: RepositoryId,
    /// Its version: the number in its ETag; 1 for an object.
    pub version: u64,
    /// When it was deleted; none once it is restored.
    pub deleted_at: Option<Timestamp>,
    /// Until when it can be restored, if it is deleted: the schedule erases it then. While a hold keeps
    /// it, it can be restored later too.
    pub restorable_until: Option<Timestamp>,
    /// Whether this is the answer to an earlier request of the same idempotency key.
    #[serde(skip)]
    pub replayed: bool,
}

impl Answer for Lifecycle {
    fn replayed(&mut self) {
        self.replayed = true;
    }
    fn object(&self) -> ObjectRef {
        ObjectRef::new(self.kind.as_str(), &self.id).in_repository(self.repository)
    }
    fn targets(&self) -> Vec<[u8; 16]> {
        self.target().map(|target| *target.id()).into_iter().collect()
    }
}

impl Lifecycle {
    pub(crate) fn of(target: &Target, head: &Head) -> Self {
        Self {
            kind: target.kind(),
            id: target.id_text(),
            repository: target.repository(),
            version: head.version,
            deleted_at: None,
            restorable_until: None,
            replayed: false,
        }
    }
    /// The target again.
    pub fn target(&self) -> Option<Target> {
        parse_target(self.kind, &self.repository.to_string(), &self.id)
    }
}

impl Vault {
    /// Deletes a record or an object. `expected` is the version that the caller read, if it must
    /// still be that one.
    ///
    /// # Errors
    /// [`VaultError::Held`] under a legal hold (DD-1), [`VaultError::Changed`], [`VaultError::NotFound`].
    pub async fn delete(
        &self,
        scope: &Scope,
        target: Target,
        expected: Option<u64>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<Lifecycle>, VaultError> {
        let activity = target.activity(Activity::RecordDelete, Activity::ObjectDelete);
        let outcome =
            retried(|attempt| self.delete_target(scope, target, expected, once, decided, attempt)).await;
        self.noted(scope, decided, activity, target.object_ref(scope), outcome).await
    }

    async fn delete_target(
        &self,
        scope: &Scope,
        target: Target,
        expected: Option<u64>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<Lifecycle>, VaultError> {
        let once = self.once(scope, once)?;
        if let Some(answer) = self.answered(scope, once.as_ref(), decided, attempt).await? {
            return Ok(answer);
        }
        let head = self.head(scope, &target, attempt).await?;
        let deletion = self.plan_delete(&target, &head, expected)?;
        self.commit_delete(scope, &target, (&head, deletion), once.as_ref(), decided).await
    }

    async fn commit_delete(
        &self,
        scope: &Scope,
        target: &Target,
        (head, deletion): (&Head, Lifecycle),
        once: Option<&Once>,
        decided: &Decided,
    ) -> Result<Committed<Lifecycle>, VaultError> {
        let mut tx = self.store().begin(scope).await?;
        self.claim(&mut tx, once, &deletion).await?;
        apply_delete(&mut tx, target, &deletion).await?;
        let act = delete_act(scope, target, head, decided);
        Ok(tx.commit(deletion, act).await?)
    }

    /// Whether it may be deleted, and what that answers.
    pub(crate) fn plan_delete(
        &self,
        target: &Target,
        head: &Head,
        expected: Option<u64>,
    ) -> Result<Lifecycle, VaultError> {
        if head.deleted_at.is_some() {
            return Err(target.absent());
        }
        head.expect(expected)?;
        if head.held() {
            return Err(VaultError::Held);
        }
        let now = self.context().now();
        let until = Some(head.restorable_until(now, self.restore_window()));
        Ok(Lifecycle { deleted_at: Some(now), restorable_until: until, ..Lifecycle::of(target, head) })
    }
}

/// The statements of a deletion: a hold on the repository is looked for again, with the repository
/// kept as it is, since one may have been set meanwhile. An error that makes the operation start afresh if the target is no
/// longer as it was.
pub(crate) async fn apply_delete(
    tx: &mut store::Tx,
    target: &Target,
    deletion: &Lifecycle,
) -> Result<(), VaultError> {
    let repository = target.repository();
    if Vault::keep_repository(tx, repository).await?.ok_or_else(|| target.absent())? > 0 {
        return Err(VaultError::Held);
    }
    let version = i64::try_from(deletion.version).unwrap_or(i64::MAX);
    let values = [(&repository).into(), target.id().into(), deletion.deleted_at.into(), version.into()];
    if tx.execute(mark_deleted(target.kind()), &values).await? == 1 { Ok(()) } else { Err(stale()) }
}

pub(crate) fn delete_act(scope: &Scope, target: &Target, head: &Head, decided: &Decided) -> Act {
    let activity = target.activity(Activity::RecordDelete, Activity::ObjectDelete);
    Act::new(activity, target.object_ref(scope).classified(head.effective.name()))
        .before(head.commitment)
        .decided_by(decided.policies.clone())
        .detail("version", head.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchOperation, HoldTarget, NewRecord, samples::Sample};
    use base::Fault as _;

    testkit::on_both_engines! {
        async fn a_hold_on_the_repository_set_meanwhile_is_met(h: Harness) {
            let Sample { h: _h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let new = NewRecord { body: b"{}", classification: None };
            let id = vault.record_create(&scope, repository, new, None, &decided).await.unwrap().id;
            let target = Target::Record(repository, id);
            let head = vault.head(&scope, &target, Attempt::FIRST).await.unwrap();
            let deletion = vault.plan_delete(&target, &head, None).unwrap();
            // Planned, and not done yet.
            let covered = HoldTarget::Repository(repository);
            let hold = vault.hold_set(&scope, covered, crate::samples::said("audit"), &decided).await.unwrap();
            let plan = || (&head, deletion.clone());
            let error = vault.commit_delete(&scope, &target, plan(), None, &decided).await.unwrap_err();
            assert_eq!((error.code(), error.clause()), ("legal-hold", Some("DD-1")));
            let batch = [BatchOperation::Delete(id, None)];
            let error = vault.record_batch(&scope, repository, &batch, None, &decided).await.unwrap_err();
            assert_eq!(error.code(), "legal-hold");
            let _ = vault.hold_lift(&scope, hold.id, crate::samples::said("closed"), &decided).await.unwrap();
            let _ = vault.commit_delete(&scope, &target, plan(), None, &decided).await.unwrap();
        }
    }
}
