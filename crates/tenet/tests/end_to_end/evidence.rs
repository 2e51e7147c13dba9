//! Drills that a real server makes of itself; a version from its files to its acknowledgement; and an archive of evidence
//! that somebody checks who never saw the server.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use serde_json::{Value, json};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{Deadline, World, policy::fill_in, text};

/// The administrator is `default`, a second one `bob`.
fn two_administrators(world: &World, ready: &Value) {
    world.json(&["enrol", text(ready, "/enrolment_link")]);
    let link = world.json(&["operator", "link", "--role", "administrator"]);
    world.json(&["enrol", text(&link, "/link"), "--name", "Bob", "--save", "bob"]);
}

fn checks(world: &World) -> BTreeMap<String, Value> {
    let found = world.json(&["evidence", "checks", "--as", "default"]);
    found.as_array().unwrap().iter().map(|one| (text(one, "/check").to_owned(), one.clone())).collect()
}

#[test]
fn drills_are_refused_and_recorded() {
    let world = World::new();
    let server = world.up("localhost:0");
    two_administrators(&world, &server.ready);
    let made = world.json(&["evidence", "run", "--as", "default"]);
    let failed: Vec<_> =
        made.as_array().unwrap().iter().filter(|one| text(one, "/state") == "not-satisfied").collect();
    // No policy is in effect; nothing else is wrong with a new server.
    let mut names: Vec<_> = failed.iter().map(|one| text(one, "/check")).collect();
    names.sort_unstable();
    assert_eq!(names, ["policy-acknowledged", "policy-uncontradicted"], "{failed:?}");
    let seen = checks(&world);
    let drills: Vec<_> = seen.iter().filter(|(id, _)| id.starts_with("drill-")).collect();
    assert_eq!(drills.len(), 11);
    for (id, drill) in drills {
        assert_eq!(text(drill, "/state"), "satisfied", "{id}: {drill}");
        assert!(drill["observation"]["examined"].as_u64().unwrap() > 0, "{id} looked at nothing");
    }
    // What was attempted is in the log, refused, under the clauses that refuse it.
    let deadline = Deadline::new();
    for (activity, clause) in
        [("access.deny", "RR-3"), ("access.deny", "SD-1"), ("record.create", "RR-2"), ("auth.fail", "CD-8")]
    {
        let wanted = ["log", "search", "--as", "default", "--activity", activity, "--outcome", "refused"];
        loop {
            let found = world.json(&wanted).to_string();
            if found.contains(&format!("\"{clause}\"")) {
                break;
            }
            deadline.check(&format!("{activity} refused by {clause} is in the log"));
        }
    }
    // The observation is an event too, and a clause without a control is a gap.
    let state = world.json(&["evidence", "state", "--as", "bob"]);
    let of = |clause: &str| {
        let all = state["clauses"].as_array().unwrap();
        text(all.iter().find(|one| one["clause"] == clause).unwrap(), "/state").to_owned()
    };
    assert_eq!(text(&state, "/standing"), "specimen");
    assert_eq!(
        (of("CD-8"), of("RR-4"), of("PD-1"), of("AO-2")),
        ("satisfied".into(), "gap".into(), "not-satisfied".into(), "gap".into())
    );
    let findings = world.json(&["evidence", "findings", "--as", "bob"]);
    assert_eq!(findings.as_array().unwrap().len(), 2, "{findings}");
    // Somebody opens the key file up: the check says so.
    let key = world.data().join("provider.key");
    let mut mode = fs::metadata(&key).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    fs::set_permissions(&key, mode.clone()).unwrap();
    let made = world.json(&["evidence", "run", "key-files-private", "--as", "default"]);
    assert_eq!(text(&made, "/0/state"), "not-satisfied");
    assert!(text(&made, "/0/observation/summary").contains("provider.key"), "{made}");
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o600);
    fs::set_permissions(&key, mode).unwrap();
    world.json(&["evidence", "run", "key-files-private", "--as", "default"]);
    let closed = world.json(&["evidence", "findings", "--as", "bob"]);
    let of_key = closed.as_array().unwrap().iter().find(|one| one["check"] == "key-files-private").unwrap();
    assert!(of_key["closed"].is_string(), "{of_key}");
    assert_eq!(server.stop(), 0);
}

type Files = BTreeMap<String, Vec<u8>>;

fn unpacked(path: &Path) -> Files {
    let mut zip = ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut files = Files::new();
    for at in 0..zip.len() {
        let mut member = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        files.insert(member.name().unwrap().into_owned(), bytes);
    }
    files
}

/// Packed anew, with a list of files that fits: what a forger would do.
fn packed(path: &Path, mut files: Files) {
    let mut head: Value = serde_json::from_slice(&files["pack.json"]).unwrap();
    let listed: BTreeMap<_, _> = files
        .iter()
        .filter(|(name, _)| *name != "pack.json")
        .map(|(name, bytes)| (name.clone(), watch::sha256(bytes)))
        .collect();
    head["files"] = json!(listed);
    files.insert("pack.json".into(), serde_json::to_vec(&head).unwrap());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in &files {
        zip.start_file(
            name.as_str(),
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    }
    fs::write(path, zip.finish().unwrap().into_inner()).unwrap();
}

#[test]
fn a_pack_is_checked_offline() {
    let world = World::new();
    let server = world.up("localhost:0");
    two_administrators(&world, &server.ready);
    let directory = world.directory.path().join("policy");
    let at = directory.display().to_string();
    world.json(&[
        "policy",
        "init",
        &at,
        "--company",
        "Acme",
        "--author",
        "Ann",
        "--framework",
        "soc2",
        "--effective",
        "2026-01-01",
        "--next-review",
        "2099-01-01",
    ]);
    let (exit, error) = world.fails(&["policy", "adopt", &at, "--as", "default"]);
    assert_eq!((exit, text(&error, "/code"), text(&error, "/clause")), (2, "policy-faulty", "PD-1"));
    fill_in(&directory);
    let put = world.json(&["policy", "adopt", &at, "--as", "default"]);
    let hash = text(&put, "/sha256").to_owned();
    let shown = world.json(&["policy", "show", &at]);
    assert_eq!(text(&shown, "/manifest/sha256"), hash);
    let (exit, error) = world.fails(&["policy", "approve", "1", "--sha256", &hash, "--as", "default"]);
    assert_eq!((exit, text(&error, "/code")), (3, "own-version"));
    let (exit, error) = world.fails(&["policy", "acknowledge", "1", "--sha256", &hash, "--as", "bob"]);
    assert_eq!((exit, text(&error, "/code")), (5, "not-adopted"));
    world.json(&["policy", "approve", "1", "--sha256", &hash, "--as", "bob"]);
    for who in ["default", "bob"] {
        world.json(&["policy", "acknowledge", "1", "--sha256", &hash, "--as", who]);
    }
    world.json(&["evidence", "run", "--as", "default"]);
    world.json(&[
        "evidence",
        "attest",
        "media-disposed",
        "--summary",
        "12 disks shredded",
        "--examined",
        "12",
        "--as",
        "bob",
    ]);
    let state = world.json(&["evidence", "state", "--as", "bob"]);
    let of = |state: &Value, clause: &str| {
        let all = state["clauses"].as_array().unwrap();
        text(all.iter().find(|one| one["clause"] == clause).unwrap(), "/state").to_owned()
    };
    assert_eq!(text(&state, "/standing"), "in-effect");
    assert_eq!(
        (of(&state, "PD-1"), of(&state, "PD-2"), of(&state, "CD-8")),
        ("satisfied".into(), "satisfied".into(), "satisfied".into())
    );

    let pack = world.directory.path().join("pack.zip");
    let file = pack.display().to_string();
    let deadline = Deadline::new();
    while world.run(&["evidence", "pack", "--as", "bob", "--out", &file]).status.code() == Some(6) {
        deadline.check("the observations are in the signed log");
    }
    let key = text(&world.json(&["log", "key", "--as", "bob"]), "/key").to_owned();
    let copy = world.directory.path().join("copy").display().to_string();
    world.json(&["log", "export", &copy, "--as", "bob"]);
    assert_eq!(server.stop(), 0);

    // Elsewhere: another home, no server.
    let auditor = World::new();
    let verified = auditor.json(&["evidence", "verify", &file, "--key", &key, "--log", &copy]);
    assert_eq!(
        (&verified["verified"], &verified["key_given"], &verified["complete"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(text(&verified, "/sha256"), hash);
    assert_eq!(verified["counts"]["satisfied"], state["counts"]["satisfied"]);
    let (exit, _) = auditor.fails(&[
        "evidence",
        "verify",
        &file,
        "--key",
        "other.example/tenet+1234abcd+AdbZJ8mHPRyW0MBNlvEwEdwlrsMmzTbPdtr0RLdBbQkC",
    ]);
    assert!(exit == 7 || exit == 2, "{exit}");

    // A forger fits the list of files to what was changed, and is found out all the same.
    let whole = unpacked(&pack);
    let forged = world.directory.path().join("forged.zip");
    let name = forged.display().to_string();
    let refused = |files: Files, extra: &[&str], why: &str| {
        packed(&forged, files);
        let all = [&["evidence", "verify", &name, "--key", &key], extra].concat();
        let (exit, error) = auditor.fails(&all);
        assert_eq!((exit, text(&error, "/code")), (7, "pack-not-verified"), "{why}: {error}");
        assert!(text(&error, "/why").contains(why), "{why}: {error}");
    };
    let changed = |file: &str, from: &str, to: &str| {
        let mut files = whole.clone();
        let was = String::from_utf8(files[file].clone()).unwrap();
        assert!(was.contains(from), "{file} has no {from}");
        files.insert(file.to_owned(), was.replacen(from, to, 1).into_bytes());
        files
    };
    refused(
        changed("assessment.json", "\"state\": \"gap\"", "\"state\": \"satisfied\""),
        &[],
        "its events say",
    );
    refused(changed("policy.html", "Acme", "Apex"), &[], "does not say what the document says");
    refused(changed("document.json", "Acme", "Apex"), &[], "is not what was put up");
    refused(changed("policy/policy.toml", "Ann", "Eve"), &[], "is not the file that was put up");
    // Another leaf in an entry: the proof does not lead to the root.
    let lines: Vec<String> =
        String::from_utf8(whole["entries.jsonl"].clone()).unwrap().lines().map(str::to_owned).collect();
    let mut swapped = lines.clone();
    let leaf = |line: &str| text(&serde_json::from_str::<Value>(line).unwrap(), "/leaf").to_owned();
    swapped[0] = swapped[0].replace(&leaf(&lines[0]), &leaf(&lines[1]));
    let mut files = whole.clone();
    files.insert("entries.jsonl".into(), swapped.join("\n").into_bytes());
    refused(files, &[], "is not in the log");
    // The newest observation left out, and the state made to fit: only the whole log tells.
    let mut files = whole.clone();
    files.insert("entries.jsonl".into(), lines[..lines.len() - 1].join("\n").into_bytes());
    refused(files, &[], "its events say");
    let mut files = whole.clone();
    files.insert("more.txt".into(), b"x".to_vec());
    packed(&forged, files.clone());
    auditor.json(&["evidence", "verify", &name, "--key", &key]);
    files.remove("checkpoint");
    refused(files, &[], "`checkpoint` is missing");
    // As of a day before anything was put up, nothing was known, and the clauses are a specimen's.
    fs::write(&forged, b"no archive").unwrap();
    let (exit, _) = auditor.fails(&["evidence", "verify", &name, "--key", &key]);
    assert_eq!(exit, 7);
}

#[test]
fn a_pack_that_leaves_the_newest_observation_out_is_found_by_the_whole_log() {
    let world = World::new();
    let server = world.up("localhost:0");
    two_administrators(&world, &server.ready);
    let attest = |more: &[&str]| {
        let all =
            [&["evidence", "attest", "media-disposed", "--as", "bob", "--summary", "looked"], more].concat();
        world.json(&all);
    };
    attest(&[]);
    let pack = world.directory.path().join("pack.zip");
    let file = pack.display().to_string();
    let deadline = Deadline::new();
    while world.run(&["evidence", "pack", "--as", "bob", "--out", &file]).status.code() == Some(6) {
        deadline.check("the observations are in the signed log");
    }
    // It fails from now on; the archive says that it is of a later instant than it is.
    attest(&["--fails", "--failed", "1"]);
    let key = text(&world.json(&["log", "key", "--as", "bob"]), "/key").to_owned();
    let copy = world.directory.path().join("copy").display().to_string();
    let searched =
        ["log", "search", "--as", "bob", "--activity", "finding.open", "--object", "media-disposed"];
    while world.json(&searched).as_array().unwrap().is_empty() {
        deadline.check("the finding is in the log");
    }
    world.json(&["log", "export", &copy, "--as", "bob"]);
    let mut files = unpacked(&pack);
    for name in ["pack.json", "assessment.json"] {
        let mut json: Value = serde_json::from_slice(&files[name]).unwrap();
        let field = if name == "pack.json" { "as_of" } else { "at" };
        json[field] = "2099-01-01T00:00:00.000000Z".into();
        files.insert(name.into(), serde_json::to_vec(&json).unwrap());
    }
    let forged = world.directory.path().join("forged.zip");
    packed(&forged, files);
    let (exit, error) =
        world.fails(&["evidence", "verify", &forged.display().to_string(), "--key", &key, "--log", &copy]);
    assert_eq!(exit, 7, "{error}");
    // The honest one stands: of its instant, the log has nothing more.
    let honest = world.json(&["evidence", "verify", &file, "--key", &key, "--log", &copy]);
    assert_eq!(honest["complete"], true);
    assert_eq!(server.stop(), 0);
}
