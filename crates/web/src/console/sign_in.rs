//! Signing in and out, and proving once more who one is.

use access::{AccessError, OpenedSession, PasskeyAnswer, PasswordAnswer, Purpose};
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
    caller::{call, refusal},
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
    pub(crate) next: String,
    over: bool,
    wrong: Option<&'static Wrong>,
}

/// Why somebody is here again.
pub(crate) struct Wrong {
    word: &'static str,
    text: &'static str,
}

const WRONG: [Wrong; 5] = [
    Wrong { word: "code", text: "That did not open the console. A code works once, for two minutes." },
    Wrong {
        word: "passkey",
        text: "No passkey of this console answered in time. One works only where it was made.",
    },
    Wrong {
        word: "password",
        text: "The name, the password or the code is not right. The code is the one that your app shows now, and works once.",
    },
    Wrong { word: "provider", text: "Your company's sign-in did not say who you are. Start again here." },
    Wrong {
        word: "identity",
        text: "Your company's sign-in knows you, and here nobody is linked with you. Ask an administrator for a link, or sign in another way and add it at “Your sign-in”.",
    },
];

/// The word for what leads back to the form; none for what is a problem of its own.
const fn word_of(error: &AccessError) -> Option<&'static str> {
    Some(match error {
        AccessError::CodeInvalid => "code",
        AccessError::PasskeyInvalid => "passkey",
        AccessError::PasswordInvalid => "password",
        AccessError::ProviderInvalid => "provider",
        AccessError::IdentityUnknown => "identity",
        _ => return None,
    })
}

impl QueryParameters for Next {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let next = pairs.take("next");
        let next = next_of(next.as_deref()).to_owned();
        pairs.take("done");
        let wrong = pairs.take("wrong");
        let wrong = WRONG.iter().find(|known| Some(known.word) == wrong.as_deref());
        Ok(Self { next, over: pairs.take("over").is_some(), wrong })
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    asked: Option<Asked>,
    next: String,
    over: bool,
    wrong: Option<&'static Wrong>,
    elsewhere: Option<String>,
    provider: Option<String>,
    passwords: bool,
}

impl SignInPage {
    fn is_open(&self, word: &str) -> bool {
        self.wrong.is_some_and(|wrong| wrong.word == word)
    }
}

#[derive(Template)]
#[template(path = "prove.html")]
struct ProvePage {
    asked: Option<Asked>,
    next: String,
    token: String,
    wrong: Option<&'static Wrong>,
    provider: Option<String>,
    login: Option<String>,
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

impl Address {
    /// Its text, such as `https://tenet.example.com`.
    pub(crate) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// What the company's provider of identities is called, if there is one.
pub(crate) fn provider_name(app: &App) -> Option<String> {
    app.access().provider().map(|provider| provider.name.clone())
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
    let (provider, passwords) = (provider_name(&app), app.access().has_passwords());
    Ok(Page(SignInPage { asked, next, over, wrong, elsewhere, provider, passwords }))
}

pub(crate) async fn by_code(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let code = secret(&mut form, "code");
    let done = app.access().session_by_code(&code, &call(&context, "console")).await;
    opened(done, form.take("next").as_deref())
}

pub(crate) async fn by_passkey(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let answer = answer(&mut form);
    let done = app.access().session_by_passkey(&answer, &call(&context, "console")).await;
    opened(done, form.take("next").as_deref())
}

pub(crate) async fn by_password(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let answer = password(&mut form);
    let done = app.access().session_by_password(&answer, &call(&context, "console")).await;
    opened(done, form.take("next").as_deref())
}

/// Into a session, back to the form, or a problem.
pub(crate) fn opened(
    done: Result<Committed<OpenedSession>, AccessError>,
    next: Option<&str>,
) -> Result<Response, Problem> {
    let next = next_of(next);
    match done.map(Committed::into_inner) {
        Ok(opened) => Ok(begun(&opened, next)),
        Err(error) => match word_of(&error) {
            Some(word) => Ok(see(&format!("/sign-in?wrong={word}&next={}", quoted(next)))),
            None => Err(refusal(error)),
        },
    }
}

/// On with what was to be done, back to the form, or a problem.
pub(crate) fn proven(
    done: Result<Committed<()>, AccessError>,
    next: Option<&str>,
) -> Result<Response, Problem> {
    let next = next_of(next);
    match done.map(Committed::into_inner) {
        Ok(()) => {
            let mark = if next.contains('?') { '&' } else { '?' };
            Ok(see(&format!("{next}{mark}done=proved")))
        }
        Err(error) => match word_of(&error) {
            Some(word) => Ok(see(&format!("/prove?wrong={word}&next={}", quoted(next)))),
            None => Err(refusal(error)),
        },
    }
}

fn secret(form: &mut Pairs, name: &str) -> Secret<String> {
    form.take_secret(name).unwrap_or_else(|| Secret::new(String::new()))
}

fn password(form: &mut Pairs) -> PasswordAnswer {
    let login = form.take("login").unwrap_or_default();
    PasswordAnswer { login, password: secret(form, "password"), code: secret(form, "code") }
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
pub(crate) fn begun(opened: &OpenedSession, next: &str) -> Response {
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
    let by = &visitor.principal;
    let asked = asked(&app, &address, Purpose::Prove, Some(visitor.session.operator))?;
    let has_passkey = !app.access().passkeys(by).await?.is_empty();
    let asked = asked.filter(|_| has_passkey);
    let is_linked = !app.access().identities(by).await?.is_empty();
    let provider = provider_name(&app).filter(|_| is_linked);
    let login = app.access().password(by).await?.filter(|_| app.access().has_passwords());
    let login = login.map(|password| password.login);
    let token = visitor.frame(&app).token;
    Ok(Page(ProvePage { asked, next: next.next, token, wrong: next.wrong, provider, login }))
}

pub(crate) async fn prove(
    State(app): State<App>,
    context: RequestContext,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let answer = answer(&mut form);
    let call = call(&context, "console");
    let done = app.access().session_prove(&visitor.principal, &visitor.session, &answer, &call).await;
    proven(done, form.take("next").as_deref())
}

pub(crate) async fn prove_by_password(
    State(app): State<App>,
    context: RequestContext,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let answer = password(&mut form);
    let call = call(&context, "console");
    let (by, session) = (&visitor.principal, &visitor.session);
    let done = app.access().session_prove_by_password(by, session, &answer, &call).await;
    proven(done, form.take("next").as_deref())
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
