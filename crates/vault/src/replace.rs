//! Replacing a record's body. The version before it stays readable until the record is erased.

use base::{RecordId, RepositoryId};
use keys::{NewDataKey, Purpose};
use ledger::Activity;
use store::{Committed, Scope};

use crate::{
    Decided, IdempotencyKey, NewRecord, Vault, VaultError, Written,
    body::Body,
    declaration::Loaded,
    reader::Attempt,
    record::record_ref,
    row::Current,
    vault::retried,
    write::{Draft, Plan},
};

impl Vault {
    /// Replaces a record's body and label. `expected` is the version that the caller read, if it must
    /// still be that one.
    ///
    /// # Errors
    /// As for [`Vault::record_create`], and [`VaultError::Changed`].
    pub async fn record_replace(
        &self,
        scope: &Scope,
        target: (RepositoryId, RecordId),
        new: NewRecord<'_>,
        expected: Option<u64>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<Written>, VaultError> {
        let outcome =
            retried(|attempt| self.replace_record(scope, target, new, (expected, once), decided, attempt))
                .await;
        let object = record_ref(scope, target.0, target.1);
        self.noted(scope, decided, Activity::RecordUpdate, object, outcome).await
    }

    async fn replace_record(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, RecordId),
        new: NewRecord<'_>,
        (expected, once): (Option<u64>, Option<IdempotencyKey<'_>>),
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<Written>, VaultError> {
        let once = self.once(scope, once)?;
        if let Some(answer) = self.answered(scope, once.as_ref(), decided, attempt).await? {
            return Ok(answer);
        }
        let loaded = self.declaration(scope, repository, attempt).await?;
        let before = self.current(&mut self.reader(scope, attempt).await?, repository, id).await?;
        before.expect(expected)?;
        let draft = self.draft_replace(scope, &loaded, before, new).await?;
        let plan = self.plan(scope, &loaded, draft).await?;
        self.commit_plan(scope, &loaded, plan, once.as_ref(), decided).await
    }

    /// A replacement, held against the declaration, with the record's key.
    pub(crate) async fn draft_replace(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        before: Current,
        new: NewRecord<'_>,
    ) -> Result<Draft, VaultError> {
        let body = Body::parse(new.body)?;
        loaded.check(&body.value)?;
        let label = self.label_of(loaded, new.classification)?;
        let key = self.keys().data_key(scope, before.key, Purpose::Write).await?;
        let terms = self.terms(scope, loaded, &body).await?;
        Ok(Draft {
            activity: Activity::RecordUpdate,
            id: before.id,
            label,
            body: body.bytes,
            terms,
            before: Some((before, key)),
        })
    }

    /// Commits one planned version with its event.
    pub(crate) async fn commit_plan(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        mut plan: Plan,
        once: Option<&crate::idempotency::Once>,
        decided: &Decided,
    ) -> Result<Committed<Written>, VaultError> {
        let written = plan.written();
        let act = plan.act(scope, decided);
        let mut tx = self.store().begin(scope).await?;
        self.claim(&mut tx, once, &written).await?;
        self.check_revision(&mut tx, loaded).await?;
        plan.apply(&mut tx).await?;
        store::crash_point("vault.record-before-commit"); // a crash here: nothing of the version is there
        let committed = NewDataKey::used_by(plan.fresh.as_mut_slice(), tx.commit(written, act)).await?;
        store::crash_point("vault.record-committed"); // a crash here: it is stored, and nobody was told
        Ok(committed)
    }
}
