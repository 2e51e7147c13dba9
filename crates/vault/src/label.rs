//! The label of a repository, for authorization alone: asked before it is known whether the caller may
//! do anything, so it is no act, and what it answers leaves the server in no form.

use base::{Classification, RepositoryId};
use store::Scope;

use crate::{Vault, VaultError};

impl Vault {
    /// The repository's classification as stored now; `None` if the account has no such repository.
    pub async fn repository_label(
        &self,
        scope: &Scope,
        repository: RepositoryId,
    ) -> Result<Option<Classification>, VaultError> {
        let mut read = self.snapshot(scope).await?;
        match self.label_now(&mut read, repository).await {
            Ok(label) => Ok(Some(label)),
            Err(VaultError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
