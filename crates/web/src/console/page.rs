//! A page as an answer, and what went wrong as one.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base::RequestId;

use crate::problem::Problem;

/// What a page may load: from here alone, and nothing inline.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Most bytes of a path that somebody is led back to.
const MAX_NEXT_BYTES: usize = 512;

/// A page.
pub(crate) struct Page<T>(pub(crate) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => html_of(StatusCode::OK, html),
            Err(error) => Problem::internal(format!("a page can't be rendered: {error}")).into_response(),
        }
    }
}

fn html_of(status: StatusCode, html: String) -> Response {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    // Forms that fail lead back to the page that they stand on.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// On to another page of the console, by GET.
pub(crate) fn see(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// A path of this console that somebody may be led to: never another site.
pub(crate) fn next_of(text: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        path.len() <= MAX_NEXT_BYTES
            && path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    text.filter(is_ours).unwrap_or("/")
}

/// A path as the value of a query's parameter.
pub(crate) fn quoted(path: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    title: &'a str,
    detail: &'a str,
    clause: Option<&'a str>,
    request: String,
    back: &'a str,
}

/// What went wrong with a page, as one: or the way to sign in, where that is all that is missing.
pub(crate) fn failure(
    problem: &Problem,
    method: &Method,
    uri: &Uri,
    referer: Option<&str>,
    request: Option<RequestId>,
) -> Response {
    let asked = uri.path_and_query().map_or("/", |path| path.as_str());
    // What a form was to do is not done again by itself: one is led to the page that it stands on.
    let from = referer.and_then(|text| text.parse::<Uri>().ok());
    let from = from.as_ref().and_then(|uri| uri.path_and_query()).map(|path| path.as_str());
    let back = next_of(if *method == Method::GET { Some(asked) } else { from });
    match problem.code() {
        "session-missing" => return see(&format!("/sign-in?next={}", quoted(back))),
        "session-invalid" => {
            let mut response = see(&format!("/sign-in?over=1&next={}", quoted(back)));
            let gone = HeaderValue::from_static(super::visitor::COOKIE_GONE);
            response.headers_mut().insert(header::SET_COOKIE, gone);
            return response;
        }
        Problem::OWN_START => return see("/account"),
        "proof-needed" => return see(&format!("/prove?next={}", quoted(back))),
        _ => {}
    }
    let status = problem.status();
    let page = ProblemPage {
        title: status.canonical_reason().unwrap_or("Something went wrong"),
        detail: problem.detail(),
        clause: problem.clause(),
        request: request.map(|id| id.to_string()).unwrap_or_default(),
        back: if *method == Method::GET { "/" } else { back },
    };
    let mut response = html_of(status, page.render().unwrap_or_default());
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for (text, path) in [
            ("/clauses/CD-1?x=1", "/clauses/CD-1?x=1"),
            ("//evil.test", "/"),
            ("https://evil.test", "/"),
            ("/\\evil.test", "/"),
            ("/a b", "/"),
            ("", "/"),
        ] {
            assert_eq!(next_of(Some(text)), path, "{text}");
        }
        assert_eq!(next_of(None), "/");
        assert_eq!(quoted("/events?text=a b&c=d"), "/events%3Ftext%3Da%20b%26c%3Dd");
    }
}
