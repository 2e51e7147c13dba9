//! What each model says.

use std::collections::BTreeMap;

use jsonschema::Validator;
use policy::{
    Known, OSCAL_VERSION, Registry, assess, oscal_all, oscal_component_definition, oscal_poam,
    oscal_references, specimen,
};
use serde_json::{Value as Json, json};

use crate::{AT, all, assessment, catalogue, document, findings, models, registry};

/// NIST's complete JSON Schema of OSCAL 1.2.1, as released (a work of the United States Government, in the public domain).
const SCHEMA: &str = include_str!("../oscal_complete_schema.json");

fn schema() -> Validator {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    let id = schema["$id"].as_str().unwrap();
    assert!(id.contains(&format!("/{OSCAL_VERSION}/")), "{id}");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn faults(schema: &Validator, model: &Json) -> Vec<String> {
    schema.iter_errors(model).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// JSON with its members in the order of their names, whatever order the build keeps.
fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let members: BTreeMap<_, _> =
                map.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Json::Object(members.into_iter().collect())
        }
        Json::Array(all) => all.iter().map(sorted).collect(),
        one => one.clone(),
    }
}

/// The members of that name, wherever they stand.
fn texts(value: &Json, name: &str) -> Vec<String> {
    match value {
        Json::Object(map) => {
            let here = map.get(name).and_then(Json::as_str).map(str::to_owned);
            here.into_iter().chain(map.values().flat_map(|inner| texts(inner, name))).collect()
        }
        Json::Array(all) => all.iter().flat_map(|inner| texts(inner, name)).collect(),
        _ => Vec::new(),
    }
}

fn at<'a>(model: &'a Json, pointer: &str) -> &'a Json {
    model.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there: {model:#}"))
}

fn list<'a>(model: &'a Json, pointer: &str) -> &'a Vec<Json> {
    at(model, pointer).as_array().unwrap()
}

/// The value of a property.
fn prop<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    let all = object["props"].as_array()?;
    all.iter().find(|one| one["name"] == name)?["value"].as_str()
}

#[test]
fn models_are_as_checked_in() {
    let renew = std::env::var_os("UPDATE_POLICY").is_some();
    // The catalog follows from the catalogue alone, whose texts are checked in as they are published.
    for (name, model) in all().into_iter().filter(|(name, _)| *name != "catalog.json") {
        let path = format!("{}/tests/golden/oscal/{name}", env!("CARGO_MANIFEST_DIR"));
        if renew {
            std::fs::write(&path, serde_json::to_string_pretty(&sorted(&model)).unwrap() + "\n").unwrap();
        }
        let known: Json =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
        assert!(
            known == model,
            "{path} differs: look at what changed, then run the test with UPDATE_POLICY=1"
        );
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let text = || all().iter().map(|(_, model)| model.to_string()).collect::<String>();
    assert_eq!(text(), text());
}

#[test]
fn models_are_what_the_schema_says() {
    let schema = schema();
    let names: Vec<_> = models().into_keys().collect();
    assert_eq!(
        names,
        [
            "assessment-plan.json",
            "assessment-results.json",
            "catalog.json",
            "component-definition.json",
            "poam.json",
            "profile.json",
            "ssp.json"
        ]
    );
    for (name, model) in all() {
        assert_eq!(faults(&schema, &model), [""; 0], "{name}");
    }
    // What the schema refuses: that it was asked at all.
    let mut plan = models().remove("assessment-plan.json").unwrap();
    for (pointer, value) in [
        ("/assessment-plan/uuid", json!("not-a-uuid")),
        ("/assessment-plan/metadata/last-modified", json!("2026-12-01")),
        ("/assessment-plan/tasks/0/timing/at-frequency/period", json!(0)),
        ("/assessment-plan/tasks/0/title", json!("two\nlines")),
        ("/assessment-plan/tasks/0/type", json!("8 is no token")),
        ("/assessment-plan/local-definitions/activities/0/props", json!([])),
    ] {
        let right = std::mem::replace(plan.pointer_mut(pointer).unwrap(), value);
        assert!(!faults(&schema, &plan).is_empty(), "{pointer}");
        *plan.pointer_mut(pointer).unwrap() = right;
    }
    assert_eq!(faults(&schema, &plan), [""; 0]);
}

/// What is shipped, with every clause, and nothing observed yet; and no control at all.
#[test]
fn whatever_is_assessed_the_models_are_right() {
    let (catalogue, schema) = (catalogue(), schema());
    let document = specimen(&catalogue).unwrap();
    let none = Registry::read(&catalogue, &[]).unwrap();
    for registry in [Registry::load(&catalogue).unwrap(), none] {
        let assessment = assess(&document, &registry, &Known::default(), AT.parse().unwrap());
        let all = oscal_all(&catalogue, &registry, &document, &assessment, &[]);
        for (name, model) in &all {
            assert_eq!(faults(&schema, model), [""; 0], "{name}");
        }
        assert_eq!(oscal_references(&all), [""; 0]);
    }
}

#[test]
fn lines_are_kept_to_what_a_string_may_be() {
    let schema = schema();
    let (mut assessment, mut findings) = (assessment(), findings());
    for check in &mut assessment.checks {
        check.title = " of\ntwo lines ".into();
        if let Some(one) = &mut check.observation {
            (one.summary, one.by) = (String::new(), "a\tb".into());
        }
    }
    for one in assessment.clauses.iter_mut().flat_map(|clause| &mut clause.exceptions) {
        (one.owner, one.reason) = ("  ".into(), "a\n\nb".into());
    }
    findings[0].summary = "\n".into();
    let all = oscal_all(&catalogue(), &registry(), &document(), &assessment, &findings);
    for (name, model) in &all {
        assert_eq!(faults(&schema, model), [""; 0], "{name}");
    }
    assert_eq!(oscal_references(&all), [""; 0]);
}

#[test]
fn a_component_definition_has_each_control_for_each_clause_that_it_holds() {
    let model = oscal_component_definition(&catalogue(), &registry());
    let requirements =
        list(&model, "/component-definition/components/0/control-implementations/0/implemented-requirements");
    let held: Vec<_> = requirements
        .iter()
        .map(|one| (prop(one, "control").unwrap(), one["control-id"].as_str().unwrap()))
        .collect();
    assert_eq!(
        held,
        [("isolation", "cd-8"), ("encryption", "cd-5"), ("encryption", "cd-7"), ("regions", "cd-1")]
    );
    assert_eq!(prop(&requirements[0], "test"), Some("crates/store/src/scope.rs::refused"));
    assert_eq!(requirements[0]["remarks"], "Evidence: The log of drills.\n\nOpen: Backups are not isolated.");
    // What holds one sentence says which.
    assert_eq!(texts(&requirements[2], "statement-id"), ["cd-7_smt.1"]);
    let every: Vec<_> = list(&model, "/component-definition/components/0/props")
        .iter()
        .filter(|one| one["name"] == "check-every")
        .map(|one| (one["group"].as_str().unwrap(), one["value"].as_str().unwrap()))
        .collect();
    assert_eq!(
        every,
        [
            ("drill-isolation", "P1D"),
            ("isolation-reviewed", "P90D"),
            ("records-sealed", "PT90M"),
            ("regions-as-stated", "PT1H")
        ]
    );
}

#[test]
fn a_security_plan_says_of_each_sentence_whether_a_control_that_runs_holds_it() {
    let model = models().remove("ssp.json").unwrap();
    let requirements = list(&model, "/system-security-plan/control-implementation/implemented-requirements");
    let state =
        |by: &Json| by["by-components"][0]["implementation-status"]["state"].as_str().unwrap().to_owned();
    let clauses: Vec<_> =
        requirements.iter().map(|one| (one["control-id"].as_str().unwrap(), state(one))).collect();
    let expected = [
        ("rr-2", "not-applicable"),
        ("rr-4", "planned"),
        ("cd-1", "planned"),
        ("cd-5", "partial"),
        ("cd-7", "partial"),
        ("cd-8", "implemented"),
        ("nd-1", "planned"),
    ];
    assert_eq!(clauses, expected.map(|(clause, state)| (clause, state.to_owned())));
    let sentences: Vec<_> = requirements
        .iter()
        .flat_map(|one| one["statements"].as_array().unwrap())
        .map(|one| (one["statement-id"].as_str().unwrap(), state(one)))
        .filter(|(id, _)| !id.starts_with("nd") && !id.starts_with("rr-2"))
        .collect();
    let expected = [
        ("rr-4_own.1", "planned"),
        ("cd-1_smt.1", "planned"),
        ("cd-1_smt.2", "planned"),
        ("cd-5_smt.v2.1", "implemented"),
        ("cd-7_smt.1", "implemented"),
        ("cd-7_smt.2", "planned"),
        ("cd-8_smt.1", "implemented"),
        ("cd-8_smt.2", "implemented"),
    ];
    assert_eq!(sentences, expected.map(|(id, state)| (id, state.to_owned())));
    let absent = requirements[2]["by-components"][0]["remarks"].as_str().unwrap();
    assert_eq!(absent, "Regions of stores is not observed here. It needs: `store.region`");
}

#[test]
fn an_assessment_plan_has_a_task_for_each_check_that_the_policy_asks_for() {
    let model = models().remove("assessment-plan.json").unwrap();
    let activities = list(&model, "/assessment-plan/local-definitions/activities");
    let methods: Vec<_> =
        activities.iter().map(|one| (one["title"].as_str().unwrap(), prop(one, "method").unwrap())).collect();
    assert_eq!(
        methods,
        [
            ("drill-isolation", "TEST"),
            ("isolation-reviewed", "EXAMINE"),
            ("records-sealed", "TEST"),
            ("regions-as-stated", "TEST"),
            ("wording/RR-4", "EXAMINE"),
        ]
    );
    assert_eq!(texts(&activities[2], "control-id"), ["cd-5", "cd-7"]);
    let often: Vec<_> = list(&model, "/assessment-plan/tasks")
        .iter()
        .map(|one| at(one, "/timing/at-frequency"))
        .map(|one| (one["period"].as_i64().unwrap(), one["unit"].as_str().unwrap()))
        .collect();
    assert_eq!(often, [(1, "days"), (90, "days"), (90, "minutes"), (1, "hours"), (365, "days")]);
}

#[test]
fn results_have_the_state_of_each_clause_that_applies() {
    let model = models().remove("assessment-results.json").unwrap();
    let result = at(&model, "/assessment-results/results/0");
    let states: Vec<_> = list(result, "/findings")
        .iter()
        .map(|one| &one["target"])
        .map(|one| {
            let text = |name: &str| one["status"][name].as_str().unwrap();
            (one["target-id"].as_str().unwrap(), text("state"), text("reason"))
        })
        .collect();
    assert_eq!(
        states,
        [
            ("rr-4_own", "not-satisfied", "gap"),
            ("cd-1_smt", "not-satisfied", "gap"),
            ("cd-5_smt", "not-satisfied", "fail"),
            ("cd-7_smt", "not-satisfied", "fail"),
            ("cd-8_smt", "not-satisfied", "stale"),
            ("nd-1_smt", "not-satisfied", "gap"),
        ]
    );
    let left = list(result, "/reviewed-controls/control-selections/0/exclude-controls");
    assert_eq!(left, &[json!({ "control-id": "rr-2" })]);
    let events: Vec<_> = list(result, "/observations")
        .iter()
        .map(|one| {
            let expires = one.get("expires").and_then(Json::as_str).unwrap_or("-");
            (one["relevant-evidence"][0]["href"].as_str().unwrap(), prop(one, "seen").unwrap(), expires)
        })
        .collect();
    assert_eq!(
        events,
        [
            ("urn:tenet:event:evt_1", "pass", "2026-12-12T03:00:00.000000Z"),
            ("urn:tenet:event:evt_2", "pass", "2026-11-09T09:00:00.000000Z"),
            ("urn:tenet:event:evt_4", "fail", "2026-12-11T11:00:00.000000Z"),
            ("urn:tenet:event:evt_5", "unknown", "-"),
        ]
    );
    // One finding was open then, of three.
    let risks = list(result, "/risks");
    assert_eq!(risks.iter().map(|one| prop(one, "event").unwrap()).collect::<Vec<_>>(), ["evt_3"]);
    assert_eq!(texts(&list(result, "/findings")[2], "risk-uuid"), [risks[0]["uuid"].as_str().unwrap()]);
}

#[test]
fn a_plan_of_action_has_an_item_for_whatever_is_open() {
    let model = models().remove("poam.json").unwrap();
    let poam = at(&model, "/plan-of-action-and-milestones");
    let items: Vec<_> = list(poam, "/poam-items")
        .iter()
        .map(|one| (prop(one, "item").unwrap(), prop(one, "clause").unwrap()))
        .collect();
    assert_eq!(
        items,
        [
            ("finding", "CD-5"),
            ("gap", "RR-4"),
            ("never-observed", "RR-4"),
            ("gap", "CD-1"),
            ("gap", "CD-7"),
            ("stale", "CD-8"),
            ("gap", "ND-1"),
            ("exception", "RR-2"),
            ("exception", "CD-5"),
        ]
    );
    let deadlines: Vec<_> = list(poam, "/risks")
        .iter()
        .filter(|one| one["status"] == "deviation-approved")
        .map(|one| (prop(one, "owner").unwrap(), one["deadline"].as_str().unwrap()))
        .collect();
    assert_eq!(deadlines, [("Olga Owner", "2027-03-01T00:00:00.000000Z"); 2]);
    // What failed and has no finding is not left out.
    let model = oscal_poam(&document(), &assessment(), &[]).unwrap();
    let items = list(&model, "/plan-of-action-and-milestones/poam-items");
    let failed = items.iter().filter(|one| prop(one, "item") == Some("not-satisfied"));
    assert_eq!(failed.map(|one| prop(one, "clause").unwrap()).collect::<Vec<_>>(), ["CD-5", "CD-7"]);
    // Where nothing is open there is no plan.
    let mut closed = assessment();
    closed.clauses.retain(|clause| clause.clause.as_str() == "RR-2");
    closed.clauses[0].exceptions.clear();
    assert_eq!(oscal_poam(&document(), &closed, &[]), None);
    assert!(!findings().is_empty());
}
