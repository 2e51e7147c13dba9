//! Revoking an access token before its time (RFC 7009).

use axum::{
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use utoipa::ToSchema;

use crate::{App, caller::Caller, extract::Form, problem::Problem};

/// A revocation's form.
#[derive(ToSchema)]
#[schema(example = json!({"token": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"}))]
#[expect(dead_code, reason = "only describes the form; its pairs are taken one by one")]
pub(crate) struct RevocationForm {
    /// The token.
    token: String,
    /// `access_token`; there is no other kind.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
}

/// Revokes an access token of the caller's own, at once on every server. A token that is not valid any
/// more needs no revocation, and is answered in the same way.
#[utoipa::path(post, path = "/v1/token/revoke", operation_id = "revoke_token",
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204, description = "It is not valid any more.")))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Form(mut pairs) = Form::from_request(request, &app).await?;
    let token = pairs.take_secret("token");
    let token =
        token.ok_or_else(|| Problem::invalid("missing-parameter", "token", "the token is missing"))?;
    app.access().revoke(caller.principal(), token.expose()).await?;
    Ok(StatusCode::NO_CONTENT)
}
