//! Becoming an operator in a browser, by a link that works once.

use access::{
    ALGORITHMS, AccessError, NewPassword, OpenedSession, PasskeyEnrolment, PasswordEnrolment, Purpose,
    Registration,
};
use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use base::{OperatorId, Secret};
use store::Committed;

use super::{
    page::{Page, see},
    sign_in::{Address, Asked, asked, begun, provider_name},
    visitor::same_site,
};
use crate::{
    App,
    caller::{call, refusal},
    extract::{Form, Pairs, Query, QueryParameters},
    problem::Problem,
    request::RequestContext,
};

/// Why somebody is here again.
pub(crate) struct Again {
    wrong: Option<&'static str>,
    word: &'static str,
}

const WRONG: [(&str, &str); 10] = [
    ("link", "The link was used, or has ended. Ask for another."),
    ("passkey", "The passkey did not answer in time, or is one already. Try again."),
    ("provider", "Your company's sign-in did not say who you are. Try again."),
    ("identity", "That person of your company's sign-in has joined already. Sign in."),
    (
        "name",
        "That name can't be taken: 1 to 64 letters, digits and spaces, starting and ending with a letter or digit.",
    ),
    ("login", "That name to sign in by can't be taken: 3 to 64 letters, digits, and . _ - @"),
    ("login-taken", "Somebody else signs in by that name. Choose another."),
    (
        "password",
        "That password is too short, or easy to guess. Take four or more words that nobody would put together.",
    ),
    ("code", "The code is not what the app shows now. Scan the picture once more: it is another one."),
    ("challenge", "The form was open for too long. Scan the picture once more: it is another one."),
];

impl QueryParameters for Again {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let word = pairs.take("wrong");
        let found = WRONG.iter().find(|(known, _)| Some(*known) == word.as_deref());
        let (word, wrong) = found.map_or(("", None), |(word, text)| (word, Some(*text)));
        Ok(Self { wrong, word })
    }
}

/// Back to the form, for what is wrong there; a problem for what is not.
pub(crate) fn again(error: AccessError) -> Result<Response, Problem> {
    let word = match &error {
        AccessError::LinkInvalid => "link",
        AccessError::PasskeyInvalid | AccessError::KeyTaken => "passkey",
        AccessError::PasswordInvalid => "challenge",
        AccessError::ProviderInvalid => "provider",
        AccessError::IdentityTaken => "identity",
        AccessError::LoginTaken => "login-taken",
        AccessError::Invalid { field, .. } if WRONG.iter().any(|(known, _)| known == field) => field,
        _ => return Err(refusal(error)),
    };
    Ok(see(&format!("/enrol?wrong={word}")))
}

/// What an authenticator app is to hold, as a page shows it.
pub(crate) struct AppShown {
    pub(crate) challenge: String,
    pub(crate) login: String,
    pub(crate) text: String,
    pub(crate) picture: String,
}

/// What an app is to hold for whoever answers that challenge.
pub(crate) fn app_shown(app: &App, purpose: Purpose, challenge: String, account: &str) -> Option<AppShown> {
    let secret = app.access().authenticator_app(purpose, &challenge, account)?;
    let code = qrcode::QrCode::new(secret.uri.expose().as_bytes()).ok()?;
    let picture = code
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(200, 200)
        .dark_color(qrcode::render::svg::Color("#000"))
        .light_color(qrcode::render::svg::Color("#fff"))
        .build();
    // Within a page it has no declaration, and is one picture to whoever can't see it.
    let (_, picture) = picture.split_once("<svg")?;
    let picture = format!("<svg role=\"img\" aria-label=\"QR code\"{picture}");
    let text =
        secret.text.expose().as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    Some(AppShown { challenge, login: String::new(), text, picture })
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    asked: Option<Asked>,
    user: String,
    algorithms: String,
    wrong: Option<&'static str>,
    is_password: bool,
    elsewhere: Option<String>,
    provider: Option<String>,
    app: Option<AppShown>,
}

/// The algorithms that are offered, for the script.
pub(crate) fn algorithms() -> String {
    ALGORITHMS.map(|one| one.to_string()).join(" ")
}

/// An operator's id as the browser takes it.
pub(crate) fn user_handle(operator: OperatorId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(operator.as_bytes())
}

pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    Query(again): Query<Again>,
) -> Result<Page<impl Template>, Problem> {
    let operator = OperatorId::new(app.context()).map_err(AccessError::from)?;
    let asked = asked(&app, &address, Purpose::Enrol, Some(operator))?;
    let elsewhere = if asked.is_none() { app.access().passkey_address() } else { None };
    let shown = if app.access().has_passwords() {
        let challenge = match &asked {
            Some(asked) => asked.challenge.clone(),
            None => app.access().challenge(Purpose::Enrol, Some(operator))?.0,
        };
        app_shown(&app, Purpose::Enrol, challenge, "console")
    } else {
        None
    };
    let page = EnrolPage {
        asked,
        user: user_handle(operator),
        algorithms: algorithms(),
        wrong: again.wrong,
        is_password: matches!(again.word, "login" | "login-taken" | "password" | "code" | "challenge"),
        elsewhere,
        provider: provider_name(&app),
        app: shown,
    };
    Ok(Page(page))
}

pub(crate) async fn enrol(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let enrolment = PasskeyEnrolment {
        secret: secret_of(&form.take("secret").unwrap_or_default()),
        name: form.take("name").unwrap_or_default(),
        registration: registration(&mut form),
    };
    joined(app.access().enrol_by_passkey(enrolment, &call(&context, "console")).await)
}

pub(crate) async fn enrol_by_password(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let enrolment = PasswordEnrolment {
        secret: secret_of(&form.take("secret").unwrap_or_default()),
        name: form.take("name").unwrap_or_default(),
        password: new_password(&mut form),
    };
    joined(app.access().enrol_by_password(enrolment, &call(&context, "console")).await)
}

fn joined(done: Result<Committed<OpenedSession>, AccessError>) -> Result<Response, Problem> {
    match done.map(Committed::into_inner) {
        Ok(opened) => Ok(begun(&opened, "/")),
        Err(error) => again(error),
    }
}

/// The secret of a link: what stands behind `#`, without the fingerprint of the authority, which a browser checks by itself.
pub(crate) fn secret_of(fragment: &str) -> Secret<String> {
    let fragment = fragment.rsplit_once('#').map_or(fragment, |(_, fragment)| fragment);
    Secret::new(fragment.split_once('.').map_or(fragment, |(secret, _)| secret).to_owned())
}

/// A new passkey out of a form.
pub(crate) fn registration(form: &mut Pairs) -> Registration {
    let mut part = |name| form.take(name).unwrap_or_default();
    Registration {
        challenge: part("challenge"),
        client_data: part("client_data"),
        attestation: part("attestation"),
    }
}

/// A new password out of a form.
pub(crate) fn new_password(form: &mut Pairs) -> NewPassword {
    let secret = |text: Option<Secret<String>>| text.unwrap_or_else(|| Secret::new(String::new()));
    NewPassword {
        challenge: form.take("challenge").unwrap_or_default(),
        login: form.take("login").unwrap_or_default(),
        password: secret(form.take_secret("password")),
        code: secret(form.take_secret("code")),
    }
}
