//! Accounts: making, listing, suspending and resuming them. For operators. No route for customers names
//! an account: theirs is in the token.

use access::Account;
use axum::{Json, extract::State, http::StatusCode};
use base::{AccountId, Timestamp, kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Path, Query},
    problem::Problem,
    routes::page::After,
    schema::{AccountIdText, InstantText},
};

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountBody {
    /// Its id.
    #[schema(value_type = AccountIdText)]
    id: AccountId,
    /// Its name, unique.
    name: String,
    /// When it was made.
    #[schema(value_type = InstantText)]
    created_at: Timestamp,
    /// Since when it is suspended, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    suspended_at: Option<Timestamp>,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_at: account.created,
            suspended_at: account.suspended,
        }
    }
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Ltd."}))]
pub(crate) struct NewAccountBody {
    /// Its name: letters and digits of any script, and spaces and `. _ - ' & @ ,` within.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountList {
    /// The accounts, in the order in which they were made.
    items: Vec<AccountBody>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = AccountIdText)]
    next: Option<AccountId>,
}

/// Makes an account, with its keys.
#[utoipa::path(post, path = "/v1/accounts", operation_id = "create_account", request_body = NewAccountBody,
    responses((status = 201, description = "Made.", body = AccountBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NewAccountBody>,
) -> Result<(StatusCode, Json<AccountBody>), Problem> {
    let made = app.access().account_create(caller.principal(), &body.name).await?;
    Ok((StatusCode::CREATED, Json(made.into_inner().into())))
}

/// Lists the accounts.
#[utoipa::path(get, path = "/v1/accounts", operation_id = "list_accounts",
    params(
        ("after" = inline(Option<AccountIdText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = AccountList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<After<kinds::Account>>,
) -> Result<Json<AccountList>, Problem> {
    let found = app.access().account_list(caller.principal(), page.after, page.limit).await?;
    Ok(Json(AccountList { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Suspends an account: its clients get no token, and those that are out are refused, at once.
#[utoipa::path(post, path = "/v1/accounts/{account}/suspend", operation_id = "suspend_account",
    params(("account" = AccountIdText, Path)),
    responses((status = 200, description = "Suspended.", body = AccountBody)))]
pub(crate) async fn suspend(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
) -> Result<Json<AccountBody>, Problem> {
    let changed = app.access().account_suspend(caller.principal(), account).await?;
    Ok(Json(changed.into_inner().into()))
}

/// Resumes a suspended account.
#[utoipa::path(post, path = "/v1/accounts/{account}/resume", operation_id = "resume_account",
    params(("account" = AccountIdText, Path)),
    responses((status = 200, description = "Resumed.", body = AccountBody)))]
pub(crate) async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
) -> Result<Json<AccountBody>, Problem> {
    let changed = app.access().account_resume(caller.principal(), account).await?;
    Ok(Json(changed.into_inner().into()))
}
