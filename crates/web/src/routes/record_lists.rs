//! Records by the page: listing, searching, and the versions of one. For customers.

use std::collections::BTreeMap;

use access::Resource;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base::{RecordId, RepositoryId};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault::{ListRecords, MAX_PAGE, RecordPage, SearchRecords};

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    routes::{
        records::{described as record, write_record},
        repositories::{limit, listed},
    },
    schema::{CursorText, InstantText, LevelText, RecordIdText, RepositoryIdText},
};

/// How pages of records look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{CursorText, InstantText, LevelText, ToSchema, record};

    /// A page of records. It may hold fewer than were asked for, or none: the end is where `next` is absent.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct RecordList {
        /// The records, in the order in which they were made.
        items: Vec<record::Record>,
        /// What to send as `cursor` for the next page; absent on the last.
        #[schema(nullable = false, required = false, value_type = CursorText)]
        next: Option<String>,
    }

    /// A version of a record.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Version {
        /// Its number.
        #[schema(minimum = 1)]
        version: u64,
        /// Its label.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Bytes of its body.
        bytes: u64,
        /// When it was made.
        #[schema(value_type = InstantText)]
        created_at: String,
    }

    /// A page of a record's versions.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct VersionList {
        /// The versions, newest first.
        items: Vec<Version>,
        /// What to send as `before` for the next page; absent on the last.
        #[schema(nullable = false, pattern = "^[0-9]{1,19}$")]
        next: Option<String>,
    }
}

/// What to list.
pub(crate) struct Listing {
    limit: usize,
    cursor: Option<String>,
    bodies: bool,
    deleted: bool,
}

impl QueryParameters for Listing {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self {
            limit: limit(pairs)?,
            cursor: pairs.take("cursor"),
            bodies: flag(pairs, "bodies")?,
            deleted: flag(pairs, "deleted")?,
        })
    }
}

/// A parameter that is `true` or `false`; `false` if left out.
pub(crate) fn flag(pairs: &mut Pairs, name: &str) -> Result<bool, Problem> {
    match pairs.take(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid("invalid-parameter", name, "expected `true` or `false`")),
    }
}

/// Which versions to list.
pub(crate) struct Versions {
    limit: usize,
    before: Option<u64>,
}

impl QueryParameters for Versions {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let before = pairs.take_number("before", 1, u32::MAX)?.map(u64::from);
        Ok(Self { limit: limit(pairs)?, before })
    }
}

/// A search.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"equals": {"/number": "2026-7"}, "limit": 10}))]
pub(crate) struct SearchBody {
    /// Searchable fields, by JSON Pointer, and the values that they must have, all of them: 1 to 4 texts,
    /// numbers or truth values.
    #[schema(value_type = crate::schema::AnyObject)]
    equals: BTreeMap<String, Value>,
    /// Most on the page, 1 to 100; 100 if left out.
    #[schema(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[schema(nullable = false, required = false, value_type = CursorText)]
    cursor: Option<String>,
    /// Whether to give the bodies as well.
    #[serde(default)]
    bodies: bool,
}

fn page(page: &RecordPage) -> Result<Response, Problem> {
    let sizes = page.records.iter().filter_map(|it| it.body.as_ref()).map(|body| body.expose().len() + 512);
    let mut out = Vec::with_capacity(sizes.sum::<usize>().saturating_add(1_024));
    out.extend_from_slice(b"{\"items\":[");
    for (index, record) in page.records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_record(record, &mut out)?;
    }
    out.push(b']');
    if let Some(next) = &page.next {
        let next = serde_json::to_string(next).map_err(|_| Problem::internal("a cursor can't be written"))?;
        out.extend_from_slice(b",\"next\":");
        out.extend_from_slice(next.as_bytes());
    }
    out.push(b'}');
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], out).into_response())
}

/// Lists a repository's records.
#[utoipa::path(get, path = "/v1/repositories/{repository}/records", operation_id = "list_records",
    params(
        ("repository" = RepositoryIdText, Path),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most on the page; 100 if left out."),
        ("cursor" = inline(Option<CursorText>), Query, description = "`next` of the page before."),
        ("bodies" = Option<bool>, Query, description = "Whether to give the bodies as well."),
        ("deleted" = Option<bool>, Query, description = "Whether to list deleted records too, without bodies."),
    ),
    responses((status = 200, description = "A page.", body = described::RecordList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let list = ListRecords {
        repository,
        limit: listing.limit,
        cursor: listing.cursor.as_deref(),
        bodies: listing.bodies,
        deleted: listing.deleted,
    };
    page(&app.vault().record_list(scope, list, &decided).await?)
}

/// Finds records by equality of searchable fields. The database learns neither the values nor what was
/// asked for.
#[utoipa::path(post, path = "/v1/repositories/{repository}/records/search", operation_id = "search_records",
    params(("repository" = RepositoryIdText, Path)), request_body = SearchBody,
    responses((status = 200, description = "A page.", body = described::RecordList)))]
pub(crate) async fn search(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Body(body): Body<SearchBody>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let limit = match body.limit.map(usize::try_from) {
        None => MAX_PAGE,
        Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => limit,
        Some(_) => {
            return Err(Problem::invalid("invalid-field", "/limit", "expected a number from 1 to 100"));
        }
    };
    let search = SearchRecords {
        repository,
        equals: &body.equals,
        limit,
        cursor: body.cursor.as_deref(),
        bodies: body.bodies,
    };
    page(&app.vault().record_search(scope, search, &decided).await?)
}

/// Lists the versions of a record, newest first. Each can be read until the record is erased.
#[utoipa::path(get, path = "/v1/repositories/{repository}/records/{record}/versions",
    operation_id = "list_record_versions",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most on the page; 100 if left out."),
        ("before" = Option<u32>, Query, minimum = 1, description = "Only versions below this; `next` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = described::VersionList)))]
pub(crate) async fn versions(
    State(app): State<App>,
    caller: Caller,
    Path(target): Path<(RepositoryId, RecordId)>,
    Query(query): Query<Versions>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, target.0, Resource::new().id(target.1)).await?;
    let found = app.vault().record_versions(scope, target, query.before, query.limit, &decided).await?;
    let last = found.last().filter(|last| found.len() == query.limit && last.version > 1);
    let next = last.map(|last| last.version.to_string());
    Ok(listed(&found, next.as_deref()))
}
