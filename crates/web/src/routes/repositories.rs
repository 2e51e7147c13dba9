//! Repositories: making, reading, listing and changing their declarations. For customers.

use access::Resource;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base::RepositoryId;
use utoipa::ToSchema;
use vault::{Decided, NewRepository, Repository, RepositoryChange};

use crate::{
    App,
    caller::Caller,
    extract::{IfMatch, Json as Body, Pairs, Path, Query, QueryParameters, etag},
    problem::Problem,
    schema::{AnyObject, CursorText, EtagText, InstantText, LevelText, RepositoryIdText},
};

/// How the declarations of `vault` look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AnyObject, CursorText, InstantText, LevelText, RepositoryIdText, ToSchema};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    /// A retention schedule: how long, why, of what and on what.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Retention {
        /// The period in days, from the creation of what is kept.
        #[schema(minimum = 1, maximum = 73_050)]
        period_days: u32,
        /// On what it rests. Law and contract forbid erasure before its end.
        basis: Basis,
        /// The law, contract or need in words.
        #[schema(min_length = 1, max_length = 1_024)]
        reason: String,
        /// The type of data.
        #[schema(min_length = 1, max_length = 1_024)]
        data_type: String,
        /// The media that it is kept on.
        #[schema(min_length = 1, max_length = 1_024)]
        media: String,
    }

    /// On what a retention period rests.
    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum Basis {
        /// A law or regulation.
        Law,
        /// A contract.
        Contract,
        /// The business's own need.
        Business,
    }

    /// A repository to be made.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({
        "name": "invoices", "classification": "confidential", "searchable": ["/number"],
        "retention": {"period_days": 3650, "basis": "law", "reason": "HGB 257", "data_type": "invoices",
            "media": "encrypted database"}
    }))]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct NewRepository {
        /// Its name, unique in the account.
        #[schema(min_length = 1, max_length = 128)]
        name: String,
        /// The highest classification that it may hold.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Labels of single fields, by JSON Pointer or the name of a top-level member.
        #[schema(required = false)]
        fields: BTreeMap<String, String>,
        /// Its retention schedule. A repository without one is refused.
        retention: Retention,
        /// A JSON Schema that every record must satisfy, at most 64 KiB, without references to elsewhere.
        #[schema(nullable, value_type = Option<AnyObject>)]
        schema: Option<serde_json::Value>,
        /// Fields that can be searched for equality; set once and for all.
        #[schema(required = false, max_items = 16)]
        searchable: Vec<String>,
    }

    /// What to change; what is absent stays.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"name": "invoices-2026"}))]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct RepositoryChange {
        /// Another name.
        #[schema(min_length = 1, max_length = 128)]
        name: Option<String>,
        /// A higher classification. It can't be lowered.
        #[schema(value_type = Option<LevelText>)]
        classification: Option<String>,
        /// All labels of single fields.
        fields: Option<BTreeMap<String, String>>,
        /// Another schedule; it applies to what is stored already too.
        retention: Option<Retention>,
        /// Another schema, from the next write on; `null` takes it away.
        #[schema(value_type = Option<AnyObject>)]
        schema: Option<serde_json::Value>,
    }

    /// A repository, as declared.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Repository {
        /// Its id.
        #[schema(value_type = RepositoryIdText)]
        id: String,
        /// Its name.
        name: String,
        /// The highest classification that it may hold.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Labels of single fields, by JSON Pointer.
        fields: BTreeMap<String, String>,
        /// Its retention schedule.
        retention: Retention,
        /// Its JSON Schema, if it has one.
        #[schema(nullable = false, value_type = AnyObject, required = false)]
        schema: Option<serde_json::Value>,
        /// Fields that can be searched, as JSON Pointers.
        searchable: Vec<String>,
        /// Goes up with each change: the number in its `ETag`.
        #[schema(minimum = 1)]
        revision: u64,
        /// Legal holds in force on the whole of it.
        holds: u64,
        /// When it was made.
        #[schema(value_type = InstantText)]
        created_at: String,
        /// When it was last changed.
        #[schema(value_type = InstantText)]
        updated_at: String,
    }

    /// A page of repositories.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct RepositoryList {
        /// The repositories, in the order in which they were made.
        items: Vec<Repository>,
        /// What to send as `cursor` for the next page; absent on the last.
        #[schema(nullable = false, required = false, value_type = CursorText)]
        next: Option<String>,
    }
}

/// Which page of a list.
pub(crate) struct Page {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

impl QueryParameters for Page {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { limit: limit(pairs)?, cursor: pairs.take("cursor") })
    }
}

/// The parameter `limit` of a page: 1 to 100.
pub(crate) fn limit(pairs: &mut Pairs) -> Result<usize, Problem> {
    let most = u32::try_from(vault::MAX_PAGE).unwrap_or(u32::MAX);
    let limit = pairs.take_number("limit", 1, most)?;
    Ok(limit.map_or(vault::MAX_PAGE, |limit| usize::try_from(limit).unwrap_or(vault::MAX_PAGE)))
}

/// A page as JSON.
pub(crate) fn listed<T: serde::Serialize>(items: &[T], next: Option<&str>) -> Response {
    #[derive(serde::Serialize)]
    struct Listed<'a, T> {
        items: &'a [T],
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<&'a str>,
    }
    Json(Listed { items, next }).into_response()
}

fn shown(status: StatusCode, repository: &Repository) -> Response {
    (status, [(header::ETAG, etag(repository.revision))], Json(repository)).into_response()
}

/// Makes a repository.
#[utoipa::path(post, path = "/v1/repositories", operation_id = "create_repository",
    request_body = described::NewRepository,
    responses((status = 201, description = "Made.", body = described::Repository,
        headers(("ETag" = EtagText, description = "Its revision.")))))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRepository>,
) -> Result<Response, Problem> {
    let mut resource = Resource::new();
    if let Ok(level) = app.scheme().parse(&new.classification) {
        resource = resource.classified(&level);
    }
    let (scope, decision) = caller.client(&app, &resource).await?;
    let decided = Decided { policies: decision.policies() };
    let made = app.vault().repository_create(scope, new, &decided).await?;
    Ok(shown(StatusCode::CREATED, &made))
}

/// Reads a repository's declaration.
#[utoipa::path(get, path = "/v1/repositories/{repository}", operation_id = "read_repository",
    params(("repository" = RepositoryIdText, Path)),
    responses((status = 200, description = "The declaration.", body = described::Repository,
        headers(("ETag" = EtagText, description = "Its revision.")))))]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RepositoryId>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, id, Resource::new().id(id)).await?;
    let found = app.vault().repository_get(scope, id, &decided).await?;
    Ok(shown(StatusCode::OK, &found))
}

/// Lists the account's repositories, without those above the caller's clearance. A page may hold fewer than
/// were asked for: the end is where `next` is absent.
#[utoipa::path(get, path = "/v1/repositories", operation_id = "list_repositories",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most on the page; 100 if left out."),
        ("cursor" = inline(Option<CursorText>), Query, description = "`next` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = described::RepositoryList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let (scope, decision) = caller.client(&app, &Resource::new()).await?;
    let decided = Decided { policies: decision.policies() };
    let (cursor, clearance) = (page.cursor.as_deref(), caller.clearance());
    let found = app.vault().repository_list(scope, page.limit, cursor, clearance, &decided).await?;
    Ok(listed(&found.repositories, found.next.as_deref()))
}

/// Changes a repository's declaration.
#[utoipa::path(patch, path = "/v1/repositories/{repository}", operation_id = "change_repository",
    params(
        ("repository" = RepositoryIdText, Path),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its revision."),
    ),
    request_body = described::RepositoryChange,
    responses((status = 200, description = "Changed.", body = described::Repository,
        headers(("ETag" = EtagText, description = "Its revision.")))))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RepositoryId>,
    expected: Option<IfMatch>,
    Body(change): Body<RepositoryChange>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, id, Resource::new().id(id)).await?;
    let expected = expected.and_then(IfMatch::version);
    let changed = app.vault().repository_update(scope, id, change, expected, &decided).await?;
    Ok(shown(StatusCode::OK, &changed))
}
