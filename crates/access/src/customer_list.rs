//! Listing who governs an account, for operators.

use base::AccountId;
use ledger::{Act, Activity};
use store::{Platform, platform};

use crate::{
    Access, AccessError, Action, Operator, Principal, Resource, account::object, operator_list::from_row,
};

/// The administrators of an account. Few: an account that had more than these would be nobody's.
pub(crate) const PEOPLE: Platform = platform!(
    "SELECT id, name, role, enrolled_at, revoked_at, ends_at, account FROM operator WHERE account = $1 \
     ORDER BY id LIMIT 500"
);

impl Access {
    /// The administrators of `account`, revoked ones too, in the order in which they enrolled, at most 500. An operator's act.
    pub async fn customer_list(
        &self,
        by: &Principal,
        account: AccountId,
    ) -> Result<Vec<Operator>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::CustomerList, &resource).await?;
        let known = platform!("SELECT id FROM account WHERE id = $1");
        let mut read = self.0.store.system_read(scope).await?;
        let known = read.row(known, &[(&account).into()]).await?;
        let rows = read.rows(PEOPLE, &[(&account).into()]).await?;
        drop(read);
        if known.is_none() {
            let act = Act::refused(Activity::OperatorList, object(account), "account-unknown", None);
            self.0.store.record_system(scope, act).await?;
            return Err(AccessError::NotFound("account"));
        }
        let people = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let act = Act::new(Activity::OperatorList, object(account))
            .decided_by(decision.policies())
            .detail("count", people.len());
        self.0.store.record_system(scope, act).await?;
        Ok(people)
    }
}
