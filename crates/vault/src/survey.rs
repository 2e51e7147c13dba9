//! What a check of the platform sees of what is stored: counts, of every account or of a bounded sample of it.

use base::{AccountId, DataKeyId, Duration, RepositoryId};
use ledger::verify_statement;
use store::{Scoped, Survey, select};

use crate::{
    TargetKind, Vault, VaultError,
    declaration::parse_stored,
    sweep::{due, id_bound},
};

/// Most records and objects of an account whose keys are looked at: the newest.
const SAMPLE: i64 = 500;
/// Keys that are looked at at once.
const AT_ONCE: usize = 16;
/// Most things of a repository that are counted as overdue.
const MOST_OVERDUE: i64 = 1_000;
/// How long after its end a period may be acted on.
const GRACE: Duration = Duration::from_days(2);

const REPOSITORIES: Scoped =
    select!(["id, classification, declaration, holds"] from "repository" where "1 = 1" then "ORDER BY id");
const RECORD_KEYS: Scoped = select!(["key_id"] from "record" where "erasing_at IS NULL" then "ORDER BY repository_id DESC, id DESC LIMIT $2");
const OBJECT_KEYS: Scoped = select!(["key_id"] from "object" where "erasing_at IS NULL" then "ORDER BY repository_id DESC, id DESC LIMIT $2");
const LIVE_KEYS: Scoped = select!(
    ["id"] from "data_key" where
    "wrapped IS NOT NULL AND id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
);
const CERTIFICATE: Scoped = select!(["statement"] from "deletion_certificate" where "object_id = $2");

/// How many were looked at, and how many of those are not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Looked at.
    pub examined: u64,
    /// Not as they should be.
    pub failed: u64,
}

impl Counted {
    fn add(&mut self, is_so: bool) {
        self.examined += 1;
        self.failed += u64::from(!is_so);
    }
}

/// What was seen of repositories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// With a classification of the scheme.
    pub classified: Counted,
    /// With a retention schedule.
    pub scheduled: Counted,
    /// Without anything whose period ended more than two days ago, and that no hold keeps.
    pub timely: Counted,
    /// How much that is, in those that have some; at most 1,000 of a kind and repository are counted.
    pub overdue: u64,
}

impl Vault {
    /// Every repository, and what of it should not be there any more.
    pub async fn survey(&self, survey: &Survey) -> Result<Surveyed, VaultError> {
        let mut all = Surveyed::default();
        let now = self.context().now();
        for account in survey.accounts().await? {
            let mut read = survey.read(account).await?;
            for row in read.rows(REPOSITORIES, &[]).await? {
                all.classified.add(self.scheme().parse(row.text(1)?).is_ok());
                let stored = parse_stored(row.text(2)?).ok();
                all.scheduled.add(stored.is_some());
                // Under a hold nothing is due; what has a hold of its own is left out by the statement.
                let (Some(stored), 0) = (stored, row.count(3)?) else { continue };
                let id: RepositoryId = row.id(0)?;
                let before = id_bound(now.minus(stored.retention.period()).minus(GRACE));
                let mut overdue = 0;
                for kind in [TargetKind::Record, TargetKind::Object] {
                    let values = [(&id).into(), (&[0u8; 16]).into(), (&before).into(), MOST_OVERDUE.into()];
                    let left = read.rows(due(kind), &values).await?;
                    // What is being erased is on its way.
                    let is_left = |row: &&store::Row| row.opt_time(1).is_ok_and(|at| at.is_none());
                    overdue += left.iter().filter(is_left).count() as u64;
                }
                all.timely.add(overdue == 0);
                all.overdue += overdue;
            }
        }
        Ok(all)
    }

    /// Whether the key of what is stored is there and not destroyed: of the newest of each account. `keys` surveys the
    /// keys' realm.
    pub async fn survey_keys(&self, data: &Survey, keys: &Survey) -> Result<Counted, VaultError> {
        let mut all = Counted::default();
        for account in data.accounts().await? {
            let mut read = data.read(account).await?;
            let mut wanted: Vec<DataKeyId> = Vec::new();
            for statement in [RECORD_KEYS, OBJECT_KEYS] {
                let rows = read.rows(statement, &[SAMPLE.into()]).await?;
                wanted.extend(rows.iter().map(|row| row.id(0)).collect::<Result<Vec<_>, _>>()?);
            }
            drop(read);
            let mut read = keys.read(account).await?;
            for some in wanted.chunks(AT_ONCE) {
                let mut values = [store::Value::Blob(&[]); AT_ONCE];
                for (value, id) in values.iter_mut().zip(some) {
                    *value = id.into();
                }
                let rows = read.rows(LIVE_KEYS, &values).await?;
                let live = rows.iter().map(|row| row.id(0)).collect::<Result<Vec<DataKeyId>, _>>()?;
                some.iter().for_each(|id| all.add(live.contains(id)));
            }
        }
        Ok(all)
    }

    /// Whether there is a certificate of something that was erased, and its signature verifies.
    pub async fn survey_certificate(
        &self,
        survey: &Survey,
        account: AccountId,
        erased: &[u8; 16],
    ) -> Result<bool, VaultError> {
        let row = survey.read(account).await?.row(CERTIFICATE, &[erased.into()]).await?;
        let Some(row) = row else { return Ok(false) };
        Ok(verify_statement(self.0.signer.verifier(), row.text(0)?).is_ok())
    }
}
