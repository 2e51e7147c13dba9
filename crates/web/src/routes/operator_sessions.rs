//! Sessions that an operator has open in the console: looked at, and ended. For operators.

use access::OpenSession;
use axum::{Json, extract::State};
use base::{OperatorId, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::Path,
    problem::Problem,
    schema::{InstantText, OperatorIdText, SessionIdText},
};

/// A session of the console.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// Its id.
    #[schema(value_type = SessionIdText)]
    id: SessionId,
    /// How it began, such as `passkey` or `code`.
    method: String,
    /// When it began.
    #[schema(value_type = InstantText)]
    began_at: Timestamp,
    /// When its operator last proved who it is.
    #[schema(value_type = InstantText)]
    proved_at: Timestamp,
    /// When it was last in use, to within five minutes.
    #[schema(value_type = InstantText)]
    used_at: Timestamp,
    /// When it ends, at the latest.
    #[schema(value_type = InstantText)]
    ends_at: Timestamp,
}

/// Sessions that are open.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// The sessions, the newest first.
    items: Vec<SessionBody>,
}

/// That sessions are ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsEnded {
    /// How many there were.
    ended: u64,
}

impl From<OpenSession> for SessionBody {
    fn from(session: OpenSession) -> Self {
        Self {
            id: session.id,
            method: session.method,
            began_at: session.began,
            proved_at: session.proved,
            used_at: session.used,
            ends_at: session.ends,
        }
    }
}

/// Lists the sessions that an operator has open in the console.
#[utoipa::path(get, path = "/v1/operators/{operator}/sessions", operation_id = "list_operator_sessions",
    params(("operator" = OperatorIdText, Path)),
    responses((status = 200, description = "The sessions.", body = SessionList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(operator): Path<OperatorId>,
) -> Result<Json<SessionList>, Problem> {
    let person = app.access().operator_get(caller.principal(), operator).await?;
    Ok(Json(SessionList { items: person.sessions.into_iter().map(Into::into).collect() }))
}

/// Ends every session of an operator, at once on every server. Who can sign in can do so again.
#[utoipa::path(delete, path = "/v1/operators/{operator}/sessions", operation_id = "end_operator_sessions",
    params(("operator" = OperatorIdText, Path)),
    responses((status = 200, description = "Ended.", body = SessionsEnded)))]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    Path(operator): Path<OperatorId>,
) -> Result<Json<SessionsEnded>, Problem> {
    let ended = app.access().operator_sessions_end(caller.principal(), operator).await?;
    Ok(Json(SessionsEnded { ended: ended.into_inner() }))
}
