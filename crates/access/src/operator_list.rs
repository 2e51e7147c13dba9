//! Listing operators.

use base::OperatorId;
use ledger::{Act, Activity, ObjectRef};
use store::{Row, StoreError, platform};

use crate::{Access, AccessError, Action, Operator, Page, Principal, Resource, Standing, client::page_size};

impl Access {
    /// Operators, revoked ones too, and nobody of a customer, in the order of their ids, those after `after`, at most `limit`
    /// (1 to 500). An operator's act.
    pub async fn operator_list(
        &self,
        by: &Principal,
        after: Option<OperatorId>,
        limit: u32,
    ) -> Result<Page<Operator, OperatorId>, AccessError> {
        let (scope, decision) = self.operate(by, Action::OperatorList, &Resource::new()).await?;
        let after = after.unwrap_or(OperatorId::from_bytes([0; 16]));
        let statement = platform!(
            "SELECT id, name, role, enrolled_at, revoked_at, ends_at, account FROM operator WHERE id > $1 AND account IS NULL ORDER BY id LIMIT $2"
        );
        let limit = page_size(limit);
        let mut read = self.0.store.system_read(scope).await?;
        let rows = read.rows(statement, &[(&after).into(), (limit + 1).into()]).await?;
        drop(read);
        let operators = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let page = Page::cut(operators, limit, |operator| operator.id);
        let act = Act::new(Activity::OperatorList, ObjectRef::new("operators", "-"))
            .decided_by(decision.policies())
            .detail("count", page.items.len());
        self.0.store.record_system(scope, act).await?;
        Ok(page)
    }
}

/// From the columns id, name, role, enrolled_at, revoked_at, ends_at, account.
pub(crate) fn from_row(row: &Row) -> Result<Operator, StoreError> {
    Ok(Operator {
        id: row.id(0)?,
        name: row.text(1)?.to_owned(),
        role: Standing::of(row.text(2)?, row.opt_id(6)?).ok_or(StoreError::Shape("a role"))?,
        enrolled: row.time(3)?,
        revoked: row.opt_time(4)?,
        ends: row.opt_time(5)?,
    })
}
