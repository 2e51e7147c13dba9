//! An account as its own administrator governs it: that it is there, who else governs it, and its applications. No call here
//! takes an account: it is the one of whoever calls.

use base::{ClientId, Timestamp};
use ledger::{Act, Activity};
use store::{Committed, platform};

use crate::{
    Access, AccessError, Account, Action, Client, CreatedClient, NewClient, Operator, Page, Principal,
    Resource, account, client::object, customer_list::PEOPLE, operator_list,
};

/// An account, as its administrators see it.
#[derive(Clone, Debug)]
pub struct OwnAccount {
    /// The account.
    pub account: Account,
    /// Its administrators, revoked ones too.
    pub people: Vec<Operator>,
}

impl Access {
    /// The caller's own account. A customer's administrator's act.
    pub async fn own_account(&self, by: &Principal) -> Result<OwnAccount, AccessError> {
        let of = self.govern(by, Action::OwnRead, &Resource::new()).await?;
        let account = of.account();
        let statement = platform!("SELECT id, name, created_at, suspended_at FROM account WHERE id = $1");
        let mut read = self.0.store.system_read(&of.system).await?;
        let row = read.row(statement, &[(&account).into()]).await?;
        let people = read.rows(PEOPLE, &[(&account).into()]).await?;
        drop(read);
        let row = row.ok_or(AccessError::NotFound("account"))?;
        let mut own = OwnAccount { account: Account::from_row(&row)?, people: Vec::new() };
        for row in &people {
            let person = operator_list::from_row(row)?;
            // A row alone makes nobody a colleague.
            if self.was_enrolled_for(person.id, account).await? {
                own.people.push(person);
            }
        }
        let act = Act::new(Activity::AccountRead, account::object(account)).decided_by(of.policies.clone());
        self.0.store.record(of.scope(), act).await?;
        Ok(own)
    }

    /// The applications of the caller's own account, as [`Access::client_list`].
    pub async fn own_client_list(
        &self,
        by: &Principal,
        after: Option<ClientId>,
        limit: u32,
    ) -> Result<Page<Client, ClientId>, AccessError> {
        let of = self.govern(by, Action::OwnClientList, &Resource::new()).await?;
        self.clients_of(&of.system, of.account(), after, limit, of.policies.clone()).await
    }

    /// Registers an application of the caller's own account.
    pub async fn own_client_create(
        &self,
        by: &Principal,
        new: NewClient,
    ) -> Result<Committed<CreatedClient>, AccessError> {
        let of = self.govern(by, Action::OwnClientCreate, &Resource::new()).await?;
        let creator = *of.person.as_bytes();
        self.make_client(&of.system, creator, of.account(), new, of.policies.clone()).await
    }

    /// Revokes an application of the caller's own account for good. Another account's is one that does not exist.
    pub async fn own_client_revoke(
        &self,
        by: &Principal,
        client: ClientId,
    ) -> Result<Committed<Client>, AccessError> {
        let of = self.govern(by, Action::OwnClientRevoke, &Resource::new().id(client)).await?;
        let account = of.account();
        let now: Timestamp = of.system.now();
        let mut tx = self.begin_governed(&of, Activity::ClientRevoke, object(client, account)).await?;
        let statement = platform!(
            "UPDATE client SET revoked_at = COALESCE(revoked_at, $3) WHERE id = $1 AND account = $2 \
             RETURNING id, account, name, scopes, clearance, public_key, created_at, revoked_at"
        );
        let values = [(&client).into(), (&account).into(), now.into()];
        let Some(row) = tx.row(statement, &values).await? else {
            let object = object(client, account);
            tx.refuse(Act::refused(Activity::ClientRevoke, object, "client-unknown", None)).await?;
            return Err(AccessError::NotFound("client"));
        };
        let revoked = Client::from_row(&row)?;
        let act = Act::new(Activity::ClientRevoke, object(client, account)).decided_by(of.policies.clone());
        let committed = tx.commit(revoked, act).await?;
        self.forget_made_client(client);
        Ok(committed)
    }
}
