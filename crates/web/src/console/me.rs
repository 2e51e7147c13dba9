//! One's own sign-in: passkeys, and how this session stands.

use access::{FRESH, Passkey, Purpose};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{PasskeyId, SessionId};

use super::{
    enrol::{algorithms, registration, user_handle},
    frame::Frame,
    page::{Page, see},
    person::SessionRow,
    sign_in::{Address, Asked, asked},
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
    let row = |one: Passkey| Row { id: one.id, name: one.name, added: when(one.added) };
    let session = &visitor.session;
    let others = app.access().own_sessions(&visitor.principal).await?;
    let others = others.into_iter().filter(|one| one.id != session.id);
    let page = MePage {
        frame: visitor.frame(&app),
        passkeys: passkeys.into_iter().map(row).collect(),
        asked: asked(&app, &address, Purpose::Add, Some(session.operator))?,
        user: user_handle(session.operator),
        algorithms: algorithms(),
        method: session.method.as_str(),
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
