//! Restoring what was deleted, within the window.

use ledger::{Act, Activity};
use store::{Committed, Scope};

use crate::{
    Decided, IdempotencyKey, Lifecycle, Target, Vault, VaultError,
    reader::Attempt,
    target::mark_restored,
    vault::{retried, stale},
};

impl Vault {
    /// Restores a deleted record or object, as it was. `expected` is the version that the caller read, if it
    /// must still be that one.
    ///
    /// # Errors
    /// [`VaultError::Changed`],
    /// [`VaultError::WindowClosed`] after the window, [`VaultError::NotDeleted`], [`VaultError::NotFound`].
    pub async fn restore(
        &self,
        scope: &Scope,
        target: Target,
        expected: Option<u64>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<Lifecycle>, VaultError> {
        let activity = target.activity(Activity::RecordRestore, Activity::ObjectRestore);
        let outcome =
            retried(|attempt| self.restore_target(scope, target, expected, once, decided, attempt)).await;
        self.noted(scope, decided, activity, target.object_ref(scope), outcome).await
    }

    async fn restore_target(
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
        let deleted_at = head.deleted_at.ok_or(VaultError::NotDeleted)?;
        // What is deleted gets no further version before it is restored, which the statement below looks for.
        if expected.is_some_and(|expected| expected != head.version) {
            return Err(VaultError::Changed { current: head.version });
        }
        let until = deleted_at.plus(self.restore_window());
        if self.context().now() >= until {
            return Err(VaultError::WindowClosed(until));
        }
        let restored = Lifecycle::of(&target, &head);
        let repository = target.repository();
        let mut tx = self.store().begin(scope).await?;
        self.claim(&mut tx, once.as_ref(), &restored).await?;
        let values = [(&repository).into(), target.id().into(), deleted_at.into()];
        if tx.execute(mark_restored(target.kind()), &values).await? != 1 {
            return Err(stale());
        }
        let activity = target.activity(Activity::RecordRestore, Activity::ObjectRestore);
        let act = Act::new(activity, target.object_ref(scope).classified(head.effective.name()))
            .after(head.commitment)
            .decided_by(decided.policies.clone())
            .detail("version", head.version);
        Ok(tx.commit(restored, act).await?)
    }
}
