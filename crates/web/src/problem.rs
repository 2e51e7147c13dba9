//! Problems: what a caller is told when a request fails (RFC 9457). Here is the only map from a kind of
//! error to a status code. What an internal error says goes to the operator's log, never to the caller.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Fault, Kind, RequestId};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What `type` begins with; the code follows.
pub const TYPE_PREFIX: &str = "urn:tenet:problem:";
/// The protection space of a challenge.
const REALM: &str = "tenet";
/// Seconds after which a caller may try again when a part of Tenet does not answer.
const RETRY_UNAVAILABLE: u32 = 2;
/// Seconds after which a caller may try again when space has run out.
const RETRY_FULL: u32 = 60;
/// Seconds after which a caller may try again when a rate is exceeded and nothing better is known.
const RETRY_RATE: u32 = 1;
/// Most characters of `detail` and `field`: they can quote the request.
const MAX_QUOTED_CHARS: usize = 1_024;

/// A request that failed, and what the caller may know of it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    status: StatusCode,
    code: &'static str,
    detail: String,
    clause: Option<&'static str>,
    field: Option<String>,
    retry_after: Option<u32>,
    challenge: Option<String>,
    extra: Vec<(HeaderName, HeaderValue)>,
    /// For the operator's log only.
    internal: Option<String>,
}

/// The body of a problem, as it goes over the wire.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, title = "Problem", example = json!({
    "type": "urn:tenet:problem:not-found", "title": "Not found", "status": 404, "code": "not-found",
    "detail": "there is no such record", "remedy": "check the id; another account's things are never found",
    "request": "req_01knk0m3a0e9x8c5m3q8d2v7zt"
}))]
pub(crate) struct ProblemBody<'a> {
    /// What kind of problem it is: `urn:tenet:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A stable code that scripts can match: lower-case words joined by hyphens.
    code: &'static str,
    /// What is wrong with this request.
    detail: &'a str,
    /// The clause of the policy that refuses, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    clause: Option<&'static str>,
    /// The field, parameter or header at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
    /// What to do about it.
    remedy: &'static str,
    /// The request's id, by which the operator finds it in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = String)]
    request: Option<String>,
}

/// What can be wrong with a request before it reaches the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    /// No such route.
    Route,
    /// The route does not know the method.
    Method,
    /// The body came too slowly.
    Slow,
    /// The body's length is not told.
    Length,
    /// The body is larger than the limit.
    TooLarge,
    /// The body's media type is not the one that is taken.
    MediaType,
    /// More requests at once, or from this caller, than are served.
    Rate,
    /// More requests at once than are served to all.
    Busy,
    /// The server did not finish in time.
    Timeout,
    /// The server has not finished starting, or is stopping.
    NotReady,
}

impl Http {
    const fn status(self) -> StatusCode {
        match self {
            Self::Route => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Length => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rate => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Timeout | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
    const fn code(self) -> &'static str {
        match self {
            Self::Route => "no-such-route",
            Self::Method => "method-not-allowed",
            Self::Slow => "request-too-slow",
            Self::Length => "length-required",
            Self::TooLarge => "body-too-large",
            Self::MediaType => "unsupported-media-type",
            Self::Rate => "rate-exceeded",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::NotReady => "not-ready",
        }
    }
}

/// The only map from a kind of error to a status code. The code refines it where HTTP has a word of its
/// own for one case of a kind.
fn status(kind: Kind, code: &str) -> StatusCode {
    match (kind, code) {
        (Kind::Invalid, "range-not-satisfiable") => StatusCode::RANGE_NOT_SATISFIABLE,
        (Kind::Invalid, _) => StatusCode::BAD_REQUEST,
        (Kind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Kind::Denied, _) => StatusCode::FORBIDDEN,
        (Kind::NotFound, _) => StatusCode::NOT_FOUND,
        (Kind::Conflict, "version-mismatch" | "precondition-failed") => StatusCode::PRECONDITION_FAILED,
        (Kind::Conflict, _) => StatusCode::CONFLICT,
        (Kind::Limit, "storage-full") => StatusCode::INSUFFICIENT_STORAGE,
        (Kind::Limit, "limit-exceeded" | "content-too-long") => StatusCode::PAYLOAD_TOO_LARGE,
        (Kind::Limit, _) => StatusCode::TOO_MANY_REQUESTS,
        (Kind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Kind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What to do about a problem of this status.
fn remedy(status: StatusCode, code: &str) -> &'static str {
    match (status.as_u16(), code) {
        (404, "no-such-route") => "see `/openapi.json` for the routes that there are",
        (503, "timeout") => "read what became of it, or send it again with the same `Idempotency-Key`",
        (400, _) => "change the request as `detail` says",
        (401, _) => "get an access token at `/v1/token` and send it as `Authorization: Bearer`",
        (403, "own-act" | "own-trail" | "own-version" | "own-wording") => "ask another operator to do it",
        (403, "safeguard-weakened") => {
            "set it back and restart, or have two operators run `tenet safeguard approve`"
        }
        (403, _) => "ask an operator for a client with the scope that this needs",
        (404, _) => "check the id; another account's things are never found",
        (405, _) => "use a method that the header `Allow` lists",
        (408, _) => "send the body without pauses",
        (409, _) => "read it again, then decide",
        (411, _) => "send `Content-Length`",
        (412, _) => "read it again, and send its `ETag` as `If-Match`",
        (413, _) => "send less at once",
        (415, _) => "send the media type that `detail` names as `Content-Type`",
        (416, _) => "ask for a range within the size that `Content-Range` states",
        (429 | 503, _) => "wait as long as `Retry-After` says, then try again",
        (507, _) => "an operator frees or adds space; reads go on",
        _ => "try again; if it persists, give the operator the `request` id",
    }
}

/// The retry delay, in seconds, of a status that must carry one.
const fn default_retry(status: StatusCode) -> Option<u32> {
    match status.as_u16() {
        429 => Some(RETRY_RATE),
        503 => Some(RETRY_UNAVAILABLE),
        507 => Some(RETRY_FULL),
        _ => None,
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self(Box::new(Details {
            status,
            code,
            detail,
            clause: None,
            field: None,
            retry_after: default_retry(status),
            challenge: (status == StatusCode::UNAUTHORIZED).then(|| format!("Bearer realm=\"{REALM}\"")),
            extra: Vec::new(),
            internal: None,
        }))
    }
    /// A problem of HTTP itself.
    pub(crate) fn http(what: Http, detail: impl Into<String>) -> Self {
        Self::new(what.status(), what.code(), detail.into())
    }
    /// A request that is malformed; `field` is the field, parameter or header at fault.
    pub(crate) fn invalid(code: &'static str, field: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, code, detail.into());
        problem.0.field = Some(field.to_owned());
        problem
    }
    /// Nobody is established.
    pub(crate) fn unauthenticated(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail.into())
    }
    /// A fault of ours, with the words for the operator's log.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        let detail = "a fault of the server's; nothing about it is told here".to_owned();
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        problem.0.internal = Some(what.into());
        problem
    }
    /// A fault of ours, for what is brought to the application from outside of it.
    pub fn fault(what: &str) -> Self {
        Self::internal(what)
    }
    /// The code by which somebody of a customer is led to where their console begins.
    pub(crate) const OWN_START: &'static str = "own-start";
    /// The console of somebody of a customer begins at their account.
    pub(crate) fn own_start() -> Self {
        Self::new(StatusCode::FORBIDDEN, Self::OWN_START, "your console begins at your account".to_owned())
    }
    /// Something that will be there in a moment.
    pub fn not_yet(detail: impl Into<String>) -> Self {
        Self::http(Http::NotReady, detail)
    }
    /// Says when to try again, in whole seconds, at least one.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }
    /// Says what a token lacks (RFC 6750 3.1): `invalid_token` or `insufficient_scope`.
    #[must_use]
    pub(crate) fn challenge(mut self, error: &'static str) -> Self {
        self.0.challenge = Some(format!("Bearer realm=\"{REALM}\", error=\"{error}\""));
        self
    }
    /// Adds a header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.extra.push((name, value));
        self
    }
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
    /// Its code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }
    /// Its detail, as told to the caller.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }
    /// The clause that refuses, if one does.
    pub(crate) fn clause(&self) -> Option<&'static str> {
        self.0.clause
    }
    /// When to try again, in seconds, if that is said.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after
    }
    /// What only the operator's log says.
    pub(crate) fn for_operator(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// The response, with the request's id in it.
    pub(crate) fn render(&self, request: Option<RequestId>) -> Response {
        let detail = shortened(&self.0.detail);
        let field = self.0.field.as_deref().map(shortened);
        let body = ProblemBody {
            kind: format!("{TYPE_PREFIX}{}", self.0.code),
            title: self.0.status.canonical_reason().unwrap_or("Problem"),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: &detail,
            clause: self.0.clause,
            field: field.as_deref(),
            remedy: remedy(self.0.status, self.0.code),
            request: request.map(|id| id.to_string()),
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(value)) = self.0.challenge.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        for (name, value) in &self.0.extra {
            headers.insert(name, value.clone());
        }
        response
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

impl<E: Fault> From<E> for Problem {
    fn from(fault: E) -> Self {
        let (kind, code) = (fault.kind(), fault.code());
        match kind {
            Kind::Internal => Self::internal(format!("{code}: {fault}")),
            // The words may name a host or a file: for the operator alone.
            Kind::Unavailable if code != "log-unwitnessed" => {
                let detail = "a part that this needs does not answer; nothing was changed".to_owned();
                let mut problem = Self::new(status(kind, code), code, detail);
                problem.0.internal = Some(fault.to_string());
                problem
            }
            _ => {
                let mut problem = Self::new(status(kind, code), code, fault.to_string());
                problem.0.clause = fault.clause();
                problem.0.field = fault.field().map(str::to_owned);
                match code {
                    "token-invalid" => problem.challenge("invalid_token"),
                    "access-denied" => problem.challenge("insufficient_scope"),
                    _ => problem,
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    /// The outermost layer renders it anew, with the request's id.
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[derive(Debug, thiserror::Error)]
    #[error("words of the fault")]
    struct Sample(Kind, &'static str);

    impl Fault for Sample {
        fn kind(&self) -> Kind {
            self.0
        }
        fn code(&self) -> &'static str {
            self.1
        }
        fn clause(&self) -> Option<&'static str> {
            Some("RR-2")
        }
        fn field(&self) -> Option<&str> {
            Some("/name")
        }
    }

    async fn rendered(problem: Problem) -> (Response, serde_json::Value) {
        let (parts, body) = problem.render(Some(RequestId::from_bytes([1; 16]))).into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap();
        (Response::from_parts(parts, Body::empty()), value)
    }

    #[test]
    fn each_kind_has_its_status() {
        for (kind, code, expected) in [
            (Kind::Invalid, "x", 400),
            (Kind::Unauthenticated, "x", 401),
            (Kind::Denied, "x", 403),
            (Kind::NotFound, "x", 404),
            (Kind::Conflict, "x", 409),
            (Kind::Conflict, "version-mismatch", 412),
            (Kind::Limit, "x", 429),
            (Kind::Limit, "limit-exceeded", 413),
            (Kind::Invalid, "range-not-satisfiable", 416),
            (Kind::Limit, "storage-full", 507),
            (Kind::Unavailable, "x", 503),
            (Kind::Internal, "x", 500),
        ] {
            assert_eq!(Problem::from(Sample(kind, code)).status().as_u16(), expected, "{kind:?} {code}");
        }
    }

    #[tokio::test]
    async fn a_refusal_names_field_clause_and_remedy() {
        let (response, body) = rendered(Sample(Kind::Invalid, "above-repository").into()).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(body["type"], "urn:tenet:problem:above-repository");
        assert_eq!((&body["clause"], &body["field"]), (&"RR-2".into(), &"/name".into()));
        assert_eq!(body["detail"], "words of the fault");
        assert_eq!(body["remedy"], "change the request as `detail` says");
        assert_eq!(body["request"], RequestId::from_bytes([1; 16]).to_string());
    }

    #[tokio::test]
    async fn what_is_ours_is_not_told() {
        for kind in [Kind::Internal, Kind::Unavailable] {
            let problem = Problem::from(Sample(kind, "x"));
            assert!(problem.for_operator().unwrap().contains("words of the fault"));
            let (_, body) = rendered(problem).await;
            assert!(!body.to_string().contains("words of the fault"), "{body}");
        }
    }

    #[tokio::test]
    async fn statuses_carry_the_headers_that_they_must() {
        for (kind, code) in
            [(Kind::Limit, "rate"), (Kind::Limit, "storage-full"), (Kind::Unavailable, "storage-unavailable")]
        {
            let (response, _) = rendered(Sample(kind, code).into()).await;
            let seconds = response.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap();
            assert!(seconds >= 1);
        }
        let (response, _) = rendered(Sample(Kind::Unauthenticated, "x").into()).await;
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"tenet\"");
        let problem = Problem::from(Sample(Kind::Unauthenticated, "x")).challenge("invalid_token");
        let (response, _) = rendered(problem).await;
        assert_eq!(
            response.headers()[header::WWW_AUTHENTICATE],
            "Bearer realm=\"tenet\", error=\"invalid_token\""
        );
    }

    #[tokio::test]
    async fn what_is_quoted_is_bounded() {
        let (_, body) = rendered(Problem::invalid("x", &"f".repeat(9_000), "d".repeat(9_000))).await;
        assert_eq!(body["detail"].as_str().unwrap().len(), MAX_QUOTED_CHARS);
        assert_eq!(body["field"].as_str().unwrap().len(), MAX_QUOTED_CHARS);
    }
}
