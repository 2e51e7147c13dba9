//! Which clauses a policy has, and what its people decided of them: those that a chosen framework requires are in, one more is
//! kept for a reason, none that is required is dropped, and whoever says "where feasible" says where that is.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Clause, ClauseId, Code, Framework,
    document::Reader,
    files::{DECISIONS, Decision, DecisionsFile},
    published::MAX_LINE_CHARS,
    source::At,
};

/// Least characters of a reason.
const MIN_REASON_CHARS: usize = 10;
/// Most characters of a reason.
const MAX_REASON_CHARS: usize = 1_000;

/// Somebody's decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// On which day: `2026-11-20`.
    pub date: String,
}

/// What "where feasible" means here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feasible {
    /// Whether it is feasible, and done.
    pub holds: bool,
    /// Where and how; or why not.
    #[serde(flatten)]
    pub decided: Decided,
}

/// Why a clause is in the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chosen {
    /// These frameworks require it.
    Required(BTreeMap<Framework, Vec<String>>),
    /// The organisation keeps it.
    Kept(Decided),
}

/// What was decided, held against the catalogue.
pub(crate) struct Decisions {
    pub(crate) chosen: BTreeMap<ClauseId, Chosen>,
    pub(crate) feasible: BTreeMap<ClauseId, At<Feasible>>,
}

impl Reader<'_> {
    /// Which clauses are in, and what was decided of them.
    pub(crate) fn decisions(
        &mut self,
        given: &DecisionsFile,
        frameworks: &BTreeSet<Framework>,
        says_feasible: impl Fn(&Clause) -> bool,
    ) -> Decisions {
        let mut chosen = self.required(frameworks);
        self.keep(&given.keep, &mut chosen);
        self.drop(&given.drop, &chosen);
        let feasible = self.feasible(&given.feasible, &chosen, says_feasible);
        Decisions { chosen, feasible }
    }

    /// What there is when the decisions can't be read.
    pub(crate) fn undecided(&self, frameworks: &BTreeSet<Framework>) -> Decisions {
        Decisions { chosen: self.required(frameworks), feasible: BTreeMap::new() }
    }

    /// What of decisions can be told while it is not known which frameworks are chosen.
    pub(crate) fn decided_alone(&mut self, given: &DecisionsFile) {
        for decisions in [&given.keep, &given.drop, &given.feasible] {
            self.each(decisions);
        }
    }

    fn required(&self, frameworks: &BTreeSet<Framework>) -> BTreeMap<ClauseId, Chosen> {
        let required = self.catalogue.clauses().filter_map(|clause| {
            let by = clause.frameworks.iter().filter(|(framework, _)| frameworks.contains(framework));
            let by: BTreeMap<_, _> = by.map(|(one, controls)| (*one, controls.clone())).collect();
            (!by.is_empty()).then(|| (clause.id.clone(), Chosen::Required(by)))
        });
        required.collect()
    }

    fn keep(&mut self, given: &[Decision], chosen: &mut BTreeMap<ClauseId, Chosen>) {
        for (id, decision, decided) in self.each(given) {
            match chosen.entry(id) {
                Entry::Occupied(there) => {
                    let message = "it is required anyway: leave the decision out";
                    let (id, line) = (there.key().to_string(), decision.clause.line);
                    self.wrong((Code::KeepNeedless, DECISIONS), &id, Some(line), message);
                }
                // One that is not whole has its finding, and no document is made; the clause is kept all the same, so that
                // what only follows from that is not told.
                Entry::Vacant(place) => {
                    place.insert(Chosen::Kept(decided.unwrap_or_default()));
                }
            }
        }
    }

    fn drop(&mut self, given: &[Decision], chosen: &BTreeMap<ClauseId, Chosen>) {
        for (id, decision, _) in self.each(given) {
            let (code, message) = match chosen.get(&id) {
                Some(Chosen::Required(by)) => {
                    let by: Vec<_> = by.keys().map(|one| one.title()).collect();
                    (Code::DropRequired, format!("it can't be dropped, for {}", by.join(", ")))
                }
                Some(Chosen::Kept(_)) => (Code::DropKept, "it is kept and dropped: decide".to_owned()),
                None => continue,
            };
            self.wrong((code, DECISIONS), id.as_str(), Some(decision.clause.line), message);
        }
    }

    fn feasible(
        &mut self,
        given: &[Decision],
        chosen: &BTreeMap<ClauseId, Chosen>,
        says_feasible: impl Fn(&Clause) -> bool,
    ) -> BTreeMap<ClauseId, At<Feasible>> {
        let catalogue = self.catalogue;
        let asking: BTreeSet<_> = catalogue
            .clauses()
            .filter(|clause| chosen.contains_key(&clause.id) && says_feasible(clause))
            .map(|clause| &clause.id)
            .collect();
        let (mut told, mut all) = (BTreeSet::new(), BTreeMap::new());
        for (id, decision, decided) in self.each(given) {
            let line = decision.clause.line;
            if !asking.contains(&id) {
                let message = "no clause of the policy asks for it: leave the decision out";
                self.wrong((Code::FeasibleNeedless, DECISIONS), id.as_str(), Some(line), message);
            }
            if let (Some(holds), Some(decided)) = (&decision.holds, decided) {
                let value = Feasible { holds: holds.value, decided };
                all.insert(id.clone(), At { value, line });
            }
            told.insert(id);
        }
        for id in asking.into_iter().filter(|id| !told.contains(id)) {
            let message = "it holds `where feasible`: record what that means here, under [[feasible]]";
            self.wrong((Code::FeasibleUndecided, DECISIONS), id.as_str(), None, message);
        }
        all
    }

    /// Each decision of one kind whose clause there is, with what was decided if that is whole.
    fn each<'d>(&mut self, given: &'d [Decision]) -> Vec<(ClauseId, &'d Decision, Option<Decided>)> {
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        for decision in given {
            let (text, line) = (decision.clause.value.as_str(), decision.clause.line);
            let decided = self.decided(decision);
            let Some(id) = self.id(DECISIONS, text, line) else { continue };
            if !seen.insert(id.clone()) {
                let message = "it is decided twice: leave one out";
                self.wrong((Code::DecisionTwice, DECISIONS), text, Some(line), message);
                continue;
            }
            all.push((id, decision, decided));
        }
        all
    }

    fn decided(&mut self, decision: &Decision) -> Option<Decided> {
        let key = decision.clause.value.as_str();
        let reason = decision.reason.as_ref().and_then(|reason| {
            let is_short = reason.value.trim().chars().count() < MIN_REASON_CHARS;
            self.stated(key, reason, (Code::ReasonMissing, is_short, MAX_REASON_CHARS), || {
                format!("say why, in {MIN_REASON_CHARS} characters at least: `reason`")
            })
        });
        let by = decision.by.as_ref().and_then(|by| {
            self.stated(key, by, (Code::DeciderMissing, by.value.trim().is_empty(), MAX_LINE_CHARS), || {
                "say who decided it: `by`".to_owned()
            })
        });
        let date = self.day(DECISIONS, key, decision.date.as_ref());
        Some(Decided { reason: reason?, by: by?, date: date? })
    }

    /// A text of a decision, if it says something and can be published.
    fn stated(
        &mut self,
        key: &str,
        given: &At<String>,
        (code, is_missing, most_chars): (Code, bool, usize),
        remedy: impl Fn() -> String,
    ) -> Option<String> {
        let placeholder = Code::PlaceholderLeft;
        let fault = match self.guidance.fault(&given.value, most_chars) {
            // A reason that is to be filled in is none.
            Some((found, _)) if found == placeholder => Some((code, remedy())),
            _ if is_missing => Some((code, remedy())),
            fault => fault,
        };
        match fault {
            Some((code, why)) => {
                self.wrong((code, DECISIONS), key, Some(given.line), why);
                None
            }
            None => Some(given.value.trim().to_owned()),
        }
    }
}

/// A day of the calendar, as the instant at which it begins.
pub(crate) fn day(text: &str) -> Option<Timestamp> {
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_day.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten()
}
