//! Safeguards: settings that keep the record of what is done, such as the witnesses or the heartbeat (AO-1). Making one
//! stronger is an event. Making one weaker, or switching it off, is an alarm, and no administrative act that gives
//! something goes on until two operators have approved just that, or the setting is what it was.
//!
//! What was accepted is what the log says, not a row that somebody could change: `safeguard.set` at a start,
//! `safeguard.approve` by an operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use base::Actor;
use ledger::{Act, Activity, EventQuery, EventView, ObjectRef, OutcomeView};
use serde::Serialize;
use store::SystemScope;

use crate::{Access, AccessError, Action, Principal, Resource, explained::succeeded};

/// How many operators approve what weakens a safeguard.
pub const APPROVALS: usize = 2;
const NOUN: &str = "safeguard";

/// A setting as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safeguard {
    /// The setting's key, such as `ledger.heartbeat`.
    pub name: &'static str,
    /// Its value, for people. No secret.
    pub value: String,
    /// How strong it is: more is stronger.
    pub strength: i64,
    /// Whether another value of the same strength is as good. Other witnesses are not.
    pub exchangeable: bool,
}

/// A safeguard, and what was accepted of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SafeguardState {
    /// The setting's key.
    pub name: &'static str,
    /// Its value now.
    pub value: String,
    /// The value that was accepted last.
    pub accepted: String,
    /// Whether it is weaker than what was accepted, and waits for approval.
    pub weakened: bool,
    /// The operators who approved the value as it is now.
    pub approved_by: Vec<String>,
}

/// The settings that this server runs with.
#[derive(Debug, Default)]
pub(crate) struct Safeguards {
    now: RwLock<Arc<Vec<Safeguard>>>,
    /// Whether one was weaker when it was looked at last: only then is the log asked at each act.
    weakened: std::sync::atomic::AtomicBool,
}

impl Safeguards {
    fn now(&self) -> Arc<Vec<Safeguard>> {
        Arc::clone(&self.now.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What the log says of one.
#[derive(Clone, Debug, Default)]
struct Accepted {
    value: String,
    strength: i64,
    /// The value that is told to be weaker, and who approved it.
    waiting: Option<(String, i64, BTreeSet<String>)>,
}

fn fold(events: &[EventView]) -> BTreeMap<String, Accepted> {
    let mut all: BTreeMap<String, Accepted> = BTreeMap::new();
    for event in events.iter().filter(|event| event.outcome == OutcomeView::Success) {
        let Some(value) = event.text("value") else { continue };
        let one = all.entry(event.object.id.clone()).or_default();
        match Activity::from_name(&event.activity) {
            Some(Activity::SafeguardSet) => {
                let strength = event.number("strength").unwrap_or(i64::MAX);
                *one = Accepted { value: value.to_owned(), strength, waiting: None };
            }
            Some(Activity::SafeguardWeaken) => {
                let strength = event.number("strength").unwrap_or(i64::MIN);
                one.waiting = Some((value.to_owned(), strength, BTreeSet::new()));
            }
            Some(Activity::SafeguardApprove) => {
                let Some((waiting, strength, by)) = &mut one.waiting else { continue };
                if waiting != value || !matches!(event.actor, Actor::Operator(_)) {
                    continue;
                }
                by.insert(event.actor.to_string());
                if by.len() >= APPROVALS {
                    *one = Accepted { value: value.to_owned(), strength: *strength, waiting: None };
                }
            }
            _ => {}
        }
    }
    all
}

fn is_weaker(now: &Safeguard, accepted: &Accepted) -> bool {
    now.strength < accepted.strength
        || (!now.exchangeable && accepted.strength > 0 && now.value != accepted.value)
}

impl Access {
    async fn accepted(&self) -> Result<BTreeMap<String, Accepted>, AccessError> {
        let about = EventQuery { activity: Some(NOUN.to_owned()), ..succeeded() };
        Ok(fold(&self.0.store.recorded(&about).await?))
    }

    /// Compares the settings that this server starts with with what was accepted, and says what differs: a weaker one is
    /// an alarm, and waits. The names of those that do.
    pub async fn safeguards_at_start(
        &self,
        scope: &SystemScope,
        now: Vec<Safeguard>,
    ) -> Result<Vec<&'static str>, AccessError> {
        let accepted = self.accepted().await?;
        let mut acts = Vec::new();
        let mut weaker = Vec::new();
        for one in &now {
            let act = |activity| {
                Act::new(activity, ObjectRef::new(NOUN, one.name))
                    .detail("value", one.value.clone())
                    .detail("strength", one.strength)
            };
            match accepted.get(one.name) {
                Some(known) if is_weaker(one, known) => {
                    weaker.push(one.name);
                    // Said once, however often it starts.
                    if known.waiting.as_ref().is_none_or(|(value, _, _)| *value != one.value) {
                        acts.push(act(Activity::SafeguardWeaken).detail("accepted", known.value.clone()));
                    }
                }
                Some(known) if known.value == one.value && known.waiting.is_none() => {}
                _ => acts.push(act(Activity::SafeguardSet)),
            }
        }
        if !acts.is_empty() {
            let tx = self.0.store.system(scope).await?;
            tx.commit_all((), acts).await?.into_inner();
        }
        let held = &self.0.safeguards;
        *held.now.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(now);
        held.weakened.store(!weaker.is_empty(), std::sync::atomic::Ordering::Release);
        Ok(weaker)
    }

    /// Whether a safeguard is weaker than what was accepted.
    pub(crate) async fn is_weakened(&self) -> Result<bool, AccessError> {
        let held = &self.0.safeguards;
        if !held.weakened.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(false);
        }
        let accepted = self.accepted().await?;
        let weaker =
            held.now().iter().any(|one| accepted.get(one.name).is_some_and(|known| is_weaker(one, known)));
        held.weakened.store(weaker, std::sync::atomic::Ordering::Release);
        Ok(weaker)
    }

    /// How many safeguards this server runs with, and which of them are weaker than what was accepted.
    pub async fn safeguards_weak(&self) -> Result<(usize, Vec<&'static str>), AccessError> {
        let states = self.states().await?;
        let weak = states.iter().filter(|one| one.weakened).map(|one| one.name).collect();
        Ok((states.len(), weak))
    }

    /// The safeguards as this server runs with them, and what was accepted of each. An operator's act.
    pub async fn safeguard_list(&self, by: &Principal) -> Result<Vec<SafeguardState>, AccessError> {
        let (scope, decision) = self.operate(by, Action::SafeguardList, &Resource::new()).await?;
        let found = self.states().await?;
        let act = Act::new(Activity::SafeguardList, ObjectRef::new("safeguards", "-"))
            .decided_by(decision.policies())
            .detail("count", found.len());
        self.0.store.record_system(scope, act).await?;
        Ok(found)
    }

    async fn states(&self) -> Result<Vec<SafeguardState>, AccessError> {
        let accepted = self.accepted().await?;
        let state = |one: &Safeguard| {
            let known = accepted.get(one.name).cloned().unwrap_or_default();
            let weakened = is_weaker(one, &known);
            let approved_by = match &known.waiting {
                Some((value, _, by)) if weakened && *value == one.value => by.iter().cloned().collect(),
                _ => Vec::new(),
            };
            SafeguardState {
                name: one.name,
                value: one.value.clone(),
                accepted: known.value,
                weakened,
                approved_by,
            }
        };
        Ok(self.0.safeguards.now().iter().map(state).collect())
    }

    /// Approves a safeguard's weaker value, which must be the one that is given: what was approved is not something else
    /// by then. The second operator's approval makes it accepted. An operator's act, once each.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if that safeguard is not weaker than what was accepted, or its value another;
    /// [`AccessError::ApprovedAlready`].
    pub async fn safeguard_approve(
        &self,
        by: &Principal,
        name: &str,
        value: &str,
    ) -> Result<SafeguardState, AccessError> {
        let (scope, decision) = self.operate(by, Action::SafeguardApprove, &Resource::new().id(name)).await?;
        let me = scope.actor().to_string();
        let states = self.states().await?;
        let found = states.into_iter().find(|one| one.name == name && one.weakened && one.value == value);
        let refused = |reason| {
            Act::refused(Activity::SafeguardApprove, ObjectRef::new(NOUN, name), reason, Some("AO-1"))
        };
        let Some(state) = found else {
            self.0.store.record_system(scope, refused("not-found")).await?;
            return Err(AccessError::NotFound("safeguard that waits with that value"));
        };
        if state.approved_by.contains(&me) {
            self.0.store.record_system(scope, refused("approved-already")).await?;
            return Err(AccessError::ApprovedAlready);
        }
        let act = Act::new(Activity::SafeguardApprove, ObjectRef::new(NOUN, state.name))
            .decided_by(decision.policies())
            .detail("value", state.value.clone());
        self.0.store.record_system(scope, act).await?;
        let after = self.states().await?.into_iter().find(|one| one.name == state.name);
        after.ok_or(AccessError::Internal("a safeguard that is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str, strength: i64, exchangeable: bool) -> Safeguard {
        Safeguard { name: "a.b", value: value.into(), strength, exchangeable }
    }

    #[test]
    fn weaker_is_less_or_another_where_another_is_not_as_good() {
        let known = |value: &str, strength| Accepted { value: value.into(), strength, waiting: None };
        assert!(is_weaker(&one("60s", -60, true), &known("30s", -30)));
        assert!(!is_weaker(&one("30s", -30, true), &known("60s", -60)));
        assert!(!is_weaker(&one("b", 1, true), &known("a", 1)));
        assert!(is_weaker(&one("b", 1, false), &known("a", 1)));
        assert!(!is_weaker(&one("a", 1, false), &known("a", 1)));
        // There were none before: any are stronger.
        assert!(!is_weaker(&one("a", 1, false), &known("none", 0)));
        assert!(is_weaker(&one("none", 0, false), &known("a", 1)));
    }
}
