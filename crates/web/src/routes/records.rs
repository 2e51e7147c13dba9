//! Records: storing, reading, replacing and patching them. For customers. A record's body is the request's
//! body, handed on as it came: the vault alone reads it, and keeps it in one compact form.

use access::Resource;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{RecordId, RepositoryId};
use utoipa::ToSchema;
use vault::{NewRecord, Record, Written};

use crate::{
    App,
    caller::Caller,
    extract::{IfMatch, Once, Pairs, Path, Query, QueryParameters, RawJson, RawPatch, etag},
    problem::Problem,
    schema::{
        AnyObject, EtagText, IdempotencyKeyText, InstantText, LevelText, RecordIdText, RepositoryIdText,
    },
};

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How records look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AnyObject, InstantText, LevelText, RecordIdText, RepositoryIdText, ToSchema};

    /// What a write answers.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Written {
        /// The record.
        #[schema(value_type = RecordIdText)]
        id: String,
        /// Its repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// Its version now: the number in its `ETag`.
        #[schema(minimum = 1)]
        version: u64,
        /// Its label.
        #[schema(value_type = LevelText)]
        classification: String,
        /// When the record was made.
        #[schema(value_type = InstantText)]
        created_at: String,
        /// When this version was made.
        #[schema(value_type = InstantText)]
        updated_at: String,
        /// When it was deleted, if it is.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        deleted_at: Option<String>,
    }

    /// A record.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Record {
        /// Its id.
        #[schema(value_type = RecordIdText)]
        id: String,
        /// Its repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// The version: the number in its `ETag`.
        #[schema(minimum = 1)]
        version: u64,
        /// Its label.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Bytes of the body.
        bytes: u64,
        /// When the record was made.
        #[schema(value_type = InstantText)]
        created_at: String,
        /// When this version was made.
        #[schema(value_type = InstantText)]
        updated_at: String,
        /// When it was deleted, if it is.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        deleted_at: Option<String>,
        /// What was stored; absent if it was not asked for, or the record is deleted.
        #[schema(nullable = false, required = false, value_type = AnyObject)]
        body: Option<serde_json::Value>,
    }
}

/// The label that a write gives.
pub(crate) struct Labelled {
    pub(crate) classification: Option<String>,
}

impl QueryParameters for Labelled {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { classification: pairs.take("classification") })
    }
}

/// Which version is read.
pub(crate) struct Versioned {
    version: Option<u64>,
}

impl QueryParameters for Versioned {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { version: pairs.take_number("version", 1, u32::MAX)?.map(u64::from) })
    }
}

/// What a write answers, with its entity tag.
pub(crate) fn written(status: StatusCode, written: &Written) -> Response {
    let tag = [(header::ETAG, etag(written.version))];
    replayed((status, tag, axum::Json(written)).into_response(), written.replayed)
}

/// Marks the answer to a request that was answered before.
pub(crate) fn replayed(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A record as JSON. The body goes in as it was stored.
pub(crate) fn write_record(record: &Record, out: &mut Vec<u8>) -> Result<(), Problem> {
    let unwritable = |_| Problem::internal("a record can't be written as JSON");
    serde_json::to_writer(&mut *out, &record.meta).map_err(unwritable)?;
    if let Some(body) = &record.body {
        // What was written ends with the object's brace.
        out.pop();
        out.extend_from_slice(b",\"body\":");
        out.extend_from_slice(body.expose());
        out.push(b'}');
    }
    Ok(())
}

/// Stores a record. The request's body is the record: one JSON object.
#[utoipa::path(post, path = "/v1/repositories/{repository}/records", operation_id = "create_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("classification" = inline(Option<LevelText>), Query, description = "Its label; the repository's if left out."),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is stored once."),
    ),
    request_body(content = AnyObject, example = json!({"number": "2026-7", "total": 120})),
    responses((status = 201, description = "Stored.", body = described::Written,
        headers(("ETag" = EtagText, description = "Its version.")))))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Query(label): Query<Labelled>,
    once: Once,
    RawJson(body): RawJson,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let new = NewRecord { body: &body, classification: label.classification.as_deref() };
    let stored = app.vault().record_create(scope, repository, new, once.with(&body), &decided).await?;
    Ok(written(StatusCode::CREATED, &stored))
}

/// Reads a record.
#[utoipa::path(get, path = "/v1/repositories/{repository}/records/{record}", operation_id = "read_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("version" = Option<u32>, Query, minimum = 1, description = "An earlier version; the newest if left out."),
    ),
    responses((status = 200, description = "The record.", body = described::Record,
        headers(("ETag" = EtagText, description = "Its version.")))))]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
    Query(query): Query<Versioned>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new().id(id)).await?;
    let record = app.vault().record_get(scope, (repository, id), query.version, &decided).await?;
    let mut body = Vec::with_capacity(record.body.as_ref().map_or(0, |body| body.expose().len()) + 512);
    write_record(&record, &mut body)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ETAG, etag(record.meta.version)),
    ];
    Ok((headers, body).into_response())
}

/// Replaces a record. The version before is kept.
#[utoipa::path(put, path = "/v1/repositories/{repository}/records/{record}", operation_id = "replace_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("classification" = inline(Option<LevelText>), Query, description = "Its label; the repository's if left out."),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its version."),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    request_body(content = AnyObject, example = json!({"number": "2026-7", "total": 125})),
    responses((status = 200, description = "Replaced.", body = described::Written,
        headers(("ETag" = EtagText, description = "Its version.")))))]
pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(target): Path<(RepositoryId, RecordId)>,
    Query(label): Query<Labelled>,
    expected: Option<IfMatch>,
    once: Once,
    RawJson(body): RawJson,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, target.0, Resource::new().id(target.1)).await?;
    let new = NewRecord { body: &body, classification: label.classification.as_deref() };
    let (expected, once) = (expected.and_then(IfMatch::version), once.with(&body));
    let stored = app.vault().record_replace(scope, target, new, expected, once, &decided).await?;
    Ok(written(StatusCode::OK, &stored))
}

/// Changes a record in part, by a JSON merge patch (RFC 7396). The version before is kept.
#[utoipa::path(patch, path = "/v1/repositories/{repository}/records/{record}", operation_id = "patch_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("classification" = inline(Option<LevelText>), Query, description = "Its label; what it was if left out."),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its version."),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    request_body(content(
        (AnyObject = "application/merge-patch+json", example = json!({"total": 130})),
        (AnyObject = "application/json", example = json!({"total": 130})),
    )),
    responses((status = 200, description = "Changed.", body = described::Written,
        headers(("ETag" = EtagText, description = "Its version.")))))]
pub(crate) async fn patch(
    State(app): State<App>,
    caller: Caller,
    Path(target): Path<(RepositoryId, RecordId)>,
    Query(label): Query<Labelled>,
    expected: Option<IfMatch>,
    once: Once,
    RawPatch(body): RawPatch,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, target.0, Resource::new().id(target.1)).await?;
    let change = NewRecord { body: &body, classification: label.classification.as_deref() };
    let (expected, once) = (expected.and_then(IfMatch::version), once.with(&body));
    let stored = app.vault().record_patch(scope, target, change, expected, once, &decided).await?;
    Ok(written(StatusCode::OK, &stored))
}
