//! From where and with which tool somebody acted: sealed beside the event, opened for who answers for the log, and that
//! it was opened is an event before it is.

use base::{Actor, EventId};
use keys::{KeyError, Subject};
use ledger::{Act, Activity, EventQuery, ObjectRef, OutcomeView};
use serde::Deserialize;

use crate::{Access, AccessError, Action, Principal, Resource, explained::succeeded};

/// From where somebody acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// Who.
    pub actor: Actor,
    /// From which address; none for a call that came over no network.
    pub address: Option<String>,
    /// With which tool, in its own words.
    pub tool: String,
}

#[derive(Deserialize)]
struct Plain {
    address: Option<String>,
    tool: String,
}

impl Access {
    /// Opens the source of an event. An operator's act.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] if there is no such event, or it came from nowhere, or its entry alone was taken back from
    /// a mirror; [`AccessError::Keys`] of [`KeyError::Destroyed`] if it was erased.
    pub async fn log_source(&self, by: &Principal, event: EventId) -> Result<EventSource, AccessError> {
        let (scope, decision) = self.operate(by, Action::LogSource, &Resource::new().id(event)).await?;
        let object = || ObjectRef::new("event", event);
        let found = self.0.store.sealed_source(event).await?;
        let Some((view, sealed)) = found else {
            let act = Act::refused(Activity::LogSourceRead, object(), "not-found", None);
            self.0.store.record_system(scope, act.decided_by(decision.policies())).await?;
            return Err(AccessError::NotFound("source of that event"));
        };
        let act = Act::new(Activity::LogSourceRead, object())
            .decided_by(decision.policies())
            .detail("actor", view.actor.to_string());
        self.0.store.record_system(scope, act).await?;
        let opened = self.0.keys.open_context(scope, &Subject::of(view.actor, view.time), &sealed).await;
        let opened = match opened {
            // Under the key that was destroyed, and there is another one by now.
            Err(KeyError::DoesNotOpen) if self.was_erased(view.actor).await? => {
                return Err(AccessError::Keys(KeyError::Destroyed));
            }
            opened => opened?,
        };
        let plain: Plain = serde_json::from_slice(opened.expose())
            .map_err(|_| AccessError::Internal("a sealed source is not JSON"))?;
        Ok(EventSource { actor: view.actor, address: plain.address, tool: plain.tool })
    }

    async fn was_erased(&self, actor: Actor) -> Result<bool, AccessError> {
        let erasures = EventQuery {
            activity: Some(Activity::SubjectErase.name().to_owned()),
            object: Some(actor.to_string()),
            ..succeeded()
        };
        let found = self.0.store.recorded(&erasures).await?;
        Ok(found.iter().any(|event| event.outcome == OutcomeView::Success))
    }
}
