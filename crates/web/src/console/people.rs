//! People: who works here with which role, until when, and what they have acknowledged.

use std::collections::BTreeMap;

use access::{Action, Operator, Role};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{Duration, OperatorId};
use watch::WatchError;

use super::{
    frame::Frame,
    page::{Page, see},
    time::{When, day},
    visitor::{Posted, Visitor},
};
use crate::{App, extract::Path, problem::Problem};

/// People on the page.
const SHOWN: u32 = 500;
/// Most days that access by an invitation lasts, if it ends at all.
pub(crate) const MAX_DAYS: u32 = 3_650;

struct Row {
    id: OperatorId,
    name: String,
    role: &'static str,
    enrolled: When,
    ends: Option<String>,
    revoked: Option<When>,
    /// Clauses that are waiting for them; none if no version is adopted.
    waiting: Option<usize>,
    is_me: bool,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    rows: Vec<Row>,
    gone: Vec<Row>,
    roles: [(&'static str, &'static str); 5],
    may_invite: bool,
    may_revoke: bool,
}

#[derive(Template)]
#[template(path = "invited.html")]
struct InvitedPage {
    frame: Frame,
    role: &'static str,
    link: String,
    command: String,
    expires: When,
    ends: Option<String>,
}

/// What a role may do, in a few words.
const ROLES: [(&str, &str); 5] = [
    ("administrator", "runs the platform: accounts, clients, people, keys"),
    ("security", "keeps the policy and its exceptions, and sees everything"),
    ("engineer", "connects applications to accounts"),
    ("employee", "reads and acknowledges the policy"),
    ("auditor", "sees everything, changes nothing"),
];

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let people = app.access().operator_list(&visitor.principal, None, SHOWN).await?.items;
    let version = match app.watch().version(&visitor.principal, None, None).await {
        Ok(found) if found.summary.version.adopted_at.is_some() => Some(found),
        Ok(_) | Err(WatchError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let waiting: BTreeMap<&str, usize> = version
        .iter()
        .flat_map(|found| &found.outstanding.people)
        .map(|one| (one.who.as_str(), one.clauses.len()))
        .collect();
    let row = |one: Operator| Row {
        waiting: waiting.get(one.id.to_string().as_str()).copied(),
        is_me: one.id == visitor.session.operator,
        id: one.id,
        name: one.name,
        role: one.role.as_str(),
        enrolled: When::new(one.enrolled, now),
        ends: one.ends.map(day),
        revoked: one.revoked.or(one.ends.filter(|ends| *ends <= now)).map(|at| When::new(at, now)),
    };
    let (rows, gone) = people.into_iter().map(row).partition(|one: &Row| one.revoked.is_none());
    let page = PeoplePage {
        frame: visitor.frame(&app),
        rows,
        gone,
        roles: ROLES,
        may_invite: visitor.may(&app, Action::OperatorInvite),
        may_revoke: visitor.may(&app, Action::OperatorRevoke),
    };
    Ok(Page(page))
}

pub(crate) async fn invite(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Page<impl Template>, Problem> {
    form.drop_empty();
    let role = form.take("role").as_deref().and_then(Role::from_word);
    let role = role.ok_or_else(|| Problem::invalid("invalid-field", "role", "expected one of the roles"))?;
    let days = form.take_number("days", 1, MAX_DAYS)?;
    let now = app.now();
    let ends = days.map(|days| now.plus(Duration::from_days(i64::from(days))));
    let link = app.access().link_create_until(&visitor.principal, role, ends).await?;
    let address = app.access().passkey_address().unwrap_or_default();
    let page = InvitedPage {
        frame: visitor.frame(&app),
        role: link.role.as_str(),
        link: format!("{address}/enrol#{}.{}", link.secret.expose(), app.authority()),
        command: "tenet enrol".to_owned(),
        expires: When::new(link.expires, now),
        ends: ends.map(day),
    };
    Ok(Page(page))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path(operator): Path<OperatorId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().operator_revoke(&visitor.principal, operator).await?.into_inner();
    Ok(see("/people?done=revoked"))
}
