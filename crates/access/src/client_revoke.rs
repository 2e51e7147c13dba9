//! Revoking a client. Like a suspension, it acts at once on tokens that are out already.

use base::ClientId;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{Access, AccessError, Action, Client, Principal, Resource, client::object};

impl Access {
    /// Revokes a client for good. An operator's act; revoking a revoked client changes nothing and is
    /// recorded all the same.
    pub async fn client_revoke(
        &self,
        by: &Principal,
        client: ClientId,
    ) -> Result<Committed<Client>, AccessError> {
        let (scope, decision) = self.operate(by, Action::ClientRevoke, &Resource::new().id(client)).await?;
        let mut tx = self.0.store.system(scope).await?;
        let statement = platform!(
            "UPDATE client SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1 \
             RETURNING id, account, name, scopes, clearance, public_key, created_at, revoked_at"
        );
        let Some(row) = tx.row(statement, &[(&client).into(), scope.now().into()]).await? else {
            let unknown = ObjectRef::new("client", client);
            tx.refuse(Act::refused(Activity::ClientRevoke, unknown, "client-unknown", None)).await?;
            return Err(AccessError::NotFound("client"));
        };
        let revoked = Client::from_row(&row)?;
        let act =
            Act::new(Activity::ClientRevoke, object(client, revoked.account)).decided_by(decision.policies());
        let committed = tx.commit(revoked, act).await?;
        self.forget_made_client(client);
        Ok(committed)
    }
}
