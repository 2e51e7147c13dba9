//! The retention schedule: a job of each account, begun with its first repository. One run looks at a
//! bounded number of rows, erases what is due, and remembers how far it got; a crash means that a few
//! rows are looked at again.

use std::fmt::Write as _;

use base::{Duration, RepositoryId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{JobError, JobFuture, JobHandler, Lease, Next, Row, Scope, Scoped, select};

use crate::{
    Cause, Decided, Target, TargetKind, Vault, VaultError, declaration::parse_stored, erase::Verdict,
    idempotency::drop_expired, vault::retried,
};

/// The kind of the job.
pub(crate) const KIND: &str = "vault.sweep";
/// It is never given up: attempts start afresh with each run that goes well.
pub(crate) const MAX_ATTEMPTS: u32 = u32::MAX;
/// Most steps of one run.
const MAX_STEPS: usize = 64;

/// Most held things of a kind that a pass counts in a repository.
const HELD_COUNTED: i64 = 1_000;

/// What a run does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// Records and objects whose retention period ended, repository by repository.
    Retention,
    /// Deleted records and objects whose window of restoring ended.
    Deleted,
    /// Answers whose idempotency keys expired.
    Answers,
    /// Uploads that a crash left.
    Uploads,
    /// Blobs without a row.
    Orphans,
}

/// How far the schedule got. Absent members: at the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    #[serde(default = "start")]
    stage: Stage,
    #[serde(default = "records")]
    kind: TargetKind,
    /// The repository in hand.
    #[serde(default)]
    repository: Option<RepositoryId>,
    /// The last id that was looked at, in hexadecimal digits.
    #[serde(default)]
    after: String,
    /// The last deletion that was looked at, in microseconds.
    #[serde(default)]
    deleted: i64,
    /// Which of the shards of blobs is looked at in this pass.
    #[serde(default)]
    shard: u8,
}

const fn start() -> Stage {
    Stage::Retention
}
const fn records() -> TargetKind {
    TargetKind::Record
}

const NEXT_REPOSITORY: Scoped =
    select!(["id, declaration, holds"] from "repository" where "id > $2" then "ORDER BY id LIMIT 1");
const THIS_REPOSITORY: Scoped = select!(["id, declaration, holds"] from "repository" where "id = $2");

/// Ids are in order of creation: what is due stands before a bound, at the front of the primary key.
/// What a hold of its own keeps is not due.
pub(crate) const fn due(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => select!(
            ["id, erasing_at"] from "record" where "repository_id = $2 AND id > $3 AND id < $4 AND holds = 0"
            then "ORDER BY id LIMIT $5"
        ),
        TargetKind::Object => select!(
            ["id, erasing_at"] from "object" where "repository_id = $2 AND id > $3 AND id < $4 AND holds = 0"
            then "ORDER BY id LIMIT $5"
        ),
    }
}

/// What was deleted long enough ago, and neither a hold of its own nor one on its repository keeps.
pub(crate) const fn deleted(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => select!(
            ["x.id, x.erasing_at, x.repository_id, x.deleted_at"]
            from "record x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id" on "x"
            where "x.deleted_at IS NOT NULL AND x.deleted_at >= $3 AND x.deleted_at <= $2 AND (x.deleted_at > $3 OR x.id > $4) AND x.holds = 0 AND p.holds = 0"
            then "ORDER BY x.deleted_at, x.id LIMIT $5"
        ),
        TargetKind::Object => select!(
            ["x.id, x.erasing_at, x.repository_id, x.deleted_at"]
            from "object x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id" on "x"
            where "x.deleted_at IS NOT NULL AND x.deleted_at >= $3 AND x.deleted_at <= $2 AND (x.deleted_at > $3 OR x.id > $4) AND x.holds = 0 AND p.holds = 0"
            then "ORDER BY x.deleted_at, x.id LIMIT $5"
        ),
    }
}

/// What would be due if no hold kept it: its own, or with `$4` above 0 one on the repository.
const fn held(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => select!(
            ["id"] from "record" where "repository_id = $2 AND id < $3 AND holds + $4 > 0 AND erasing_at IS NULL"
            then "ORDER BY id LIMIT $5"
        ),
        TargetKind::Object => select!(
            ["id"] from "object" where "repository_id = $2 AND id < $3 AND holds + $4 > 0 AND erasing_at IS NULL"
            then "ORDER BY id LIMIT $5"
        ),
    }
}

const EXPIRED: Scoped =
    select!(["digest"] from "idempotency" where "expires_at <= $2" then "ORDER BY expires_at LIMIT $3");

/// Runs the schedule of one account.
pub(crate) struct SweepJob {
    vault: Vault,
}

impl SweepJob {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    async fn sweep(&self, lease: &Lease) -> Result<Next, VaultError> {
        let scope = lease.scope().ok_or(VaultError::Shape("an account"))?;
        let mut progress: Progress =
            serde_json::from_str(lease.payload()).map_err(|_| VaultError::Shape("a sweep's progress"))?;
        for _ in 0..MAX_STEPS {
            let worked = match progress.stage {
                Stage::Retention => self.vault.sweep_due(scope, &mut progress).await?,
                Stage::Deleted => self.vault.sweep_deleted(scope, &mut progress).await?,
                Stage::Answers => self.vault.sweep_answers(scope, &mut progress).await?,
                Stage::Uploads => {
                    let worked = self.vault.sweep_uploads(scope).await?;
                    if !worked {
                        progress.go_to(Stage::Orphans);
                    }
                    worked
                }
                Stage::Orphans => {
                    self.vault.sweep_orphans(scope, progress.shard).await?;
                    let shard = progress.shard.wrapping_add(1) % crate::blob::SHARDS;
                    let again = Progress { stage: Stage::Retention, shard, ..progress.begun() };
                    return self.vault.sweep_again(&again, self.vault.config().sweep_interval);
                }
            };
            if worked {
                break; // others' turn
            }
        }
        self.vault.sweep_again(&progress, Duration::from_micros(0))
    }
}

impl JobHandler for SweepJob {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move { self.sweep(lease).await.map_err(|error| JobError(error.to_string())) })
    }
}

impl Progress {
    /// At the beginning of the same stage.
    fn begun(&self) -> Self {
        Self { kind: records(), repository: None, after: String::new(), deleted: 0, ..self.clone() }
    }
    fn go_to(&mut self, stage: Stage) {
        *self = Self { stage, ..self.begun() };
    }
    /// The next kind of thing in the same place, if there is one.
    fn next_kind(&mut self) -> bool {
        let more = self.kind == TargetKind::Record;
        self.kind = if more { TargetKind::Object } else { TargetKind::Record };
        self.after = String::new();
        self.deleted = 0;
        more
    }
    fn after(&self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        for (byte, pair) in bytes.iter_mut().zip(self.after.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(pair).unwrap_or("0");
            *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
        }
        bytes
    }
    fn set_after(&mut self, id: &[u8]) {
        self.after = id.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        });
    }
}

impl Vault {
    fn sweep_again(&self, progress: &Progress, wait: Duration) -> Result<Next, VaultError> {
        let payload = serde_json::to_string(progress).map_err(|_| VaultError::Shape("a sweep's progress"))?;
        Ok(Next::At(self.context().now().plus(wait), Some(payload)))
    }

    /// Erases one batch of what is due in the repository in hand; whether there was any.
    async fn sweep_due(&self, scope: &Scope, progress: &mut Progress) -> Result<bool, VaultError> {
        let mut read = self.store().read(scope).await?;
        let in_hand = match progress.repository {
            Some(id) => read.row(THIS_REPOSITORY, &[(&id).into()]).await?,
            None => read.row(NEXT_REPOSITORY, &[(&[0u8; 16]).into()]).await?,
        };
        let Some(row) = in_hand else {
            progress.go_to(Stage::Deleted);
            return Ok(false);
        };
        let repository: RepositoryId = row.id(0)?;
        progress.repository = Some(repository);
        let period = parse_stored(row.text(1)?)?.retention.period();
        let before = id_bound(self.context().now().minus(period));
        let after = progress.after();
        let limit = self.batch_limit();
        let all_held = row.count(2)? > 0;
        let values = [(&repository).into(), (&after).into(), (&before).into(), (limit as i64).into()];
        // Under a hold on the repository nothing is due: it is not looked at row by row, hour by hour.
        let rows = if all_held { Vec::new() } else { read.rows(due(progress.kind), &values).await? };
        let next = read.row(NEXT_REPOSITORY, &[(&repository).into()]).await?;
        drop(read);
        let targets = read_targets(progress.kind, &rows, Some(repository))?;
        if let Some(last) = rows.last() {
            progress.set_after(last.blob(0)?);
        }
        let ended = rows.len() < limit && !progress.next_kind();
        if ended {
            match next {
                Some(row) => progress.repository = Some(row.id(0)?),
                None => progress.go_to(Stage::Deleted),
            }
        }
        let worked = self.sweep_erase(scope, &targets, Cause::Retention).await?;
        if ended {
            self.note_held(scope, repository, &before, all_held).await?;
        }
        Ok(worked)
    }

    /// One event for each repository and pass says how much holds keep beyond its period.
    async fn note_held(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        before: &[u8; 16],
        all_held: bool,
    ) -> Result<(), VaultError> {
        let mut read = self.store().read(scope).await?;
        let mut count = 0;
        for kind in [TargetKind::Record, TargetKind::Object] {
            let all = i64::from(all_held);
            let values = [(&repository).into(), before.into(), all.into(), HELD_COUNTED.into()];
            count += read.rows(held(kind), &values).await?.len();
        }
        drop(read);
        if count == 0 {
            return Ok(());
        }
        let object =
            ObjectRef::new("repository", repository).in_account(scope.account()).in_repository(repository);
        let act = Act::refused(Activity::RetentionAct, object, "legal-hold", Some("DD-1"))
            .detail("cause", Cause::Retention.as_str())
            .detail("held_at_least", count);
        self.store().record(scope, act).await?;
        Ok(())
    }

    /// Erases one batch of what was deleted long enough ago; whether there was any.
    async fn sweep_deleted(&self, scope: &Scope, progress: &mut Progress) -> Result<bool, VaultError> {
        let limit = self.batch_limit();
        let bound = self.context().now().minus(self.restore_window());
        let after = progress.after();
        let values = [bound.into(), progress.deleted.into(), (&after).into(), (limit as i64).into()];
        let rows = self.store().read(scope).await?.rows(deleted(progress.kind), &values).await?;
        let targets = read_targets(progress.kind, &rows, None)?;
        if let Some(last) = rows.last() {
            progress.set_after(last.blob(0)?);
            progress.deleted = last.int(3)?;
        }
        if rows.len() < limit && !progress.next_kind() {
            progress.go_to(Stage::Answers);
        }
        // A decision is about one repository at a time.
        let mut worked = false;
        let mut rest = targets.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|one| one.repository() == first.repository()).count();
            let (now, later) = rest.split_at(same);
            worked |= self.sweep_erase(scope, now, Cause::Deleted).await?;
            rest = later;
        }
        Ok(worked)
    }

    async fn sweep_erase(&self, scope: &Scope, targets: &[Target], cause: Cause) -> Result<bool, VaultError> {
        let decided = Decided::default();
        let verdicts = retried(|_| self.mark(scope, targets, (cause, None), &decided)).await?;
        let marked: Vec<Target> = targets
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| matches!(verdict, Verdict::Erase))
            .map(|(target, _)| *target)
            .collect();
        if marked.is_empty() {
            return Ok(false);
        }
        store::crash_point("vault.sweep-marked"); // a crash here: the job of the erasure finishes it
        let _done = self.finish(scope, &marked, &decided).await?;
        Ok(true)
    }

    /// Forgets answers whose keys expired. No act of anybody's is lost: the events stay.
    async fn sweep_answers(&self, scope: &Scope, progress: &mut Progress) -> Result<bool, VaultError> {
        let now = self.context().now();
        let limit = self.batch_limit();
        let rows =
            self.store().read(scope).await?.rows(EXPIRED, &[now.into(), (limit as i64).into()]).await?;
        if rows.len() < limit {
            progress.go_to(Stage::Uploads);
        }
        if rows.is_empty() {
            return Ok(false);
        }
        let mut tx = self.store().begin(scope).await?;
        for row in &rows {
            drop_expired(&mut tx, row.blob(0)?, now).await?;
        }
        let object = ObjectRef::new("account", scope.account()).in_account(scope.account());
        let act = Act::new(Activity::RetentionAct, object)
            .detail("what", "idempotency answers")
            .detail("count", rows.len());
        tx.commit((), act).await?.into_inner();
        Ok(true)
    }

    fn batch_limit(&self) -> usize {
        self.config().sweep_batch.clamp(1, 500)
    }
}

/// Ids of that instant and later are not below it (RFC 9562 5.7: the first 48 bits are milliseconds).
/// A millisecond more, so that what is due within it is looked at; the decision looks at the row.
pub(crate) fn id_bound(instant: Timestamp) -> [u8; 16] {
    let millis = (instant.micros().max(0) / 1_000).saturating_add(1).to_be_bytes();
    let mut bound = [0u8; 16];
    bound.iter_mut().zip(millis.iter().skip(2)).for_each(|(to, from)| *to = *from);
    bound
}

fn read_targets(
    kind: TargetKind,
    rows: &[Row],
    repository: Option<RepositoryId>,
) -> Result<Vec<Target>, VaultError> {
    let mut targets = Vec::with_capacity(rows.len());
    for row in rows {
        if row.opt_time(1)?.is_some() {
            continue; // its job finishes it
        }
        let id = row.blob(0)?.try_into().map_err(|_| VaultError::Shape("an id of 16 bytes"))?;
        let repository = match repository {
            Some(repository) => repository,
            None => row.id(2)?,
        };
        targets.push(kind.of(repository, id));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_its_json() {
        let mut progress: Progress = serde_json::from_str("{}").unwrap();
        assert_eq!(
            (progress.stage, progress.kind, progress.after()),
            (Stage::Retention, TargetKind::Record, [0; 16])
        );
        progress.set_after(&[0xab; 16]);
        let text = serde_json::to_string(&progress).unwrap();
        let again: Progress = serde_json::from_str(&text).unwrap();
        assert_eq!(again.after(), [0xab; 16]);
        assert!(progress.next_kind() && !progress.next_kind());
        assert_eq!(progress.after(), [0; 16]);
    }

    #[test]
    fn ids_of_an_instant_are_within_its_bound() {
        let bound = id_bound(Timestamp::from_micros(1_234_567));
        assert_eq!(bound[..6], [0, 0, 0, 0, 0x04, 0xd3]);
        assert_eq!(bound[6..], [0; 10]);
    }
}
