//! Listing a repository's records in order of creation. A page costs what its own rows cost, however
//! many there are: the primary key is walked from the cursor on, and deleted rows met on the way count
//! towards the page.

use base::RepositoryId;
use ledger::{Activity, ObjectRef};
use store::{Scope, Scoped, select};

use crate::{
    Decided, RecordPage, Vault, VaultError,
    cursor::Listing,
    page::{PageOf, add_bodies, cut, read_entry},
    reader::Reader,
    repository_read::page_limit,
};

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct ListRecords<'a> {
    /// Of which repository.
    pub repository: RepositoryId,
    /// Most records, 1 to 100.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// Whether to open the bodies.
    pub bodies: bool,
    /// Whether to list deleted records too, without their bodies.
    pub deleted: bool,
}

pub(crate) const PAGE: Scoped = select!(
    ["id, classification, version, created_at, updated_at, deleted_at, erasing_at, bytes, key_id, terms"]
    from "record" where "repository_id = $2 AND id > $3" then "ORDER BY id LIMIT $4"
);
pub(crate) const BODIES: Scoped = select!(
    ["id, sealed"]
    from "record" where "repository_id = $2 AND id >= $3 AND id <= $4 AND deleted_at IS NULL"
    then "ORDER BY id LIMIT $5"
);
const LABEL: Scoped = select!(["classification"] from "repository" where "id = $2");

impl Vault {
    /// A page of a repository's records, in order of creation.
    ///
    /// # Errors
    /// [`VaultError::Cursor`] for a cursor of another listing, [`VaultError::NotFound`].
    pub async fn record_list(
        &self,
        scope: &Scope,
        list: ListRecords<'_>,
        decided: &Decided,
    ) -> Result<RecordPage, VaultError> {
        let outcome = self.list_records(scope, list, decided).await;
        let object = ObjectRef::new("repository", list.repository).in_account(scope.account());
        self.noted(scope, decided, Activity::RecordList, object, outcome).await
    }

    async fn list_records(
        &self,
        scope: &Scope,
        list: ListRecords<'_>,
        decided: &Decided,
    ) -> Result<RecordPage, VaultError> {
        let ListRecords { repository, limit, cursor, bodies, deleted } = list;
        let limit = page_limit(limit)?;
        let filter = [u8::from(deleted)];
        let listing = Listing {
            account: scope.account(),
            repository: Some(repository),
            what: "records",
            filter: &filter,
        };
        let after = self.after(&listing, cursor)?;
        let mut read = self.snapshot(scope).await?;
        let classification = self.label_now(&mut read, repository).await?;
        let values = [(&repository).into(), (&after).into(), (limit as i64).into()];
        let rows = read.rows(PAGE, &values).await?;
        let mut entries =
            rows.iter().map(|row| read_entry(repository, row)).collect::<Result<Vec<_>, _>>()?;
        let more = cut(&mut entries) || entries.len() == limit;
        let last = entries.last().map(|entry| *entry.meta.id.as_bytes());
        entries.retain(|entry| !entry.erasing && (deleted || entry.meta.deleted_at.is_none()));
        if let (true, Some(first), Some(end)) = (bodies, entries.first(), entries.last()) {
            let (first, end) = (first.meta.id, end.meta.id);
            let values = [(&repository).into(), (&first).into(), (&end).into(), (limit as i64).into()];
            let rows = read.rows(BODIES, &values).await?;
            add_bodies(&mut entries, &rows)?;
        }
        drop(read);
        let page = PageOf { activity: Activity::RecordList, repository, classification, bodies, decided };
        let records = self.open_page(scope, &page, entries).await?;
        let next = last.filter(|_| more).map(|last| self.cursor(&listing, &last));
        Ok(RecordPage { records, next })
    }

    /// A repository's label as stored now.
    pub(crate) async fn label_now(
        &self,
        read: &mut Reader,
        repository: RepositoryId,
    ) -> Result<base::Classification, VaultError> {
        let row = read.row(LABEL, &[(&repository).into()]).await?;
        self.stored_label(row.ok_or(VaultError::NotFound("repository"))?.text(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{search, sweep, target::TargetKind};
    use store::Realm;
    use testkit::{Engine, Harness};

    /// How SQLite reads a statement: its plan, one step a line.
    fn plan(h: &Harness, statement: Scoped) -> Vec<String> {
        let mut sql = statement.sql().to_owned();
        for number in (1..=9).rev() {
            sql = sql.replace(&format!("${number}"), "x'00'");
        }
        let rows =
            h.tamper(Realm::Data, &format!("EXPLAIN QUERY PLAN {}", sql.replace("LIMIT x'00'", "LIMIT 1")));
        rows.iter().map(|row| row.rsplit('|').next().unwrap_or_default().to_owned()).collect()
    }

    /// A page costs its own rows, be there ten thousand or a million: each statement seeks with the
    /// whole prefix of a key, and nothing is sorted or read from end to end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pages_seek_and_never_sort() {
        let h = Harness::new(Engine::Sqlite).await;
        for (name, statement, prefix) in [
            ("list", PAGE, "(account_id=? AND repository_id=? AND id>?)"),
            ("bodies", BODIES, "(account_id=? AND repository_id=? AND id>? AND id<?)"),
            ("search", search::FOUND, "(account_id=? AND repository_id=? AND digest=? AND record_id>?)"),
            (
                "due records",
                sweep::due(TargetKind::Record),
                "(account_id=? AND repository_id=? AND id>? AND id<?)",
            ),
            (
                "due objects",
                sweep::due(TargetKind::Object),
                "(account_id=? AND repository_id=? AND id>? AND id<?)",
            ),
            (
                "deleted records",
                sweep::deleted(TargetKind::Record),
                "record_deleted (account_id=? AND deleted_at>? AND deleted_at<?)",
            ),
            (
                "deleted objects",
                sweep::deleted(TargetKind::Object),
                "object_deleted (account_id=? AND deleted_at>? AND deleted_at<?)",
            ),
        ] {
            let plan = plan(&h, statement);
            assert!(plan.first().is_some_and(|step| step.contains(prefix)), "{name}: {plan:?}");
            for step in &plan {
                assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{name}: {plan:?}");
            }
        }
    }
}
