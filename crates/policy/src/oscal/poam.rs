//! What is open of a policy as an OSCAL plan of action and milestones: an item for each finding, for what was observed too long
//! ago, never, or by nothing, and for each exception, whose end is its deadline.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{
    SSP_FILE, assessment_results::state_token, line, observation, observation::put_observations, prop, prose,
    put_all, risk, scope::Scope, uuid,
};
use crate::{Assessment, CheckFinding, CheckState, ClauseState, Document, Exception, State};

/// What is open of a policy as an OSCAL plan of action and milestones for the system security plan, which it expects beside
/// it. None where nothing is open: OSCAL has no plan without an item.
pub fn oscal_poam(document: &Document, assessment: &Assessment, findings: &[CheckFinding]) -> Option<Json> {
    let scope = Scope::new(document);
    let open: Vec<_> = risk::open(findings, assessment).collect();
    let exceptions: Vec<_> = assessment.clauses.iter().flat_map(|one| &one.exceptions).collect();
    let mut items: Vec<Json> = open.iter().map(|one| of_finding(assessment, one)).collect();
    let found: BTreeSet<_> = open.iter().map(|one| one.check.as_str()).collect();
    for clause in assessment.clauses.iter().filter(|one| one.state != State::NotApplicable) {
        items.extend(of_clause(&scope, assessment, clause, &found));
    }
    items.extend(exceptions.iter().map(|one| of_exception(one)));
    if items.is_empty() {
        return None;
    }
    let named: BTreeSet<_> = items
        .iter()
        .filter_map(|item| item.get("related-observations")?.as_array())
        .flatten()
        .filter_map(|one| one.get("observation-uuid")?.as_str())
        .collect();
    let is_named = |check: &&CheckState| {
        observation::of_check(check).any(|one| named.contains(observation::named(one).as_str()))
    };
    let named: Vec<_> = assessment.checks.iter().filter(is_named).collect();
    let mut people: Vec<&str> = Vec::new();
    let manual = named.iter().filter(|check| check.kind == crate::CheckKind::Manual);
    people.extend(manual.flat_map(|check| observation::of_check(check)).map(|one| one.by.as_str()));
    people.extend(exceptions.iter().flat_map(|one| [one.owner.as_str(), one.by.as_str()]));
    let mut plan = json!({
        "metadata": scope.metadata("Plan of action and milestones", &assessment.at.to_string(), &people),
        "import-ssp": { "href": SSP_FILE },
        "system-id": { "identifier-type": "https://ietf.org/rfc/rfc4122", "id": scope.system() },
        "poam-items": items,
    });
    put_observations(&mut plan, &scope, named.into_iter(), |_| false);
    let mut risks: Vec<_> = open.iter().map(|one| risk::finding(&scope, assessment, one)).collect();
    risks.extend(exceptions.iter().map(|one| risk::exception(one)));
    put_all(&mut plan, "risks", risks);
    Some(super::document("plan-of-action-and-milestones", plan))
}

fn of_finding(assessment: &Assessment, one: &CheckFinding) -> Json {
    let mut props = vec![prop("item", "finding"), prop("check", &one.check), prop("event", &one.event)];
    props.extend(risk::clauses(assessment, &one.check).iter().map(|clause| prop("clause", clause)));
    let mut item = json!({
        "uuid": uuid(&["poam-item", "finding", &one.event, &one.check]),
        "title": format!("Not so: {}", risk::title(assessment, &one.check)),
        "description": prose(&one.summary),
        "props": props,
        "related-risks": [{ "risk-uuid": risk::of_finding(one) }],
    });
    if let Some(check) = assessment.check(&one.check) {
        put_all(&mut item, "related-observations", observation::related(check));
    }
    item
}

/// What of a clause is open and no finding says: by state, the worst first.
fn of_clause(
    scope: &Scope<'_>,
    assessment: &Assessment,
    clause: &ClauseState,
    found: &BTreeSet<&str>,
) -> Vec<Json> {
    let mut items = Vec::new();
    for (state, what) in [
        (State::NotSatisfied, "observed not to be so"),
        (State::Gap, "held by no control that runs and is checked"),
        (State::NeverObserved, "never observed"),
        (State::Stale, "observed too long ago"),
    ] {
        let checks_of = |check: &&CheckState| check.state == state && !found.contains(check.check.as_str());
        let mut checks: Vec<&CheckState> = Vec::new();
        let mut sentences = Vec::new();
        for sentence in &clause.sentences {
            let asked = sentence.checks.iter().filter_map(|id| assessment.check(id));
            let open: Vec<_> = asked.filter(checks_of).collect();
            // By check and not by the sentence's worst: what is stale is so beside what failed, too.
            if !open.is_empty() || (state == State::Gap && sentence.state == State::Gap) {
                sentences.push(sentence);
                checks.extend(open);
            }
        }
        if sentences.is_empty() {
            continue;
        }
        checks.sort_by_key(|one| one.check.as_str());
        checks.dedup_by_key(|one| one.check.as_str());
        let mut props = vec![prop("item", &state_token(state)), prop("clause", clause.clause.as_str())];
        props.extend(sentences.iter().map(|one| prop("sentence", &one.id)));
        props.extend(checks.iter().map(|one| prop("check", &one.check)));
        let texts: Vec<_> = sentences.iter().map(|one| format!("{}: {}", one.id, one.text)).collect();
        let mut item = json!({
            "uuid": uuid(&["poam-item", &scope.hash, clause.clause.as_str(), state.as_str()]),
            "title": format!("{} {}: {what}", clause.clause, line(&clause.title)),
            "description": prose(&texts.join("\n\n")),
            "props": props,
        });
        let related = checks.iter().flat_map(|one| observation::related(one)).collect();
        put_all(&mut item, "related-observations", related);
        let risks = clause.exceptions.iter().map(|one| json!({ "risk-uuid": risk::of_exception(one) }));
        put_all(&mut item, "related-risks", risks.collect());
        items.push(item);
    }
    items
}

fn of_exception(one: &Exception) -> Json {
    json!({
        "uuid": uuid(&["poam-item", "exception", &one.event, one.clause.as_str()]),
        "title": format!("{}: an exception ends at {}", one.clause, one.until),
        "description": prose(&one.reason),
        "props": [prop("item", "exception"), prop("clause", one.clause.as_str()), prop("owner", &one.owner)],
        "related-risks": [{ "risk-uuid": risk::of_exception(one) }],
    })
}
