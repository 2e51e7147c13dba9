//! Suspending an account, and resuming it. Authentication asks the store each time, so a suspension acts
//! at once: on tokens that are out already, and on every server.

use base::AccountId;
use ledger::{Act, Activity};
use store::{Committed, StoreError, SystemScope, platform};

use crate::{Access, AccessError, Account, Action, Principal, Resource, account::object};

/// How often the keys are set anew for others who change the account at the same time.
const MOST_SETTLINGS: u32 = 16;

impl Access {
    /// Suspends an account: none of its clients and administrators authenticates until it is resumed, and its keys are
    /// not used. Its data stays. An operator's act; suspending a suspended account changes nothing and is
    /// recorded all the same.
    pub async fn account_suspend(
        &self,
        by: &Principal,
        account: AccountId,
    ) -> Result<Committed<Account>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::AccountSuspend, &resource).await?;
        // Keeps the first instant when it is suspended already.
        let statement = platform!(
            "UPDATE account SET suspended_at = COALESCE(suspended_at, $2) WHERE id = $1 \
             RETURNING id, name, created_at, suspended_at"
        );
        let mut tx = self.0.store.system(scope).await?;
        let Some(row) = tx.row(statement, &[(&account).into(), scope.now().into()]).await? else {
            tx.refuse(unknown(Activity::AccountSuspend, account)).await?;
            return Err(AccessError::NotFound("account"));
        };
        // Its administrators' sessions do not come back when it is resumed, nor do links that nobody used yet.
        let end = platform!(
            "UPDATE console_session SET ended_at = $2 WHERE ended_at IS NULL \
             AND operator IN (SELECT id FROM operator WHERE account = $1)"
        );
        let ended = tx.execute(end, &[(&account).into(), scope.now().into()]).await?;
        let links = platform!("DELETE FROM enrolment_link WHERE account = $1 AND used_at IS NULL");
        let links = tx.execute(links, &[(&account).into()]).await?;
        let act = Act::new(Activity::AccountSuspend, object(account))
            .detail("sessions-ended", ended)
            .detail("links-withdrawn", links)
            .decided_by(decision.policies());
        let suspended = tx.commit(Account::from_row(&row)?, act).await?;
        // Nobody gets in from here on. A crash now leaves keys that nobody can ask for; suspending
        // again stops them too.
        store::crash_point("access.account-suspended");
        self.0.keys.suspend_account(scope, account).await?;
        self.settle_keys(scope, account).await?;
        Ok(suspended)
    }

    /// Resumes a suspended account. An operator's act.
    pub async fn account_resume(
        &self,
        by: &Principal,
        account: AccountId,
    ) -> Result<Committed<Account>, AccessError> {
        let resource = Resource::new().id(account).in_account(account);
        let (scope, decision) = self.operate(by, Action::AccountResume, &resource).await?;
        let mut read = self.0.store.system_read(scope).await?;
        let known = read.row(platform!("SELECT id FROM account WHERE id = $1"), &[(&account).into()]).await?;
        drop(read);
        if known.is_none() {
            self.0.store.record_system(scope, unknown(Activity::AccountResume, account)).await?;
            return Err(AccessError::NotFound("account"));
        }
        // The keys first: once somebody gets in, they must work. A crash in between leaves the account
        // suspended, and resuming it again goes on.
        self.0.keys.resume_account(scope, account).await?;
        let statement = platform!(
            "UPDATE account SET suspended_at = NULL WHERE id = $1 RETURNING id, name, created_at, suspended_at"
        );
        let mut tx = self.0.store.system(scope).await?;
        let row = tx.row(statement, &[(&account).into()]).await?.ok_or(AccessError::NotFound("account"))?;
        let act = Act::new(Activity::AccountResume, object(account)).decided_by(decision.policies());
        let resumed = tx.commit(Account::from_row(&row)?, act).await?;
        self.settle_keys(scope, account).await?;
        Ok(resumed)
    }

    /// Makes an account's keys what its row says. The row and the keys are in two databases, so that a
    /// suspension and a resumption at once may each have done one of them last: everybody who changed
    /// either comes here afterwards, and whoever comes last sees the end of both.
    async fn settle_keys(&self, scope: &SystemScope, account: AccountId) -> Result<(), AccessError> {
        let statement = platform!("SELECT suspended_at FROM account WHERE id = $1");
        for _ in 0..MOST_SETTLINGS {
            let mut read = self.0.store.system_read(scope).await?;
            let row = read.row(statement, &[(&account).into()]).await?;
            drop(read);
            let suspended = row.ok_or(AccessError::NotFound("account"))?.opt_time(0)?.is_some();
            if self.0.keys.account_is_suspended(scope, account).await? == suspended {
                return Ok(());
            }
            if suspended {
                self.0.keys.suspend_account(scope, account).await?;
            } else {
                self.0.keys.resume_account(scope, account).await?;
            }
        }
        Err(StoreError::Contention.into())
    }
}

fn unknown(activity: Activity, account: AccountId) -> Act {
    Act::refused(activity, object(account), "account-unknown", None)
}
