//! A demonstration: filled once, served as any installation, and as whole as one: the log verifies, each row is what it
//! says, and there is something of each kind to look at.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};
use testkit::TestDatabase;

use crate::{Server, World, text};

/// The fewest days that the story can be told in.
const DAYS: &str = "14";

fn up(world: &World, listen: &str, settings: &[(&str, &str)]) -> Server {
    let data = world.data().display().to_string();
    let mut command =
        world.tenet(&["up", "--json", "--demo", "--demo-days", DAYS, "--data", &data, "--listen", listen]);
    command.envs(settings.iter().copied());
    world.spawn(command)
}

fn found(world: &World, activity: &str) -> Vec<Value> {
    let found = world.json(&["log", "search", "--activity", activity, "--limit", "100"]);
    found.as_array().unwrap().clone()
}

/// What the log says holds, and the rows are what it says.
fn holds_together(world: &World) {
    world.json(&["log", "verify"]);
    let rows = world.json(&["log", "reconcile"]);
    assert_eq!((&rows["unexplained"], &rows["findings"]), (&json!(0), &json!([])), "{rows}");
    let gaps = world.json(&["log", "gaps", "--alarms"]);
    assert_eq!(gaps, json!([]), "{gaps}");
    assert!(found(world, "integrity.violation").is_empty());
    assert!(found(world, "job.fail").is_empty());
    // Begun, and complete.
    let filled = found(world, "demo.fill");
    let states: Vec<_> = filled.iter().map(|one| text(one, "/event/unmapped/detail/state")).collect();
    assert_eq!(states.len(), 2, "{filled:?}");
    assert!(states.contains(&"begun") && states.contains(&"complete"), "{states:?}");
}

/// There are sentences in every state, and what one needs to walk through each part.
fn has_something_of_each(world: &World) {
    let state = world.json(&["evidence", "state"]);
    assert_eq!((text(&state, "/standing"), &state["version"]), ("in-effect", &json!(2)), "{state}");
    let of = |clause: &str| {
        let all = state["clauses"].as_array().unwrap();
        text(all.iter().find(|one| one["clause"] == clause).unwrap(), "/state").to_owned()
    };
    assert_eq!(of("PD-2"), "satisfied");
    assert_eq!(of("CD-8"), "satisfied", "its wording is attested");
    assert_eq!(of("DD-2"), "not-satisfied", "its wording waits for somebody");
    assert_eq!(of("SD-5"), "stale", "media were last looked at too long ago");
    assert_eq!(of("CD-1"), "gap");
    let findings = world.json(&["evidence", "findings"]);
    let findings = findings.as_array().unwrap();
    let open: Vec<_> = findings.iter().filter(|one| one["closed"].is_null()).collect();
    assert_eq!(open.len(), 1, "{findings:?}");
    assert_eq!(text(open[0], "/check"), "wording/DD-2");
    for check in ["drill-read-back", "tls-only", "reviews-in-time", "wording/CD-8"] {
        assert!(
            findings.iter().any(|one| one["check"] == check && one["closed"].is_string()),
            "{check}: {findings:?}"
        );
    }
    assert_eq!(found(world, "exception.set").len(), 2);
    for activity in [
        "account.suspend",
        "account.resume",
        "auth.fail",
        "token.refuse",
        "access.deny",
        "hold.set",
        "hold.lift",
        "record.erase",
        "certificate.issue",
        "certificate.read",
        "key.rotate-complete",
        "key.retire",
        "object.create",
        "object.read",
        "review.sign",
        "review.object",
        "review.overdue",
        "operator.revoke",
        "client.revoke",
        "policy.acknowledge",
        "exception.end",
        "record.restore",
        "retention.act",
        "log.reconcile",
    ] {
        assert!(!found(world, activity).is_empty(), "{activity}");
    }
    let open = world.json(&["review", "list"]);
    assert!(open.as_array().unwrap().len() >= 2, "{open}");
    assert_eq!(world.json(&["review", "list", "--overdue"]), json!([]));
}

/// The visitor can do what is left for the visitor.
fn the_visitor_goes_on(world: &World) {
    let repositories = world.json(&["repository", "list", "--as", "demo-acme"]);
    let repositories = repositories.as_array().unwrap();
    assert_eq!(repositories.len(), 3);
    let of = |name: &str| {
        let one = repositories.iter().find(|one| one["name"] == name).unwrap();
        text(one, "/id").to_owned()
    };
    let papers = of("patient-files");
    let listed = world.json(&["record", "list", "-r", &papers, "--bodies", "--as", "demo-acme"]);
    let listed = listed.as_array().unwrap();
    assert!(listed.len() > 3, "{listed:?}");
    let record = text(&listed[0], "/id");
    let (exit, _) = world.fails(&["record", "get", "-r", &papers, record, "--as", "demo-globex"]);
    assert_eq!(exit, 4, "another account's");
    let version = world.json(&["policy", "versions", "2"]);
    world.json(&["policy", "acknowledge", "2", "--sha256", text(&version, "/sha256")]);
    let attest = ["evidence", "attest", "wording/DD-2", "--summary", "certificates go to whoever asked"];
    world.json(&[&attest[..], &["--examined", "6"]].concat());
    let state = world.json(&["evidence", "state"]);
    let clauses = state["clauses"].as_array().unwrap();
    let deletion = clauses.iter().find(|one| one["clause"] == "DD-2").unwrap();
    assert_eq!(text(deletion, "/state"), "satisfied", "{deletion}");
    let open = world.json(&["review", "list"]);
    world.json(&["review", "sign", text(&open, "/0/event"), "--note", "seen"]);
}

#[test]
fn a_demonstration_is_filled_served_and_holds_together() {
    let world = World::new();
    let server = up(&world, "localhost:0", &[]);
    assert_eq!(server.ready["demonstration"], true);
    assert_eq!(server.ready["enrolment_link"], Value::Null);
    holds_together(&world);
    has_something_of_each(&world);
    the_visitor_goes_on(&world);
    assert_eq!(server.stop(), 0);

    // Once more, at another address: it is served as it is, and the profiles follow.
    let server = up(&world, "localhost:0", &[]);
    assert_eq!((&server.ready["demonstration"], &server.ready["crashed_before"]), (&json!(true), &json!(0)));
    holds_together(&world);
    let listen = server.listen();
    assert_eq!(server.stop(), 0);
    // Without the option it is the same, and says so.
    let server = world.up(&listen);
    assert_eq!(server.ready["demonstration"], true);
    assert_eq!(server.stop(), 0);

    // A second demonstration would need the same profiles.
    let other = world.directory.path().join("other").display().to_string();
    let (exit, error) = world.fails(&["up", "--demo", "--data", &other, "--listen", "localhost:0"]);
    assert_eq!((exit, text(&error, "/code")), (5, "profile-exists"));
    assert!(text(&error, "/do").contains("tenet profile remove demo demo-acme demo-globex"), "{error}");
}

#[test]
fn what_is_in_use_is_never_filled() {
    let world = World::new();
    let server = world.up("localhost:0");
    assert_eq!(server.ready["demonstration"], false);
    let listen = server.listen();
    assert_eq!(server.stop(), 0);
    let data = world.data().display().to_string();
    let (exit, error) = world.fails(&["up", "--demo", "--data", &data, "--listen", &listen]);
    assert_eq!((exit, text(&error, "/code")), (5, "not-a-demo"), "{error}");
    assert!(text(&error, "/do").contains("--data DIR"), "{error}");
    assert!(!world.profile("demo.key").exists());
    let server = world.up(&listen);
    assert_eq!(server.ready["demonstration"], false);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_filling_that_was_broken_off_is_not_gone_on_with() {
    let world = World::new();
    let data = world.data().display().to_string();
    let arguments = ["up", "--demo", "--data", &data, "--listen", "localhost:0"];
    let mut command = world.tenet(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("filling a demonstration"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    for demo in [&["--demo"][..], &[]] {
        let (exit, error) =
            world.fails(&[&["up", "--data", &data, "--listen", "localhost:0"][..], demo].concat());
        assert_eq!((exit, text(&error, "/code")), (5, "demo-unfinished"), "{error}");
        assert!(text(&error, "/do").contains("delete the directory"), "{error}");
    }
    assert!(!world.profile("demo.json").exists());
}

#[test]
fn a_demonstration_on_postgresql_holds_together() {
    let database = TestDatabase::create();
    let world = World::new();
    let socket = database.socket().display().to_string();
    let url = |role: &str| format!("postgres:///{0}?host={socket}&user={0}_{role}", database.name());
    let owner = world.directory.path().join("owner");
    std::fs::write(&owner, url("owner")).unwrap();
    std::fs::set_permissions(&owner, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let application = url("app");
    let settings = [
        ("TENET_DATABASE_URL", application.as_str()),
        ("TENET_DATABASE_OWNER_URL_FILE", owner.to_str().unwrap()),
    ];
    let server = up(&world, "localhost:0", &settings);
    assert_eq!(server.ready["demonstration"], true);
    holds_together(&world);
    assert_eq!(server.stop(), 0);
}
