//! Looking at the rows of every account in turn, for checks of the platform: within each account's own scope, and reading
//! alone. What is looked at is sealed; what comes of it are counts.

use base::AccountId;
use ledger::Origin;

use crate::{Mint, ReadTx, Realm, Store, StoreError, platform};

/// Reads within one account after the other.
pub struct Survey {
    store: Store,
    mint: Mint,
    origin: Origin,
}

impl Survey {
    /// Of a realm's accounts.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let origin = store.own_origin("survey")?;
        Ok(Self { store, mint: Mint::new(), origin })
    }

    /// Every account that there is; those stand in the data realm.
    pub async fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        if self.store.realm() != Realm::Data {
            return Err(StoreError::Statement("accounts stand in the data realm".to_owned()));
        }
        let rows = self.store.log_rows(platform!("SELECT id FROM account ORDER BY id"), &[]).await?;
        rows.iter().map(|row| row.id(0)).collect()
    }

    /// Reads of an account.
    pub async fn read(&self, account: AccountId) -> Result<ReadTx, StoreError> {
        let scope = self.mint.scope(account, self.origin.clone(), self.store.context().now());
        self.store.read(&scope).await
    }
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Survey({:?})", self.store)
    }
}
