//! A vault over a harness, with an account and somebody to act in it.

use std::sync::Arc;

use base::{AccountId, Duration, Fault as _, RecordId, RepositoryId, Scheme, Secret};
use keys::{FileProvider, Keys, Limits};
use ledger::LogSigner;
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use serde_json::{Value, json};
use store::{JobRunner, Realm, Scope};
use testkit::{Engine, Harness};
use vault::{
    Basis, Decided, HoldDecision, ListRecords, NewRecord, NewRepository, Repository, Retention, Vault,
    VaultConfig, VaultError,
};

/// Everything that a test of the vault acts in.
pub(crate) struct World {
    pub(crate) h: Harness,
    pub(crate) keys: Keys,
    pub(crate) vault: Vault,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) account: AccountId,
    pub(crate) scope: Scope,
    pub(crate) decided: Decided,
    pub(crate) runner: JobRunner,
}

pub(crate) fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::new("log.test/tenet", &Secret::new([7; 32])).unwrap())
}

pub(crate) async fn open_keys(h: &Harness, data: &store::Store) -> Keys {
    let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
    let mint = h.another_mint().await;
    Keys::open(data.clone(), h.keys.clone(), mint, Arc::new(provider), Limits::default()).await.unwrap()
}

impl World {
    pub(crate) async fn new(h: Harness) -> Self {
        Self::with(h, VaultConfig::default()).await
    }

    pub(crate) async fn with(h: Harness, config: VaultConfig) -> Self {
        let keys = open_keys(&h, &h.data).await;
        let blobs: Arc<dyn ObjectStore> = match h.engine() {
            Engine::Sqlite => {
                let folder = h.dir.path().join("blobs");
                std::fs::create_dir(&folder).unwrap();
                Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap().with_automatic_cleanup(true))
            }
            Engine::Postgres => Arc::new(InMemory::new()),
        };
        let vault =
            Vault::open(h.data.clone(), keys.clone(), blobs.clone(), Scheme::default(), config, signer())
                .await
                .unwrap();
        let account = h.account();
        let _ = keys.create_account(&h.system(), account).await.unwrap();
        let scope = h.scope(account);
        let runner = JobRunner::new(h.data.clone(), vault.job_handlers());
        let decided = Decided { policies: vec!["test-policy".into()] };
        Self { h, keys, vault, blobs, account, scope, decided, runner }
    }

    /// Another account, and somebody in it.
    pub(crate) async fn other_account(&self) -> Scope {
        let account = self.h.account();
        let _ = self.keys.create_account(&self.h.system(), account).await.unwrap();
        self.h.scope(account)
    }

    pub(crate) async fn repository(&self, name: &str, classification: &str) -> Repository {
        self.repository_with(NewRepository {
            name: name.into(),
            classification: classification.into(),
            ..kept(365, Basis::Business)
        })
        .await
    }

    pub(crate) async fn repository_with(&self, new: NewRepository) -> Repository {
        self.vault.repository_create(&self.scope, new, &self.decided).await.unwrap().into_inner()
    }

    pub(crate) async fn put(&self, repository: RepositoryId, body: Value) -> RecordId {
        let body = serde_json::to_vec(&body).unwrap();
        let new = NewRecord { body: &body, classification: None };
        self.vault.record_create(&self.scope, repository, new, None, &self.decided).await.unwrap().id
    }

    pub(crate) async fn get(&self, repository: RepositoryId, id: RecordId) -> Result<Value, VaultError> {
        self.get_as(&self.scope, repository, id).await
    }

    pub(crate) async fn get_as(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        id: RecordId,
    ) -> Result<Value, VaultError> {
        let record = self.vault.record_get(scope, (repository, id), None, &self.decided).await?;
        Ok(serde_json::from_slice(record.body.unwrap().expose()).unwrap())
    }

    pub(crate) fn list<'a>(
        &self,
        repository: RepositoryId,
        limit: usize,
        cursor: Option<&'a str>,
    ) -> ListRecords<'a> {
        ListRecords { repository, limit, cursor, bodies: true, deleted: false }
    }

    /// How many events of that name there are, with that outcome's reason if one is given.
    pub(crate) fn events(&self, activity: &str, containing: &str) -> usize {
        let rows =
            self.h.tamper(Realm::Data, &format!("SELECT leaf FROM event WHERE activity = '{activity}'"));
        let leaves = rows.iter().map(|row| {
            let bytes: Vec<u8> =
                (0..row.len() / 2).map(|i| u8::from_str_radix(&row[2 * i..2 * i + 2], 16).unwrap()).collect();
            String::from_utf8(bytes).unwrap()
        });
        leaves.filter(|leaf| leaf.contains(containing)).count()
    }

    pub(crate) fn count(&self, table: &str) -> usize {
        self.h.tamper(Realm::Data, &format!("SELECT COUNT(*) FROM {table}"))[0].parse().unwrap()
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.h.clock.advance(Duration::from_days(days));
    }
}

/// A declaration that is kept so many days on that basis.
pub(crate) fn kept(days: u32, basis: Basis) -> NewRepository {
    NewRepository {
        name: "kept".into(),
        classification: "confidential".into(),
        retention: Some(Retention {
            period_days: days,
            basis,
            reason: "HGB 257".into(),
            data_type: "invoices".into(),
            media: "encrypted database".into(),
        }),
        searchable: vec!["email".into(), "/address/city".into()],
        ..NewRepository::default()
    }
}

/// A decision about a hold.
pub(crate) const fn said(reason: &str) -> HoldDecision<'_> {
    HoldDecision { person: "A. Counsel", reason }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn code(error: &VaultError) -> &'static str {
    error.code()
}

pub(crate) fn person(n: usize) -> Value {
    json!({"name": format!("person {n}"), "email": format!("p{n}@example.com"), "address": {"city": "Ulm"}})
}
