//! Whoever is in a session of the console: by the cookie, and for a form that changes something by the token that stands in it.

use access::{AccessError, Principal, PrincipalKind, Resource, Session, Use, form_token};
use axum::{
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, header, request::Parts},
};
use base::{Secret, constant_time_eq};

use super::frame::Frame;
use crate::{
    App,
    caller::{admit, call, refusal, seat},
    extract::{Form, Pairs},
    problem::{Http, Problem},
    request::RequestContext,
    route::Callers,
    throttle::party,
};

/// The name of the cookie: bound to this host, by TLS alone.
const COOKIE: &str = "__Host-tenet";
/// Takes it back.
pub(crate) const COOKIE_GONE: &str = "__Host-tenet=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
/// What the console's own script sends where it reads a page again by itself.
const BY_PAGE: &str = "x-tenet-page";
/// The field of a form with its token.
const TOKEN: &str = "form_token";

/// Whoever is in a session.
pub(crate) struct Visitor {
    pub(crate) principal: Principal,
    pub(crate) session: Session,
    token: String,
    path: String,
    done: Option<String>,
}

/// A form, sent by whoever is in a session from a page of this console.
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) form: Pairs,
}

/// The cookie of a session.
pub(crate) fn cookie_of(secret: &Secret<String>) -> Secret<String> {
    Secret::new(format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax", secret.expose()))
}

/// The value of a cookie; none if there is none, or more than one.
pub(crate) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<Secret<String>> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted);
    let (_, value) = found.next()?;
    found.next().is_none().then(|| Secret::new(value.to_owned()))
}

/// Whether a request was made by a page of this console, as far as the browser says.
pub(crate) fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Problem::invalid("another-site", "Sec-Fetch-Site", "another site sent this form")),
    }
}

impl Visitor {
    /// What stands around a page.
    pub(crate) fn frame(&self, app: &App) -> Frame {
        let may = |action| self.may(app, action);
        let who = (&self.session, self.token.clone());
        let mut frame = Frame::new(who, &self.path, self.done.as_deref(), may, app);
        frame.demo = app.is_demo();
        frame
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let context = RequestContext::from_request_parts(parts, app).await?;
        let info =
            parts.extensions.get::<MatchedPath>().and_then(|path| app.route(&parts.method, path.as_str()));
        let info = info.ok_or_else(|| Problem::internal("an authenticated handler is no listed route"))?;
        let Some(secret) = cookie(&parts.headers, COOKIE) else {
            return Err(Problem::unauthenticated("session-missing", "sign in first"));
        };
        let call = call(&context, info.subsystem);
        let use_of = match parts.headers.contains_key(BY_PAGE) || info.streams {
            true => Use::ByPage,
            false => Use::ByPerson,
        };
        let established = app.access().authenticate_session(&secret, &call, use_of).await;
        let (principal, session) = established.map_err(|error: AccessError| {
            let failed = matches!(error, AccessError::NoSession | AccessError::Throttled { .. });
            if failed && let Err(seconds) = app.bearer_failures().admit(&party(context.peer)) {
                app.metrics().refused("bearer-failures");
                let detail = "too many requests without a valid session come from this address";
                return Problem::http(Http::Rate, detail).retry_after(seconds);
            }
            refusal(error)
        })?;
        admit(app, &principal).await?;
        seat(app, &context, &principal).await?;
        // Nobody of a customer is refused for where the console begins: theirs begins elsewhere.
        if matches!(principal.kind(), PrincipalKind::Customer { .. }) && parts.uri.path() == "/" {
            return Err(Problem::own_start());
        }
        // What the page is listed for; whatever it then does asks again, with what it is done to.
        let Callers::Visitor(action) = info.callers else {
            return Err(Problem::internal("a page for visitors is listed for others"));
        };
        app.access().authorize(&principal, action, &Resource::new()).await?;
        let done = parts.uri.query().and_then(|query| {
            query.split('&').find_map(|pair| pair.strip_prefix("done=")).map(str::to_owned)
        });
        Ok(Self { principal, session, token: form_token(&secret), path: parts.uri.path().to_owned(), done })
    }
}

impl FromRequest<App> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        same_site(&parts.headers)?;
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let context = RequestContext::from_request_parts(&mut parts, app).await?;
        let Form(mut form) = Form::from_request(Request::from_parts(parts, body), app).await?;
        let given = form.take_secret(TOKEN).unwrap_or_else(|| Secret::new(String::new()));
        if !constant_time_eq(given.expose().as_bytes(), visitor.token.as_bytes()) {
            let error = AccessError::Invalid {
                field: TOKEN,
                reason: "the form is not one of this session: load its page again",
            };
            return Err(app.access().reject("form-token", error, &call(&context, "console")).await.into());
        }
        Ok(Self { visitor, form })
    }
}
