//! From where those who act did so: opened for who answers for the log, and erased for good. For operators.

use access::SubjectErasure;
use axum::{Json, extract::State};
use base::{Actor, EventId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::Path,
    problem::Problem,
    schema::{EventIdText, InstantText, SubjectText},
};

/// From where somebody acted.
#[derive(Serialize, ToSchema)]
pub(crate) struct SourceBody {
    /// The event.
    #[schema(value_type = EventIdText)]
    event: EventId,
    /// Who acted: an id, or `anonymous`.
    actor: String,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    address: Option<String>,
    /// With which tool, in its own words.
    tool: String,
}

/// An erasure, and its receipt.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureBody {
    /// Who acted.
    #[schema(value_type = SubjectText)]
    subject: String,
    /// Whether there was a key to destroy.
    had_key: bool,
    /// When it was gone.
    #[schema(value_type = InstantText)]
    erased_at: Timestamp,
    /// The event that says so.
    #[schema(value_type = EventIdText)]
    event: EventId,
    /// The receipt: a signed note, which `tenet verify-certificate` verifies offline.
    receipt: String,
}

/// Opens from where and with which tool somebody acted. That it was opened is an event.
#[utoipa::path(get, path = "/v1/log/events/{event}/source", operation_id = "read_event_source",
    params(("event" = EventIdText, Path)),
    responses((status = 200, description = "The source.", body = SourceBody)))]
pub(crate) async fn source(
    State(app): State<App>,
    caller: Caller,
    Path(event): Path<EventId>,
) -> Result<Json<SourceBody>, Problem> {
    let found = app.access().log_source(caller.principal(), event).await?;
    Ok(Json(SourceBody { event, actor: found.actor.to_string(), address: found.address, tool: found.tool }))
}

/// Erases from where a client or an operator acted up to now: the key of it is destroyed. The log stays as it is, and
/// verifies. Nobody erases their own trail; a second person reviews it.
#[utoipa::path(post, path = "/v1/subjects/{subject}/erase", operation_id = "erase_subject",
    params(("subject" = SubjectText, Path)),
    responses((status = 200, description = "Erased.", body = ErasureBody)))]
pub(crate) async fn erase(
    State(app): State<App>,
    caller: Caller,
    Path(subject): Path<Actor>,
) -> Result<Json<ErasureBody>, Problem> {
    let done = app.access().subject_erase(caller.principal(), subject).await?;
    let receipt = receipt(&app, &done)?;
    let SubjectErasure { subject, had_key, erased_at, event, .. } = done;
    Ok(Json(ErasureBody { subject, had_key, erased_at, event, receipt }))
}

fn receipt(app: &App, done: &SubjectErasure) -> Result<String, Problem> {
    let json = serde_json::to_string(done).map_err(|error| Problem::internal(error.to_string()))?;
    ledger::sign_statement(app.signer(), &json).map_err(|error| Problem::internal(error.to_string()))
}
