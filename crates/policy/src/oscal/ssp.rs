//! A policy as an OSCAL system security plan: of each sentence, which controls that run hold it.
//!
//! A clause is `implemented` if each of its sentences has a control that runs and is checked; `partial` if some have, or if
//! somebody answers for its not being held; `not-applicable` while somebody answers for that; else `planned`: OSCAL has no word
//! for what is not there, and the plan of action names it. Whether what is implemented does hold is not said here, but in the
//! assessment results.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{
    COMPONENT_FILE, NOT_STATED, PROFILE_FILE, component, line, prop, prose, put, put_all,
    scope::{Scope, assessed, sentences},
    token, uuid,
};
use crate::{
    Assessment, Catalogue, ClauseState, Control, Document, DocumentClause, Registry, SentenceState, State,
};

/// A policy, as it was assessed, as an OSCAL system security plan over the profile, which it expects beside it.
pub fn oscal_ssp(
    catalogue: &Catalogue,
    registry: &Registry,
    document: &Document,
    assessment: &Assessment,
) -> Json {
    let plan = Plan { scope: Scope::new(document), catalogue, registry, assessment };
    let scope = &plan.scope;
    let requirements: Vec<_> =
        assessed(document, assessment).map(|(clause, state)| plan.requirement(clause, state)).collect();
    super::document(
        "system-security-plan",
        json!({
            "metadata": scope.metadata("System security plan", &assessment.at.to_string(), &[]),
            "import-profile": { "href": PROFILE_FILE },
            "system-characteristics": characteristics(scope),
            "system-implementation": { "components": components(scope) },
            "control-implementation": {
                "description": format!(
                    "Which controls of Tenet ran at {} and hold the sentences of the policy.", assessment.at
                ),
                "implemented-requirements": requirements,
            },
        }),
    )
}

/// What OSCAL asks of the system. The policy knows whose it is, and nothing more.
fn characteristics(scope: &Scope<'_>) -> Json {
    let document = scope.document;
    json!({
        "system-ids": [{ "identifier-type": "https://ietf.org/rfc/rfc4122", "id": scope.system() }],
        "system-name": line(&document.company),
        "description": format!("What of {} is subject to its policy \"{}\".", document.company, document.title),
        "system-information": { "information-types": [{
            "uuid": uuid(&["information-type", &document.company]), "title": NOT_STATED, "description": NOT_STATED,
        }]},
        "status": { "state": "other", "remarks": NOT_STATED },
        "authorization-boundary": { "description": NOT_STATED },
    })
}

fn components(scope: &Scope<'_>) -> Json {
    let company = &scope.document.company;
    json!([
        {
            "uuid": scope.this_system(), "type": "this-system", "title": line(company),
            "description": format!("The systems of {company}, Tenet among them."),
            "status": { "state": "other", "remarks": NOT_STATED },
        },
        {
            "uuid": scope.tenet(), "type": "software", "title": "Tenet",
            "description": "Holds the policy: its controls enforce or detect, its checks observe.",
            "props": [{ "name": "version", "value": env!("CARGO_PKG_VERSION") }],
            "links": [{ "href": COMPONENT_FILE, "rel": "imported-from", "resource-fragment": component::defined() }],
            "status": { "state": "operational" },
        },
    ])
}

struct Plan<'a> {
    scope: Scope<'a>,
    catalogue: &'a Catalogue,
    registry: &'a Registry,
    assessment: &'a Assessment,
}

impl Plan<'_> {
    /// The controls that run and whose checks observe a sentence.
    fn controls(&self, sentence: &SentenceState) -> Vec<&Control> {
        let checked: BTreeSet<_> = sentence
            .checks
            .iter()
            .filter_map(|check| self.assessment.check(check)?.control.as_deref())
            .collect();
        self.registry.controls().iter().filter(|one| checked.contains(one.id.as_str())).collect()
    }

    fn requirement(&self, clause: &DocumentClause, state: &ClauseState) -> Json {
        let held: Vec<_> = state.sentences.iter().map(|one| self.controls(one)).collect();
        let some = held.iter().filter(|controls| !controls.is_empty()).count();
        let status = match state.state {
            State::NotApplicable => "not-applicable",
            _ if some == held.len() && some > 0 && state.exceptions.is_empty() => "implemented",
            _ if some > 0 => "partial",
            _ => "planned",
        };
        let mut statements = Vec::new();
        let parts = sentences(self.catalogue, self.scope.document, clause);
        for ((part, sentence), controls) in parts.iter().zip(&state.sentences).zip(&held) {
            let status = match (status, controls.is_empty()) {
                ("not-applicable", _) => status,
                (_, true) => "planned",
                (_, false) => "implemented",
            };
            let by = uuid(&["by-component", &self.scope.hash, part]);
            let names: Vec<_> = controls.iter().map(|one| line(&one.title)).collect();
            let text = if names.is_empty() { NOTHING.to_owned() } else { format!("{}.", names.join("; ")) };
            let mut by = self.by_component(by, controls, text, status);
            put(&mut by, "remarks", json!(prose(&sentence.text)));
            let uuid = uuid(&["statement", &self.scope.hash, part]);
            statements.push(json!({ "statement-id": part, "uuid": uuid, "by-components": [by] }));
        }
        let ids: BTreeSet<_> = held.iter().flatten().map(|one| one.id.as_str()).collect();
        let all: Vec<_> =
            self.registry.controls().iter().filter(|one| ids.contains(one.id.as_str())).collect();
        let texts: Vec<_> =
            all.iter().map(|one| format!("{}. {}", line(&one.title), prose(&one.text))).collect();
        let text = if texts.is_empty() { NOTHING.to_owned() } else { texts.join("\n\n") };
        let mut by = self.by_component(self.scope.implementation(clause), &all, text, status);
        if let Some(why) = self.remarks(state) {
            put(&mut by, "remarks", json!(why));
        }
        json!({
            "uuid": uuid(&["requirement", &self.scope.hash, clause.id.as_str()]),
            "control-id": token(&clause.id),
            "statements": statements,
            "by-components": [by],
        })
    }

    /// How a component holds something: Tenet by controls, or the system without one.
    fn by_component(&self, uuid: String, controls: &[&Control], text: String, status: &str) -> Json {
        let component = if controls.is_empty() { self.scope.this_system() } else { self.scope.tenet() };
        let mut by = json!({
            "component-uuid": component, "uuid": uuid, "description": text,
            "implementation-status": { "state": status },
        });
        put_all(&mut by, "props", controls.iter().map(|one| prop("control", &one.id)).collect());
        by
    }

    /// Why a clause is implemented less than it might be.
    fn remarks(&self, state: &ClauseState) -> Option<String> {
        let mut why: Vec<String> = Vec::new();
        for one in &state.exceptions {
            let what = if one.not_applicable { "Not applicable" } else { "Not held" };
            why.push(format!(
                "{what} until {}, says {}, who answers for it: {}",
                one.until, one.owner, one.reason
            ));
        }
        let is_there = |control: &Control| {
            self.assessment.checks.iter().any(|check| check.control.as_ref() == Some(&control.id))
        };
        for control in self.registry.of_clause(&state.clause).filter(|one| !is_there(one)) {
            let needs = if control.needs.is_empty() { "" } else { " It needs: " };
            why.push(format!("{} is not observed here.{needs}{}", line(&control.title), control.needs));
        }
        (!why.is_empty()).then(|| why.join("\n\n"))
    }
}

/// Of what no control holds.
const NOTHING: &str = "No control of Tenet that runs and is checked holds it.";
