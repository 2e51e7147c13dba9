//! Opening the console from the command line. For operators.

use axum::{Json, extract::State, http::StatusCode};
use base::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, caller::Caller, problem::Problem, schema::InstantText};

/// A code that opens the console once. This is the only time that it is seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsoleCode {
    /// The code: what stands behind `#` in the address of `/sign-in`.
    code: String,
    /// Until when it works.
    #[schema(value_type = InstantText)]
    expires_at: Timestamp,
}

/// Makes a code that opens the console as the caller, once, within two minutes.
#[utoipa::path(post, path = "/v1/console/codes", operation_id = "open_console",
    responses((status = 201, description = "The code.", body = ConsoleCode)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, Json<ConsoleCode>), Problem> {
    let made = app.access().session_code(caller.principal()).await?;
    let body = ConsoleCode { code: made.code.expose().clone(), expires_at: made.expires };
    Ok((StatusCode::CREATED, Json(body)))
}
