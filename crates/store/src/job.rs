//! Jobs: work that a transaction asks for and that a runner does later, at least once. A job is
//! leased for a time; a runner that dies loses the lease, and another takes it. Attempts are bounded,
//! and the last failure is an event.
//!
//! A crash while a job runs means that it runs again: every handler must be able to find its own work
//! done already.

use std::{future::Future, pin::Pin, sync::Arc};

use base::{AccountId, Context, Duration, JobId, ServerId, Timestamp, kinds};
use ledger::{Act, Activity, ObjectRef, Origin};
use tokio::sync::watch;

use crate::{Mint, Row, Scope, Store, StoreError, SystemScope, Value, engine::Write, platform};

/// How long a runner holds a job before another may take it.
const LEASE: Duration = Duration::from_seconds(300);
/// How often it renews its hold while the work goes on.
const RENEWAL: Duration = Duration::from_seconds(100);
/// How often an idle runner looks for due jobs.
const POLL: Duration = Duration::from_seconds(1);
/// Longest wait before another attempt.
const MAX_BACKOFF: Duration = Duration::from_seconds(3_600);
/// Most bytes of a job's payload.
const MAX_PAYLOAD_BYTES: usize = 65_536;

/// A job to be added.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Which handler does it.
    pub kind: &'static str,
    /// JSON for the handler, at most 64 KiB. No personal data, no secrets.
    pub payload: String,
    /// Not before then.
    pub run_at: Timestamp,
    /// With a key, at most one job of that kind, account and key waits at a time.
    pub dedupe: Option<String>,
    /// Attempts before it is given up.
    pub max_attempts: u32,
}

/// A job in hand.
#[derive(Debug)]
pub struct Lease {
    id: JobId,
    kind: String,
    payload: String,
    attempt: u32,
    max_attempts: u32,
    scope: Option<Scope>,
    system: SystemScope,
}

/// What becomes of a job after a run that went well.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It is finished.
    Done,
    /// It runs again then, with this payload if given. Attempts start afresh.
    At(Timestamp, Option<String>),
}

/// Why a run failed. The text is for the operator: no personal data, no secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JobError(pub String);

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// What a handler returns.
pub type JobFuture<'a> = Pin<Box<dyn Future<Output = Result<Next, JobError>> + Send + 'a>>;

/// Does the jobs of one kind.
pub trait JobHandler: Send + Sync {
    /// The kind it does.
    fn kind(&self) -> &'static str;
    /// Does one job. It may have been done in part before.
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a>;
}

/// Leases due jobs and hands them to their handlers.
pub struct JobRunner {
    store: Store,
    mint: Mint,
    handlers: Vec<Box<dyn JobHandler>>,
}

impl Lease {
    /// The job's id.
    pub fn id(&self) -> JobId {
        self.id
    }
    /// The handler's JSON.
    pub fn payload(&self) -> &str {
        &self.payload
    }
    /// The scope of the account that the job belongs to, if it belongs to one.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }
    /// The scope for platform tables.
    pub fn system(&self) -> &SystemScope {
        &self.system
    }
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// Adds a job within a transaction.
pub(crate) async fn add(
    write: &mut Write,
    context: &Context,
    account: Option<AccountId>,
    job: NewJob,
) -> Result<Option<JobId>, StoreError> {
    const ADD: &str = "INSERT INTO job (id, kind, account_id, payload, run_at, dedupe, attempts, max_attempts, lease_holder, lease_until, failure) \
                       VALUES ($1, $2, $3, $4, $5, $6, 0, $7, NULL, 0, NULL) ON CONFLICT (dedupe) DO UPDATE \
                       SET id = excluded.id, payload = excluded.payload, run_at = excluded.run_at, attempts = 0, \
                       max_attempts = excluded.max_attempts, failure = NULL, lease_holder = NULL, lease_until = 0 \
                       WHERE job.attempts >= job.max_attempts AND job.lease_until <= $8";
    if job.payload.len() > MAX_PAYLOAD_BYTES {
        return Err(StoreError::Statement("a job's payload is larger than 64 KiB".to_owned()));
    }
    let id = JobId::new(context)?;
    // A key means something within its kind and account alone.
    let dedupe = job.dedupe.map(|key| match account {
        Some(account) => format!("{account}/{}/{key}", job.kind),
        None => format!("-/{}/{key}", job.kind),
    });
    let values = [
        (&id).into(),
        job.kind.into(),
        account.as_ref().into(),
        (&job.payload).into(),
        job.run_at.into(),
        dedupe.as_deref().into(),
        i64::from(job.max_attempts).into(),
        context.now().into(),
    ];
    Ok((write.execute(ADD, &values).await? == 1).then_some(id))
}

const DUE: crate::Platform = platform!(
    "SELECT id FROM job WHERE run_at <= $1 AND lease_until <= $1 AND attempts < max_attempts ORDER BY run_at, id LIMIT 1"
);
const TAKE: crate::Platform = platform!(
    "UPDATE job SET lease_holder = $2, lease_until = $3, attempts = attempts + 1, failure = NULL \
     WHERE id = $1 AND lease_until <= $4 AND attempts < max_attempts \
     RETURNING kind, account_id, payload, attempts, max_attempts"
);
const DEAD: crate::Platform = platform!(
    "SELECT 1 FROM job WHERE attempts >= max_attempts AND failure IS NULL AND lease_until <= $1 LIMIT 1"
);
const BURY: crate::Platform = platform!(
    "UPDATE job SET failure = 'stopped during its last attempt', lease_holder = NULL, lease_until = 0 \
     WHERE attempts >= max_attempts AND failure IS NULL AND lease_until <= $1 RETURNING id, kind, attempts"
);
const RENEW: crate::Platform =
    platform!("UPDATE job SET lease_until = $3 WHERE id = $1 AND lease_holder = $2 AND attempts = $4");
const DONE: crate::Platform =
    platform!("DELETE FROM job WHERE id = $1 AND lease_holder = $2 AND attempts = $3");
const AGAIN: crate::Platform = platform!(
    "UPDATE job SET run_at = $3, payload = COALESCE($4, payload), attempts = 0, lease_holder = NULL, lease_until = 0, failure = NULL \
     WHERE id = $1 AND lease_holder = $2 AND attempts = $5"
);
const FAILED: crate::Platform = platform!(
    "UPDATE job SET run_at = $3, lease_holder = NULL, lease_until = 0, failure = $4 \
     WHERE id = $1 AND lease_holder = $2 AND attempts = $5"
);

impl JobRunner {
    /// A runner with these handlers.
    pub fn new(store: Store, handlers: Vec<Box<dyn JobHandler>>) -> Self {
        Self { store, mint: Mint::new(), handlers }
    }

    /// Does every job that is due now, one after the other; how many it did.
    pub async fn run_due(&self) -> Result<u64, StoreError> {
        self.run_while(|| true).await
    }

    async fn run_while(&self, go_on: impl Fn() -> bool) -> Result<u64, StoreError> {
        self.bury().await?;
        let mut count = 0;
        while go_on() {
            let Some(lease) = self.lease().await? else { break };
            self.work(&lease).await?;
            count += 1;
        }
        Ok(count)
    }

    /// A process that died in a job's last attempt could not say so: somebody else does.
    async fn bury(&self) -> Result<(), StoreError> {
        let now = self.store.context().now();
        let system = self.mint.system(self.origin(None)?, now, "jobs that died in their last attempt");
        if self.store.system_read(&system).await?.row(DEAD, &[now.into()]).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.store.system(&system).await?;
        let mut acts = Vec::new();
        for row in tx.rows(BURY, &[now.into()]).await? {
            let object = ObjectRef::new("job", row.id::<kinds::Job>(0)?);
            acts.push(given_up(object, row.text(1)?, row.int(2)?));
        }
        if !acts.is_empty() {
            tx.commit_all((), acts).await?.into_inner();
        }
        Ok(())
    }

    /// Does jobs as they become due, until told to stop. A job in hand is finished first.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.run_while(|| !*stop.borrow()).await {
                tracing::warn!(%error, "jobs wait for the store");
            }
            tokio::select! {
                _ = tokio::time::sleep(POLL.into()) => {}
                _ = stop.changed() => {}
            }
        }
    }

    fn origin(&self, account: Option<AccountId>) -> Result<Origin, StoreError> {
        Ok(Origin { account, ..self.store.own_origin("jobs")? })
    }

    async fn lease(&self) -> Result<Option<Lease>, StoreError> {
        const REASON: &str = "the runner leases jobs across accounts";
        let now = self.store.context().now();
        let system = self.mint.system(self.origin(None)?, now, REASON);
        // Most looks find nothing: they must not cost a durable write.
        let Some(due) = self.store.system_read(&system).await?.row(DUE, &[now.into()]).await? else {
            return Ok(None);
        };
        let id = due.id::<kinds::Job>(0)?;
        let server: ServerId = self.store.server();
        let mut tx = self.store.system(&system).await?;
        let values = [(&id).into(), (&server).into(), now.plus(LEASE).into(), now.into()];
        let Some(row) = tx.row(TAKE, &values).await? else { return Ok(None) };
        // A crash after this line: the lease runs out, and the job is taken again.
        tx.commit_bookkeeping().await?;
        self.read_lease(id, &row, now).map(Some)
    }

    fn read_lease(&self, id: JobId, row: &Row, now: Timestamp) -> Result<Lease, StoreError> {
        let account = row.opt_id::<kinds::Account>(1)?;
        let origin = self.origin(account)?;
        let scope = account.map(|account| self.mint.scope(account, origin.clone(), now));
        let bounded = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Lease {
            id,
            kind: row.text(0)?.to_owned(),
            payload: row.text(2)?.to_owned(),
            attempt: bounded(row.int(3)?),
            max_attempts: bounded(row.int(4)?),
            scope,
            system: self.mint.system(origin, now, "the work of a leased job"),
        })
    }

    async fn work(&self, lease: &Lease) -> Result<(), StoreError> {
        let outcome = match self.handlers.iter().find(|handler| handler.kind() == lease.kind) {
            Some(handler) => {
                tokio::select! {
                    outcome = guarded(handler.run(lease)) => outcome,
                    // Dropped in the middle like in a crash: whoever has the lease now does it again.
                    () = self.keep(lease) => return Ok(()),
                }
            }
            None => Err(JobError(format!("no handler for jobs of the kind `{}`", lease.kind))),
        };
        crate::crash_point("job.before-finish");
        self.finish(lease, outcome).await
    }

    /// Renews the lease for as long as the work takes. Returns once the lease is somebody else's.
    async fn keep(&self, lease: &Lease) {
        loop {
            tokio::time::sleep(RENEWAL.into()).await;
            match self.renew(lease).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(job = %lease.id, kind = lease.kind, "another server has taken this job");
                    return;
                }
                Err(error) => tracing::warn!(job = %lease.id, %error, "a lease can't be renewed for now"),
            }
        }
    }

    async fn renew(&self, lease: &Lease) -> Result<bool, StoreError> {
        let mut tx = self.store.system(&lease.system).await?;
        let until = self.store.context().now().plus(LEASE);
        let [id, server, attempt] = self.held(lease);
        let held = tx.execute(RENEW, &[id, server, until.into(), attempt]).await? == 1;
        tx.commit_bookkeeping().await?;
        Ok(held)
    }

    /// What says that a lease is this runner's still: job, server and attempt.
    fn held<'a>(&'a self, lease: &'a Lease) -> [Value<'a>; 3] {
        [(&lease.id).into(), self.store.server_ref().into(), i64::from(lease.attempt).into()]
    }

    /// Writes down how it went, unless the lease was lost meanwhile: then it is for the other to say.
    async fn finish(&self, lease: &Lease, outcome: Result<Next, JobError>) -> Result<(), StoreError> {
        let mut tx = self.store.system(&lease.system).await?;
        let [id, server, attempt] = self.held(lease);
        let object = ObjectRef::new("job", lease.id);
        let (held, act) = match outcome {
            Ok(Next::Done) => {
                let held = tx.execute(DONE, &[id, server, attempt]).await?;
                let act = Act::new(Activity::JobComplete, object).detail("kind", lease.kind.clone());
                (held, Some(act))
            }
            Ok(Next::At(when, payload)) => {
                let values = [id, server, when.into(), payload.as_deref().into(), attempt];
                (tx.execute(AGAIN, &values).await?, None)
            }
            Err(error) => {
                tracing::warn!(job = %lease.id, kind = lease.kind, attempt = lease.attempt, %error, "a job failed");
                let reason: String = error.0.chars().take(1_000).collect();
                let wait = Duration::from_seconds(1_i64 << lease.attempt.min(20)).min(MAX_BACKOFF);
                let when = self.store.context().now().plus(wait);
                let held = tx.execute(FAILED, &[id, server, when.into(), (&reason).into(), attempt]).await?;
                let last = lease.attempt >= lease.max_attempts;
                (held, last.then(|| given_up(object, &lease.kind, i64::from(lease.attempt))))
            }
        };
        if held == 0 {
            tracing::warn!(job = %lease.id, kind = lease.kind, "a job was finished after its lease was lost");
            return Ok(());
        }
        match act {
            Some(act) => tx.commit((), act).await.map(crate::Committed::into_inner),
            None => tx.commit_bookkeeping().await,
        }
    }
}

fn given_up(object: ObjectRef, kind: &str, attempts: i64) -> Act {
    Act::failed(Activity::JobFail, object, "attempts-exhausted")
        .detail("kind", kind.to_owned())
        .detail("attempts", attempts)
}

/// A handler that panics has failed; the runner goes on.
async fn guarded(mut job: JobFuture<'_>) -> Result<Next, JobError> {
    use std::{panic::AssertUnwindSafe, task::Poll};
    std::future::poll_fn(|context| {
        let step = AssertUnwindSafe(|| job.as_mut().poll(context));
        std::panic::catch_unwind(step)
            .unwrap_or_else(|_| Poll::Ready(Err(JobError("it panicked".to_owned()))))
    })
    .await
}

/// Shared handlers are handlers.
impl<T: JobHandler> JobHandler for Arc<T> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        (**self).run(lease)
    }
}
