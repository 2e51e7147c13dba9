//! What an operator may see of an account's repositories: how each is classified, how long it keeps, and how much is in it.
//! Never a name, a reason or a schema: the customer chose their words, and those are the customer's data (RR-3).

use base::{AccountId, RepositoryId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{ReadTx, Scoped, Survey, SystemScope, select};

use crate::{Basis, Vault, VaultError, declaration::parse_stored};

/// Most repositories that are looked at at once.
pub const MAX_LOOKED_AT: usize = 100;
/// Most rows that are counted for one look, of all its repositories together.
pub const MAX_COUNTED: i64 = 20_000;

const PAGE: Scoped = select!(
    ["id, classification, declaration, holds, created_at"] from "repository" where "id > $2" then "ORDER BY id LIMIT $3"
);
const RECORDS: Scoped = select!(
    ["bytes, holds"] from "record" where "repository_id = $2 AND erasing_at IS NULL" then "ORDER BY id LIMIT $3"
);
const OBJECTS: Scoped = select!(
    ["bytes, holds"] from "object" where "repository_id = $2 AND erasing_at IS NULL" then "ORDER BY id LIMIT $3"
);
const USAGE: Scoped = select!(["objects, bytes"] from "object_usage" where "1 = 1");

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many, as far as they were counted.
    pub count: u64,
    /// Their bytes before sealing, as far as they were counted.
    pub bytes: u64,
    /// Legal holds on them, as far as they were counted.
    pub holds: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}

/// What is seen of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryLook {
    /// Its id.
    pub id: RepositoryId,
    /// The name of its classification, one of the organisation's own words.
    pub classification: String,
    /// For how many days it keeps, and on what that rests; none of a declaration that can't be read.
    pub retention: Option<(u32, Basis)>,
    /// Whether its records are held against a schema.
    pub has_schema: bool,
    /// Records, those that are deleted and not yet erased too.
    pub records: Amount,
    /// Objects, the same.
    pub objects: Amount,
    /// Legal holds in force on it as a whole.
    pub holds: u64,
    /// When it was made.
    pub created: Timestamp,
}

/// What is seen of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLook {
    /// Repositories in the order in which they were made, at most [`MAX_LOOKED_AT`].
    pub repositories: Vec<RepositoryLook>,
    /// What to give as `after` for the next ones; none at the end.
    pub next: Option<RepositoryId>,
    /// All objects of the account, of every repository.
    pub objects: Amount,
}

impl Vault {
    /// Looks at an account's repositories, those after `after`. The caller has authorized `account.survey`, and names the policies
    /// that allow it. Work is bounded: past [`MAX_COUNTED`] rows it is said that there are more.
    pub async fn account_look(
        &self,
        scope: &SystemScope,
        policies: Vec<String>,
        account: AccountId,
        after: Option<RepositoryId>,
    ) -> Result<AccountLook, VaultError> {
        let look = self.look_within(account, after, MAX_COUNTED).await?;
        let object = ObjectRef::new("account", account).in_account(account);
        let act = Act::new(Activity::AccountSurvey, object)
            .decided_by(policies)
            .detail("count", look.repositories.len());
        self.store().record_system(scope, act).await?;
        Ok(look)
    }

    async fn look_within(
        &self,
        account: AccountId,
        after: Option<RepositoryId>,
        most: i64,
    ) -> Result<AccountLook, VaultError> {
        let mut read = Survey::new(self.store().clone())?.read(account).await?;
        let after = after.unwrap_or(RepositoryId::from_bytes([0; 16]));
        let limit = MAX_LOOKED_AT as i64 + 1;
        let rows = read.rows(PAGE, &[(&after).into(), limit.into()]).await?;
        let mut look = AccountLook::default();
        if let Some(row) = read.row(USAGE, &[]).await? {
            look.objects = Amount { count: row.count(0)?, bytes: row.count(1)?, ..Amount::default() };
        }
        let mut left = most;
        for row in rows.iter().take(MAX_LOOKED_AT) {
            let id: RepositoryId = row.id(0)?;
            let stored = parse_stored(row.text(2)?).ok();
            look.repositories.push(RepositoryLook {
                id,
                classification: row.text(1)?.to_owned(),
                retention: stored.as_ref().map(|one| (one.retention.period_days, one.retention.basis)),
                has_schema: stored.is_some_and(|one| one.schema.is_some()),
                records: amount(&mut read, RECORDS, id, &mut left).await?,
                objects: amount(&mut read, OBJECTS, id, &mut left).await?,
                holds: row.count(3)?,
                created: row.time(4)?,
            });
        }
        drop(read);
        let more = rows.len() > MAX_LOOKED_AT;
        look.next = look.repositories.last().filter(|_| more).map(|last| last.id);
        Ok(look)
    }
}

/// Counts, as long as there is something left to count with.
async fn amount(
    read: &mut ReadTx,
    statement: Scoped,
    id: RepositoryId,
    left: &mut i64,
) -> Result<Amount, VaultError> {
    // One more than is left: so it is known whether there are more.
    let rows = read.rows(statement, &[(&id).into(), (*left + 1).into()]).await?;
    let mut amount = Amount::default();
    for row in &rows {
        if *left == 0 {
            amount.more = true;
            break;
        }
        *left -= 1;
        amount.count += 1;
        amount.bytes += row.count(0)?;
        amount.holds += row.count(1)?;
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Decided, HoldTarget, NewRecord, Target,
        samples::{Sample, said},
    };
    use serde_json::json;

    testkit::on_both_engines! {
        async fn a_look_counts_and_names_nothing(h: Harness) {
            let Sample { h, vault, scope, repository } = Sample::new(h).await;
            let decided = Decided::default();
            for number in 0..3 {
                let body = json!({ "email": format!("{number}@example.org") }).to_string();
                let new = NewRecord { body: body.as_bytes(), classification: None };
                let made = vault.record_create(&scope, repository, new, None, &decided).await.unwrap().into_inner();
                if number == 0 {
                    let target = HoldTarget::One(Target::Record(repository, made.id));
                    vault.hold_set(&scope, target, said("a case"), &decided).await.unwrap().into_inner();
                }
            }
            let account = scope.account();
            let look = vault.account_look(&h.system(), vec!["a-policy".into()], account, None).await.unwrap();
            let one = &look.repositories[0];
            assert_eq!((one.id, one.classification.as_str(), one.holds), (repository, "confidential", 0));
            assert_eq!((one.retention, one.has_schema), (Some((365, Basis::Business)), false));
            assert_eq!((one.records.count, one.records.holds, one.records.more), (3, 1, false));
            assert!(one.records.bytes > 3 * 20 && one.objects == Amount::default());
            assert_eq!(look.next, None);
            let shown = format!("{look:?}");
            assert!(!shown.contains("sample") && !shown.contains("email"), "{shown}");
            // Another account's are not seen, and what was looked at is in the log.
            let other = vault.account_look(&h.system(), Vec::new(), h.account(), None).await.unwrap();
            assert!(other.repositories.is_empty());
            let leaves = h.tamper(store::Realm::Data, "SELECT COUNT(*) FROM event WHERE activity = 'account.survey'");
            assert_eq!(leaves, ["2"]);
        }

        async fn what_is_counted_for_a_look_is_bounded(h: Harness) {
            let Sample { h: _h, vault, scope, repository } = Sample::new(h).await;
            for number in 0..3 {
                let body = json!({ "email": format!("{number}@example.org") }).to_string();
                let new = NewRecord { body: body.as_bytes(), classification: None };
                vault.record_create(&scope, repository, new, None, &Decided::default()).await.unwrap().into_inner();
            }
            for (most, count, more) in [(0, 0, true), (2, 2, true), (3, 3, false), (4, 3, false)] {
                let look = vault.look_within(scope.account(), None, most).await.unwrap();
                let records = look.repositories[0].records;
                assert_eq!((records.count, records.more), (count, more), "{most}");
            }
            let past = vault.look_within(scope.account(), Some(repository), MAX_COUNTED).await.unwrap();
            assert!(past.repositories.is_empty());
        }
    }
}
