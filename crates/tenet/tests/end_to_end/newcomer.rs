//! What somebody meets who is new: the walk through quickstart, and the README as it is written.

use super::*;

#[test]
fn quickstart_does_what_it_shows() {
    let world = World::new();
    let server = world.up("localhost:0");
    let data = world.data();
    let walked = world.json(&["quickstart", "--data", data.to_str().unwrap()]);
    let steps = walked["steps"].as_array().unwrap();
    let refused: Vec<&Value> = steps.iter().filter(|step| step["exit"] != 0).collect();
    assert_eq!(refused.len(), 2, "the other account's read, and the erasure of what is held");
    assert_eq!(refused[0]["exit"], 4);
    assert_eq!(text(refused[1], "/result/error/clause"), "DD-1");
    let commands: Vec<&str> = steps.iter().map(|step| text(step, "/command")).collect();
    let last_act = commands.iter().rfind(|command| !command.starts_with("tenet log")).unwrap();
    assert!(last_act.starts_with("tenet verify-certificate "), "{commands:?}");
    assert!(!walked.to_string().contains("tel_"), "the link's secret is not shown");
    assert!(!data.join("enrolment-link").exists());
    what_is_shown_for_curl_works(&world, &walked["curl"]);
    // A second walk does not get in the way of the first.
    assert!(world.run(&["quickstart", "--data", data.to_str().unwrap()]).status.success());
    assert_eq!(server.stop(), 0);
}

/// The lines for curl, pasted into a shell. Needs curl and jq, as the README says.
fn what_is_shown_for_curl_works(world: &World, lines: &Value) {
    let lines: Vec<&str> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let read = shell(world, &lines.join("\n"));
    if let Some(read) = read {
        let read: Value = serde_json::from_str(&read).unwrap_or_else(|_| panic!("{read}"));
        assert_eq!(read["body"]["number"], "2026-9", "{read}");
    }
}

/// The README's section, as it is written there but for the port.
#[test]
fn the_readme_works_by_curl() {
    let world = World::new();
    let data = world.directory.path().join(".local/share/tenet");
    let server = world.up_with(&data, "localhost:0", &[]);
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let section = readme.split("## The same by curl").nth(1).unwrap();
    let script = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(script.contains("https://localhost:8440/"), "{script}");
    let script = script.replace("https://localhost:8440", server.address());
    if let Some(read) = shell(&world, &script) {
        let read: Value = serde_json::from_str(&read).unwrap_or_else(|_| panic!("{read}"));
        assert_eq!((&read["body"]["total"], text(&read, "/body/number")), (&Value::from(120), "2026-7"));
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn quickstart_takes_nothing_but_a_missing_enrolment_for_one() {
    let world = World::new();
    let server = world.up("localhost:0");
    let (data, listen) = (world.data(), server.listen());
    let quickstart = ["quickstart", "--data", data.to_str().unwrap()];
    world.json(&["enrol", text(&server.ready, "/enrolment_link"), "--save", "ann"]);
    // Two operators: it asks which, and goes as the one that is named.
    let link = world.json(&["operator", "link"]);
    world.json(&["enrol", text(&link, "/link"), "--save", "bob"]);
    let (exit, error) = world.fails(&quickstart);
    assert_eq!(exit, 2);
    assert!(text(&error, "/what").starts_with("which operator?"), "{error}");
    let walked = world.json(&[&quickstart[..], &["--as", "bob"]].concat());
    assert!(text(&walked, "/steps/0/command").ends_with("--as bob"), "{walked}");
    let profiles = world.json(&["profile", "list"]);
    assert_eq!(profiles.as_array().unwrap().len(), 4, "two operators and two applications");
    world.json(&["profile", "remove", "ann"]);
    assert_eq!(world.fails(&["profile", "remove", "ann"]).0, 4);
    assert_eq!(server.stop(), 0);

    // The server is set up anew: what is saved of the earlier one is named, with what to do.
    fs::remove_dir_all(&data).unwrap();
    let server = world.up(&listen);
    let (exit, error) = world.fails(&quickstart);
    assert_eq!((exit, text(&error, "/code")), (3, "server-not-trusted"), "{error}");
    let remedy = text(&error, "/do").split('`').nth(1).unwrap();
    let remove: Vec<&str> = remedy.split(' ').collect();
    assert_eq!(&remove[..3], ["tenet", "profile", "remove"]);
    let (exit, error) = world.fails(&["account", "list"]);
    assert_eq!((exit, text(&error, "/code")), (3, "server-not-trusted"));
    assert!(text(&error, "/do").contains("`tenet profile remove NAME`"), "{error}");
    world.json(&remove[1..]);
    world.json(&quickstart);
    assert_eq!(server.stop(), 0);
}
