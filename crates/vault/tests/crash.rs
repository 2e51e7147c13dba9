//! The crash matrix of the vault, under load, on both engines: a child process serves four writers,
//! a reader of jobs and the sequencer, and is killed at each durable step, several times, and at
//! moments of no choosing. Whatever it acknowledged must be there; whatever it did not must be there
//! wholly or not at all; and the log must verify.
//!
//! The child says what it has had acknowledged on standard output, one line each, after the fact.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use base::{
    AccountId, Actor, ClientId, Context, ObjectId, RecordId, RepositoryId, RequestId, Scheme, Secret,
    ServerId, SystemEntropy, Timestamp,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use keys::{FileProvider, Keys};
use ledger::{Interface, LogSigner, Origin, SourceError, TileSource, parse_tile_path};
use object_store::local::LocalFileSystem;
use store::{Engine, JobRunner, Mint, Options, Realm, Scope, Sequencer, ServerRow, Store, SystemScope};
use testkit::{MovableClock, TestDatabase};
use tokio::sync::watch;
use vault::{
    Basis, BatchOperation, Decided, ListRecords, NewObject, NewRecord, NewRepository, Retention, Target,
    Vault, VaultConfig,
};

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const WRITERS: u64 = 4;
/// Each writer's rounds; past them the child ends by itself, and the point was not reached.
const ROUNDS: u64 = 60;
/// The first, the fifth and the twentieth time that a point is passed.
const TIMES: [u64; 3] = [1, 5, 20];
/// Kills at moments of no choosing, after so many acknowledgements.
const KILLS: [usize; 6] = [1, 3, 17, 40, 90, 170];
const OBJECT_BYTES: usize = 150_000;

/// An installation, at a time.
struct World {
    data: Store,
    mint: Mint,
    keys: Keys,
    vault: Vault,
    signer: Arc<LogSigner>,
    context: Context,
}

impl World {
    async fn open(dir: &Path, engines: [Engine; 2], seconds: i64) -> Self {
        let clock = Arc::new(MovableClock::at(Timestamp::from_seconds(1_800_000_000 + seconds)));
        let context = Context::new(clock, Arc::new(SystemEntropy));
        let server = ServerId::new(&context).unwrap();
        let [data, keys] = engines;
        let options =
            |engine, realm| Options { engine, realm, context: context.clone(), server, max_bytes: None };
        let (data, mint) = Store::open(options(data, Realm::Data)).await.unwrap();
        let (keys, keys_mint) = Store::open(options(keys, Realm::Keys)).await.unwrap();
        let provider = Arc::new(FileProvider::open_or_create(dir.join("provider.key"), &context).unwrap());
        let limits = keys::Limits { pool_keys: 8, ..keys::Limits::default() };
        let keys = Keys::open(data.clone(), keys, keys_mint, provider, limits).await.unwrap();
        let blobs = dir.join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        let blobs = Arc::new(LocalFileSystem::new_with_prefix(blobs).unwrap().with_fsync(true));
        let signer = Arc::new(LogSigner::new("log.test/crash", &Secret::new([3; 32])).unwrap());
        let config = VaultConfig::default();
        let vault = Vault::open(data.clone(), keys.clone(), blobs, Scheme::default(), config, signer.clone())
            .await
            .unwrap();
        Self { data, mint, keys, vault, signer, context }
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
        let client = Actor::Client(ClientId::from_bytes([2; 16]));
        self.mint.scope(ACCOUNT, self.origin(client), self.context.now())
    }

    fn system(&self) -> SystemScope {
        self.mint.system(self.origin(Actor::System(self.data.server())), self.context.now(), "a test")
    }

    fn jobs(&self) -> JobRunner {
        let mut handlers = self.vault.job_handlers();
        handlers.extend(self.keys.job_handlers());
        JobRunner::new(self.data.clone(), handlers)
    }

    async fn prepare(&self) -> RepositoryId {
        self.keys.create_account(&self.system(), ACCOUNT).await.unwrap().into_inner();
        let retention = Retention {
            period_days: 30,
            basis: Basis::Business,
            reason: "a test".to_owned(),
            data_type: "records".to_owned(),
            media: "database".to_owned(),
        };
        let new = NewRepository {
            name: "crash".to_owned(),
            classification: "confidential".to_owned(),
            retention: Some(retention),
            searchable: vec!["writer".to_owned()],
            ..NewRepository::default()
        };
        self.vault.repository_create(&self.scope(), new, &Decided::default()).await.unwrap().into_inner().id
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {line}").unwrap();
    out.flush().unwrap();
}

fn body(writer: u64, round: u64, version: u64, batch: &str) -> Vec<u8> {
    format!(r#"{{"batch":"{batch}","round":{round},"version":{version},"writer":{writer}}}"#).into_bytes()
}

fn content(seed: u64) -> Vec<u8> {
    (0..OBJECT_BYTES as u64).map(|at| (at.wrapping_mul(31).wrapping_add(seed)) as u8).collect()
}

/// One round of one writer. Every operation is acknowledged once it returned.
async fn round(world: &World, repository: RepositoryId, writer: u64, round: u64) {
    let (vault, scope, decided) = (&world.vault, world.scope(), Decided::default());
    let [bytes, second] = [1, 2].map(|version| body(writer, round, version, ""));
    let new = |body| NewRecord { body, classification: None };
    let made =
        vault.record_create(&scope, repository, new(&bytes), None, &decided).await.unwrap().into_inner();
    let id = made.id;
    say(&format!("record {id} {writer} {round} 1"));
    if round.is_multiple_of(3) {
        let done =
            vault.record_replace(&scope, (repository, id), new(&second), Some(1), None, &decided).await;
        assert_eq!(done.unwrap().version, 2);
        say(&format!("record {id} {writer} {round} 2"));
    }
    if round % 4 == 1 {
        let name = format!("{writer}-{round}-{}", std::process::id());
        let bodies: Vec<_> = (0..3).map(|_| body(writer, round, 1, &name)).collect();
        let operations: Vec<_> = bodies.iter().map(|body| BatchOperation::Create(new(body))).collect();
        vault.record_batch(&scope, repository, &operations, None, &decided).await.unwrap().into_inner();
        say(&format!("batch {name}"));
    }
    if round % 5 == 2 {
        let bytes = content(round);
        let parts: Vec<Result<Bytes, std::io::Error>> =
            bytes.chunks(70_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let object =
            NewObject { name: "crash", content_type: "text/plain", classification: None, length: None };
        let put = vault.object_put(&scope, repository, object, stream::iter(parts), &decided).await.unwrap();
        say(&format!("object {} {round}", put.id));
        let got = vault.object_get(&scope, (repository, put.id), None, &decided).await;
        assert_eq!(got.unwrap().object.id, put.id);
    }
    let target = Target::Record(repository, id);
    if round % 6 == 3 {
        vault.delete(&scope, target, None, None, &decided).await.unwrap().into_inner();
        say(&format!("deleted {id}"));
    }
    if round % 4 == 2 {
        vault.erase(&scope, target, None, &decided).await.unwrap().into_inner();
        say(&format!("erased {id}"));
    }
    let read = vault.record_get(&scope, (repository, id), None, &decided).await;
    assert_eq!(read.is_ok(), round % 4 != 2 && round % 6 != 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the other tests"]
async fn child() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let engines = match std::env::var("TENET_TEST_URL") {
        Ok(url) => postgres(&url, None),
        Err(_) => sqlite(Path::new(&variable("TENET_TEST_DIR"))),
    };
    let seconds = variable("TENET_TEST_SECONDS").parse().unwrap();
    let world = Arc::new(World::open(Path::new(&variable("TENET_TEST_DIR")), engines, seconds).await);
    let repository: RepositoryId = variable("TENET_TEST_REPOSITORY").parse().unwrap();
    if variable("TENET_TEST_WORK") == "schedule" {
        world.jobs().run_due().await.unwrap();
        return;
    }
    let (stop, stopped) = watch::channel(false);
    let sequencer = Sequencer::new(world.data.clone(), world.signer.clone()).unwrap();
    let sequencing = tokio::spawn(async move { sequencer.run(stopped).await });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let world = world.clone();
            tokio::spawn(async move {
                for number in 0..ROUNDS {
                    round(&world, repository, writer, number).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    stop.send(true).unwrap();
    sequencing.await.unwrap();
}

fn sqlite(dir: &Path) -> [Engine; 2] {
    ["data.db", "keys.db"].map(|name| Engine::Sqlite { path: dir.join(name) })
}

fn postgres(url: &str, owner: Option<&str>) -> [Engine; 2] {
    [(); 2].map(|()| Engine::Postgres {
        url: Secret::new(url.to_owned()),
        owner_url: owner.map(|owner| Secret::new(owner.to_owned())),
        root_ca: None,
    })
}

/// What the child had acknowledged, of all its lives.
#[derive(Default)]
struct Acknowledged {
    /// Record to writer, round and version.
    records: BTreeMap<RecordId, (u64, u64, u64)>,
    batches: BTreeSet<String>,
    objects: BTreeMap<ObjectId, u64>,
    deleted: BTreeSet<RecordId>,
    erased: BTreeSet<RecordId>,
    count: usize,
}

impl Acknowledged {
    fn take(&mut self, line: &str) {
        let Some(line) = line.strip_prefix("ack ") else { return };
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        self.count += 1;
        match words[0] {
            "record" => {
                self.records.insert(words[1].parse().unwrap(), (number(2), number(3), number(4)));
            }
            "batch" => drop(self.batches.insert(words[1].to_owned())),
            "object" => drop(self.objects.insert(words[1].parse().unwrap(), number(2))),
            "deleted" => drop(self.deleted.insert(words[1].parse().unwrap())),
            "erased" => drop(self.erased.insert(words[1].parse().unwrap())),
            other => panic!("{other}"),
        }
    }
}

/// A place that survives the child's deaths.
struct Ground {
    dir: tempfile::TempDir,
    database: Option<TestDatabase>,
    repository: RepositoryId,
    acknowledged: Acknowledged,
    /// Each life is later than the one before, past any lease.
    seconds: i64,
}

impl Ground {
    async fn new(database: Option<TestDatabase>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ground = Self {
            dir,
            database,
            repository: RepositoryId::from_bytes([0; 16]),
            acknowledged: Acknowledged::default(),
            seconds: 0,
        };
        ground.repository = ground.open().await.prepare().await;
        ground
    }

    fn engines(&self) -> [Engine; 2] {
        match &self.database {
            Some(database) => postgres(&database.application_url(), Some(&database.owner_url())),
            None => sqlite(self.dir.path()),
        }
    }

    async fn open(&self) -> World {
        World::open(self.dir.path(), self.engines(), self.seconds).await
    }

    fn spawn(&self, point: Option<&str>, work: &str) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("TENET_TEST_DIR", self.dir.path())
            .env("TENET_TEST_WORK", work)
            .env("TENET_TEST_SECONDS", self.seconds.to_string())
            .env("TENET_TEST_REPOSITORY", self.repository.to_string())
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(database) = &self.database {
            command.env("TENET_TEST_URL", database.application_url());
        }
        if let Some(point) = point {
            command.env("TENET_CRASH_AT", point);
        }
        command.spawn().unwrap()
    }

    /// Lets a child live until it dies at a point, or until it is killed after so many
    /// acknowledgements. Whether it died before its end.
    fn live(&mut self, point: Option<&str>, kill_after: usize) -> bool {
        self.seconds += 1_000;
        let mut child = self.spawn(point, "load");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        for line in lines.map_while(Result::ok) {
            self.acknowledged.take(&line);
            heard += usize::from(line.starts_with("ack "));
            if heard == kill_after {
                child.kill().unwrap();
            }
        }
        let end = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr);
        // A panic of the child is a failure of the test; a signal is what was asked for.
        assert!(end.status.success() || end.status.signal().is_some(), "{point:?}: {said}");
        end.status.signal().is_some()
    }

    /// The retention schedule, long after: killed at its points, begun again, and then everything that
    /// was ever acknowledged is erased, with a certificate.
    async fn expire(&mut self, points: &[&str]) {
        self.seconds += 40 * 86_400;
        for point in points {
            self.seconds += 10_000;
            let end = self.spawn(Some(point), "schedule").wait_with_output().unwrap();
            assert!(end.status.signal().is_some(), "{point}: {}", String::from_utf8_lossy(&end.stdout));
        }
        // Past the lease, and past the wait of a job that failed.
        for _ in 0..3 {
            self.seconds += 10_000;
            self.open().await.jobs().run_due().await.unwrap();
        }
        let world = self.open().await;
        let scope = world.scope();
        assert!(self.listed(&world, &scope, "expired").await.records.is_empty());
        for id in self.acknowledged.records.keys() {
            let target = Target::Record(self.repository, *id);
            world.vault.certificate_of(&scope, target, &Decided::default()).await.unwrap();
        }
        check_log(&world, "expired").await;
    }

    /// What is there now, against what was acknowledged.
    async fn check(&mut self, what: &str) {
        self.seconds += 1_000;
        let world = self.open().await;
        let system = world.system();
        let (_, stops) = ServerRow::start(&world.data, &system, true, "test").await.unwrap();
        drop(stops);
        world.jobs().run_due().await.unwrap();
        let scope = world.scope();
        let there = self.listed(&world, &scope, what).await;
        for (id, (writer, round, version)) in &self.acknowledged.records {
            let found = there.records.get(id);
            if self.acknowledged.erased.contains(id) {
                assert!(found.is_none(), "{what}: {id} was erased");
                continue;
            }
            let Some((found, deleted)) = found else {
                // Its erasure may have been under way, decided and not acknowledged: then the certificate says so.
                let target = Target::Record(self.repository, *id);
                let certificate = world.vault.certificate_of(&scope, target, &Decided::default()).await;
                assert!(round % 4 == 2 && certificate.is_ok(), "{what}: {id} is lost");
                continue;
            };
            assert!(!self.acknowledged.deleted.contains(id) || *deleted, "{what}: {id} was deleted");
            assert!(*deleted || found.0 == (*writer, *round), "{what}: {id} holds another's");
            assert!(found.1 >= *version, "{what}: {id} went back");
        }
        for name in &self.acknowledged.batches {
            assert_eq!(there.batches.get(name), Some(&3), "{what}: the batch {name}");
        }
        assert!(there.batches.values().all(|count| *count == 3), "{what}: a batch is there in part");
        self.check_objects(&world, &scope, what).await;
        check_log(&world, what).await;
    }

    async fn check_objects(&self, world: &World, scope: &Scope, what: &str) {
        for (id, seed) in &self.acknowledged.objects {
            let got = world.vault.object_get(scope, (self.repository, *id), None, &Decided::default()).await;
            let mut parts = got.unwrap_or_else(|error| panic!("{what}: {id}: {error}")).stream;
            let mut bytes = Vec::new();
            while let Some(part) = parts.next().await {
                bytes.extend_from_slice(&part.unwrap());
            }
            assert!(bytes == content(*seed), "{what}: {id} holds something else");
        }
    }

    /// Every record of the repository; each must open, and say of itself what its row says.
    async fn listed(&self, world: &World, scope: &Scope, what: &str) -> There {
        let mut there = There::default();
        let mut cursor: Option<String> = None;
        loop {
            let list = ListRecords {
                repository: self.repository,
                limit: 100,
                cursor: cursor.as_deref(),
                bodies: true,
                deleted: true,
            };
            let page = world.vault.record_list(scope, list, &Decided::default()).await;
            let page = page.unwrap_or_else(|error| panic!("{what}: {error}"));
            for record in page.records {
                let deleted = record.meta.deleted_at.is_some();
                let (mut owner, version) = ((0, 0), record.meta.version);
                if let Some(body) = &record.body {
                    let body: serde_json::Value = serde_json::from_slice(body.expose()).unwrap();
                    owner = (body["writer"].as_u64().unwrap(), body["round"].as_u64().unwrap());
                    assert_eq!(body["version"].as_u64(), Some(version), "{what}: half a change");
                    if let Some(name) = body["batch"].as_str().filter(|name| !name.is_empty()) {
                        *there.batches.entry(name.to_owned()).or_default() += 1;
                    }
                }
                there.records.insert(record.meta.id, ((owner, version), deleted));
            }
            cursor = page.next;
            if cursor.is_none() {
                return there;
            }
        }
    }
}

/// Writer and round, version, and whether it is deleted.
type Seen = (((u64, u64), u64), bool);

#[derive(Default)]
struct There {
    records: BTreeMap<RecordId, Seen>,
    batches: BTreeMap<String, u64>,
}

/// The whole log, in memory, as an auditor fetches it.
struct Copy {
    checkpoint: String,
    tiles: BTreeMap<String, Vec<u8>>,
}

impl TileSource for Copy {
    fn checkpoint(&self) -> Result<String, SourceError> {
        Ok(self.checkpoint.clone())
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.tiles.get(path).cloned().ok_or(SourceError::Missing)
    }
}

/// Every event is in the log, once, and the log verifies.
async fn check_log(world: &World, what: &str) {
    Sequencer::new(world.data.clone(), world.signer.clone()).unwrap().drain().await.unwrap();
    let checkpoint = world.data.checkpoint().await.unwrap().unwrap();
    let size = world.signer.verifier().verify(&checkpoint).unwrap().size;
    let mut tiles = BTreeMap::new();
    for path in paths(size) {
        let tile = world.data.tile(&parse_tile_path(&path).unwrap()).await.unwrap();
        tiles.insert(path, tile.unwrap());
    }
    let report = ledger::verify_log(&Copy { checkpoint, tiles }, world.signer.verifier(), &mut |_, _| {});
    let report = report.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    const COUNT: store::Platform = store::platform!("SELECT count(*), count(DISTINCT id) FROM event");
    let mut read = world.data.system_read(&world.system()).await.unwrap();
    let row = read.row(COUNT, &[]).await.unwrap().unwrap();
    assert_eq!((row.count(0).unwrap(), row.count(1).unwrap()), (report.size, report.size), "{what}");
}

/// Every tile of a log of that size.
fn paths(size: u64) -> Vec<String> {
    let mut paths = Vec::new();
    let mut count = size;
    for level in 0u8.. {
        for index in 0..count.div_ceil(256) {
            let width = (count - index * 256).min(256) as u16;
            paths.push(ledger::tile_path(level, index, width));
            if level == 0 {
                paths.push(ledger::entries_path(index, width));
            }
        }
        count /= 256;
        if count == 0 {
            return paths;
        }
    }
    paths
}

/// The points of the source, so that none is forgotten.
fn points() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for room in ["store", "keys", "vault"] {
        let mut folders = vec![crates.join(room).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let text = fs::read_to_string(entry).unwrap();
                for rest in text.split("crash_point(\"").skip(1) {
                    points.insert(rest.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
    points
}

/// The points of the retention schedule, which has a life of its own.
const SCHEDULE: [&str; 2] = ["vault.sweep-marked", "job.before-finish"];

/// Points that this load does not pass: rotation and retirement, which `keys` has a matrix for.
fn is_elsewhere(point: &str) -> bool {
    const ELSEWHERE: [&str; 6] = [
        "keys.rewrapped",
        "keys.version-made",
        "keys.provider-rewrapped",
        "keys.provider-version-made",
        "keys.retiring",
        "keys.account-key-made",
    ];
    ELSEWHERE.contains(&point) || SCHEDULE.contains(&point)
}

async fn matrix(database: Option<TestDatabase>) {
    let mut ground = Ground::new(database).await;
    let mut died = BTreeSet::new();
    for point in points() {
        for nth in TIMES {
            let at = format!("{point}:{nth}");
            if is_elsewhere(&point) {
                continue;
            }
            let before = ground.acknowledged.count;
            if ground.live(Some(&at), usize::MAX) {
                died.insert(point.clone());
            }
            ground.check(&at).await;
            assert!(
                nth < 20 || ground.acknowledged.count > before,
                "{at}: nothing was acknowledged before it"
            );
        }
    }
    let missed: Vec<_> =
        points().into_iter().filter(|point| !is_elsewhere(point) && !died.contains(point)).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
    for kill_after in KILLS {
        assert!(ground.live(None, kill_after), "it should have been killed");
        ground.check(&format!("killed after {kill_after}")).await;
    }
    ground.expire(&SCHEDULE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_loses_nothing() {
    matrix(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_loses_nothing() {
    matrix(Some(TestDatabase::create())).await;
}
