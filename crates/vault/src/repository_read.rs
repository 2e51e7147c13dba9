//! Reading repositories' declarations, one and by the page.

use base::RepositoryId;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, Scoped, select};

use crate::{Decided, MAX_PAGE, Repository, Vault, VaultError, cursor::Listing, reader::Attempt};

/// A page of repositories, in order of creation.
#[derive(Debug)]
pub struct RepositoryPage {
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// Gives the next page; none on the last.
    pub next: Option<String>,
}

const PAGE: Scoped = select!(
    ["id, name, classification, declaration, revision, holds, created_at, updated_at"]
    from "repository" where "id > $2" then "ORDER BY id LIMIT $3"
);

impl Vault {
    /// A repository as declared.
    pub async fn repository_get(
        &self,
        scope: &Scope,
        id: RepositoryId,
        decided: &Decided,
    ) -> Result<Repository, VaultError> {
        let outcome = self.repository_now(scope, id, Attempt::FIRST).await;
        let object = ObjectRef::new("repository", id).in_account(scope.account());
        let repository =
            self.noted(scope, decided, Activity::RepositoryRead, object.clone(), outcome).await?;
        let act = Act::new(Activity::RepositoryRead, object.classified(repository.classification.name()));
        self.store().record(scope, act.decided_by(decided.policies.clone())).await?;
        Ok(repository)
    }

    /// A page of the account's repositories; `limit` is 1 to 100. Those of a classification above the rank
    /// `clearance` are left out: their declarations name fields and reasons.
    pub async fn repository_list(
        &self,
        scope: &Scope,
        limit: usize,
        cursor: Option<&str>,
        clearance: i64,
        decided: &Decided,
    ) -> Result<RepositoryPage, VaultError> {
        let within =
            |one: &Repository| i64::try_from(one.classification.rank()).is_ok_and(|rank| rank <= clearance);
        let outcome = self.list_repositories(scope, limit, cursor).await.map(|mut page| {
            page.repositories.retain(within);
            page
        });
        let object = ObjectRef::new("account", scope.account()).in_account(scope.account());
        let page = self.noted(scope, decided, Activity::RepositoryList, object.clone(), outcome).await?;
        let act = Act::new(Activity::RepositoryList, object)
            .decided_by(decided.policies.clone())
            .detail("count", page.repositories.len());
        self.store().record(scope, act).await?;
        Ok(page)
    }

    async fn list_repositories(
        &self,
        scope: &Scope,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<RepositoryPage, VaultError> {
        let limit = page_limit(limit)?;
        let listing =
            Listing { account: scope.account(), repository: None, what: "repositories", filter: &[] };
        let after = self.after(&listing, cursor)?;
        let values = [(&after).into(), (limit as i64).into()];
        let rows = self.store().read(scope).await?.rows(PAGE, &values).await?;
        let repositories = rows.iter().map(|row| self.read_repository(row)).collect::<Result<Vec<_>, _>>()?;
        let last = repositories.last().filter(|_| repositories.len() == limit);
        let next = last.map(|last| self.cursor(&listing, last.id.as_bytes()));
        Ok(RepositoryPage { repositories, next })
    }
}

/// How many entries a page may have.
pub(crate) fn page_limit(limit: usize) -> Result<usize, VaultError> {
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(limit)
    } else {
        Err(VaultError::field("limit", format!("give 1 to {MAX_PAGE}")))
    }
}
