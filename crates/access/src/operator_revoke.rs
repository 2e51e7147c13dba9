//! Revoking an operator: at once, with the links that it made and nobody used. The last administrator
//! stays, or nobody could ever invite another.

use base::OperatorId;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, platform};

use crate::{Access, AccessError, Action, Operator, Principal, Resource, Role, operator_list::from_row};

impl Access {
    /// Revokes an operator, or a customer's administrator, for good. An administrator's act, also on oneself; refused for the last
    /// administrator. Revoking a revoked operator changes nothing and is recorded all the same.
    pub async fn operator_revoke(
        &self,
        by: &Principal,
        operator: OperatorId,
    ) -> Result<Committed<Operator>, AccessError> {
        let (scope, decision) =
            self.operate(by, Action::OperatorRevoke, &Resource::new().id(operator)).await?;
        let object = || ObjectRef::new("operator", operator);
        let mut tx = self.0.store.system(scope).await?;
        // Two administrators who revoke each other wait for each other here; the second then counts
        // what the first has left.
        let lock = platform!("UPDATE operator SET role = role WHERE role = 'administrator'");
        tx.execute(lock, &[]).await?;
        let statement = platform!(
            "UPDATE operator SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1 \
             RETURNING id, name, role, enrolled_at, revoked_at, ends_at, account"
        );
        let Some(row) = tx.row(statement, &[(&operator).into(), scope.now().into()]).await? else {
            tx.refuse(Act::refused(Activity::OperatorRevoke, object(), "operator-unknown", None)).await?;
            return Err(AccessError::NotFound("operator"));
        };
        let revoked = from_row(&row)?;
        let left = platform!(
            "SELECT COUNT(*) FROM operator WHERE role = 'administrator' AND revoked_at IS NULL AND ends_at IS NULL"
        );
        let left = tx.row(left, &[]).await?.ok_or(AccessError::Internal("a count has no row"))?.int(0)?;
        // One whose access ends by itself does not count: nobody would be left.
        if left == 0 && revoked.role == Role::Administrator && revoked.ends.is_none() {
            tx.refuse(Act::refused(Activity::OperatorRevoke, object(), "last-administrator", None)).await?;
            return Err(AccessError::LastAdministrator);
        }
        let links = platform!("DELETE FROM enrolment_link WHERE created_by = $1 AND used_at IS NULL");
        let links = tx.execute(links, &[(&operator).into()]).await?;
        let end =
            platform!("UPDATE console_session SET ended_at = $2 WHERE operator = $1 AND ended_at IS NULL");
        let sessions = tx.execute(end, &[(&operator).into(), scope.now().into()]).await?;
        // Of somebody who governs an account, it is told there too.
        let object = match revoked.role.account() {
            Some(account) => object().in_account(account),
            None => object(),
        };
        let act = Act::new(Activity::OperatorRevoke, object)
            .detail("sessions-ended", sessions)
            .decided_by(decision.policies())
            .detail("links-withdrawn", links);
        let committed = tx.commit(revoked, act).await?;
        self.forget_made(operator);
        Ok(committed)
    }
}
