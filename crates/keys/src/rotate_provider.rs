//! Rotation of the provider key: a new version takes over, and everything that the old one wrapped
//! (account keys, subject keys, platform secrets) is wrapped anew by a job, while readers go on.
//!
//! The steps, each of which finds its own work done when it is begun again: (1) the job is durable with
//! its event; (2) the new version's row is durable, pending; (3) the provider has made it; (4) it is
//! active, and the old one drains; (5) old wraps are made anew, a batch in a transaction; (6) none is
//! left, and an event says so. A crash between any two leaves all keys readable, and the job goes on.
//! A wrapped key that does not open is passed over, as for an account's rotation.

use base::{AccountId, kinds};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use store::{
    Committed, JobError, JobFuture, JobHandler, Lease, NewJob, Next, Recorded, Row, SystemScope, platform,
};

use crate::{
    KeyError, Keys, Provider, ProviderError, Wrapped,
    account::{account_object, account_purpose},
    keys::{check_purpose, check_text, signed, version},
    rotation::{DONE, MAX_ATTEMPTS, Rotation, to_json},
    secret::secret_purpose,
    subject::subject_purpose,
};

const KIND: &str = "keys.rotate-provider";
/// The name of the rotation in [`crate::Status`].
const NAME: &str = "provider";

const ADD_PENDING: store::Platform = platform!(
    "INSERT INTO provider_key (version, provider, state, wraps, check_value, created_at) \
     VALUES ($1, $2, 'pending', 0, NULL, $3) ON CONFLICT (version) DO NOTHING"
);
const DRAIN: store::Platform =
    platform!("UPDATE provider_key SET state = 'draining' WHERE state = 'active' AND version < $1");
const ACTIVATE: store::Platform = platform!(
    "UPDATE provider_key SET state = 'active', wraps = 1, check_value = $2 WHERE version = $1 AND state = 'pending'"
);
const OLD_ACCOUNTS: store::Platform = platform!(
    "SELECT provider_version, wrapped, account, version FROM account_key \
     WHERE provider_version < $1 AND (account, version) > ($2, $3) ORDER BY account, version LIMIT $4"
);
const OLD_SUBJECTS: store::Platform = platform!(
    "SELECT provider_version, wrapped, subject FROM subject_key \
     WHERE provider_version < $1 AND subject > $2 ORDER BY subject LIMIT $3"
);
const OLD_SECRETS: store::Platform = platform!(
    "SELECT provider_version, wrapped, name FROM platform_secret \
     WHERE provider_version < $1 AND name > $2 ORDER BY name LIMIT $3"
);
const REWRAP_ACCOUNT: store::Platform = platform!(
    "UPDATE account_key SET provider_version = $3, wrapped = $4 \
     WHERE account = $1 AND version = $2 AND provider_version = $5"
);
const REWRAP_SUBJECT: store::Platform = platform!(
    "UPDATE subject_key SET provider_version = $2, wrapped = $3 WHERE subject = $1 AND provider_version = $4"
);
const REWRAP_SECRET: store::Platform = platform!(
    "UPDATE platform_secret SET provider_version = $2, wrapped = $3 WHERE name = $1 AND provider_version = $4"
);
const COUNT_OLD: store::Platform = platform!(
    "SELECT (SELECT COUNT(*) FROM account_key WHERE provider_version < $1) \
     + (SELECT COUNT(*) FROM subject_key WHERE provider_version < $1) \
     + (SELECT COUNT(*) FROM platform_secret WHERE provider_version < $1)"
);

/// Where a rotation's job is.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    from: u32,
    to: u32,
    switched: bool,
    cursor: Cursor,
    /// Wrapped keys that did not open, up to the cursor.
    #[serde(default)]
    damaged: u64,
}

/// A batch, opened and wrapped anew by the provider.
struct Rewrapped {
    /// Each place, the version that wrapped it, and what wraps it now.
    fresh: Vec<(Cursor, u32, Wrapped)>,
    /// Those that did not open.
    damaged: Vec<Cursor>,
}

/// The last that was wrapped anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Cursor {
    Account(AccountId, u32),
    Subject(String),
    Secret(String),
}

impl Cursor {
    const START: Self = Self::Account(AccountId::from_bytes([0; 16]), 0);

    /// The start of the next table, after the end of this one.
    fn next_table(&self) -> Option<Self> {
        match self {
            Self::Account(..) => Some(Self::Subject(String::new())),
            Self::Subject(_) => Some(Self::Secret(String::new())),
            Self::Secret(_) => None,
        }
    }

    /// What the wrapped key at this place is bound to.
    fn purpose(&self) -> Vec<u8> {
        match self {
            Self::Account(account, version) => account_purpose(*account, *version),
            Self::Subject(subject) => subject_purpose(subject),
            Self::Secret(name) => secret_purpose(name),
        }
    }

    /// The wrapped key at this place, as events name it.
    fn object(&self) -> ObjectRef {
        match self {
            Self::Account(account, version) => account_object(*account, *version),
            Self::Subject(subject) => ObjectRef::new("subject_key", subject),
            Self::Secret(name) => ObjectRef::new("platform_secret", name),
        }
    }

    /// The place of a row of the same table.
    fn of(&self, row: &Row) -> Result<Self, KeyError> {
        Ok(match self {
            Self::Account(..) => Self::Account(row.id::<kinds::Account>(2)?, version(row.int(3)?)?),
            Self::Subject(_) => Self::Subject(row.text(2)?.to_owned()),
            Self::Secret(_) => Self::Secret(row.text(2)?.to_owned()),
        })
    }
}

impl Keys {
    /// Starts the rotation of the provider key. A job does it: see [`Keys::status`] for its progress.
    ///
    /// # Errors
    /// [`KeyError::Rotating`] if one runs already.
    pub async fn rotate_provider(&self, system: &SystemScope) -> Result<Committed<Rotation>, KeyError> {
        match self.start_provider_rotation(system).await? {
            Some(started) => Ok(started),
            None => {
                let act = Act::refused(Activity::KeyRotate, self.provider_object(0), "key-rotating", None);
                self.data().record_system(system, act.decided_by(self.policies())).await?;
                Err(KeyError::Rotating("provider key"))
            }
        }
    }

    /// Starts it because the key nears its limit of uses. Nothing happens if one runs already.
    pub(crate) async fn rotate_provider_by_itself(&self, system: &SystemScope) -> Result<(), KeyError> {
        self.start_provider_rotation(system).await?;
        Ok(())
    }

    async fn start_provider_rotation(
        &self,
        system: &SystemScope,
    ) -> Result<Option<Committed<Rotation>>, KeyError> {
        let versions = self.versions(system).await?;
        let active = versions.iter().find(|row| row.state == "active");
        let from = active.ok_or(KeyError::Damaged("no active provider key"))?.version;
        let highest = versions.last().map_or(from, |row| row.version);
        let pending = versions.last().is_some_and(|row| row.state == "pending");
        let to = if pending { highest } else { highest.saturating_add(1) };
        let rotation = Rotation { from, to };
        let progress = Progress { from, to, switched: false, cursor: Cursor::START, damaged: 0 };
        let job = NewJob {
            kind: KIND,
            payload: to_json(&progress)?,
            run_at: self.context().now(),
            dedupe: Some(KIND.to_owned()),
            max_attempts: MAX_ATTEMPTS,
        };
        let mut tx = self.data().system(system).await?;
        if tx.enqueue(job).await?.is_none() {
            return Ok(None);
        }
        let act = Act::new(Activity::KeyRotate, self.provider_object(to)).detail("from", from);
        Ok(Some(tx.commit(rotation, act.decided_by(self.policies())).await?))
    }

    async fn go_on_with_provider(&self, lease: &Lease) -> Result<Next, KeyError> {
        let parsed = serde_json::from_str(lease.payload());
        let mut at: Progress = parsed.map_err(|_| KeyError::Damaged("the payload of a rotation"))?;
        let system = lease.system();
        let act = Act::new(Activity::KeyRotate, self.provider_object(at.to)).detail("rewrap", true);
        let recorded = self.intend_system(system, act).await?;
        if !at.switched {
            self.switch_provider(system, &at, &recorded).await?;
            at.switched = true;
        }
        for _ in 0..self.limits().rotation_batches_per_run.max(1) {
            if self.rewrap_by_provider(system, &mut at, &recorded).await? {
                store::crash_point("keys.provider-rewrapped");
                continue;
            }
            let Some(next) = at.cursor.next_table() else {
                if self.count_old(system, at.to).await? > at.damaged {
                    at.cursor = Cursor::START;
                    at.damaged = 0;
                    break;
                }
                let act = Act::new(Activity::KeyRotateComplete, self.provider_object(at.to));
                let act = act.detail("from", at.from).detail("damaged", at.damaged);
                self.data().record_system(system, act).await?;
                self.note_finished(system, NAME, at.damaged, &recorded).await?;
                return Ok(Next::Done);
            };
            at.cursor = next;
        }
        Ok(Next::At(self.context().now(), Some(to_json(&at)?)))
    }

    async fn switch_provider(
        &self,
        system: &SystemScope,
        at: &Progress,
        recorded: &Recorded,
    ) -> Result<(), KeyError> {
        let name = self.provider().name();
        let mut tx = self.store().system(system).await?;
        tx.execute(ADD_PENDING, &[at.to.into(), (&name).into(), self.context().now().into()]).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        let to = at.to;
        // Durable in the file or token before anything is wrapped with it.
        let check = self
            .with_provider(move |provider| {
                provider.add_version(to)?;
                provider.wrap(to, &check_purpose(to), &check_text())
            })
            .await?;
        store::crash_point("keys.provider-version-made");
        let total = self.count_old(system, at.to).await?;
        self.note_started(system, NAME, Rotation { from: at.from, to }, total, recorded).await?;
        let mut tx = self.store().system(system).await?;
        // Both in one transaction, so that there is always exactly one active version. It waits for
        // whoever counts a wrap by the old version just now; nobody can after it.
        tx.execute(DRAIN, &[to.into()]).await?;
        tx.execute(ACTIVATE, &[to.into(), (&check.bytes).into()]).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        Ok(())
    }

    async fn count_old(&self, system: &SystemScope, to: u32) -> Result<u64, KeyError> {
        let row = self.store().system_read(system).await?.row(COUNT_OLD, &[to.into()]).await?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?)
    }

    /// Wraps one batch of the cursor's table anew. Whether there was any.
    async fn rewrap_by_provider(
        &self,
        system: &SystemScope,
        at: &mut Progress,
        recorded: &Recorded,
    ) -> Result<bool, KeyError> {
        let batch = self.limits().rotation_batch;
        let mut read = self.store().system_read(system).await?;
        let rows = match &at.cursor {
            Cursor::Account(account, key_version) => {
                let values = [at.to.into(), account.into(), (*key_version).into(), batch.into()];
                read.rows(OLD_ACCOUNTS, &values).await?
            }
            Cursor::Subject(subject) => {
                read.rows(OLD_SUBJECTS, &[at.to.into(), subject.into(), batch.into()]).await?
            }
            Cursor::Secret(name) => {
                read.rows(OLD_SECRETS, &[at.to.into(), name.into(), batch.into()]).await?
            }
        };
        drop(read);
        let mut old = Vec::with_capacity(rows.len());
        for row in &rows {
            let wrapped = Wrapped { version: version(row.int(0)?)?, bytes: row.blob(1)?.to_vec() };
            old.push((at.cursor.of(row)?, wrapped));
        }
        let Some((last, _)) = old.last() else { return Ok(false) };
        let last = last.clone();
        let to = at.to;
        let Rewrapped { fresh, damaged } =
            self.with_provider(move |provider| wrap_anew(provider, to, old)).await?;
        for place in &damaged {
            let act = Act::refused(Activity::KeyRefuse, place.object(), "wrapped-key-damaged", Some("CD-6"));
            self.data().record_system(system, act.detail("during", Activity::KeyRotate.name())).await?;
        }
        let mut tx = self.store().system(system).await?;
        if !self.count_wraps(&mut tx, to, fresh.len() as u64).await? {
            return Err(KeyError::Exhausted("provider key"));
        }
        for (place, was, wrapped) in &fresh {
            let (to, bytes, was) = (to.into(), (&wrapped.bytes).into(), (*was).into());
            match place {
                Cursor::Account(account, key_version) => {
                    let values = [account.into(), (*key_version).into(), to, bytes, was];
                    tx.execute(REWRAP_ACCOUNT, &values).await?
                }
                Cursor::Subject(subject) => {
                    tx.execute(REWRAP_SUBJECT, &[subject.into(), to, bytes, was]).await?
                }
                Cursor::Secret(name) => tx.execute(REWRAP_SECRET, &[name.into(), to, bytes, was]).await?,
            };
        }
        tx.execute(DONE, &[NAME.into(), signed(fresh.len() as u64).into()]).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        at.cursor = last;
        at.damaged = at.damaged.saturating_add(damaged.len() as u64);
        Ok(true)
    }
}

/// Opens what older versions wrapped, and wraps it with `to`. A provider that does not answer is an
/// error: then nothing is known.
fn wrap_anew(
    provider: &dyn Provider,
    to: u32,
    old: Vec<(Cursor, Wrapped)>,
) -> Result<Rewrapped, ProviderError> {
    let mut done = Rewrapped { fresh: Vec::with_capacity(old.len()), damaged: Vec::new() };
    for (place, wrapped) in old {
        let purpose = place.purpose();
        match provider.unwrap(&purpose, &wrapped) {
            Ok(secret) => {
                done.fresh.push((place, wrapped.version, provider.wrap(to, &purpose, &secret)?));
            }
            Err(ProviderError::DoesNotOpen(_) | ProviderError::NoSuchVersion(_)) => done.damaged.push(place),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Does the jobs of provider rotation.
pub(crate) struct RotateProvider(pub(crate) Keys);

impl JobHandler for RotateProvider {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn run<'a>(&'a self, lease: &'a Lease) -> JobFuture<'a> {
        Box::pin(async move {
            self.0.go_on_with_provider(lease).await.map_err(|error| JobError(error.to_string()))
        })
    }
}
