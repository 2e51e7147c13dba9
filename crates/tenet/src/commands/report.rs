//! `tenet log report`: the questions that reviewers ask of the log, counted. From a server's index, or from any copy.

use std::{collections::BTreeMap, ops::ControlFlow};

use base::Timestamp;
use ledger::{Event, EventQuery, EventView, OutcomeView, OutcomeWord};
use serde_json::{Value, json};

use super::{
    Session, chart,
    events::read_all,
    log::{at, trusted_key},
};
use crate::{
    cli::{EventFilter, LogPlace, Report, WorkingHours},
    client::Api,
    failure::{Exit, Failure},
    output::{self, Column},
};

/// Most rows of a report. What would be one more is counted under `other`.
const MAX_ROWS: usize = 10_000;
/// Events on a page of the API.
const PAGE: usize = 1_000;
/// Characters of the longest bar.
const BAR: u64 = 24;

const COLUMNS: &[Column] = &[
    ("who", "/who"),
    ("what", "/what"),
    ("on", "/on"),
    ("why", "/why"),
    ("count", "/count"),
    ("", "/bar"),
    ("first", "/first"),
    ("last", "/last"),
];

/// Who did what, to what, and why not.
type Key = [String; 4];

#[derive(Clone, Copy)]
struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// Counts events as a report asks for them.
struct Counter {
    report: Report,
    hours: WorkingHours,
    rows: BTreeMap<Key, Count>,
}

pub(super) async fn run(
    session: &Session,
    report: Report,
    log: &LogPlace,
    filter: &EventFilter,
    hours: WorkingHours,
    (csv, svg): (bool, bool),
) -> Result<(), Failure> {
    let query = filter.query(&session.context)?;
    let mut counter = Counter { report, hours, rows: BTreeMap::new() };
    let counter = if log.place.is_none() {
        let api = session.operator()?;
        for asked in report.asks() {
            // What the report asks for and what was asked for besides: the narrower of the two where both say something.
            let mut parameters = filter.parameters(&query);
            for (name, value) in *asked {
                if !parameters.iter().any(|(known, _)| known == name) {
                    parameters.push((name, (*value).to_owned()));
                }
            }
            counter.ask(&api, &parameters).await?;
        }
        counter
    } else {
        let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
        at(session, log, move |source, _| {
            read_all(source, &key, |_, _, event| {
                counter.take(&query, event);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(counter)
        })
        .await?
    };
    let rows = counter.finish();
    if csv {
        return session.out.text(&as_csv(&rows)?);
    }
    if svg {
        return session.out.text(&chart::svg(report.title(), &rows));
    }
    if !session.out.is_json() {
        output::note(report.title());
    }
    session.out.list(&rows, COLUMNS)
}

impl Counter {
    async fn ask(&mut self, api: &Api, parameters: &[(&'static str, String)]) -> Result<(), Failure> {
        let everything = EventQuery::default();
        let broken = || Failure::new(Exit::Failure, "answer", "the server's answer is not a page of events");
        let mut cursor: Option<u64> = None;
        loop {
            let mut query = parameters.to_vec();
            query.push(("order", "oldest".to_owned()));
            query.push(("limit", PAGE.to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor.to_string())));
            let page = api.get(&["v1", "log", "events"], &query).await?.body;
            for item in page.get("items").and_then(Value::as_array).ok_or_else(broken)? {
                let leaf = serde_json::to_vec(item.get("event").ok_or_else(broken)?).map_err(|_| broken())?;
                self.take(&everything, &Event::decode(&leaf).map_err(|_| broken())?);
            }
            cursor = page.get("next").and_then(Value::as_u64);
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, query: &EventQuery, event: &EventView) {
        if !query.matches(event) {
            return;
        }
        let Some(mut key) = self.report.row(event, self.hours) else { return };
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            key = ["other", "", "", ""].map(str::to_owned);
        }
        let (first, last) = (event.time, event.time);
        let row = self.rows.entry(key).or_insert(Count { count: 0, first, last });
        row.count += 1;
        row.first = row.first.min(event.time);
        row.last = row.last.max(event.time);
    }

    fn finish(self) -> Vec<Value> {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_by(|(one_key, one), (other_key, other)| {
            (other.count, one_key).cmp(&(one.count, other_key))
        });
        let most = rows.first().map_or(1, |(_, row)| row.count.max(1));
        let described = |([who, what, on, why], row): (Key, Count)| {
            let bar = "█".repeat(usize::try_from((row.count * BAR).div_ceil(most)).unwrap_or(0));
            json!({
                "who": who, "what": what, "on": on, "why": why, "count": row.count, "bar": bar,
                "first": row.first.to_string(), "last": row.last.to_string(),
            })
        };
        rows.into_iter().map(described).collect()
    }
}

impl Report {
    /// What it shows.
    fn title(self) -> &'static str {
        match self {
            Self::Privileged => "what operators changed",
            Self::Denials => "what was refused, to whom and why",
            Self::AccessByPerson => "who reached customers' records and objects",
            Self::AccessByRecord => "which records and objects were reached, and by whom",
            Self::FailedLogins => "proofs of identity that failed",
            Self::AfterHours => "what operators did outside working hours",
        }
    }

    /// What the server is asked for: of each search what it is to hold.
    fn asks(self) -> &'static [&'static [(&'static str, &'static str)]] {
        match self {
            Self::Privileged | Self::AfterHours => &[&[("actor", "operator")]],
            Self::Denials => &[&[("outcome", "refused")]],
            Self::AccessByPerson | Self::AccessByRecord => {
                &[&[("activity", "record")], &[("activity", "object")]]
            }
            Self::FailedLogins => &[&[("activity", "auth.fail")], &[("activity", "token.refuse")]],
        }
    }

    /// The row under which it counts an event, if it does.
    fn row(self, event: &EventView, hours: WorkingHours) -> Option<Key> {
        let (who, what) = (event.actor.to_string(), event.activity.clone());
        let on = format!("{} {}", event.object.kind, event.object.id);
        let kind = event.actor.kind().as_str();
        let (outcome, reason) = match &event.outcome {
            OutcomeView::Success => (OutcomeWord::Success, String::new()),
            OutcomeView::Refused { reason, clause } => {
                let clause = clause.as_ref().map(|clause| format!(" ({clause})")).unwrap_or_default();
                (OutcomeWord::Refused, format!("{reason}{clause}"))
            }
            OutcomeView::Failed { reason } => (OutcomeWord::Failed, reason.clone()),
        };
        let data = what.starts_with("record.") || what.starts_with("object.");
        match self {
            Self::Privileged => {
                let looks =
                    [".read", ".list", ".search", ".status", ".explain", ".reconcile-ask", ".source-read"];
                let looks = looks.iter().any(|end| what.ends_with(end));
                let session = what.starts_with("auth.") || what.starts_with("token.");
                (kind == "operator" && !looks && !session).then_some([who, what, on, reason])
            }
            Self::Denials => (outcome == OutcomeWord::Refused).then_some([who, what, on, reason]),
            Self::AccessByPerson => data.then(|| {
                let place = event.object.repository.map(|place| place.to_string()).unwrap_or_default();
                [who, what, place, reason]
            }),
            Self::AccessByRecord => data.then_some([on, what, who, reason]),
            Self::FailedLogins => {
                let failed = outcome != OutcomeWord::Success;
                (failed && ["auth.fail", "token.refuse"].contains(&what.as_str())).then(|| {
                    let from = event.context.map(|context| context.to_string()).unwrap_or_default();
                    [who, what, from.chars().take(16).collect(), reason]
                })
            }
            Self::AfterHours => {
                (kind == "operator" && !hours.hold(event.time)).then_some([who, what, on, reason])
            }
        }
    }
}

/// RFC 4180. No bar: that is for people.
fn as_csv(rows: &[Value]) -> Result<String, Failure> {
    let failed = |why: String| Failure::new(Exit::Failure, "output", "the report can't be written").why(why);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = ["who", "what", "on", "why", "count", "first", "last"];
    writer.write_record(names).map_err(|error| failed(error.to_string()))?;
    for row in rows {
        let cells = names.map(|name| match row.get(name) {
            Some(Value::String(text)) => super::extract::harmless(text),
            Some(other) => other.to_string(),
            None => String::new(),
        });
        writer.write_record(cells).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}
