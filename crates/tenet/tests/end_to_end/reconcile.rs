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
    sql(&database, "UPDATE account SET name = 'mallory'");
    let (exit, error) = world.fails(&["log", "reconcile"]);
    assert_eq!((exit, text(&error, "/code")), (1, "unexplained"), "{error}");
    let named = world.json(&["log", "search", "--activity", "integrity.violation"]);
    assert_eq!(named[0]["event"]["resources"][0]["uid"], account.as_str());
    sql(&database, "UPDATE account SET name = 'acme'");
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
