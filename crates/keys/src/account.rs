//! An account's keys: made with the account, stopped while it is suspended.

use base::{AccountId, SecretBytes};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Scope, SystemScope, insert, platform, select, update};

use crate::{
    KeyError, Keys, Wrapped,
    binding::length_prefixed,
    envelope::{self, Label, RawKey},
    keys::version,
};

/// The version that an account starts with.
const FIRST: u32 = 1;
/// The secret of an account's blind indexes. Kept through rotations: digests must go on to match.
pub(crate) const INDEX_SECRET: &str = "index";

pub(crate) const ADD_ACCOUNT_KEY: store::Platform = platform!(
    "INSERT INTO account_key (account, version, provider_version, wrapped, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account, version) DO NOTHING"
);
pub(crate) const ACCOUNT_KEY: store::Platform =
    platform!("SELECT provider_version, wrapped FROM account_key WHERE account = $1 AND version = $2");
const ADD_SECRET: store::Scoped = insert!("account_secret" ("name, account_key_version, wrapped") values "$2, $3, $4"
    then "ON CONFLICT (account_id, name) DO NOTHING");
const ADD_RING: store::Scoped = insert!("account_ring" ("active_version, wraps, suspended_at") values "$2, 1, NULL"
    then "ON CONFLICT (account_id) DO NOTHING");
const RING: store::Scoped = select!(["active_version, suspended_at"] from "account_ring" where "1 = 1");
const SUSPEND: store::Scoped = update!("account_ring" set "suspended_at = $2" where "suspended_at IS NULL");
const RESUME: store::Scoped =
    update!("account_ring" set "suspended_at = NULL" where "suspended_at IS NOT NULL");

/// The state of an account's keys.
pub(crate) struct Ring {
    pub(crate) active: u32,
    pub(crate) suspended: bool,
}

impl Keys {
    /// Makes an account's first key and the secret of its blind indexes. Idempotent: a creation that
    /// was interrupted can be begun again.
    ///
    /// Order: the account key is durable first, then what makes it usable. A crash in between leaves a
    /// key that nothing uses, and the next attempt goes on with it.
    pub async fn create_account(
        &self,
        system: &SystemScope,
        account: AccountId,
    ) -> Result<Committed<()>, KeyError> {
        let scope = self.scope_of(system, account);
        let act = || Act::new(Activity::KeyCreate, account_object(account, FIRST));
        let recorded = self.intend_system(system, act()).await?;
        self.make_account_key(system, account, FIRST, &recorded).await?;
        store::crash_point("keys.account-key-made");
        let key = self.fetch_account_key(system, account, FIRST).await?;
        let secret = envelope::random_key(self.context())?;
        let associated = secret_associated(account, INDEX_SECRET, FIRST);
        let sealed =
            envelope::seal(self.context(), &key, Label::ACCOUNT_SECRET, &associated, secret.expose())?;
        let mut tx = self.store().begin(&scope).await?;
        tx.execute(ADD_SECRET, &[INDEX_SECRET.into(), FIRST.into(), (&sealed).into()]).await?;
        tx.execute(ADD_RING, &[FIRST.into()]).await?;
        let committed = tx.commit_recorded((), &recorded).await?;
        self.complete_system(system, act()).await?;
        Ok(committed)
    }

    /// Stops the use of an account's keys: no data key opens any more, on any server, since each read
    /// looks at the state. What is in this server's memory is wiped. New data keys and the index secret
    /// in another server's memory stay usable there until their time is over ([`crate::Limits`]):
    /// refusing the account's requests at once is authentication's. Idempotent.
    pub async fn suspend_account(&self, system: &SystemScope, account: AccountId) -> Result<(), KeyError> {
        self.set_suspended(system, account, true).await?;
        self.forget(account);
        Ok(())
    }

    /// Allows the use of an account's keys again. Idempotent.
    pub async fn resume_account(&self, system: &SystemScope, account: AccountId) -> Result<(), KeyError> {
        self.set_suspended(system, account, false).await
    }

    /// Whether the use of an account's keys is stopped.
    pub async fn account_is_suspended(
        &self,
        system: &SystemScope,
        account: AccountId,
    ) -> Result<bool, KeyError> {
        Ok(self.ring(&self.scope_of(system, account)).await?.suspended)
    }

    async fn set_suspended(
        &self,
        system: &SystemScope,
        account: AccountId,
        suspended: bool,
    ) -> Result<(), KeyError> {
        let scope = self.scope_of(system, account);
        let ring = self.ring(&scope).await?;
        let activity = if suspended { Activity::AccountSuspend } else { Activity::AccountResume };
        let act = || Act::new(activity, account_object(account, ring.active)).detail("suspended", suspended);
        let recorded = self.intend_system(system, act()).await?;
        let mut tx = self.store().begin(&scope).await?;
        if suspended {
            tx.execute(SUSPEND, &[self.context().now().into()]).await?;
        } else {
            tx.execute(RESUME, &[]).await?;
        }
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete_system(system, act()).await?;
        Ok(())
    }

    /// The state of the account's keys; an error if it has none.
    pub(crate) async fn ring(&self, scope: &Scope) -> Result<Ring, KeyError> {
        let row = self.store().read(scope).await?.row(RING, &[]).await?.ok_or(KeyError::NoSuchAccount)?;
        Ok(Ring { active: version(row.int(0)?)?, suspended: row.opt_int(1)?.is_some() })
    }

    /// Makes a version of an account's key durable, unless it is there.
    pub(crate) async fn make_account_key(
        &self,
        system: &SystemScope,
        account: AccountId,
        version: u32,
        recorded: &store::Recorded,
    ) -> Result<(), KeyError> {
        loop {
            let values = [(&account).into(), version.into()];
            if self.store().system_read(system).await?.row(ACCOUNT_KEY, &values).await?.is_some() {
                return Ok(());
            }
            let key = envelope::random_key(self.context())?;
            let secret = SecretBytes::new(key.expose().to_vec());
            let wrapped = self.wrap_by_provider(system, account_purpose(account, version), secret).await?;
            let mut tx = self.store().system(system).await?;
            if !self.count_wraps(&mut tx, wrapped.version, 1).await? {
                drop(tx);
                self.why_not_counted(system, wrapped.version).await?;
                continue;
            }
            let now = self.context().now();
            let values = [
                (&account).into(),
                version.into(),
                wrapped.version.into(),
                (&wrapped.bytes).into(),
                now.into(),
            ];
            tx.execute(ADD_ACCOUNT_KEY, &values).await?;
            tx.commit_recorded((), recorded).await?.into_inner();
        }
    }

    /// Reads and unwraps an account's key, past the cache. The caller has written the event.
    pub(crate) async fn fetch_account_key(
        &self,
        system: &SystemScope,
        account: AccountId,
        key_version: u32,
    ) -> Result<RawKey, KeyError> {
        let values = [(&account).into(), key_version.into()];
        let row = self.store().system_read(system).await?.row(ACCOUNT_KEY, &values).await?;
        let row = row.ok_or(KeyError::NoSuchAccount)?;
        let wrapped = Wrapped { version: version(row.int(0)?)?, bytes: row.blob(1)?.to_vec() };
        let opened = self
            .with_provider(move |provider| provider.unwrap(&account_purpose(account, key_version), &wrapped))
            .await?;
        envelope::raw_key(&opened)
    }
}

/// A version of an account's key, as events name it.
pub(crate) fn account_object(account: AccountId, version: u32) -> ObjectRef {
    ObjectRef::new("account_key", format_args!("{account}/{version}")).in_account(account)
}

/// What a wrapped account key is bound to: its account and version.
pub(crate) fn account_purpose(account: AccountId, version: u32) -> Vec<u8> {
    length_prefixed(b"tenet account key 1\0", &[account.as_bytes(), &version.to_be_bytes()])
}

/// What an account's secret is bound to: its account, name, and the version that wraps it.
pub(crate) fn secret_associated(account: AccountId, name: &str, version: u32) -> Vec<u8> {
    length_prefixed(b"", &[account.as_bytes(), name.as_bytes(), &version.to_be_bytes()])
}
