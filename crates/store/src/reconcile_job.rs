//! The job that holds rows against the log (`reconcile.rs`), and says what it found in events: one for each row, and one
//! for the whole.

use base::{Duration, JobId};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};

use crate::{
    JobError, JobFuture, JobHandler, Lease, NewJob, Next, Reconciled, Reconciler, StoreError, SystemTx,
    Unexplained,
};

const KIND: &str = "store.reconcile";
/// How long a new installation has before its first one.
const FIRST: Duration = Duration::from_seconds(60);
const MAX_ATTEMPTS: u32 = 5;
/// Findings that go into one transaction.
const AT_ONCE: usize = 100;

/// Whether it was asked for, or comes by the clock.
#[derive(Serialize, Deserialize)]
struct Order {
    once: bool,
}

/// Does that job.
pub struct ReconcileJob {
    reconciler: Reconciler,
    every: Duration,
}

impl ReconcileJob {
    /// By that reconciler, that often.
    pub fn new(reconciler: Reconciler, every: Duration) -> Self {
        Self { reconciler, every }
    }

    /// Asks for one now: its id.
    pub async fn ask(tx: &mut SystemTx) -> Result<JobId, StoreError> {
        let run_at = tx.now();
        let job = NewJob { kind: KIND, payload: payload(true)?, run_at, dedupe: None, max_attempts: 1 };
        tx.enqueue(job).await?.ok_or(StoreError::Shape("a job's id"))
    }

    /// Makes sure that it is done by the clock.
    pub async fn schedule(&self) -> Result<(), StoreError> {
        let store = self.reconciler.store();
        let mut tx = store.system(self.reconciler.scope()).await?;
        let job = NewJob {
            kind: KIND,
            payload: payload(false)?,
            run_at: store.context().now().plus(FIRST),
            dedupe: Some("by the clock".to_owned()),
            max_attempts: MAX_ATTEMPTS,
        };
        tx.enqueue(job).await?;
        tx.commit_bookkeeping().await
    }

    async fn reconcile(&self, lease: &Lease) -> Result<Next, StoreError> {
        let order: Order =
            serde_json::from_str(lease.payload()).map_err(|_| StoreError::Shape("an order"))?;
        let outcome = self.reconciler.run().await;
        let store = self.reconciler.store();
        let done = match outcome {
            Ok(done) => done,
            // Somebody changed the log's tables, or a row so that it can't be read: nothing explains anything.
            Err(error @ (StoreError::Log(_) | StoreError::Shape(_))) => {
                if matches!(error, StoreError::Log(_)) {
                    let _ = store.log_broke();
                }
                tracing::error!(%error, "rows can't be held against the log");
                let act =
                    Act::failed(Activity::IntegrityViolation, ObjectRef::new("log", "rows"), "unreadable")
                        .detail("why", error.to_string())
                        .detail("check", lease.id());
                store.record_system(lease.system(), act).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        for some in done.unexplained.chunks(AT_ONCE) {
            for one in some {
                tracing::error!(kind = one.kind, id = one.id, why = %one.wrong, "a row is not what the log says");
            }
            let tx = store.system(lease.system()).await?;
            tx.commit_all((), some.iter().map(|one| violation(one, lease.id())).collect())
                .await?
                .into_inner();
        }
        store.record_system(lease.system(), summary(&done, lease.id())).await?;
        if order.once {
            return Ok(Next::Done);
        }
        Ok(Next::At(store.context().now().plus(self.every), None))
    }
}

fn payload(once: bool) -> Result<String, StoreError> {
    serde_json::to_string(&Order { once }).map_err(|_| StoreError::Shape("an order"))
}

fn violation(one: &Unexplained, check: JobId) -> Act {
    let mut object = ObjectRef::new(one.kind, one.id.clone());
    if let Some(account) = one.account {
        object = object.in_account(account);
    }
    let act = Act::failed(Activity::IntegrityViolation, object, "unexplained")
        .detail("why", one.wrong.to_string())
        .detail("check", check);
    if one.part == 0 { act } else { act.detail("version", one.part) }
}

fn summary(done: &Reconciled, check: JobId) -> Act {
    Act::new(Activity::LogReconcile, ObjectRef::new("log", "rows"))
        .detail("check", check)
        .detail("entries", done.entries)
        .detail("rows", done.rows)
        .detail("passes", done.passes)
        .detail("unexplained", done.count)
}

impl JobHandler for ReconcileJob {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move { self.reconcile(lease).await.map_err(|error| JobError(error.to_string())) })
    }
}
