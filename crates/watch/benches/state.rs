//! How long it takes to say what is known of every sentence, when much was observed: `Watch::known` for the specimen, which
//! has every clause, on SQLite. `cargo bench -p watch --bench state`; `TENET_BENCH_OBSERVATIONS` says how many there are
//! (1,000,000). Prints figures; asserts nothing but that it measured what it says.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints, and stops at the first thing wrong"
)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use access::{Access, Config, ThrottleLimits};
use base::{Scheme, Secret, Timestamp};
use keys::{FileProvider, Keys, Limits};
use ledger::{Act, Activity, LogSigner, ObjectRef};
use policy::{Observed, Seen};
use store::{Indexer, Realm, Sequencer};
use testkit::{Engine, Harness};
use watch::{Standing, Watch};

const RUNS: usize = 20;
/// Observations that are recorded at once.
const BATCH: u64 = 1_000;
/// Between two observations: thirty checks, each every quarter of an hour.
const APART_MICROS: i64 = 30_000_000;
/// Of so many, one could not tell; and of so many, one failed.
const UNKNOWN: u64 = 1_000;
const FAILED: u64 = 10_000;

fn seen(number: u64) -> Seen {
    match number {
        number if number % UNKNOWN == 7 => Seen::Unknown,
        number if number % FAILED == 11 => Seen::Fail,
        _ => Seen::Pass,
    }
}

fn observed(check: &str, number: u64, at: Timestamp) -> Act {
    Act::new(Activity::EvidenceObserve, ObjectRef::new("check", check))
        .detail("seen", seen(number).as_str())
        .detail("examined", number)
        .detail("failed", u64::from(seen(number) == Seen::Fail))
        .detail("summary", "each of the rows that were looked at is as the log says")
        .detail("effective", at.to_string())
        .detail("collected", at.to_string())
}

async fn open(h: &Harness) -> Watch {
    let provider = FileProvider::open_or_create(h.dir.path().join("provider.key"), &h.context).unwrap();
    let (data, mint) = (h.data.clone(), h.another_mint().await);
    let keys = Keys::open(data.clone(), h.keys.clone(), mint, Arc::new(provider), Limits::default());
    let config = Config {
        issuer: "https://tenet.test".into(),
        audience: "https://tenet.test".into(),
        addresses: vec!["https://tenet.test".into()],
        token_endpoints: vec!["https://tenet.test/v1/token".into()],
        scheme: Scheme::default(),
        throttle: ThrottleLimits::default(),
        sign_in: access::SignIn::default(),
    };
    let access =
        Access::open(data.clone(), h.another_mint().await, keys.await.unwrap(), h.context.clone(), config);
    Watch::open(data, access.await.unwrap(), Observed::default(), |_| BTreeSet::new()).unwrap()
}

/// Events through the store, and their rows in one statement behind its back: one by one they would take an hour.
async fn fill(h: &Harness, checks: &[String], count: u64) {
    let signer = Arc::new(LogSigner::new("log.bench/tenet", &Secret::new([42; 32])).unwrap());
    let sequencer = Sequencer::new(h.data.clone(), signer).unwrap();
    let indexer = Indexer::new(h.data.clone()).unwrap();
    let scope = h.system();
    let start = h.context.now().micros();
    let at = |number: u64| Timestamp::from_micros(start + APART_MICROS * i64::try_from(number).unwrap());
    let check = |number: u64| checks[usize::try_from(number).unwrap() % checks.len()].as_str();
    let mut number = 0;
    while number < count {
        let until = (number + BATCH).min(count);
        h.clock.set(at(until));
        let mut acts: Vec<Act> = (number..until).map(|one| observed(check(one), one, at(one))).collect();
        for failed in (number..until).filter(|one| seen(*one) == Seen::Fail) {
            let finding = |activity| Act::new(activity, ObjectRef::new("check", check(failed)));
            acts.extend([finding(Activity::FindingOpen), finding(Activity::FindingClose)]);
        }
        h.data.system(&scope).await.unwrap().commit_all((), acts).await.unwrap().into_inner();
        number = until;
        if number % 20_000 < BATCH {
            sequencer.drain().await.unwrap();
            indexer.drain().await.unwrap();
        }
    }
    sequencer.drain().await.unwrap();
    indexer.drain().await.unwrap();
    let whens = checks.iter().enumerate().map(|(place, check)| format!("WHEN {place} THEN '{check}'"));
    let whens: Vec<_> = whens.collect();
    h.tamper(
        Realm::Data,
        &format!(
            "INSERT INTO observation (check_id, definite, effective, received, event) \
             SELECT CASE n % {} {} END, n % {UNKNOWN} <> 7, {start} + n * {APART_MICROS}, at, id FROM \
             (SELECT id, at, ROW_NUMBER() OVER (ORDER BY seq) - 1 AS n FROM event WHERE activity = 'evidence.observe')",
            checks.len(),
            whens.join(" ")
        ),
    );
}

fn figures(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("{what:<58} p50 {:>8.2} ms  p95 {:>8.2} ms", at(50), at(95));
}

fn main() {
    let count = std::env::var("TENET_BENCH_OBSERVATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let h = Harness::new(Engine::Sqlite).await;
        let watch = open(&h).await;
        let checks: Vec<String> = watch.registry().checks().map(|(_, check)| check.id.clone()).collect();
        let begin = Instant::now();
        fill(&h, &checks, count).await;
        println!(
            "{count} observations of {} checks, filled in {:.0} s",
            checks.len(),
            begin.elapsed().as_secs_f64()
        );
        let specimen = policy::specimen(watch.catalogue()).unwrap();
        let scope = h.system();
        let now = h.context.now();
        let half = Timestamp::from_micros(now.micros() - APART_MICROS * i64::try_from(count / 2).unwrap());
        for (what, at) in [("what is known of every sentence now", now), ("as of half of the time ago", half)]
        {
            let mut times = Vec::new();
            for _ in 0..RUNS {
                let begin = Instant::now();
                let known = watch.known(&scope, Standing::Specimen, &specimen, at).await.unwrap();
                times.push(begin.elapsed());
                assert!(known.assessment.checks.iter().all(|one| one.observation.is_some()), "{known:?}");
            }
            figures(&format!("{what}, {RUNS} runs"), times);
        }
    });
}
