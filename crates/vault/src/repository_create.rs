//! Making a repository. The first of an account starts the job that runs its retention schedule.

use base::RepositoryId;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, NewJob, Scope, Scoped, StoreError, insert, select, update};

use crate::{Decided, NewRepository, Repository, Vault, VaultError, repository::Declaration, sweep};

const COUNT: Scoped = select!(["COUNT(*)"] from "repository" where "1 = 1");
const NAMED: Scoped = select!(["id"] from "repository" where "name = $2");
const ADD: Scoped = insert!(
    "repository" ("id, name, classification, declaration, revision, holds, created_at, updated_at")
    values "$2, $3, $4, $5, 1, 0, $6, $6"
);
const ADD_USAGE: Scoped = insert!(
    "object_usage" ("objects, bytes") values "0, 0" then "ON CONFLICT (account_id) DO NOTHING"
);

/// Makes those who count an account's repositories wait for each other.
const LOCK: Scoped = update!("object_usage" set "objects = objects" where "1 = 1");

impl Vault {
    /// Makes a repository.
    ///
    /// # Errors
    /// [`VaultError::NoSchedule`] without a retention schedule (AR-2), [`VaultError::Above`] for a
    /// field labelled above it (RR-2), [`VaultError::NameTaken`], [`VaultError::Limit`].
    pub async fn repository_create(
        &self,
        scope: &Scope,
        new: NewRepository,
        decided: &Decided,
    ) -> Result<Committed<Repository>, VaultError> {
        let id = RepositoryId::new(self.context())?;
        let object = ObjectRef::new("repository", id).in_account(scope.account());
        let outcome = self.create_repository(scope, id, new, decided).await;
        self.noted(scope, decided, Activity::RepositoryCreate, object, outcome).await
    }

    async fn create_repository(
        &self,
        scope: &Scope,
        id: RepositoryId,
        new: NewRepository,
        decided: &Decided,
    ) -> Result<Committed<Repository>, VaultError> {
        let declaration = Declaration::parse(new, self.scheme())?;
        let json = declaration.json()?;
        let now = self.context().now();
        let classification = declaration.classification.name();
        let act = Act::new(
            Activity::RepositoryCreate,
            ObjectRef::new("repository", id).in_account(scope.account()).classified(classification),
        )
        .after(self.declared(scope, id, (&declaration.name, classification, &json)))
        .decided_by(decided.policies.clone())
        .detail("retention_days", declaration.stored.retention.period_days)
        .detail("retention_basis", declaration.stored.retention.basis.as_str());

        let mut tx = self.store().begin(scope).await?;
        tx.execute(ADD_USAGE, &[]).await?;
        tx.execute(LOCK, &[]).await?;
        let count = tx.row(COUNT, &[]).await?.ok_or(VaultError::Shape("a count"))?.count(0)?;
        if count >= self.config().max_repositories {
            return Err(VaultError::limit("repositories", self.config().max_repositories, "an account"));
        }
        if tx.row(NAMED, &[(&declaration.name).into()]).await?.is_some() {
            return Err(VaultError::NameTaken("repository"));
        }
        let values =
            [(&id).into(), (&declaration.name).into(), classification.into(), (&json).into(), now.into()];
        match tx.execute(ADD, &values).await {
            Err(StoreError::Exists) => return Err(VaultError::NameTaken("repository")),
            outcome => outcome?,
        };
        tx.enqueue(NewJob {
            kind: sweep::KIND,
            payload: "{}".to_owned(),
            run_at: now.plus(self.config().sweep_interval),
            dedupe: Some(format!("{}:{}", sweep::KIND, scope.account())),
            max_attempts: sweep::MAX_ATTEMPTS,
        })
        .await?;
        let repository = Repository {
            id,
            name: declaration.name.clone(),
            classification: declaration.classification.clone(),
            fields: declaration.stored.fields,
            retention: declaration.stored.retention,
            schema: declaration.stored.schema,
            searchable: declaration.stored.searchable,
            revision: 1,
            holds: 0,
            created_at: now,
            updated_at: now,
        };
        Ok(tx.commit(repository, act).await?)
    }
}
