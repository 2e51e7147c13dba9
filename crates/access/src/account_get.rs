//! Reading one account.

use base::AccountId;
use ledger::{Act, Activity};
use store::platform;

use crate::{Access, AccessError, Account, Action, Principal, Resource, account::object};

impl Access {
    /// One account, suspended or not. An operator's act.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], which is recorded.
    pub async fn account_get(&self, by: &Principal, account: AccountId) -> Result<Account, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::AccountRead, &resource).await?;
        let statement = platform!("SELECT id, name, created_at, suspended_at FROM account WHERE id = $1");
        let mut read = self.0.store.system_read(scope).await?;
        let row = read.row(statement, &[(&account).into()]).await?;
        drop(read);
        let Some(row) = row else {
            let act = Act::refused(Activity::AccountRead, object(account), "account-unknown", None);
            self.0.store.record_system(scope, act).await?;
            return Err(AccessError::NotFound("account"));
        };
        let found = Account::from_row(&row)?;
        let act = Act::new(Activity::AccountRead, object(account)).decided_by(decision.policies());
        self.0.store.record_system(scope, act).await?;
        Ok(found)
    }
}
