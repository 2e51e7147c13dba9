//! Inviting somebody of a customer to govern the customer's account: a link that works once, for that account and no other.

use base::{AccountId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{
    Access, AccessError, Action, EnrolmentLink, Principal, Resource, Standing,
    account::hold_account,
    client_create::principal_bytes,
    operator::{hold, refuse_revoked},
};

impl Access {
    /// Invites somebody to govern `account`, until then if an end is given. An administrator's act. Whoever uses the link is
    /// bound to the account for good; nobody is invited into a suspended one.
    pub async fn customer_invite(
        &self,
        by: &Principal,
        account: AccountId,
        access_ends: Option<Timestamp>,
    ) -> Result<Committed<EnrolmentLink>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::CustomerInvite, &resource).await?;
        let creator = principal_bytes(by);
        let refused = |reason| {
            let object = ObjectRef::new("enrolment-link", "-").in_account(account);
            Act::refused(Activity::OperatorLinkCreate, object, reason, None)
        };
        if access_ends.is_some_and(|ends| ends <= scope.now()) {
            self.0.store.record_system(scope, refused("invalid")).await?;
            let reason = "it lies in the past: give when access is to end, or leave it out";
            return Err(AccessError::Invalid { field: "access_ends_at", reason });
        }
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, &creator, scope.now()).await? {
            let object = ObjectRef::new("enrolment-link", "-").in_account(account);
            return Err(refuse_revoked(tx, Activity::OperatorLinkCreate, object).await);
        }
        if !hold_account(&mut tx, account).await? {
            let known = platform!("SELECT id FROM account WHERE id = $1");
            let is_known = tx.row(known, &[(&account).into()]).await?.is_some();
            let reason = if is_known { "account-suspended" } else { "account-unknown" };
            tx.refuse(refused(reason)).await?;
            return Err(if is_known { AccessError::Suspended } else { AccessError::NotFound("account") });
        }
        let gives = (Standing::Customer(account), access_ends);
        let (link, act) = self.add_link(&mut tx, scope, gives, Some(creator)).await?;
        Ok(tx.commit(link, act.decided_by(decision.policies())).await?)
    }
}
