//! Objects in an S3-compatible store, which Moto plays (PyPI; `./check packages` installs it under `.check`).

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A store on a free port, with one bucket; ended with the test.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    fn start(world: &World) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.check/venv/bin/moto_server");
        assert!(program.exists(), "{} is missing: run `./check packages`", program.display());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(world.directory.path().join("moto.log")).unwrap();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let made = Self { child, endpoint: format!("http://127.0.0.1:{port}") };
        let deadline = Deadline::new();
        while !made.curl(&["-X", "PUT", &format!("{}/papers", made.endpoint)]) {
            deadline.check("the store does not answer");
        }
        made
    }

    fn curl(&self, arguments: &[&str]) -> bool {
        Command::new("curl")
            .args(["-sSf", "-o", "/dev/null"])
            .args(arguments)
            .output()
            .unwrap()
            .status
            .success()
    }

    /// What the bucket holds, as the store lists it.
    fn listing(&self) -> String {
        let listed =
            Command::new("curl").args(["-sSf", &format!("{}/papers", self.endpoint)]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn objects_live_in_a_bucket() {
    let world = World::new();
    let moto = Moto::start(&world);
    let secret = world.directory.path().join("s3-secret");
    fs::write(&secret, "not-a-secret").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let settings = [
        ("TENET_OBJECTS_S3_BUCKET", "papers"),
        ("TENET_OBJECTS_S3_ENDPOINT", moto.endpoint.as_str()),
        ("TENET_OBJECTS_S3_REGION", "us-east-1"),
        ("TENET_OBJECTS_S3_ACCESS_KEY_ID", "tenet"),
        ("TENET_OBJECTS_S3_SECRET_KEY_FILE", secret.to_str().unwrap()),
    ];
    let server = world.up_with(&world.data(), "localhost:0", &settings);
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let (_, papers) = customer(&world, "acme", "business");

    // More than one part, with nothing of it readable in the store.
    let sent = world.directory.path().join("sent");
    let contents: Vec<u8> = b"Ada Lovelace ".iter().copied().cycle().take(9_000_000).collect();
    fs::write(&sent, &contents).unwrap();
    let made = world.json(&["object", "put", "-r", &papers, sent.to_str().unwrap(), "--as", "acme"]);
    let object = text(&made, "/id");
    assert!(moto.listing().matches("<Key>").count() >= 2, "{}", moto.listing());
    let back = world.directory.path().join("back");
    world.json(&["object", "get", "-r", &papers, object, "--out", back.to_str().unwrap(), "--as", "acme"]);
    assert_eq!(fs::read(&back).unwrap(), contents);
    let part =
        world.run(&["object", "get", "-r", &papers, object, "--range", "4194300-4194312", "--as", "acme"]);
    assert_eq!(part.stdout, contents[4_194_300..=4_194_312]);

    // Erased: no part of it is left there.
    world.json(&["object", "erase", "-r", &papers, object, "--as", "acme"]);
    assert_eq!(moto.listing().matches("<Key>").count(), 0, "{}", moto.listing());
    assert_eq!(world.fails(&["object", "get", "-r", &papers, object, "--as", "acme"]).0, 4);

    // The log's events, too, can go into a bucket.
    let to = world.directory.path().join("to");
    fs::write(&to, "s3://papers/events\n").unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    let state = world.directory.path().join("position.json");
    let forward = [
        "log",
        "forward",
        "--to",
        to.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
        "--once",
        "--json",
    ];
    let mut forward = world.tenet(&forward);
    forward.args(["--activity", "object"]).envs([
        ("AWS_ENDPOINT", moto.endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "tenet"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]);
    let sent_events: Value = serde_json::from_slice(&forward.output().unwrap().stdout).unwrap();
    assert!(sent_events["delivered"].as_u64() >= Some(3), "{sent_events}");
    assert_eq!(moto.listing().matches("<Key>events/").count(), 1, "{}", moto.listing());

    // A bucket that is not there is said to be, and nothing is taken for damage.
    let listen = server.listen();
    assert_eq!(server.stop(), 0);
    let elsewhere = settings.map(|(name, value)| (name, if value == "papers" { "absent" } else { value }));
    let _server = world.up_with(&world.data(), &listen, &elsewhere);
    let refused = world.fails(&["object", "put", "-r", &papers, sent.to_str().unwrap(), "--as", "acme"]);
    assert_eq!((refused.0, text(&refused.1, "/code")), (6, "object-storage-unavailable"), "{}", refused.1);
    let log = world.json(&["log", "show", "--limit", "1000"]).to_string();
    assert!(!log.contains("integrity.violation"), "{log}");
}
