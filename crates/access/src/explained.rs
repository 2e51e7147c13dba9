//! An operator whom no event explains is none (RR-5). Whoever can write to the database could make a row in `operator`, or
//! raise its role; only what the log says of it counts. So a new administrator is in the log, at the witness and before
//! whoever watches there, or has no power.

use std::{collections::HashMap, sync::Mutex};

use base::{Duration, OperatorId};
use ledger::{Act, Activity, DetailValue, EventQuery, EventView, ObjectRef, OutcomeView};

use crate::{Access, AccessError, Role};

/// How long what the log said is taken for true: a revocation that somebody undid in the database ends by then.
const LIFE: Duration = Duration::from_seconds(60);
/// Most operators that are remembered.
const MAX_REMEMBERED: usize = 1_024;

/// What the log says of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// The role that it was enrolled with.
    pub(crate) role: Role,
    /// The thumbprint of the key that it enrolled.
    pub(crate) key: String,
}

/// What the log said of late: when it was asked, by the clock that nobody sets, and the answer.
#[derive(Debug, Default)]
pub(crate) struct Explained(Mutex<HashMap<OperatorId, (Duration, Option<Made>)>>);

impl Access {
    /// What made that operator, and has not been undone; none if nothing in the log did. The first time that nothing is
    /// found is an event.
    pub(crate) async fn made(&self, operator: OperatorId) -> Result<Option<Made>, AccessError> {
        let now = self.0.context.elapsed();
        let known = self.explained().get(&operator).cloned();
        if let Some((at, made)) = known
            && now < at + LIFE
        {
            return Ok(made);
        }
        let about = EventQuery {
            activity: Some("operator".to_owned()),
            object: Some(operator.to_string()),
            ..EventQuery::default()
        };
        let made = fold(&self.0.store.recorded(&about).await?);
        if made.is_none() {
            let act = Act::new(Activity::IntegrityViolation, ObjectRef::new("operator", operator))
                .detail("why", "no event explains this operator");
            self.0.store.record_system(&self.0.reader, act).await?;
        }
        let mut explained = self.explained();
        if explained.len() >= MAX_REMEMBERED {
            explained.clear();
        }
        explained.insert(operator, (now, made.clone()));
        Ok(made)
    }

    /// Forgets what the log said of an operator: it has said more since.
    pub(crate) fn forget_made(&self, operator: OperatorId) {
        self.explained().remove(&operator);
    }

    fn explained(&self) -> std::sync::MutexGuard<'_, HashMap<OperatorId, (Duration, Option<Made>)>> {
        // Answers of the log, each whole: a panic elsewhere spoils none.
        self.0.explained.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Enrolled once, with this role and key, and not revoked.
fn fold(events: &[EventView]) -> Option<Made> {
    let done = |event: &&EventView| event.outcome == OutcomeView::Success;
    let of = |name: Activity| events.iter().filter(done).filter(move |event| event.activity == name.name());
    if of(Activity::OperatorRevoke).next().is_some() {
        return None;
    }
    let enrolled = of(Activity::OperatorEnrol).next()?;
    let text = |wanted: &str| {
        enrolled.details.iter().find_map(|(name, value)| match value {
            DetailValue::Text(text) if name == wanted => Some(text.clone()),
            _ => None,
        })
    };
    Some(Made { role: Role::from_word(&text("role")?)?, key: text("key")? })
}
