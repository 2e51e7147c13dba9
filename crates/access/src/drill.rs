//! Drills: accounts of Tenet's own, in which the server attempts what is forbidden, for real and by the ways that anybody
//! goes, so that its refusal is evidence. Nothing here lets anybody in: the clients sign in with a key of the keys' realm,
//! as any client does, and reach those accounts alone.

use std::net::IpAddr;

use base::{AccountId, ClientId, Duration, OperatorId, TokenId};
use store::{SystemScope, platform};

use crate::{
    Access, AccessError, Action, Claims, FRESH, NewClient, NewCredential, Principal, PrincipalKind,
    PublicKey, Resource, Role, ScopeSet, Subject, TOKEN_LIFE,
};

/// What the names of the accounts begin with.
const NAME: &str = "Tenet drill";
const EVERYTHING: &str = "everything";
const READER: &str = "reader";
/// How long ago the token of a drill ended.
const EXPIRED: Duration = Duration::from_seconds(3_600);

/// A client of a drill account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillClient {
    /// Its account.
    pub account: AccountId,
    /// Its id.
    pub client: ClientId,
}

/// Who attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// In the first account, with every scope.
    pub first: DrillClient,
    /// In the first account, to read records alone.
    pub reader: DrillClient,
    /// In the second account, with every scope.
    pub second: DrillClient,
}

impl Access {
    /// The clients of the drills, with that key; made if they are not there.
    pub async fn drill_clients(&self, scope: &SystemScope, key: PublicKey) -> Result<Drilled, AccessError> {
        let first = self.drill_account(scope, 1).await?;
        let second = self.drill_account(scope, 2).await?;
        Ok(Drilled {
            first: self.drill_client(scope, first, EVERYTHING, ScopeSet::all(), key).await?,
            reader: self.drill_client(scope, first, READER, ScopeSet::parse("records:read")?, key).await?,
            second: self.drill_client(scope, second, EVERYTHING, ScopeSet::all(), key).await?,
        })
    }

    async fn drill_account(&self, scope: &SystemScope, number: u8) -> Result<AccountId, AccessError> {
        let name = format!("{NAME} {number}");
        let mut read = self.0.store.system_read(scope).await?;
        let known = read.row(platform!("SELECT id FROM account WHERE name = $1"), &[(&name).into()]).await?;
        drop(read);
        match known {
            Some(row) => Ok(row.id(0)?),
            None => Ok(self.make_account(scope, &name, Vec::new()).await?.into_inner().id),
        }
    }

    async fn drill_client(
        &self,
        scope: &SystemScope,
        account: AccountId,
        name: &str,
        scopes: ScopeSet,
        key: PublicKey,
    ) -> Result<DrillClient, AccessError> {
        let known = platform!(
            "SELECT id FROM client WHERE account = $1 AND name = $2 AND public_key = $3 AND revoked_at IS NULL \
             ORDER BY created_at LIMIT 1"
        );
        let mut read = self.0.store.system_read(scope).await?;
        let values = [(&account).into(), name.into(), key.as_bytes().into()];
        let row = read.row(known, &values).await?;
        drop(read);
        let client = match row {
            Some(row) => row.id(0)?,
            None => {
                let credential = NewCredential::PublicKey(key);
                let new = NewClient { name: name.to_owned(), scopes, clearance: None, credential };
                self.make_client(scope, [0; 16], account, new, Vec::new()).await?.into_inner().client.id
            }
        };
        Ok(DrillClient { account, client })
    }

    /// A token of that client as it would have been issued, that ended an hour ago: signed with the key that signs tokens.
    pub fn drill_expired_token(&self, of: &DrillClient) -> Result<String, AccessError> {
        let now = self.0.context.now();
        let claims = Claims {
            subject: Subject::Client { client: of.client, account: of.account },
            scopes: ScopeSet::all(),
            token: TokenId::new(&self.0.context)?,
            issued: now.minus(EXPIRED).minus(TOKEN_LIFE),
            expires: now.minus(EXPIRED),
        };
        self.0.verifier.sign(&claims).ok_or(AccessError::Internal("the token can't be signed"))
    }

    /// Asks, with an administrator's rights, whether a customer's record may be read: what the policies and their
    /// enforcement answer to any operator. What is refused is recorded, in the name of the server.
    pub async fn drill_operator(
        &self,
        scope: &SystemScope,
        account: AccountId,
        record: &str,
    ) -> Result<(), AccessError> {
        let posing = Principal {
            kind: PrincipalKind::Operator {
                scope: scope.clone(),
                operator: OperatorId::from_bytes([0; 16]),
                role: Role::Administrator,
            },
            token: Some(TokenId::new(&self.0.context)?),
            proved: None,
            expires: self.0.context.now().plus(TOKEN_LIFE),
        };
        let resource = Resource::new().id(record).in_account(account);
        self.authorize(&posing, Action::RecordRead, &resource).await.map(|_| ())
    }

    /// Attempts what a session may not do that is too weak: comes from a public address (TEST-NET-1 of RFC 5737) with one that a
    /// code opened, and asks to make an account without a fresh proof. What refused each; none for what was allowed.
    pub async fn drill_weak_session(
        &self,
        scope: &SystemScope,
    ) -> Result<[Option<&'static str>; 2], AccessError> {
        let now = self.0.context.now();
        let from_outside = self.is_weak_from(IpAddr::from([192, 0, 2, 1]), now)?;
        let posing = Principal {
            kind: PrincipalKind::Operator {
                scope: scope.clone(),
                operator: OperatorId::from_bytes([0; 16]),
                role: Role::Administrator,
            },
            token: None,
            proved: Some(now.minus(FRESH)),
            expires: now.plus(TOKEN_LIFE),
        };
        let asked = self.authorize(&posing, Action::AccountCreate, &Resource::new()).await;
        let stale = match asked {
            Ok(_) => None,
            Err(AccessError::ProofNeeded) => Some("proof-needed"),
            Err(error) => return Err(error),
        };
        Ok([from_outside, stale])
    }
}
