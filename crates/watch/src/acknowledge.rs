//! Members of staff acknowledge a version: bound to its hash. Of a new one they are asked again only for the clauses that
//! they have not acknowledged as they read now.

use std::collections::{BTreeMap, BTreeSet};

use access::{Action, Principal, Resource};
use base::Timestamp;
use ledger::{Act, Activity, EventView, ObjectRef, OutcomeView};
use policy::{ClauseId, Manifest};
use serde::{Deserialize, Serialize};
use store::SystemScope;

use crate::{Acknowledgement, Adoption, Version, Watch, WatchError, about, propose::NOUN};

/// What somebody is asked to acknowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Who.
    pub who: String,
    /// When they were enrolled.
    pub since: Timestamp,
    /// The clauses that they have not acknowledged as they read now. Empty: nothing is asked.
    pub clauses: Vec<ClauseId>,
}

/// Who is asked to acknowledge a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outstanding {
    /// Everybody who is a member of staff, those of whom nothing is asked too.
    pub people: Vec<Asked>,
}

impl Outstanding {
    /// Of everybody, what is not acknowledged as `now` reads; `acknowledged` has the manifests of each version.
    pub fn of(
        staff: &BTreeMap<String, Timestamp>,
        adoption: &Adoption,
        manifests: &BTreeMap<u32, Manifest>,
        now: &Manifest,
    ) -> Self {
        let person = |(who, since): (&String, &Timestamp)| {
            let mut known: BTreeSet<(&ClauseId, &str)> = BTreeSet::new();
            for version in adoption.acknowledged_by(who) {
                let clauses = manifests.get(&version).map(|manifest| manifest.clauses.iter());
                known.extend(clauses.into_iter().flatten().map(|one| (&one.clause, one.sha256.as_str())));
            }
            let is_new = |one: &&policy::ClauseHash| !known.contains(&(&one.clause, one.sha256.as_str()));
            let clauses = now.clauses.iter().filter(is_new).map(|one| one.clause.clone()).collect();
            Asked { who: who.clone(), since: *since, clauses }
        };
        Self { people: staff.iter().map(person).collect() }
    }

    /// Of whom something is asked.
    pub fn waiting(&self) -> impl Iterator<Item = &Asked> {
        self.people.iter().filter(|one| !one.clauses.is_empty())
    }
}

/// The members of staff then: operators who were enrolled and not revoked, by when they were.
pub fn staff<'a>(
    events: impl IntoIterator<Item = &'a EventView>,
    until: Timestamp,
) -> BTreeMap<String, Timestamp> {
    let mut all = BTreeMap::new();
    let done = |event: &&EventView| event.time <= until && event.outcome == OutcomeView::Success;
    for event in events.into_iter().filter(done) {
        match Activity::from_name(&event.activity) {
            // Whose access has ended by itself is no member of staff any more.
            Some(Activity::OperatorEnrol) => {
                let ends = event.text("ends").and_then(|text| text.parse::<Timestamp>().ok());
                // Whoever governs a customer's account works for the customer.
                let is_staff = event.text("role") != Some("customer");
                if is_staff && ends.is_none_or(|ends| until < ends) {
                    all.insert(event.object.id.clone(), event.time);
                }
            }
            Some(Activity::OperatorRevoke) => {
                all.remove(&event.object.id);
            }
            _ => {}
        }
    }
    all
}

impl Watch {
    /// The members of staff then.
    pub async fn staff(&self, until: Timestamp) -> Result<BTreeMap<String, Timestamp>, WatchError> {
        let mut events = self.0.store.recorded(&about(Activity::OperatorEnrol.name(), until)).await?;
        events.extend(self.0.store.recorded(&about(Activity::OperatorRevoke.name(), until)).await?);
        Ok(staff(&events, until))
    }

    /// Of everybody, what is not acknowledged of a version, of what happened until then.
    pub async fn outstanding(
        &self,
        scope: &SystemScope,
        adoption: &Adoption,
        version: &Version,
        until: Timestamp,
    ) -> Result<Outstanding, WatchError> {
        let mut manifests = BTreeMap::new();
        let wanted: BTreeSet<u32> = adoption.acknowledgements.iter().map(|one| one.version).collect();
        for number in wanted {
            if let Some(one) = adoption.versions.get(&number) {
                match self.content(scope, one).await {
                    Ok(content) => {
                        manifests.insert(number, content.document.manifest());
                    }
                    // An old version that was damaged is one that nobody acknowledged; it stops no new one.
                    Err(WatchError::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let now = self.content(scope, version).await?.document.manifest();
        Ok(Outstanding::of(&self.staff(until).await?, adoption, &manifests, &now))
    }

    /// Acknowledges an adopted version, which must have the hash that is given. An operator's own act, once.
    ///
    /// # Errors
    /// [`WatchError::NotFound`], [`WatchError::NotAdopted`], [`WatchError::Changed`], [`WatchError::DoneAlready`].
    pub async fn acknowledge(
        &self,
        by: &Principal,
        number: u32,
        sha256: &str,
    ) -> Result<Acknowledgement, WatchError> {
        let resource = Resource::new().id(number);
        let (scope, decision) = self.0.access.operate(by, Action::PolicyAcknowledge, &resource).await?;
        let object = || ObjectRef::new(NOUN, number);
        let me = scope.actor().to_string();
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let refusal = match adoption.versions.get(&number) {
            None => Some(("not-found", WatchError::NotFound("version"))),
            Some(one) if one.adopted_at.is_none() => {
                Some(("not-adopted", WatchError::NotAdopted { version: number }))
            }
            Some(one) if one.sha256 != sha256 => {
                Some(("version-changed", WatchError::Changed { version: number }))
            }
            Some(_) if adoption.acknowledged_by(&me).contains(&number) => {
                Some(("done-already", WatchError::DoneAlready))
            }
            Some(_) => None,
        };
        if let Some((reason, error)) = refusal {
            let act = Act::refused(Activity::PolicyAcknowledge, object(), reason, Some("PD-2"));
            self.0.store.record_system(scope, act).await?;
            return Err(error);
        }
        let act = Act::new(Activity::PolicyAcknowledge, object())
            .decided_by(decision.policies())
            .detail("sha256", sha256);
        self.0.store.record_system(scope, act).await?;
        Ok(Acknowledgement { version: number, sha256: sha256.to_owned(), by: me, at: now })
    }
}
