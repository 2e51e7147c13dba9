//! [`Vault`]: what every operation shares. The operations are files of their own beside this one.

use std::{future::Future, sync::Arc};

use aws_lc_rs::hmac;
use base::{AccountId, Classification, Context, Duration, Fault as _, Kind, RepositoryId, Scheme};
use keys::Keys;
use ledger::LogSigner;
use object_store::ObjectStore;
use quick_cache::sync::Cache;
use store::{JobHandler, Store, StoreError};

use crate::{
    VaultConfig, VaultError,
    declaration::{ByPatterns, Loaded},
    erase::EraseJob,
    reader::Attempt,
    sweep::SweepJob,
};

/// How often an operation starts afresh when another change came first.
const MAX_ATTEMPTS: u32 = 8;

/// Customers' records and objects. Cheap to clone.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) scheme: Scheme,
    pub(crate) config: VaultConfig,
    pub(crate) signer: Arc<LogSigner>,
    /// Keyed by account first: one account's declaration never serves another.
    pub(crate) declarations: Cache<(AccountId, RepositoryId), Arc<Loaded>, ByPatterns>,
    pub(crate) secrets: Secrets,
}

/// Keys of the vault's own, the same on every server.
pub(crate) struct Secrets {
    pub(crate) cursor: hmac::Key,
    pub(crate) idempotency: hmac::Key,
    pub(crate) blob: hmac::Key,
    pub(crate) page: hmac::Key,
    pub(crate) row: hmac::Key,
}

/// What authorization decided: the policies that allow the act, named in its event.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// Ids of the policies.
    pub policies: Vec<String>,
}

impl Vault {
    /// Opens the vault over these. `store` is the data realm; `blobs` holds objects' contents and must
    /// make them durable before a put returns (local files: with fsync); `signer` signs certificates
    /// of deletion, with the log's key.
    pub async fn open(
        store: Store,
        keys: Keys,
        blobs: Arc<dyn ObjectStore>,
        scheme: Scheme,
        config: VaultConfig,
        signer: Arc<LogSigner>,
    ) -> Result<Self, VaultError> {
        let secrets = Secrets {
            cursor: secret(&keys, "vault cursor").await?,
            idempotency: secret(&keys, "vault idempotency").await?,
            blob: secret(&keys, "vault blob path").await?,
            page: secret(&keys, "vault page commitment").await?,
            row: secret(&keys, "vault row commitment").await?,
        };
        let weight = config.cached_repositories as u64;
        let declarations = Cache::with_weighter(config.cached_repositories, weight, ByPatterns);
        let inner = Inner { store, keys, blobs, scheme, config, signer, declarations, secrets };
        Ok(Self(Arc::new(inner)))
    }

    /// The handlers of the vault's jobs: the retention schedule, and erasures to be finished.
    pub fn job_handlers(&self) -> Vec<Box<dyn JobHandler>> {
        vec![Box::new(SweepJob::new(self.clone())), Box::new(EraseJob::new(self.clone()))]
    }

    /// The scheme of classifications.
    pub fn scheme(&self) -> &Scheme {
        &self.0.scheme
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }
    pub(crate) fn context(&self) -> &Context {
        self.0.store.context()
    }
    pub(crate) fn config(&self) -> &VaultConfig {
        &self.0.config
    }
    pub(crate) fn restore_window(&self) -> Duration {
        self.0.config.restore_window
    }

    /// A stored label. One that the scheme no longer has counts as its highest.
    pub(crate) fn stored_label(&self, name: &str) -> Result<Classification, VaultError> {
        let highest = || self.0.scheme.levels().last().map_or("", |level| level.name.as_str());
        let label = self.0.scheme.parse(name).or_else(|_| self.0.scheme.parse(highest()));
        label.map_err(|_| VaultError::Shape("a classification"))
    }
}

/// Runs an operation again when another change came first: its own reading was out of date.
pub(crate) async fn retried<T, F>(mut operation: impl FnMut(Attempt) -> F) -> Result<T, VaultError>
where
    F: Future<Output = Result<T, VaultError>>,
{
    let mut attempt = Attempt::FIRST;
    loop {
        match operation(attempt).await {
            Err(VaultError::Store(StoreError::Contention)) if attempt.0 < MAX_ATTEMPTS => {
                attempt = Attempt(attempt.0.saturating_add(1));
            }
            outcome => return outcome,
        }
    }
}

/// An error that says: what was read is out of date.
pub(crate) fn stale() -> VaultError {
    VaultError::Store(StoreError::Contention)
}

/// Whether the fault is ours, and not the caller's.
pub(crate) fn is_ours(error: &VaultError) -> bool {
    matches!(error.kind(), Kind::Internal | Kind::Unavailable)
}

async fn secret(keys: &Keys, label: &'static str) -> Result<hmac::Key, VaultError> {
    let bytes = keys.platform_key(label).await?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()))
}

/// A keyed digest of parts, each with its length before it, so that no two lists of parts share one.
pub(crate) fn digest(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0u8; 32];
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}
