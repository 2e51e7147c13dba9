//! Forgetting what no longer matters: revocations of tokens that have ended, assertions that have ended, and
//! links that were never used. A job, so that it is never in the way of a request.

use base::{Duration, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{JobFuture, JobHandler, Lease, NewJob, Next, Store, platform};

use crate::{Access, claims::CLOCK_SKEW};

const KIND: &str = "access.sweep";
const INTERVAL: Duration = Duration::from_seconds(30 * 60);
/// How much longer than they matter rows are kept, for a server whose clock is behind this one's: it
/// would take what has ended here for good, and find no revocation or earlier use.
const KEPT_LONGER: Duration = Duration::from_seconds(2 * 60);

/// The job that sweeps half an hour from now; if one waits already, nothing.
pub(crate) fn job(now: Timestamp) -> NewJob {
    NewJob {
        kind: KIND,
        payload: "{}".to_owned(),
        run_at: now + INTERVAL,
        dedupe: Some(KIND.to_owned()),
        max_attempts: 10,
    }
}

struct Sweep(Store);

impl Access {
    /// The handlers of this crate's jobs, for the job runner.
    pub fn job_handlers(&self) -> Vec<Box<dyn JobHandler>> {
        vec![Box::new(Sweep(self.0.store.clone()))]
    }
}

impl JobHandler for Sweep {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move {
            let scope = lease.system();
            let ended = scope.now().minus(CLOCK_SKEW).minus(KEPT_LONGER);
            let mut tx = self.0.system(scope).await?;
            let mut removed = 0;
            for statement in [
                platform!("DELETE FROM token_revocation WHERE expires_at < $1"),
                platform!("DELETE FROM assertion_use WHERE expires_at < $1"),
                platform!("DELETE FROM console_session WHERE ends_at < $1"),
                platform!("DELETE FROM enrolment_link WHERE expires_at < $1 AND used_at IS NULL"),
            ] {
                removed += tx.execute(statement, &[ended.into()]).await?;
            }
            if removed > 0 {
                let act = Act::new(Activity::JobComplete, ObjectRef::new("job", lease.id()));
                let _removed = tx.commit((), act.detail("kind", KIND).detail("removed", removed)).await?;
            }
            Ok(Next::Done)
        })
    }
}
