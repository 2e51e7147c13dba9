//! What is known of a policy at an instant as OSCAL assessment results: observations, of each clause a finding, and of what is
//! open a risk. A clause that does not apply is left out of what was assessed, and has no finding: neither word of OSCAL's for
//! a finding would be true of it.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{
    PLAN_FILE, line,
    observation::{self, put_observations},
    prop, prop_of, prose, put, put_all, risk,
    scope::{Scope, assessed, checks, sentences, statement},
    token, uuid,
};
use crate::{Assessment, Catalogue, CheckFinding, ClauseState, Document, DocumentClause, Registry, State};

/// What is known of a policy as OSCAL assessment results of the assessment plan, which they expect beside them.
pub fn oscal_assessment_results(
    catalogue: &Catalogue,
    registry: &Registry,
    document: &Document,
    assessment: &Assessment,
    findings: &[CheckFinding],
) -> Json {
    let scope = Scope::new(document);
    let results = Results { scope: &scope, catalogue, assessment, findings };
    let planned: BTreeSet<_> = checks(registry, document).into_iter().map(|check| check.id).collect();
    let collected = assessment.checks.iter().flat_map(observation::of_check).map(|one| one.collected);
    let at = assessment.at.to_string();
    let mut result = json!({
        "uuid": uuid(&["result", &scope.hash, &at]),
        "title": format!("As of {at}"),
        "description": "What the newest observations say of each clause. What is observed too long ago, never, or by nothing is not satisfied.",
        "start": collected.min().unwrap_or(assessment.at).to_string(),
        "end": at,
        "props": counts(assessment),
        "reviewed-controls": results.reviewed(),
    });
    put_observations(&mut result, &scope, assessment.checks.iter(), |check| planned.contains(check));
    let risks = risk::open(findings, assessment).map(|one| risk::finding(&scope, assessment, one));
    put_all(&mut result, "risks", risks.collect());
    let assessed = assessed(document, assessment).filter(|(_, state)| state.state != State::NotApplicable);
    let found = assessed.map(|(clause, state)| results.finding(clause, state)).collect();
    put_all(&mut result, "findings", found);
    let people = observation::people(assessment);
    super::document(
        "assessment-results",
        json!({
            "metadata": scope.metadata("Assessment results", &at, &people),
            "import-ap": { "href": PLAN_FILE },
            "results": [result],
        }),
    )
}

/// A state's words as a token.
pub(super) fn state_token(state: State) -> String {
    state.as_str().replace(' ', "-")
}

/// How many clauses there are of each state.
fn counts(assessment: &Assessment) -> Vec<Json> {
    let counted = State::ALL.iter().map(|state| {
        let count = assessment.counts.get(state).copied().unwrap_or_default();
        prop(&format!("clauses-{}", state_token(*state)), &count.to_string())
    });
    counted.collect()
}

struct Results<'a> {
    scope: &'a Scope<'a>,
    catalogue: &'a Catalogue,
    assessment: &'a Assessment,
    findings: &'a [CheckFinding],
}

impl Results<'_> {
    fn reviewed(&self) -> Json {
        let selected = super::assessment_plan::selected(self.catalogue, self.scope.document);
        let mut selection = json!({ "include-controls": selected });
        let left = self.assessment.clauses.iter().filter(|one| one.state == State::NotApplicable);
        let left: Vec<_> = left.map(|one| json!({ "control-id": token(&one.clause) })).collect();
        if !left.is_empty() {
            put(
                &mut selection,
                "description",
                json!("Left out: what does not apply, while somebody answers for that."),
            );
        }
        put_all(&mut selection, "exclude-controls", left);
        json!({ "control-selections": [selection] })
    }

    fn finding(&self, clause: &DocumentClause, state: &ClauseState) -> Json {
        let checks: BTreeSet<_> =
            state.sentences.iter().flat_map(|one| one.checks.iter().map(String::as_str)).collect();
        let parts = sentences(self.catalogue, self.scope.document, clause);
        let props = parts
            .iter()
            .zip(&state.sentences)
            .map(|(part, one)| prop_of(part, "sentence-state", &state_token(one.state)))
            .collect();
        let (word, reason) = match state.state {
            State::Satisfied | State::NotApplicable => ("satisfied", "pass".to_owned()),
            State::NotSatisfied => ("not-satisfied", "fail".to_owned()),
            State::Stale | State::NeverObserved | State::Gap => ("not-satisfied", state_token(state.state)),
        };
        let mut status = json!({ "state": word, "reason": reason });
        let excepted: Vec<_> = state
            .exceptions
            .iter()
            .map(|one| format!("Excepted until {}; {} answers for it: {}", one.until, one.owner, one.reason))
            .collect();
        if !excepted.is_empty() {
            put(&mut status, "remarks", json!(excepted.join("\n\n")));
        }
        let texts: Vec<_> = state.sentences.iter().map(|one| one.text.as_str()).collect();
        let mut target = json!({
            "type": "statement-id", "target-id": statement(clause), "title": line(&state.title), "status": status,
        });
        put_all(&mut target, "props", props);
        let mut finding = json!({
            "uuid": uuid(&["finding", &self.scope.hash, &self.assessment.at.to_string(), clause.id.as_str()]),
            "title": format!("{} {}: {}", clause.id, line(&state.title), state.state.as_str()),
            "description": prose(&texts.join(" ")),
            "target": target,
            "implementation-statement-uuid": self.scope.implementation(clause),
        });
        let observed = checks.iter().filter_map(|check| self.assessment.check(check));
        put_all(&mut finding, "related-observations", observed.flat_map(observation::related).collect());
        let open =
            risk::open(self.findings, self.assessment).filter(|one| checks.contains(one.check.as_str()));
        let risks = open.map(|one| json!({ "risk-uuid": risk::of_finding(one) })).collect();
        put_all(&mut finding, "related-risks", risks);
        finding
    }
}
