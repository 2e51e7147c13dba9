//! A page of records: opened together, and one event that names each record on it, before any of
//! them leaves.

use base::{Classification, DataKeyId, RecordId, RepositoryId, SecretBytes};
use keys::{DataKey, DataKeyState, Purpose};
use ledger::{Act, Activity, Commitment, ObjectRef};
use store::{Row, Scope};

use crate::{
    Decided, MAX_PAGE_BYTES, Record, RecordMeta, Vault, VaultError, row::record_binding, vault::digest,
};

/// A page of records. It may hold fewer than were asked for, or none: the end is where `next` is none.
#[derive(Debug)]
pub struct RecordPage {
    /// The records, in order of creation.
    pub records: Vec<Record>,
    /// Gives the next page.
    pub next: Option<String>,
}

/// A record of a page, still sealed.
pub(crate) struct Entry {
    pub(crate) meta: RecordMeta,
    pub(crate) key: DataKeyId,
    pub(crate) terms: Vec<u8>,
    pub(crate) erasing: bool,
    pub(crate) sealed: Option<Vec<u8>>,
}

/// What the page is of.
pub(crate) struct PageOf<'a> {
    pub(crate) activity: Activity,
    pub(crate) repository: RepositoryId,
    pub(crate) classification: Classification,
    pub(crate) bodies: bool,
    pub(crate) decided: &'a Decided,
}

/// Names of the details that list a page's ids, eight in each.
pub(crate) const ID_DETAILS: [&str; 13] = [
    "ids_00", "ids_08", "ids_16", "ids_24", "ids_32", "ids_40", "ids_48", "ids_56", "ids_64", "ids_72",
    "ids_80", "ids_88", "ids_96",
];

/// Columns: id, classification, version, created_at, updated_at, deleted_at, erasing_at, bytes,
/// key_id, terms.
pub(crate) fn read_entry(repository: RepositoryId, row: &Row) -> Result<Entry, VaultError> {
    let meta = RecordMeta {
        id: row.id(0)?,
        repository,
        classification: row.text(1)?.to_owned(),
        version: row.count(2)?,
        created_at: row.time(3)?,
        updated_at: row.time(4)?,
        deleted_at: row.opt_time(5)?,
        bytes: row.count(7)?,
    };
    let erasing = row.opt_time(6)?.is_some();
    Ok(Entry { meta, key: row.id(8)?, terms: row.blob(9)?.to_vec(), erasing, sealed: None })
}

/// Ends a page early rather than let its bodies grow beyond bounds; whether it did.
pub(crate) fn cut(entries: &mut Vec<Entry>) -> bool {
    let mut total = 0u64;
    let fits = |entry: &Entry| {
        total = total.saturating_add(entry.meta.bytes);
        total <= MAX_PAGE_BYTES as u64
    };
    // One record alone always fits.
    let keep = entries.iter().map(fits).take_while(|fits| *fits).count().max(1);
    let is_cut = keep < entries.len();
    entries.truncate(keep);
    is_cut
}

/// Puts the sealed bodies, by id, to their entries.
pub(crate) fn add_bodies(entries: &mut [Entry], rows: &[Row]) -> Result<(), VaultError> {
    let mut rows = rows.iter().peekable();
    for entry in entries {
        // Both are in order of id; a body without an entry was filtered out.
        while let Some(row) = rows.peek() {
            let id: RecordId = row.id(0)?;
            if id > entry.meta.id {
                break;
            }
            if id == entry.meta.id {
                entry.sealed = Some(row.blob(1)?.to_vec());
            }
            rows.next();
        }
    }
    Ok(())
}

impl Vault {
    /// Opens a page, and records the read if anything on it is confidential.
    pub(crate) async fn open_page(
        &self,
        scope: &Scope,
        page: &PageOf<'_>,
        entries: Vec<Entry>,
    ) -> Result<Vec<Record>, VaultError> {
        let entries = self.live(scope, entries).await?;
        let ids: Vec<DataKeyId> =
            entries.iter().filter(|entry| entry.sealed.is_some()).map(|entry| entry.key).collect();
        let mut keys = if ids.is_empty() {
            Vec::new()
        } else {
            self.keys().data_keys(scope, &ids, Purpose::List).await?
        }
        .into_iter();
        let mut level = page.classification.clone();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            level = level.max(self.stored_label(&entry.meta.classification)?);
            let Some(sealed) = entry.sealed else {
                records.push(Record { meta: entry.meta, body: None });
                continue;
            };
            // Destroyed since it was looked at.
            let Some(Some(key)) = keys.next() else { continue };
            let body = open(scope, &key, &entry.meta, &sealed)?;
            records.push(Record { meta: entry.meta, body: Some(body) });
        }
        if level.is_confidential() {
            let act = self.page_act(scope, page, &level, &records);
            self.store().record(scope, act).await?;
        }
        Ok(records)
    }

    /// Without those whose key is gone: they are erased, and their rows are still to go, or came back with
    /// an old copy of the data.
    async fn live(&self, scope: &Scope, entries: Vec<Entry>) -> Result<Vec<Entry>, VaultError> {
        let ids: Vec<DataKeyId> = entries.iter().map(|entry| entry.key).collect();
        let states = self.keys().data_key_states(scope, &ids).await?;
        let live = entries.into_iter().zip(states).filter(|(_, state)| *state == DataKeyState::Live);
        Ok(live.map(|(entry, _)| entry).collect())
    }

    fn page_act(&self, scope: &Scope, page: &PageOf<'_>, level: &Classification, records: &[Record]) -> Act {
        let object = ObjectRef::new("repository", page.repository)
            .in_account(scope.account())
            .in_repository(page.repository)
            .classified(level.name());
        let mut seen = Vec::with_capacity(records.len().saturating_mul(24));
        for Record { meta, .. } in records {
            seen.extend_from_slice(meta.id.as_bytes());
            seen.extend_from_slice(&meta.version.to_be_bytes());
        }
        let account = scope.account();
        let commitment = Commitment::from_bytes(digest(&self.0.secrets.page, &[account.as_bytes(), &seen]));
        let mut act = Act::new(page.activity, object)
            .before(commitment)
            .decided_by(page.decided.policies.clone())
            .detail("count", records.len())
            .detail("bodies", page.bodies);
        for (name, eight) in ID_DETAILS.iter().zip(records.chunks(8)) {
            // The prefix `rec_` is left out, so that eight ids fit into a detail.
            let ids: Vec<String> =
                eight.iter().map(|record| record.meta.id.to_string().split_off(4)).collect();
            act = act.detail(name, ids.join(" "));
        }
        act
    }
}

fn open(scope: &Scope, key: &DataKey, meta: &RecordMeta, sealed: &[u8]) -> Result<SecretBytes, VaultError> {
    let binding = record_binding(scope, meta.repository, meta.id, &meta.classification, meta.version);
    Ok(key.open(&binding, sealed)?)
}
