//! Exceptions: that a clause does not apply, or is not held for now; who answers for it, and until when.

use access::{Action, Names};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{EventId, Timestamp};
use policy::Exception;
use watch::NewException;

use super::{
    frame::Frame,
    page::{Page, see},
    time::{When, day},
    visitor::{Posted, Visitor},
    who::Who,
};
use crate::{App, extract::Path, problem::Problem};

/// An exception, as it is shown.
pub(crate) struct ExceptionView {
    pub(crate) event: String,
    pub(crate) clause: String,
    pub(crate) not_applicable: bool,
    pub(crate) reason: String,
    pub(crate) owner: Who,
    pub(crate) from: When,
    pub(crate) until: String,
    pub(crate) ended: Option<When>,
    pub(crate) in_force: bool,
}

impl ExceptionView {
    pub(crate) fn new(exception: &Exception, names: &Names, now: Timestamp) -> Self {
        Self {
            event: exception.event.clone(),
            clause: exception.clause.to_string(),
            not_applicable: exception.not_applicable,
            reason: exception.reason.clone(),
            owner: Who::new(names, exception.owner.as_str()),
            from: When::new(exception.from, now),
            until: day(exception.until),
            ended: exception.ended.map(|at| When::new(at, now)),
            in_force: exception.is_in_force(now),
        }
    }
}

#[derive(Template)]
#[template(path = "exceptions.html")]
struct ExceptionsPage {
    frame: Frame,
    running: Vec<ExceptionView>,
    over: Vec<ExceptionView>,
    clauses: Vec<(String, String)>,
    may_set: bool,
    may_end: bool,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let (document, _) = app.watch().assess_document(&visitor.principal, None, None).await?;
    let found = app.watch().exceptions(now).await?;
    let names = visitor.names(&app, found.iter().rev().map(|one| one.owner.as_str())).await?;
    let all = found.iter().rev().map(|one| ExceptionView::new(one, &names, now));
    let (running, over) = all.partition(|one: &ExceptionView| one.in_force);
    let page = ExceptionsPage {
        frame: visitor.frame(&app),
        running,
        over,
        clauses: document.clauses().map(|one| (one.id.to_string(), one.title.clone())).collect(),
        may_set: visitor.may(&app, Action::ExceptionSet),
        may_end: visitor.may(&app, Action::ExceptionEnd),
    };
    Ok(Page(page))
}

pub(crate) async fn set(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let wrong = |field, what: &str| Problem::invalid("invalid-field", field, what.to_owned());
    let text = form.take("until").unwrap_or_default();
    let until: Timestamp = format!("{text}T00:00:00Z")
        .parse()
        .map_err(|_| wrong("until", "expected a day such as `2027-01-31`"))?;
    let clause = form.take("clause").unwrap_or_default();
    let new = NewException {
        clause,
        not_applicable: form.take("kind").as_deref() == Some("not-applicable"),
        reason: form.take("reason").unwrap_or_default(),
        owner: visitor.session.operator.to_string(),
        until,
    };
    app.watch().except(&visitor.principal, &new).await?.into_inner();
    Ok(see("/exceptions?done=set"))
}

pub(crate) async fn end(
    State(app): State<App>,
    Path(exception): Path<EventId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.watch().end_exception(&visitor.principal, exception).await?.into_inner();
    Ok(see("/exceptions?done=ended"))
}
