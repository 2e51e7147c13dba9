//! How fast the log takes events, and finds them: 16 writers, each event durable by itself, while the sequencer and the
//! indexer run; beside an INSERT of the same bytes into PostgreSQL, in the same run. Then searches in a large log.
//! `cargo bench -p store --bench log`; `TENET_BENCH_EVENTS` says how large (1,000,000). Prints figures; asserts nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::type_complexity,
    reason = "a benchmark prints, and stops at the first thing wrong"
)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base::{Actor, Context, Secret, ServerId};
use ledger::{Act, Activity, EventQuery, EventView, LogSigner, ObjectRef, OutcomeWord, words};
use store::{
    Engine, EventOrder, Indexer, Mint, Options, Protected, ReadTx, Realm, Reconciler, RowKey, RowPage,
    RowState, RowsFuture, Said, Sequencer, Store, SystemReadTx, SystemScope,
};
use testkit::TestDatabase;

const WRITERS: usize = 16;
const SECONDS: u64 = 15;

struct World {
    store: Store,
    mint: Mint,
    signer: Arc<LogSigner>,
    _directory: tempfile::TempDir,
}

impl World {
    /// On the disk that the build is on: the temporary directory may be memory.
    async fn open() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let context = Context::system();
        let options = Options {
            engine: Engine::Sqlite { path: directory.path().join("data.db") },
            realm: Realm::Data,
            server: ServerId::new(&context).unwrap(),
            context,
            max_bytes: None,
        };
        let (store, mint) = Store::open(options).await.unwrap();
        let signer = Arc::new(LogSigner::new("log.bench/tenet", &Secret::new([42; 32])).unwrap());
        Self { store, mint, signer, _directory: directory }
    }
    fn scope(&self) -> SystemScope {
        let context = self.store.context();
        let origin = ledger::Origin {
            actor: Actor::Operator(base::OperatorId::new(context).unwrap()),
            account: Some(base::AccountId::new(context).unwrap()),
            request: base::RequestId::new(context).unwrap(),
            server: self.store.server(),
            subsystem: "bench",
            interface: ledger::Interface::Api,
            sealed: None,
        };
        self.mint.system(origin, context.now(), "a benchmark")
    }
}

fn act(number: u64) -> Act {
    let activities = [Activity::RecordRead, Activity::RecordCreate, Activity::KeyUse, Activity::AccessDeny];
    let activity = activities[(number % 4) as usize];
    let object = ObjectRef::new("record", format!("rec_{number:026}")).classified("confidential");
    let act = if activity == Activity::AccessDeny {
        Act::refused(activity, object, "nothing-permits", Some("SD-1"))
    } else {
        Act::new(activity, object)
    };
    act.decided_by(vec!["clients-use-their-own".into()]).detail("version", number % 1_000)
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at =
        |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied();
    let shown = |percent| at(percent).unwrap_or_default().as_secs_f64() * 1e3;
    println!("{what:<58} p50 {:>8.2} ms  p95 {:>8.2} ms  p99 {:>8.2} ms", shown(50), shown(95), shown(99));
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

async fn append(world: &World) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let sequencer = Sequencer::new(world.store.clone(), world.signer.clone()).unwrap();
    let sequencing = tokio::spawn({
        let stopped = stopped.clone();
        async move { sequencer.run(stopped).await }
    });
    let indexer = Indexer::new(world.store.clone()).unwrap();
    let indexing = tokio::spawn(async move { indexer.run(stopped).await });
    let (done, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let begin = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, scope) = (world.store.clone(), world.scope());
            let (done, ended) = (done.clone(), ended.clone());
            tokio::spawn(async move {
                let mut number = writer as u64 * 1_000_000_000;
                while !ended.load(Ordering::Relaxed) {
                    store.record_system(&scope, act(number)).await.unwrap();
                    number += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut waits = Vec::new();
    let scope = world.scope();
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        let sent = Instant::now();
        let tx = world.store.system(&scope).await.unwrap();
        let event = tx.commit((), act(7)).await.unwrap().event_id();
        let verifier = world.signer.verifier();
        loop {
            if let Some(index) = world.store.index_of(event).await.unwrap()
                && let Some(note) = world.store.checkpoint().await.unwrap()
                && verifier.verify(&note).unwrap().size > index
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        waits.push(sent.elapsed());
    }
    let took = begin.elapsed().as_secs_f64();
    let written = done.load(Ordering::Relaxed);
    ended.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    println!(
        "append, {WRITERS} writers, SQLite                              {:>10.0} durable events/s",
        written as f64 / took
    );
    percentiles("append to a signed checkpoint that covers it", waits);
    println!("memory (anonymous)                                         {:>6} MiB", memory());
    stop.send(true).unwrap();
    sequencing.await.unwrap();
    indexing.await.unwrap();
}

/// The same number of bytes, durable one by one, into a table with one index.
async fn peer() {
    let database = TestDatabase::create();
    database.sql(
        "CREATE TABLE public.peer (seq BIGSERIAL PRIMARY KEY, at TIMESTAMPTZ DEFAULT now(), leaf BYTEA)",
    );
    database.sql("GRANT ALL ON public.peer, public.peer_seq_seq TO PUBLIC");
    // The tests' server does not wait for the disk; this one is to.
    database.sql("ALTER SYSTEM SET fsync = on");
    database.sql("SELECT pg_reload_conf()");
    let url = database.owner_url();
    println!(
        "peer: PostgreSQL, fsync {}, synchronous_commit {}",
        database.sql("SHOW fsync").trim(),
        database.sql("SHOW synchronous_commit").trim()
    );
    let (done, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let begin = Instant::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let (done, ended) = (done.clone(), ended.clone());
        writers.push(tokio::spawn(async move {
            let insert = client.prepare("INSERT INTO public.peer (leaf) VALUES ($1)").await.unwrap();
            let leaf = vec![b'x'; 1_300];
            while !ended.load(Ordering::Relaxed) {
                client.execute(&insert, &[&leaf]).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let written = done.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    ended.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    database.sql("ALTER SYSTEM RESET fsync");
    database.sql("SELECT pg_reload_conf()");
    println!(
        "peer: INSERT into PostgreSQL, {WRITERS} connections               {written:>10.0} durable rows/s"
    );
}

async fn search(world: &World, events: u64) {
    let scopes: Vec<_> = (0..40).map(|_| world.scope()).collect();
    let begin = Instant::now();
    let have = world
        .store
        .search_events(&EventQuery::default(), EventOrder::NewestFirst, None, 1)
        .await
        .unwrap()
        .size;
    let sequencer = Sequencer::new(world.store.clone(), world.signer.clone()).unwrap();
    let indexer = Indexer::new(world.store.clone()).unwrap();
    let mut number = have;
    while number < events {
        let count = (events - number).min(1_000);
        let acts = (number..number + count).map(act).collect();
        let tx = world.store.system(&scopes[(number / 1_000) as usize % scopes.len()]).await.unwrap();
        tx.commit_all((), acts).await.unwrap().into_inner();
        number += count;
        if number % 20_000 < 1_000 {
            sequencer.drain().await.unwrap();
            indexer.drain().await.unwrap();
        }
    }
    sequencer.drain().await.unwrap();
    let before = Instant::now();
    indexer.drain().await.unwrap();
    println!(
        "filled to {events} events in {:.0} s, the last of the index in {:.1} s; memory (anonymous) {} MiB",
        begin.elapsed().as_secs_f64(),
        before.elapsed().as_secs_f64(),
        memory()
    );
    let actor = scopes[7].actor().to_string();
    let base = EventQuery::default;
    let some = |text: &str| Some(text.to_owned());
    let seventh = |at: u64| format!("rec_{:026}", at * (events / 300).max(1) % events);
    let kinds: Vec<(&str, Box<dyn Fn(u64) -> EventQuery>)> = vec![
        ("the newest", Box::new(|_| base())),
        ("one object", Box::new(move |at| EventQuery { object: Some(seventh(at)), ..base() })),
        (
            "what one person was refused",
            Box::new({
                let actor = actor.clone();
                move |_| EventQuery {
                    actor: Some(actor.clone()),
                    outcome: Some(OutcomeWord::Refused),
                    ..base()
                }
            }),
        ),
        (
            "an activity of one person with a rare word",
            Box::new(move |at| EventQuery {
                actor: Some(actor.clone()),
                activity: some("key.use"),
                words: words(&(at % 1_000).to_string()),
                ..base()
            }),
        ),
        (
            "words that are common and never together",
            Box::new(|_| EventQuery {
                activity: some("record.read"),
                outcome: Some(OutcomeWord::Refused),
                ..base()
            }),
        ),
        (
            "a word that is nowhere",
            Box::new(|at| EventQuery { words: vec![format!("absent{at}")], ..base() }),
        ),
    ];
    for (what, query) in kinds {
        let mut times = Vec::new();
        for at in 0..100 {
            let begin = Instant::now();
            world.store.search_events(&query(at), EventOrder::NewestFirst, None, 100).await.unwrap();
            times.push(begin.elapsed());
        }
        percentiles(&format!("a page of 100 of {events}: {what}"), times);
    }
    println!("memory (anonymous)                                         {:>6} MiB", memory());
}

/// Rows of nothing: every record that the log says was made, and no row of any. What is measured is the reading.
struct Made;

impl Protected for Made {
    fn of_accounts(&self) -> &'static [&'static str] {
        &[]
    }
    fn of_platform(&self) -> &'static [&'static str] {
        &["record"]
    }
    fn activities(&self) -> &'static [Activity] {
        &[Activity::RecordCreate]
    }
    fn take(&self, event: &EventView, said: &mut Said) {
        let digest = ledger::leaf_hash(event.object.id.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        said.made(
            None,
            RowKey { kind: "record", id, part: 0 },
            RowState { content: digest, ..RowState::default() },
        );
    }
    fn account_rows<'a>(&'a self, _: &'a mut ReadTx, _: &'static str, _: &'a [u8], _: i64) -> RowsFuture<'a> {
        Box::pin(async { Ok(RowPage::default()) })
    }
    fn platform_rows<'a>(
        &'a self,
        _: &'a mut SystemReadTx,
        _: &'static str,
        _: &'a [u8],
        _: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async { Ok(RowPage::default()) })
    }
    fn id_text(&self, kind: &'static str, _: [u8; 16]) -> String {
        kind.to_owned()
    }
}

async fn reconcile(world: &World) {
    let verifier = world.signer.verifier().clone();
    let reconciler = Reconciler::new(world.store.clone(), verifier, vec![Arc::new(Made)]).unwrap();
    let begin = Instant::now();
    let done = reconciler.run().await.unwrap();
    let took = begin.elapsed().as_secs_f64();
    println!(
        "rows held against {} entries, {} rows in them, {} readings: {took:.0} s, {:.0} entries/s; memory {} MiB",
        done.entries,
        done.count,
        done.passes,
        (done.entries * done.passes) as f64 / took,
        memory()
    );
}

fn main() {
    let events =
        std::env::var("TENET_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::open().await;
        append(&world).await;
        peer().await;
        search(&world, events).await;
        reconcile(&world).await;
    });
}
