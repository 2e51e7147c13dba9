//! Exceptions: somebody answers, until a day, for a clause that is not held or does not apply. A second person reviews each.

use access::{Action, Principal, Resource};
use base::{Duration, EventId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use policy::{ClauseId, Exception};
use store::Committed;

use crate::{Watch, WatchError, about, events, line};

/// The longest that an exception holds.
const LONGEST: Duration = Duration::from_days(366);

/// What is to be excepted.
#[derive(Clone, Debug)]
pub struct NewException {
    /// Which clause.
    pub clause: String,
    /// Whether it does not apply; otherwise it is not held for now.
    pub not_applicable: bool,
    /// Why.
    pub reason: String,
    /// Who answers for it: an operator's id.
    pub owner: String,
    /// Until when.
    pub until: Timestamp,
}

impl Watch {
    /// Every exception, of what happened until then.
    pub async fn exceptions(&self, until: Timestamp) -> Result<Vec<Exception>, WatchError> {
        let mut events = self.0.store.recorded(&about("exception", until)).await?;
        if !events.is_empty() {
            events.extend(self.0.store.recorded(&about(Activity::ReviewObject.name(), until)).await?);
        }
        Ok(events::exceptions(&events, until))
    }

    /// Sets an exception. An operator's act, which another one reviews.
    ///
    /// # Errors
    /// [`WatchError::NotFound`] of a clause or owner that is not there; [`WatchError::Invalid`].
    pub async fn except(
        &self,
        by: &Principal,
        given: &NewException,
    ) -> Result<Committed<Exception>, WatchError> {
        let resource = Resource::new().id(&given.clause);
        let (scope, decision) = self.0.access.operate(by, Action::ExceptionSet, &resource).await?;
        let now = self.now();
        let clause = match self.exceptable(given, now).await {
            Ok(clause) => clause,
            Err(error) => {
                let reason = base::Fault::code(&error);
                let object = ObjectRef::new("clause", &given.clause);
                let act = Act::refused(Activity::ExceptionSet, object, reason, None);
                self.0.store.record_system(scope, act).await?;
                return Err(error);
            }
        };
        let act = Act::new(Activity::ExceptionSet, ObjectRef::new("clause", &clause))
            .decided_by(decision.policies())
            .detail("kind", if given.not_applicable { "not-applicable" } else { "exception" })
            .detail("reason", given.reason.clone())
            .detail("owner", given.owner.clone())
            .detail("until", given.until.to_string());
        let tx = self.0.store.system(scope).await?;
        let done = tx.commit((), act).await?;
        let set = Exception {
            event: done.event_id().to_string(),
            clause,
            not_applicable: given.not_applicable,
            reason: given.reason.clone(),
            owner: given.owner.clone(),
            by: scope.actor().to_string(),
            from: now,
            until: given.until,
            ended: None,
        };
        Ok(done.map(|()| set))
    }

    async fn exceptable(&self, given: &NewException, now: Timestamp) -> Result<ClauseId, WatchError> {
        let clause: Option<ClauseId> = given.clause.parse().ok();
        let clause = clause.filter(|id| self.0.catalogue.clause(id).is_some());
        let clause = clause.ok_or(WatchError::NotFound("clause"))?;
        line("reason", &given.reason)?;
        if given.until <= now || given.until > now.plus(LONGEST) {
            let reason = "expected a day to come, at most 366 days from now";
            return Err(WatchError::Invalid { field: "until", reason });
        }
        if !self.staff(now).await?.contains_key(&given.owner) {
            return Err(WatchError::NotFound(
                "operator: give the owner's id, as `tenet operator list` shows it",
            ));
        }
        Ok(clause)
    }

    /// Ends an exception before its day. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`] if none of that id is in force.
    pub async fn end_exception(
        &self,
        by: &Principal,
        id: EventId,
    ) -> Result<Committed<Exception>, WatchError> {
        let (scope, decision) =
            self.0.access.operate(by, Action::ExceptionEnd, &Resource::new().id(id)).await?;
        let now = self.now();
        let wanted = id.to_string();
        let found =
            self.exceptions(now).await?.into_iter().find(|one| one.event == wanted && one.is_in_force(now));
        let Some(mut found) = found else {
            let act =
                Act::refused(Activity::ExceptionEnd, ObjectRef::new("exception", id), "not-found", None);
            self.0.store.record_system(scope, act).await?;
            return Err(WatchError::NotFound("exception in force"));
        };
        let act = Act::new(Activity::ExceptionEnd, ObjectRef::new("exception", id))
            .decided_by(decision.policies())
            .detail("clause", found.clause.to_string());
        let tx = self.0.store.system(scope).await?;
        found.ended = Some(now);
        Ok(tx.commit(found, act).await?)
    }
}
