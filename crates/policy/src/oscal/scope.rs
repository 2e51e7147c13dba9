//! What a policy's models name alike: its system, the components of that, the tasks of its plan, and the parts of the catalog
//! or profile where its sentences stand.

use serde_json::{Value as Json, json};

use super::{metadata, prop, put, put_all, token, uuid};
use crate::{Assessment, Catalogue, ClauseState, Document, DocumentClause, Registry, Wording};

/// A document, and what of it is in the other models.
pub(super) struct Scope<'a> {
    pub(super) document: &'a Document,
    /// The document's hash.
    pub(super) hash: String,
}

impl<'a> Scope<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, hash: document.manifest().sha256 }
    }

    /// The system: what of the organisation the policy is for.
    pub(super) fn system(&self) -> String {
        uuid(&["system", &self.document.company])
    }
    /// That system as a component.
    pub(super) fn this_system(&self) -> String {
        uuid(&["component", "this-system", &self.document.company])
    }
    /// Tenet as a component of it.
    pub(super) fn tenet(&self) -> String {
        uuid(&["component", "tenet", &self.document.company])
    }
    /// The plan's activity for a check.
    pub(super) fn activity(&self, check: &str) -> String {
        uuid(&["activity", &self.hash, check])
    }
    /// The plan's task for a check.
    pub(super) fn task(&self, check: &str) -> String {
        uuid(&["task", &self.hash, check])
    }
    /// The statement of how a clause is implemented.
    pub(super) fn implementation(&self, clause: &DocumentClause) -> String {
        uuid(&["by-component", &self.hash, clause.id.as_str()])
    }

    /// The head of a model: which policy it is of, and who takes part.
    pub(super) fn metadata(&self, title: &str, changed: &str, people: &[&str]) -> Json {
        let document = self.document;
        let title = format!("{title}: {}", document.title);
        let mut head = metadata(&title, changed, &document.version.to_string());
        put(&mut head, "props", json!([prop("policy-sha256", &self.hash)]));
        let mut parties = vec![
            json!({ "uuid": uuid(&["party", &document.company]), "type": "organization", "name": document.company }),
        ];
        let mut known: Vec<&str> = people.to_vec();
        known.sort_unstable();
        known.dedup();
        parties.extend(
            known
                .iter()
                .map(|name| json!({ "uuid": person(name), "type": "person", "name": super::line(name) })),
        );
        put_all(&mut head, "parties", parties);
        head
    }
}

/// The clauses of a document, each with what is known of it.
pub(super) fn assessed<'a>(
    document: &'a Document,
    assessment: &'a Assessment,
) -> impl Iterator<Item = (&'a DocumentClause, &'a ClauseState)> {
    let state = |clause: &DocumentClause| assessment.clauses.iter().find(|one| one.clause == clause.id);
    document.clauses().filter_map(move |clause| Some((clause, state(clause)?)))
}

/// Somebody, by name.
pub(super) fn person(name: &str) -> String {
    uuid(&["person", name])
}

/// The part that states a clause: in the catalog, or in the profile where the organisation worded it.
pub(super) fn statement(clause: &DocumentClause) -> String {
    format!("{}_{}", token(&clause.id), if clause.own_wording { "own" } else { "smt" })
}

/// The parts that are a clause's sentences, in their order.
pub(super) fn sentences(catalogue: &Catalogue, document: &Document, clause: &DocumentClause) -> Vec<String> {
    let mut start = statement(clause);
    if !clause.own_wording
        && let Some(Wording::Variants(all)) = catalogue.clause(&clause.id).map(|one| &one.wording)
    {
        let fits = |variant: &crate::Variant| {
            variant.when.iter().all(|(name, wanted)| {
                document.parameters.get(name).is_some_and(|value| value.to_string() == *wanted)
            })
        };
        let at = all.iter().position(fits).unwrap_or(0);
        start.push_str(&format!(".v{}", at + 1));
    }
    (1..=clause.sentences.len()).map(|number| format!("{start}.{number}")).collect()
}

/// The clauses of a document that a check observes, and of each the parts that are the sentences.
pub(super) fn observed(
    catalogue: &Catalogue,
    document: &Document,
    check: &crate::Check,
) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for clause in document.clauses() {
        let parts = sentences(catalogue, document, clause);
        // As `assess` counts: of own words nobody knows which sentence says what.
        let is_observed = |number: usize| {
            check.holds.iter().any(|one| {
                if clause.own_wording { one.clause == clause.id } else { one.covers(&clause.id, number) }
            })
        };
        let parts: Vec<_> =
            (1..).zip(parts).filter(|(number, _)| is_observed(*number)).map(|(_, part)| part).collect();
        if !parts.is_empty() {
            all.push((token(&clause.id), parts));
        }
    }
    all
}

/// Every check that a document asks for: those of the registry that observe a clause of it, and those on its own wordings.
pub(super) fn checks(registry: &Registry, document: &Document) -> Vec<crate::Check> {
    let is_in = |check: &&crate::Check| {
        check.holds.iter().any(|one| document.clauses().any(|clause| clause.id == one.clause))
    };
    let mut all: Vec<_> = registry.checks().map(|(_, check)| check).filter(is_in).cloned().collect();
    let own = document.clauses().filter(|clause| clause.own_wording);
    all.extend(own.map(|clause| Registry::own_wording(&clause.id)));
    all
}
