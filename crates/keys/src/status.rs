//! The state of the keys, for those who operate Tenet: versions, uses, rotations. No key material.

use base::{AccountId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, SystemScope, platform, select};

use crate::{
    KeyError, Keys,
    account::account_object,
    keys::version,
    rotation::{Rotation, RotationStatus},
};

const VERSIONS: store::Platform = platform!(
    "SELECT version, provider, state, wraps, created_at, \
     (SELECT COUNT(*) FROM account_key k WHERE k.provider_version = p.version), \
     (SELECT COUNT(*) FROM subject_key k WHERE k.provider_version = p.version), \
     (SELECT COUNT(*) FROM platform_secret k WHERE k.provider_version = p.version) \
     FROM provider_key p ORDER BY version"
);
const ACCOUNTS: store::Platform = platform!("SELECT COUNT(DISTINCT account) FROM account_key");
// The newest rotations; older ones are in the log.
const ROTATIONS: store::Platform = platform!(
    "SELECT name, from_version, to_version, done, total, damaged, started_at, finished_at FROM key_rotation \
     ORDER BY started_at DESC, name LIMIT 100"
);
const RING: store::Scoped =
    select!(["active_version, wraps, suspended_at"] from "account_ring" where "1 = 1");
const DATA_KEYS: store::Scoped = select!(["account_key_version, COUNT(*), COUNT(destroyed_at)"] from "data_key"
    where "1 = 1" then "GROUP BY account_key_version ORDER BY account_key_version");

/// The state of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The configured provider.
    pub provider: String,
    /// The provider key's versions, ascending.
    pub versions: Vec<ProviderVersion>,
    /// How many accounts have keys.
    pub accounts: u64,
    /// The newest 100 rotations, newest first.
    pub rotations: Vec<RotationStatus>,
}

/// A version of the provider key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The provider that made it.
    pub provider: String,
    /// `pending`, `active`, `draining`, `retiring` or `retired`.
    pub state: String,
    /// How often it wrapped.
    pub wraps: u64,
    /// When it was made.
    pub created: Timestamp,
    /// How many account keys it wraps now.
    pub account_keys: u64,
    /// How many subject keys it wraps now.
    pub subject_keys: u64,
    /// How many platform secrets it wraps now.
    pub secrets: u64,
}

/// The state of an account's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// The version that wraps new data keys.
    pub active: u32,
    /// How often it wrapped.
    pub wraps: u64,
    /// Since when the keys may not be used, if so.
    pub suspended: Option<Timestamp>,
    /// For each version that has data keys: the version, how many live, how many were destroyed.
    pub data_keys: Vec<(u32, u64, u64)>,
}

impl Keys {
    /// The state of the provider key, and of rotations.
    pub async fn status(&self, system: &SystemScope) -> Result<Status, KeyError> {
        let act = Act::new(Activity::KeyStatus, ObjectRef::new("provider_key", "all"));
        self.data().record_system(system, act.decided_by(self.policies())).await?;
        let mut read = self.store().system_read(system).await?;
        let mut versions = Vec::new();
        for row in read.rows(VERSIONS, &[]).await? {
            versions.push(ProviderVersion {
                version: version(row.int(0)?)?,
                provider: row.text(1)?.to_owned(),
                state: row.text(2)?.to_owned(),
                wraps: row.count(3)?,
                created: row.time(4)?,
                account_keys: row.count(5)?,
                subject_keys: row.count(6)?,
                secrets: row.count(7)?,
            });
        }
        let accounts = read.row(ACCOUNTS, &[]).await?.map_or(Ok(0), |row| row.count(0))?;
        let mut rotations = Vec::new();
        for row in read.rows(ROTATIONS, &[]).await? {
            rotations.push(RotationStatus {
                name: row.text(0)?.to_owned(),
                rotation: Rotation { from: version(row.int(1)?)?, to: version(row.int(2)?)? },
                done: row.count(3)?,
                total: row.count(4)?,
                damaged: row.count(5)?,
                started: row.time(6)?,
                finished: row.opt_time(7)?,
            });
        }
        Ok(Status { provider: self.provider().name(), versions, accounts, rotations })
    }

    /// The state of an account's keys. Counts its data keys: not for every request.
    pub async fn account_status(
        &self,
        system: &SystemScope,
        account: AccountId,
    ) -> Result<AccountStatus, KeyError> {
        let status = self.status_of(&self.scope_of(system, account)).await?;
        let act = Act::new(Activity::KeyStatus, account_object(account, status.active));
        self.data().record_system(system, act.decided_by(self.policies())).await?;
        Ok(status)
    }

    /// The same for the account of that scope, and for no other.
    pub async fn own_status(&self, scope: &Scope) -> Result<AccountStatus, KeyError> {
        let status = self.status_of(scope).await?;
        let act = Act::new(Activity::KeyStatus, account_object(scope.account(), status.active));
        self.data().record(scope, act.decided_by(self.policies())).await?;
        Ok(status)
    }

    async fn status_of(&self, scope: &Scope) -> Result<AccountStatus, KeyError> {
        let mut read = self.store().read(scope).await?;
        let ring = read.row(RING, &[]).await?.ok_or(KeyError::NoSuchAccount)?;
        let active = version(ring.int(0)?)?;
        let mut data_keys = Vec::new();
        for row in read.rows(DATA_KEYS, &[]).await? {
            let (all, destroyed) = (row.count(1)?, row.count(2)?);
            data_keys.push((version(row.int(0)?)?, all.saturating_sub(destroyed), destroyed));
        }
        Ok(AccountStatus { active, wraps: ring.count(1)?, suspended: ring.opt_time(2)?, data_keys })
    }
}
