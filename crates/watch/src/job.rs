//! The job that makes the checks that are due, on one server at a time. A probe that can't tell, or takes too long, is
//! recorded as not having been able to tell; one that is not there is a check that nobody makes, and grows stale.

use std::{
    collections::BTreeSet,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

use access::{Action, Principal, Resource};
use base::{Duration, JobId};
use ledger::{Act, Activity, ObjectRef};
use policy::{CheckKind, Seen};
use serde::{Deserialize, Serialize};
use store::{Committed, JobError, JobFuture, JobHandler, Lease, NewJob, Next, StoreError, SystemScope};

use crate::{MAX_TEXT_CHARS, Watch, WatchError};

const KIND: &str = "watch.checks";
/// How often it is looked whether a check is due.
const EVERY: Duration = Duration::from_seconds(60);
/// How long after a start the first ones are made.
const FIRST: Duration = Duration::from_seconds(2);
/// How soon one that could not tell is made again.
const SOON: Duration = Duration::from_seconds(120);
/// How long a probe may take.
const LONGEST: Duration = Duration::from_seconds(60);
const MAX_ATTEMPTS: u32 = 5;

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether it is so.
    pub seen: Seen,
    /// How many things were looked at.
    pub examined: u64,
    /// How many of them were not so.
    pub failed: u64,
    /// In words: no personal data, no secrets.
    pub summary: String,
}

impl Sight {
    /// Of so many things that were looked at, so many are not so: it is so if those are none.
    pub fn counted(examined: u64, failed: u64, summary: impl Into<String>) -> Self {
        let seen = if failed == 0 { Seen::Pass } else { Seen::Fail };
        Self { seen, examined, failed, summary: bounded(&summary.into()) }
    }
    /// One thing, which is so or not.
    pub fn whether(is_so: bool, summary: impl Into<String>) -> Self {
        Self::counted(1, u64::from(!is_so), summary)
    }
    /// Nobody could tell.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { seen: Seen::Unknown, examined: 0, failed: 0, summary: bounded(&why.into()) }
    }
}

/// As a line of an event.
fn bounded(text: &str) -> String {
    let plain: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    if plain.chars().count() <= MAX_TEXT_CHARS {
        return plain;
    }
    plain.chars().take(MAX_TEXT_CHARS - 1).chain(['…']).collect()
}

/// What a probe returns.
pub type LookFuture<'a> = Pin<Box<dyn Future<Output = Sight> + Send + 'a>>;

/// Makes a check.
pub trait Probe: Send + Sync {
    /// Which.
    fn check(&self) -> &'static str;
    /// Looks.
    fn look<'a>(&'a self, scope: &'a SystemScope) -> LookFuture<'a>;
}

/// Those that were asked for; empty: those that are due, by the clock.
#[derive(Serialize, Deserialize)]
struct Order {
    checks: Vec<String>,
}

/// Does that job.
pub struct ChecksJob {
    watch: Watch,
    probes: Vec<Box<dyn Probe>>,
    longest: Duration,
}

impl ChecksJob {
    /// With those probes, in whose order they look.
    pub fn new(watch: Watch, probes: Vec<Box<dyn Probe>>) -> Self {
        Self { watch, probes, longest: LONGEST }
    }

    /// Gives a probe that long, instead of a minute.
    #[must_use]
    pub fn giving(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Makes sure that it is done by the clock.
    pub async fn schedule(&self, scope: &SystemScope) -> Result<(), WatchError> {
        let store = self.watch.store();
        let mut tx = store.system(scope).await?;
        let job = NewJob {
            kind: KIND,
            payload: payload(&[])?,
            run_at: self.watch.now().plus(FIRST),
            dedupe: Some("by the clock".to_owned()),
            max_attempts: MAX_ATTEMPTS,
        };
        let Some(job) = tx.enqueue(job).await? else { return Ok(()) };
        let act = Act::new(Activity::EvidenceAsk, ObjectRef::new("check", "-")).detail("job", job);
        tx.commit((), act).await?.into_inner();
        Ok(())
    }

    async fn run_due(&self, lease: &Lease) -> Result<Next, WatchError> {
        let order: Order = serde_json::from_str(lease.payload())
            .map_err(|_| WatchError::Store(StoreError::Shape("an order")))?;
        let is_asked = !order.checks.is_empty();
        let mut failed = None;
        for probe in &self.probes {
            let due = if is_asked {
                order.checks.iter().any(|check| check == probe.check())
            } else {
                self.is_due(lease.system(), probe.check()).await?
            };
            if !due {
                continue;
            }
            // What can't be recorded grows stale; it keeps no other check from being made.
            if let Err(error) = self.make(lease.system(), probe.as_ref()).await {
                tracing::error!(check = probe.check(), %error, "an observation can't be recorded");
                failed = Some(error);
            }
        }
        match failed {
            Some(error) if is_asked => Err(error),
            _ if is_asked => Ok(Next::Done),
            _ => Ok(Next::At(self.watch.now().plus(EVERY), None)),
        }
    }

    /// Whether it was not made for as long as it may be.
    async fn is_due(&self, scope: &SystemScope, id: &str) -> Result<bool, WatchError> {
        let Some(check) = self.watch.registry().check(id) else { return Ok(false) };
        let now = self.watch.now();
        let mut read = self.watch.store().system_read(scope).await?;
        let latest = self.watch.newest(&mut read, id, now).await?;
        // One that could not tell is asked again soon.
        let again = |one: &policy::Observation, after: Duration| now >= one.received.plus(after);
        let definite = latest.definite.as_ref().is_none_or(|one| again(one, check.every));
        let unknown = latest.unknown.as_ref().is_none_or(|one| again(one, SOON.min(check.every)));
        Ok(definite && unknown)
    }

    async fn make(&self, scope: &SystemScope, probe: &dyn Probe) -> Result<(), WatchError> {
        let looked = tokio::time::timeout(self.longest.into(), guarded(probe, scope)).await;
        let sight = looked.unwrap_or_else(|_| {
            Sight::unknown(format!("it took more than {} seconds", self.longest.seconds()))
        });
        match sight.seen {
            Seen::Pass => tracing::debug!(check = probe.check(), "a check passed"),
            // A finding, not a fault of the server: it says so in the log, as an event of high severity.
            Seen::Fail => tracing::warn!(check = probe.check(), summary = %sight.summary, "a check failed"),
            Seen::Unknown => {
                tracing::warn!(check = probe.check(), summary = %sight.summary, "a check could not tell");
            }
        }
        self.watch.observe(scope, probe.check(), &sight).await?.into_inner();
        Ok(())
    }
}

/// A probe that panics could not tell; the others look all the same.
async fn guarded(probe: &dyn Probe, scope: &SystemScope) -> Sight {
    let panicked = || Sight::unknown("it panicked");
    let Ok(mut look) = catch_unwind(AssertUnwindSafe(|| probe.look(scope))) else { return panicked() };
    std::future::poll_fn(|context| {
        let step = catch_unwind(AssertUnwindSafe(|| look.as_mut().poll(context)));
        step.unwrap_or_else(|_| Poll::Ready(panicked()))
    })
    .await
}

fn payload(checks: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(&Order { checks: checks.to_vec() }).map_err(|_| StoreError::Shape("an order"))
}

impl JobHandler for ChecksJob {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move { self.run_due(lease).await.map_err(|error| JobError(error.to_string())) })
    }
}

impl Watch {
    /// Asks for checks to be made now: those that are named, or every one that Tenet makes. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`] of one that is none; [`WatchError::Invalid`] of one that a person makes.
    pub async fn ask(&self, by: &Principal, checks: &[String]) -> Result<Committed<JobId>, WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::EvidenceAsk, &Resource::new()).await?;
        let made = |kind| kind != CheckKind::Manual;
        let all =
            self.0.registry.checks().filter(|(_, check)| made(check.kind)).map(|(_, check)| check.id.clone());
        // Each once: an order is no longer than the registry.
        let checks: BTreeSet<String> =
            if checks.is_empty() { all.collect() } else { checks.iter().cloned().collect() };
        let checks: Vec<String> = checks.into_iter().collect();
        let wrong = checks.iter().find_map(|id| match self.0.registry.check(id) {
            None => Some(WatchError::NotFound("check")),
            Some(check) if !made(check.kind) => {
                let reason = "it is a check that a person makes: attest it";
                Some(WatchError::Invalid { field: "checks", reason })
            }
            Some(_) => None,
        });
        // An order without checks would be one by the clock.
        let wrong = wrong.or_else(|| checks.is_empty().then_some(WatchError::NotFound("check")));
        if let Some(error) = wrong {
            let reason = base::Fault::code(&error);
            let act = Act::refused(Activity::EvidenceAsk, ObjectRef::new("check", "-"), reason, None);
            self.0.store.record_system(scope, act).await?;
            return Err(error);
        }
        let job = NewJob {
            kind: KIND,
            payload: payload(&checks)?,
            run_at: self.now(),
            dedupe: None,
            max_attempts: 1,
        };
        let mut tx = self.0.store.system(scope).await?;
        let job = tx.enqueue(job).await?.ok_or(WatchError::Store(StoreError::Shape("a job's id")))?;
        let act = Act::new(Activity::EvidenceAsk, ObjectRef::new("check", "-"))
            .decided_by(decision.policies())
            .detail("job", job)
            .detail("count", checks.len());
        Ok(tx.commit(job, act).await?)
    }
}
