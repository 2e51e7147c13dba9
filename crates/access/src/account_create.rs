//! Making an account, with its keys.

use base::{AccountId, Fault as _};
use ledger::{Act, Activity};
use store::{Committed, StoreError, SystemScope, platform};

use crate::{
    Access, AccessError, Account, Action, Principal, Resource,
    account::{check_name, object},
};

impl Access {
    /// Makes an account, with a key of its own. An operator's act. Names are unique.
    pub async fn account_create(
        &self,
        by: &Principal,
        name: &str,
    ) -> Result<Committed<Account>, AccessError> {
        let (scope, decision) = self.operate(by, Action::AccountCreate, &Resource::new()).await?;
        self.make_account(scope, name, decision.policies()).await
    }

    /// Makes an account in the name of that scope.
    pub(crate) async fn make_account(
        &self,
        scope: &SystemScope,
        name: &str,
        policies: Vec<String>,
    ) -> Result<Committed<Account>, AccessError> {
        let account = AccountId::new(&self.0.context)?;
        let name = match check_name(name) {
            Ok(name) => name,
            Err(error) => {
                let act = Act::refused(Activity::AccountCreate, object(account), error.code(), None);
                self.0.store.record_system(scope, act.decided_by(policies)).await?;
                return Err(error);
            }
        };
        let mut read = self.0.store.system_read(scope).await?;
        let taken = read.row(platform!("SELECT id FROM account WHERE name = $1"), &[name.into()]).await?;
        drop(read);
        if taken.is_some() {
            let act = Act::refused(Activity::AccountCreate, object(account), "name-taken", None);
            self.0.store.record_system(scope, act).await?;
            return Err(AccessError::NameTaken);
        }
        // The keys first. A crash from here to the commit leaves a key that nothing was sealed with, of an
        // account that doesn't exist; the other way round would leave an account that can't store anything.
        self.0.keys.create_account(scope, account).await?.into_inner();
        store::crash_point("access.account-keys-made");
        let mut tx = self.0.store.system(scope).await?;
        let statement =
            platform!("INSERT INTO account (id, name, created_at, suspended_at) VALUES ($1, $2, $3, NULL)");
        match tx.execute(statement, &[(&account).into(), name.into(), scope.now().into()]).await {
            Ok(_) => {}
            Err(StoreError::Exists) => {
                tx.refuse(Act::refused(Activity::AccountCreate, object(account), "name-taken", None)).await?;
                return Err(AccessError::NameTaken);
            }
            Err(error) => return Err(error.into()),
        }
        let made = Account { id: account, name: name.to_owned(), created: scope.now(), suspended: None };
        let act = Act::new(Activity::AccountCreate, object(account))
            .after(self.0.rows.account(account, name))
            .decided_by(policies);
        Ok(tx.commit(made, act).await?)
    }
}
