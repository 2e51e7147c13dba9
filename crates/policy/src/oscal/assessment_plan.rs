//! The checks that a policy asks for as an OSCAL assessment plan: each is an activity, and a task that comes round.

use base::Duration;
use serde_json::{Value as Json, json};

use super::{
    SSP_FILE, line, prop, put, put_all,
    scope::{Scope, checks, observed, sentences},
    token, uuid,
};
use crate::{Catalogue, Check, CheckKind, Document, Registry};

/// What is looked at, how and how often, as an OSCAL assessment plan for the system security plan, which it expects beside it.
pub fn oscal_assessment_plan(catalogue: &Catalogue, registry: &Registry, document: &Document) -> Json {
    let scope = Scope::new(document);
    let checks = checks(registry, document);
    let mut plan = json!({
        "metadata":
            scope.metadata("Assessment plan", &format!("{}T00:00:00Z", document.effective), &[]),
        "import-ssp": { "href": SSP_FILE },
        "reviewed-controls": {
            "description": "Every clause of the policy.",
            "control-selections": [{ "include-controls": selected(catalogue, document) }],
        },
        "assessment-assets": { "assessment-platforms": [{
            "uuid": uuid(&["platform", &document.company]), "title": "Tenet",
            "uses-components": [{ "component-uuid": scope.tenet() }],
        }]},
    });
    let activities: Vec<_> = checks.iter().map(|check| activity(&scope, catalogue, check)).collect();
    // OSCAL has no plan with an empty list of activities: without a check there is none.
    if !activities.is_empty() {
        put(&mut plan, "local-definitions", json!({ "activities": activities }));
    }
    put_all(&mut plan, "tasks", checks.iter().map(|check| task(&scope, check)).collect());
    super::document("assessment-plan", plan)
}

/// Every clause, with its sentences.
pub(super) fn selected(catalogue: &Catalogue, document: &Document) -> Vec<Json> {
    let each = document.clauses().map(|clause| {
        json!({ "control-id": token(&clause.id), "statement-ids": sentences(catalogue, document, clause) })
    });
    each.collect()
}

/// OSCAL's word for how a check observes. An automatic one and a drill try the thing itself; of a manual one OSCAL's `INTERVIEW`
/// would say that somebody was asked, and what a person attests here is what they looked at.
pub(super) const fn method(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Automatic | CheckKind::Drill => "TEST",
        CheckKind::Manual => "EXAMINE",
    }
}

fn activity(scope: &Scope<'_>, catalogue: &Catalogue, check: &Check) -> Json {
    let controls: Vec<_> = observed(catalogue, scope.document, check)
        .into_iter()
        .map(|(clause, parts)| json!({ "control-id": clause, "statement-ids": parts }))
        .collect();
    json!({
        "uuid": scope.activity(&check.id),
        "title": line(&check.id),
        "description": line(&check.title),
        "props": [
            { "name": "method", "value": method(check.kind) },
            prop("check", &check.id),
            prop("check-kind", check.kind.as_str()),
        ],
        "related-controls": { "control-selections": [{ "include-controls": controls }] },
    })
}

fn task(scope: &Scope<'_>, check: &Check) -> Json {
    let (period, unit) = frequency(check.every);
    // A person looks at the system; what Tenet looks at by itself is Tenet.
    let subject = match check.kind {
        CheckKind::Manual => scope.this_system(),
        CheckKind::Automatic | CheckKind::Drill => scope.tenet(),
    };
    json!({
        "uuid": scope.task(&check.id),
        "type": "action",
        "title": line(&check.id),
        "timing": { "at-frequency": { "period": period, "unit": unit } },
        "associated-activities": [{
            "activity-uuid": scope.activity(&check.id),
            "subjects": [{
                "type": "component",
                "include-subjects": [{ "subject-uuid": subject, "type": "component" }],
            }],
        }],
    })
}

/// A span as OSCAL has it, in the largest unit that leaves nothing over.
fn frequency(span: Duration) -> (i64, &'static str) {
    match span.seconds() {
        s if s % 86_400 == 0 => (s / 86_400, "days"),
        s if s % 3_600 == 0 => (s / 3_600, "hours"),
        s if s % 60 == 0 => (s / 60, "minutes"),
        s => (s, "seconds"),
    }
}
