//! Retirement of key versions: a version that nothing is wrapped with any more is destroyed, and with
//! it whatever an old backup still holds under it. One that is in use can't be retired.
//!
//! Order: the intent is in the log; then the version is marked, in the transaction that finds it
//! unused; then it is destroyed; then the completion is in the log. A crash after the mark means that
//! it still exists, unused: the retirement is begun again, and goes on.

use base::AccountId;
use ledger::{Act, Activity};
use store::{SystemScope, platform, select};

use crate::{KeyError, Keys, account::account_object};

// Locks the row until the transaction ends.
const LOCK: store::Platform =
    platform!("UPDATE provider_key SET wraps = wraps WHERE version = $1 RETURNING state");
const USES: store::Platform = platform!(
    "SELECT (SELECT COUNT(*) FROM account_key WHERE provider_version = $1) \
     + (SELECT COUNT(*) FROM subject_key WHERE provider_version = $1) \
     + (SELECT COUNT(*) FROM platform_secret WHERE provider_version = $1)"
);
const RETIRING: store::Platform = platform!(
    "UPDATE provider_key SET state = 'retiring', check_value = NULL WHERE version = $1 AND state = 'draining'"
);
const RETIRED: store::Platform =
    platform!("UPDATE provider_key SET state = 'retired' WHERE version = $1 AND state = 'retiring'");
const ACTIVE: store::Scoped = select!(["active_version"] from "account_ring" where "1 = 1");
const DATA_KEYS: store::Scoped =
    select!(["COUNT(*)"] from "data_key" where "account_key_version = $2 AND destroyed_at IS NULL");
const SECRETS: store::Scoped = select!(["COUNT(*)"] from "account_secret" where "account_key_version = $2");
const REMOVE: store::Platform = platform!("DELETE FROM account_key WHERE account = $1 AND version = $2");

const PROVIDER: &str = "provider key";
const ACCOUNT: &str = "account key";

impl Keys {
    /// Retires a version of the provider key: the provider destroys it. Idempotent.
    ///
    /// # Errors
    /// [`KeyError::InUse`] while anything is wrapped with it; [`KeyError::NotRetirable`] for the active
    /// version, or one that never was. Each refusal is an event.
    pub async fn retire_provider(&self, system: &SystemScope, version: u32) -> Result<(), KeyError> {
        let act = || Act::new(Activity::KeyRetire, self.provider_object(version)).decided_by(self.policies());
        let recorded = self.intend_system(system, act()).await?;
        let mut tx = self.store().system(system).await?;
        let state = tx.row(LOCK, &[version.into()]).await?;
        let state = state.map(|row| row.text(0).map(str::to_owned)).transpose()?;
        // A statement of its own: it sees what the lock had waited for.
        let uses = tx.row(USES, &[version.into()]).await?.map_or(Ok(0), |row| row.count(0))?;
        let refusal = match state.as_deref() {
            Some("draining") if uses > 0 => Some(KeyError::InUse { which: PROVIDER, version, uses }),
            Some("draining" | "retiring" | "retired") => None,
            Some(_) => Some(KeyError::NotRetirable { which: PROVIDER, version, why: "the current one" }),
            None => Some(KeyError::NotRetirable { which: PROVIDER, version, why: "unknown" }),
        };
        if let Some(error) = refusal {
            drop(tx);
            self.refuse_retirement(system, self.provider_object(version), &error).await?;
            return Err(error);
        }
        tx.execute(RETIRING, &[version.into()]).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        store::crash_point("keys.retiring");
        self.with_provider(move |provider| provider.destroy_version(version)).await?;
        let mut tx = self.store().system(system).await?;
        tx.execute(RETIRED, &[version.into()]).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete_system(system, act()).await?;
        Ok(())
    }

    /// Retires a version of an account's key: its wrapped bytes are deleted. Remnants of data keys that
    /// it wrapped, in freed pages or old write-ahead logs, can't be opened any more. Idempotent.
    ///
    /// # Errors
    /// As [`Keys::retire_provider`].
    pub async fn retire_account(
        &self,
        system: &SystemScope,
        account: AccountId,
        version: u32,
    ) -> Result<(), KeyError> {
        let scope = self.scope_of(system, account);
        let object = account_object(account, version);
        let act = || Act::new(Activity::KeyRetire, object.clone()).decided_by(self.policies());
        let recorded = self.intend_system(system, act()).await?;
        // One snapshot, so that only what is durable counts: a rewrapping that is still on its way to the
        // disk could be lost, and the key that it went away from be deleted. Who wraps must count at the
        // ring, in the same transaction, and only the active version counts: once the switch to a later
        // version is durable, so is every wrap by an earlier one, and no other can come.
        let mut read = self.store().read(&scope).await?;
        let ring = read.row(ACTIVE, &[]).await?.ok_or(KeyError::NoSuchAccount)?;
        let active = ring.count(0)?;
        let mut uses = 0;
        for statement in [DATA_KEYS, SECRETS] {
            uses += read.row(statement, &[version.into()]).await?.map_or(Ok(0), |row| row.count(0))?;
        }
        drop(read);
        let refusal = if version == 0 || u64::from(version) > active {
            Some(KeyError::NotRetirable { which: ACCOUNT, version, why: "unknown" })
        } else if u64::from(version) == active {
            Some(KeyError::NotRetirable { which: ACCOUNT, version, why: "the current one" })
        } else if uses > 0 {
            Some(KeyError::InUse { which: ACCOUNT, version, uses })
        } else {
            None
        };
        if let Some(error) = refusal {
            self.refuse_retirement(system, object, &error).await?;
            return Err(error);
        }
        let mut tx = self.store().system(system).await?;
        tx.execute(REMOVE, &[(&account).into(), version.into()]).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.inner().account_keys.sweep(self.context().now(), |name| *name != (account, version));
        self.store().fold().await?;
        self.complete_system(system, act()).await?;
        Ok(())
    }

    async fn refuse_retirement(
        &self,
        system: &SystemScope,
        object: ledger::ObjectRef,
        error: &KeyError,
    ) -> Result<(), KeyError> {
        use base::Fault as _;
        let act = Act::refused(Activity::KeyRetire, object, error.code(), error.clause());
        self.data().record_system(system, act.decided_by(self.policies())).await?;
        Ok(())
    }
}
