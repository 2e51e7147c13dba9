//! Rotation and retirement of provider and account keys, on both engines.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::common::{account, binding, events, leaves, open, open_with, provider, run_jobs, sql_bytes};
use base::{DataKeyId, Duration, Fault as _, Kind, RepositoryId, SecretBytes};
use keys::{KeyError, Keys, Limits, NewDataKey, Provider, ProviderError, Purpose, Subject, Wrapped};
use store::{JobRunner, Realm, Scope};
use testkit::on_both_engines;

/// Data keys with a value that each sealed.
async fn sealed_values(keys: &Keys, scope: &Scope, count: usize) -> Vec<(DataKeyId, Vec<u8>)> {
    let mut sealed = Vec::new();
    for _ in 0..count {
        let mut key = [keys.new_data_key(scope).await.unwrap()];
        sealed.push((key[0].id(), key[0].seal(&binding(scope.account()), b"value").unwrap()));
        // As if a record that names it were committed.
        NewDataKey::used_by(&mut key, async { Ok::<_, KeyError>(()) }).await.unwrap();
    }
    sealed
}

async fn all_open(keys: &Keys, scope: &Scope, sealed: &[(DataKeyId, Vec<u8>)]) {
    let ids: Vec<_> = sealed.iter().map(|(id, _)| *id).collect();
    let opened = keys.data_keys(scope, &ids, Purpose::Read).await.unwrap();
    for (key, (_, bytes)) in opened.into_iter().zip(sealed) {
        let value = key.unwrap().open(&binding(scope.account()), bytes).unwrap();
        assert_eq!(value.expose(), b"value");
    }
}

/// Small steps, so that a rotation takes many.
fn small() -> Limits {
    Limits { rotation_batch: 7, rotation_batches_per_run: 2, ..Limits::default() }
}

/// A provider that stops answering after some calls, until it is allowed more.
#[derive(Debug)]
struct Flaky {
    inner: Arc<dyn Provider>,
    left: AtomicI64,
}

impl Flaky {
    fn spend(&self) -> Result<(), ProviderError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(ProviderError::Device("it is away".to_owned()));
        }
        Ok(())
    }
}

impl Provider for Flaky {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn versions(&self) -> Result<Vec<u32>, ProviderError> {
        self.inner.versions()
    }
    fn wrap(&self, version: u32, purpose: &[u8], secret: &SecretBytes) -> Result<Wrapped, ProviderError> {
        self.spend()?;
        self.inner.wrap(version, purpose, secret)
    }
    fn unwrap(&self, purpose: &[u8], wrapped: &Wrapped) -> Result<SecretBytes, ProviderError> {
        self.spend()?;
        self.inner.unwrap(purpose, wrapped)
    }
    fn add_version(&self, version: u32) -> Result<(), ProviderError> {
        self.spend()?;
        self.inner.add_version(version)
    }
    fn destroy_version(&self, version: u32) -> Result<(), ProviderError> {
        self.spend()?;
        self.inner.destroy_version(version)
    }
    fn max_wraps(&self) -> u64 {
        self.inner.max_wraps()
    }
}

on_both_engines! {
    async fn an_account_key_rotates_while_readers_go_on(h: Harness) {
        let keys = open_with(&h, small()).await;
        let scope = h.scope(account(&h, &keys).await);
        let sealed = sealed_values(&keys, &scope, 100).await;
        let destroyed = keys.new_data_key(&scope).await.unwrap().id();
        keys.destroy_data_key(&scope, destroyed).await.unwrap();
        let index = keys.index_key(&scope, RepositoryId::from_bytes([1; 16]), "a").await.unwrap().digest(b"x");
        let started = keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        assert_eq!((started.from, started.to), (1, 2));
        let again = keys.rotate_account(&h.system(), scope.account()).await;
        assert!(matches!(again, Err(KeyError::Rotating(_))));

        let other = open(&h).await;
        let reader = {
            let (other, scope, sealed) = (other.clone(), scope.clone(), sealed.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    all_open(&other, &scope, &sealed).await;
                    drop(other.new_data_key(&scope).await.unwrap());
                }
            })
        };
        assert!(run_jobs(&h, &keys).await > 3, "in many steps");
        reader.await.unwrap();

        let status = keys.account_status(&h.system(), scope.account()).await.unwrap();
        assert_eq!(status.active, 2);
        // The destroyed one stays destroyed, under the version that it had.
        let old: Vec<_> = status.data_keys.iter().filter(|(version, ..)| *version == 1).collect();
        assert!(old.iter().all(|(_, live, _)| *live == 0), "{status:?}");
        assert!(matches!(keys.data_key(&scope, destroyed, Purpose::Read).await, Err(KeyError::Destroyed)));
        let rotation = &keys.status(&h.system()).await.unwrap().rotations[0];
        assert_eq!(rotation.name, format!("account {}", scope.account()));
        assert!(rotation.finished.is_some() && rotation.done >= 100, "{rotation:?}");
        assert_eq!(events(&h, "key.rotate-complete"), 1);

        let fresh = open(&h).await;
        all_open(&fresh, &scope, &sealed).await;
        let after = fresh.index_key(&scope, RepositoryId::from_bytes([1; 16]), "a").await.unwrap().digest(b"x");
        assert_eq!(index, after, "blind indexes go on to match");
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        all_open(&open(&h).await, &scope, &sealed).await;
    }

    async fn an_interrupted_rotation_goes_on(h: Harness) {
        let keys = open_with(&h, small()).await;
        let scope = h.scope(account(&h, &keys).await);
        let sealed = sealed_values(&keys, &scope, 80).await;
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        // The runner is dropped in the middle of a step, as a crash would: its lease stays.
        let runner = JobRunner::new(h.data.clone(), keys.job_handlers());
        let running = tokio::spawn(async move { runner.run_due().await });
        let rewrapped = || -> u64 {
            h.tamper(Realm::Keys, "SELECT COUNT(*) FROM data_key WHERE account_key_version = 2")[0].parse().unwrap()
        };
        while rewrapped() == 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
        let _ = running.await;
        all_open(&keys, &scope, &sealed).await;
        h.clock.advance(Duration::from_seconds(301));
        let fresh = open_with(&h, small()).await;
        all_open(&fresh, &scope, &sealed).await;
        run_jobs(&h, &fresh).await;
        let status = fresh.account_status(&h.system(), scope.account()).await.unwrap();
        assert_eq!(status.active, 2);
        assert!(status.data_keys.iter().all(|(version, live, _)| *version == 2 || *live == 0), "{status:?}");
        all_open(&fresh, &scope, &sealed).await;
    }

    async fn an_account_key_in_use_is_not_retired(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let sealed = sealed_values(&keys, &scope, 3).await;
        let current = keys.retire_account(&h.system(), scope.account(), 1).await.unwrap_err();
        assert_eq!((current.kind(), current.code(), current.clause()), (Kind::Conflict, "key-not-retirable", Some("CD-6")));
        assert!(matches!(
            keys.retire_account(&h.system(), scope.account(), 9).await,
            Err(KeyError::NotRetirable { why: "unknown", .. })
        ));
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        // As a rotation that was not finished would leave it: one key under the old version.
        h.tamper(Realm::Keys, "UPDATE account_secret SET account_key_version = 1");
        let used = keys.retire_account(&h.system(), scope.account(), 1).await.unwrap_err();
        assert_eq!(
            used.to_string(),
            "version 1 of the account key can't be retired: 1 keys are still wrapped with it; rotate first, and wait until `keys status` shows none"
        );
        h.tamper(Realm::Keys, "UPDATE account_secret SET account_key_version = 2");
        keys.retire_account(&h.system(), scope.account(), 1).await.unwrap();
        keys.retire_account(&h.system(), scope.account(), 1).await.unwrap();
        assert_eq!(h.tamper(Realm::Keys, "SELECT version FROM account_key"), ["2"]);
        all_open(&keys, &scope, &sealed).await;
        let refusals = leaves(&h, "key.retire").into_iter().filter(|leaf| leaf.contains("CD-6") && leaf.contains("key-"));
        assert!(refusals.count() >= 3);
    }

    async fn a_rewrapping_that_is_not_durable_yet_does_not_count(h: Harness) {
        const REWRAPPED: store::Scoped = store::update!("data_key" set "account_key_version = 2" where "1 = 1");
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let sealed = sealed_values(&keys, &scope, 3).await;
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        h.tamper(Realm::Keys, "UPDATE data_key SET account_key_version = 1");
        // A batch on its way: it may still be lost, and with it the rows would name version 1 again.
        let mut batch = h.keys.begin(&scope).await.unwrap();
        assert!(batch.execute(REWRAPPED, &[]).await.unwrap() >= 3);
        let system = h.system();
        let retiring = keys.retire_account(&system, scope.account(), 1);
        let refused = tokio::time::timeout(std::time::Duration::from_secs(20), retiring).await;
        assert!(matches!(refused.unwrap(), Err(KeyError::InUse { .. })));
        drop(batch);
        assert_eq!(h.tamper(Realm::Keys, "SELECT version FROM account_key ORDER BY version"), ["1", "2"]);
        drop(sealed);
    }

    async fn a_damaged_wrapped_key_does_not_stop_an_accounts_rotation(h: Harness) {
        let keys = open_with(&h, small()).await;
        let scope = h.scope(account(&h, &keys).await);
        let mut sealed = sealed_values(&keys, &scope, 70).await;
        let (damaged, _) = sealed.remove(30);
        h.tamper(Realm::Keys, &format!("UPDATE data_key SET wrapped = x'00' WHERE id = {}", sql_bytes(damaged.as_bytes())));
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        all_open(&keys, &scope, &sealed).await;
        let rotation = &keys.status(&h.system()).await.unwrap().rotations[0];
        assert!(rotation.finished.is_some() && rotation.damaged == 1, "{rotation:?}");
        let refused = leaves(&h, "key.refuse");
        assert!(refused.len() == 1 && refused[0].contains(&damaged.to_string()), "{refused:?}");
        assert!(leaves(&h, "key.rotate-complete")[0].contains("\"damaged\":1"));
        // What is under it could perhaps be mended: it stays.
        let kept = keys.retire_account(&h.system(), scope.account(), 1).await;
        assert!(matches!(kept, Err(KeyError::InUse { uses: 1, .. })), "{kept:?}");
    }

    async fn a_damaged_wrapped_key_does_not_stop_the_providers_rotation(h: Harness) {
        let keys = open_with(&h, Limits { rotation_batch: 2, rotation_batches_per_run: 2, ..Limits::default() }).await;
        let mut scopes = Vec::new();
        for _ in 0..5 {
            scopes.push(h.scope(account(&h, &keys).await));
        }
        let damaged = scopes.remove(2).account();
        h.tamper(Realm::Keys, &format!("UPDATE account_key SET wrapped = x'00' WHERE account = {}", sql_bytes(damaged.as_bytes())));
        keys.rotate_provider(&h.system()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        for scope in &scopes {
            assert!(keys.new_data_key(scope).await.is_ok());
        }
        let rotation = &keys.status(&h.system()).await.unwrap().rotations[0];
        assert!(rotation.finished.is_some() && rotation.damaged == 1, "{rotation:?}");
        assert!(leaves(&h, "key.refuse")[0].contains(&damaged.to_string()));
        let kept = keys.retire_provider(&h.system(), 1).await;
        assert!(matches!(kept, Err(KeyError::InUse { uses: 1, .. })), "{kept:?}");
    }

    async fn the_provider_key_rotates_and_its_old_version_retires(h: Harness) {
        let keys = open_with(&h, Limits { rotation_batch: 2, rotation_batches_per_run: 2, ..Limits::default() }).await;
        let mut scopes = Vec::new();
        for _ in 0..5 {
            scopes.push(h.scope(account(&h, &keys).await));
        }
        let sealed = sealed_values(&keys, &scopes[0], 3).await;
        let actor = h.system().actor();
        let context = keys.seal_context(actor, b"192.0.2.1").await.unwrap();
        let secret = keys.secret("log-signing", |_| Ok(SecretBytes::new(vec![7; 32]))).await.unwrap();
        let in_use = keys.retire_provider(&h.system(), 1).await.unwrap_err();
        assert_eq!(in_use.code(), "key-not-retirable");

        keys.rotate_provider(&h.system()).await.unwrap().into_inner();
        assert!(matches!(keys.rotate_provider(&h.system()).await, Err(KeyError::Rotating(_))));
        assert!(run_jobs(&h, &keys).await >= 3, "in many steps");
        let status = keys.status(&h.system()).await.unwrap();
        let shown: Vec<_> =
            status.versions.iter().map(|v| (v.version, v.state.as_str(), v.account_keys, v.subject_keys, v.secrets)).collect();
        assert_eq!(shown, [(1, "draining", 0, 0, 0), (2, "active", 5, 1, 2)]);
        // Five accounts, a subject, and two secrets: this one, and what seals events.
        assert_eq!((status.rotations[0].done, status.rotations[0].total), (8, 8));
        assert!(status.rotations[0].finished.is_some());
        assert_eq!(status.accounts, 5);

        let fresh = open(&h).await;
        all_open(&fresh, &scopes[0], &sealed).await;
        let opened = fresh.open_context(&h.system(), &Subject::of(actor, h.context.now()), &context).await.unwrap();
        assert_eq!(opened.expose(), b"192.0.2.1");
        let same = fresh.secret("log-signing", |_| Ok(SecretBytes::new(vec![9; 32]))).await.unwrap();
        assert_eq!(same.expose(), secret.expose());

        fresh.retire_provider(&h.system(), 1).await.unwrap();
        fresh.retire_provider(&h.system(), 1).await.unwrap();
        assert_eq!(provider(&h).versions().unwrap(), [2]);
        let after = open(&h).await;
        for scope in &scopes {
            drop(after.new_data_key(scope).await.unwrap());
        }
        all_open(&after, &scopes[0], &sealed).await;
        assert!(matches!(after.retire_provider(&h.system(), 7).await, Err(KeyError::NotRetirable { why: "unknown", .. })));
    }

    async fn a_provider_version_in_use_is_not_retired(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        keys.rotate_provider(&h.system()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        // As a rotation that was not finished would leave it.
        h.tamper(Realm::Keys, "UPDATE account_key SET provider_version = 1");
        let refused = keys.retire_provider(&h.system(), 1).await.unwrap_err();
        assert!(matches!(refused, KeyError::InUse { version: 1, uses: 1, .. }), "{refused:?}");
        assert_eq!(provider(&h).versions().unwrap(), [1, 2], "the provider was not asked");
        assert!(keys.new_data_key(&scope).await.is_err(), "the row was tampered with: it does not open");
        h.tamper(Realm::Keys, "UPDATE account_key SET provider_version = 2");
        keys.retire_provider(&h.system(), 1).await.unwrap();
        assert!(keys.new_data_key(&scope).await.is_ok());
    }

    async fn a_rotation_survives_a_provider_that_fails_at_any_call(h: Harness) {
        let first = open(&h).await;
        let mut scopes = Vec::new();
        for _ in 0..3 {
            scopes.push(h.scope(account(&h, &first).await));
        }
        let sealed = sealed_values(&first, &scopes[0], 2).await;
        let flaky = Arc::new(Flaky { inner: provider(&h), left: AtomicI64::new(i64::MAX) });
        let limits = Limits { rotation_batch: 1, rotation_batches_per_run: 1, ..Limits::default() };
        let mint = h.another_mint().await;
        let keys = Keys::open(h.data.clone(), h.keys.clone(), mint, flaky.clone(), limits).await.unwrap();
        keys.rotate_provider(&h.system()).await.unwrap().into_inner();
        // One more call each time: it fails at the first, the second, and so on, and each time goes on.
        let mut attempts = 0;
        while events(&h, "key.rotate-complete") == 0 {
            attempts += 1;
            assert!(attempts < 40, "it never ends");
            flaky.left.store(attempts, Ordering::SeqCst);
            run_jobs(&h, &keys).await;
            h.clock.advance(Duration::from_seconds(7_200));
            all_open(&open(&h).await, &scopes[0], &sealed).await;
        }
        assert!(attempts > 2, "it did fail on the way");
        let status = first.status(&h.system()).await.unwrap();
        let shown: Vec<_> = status.versions.iter().map(|v| (v.version, v.state.as_str(), v.account_keys)).collect();
        assert_eq!(shown, [(1, "draining", 0), (2, "active", 3)]);
    }

    async fn uses_are_bounded_and_rotation_comes_before_the_bound(h: Harness) {
        let limits = Limits { account_wraps: 200, account_rotate_at: 120, pool_keys: 64, pool_low: 0, pool_low_busy: 0, ..Limits::default() };
        let keys = open_with(&h, limits).await;
        let scope = h.scope(account(&h, &keys).await);
        sealed_values(&keys, &scope, 65).await;
        assert_eq!(events(&h, "key.rotate"), 1, "129 wraps: it rotates by itself");
        // The job does not run. The old version wraps on, up to its limit and not beyond.
        sealed_values(&keys, &scope, 127 - 64).await;
        keys.flush_uses().await.unwrap();
        let refused = loop {
            if let Err(error) = keys.new_data_key(&scope).await {
                break error;
            }
        };
        assert_eq!((refused.kind(), refused.code(), refused.clause()), (Kind::Limit, "key-exhausted", Some("CD-6")));
        assert!(events(&h, "key.refuse") >= 1);
        let live: u64 = h.tamper(Realm::Keys, "SELECT COUNT(*) FROM data_key")[0].parse().unwrap();
        assert_eq!(live, 192, "three pools, and the index secret: 193 of 200");
    }

    async fn a_suspended_account_still_rotates_and_stays_suspended(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let sealed = sealed_values(&keys, &scope, 2).await;
        keys.suspend_account(&h.system(), scope.account()).await.unwrap();
        keys.rotate_account(&h.system(), scope.account()).await.unwrap().into_inner();
        run_jobs(&h, &keys).await;
        assert!(matches!(keys.data_key(&scope, sealed[0].0, Purpose::Read).await, Err(KeyError::Suspended)));
        keys.resume_account(&h.system(), scope.account()).await.unwrap();
        all_open(&keys, &scope, &sealed).await;
        assert_eq!(keys.account_status(&h.system(), scope.account()).await.unwrap().active, 2);
    }
}
