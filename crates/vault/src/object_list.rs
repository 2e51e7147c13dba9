//! Listing a repository's objects in order of creation; the same page by page as for records.

use base::RepositoryId;
use keys::Purpose;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, Scoped, select};

use crate::{
    Decided, Object, Vault, VaultError, cursor::Listing, page::ID_DETAILS, repository_read::page_limit,
};

/// A page of objects. It may hold fewer than were asked for, or none: the end is where `next` is none.
#[derive(Debug)]
pub struct ObjectPage {
    /// The objects, in order of creation.
    pub objects: Vec<Object>,
    /// Gives the next page.
    pub next: Option<String>,
}

const PAGE: Scoped = select!(
    ["x.id, x.classification, p.classification, x.key_id, x.created_at, x.deleted_at, x.erasing_at, x.bytes, x.commitment, x.blob, x.sealed"]
    from "object x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id"
    on "x" where "x.repository_id = $2 AND x.id > $3" then "ORDER BY x.id LIMIT $4"
);

impl Vault {
    /// A page of a repository's objects; `limit` is 1 to 100, `deleted` lists deleted ones too.
    pub async fn object_list(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        (limit, cursor, deleted): (usize, Option<&str>, bool),
        decided: &Decided,
    ) -> Result<ObjectPage, VaultError> {
        let outcome = self.list_objects(scope, repository, (limit, cursor, deleted), decided).await;
        let object = ObjectRef::new("repository", repository).in_account(scope.account());
        self.noted(scope, decided, Activity::ObjectList, object, outcome).await
    }

    async fn list_objects(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        (limit, cursor, deleted): (usize, Option<&str>, bool),
        decided: &Decided,
    ) -> Result<ObjectPage, VaultError> {
        let limit = page_limit(limit)?;
        let filter = [u8::from(deleted)];
        let listing = Listing {
            account: scope.account(),
            repository: Some(repository),
            what: "objects",
            filter: &filter,
        };
        let after = self.after(&listing, cursor)?;
        let mut read = self.snapshot(scope).await?;
        let mut level = self.label_now(&mut read, repository).await?;
        let values = [(&repository).into(), (&after).into(), (limit as i64).into()];
        let rows = read.rows(PAGE, &values).await?;
        drop(read);
        let mut rows =
            rows.iter().map(|row| self.read_object(repository, row)).collect::<Result<Vec<_>, _>>()?;
        let last = rows.last().filter(|_| rows.len() == limit).map(|row| *row.id.as_bytes());
        rows.retain(|row| !row.erasing && (deleted || row.deleted_at.is_none()));
        let ids: Vec<_> = rows.iter().map(|row| row.key).collect();
        let keys = if ids.is_empty() {
            Vec::new()
        } else {
            self.keys().data_keys(scope, &ids, Purpose::List).await?
        };
        let mut objects = Vec::with_capacity(rows.len());
        for (row, key) in rows.iter().zip(keys) {
            // A key that is destroyed: the object is erased, and only its row is still to go.
            let Some(key) = key else { continue };
            objects.push(row.open(scope, &key)?);
            level = level.max(row.effective.clone());
        }
        if level.is_confidential() {
            let object = ObjectRef::new("repository", repository)
                .in_account(scope.account())
                .in_repository(repository)
                .classified(level.name());
            let mut act = Act::new(Activity::ObjectList, object)
                .decided_by(decided.policies.clone())
                .detail("count", objects.len());
            for (name, eight) in ID_DETAILS.iter().zip(objects.chunks(8)) {
                let ids: Vec<String> = eight.iter().map(|one| one.id.to_string().split_off(4)).collect();
                act = act.detail(name, ids.join(" "));
            }
            self.store().record(scope, act).await?;
        }
        Ok(ObjectPage { objects, next: last.map(|last| self.cursor(&listing, &last)) })
    }
}
