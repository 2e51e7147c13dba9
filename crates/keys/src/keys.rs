//! [`Keys`]: the hierarchy, open. Every operation is a file of its own beside this one.
//!
//! The realms are two databases, so that no transaction spans them. An operation that changes keys
//! therefore goes in this order, and a crash between two steps means what stands beside it:
//!
//! 1. the intent, an event in the data realm: the log says that it was begun;
//! 2. the change, in the keys' realm: it holds, and its completion is missing from the log. Every
//!    operation can be begun again and finds what it had done;
//! 3. the completion, an event in the data realm.
//!
//! If an event can't be written, the step after it does not happen.

use std::sync::Arc;

use base::{AccountId, Actor, Context, RequestId, SecretBytes, Timestamp};
use ledger::{Act, Activity, Interface, ObjectRef, Origin};
use store::{Mint, Recorded, Scope, Store, SystemScope, SystemTx, platform};

use crate::{
    KeyError, Limits, Provider, ProviderError, Wrapped, binding::length_prefixed, cache::Cache, pool::Pools,
    uses::Uses,
};

/// The keys of an installation. Cheap to clone. With it are the policies that decided what is done through it,
/// if somebody asked.
#[derive(Clone)]
pub struct Keys(Arc<Inner>, Arc<[String]>);

pub(crate) struct Inner {
    data: Store,
    store: Store,
    mint: Mint,
    provider: Arc<dyn Provider>,
    context: Context,
    limits: Limits,
    pub(crate) account_keys: Cache<(AccountId, u32)>,
    pub(crate) index_secrets: Cache<AccountId>,
    pub(crate) subject_keys: Cache<String>,
    pub(crate) platform_secrets: Cache<String>,
    pub(crate) pools: Pools,
    pub(crate) uses: Uses,
}

const VERSIONS: store::Platform =
    platform!("SELECT version, state, wraps, check_value FROM provider_key ORDER BY version");
const ADD_VERSION: store::Platform = platform!(
    "INSERT INTO provider_key (version, provider, state, wraps, check_value, created_at) \
     VALUES ($1, $2, 'pending', 0, NULL, $3) ON CONFLICT (version) DO NOTHING"
);
const FIRST_ACTIVE: store::Platform = platform!(
    "UPDATE provider_key SET state = 'active', wraps = 1, check_value = $2 WHERE version = $1 AND state = 'pending'"
);
const COUNT_WRAPS: store::Platform = platform!(
    "UPDATE provider_key SET wraps = wraps + $2 WHERE version = $1 AND state = 'active' AND wraps + $2 <= $3"
);

// The log's head moves, accounts are made and operators enrol only once there are keys. Events prove
// nothing: a first start writes some before it makes the first key.
const IN_USE: store::Platform = platform!(
    "SELECT size FROM log_head WHERE size > 0 UNION ALL SELECT created_at FROM account \
     UNION ALL SELECT enrolled_at FROM operator LIMIT 1"
);

/// What the check value of a provider key says.
const CHECK_TEXT: &[u8] = b"tenet provider check";

/// One version of the provider key, as the keys' realm knows it.
pub(crate) struct VersionRow {
    pub(crate) version: u32,
    pub(crate) state: String,
    pub(crate) wraps: u64,
    check: Option<Vec<u8>>,
}

impl Keys {
    /// Opens the keys. `data` and `keys` are the two realms; `mint` is the one that opening the keys'
    /// realm handed out. A new keys' realm takes the provider's key as its first.
    ///
    /// # Errors
    /// [`KeyError::WrongProvider`] if the provider's key is not the one that this realm's keys were
    /// wrapped with: the server must not start, or it would write what nobody can read.
    /// [`KeyError::KeysMissing`] if the keys' realm is empty and the data realm is in use: new secrets
    /// over existing data would make the loss final.
    pub async fn open(
        data: Store,
        keys: Store,
        mint: Mint,
        provider: Arc<dyn Provider>,
        limits: Limits,
    ) -> Result<Self, KeyError> {
        let context = data.context().clone();
        let inner = Inner {
            data,
            store: keys,
            mint,
            provider,
            context,
            limits,
            account_keys: Cache::new(limits),
            index_secrets: Cache::new(limits),
            subject_keys: Cache::new(limits),
            platform_secrets: Cache::new(limits),
            pools: Pools::default(),
            uses: Uses::default(),
        };
        let opened = Self(Arc::new(inner), Arc::default());
        let system = opened.own_system(Interface::Startup, "the provider key is checked at start-up")?;
        opened.start(&system).await?;
        opened.seal_events(&system).await?;
        Ok(opened)
    }

    /// The same keys, for what these policies allowed: the events of an operator's acts name them.
    #[must_use]
    pub fn decided_by(&self, policies: Vec<String>) -> Self {
        Self(Arc::clone(&self.0), policies.into())
    }

    /// The policies that decided, for the event of an operator's act.
    pub(crate) fn policies(&self) -> Vec<String> {
        self.1.to_vec()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
    pub(crate) fn data(&self) -> &Store {
        &self.0.data
    }
    /// Whether the last change of the keys' realm was refused for want of space.
    pub fn is_full(&self) -> bool {
        self.store().is_full()
    }
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }
    pub(crate) fn context(&self) -> &Context {
        &self.0.context
    }
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }
    pub(crate) fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// The scope for platform tables that serves an account's request: the same actor, the same request.
    pub(crate) fn system_of(&self, scope: &Scope, reason: &'static str) -> SystemScope {
        self.0.mint.system(scope.origin().clone(), scope.now(), reason)
    }

    /// The scope of an account for an operator's request or a job: the same actor, the same request.
    pub(crate) fn scope_of(&self, system: &SystemScope, account: AccountId) -> Scope {
        self.0.mint.scope(account, system.origin().clone(), system.now())
    }

    /// A scope for what Tenet does by itself.
    pub(crate) fn own_system(
        &self,
        interface: Interface,
        reason: &'static str,
    ) -> Result<SystemScope, KeyError> {
        let server = self.0.data.server();
        let origin = Origin {
            actor: Actor::System(server),
            account: None,
            request: RequestId::new(&self.0.context)?,
            server,
            subsystem: "keys",
            interface,
            sealed: None,
        };
        Ok(self.0.mint.system(origin, self.0.context.now(), reason))
    }

    pub(crate) async fn versions(&self, system: &SystemScope) -> Result<Vec<VersionRow>, KeyError> {
        let rows = self.store().system_read(system).await?.rows(VERSIONS, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(VersionRow {
                    version: version(row.int(0)?)?,
                    state: row.text(1)?.to_owned(),
                    wraps: row.count(2)?,
                    check: row.opt_blob(3)?.map(<[u8]>::to_vec),
                })
            })
            .collect()
    }

    async fn start(&self, system: &SystemScope) -> Result<(), KeyError> {
        // In this order: another server may make its first start meanwhile.
        let in_use = self.data().system_read(system).await?.row(IN_USE, &[]).await?.is_some();
        let known = self.versions(system).await?;
        if known.is_empty() && in_use {
            return Err(KeyError::KeysMissing);
        }
        if !known.iter().any(|row| row.state != "pending") {
            // Nothing was ever wrapped: this is the first start, or one that crashed half way.
            let first = known.first().map(|row| row.version);
            self.first_version(system, first).await?;
        }
        for row in self.versions(system).await? {
            if row.state == "active" || row.state == "draining" {
                self.check_version(row).await?;
            }
        }
        Ok(())
    }

    async fn first_version(&self, system: &SystemScope, begun: Option<u32>) -> Result<(), KeyError> {
        let held = self.with_provider(|provider| provider.versions()).await?;
        let version = begun.or(held.last().copied()).unwrap_or(1);
        let act = || Act::new(Activity::KeyCreate, self.provider_object(version));
        let recorded = self.intend_system(system, act()).await?;
        let name = self.provider().name();
        let mut tx = self.store().system(system).await?;
        let values = [version.into(), (&name).into(), self.context().now().into()];
        tx.execute(ADD_VERSION, &values).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        // A crash here: the next start finds the version pending, and goes on with it. Two servers
        // may be here at once: the provider makes one key, and the first to say so is believed.
        let check = self
            .with_provider(move |provider| {
                if !provider.versions()?.contains(&version) {
                    provider.add_version(version)?;
                }
                provider.wrap(version, &check_purpose(version), &SecretBytes::new(CHECK_TEXT.to_vec()))
            })
            .await?;
        let mut tx = self.store().system(system).await?;
        tx.execute(FIRST_ACTIVE, &[version.into(), (&check.bytes).into()]).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete_system(system, act()).await?;
        Ok(())
    }

    async fn check_version(&self, row: VersionRow) -> Result<(), KeyError> {
        let version = row.version;
        let bytes = row.check.ok_or(KeyError::Damaged("a provider key without its check value"))?;
        let wrapped = Wrapped { version, bytes };
        let opened =
            self.with_provider(move |provider| provider.unwrap(&check_purpose(version), &wrapped)).await;
        let why = match opened {
            Ok(text) if text.expose() == CHECK_TEXT => return Ok(()),
            Ok(_) | Err(KeyError::Provider(ProviderError::DoesNotOpen(_))) => {
                format!(
                    "its version {version} is another key; put back the key file or token that belongs to this database"
                )
            }
            Err(KeyError::Provider(ProviderError::NoSuchVersion(_))) => {
                format!(
                    "it has no version {version}; put back the key file or token that belongs to this database"
                )
            }
            Err(error) => return Err(error),
        };
        Err(KeyError::WrongProvider { provider: self.provider().name(), why })
    }

    /// Calls the provider away from the threads that serve requests: it may read a file or a device.
    pub(crate) async fn with_provider<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Provider) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let provider = self.provider().clone();
        let done = tokio::task::spawn_blocking(move || call(&*provider)).await;
        Ok(done.map_err(|_| ProviderError::Device("its thread failed".to_owned()))??)
    }

    /// Wraps a secret with the active version of the provider key, bound to `purpose`.
    pub(crate) async fn wrap_by_provider(
        &self,
        system: &SystemScope,
        purpose: Vec<u8>,
        secret: SecretBytes,
    ) -> Result<Wrapped, KeyError> {
        let versions = self.versions(system).await?;
        let active = versions.iter().find(|row| row.state == "active");
        let active = active.ok_or(KeyError::Damaged("no active provider key"))?;
        if active.wraps >= self.limits().provider_rotate_at {
            self.rotate_provider_by_itself(system).await?;
        }
        let version = active.version;
        self.with_provider(move |provider| provider.wrap(version, &purpose, &secret)).await
    }

    /// Counts wraps by a version within the transaction that stores what was wrapped. Whether the
    /// version is still the active one: if not, the caller wraps again. The row stays locked until
    /// the transaction ends, so that a version that stops being active has no wraps under way.
    pub(crate) async fn count_wraps(
        &self,
        tx: &mut SystemTx,
        version: u32,
        wraps: u64,
    ) -> Result<bool, KeyError> {
        let most = self.limits().provider_wraps.min(self.provider().max_wraps());
        let values = [version.into(), signed(wraps).into(), signed(most).into()];
        Ok(tx.execute(COUNT_WRAPS, &values).await? == 1)
    }

    /// Why [`Keys::count_wraps`] said no: nothing if the caller may try again.
    pub(crate) async fn why_not_counted(&self, system: &SystemScope, used: u32) -> Result<(), KeyError> {
        let versions = self.versions(system).await?;
        if versions.iter().any(|row| row.version == used && row.state == "active") {
            return Err(KeyError::Exhausted("provider key"));
        }
        Ok(())
    }

    pub(crate) fn provider_object(&self, version: u32) -> ObjectRef {
        ObjectRef::new("provider_key", format_args!("{version}"))
    }

    /// The event before a change of the keys' realm, in an account's name.
    pub(crate) async fn intend(&self, scope: &Scope, act: Act) -> Result<Recorded, KeyError> {
        Ok(self.data().record(scope, act.detail("stage", "intent")).await?)
    }

    /// The event after it.
    pub(crate) async fn complete(&self, scope: &Scope, act: Act) -> Result<Recorded, KeyError> {
        Ok(self.data().record(scope, act.detail("stage", "complete")).await?)
    }

    /// The event before a change, in the platform's name.
    pub(crate) async fn intend_system(&self, scope: &SystemScope, act: Act) -> Result<Recorded, KeyError> {
        Ok(self.data().record_system(scope, act.detail("stage", "intent")).await?)
    }

    /// The event after it.
    pub(crate) async fn complete_system(&self, scope: &SystemScope, act: Act) -> Result<Recorded, KeyError> {
        Ok(self.data().record_system(scope, act.detail("stage", "complete")).await?)
    }

    /// Wipes what has been in memory for long enough.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.0.account_keys.sweep(now, |_| true);
        self.0.index_secrets.sweep(now, |_| true);
        self.0.subject_keys.sweep(now, |_| true);
        self.0.platform_secrets.sweep(now, |_| true);
        self.0.pools.sweep(now);
    }

    /// Wipes what is in memory of an account.
    pub(crate) fn forget(&self, account: AccountId) {
        let now = self.context().now();
        self.0.account_keys.sweep(now, |(owner, _)| *owner != account);
        self.0.index_secrets.sweep(now, |owner| *owner != account);
        self.0.pools.forget(account);
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.provider().name())
    }
}

/// A version as it is stored.
pub(crate) fn version(stored: i64) -> Result<u32, KeyError> {
    u32::try_from(stored).map_err(|_| KeyError::Damaged("a version out of range"))
}

/// A count as it is stored.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a check value is bound to.
pub(crate) fn check_purpose(version: u32) -> Vec<u8> {
    length_prefixed(b"tenet provider check 1\0", &[&version.to_be_bytes()])
}

/// The check value of a new version.
pub(crate) fn check_text() -> SecretBytes {
    SecretBytes::new(CHECK_TEXT.to_vec())
}
