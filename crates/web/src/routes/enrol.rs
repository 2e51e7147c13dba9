//! Becoming an operator, with the secret of a link and a public key of one's own.

use access::{Enrolment, PublicKey};
use axum::{extract::State, http::StatusCode};
use base::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    App,
    caller::{call, throttled},
    extract::SignInJson,
    problem::Problem,
    request::RequestContext,
    routes::operators::OperatorBody,
    schema::PublicKeyText,
};

/// An enrolment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "secret": "enr_0123456789abcdefghjkmnpqrs", "name": "Ada Lovelace",
    "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
}))]
pub(crate) struct EnrolmentBody {
    /// The secret of the link: the part after `#`.
    #[schema(min_length = 1, max_length = 256)]
    secret: String,
    /// The name to be known by.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The public half of a key that was made for this; the other half stays where it was made.
    #[schema(value_type = PublicKeyText)]
    public_key: String,
}

/// Enrols an operator with a link that works once, for half an hour.
#[utoipa::path(post, path = "/v1/enrol", operation_id = "enrol", request_body = EnrolmentBody,
    responses((status = 201, description = "Enrolled.", body = OperatorBody)))]
pub(crate) async fn enrol(
    State(app): State<App>,
    context: RequestContext,
    SignInJson(body): SignInJson<EnrolmentBody>,
) -> Result<(StatusCode, axum::Json<OperatorBody>), Problem> {
    let secret = Secret::new(body.secret);
    let key = public_key("/public_key", &body.public_key)?;
    let enrolment = Enrolment { secret, key, name: body.name };
    match app.access().enrol(enrolment, &call(&context, "operators")).await {
        Ok(operator) => Ok((StatusCode::CREATED, axum::Json(operator.into_inner().into()))),
        Err(error) => {
            let retry = error.retry_after();
            Err(throttled(error.into(), retry))
        }
    }
}

/// A public key from its text.
pub(crate) fn public_key(field: &str, text: &str) -> Result<PublicKey, Problem> {
    PublicKey::parse(text).ok_or_else(|| {
        let detail = "expected an Ed25519 public key: 32 bytes in base64url without padding";
        Problem::invalid("invalid-field", field, detail)
    })
}
