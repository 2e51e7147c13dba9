//! Retention and deletion: what was erased, by whom or by which schedule, and what a legal hold keeps. Never what it was.

use access::Names;
use askama::Template;
use axum::extract::State;
use ledger::{EventQuery, EventView, OutcomeView, OutcomeWord};

use super::{frame::Frame, page::Page, time::When, visitor::Visitor, who::Who};
use crate::{App, problem::Problem};

/// What is asked for, in the order in which it is shown.
const SHOWN_KINDS: [(&str, OutcomeWord); 7] = [
    ("record.erase", OutcomeWord::Success),
    ("object.erase", OutcomeWord::Success),
    ("record.erase", OutcomeWord::Refused),
    ("object.erase", OutcomeWord::Refused),
    ("hold.set", OutcomeWord::Success),
    ("hold.lift", OutcomeWord::Success),
    ("retention.act", OutcomeWord::Success),
];

/// Events, each with its index.
type Found = Vec<(u64, EventView)>;

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
    let kind = |(activity, outcome): &(&str, OutcomeWord)| EventQuery {
        activity: Some((*activity).to_owned()),
        outcome: Some(*outcome),
        ..EventQuery::default()
    };
    let kinds: Vec<EventQuery> = SHOWN_KINDS.iter().map(kind).collect();
    let mut found = app.access().log_latest(&visitor.principal, &kinds, SHOWN).await?.into_iter();
    let mut next = || found.next().unwrap_or_default();
    let both = |first: Found, second: Found| {
        let mut all: Found = first.into_iter().chain(second).collect();
        all.sort_by_key(|(index, event)| std::cmp::Reverse((event.time, *index)));
        all
    };
    let erased = both(next(), next());
    let refused = both(next(), next());
    let holds = both(next(), next());
    let acts = next();
    let all = || erased.iter().chain(&refused).chain(&holds).chain(&acts).map(|(_, event)| event);
    let ids: Vec<String> = all().flat_map(|event| [account_of(event), event.actor.to_string()]).collect();
    let names = visitor.names(&app, ids.iter().map(String::as_str)).await?;
    let rows = |found: &Found| found.iter().map(|(_, event)| row(event, &names, now)).collect();
    let [erased, refused, holds, acts] = [&erased, &refused, &holds, &acts].map(rows);
    Ok(Page(DeletionsPage { frame: visitor.frame(&app), erased, refused, holds, acts }))
}
