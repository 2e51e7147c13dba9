//! Clients: the applications of customers. Operators register, list and revoke them.

use access::{Client, NewClient, NewCredential, Resource, ScopeSet};
use axum::{Json, extract::State, http::StatusCode};
use base::{AccountId, ClientId, Timestamp, kinds};
use ledger::{Act, Activity, ObjectRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Path, Query},
    problem::Problem,
    routes::{enrol::public_key, page::After},
    schema::{AccountIdText, ClientIdText, InstantText, LevelText, PublicKeyText, ScopeText},
};

/// A client.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct ClientBody {
    /// Its id.
    #[schema(value_type = ClientIdText)]
    id: ClientId,
    /// The one account that it acts in.
    #[schema(value_type = AccountIdText)]
    account: AccountId,
    /// Its name.
    name: String,
    /// The scopes that it may ask for.
    #[schema(value_type = ScopeText)]
    scope: String,
    /// The highest classification that it may touch; absent if every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = LevelText)]
    clearance: Option<String>,
    /// How it proves who it is: `private_key_jwt` or `client_secret`.
    #[schema(pattern = "^(private_key_jwt|client_secret)$")]
    credential: &'static str,
    /// When it was registered.
    #[schema(value_type = InstantText)]
    created_at: Timestamp,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    revoked_at: Option<Timestamp>,
}

impl From<Client> for ClientBody {
    fn from(client: Client) -> Self {
        Self {
            id: client.id,
            account: client.account,
            name: client.name,
            scope: client.scopes.to_string(),
            clearance: client.clearance,
            credential: if client.signs { "private_key_jwt" } else { "client_secret" },
            created_at: client.created,
            revoked_at: client.revoked,
        }
    }
}

/// A client to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "billing", "scope": "records:read records:write"}))]
pub(crate) struct NewClientBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The scopes that it may ask for, at least one.
    #[schema(value_type = ScopeText)]
    scope: String,
    /// The highest classification that it may touch; every one if left out.
    #[schema(nullable = false, required = false, value_type = LevelText)]
    clearance: Option<String>,
    /// Its public key, if it signs; a secret is made if left out.
    #[schema(nullable = false, required = false, value_type = PublicKeyText)]
    public_key: Option<String>,
}

/// A client that was registered.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedClientBody {
    /// The client.
    client: ClientBody,
    /// Its secret, if it has one: this is the only time that it is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// A page of clients.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClientList {
    /// The clients, in the order in which they were registered.
    items: Vec<ClientBody>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = ClientIdText)]
    next: Option<ClientId>,
}

/// Registers a client of an account.
#[utoipa::path(post, path = "/v1/accounts/{account}/clients", operation_id = "create_client",
    params(("account" = AccountIdText, Path)), request_body = NewClientBody,
    responses((status = 201, description = "Registered.", body = CreatedClientBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
    Body(body): Body<NewClientBody>,
) -> Result<(StatusCode, Json<CreatedClientBody>), Problem> {
    let resource = Resource::new().id(account).in_account(account);
    let (scope, decision) = caller.operator(&app, &resource).await?;
    let new = match parsed(&app, body) {
        Ok(new) => new,
        Err(problem) => {
            let object = ObjectRef::new("client", "-").in_account(account);
            let act = Act::refused(Activity::ClientCreate, object, problem.code(), None);
            app.store().record_system(scope, act.decided_by(decision.policies())).await?;
            return Err(problem);
        }
    };
    let made = app.access().client_create(caller.principal(), account, new).await?.into_inner();
    let secret = made.secret.map(|secret| secret.expose().clone());
    Ok((StatusCode::CREATED, Json(CreatedClientBody { client: made.client.into(), secret })))
}

fn parsed(app: &App, body: NewClientBody) -> Result<NewClient, Problem> {
    let scopes = ScopeSet::parse(&body.scope)
        .map_err(|error| Problem::invalid("scope-unknown", "/scope", error.to_string()))?;
    let clearance = body.clearance.as_deref().map(|name| app.scheme().parse(name)).transpose();
    let clearance =
        clearance.map_err(|error| Problem::invalid("invalid-field", "/clearance", error.to_string()))?;
    let credential = match &body.public_key {
        Some(text) => NewCredential::PublicKey(public_key("/public_key", text)?),
        None => NewCredential::Secret,
    };
    Ok(NewClient { name: body.name, scopes, clearance, credential })
}

/// Lists the clients of an account, revoked ones too.
#[utoipa::path(get, path = "/v1/accounts/{account}/clients", operation_id = "list_clients",
    params(
        ("account" = AccountIdText, Path),
        ("after" = inline(Option<ClientIdText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = ClientList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
    Query(page): Query<After<kinds::Client>>,
) -> Result<Json<ClientList>, Problem> {
    let found = app.access().client_list(caller.principal(), account, page.after, page.limit).await?;
    Ok(Json(ClientList { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Revokes a client for good, at once.
#[utoipa::path(post, path = "/v1/clients/{client}/revoke", operation_id = "revoke_client",
    params(("client" = ClientIdText, Path)),
    responses((status = 200, description = "Revoked.", body = ClientBody)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(client): Path<ClientId>,
) -> Result<Json<ClientBody>, Problem> {
    let revoked = app.access().client_revoke(caller.principal(), client).await?;
    Ok(Json(revoked.into_inner().into()))
}
