//! Reading the log as a reviewer does: searching, following, counting, taking it out for other tools.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::{Deadline, World, text};

fn indices(found: &Value) -> Vec<u64> {
    found.as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_reviewer_finds_follows_counts_and_takes_out() {
    let world = World::new();
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    // What the server does by the clock is done, and disturbs no comparison.
    world.json(&["evidence", "run"]);
    let account = text(&world.json(&["account", "create", "acme"]), "/id").to_owned();
    let unknown = "opr_00000000000000000000000001";
    let gone = world.run(&["operator", "revoke", unknown]);
    assert!(!gone.status.success());

    // The server's index and a verified copy say the same.
    let copy = world.directory.path().join("copy").display().to_string();
    let key = text(&world.json(&["log", "key"]), "/key").to_owned();
    let deadline = Deadline::new();
    while world.json(&["log", "search", "--text", unknown]).as_array().unwrap().is_empty() {
        deadline.check("the refusal is in the log");
    }
    world.json(&["log", "export", &copy]);
    for asked in [
        ["--activity", "account.create"].as_slice(),
        &["--activity", "key", "--account", &account],
        &["--actor", "operator", "--since", "1h", "--outcome", "success", "--activity", "account"],
        &["--outcome", "refused"],
        &["--text", "ACME nothing"],
        &["--object", &account],
        &["--severity", "medium", "--until", "2020-01-01"],
    ] {
        let (mut here, mut there) = (vec!["log", "search"], vec!["log", "search", &copy, "--key", &key]);
        here.extend(asked);
        there.extend(asked);
        let (here, there) = (world.json(&here), world.json(&there));
        assert_eq!(indices(&here), indices(&there), "{asked:?}");
    }
    let created = world.json(&["log", "search", "--activity", "account.create"]);
    assert_eq!(created[0]["event"]["metadata"]["event_code"], "account.create");
    let wrong = world.run(&["log", "search", "--activity", "acount.create"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("account.create"));
    assert_eq!(wrong.status.code(), Some(2));

    // A search that is saved is asked again by its name, with what is given besides.
    // By operators: the server's own drills are refused meanwhile.
    let refused = ["log", "search", "--outcome", "refused", "--since", "1h", "--actor", "operator"];
    let mut save = refused.to_vec();
    save.extend(["--save", "refusals"]);
    assert_eq!(indices(&world.json(&save)), indices(&world.json(&refused)));
    let again = world.json(&["log", "search", "--saved", "refusals"]);
    assert_eq!(indices(&again), indices(&world.json(&refused)));
    assert_eq!(
        world.json(&["log", "search", "--saved", "refusals", "--until", "2020-01-01"]),
        Value::Array(Vec::new())
    );
    let saved = world.json(&["log", "searches"]);
    assert_eq!(text(&saved[0], "/search"), "--since 1h --actor operator --outcome refused");
    let (exit, error) = world.fails(&["log", "search", "--saved", "refusal"]);
    assert!(exit == 2 && text(&error, "/do").contains("refusals"), "{error}");
    assert_eq!(world.json(&["log", "searches", "--remove", "refusals"]), Value::Array(Vec::new()));

    let denials = world.json(&["log", "report", "denials"]);
    // Besides what the server's own drills were denied.
    let revoked = denials.as_array().unwrap().iter().find(|one| one["what"] == "operator.revoke").unwrap();
    assert_eq!(revoked["count"], 1);
    let csv = world.tenet(&["log", "report", "privileged", &copy, "--key", &key, "--csv"]).output().unwrap();
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.lines().any(|line| line.contains(",account.create,") && line.contains(&account)), "{csv}");
    let picture = world.tenet(&["log", "report", "privileged", "--svg"]).output().unwrap();
    let picture = String::from_utf8(picture.stdout).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains("account.create"), "{picture}");
    let none =
        world.json(&["log", "report", "after-hours", "--hours", "00:00-24:00", "--until", "2020-01-01"]);
    assert_eq!(none, Value::Array(Vec::new()));

    // Nobody signs off what they did themselves; a second person does.
    let open = world.json(&["review", "list"]);
    let acts: Vec<_> = open.as_array().unwrap().iter().map(|one| text(one, "/activity")).collect();
    assert_eq!(acts, ["operator.enrol", "account.create"]);
    let event = text(&open[1], "/event").to_owned();
    let (exit, error) = world.fails(&["review", "sign", &event]);
    assert_eq!((exit, text(&error, "/code"), text(&error, "/clause")), (3, "own-act", "AO-4"));
    let link = world.json(&["operator", "link", "--role", "auditor"]);
    world.json(&["enrol", text(&link, "/link"), "--name", "Ann", "--save", "ann"]);
    let signed = world.json(&["review", "sign", &event, "--note", "ticket 4711", "--as", "ann"]);
    assert_eq!((text(&signed[0], "/verdict"), text(&signed[0], "/note")), ("in-order", "ticket 4711"));
    world.json(&["profile", "remove", "ann"]);

    // What is followed comes as it happens.
    let mut tail = world.tenet(&["log", "tail", "-n", "0", "-f", "--activity", "account.create", "--json"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let made = text(&world.json(&["account", "create", "beta"]), "/id").to_owned();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    // It may have begun before or after the account was made; then another one shows it.
    let seen = line["object"].as_str().unwrap().to_owned();
    assert!(seen.ends_with(&made), "{seen}");
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert_eq!(server.stop(), 0);

    let out = |name: &str| world.directory.path().join(name).display().to_string();
    world.json(&["log", "extract", &copy, "--key", &key, "--format", "ocsf", "--out", &out("events.jsonl")]);
    let size = world.json(&["log", "verify", &copy, "--key", &key])["size"].as_u64().unwrap();
    let lines = fs::read_to_string(out("events.jsonl")).unwrap();
    assert_eq!(lines.lines().count() as u64, size);
    let shown = world.json(&["log", "show", &copy, "--key", &key, "--from", "3", "--limit", "1"]);
    let third: Value = serde_json::from_str(lines.lines().nth(3).unwrap()).unwrap();
    assert_eq!(shown[0]["event"], third);
    let asked = [
        "--format",
        "csv",
        "--out",
        &out("events.csv"),
        "--activity",
        "account.create",
        "--actor",
        "operator",
    ];
    let mut extract = vec!["log", "extract", &copy, "--key", &key];
    extract.extend(asked);
    assert_eq!(world.json(&extract)["events"], 1);
    let csv = fs::read_to_string(out("events.csv")).unwrap();
    assert!(csv.starts_with("index,time,event_id,activity,") && csv.lines().count() == 2, "{csv}");
    world.json(&[
        "log",
        "extract",
        &copy,
        "--key",
        &key,
        "--format",
        "parquet",
        "--out",
        &out("events.parquet"),
    ]);
    let parquet = fs::read(out("events.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    // A log that does not verify leaves no file behind.
    let tile = format!("{copy}/tile/entries");
    let bundle = fs::read_dir(format!("{tile}/000.p")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let failed =
        world.run(&["log", "extract", &copy, "--key", &key, "--format", "csv", "--out", &out("bad.csv")]);
    assert!(!failed.status.success());
    assert!(!world.directory.path().join("bad.csv").exists());
    assert!(!world.directory.path().join("bad.csv.part").exists());
}

#[test]
fn the_clock_is_measured_and_its_state_is_told() {
    let Some(chrony) = testkit::Chrony::start() else { return crate::skipped("chrony is not installed") };
    let world = World::new();
    let server = world.up_with(&world.data(), "localhost:0", &[("TENET_CLOCK_SERVERS", chrony.address())]);
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let deadline = Deadline::new();
    let found = loop {
        let found = world.json(&["log", "search", "--activity", "clock"]);
        if found[0].is_object() {
            break found;
        }
        deadline.check("the measurement is in the log");
    };
    assert_eq!(found[0]["activity"], "clock.measure");
    let detail = &found[0]["event"]["unmapped"]["detail"];
    assert_eq!((text(detail, "/state"), text(detail, "/source")), ("synchronised", chrony.address()));
    assert!(detail["offset_us"].as_i64().unwrap().abs() < 1_000_000);
    assert_eq!(server.stop(), 0);
}
