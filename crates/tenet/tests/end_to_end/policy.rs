//! A policy from its beginning to a page that people read, by the command line alone.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{World, text};

/// Fills a policy in with what stands beside each parameter, and decides whatever is to be decided.
pub(crate) fn fill_in(directory: &Path) {
    let parameters = directory.join("parameters.toml");
    let filled: String = fs::read_to_string(&parameters)
        .unwrap()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("# Such as: ")
                .or_else(|| (!line.starts_with('#') && !line.contains("TODO")).then_some(line))
        })
        .filter(|line| !line.starts_with("company = \"Acme, Inc.\"") || line.ends_with('"'))
        .map(|line| format!("{line}\n"))
        .collect();
    let filled = filled.replacen("company = \"Acme, Inc.\"\n", "", 1);
    fs::write(&parameters, filled).unwrap();
    let decisions = directory.join("decisions.toml");
    let decided = fs::read_to_string(&decisions)
        .unwrap()
        .replace("reason = \"TODO\"", "reason = \"on every production system\"")
        .replace("by = \"TODO\"", "by = \"Sam\"")
        .replace("date = \"TODO\"", "date = \"2026-11-20\"");
    fs::write(&decisions, decided).unwrap();
}

#[test]
fn a_policy_is_begun_filled_in_held_against_what_runs_and_rendered() {
    let world = World::new();
    let directory = world.directory.path().join("policy");
    let at = directory.display().to_string();
    let begun = world.json(&[
        "policy",
        "init",
        &at,
        "--company",
        "Acme, Inc.",
        "--author",
        "Ann",
        "--framework",
        "iso27001",
    ]);
    let left = begun["to_fill_in"].as_u64().unwrap();
    assert!(left > 10, "{begun}");
    let (exit, error) =
        world.fails(&["policy", "init", &at, "--company", "B", "--author", "C", "--framework", "soc2"]);
    assert!(exit == 2 && text(&error, "/what").contains("is not empty"), "{error}");
    let (exit, error) = world.fails(&["policy", "render", &at]);
    assert_eq!((exit, text(&error, "/code")), (2, "policy-faulty"));
    let lint = world.run(&["policy", "lint", &at, "--json"]);
    let found: Value = serde_json::from_slice(&lint.stdout).unwrap();
    assert_eq!((lint.status.code(), found.as_array().unwrap().len() as u64), (Some(2), left));
    assert!(found[0]["line"].is_u64() && found[0]["code"].is_string());

    fill_in(&directory);
    assert_eq!(world.json(&["policy", "lint", &at]), Value::Array(Vec::new()));

    // What runs has no witness and no NTP server: the policy says otherwise.
    let data = world.data().display().to_string();
    let lint = world.run(&["policy", "lint", &at, "--running", "--data", &data, "--json"]);
    let found: Value = serde_json::from_slice(&lint.stdout).unwrap();
    let keys: Vec<_> = found.as_array().unwrap().iter().map(|one| text(one, "/key")).collect();
    assert_eq!(keys, ["EL-5", "AO-2", "AO-3"], "{found}");

    let page = world.run(&["policy", "render", &at, "--format", "html"]);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(
        page.starts_with("<!doctype html>")
            && page.contains("<span id=\"EL-1.1\">")
            && !page.contains("TODO")
    );
    let shown = world.json(&["policy", "show", &at]);
    assert_eq!(text(&shown, "/manifest/sha256").len(), 64);
    let one = world.json(&["policy", "show", &at, "CD-8"]);
    assert_eq!(text(&one, "/sentences/0/id"), "CD-8.1");
    let (exit, _) = world.fails(&["policy", "show", &at, "IX-1"]);
    assert_eq!(exit, 2);
    let same = world.json(&["policy", "diff", &at, &at]);
    assert_eq!(same["clauses"], Value::Array(Vec::new()));
    let soc = world.json(&["policy", "clauses", "--framework", "soc2"]);
    assert!(soc.as_array().unwrap().iter().all(|one| text(one, "/required_by").contains("soc2")));
}
