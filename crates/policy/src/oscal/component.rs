//! The registry of controls as an OSCAL component definition: Tenet is the component, and each control is an implemented
//! requirement of each clause that it holds. Of no policy: it holds wherever Tenet runs and what a control needs is configured.

use std::collections::BTreeMap;

use base::Duration;
use serde_json::{Value as Json, json};

use super::{
    CATALOG_FILE, CATALOGUE_DATE, document, line, metadata, prop, prop_of, prose, put_all, token, uuid,
};
use crate::{Catalogue, ClauseId, Control, Hold, Registry, Wording};

/// Tenet's controls and checks as an OSCAL component definition over the catalog, which it expects beside it.
pub fn oscal_component_definition(catalogue: &Catalogue, registry: &Registry) -> Json {
    let mut component = json!({
        "uuid": defined(),
        "type": "software",
        "title": "Tenet",
        "description": "Holds a data protection policy: its controls enforce or detect, its checks observe.",
    });
    let mut props = vec![json!({ "name": "version", "value": env!("CARGO_PKG_VERSION") })];
    props.extend(registry.checks().flat_map(|(control, check)| rule(control, check)));
    put_all(&mut component, "props", props);
    let mut requirements = Vec::new();
    for control in registry.controls() {
        let mut by_clause: BTreeMap<&ClauseId, Vec<Option<usize>>> = BTreeMap::new();
        for one in &control.holds {
            by_clause.entry(&one.clause).or_default().push(one.sentence);
        }
        requirements
            .extend(by_clause.iter().map(|(clause, held)| requirement(catalogue, control, clause, held)));
    }
    // Where no control is, nothing is implemented: OSCAL has no empty implementation.
    if !requirements.is_empty() {
        let implementation = json!({
            "uuid": uuid(&["control-implementation", "tenet"]),
            "source": CATALOG_FILE,
            "description": "What Tenet's controls hold of the clauses.",
            "implemented-requirements": requirements,
        });
        put_all(&mut component, "control-implementations", vec![implementation]);
    }
    document(
        "component-definition",
        json!({
            "metadata": metadata("Tenet: controls", CATALOGUE_DATE, env!("CARGO_PKG_VERSION")),
            "components": [component],
        }),
    )
}

/// Tenet as a defined component.
pub(super) fn defined() -> String {
    uuid(&["component", "tenet"])
}

/// A span as ISO 8601 has it, in the largest unit that leaves nothing over.
fn iso(span: Duration) -> String {
    match span.seconds() {
        s if s % 86_400 == 0 => format!("P{}D", s / 86_400),
        s if s % 3_600 == 0 => format!("PT{}H", s / 3_600),
        s if s % 60 == 0 => format!("PT{}M", s / 60),
        s => format!("PT{s}S"),
    }
}

/// A check: its properties are a group.
fn rule(control: &Control, check: &crate::Check) -> Vec<Json> {
    let (every, valid) = (iso(check.every), iso(check.valid));
    let parts = [
        ("check-id", check.id.as_str()),
        ("check-title", &check.title),
        ("check-kind", check.kind.as_str()),
        ("check-every", &every),
        ("check-valid", &valid),
        ("check-control", &control.id),
    ];
    parts.iter().map(|(name, value)| prop_of(&check.id, name, value)).collect()
}

/// A control's part in holding a clause.
fn requirement(catalogue: &Catalogue, control: &Control, clause: &ClauseId, held: &[Option<usize>]) -> Json {
    let hold = |hold: &Hold| match hold {
        Hold::Enforced => "enforced",
        Hold::Detected => "detected",
        Hold::Attested => "attested",
    };
    let mut props = vec![prop("control", &control.id)];
    props.extend(control.hold.iter().map(|one| prop("hold", hold(one))));
    props.extend(control.tests.iter().map(|test| prop("test", test)));
    let checks = control.checks.iter().filter(|check| check.holds.iter().any(|one| one.clause == *clause));
    props.extend(checks.map(|check| prop("check", &check.id)));
    let mut requirement = json!({
        "uuid": uuid(&["implemented-requirement", &control.id, clause.as_str()]),
        "control-id": token(clause),
        "description": prose(&format!("{}. {}", line(&control.title), control.text)),
        "props": props,
        "remarks": remarks(control),
    });
    let whole = held.iter().any(Option::is_none);
    let mut numbers: Vec<_> = held.iter().flatten().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    if !whole {
        let parts = numbers.iter().flat_map(|number| parts(catalogue, clause, *number));
        let statement = |part: String| {
            json!({
                "statement-id": part,
                "uuid": uuid(&["statement", &control.id, &part]),
                "description": format!("{} holds this sentence.", line(&control.title)),
            })
        };
        put_all(&mut requirement, "statements", parts.map(statement).collect());
    }
    requirement
}

/// The parts of the catalog that are a sentence: one, or one of each variant.
fn parts(catalogue: &Catalogue, clause: &ClauseId, number: usize) -> Vec<String> {
    let start = format!("{}_smt", token(clause));
    match catalogue.clause(clause).map(|one| &one.wording) {
        Some(Wording::Variants(all)) => {
            (1..=all.len()).map(|variant| format!("{start}.v{variant}.{number}")).collect()
        }
        _ => vec![format!("{start}.{number}")],
    }
}

fn remarks(control: &Control) -> String {
    let mut text = format!("Evidence: {}", control.evidence);
    for (name, more) in [("Needs", &control.needs), ("Open", &control.open)] {
        if !more.is_empty() {
            text.push_str(&format!("\n\n{name}: {more}"));
        }
    }
    text
}
