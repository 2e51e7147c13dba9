//! Events on their way to where an organisation keeps its others.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{Deadline, World, skipped, text};

/// A private file with these lines.
fn private(path: &Path, lines: &str) -> String {
    fs::write(path, lines).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The log of a server that was stopped, as a directory, with its key.
fn copy(world: &World) -> (String, String, u64) {
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    world.json(&["account", "create", "acme"]);
    let key = text(&server.ready, "/log_key").to_owned();
    let listen = server.listen();
    assert_eq!(server.stop(), 0);
    let server = world.up(&listen);
    let directory = world.directory.path().join("copy").display().to_string();
    let size = world.json(&["log", "export", &directory])["size"].as_u64().unwrap();
    assert_eq!(server.stop(), 0);
    (directory, key, size)
}

#[test]
fn rsyslog_has_every_event_over_tls() {
    const PROGRAM: &str = "/usr/sbin/rsyslogd";
    if !Path::new(PROGRAM).exists() {
        return skipped("rsyslog is not installed");
    }
    let world = World::new();
    let (directory, key, size) = copy(&world);
    let at = |name: &str| world.directory.path().join(name);
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(at("ca.pem"), &authority_pem).unwrap();
    fs::write(at("server.pem"), server.signed_by(&server_key, &issuer).unwrap().pem()).unwrap();
    private(&at("server.key"), &server_key.serialize_pem());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let show = |name: &str| at(name).display().to_string();
    fs::write(
        at("rsyslog.conf"),
        format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"64k\" defaultNetstreamDriver=\"gtls\"\n\
             defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
             template(name=\"t\" type=\"string\" string=\"%pri% %timereported:::date-rfc3339% %app-name% %procid% %msgid% %msg%\\n\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"t\")\n",
            world.directory.path().display(), show("ca.pem"), show("server.pem"), show("server.key"), show("received")
        ),
    )
    .unwrap();
    let rsyslog = Command::new(PROGRAM)
        .args(["-n", "-i"])
        .arg(at("rsyslog.pid"))
        .arg("-f")
        .arg(at("rsyslog.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(at("rsyslog.err")).unwrap())
        .spawn()
        .unwrap();
    let _rsyslog = Killed(rsyslog);
    let deadline = Deadline::new();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        deadline.check(&format!("rsyslog listens: {}", fs::read_to_string(at("rsyslog.err")).unwrap()));
    }
    let to = private(&at("to"), &format!("syslog+tls://localhost:{port}\n"));
    let (state, ca) = (show("state.json"), show("ca.pem"));
    let forward = [
        "log",
        "forward",
        &directory,
        "--key",
        &key,
        "--to",
        &to,
        "--sink-ca",
        &ca,
        "--state",
        &state,
        "--once",
    ];
    let sent = world.json(&forward);
    assert_eq!((sent["delivered"].as_u64(), sent["position"].as_u64()), (Some(size), Some(size)));
    // Nothing twice without need.
    assert_eq!(world.json(&forward)["delivered"], 0);
    let received = loop {
        let received = fs::read_to_string(at("received")).unwrap_or_default();
        if received.lines().count() as u64 >= size {
            break received;
        }
        deadline.check("rsyslog writes what it got");
    };
    assert_eq!(received.lines().count() as u64, size);
    for (index, line) in received.lines().enumerate() {
        let mut parts = line.splitn(6, ' ');
        let mut part = || parts.next().unwrap();
        let (pri, _, tag, place, activity, leaf) = (part(), part(), part(), part(), part(), part());
        let event: Value = serde_json::from_str(leaf).unwrap();
        assert_eq!(
            (tag, place, activity),
            ("tenet", index.to_string().as_str(), text(&event, "/metadata/event_code"))
        );
        let severity = [6, 6, 5, 4, 3, 2][event["severity_id"].as_u64().unwrap() as usize];
        assert_eq!(pri, (13 * 8 + severity).to_string());
    }
    // A certificate that the authority did not sign is not spoken to.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(at("other.pem"), other.cert.pem()).unwrap();
    let (other, state) = (show("other.pem"), show("other.json"));
    let refused = [
        "log",
        "forward",
        &directory,
        "--key",
        &key,
        "--to",
        &to,
        "--sink-ca",
        &other,
        "--state",
        &state,
        "--once",
    ];
    let (_, error) = world.fails(&refused);
    assert_eq!(text(&error, "/code"), "not-delivered");
    assert!(!at("other.json").exists(), "the position did not move");
}

#[test]
fn a_collector_and_a_bucket_have_every_event() {
    let world = World::new();
    let (directory, key, size) = copy(&world);
    let at = |name: &str| world.directory.path().join(name);
    // The collector does not take the first request.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, arrived) = std::sync::mpsc::channel::<(String, Value)>();
    std::thread::spawn(move || {
        for (place, connection) in listener.incoming().enumerate() {
            let mut connection = BufReader::new(connection.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && connection.read_line(&mut head).unwrap() > 0 {}
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.trim().parse().unwrap()];
            connection.read_exact(&mut body).unwrap();
            let (status, answer) = if place == 0 { ("503 Unavailable", "") } else { ("200 OK", "{}") };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            connection.get_mut().write_all(answer.as_bytes()).unwrap();
            if place > 0 && sender.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    let to = private(&at("otlp"), &format!("otlp+http://{address}/v1/logs\nAuthorization: Bearer sesame\n"));
    let state = at("otlp.json").display().to_string();
    let forward = ["log", "forward", &directory, "--key", &key, "--to", &to, "--state", &state, "--once"];
    let (_, error) = world.fails(&forward);
    assert!(text(&error, "/why").contains("503") && !error.to_string().contains("sesame"), "{error}");
    assert_eq!(world.json(&forward)["delivered"].as_u64(), Some(size));
    let (head, body) = arrived.recv_timeout(Deadline::MOST).unwrap();
    assert!(head.to_lowercase().contains("authorization: bearer sesame"), "{head}");
    let scope = &body["resourceLogs"][0];
    assert_eq!(scope["resource"]["attributes"][0]["value"]["stringValue"], "tenet");
    let records = scope["scopeLogs"][0]["logRecords"].as_array().unwrap();
    assert_eq!(records.len() as u64, size);
    let leaf: Value = serde_json::from_str(text(&records[0], "/body/stringValue")).unwrap();
    assert_eq!(records[0]["attributes"][0]["value"]["stringValue"], leaf["metadata"]["event_code"]);
    assert_eq!(&text(&records[0], "/timeUnixNano")[..13], leaf["time"].to_string());

    let bucket = at("bucket");
    fs::create_dir(&bucket).unwrap();
    let to = private(&at("to-bucket"), &format!("file://{}\n", bucket.display()));
    let state = at("bucket.json").display().to_string();
    let some = ["--activity", "account.create"];
    let mut forward =
        vec!["log", "forward", &directory, "--key", &key, "--to", &to, "--state", &state, "--once"];
    forward.extend(some);
    assert_eq!(world.json(&forward)["delivered"], 1);
    let files: Vec<_> = fs::read_dir(&bucket).unwrap().map(|file| file.unwrap().path()).collect();
    let lines = fs::read_to_string(&files[0]).unwrap();
    assert!(files.len() == 1 && lines.lines().count() == 1 && lines.contains("account.create"), "{lines}");

    // A position of another log, and a log that was rewritten since, are not gone on from.
    let position = fs::read_to_string(at("bucket.json")).unwrap();
    fs::write(at("bucket.json"), position.replace("\"root\":\"", "\"root\":\"0")).unwrap();
    let (exit, _) = world.fails(&forward);
    assert_eq!(exit, 7);
    fs::write(at("bucket.json"), position.replace("\"log\":\"", "\"log\":\"x")).unwrap();
    let (exit, error) = world.fails(&forward);
    assert!(exit == 2 && text(&error, "/why").contains("another log"), "{error}");
}

#[test]
fn a_third_party_gets_what_its_profile_allows_and_can_check_it() {
    let world = World::new();
    let (directory, key, _) = copy(&world);
    let at = |name: &str| world.directory.path().join(name);
    private(&at("auditor.key"), &"k".repeat(40));
    let fields = "['time', 'activity', 'outcome', 'actor_kind', 'actor', 'object']";
    let profile =
        |key: &str| format!("recipient = 'auditor.example'\nkey_file = '{key}'\nfields = {fields}\n");
    fs::write(at("auditor.toml"), profile("auditor.key")).unwrap();
    let (profile_file, out) =
        (at("auditor.toml").display().to_string(), at("shared.jsonl").display().to_string());
    world.json(&[
        "log",
        "share",
        &profile_file,
        &directory,
        "--key",
        &key,
        "--activity",
        "account",
        "--since",
        "1h",
        "--out",
        &out,
    ]);
    let shared = fs::read_to_string(&out).unwrap();
    let lines: Vec<Value> = shared.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statement = lines.last().unwrap();
    assert_eq!(
        (&statement["count"], &statement["recipient"]),
        (&Value::from(1), &Value::from("auditor.example"))
    );
    let event = &lines[0]["event"];
    assert_eq!(event.as_object().unwrap().len(), 6);
    assert_eq!(text(event, "/activity"), "account.create");
    assert!(
        text(event, "/actor").starts_with("opr~") && text(event, "/object").starts_with("acc~"),
        "{event}"
    );
    assert!(
        !shared.contains("opr_") && !shared.contains("acc_") && !shared.contains("evt_"),
        "no identifier of ours"
    );
    // The recipient alone; whoever has the log and the profile; and both once the log has grown.
    let check = ["log", "check-share", &out, "--key", &key];
    assert_eq!(world.json(&check)["complete"], Value::Null);
    let whole = ["log", "check-share", &out, &directory, "--key", &key, "--profile", &profile_file];
    assert_eq!(world.json(&whole)["complete"], true);
    let server = world.up("localhost:0");
    assert_eq!(server.stop(), 0);
    let server = world.up("localhost:0");
    fs::remove_dir_all(&directory).unwrap();
    world.json(&[
        "log",
        "export",
        &directory,
        server.address(),
        "--ca",
        text(&server.ready, "/ca"),
        "--key",
        &key,
    ]);
    assert_eq!(server.stop(), 0);
    assert_eq!(world.json(&whole)["complete"], true);
    // What names somebody is a pseudonym in the statement, too: who checks says it again.
    let found = world.json(&["log", "search", &directory, "--key", &key, "--activity", "account.create"]);
    let account = text(&found[0], "/event/entity/uid").to_owned();
    let theirs = at("theirs.jsonl").display().to_string();
    world.json(&[
        "log",
        "share",
        &profile_file,
        &directory,
        "--key",
        &key,
        "--account",
        &account,
        "--out",
        &theirs,
    ]);
    assert!(!fs::read_to_string(&theirs).unwrap().contains(&account));
    let mut again =
        vec!["log", "check-share", &theirs, &directory, "--key", &key, "--profile", &profile_file];
    assert_eq!(world.fails(&again).0, 2);
    again.extend(["--account", &account]);
    assert_eq!(world.json(&again)["complete"], true);
    // Changed, left out, or by another key: each is found by who can.
    let wrong = |text: String| {
        fs::write(&out, text).unwrap();
        world.fails(&check).0
    };
    assert_eq!(wrong(shared.replace("account.create", "account.delete")), 7);
    assert_eq!(wrong(shared.lines().skip(1).map(|line| format!("{line}\n")).collect()), 7);
    fs::write(&out, &shared).unwrap();
    private(&at("other.key"), &"o".repeat(40));
    fs::write(at("auditor.toml"), profile("other.key")).unwrap();
    let (exit, error) = world.fails(&whole);
    assert_eq!((exit, text(&error, "/code")), (7, "share-not-verified"));
}
