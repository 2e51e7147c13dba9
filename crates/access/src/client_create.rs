//! Registering a client of an account.

use base::{AccountId, Classification, ClientId, Fault as _, Secret};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, SystemScope, platform};

use crate::{
    Access, AccessError, Action, Client, Principal, PublicKey, Resource, ScopeSet,
    account::{check_name, hold_account},
    client::object,
    credential::{SecretHash, SecretKind, generate},
    operator::{hold, refuse_revoked},
};

/// What a client is to be.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// A name for people.
    pub name: String,
    /// The scopes that it may ask for; at least one.
    pub scopes: ScopeSet,
    /// The highest classification that it may touch; the highest of the scheme if none.
    pub clearance: Option<Classification>,
    /// How it proves itself.
    pub credential: NewCredential,
}

/// How a client is to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewCredential {
    /// By a secret, made here and shown once.
    Secret,
    /// By signing with the private half of this key.
    PublicKey(PublicKey),
}

/// A client, and its secret if it has one: this is the only time that it is seen.
#[derive(Debug)]
pub struct CreatedClient {
    /// The client.
    pub client: Client,
    /// Its secret.
    pub secret: Option<Secret<String>>,
}

impl Access {
    /// Registers a client of `account`. An operator's act. The account may be suspended: the client
    /// authenticates once it is resumed.
    pub async fn client_create(
        &self,
        by: &Principal,
        account: AccountId,
        new: NewClient,
    ) -> Result<Committed<CreatedClient>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::ClientCreate, &resource).await?;
        self.make_client(scope, principal_bytes(by), account, new, decision.policies()).await
    }

    /// Registers a client in the name of that scope. `creator`: the operator's bytes, or zeros for the server itself.
    pub(crate) async fn make_client(
        &self,
        scope: &SystemScope,
        creator: [u8; 16],
        account: AccountId,
        new: NewClient,
        policies: Vec<String>,
    ) -> Result<Committed<CreatedClient>, AccessError> {
        let id = ClientId::new(&self.0.context)?;
        if let Err(error) = check(&new) {
            let act = Act::refused(Activity::ClientCreate, object(id, account), error.code(), None);
            self.0.store.record_system(scope, act.decided_by(policies)).await?;
            return Err(error);
        }
        let (secret, hash, key) = match new.credential {
            NewCredential::Secret => {
                let (secret, hash) = generate(SecretKind::Client, &self.0.context)?;
                (Some(secret), Some(hash), None)
            }
            NewCredential::PublicKey(key) => (None, None, Some(key)),
        };
        let mut tx = self.0.store.system(scope).await?;
        if creator != [0; 16] && !hold(&mut tx, &creator, scope.now()).await? {
            return Err(refuse_revoked(tx, Activity::ClientCreate, object(id, account)).await);
        }
        // An operator may prepare a suspended account; its own administrator is not in it any more.
        if scope.origin().account == Some(account) && !hold_account(&mut tx, account).await? {
            return Err(refuse_revoked(tx, Activity::ClientCreate, object(id, account)).await);
        }
        if tx.row(platform!("SELECT id FROM account WHERE id = $1"), &[(&account).into()]).await?.is_none() {
            let unknown = ObjectRef::new("account", account);
            tx.refuse(Act::refused(Activity::ClientCreate, unknown, "account-unknown", None)).await?;
            return Err(AccessError::NotFound("account"));
        }
        let scopes = new.scopes.to_string();
        let values = [
            (&id).into(),
            (&account).into(),
            (&new.name).into(),
            (&scopes).into(),
            new.clearance.as_ref().map(Classification::name).into(),
            hash.as_ref().map(|hash| hash.as_bytes()).into(),
            key.as_ref().map(PublicKey::as_bytes).into(),
            scope.now().into(),
            (&creator).into(),
        ];
        let statement = platform!(
            "INSERT INTO client (id, account, name, scopes, clearance, secret_hash, public_key, created_at, \
             created_by, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)"
        );
        tx.execute(statement, &values).await?;
        let client = Client {
            id,
            account,
            clearance: new.clearance.map(|level| level.name().to_owned()),
            name: new.name,
            scopes: new.scopes,
            signs: key.is_some(),
            created: scope.now(),
            revoked: None,
        };
        let proof = (
            hash.as_ref().map_or(&[][..], |hash| hash.as_bytes().as_slice()),
            key.as_ref().map_or(&[][..], |key| key.as_bytes().as_slice()),
        );
        let says = (client.name.as_str(), scopes.as_str(), client.clearance.as_deref());
        let act = created(&client, key.as_ref(), hash.as_ref())
            .after(self.0.rows.client((id, account), says, proof))
            .decided_by(policies);
        Ok(tx.commit(CreatedClient { client, secret }, act).await?)
    }
}

fn check(new: &NewClient) -> Result<(), AccessError> {
    check_name(&new.name)?;
    if new.scopes.is_empty() {
        return Err(AccessError::Invalid { field: "scope", reason: "a client needs at least one scope" });
    }
    Ok(())
}

/// What an event says of the clearance of a client that has none of its own.
pub(crate) const EVERY_LEVEL: &str = "every level";

/// The event says all that decides what the client may do and who it is: scopes, clearance, key.
fn created(client: &Client, key: Option<&PublicKey>, secret: Option<&SecretHash>) -> Act {
    let act = Act::new(Activity::ClientCreate, object(client.id, client.account))
        .detail("scope", client.scopes.to_string())
        .detail("clearance", client.clearance.as_deref().unwrap_or(EVERY_LEVEL));
    match (key, secret) {
        (Some(key), _) => act.detail("credential", "private_key_jwt").detail("key", key.thumbprint()),
        (None, Some(secret)) => act.detail("credential", "client_secret").detail("secret", secret.digest()),
        (None, None) => act,
    }
}

/// The id of an operator as stored beside what it made.
pub(crate) fn principal_bytes(by: &Principal) -> [u8; 16] {
    match by.actor() {
        base::Actor::Operator(operator) => *operator.as_bytes(),
        _ => [0; 16],
    }
}
