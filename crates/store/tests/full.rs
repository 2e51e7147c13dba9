//! Space that runs out: writes are refused and change nothing, reads go on, and nothing needs repair.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base::{Fault, Kind, Secret, ServerId};
use ledger::{Act, Activity, LogSigner, ObjectRef};
use store::{Engine, Options, Realm, Sequencer, ServerRow, Store, StoreError};
use testkit::Harness;

async fn open(h: &Harness, max_bytes: u64) -> Store {
    let options = Options {
        engine: Engine::Sqlite { path: h.sqlite_path(Realm::Data) },
        realm: Realm::Data,
        context: h.context.clone(),
        server: ServerId::new(&h.context).unwrap(),
        max_bytes: Some(max_bytes),
    };
    Store::open(options).await.unwrap().0
}

fn act() -> Act {
    let filler = "x".repeat(200);
    Act::new(Activity::RecordCreate, ObjectRef::new("record", "one")).detail("filler", filler)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_and_reads_go_on() {
    let h = Harness::new(testkit::Engine::Sqlite).await;
    let small = open(&h, 600_000).await;
    let scope = h.scope(h.account());
    let mut acknowledged = 0;
    let refused = loop {
        match small.record(&scope, act()).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "the limit never bites");
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert_eq!((refused.kind(), refused.code()), (Kind::Limit, "storage-full"));
    assert!(small.is_full());
    // Several at once: each is refused for the same reason, none is lost in the batch of another.
    let many: Vec<_> = (0..8).map(|_| (small.clone(), scope.clone())).collect();
    let many = many
        .into_iter()
        .map(|(store, scope)| tokio::spawn(async move { store.record(&scope, act()).await.err() }));
    for refused in many.collect::<Vec<_>>() {
        assert!(matches!(refused.await.unwrap(), None | Some(StoreError::Full)));
    }
    small.ready().await.unwrap();
    let stored = h.tamper(Realm::Data, "SELECT count(*) FROM event")[0].parse::<u64>().unwrap();
    assert!(stored >= acknowledged);

    // Room again: the same file, no repair, and the log says that space had run out.
    drop(small);
    let roomy = open(&h, 60_000_000).await;
    let system = h.system();
    let (server, _) = ServerRow::start(&roomy, &system, true, "test").await.unwrap();
    roomy.record(&scope, act()).await.unwrap();
    server.beat(&system).await.unwrap();
    let signer = LogSigner::new("log.test/full", &Secret::new([1; 32])).unwrap();
    let done = Sequencer::new(roomy, signer.into()).unwrap().drain().await.unwrap();
    assert!(done.size.unwrap() >= acknowledged + 2);
    assert_eq!(h.tamper(Realm::Data, "PRAGMA integrity_check"), ["ok"]);
}

/// A copy of the file alone is a backup after a clean stop, and holds nothing that was overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folded_file_is_whole() {
    let h = Harness::new(testkit::Engine::Sqlite).await;
    let scope = h.scope(h.account());
    for _ in 0..20 {
        h.data.record(&scope, act()).await.unwrap();
    }
    h.data.fold().await.unwrap();
    let copy = h.dir.path().join("copy.db");
    std::fs::copy(h.sqlite_path(Realm::Data), &copy).unwrap();
    let log = h.dir.path().join("data.db-wal");
    assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
    h.data.record(&scope, act()).await.unwrap();
    let options = Options {
        engine: Engine::Sqlite { path: copy },
        realm: Realm::Data,
        context: h.context.clone(),
        server: ServerId::new(&h.context).unwrap(),
        max_bytes: None,
    };
    let (restored, _) = Store::open(options).await.unwrap();
    assert_eq!(restored.events_waiting().await.unwrap(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_out_and_recovering_are_events() {
    let h = Harness::new(testkit::Engine::Sqlite).await;
    let store = open(&h, 600_000).await;
    let (scope, system) = (h.scope(h.account()), h.system());
    let (server, _) = ServerRow::start(&store, &system, true, "test").await.unwrap();
    while store.record(&scope, act()).await.is_ok() {}
    assert!(server.beat(&system).await.is_err());
    // Somebody makes room: the limit is per connection, so rows that free pages stand in for it.
    h.tamper(Realm::Data, "DROP TRIGGER event_no_delete");
    h.tamper(Realm::Data, "DELETE FROM outbox");
    h.tamper(Realm::Data, "DELETE FROM event WHERE seq < 500");
    server.beat(&system).await.unwrap();
    let found = h.tamper(Realm::Data, "SELECT activity FROM event ORDER BY seq DESC LIMIT 3");
    assert_eq!(found, ["server.heartbeat", "storage.recover", "storage.full"]);
}
