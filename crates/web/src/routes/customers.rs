//! Who governs a customer's account: inviting them, and listing them. For operators.

use axum::{Json, extract::State, http::StatusCode};
use base::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Path},
    problem::Problem,
    routes::operators::{LinkBody, OperatorBody},
    schema::{AccountIdText, InstantText},
};

/// An invitation to govern an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub(crate) struct CustomerInvitationBody {
    /// When the access of whoever uses it ends by itself. It does not if left out.
    #[serde(default)]
    #[schema(nullable, required = false, value_type = Option<InstantText>)]
    access_ends_at: Option<Timestamp>,
}

/// Who governs an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerList {
    /// Its administrators, in the order in which they enrolled.
    items: Vec<OperatorBody>,
}

/// Invites somebody of a customer to govern the customer's account, and nothing else.
#[utoipa::path(post, path = "/v1/accounts/{account}/links", operation_id = "invite_customer",
    params(("account" = AccountIdText, Path)), request_body = CustomerInvitationBody,
    responses((status = 201, description = "The link.", body = LinkBody)))]
pub(crate) async fn invite(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
    Body(body): Body<CustomerInvitationBody>,
) -> Result<(StatusCode, Json<LinkBody>), Problem> {
    let link = app.access().customer_invite(caller.principal(), account, body.access_ends_at).await?;
    Ok((StatusCode::CREATED, Json(link.into_inner().into())))
}

/// Lists who governs an account, those revoked too.
#[utoipa::path(get, path = "/v1/accounts/{account}/people", operation_id = "list_customers",
    params(("account" = AccountIdText, Path)),
    responses((status = 200, description = "All of them.", body = CustomerList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
) -> Result<Json<CustomerList>, Problem> {
    let people = app.access().customer_list(caller.principal(), account).await?;
    Ok(Json(CustomerList { items: people.into_iter().map(Into::into).collect() }))
}
