//! Retention and deletion: what was erased, by whom or by which schedule, and what a legal hold keeps. Never what it was.

use access::Names;
use askama::Template;
use axum::extract::State;
use ledger::{EventQuery, EventView, OutcomeView, OutcomeWord};
use store::{EventOrder, FoundEvent};

use super::{frame::Frame, page::Page, time::When, visitor::Visitor, who::Who};
use crate::{App, problem::Problem};

/// Events of a kind on the page.
const SHOWN: usize = 40;

struct Row {
    what: &'static str,
    id: String,
    /// Whose, and the name of that.
    account: String,
    whose: Who,
    by: Who,
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

fn row(event: &EventView, names: &Names, now: base::Timestamp) -> Row {
    let account = account_of(event);
    let what = KINDS.iter().find(|(name, _)| *name == event.activity).map_or("", |(_, what)| what);
    let refused = match &event.outcome {
        OutcomeView::Success => None,
        OutcomeView::Refused { reason, .. } | OutcomeView::Failed { reason } => Some(reason.clone()),
    };
    Row {
        what,
        id: event.object.id.clone(),
        whose: Who::new(names, account.as_str()),
        account,
        by: Who::new(names, event.actor.to_string()),
        why: event.text("cause").unwrap_or_default().to_owned(),
        at: When::new(event.time, now),
        refused,
    }
}

/// Whose it was.
fn account_of(event: &EventView) -> String {
    event.object.account.or(event.account).map(|id| id.to_string()).unwrap_or_default()
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let find = async |activity: &str, outcome: OutcomeWord| -> Result<Vec<FoundEvent>, Problem> {
        let query = EventQuery {
            activity: Some(activity.to_owned()),
            outcome: Some(outcome),
            ..EventQuery::default()
        };
        let (by, order) = (&visitor.principal, EventOrder::NewestFirst);
        Ok(app.access().log_search(by, &query, order, None, SHOWN).await?.found)
    };
    let both = async |activities: [&str; 2], outcome: OutcomeWord| -> Result<Vec<FoundEvent>, Problem> {
        let [first, second] = activities;
        let mut found = find(first, outcome).await?;
        found.extend(find(second, outcome).await?);
        found.sort_by_key(|one| std::cmp::Reverse((one.event.time, one.index)));
        Ok(found)
    };
    let erasures = ["record.erase", "object.erase"];
    let erased = both(erasures, OutcomeWord::Success).await?;
    let refused = both(erasures, OutcomeWord::Refused).await?;
    let holds = both(["hold.set", "hold.lift"], OutcomeWord::Success).await?;
    let acts = find("retention.act", OutcomeWord::Success).await?;
    let all = || erased.iter().chain(&refused).chain(&holds).chain(&acts).map(|one| &one.event);
    let ids: Vec<String> = all().flat_map(|event| [account_of(event), event.actor.to_string()]).collect();
    let names = visitor.names(&app, ids.iter().map(String::as_str)).await?;
    let rows = |found: &[FoundEvent]| found.iter().map(|one| row(&one.event, &names, now)).collect();
    let [erased, refused, holds, acts] = [&erased, &refused, &holds, &acts].map(|found| rows(found));
    Ok(Page(DeletionsPage { frame: visitor.frame(&app), erased, refused, holds, acts }))
}
