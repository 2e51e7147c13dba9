//! What can be deleted, held and erased: a record or an object. The statements of both, side by side,
//! so that one rule serves both.

use base::{
    Classification, DataKeyId, Duration, Id, IdKind, ObjectId, RecordId, RepositoryId, Timestamp, kinds,
};
use ledger::{Activity, Commitment, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{Row, Scope, Scoped, select, update};

use crate::{
    Cause, Retention, Vault, VaultError, declaration::parse_stored, reader::Attempt, row::commitment,
};

/// Which kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A record.
    Record,
    /// An object.
    Object,
}

/// A record or an object, in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A record.
    Record(RepositoryId, RecordId),
    /// An object.
    Object(RepositoryId, ObjectId),
}

impl TargetKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Object => "object",
        }
    }
    /// The target of that id.
    pub(crate) fn of(self, repository: RepositoryId, id: [u8; 16]) -> Target {
        match self {
            Self::Record => Target::Record(repository, RecordId::from_bytes(id)),
            Self::Object => Target::Object(repository, ObjectId::from_bytes(id)),
        }
    }
}

impl Target {
    /// Its kind.
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Record(..) => TargetKind::Record,
            Self::Object(..) => TargetKind::Object,
        }
    }
    /// Its repository.
    pub const fn repository(&self) -> RepositoryId {
        match self {
            Self::Record(repository, _) | Self::Object(repository, _) => *repository,
        }
    }
    /// Its id's bytes.
    pub const fn id(&self) -> &[u8; 16] {
        match self {
            Self::Record(_, id) => id.as_bytes(),
            Self::Object(_, id) => id.as_bytes(),
        }
    }
    /// Its id's text.
    pub fn id_text(&self) -> String {
        match self {
            Self::Record(_, id) => id.to_string(),
            Self::Object(_, id) => id.to_string(),
        }
    }
    pub(crate) fn object_ref(&self, scope: &Scope) -> ObjectRef {
        ObjectRef::new(self.kind().as_str(), self.id_text())
            .in_account(scope.account())
            .in_repository(self.repository())
    }
    pub(crate) fn absent(&self) -> VaultError {
        VaultError::NotFound(self.kind().as_str())
    }
    pub(crate) const fn activity(&self, record: Activity, object: Activity) -> Activity {
        match self {
            Self::Record(..) => record,
            Self::Object(..) => object,
        }
    }
}

/// What decides about a target's life, with its repository's word on it.
pub(crate) struct Head {
    pub(crate) label: String,
    pub(crate) effective: Classification,
    pub(crate) key: DataKeyId,
    pub(crate) version: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) erasing_at: Option<Timestamp>,
    /// Why its erasure was decided, if it was.
    pub(crate) erasing_cause: Option<Cause>,
    pub(crate) holds: u64,
    pub(crate) repository_holds: u64,
    pub(crate) commitment: Commitment,
    pub(crate) retention: Retention,
    pub(crate) bytes: u64,
    /// A record's digests.
    pub(crate) terms: Vec<u8>,
    /// Where an object's content is.
    pub(crate) blob: Option<String>,
}

/// A target's row: repository `$2`, id `$3`.
pub(crate) const fn head_of(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => select!(
            ["x.classification, p.classification, x.key_id, x.created_at, x.deleted_at, x.erasing_at, x.erasing_cause, x.holds, p.holds, x.commitment, p.declaration, x.bytes, x.version, x.terms"]
            from "record x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id"
            on "x" where "x.repository_id = $2 AND x.id = $3"
        ),
        TargetKind::Object => select!(
            ["x.classification, p.classification, x.key_id, x.created_at, x.deleted_at, x.erasing_at, x.erasing_cause, x.holds, p.holds, x.commitment, p.declaration, x.bytes, 1, x.blob"]
            from "object x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id"
            on "x" where "x.repository_id = $2 AND x.id = $3"
        ),
    }
}

/// Marks a target deleted at `$4`, unless it is or a hold keeps it.
pub(crate) const fn mark_deleted(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => update!(
            "record" set "deleted_at = $4"
            where "repository_id = $2 AND id = $3 AND version = $5 AND deleted_at IS NULL AND erasing_at IS NULL AND holds = 0"
        ),
        TargetKind::Object => update!(
            "object" set "deleted_at = $4"
            where "repository_id = $2 AND id = $3 AND 1 = $5 AND deleted_at IS NULL AND erasing_at IS NULL AND holds = 0"
        ),
    }
}

/// Takes the mark of a deletion at `$4` away, of the version `$5`.
pub(crate) const fn mark_restored(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => update!(
            "record" set "deleted_at = NULL"
            where "repository_id = $2 AND id = $3 AND deleted_at = $4 AND version = $5 AND erasing_at IS NULL"
        ),
        TargetKind::Object => update!(
            "object" set "deleted_at = NULL"
            where "repository_id = $2 AND id = $3 AND deleted_at = $4 AND 1 = $5 AND erasing_at IS NULL"
        ),
    }
}

/// Marks a target's erasure decided at `$4` for the cause `$6`, if its deletion is still as it was when
/// that was decided (`$5`, or -1), and no hold keeps it.
pub(crate) const fn mark_erasing(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => update!(
            "record" set "erasing_at = $4, erasing_cause = $6, deleted_at = COALESCE(deleted_at, $4)"
            where "repository_id = $2 AND id = $3 AND COALESCE(deleted_at, -1) = $5 AND erasing_at IS NULL AND holds = 0"
        ),
        TargetKind::Object => update!(
            "object" set "erasing_at = $4, erasing_cause = $6, deleted_at = COALESCE(deleted_at, $4)"
            where "repository_id = $2 AND id = $3 AND COALESCE(deleted_at, -1) = $5 AND erasing_at IS NULL AND holds = 0"
        ),
    }
}

/// Adds `$4` to a target's holds in force, unless it is being erased.
pub(crate) const fn add_holds(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => update!(
            "record" set "holds = holds + $4"
            where "repository_id = $2 AND id = $3 AND erasing_at IS NULL AND holds + $4 >= 0 AND holds + $4 <= $5"
        ),
        TargetKind::Object => update!(
            "object" set "holds = holds + $4"
            where "repository_id = $2 AND id = $3 AND erasing_at IS NULL AND holds + $4 >= 0 AND holds + $4 <= $5"
        ),
    }
}

/// A target's holds in force, unless it is being erased.
pub(crate) const fn holds_of(kind: TargetKind) -> Scoped {
    match kind {
        TargetKind::Record => {
            select!(["holds"] from "record" where "repository_id = $2 AND id = $3 AND erasing_at IS NULL")
        }
        TargetKind::Object => {
            select!(["holds"] from "object" where "repository_id = $2 AND id = $3 AND erasing_at IS NULL")
        }
    }
}

impl Vault {
    pub(crate) fn parse_head(&self, kind: TargetKind, row: &Row) -> Result<Head, VaultError> {
        let label = row.text(0)?.to_owned();
        let effective = self.stored_label(&label)?.max(self.stored_label(row.text(1)?)?);
        Ok(Head {
            label,
            effective,
            key: row.id(2)?,
            created_at: row.time(3)?,
            deleted_at: row.opt_time(4)?,
            erasing_at: row.opt_time(5)?,
            erasing_cause: row.opt_text(6)?.and_then(Cause::parse),
            holds: row.count(7)?,
            repository_holds: row.count(8)?,
            commitment: commitment(row.blob(9)?)?,
            retention: parse_stored(row.text(10)?)?.retention,
            bytes: row.count(11)?,
            version: row.count(12)?,
            terms: if kind == TargetKind::Record { row.blob(13)?.to_vec() } else { Vec::new() },
            blob: if kind == TargetKind::Object { Some(row.text(13)?.to_owned()) } else { None },
        })
    }

    /// The head of a target that erasure has not taken.
    pub(crate) async fn head(
        &self,
        scope: &Scope,
        target: &Target,
        attempt: Attempt,
    ) -> Result<Head, VaultError> {
        let repository = target.repository();
        let mut read = self.reader(scope, attempt).await?;
        let row = read.row(head_of(target.kind()), &[(&repository).into(), target.id().into()]).await?;
        let head = row.map(|row| self.parse_head(target.kind(), &row)).transpose()?;
        head.filter(|head| head.erasing_at.is_none()).ok_or_else(|| target.absent())
    }
}

impl Head {
    /// Whether a hold keeps it.
    pub(crate) const fn held(&self) -> bool {
        self.holds > 0 || self.repository_holds > 0
    }
    /// Why it is erased, once that is decided.
    pub(crate) fn cause(&self) -> Cause {
        self.erasing_cause.unwrap_or(Cause::Request)
    }
    /// An error unless the version that the caller read, if it gave one, is the current one.
    pub(crate) fn expect(&self, expected: Option<u64>) -> Result<(), VaultError> {
        match expected {
            Some(version) if version != self.version => Err(VaultError::Changed { current: self.version }),
            _ => Ok(()),
        }
    }
    /// Until when it will be there to be restored, if it is deleted at that time and no hold comes: what
    /// law or contract keeps is kept to the end of its period; anything else to the end of the window,
    /// or of its period if that comes first.
    pub(crate) fn restorable_until(&self, deleted_at: Timestamp, window: Duration) -> Timestamp {
        let until = self.retained_until();
        if self.retention.basis.permits_early_erasure() { deleted_at.plus(window).min(until) } else { until }
    }
    /// The end of its retention period.
    pub(crate) fn retained_until(&self) -> Timestamp {
        self.created_at.plus(self.retention.period())
    }
}

/// Reads the text of an id of either kind.
pub(crate) fn parse_target(kind: TargetKind, repository: &str, id: &str) -> Option<Target> {
    fn bytes<K: IdKind>(text: &str) -> Option<[u8; 16]> {
        text.parse::<Id<K>>().ok().map(|id| *id.as_bytes())
    }
    let repository = repository.parse().ok()?;
    let id = match kind {
        TargetKind::Record => bytes::<kinds::Record>(id),
        TargetKind::Object => bytes::<kinds::Object>(id),
    };
    id.map(|id| kind.of(repository, id))
}
