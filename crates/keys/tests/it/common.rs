//! What the tests of the hierarchy share.

use std::sync::Arc;

use base::{AccountId, RepositoryId};
use keys::{Binding, FileProvider, Keys, Limits, Provider};
use store::{JobRunner, Realm};
use testkit::Harness;

pub(crate) fn provider(h: &Harness) -> Arc<dyn Provider> {
    Arc::new(FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap())
}

pub(crate) async fn open(h: &Harness) -> Keys {
    open_with(h, Limits::default()).await
}

pub(crate) async fn open_with(h: &Harness, limits: Limits) -> Keys {
    let mint = h.another_mint().await;
    Keys::open(h.data.clone(), h.keys.clone(), mint, provider(h), limits).await.unwrap()
}

/// An account with keys.
pub(crate) async fn account(h: &Harness, keys: &Keys) -> AccountId {
    let account = h.account();
    keys.create_account(&h.system(), account).await.unwrap().into_inner();
    account
}

pub(crate) fn binding(account: AccountId) -> Binding<'static> {
    Binding {
        account,
        repository: RepositoryId::from_bytes([2; 16]),
        classification: "confidential",
        kind: "record",
        id: [3; 16],
        field: "body",
        version: 1,
    }
}

/// Does every due job; how many.
pub(crate) async fn run_jobs(h: &Harness, keys: &Keys) -> u64 {
    JobRunner::new(h.data.clone(), keys.job_handlers()).run_due().await.unwrap()
}

/// How many events there are of an activity.
pub(crate) fn events(h: &Harness, activity: &str) -> u64 {
    let sql = format!("SELECT COUNT(*) FROM event WHERE activity = '{activity}'");
    h.tamper(Realm::Data, &sql)[0].parse().unwrap()
}

/// The leaves of an activity's events, oldest first, as text.
pub(crate) fn leaves(h: &Harness, activity: &str) -> Vec<String> {
    let sql = format!("SELECT leaf FROM event WHERE activity = '{activity}' ORDER BY seq");
    let text = |hex: &String| {
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    };
    h.tamper(Realm::Data, &sql).iter().map(text).collect()
}

/// An id as SQL bytes.
pub(crate) fn sql_bytes(id: &[u8; 16]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{hex}'")
}
