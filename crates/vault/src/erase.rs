//! Erasing: hold beats retention beats erasure, decided in the transaction that marks the target.
//!
//! 1. One transaction locks the repository, decides, marks the target and asks for a job that will
//!    finish the work. From then on the target is gone for everybody. A crash before its commit: as if
//!    nobody had asked. After it: the job goes on from here.
//! 2. The data key is destroyed, durable in the keys' realm: nothing opens the data any more, not in a
//!    backup either. A crash after it: rows that open nothing, and the job.
//! 3. One transaction deletes the rows and adds the signed certificate (`finish`).
//!
//! A hold that is set after the first transaction does not stop it: the log shows which came first.

use base::{Duration, RepositoryId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Committed, JobError, JobFuture, JobHandler, Lease, NewJob, Next, Scope, Scoped, select, update};

use crate::{
    Certificate, Decided, Target, TargetKind, Vault, VaultError,
    target::{Head, head_of, mark_erasing, parse_target},
    vault::{retried, stale},
};

/// The kind of the job that finishes an erasure.
pub(crate) const KIND: &str = "vault.erase";
/// How long the one who decided has to finish before the job does.
const GRACE: Duration = Duration::from_seconds(60);
/// An erasure never stays half done.
const MAX_ATTEMPTS: u32 = u32::MAX;
/// An erasure's order, by its kind and an id in it. The job goes when the rows are gone.
const ORDER: Scoped = select!(["payload"] from "job" where "kind = $2 AND payload LIKE $3" then "LIMIT 1");
/// Makes decisions about a repository's contents, and holds on it, wait for each other.
const LOCK: Scoped = update!("repository" set "holds = holds" where "id = $2");

/// Why something is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Somebody asked for it.
    Request,
    /// Its retention period ended.
    Retention,
    /// It was deleted, and the window of restoring ended.
    Deleted,
}

impl Cause {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Retention => "retention",
            Self::Deleted => "deleted",
        }
    }
}

/// What came of a decision.
#[derive(Debug)]
pub(crate) enum Verdict {
    Erase,
    /// Not now, for this reason.
    Keep(VaultError),
    /// Not there, or decided before.
    Gone,
}

/// What the job that finishes an erasure is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) repository: RepositoryId,
    pub(crate) kind: TargetKind,
    pub(crate) ids: Vec<String>,
    pub(crate) cause: Cause,
}

/// Whether a target may be erased now: hold, then retention, then erasure.
pub(crate) fn decide(head: &Head, cause: Cause, now: Timestamp, restore_window: Duration) -> Verdict {
    if head.erasing_at.is_some() {
        return Verdict::Gone;
    }
    if head.held() {
        return Verdict::Keep(VaultError::Held);
    }
    let until = head.retained_until();
    let basis = head.retention.basis;
    let retained = now < until && (cause == Cause::Retention || !basis.permits_early_erasure());
    if retained {
        return Verdict::Keep(VaultError::Retained { basis: basis.as_str(), until });
    }
    let window_open = head.deleted_at.is_none_or(|deleted| now < deleted.plus(restore_window));
    // Not deleted after all, or restored meanwhile.
    if cause == Cause::Deleted && window_open { Verdict::Gone } else { Verdict::Erase }
}

impl Vault {
    /// Erases a record or an object, all versions of it, for good: destroys its key, deletes its rows
    /// and blobs, and signs a certificate. Erasing what was erased before gives its certificate again;
    /// an erasure that was decided before and not finished is finished now. `expected` is the version that
    /// the caller read, if it must still be that one when this is decided.
    ///
    /// # Errors
    /// [`VaultError::Changed`]; [`VaultError::Held`] under a legal hold (DD-1); [`VaultError::Retained`] before the end of a
    /// retention period by law or contract (AR-2); [`VaultError::NotFound`]. An error of the store or
    /// the keys after the decision leaves the rest to a job.
    pub async fn erase(
        &self,
        scope: &Scope,
        target: Target,
        expected: Option<u64>,
        decided: &Decided,
    ) -> Result<Committed<Certificate>, VaultError> {
        let activity = target.activity(Activity::RecordErase, Activity::ObjectErase);
        let outcome = self.erase_target(scope, target, expected, decided).await;
        self.noted(scope, decided, activity, target.object_ref(scope), outcome).await
    }

    async fn erase_target(
        &self,
        scope: &Scope,
        target: Target,
        expected: Option<u64>,
        decided: &Decided,
    ) -> Result<Committed<Certificate>, VaultError> {
        let targets = [target];
        let verdicts = retried(|_| self.mark(scope, &targets, Cause::Request, expected, decided)).await?;
        match verdicts.into_iter().next() {
            Some(Verdict::Keep(reason)) => return Err(reason),
            // Decided before, and perhaps not finished: that is done now.
            Some(Verdict::Gone) | None => {
                let cause = self.ordered(scope, &target).await?;
                return self.finish_target(scope, target, cause, decided).await;
            }
            Some(Verdict::Erase) => {}
        }
        store::crash_point("vault.erase-marked"); // a crash here: the job destroys the key and goes on
        self.finish_target(scope, target, Cause::Request, decided).await
    }

    async fn finish_target(
        &self,
        scope: &Scope,
        target: Target,
        cause: Cause,
        decided: &Decided,
    ) -> Result<Committed<Certificate>, VaultError> {
        match self.finish(scope, &[target], cause, decided).await? {
            Some(done) => {
                let certificate = self.certificate_now(scope, &target).await?;
                let certificate = certificate.ok_or(VaultError::Shape("a certificate"))?;
                Ok(done.map(|_| certificate))
            }
            // Somebody was faster.
            None => self.erased_before(scope, target, decided).await,
        }
    }

    /// Why an erasure that is under way was decided: what its job was told.
    async fn ordered(&self, scope: &Scope, target: &Target) -> Result<Cause, VaultError> {
        let pattern = format!("%\"{}\"%", target.id_text());
        let row = self.store().read(scope).await?.row(ORDER, &[KIND.into(), (&pattern).into()]).await?;
        let Some(row) = row else { return Ok(Cause::Request) };
        let order: Order = serde_json::from_str(row.text(0)?).map_err(|_| VaultError::Shape("an order"))?;
        Ok(order.cause)
    }

    async fn erased_before(
        &self,
        scope: &Scope,
        target: Target,
        decided: &Decided,
    ) -> Result<Committed<Certificate>, VaultError> {
        // In one transaction: whoever erased it may still be on the way to the disk.
        let mut tx = self.store().begin(scope).await?;
        let certificate = self.certificate_in(&mut tx, &target).await?.ok_or_else(|| target.absent())?;
        let act = Act::new(Activity::IdempotencyReplay, target.object_ref(scope))
            .decided_by(decided.policies.clone())
            .detail("certificate", certificate.id);
        Ok(tx.commit(certificate, act).await?)
    }

    /// Decides about targets of one kind and one repository, marks those that are to be erased, and
    /// asks for the job that finishes them, all in one transaction.
    pub(crate) async fn mark(
        &self,
        scope: &Scope,
        targets: &[Target],
        cause: Cause,
        expected: Option<u64>,
        decided: &Decided,
    ) -> Result<Vec<Verdict>, VaultError> {
        let Some(first) = targets.first() else { return Ok(Vec::new()) };
        let (repository, kind) = (first.repository(), first.kind());
        let now = self.context().now();
        let mut tx = self.store().begin(scope).await?;
        tx.execute(LOCK, &[(&repository).into()]).await?;
        let mut verdicts = Vec::with_capacity(targets.len());
        let (mut acts, mut ids, mut held) = (Vec::new(), Vec::new(), 0u64);
        for target in targets {
            let row = tx.row(head_of(kind), &[(&repository).into(), target.id().into()]).await?;
            let Some(head) = row.map(|row| self.parse_head(kind, &row)).transpose()? else {
                verdicts.push(Verdict::Gone);
                continue;
            };
            // Writes keep the repository's row, which is locked here: no version is on its way.
            let current = head.version;
            let verdict = match expected {
                Some(expected) if expected != current && head.erasing_at.is_none() => {
                    Verdict::Keep(VaultError::Changed { current })
                }
                _ => decide(&head, cause, now, self.restore_window()),
            };
            if matches!(verdict, Verdict::Erase) {
                let deleted_at = head.deleted_at.map_or(-1, Timestamp::micros);
                let values = [(&repository).into(), target.id().into(), now.into(), deleted_at.into()];
                if tx.execute(mark_erasing(kind), &values).await? != 1 {
                    return Err(stale());
                }
                ids.push(target.id_text());
                acts.push(start_act(scope, target, &head, cause, decided));
            }
            held = held.saturating_add(u64::from(matches!(verdict, Verdict::Keep(VaultError::Held))));
            verdicts.push(verdict);
        }
        if cause != Cause::Request && held > 0 {
            acts.push(held_act(scope, repository, cause, held));
        }
        if acts.is_empty() {
            return Ok(verdicts);
        }
        if let Some(first) = ids.first() {
            let dedupe = Some(format!("{KIND}:{first}"));
            let order = Order { repository, kind, ids, cause };
            let payload = serde_json::to_string(&order).map_err(|_| VaultError::Shape("an order"))?;
            let run_at = now.plus(GRACE);
            tx.enqueue(NewJob { kind: KIND, payload, run_at, dedupe, max_attempts: MAX_ATTEMPTS }).await?;
        }
        tx.commit_all((), acts).await?.into_inner();
        Ok(verdicts)
    }
}

fn start_act(scope: &Scope, target: &Target, head: &Head, cause: Cause, decided: &Decided) -> Act {
    let activity = target.activity(Activity::RecordEraseStart, Activity::ObjectEraseStart);
    Act::new(activity, target.object_ref(scope).classified(head.effective.name()))
        .before(head.commitment)
        .key(head.key, "erase")
        .decided_by(decided.policies.clone())
        .detail("cause", cause.as_str())
        .detail("retained_until", head.retained_until())
        .detail("retention_basis", head.retention.basis.as_str())
}

/// The schedule meets holds again at each of its runs: one event says how many.
fn held_act(scope: &Scope, repository: RepositoryId, cause: Cause, held: u64) -> Act {
    let object =
        ObjectRef::new("repository", repository).in_account(scope.account()).in_repository(repository);
    Act::refused(Activity::RetentionAct, object, "legal-hold", Some("DD-1"))
        .detail("cause", cause.as_str())
        .detail("held", held)
}

/// Finishes erasures that whoever decided them did not.
pub(crate) struct EraseJob {
    vault: Vault,
}

impl EraseJob {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    async fn finish(&self, lease: &Lease) -> Result<Next, VaultError> {
        let order: Order =
            serde_json::from_str(lease.payload()).map_err(|_| VaultError::Shape("an order"))?;
        let scope = lease.scope().ok_or(VaultError::Shape("an account"))?;
        let repository = order.repository.to_string();
        let targets: Vec<Target> =
            order.ids.iter().filter_map(|id| parse_target(order.kind, &repository, id)).collect();
        let finished = self.vault.finish(scope, &targets, order.cause, &Decided::default()).await?;
        let _done = finished;
        Ok(Next::Done)
    }
}

impl JobHandler for EraseJob {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move { self.finish(lease).await.map_err(|error| JobError(error.to_string())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Basis, Retention};
    use base::{DataKeyId, Scheme};
    use ledger::Commitment;

    const DAY: Duration = Duration::from_days(1);
    const WINDOW: Duration = Duration::from_days(30);

    fn head(basis: Basis, deleted_day: Option<i64>, holds: (u64, u64)) -> Head {
        let text = || "x".to_owned();
        let retention =
            Retention { period_days: 100, basis, reason: text(), data_type: text(), media: text() };
        Head {
            label: "internal".into(),
            effective: Scheme::default().parse("internal").unwrap(),
            key: DataKeyId::from_bytes([1; 16]),
            version: 1,
            created_at: Timestamp::from_seconds(0),
            deleted_at: deleted_day.map(|day| Timestamp::from_micros(DAY.micros() * day)),
            erasing_at: None,
            holds: holds.0,
            repository_holds: holds.1,
            commitment: Commitment::from_bytes([0; 32]),
            retention,
            bytes: 1,
            terms: Vec::new(),
            blob: None,
        }
    }

    /// Hold beats retention beats erasure: every combination.
    #[test]
    fn the_matrix() {
        for basis in [Basis::Law, Basis::Contract, Basis::Business] {
            for cause in [Cause::Request, Cause::Retention, Cause::Deleted] {
                for day in [1, 40, 99, 100, 200] {
                    for deleted in [None, Some(0), Some(90)] {
                        let now = Timestamp::from_micros(DAY.micros() * day);
                        for holds in [(1, 0), (0, 1), (2, 3)] {
                            let verdict = decide(&head(basis, deleted, holds), cause, now, WINDOW);
                            assert!(matches!(verdict, Verdict::Keep(VaultError::Held)));
                        }
                        let verdict = decide(&head(basis, deleted, (0, 0)), cause, now, WINDOW);
                        let ended = day >= 100;
                        let expected = match cause {
                            Cause::Retention => {
                                if ended {
                                    "erase"
                                } else {
                                    "retained"
                                }
                            }
                            _ if !ended && basis != Basis::Business => "retained",
                            Cause::Request => "erase",
                            Cause::Deleted => match deleted {
                                Some(on) if day >= on + 30 => "erase",
                                _ => "gone",
                            },
                        };
                        let got = match verdict {
                            Verdict::Erase => "erase",
                            Verdict::Gone => "gone",
                            Verdict::Keep(VaultError::Retained { .. }) => "retained",
                            Verdict::Keep(_) => "other",
                        };
                        assert_eq!(got, expected, "{basis:?} {cause:?} day {day} deleted {deleted:?}");
                    }
                }
            }
        }
    }
}
