//! A server and a witness, each a process of its own.

use super::*;

/// A witness that runs, and its policy and authority for the server.
struct Witness {
    process: Server,
    data: PathBuf,
    policy: PathBuf,
}

impl Witness {
    fn start(world: &World, key: &str, listen: &str) -> Self {
        Self::start_with(world, key, listen, &[])
    }
    fn start_with(world: &World, key: &str, listen: &str, more: &[&str]) -> Self {
        let data = world.directory.path().join("witness");
        let mut arguments =
            vec!["witness", "--json", "--data", data.to_str().unwrap(), "--listen", listen, "--log", key];
        arguments.extend(more);
        let process = world.spawn(world.tenet(&arguments));
        let policy = world.directory.path().join("policy");
        let line =
            format!("witness w {} {}\nquorum w\n", text(&process.ready, "/mirror_key"), process.address());
        fs::write(&policy, line).unwrap();
        Self { process, data, policy }
    }
    fn copy(&self) -> String {
        text(&self.process.ready, "/logs/0/copy").to_owned()
    }
    /// The copy's address.
    fn url(&self) -> String {
        format!(
            "{}/{}",
            self.process.address(),
            Path::new(&self.copy()).file_name().unwrap().to_str().unwrap()
        )
    }
    fn ca(&self) -> String {
        self.data.join("ca.pem").display().to_string()
    }
    fn settings(&self) -> [(String, String); 3] {
        [
            ("TENET_LEDGER_WITNESS_POLICY".to_owned(), self.policy.display().to_string()),
            ("TENET_LEDGER_WITNESS_CA".to_owned(), self.ca()),
            ("TENET_LEDGER_WITNESS_LIMIT".to_owned(), "5s".to_owned()),
        ]
    }
}

fn up(world: &World, listen: &str, witness: &Witness) -> Server {
    let settings = witness.settings();
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    world.up_with(&world.data(), listen, &settings)
}

/// Asks again until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Deadline::new();
    while !is_so() {
        deadline.check(what);
    }
}

/// A server with an administrator, stopped, and its log's key.
fn enrolled(world: &World) -> (String, String) {
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let (listen, key) = (server.listen(), text(&server.ready, "/log_key").to_owned());
    assert_eq!(server.stop(), 0);
    (listen, key)
}

/// The log, as its witnesses stand by it, has at least so many entries more than it had.
fn witnessed(world: &World, witness: &Witness) -> u64 {
    let policy = witness.policy.display().to_string();
    let mut size = 0;
    until("the log is cosigned", || {
        let output = world.run(&["log", "verify", "--json", "--witnesses", &policy]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        size = report["size"].as_u64().unwrap_or(0);
        report["cosigned_at"].is_string()
    });
    size
}

#[test]
fn acts_wait_while_no_witness_stands_by_the_log_and_go_on_when_one_is_back() {
    let world = World::new();
    let (listen, key) = enrolled(&world);
    let witness = Witness::start(&world, &key, "localhost:0");
    let server = up(&world, &listen, &witness);
    let before = witnessed(&world, &witness);
    let account = text(&world.json(&["account", "create", "one"]), "/id").to_owned();
    let (_, papers) = customer(&world, "acme", "business");
    until("the witness has the account's event", || witnessed(&world, &witness) > before);
    // The copy verifies as a directory, and over HTTP, by whoever knows the key.
    let policy = witness.policy.display().to_string();
    let report = world.json(&["log", "verify", &witness.copy(), "--key", &key, "--witnesses", &policy]);
    assert!(report["size"].as_u64() > Some(before));
    world.json(&["log", "verify", &witness.url(), "--ca", &witness.ca(), "--key", &key]);
    // An unwitnessed copy is not taken for a witnessed one.
    let other = world.directory.path().join("other-policy");
    fs::write(&other, format!("witness x {}\nquorum x\n", text(&witness.process.ready, "/witness_key")))
        .unwrap();
    let (exit, error) = world.fails(&["log", "verify", "--witnesses", other.to_str().unwrap()]);
    assert_eq!((exit, text(&error, "/code")), (7, "not-witnessed"));

    let (witness_listen, settings) = (witness.process.listen(), witness.settings());
    assert_eq!(witness.process.stop(), 0);
    let mut said = (0, Value::Null);
    let mut attempts = 0;
    until("administrative acts wait", || {
        attempts += 1;
        let output = world.run(&["account", "create", &format!("before-{attempts}"), "--json"]);
        if output.status.success() {
            return false;
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        said = (output.status.code().unwrap(), serde_json::from_str(error.lines().last().unwrap()).unwrap());
        true
    });
    assert_eq!(
        (said.0, text(&said.1, "/error/code"), text(&said.1, "/error/clause")),
        (6, "log-unwitnessed", "AO-2")
    );
    assert_eq!(world.fails(&["operator", "link"]).1["code"], "log-unwitnessed");
    // Looking goes on, and taking access away; and so do customers.
    world.json(&["account", "list"]);
    world.json(&["account", "suspend", &account]);
    world.json(&["record", "put", "-r", &papers, "--body", r#"{"number": "1"}"#, "--as", "acme"]);
    let arguments =
        ["witness", "--json", "--data", witness.data.to_str().unwrap(), "--listen", &witness_listen];
    let again = world.spawn(world.tenet(&arguments));
    until("administrative acts go on", || {
        world.run(&["account", "create", "two", "--json"]).status.success()
    });
    // What happened meanwhile is in the witness's copy, and says itself that it was not witnessed.
    let mut acts = Vec::new();
    until("the log says that the witness is back", || {
        let entries = world.json(&["log", "show", "--limit", "500"]);
        let shown = entries.as_array().unwrap().iter().map(|entry| text(entry, "/activity").to_owned());
        acts = shown.collect::<Vec<String>>();
        acts.iter().any(|act| act == "log.witnessed")
    });
    for act in ["log.unwitnessed", "access.deny"] {
        assert!(acts.iter().any(|found| found == act), "{act}: {acts:?}");
    }
    assert_eq!(settings[2].1, "5s");
    assert_eq!(server.stop(), 0);
    assert_eq!(again.stop(), 0);
}

#[test]
fn everything_waits_if_the_policy_says_so() {
    let world = World::new();
    let (listen, key) = enrolled(&world);
    let witness = Witness::start(&world, &key, "localhost:0");
    let mut settings = witness.settings().to_vec();
    settings.push(("TENET_LEDGER_UNWITNESSED".to_owned(), "everything".to_owned()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let server = world.up_with(&world.data(), &listen, &settings);
    witnessed(&world, &witness);
    let (_, papers) = customer(&world, "acme", "business");
    let put = ["record", "put", "-r", &papers, "--body", r#"{"number": "1"}"#, "--as", "acme", "--json"];
    assert!(world.run(&put).status.success());
    assert_eq!(witness.process.stop(), 0);
    until("records wait", || {
        let output = world.run(&put);
        String::from_utf8_lossy(&output.stderr).contains("log-unwitnessed")
    });
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_database_that_was_rolled_back_is_recognised_and_its_log_taken_back_from_the_mirror() {
    let world = World::new();
    let (listen, key) = enrolled(&world);
    // Yesterday's backup, of a server that was stopped.
    let backup = world.directory.path().join("backup");
    fs::create_dir(&backup).unwrap();
    for file in ["data.db", "keys.db"] {
        fs::copy(world.data().join(file), backup.join(file)).unwrap();
    }
    let witness = Witness::start(&world, &key, "localhost:0");
    let server = up(&world, &listen, &witness);
    witnessed(&world, &witness);
    for name in ["one", "two", "three"] {
        world.json(&["account", "create", name]);
    }
    let size = witnessed(&world, &witness);
    assert_eq!(server.stop(), 0);
    for file in ["data.db", "keys.db"] {
        fs::copy(backup.join(file), world.data().join(file)).unwrap();
    }
    let data = world.data().display().to_string();
    let settings = witness.settings();
    let environment: Vec<(&str, &str)> = settings.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let start = ["up", "--data", &data, "--listen", &listen];
    let (exit, error) = world.fails_in(&start, &environment);
    assert_eq!((exit, text(&error, "/code")), (7, "log-forked"), "{error}");
    assert!(text(&error, "/what").contains("rolled back"), "{error}");
    assert!(text(&error, "/do").contains(&witness.url()), "{error}");
    // As the remedy says.
    let recover = ["log", "recover", "--from", &witness.url(), "--ca", &witness.ca(), "--data", &data];
    let report = world.json(&recover);
    assert!(report["size"].as_u64() >= Some(size), "{report}");
    assert_eq!(world.fails(&recover).1["code"], "nothing-lost");
    let server = up(&world, &listen, &witness);
    let after = witnessed(&world, &witness);
    assert!(after > size);
    let entries = world.json(&["log", "show", "--limit", "500"]);
    let entries = entries.as_array().unwrap();
    let has = |activity: &str| entries.iter().filter(|entry| text(entry, "/activity") == activity).count();
    // The server makes accounts of its own, for its drills.
    let by_people = |entry: &&Value| text(entry, "/actor").starts_with("opr_");
    let made = |entry: &&Value| text(entry, "/activity") == "account.create";
    let made = entries.iter().filter(made).filter(by_people).count();
    assert_eq!((has("log.recover"), made), (1, 3), "what was lost is in the log again");
    assert!(has("log.fork") >= 1);
    // The accounts themselves were in the database that is gone: the log says so, and the server has none.
    let accounts = world.json(&["account", "list"]);
    let of_people = |account: &&Value| !text(account, "/name").starts_with("Tenet drill");
    assert_eq!(accounts.as_array().unwrap().iter().filter(of_people).count(), 0, "{accounts}");
    assert_eq!(server.stop(), 0);
    world.json(&["log", "verify", &witness.copy(), "--key", &key]);
}

#[test]
fn a_log_that_went_on_from_an_older_copy_is_a_fork_and_stops() {
    let world = World::new();
    let (listen, key) = enrolled(&world);
    let backup = world.directory.path().join("backup");
    fs::create_dir(&backup).unwrap();
    for file in ["data.db", "keys.db"] {
        fs::copy(world.data().join(file), backup.join(file)).unwrap();
    }
    let witness = Witness::start(&world, &key, "localhost:0");
    let server = up(&world, &listen, &witness);
    witnessed(&world, &witness);
    assert_eq!(server.stop(), 0);
    for file in ["data.db", "keys.db"] {
        fs::copy(backup.join(file), world.data().join(file)).unwrap();
    }
    // Without its witness it goes on, and signs another past.
    let server = world.up_with(&world.data(), &listen, &[]);
    for name in ["one", "two", "three", "four", "five", "six", "seven", "eight"] {
        world.json(&["account", "create", name]);
    }
    assert_eq!(server.stop(), 0);
    let data = world.data().display().to_string();
    let settings = witness.settings();
    let environment: Vec<(&str, &str)> = settings.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let (exit, error) = world.fails_in(&["up", "--data", &data, "--listen", &listen], &environment);
    assert_eq!((exit, text(&error, "/code")), (7, "log-forked"), "{error}");
    assert!(text(&error, "/what").contains("fork"), "{error}");
    // And entries of another past are not taken back into it.
    let recover = ["log", "recover", "--from", &witness.copy(), "--data", &data];
    let (_, error) = world.fails(&recover);
    assert!(["nothing-lost", "log-not-verified"].contains(&text(&error, "/code")), "{error}");
}

#[test]
fn wrong_witnesses_are_told_before_the_start() {
    let world = World::new();
    let data = world.data().display().to_string();
    let policy = world.directory.path().join("policy");
    let check = |content: &str| {
        fs::write(&policy, content).unwrap();
        let environment = [("TENET_LEDGER_WITNESS_POLICY", policy.to_str().unwrap())];
        world.fails_in(&["config", "check", "--data", &data], &environment)
    };
    let key = "w.example/one/mirror+5aeef935+BJ3IaNUCY8jVY4a5cl1zOUGY0xS/krvJPtZwh+st0KEt";
    for (content, part) in [
        ("nonsense\n".to_owned(), "line 1"),
        ("quorum none\n".to_owned(), "can't be reached"),
        (format!("witness w {key}\nquorum w\n"), "can't be reached"),
        (format!("witness w {key} ftp://w.example\nquorum w\n"), "https://"),
        (format!("witness w {key} http://w.example\nquorum w\n"), "https://"),
        (format!("witness w {key} https://w.example\nquorum w\n"), "trusted"),
    ] {
        let (exit, error) = check(&content);
        assert_eq!(exit, 2, "{content}");
        assert!(error.to_string().contains(part), "{content}: {error}");
    }
    let wanted = world.directory.path().join("w").display().to_string();
    let (exit, error) = world.fails(&["witness", "--data", &wanted]);
    assert_eq!(exit, 2);
    assert!(text(&error, "/do").contains("--log"), "{error}");
}

/// Takes alarms as an HTTP server does, and refuses the first.
fn receiver() -> (String, std::sync::mpsc::Receiver<(String, Value)>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut is_first = true;
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if connection.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let length = head.to_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.trim().parse().unwrap()];
            connection.read_exact(&mut body).unwrap();
            let status = if is_first { "503 Service Unavailable" } else { "204 No Content" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            connection.get_mut().write_all(answer.as_bytes()).unwrap();
            if !std::mem::take(&mut is_first)
                && sender.send((head, serde_json::from_slice(&body).unwrap())).is_err()
            {
                return;
            }
        }
    });
    (address, receiver)
}

#[test]
fn rules_run_at_the_witness_and_alarms_arrive() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (listen, key) = enrolled(&world);
    let (address, arrived) = receiver();
    let hook = world.directory.path().join("hook");
    fs::write(&hook, format!("{address}\nX-Token: sesame\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o600)).unwrap();
    let rules = world.directory.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let rule = "title: An account was made\nid: 00000000-0000-4000-8000-000000000001\nlogsource: {product: tenet}\n\
        detection:\n  made:\n    tenet.activity: account.create\n    tenet.actor_kind: operator\n  condition: made\nlevel: low\n";
    fs::write(rules.join("own.yml"), rule).unwrap();
    let more = ["--rules", rules.to_str().unwrap(), "--alerts-to", hook.to_str().unwrap()];
    let witness = Witness::start_with(&world, &key, "localhost:0", &more);
    let server = up(&world, &listen, &witness);
    witnessed(&world, &witness);
    let account = text(&world.json(&["account", "create", "one"]), "/id").to_owned();
    let link = world.json(&["operator", "link", "--role", "administrator"]);
    world.json(&["enrol", text(&link, "/link"), "--name", "second", "--save", "second"]);

    let mut titles = Vec::new();
    while titles.len() < 3 {
        let (head, alarm) = arrived.recv_timeout(Deadline::MOST).unwrap();
        assert!(head.to_lowercase().contains("x-token: sesame"), "{head}");
        assert_eq!(alarm["kind"], "rule");
        let entry = world.json(&["log", "show", "--from", &alarm["index"].to_string(), "--limit", "1"]);
        assert_eq!(entry[0]["event"]["metadata"]["uid"], alarm["event"], "{alarm}");
        if alarm["title"] == "An account was made" {
            assert_eq!((text(&alarm, "/object"), text(&alarm, "/level")), (account.as_str(), "low"));
        }
        titles.push(text(&alarm, "/title").to_owned());
    }
    // The first administrator was enrolled before the witness came: it watches from the first entry on.
    assert_eq!(titles, ["A new administrator", "An account was made", "A new administrator"]);
    // A witness that starts again goes on where it was.
    let alarms = witness.data.join("alerts.jsonl");
    let before = fs::read_to_string(&alarms).unwrap();
    let listen = witness.process.listen();
    assert_eq!(witness.process.stop(), 0);
    let witness = Witness::start_with(&world, &key, &listen, &more);
    witnessed(&world, &witness);
    world.json(&["account", "create", "two", "--as", "default"]);
    let (_, alarm) = arrived.recv_timeout(Deadline::MOST).unwrap();
    assert_eq!(alarm["title"], "An account was made");
    let after = fs::read_to_string(&alarms).unwrap();
    assert!(after.starts_with(&before) && after.lines().count() == before.lines().count() + 1, "{after}");
    assert_eq!(fs::metadata(&alarms).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(server.stop(), 0);
    assert_eq!(witness.process.stop(), 0);
    // A rule that could never fire is refused before the witness starts.
    fs::write(rules.join("typo.yml"), rule.replace("tenet.activity", "tenet.actvity")).unwrap();
    let (exit, error) = world.fails(&["rules", "check", rules.to_str().unwrap()]);
    assert!(exit == 2 && text(&error, "/why").contains("tenet.activity"), "{error}");
    let (exit, _) = world.fails(&[
        "witness",
        "--data",
        witness.data.to_str().unwrap(),
        "--rules",
        rules.to_str().unwrap(),
    ]);
    assert_eq!(exit, 2);
}
