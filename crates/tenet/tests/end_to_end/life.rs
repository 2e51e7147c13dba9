//! What starts, kills and stops leave in the log.

use super::*;

#[test]
fn a_server_that_was_killed_is_noticed_and_nothing_acknowledged_is_lost() {
    let world = World::new();
    let mut server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let account = world.json(&["account", "create", "acme"]);
    let listen = server.listen();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = world.up(&listen);
    assert_eq!(server.ready["crashed_before"], 1);
    assert_eq!(world.json(&["account", "list"])[0]["id"], account["id"]);
    assert_eq!(world.json(&["log", "verify"])["verified"], true);
    // The dead server holds the log for some seconds more.
    let deadline = Deadline::new();
    let gaps = loop {
        let gaps = world.json(&["log", "gaps", "--alarms"]);
        if gaps[0].is_object() {
            break gaps;
        }
        deadline.check("the gap is in the log");
    };
    assert_eq!((gaps.as_array().unwrap().len(), &gaps[0]["cause"]), (1, &Value::from("killed")));
    // What a server's life leaves in the log, from the first start on.
    for (activity, least) in [
        ("server.start", 2),
        ("server.crash-detected", 1),
        ("config.load", 2),
        ("schema.migrate", 8),
        ("listener.open", 2),
        ("log.key-read", 2),
    ] {
        let found = world.json(&["log", "search", "--activity", activity]);
        assert!(found.as_array().unwrap().len() >= least, "{activity}: {found}");
    }
    let migrated = world.json(&["log", "search", "--activity", "schema.migrate"]);
    assert_eq!(migrated.as_array().unwrap().len(), 9, "once each, not at each start");
    let key = world.json(&["log", "key"])["key"].clone();
    let copy = world.directory.path().join("copy").display().to_string();
    assert_eq!(server.stop(), 0);
    // The next run's start ends the gap that the announced stop began; a copy says the same, offline.
    let server = world.up(&listen);
    world.json(&["log", "export", &copy]);
    assert_eq!(server.stop(), 0);
    let gaps = world.json(&["log", "gaps", &copy, "--key", key.as_str().unwrap()]);
    let causes: Vec<_> = gaps.as_array().unwrap().iter().map(|gap| gap["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["killed", "stop-announced"]);
}
