//! Changing a repository's declaration: whole or not at all, one revision up.

use base::RepositoryId;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Scope, Scoped, StoreError, Tx, select, update};

use crate::{
    Decided, Repository, RepositoryChange, Retention, Vault, VaultError,
    reader::Attempt,
    repository::Declaration,
    vault::{retried, stale},
};

const NAMED: Scoped = select!(["id"] from "repository" where "name = $2 AND id <> $3");
const RECORDS: Scoped = select!(["1"] from "record" where "repository_id = $2" then "LIMIT 1");
const OBJECTS: Scoped = select!(["1"] from "object" where "repository_id = $2" then "LIMIT 1");
const CHANGE: Scoped = update!(
    "repository" set "name = $4, classification = $5, declaration = $6, revision = revision + 1, updated_at = $7"
    where "id = $2 AND revision = $3"
);

impl Vault {
    /// Changes a repository. `expected` is the revision that the caller read, if it must still be
    /// that one.
    ///
    /// A classification can be raised and not lowered; searchable fields stay as they were made.
    /// Another retention schedule applies to what is stored already too.
    ///
    /// # Errors
    /// [`VaultError::ScheduleKept`] for a schedule by law or contract that would become shorter or rest
    /// on something else while anything is stored (AR-2); [`VaultError::Changed`],
    /// [`VaultError::NameTaken`], [`VaultError::NotFound`], and those of making one.
    pub async fn repository_update(
        &self,
        scope: &Scope,
        id: RepositoryId,
        change: RepositoryChange,
        expected: Option<u64>,
        decided: &Decided,
    ) -> Result<Committed<Repository>, VaultError> {
        let outcome =
            retried(|attempt| self.update_repository(scope, id, change.clone(), expected, decided, attempt))
                .await;
        let object = ObjectRef::new("repository", id).in_account(scope.account());
        self.noted(scope, decided, Activity::RepositoryUpdate, object, outcome).await
    }

    async fn update_repository(
        &self,
        scope: &Scope,
        id: RepositoryId,
        change: RepositoryChange,
        expected: Option<u64>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<Repository>, VaultError> {
        let before = self.repository_now(scope, id, attempt).await?;
        if expected.is_some_and(|expected| expected != before.revision) {
            return Err(VaultError::Changed { current: before.revision });
        }
        let declaration = Declaration::changed(&before, change, self.scheme())?;
        let json = declaration.json()?;
        let now = self.context().now();
        let revision = i64::try_from(before.revision).unwrap_or(i64::MAX);
        let classification = declaration.classification.name();
        let mut tx = self.store().begin(scope).await?;
        if tx.row(NAMED, &[(&declaration.name).into(), (&id).into()]).await?.is_some() {
            return Err(VaultError::NameTaken("repository"));
        }
        let values = [
            (&id).into(),
            revision.into(),
            (&declaration.name).into(),
            classification.into(),
            (&json).into(),
            now.into(),
        ];
        match tx.execute(CHANGE, &values).await {
            Ok(1) => {}
            Ok(_) => return Err(stale()),
            Err(StoreError::Exists) => return Err(VaultError::NameTaken("repository")),
            Err(error) => return Err(error.into()),
        }
        // The row is locked from here on: whatever is being stored was stored before, or comes after.
        if !before.retention.may_become(&declaration.stored.retention) && holds_data(&mut tx, id).await? {
            let Retention { basis, period_days, .. } = before.retention;
            return Err(VaultError::ScheduleKept { basis: basis.as_str(), days: period_days });
        }
        let object = ObjectRef::new("repository", id).in_account(scope.account()).classified(classification);
        let act = Act::new(Activity::RepositoryUpdate, object)
            .after(self.declared(scope, id, (&declaration.name, classification, &json)))
            .decided_by(decided.policies.clone())
            .detail("classification_before", before.classification.name())
            .detail("retention_days_before", before.retention.period_days)
            .detail("retention_days", declaration.stored.retention.period_days)
            .detail("retention_basis", declaration.stored.retention.basis.as_str())
            .detail("revision", before.revision.saturating_add(1));
        let repository = Repository {
            name: declaration.name.clone(),
            classification: declaration.classification.clone(),
            fields: declaration.stored.fields,
            retention: declaration.stored.retention,
            schema: declaration.stored.schema,
            searchable: declaration.stored.searchable,
            revision: before.revision.saturating_add(1),
            updated_at: now,
            ..before
        };
        let committed = tx.commit(repository, act).await?;
        self.forget(scope.account(), id);
        Ok(committed)
    }
}

/// Whether anything is stored in a repository, what is deleted and not yet erased counted in.
async fn holds_data(tx: &mut Tx, id: RepositoryId) -> Result<bool, VaultError> {
    Ok(tx.row(RECORDS, &[(&id).into()]).await?.is_some() || tx.row(OBJECTS, &[(&id).into()]).await?.is_some())
}
