//! A server whose disk is full: writes are refused, reads go on, and with space it writes again without
//! having been started anew. The data directory is on a small tmpfs of the server's own mount namespace.

use std::io::Write as _;

use super::*;

/// Bytes of the file system that the server has.
const DISK: &str = "size=64m";

/// A server on a disk of its own; none, and a remark, where that can't be had.
fn on_a_small_disk(world: &World) -> Option<Server> {
    let mut unshare = Command::new("unshare");
    let probe = unshare.args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        skipped("`unshare -rm` and a mount in it are not allowed here");
        return None;
    }
    let disk = world.directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let script =
        r#"mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" up --json --data "$2/data" --listen localhost:0"#;
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, "sh", DISK]).arg(&disk).arg(env!("CARGO_BIN_EXE_tenet"));
    command.env_clear().env("HOME", world.directory.path()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    Some(world.spawn(command))
}

/// Takes up all that is left, as the server sees its disk.
fn fill(server: &Server, world: &World) -> PathBuf {
    let disk = world.directory.path().join("disk/filler");
    let path = PathBuf::from(format!("/proc/{}/root{}", server.child.id(), disk.display()));
    let mut file = fs::File::create(&path).unwrap();
    let deadline = Deadline::new();
    for size in [1_048_576, 4_096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {
            deadline.check("the disk does not fill up");
        }
    }
    path
}

/// Asks again until it succeeds.
fn until_done(world: &World, arguments: &[&str]) -> Value {
    let deadline = Deadline::new();
    loop {
        let output = world.tenet(arguments).arg("--json").output().unwrap();
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        let error = String::from_utf8_lossy(&output.stderr);
        deadline.check(&format!("{arguments:?}: {error}"));
    }
}

/// An application with a token from before the disk filled up, as one that is running has.
struct Application<'a> {
    world: &'a World,
    curl: String,
}

impl<'a> Application<'a> {
    /// None, and a remark, where curl or jq are missing.
    fn new(world: &'a World, server: &Server, account: &str) -> Option<Self> {
        let scope = "records:read,records:write";
        let client = ["client", "create", "running", "--account", account, "--scope", scope, "--secret"];
        let made = world.json(&client);
        let basic = format!("{}:{}", text(&made, "/client/id"), text(&made, "/secret"));
        let profile: Value =
            serde_json::from_slice(&fs::read(world.profile("default.json")).unwrap()).unwrap();
        let ca = world.directory.path().join("ca.pem");
        fs::write(&ca, text(&profile, "/authority")).unwrap();
        let curl = format!("curl -sS --cacert {}", ca.display());
        let address = server.address();
        let token = format!(
            "{curl} -u {basic} -d grant_type=client_credentials {address}/v1/token | jq -r .access_token"
        );
        let token = shell(world, &token)?;
        Some(Self { world, curl: format!("{curl} -H 'Authorization: Bearer {}'", token.trim()) })
    }

    /// The status and the JSON of a request.
    fn call(&self, arguments: &str) -> (u16, Value) {
        let answer = shell(self.world, &format!("{} -w '\\n%{{http_code}}' {arguments}", self.curl)).unwrap();
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let world = World::new();
    let Some(server) = on_a_small_disk(&world) else { return };
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let (account, _) = customer(&world, "acme", "business");
    let notes = ["repository", "create", "notes", "--classification", "internal", "--keep", "30"];
    let notes = world.json(&[&notes[..], &["--as", "acme"]].concat());
    let notes = text(&notes, "/id");
    let put = ["record", "put", "-r", notes, "--body", r#"{"number": "1"}"#, "--as", "acme"];
    let record = text(&world.json(&put), "/id").to_owned();
    let Some(application) = Application::new(&world, &server, &account) else { return };
    let records = format!("{}/v1/repositories/{notes}/records", server.address());

    let filler = fill(&server, &world);
    // Space within the files that are there may do for a few.
    let large = world.directory.path().join("large.json");
    fs::write(&large, format!(r#"{{"number": "2", "text": "{}"}}"#, "x".repeat(100_000))).unwrap();
    let store = format!("--json @{} {records}", large.display());
    let deadline = Deadline::new();
    let mut stored = 1;
    let (status, refused) = loop {
        match application.call(&store) {
            (201, _) => stored += 1,
            refused => break refused,
        }
        deadline.check("writes go on without space");
    };
    assert_eq!((status, text(&refused, "/code")), (507, "storage-full"), "{refused}");
    let (status, read) = application.call(&format!("{records}/{record}"));
    assert_eq!((status, text(&read, "/body/number")), (200, "1"), "reads go on: {read}");
    let (exit, error) = world.fails(&put);
    assert_eq!((exit, text(&error, "/code")), (6, "storage-full"), "a new sign-in is a write as well");

    fs::remove_file(filler).unwrap();
    until_done(&world, &put);
    assert_eq!(application.call(&store).0, 201);
    let list = ["record", "list", "-r", notes, "--limit", "1000", "--as", "acme"];
    assert_eq!(world.json(&list).as_array().unwrap().len(), stored + 2, "what was acknowledged, no more");
    assert_eq!(until_done(&world, &["log", "verify"])["verified"], true);
    assert_eq!(server.stop(), 0);
}
