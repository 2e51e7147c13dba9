//! Changing a record in part, by a JSON Merge Patch (RFC 7396).

use base::{RecordId, RepositoryId};
use keys::Purpose;
use ledger::Activity;
use store::{Committed, Scope};

use crate::{
    Decided, IdempotencyKey, NewRecord, Vault, VaultError, Written,
    body::{self, Body},
    declaration::Loaded,
    reader::Attempt,
    record::record_ref,
    row::Current,
    vault::retried,
    write::Draft,
};

impl Vault {
    /// Changes a record by a merge patch (`change.body`); its label stays unless one is given.
    ///
    /// # Errors
    /// As for [`Vault::record_replace`].
    pub async fn record_patch(
        &self,
        scope: &Scope,
        target: (RepositoryId, RecordId),
        change: NewRecord<'_>,
        expected: Option<u64>,
        once: Option<IdempotencyKey<'_>>,
        decided: &Decided,
    ) -> Result<Committed<Written>, VaultError> {
        let outcome =
            retried(|attempt| self.patch_record(scope, target, change, (expected, once), decided, attempt))
                .await;
        let object = record_ref(scope, target.0, target.1);
        self.noted(scope, decided, Activity::RecordPatch, object, outcome).await
    }

    async fn patch_record(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, RecordId),
        change: NewRecord<'_>,
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
        let draft = self.draft_patch(scope, &loaded, before, change).await?;
        let plan = self.plan(scope, &loaded, draft).await?;
        self.commit_plan(scope, &loaded, plan, once.as_ref(), decided).await
    }

    /// A patched record, held against the declaration, with its key.
    pub(crate) async fn draft_patch(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        before: Current,
        change: NewRecord<'_>,
    ) -> Result<Draft, VaultError> {
        let patch = body::parse_patch(change.body)?;
        // A label from before the repository was raised stays; one above what it may hold does not.
        let label = self.label_of(loaded, change.classification.or(Some(before.label.as_str())))?;
        let key = self.keys().data_key(scope, before.key, Purpose::Write).await?;
        let old = before.open(scope, &key)?;
        let body = Body::parse(old.expose())?.patched(patch)?;
        loaded.check(&body.value)?;
        let terms = self.terms(scope, loaded, &body).await?;
        Ok(Draft {
            activity: Activity::RecordPatch,
            id: before.id,
            label,
            body: body.bytes,
            terms,
            before: Some((before, key)),
        })
    }
}
