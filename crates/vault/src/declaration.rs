//! Repositories' declarations in memory: bounded, keyed by account, and only a hint. Each write looks
//! at the revision inside its own transaction, so that a declaration that another server changed
//! admits nothing.

use std::sync::Arc;

use base::{AccountId, RepositoryId};
use quick_cache::Weighter;
use serde_json::Value;
use store::{Row, Scope, Scoped, Tx, select};

use crate::{
    Repository, Vault, VaultError,
    reader::Attempt,
    repository::Stored,
    schema::{self, Schema},
    vault::stale,
};

/// A declaration, ready to hold writes against.
pub(crate) struct Loaded {
    pub(crate) repository: Repository,
    pub(crate) schema: Option<Schema>,
}

/// What a declaration takes in memory: patterns are by far the most of it, so that a few customers'
/// schemas don't fill the server's memory.
#[derive(Clone)]
pub(crate) struct ByPatterns;

impl Weighter<(AccountId, RepositoryId), Arc<Loaded>> for ByPatterns {
    fn weight(&self, _: &(AccountId, RepositoryId), loaded: &Arc<Loaded>) -> u64 {
        loaded.schema.as_ref().map_or(1, |schema| schema.patterns.div_ceil(4).saturating_add(1))
    }
}

const REPOSITORY: Scoped = select!(
    ["id, name, classification, declaration, revision, holds, created_at, updated_at"]
    from "repository" where "id = $2"
);
const REVISION: Scoped = select!(["revision"] from "repository" where "id = $2" then "FOR SHARE");
const HOLDS: Scoped = select!(["holds"] from "repository" where "id = $2" then "FOR SHARE");

impl Vault {
    /// The declaration, from memory if it is there.
    pub(crate) async fn declaration(
        &self,
        scope: &Scope,
        id: RepositoryId,
        attempt: Attempt,
    ) -> Result<Arc<Loaded>, VaultError> {
        let key = (scope.account(), id);
        if let Some(loaded) = self.0.declarations.get(&key) {
            return Ok(loaded);
        }
        let repository = self.repository_now(scope, id, attempt).await?;
        let schema = repository.schema.as_ref().map(schema::compile).transpose()?;
        let loaded = Arc::new(Loaded { repository, schema });
        self.0.declarations.insert(key, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// The declaration as stored.
    pub(crate) async fn repository_now(
        &self,
        scope: &Scope,
        id: RepositoryId,
        attempt: Attempt,
    ) -> Result<Repository, VaultError> {
        let row = self.reader(scope, attempt).await?.row(REPOSITORY, &[(&id).into()]).await?;
        self.read_repository(&row.ok_or(VaultError::NotFound("repository"))?)
    }

    pub(crate) fn read_repository(&self, row: &Row) -> Result<Repository, VaultError> {
        let stored = parse_stored(row.text(3)?)?;
        Ok(Repository {
            id: row.id(0)?,
            name: row.text(1)?.to_owned(),
            classification: self.stored_label(row.text(2)?)?,
            fields: stored.fields,
            retention: stored.retention,
            schema: stored.schema,
            searchable: stored.searchable,
            revision: row.count(4)?,
            holds: row.count(5)?,
            created_at: row.time(6)?,
            updated_at: row.time(7)?,
        })
    }

    /// Makes sure, inside the transaction of a write, that the declaration it was held against is
    /// still the one in force, and stays so until the transaction ends.
    pub(crate) async fn check_revision(&self, tx: &mut Tx, loaded: &Loaded) -> Result<(), VaultError> {
        let id = loaded.repository.id;
        let row = tx.row(REVISION, &[(&id).into()]).await?;
        let revision = row.map(|row| row.count(0)).transpose()?;
        if revision == Some(loaded.repository.revision) {
            return Ok(());
        }
        self.forget(tx.scope().account(), id);
        Err(stale())
    }

    /// Keeps a repository, and the holds on it, as they are until the transaction ends. Gives the
    /// number of those holds; none if there is no such repository.
    pub(crate) async fn keep_repository(tx: &mut Tx, id: RepositoryId) -> Result<Option<u64>, VaultError> {
        let row = tx.row(HOLDS, &[(&id).into()]).await?;
        Ok(row.map(|row| row.count(0)).transpose()?)
    }

    pub(crate) fn forget(&self, account: AccountId, id: RepositoryId) {
        self.0.declarations.remove(&(account, id));
    }
}

pub(crate) fn parse_stored(declaration: &str) -> Result<Stored, VaultError> {
    serde_json::from_str(declaration).map_err(|_| VaultError::Shape("a declaration"))
}

impl Loaded {
    /// Holds a body against the schema.
    pub(crate) fn check(&self, body: &Value) -> Result<(), VaultError> {
        self.schema.as_ref().map_or(Ok(()), |schema| schema.check(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decided, RepositoryChange, samples::Sample};
    use ledger::{Act, Activity, ObjectRef};
    use std::time::Duration;

    testkit::on_both_engines! {
        async fn what_a_write_was_held_against_stays_until_it_is_done(h: Harness) {
            let Sample { h: _h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            let loaded = vault.declaration(&scope, repository, Attempt::FIRST).await.unwrap();
            let mut tx = vault.store().begin(&scope).await.unwrap();
            vault.check_revision(&mut tx, &loaded).await.unwrap();
            let change = RepositoryChange { name: Some("other".into()), ..RepositoryChange::default() };
            let changing = vault.repository_update(&scope, repository, change, None, &decided);
            let mut changing = std::pin::pin!(changing);
            // However long the write takes, the change waits for it.
            assert!(tokio::time::timeout(Duration::from_millis(300), &mut changing).await.is_err());
            let act = Act::new(Activity::RepositoryRead, ObjectRef::new("repository", repository));
            // Both at once: on SQLite they become durable together.
            let (written, changed) = tokio::join!(tx.commit((), act), changing);
            written.unwrap().into_inner();
            assert_eq!(changed.unwrap().revision, 2);
        }
    }
}
