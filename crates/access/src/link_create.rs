//! Invitations to become an operator: a link that works once, for half an hour. Only a hash of its
//! secret is stored.

use base::{Duration, Secret, Timestamp};
use ledger::{Act, Activity, Interface, ObjectRef};
use store::{Committed, SystemScope, Value, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource, Role, Standing,
    client_create::principal_bytes,
    credential::{SecretKind, generate},
    jws::encode,
    operator::{hold, refuse_revoked},
};

/// How long a link works.
pub const LINK_LIFE: Duration = Duration::from_seconds(30 * 60);

/// An invitation: this is the only time that its secret is seen.
#[derive(Debug)]
pub struct EnrolmentLink {
    /// What [`Access::enrol`] asks for.
    pub secret: Secret<String>,
    /// The role of whoever uses it, or the account that they will govern.
    pub role: Standing,
    /// Until when.
    pub expires: Timestamp,
    /// When the access of whoever uses it ends by itself, if it does.
    pub access_ends: Option<Timestamp>,
}

impl Access {
    /// Invites somebody to become an operator, for good. An administrator's act.
    pub async fn link_create(
        &self,
        by: &Principal,
        role: Role,
    ) -> Result<Committed<EnrolmentLink>, AccessError> {
        self.link_create_until(by, role, None).await
    }

    /// Invites somebody to become an operator, whose access ends by itself then: an auditor's, most of all.
    pub async fn link_create_until(
        &self,
        by: &Principal,
        role: Role,
        access_ends: Option<Timestamp>,
    ) -> Result<Committed<EnrolmentLink>, AccessError> {
        let (scope, decision) = self.operate(by, Action::OperatorInvite, &Resource::new()).await?;
        let creator = principal_bytes(by);
        if access_ends.is_some_and(|ends| ends <= scope.now()) {
            let object = ObjectRef::new("enrolment-link", "-");
            let act = Act::refused(Activity::OperatorLinkCreate, object, "invalid", None);
            self.0.store.record_system(scope, act).await?;
            let reason = "it lies in the past: give when access is to end, or leave it out";
            return Err(AccessError::Invalid { field: "access_ends_at", reason });
        }
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, &creator, scope.now()).await? {
            let object = ObjectRef::new("enrolment-link", "-");
            return Err(refuse_revoked(tx, Activity::OperatorLinkCreate, object).await);
        }
        // Nobody gives access for longer than they have it.
        let own = platform!("SELECT ends_at FROM operator WHERE id = $1");
        let own = tx.row(own, &[(&creator).into()]).await?.map(|row| row.opt_time(0)).transpose()?.flatten();
        let access_ends = match (access_ends, own) {
            (Some(wanted), Some(own)) => Some(wanted.min(own)),
            (wanted, own) => wanted.or(own),
        };
        let (link, act) = self.add_link(&mut tx, scope, (role.into(), access_ends), Some(creator)).await?;
        Ok(tx.commit(link, act.decided_by(decision.policies())).await?)
    }

    /// The link for the first administrator: one as long as there is no administrator, at each start
    /// a new one that replaces the last; none afterwards. It can't be used once there is one, either.
    pub async fn enrolment_link(&self) -> Result<Option<Committed<EnrolmentLink>>, AccessError> {
        let scope = &self.server_scope(Interface::Startup, "access", "the first administrator is invited")?;
        let mut tx = self.0.store.system(scope).await?;
        if has_administrator(&mut tx, scope.now()).await? {
            return Ok(None);
        }
        let statement = platform!("DELETE FROM enrolment_link WHERE created_by IS NULL AND used_at IS NULL");
        tx.execute(statement, &[]).await?;
        let (link, act) = self.add_link(&mut tx, scope, (Role::Administrator.into(), None), None).await?;
        Ok(Some(tx.commit(link, act.detail("first", true)).await?))
    }

    pub(crate) async fn add_link(
        &self,
        tx: &mut store::SystemTx,
        scope: &SystemScope,
        (role, access_ends): (Standing, Option<Timestamp>),
        creator: Option<[u8; 16]>,
    ) -> Result<(EnrolmentLink, Act), AccessError> {
        let (secret, hash) = generate(SecretKind::EnrolmentLink, &self.0.context)?;
        let expires = scope.now() + LINK_LIFE;
        let statement = platform!(
            "INSERT INTO enrolment_link (secret_hash, role, created_at, created_by, expires_at, access_ends_at, account, \
             used_at, used_by) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL)"
        );
        let creator = creator.as_ref().map_or(Value::Null, Value::from);
        let ends = access_ends.map_or(Value::Null, Value::from);
        let account = role.account();
        let values = [
            hash.as_bytes().into(),
            role.as_str().into(),
            scope.now().into(),
            creator,
            expires.into(),
            ends,
            account.as_ref().map_or(Value::Null, Value::from),
        ];
        tx.execute(statement, &values).await?;
        let object = object(hash.as_bytes());
        let object = match account {
            Some(account) => object.in_account(account),
            None => object,
        };
        let act = Act::new(Activity::OperatorLinkCreate, object)
            .detail("role", role.as_str())
            .detail("expires", expires);
        let act = match access_ends {
            Some(ends) => act.detail("access-ends", ends),
            None => act,
        };
        Ok((EnrolmentLink { secret, role, expires, access_ends }, act))
    }
}

/// A link as the object of an event: half of its secret's hash, enough to tell which one was used, and too much to find
/// another secret for.
pub(crate) fn object(secret_hash: &[u8; 32]) -> ObjectRef {
    let (half, _) = secret_hash.as_chunks::<16>();
    ObjectRef::new("enrolment-link", encode(half.first().unwrap_or(&[0; 16])))
}

pub(crate) async fn has_administrator(tx: &mut store::SystemTx, now: Timestamp) -> Result<bool, AccessError> {
    let statement = platform!(
        "SELECT COUNT(*) FROM operator WHERE role = 'administrator' AND revoked_at IS NULL \
                   AND (ends_at IS NULL OR ends_at > $1)"
    );
    let row = tx.row(statement, &[now.into()]).await?.ok_or(AccessError::Internal("a count has no row"))?;
    Ok(row.int(0)? > 0)
}
