//! What the database's administrator does behind Tenet's back is named; what they put into the queue of events never
//! enters the log.

use std::{path::Path, process::Command};

use crate::{Deadline, World, text};

/// Runs SQL on the embedded database, as somebody with root would: Python's, not ours.
fn sql(database: &Path, statement: &str) {
    let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\nc.execute(sys.argv[2])\nc.commit()";
    let done = Command::new("python3").args(["-c", program]).arg(database).arg(statement).status().unwrap();
    assert!(done.success(), "{statement}");
}

#[test]
fn a_row_that_was_edited_is_named_and_a_planted_event_stays_out() {
    let world = World::new();
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let account = text(&world.json(&["account", "create", "acme"]), "/id").to_owned();
    world.json(&["client", "create", "--account", &account, "--scope", "records:read", "--secret", "shop"]);
    let clean = world.json(&["log", "reconcile"]);
    assert_eq!((&clean["unexplained"], &clean["findings"]), (&0.into(), &serde_json::json!([])));
    assert!(clean["rows"].as_u64().unwrap() >= 3, "{clean}");

    let database = world.directory.path().join("data/data.db");
    sql(&database, "UPDATE account SET name = 'mallory' WHERE name = 'acme'");
    let (exit, error) = world.fails(&["log", "reconcile"]);
    assert_eq!((exit, text(&error, "/code")), (1, "unexplained"), "{error}");
    let named = world.json(&["log", "search", "--activity", "integrity.violation"]);
    assert_eq!(named[0]["event"]["resources"][0]["uid"], account.as_str());
    sql(&database, "UPDATE account SET name = 'acme' WHERE name = 'mallory'");
    world.json(&["log", "reconcile"]);

    // A copy of the event that made an administrator, for somebody else.
    let columns = "account_id, at, activity, leaf, sealed";
    sql(
        &database,
        &format!(
            "INSERT INTO event (id, {columns}) SELECT randomblob(16), {columns} FROM event WHERE activity = 'operator.enrol'"
        ),
    );
    sql(&database, "INSERT INTO outbox (seq, seal) SELECT max(seq), randomblob(32) FROM event");
    let deadline = Deadline::new();
    let planted = ["log", "search", "--activity", "integrity.violation", "--text", "planted"];
    while world.json(&planted).as_array().unwrap().is_empty() {
        deadline.check("what was planted is set aside, and said");
    }
    let enrolled = world.json(&["log", "search", "--activity", "operator.enrol"]);
    assert_eq!(enrolled.as_array().unwrap().len(), 1);
    world.json(&["log", "verify"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn from_where_somebody_acted_is_opened_and_erased_with_a_receipt() {
    let world = World::new();
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let link = world.json(&["operator", "link", "--role", "auditor"]);
    let ann = text(&world.json(&["enrol", text(&link, "/link"), "--name", "Ann", "--save", "ann"]), "/id")
        .to_owned();
    let with = |arguments: &[&str]| {
        [arguments, &["--as", "default"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let admin = |arguments: &[&str]| {
        let all = with(arguments);
        world.json(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused = |arguments: &[&str]| {
        let all = with(arguments);
        world.fails(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    world.json(&["operator", "list", "--as", "ann"]);
    let deadline = Deadline::new();
    let listed = || admin(&["log", "search", "--activity", "operator.list", "--actor", &ann]);
    while listed().as_array().unwrap().is_empty() {
        deadline.check("what Ann did is in the log");
    }
    let event = text(&listed()[0], "/event/metadata/uid").to_owned();
    let source = admin(&["log", "source", &event]);
    assert_eq!((text(&source, "/actor"), text(&source, "/address")), (ann.as_str(), "127.0.0.1"));
    assert!(text(&source, "/tool").starts_with("tenet/"), "{source}");

    // Not one's own; somebody else's, with a receipt that holds without the server.
    let own = admin(&["operator", "list"]);
    let own = own.as_array().unwrap().iter().find(|one| one["role"] == "administrator").unwrap();
    let (exit, error) = refused(&["subject", "erase", text(own, "/id")]);
    assert_eq!((exit, text(&error, "/code"), text(&error, "/clause")), (3, "own-trail", "AO-1"));
    let (exit, error) = world.fails(&["subject", "erase", &ann, "--as", "ann"]);
    assert_eq!((exit, text(&error, "/code")), (3, "access-denied"), "{error}");
    let receipt = world.directory.path().join("receipt.note").display().to_string();
    let erased = admin(&["subject", "erase", &ann, "--out", &receipt]);
    assert_eq!(erased["had_key"], true);
    let (_, error) = refused(&["log", "source", &event]);
    assert_eq!(text(&error, "/code"), "key-destroyed", "{error}");
    // There is another key by now, and it opens what came after.
    world.json(&["operator", "list", "--as", "ann"]);
    let (_, error) = refused(&["log", "source", &event]);
    assert_eq!(text(&error, "/code"), "key-destroyed", "{error}");
    let deadline = Deadline::new();
    while listed().as_array().unwrap().len() < 2 {
        deadline.check("what Ann did later is in the log");
    }
    let later = text(&listed()[0], "/event/metadata/uid").to_owned();
    assert_eq!(text(&admin(&["log", "source", &later]), "/address"), "127.0.0.1");
    let open = world.json(&["review", "list", "--as", "ann"]);
    assert!(open.as_array().unwrap().iter().any(|one| one["activity"] == "subject.erase"), "{open}");
    admin(&["log", "verify"]);
    assert_eq!(server.stop(), 0);
    let statement = admin(&["verify-certificate", &receipt]);
    assert_eq!(
        (text(&statement, "/type"), text(&statement, "/subject")),
        ("tenet.subject-erasure.v1", ann.as_str())
    );
}
