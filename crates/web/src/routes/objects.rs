//! Objects: storing and reading bytes of any length, in constant memory. For customers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use access::Resource;
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{ObjectId, RepositoryId};
use futures::{StreamExt, TryStreamExt};
use utoipa::ToSchema;
use vault::{ByteRange, NewObject, Object, VaultError};

use crate::{
    App,
    caller::Caller,
    extract::{Pairs, Path, Query, QueryParameters, content_length, etag},
    observe::one_header,
    paced::is_slow,
    problem::{Http, Problem},
    routes::{
        record_lists::flag,
        repositories::{limit, listed},
    },
    schema::{Bytes, CursorText, EtagText, InstantText, LevelText, ObjectIdText, RepositoryIdText},
};

/// The only version that an object has: its content never changes.
const VERSION: u64 = 1;
/// The media type of bytes of which nothing is known.
const OCTETS: &str = "application/octet-stream";

/// How objects look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{CursorText, InstantText, LevelText, ObjectIdText, RepositoryIdText, ToSchema};

    /// What is known about an object.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Object {
        /// Its id.
        #[schema(value_type = ObjectIdText)]
        id: String,
        /// Its repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// Its name.
        name: String,
        /// Its media type.
        content_type: String,
        /// Its label.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Bytes of its content.
        bytes: u64,
        /// SHA-256 of its content, in hexadecimal digits.
        #[schema(pattern = "^[0-9a-f]{64}$")]
        sha256: String,
        /// When it was stored.
        #[schema(value_type = InstantText)]
        created_at: String,
        /// When it was deleted, if it is.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        deleted_at: Option<String>,
    }

    /// A page of objects. It may hold fewer than were asked for, or none: the end is where `next` is absent.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct ObjectList {
        /// The objects, in the order in which they were stored.
        items: Vec<Object>,
        /// What to send as `cursor` for the next page; absent on the last.
        #[schema(nullable = false, required = false, value_type = CursorText)]
        next: Option<String>,
    }
}

/// What is said about an object that is stored.
pub(crate) struct Stored {
    name: Option<String>,
    classification: Option<String>,
}

impl QueryParameters for Stored {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { name: pairs.take("name"), classification: pairs.take("classification") })
    }
}

/// Which page of objects.
pub(crate) struct Objects {
    limit: usize,
    cursor: Option<String>,
    deleted: bool,
}

impl QueryParameters for Objects {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { limit: limit(pairs)?, cursor: pairs.take("cursor"), deleted: flag(pairs, "deleted")? })
    }
}

fn shown(status: StatusCode, object: &Object) -> Response {
    (status, [(header::ETAG, etag(VERSION))], Json(object)).into_response()
}

/// Stores an object. The request's body is its content, of up to 5 GiB; `Content-Length` must be told, and
/// `Content-Type` is kept.
#[utoipa::path(post, path = "/v1/repositories/{repository}/objects", operation_id = "create_object",
    params(
        ("repository" = RepositoryIdText, Path),
        ("name" = String, Query, min_length = 1, max_length = 1_024, description = "A name for people; kept sealed."),
        ("classification" = inline(Option<LevelText>), Query, description = "Its label; the repository's if left out."),
    ),
    request_body(content = Bytes, content_type = "application/octet-stream"),
    responses((status = 201, description = "Stored.", body = described::Object,
        headers(("ETag" = EtagText, description = "Its version, always 1.")))))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Query(said): Query<Stored>,
    request: Request,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let name =
        said.name.ok_or_else(|| Problem::invalid("missing-parameter", "name", "give the object a name"))?;
    let headers = request.headers().clone();
    let length = content_length(&headers)?;
    let length = length.ok_or_else(|| Problem::http(Http::Length, "an object's length must be told"))?;
    let most = app.limits().object_bytes;
    if length > most {
        return Err(Problem::http(Http::TooLarge, format!("an object has at most {most} bytes")));
    }
    let content_type = one_header(&headers, &header::CONTENT_TYPE)?.unwrap_or(OCTETS);
    let new = NewObject {
        name: &name,
        content_type,
        classification: said.classification.as_deref(),
        length: Some(length),
    };
    let slow = Arc::new(AtomicBool::new(false));
    let seen = slow.clone();
    let content = request
        .into_body()
        .into_data_stream()
        .map(move |piece| piece.inspect_err(|error| seen.store(is_slow(error), Ordering::Relaxed)));
    match app.vault().object_put(scope, repository, new, content, &decided).await {
        Ok(stored) => Ok(shown(StatusCode::CREATED, &stored)),
        Err(VaultError::Broken) if slow.load(Ordering::Relaxed) => {
            Err(Problem::http(Http::Slow, "the content came too slowly; nothing is stored"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads an object's content, whole or a range of it (RFC 9110 14).
#[utoipa::path(get, path = "/v1/repositories/{repository}/objects/{object}", operation_id = "read_object",
    params(
        ("repository" = RepositoryIdText, Path),
        ("object" = ObjectIdText, Path),
        ("Range" = Option<String>, Header, pattern = "^bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})$",
            description = "One range of bytes. Anything else is answered with the whole."),
        ("If-Range" = inline(Option<EtagText>), Header, description = "The range only if this is its `ETag`."),
    ),
    responses(
        (status = 200, description = "The content.", body = Bytes, content_type = "*/*",
            headers(("ETag" = EtagText, description = "Its version, always 1."))),
        (status = 206, description = "The range.", body = Bytes, content_type = "*/*",
            headers(("Content-Range" = String, description = "Which bytes, and of how many."))),
    ))]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new().id(id)).await?;
    let range = wanted(&headers)?;
    let content = match app.vault().object_get(scope, (repository, id), range, &decided).await {
        Ok(content) => content,
        Err(VaultError::Range { bytes }) => {
            let told = HeaderValue::from_str(&format!("bytes */{bytes}"))
                .unwrap_or(HeaderValue::from_static("bytes */*"));
            return Err(Problem::from(VaultError::Range { bytes }).header(header::CONTENT_RANGE, told));
        }
        Err(error) => return Err(error.into()),
    };
    let (object, part) = (&content.object, content.range.clone());
    let length = part.end.saturating_sub(part.start);
    let mut response = Response::new(Body::empty());
    let told = response.headers_mut();
    let media = HeaderValue::from_str(&object.content_type).unwrap_or(HeaderValue::from_static(OCTETS));
    told.insert(header::CONTENT_TYPE, media);
    // Whatever the customer stored is for saving, never for a browser to show.
    told.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    told.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    told.insert(header::ETAG, etag(VERSION));
    if range.is_some() {
        let last = part.end.saturating_sub(1);
        let text = format!("bytes {}-{last}/{}", part.start, object.bytes);
        if let Ok(value) = HeaderValue::from_str(&text) {
            told.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    // An error breaks the connection off before the announced length: the reader can't take a part for the whole.
    let stream = content.stream.map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>);
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// The one range that is wanted; none if there is none, or what stands there is to be ignored
/// (RFC 9110 14.2, 13.1.5).
fn wanted(headers: &HeaderMap) -> Result<Option<ByteRange>, Problem> {
    let Some(text) = one_header(headers, &header::RANGE)? else { return Ok(None) };
    let current = etag(VERSION);
    let matches =
        one_header(headers, &header::IF_RANGE)?.is_none_or(|tag| tag.as_bytes() == current.as_bytes());
    Ok(parse_range(text).filter(|_| matches))
}

fn parse_range(text: &str) -> Option<ByteRange> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| -> Option<u64> {
        let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    };
    match (first, last) {
        ("", last) => number(last).map(ByteRange::Last),
        (first, "") => number(first).map(ByteRange::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::FromTo(first, last))
        }
    }
}

/// What is known about an object.
#[utoipa::path(get, path = "/v1/repositories/{repository}/objects/{object}/meta", operation_id = "describe_object",
    params(("repository" = RepositoryIdText, Path), ("object" = ObjectIdText, Path)),
    responses((status = 200, description = "What is known.", body = described::Object,
        headers(("ETag" = EtagText, description = "Its version, always 1.")))))]
pub(crate) async fn describe(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new().id(id)).await?;
    let object = app.vault().object_head(scope, (repository, id), &decided).await?;
    Ok(shown(StatusCode::OK, &object))
}

/// Lists a repository's objects.
#[utoipa::path(get, path = "/v1/repositories/{repository}/objects", operation_id = "list_objects",
    params(
        ("repository" = RepositoryIdText, Path),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most on the page; 100 if left out."),
        ("cursor" = inline(Option<CursorText>), Query, description = "`next` of the page before."),
        ("deleted" = Option<bool>, Query, description = "Whether to list deleted objects too."),
    ),
    responses((status = 200, description = "A page.", body = described::ObjectList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Query(page): Query<Objects>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let which = (page.limit, page.cursor.as_deref(), page.deleted);
    let found = app.vault().object_list(scope, repository, which, &decided).await?;
    Ok(listed(&found.objects, found.next.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        assert_eq!(parse_range("bytes=0-9"), Some(ByteRange::FromTo(0, 9)));
        assert_eq!(parse_range("Bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(parse_range("bytes=-5"), Some(ByteRange::Last(5)));
        for ignored in [
            "bytes=9-0",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=",
            "bytes=-",
            "bytes=+1-2",
            "bytes=a-b",
            "0-1",
            "",
        ] {
            assert_eq!(parse_range(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn a_range_of_another_content_is_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(wanted(&headers).unwrap(), Some(ByteRange::FromTo(0, 1)));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"1\""));
        assert_eq!(wanted(&headers).unwrap(), Some(ByteRange::FromTo(0, 1)));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"2\""));
        assert_eq!(wanted(&headers).unwrap(), None);
    }
}
