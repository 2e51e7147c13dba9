//! One of the people: since when and until when, what they sign in with, where they are signed in, what they acknowledged.

use access::{Action, OpenSession, Passkey};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{OperatorId, SessionId};
use watch::{Acknowledgement, WatchError};

use super::{
    frame::Frame,
    page::{Page, see},
    time::When,
    visitor::{Posted, Visitor},
};
use crate::{App, extract::Path, problem::Problem};

/// Acknowledgements on the page, the newest.
const SHOWN: usize = 50;

/// A session that is open.
pub(super) struct SessionRow {
    pub(super) id: SessionId,
    pub(super) method: String,
    pub(super) began: When,
    pub(super) used: When,
    pub(super) ends: When,
    /// Whether the page was asked for in it.
    pub(super) is_this: bool,
}

impl SessionRow {
    pub(super) fn new(session: OpenSession, this: SessionId, now: base::Timestamp) -> Self {
        Self {
            is_this: session.id == this,
            id: session.id,
            method: session.method,
            began: When::new(session.began, now),
            used: When::new(session.used, now),
            ends: When::new(session.ends, now),
        }
    }
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    id: OperatorId,
    name: String,
    role: &'static str,
    is_me: bool,
    enrolled: When,
    ends: Option<When>,
    revoked: Option<When>,
    passkeys: Vec<(String, When)>,
    sessions: Vec<SessionRow>,
    acknowledged: Vec<(u32, When)>,
    /// Clauses that wait for them; none if no version is adopted.
    waiting: Option<usize>,
    may_end: bool,
    may_revoke: bool,
    may_read_log: bool,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<OperatorId>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let when = |at| When::new(at, now);
    let person = app.access().operator_get(&visitor.principal, id).await?;
    let who = id.to_string();
    let waiting = match app.watch().version(&visitor.principal, None, None).await {
        Ok(found) if found.summary.version.adopted_at.is_some() => {
            found.outstanding.people.iter().find(|one| one.who == who).map(|one| one.clauses.len())
        }
        Ok(_) | Err(WatchError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let adoption = app.watch().adoption(now).await?;
    let theirs = |one: &&Acknowledgement| one.by == who;
    let acknowledged = adoption.acknowledgements.iter().rev().filter(theirs).take(SHOWN);
    let operator = person.operator;
    let passkey = |one: Passkey| (one.name, when(one.added));
    let page = PersonPage {
        frame: visitor.frame(&app),
        id,
        name: operator.name,
        role: operator.role.as_str(),
        is_me: id == visitor.session.operator,
        enrolled: when(operator.enrolled),
        ends: operator.ends.map(when),
        revoked: operator.revoked.or(operator.ends.filter(|ends| *ends <= now)).map(when),
        passkeys: person.passkeys.into_iter().map(passkey).collect(),
        sessions: person
            .sessions
            .into_iter()
            .map(|one| SessionRow::new(one, visitor.session.id, now))
            .collect(),
        acknowledged: acknowledged.map(|one| (one.version, when(one.at))).collect(),
        waiting,
        may_end: visitor.may(&app, Action::OperatorSessionsEnd),
        may_revoke: visitor.may(&app, Action::OperatorRevoke),
        may_read_log: visitor.may(&app, Action::LogRead),
    };
    Ok(Page(page))
}

pub(crate) async fn end_sessions(
    State(app): State<App>,
    Path(operator): Path<OperatorId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().operator_sessions_end(&visitor.principal, operator).await?.into_inner();
    Ok(see(&format!("/people/{operator}?done=sessions-ended")))
}
