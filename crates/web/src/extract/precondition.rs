//! `If-Match` and `ETag` (RFC 9110 8.8, 13.1) over version numbers, and `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header).

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderName, HeaderValue, header, request::Parts},
};
use vault::{IdempotencyKey, MAX_IDEMPOTENCY_KEY_BYTES};

use crate::{App, observe::one_header, problem::Problem};

/// The header that makes a request that is sent again be done once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the caller expects the current version to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: that there is one.
    Any,
    /// This version.
    Version(u64),
}

impl IfMatch {
    /// The version, if one is named.
    pub(crate) fn version(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Version(version) => Some(version),
        }
    }
}

/// The entity tag of a version: `"3"`.
pub(crate) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl OptionalFromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Option<Self>, Problem> {
        let Some(text) = one_header(&parts.headers, &header::IF_MATCH)? else { return Ok(None) };
        parse(text.trim()).map(Some).ok_or_else(|| {
            let detail =
                "expected one strong entity tag that was handed out as `ETag`, such as `\"3\"`, or `*`";
            Problem::invalid("malformed-header", "if-match", detail)
        })
    }
}

fn parse(text: &str) -> Option<IfMatch> {
    if text == "*" {
        return Some(IfMatch::Any);
    }
    let digits = text.strip_prefix('"')?.strip_suffix('"')?;
    let plain = (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    // An entity tag of something else matches nothing: version 0 never exists.
    let version = if plain { digits.parse().ok()? } else { 0 };
    (!digits.contains('"')).then_some(IfMatch::Version(version))
}

/// The `Idempotency-Key` of a request, and what else decides what the request does.
pub(crate) struct Once {
    key: Option<String>,
    route: String,
}

impl Once {
    /// The key for the vault, with the body that came along.
    pub(crate) fn with<'a>(&'a self, body: &'a [u8]) -> Option<IdempotencyKey<'a>> {
        self.key.as_deref().map(|key| IdempotencyKey { key, route: &self.route, body })
    }
}

impl FromRequestParts<App> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let route = |parts: &Parts| {
            let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
            let expected = parts.headers.get(header::IF_MATCH).map_or(&b""[..], HeaderValue::as_bytes);
            format!("{} {target} {}", parts.method, String::from_utf8_lossy(expected))
        };
        let Some(text) = one_header(&parts.headers, &IDEMPOTENCY_KEY)? else {
            return Ok(Self { key: None, route: String::new() });
        };
        let text = text.trim();
        let fits = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = "expected 1 to 255 visible ASCII characters without spaces";
            return Err(Problem::invalid("malformed-header", "idempotency-key", detail));
        }
        Ok(Self { key: Some(text.to_owned()), route: route(parts) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_versions() {
        assert_eq!(parse("\"3\""), Some(IfMatch::Version(3)));
        assert_eq!(parse("*"), Some(IfMatch::Any));
        assert_eq!(parse("\"another\""), Some(IfMatch::Version(0)));
        for wrong in ["3", "W/\"3\"", "\"3", "\"3\", \"4\"", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(etag(3), "\"3\"");
    }
}
