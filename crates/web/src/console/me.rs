//! One's own sign-in: passkeys, and how this session stands.

use access::{AccessError, FRESH, Passkey, Purpose};
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base::{IdentityId, PasskeyId, PasswordId, SessionId};

use super::{
    enrol::{AppShown, algorithms, app_shown, new_password, registration, user_handle},
    frame::Frame,
    page::{Page, see},
    person::SessionRow,
    sign_in::{Address, Asked, asked, provider_name},
    time::When,
    visitor::{Posted, Visitor},
};
use crate::{App, extract::Path, problem::Problem};

/// A passkey in the list.
struct Row {
    id: PasskeyId,
    name: String,
    added: When,
}

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    passkeys: Vec<Row>,
    password: Option<(PasswordId, String, When)>,
    passwords: bool,
    identities: Vec<(IdentityId, String, When)>,
    provider: Option<String>,
    asked: Option<Asked>,
    user: String,
    algorithms: String,
    method: &'static str,
    began: When,
    proved: When,
    fresh: bool,
    ends: When,
    /// One's other sessions.
    others: Vec<SessionRow>,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    address: Address,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let when = |at| When::new(at, now);
    let passkeys = app.access().passkeys(&visitor.principal).await?;
    let password = app.access().password(&visitor.principal).await?;
    let identities = app.access().identities(&visitor.principal).await?;
    let row = |one: Passkey| Row { id: one.id, name: one.name, added: when(one.added) };
    let session = &visitor.session;
    let others = app.access().own_sessions(&visitor.principal).await?;
    let others = others.into_iter().filter(|one| one.id != session.id);
    let page = MePage {
        frame: visitor.frame(&app),
        passkeys: passkeys.into_iter().map(row).collect(),
        password: password.map(|one| (one.id, one.login, when(one.set))),
        passwords: app.access().has_passwords(),
        identities: identities.into_iter().map(|one| (one.id, one.issuer, when(one.added))).collect(),
        // The company's own provider knows nobody of a customer.
        provider: provider_name(&app).filter(|_| session.role.account().is_none()),
        asked: asked(&app, &address, Purpose::Add, Some(session.operator))?,
        user: user_handle(session.operator),
        algorithms: algorithms(),
        method: session.method.words(),
        began: when(session.began),
        proved: when(session.proved),
        fresh: now < session.proved + FRESH,
        ends: when(session.ends),
        others: others.map(|one| SessionRow::new(one, session.id, now)).collect(),
    };
    Ok(Page(page))
}

pub(crate) async fn add(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let name = form.take("name").unwrap_or_default();
    let registration = registration(&mut form);
    app.access().passkey_add(&visitor.principal, &name, &registration).await?.into_inner();
    Ok(see("/me?done=added"))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path(passkey): Path<PasskeyId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().passkey_remove(&visitor.principal, &visitor.session, passkey).await?.into_inner();
    Ok(see("/me?done=removed"))
}

pub(crate) async fn end_session(
    State(app): State<App>,
    Path(session): Path<SessionId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().own_session_end(&visitor.principal, session).await?.into_inner();
    Ok(see("/me?done=session-ended"))
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: Frame,
    app: AppShown,
    again: bool,
    wrong: Option<String>,
}

/// The form that sets a password.
pub(crate) async fn password_page(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Page<impl Template>, Problem> {
    form(&app, &visitor, String::new(), None).await
}

async fn form(
    app: &App,
    visitor: &Visitor,
    login: String,
    wrong: Option<String>,
) -> Result<Page<PasswordPage>, Problem> {
    if !app.access().has_passwords() {
        return Err(AccessError::WayOff.into());
    }
    let session = &visitor.session;
    let known = app.access().password(&visitor.principal).await?;
    let (challenge, _) = app.access().challenge(Purpose::Password, Some(session.operator))?;
    let shown = app_shown(app, Purpose::Password, challenge, &session.name);
    let mut shown = shown.ok_or_else(|| Problem::internal("no picture of an authenticator app"))?;
    shown.login =
        if login.is_empty() { known.as_ref().map_or(login, |one| one.login.clone()) } else { login };
    Ok(Page(PasswordPage { frame: visitor.frame(app), app: shown, again: known.is_some(), wrong }))
}

pub(crate) async fn password_set(
    State(app): State<App>,
    Posted { visitor, form: mut sent }: Posted,
) -> Result<Response, Problem> {
    let new = new_password(&mut sent);
    match app.access().password_set(&visitor.principal, &visitor.session, &new).await {
        Ok(_) => Ok(see("/me?done=password")),
        Err(
            error @ (AccessError::Invalid { .. } | AccessError::LoginTaken | AccessError::PasswordInvalid),
        ) => {
            let why = match &error {
                AccessError::Invalid { field: "login", .. } => format!("The name: {error}."),
                AccessError::Invalid { field: "password", .. } => format!("The password: {error}."),
                AccessError::Invalid { field: "code", .. } => format!("The code: {error}. The picture is another one now."),
                AccessError::LoginTaken => "Somebody else signs in by that name. Choose another.".to_owned(),
                _ => "The form was open for too long, or was sent before. Scan the picture once more: it is another one.".to_owned(),
            };
            Ok(form(&app, &visitor, new.login, Some(why)).await?.into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn password_remove(
    State(app): State<App>,
    Path(password): Path<PasswordId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().password_remove(&visitor.principal, &visitor.session, password).await?.into_inner();
    Ok(see("/me?done=removed"))
}
