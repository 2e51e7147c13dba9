//! The event log: searched, counted over time, and each entry whole.

use askama::Template;
use axum::extract::State;
use base::{Duration, Timestamp};
use ledger::{EventQuery, OutcomeView};
use store::EventOrder;

use super::{frame::Frame, page::Page, time::When, visitor::Visitor, who::Who};
use crate::{
    App,
    extract::{Pairs, Query, QueryParameters},
    problem::Problem,
    routes::events::query,
};

/// Events on a page.
const SHOWN: usize = 50;
/// Bars of the chart.
const BARS: i64 = 56;

/// What is searched for: as the API takes it, and as the form shows it again.
pub(crate) struct Search {
    query: EventQuery,
    cursor: Option<u64>,
    form: FormView,
}

/// The fields of the form, as they were given.
#[derive(Clone, Debug, Default)]
struct FormView {
    text: String,
    activity: String,
    actor: String,
    object: String,
    outcome: String,
    severity: String,
}

impl FormView {
    /// As a query, for a link that goes on.
    fn link(&self) -> String {
        let all = [
            ("text", &self.text),
            ("activity", &self.activity),
            ("actor", &self.actor),
            ("object", &self.object),
            ("outcome", &self.outcome),
            ("severity", &self.severity),
        ];
        let given = all.iter().filter(|(_, value)| !value.is_empty());
        given
            .map(|(name, value)| format!("{name}={}", super::page::quoted(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

impl QueryParameters for Search {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        // A form sends its empty fields too.
        pairs.drop_empty();
        let shown = |name: &str| pairs.peek(name).unwrap_or_default();
        let form = FormView {
            text: shown("text"),
            activity: shown("activity"),
            actor: shown("actor"),
            object: shown("object"),
            outcome: shown("outcome"),
            severity: shown("severity"),
        };
        let cursor = pairs.take_parsed("cursor")?;
        Ok(Self { query: query(pairs)?, cursor, form })
    }
}

struct Row {
    index: u64,
    at: When,
    clock: String,
    activity: String,
    actor: Who,
    kind: String,
    object: Who,
    outcome: &'static str,
    class: &'static str,
    reason: String,
    severity: u8,
    whole: String,
}

struct Bar {
    x: i64,
    y: u64,
    height: u64,
    class: &'static str,
    title: String,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    form: FormView,
    rows: Vec<Row>,
    bars: Vec<Bar>,
    from: String,
    until: String,
    next: Option<String>,
    size: u64,
}

/// How many of what was found fall into each part of the time that they span.
fn bars(times: &[(Timestamp, bool)], now: Timestamp) -> (Vec<Bar>, String, String) {
    let (Some(first), Some(last)) =
        (times.iter().map(|one| one.0).min(), times.iter().map(|one| one.0).max())
    else {
        return (Vec::new(), String::new(), String::new());
    };
    let width = (last.since(first).micros() / BARS).max(Duration::from_seconds(1).micros());
    let mut counts = vec![(0u64, 0u64); usize::try_from(BARS + 1).unwrap_or_default()];
    for (at, refused) in times {
        let place = usize::try_from(at.since(first).micros() / width).unwrap_or_default();
        if let Some(count) = counts.get_mut(place) {
            count.0 += 1;
            count.1 += u64::from(*refused);
        }
    }
    let most = counts.iter().map(|one| one.0).max().unwrap_or(1).max(1);
    let scaled = |count: u64| if count == 0 { 0 } else { (count * 64 / most).max(2) };
    let mut bars = Vec::new();
    for ((all, refused), place) in counts.into_iter().zip(0i64..) {
        let start = Timestamp::from_micros(first.micros() + place * width);
        let title = format!("{}: {all} events, {refused} refused", When::new(start, now).plain());
        if all > 0 {
            let height = scaled(all);
            bars.push(Bar { x: place * 16, y: 70 - height, height, class: "bar", title });
        }
        if refused > 0 {
            let height = scaled(refused);
            bars.push(Bar { x: place * 16, y: 70 - height, height, class: "bar bad", title: String::new() });
        }
    }
    (bars, When::new(first, now).plain(), When::new(last, now).plain())
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(search): Query<Search>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let Search { query, cursor, form } = search;
    // The chart is of more than the page: one search for both.
    let limit = store::MAX_EVENT_PAGE;
    let page =
        app.access().log_search(&visitor.principal, &query, EventOrder::NewestFirst, cursor, limit).await?;
    let is_refused = |event: &ledger::EventView| !matches!(event.outcome, OutcomeView::Success);
    let times: Vec<_> = page.found.iter().map(|found| (found.event.time, is_refused(&found.event))).collect();
    let (bars, from, until) = bars(&times, now);
    // Where the page ends, the next begins: the cursor is the index of its last entry.
    let next =
        if page.found.len() > SHOWN { page.found.get(SHOWN - 1).map(|last| last.index) } else { page.next };
    let next = next.map(|cursor| {
        let link = form.link();
        if link.is_empty() { format!("cursor={cursor}") } else { format!("{link}&cursor={cursor}") }
    });
    let shown = || page.found.iter().take(SHOWN).map(|found| &found.event);
    let actors: Vec<String> = shown().map(|event| event.actor.to_string()).collect();
    let ids = actors.iter().map(String::as_str).chain(shown().map(|event| event.object.id.as_str()));
    let names = visitor.names(&app, ids).await?;
    let row = |found: store::FoundEvent| {
        let event = &found.event;
        let (outcome, class, reason) = match &event.outcome {
            OutcomeView::Success => ("done", "", String::new()),
            OutcomeView::Refused { reason, .. } => ("refused", "warn", reason.clone()),
            OutcomeView::Failed { reason } => ("failed", "bad", reason.clone()),
        };
        let json = serde_json::from_slice::<serde_json::Value>(&found.leaf).unwrap_or_default();
        Row {
            index: found.index,
            at: When::new(event.time, now),
            clock: event.time.to_string().get(..19).unwrap_or_default().replace('T', " "),
            activity: event.activity.clone(),
            actor: Who::new(&names, event.actor.to_string()),
            kind: event.object.kind.clone(),
            object: Who::new(&names, event.object.id.as_str()),
            outcome,
            class,
            reason,
            severity: event.severity_id,
            whole: serde_json::to_string_pretty(&json).unwrap_or_default(),
        }
    };
    let size = page.size;
    let rows = page.found.into_iter().take(SHOWN).map(row).collect();
    Ok(Page(LogPage { frame: visitor.frame(&app), form, rows, bars, from, until, next, size }))
}
