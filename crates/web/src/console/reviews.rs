//! Reviews: privileged acts that a second person looks at, with how long they may wait.

use access::{Review, ReviewState, Verdict};
use askama::Template;
use axum::{extract::State, response::Response};
use base::EventId;

use super::{
    frame::Frame,
    page::{Page, see},
    time::When,
    visitor::{Posted, Visitor},
};
use crate::{App, extract::Path, problem::Problem};

/// Reviews of a kind on the page.
const SHOWN: u32 = 100;

struct Row {
    event: EventId,
    activity: String,
    actor: String,
    object: String,
    at: When,
    due: When,
    overdue: bool,
    mine: bool,
    done: Option<(When, String, &'static str, String)>,
}

#[derive(Template)]
#[template(path = "reviews.html")]
struct ReviewsPage {
    frame: Frame,
    open: Vec<Row>,
    done: Vec<Row>,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let me = visitor.session.operator.to_string();
    let row = |one: Review| Row {
        event: one.event,
        mine: one.actor == me || one.object.1 == me,
        activity: one.activity,
        actor: one.actor,
        object: format!("{} {}", one.object.0, one.object.1),
        at: When::new(one.at, now),
        due: When::new(one.due, now),
        overdue: one.due < now,
        done: one
            .done
            .map(|(at, by, verdict, note)| (When::new(at, now), by.to_string(), verdict.as_str(), note)),
    };
    let open = app.access().review_list(&visitor.principal, ReviewState::Open, None, SHOWN).await?.items;
    let done = app.access().review_list(&visitor.principal, ReviewState::Done, None, SHOWN).await?.items;
    let page = ReviewsPage {
        frame: visitor.frame(&app),
        open: open.into_iter().map(row).collect(),
        done: done.into_iter().rev().map(row).collect(),
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
