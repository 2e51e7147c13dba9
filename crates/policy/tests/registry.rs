//! The registry of controls, and the page that is written from it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy::{Catalogue, CheckKind, Hold, Registry, clauses_markdown};

fn both() -> (Catalogue, Registry) {
    let catalogue = Catalogue::load().unwrap();
    let registry = Registry::load(&catalogue).unwrap();
    (catalogue, registry)
}

#[test]
fn the_page_of_clauses_is_what_the_registry_says() {
    let (catalogue, registry) = both();
    let page = clauses_markdown(&catalogue, &registry);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clauses.md");
    if std::env::var_os("UPDATE_POLICY").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == page, "docs/clauses.md is not what the registry says: run with UPDATE_POLICY=1");
}

#[test]
fn what_a_control_holds_is_observed_or_is_a_gap_and_said_to_be() {
    let (catalogue, registry) = both();
    let page = clauses_markdown(&catalogue, &registry);
    for clause in catalogue.clauses() {
        let part = page.split(&format!("\n### {} ", clause.id)).nth(1).unwrap();
        let part = part.split("\n### ").next().unwrap();
        let is_observed =
            registry.checks().any(|(_, check)| check.holds.iter().any(|one| one.clause == clause.id));
        let controls: Vec<_> = registry.of_clause(&clause.id).collect();
        for (hold, words) in [
            (Hold::Enforced, "no control enforces it"),
            (Hold::Detected, "no control detects a violation of it"),
            (Hold::Attested, "nobody is asked to attest it"),
        ] {
            let is_asked = !controls.is_empty() && clause.hold.contains(&hold);
            let is_there = controls.iter().any(|control| control.hold.contains(&hold));
            let is_said = part.lines().any(|line| line.starts_with("Gap: ") && line.contains(words));
            assert_eq!(is_said, is_asked && !is_there, "{}: {words}", clause.id);
        }
        assert_eq!(part.contains("Gap: no control of Tenet holds it"), controls.is_empty(), "{}", clause.id);
        assert!(
            is_observed || part.contains("Gap: "),
            "{}: nothing observes it, and the page does not say so",
            clause.id
        );
    }
}

#[test]
fn ids_of_checks_tell_drills_from_others() {
    for (_, check) in both().1.checks() {
        assert_eq!(check.id.starts_with("drill-"), check.kind == CheckKind::Drill, "{}", check.id);
        assert!(check.title.ends_with('.'), "{}", check.id);
    }
}
