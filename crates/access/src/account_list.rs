//! Listing accounts.

use base::AccountId;
use ledger::{Act, Activity, ObjectRef};
use store::platform;

use crate::{Access, AccessError, Account, Action, Page, Principal, Resource, client::page_size};

impl Access {
    /// Accounts in the order of their ids, those after `after`, at most `limit` (1 to 500). An operator's act.
    pub async fn account_list(
        &self,
        by: &Principal,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Page<Account, AccountId>, AccessError> {
        let (scope, decision) = self.operate(by, Action::AccountList, &Resource::new()).await?;
        let after = after.unwrap_or(AccountId::from_bytes([0; 16]));
        let statement = platform!(
            "SELECT id, name, created_at, suspended_at FROM account WHERE id > $1 ORDER BY id LIMIT $2"
        );
        let limit = page_size(limit);
        let mut read = self.0.store.system_read(scope).await?;
        let rows = read.rows(statement, &[(&after).into(), (limit + 1).into()]).await?;
        drop(read);
        let accounts = rows.iter().map(Account::from_row).collect::<Result<Vec<_>, _>>()?;
        let page = Page::cut(accounts, limit, |account| account.id);
        let act = Act::new(Activity::AccountList, ObjectRef::new("accounts", "-"))
            .decided_by(decision.policies())
            .detail("count", page.items.len());
        self.0.store.record_system(scope, act).await?;
        Ok(page)
    }
}
