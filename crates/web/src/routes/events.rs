//! Searching the log's events. For operators and auditors: the log spans accounts, and holds no personal data.

use axum::{Json, extract::State};
use base::{Actor, Timestamp};
use ledger::{Activity, EventQuery, MAX_SEARCH_WORDS, OutcomeWord, words};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{EventOrder, MAX_EVENT_PAGE, Witnessed};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Pairs, Query, QueryParameters},
    problem::Problem,
    schema::{AccountIdText, AnyObject, InstantText},
};

/// Events on a page if the caller doesn't say.
const DEFAULT: u32 = 100;
/// Most bytes of a value that is searched for.
const MAX_VALUE_BYTES: usize = 256;

/// An entry of the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogEvent {
    /// Its index in the log.
    index: u64,
    /// By the witnesses' clocks it was not there at this time. Absent without witnesses, and on the first entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    not_before: Option<Timestamp>,
    /// By the witnesses' clocks it was there at this time. Absent without witnesses, and until they cosigned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    not_after: Option<Timestamp>,
    /// The entry as it is in the log: an event of OCSF.
    #[schema(value_type = AnyObject)]
    event: Box<RawValue>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogEventList {
    /// The events, in the order that was asked for.
    items: Vec<LogEvent>,
    /// What to send as `cursor` for the next page; absent on the last. A page can be short, or empty, and not the last:
    /// the work for one is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    next: Option<u64>,
    /// Entries in the log when it was searched.
    size: u64,
}

/// What is searched for.
pub(crate) struct Search {
    query: EventQuery,
    order: EventOrder,
    cursor: Option<u64>,
    limit: u32,
}

impl QueryParameters for Search {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let query = query(pairs)?;
        let order = match pairs.take("order").as_deref() {
            None | Some("newest") => EventOrder::NewestFirst,
            Some("oldest") => EventOrder::OldestFirst,
            Some(_) => {
                return Err(Problem::invalid("invalid-parameter", "order", "expected `newest` or `oldest`"));
            }
        };
        let cursor = pairs.take_parsed("cursor")?;
        let most = u32::try_from(MAX_EVENT_PAGE).unwrap_or(u32::MAX);
        let limit = pairs.take_number("limit", 1, most)?.unwrap_or(DEFAULT);
        Ok(Self { query, order, cursor, limit })
    }
}

/// What is searched for, out of a query.
pub(crate) fn query(pairs: &mut Pairs) -> Result<EventQuery, Problem> {
    let wrong = |name: &str, what: String| Err(Problem::invalid("invalid-parameter", name, what));
    let mut query = EventQuery {
        from: pairs.take_parsed("from")?,
        until: pairs.take_parsed("until")?,
        activity: value(pairs, "activity")?,
        actor: value(pairs, "actor")?,
        object: value(pairs, "object")?,
        account: pairs.take_parsed("account")?,
        ..EventQuery::default()
    };
    if let Some(name) = &query.activity
        && !Activity::ALL
            .iter()
            .any(|one| one.name() == name || one.name().split_once('.').is_some_and(|(noun, _)| noun == name))
    {
        return wrong(
            "activity",
            "expected an activity such as `record.read`, or `record` for all of them".into(),
        );
    }
    if let Some(who) = &query.actor
        && !["client", "operator", "system", "anonymous"].contains(&who.as_str())
        && who.parse::<Actor>().is_err()
    {
        let what = "expected an id such as `opr_...`, or `client`, `operator`, `system` or `anonymous`";
        return wrong("actor", what.to_owned());
    }
    if let Some(word) = pairs.take("outcome") {
        query.outcome = OutcomeWord::from_word(&word);
        if query.outcome.is_none() {
            return wrong("outcome", "expected `success`, `refused` or `failed`".to_owned());
        }
    }
    query.severity = pairs.take_number("severity", 1, 5)?.and_then(|number| u8::try_from(number).ok());
    if let Some(text) = value(pairs, "text")? {
        query.words = words(&text);
        if query.words.is_empty() || query.words.len() > MAX_SEARCH_WORDS {
            return wrong("text", format!("expected 1 to {MAX_SEARCH_WORDS} words"));
        }
    }
    Ok(query)
}

fn value(pairs: &mut Pairs, name: &str) -> Result<Option<String>, Problem> {
    let found = pairs.take(name);
    match &found {
        Some(text) if text.is_empty() || text.len() > MAX_VALUE_BYTES => {
            let what = format!("expected 1 to {MAX_VALUE_BYTES} bytes");
            Err(Problem::invalid("invalid-parameter", name, what))
        }
        _ => Ok(found),
    }
}

/// Searches the log's events: everything that is asked for must hold. The newest first, unless `order` says otherwise.
#[utoipa::path(get, path = "/v1/log/events", operation_id = "search_events",
    params(
        ("from" = inline(Option<InstantText>), Query, description = "Not before this, by the server's clock."),
        ("until" = inline(Option<InstantText>), Query, description = "Before this, by the server's clock."),
        ("activity" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "Such as `record.read`, or `record` for everything that is done to records."),
        ("actor" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "Who acted: an id, or `client`, `operator`, `system` or `anonymous`."),
        ("object" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "The object's id, or the word for its kind, such as `record`."),
        ("account" = inline(Option<AccountIdText>), Query,
            description = "The account in which it happened, or whose the object is."),
        ("outcome" = Option<String>, Query, description = "`success`, `refused` or `failed`."),
        ("severity" = Option<u32>, Query, minimum = 1, maximum = 5,
            description = "At least this, of OCSF: 1 informational, 2 low, 3 medium, 4 high, 5 critical."),
        ("text" = Option<String>, Query, min_length = 1, max_length = 256,
            description = "Up to 8 words that all stand somewhere in the event, in any order and case. An id is one word."),
        ("order" = Option<String>, Query, description = "`newest` or `oldest` first; `newest` if left out."),
        ("cursor" = Option<u64>, Query, minimum = 0, description = "`next` of the page before, or the index of an entry."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = LogEventList)))]
pub(crate) async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> Result<Json<LogEventList>, Problem> {
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
    let page = app
        .access()
        .log_search(caller.principal(), &search.query, search.order, search.cursor, limit)
        .await?;
    let mut items = Vec::with_capacity(page.found.len());
    let mut around: (Option<Witnessed>, Option<Witnessed>) = (None, None);
    for found in page.found {
        // Entries that are near one another stand between the same two cosigned checkpoints.
        let is_between = matches!(&around, (Some(before), Some(behind))
            if before.size <= found.index && found.index < behind.size);
        if !is_between {
            around = app.store().witnessed_around(found.index).await?;
        }
        let event = String::from_utf8(found.leaf).ok().and_then(|text| RawValue::from_string(text).ok());
        items.push(LogEvent {
            index: found.index,
            not_before: around.0.as_ref().map(|witnessed| witnessed.at),
            not_after: around.1.as_ref().map(|witnessed| witnessed.at),
            event: event.ok_or_else(|| Problem::internal("an event that is no JSON"))?,
        });
    }
    Ok(Json(LogEventList { items, next: page.next, size: page.size }))
}
