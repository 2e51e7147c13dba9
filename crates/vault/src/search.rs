//! Finding records by equality of declared fields, through the blind index: the database holds
//! digests, and learns neither values nor what was asked for.

use std::collections::BTreeMap;

use base::RepositoryId;
use keys::INDEX_DIGEST_BYTES;
use ledger::{Activity, ObjectRef};
use serde_json::Value;
use store::{Scope, Scoped, select};

use crate::{
    Decided, MAX_SEARCH_TERMS, RecordPage, Vault, VaultError,
    cursor::Listing,
    declaration::Loaded,
    field,
    page::{PageOf, add_bodies, cut, read_entry},
    reader::Attempt,
    repository_read::page_limit,
    write::has_term,
};

/// What to find.
#[derive(Clone, Copy, Debug)]
pub struct SearchRecords<'a> {
    /// In which repository.
    pub repository: RepositoryId,
    /// Fields and the values they must have, all of them; 1 to 4. Texts, numbers or truth values.
    pub equals: &'a BTreeMap<String, Value>,
    /// Most records, 1 to 100.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// Whether to open the bodies.
    pub bodies: bool,
}

pub(crate) const FOUND: Scoped = select!(
    ["r.id, r.classification, r.version, r.created_at, r.updated_at, r.deleted_at, r.erasing_at, r.bytes, r.key_id, r.terms"]
    from "record_term t JOIN record r ON r.account_id = t.account_id AND r.repository_id = t.repository_id AND r.id = t.record_id"
    on "t" where "t.repository_id = $2 AND t.digest = $3 AND t.record_id > $4" then "ORDER BY t.record_id LIMIT $5"
);
const BODIES: Scoped = select!(
    ["r.id, r.sealed"]
    from "record_term t JOIN record r ON r.account_id = t.account_id AND r.repository_id = t.repository_id AND r.id = t.record_id"
    on "t" where "t.repository_id = $2 AND t.digest = $3 AND t.record_id >= $4 AND t.record_id <= $5 AND r.deleted_at IS NULL"
    then "ORDER BY t.record_id LIMIT $6"
);

impl Vault {
    /// A page of the records whose fields have the given values, in order of creation. With several
    /// fields the first, in order of their names, is walked through the index and the others narrow
    /// it: name the most selective one alone where pages come out thin.
    ///
    /// # Errors
    /// [`VaultError::Field`] for a field that is not searchable, [`VaultError::Cursor`].
    pub async fn record_search(
        &self,
        scope: &Scope,
        search: SearchRecords<'_>,
        decided: &Decided,
    ) -> Result<RecordPage, VaultError> {
        let outcome = self.search_records(scope, search, decided).await;
        let object = ObjectRef::new("repository", search.repository).in_account(scope.account());
        self.noted(scope, decided, Activity::RecordSearch, object, outcome).await
    }

    async fn search_records(
        &self,
        scope: &Scope,
        search: SearchRecords<'_>,
        decided: &Decided,
    ) -> Result<RecordPage, VaultError> {
        let SearchRecords { repository, limit, cursor, bodies, .. } = search;
        let limit = page_limit(limit)?;
        let loaded = self.declaration(scope, repository, Attempt::FIRST).await?;
        let digests = self.search_digests(scope, &loaded, search.equals).await?;
        let listing = Listing {
            account: scope.account(),
            repository: Some(repository),
            what: "search",
            filter: digests.as_flattened(),
        };
        let after = self.after(&listing, cursor)?;
        let (digest, others) = digests.split_first().ok_or(VaultError::Shape("a search term"))?;
        let mut read = self.snapshot(scope).await?;
        let classification = self.label_now(&mut read, repository).await?;
        let values = [(&repository).into(), digest.into(), (&after).into(), (limit as i64).into()];
        let rows = read.rows(FOUND, &values).await?;
        let mut entries =
            rows.iter().map(|row| read_entry(repository, row)).collect::<Result<Vec<_>, _>>()?;
        let more = cut(&mut entries) || entries.len() == limit;
        let last = entries.last().map(|entry| *entry.meta.id.as_bytes());
        entries.retain(|entry| {
            let there = !entry.erasing && entry.meta.deleted_at.is_none();
            // The row must claim the term too: an entry of the index alone, added behind our back,
            // finds nothing.
            there
                && has_term(&entry.terms, digest)
                && others.iter().all(|other| has_term(&entry.terms, other))
        });
        if let (true, Some(first), Some(end)) = (bodies, entries.first(), entries.last()) {
            let (first, end) = (first.meta.id, end.meta.id);
            let values =
                [(&repository).into(), digest.into(), (&first).into(), (&end).into(), (limit as i64).into()];
            let rows = read.rows(BODIES, &values).await?;
            add_bodies(&mut entries, &rows)?;
        }
        drop(read);
        let page = PageOf { activity: Activity::RecordSearch, repository, classification, bodies, decided };
        let records = self.open_page(scope, &page, entries).await?;
        let next = last.filter(|_| more).map(|last| self.cursor(&listing, &last));
        Ok(RecordPage { records, next })
    }

    async fn search_digests(
        &self,
        scope: &Scope,
        loaded: &Loaded,
        equals: &BTreeMap<String, Value>,
    ) -> Result<Vec<[u8; INDEX_DIGEST_BYTES]>, VaultError> {
        if equals.is_empty() || equals.len() > MAX_SEARCH_TERMS {
            return Err(VaultError::field("equals", format!("name 1 to {MAX_SEARCH_TERMS} fields")));
        }
        let mut digests = Vec::with_capacity(equals.len());
        for (path, value) in equals {
            let pointer = field::pointer("equals", path)?;
            if !loaded.repository.searchable.contains(&pointer) {
                let reason = "not searchable: the repository declares its searchable fields when it is made";
                return Err(VaultError::field(pointer, reason));
            }
            let Some(value) = field::indexed(value) else {
                let reason = "give a text, a number or a truth value of at most 1,024 bytes";
                return Err(VaultError::field(pointer, reason));
            };
            let key = self.keys().index_key(scope, loaded.repository.id, &pointer).await?;
            digests.push(key.digest(&value));
        }
        Ok(digests)
    }
}
