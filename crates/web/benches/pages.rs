//! How long each page of the console takes when the log is long: a million events, then each page a hundred times in one session,
//! through the router, with all that a request goes through. `cargo bench -p web --bench pages`; `TENET_BENCH_EVENTS` says how
//! long the log is, `TENET_BENCH_ENGINE=postgres` on what. Prints figures; asserts nothing but that each page is one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops at the first thing wrong"
)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

/// What is measured is not held against the document of the API: the tests do that.
mod document {
    pub(crate) fn conforms(_: &serde_json::Value, _: &str, _: &str, _: &crate::support::Reply) {}
}
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod support;

use std::time::{Duration, Instant};

use ledger::{Act, Activity, ObjectRef};
use serde_json::json;
use store::{Indexer, Sequencer};
use support::{World, ask, public};
use testkit::{Engine, Harness};
use watch::Sight;
use web::Limits;

/// How often each page is asked for.
const TIMES: usize = 100;
/// Observations of each check.
const LOOKS: usize = 60;
/// The goal for a page at the 95th percentile.
const GOAL: Duration = Duration::from_millis(50);

fn act(number: u64) -> Act {
    let object = ObjectRef::new("record", format!("rec_{number:026}")).classified("confidential");
    let act = match number % 50 {
        0 => Act::refused(Activity::AccessDeny, object, "nothing-permits", Some("SD-1")),
        1 => Act::new(Activity::RecordErase, object).detail("cause", "retention"),
        2 => Act::new(Activity::RetentionAct, object),
        3 => Act::new(Activity::EvidenceRead, ObjectRef::new("policy", "0")),
        4 => Act::new(Activity::PolicyRead, ObjectRef::new("policy", "-")),
        5 => Act::new(Activity::AlarmList, ObjectRef::new("alarms", "-")),
        6..=25 => Act::new(Activity::RecordCreate, object),
        _ => Act::new(Activity::RecordRead, object),
    };
    act.decided_by(vec!["clients-use-their-own".into()]).detail("version", number % 1_000)
}

/// A log of so many events, moved into it and indexed as a server does.
async fn fill(world: &World, events: u64) {
    let begin = Instant::now();
    let store = &world.h.data;
    let sequencer = Sequencer::new(store.clone(), world.signer.clone()).unwrap();
    let indexer = Indexer::new(store.clone()).unwrap();
    let scopes: Vec<_> = (0..40).map(|_| world.h.system()).collect();
    let mut number = 0;
    while number < events {
        let count = (events - number).min(1_000);
        let tx = store.system(&scopes[(number / 1_000) as usize % scopes.len()]).await.unwrap();
        tx.commit_all((), (number..number + count).map(act).collect()).await.unwrap().into_inner();
        number += count;
        world.wait(1);
        if number % 20_000 == 0 {
            sequencer.drain().await.unwrap();
            indexer.drain().await.unwrap();
        }
    }
    sequencer.drain().await.unwrap();
    indexer.drain().await.unwrap();
    println!("{events} events in {:.0} s", begin.elapsed().as_secs_f64());
}

/// A policy in effect, and checks that were looked at.
async fn adopt(world: &World) -> String {
    let files = policy::specimen_files(&policy::Catalogue::load().unwrap());
    let post = |path: &str, token: &str| ask("POST", path).bearer(token);
    let made = post("/v1/policy/versions", &world.operator).json(&json!({ "files": files }));
    let made = world.call(made).await.expect(201);
    let link = post("/v1/operators/links", &world.operator).json(&json!({ "role": "administrator" }));
    let secret = world.call(link).await.expect(201).text("/secret");
    let key = access::SigningKey::from_seed(&base::SecretBytes::new(vec![3; 32])).unwrap();
    let body = json!({ "secret": secret, "name": "Bob", "public_key": public(&key.public()) });
    let id = world.call(ask("POST", "/v1/enrol").json(&body)).await.expect(201).text("/id");
    let token = world.sign_in(&key, &id).await;
    let approval = json!({ "sha256": made.text("/sha256") });
    world.call(post("/v1/policy/versions/1/approve", &token).json(&approval)).await.expect(200);
    let checks: Vec<String> = world.watch.registry().checks().map(|(_, check)| check.id.clone()).collect();
    for look in 0..LOOKS {
        world.wait(60);
        for (place, check) in checks.iter().enumerate() {
            let sight = Sight::whether((look + place) % 17 != 0, "it was looked at");
            world.watch.observe(&world.h.system(), check, &sight).await.unwrap().into_inner();
        }
    }
    id
}

/// The cookie of a session of the administrator's.
async fn session(world: &World) -> String {
    let body = ask("POST", "/v1/console/codes").bearer(&world.operator);
    let code = world.call(body).await.expect(201).text("/code");
    let form =
        format!("code={}&next=%2Fme", code.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
    let begun = world.plain(ask("POST", "/sign-in/code").form(&form)).await.expect(303);
    begun.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn measure(world: &World, cookie: &str, path: &str) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let request = ask("GET", path).header("cookie", cookie.to_owned()).header("x-tenet-page", "1");
        let begin = Instant::now();
        let reply = world.plain(request).await;
        times.push(begin.elapsed());
        assert_eq!(reply.status, 200, "{path}");
    }
    times.sort_unstable();
    (times[TIMES / 2], times[TIMES * 95 / 100])
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let events = number("TENET_BENCH_EVENTS").unwrap_or(1_000_000);
    let engine = match std::env::var("TENET_BENCH_ENGINE").as_deref() {
        Ok("postgres") => Engine::Postgres,
        _ => Engine::Sqlite,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = Limits { client_rate: web::Rate::new(1_000_000, 1_000_000), ..Limits::default() };
        let mut world = World::with(Harness::new(engine).await, limits).await;
        let person = adopt(&world).await;
        world.repository("samples", "confidential").await;
        fill(&world, events).await;
        world.renew().await;
        let cookie = session(&world).await;
        println!("{:<44} {:>9} {:>9}", format!("{engine:?}, {TIMES} times each"), "p50 ms", "p95 ms");
        let account = world.account.clone();
        for page in web::pages().iter().filter(|page| page.method == "GET") {
            if matches!(
                page.path.as_str(),
                "/live" | "/audit/pack" | "/assets/{file}" | "/sign-in" | "/enrol"
            ) {
                continue;
            }
            let path = page.path.replace("{clause}", "CD-8").replace("{check}", "log-keeps-up");
            let path =
                path.replace("{version}", "1").replace("{account}", &account).replace("{operator}", &person);
            let (middle, most) = measure(&world, &cookie, &path).await;
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let mark = if most > GOAL { "  over 50 ms" } else { "" };
            println!("{:<44} {:>9.1} {:>9.1}{mark}", page.path, millis(middle), millis(most));
        }
        for path in ["/events?text=absent", "/events?activity=access.deny", "/events?actor=client"] {
            let (middle, most) = measure(&world, &cookie, path).await;
            let mark = if most > GOAL { "  over 50 ms" } else { "" };
            println!(
                "{path:<44} {:>9.1} {:>9.1}{mark}",
                middle.as_secs_f64() * 1e3,
                most.as_secs_f64() * 1e3
            );
        }
    });
}
