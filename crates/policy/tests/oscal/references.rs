//! Whether models fit together: ours do, and each kind of fault is found.

use policy::oscal_references;
use serde_json::{Value as Json, json};

use crate::all;

#[test]
fn what_is_written_fits_together() {
    assert_eq!(oscal_references(&all()), [""; 0]);
}

/// The faults of ours with one thing changed.
fn changed(file: &str, pointer: &str, value: Json) -> Vec<String> {
    let mut models = all();
    let (_, model) = models.iter_mut().find(|(name, _)| *name == file).unwrap();
    *model.pointer_mut(pointer).unwrap_or_else(|| panic!("{file} has no {pointer}")) = value;
    oscal_references(&models)
}

#[test]
fn each_kind_of_fault_is_found() {
    const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
    const RESULT: &str = "/assessment-results/results/0";
    const PLAN: &str = "/assessment-plan";
    const SSP: &str = "/system-security-plan";
    const POAM: &str = "/plan-of-action-and-milestones";
    const COMPONENT: &str = "/component-definition/components/0";
    let named = [
        ("assessment-plan.json", PLAN, "/tasks/0/associated-activities/0/activity-uuid"),
        (
            "assessment-plan.json",
            PLAN,
            "/tasks/0/associated-activities/0/subjects/0/include-subjects/0/subject-uuid",
        ),
        (
            "assessment-plan.json",
            PLAN,
            "/assessment-assets/assessment-platforms/0/uses-components/0/component-uuid",
        ),
        (
            "ssp.json",
            SSP,
            "/control-implementation/implemented-requirements/0/by-components/0/component-uuid",
        ),
        ("assessment-results.json", RESULT, "/observations/0/origins/0/actors/0/actor-uuid"),
        ("assessment-results.json", RESULT, "/observations/0/origins/0/related-tasks/0/task-uuid"),
        ("assessment-results.json", RESULT, "/observations/0/subjects/0/subject-uuid"),
        ("assessment-results.json", RESULT, "/findings/2/related-observations/0/observation-uuid"),
        ("assessment-results.json", RESULT, "/findings/2/related-risks/0/risk-uuid"),
        ("assessment-results.json", RESULT, "/findings/2/implementation-statement-uuid"),
        ("poam.json", POAM, "/poam-items/0/related-risks/0/risk-uuid"),
        ("poam.json", POAM, "/risks/1/risk-log/entries/0/logged-by/0/party-uuid"),
    ];
    for (file, start, rest) in named {
        let pointer = format!("{start}{rest}");
        let key = pointer.rsplit('/').next().unwrap();
        let found = changed(file, &pointer, json!(NOBODY));
        assert_eq!(found, [format!("{file}: {pointer}: {key} `{NOBODY}` names nothing")]);
    }
    let catalogued = [
        (
            "component-definition.json",
            COMPONENT,
            "/control-implementations/0/implemented-requirements/0/control-id",
        ),
        (
            "component-definition.json",
            COMPONENT,
            "/control-implementations/0/implemented-requirements/2/statements/0/statement-id",
        ),
        ("ssp.json", SSP, "/control-implementation/implemented-requirements/0/control-id"),
        ("ssp.json", SSP, "/control-implementation/implemented-requirements/0/statements/0/statement-id"),
        (
            "assessment-plan.json",
            PLAN,
            "/reviewed-controls/control-selections/0/include-controls/0/control-id",
        ),
        ("assessment-results.json", RESULT, "/findings/0/target/target-id"),
        ("profile.json", "/profile", "/modify/set-parameters/0/param-id"),
    ];
    for (file, start, rest) in catalogued {
        let pointer = format!("{start}{rest}");
        let key = pointer.rsplit('/').next().unwrap();
        let found = changed(file, &pointer, json!("xx-9"));
        assert_eq!(found, [format!("{file}: {pointer}: {key} `xx-9` is not in the catalog")]);
    }
    let ids = "/assessment-plan/reviewed-controls/control-selections/0/include-controls/0/statement-ids";
    let found = changed("assessment-plan.json", ids, json!(["cd-8_smt.1", "cd-8_smt.9"]));
    assert_eq!(
        found,
        [format!("assessment-plan.json: {ids}: statement-ids `cd-8_smt.9` is not in the catalog")]
    );
    // A control that there is, and that the profile does not choose.
    let id = "/system-security-plan/control-implementation/implemented-requirements/0/control-id";
    let found = changed("ssp.json", id, json!("el-1"));
    assert_eq!(found, [format!("ssp.json: {id}: control-id `el-1` is not in the profile")]);
}

#[test]
fn what_is_named_is_of_the_right_kind_and_in_sight() {
    // A party is no component, and a task is no activity.
    let models = all();
    let plan = &models.iter().find(|(name, _)| *name == "assessment-plan.json").unwrap().1;
    let task = plan.pointer("/assessment-plan/tasks/0/uuid").unwrap().clone();
    let party = plan.pointer("/assessment-plan/metadata/parties/0/uuid").unwrap().clone();
    let of = "/assessment-plan/tasks/0/associated-activities/0/activity-uuid";
    assert_eq!(changed("assessment-plan.json", of, task.clone()).len(), 1);
    let of = "/assessment-plan/assessment-assets/assessment-platforms/0/uses-components/0/component-uuid";
    assert_eq!(changed("assessment-plan.json", of, party).len(), 1);
    // What has one uuid is one thing.
    let of = "/plan-of-action-and-milestones/poam-items/0/uuid";
    let found = changed("poam.json", of, task.clone());
    let task = task.as_str().unwrap();
    assert_eq!(
        found,
        [format!("poam.json: `{task}` is one of poam-items, and in assessment-plan.json one of tasks")]
    );
    // The plan of action does not import the assessment plan.
    let mut more = models.clone();
    let (_, poam) = more.iter_mut().find(|(name, _)| *name == "poam.json").unwrap();
    let origin = poam.pointer_mut("/plan-of-action-and-milestones/observations/0/origins/0").unwrap();
    origin["related-tasks"] = json!([{ "task-uuid": task }]);
    let found = oscal_references(&more);
    assert!(
        found.len() == 1 && found[0].ends_with(&format!("task-uuid `{task}` names nothing")),
        "{found:?}"
    );
    let without: Vec<_> = models.iter().filter(|(name, _)| *name != "profile.json").cloned().collect();
    let found = oscal_references(&without);
    assert!(
        found.iter().any(|one| one.ends_with("href `profile.json` names nothing of the set")),
        "{found:?}"
    );
    assert!(found.iter().any(|one| one.ends_with("control-id `cd-8` is not in the catalog")), "{found:?}");
}

#[test]
fn nothing_stands_twice() {
    let models = all();
    let ssp = &models.iter().find(|(name, _)| *name == "ssp.json").unwrap().1;
    let uuid =
        ssp.pointer("/system-security-plan/control-implementation/implemented-requirements/1/uuid").unwrap();
    let at = "/system-security-plan/control-implementation/implemented-requirements/0/uuid";
    let found = changed("ssp.json", at, uuid.clone());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with(&format!("`{}` stands twice", uuid.as_str().unwrap())), "{found:?}");
    let at = "/catalog/groups/0/controls/0/parts/0/parts/0/id";
    let found = changed("catalog.json", at, json!("cd-8"));
    assert!(found.iter().any(|one| one.ends_with("/id: `cd-8` stands twice")), "{found:?}");
    let twice: Vec<_> = models.iter().chain(models.first()).cloned().collect();
    assert_eq!(oscal_references(&twice)[0], "catalog.json: there are two of that name");
}

#[test]
fn imports_name_files_of_the_set() {
    for (file, pointer) in [
        ("ssp.json", "/system-security-plan/import-profile/href"),
        ("assessment-plan.json", "/assessment-plan/import-ssp/href"),
        ("assessment-results.json", "/assessment-results/import-ap/href"),
        ("poam.json", "/plan-of-action-and-milestones/import-ssp/href"),
        ("component-definition.json", "/component-definition/components/0/control-implementations/0/source"),
        ("profile.json", "/profile/back-matter/resources/0/rlinks/0/href"),
        ("profile.json", "/profile/imports/0/href"),
        ("ssp.json", "/system-security-plan/system-implementation/components/1/links/0/href"),
    ] {
        let is_wrong =
            |one: &String| one.starts_with(file) && one.contains("href `") && one.contains(" of the set");
        let links = pointer.contains("/links/");
        for wrong in
            ["other.json", "https://example.com/catalog.json", "#00000000-0000-4000-8000-000000000000"]
        {
            let found = changed(file, pointer, json!(wrong));
            // A link may lead to the world; an import may not.
            let is_fine = links && wrong.starts_with("https");
            assert_eq!(found.iter().any(is_wrong), !is_fine, "{file}{pointer} {wrong}: {found:?}");
        }
    }
}
