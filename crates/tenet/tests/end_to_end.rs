//! The real binary, as its users meet it: started on a free port with a data directory of its own, and
//! spoken to by its own command line.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "end_to_end/alarms.rs"]
mod alarms;
#[path = "end_to_end/bucket.rs"]
mod bucket;
#[path = "end_to_end/demo.rs"]
mod demo;
#[path = "end_to_end/disk_full.rs"]
mod disk_full;
#[path = "end_to_end/evidence.rs"]
mod evidence;
#[path = "end_to_end/forwarding.rs"]
mod forwarding;
#[path = "end_to_end/hardware_token.rs"]
mod hardware_token;
#[path = "end_to_end/life.rs"]
mod life;
#[path = "end_to_end/newcomer.rs"]
mod newcomer;
#[path = "end_to_end/policy.rs"]
mod policy;
#[path = "end_to_end/reading.rs"]
mod reading;
#[path = "end_to_end/reconcile.rs"]
mod reconcile;
#[path = "end_to_end/two_servers.rs"]
mod two_servers;
#[path = "end_to_end/witness.rs"]
mod witness;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with everything of one test.
struct World {
    directory: TempDir,
}

/// A running server; killed if the test ends early.
struct Server {
    child: Child,
    ready: Value,
}

impl World {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }
    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
    /// The command line, with nothing of the environment of whoever runs the tests.
    fn tenet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenet"));
        command.args(arguments).env_clear().env("HOME", self.directory.path()).stdin(Stdio::null());
        command
    }
    fn run(&self, arguments: &[&str]) -> Output {
        self.tenet(arguments).output().unwrap()
    }
    /// The JSON of a command that must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.tenet(arguments).arg("--json").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
    /// The exit code and the error of a command that must fail.
    fn fails(&self, arguments: &[&str]) -> (i32, Value) {
        self.fails_in(arguments, &[])
    }
    /// The same, with more of an environment.
    fn fails_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, Value) {
        let mut command = self.tenet(arguments);
        let output = command.arg("--json").envs(environment.iter().copied()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        let last = error.lines().last().unwrap_or_default();
        let json: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{arguments:?}: {error}"));
        (output.status.code().unwrap(), json["error"].clone())
    }
    fn up(&self, listen: &str) -> Server {
        self.up_with(&self.data(), listen, &[])
    }
    fn up_with(&self, data: &Path, listen: &str, settings: &[(&str, &str)]) -> Server {
        let arguments = ["up", "--json", "--data", data.to_str().unwrap(), "--listen", listen];
        let mut command = self.tenet(&arguments);
        command.envs(settings.iter().copied());
        self.spawn(command)
    }
    /// Starts a server by this command, and waits until it is ready.
    fn spawn(&self, mut command: Command) -> Server {
        let log = self.directory.path().join("server.log");
        let errors = fs::File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("{line}{}", fs::read_to_string(&log).unwrap())
        });
        Server { child, ready }
    }
    fn profile(&self, name: &str) -> PathBuf {
        self.directory.path().join(".config/tenet").join(name)
    }
}

impl Server {
    fn address(&self) -> &str {
        self.ready["address"].as_str().unwrap()
    }
    /// Where it listens, for a start that resumes.
    fn listen(&self) -> String {
        self.address().trim_start_matches("https://").to_owned()
    }
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
    /// Tells it to stop, and waits; its exit code.
    fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long something may take before it counts as failed. Whatever waits asks again, and does not sleep.
struct Deadline(Instant);

impl Deadline {
    const MOST: Duration = Duration::from_secs(120);

    #[expect(clippy::disallowed_methods, reason = "how long a real process takes is real time")]
    fn new() -> Self {
        Self(Instant::now())
    }
    fn check(&self, what: &str) {
        assert!(self.0.elapsed() < Self::MOST, "not in time: {what}");
    }
}

#[expect(clippy::print_stdout, reason = "whoever reads the results must see what was not tested")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

fn text<'a>(json: &'a Value, at: &str) -> &'a str {
    json.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("no `{at}` in {json}"))
}

const SCOPES: &str = "repositories:write,repositories:read,records:write,records:read,records:delete,records:erase,holds:write,objects:write,objects:read,objects:delete,objects:erase";

/// An account, its client saved as a profile, and a repository.
fn customer(world: &World, name: &str, basis: &str) -> (String, String) {
    let account = world.json(&["account", "create", name]);
    let account = text(&account, "/id").to_owned();
    let app = ["client", "create", "app", "--account", &account, "--scope", SCOPES, "--save", name];
    let app = world.json(&app);
    assert_eq!((text(&app, "/profile"), &app["secret"]), (name, &Value::Null), "{app}");
    let repository = world.json(&[
        "repository",
        "create",
        "papers",
        "--classification",
        "confidential",
        "--keep",
        "30",
        "--basis",
        basis,
        "--searchable",
        "/number",
        "--as",
        name,
    ]);
    (account, text(&repository, "/id").to_owned())
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn from_the_first_start_to_the_second() {
    let world = World::new();
    let server = world.up("localhost:0");
    let link = text(&server.ready, "/enrolment_link").to_owned();

    // Everything that is secret is for the owner alone.
    assert_eq!(mode(&world.data()), 0o700);
    for file in ["provider.key", "data.db", "keys.db", "enrolment-link"] {
        assert_eq!(mode(&world.data().join(file)), 0o600, "{file}");
    }

    // Nobody is an operator before the link is used; it can be used once, and nothing that is wrong on
    // this machine uses it up.
    assert_eq!(world.fails(&["account", "list"]).1["code"], "not-enrolled");
    what_is_wrong_here_spends_no_link(&world, &link);
    let enrolled = world.json(&["enrol", &link, "--name", "Ann Lee"]);
    assert_eq!(text(&enrolled, "/role"), "administrator");
    assert_eq!(mode(&world.profile("default.key")), 0o600);
    let (exit, error) = world.fails(&["enrol", &link, "--save", "again"]);
    assert_eq!((exit, error["code"].as_str()), (3, Some("link-invalid")), "{error}");
    assert!(!world.profile("again.key").exists(), "what was for nothing is removed");

    let (acme, papers) = customer(&world, "acme", "business");
    // However a client proves who it is, the answer has one shape.
    let with_secret = ["client", "create", "y", "--account", &acme, "--scope", "records:read", "--secret"];
    let with_secret = world.json(&with_secret);
    assert!(text(&with_secret, "/secret").starts_with("tcs_"), "{with_secret}");
    assert_eq!(with_secret["profile"], Value::Null);
    world.json(&["client", "revoke", text(&with_secret, "/client/id")]);
    // Nor is a client registered whose key can't be saved.
    let unsaved = ["client", "create", "x", "--account", &acme, "--scope", "records:read", "--save", "a/b"];
    assert_eq!(world.fails(&unsaved).0, 2);
    let clients = world.json(&["client", "list", "--account", &acme]);
    assert_eq!(clients.as_array().unwrap().len(), 2, "{clients}");
    let (_, other_papers) = customer(&world, "globex", "law");
    let body = r#"{"number": "2026-7", "to": "Ada Lovelace"}"#;
    let made = world.json(&["record", "put", "-r", &papers, "--body", body, "--as", "acme"]);
    let record = text(&made, "/id").to_owned();
    let read = world.json(&["record", "get", "-r", &papers, &record, "--as", "acme"]);
    assert_eq!(text(&read, "/body/to"), "Ada Lovelace");
    let found = world.json(&["record", "search", "-r", &papers, "/number=2026-7", "--as", "acme"]);
    assert_eq!(text(&found, "/0/id"), record);

    // Another account, knowing every id, gets what it would get if nothing were there.
    let (exit, foreign) = world.fails(&["record", "get", "-r", &papers, &record, "--as", "globex"]);
    assert_eq!(exit, 4);
    let absent = "rec_00000000000000000000000000";
    let (_, nothing) = world.fails(&["record", "get", "-r", &papers, absent, "--as", "globex"]);
    assert_eq!((&foreign["code"], &foreign["what"]), (&nothing["code"], &nothing["what"]));
    // An operator can't read at all.
    assert_eq!(world.fails(&["record", "get", "-r", &papers, &record, "--as", "default"]).0, 3);

    lifecycle(&world, &papers, &record);
    retention_keeps(&world, &other_papers);
    let object = objects(&world, &papers);
    the_log(&world, server.address());

    // The data at rest holds nothing readable.
    for file in ["data.db", "data.db-wal", "keys.db", "keys.db-wal"] {
        let bytes = fs::read(world.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(12).any(|window| window == b"Ada Lovelace"), "{file}");
    }

    // A suspended account's client is refused; a resumed one's is not.
    world.json(&["account", "suspend", &acme]);
    assert_eq!(world.fails(&["record", "list", "-r", &papers, "--as", "acme"]).0, 3);
    world.json(&["account", "resume", &acme]);

    // A second process on the directory is refused, by the pid of the first.
    let data = world.data();
    let second = ["up", "--data", data.to_str().unwrap(), "--listen", "localhost:0"];
    let (exit, error) = world.fails(&second);
    assert_eq!((exit, error["code"].as_str()), (5, Some("data-directory-held")));
    assert!(text(&error, "/why").contains(&format!("process {} has", server.child.id())), "{error}");

    let (listen, ca) = (server.listen(), fs::read(world.data().join("ca.pem")).unwrap());
    assert_eq!(server.stop(), 0);
    assert!(!world.data().join("enrolment-link").exists());

    restored_from_a_copy(&world, &listen, &papers, &object);

    // The second start resumes: same authority, same log, same data, no new link.
    let server = world.up(&listen);
    assert_eq!(server.ready["enrolment_link"], Value::Null);
    assert_eq!(server.ready["crashed_before"], 0);
    assert_eq!(fs::read(world.data().join("ca.pem")).unwrap(), ca);
    let listed = world.json(&["record", "list", "-r", &papers, "--as", "acme", "--bodies"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let verified = world.json(&["log", "verify"]);
    assert!(verified["continues"].as_u64().unwrap() < verified["size"].as_u64().unwrap());
    assert_eq!(server.stop(), 0);
}

/// An invalid name, a place that can't be written and a profile in the way are found before the link
/// is sent.
fn what_is_wrong_here_spends_no_link(world: &World, link: &str) {
    assert_eq!(world.fails(&["enrol", link, "--save", "a/b"]).0, 2);
    let file = world.directory.path().join("file");
    fs::write(&file, "").unwrap();
    let beneath = file.join("home");
    let (_, error) = world.fails_in(&["enrol", link], &[("TENET_HOME", beneath.to_str().unwrap())]);
    assert_eq!(error["code"], "file", "{error}");
    let home = world.directory.path().join("blocked");
    fs::create_dir_all(home.join("default.draft")).unwrap();
    let (_, error) = world.fails_in(&["enrol", link], &[("TENET_HOME", home.to_str().unwrap())]);
    assert_eq!(error["code"], "file", "no room for the profile: {error}");
    assert!(!home.join("default.key").exists());
}

/// After a clean stop, what the README names is a backup: it names the three files and the objects.
fn restored_from_a_copy(world: &World, listen: &str, papers: &str, object: &str) {
    use std::os::unix::fs::DirBuilderExt;
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let after_stop = readme.split("After a clean stop").nth(1).unwrap().split("whole backup").next().unwrap();
    let named: Vec<&str> = after_stop.split('`').skip(1).step_by(2).collect();
    let copy = world.directory.path().join("restored");
    fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
    for name in named {
        let copied = Command::new("cp").arg("-a").arg(world.data().join(name)).arg(&copy).status().unwrap();
        assert!(copied.success(), "{name}");
    }
    let server = world.up_with(&copy, listen, &[]);
    let listed = world.json(&["record", "list", "-r", papers, "--as", "acme", "--bodies"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let kept = world.run(&["object", "get", "-r", papers, object, "--as", "acme"]);
    assert_eq!(kept.stdout, b"kept", "{}", String::from_utf8_lossy(&kept.stderr));
    assert_eq!(server.stop(), 0);
}

/// Delete, restore, hold, erase, and the certificate.
fn lifecycle(world: &World, papers: &str, keep: &str) {
    let made =
        world.json(&["record", "put", "-r", papers, "--body", r#"{"number": "gone"}"#, "--as", "acme"]);
    let record = text(&made, "/id");
    let replaced = [
        "record",
        "put",
        "-r",
        papers,
        "--record",
        record,
        "--body",
        r#"{"number": "gone", "x": 1}"#,
        "--if-match",
        "\"1\"",
        "--as",
        "acme",
    ];
    assert_eq!(world.json(&replaced)["version"], 2);
    assert_eq!(world.fails(&replaced).0, 5, "the version is not 1 any more");
    let versions = world.json(&["record", "versions", "-r", papers, record, "--as", "acme"]);
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let first = world.json(&["record", "get", "-r", papers, record, "--version", "1", "--as", "acme"]);
    assert_eq!(first["body"].as_object().unwrap().len(), 1);

    world.json(&["record", "delete", "-r", papers, record, "--as", "acme"]);
    assert_eq!(world.fails(&["record", "get", "-r", papers, record, "--as", "acme"]).0, 4);
    world.json(&["record", "restore", "-r", papers, record, "--as", "acme"]);
    let hold = world.json(&[
        "record",
        "hold",
        "-r",
        papers,
        record,
        "--reason",
        "case 12",
        "--person",
        "A. Counsel",
        "--as",
        "acme",
    ]);
    let (exit, error) = world.fails(&["record", "erase", "-r", papers, record, "--as", "acme"]);
    assert_eq!((exit, error["clause"].as_str()), (5, Some("DD-1")), "{error}");
    let explained = world.json(&["record", "explain", "-r", papers, record, "--as", "acme"]);
    assert_eq!(explained["erasable_now"], false);
    world.json(&[
        "record",
        "release",
        text(&hold, "/id"),
        "--reason",
        "closed",
        "--person",
        "A. Counsel",
        "--as",
        "acme",
    ]);

    let file = world.directory.path().join("deleted.txt");
    let file = file.to_str().unwrap();
    world.json(&["record", "erase", "-r", papers, record, "--certificate", file, "--as", "acme"]);
    let certificate = world.json(&["verify-certificate", file]);
    assert!(certificate.to_string().contains(record) && !certificate.to_string().contains("gone"));
    let forged = fs::read_to_string(file).unwrap().replace(record, keep);
    fs::write(file, forged).unwrap();
    assert_eq!(world.fails(&["verify-certificate", file]).0, 7);
}

fn retention_keeps(world: &World, papers: &str) {
    let made = world.json(&["record", "put", "-r", papers, "--body", "{}", "--as", "globex"]);
    let (exit, error) = world.fails(&["record", "erase", "-r", papers, text(&made, "/id"), "--as", "globex"]);
    assert_eq!((exit, error["clause"].as_str()), (5, Some("AR-2")), "{error}");
}

/// Contents larger than many chunks come back as they were sent. An object that stays.
fn objects(world: &World, papers: &str) -> String {
    let (sent, back) = (world.directory.path().join("sent.bin"), world.directory.path().join("back.bin"));
    let content: Vec<u8> = (0..1_000_003u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&sent, &content).unwrap();
    let made = world.json(&["object", "put", "-r", papers, sent.to_str().unwrap(), "--as", "acme"]);
    let object = text(&made, "/id");
    assert_eq!(made["bytes"], 1_000_003);
    world.json(&["object", "get", "-r", papers, object, "--out", back.to_str().unwrap(), "--as", "acme"]);
    assert!(fs::read(&back).unwrap() == content);
    let part = world.run(&["object", "get", "-r", papers, object, "--range", "65530-65545", "--as", "acme"]);
    assert_eq!(part.stdout, &content[65_530..=65_545]);
    assert_eq!(world.fails(&["object", "get", "-r", papers, object, "--as", "globex"]).0, 4);
    world.json(&["object", "delete", "-r", papers, object, "--as", "acme"]);
    assert_eq!(world.json(&["object", "list", "-r", papers, "--as", "acme"]).as_array().unwrap().len(), 0);
    let small = world.directory.path().join("kept.txt");
    fs::write(&small, "kept").unwrap();
    let kept = world.json(&["object", "put", "-r", papers, small.to_str().unwrap(), "--as", "acme"]);
    text(&kept, "/id").to_owned()
}

/// Verified on the server, copied, verified and proved from the copy; a flipped byte is found.
fn the_log(world: &World, address: &str) {
    let key = text(&world.json(&["log", "key"]), "/key").to_owned();
    let ca = world.data().join("ca.pem");
    let served = world.json(&["log", "key", address, "--ca", ca.to_str().unwrap()]);
    assert_eq!(text(&served, "/key"), key);
    assert_eq!(world.json(&["log", "verify"])["verified"], true);

    let copy = world.directory.path().join("copy");
    let copy = copy.to_str().unwrap();
    let size = world.json(&["log", "export", copy])["size"].as_u64().unwrap();
    assert_eq!(world.json(&["log", "verify", copy, "--key", &key])["size"], size);
    let shown = world.json(&["log", "show", copy, "--key", &key, "--from", "0", "--limit", "1000"]);
    let refused = |entry: &Value| text(entry, "/outcome").starts_with("refused: ");
    assert!(shown.as_array().unwrap().iter().any(refused), "refusals are in the log");

    let printed = world.json(&["log", "prove", "3", copy, "--key", &key]);
    assert_eq!(printed["index"], 3);
    let proof = world.directory.path().join("proof");
    let proof = proof.to_str().unwrap();
    world.json(&["log", "prove", "3", copy, "--key", &key, "--out", proof]);
    assert_eq!(text(&printed, "/proof"), fs::read_to_string(proof).unwrap());
    assert_eq!(world.json(&["log", "check-proof", proof, "--key", &key])["index"], 3);
    let forged = fs::read_to_string(proof).unwrap().replace("index 3", "index 2");
    fs::write(proof, forged).unwrap();
    assert_eq!(world.fails(&["log", "check-proof", proof, "--key", &key]).0, 7);
    assert_eq!(world.fails(&["log", "prove", "1000000", copy, "--key", &key]).0, 4);

    let bundles = Path::new(copy).join("tile/entries");
    let bundle = fs::read_dir(&bundles).unwrap().next().unwrap().unwrap().path();
    let file =
        if bundle.is_dir() { fs::read_dir(&bundle).unwrap().next().unwrap().unwrap().path() } else { bundle };
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (exit, error) = world.fails(&["log", "verify", copy, "--key", &key]);
    assert_eq!(exit, 7);
    assert!(text(&error, "/why").starts_with("entry "), "{error}");
}

/// What a script prints, with `tenet` on its path; none, and a remark, where curl or jq are missing.
fn shell(world: &World, script: &str) -> Option<String> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_tenet")).parent().unwrap().display().to_string();
    let path = format!("{binaries}:/usr/local/bin:/usr/bin:/bin");
    let run = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euc", script]).env_clear().env("PATH", &path).env("HOME", world.directory.path());
        bash.current_dir(world.directory.path()).stdin(Stdio::null()).output().unwrap()
    };
    if !run("command -v curl jq").status.success() {
        skipped("curl or jq is not installed");
        return None;
    }
    let output = run(script);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn wrong_arguments_are_json_when_json_is_asked_for() {
    let world = World::new();
    for wrong in [
        ["record", "gett"].as_slice(),
        &["record", "get", "-r", "x", "rec_1"],
        &["up", "--no-such-option"],
        &["account", "suspend"],
        &[],
    ] {
        let (exit, error) = world.fails(wrong);
        assert_eq!((exit, &error["exit"], text(&error, "/code")), (2, &Value::from(2), "usage"), "{error}");
    }
    let plain = world.run(&["record", "gett"]);
    assert!(String::from_utf8_lossy(&plain.stderr).starts_with("error: unrecognized subcommand"));
    assert_eq!(plain.status.code(), Some(2));
    assert!(world.run(&["--help", "--json"]).status.success());
    assert!(world.run(&["--version"]).stdout.starts_with(b"tenet "));
    assert_eq!(world.json(&["config", "reference"])["settings"][0]["key"], "data");
    assert_eq!(world.json(&["completions", "bash"])["shell"], "bash");
}

#[test]
fn a_wrong_configuration_is_refused_with_what_is_right() {
    let world = World::new();
    let file = world.directory.path().join("tenet.toml");
    fs::write(&file, "[server]\nlistn = \"localhost:1\"\n").unwrap();
    for command in [["config", "check"].as_slice(), &["up"]] {
        let arguments = [command, &["--config", file.to_str().unwrap()]].concat();
        let (exit, error) = world.fails(&arguments);
        assert_eq!(exit, 2);
        assert!(text(&error, "/why").ends_with("unknown key `server.listn`: did you mean `server.listen`?"));
    }
    // What only shows when a server starts is found by the check too, in the same words.
    let bucket = ("TENET_OBJECTS_S3_BUCKET", "b");
    let missing = world.directory.path().join("missing").display().to_string();
    for (settings, fault) in [
        (vec![bucket, ("TENET_OBJECTS_DIRECTORY", "x")], "objects.directory: "),
        (vec![bucket, ("TENET_OBJECTS_S3_ENDPOINT", "http://10.0.0.1")], "objects.s3_endpoint: "),
        (vec![("TENET_KEYS_PROVIDER", "pkcs11")], "keys.pkcs11_module: "),
        (vec![("TENET_SERVER_PUBLIC_URL", "http://t")], "server.public_url: "),
        (vec![("TENET_SERVER_NAMES", "a b")], "server.names: "),
        (vec![("TENET_LEDGER_ORIGIN", "a b")], "ledger.origin: "),
        (vec![("TENET_DATABASE_URL_FILE", missing.as_str())], "database.url_file: "),
        (
            vec![("TENET_DATABASE_URL", "postgres://u@h/d"), ("TENET_DATABASE_ROOT_CA", missing.as_str())],
            "database.root_ca: ",
        ),
        (vec![("TENET_SERVER_LISTN", "localhost:1")], "the environment variable `TENET_SERVER_LISTN`"),
    ] {
        let [checked, started] =
            [["config", "check"].as_slice(), &["up"]].map(|command| world.fails_in(command, &settings));
        assert_eq!(checked, started);
        assert!(checked.0 == 2 && text(&checked.1, "/why").contains(fault), "{fault} {checked:?}");
    }
    let (exit, error) = world.fails(&["up", "--database", "postgres://u:hunter2@h/d"]);
    assert_eq!(exit, 2);
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(world.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(world.fails(&["log", "verify", "/nowhere", "--key", "/nowhere"]).0, 4);
}

#[test]
fn an_exposed_data_directory_is_refused() {
    let world = World::new();
    fs::create_dir(world.data()).unwrap();
    let data = world.data();
    fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (exit, error) = world.fails(&["up", "--data", data.to_str().unwrap(), "--listen", "localhost:0"]);
    assert_eq!((exit, error["code"].as_str()), (3, Some("data-directory-exposed")));
    assert!(text(&error, "/why").contains("chmod 700"));
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let world = World::new();
    let mut server = world.up("localhost:0");
    // A request that never ends keeps the drain waiting: a connection that says half a request.
    let address = text(&server.ready, "/listeners/0").to_owned();
    let held = std::net::TcpStream::connect(address).unwrap();
    server.signal("-INT");
    server.signal("-INT");
    let code = server.child.wait().unwrap().code();
    drop(held);
    // Either the drain was quicker than the second signal, or it was cut short: never left hanging.
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
}
