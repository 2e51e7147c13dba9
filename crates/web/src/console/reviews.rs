//! Reviews: privileged acts that a second person looks at, with how long they may wait.

use access::{Action, Review, ReviewState, Verdict};
use askama::Template;
use axum::{extract::State, response::Response};
use base::EventId;

use super::{
    frame::Frame,
    page::{Page, see},
    time::When,
    visitor::{Posted, Visitor},
    who::Who,
};
use crate::{App, extract::Path, problem::Problem};

/// Reviews of a kind on the page.
const SHOWN: u32 = 100;

struct Row {
    event: EventId,
    activity: String,
    actor: Who,
    kind: String,
    object: Who,
    at: When,
    due: When,
    overdue: bool,
    mine: bool,
    done: Option<(When, Who, &'static str, String)>,
}

#[derive(Template)]
#[template(path = "reviews.html")]
struct ReviewsPage {
    frame: Frame,
    open: Vec<Row>,
    done: Vec<Row>,
    may_sign: bool,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let me = visitor.session.operator.to_string();
    let open = app.access().review_list(&visitor.principal, ReviewState::Open, None, SHOWN).await?.items;
    let done = app.access().review_list(&visitor.principal, ReviewState::Done, None, SHOWN).await?.items;
    let both = || open.iter().chain(&done);
    let reviewers: Vec<String> =
        both().filter_map(|one| one.done.as_ref()).map(|(_, by, ..)| by.to_string()).collect();
    let ids = both().flat_map(|one| [one.actor.as_str(), one.object.1.as_str()]);
    let names = visitor.names(&app, ids.chain(reviewers.iter().map(String::as_str))).await?;
    let row = |one: Review| Row {
        event: one.event,
        mine: one.actor == me || one.object.1 == me,
        activity: one.activity,
        actor: Who::new(&names, one.actor),
        kind: one.object.0,
        object: Who::new(&names, one.object.1),
        at: When::new(one.at, now),
        due: When::new(one.due, now),
        overdue: one.due < now,
        done: one.done.map(|(at, by, verdict, note)| {
            (When::new(at, now), Who::new(&names, by.to_string()), verdict.as_str(), note)
        }),
    };
    let page = ReviewsPage {
        frame: visitor.frame(&app),
        open: open.into_iter().map(row).collect(),
        done: done.into_iter().rev().map(row).collect(),
        may_sign: visitor.may(&app, Action::ReviewSign),
    };
    Ok(Page(page))
}

pub(crate) async fn sign(
    State(app): State<App>,
    Path(event): Path<EventId>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let verdict = match form.take("verdict").as_deref() {
        Some("in-order") => Verdict::InOrder,
        Some("objection") => Verdict::Objection,
        _ => return Err(Problem::invalid("invalid-field", "verdict", "expected `in-order` or `objection`")),
    };
    let note = form.take("note").unwrap_or_default();
    app.access().review_sign(&visitor.principal, event, verdict, &note).await?.into_inner();
    Ok(see("/reviews?done=signed"))
}
