//! JSON bodies: the right media type, within the limit, every member known.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::{
    App,
    observe::one_header,
    paced::is_slow,
    problem::{Http, Problem},
};

/// A JSON body within [`crate::Limits::body_bytes`].
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body within [`crate::Limits::sign_in_bytes`], from somebody who has yet to prove who it is.
pub(crate) struct SignInJson<T>(pub(crate) T);

/// A JSON body within [`crate::Limits::batch_bytes`], parsed and as it came.
pub(crate) struct JsonBatch<T>(pub(crate) T, pub(crate) Bytes);

/// A JSON body as it came, not yet parsed, within [`crate::Limits::body_bytes`].
pub(crate) struct RawJson(pub(crate) Bytes);

/// A JSON merge patch (RFC 7396) as it came, within [`crate::Limits::body_bytes`].
pub(crate) struct RawPatch(pub(crate) Bytes);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = body(request, &["application/json"], app.limits().body_bytes).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for SignInJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = body(request, &["application/json"], app.limits().sign_in_bytes).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBatch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = body(request, &["application/json"], app.limits().batch_bytes).await?;
        Ok(Self(parse(&bytes)?, bytes))
    }
}

impl FromRequest<App> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        body(request, &["application/json"], app.limits().body_bytes).await.map(Self)
    }
}

impl FromRequest<App> for RawPatch {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let types = ["application/merge-patch+json", "application/json"];
        body(request, &types, app.limits().body_bytes).await.map(Self)
    }
}

/// The whole body, of one of these media types, within `limit` bytes.
pub(super) async fn body(request: Request, types: &[&str], limit: usize) -> Result<Bytes, Problem> {
    check_type(request.headers(), types)?;
    let announced = content_length(request.headers())?;
    let too_large = || Problem::http(Http::TooLarge, format!("the body is larger than {limit} bytes"));
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match collect(request.into_body(), limit).await {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) if is_slow(&*error) => Err(Problem::http(Http::Slow, "the body came too slowly")),
        Err(_) => {
            Err(Problem::invalid("body-broken-off", "body", "the body broke off while it was received"))
        }
    }
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    Limited::new(body, limit).collect().await.map(http_body_util::Collected::to_bytes)
}

/// The length that the headers announce, if they do.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = one_header(headers, &header::CONTENT_LENGTH)? else { return Ok(None) };
    let wrong = || Problem::invalid("malformed-header", "content-length", "not a number of bytes");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map(Some).map_err(|_| wrong())
}

fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let wanted = || {
        let known: Vec<_> = types.iter().map(|it| format!("`{it}`")).collect();
        Problem::http(Http::MediaType, format!("send the body as {}", known.join(" or ")))
    };
    let given = one_header(headers, &header::CONTENT_TYPE)?.ok_or_else(wanted)?;
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    let known = types.iter().any(|it| essence.trim().eq_ignore_ascii_case(it));
    let parameters = parameters.trim();
    let plain = parameters.is_empty()
        || parameters.eq_ignore_ascii_case("charset=utf-8")
        || parameters.eq_ignore_ascii_case("charset=\"utf-8\"");
    if known && plain { Ok(()) } else { Err(wanted()) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Problem::invalid("invalid-field", &field, without_place(&inner.to_string()))
        } else {
            Problem::invalid("malformed-json", "body", inner.to_string())
        }
    })?;
    deserializer.end().map_err(|error| Problem::invalid("malformed-json", "body", error.to_string()))?;
    Ok(value)
}

/// A path within the body as a JSON Pointer (RFC 6901); `body` for the whole.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        text.push('/');
        match segment {
            Segment::Seq { index } => text.push_str(&index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => text.push('?'),
        }
    }
    if text.is_empty() { "body".to_owned() } else { text }
}

/// The words of the parser without ` at line 1 column 2`: the field says where.
fn without_place(words: &str) -> &str {
    words.rsplit_once(" at line ").map_or(words, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
        #[expect(dead_code, reason = "only parsed")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        days: u32,
    }

    async fn refused(text: &str) -> serde_json::Value {
        let problem = parse::<Outer>(text.as_bytes()).unwrap_err();
        let response = problem.render(None);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn the_field_at_fault_is_named() {
        let wrong = refused(r#"{"name":"a","inner":[{"days":1},{"days":-1}]}"#).await;
        assert_eq!(wrong["field"], "/inner/1/days");
        assert_eq!(wrong["detail"], "invalid value: integer `-1`, expected u32");
        let unknown = refused(r#"{"name":"a","inner":[{"days":1,"weeks":2}]}"#).await;
        assert_eq!(unknown["field"], "/inner/0/weeks");
        assert!(unknown["detail"].as_str().unwrap().starts_with("unknown field `weeks`"));
        assert_eq!(refused("{}").await["field"], "body");
        assert_eq!(refused("{").await["code"], "malformed-json");
        assert_eq!(refused(r#"{"name":"a","inner":[]} x"#).await["code"], "malformed-json");
        assert_eq!(refused(&"[".repeat(100_000)).await["status"], 400);
    }

    #[test]
    fn the_media_type_is_checked() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            check_type(&headers, &["application/json"]).is_ok()
        };
        assert!(check("application/json") && check("Application/JSON; charset=UTF-8"));
        assert!(!check("text/plain") && !check("application/json; charset=latin1") && !check(""));
        assert!(check_type(&HeaderMap::new(), &["application/json"]).is_err());
    }

    #[test]
    fn a_length_is_digits() {
        let length = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            content_length(&headers).ok().flatten()
        };
        assert_eq!(length("17"), Some(17));
        for wrong in ["+1", "-1", "", "1 ", "99999999999999999999"] {
            assert_eq!(length(wrong), None, "{wrong}");
        }
        assert_eq!(content_length(&HeaderMap::new()).unwrap(), None);
    }
}
