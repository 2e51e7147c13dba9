//! Findings that are open and exceptions that hold, as OSCAL risks.

use serde_json::{Value as Json, json};

use super::{
    line, observation, prop, prose, put_all,
    scope::{Scope, person},
    uuid,
};
use crate::{Assessment, CheckFinding, Exception};

/// The findings that were open at the assessment.
pub(super) fn open<'a>(
    findings: &'a [CheckFinding],
    assessment: &Assessment,
) -> impl Iterator<Item = &'a CheckFinding> {
    let at = assessment.at;
    findings.iter().filter(move |one| one.opened <= at && one.closed.is_none_or(|closed| at < closed))
}

/// The uuid of a finding's risk.
pub(super) fn of_finding(one: &CheckFinding) -> String {
    uuid(&["risk", "finding", &one.event, &one.check])
}

/// The uuid of an exception's risk.
pub(super) fn of_exception(one: &Exception) -> String {
    uuid(&["risk", "exception", &one.event, one.clause.as_str()])
}

/// What a check shows, or its id if it is not asked any more.
pub(super) fn title(assessment: &Assessment, check: &str) -> String {
    line(assessment.check(check).map_or(check, |one| one.title.as_str()))
}

/// The clauses that a check observes.
pub(super) fn clauses<'a>(assessment: &'a Assessment, check: &str) -> Vec<&'a str> {
    let has = |clause: &&crate::ClauseState| {
        clause.sentences.iter().any(|one| one.checks.iter().any(|id| id == check))
    };
    assessment.clauses.iter().filter(has).map(|one| one.clause.as_str()).collect()
}

/// A finding that is open.
pub(super) fn finding(scope: &Scope<'_>, assessment: &Assessment, one: &CheckFinding) -> Json {
    let mut props = vec![prop("check", &one.check), prop("event", &one.event)];
    props.extend(clauses(assessment, &one.check).iter().map(|clause| prop("clause", clause)));
    let risk = of_finding(one);
    let mut risk = json!({
        "uuid": risk,
        "title": format!("Not so: {}", title(assessment, &one.check)),
        "description": prose(&one.summary),
        "statement": format!("The check `{}` has not passed since it failed at {}.", one.check, one.opened),
        "props": props,
        "status": "open",
        "origins": [{ "actors": [{ "type": "tool", "actor-uuid": scope.tenet() }] }],
        "risk-log": { "entries": [{
            "uuid": uuid(&["risk-log", &risk]), "title": "It failed first.",
            "start": one.opened.to_string(), "status-change": "open",
        }]},
    });
    if let Some(check) = assessment.check(&one.check) {
        put_all(&mut risk, "related-observations", observation::related(check));
    }
    risk
}

/// An exception that holds: somebody answers for it until its end.
pub(super) fn exception(one: &Exception) -> Json {
    let risk = of_exception(one);
    let what = if one.not_applicable { "does not apply" } else { "applies and is not held" };
    json!({
        "uuid": risk,
        "title": format!("Exception: {} {what}", one.clause),
        "description": prose(&one.reason),
        "statement": format!("{} answers for it until {}.", line(&one.owner), one.until),
        "props": [
            prop("clause", one.clause.as_str()),
            prop("exception", if one.not_applicable { "not-applicable" } else { "not-held" }),
            prop("owner", &one.owner),
            prop("event", &one.event),
        ],
        "status": "deviation-approved",
        "origins": [{ "actors": [{ "type": "party", "actor-uuid": person(&one.owner) }] }],
        "deadline": one.until.to_string(),
        "risk-log": { "entries": [{
            "uuid": uuid(&["risk-log", &risk]), "title": "The exception was set.",
            "start": one.from.to_string(), "status-change": "deviation-approved",
            "logged-by": [{ "party-uuid": person(&one.by) }],
        }]},
    })
}
