//! The crash matrix: each operation, killed before and after each commit that it makes, then begun
//! again. The child process runs the operation and dies; the test looks at what it left.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use base::{
    AccountId, Actor, ClientId, Context, DataKeyId, RequestId, Secret, SecretBytes, ServerId, SystemEntropy,
    Timestamp,
};
use keys::{FileProvider, KeyError, Keys, Limits, Provider as _, Purpose};
use ledger::{Interface, Origin};
use store::{Engine, JobRunner, Mint, Options, Realm, Scope, Store, SystemScope};
use testkit::MovableClock;

use crate::common::binding;

/// Most commits that an operation is expected to make.
const MOST_COMMITS: u32 = 60;
const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);

/// An installation in a directory, at a time.
struct World {
    data: Store,
    mint: Mint,
    keys: Keys,
    context: Context,
    path: PathBuf,
}

impl World {
    async fn open(path: &Path, seconds: i64) -> Self {
        Self::open_on(path, sqlite(path), seconds).await
    }

    async fn open_on(path: &Path, [data, keys]: [Engine; 2], seconds: i64) -> Self {
        let clock = Arc::new(MovableClock::at(Timestamp::from_seconds(1_800_000_000 + seconds)));
        let context = Context::new(clock, Arc::new(SystemEntropy));
        let server = ServerId::new(&context).unwrap();
        let options =
            |realm, engine| Options { engine, realm, context: context.clone(), server, max_bytes: None };
        let (data, mint) = Store::open(options(Realm::Data, data)).await.unwrap();
        let (keys, keys_mint) = Store::open(options(Realm::Keys, keys)).await.unwrap();
        let provider = Arc::new(FileProvider::open_or_create(path.join("provider.key"), &context).unwrap());
        let limits = Limits { rotation_batch: 20, rotation_batches_per_run: 2, ..Limits::default() };
        let keys = Keys::open(data.clone(), keys, keys_mint, provider, limits).await.unwrap();
        Self { data, mint, keys, context, path: path.to_owned() }
    }

    fn origin(&self, actor: Actor) -> Origin {
        Origin {
            actor,
            account: None,
            request: RequestId::new(&self.context).unwrap(),
            server: self.data.server(),
            subsystem: "test",
            interface: Interface::Api,
            sealed: None,
        }
    }

    fn scope(&self) -> Scope {
        let client = Actor::Client(ClientId::new(&self.context).unwrap());
        self.mint.scope(ACCOUNT, self.origin(client), self.context.now())
    }

    fn system(&self) -> SystemScope {
        self.mint.system(self.origin(Actor::System(self.data.server())), self.context.now(), "a test")
    }

    async fn run_jobs(&self) {
        JobRunner::new(self.data.clone(), self.keys.job_handlers()).run_due().await.unwrap();
    }

    /// A new data key, and a value that it sealed.
    async fn seal(&self) -> (DataKeyId, Vec<u8>) {
        let key = self.keys.new_data_key(&self.scope()).await.unwrap();
        (key.id(), key.seal(&binding(ACCOUNT), b"value").unwrap())
    }

    async fn opens(&self, id: DataKeyId, sealed: &[u8]) -> Result<(), KeyError> {
        let key = self.keys.data_key(&self.scope(), id, Purpose::Read).await?;
        key.open(&binding(ACCOUNT), sealed).map(|value| assert_eq!(value.expose(), b"value"))
    }

    /// How many of an activity's events hold a word.
    async fn events(&self, activity: &str, word: &str) -> usize {
        const LEAVES: store::Platform = store::platform!("SELECT leaf FROM event WHERE activity = $1");
        let mut read = self.data.system_read(&self.system()).await.unwrap();
        let leaves = read.rows(LEAVES, &[activity.into()]).await.unwrap();
        leaves.iter().filter(|row| String::from_utf8_lossy(row.blob(0).unwrap()).contains(word)).count()
    }
}

fn sqlite(path: &Path) -> [Engine; 2] {
    ["data.db", "keys.db"].map(|name| Engine::Sqlite { path: path.join(name) })
}

fn postgres(url: &str, owner: Option<&str>) -> [Engine; 2] {
    [(); 2].map(|()| Engine::Postgres {
        url: Secret::new(url.to_owned()),
        owner_url: owner.map(|owner| Secret::new(owner.to_owned())),
        root_ca: None,
    })
}

/// What the child does.
async fn operation(name: &str, world: &World, subject: Option<DataKeyId>) {
    match name {
        "first-start" => {}
        "create-account" => {
            world.keys.create_account(&world.system(), ACCOUNT).await.unwrap().into_inner();
        }
        "fill" => {
            drop(world.keys.new_data_key(&world.scope()).await.unwrap());
        }
        "secret" => {
            let made = world.keys.secret("log-signing", |_| Ok(SecretBytes::new(vec![7; 32]))).await.unwrap();
            assert_eq!(made.expose(), &[7; 32]);
        }
        "destroy" => {
            world.keys.destroy_data_key(&world.scope(), subject.unwrap()).await.unwrap();
        }
        "rotate-account" => {
            world.keys.rotate_account(&world.system(), ACCOUNT).await.unwrap().into_inner();
            world.run_jobs().await;
        }
        "rotate-provider" => {
            world.keys.rotate_provider(&world.system()).await.unwrap().into_inner();
            world.run_jobs().await;
        }
        "retire-provider" => world.keys.retire_provider(&world.system(), 1).await.unwrap(),
        "retire-account" => world.keys.retire_account(&world.system(), ACCOUNT, 1).await.unwrap(),
        other => unreachable!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the other tests"]
async fn child() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let dir = PathBuf::from(variable("TENET_TEST_DIR"));
    let engines = match std::env::var("TENET_TEST_URL") {
        Ok(url) => postgres(&url, None),
        Err(_) => sqlite(&dir),
    };
    let world = World::open_on(&dir, engines, 10).await;
    let subject = variable("TENET_TEST_SUBJECT").parse().ok();
    operation(&variable("TENET_TEST_OPERATION"), &world, subject).await;
}

/// Runs the child, killed at a point. Whether it lived to the end.
fn run_child(operation: &str, dir: &Path, subject: &str, point: &str) -> bool {
    run_child_on(None, operation, dir, subject, point)
}

fn run_child_on(url: Option<String>, operation: &str, dir: &Path, subject: &str, point: &str) -> bool {
    let run = Command::new(std::env::current_exe().unwrap())
        .envs(url.map(|url| ("TENET_TEST_URL", url)))
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env("TENET_TEST_DIR", dir)
        .env("TENET_TEST_OPERATION", operation)
        .env("TENET_TEST_SUBJECT", subject)
        .env("TENET_CRASH_AT", point)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() || !said.contains("panicked"), "{point}: {said}");
    assert!(!run.status.success() || said.contains("1 passed"), "{point}: {said}");
    run.status.success()
}

/// Kills an operation before and after each of its commits; each time `check` begins it again and looks.
async fn matrix<S, C>(operation: &str, prepare: S, check: C)
where
    S: AsyncFn(&Path) -> Vec<(DataKeyId, Vec<u8>)>,
    C: AsyncFn(&World, &[(DataKeyId, Vec<u8>)]),
{
    let mut kills = 0;
    for side in ["before", "after"] {
        for nth in 1..=MOST_COMMITS {
            let dir = tempfile::tempdir().unwrap();
            let sealed = prepare(dir.path()).await;
            let subject = sealed.first().map(|(id, _)| id.to_string()).unwrap_or_default();
            let lived = run_child(operation, dir.path(), &subject, &format!("store.{side}-commit:{nth}"));
            // Past the lease of a job that died.
            let world = World::open(dir.path(), 1_000).await;
            check(&world, &sealed).await;
            if lived {
                break;
            }
            kills += 1;
            assert!(nth < MOST_COMMITS, "it commits more often than expected");
        }
    }
    assert!(kills >= 4, "it was killed {kills} times");
}

/// The named points of this crate's source, and the operation that passes each.
const POINTS: [(&str, &str); 9] = [
    ("create-account", "keys.account-key-made"),
    ("fill", "keys.pool-filled"),
    ("destroy", "keys.destroy-intended"),
    ("destroy", "keys.destroyed"),
    ("rotate-account", "keys.version-made"),
    ("rotate-account", "keys.rewrapped"),
    ("rotate-provider", "keys.provider-version-made"),
    ("rotate-provider", "keys.provider-rewrapped"),
    ("retire-provider", "keys.retiring"),
];

/// Every named point, so that none is forgotten.
fn named_points() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        for rest in text.split("crash_point(\"").skip(1) {
            points.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    points
}

/// Dies at a named point, is opened again, and goes on: nothing is lost, and the operation is done.
async fn dies_at(engine: testkit::Engine, operation_name: &str, point: &str) {
    let dir = tempfile::tempdir().unwrap();
    let database = (engine == testkit::Engine::Postgres).then(testkit::TestDatabase::create);
    let engines = || match &database {
        Some(database) => postgres(&database.application_url(), Some(&database.owner_url())),
        None => sqlite(dir.path()),
    };
    let world = World::open_on(dir.path(), engines(), 0).await;
    let mut sealed = Vec::new();
    if operation_name != "create-account" {
        sealed = with_account_in(&world, 3).await;
    }
    if operation_name == "retire-provider" {
        operation("rotate-provider", &world, None).await;
    }
    drop(world);
    let subject = sealed.first().map(|(id, _)| id.to_string()).unwrap_or_default();
    let url = database.as_ref().map(|database| database.application_url());
    assert!(!run_child_on(url, operation_name, dir.path(), &subject, point), "{point} was not passed");
    let world = World::open_on(dir.path(), engines(), 1_000).await;
    world.run_jobs().await;
    if !operation_name.starts_with("rotate") {
        operation(operation_name, &world, sealed.first().map(|(id, _)| *id)).await;
    }
    if operation_name == "destroy" {
        let (id, bytes) = sealed.remove(0);
        assert!(matches!(world.opens(id, &bytes).await, Err(KeyError::Destroyed)), "{point}");
    }
    all_open(&world, &sealed).await;
    let status = world.keys.account_status(&world.system(), ACCOUNT).await.unwrap();
    assert_eq!(status.active, if operation_name == "rotate-account" { 2 } else { 1 }, "{point}");
}

async fn named(engine: testkit::Engine) {
    let listed: BTreeSet<String> = POINTS.iter().map(|(_, point)| (*point).to_owned()).collect();
    assert_eq!(listed, named_points());
    for (operation_name, point) in POINTS {
        dies_at(engine, operation_name, point).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_named_point_on_sqlite() {
    named(testkit::Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_named_point_on_postgres() {
    named(testkit::Engine::Postgres).await;
}

async fn with_account(path: &Path, count: usize) -> Vec<(DataKeyId, Vec<u8>)> {
    with_account_in(&World::open(path, 0).await, count).await
}

async fn with_account_in(world: &World, count: usize) -> Vec<(DataKeyId, Vec<u8>)> {
    world.keys.create_account(&world.system(), ACCOUNT).await.unwrap().into_inner();
    let mut sealed = Vec::new();
    for _ in 0..count {
        sealed.push(world.seal().await);
    }
    sealed
}

async fn all_open(world: &World, sealed: &[(DataKeyId, Vec<u8>)]) {
    for (id, bytes) in sealed {
        world.opens(*id, bytes).await.unwrap();
    }
    let (id, bytes) = world.seal().await;
    world.opens(id, &bytes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start() {
    matrix(
        "first-start",
        async |_| Vec::new(),
        async |world, _| {
            world.keys.create_account(&world.system(), ACCOUNT).await.unwrap().into_inner();
            all_open(world, &[]).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_creation() {
    let prepare = async |path: &Path| {
        World::open(path, 0).await;
        Vec::new()
    };
    matrix("create-account", prepare, async |world, _| {
        world.keys.create_account(&world.system(), ACCOUNT).await.unwrap().into_inner();
        all_open(world, &[]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_data_keys() {
    matrix(
        "fill",
        async |path: &Path| with_account(path, 0).await,
        async |world, _| {
            let status = world.keys.account_status(&world.system(), ACCOUNT).await.unwrap();
            let stored: u64 = status.data_keys.iter().map(|(_, live, _)| live).sum();
            assert!(stored.is_multiple_of(64), "a pool is there wholly or not at all: {stored}");
            assert!(
                stored == 0 || world.events("key.create", "intent").await >= 3,
                "no key without its event"
            );
            all_open(world, &[]).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_secret() {
    let prepare = async |path: &Path| {
        World::open(path, 0).await;
        Vec::new()
    };
    matrix("secret", prepare, async |world, _| {
        let first = world.keys.secret("log-signing", |_| Ok(SecretBytes::new(vec![7; 32]))).await.unwrap();
        let again = world.keys.secret("log-signing", |_| Ok(SecretBytes::new(vec![8; 32]))).await.unwrap();
        assert_eq!(first.expose(), again.expose());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destruction() {
    matrix(
        "destroy",
        async |path: &Path| with_account(path, 2).await,
        async |world, sealed| {
            let (id, bytes) = &sealed[0];
            let destroyed = matches!(world.opens(*id, bytes).await, Err(KeyError::Destroyed));
            assert!(
                !destroyed || world.events("key.destroy", "intent").await > 0,
                "no destruction without its event"
            );
            assert!(
                destroyed || world.events("key.destroy", "complete").await == 0,
                "none is claimed that was not done"
            );
            assert_eq!(world.keys.destroy_data_key(&world.scope(), *id).await.unwrap(), !destroyed);
            assert!(matches!(world.opens(*id, bytes).await, Err(KeyError::Destroyed)));
            all_open(world, &sealed[1..]).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_keys_rotation() {
    matrix(
        "rotate-account",
        async |path: &Path| with_account(path, 3).await,
        async |world, sealed| {
            all_open(world, sealed).await;
            world.run_jobs().await;
            all_open(world, sealed).await;
            let status = world.keys.account_status(&world.system(), ACCOUNT).await.unwrap();
            // Either it was never begun, or it is complete by now.
            let complete = world.events("key.rotate-complete", "").await > 0;
            assert_eq!(status.active, if complete { 2 } else { 1 });
            assert_eq!(status.data_keys.iter().filter(|(_, live, _)| *live > 0).count(), 1, "{status:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_keys_rotation() {
    matrix(
        "rotate-provider",
        async |path: &Path| with_account(path, 3).await,
        async |world, sealed| {
            all_open(world, sealed).await;
            world.run_jobs().await;
            all_open(world, sealed).await;
            let status = world.keys.status(&world.system()).await.unwrap();
            let active: Vec<_> = status.versions.iter().filter(|version| version.state == "active").collect();
            assert_eq!(active.len(), 1, "{status:?}");
            let complete = world.events("key.rotate-complete", "").await > 0;
            assert_eq!((active[0].version, active[0].account_keys), (if complete { 2 } else { 1 }, 1));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_versions_retirement() {
    let prepare = async |path: &Path| {
        let sealed = with_account(path, 2).await;
        operation("rotate-provider", &World::open(path, 0).await, None).await;
        sealed
    };
    matrix("retire-provider", prepare, async |world, sealed| {
        all_open(world, sealed).await;
        world.keys.retire_provider(&world.system(), 1).await.unwrap();
        let provider = FileProvider::open(world.path.join("provider.key"), &world.context).unwrap();
        assert_eq!(provider.versions().unwrap(), [2]);
        all_open(&World::open(&world.path, 2_000).await, sealed).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_versions_retirement() {
    let prepare = async |path: &Path| {
        let sealed = with_account(path, 2).await;
        operation("rotate-account", &World::open(path, 0).await, None).await;
        sealed
    };
    matrix("retire-account", prepare, async |world, sealed| {
        all_open(world, sealed).await;
        world.keys.retire_account(&world.system(), ACCOUNT, 1).await.unwrap();
        all_open(&World::open(&world.path, 2_000).await, sealed).await;
    })
    .await;
}
