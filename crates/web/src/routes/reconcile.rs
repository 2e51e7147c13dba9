//! Having what is stored held against the log, now. For operators. What comes of it are events, which name the check.

use axum::{Json, extract::State, http::StatusCode};
use base::JobId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, caller::Caller, problem::Problem, schema::JobIdText};

/// A check that was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckStarted {
    /// Its id: `check` in the event `log.reconcile`, which says that it is done, and in an `integrity.violation` for each
    /// row that no event explains.
    #[schema(value_type = JobIdText)]
    check: JobId,
}

/// Holds every protected row against the log: accounts, clients, operators, reviews, repositories, records and their
/// versions, objects, holds, certificates. Search the log's events for the check's id to see what it found.
#[utoipa::path(post, path = "/v1/log/reconcile", operation_id = "reconcile_log",
    responses((status = 202, description = "Begun.", body = CheckStarted)))]
pub(crate) async fn start(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, Json<CheckStarted>), Problem> {
    let check = app.access().log_reconcile(caller.principal()).await?.into_inner();
    Ok((StatusCode::ACCEPTED, Json(CheckStarted { check })))
}
