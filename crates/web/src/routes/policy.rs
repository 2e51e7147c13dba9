//! The policy's versions: put up, approved, read, acknowledged. For operators.

use axum::{Json, extract::State, http::StatusCode};
use base::Timestamp;
use ledger::sign_statement;
use policy::Files;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watch::{Acknowledgement, StoredVersion, Version, VersionSummary, manifest_statement};

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    schema::{AnyObject, HashText, InstantText, OperatorIdText},
};

/// How versions look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AnyObject, HashText, InstantText, OperatorIdText, ToSchema};

    /// Somebody's approval.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Approval {
        /// Who approved.
        #[schema(value_type = OperatorIdText)]
        by: String,
        /// When.
        #[schema(value_type = InstantText)]
        at: String,
    }

    /// How a version stands.
    #[derive(ToSchema)]
    #[schema(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum Standing {
        /// The one that is in effect.
        InEffect,
        /// Adopted, and in effect later.
        Adopted,
        /// Was in effect before.
        Superseded,
        /// Put up, and not approved yet.
        Proposed,
        /// None was put up: the catalogue's clauses, with examples for what an organisation fills in.
        Specimen,
    }

    /// A version of the policy.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct PolicyVersion {
        /// Its number.
        #[schema(minimum = 1)]
        version: u32,
        /// The hash of the document.
        #[schema(value_type = HashText)]
        sha256: String,
        /// The hash of what is stored of it.
        #[schema(value_type = HashText)]
        content: String,
        /// Who put it up.
        #[schema(value_type = OperatorIdText)]
        proposed_by: String,
        /// When.
        #[schema(value_type = InstantText)]
        proposed_at: String,
        /// From when it is to be in effect.
        #[schema(value_type = InstantText)]
        effective: String,
        /// When it is to be reviewed next.
        #[schema(value_type = InstantText)]
        next_review: String,
        /// Who approved it.
        approvals: Vec<Approval>,
        /// When it was adopted; absent until then.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        adopted_at: Option<String>,
        /// How it stands; absent in the answer to an act on it.
        #[schema(nullable = false, required = false)]
        standing: Option<Standing>,
    }

    /// That somebody acknowledged a version.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Acknowledgement {
        /// Which version.
        #[schema(minimum = 1)]
        version: u32,
        /// The hash of the document that was acknowledged.
        #[schema(value_type = HashText)]
        sha256: String,
        /// Who.
        #[schema(value_type = OperatorIdText)]
        by: String,
        /// When.
        #[schema(value_type = InstantText)]
        at: String,
    }

    /// A version whole: besides what the list says of it, its text and who acknowledged it.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct WholePolicyVersion {
        /// What the list says of it.
        #[schema(inline)]
        #[serde(flatten)]
        version: PolicyVersion,
        /// The document: its sections, clauses and sentences.
        #[schema(value_type = AnyObject)]
        document: String,
        /// The files that made it, by name.
        #[schema(value_type = AnyObject)]
        files: String,
        /// Its hashes, clause by clause.
        #[schema(value_type = AnyObject)]
        manifest: String,
        /// Who acknowledged it.
        acknowledgements: Vec<Acknowledgement>,
        /// Who is asked to, with the clauses that they have not acknowledged as they read now.
        #[schema(value_type = AnyObject)]
        outstanding: String,
        /// Its hashes and who approved them, as a note that is signed with the log's key; once it is adopted.
        #[schema(nullable = false, required = false)]
        note: Option<String>,
    }
}

/// A version to put up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"files": {"policy.toml": "format = 1", "parameters.toml": "", "decisions.toml": "", "wording.toml": ""}}))]
pub(crate) struct NewVersion {
    /// Its files, by name, as `tenet policy init` makes them.
    #[schema(value_type = AnyObject)]
    files: Files,
}

/// What somebody approves or acknowledges.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}))]
pub(crate) struct ByHash {
    /// The hash of the document that was looked at: what is approved is not something else by then.
    #[schema(value_type = HashText)]
    sha256: String,
}

/// The versions.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyVersionList)]
pub(crate) struct VersionList {
    /// All of them, the newest first.
    #[schema(value_type = Vec<described::PolicyVersion>)]
    items: Vec<VersionSummary>,
}

/// With its hashes as a signed statement, if it is adopted.
fn signed(app: &App, mut found: StoredVersion) -> Result<Json<StoredVersion>, Problem> {
    if let Some(statement) = manifest_statement(&found.summary.version, &found.manifest) {
        let note = sign_statement(app.signer(), &statement);
        found.note = Some(note.map_err(|error| Problem::internal(error.to_string()))?);
    }
    Ok(Json(found))
}

/// As of when.
pub(crate) struct AsOf {
    pub(crate) at: Option<Timestamp>,
}

impl QueryParameters for AsOf {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { at: pairs.take_parsed("as_of")? })
    }
}

/// Lists the versions of the policy.
#[utoipa::path(get, path = "/v1/policy/versions", operation_id = "list_policy_versions",
    responses((status = 200, description = "The versions.", body = VersionList)))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<VersionList>, Problem> {
    let items = app.watch().versions(caller.principal()).await?;
    Ok(Json(VersionList { items }))
}

/// Puts a version up for approval. One that lint finds something wrong with, or that what runs contradicts, is refused. One
/// of the same number that is not adopted yet is replaced.
#[utoipa::path(post, path = "/v1/policy/versions", operation_id = "propose_policy", request_body = NewVersion,
    responses((status = 201, description = "Put up.", body = described::PolicyVersion)))]
pub(crate) async fn propose(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewVersion>,
) -> Result<(StatusCode, Json<Version>), Problem> {
    let made = app.watch().propose(caller.principal(), new.files).await?;
    Ok((StatusCode::CREATED, Json(made.into_inner())))
}

/// Reads the version that is spoken of: the one in effect; or else the newest adopted; or else the newest put up.
#[utoipa::path(get, path = "/v1/policy", operation_id = "read_policy",
    params(("as_of" = inline(Option<InstantText>), Query, description = "As it was then; now if left out.")),
    responses((status = 200, description = "The version.", body = described::WholePolicyVersion)))]
pub(crate) async fn current(
    State(app): State<App>,
    caller: Caller,
    Query(as_of): Query<AsOf>,
) -> Result<Json<StoredVersion>, Problem> {
    signed(&app, app.watch().version(caller.principal(), None, as_of.at).await?)
}

/// Reads a version.
#[utoipa::path(get, path = "/v1/policy/versions/{version}", operation_id = "read_policy_version",
    params(("version" = u32, Path, minimum = 1, description = "Its number.")),
    responses((status = 200, description = "The version.", body = described::WholePolicyVersion)))]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(version): Path<u32>,
) -> Result<Json<StoredVersion>, Problem> {
    signed(&app, app.watch().version(caller.principal(), Some(version), None).await?)
}

/// Approves a version. Not one's own; the last approval that it needs adopts it.
#[utoipa::path(post, path = "/v1/policy/versions/{version}/approve", operation_id = "approve_policy",
    request_body = ByHash, params(("version" = u32, Path, minimum = 1, description = "Its number.")),
    responses((status = 200, description = "Approved.", body = described::PolicyVersion)))]
pub(crate) async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(version): Path<u32>,
    Body(body): Body<ByHash>,
) -> Result<Json<Version>, Problem> {
    Ok(Json(app.watch().approve(caller.principal(), version, &body.sha256).await?))
}

/// Acknowledges an adopted version, as oneself.
#[utoipa::path(post, path = "/v1/policy/versions/{version}/acknowledge", operation_id = "acknowledge_policy",
    request_body = ByHash, params(("version" = u32, Path, minimum = 1, description = "Its number.")),
    responses((status = 200, description = "Acknowledged.", body = described::Acknowledgement)))]
pub(crate) async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    Path(version): Path<u32>,
    Body(body): Body<ByHash>,
) -> Result<Json<Acknowledgement>, Problem> {
    Ok(Json(app.watch().acknowledge(caller.principal(), version, &body.sha256).await?))
}
