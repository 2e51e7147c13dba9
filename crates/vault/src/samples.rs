//! A vault over a harness, for the tests of this crate.

use std::sync::Arc;

use base::{RepositoryId, Scheme, Secret};
use keys::{FileProvider, Keys, Limits};
use ledger::LogSigner;
use object_store::memory::InMemory;
use store::Scope;
use testkit::Harness;

use crate::{Basis, Decided, HoldDecision, NewRepository, Retention, Vault, VaultConfig};

/// A decision about a hold.
pub(crate) const fn said(reason: &str) -> HoldDecision<'_> {
    HoldDecision { person: "A. Counsel", reason }
}

pub(crate) struct Sample {
    pub(crate) h: Harness,
    pub(crate) vault: Vault,
    pub(crate) scope: Scope,
    pub(crate) repository: RepositoryId,
}

impl Sample {
    pub(crate) async fn new(h: Harness) -> Self {
        let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
        let mint = h.another_mint().await;
        let keys = Keys::open(h.data.clone(), h.keys.clone(), mint, Arc::new(provider), Limits::default());
        let keys = keys.await.unwrap();
        let signer = Arc::new(LogSigner::new("log.test/tenet", &Secret::new([7; 32])).unwrap());
        let config = VaultConfig::default();
        let blobs = Arc::new(InMemory::new());
        let vault = Vault::open(h.data.clone(), keys.clone(), blobs, Scheme::default(), config, signer);
        let vault = vault.await.unwrap();
        let account = h.account();
        let _ = keys.create_account(&h.system(), account).await.unwrap();
        let scope = h.scope(account);
        let text = || "x".to_owned();
        let retention = Retention {
            period_days: 365,
            basis: Basis::Business,
            reason: text(),
            data_type: text(),
            media: text(),
        };
        let new = NewRepository {
            name: "sample".into(),
            classification: "confidential".into(),
            retention: Some(retention),
            searchable: vec!["email".into()],
            ..NewRepository::default()
        };
        let repository = vault.repository_create(&scope, new, &Decided::default()).await.unwrap().id;
        Self { h, vault, scope, repository }
    }
}
