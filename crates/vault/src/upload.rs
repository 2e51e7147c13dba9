//! Uploads under way: what they reserve, and how one that comes to nothing is settled.
//!
//! An upload reserves what it is about to store, in steps, before it stores it, so that an account can't
//! fill the disk with what it never completes. Each has a row in `object_upload` with its reservation.
//! The transaction that adds the object takes that row away; settling an upload that failed, or whose
//! caller went away, deletes its parts, then gives the reservation back and says so in an event. What a
//! crash interrupts is settled by the schedule, a day later, from the same row.

use base::{ObjectId, RepositoryId};
use ledger::Activity;
use store::{Row, Scope, Scoped, Tx, delete, insert, select, update};
use tokio::task::JoinHandle;

use crate::{Decided, ORPHAN_AGE, Target, Vault, VaultError};

/// Bytes that are reserved at a time.
const STEP_BYTES: u64 = 64 * 1_048_576;
/// Uploads that one run of the schedule settles.
const SETTLED_AT_ONCE: i64 = 16;

const TAKE: Scoped = update!(
    "object_usage" set "objects = objects + $2, bytes = bytes + $3"
    where "objects + $2 <= $4 AND bytes + $3 <= $5"
);
const GIVE: Scoped = update!("object_usage" set "objects = objects - $2, bytes = bytes - $3" where "1 = 1");
const BEGIN: Scoped = insert!(
    "object_upload" ("id, repository_id, blob, bytes, started_at") values "$2, $3, $4, $5, $6"
);
const GROW: Scoped = update!("object_upload" set "bytes = bytes + $3" where "id = $2");
const END: Scoped = delete!("object_upload" where "id = $2" then "RETURNING bytes");
const OLD: Scoped = select!(["id, repository_id, blob, bytes"] from "object_upload" where "started_at <= $2"
    then "ORDER BY started_at LIMIT $3");

/// An upload that is neither stored nor settled. Dropped, it is settled in a task of its own: whoever
/// sends may go away at any moment.
pub(crate) struct Unfinished {
    pub(crate) vault: Vault,
    pub(crate) scope: Scope,
    pub(crate) decided: Decided,
    pub(crate) repository: RepositoryId,
    pub(crate) id: ObjectId,
    pub(crate) blob: String,
    /// Parts that may be there, those under way included.
    pub(crate) parts: u64,
    /// How long it will be, if the sender said so.
    length: Option<u64>,
    /// Plain bytes that are reserved.
    reserved: u64,
    begun: bool,
    /// A part on its way: it comes to be there even if nobody waits for it.
    putting: Option<JoinHandle<Result<(), VaultError>>>,
    /// Whether it is stored or settled, or nobody knows whether it is stored.
    over: bool,
}

impl Unfinished {
    pub(crate) fn new(
        vault: &Vault,
        scope: &Scope,
        decided: &Decided,
        (repository, id, blob): (RepositoryId, ObjectId, String),
        length: Option<u64>,
    ) -> Self {
        Self {
            vault: vault.clone(),
            scope: scope.clone(),
            decided: decided.clone(),
            repository,
            id,
            blob,
            parts: 0,
            length,
            reserved: 0,
            begun: false,
            putting: None,
            over: false,
        }
    }

    /// Puts the next part, once there is room for all that was received.
    pub(crate) async fn put(&mut self, part: Vec<u8>, received: u64) -> Result<(), VaultError> {
        self.reserve(received).await?;
        let number = self.parts;
        self.parts = self.parts.saturating_add(1);
        let (vault, scope, blob) = (self.vault.clone(), self.scope.clone(), self.blob.clone());
        let putting = tokio::spawn(async move { vault.put_part(&scope, &blob, number, part).await });
        let put = self.putting.insert(putting).await;
        self.putting = None;
        put.map_err(|_| VaultError::Blobs("a part broke off".to_owned()))?
    }

    async fn reserve(&mut self, bytes: u64) -> Result<(), VaultError> {
        if self.begun && bytes <= self.reserved {
            return Ok(());
        }
        let step = bytes.saturating_add(STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
        let wanted = match self.length {
            Some(length) => step.min(length).max(bytes),
            None if bytes < STEP_BYTES => bytes,
            None => step,
        };
        match self.reserve_to(wanted).await {
            // What is there already may fit where a whole step does not.
            Err(VaultError::Limit { .. }) if wanted > bytes => self.reserve_to(bytes).await,
            outcome => outcome,
        }
    }

    async fn reserve_to(&mut self, bytes: u64) -> Result<(), VaultError> {
        let more = bytes.saturating_sub(self.reserved);
        let mut tx = self.vault.store().begin(&self.scope).await?;
        self.vault.take(&mut tx, u64::from(!self.begun), more).await?;
        let (id, more_bytes) = ((&self.id).into(), signed(more).into());
        if self.begun {
            tx.execute(GROW, &[id, more_bytes]).await?;
        } else {
            let now = self.vault.context().now();
            let values = [id, (&self.repository).into(), (&self.blob).into(), more_bytes, now.into()];
            tx.execute(BEGIN, &values).await?;
        }
        let act = ledger::Act::new(Activity::ObjectCreate, self.target().object_ref(&self.scope))
            .decided_by(self.decided.policies.clone())
            .detail("stage", "reserve")
            .detail("bytes", bytes);
        // A crash after it: the schedule settles the upload.
        tx.commit((), act).await?.into_inner();
        self.begun = true;
        self.reserved = bytes;
        Ok(())
    }

    fn target(&self) -> Target {
        Target::Object(self.repository, self.id)
    }

    /// From here on it may be stored: whoever drops it does not know, and leaves it to the schedule, which
    /// finds out by its row. [`Unfinished::fail`] still settles it, for who knows.
    pub(crate) fn leave(&mut self) {
        self.over = true;
    }

    /// Settles it in a task of its own, and waits for that: the caller may go away meanwhile.
    pub(crate) async fn fail(mut self, error: VaultError) -> VaultError {
        let settled = tokio::spawn(self.take().settle(error));
        settled.await.unwrap_or_else(|_| VaultError::Blobs("the upload could not be settled".to_owned()))
    }

    fn take(&mut self) -> Self {
        self.over = true;
        Self {
            vault: self.vault.clone(),
            scope: self.scope.clone(),
            decided: self.decided.clone(),
            repository: self.repository,
            id: self.id,
            blob: std::mem::take(&mut self.blob),
            parts: self.parts,
            length: self.length,
            reserved: self.reserved,
            begun: self.begun,
            putting: self.putting.take(),
            over: true,
        }
    }

    /// Deletes the parts, gives back what was reserved, and records why. The error that the caller hears.
    async fn settle(mut self, error: VaultError) -> VaultError {
        if let Some(putting) = self.putting.take() {
            let _ = putting.await;
        }
        let target = self.target();
        let activity = Activity::ObjectCreate;
        if let Err(trouble) = self.vault.clear(&self.scope, &target, &self.blob, self.parts).await {
            tracing::warn!(error = %trouble, object = %self.id, "an unfinished upload could not be settled: the schedule will");
        }
        let object = target.object_ref(&self.scope);
        let noted = self.vault.noted::<()>(&self.scope, &self.decided, activity, object, Err(error)).await;
        noted.err().unwrap_or(VaultError::Broken)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // No runtime: the server stops, and the schedule settles it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.take().settle(VaultError::Broken));
        }
    }
}

impl Vault {
    /// Takes room of the account's quota, within a transaction.
    async fn take(&self, tx: &mut Tx, objects: u64, bytes: u64) -> Result<(), VaultError> {
        let config = self.config();
        let values = [
            signed(objects).into(),
            signed(bytes).into(),
            signed(config.max_objects).into(),
            signed(config.max_object_bytes).into(),
        ];
        if tx.execute(TAKE, &values).await? == 1 {
            return Ok(());
        }
        Err(VaultError::limit("objects", config.max_object_bytes, "bytes an account"))
    }

    /// Turns the reservation of an upload into what its object takes, within the transaction that adds
    /// it. An error if the schedule settled the upload meanwhile.
    pub(crate) async fn end_upload(&self, tx: &mut Tx, id: ObjectId, bytes: u64) -> Result<(), VaultError> {
        let row = tx.row(END, &[(&id).into()]).await?;
        let reserved = row.ok_or(VaultError::Broken)?.count(0)?;
        let spare = signed(reserved.saturating_sub(bytes));
        tx.execute(GIVE, &[0i64.into(), spare.into()]).await?;
        Ok(())
    }

    /// Deletes the parts of an upload that came to nothing, then gives its reservation back. In this
    /// order: a crash in between leaves the reservation to the schedule, never parts without one.
    async fn clear(&self, scope: &Scope, target: &Target, blob: &str, parts: u64) -> Result<(), VaultError> {
        self.delete_parts(scope, blob, parts).await?;
        let mut tx = self.store().begin(scope).await?;
        let Some(row) = tx.row(END, &[target.id().into()]).await? else { return Ok(()) };
        let reserved = signed(row.count(0)?);
        tx.execute(GIVE, &[1i64.into(), reserved.into()]).await?;
        let act = ledger::Act::new(Activity::ObjectCreate, target.object_ref(scope))
            .detail("stage", "release")
            .detail("bytes", reserved);
        tx.commit((), act).await?.into_inner();
        Ok(())
    }

    /// Settles uploads that a crash left; whether there were any.
    pub(crate) async fn sweep_uploads(&self, scope: &Scope) -> Result<bool, VaultError> {
        let oldest = self.context().now().minus(ORPHAN_AGE);
        let rows =
            self.store().read(scope).await?.rows(OLD, &[oldest.into(), SETTLED_AT_ONCE.into()]).await?;
        for row in &rows {
            let (target, blob, parts) = read_upload(row)?;
            self.clear(scope, &target, blob, parts).await?;
        }
        Ok(!rows.is_empty())
    }
}

/// An upload's target, its blob, and the most parts that it can have put.
fn read_upload(row: &Row) -> Result<(Target, &str, u64), VaultError> {
    let target = Target::Object(row.id(1)?, row.id(0)?);
    // One more: a part that was on its way is within what was reserved, its sealing is not.
    let parts = crate::blob::parts_of(row.count(3)?)?.saturating_add(1);
    Ok((target, row.text(2)?, parts))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
