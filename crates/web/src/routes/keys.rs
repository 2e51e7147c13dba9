//! The key hierarchy: its state, its rotation, the retirement of old versions. For operators. No key
//! material comes out of here.

use access::Resource;
use axum::{Json, extract::State, http::StatusCode};
use base::{AccountId, Timestamp};
use keys::{Rotation, Status};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::Path,
    problem::Problem,
    schema::{AccountIdText, InstantText},
};

/// A version of the provider key.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderVersion {
    /// Its number.
    #[schema(minimum = 1)]
    version: u32,
    /// The provider that made it.
    provider: String,
    /// `pending`, `active`, `draining`, `retiring` or `retired`.
    state: String,
    /// How often it wrapped a key.
    wraps: u64,
    /// When it was made.
    #[schema(value_type = InstantText)]
    created_at: Timestamp,
    /// How many account keys it wraps now.
    account_keys: u64,
    /// How many subject keys it wraps now.
    subject_keys: u64,
    /// How many secrets of the platform it wraps now.
    secrets: u64,
}

/// How far a rotation is.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotationProgress {
    /// `provider`, or `account` and the account's id.
    name: String,
    /// The version before.
    from: u32,
    /// The version that takes over.
    to: u32,
    /// How many keys were wrapped anew, at least.
    done: u64,
    /// How many there were when it began.
    total: u64,
    /// How many did not open and were passed over, once it ended; `key.refuse` events name them.
    damaged: u64,
    /// When it began.
    #[schema(value_type = InstantText)]
    started_at: Timestamp,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    finished_at: Option<Timestamp>,
}

/// The state of the keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyStatus {
    /// The configured provider.
    provider: String,
    /// The versions of its key, oldest first.
    versions: Vec<ProviderVersion>,
    /// How many accounts have keys.
    accounts: u64,
    /// The newest rotations, newest first.
    rotations: Vec<RotationProgress>,
}

impl From<Status> for KeyStatus {
    fn from(status: Status) -> Self {
        let version = |it: keys::ProviderVersion| ProviderVersion {
            version: it.version,
            provider: it.provider,
            state: it.state,
            wraps: it.wraps,
            created_at: it.created,
            account_keys: it.account_keys,
            subject_keys: it.subject_keys,
            secrets: it.secrets,
        };
        let rotation = |it: keys::RotationStatus| RotationProgress {
            name: it.name,
            from: it.rotation.from,
            to: it.rotation.to,
            done: it.done,
            total: it.total,
            damaged: it.damaged,
            started_at: it.started,
            finished_at: it.finished,
        };
        Self {
            provider: status.provider,
            versions: status.versions.into_iter().map(version).collect(),
            accounts: status.accounts,
            rotations: status.rotations.into_iter().map(rotation).collect(),
        }
    }
}

/// The data keys under one version of an account's key.
#[derive(Serialize, ToSchema)]
pub(crate) struct DataKeyCount {
    /// The version.
    version: u32,
    /// Data keys that live.
    live: u64,
    /// Data keys that were destroyed.
    destroyed: u64,
}

/// The state of an account's keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountKeyStatus {
    /// The version that wraps new data keys.
    active: u32,
    /// How often it wrapped.
    wraps: u64,
    /// Since when the keys may not be used, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    suspended_at: Option<Timestamp>,
    /// The data keys, by version.
    data_keys: Vec<DataKeyCount>,
}

/// A rotation that has begun. A job does it, and readers notice nothing.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotationStarted {
    /// The version before.
    from: u32,
    /// The version that takes over.
    to: u32,
}

impl From<Rotation> for RotationStarted {
    fn from(rotation: Rotation) -> Self {
        Self { from: rotation.from, to: rotation.to }
    }
}

/// The state of the provider key, and of rotations.
#[utoipa::path(get, path = "/v1/keys", operation_id = "key_status",
    responses((status = 200, description = "The state.", body = KeyStatus)))]
pub(crate) async fn status(State(app): State<App>, caller: Caller) -> Result<Json<KeyStatus>, Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new()).await?;
    Ok(Json(app.keys().decided_by(decision.policies()).status(scope).await?.into()))
}

/// Starts the rotation of the provider key.
#[utoipa::path(post, path = "/v1/keys/rotate", operation_id = "rotate_provider_key",
    responses((status = 202, description = "Begun.", body = RotationStarted)))]
pub(crate) async fn rotate(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, Json<RotationStarted>), Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new()).await?;
    let rotation = app.keys().decided_by(decision.policies()).rotate_provider(scope).await?.into_inner();
    Ok((StatusCode::ACCEPTED, Json(rotation.into())))
}

/// Retires a version of the provider key: the provider destroys it. Refused while anything is wrapped
/// with it.
#[utoipa::path(post, path = "/v1/keys/{version}/retire", operation_id = "retire_provider_key",
    params(("version" = u32, Path, minimum = 1)),
    responses((status = 204, description = "Retired.")))]
pub(crate) async fn retire(
    State(app): State<App>,
    caller: Caller,
    Path(version): Path<u32>,
) -> Result<StatusCode, Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new().id(version)).await?;
    app.keys().decided_by(decision.policies()).retire_provider(scope, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The state of an account's keys.
#[utoipa::path(get, path = "/v1/accounts/{account}/keys", operation_id = "account_key_status",
    params(("account" = AccountIdText, Path)),
    responses((status = 200, description = "The state.", body = AccountKeyStatus)))]
pub(crate) async fn account_status(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
) -> Result<Json<AccountKeyStatus>, Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new().id(account).in_account(account)).await?;
    let status = app.keys().decided_by(decision.policies()).account_status(scope, account).await?;
    let counts = status.data_keys.into_iter();
    Ok(Json(AccountKeyStatus {
        active: status.active,
        wraps: status.wraps,
        suspended_at: status.suspended,
        data_keys: counts
            .map(|(version, live, destroyed)| DataKeyCount { version, live, destroyed })
            .collect(),
    }))
}

/// Starts the rotation of an account's key.
#[utoipa::path(post, path = "/v1/accounts/{account}/keys/rotate", operation_id = "rotate_account_key",
    params(("account" = AccountIdText, Path)),
    responses((status = 202, description = "Begun.", body = RotationStarted)))]
pub(crate) async fn rotate_account(
    State(app): State<App>,
    caller: Caller,
    Path(account): Path<AccountId>,
) -> Result<(StatusCode, Json<RotationStarted>), Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new().id(account).in_account(account)).await?;
    let rotation =
        app.keys().decided_by(decision.policies()).rotate_account(scope, account).await?.into_inner();
    Ok((StatusCode::ACCEPTED, Json(rotation.into())))
}

/// Retires a version of an account's key. Refused while any data key is wrapped with it.
#[utoipa::path(post, path = "/v1/accounts/{account}/keys/{version}/retire", operation_id = "retire_account_key",
    params(("account" = AccountIdText, Path), ("version" = u32, Path, minimum = 1)),
    responses((status = 204, description = "Retired.")))]
pub(crate) async fn retire_account(
    State(app): State<App>,
    caller: Caller,
    Path((account, version)): Path<(AccountId, u32)>,
) -> Result<StatusCode, Problem> {
    let (scope, decision) = caller.operator(&app, &Resource::new().id(account).in_account(account)).await?;
    app.keys().decided_by(decision.policies()).retire_account(scope, account, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
