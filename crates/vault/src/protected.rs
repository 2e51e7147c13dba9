//! What the log says of the rows of this crate, and what the rows say: for the reconciler, which compares the two.

use std::str::FromStr;

use base::{AccountId, CertificateId, HoldId, Id, IdKind, ObjectId, RecordId, RepositoryId};
use ledger::{Activity, Commitment, EventView};
use store::{
    Protected, ReadTx, Row, RowKey, RowPage, RowState, RowsFuture, Said, Scope, Scoped, StoreError,
    SystemReadTx, Value, select,
};

use crate::{Vault, vault::digest};

const RECORD: &str = "record";
const VERSION: &str = "record_version";
const OBJECT: &str = "object";
const REPOSITORY: &str = "repository";
const HOLD: &str = "hold";
const CERTIFICATE: &str = "certificate";

const DELETED: u8 = 1;
const ERASING: u8 = 2;
const LIFTED: u8 = 4;

const RECORDS: Scoped = select!(
    ["id, classification, version, deleted_at, erasing_at, holds, commitment, repository_id"] from "record"
    where "(repository_id, id) > ($2, $3)" then "ORDER BY repository_id, id LIMIT $4"
);
// The versions of what is being erased go one by one, and are not looked at.
const VERSIONS: Scoped = select!(
    ["v.record_id, v.version, v.classification, v.commitment, v.repository_id"]
    from "record_version v LEFT JOIN record r ON r.account_id = v.account_id AND r.repository_id = v.repository_id AND r.id = v.record_id"
    on "v" where "(v.repository_id, v.record_id, v.version) > ($2, $3, $4) AND r.erasing_at IS NULL"
    then "ORDER BY v.repository_id, v.record_id, v.version LIMIT $5"
);
const OBJECTS: Scoped = select!(
    ["id, classification, 0, deleted_at, erasing_at, holds, commitment, repository_id"] from "object"
    where "(repository_id, id) > ($2, $3)" then "ORDER BY repository_id, id LIMIT $4"
);
const REPOSITORIES: Scoped = select!(
    ["id, name, classification, declaration, revision, holds"] from "repository"
    where "id > $2" then "ORDER BY id LIMIT $3"
);
const HOLDS: Scoped = select!(
    ["id, target_kind, target_id, lifted_at"] from "hold" where "id > $2" then "ORDER BY id LIMIT $3"
);
const CERTIFICATES: Scoped =
    select!(["id"] from "deletion_certificate" where "id > $2" then "ORDER BY id LIMIT $3");

impl Vault {
    /// What an event says of a repository's declaration: a keyed digest of the whole of it.
    pub(crate) fn declared(
        &self,
        scope: &Scope,
        id: RepositoryId,
        (name, classification, declaration): (&str, &str, &str),
    ) -> Commitment {
        Commitment::from_bytes(self.declaration_digest(
            scope.account(),
            id,
            name,
            classification,
            declaration,
        ))
    }

    fn declaration_digest(
        &self,
        account: AccountId,
        id: RepositoryId,
        name: &str,
        classification: &str,
        declaration: &str,
    ) -> [u8; 32] {
        let parts = [
            account.as_bytes().as_slice(),
            id.as_bytes(),
            name.as_bytes(),
            classification.as_bytes(),
            declaration.as_bytes(),
        ];
        digest(&self.0.secrets.row, &parts)
    }
}

fn key(kind: &'static str, id: [u8; 16]) -> RowKey {
    RowKey { kind, id, part: 0 }
}

/// The key of the row that an event's object is; none if its id is not one of that kind.
fn object_key<K: IdKind>(kind: &'static str, event: &EventView) -> Option<RowKey> {
    Id::<K>::from_str(&event.object.id).ok().map(|id| key(kind, *id.as_bytes()))
}

fn content(event: &EventView) -> [u8; 32] {
    event.after.map(|after| *after.as_bytes()).unwrap_or_default()
}

fn label(event: &EventView) -> u64 {
    event.object.classification.as_deref().map_or(0, RowState::label_of)
}

/// A version of a record is written: the one before it is kept beside it.
fn written(event: &EventView, said: &mut Said) -> Option<()> {
    let at = object_key::<base::kinds::Record>(RECORD, event)?;
    let account = event.object.account;
    let version = event.count("version")?;
    let before = said.row(account, &at).copied();
    let now =
        RowState { content: content(event), version, label: label(event), ..before.unwrap_or_default() };
    if let Some(before) = before {
        let kept = RowKey { kind: VERSION, part: before.version, ..at };
        let state = RowState { holds: 0, marks: 0, ..before };
        said.made(account, kept, state);
    }
    said.made(account, at, now);
    Some(())
}

fn mark(event: &EventView, said: &mut Said, at: Option<RowKey>, bit: u8, set: bool) {
    if let Some(at) = at
        && let Some(row) = said.row(event.object.account, &at)
    {
        row.marks = if set { row.marks | bit } else { row.marks & !bit };
    }
}

fn forget_versions(event: &EventView, said: &mut Said, at: RowKey) {
    let account = event.object.account;
    let newest = said.row(account, &at).map_or(0, |row| row.version);
    for part in 1..newest {
        said.gone(account, &RowKey { kind: VERSION, part, ..at });
    }
}

fn target(kind: &str, id: &str) -> Option<RowKey> {
    match kind {
        RECORD => RecordId::from_str(id).ok().map(|id| key(RECORD, *id.as_bytes())),
        OBJECT => ObjectId::from_str(id).ok().map(|id| key(OBJECT, *id.as_bytes())),
        REPOSITORY => RepositoryId::from_str(id).ok().map(|id| key(REPOSITORY, *id.as_bytes())),
        _ => None,
    }
}

/// A hold is set or lifted: its own row, and the count at what it holds.
fn held(event: &EventView, said: &mut Said, set: bool) -> Option<()> {
    let at = object_key::<base::kinds::Hold>(HOLD, event)?;
    let account = event.object.account;
    let of = target(event.text("target_kind")?, event.text("target")?)?;
    if set {
        let state = RowState { content: of_target(&of), ..RowState::default() };
        said.made(account, at, state);
    } else {
        mark(event, said, Some(at), LIFTED, true);
    }
    if let Some(row) = said.row(account, &of) {
        row.holds = if set { row.holds.saturating_add(1) } else { row.holds.saturating_sub(1) };
    }
    Some(())
}

/// What a hold holds, as the content of its row.
fn of_target(of: &RowKey) -> [u8; 32] {
    let mut out = [0u8; 32];
    let kind = of.kind.as_bytes().iter().chain(std::iter::repeat(&0)).take(16);
    out.iter_mut().zip(of.id.iter().chain(kind)).for_each(|(to, from)| *to = *from);
    out
}

impl Protected for Vault {
    fn of_accounts(&self) -> &'static [&'static str] {
        // Records before their versions: what is being erased is known by then.
        &[REPOSITORY, RECORD, VERSION, OBJECT, HOLD, CERTIFICATE]
    }

    fn of_platform(&self) -> &'static [&'static str] {
        &[]
    }

    fn activities(&self) -> &'static [Activity] {
        &[
            Activity::RecordCreate,
            Activity::RecordUpdate,
            Activity::RecordPatch,
            Activity::RecordDelete,
            Activity::RecordRestore,
            Activity::RecordEraseStart,
            Activity::RecordErase,
            Activity::ObjectCreate,
            Activity::ObjectDelete,
            Activity::ObjectRestore,
            Activity::ObjectEraseStart,
            Activity::ObjectErase,
            Activity::RepositoryCreate,
            Activity::RepositoryUpdate,
            Activity::HoldSet,
            Activity::HoldLift,
            Activity::CertificateIssue,
        ]
    }

    fn take(&self, event: &EventView, said: &mut Said) {
        let Some(activity) = Activity::from_name(&event.activity) else { return };
        let account = event.object.account;
        let record = || object_key::<base::kinds::Record>(RECORD, event);
        let object = || object_key::<base::kinds::Object>(OBJECT, event);
        match activity {
            Activity::RecordCreate | Activity::RecordUpdate | Activity::RecordPatch => {
                let _ = written(event, said);
            }
            Activity::RecordDelete => mark(event, said, record(), DELETED, true),
            Activity::RecordRestore => mark(event, said, record(), DELETED, false),
            Activity::RecordEraseStart => {
                mark(event, said, record(), ERASING, true);
                if let Some(at) = record() {
                    forget_versions(event, said, at);
                }
            }
            Activity::RecordErase => {
                if let Some(at) = record() {
                    said.gone(account, &at);
                }
            }
            // Without a commitment it reserves room, or gives it back.
            Activity::ObjectCreate if event.after.is_some() => {
                if let Some(at) = object() {
                    let state =
                        RowState { content: content(event), label: label(event), ..RowState::default() };
                    said.made(account, at, state);
                }
            }
            Activity::ObjectDelete => mark(event, said, object(), DELETED, true),
            Activity::ObjectRestore => mark(event, said, object(), DELETED, false),
            Activity::ObjectEraseStart => mark(event, said, object(), ERASING, true),
            Activity::ObjectErase => {
                if let Some(at) = object() {
                    said.gone(account, &at);
                }
            }
            Activity::RepositoryCreate | Activity::RepositoryUpdate => {
                let Some(at) = object_key::<base::kinds::Repository>(REPOSITORY, event) else { return };
                let holds = said.row(account, &at).map_or(0, |row| row.holds);
                let version = event.count("revision").unwrap_or(1);
                let state =
                    RowState { content: content(event), version, label: label(event), holds, marks: 0 };
                said.made(account, at, state);
            }
            Activity::HoldSet | Activity::HoldLift => {
                let _ = held(event, said, activity == Activity::HoldSet);
            }
            Activity::CertificateIssue => {
                if let Some(at) = object_key::<base::kinds::Certificate>(CERTIFICATE, event) {
                    said.made(account, at, RowState::default());
                }
            }
            _ => {}
        }
    }

    fn account_rows<'a>(
        &'a self,
        read: &'a mut ReadTx,
        kind: &'static str,
        after: &'a [u8],
        limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async move {
            let account = read.account();
            let Behind { repository, id, version } = Behind::parse(after);
            let alone: [Value<'_>; 2] = [(&id).into(), limit.into()];
            let within: [Value<'_>; 3] = [(&repository).into(), (&id).into(), limit.into()];
            let rows = match kind {
                RECORD => read.rows(RECORDS, &within).await?,
                VERSION => {
                    let values = [(&repository).into(), (&id).into(), version.into(), limit.into()];
                    read.rows(VERSIONS, &values).await?
                }
                OBJECT => read.rows(OBJECTS, &within).await?,
                REPOSITORY => read.rows(REPOSITORIES, &alone).await?,
                HOLD => read.rows(HOLDS, &alone).await?,
                _ => read.rows(CERTIFICATES, &alone).await?,
            };
            let is_full = rows.len() as i64 >= limit;
            let next = rows.last().filter(|_| is_full).map(|row| Behind::of(kind, row)).transpose()?;
            let rows = rows.iter().map(|row| self.row_state(account, kind, row)).collect::<Result<_, _>>()?;
            Ok(RowPage { rows, next })
        })
    }

    fn platform_rows<'a>(
        &'a self,
        _read: &'a mut SystemReadTx,
        _kind: &'static str,
        _after: &'a [u8],
        _limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async { Ok(RowPage::default()) })
    }

    fn id_text(&self, kind: &'static str, id: [u8; 16]) -> String {
        match kind {
            RECORD | VERSION => RecordId::from_bytes(id).to_string(),
            OBJECT => ObjectId::from_bytes(id).to_string(),
            REPOSITORY => RepositoryId::from_bytes(id).to_string(),
            HOLD => HoldId::from_bytes(id).to_string(),
            _ => CertificateId::from_bytes(id).to_string(),
        }
    }
}

/// Where a page ends: what stands first in the order of the rows' primary key.
#[derive(Default)]
struct Behind {
    repository: [u8; 16],
    id: [u8; 16],
    version: i64,
}

impl Behind {
    fn parse(text: &[u8]) -> Self {
        let part = |from: usize| text.get(from..from + 16).and_then(|part| part.try_into().ok());
        let version = text.get(32..40).and_then(|part| part.try_into().ok());
        Self {
            repository: part(0).unwrap_or_default(),
            id: part(16).unwrap_or_default(),
            version: version.map_or(0, i64::from_be_bytes),
        }
    }

    fn of(kind: &'static str, row: &Row) -> Result<Vec<u8>, StoreError> {
        let (repository, version): (&[u8], i64) = match kind {
            RECORD | OBJECT => (row.blob(7)?, 0),
            VERSION => (row.blob(4)?, row.int(1)?),
            _ => (&[0; 16], 0),
        };
        Ok([repository, row.blob(0)?, &version.to_be_bytes()].concat())
    }
}

fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    row.blob(column)?.try_into().map_err(|_| StoreError::Shape("bytes of another length"))
}

/// Bytes of the right length, or none that any event says: a row that was changed is told of, and stops nobody.
fn commitment(row: &Row, column: usize) -> [u8; 32] {
    bytes(row, column).unwrap_or_default()
}

/// A number that is never negative; one that no event says if somebody made it so.
fn at_least(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(u64::MAX))
}

impl Vault {
    fn row_state(
        &self,
        account: AccountId,
        kind: &'static str,
        row: &Row,
    ) -> Result<(RowKey, RowState), StoreError> {
        let id = bytes(row, 0)?;
        let at = key(kind, id);
        let empty = RowState::default();
        let count = |column| row.int(column).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Ok(match kind {
            RECORD | OBJECT => {
                let deleted = if row.opt_int(3)?.is_some() { DELETED } else { 0 };
                let erasing = if row.opt_int(4)?.is_some() { ERASING } else { 0 };
                let state = RowState {
                    content: commitment(row, 6),
                    version: at_least(row, 2)?,
                    label: RowState::label_of(row.text(1)?),
                    holds: count(5)?,
                    marks: deleted | erasing,
                };
                (at, state)
            }
            VERSION => {
                let version = at_least(row, 1)?;
                let state = RowState {
                    content: commitment(row, 3),
                    version,
                    label: RowState::label_of(row.text(2)?),
                    ..empty
                };
                (RowKey { part: version, ..at }, state)
            }
            REPOSITORY => {
                let (name, classification, declaration) = (row.text(1)?, row.text(2)?, row.text(3)?);
                let repository = RepositoryId::from_bytes(id);
                let state = RowState {
                    content: self.declaration_digest(account, repository, name, classification, declaration),
                    version: at_least(row, 4)?,
                    label: RowState::label_of(classification),
                    holds: count(5)?,
                    marks: 0,
                };
                (at, state)
            }
            HOLD => {
                let kind = match row.text(1)? {
                    RECORD => RECORD,
                    OBJECT => OBJECT,
                    _ => REPOSITORY,
                };
                let marks = if row.opt_int(3)?.is_some() { LIFTED } else { 0 };
                (at, RowState { content: of_target(&key(kind, bytes(row, 2)?)), marks, ..empty })
            }
            _ => (at, empty),
        })
    }
}
