//! What was observed of checks, as OSCAL observations.

use serde_json::{Value as Json, json};

use super::{
    assessment_plan::method,
    line, prop, prose, put, put_all,
    scope::{Scope, person},
    uuid,
};
use crate::{Assessment, CheckKind, CheckState, Observation, Seen};

/// The observation's uuid: of the event that records it, and of the check that it is of.
pub(super) fn named(one: &Observation) -> String {
    uuid(&["observation", &one.event, &one.check])
}

/// The observations of a check that say something of it: the one that counts, and a newer one that could not tell.
pub(super) fn of_check(check: &CheckState) -> impl Iterator<Item = &Observation> {
    check.observation.iter().chain(&check.could_not_tell)
}

/// What is referred to of a check.
pub(super) fn related(check: &CheckState) -> Vec<Json> {
    of_check(check).map(|one| json!({ "observation-uuid": named(one) })).collect()
}

/// The people among who looked: of a manual check.
pub(super) fn people(assessment: &Assessment) -> Vec<&str> {
    let manual = assessment.checks.iter().filter(|check| check.kind == CheckKind::Manual);
    manual.flat_map(of_check).map(|one| one.by.as_str()).collect()
}

/// The observations of a check. `tasks`: whether the assessment plan, which has its task, can be reached from there.
pub(super) fn observations(scope: &Scope<'_>, check: &CheckState, tasks: bool) -> Vec<Json> {
    of_check(check).map(|one| observation(scope, check, one, tasks)).collect()
}

fn observation(scope: &Scope<'_>, check: &CheckState, one: &Observation, tasks: bool) -> Json {
    let is_manual = check.kind == CheckKind::Manual;
    let (actor, subject) = if is_manual {
        (json!({ "type": "party", "actor-uuid": person(&one.by) }), scope.this_system())
    } else {
        (json!({ "type": "tool", "actor-uuid": scope.tenet() }), scope.tenet())
    };
    let mut origin = json!({ "actors": [actor] });
    if tasks {
        put(&mut origin, "related-tasks", json!([{ "task-uuid": scope.task(&check.check) }]));
    }
    let mut types = vec![json!("control-objective")];
    if one.seen == Seen::Fail {
        types.push(json!("finding"));
    }
    let mut evidence = json!({
        "href": format!("urn:tenet:event:{}", one.event),
        "description": format!("The event `{}` of the log, which records it.", one.event),
        "props": [prop("event", &one.event)],
    });
    if let Some(hash) = &one.document {
        put(&mut evidence, "remarks", json!("A person looked at a document, whose hash the event has."));
        put(&mut evidence, "props", json!([prop("event", &one.event), prop("document-sha256", hash)]));
    }
    let mut observation = json!({
        "uuid": named(one),
        "title": line(&check.title),
        "description": prose(&one.summary),
        "props": [
            prop("check", &one.check),
            prop("check-kind", check.kind.as_str()),
            prop("seen", one.seen.as_str()),
            prop("by", &one.by),
            prop("examined", &one.examined.to_string()),
            prop("failed", &one.failed.to_string()),
            prop("effective", &one.effective.to_string()),
            prop("received", &one.received.to_string()),
        ],
        "methods": [method(check.kind)],
        "types": types,
        "origins": [origin],
        "subjects": [{ "subject-uuid": subject, "type": "component" }],
        "relevant-evidence": [evidence],
        "collected": one.collected.to_string(),
    });
    // One that could not tell says nothing, so that nothing of it expires.
    if let Some(until) = check.valid_until.filter(|_| one.seen != Seen::Unknown) {
        put(&mut observation, "expires", json!(until.to_string()));
    }
    observation
}

/// Puts in the observations of checks.
pub(super) fn put_observations<'a>(
    to: &mut Json,
    scope: &Scope<'_>,
    checks: impl Iterator<Item = &'a CheckState>,
    tasks: impl Fn(&str) -> bool,
) {
    let all = checks.flat_map(|check| observations(scope, check, tasks(&check.check))).collect();
    put_all(to, "observations", all);
}
