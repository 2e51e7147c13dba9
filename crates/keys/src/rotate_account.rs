//! Rotation of an account key: a new version takes over, and every data key of the account is wrapped
//! anew by a job, while readers go on (each row says which version wraps it).
//!
//! The steps, each of which finds its own work done when it is begun again: (1) the job is durable with
//! its event; (2) the new version is durable; (3) new data keys are wrapped with it; (4) old ones are
//! wrapped anew, a batch in a transaction; (5) none is left, and an event says so. A crash between any
//! two leaves all keys readable, and the job goes on from its cursor.
//!
//! A wrapped key that does not open was changed or moved here: it is passed over, with an event that
//! names it, and the rotation ends without it. It stays under the version that it had, so that this
//! version can't be retired unnoticed.

use base::{AccountId, DataKeyId, SecretBytes, kinds};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{
    Committed, JobError, JobFuture, JobHandler, Lease, NewJob, Next, Recorded, Scope, SystemScope, select,
    update,
};

use crate::{
    KeyError, Keys, ProviderError, Purpose,
    account::{account_object, secret_associated},
    envelope::{self, Label},
    keys::{signed, version},
    read_data_key::data_key_associated,
    rotation::{MAX_ATTEMPTS, Rotation, to_json},
};

const KIND: &str = "keys.rotate-account";

const SWITCH: store::Scoped =
    update!("account_ring" set "active_version = $3, wraps = 0" where "active_version = $2");
const COUNT_REWRAPS: store::Scoped = update!("account_ring" set "wraps = wraps + $3"
    where "active_version = $2 AND wraps + $3 <= $4");
const OLD: store::Scoped = select!(["id, account_key_version, wrapped"] from "data_key"
    where "id > $2 AND account_key_version < $3 AND destroyed_at IS NULL" then "ORDER BY id LIMIT $4");
const COUNT_OLD: store::Scoped =
    select!(["COUNT(*)"] from "data_key" where "account_key_version < $2 AND destroyed_at IS NULL");
const REWRAP: store::Scoped = update!("data_key" set "account_key_version = $3, wrapped = $4"
    where "id = $2 AND account_key_version = $5 AND destroyed_at IS NULL");
const OLD_SECRETS: store::Scoped =
    select!(["name, account_key_version, wrapped"] from "account_secret" where "account_key_version < $2");
const REWRAP_SECRET: store::Scoped = update!("account_secret" set "account_key_version = $3, wrapped = $4"
    where "name = $2 AND account_key_version = $5");

/// Where a rotation's job is.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    account: AccountId,
    from: u32,
    to: u32,
    switched: bool,
    cursor: DataKeyId,
    /// Data keys that did not open, up to the cursor.
    #[serde(default)]
    damaged: u64,
    /// Secrets that did not open.
    #[serde(default)]
    damaged_secrets: u64,
}

/// What became of one batch.
struct Batch {
    /// Whether there was anything left to look at.
    any: bool,
    rewrapped: u64,
}

impl Keys {
    /// Starts the rotation of an account's key. A job does it: see [`Keys::status`] for its progress.
    ///
    /// # Errors
    /// [`KeyError::Rotating`] if one runs already; [`KeyError::NoSuchAccount`].
    pub async fn rotate_account(
        &self,
        system: &SystemScope,
        account: AccountId,
    ) -> Result<Committed<Rotation>, KeyError> {
        match self.start_account_rotation(system, account).await? {
            Some(started) => Ok(started),
            None => {
                let object = account_object(account, 0);
                let act = Act::refused(Activity::KeyRotate, object, "key-rotating", None);
                self.data().record_system(system, act.decided_by(self.policies())).await?;
                Err(KeyError::Rotating("account key"))
            }
        }
    }

    /// Starts it because the key nears its limit of uses. Nothing happens if one runs already.
    pub(crate) async fn rotate_account_by_itself(&self, scope: &Scope) -> Result<(), KeyError> {
        let system = self.system_of(scope, "an account key nears its limit of uses");
        self.start_account_rotation(&system, scope.account()).await?;
        Ok(())
    }

    async fn start_account_rotation(
        &self,
        system: &SystemScope,
        account: AccountId,
    ) -> Result<Option<Committed<Rotation>>, KeyError> {
        let from = self.ring(&self.scope_of(system, account)).await?.active;
        let rotation = Rotation { from, to: from.saturating_add(1) };
        let cursor = DataKeyId::from_bytes([0; 16]);
        let progress = Progress {
            account,
            from,
            to: rotation.to,
            switched: false,
            cursor,
            damaged: 0,
            damaged_secrets: 0,
        };
        let job = NewJob {
            kind: KIND,
            payload: to_json(&progress)?,
            run_at: self.context().now(),
            dedupe: Some(format!("{KIND} {account}")),
            max_attempts: MAX_ATTEMPTS,
        };
        let mut tx = self.data().system(system).await?;
        if tx.enqueue(job).await?.is_none() {
            return Ok(None);
        }
        let act = Act::new(Activity::KeyRotate, account_object(account, rotation.to)).detail("from", from);
        Ok(Some(tx.commit(rotation, act.decided_by(self.policies())).await?))
    }

    async fn go_on_with_account(&self, lease: &Lease) -> Result<Next, KeyError> {
        let parsed = serde_json::from_str(lease.payload());
        let mut at: Progress = parsed.map_err(|_| KeyError::Damaged("the payload of a rotation"))?;
        let scope = self.scope_of(lease.system(), at.account);
        let act = Act::new(Activity::KeyRotate, account_object(at.account, at.to));
        let recorded = self.intend(&scope, act.detail("rewrap", true)).await?;
        if !at.switched {
            at.damaged_secrets = self.switch_account(lease.system(), &scope, &at, &recorded).await?;
            at.switched = true;
        }
        let (mut done, mut ended) = (0, false);
        for _ in 0..self.limits().rotation_batches_per_run.max(1) {
            let batch = self.rewrap_data_keys(&scope, &mut at, &recorded).await?;
            store::crash_point("keys.rewrapped");
            done += batch.rewrapped;
            ended = !batch.any;
            if ended {
                break;
            }
        }
        self.note_progress(lease.system(), &rotation_name(at.account), done, &recorded).await?;
        if !ended {
            return Ok(Next::At(self.context().now(), Some(to_json(&at)?)));
        }
        if self.count_old_data_keys(&scope, at.to).await? > at.damaged {
            // Nothing past the cursor, and more before it than did not open: from the start again.
            at.cursor = DataKeyId::from_bytes([0; 16]);
            at.damaged = 0;
            return Ok(Next::At(self.context().now(), Some(to_json(&at)?)));
        }
        let damaged = at.damaged.saturating_add(at.damaged_secrets);
        let act = Act::new(Activity::KeyRotateComplete, account_object(at.account, at.to));
        self.data().record(&scope, act.detail("from", at.from).detail("damaged", damaged)).await?;
        self.note_finished(lease.system(), &rotation_name(at.account), damaged, &recorded).await?;
        Ok(Next::Done)
    }

    async fn count_old_data_keys(&self, scope: &Scope, to: u32) -> Result<u64, KeyError> {
        let row = self.store().read(scope).await?.row(COUNT_OLD, &[to.into()]).await?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?)
    }

    async fn switch_account(
        &self,
        system: &SystemScope,
        scope: &Scope,
        at: &Progress,
        recorded: &Recorded,
    ) -> Result<u64, KeyError> {
        self.make_account_key(system, at.account, at.to, recorded).await?;
        store::crash_point("keys.version-made");
        let total = self.count_old_data_keys(scope, at.to).await?;
        let rotation = Rotation { from: at.from, to: at.to };
        self.note_started(system, &rotation_name(at.account), rotation, total, recorded).await?;
        let mut tx = self.store().begin(scope).await?;
        // No row if an earlier attempt did it. From here on, whoever makes data keys with the old
        // version is turned away by the ring, and takes the new one.
        tx.execute(SWITCH, &[at.from.into(), at.to.into()]).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        self.rewrap_secrets(scope, at, recorded).await
    }

    /// Wraps the account's secrets anew: a few. How many of them did not open.
    async fn rewrap_secrets(
        &self,
        scope: &Scope,
        at: &Progress,
        recorded: &Recorded,
    ) -> Result<u64, KeyError> {
        let new = self.account_key(scope, at.to, Purpose::Rotate).await?;
        let rows = self.store().read(scope).await?.rows(OLD_SECRETS, &[at.to.into()]).await?;
        let mut sealed = Vec::with_capacity(rows.len());
        for row in &rows {
            let (name, old_version) = (row.text(0)?, version(row.int(1)?)?);
            let associated = secret_associated(at.account, name, old_version);
            let wrapped = (old_version, row.blob(2)?);
            let secret = self.open_old(scope, wrapped, Label::ACCOUNT_SECRET, &associated).await?;
            let Some(secret) = secret else {
                let object = ObjectRef::new("account_secret", name).in_account(at.account);
                self.refuse_damaged(scope, object).await?;
                continue;
            };
            let associated = secret_associated(at.account, name, at.to);
            let fresh =
                envelope::seal(self.context(), &new, Label::ACCOUNT_SECRET, &associated, secret.expose())?;
            sealed.push((name, old_version, fresh));
        }
        let mut tx = self.store().begin(scope).await?;
        self.count_rewraps(&mut tx, at.to, sealed.len()).await?;
        for (name, old_version, fresh) in &sealed {
            let values = [(*name).into(), at.to.into(), fresh.into(), (*old_version).into()];
            tx.execute(REWRAP_SECRET, &values).await?;
        }
        tx.commit_recorded((), recorded).await?.into_inner();
        Ok((rows.len() as u64).saturating_sub(sealed.len() as u64))
    }

    /// What an older version wrapped; none if it does not open. A provider that does not answer is an
    /// error: then nothing is known.
    async fn open_old(
        &self,
        scope: &Scope,
        (old_version, wrapped): (u32, &[u8]),
        label: Label,
        associated: &[u8],
    ) -> Result<Option<SecretBytes>, KeyError> {
        let key = self.account_key(scope, old_version, Purpose::Rotate).await;
        let opened = match key {
            Ok(key) => envelope::open(&key, label, associated, wrapped),
            Err(error) => Err(error),
        };
        match opened {
            Ok(secret) => Ok(Some(secret)),
            Err(
                KeyError::DoesNotOpen
                | KeyError::NoSuchAccount
                | KeyError::Provider(ProviderError::DoesNotOpen(_) | ProviderError::NoSuchVersion(_)),
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes which wrapped key a rotation passed over.
    async fn refuse_damaged(&self, scope: &Scope, object: ObjectRef) -> Result<(), KeyError> {
        let act = Act::refused(Activity::KeyRefuse, object, "wrapped-key-damaged", Some("CD-6"));
        self.data().record(scope, act.detail("during", Activity::KeyRotate.name())).await?;
        Ok(())
    }

    /// Wraps one batch anew. Moves the cursor.
    async fn rewrap_data_keys(
        &self,
        scope: &Scope,
        at: &mut Progress,
        recorded: &Recorded,
    ) -> Result<Batch, KeyError> {
        let values = [(&at.cursor).into(), at.to.into(), self.limits().rotation_batch.into()];
        let rows = self.store().read(scope).await?.rows(OLD, &values).await?;
        let new = self.account_key(scope, at.to, Purpose::Rotate).await?;
        let (mut sealed, mut last, mut damaged) = (Vec::with_capacity(rows.len()), None, 0);
        for row in &rows {
            let (id, old_version) = (row.id::<kinds::DataKey>(0)?, version(row.int(1)?)?);
            last = Some(id);
            let associated = data_key_associated(at.account, id, old_version);
            let wrapped = (old_version, row.blob(2)?);
            let Some(secret) = self.open_old(scope, wrapped, Label::DATA_KEY, &associated).await? else {
                let object = ObjectRef::new("data_key", id).in_account(at.account);
                self.refuse_damaged(scope, object).await?;
                damaged += 1;
                continue;
            };
            let associated = data_key_associated(at.account, id, at.to);
            let fresh = envelope::seal(self.context(), &new, Label::DATA_KEY, &associated, secret.expose())?;
            sealed.push((id, old_version, fresh));
        }
        let mut tx = self.store().begin(scope).await?;
        self.count_rewraps(&mut tx, at.to, sealed.len()).await?;
        for (id, old_version, fresh) in &sealed {
            // Not if it was destroyed since it was read: what is destroyed never comes back.
            tx.execute(REWRAP, &[id.into(), at.to.into(), fresh.into(), (*old_version).into()]).await?;
        }
        tx.commit_recorded((), recorded).await?.into_inner();
        self.inner().uses.count(at.account, Purpose::Rotate, sealed.len() as u64);
        // A crash before the job says where it is: the batch is looked at again, and what is wrapped
        // anew is not in it.
        at.damaged = at.damaged.saturating_add(damaged);
        at.cursor = last.unwrap_or(at.cursor);
        Ok(Batch { any: last.is_some(), rewrapped: sealed.len() as u64 })
    }

    async fn count_rewraps(&self, tx: &mut store::Tx, to: u32, wraps: usize) -> Result<(), KeyError> {
        let values = [to.into(), signed(wraps as u64).into(), signed(self.limits().account_wraps).into()];
        if tx.execute(COUNT_REWRAPS, &values).await? == 1 {
            Ok(())
        } else {
            Err(KeyError::Exhausted("account key"))
        }
    }
}

/// The name of an account's rotation in [`crate::Status`].
pub(crate) fn rotation_name(account: AccountId) -> String {
    format!("account {account}")
}

/// Does the jobs of account rotation.
pub(crate) struct RotateAccount(pub(crate) Keys);

impl JobHandler for RotateAccount {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move {
            self.0.go_on_with_account(lease).await.map_err(|error| JobError(error.to_string()))
        })
    }
}
