//! Signing in and out, and proving once more who one is.

use access::{PasskeyAnswer, Purpose};
use askama::Template;
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response,
};
use base::Secret;
use store::Committed;

use super::{
    page::{Page, next_of, quoted, see},
    visitor::{COOKIE_GONE, Posted, Visitor, cookie_of, same_site},
};
use crate::{
    App,
    caller::{call, throttled},
    extract::{Form, Pairs, Query, QueryParameters},
    problem::Problem,
    request::RequestContext,
};

/// What a passkey is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The challenge.
    pub(crate) challenge: String,
    /// The name that passkeys are bound to.
    pub(crate) party: String,
}

/// Where somebody is led to, and why they are here.
pub(crate) struct Next {
    next: String,
    over: bool,
    wrong: bool,
}

impl QueryParameters for Next {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let next = pairs.take("next");
        let next = next_of(next.as_deref()).to_owned();
        pairs.take("done");
        Ok(Self { next, over: pairs.take("over").is_some(), wrong: pairs.take("wrong").is_some() })
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    asked: Option<Asked>,
    next: String,
    over: bool,
    wrong: bool,
    elsewhere: Option<String>,
}

#[derive(Template)]
#[template(path = "prove.html")]
struct ProvePage {
    asked: Option<Asked>,
    next: String,
    token: String,
    wrong: bool,
}

/// What passkeys are asked for at the address that this request was sent to; none where there can be none.
pub(crate) fn asked(
    app: &App,
    address: &Address,
    purpose: Purpose,
    operator: Option<base::OperatorId>,
) -> Result<Option<Asked>, Problem> {
    let Some(address) = &address.0 else { return Ok(None) };
    let Some(party) = app.access().passkey_party(address) else { return Ok(None) };
    let (challenge, _) = app.access().challenge(purpose, operator)?;
    Ok(Some(Asked { challenge, party: party.to_owned() }))
}

/// The address that a request was sent to: by `Host`, or in HTTP/2 by `:authority`.
pub(crate) struct Address(Option<String>);

impl FromRequestParts<App> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let host = host.or(parts.uri.authority().map(|authority| authority.as_str()));
        Ok(Self(host.map(|host| format!("https://{host}"))))
    }
}

pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    Query(next): Query<Next>,
) -> Result<Page<impl Template>, Problem> {
    let asked = asked(&app, &address, Purpose::SignIn, None)?;
    // Reached by a number, to which no passkey is bound: by its name it would do.
    let elsewhere = if asked.is_none() { app.access().passkey_address() } else { None };
    let Next { next, over, wrong } = next;
    Ok(Page(SignInPage { asked, next, over, wrong, elsewhere }))
}

pub(crate) async fn by_code(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let code = form.take_secret("code").unwrap_or_else(|| Secret::new(String::new()));
    let next = form.take("next");
    let opened = app.access().session_by_code(&code, &call(&context, "console")).await;
    let opened = opened.map(Committed::into_inner);
    match opened {
        Ok(opened) => Ok(begun(&opened, next_of(next.as_deref()))),
        Err(access::AccessError::CodeInvalid) => Ok(wrong(next.as_deref())),
        Err(error) => {
            let retry = error.retry_after();
            Err(throttled(error.into(), retry))
        }
    }
}

pub(crate) async fn by_passkey(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let next = form.take("next");
    let answer = answer(&mut form);
    let opened = app.access().session_by_passkey(&answer, &call(&context, "console")).await;
    match opened.map(Committed::into_inner) {
        Ok(opened) => Ok(begun(&opened, next_of(next.as_deref()))),
        Err(access::AccessError::PasskeyInvalid) => Ok(wrong(next.as_deref())),
        Err(error) => {
            let retry = error.retry_after();
            Err(throttled(error.into(), retry))
        }
    }
}

fn wrong(next: Option<&str>) -> Response {
    see(&format!("/sign-in?wrong=1&next={}", quoted(next_of(next))))
}

fn answer(form: &mut Pairs) -> PasskeyAnswer {
    let mut part = |name| form.take(name).unwrap_or_default();
    PasskeyAnswer {
        challenge: part("challenge"),
        credential: part("credential"),
        client_data: part("client_data"),
        authenticator_data: part("authenticator_data"),
        signature: part("signature"),
        user_handle: part("user_handle"),
    }
}

/// Into a session that has just begun.
pub(crate) fn begun(opened: &access::OpenedSession, next: &str) -> Response {
    let mut response = see(next);
    if let Ok(mut cookie) = HeaderValue::from_str(cookie_of(&opened.secret).expose()) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

pub(crate) async fn prove_page(
    State(app): State<App>,
    visitor: Visitor,
    address: Address,
    Query(next): Query<Next>,
) -> Result<Page<impl Template>, Problem> {
    let asked = asked(&app, &address, Purpose::Prove, Some(visitor.session.operator))?;
    let has_passkey = !app.access().passkeys(&visitor.principal).await?.is_empty();
    let asked = asked.filter(|_| has_passkey);
    let token = visitor.frame(&app).token;
    Ok(Page(ProvePage { asked, next: next.next, token, wrong: next.wrong }))
}

pub(crate) async fn prove(
    State(app): State<App>,
    context: RequestContext,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let next = form.take("next");
    let answer = answer(&mut form);
    let call = call(&context, "console");
    let done = app.access().session_prove(&visitor.principal, &visitor.session, &answer, &call).await;
    let next = next_of(next.as_deref());
    match done {
        Ok(_) => {
            let mark = if next.contains('?') { '&' } else { '?' };
            Ok(see(&format!("{next}{mark}done=proved")))
        }
        Err(access::AccessError::PasskeyInvalid) => Ok(see(&format!("/prove?wrong=1&next={}", quoted(next)))),
        Err(error) => {
            let retry = error.retry_after();
            Err(throttled(error.into(), retry))
        }
    }
}

pub(crate) async fn sign_out(
    State(app): State<App>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().session_end(&visitor.principal, &visitor.session).await?.into_inner();
    let mut response = see("/sign-in");
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static(COOKIE_GONE));
    Ok(response)
}
