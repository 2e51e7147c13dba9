//! Retention and deletion: what was erased, by whom or by which schedule, and what a legal hold keeps. Never what it was.

use askama::Template;
use axum::extract::State;
use ledger::{EventQuery, EventView, OutcomeView, OutcomeWord};
use store::EventOrder;

use super::{frame::Frame, page::Page, time::When, visitor::Visitor};
use crate::{App, problem::Problem};

/// Events of a kind on the page.
const SHOWN: usize = 40;

struct Row {
    what: &'static str,
    id: String,
    account: String,
    by: String,
    why: String,
    at: When,
    refused: Option<String>,
}

#[derive(Template)]
#[template(path = "deletions.html")]
struct DeletionsPage {
    frame: Frame,
    erased: Vec<Row>,
    refused: Vec<Row>,
    holds: Vec<Row>,
    acts: Vec<Row>,
}

/// What an activity is, in words.
const KINDS: [(&str, &str); 5] = [
    ("record.erase", "record"),
    ("object.erase", "object"),
    ("hold.set", "hold set"),
    ("hold.lift", "hold lifted"),
    ("retention.act", "schedule acted"),
];

fn row(event: &EventView, now: base::Timestamp) -> Row {
    let what = KINDS.iter().find(|(name, _)| *name == event.activity).map_or("", |(_, what)| what);
    let refused = match &event.outcome {
        OutcomeView::Success => None,
        OutcomeView::Refused { reason, .. } | OutcomeView::Failed { reason } => Some(reason.clone()),
    };
    Row {
        what,
        id: event.object.id.clone(),
        account: event.object.account.or(event.account).map(|id| id.to_string()).unwrap_or_default(),
        by: event.actor.to_string(),
        why: event.text("cause").unwrap_or_default().to_owned(),
        at: When::new(event.time, now),
        refused,
    }
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let find = async |activity: &str, outcome: OutcomeWord| -> Result<Vec<Row>, Problem> {
        let query = EventQuery {
            activity: Some(activity.to_owned()),
            outcome: Some(outcome),
            ..EventQuery::default()
        };
        let (by, order) = (&visitor.principal, EventOrder::NewestFirst);
        let page = app.access().log_search(by, &query, order, None, SHOWN).await?;
        Ok(page.found.iter().map(|found| row(&found.event, now)).collect())
    };
    let mut erased = find("record.erase", OutcomeWord::Success).await?;
    erased.extend(find("object.erase", OutcomeWord::Success).await?);
    erased.sort_by_key(|row| std::cmp::Reverse(row.at.exact()));
    let mut refused = find("record.erase", OutcomeWord::Refused).await?;
    refused.extend(find("object.erase", OutcomeWord::Refused).await?);
    let mut holds = find("hold.set", OutcomeWord::Success).await?;
    holds.extend(find("hold.lift", OutcomeWord::Success).await?);
    holds.sort_by_key(|row| std::cmp::Reverse(row.at.exact()));
    let acts = find("retention.act", OutcomeWord::Success).await?;
    Ok(Page(DeletionsPage { frame: visitor.frame(&app), erased, refused, holds, acts }))
}
