//! Asking for what is stored to be held against the log now. For operators and auditors.

use base::JobId;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, ReconcileJob};

use crate::{Access, AccessError, Action, Principal, Resource};

impl Access {
    /// Asks for it: the job's id, which the events of what it finds name as `check`. An operator's act.
    pub async fn log_reconcile(&self, by: &Principal) -> Result<Committed<JobId>, AccessError> {
        let (scope, decision) = self.operate(by, Action::LogReconcile, &Resource::new()).await?;
        let mut tx = self.0.store.system(scope).await?;
        let job = ReconcileJob::ask(&mut tx).await?;
        let act = Act::new(Activity::LogReconcileAsk, ObjectRef::new("log", "rows"))
            .decided_by(decision.policies())
            .detail("check", job);
        Ok(tx.commit(job, act).await?)
    }
}
