//! A server whose disk is full: writes are refused, reads go on, and with space it writes again without
//! having been started anew. The data directory is on a small tmpfs of the server's own mount namespace.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use super::*;

/// Bytes of the file system that the server has.
const DISK: &str = "size=64m";
/// How long anything here may take before it counts as failed.
const DEADLINE: Duration = Duration::from_secs(120);

/// A server on a disk of its own; none, and a remark, where that can't be had.
fn on_a_small_disk(world: &World) -> Option<Server> {
    let mut unshare = Command::new("unshare");
    let probe = unshare.args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: `unshare -rm` and a mount in it are not allowed here");
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
    let began = Instant::now();
    for size in [1_048_576, 4_096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {
            assert!(began.elapsed() < DEADLINE, "the disk does not fill up");
        }
    }
    path
}

/// Asks again until it succeeds.
fn until_done(world: &World, arguments: &[&str]) -> Value {
    let began = Instant::now();
    loop {
        let output = world.tenet(arguments).arg("--json").output().unwrap();
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(began.elapsed() < DEADLINE, "{arguments:?}: {error}");
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
    let put = |body: &str| ["record", "put", "-r", notes, "--body", body, "--as", "acme"].map(str::to_owned);
    let small = put(r#"{"number": "1"}"#);
    let small: Vec<&str> = small.iter().map(String::as_str).collect();
    let record = text(&world.json(&small), "/id").to_owned();
    // A token from before: that of a client whose process lives on while the disk fills up.
    let secret = ["client", "create", "reader", "--account", &account, "--scope", "records:read", "--secret"];
    let made = world.json(&secret);
    let ca = world.directory.path().join("ca.pem");
    let profile: Value = serde_json::from_slice(&fs::read(world.profile("default.json")).unwrap()).unwrap();
    fs::write(&ca, text(&profile, "/authority")).unwrap();
    let curl = format!("curl -sS --cacert {} ", ca.display());
    let (client, address) =
        (format!("{}:{}", text(&made, "/client/id"), text(&made, "/secret")), server.address());
    let token = shell(
        &world,
        &format!(
            "{curl} -u {client} -d grant_type=client_credentials {address}/v1/token | jq -r .access_token"
        ),
    );

    let filler = fill(&server, &world);
    // Space within the files that are there may do for a few.
    let large = format!(r#"{{"number": "2", "text": "{}"}}"#, "x".repeat(100_000));
    let file = world.directory.path().join("large.json");
    fs::write(&file, large).unwrap();
    let large = ["record", "put", "-r", notes, "--file", file.to_str().unwrap(), "--as", "acme"];
    let began = Instant::now();
    let refused = loop {
        let output = world.tenet(&large).arg("--json").output().unwrap();
        if !output.status.success() {
            break output;
        }
        assert!(began.elapsed() < DEADLINE, "writes go on without space");
    };
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!((refused.status.code(), text(&error, "/error/code")), (Some(6), "storage-full"), "{error}");
    if let Some(token) = token {
        let url = format!("{address}/v1/repositories/{notes}/records/{record}");
        let read =
            shell(&world, &format!("{curl} -H 'Authorization: Bearer {}' {url}", token.trim())).unwrap();
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["body"]["number"], "1", "reads go on: {read}");
    }

    fs::remove_file(filler).unwrap();
    until_done(&world, &small);
    world.json(&large);
    assert_eq!(until_done(&world, &["log", "verify"])["verified"], true);
    assert_eq!(server.stop(), 0);
}
