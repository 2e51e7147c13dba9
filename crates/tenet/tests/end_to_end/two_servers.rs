//! Two servers over one PostgreSQL, with one provider key and one place for objects.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use testkit::TestDatabase;

use super::*;

/// What a writer tells: at which server, and the record that was acknowledged with its number, or what
/// was said instead.
type Told = (usize, Result<(String, String), String>);

/// Both servers, and a profile of each name at each: `NAME-0` and `NAME-1`.
struct Pair {
    world: World,
    database: TestDatabase,
    servers: [Server; 2],
    papers: String,
}

impl Pair {
    fn new() -> Self {
        let database = TestDatabase::create();
        let world = World::new();
        let socket = database.socket().display().to_string();
        let url = |role: &str| format!("postgres:///{0}?host={socket}&user={0}_{role}", database.name());
        let owner = world.directory.path().join("owner");
        fs::write(&owner, url("owner")).unwrap();
        fs::set_permissions(&owner, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (key, objects) =
            (world.directory.path().join("provider.key"), world.directory.path().join("objects"));
        let application = url("app");
        let settings = [
            ("TENET_DATABASE_URL", application.as_str()),
            ("TENET_DATABASE_OWNER_URL_FILE", owner.to_str().unwrap()),
            ("TENET_KEYS_FILE", key.to_str().unwrap()),
            ("TENET_OBJECTS_DIRECTORY", objects.to_str().unwrap()),
        ];
        let one = world.up_with(&world.data(), "localhost:0", &settings);
        world.json(&["enrol", text(&one.ready, "/enrolment_link")]);
        let (_, papers) = customer(&world, "acme", "business");
        let two = world.up_with(&world.directory.path().join("other"), "localhost:0", &settings);
        let pair = Self { world, database, servers: [one, two], papers };
        pair.save_profiles();
        pair
    }

    /// The same identities, at each server.
    fn save_profiles(&self) {
        let first = self.servers[0].address();
        for name in ["default", "acme"] {
            let profile = fs::read_to_string(self.world.profile(&format!("{name}.json"))).unwrap();
            for (at, server) in self.servers.iter().enumerate() {
                let moved = self.world.profile(&format!("{name}-{at}.json"));
                fs::write(&moved, profile.replace(first, server.address())).unwrap();
                fs::set_permissions(&moved, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                fs::copy(
                    self.world.profile(&format!("{name}.key")),
                    self.world.profile(&format!("{name}-{at}.key")),
                )
                .unwrap();
            }
            fs::remove_file(self.world.profile(&format!("{name}.json"))).unwrap();
        }
    }

    /// Which server continues the log: its row in the order of starts.
    fn holder(&self) -> Option<usize> {
        let started = self.database.sql("SELECT encode(id, 'hex') FROM tenet.server ORDER BY started_at");
        let holder = self.database.sql("SELECT encode(holder, 'hex') FROM tenet.log_head");
        started.lines().position(|id| id == holder)
    }

    fn put(&self, at: usize, number: &str) -> Output {
        let (body, profile) = (format!(r#"{{"number": "{number}"}}"#), format!("acme-{at}"));
        let put = ["record", "put", "-r", &self.papers, "--body", &body, "--as", &profile, "--json"];
        self.world.run(&put)
    }

    /// Writes at one server until told to stop, or until something fails.
    fn write(&self, at: usize, stop: &AtomicBool, told: &mpsc::Sender<Told>) {
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let number = format!("{at}-{n}");
            let output = self.put(at, &number);
            let outcome = if output.status.success() {
                let made: Value = serde_json::from_slice(&output.stdout).unwrap();
                Ok((text(&made, "/id").to_owned(), number))
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            };
            let is_failed = outcome.is_err();
            if told.send((at, outcome)).is_err() || is_failed {
                return;
            }
        }
    }
}

/// Asks again until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Deadline::new();
    while !is_so() {
        deadline.check(what);
    }
}

#[test]
fn either_serves_everything() {
    let pair = Pair::new();
    let [one, two] = &pair.servers;
    assert_eq!(two.ready["enrolment_link"], Value::Null, "there is an administrator");
    assert_eq!(two.ready["log_key"], one.ready["log_key"]);
    let authority = |server: &Server| fs::read(text(&server.ready, "/ca")).unwrap();
    assert_eq!(authority(two), authority(one), "one authority");
    let made: Value = serde_json::from_slice(&pair.put(0, "1").stdout).unwrap();
    let get = ["record", "get", "-r", &pair.papers, text(&made, "/id"), "--as", "acme-1"];
    assert_eq!(text(&pair.world.json(&get), "/body/number"), "1");
    let made = pair.world.json(&["log", "search", "--activity", "connection.make", "--as", "default-0"]);
    let to: Vec<_> = made.as_array().unwrap().iter().map(|one| text(one, "/object")).collect();
    assert_eq!(to, ["database local socket"; 2]);
    for server in pair.servers {
        assert_eq!(server.stop(), 0);
    }
}

/// Both are written to at once; the one that continues the log is killed without a word. What was
/// acknowledged is there, each event is in the log once, and the log verifies.
#[test]
fn nothing_acknowledged_is_lost_when_the_one_that_holds_the_log_is_killed() {
    let pair = Pair::new();
    let stop = AtomicBool::new(false);
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let killed = std::thread::scope(|scope| {
        let (told, heard) = mpsc::channel();
        for at in [0, 1] {
            let (pair, stop, told) = (&pair, &stop, told.clone());
            scope.spawn(move || pair.write(at, stop, &told));
        }
        drop(told);
        let (mut written, mut killed) = ([0; 2], None);
        let mut hear = |written: &mut [usize; 2], killed: Option<usize>| {
            let Ok((at, outcome)) = heard.recv_timeout(Deadline::MOST) else { return false };
            match outcome {
                Ok((id, number)) => {
                    written[at] += 1;
                    acknowledged.insert(id, number);
                }
                // Of a server that was killed nothing is expected.
                Err(error) => assert_eq!(killed, Some(at), "{error}"),
            }
            true
        };
        while written.iter().any(|count| *count < 5) {
            assert!(hear(&mut written, killed), "not in time: both write");
        }
        until("somebody continues the log", || {
            killed = pair.holder();
            killed.is_some()
        });
        let holder = killed.unwrap();
        pair.servers[holder].signal("-KILL");
        let survivor = 1 - holder;
        let before = written[survivor];
        // On it goes at the other, which takes the log over meanwhile.
        while written[survivor] < before + 10 || pair.holder() != Some(survivor) {
            assert!(hear(&mut written, killed), "not in time: the other goes on");
        }
        stop.store(true, Ordering::Relaxed);
        while hear(&mut written, killed) {}
        holder
    });
    let survivor = 1 - killed;
    let profile = format!("acme-{survivor}");
    let list = ["record", "list", "-r", &pair.papers, "--bodies", "--limit", "10000", "--as", &profile];
    let listed = pair.world.json(&list);
    let stored: BTreeMap<String, String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (text(record, "/id").to_owned(), text(record, "/body/number").to_owned()))
        .collect();
    for (id, number) in &acknowledged {
        assert_eq!(stored.get(id), Some(number), "{id} was acknowledged");
    }
    // The killed server may have stored one more, whose answer did not get out.
    assert!(stored.len() <= acknowledged.len() + 1, "{} of {}", stored.len(), acknowledged.len());
    until("every event is in the log, once, and the log verifies", || {
        let verified = pair.world.json(&["log", "verify", "--as", &format!("default-{survivor}")]);
        let counted = pair.database.sql(
            "SELECT count(*), count(DISTINCT id), (SELECT size FROM tenet.log_head), (SELECT count(DISTINCT seq) FROM tenet.log_entry) FROM tenet.event",
        );
        let counted: Vec<u64> = counted.split('|').map(|number| number.parse().unwrap()).collect();
        assert_eq!(counted[0], counted[1], "each event is stored once");
        counted.iter().all(|count| Some(*count) == verified["size"].as_u64())
    });
    let [one, two] = pair.servers;
    assert_eq!(if survivor == 0 { one } else { two }.stop(), 0);
}
