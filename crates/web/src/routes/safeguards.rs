//! Safeguards: settings that keep the record of what is done. For operators.

use access::SafeguardState;
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Path},
    problem::Problem,
    schema::OperatorIdText,
};

/// A safeguard, and what was accepted of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Safeguard)]
pub(crate) struct SafeguardBody {
    /// The setting's key.
    #[schema(example = "ledger.heartbeat")]
    name: &'static str,
    /// Its value, as this server runs with it.
    value: String,
    /// The value that was accepted last.
    accepted: String,
    /// Whether it is weaker than that: administrative acts that give something wait until two operators have approved.
    weakened: bool,
    /// Who approved the value as it is now.
    #[schema(value_type = Vec<OperatorIdText>)]
    approved_by: Vec<String>,
}

impl From<SafeguardState> for SafeguardBody {
    fn from(state: SafeguardState) -> Self {
        let SafeguardState { name, value, accepted, weakened, approved_by } = state;
        Self { name, value, accepted, weakened, approved_by }
    }
}

/// The safeguards.
#[derive(Serialize, ToSchema)]
pub(crate) struct SafeguardList {
    /// All of them.
    items: Vec<SafeguardBody>,
}

/// What is approved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "1 minute"}))]
pub(crate) struct ApprovalBody {
    /// The value that the safeguard has now.
    #[schema(max_length = 256)]
    value: String,
}

/// Lists the safeguards, as this server runs with them.
#[utoipa::path(get, path = "/v1/safeguards", operation_id = "list_safeguards",
    responses((status = 200, description = "The safeguards.", body = SafeguardList)))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<SafeguardList>, Problem> {
    let found = app.access().safeguard_list(caller.principal()).await?;
    Ok(Json(SafeguardList { items: found.into_iter().map(Into::into).collect() }))
}

/// Approves that a safeguard is weaker than it was. Two operators do, or the setting goes back to what it was.
#[utoipa::path(post, path = "/v1/safeguards/{safeguard}/approve", operation_id = "approve_safeguard",
    request_body = ApprovalBody,
    params(("safeguard" = String, Path, min_length = 1, max_length = 64, description = "The setting's key.")),
    responses((status = 200, description = "Approved.", body = SafeguardBody)))]
pub(crate) async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<Name>,
    Body(body): Body<ApprovalBody>,
) -> Result<Json<SafeguardBody>, Problem> {
    let done = app.access().safeguard_approve(caller.principal(), &name.0, &body.value).await?;
    Ok(Json(done.into()))
}

/// A setting's key in a path.
pub(crate) struct Name(String);

impl crate::extract::PathParameter for Name {
    fn parse(text: &str) -> Result<Self, String> {
        let is_part =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(is_part) {
            return Err("expected the key of a setting, such as `ledger.heartbeat`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}
