//! Listing the clients of an account.

use base::{AccountId, ClientId};
use ledger::{Act, Activity};
use store::{SystemScope, platform};

use crate::{
    Access, AccessError, Action, Client, Page, Principal, Resource, account::object, client::page_size,
};

impl Access {
    /// The clients of `account`, revoked ones too, in the order of their ids, those after `after`, at
    /// most `limit` (1 to 500). An operator's act.
    pub async fn client_list(
        &self,
        by: &Principal,
        account: AccountId,
        after: Option<ClientId>,
        limit: u32,
    ) -> Result<Page<Client, ClientId>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::ClientList, &resource).await?;
        self.clients_of(scope, account, after, limit, decision.policies()).await
    }

    /// The same in the name of that scope.
    pub(crate) async fn clients_of(
        &self,
        scope: &SystemScope,
        account: AccountId,
        after: Option<ClientId>,
        limit: u32,
        policies: Vec<String>,
    ) -> Result<Page<Client, ClientId>, AccessError> {
        let after = after.unwrap_or(ClientId::from_bytes([0; 16]));
        let statement = platform!(
            "SELECT id, account, name, scopes, clearance, public_key, created_at, revoked_at FROM client \
             WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        let limit = page_size(limit);
        let mut read = self.0.store.system_read(scope).await?;
        let known = read.row(platform!("SELECT id FROM account WHERE id = $1"), &[(&account).into()]).await?;
        let rows = read.rows(statement, &[(&account).into(), (&after).into(), (limit + 1).into()]).await?;
        drop(read);
        if known.is_none() {
            let act = Act::refused(Activity::ClientList, object(account), "account-unknown", None);
            self.0.store.record_system(scope, act).await?;
            return Err(AccessError::NotFound("account"));
        }
        let clients = rows.iter().map(Client::from_row).collect::<Result<Vec<_>, _>>()?;
        let page = Page::cut(clients, limit, |client| client.id);
        let act = Act::new(Activity::ClientList, object(account))
            .decided_by(policies)
            .detail("count", page.items.len());
        self.0.store.record_system(scope, act).await?;
        Ok(page)
    }
}
