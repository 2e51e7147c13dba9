//! Searching the log: by its index, segment by segment, and by reading what is not in it yet. What the index says is
//! checked against each entry before it is an answer. A page's work is bounded: one that found less than was asked for
//! may not be the last.

use std::sync::Arc;

use base::Timestamp;
use ledger::{Activity, Event, EventQuery, EventView, Positions, positions, query_terms};

use crate::{
    Platform, Row, Store, StoreError, Value,
    engine::Read,
    indexer::{LARGE, SMALL, TIMES, TIMES_BYTES, TIMES_OF},
    known::{Found, kind_of},
    log::INDEXED_ENTRIES,
    platform,
    sequencer::as_int,
};

/// Most events on a page.
pub const MAX_EVENT_PAGE: usize = 1_000;
/// Most entries that a page reads; one that is asked for something rare goes on from there.
const MAX_READ: usize = 20_000;
/// Segments whose pages are read at once.
const AT_ONCE: u64 = 16;
/// Entries that are read at once.
const READ_AT_ONCE: usize = 16;

const SIZES: Platform = platform!(
    "SELECT size, (SELECT size FROM log_indexed WHERE id = 0), (SELECT count(*) FROM log_segment WHERE level = 1) \
     FROM log_head WHERE id = 0"
);
const PAGES: Platform = platform!(
    "SELECT s.segment, (SELECT p.data FROM log_segment_page p WHERE p.level = s.level AND p.segment = s.segment \
        AND p.first <= $4 ORDER BY p.first DESC LIMIT 1) \
     FROM log_segment s WHERE s.level = $1 AND s.segment >= $2 AND s.segment < $3"
);
const SOME: Platform = platform!(
    "SELECT l.idx, e.leaf FROM log_entry l JOIN event e ON e.seq = l.seq WHERE l.idx IN \
     ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
);

/// Most events that explain one thing.
pub const MAX_RECORDED: usize = 20_000;
/// Most events that are waited for in the outbox.
const MAX_PENDING: i64 = 4_096;
const PENDING: Platform = platform!(
    "SELECT e.leaf FROM outbox o JOIN event e ON e.seq = o.seq WHERE e.activity LIKE $1 ORDER BY o.seq LIMIT $2"
);

/// From which end the log is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// The newest entries first. A page starts before an index.
    NewestFirst,
    /// The oldest entries first. A page starts at an index.
    OldestFirst,
}

/// An event that was found.
#[derive(Clone, Debug)]
pub struct FoundEvent {
    /// Its index in the log.
    pub index: u64,
    /// Its leaf, as it is in the log.
    pub leaf: Vec<u8>,
    /// What it says.
    pub event: EventView,
}

/// A page of what was found.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The events, in the order that was asked for.
    pub found: Vec<FoundEvent>,
    /// Where the next page starts; none on the last.
    pub next: Option<u64>,
    /// The log's size when it was searched.
    pub size: u64,
}

/// Entries in a row, of one kind.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// Segments of a level: the first, and the one behind the last.
    Segments { level: i64, of: u64, from: u64, until: u64 },
    /// Not indexed yet.
    Tail { from: u64, until: u64 },
}

/// A search under way, of one snapshot: segments are merged meanwhile.
struct Search<'a> {
    snapshot: Read,
    query: &'a EventQuery,
    order: EventOrder,
    terms: Vec<i64>,
    /// What may be found: from here up to, not with, there.
    from: u64,
    until: u64,
    limit: usize,
    read: usize,
    found: Vec<FoundEvent>,
    next: Option<u64>,
}

impl Store {
    /// A page of events that match, at most `limit` (up to [`MAX_EVENT_PAGE`]), starting at `cursor`: `next` of the
    /// page before, or any index.
    pub async fn search_events(
        &self,
        query: &EventQuery,
        order: EventOrder,
        cursor: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, StoreError> {
        let mut snapshot = self.database().read(None).await?;
        let sizes = rows(&mut snapshot, SIZES, &[]).await?;
        let sizes = sizes.first().ok_or_else(|| StoreError::Log("the head's row is gone".to_owned()))?;
        let (size, indexed, large) = (sizes.count(0)?, sizes.count(1)?.min(sizes.count(0)?), sizes.count(2)?);
        let (from, until) = match order {
            EventOrder::NewestFirst => (0, cursor.map_or(size, |cursor| cursor.min(size))),
            EventOrder::OldestFirst => (cursor.unwrap_or(0), size),
        };
        let limit = limit.clamp(1, MAX_EVENT_PAGE);
        let (found, next) = (Vec::new(), None);
        let terms = query_terms(query);
        let mut search = Search { snapshot, query, order, terms, from, until, limit, read: 0, found, next };
        let mut spans = vec![
            Span::Segments { level: 1, of: LARGE, from: 0, until: large },
            Span::Segments { level: 0, of: SMALL, from: large * (LARGE / SMALL), until: indexed / SMALL },
            Span::Tail { from: indexed, until: size },
        ];
        if order == EventOrder::NewestFirst {
            spans.reverse();
        }
        for span in spans {
            let is_done = match span {
                Span::Tail { from, until } => search.tail(from, until).await?,
                Span::Segments { level, of, from, until } => search.segments(level, of, from, until).await?,
            };
            if is_done {
                break;
            }
        }
        Ok(EventPage { found: search.found, next: search.next, size })
    }
}

async fn rows(
    snapshot: &mut Read,
    statement: Platform,
    values: &[Value<'_>],
) -> Result<Vec<Row>, StoreError> {
    Ok(snapshot.rows(statement.sql(), values).await?.into_iter().map(Row).collect())
}

impl Store {
    /// Every event of one activity (`operator.enrol`) or one kind of them (`operator`) that matches, those that are not in
    /// the log yet last. For what has few: more than [`MAX_RECORDED`] are an error, and never a part of them.
    pub async fn recorded(&self, query: &EventQuery) -> Result<Vec<EventView>, StoreError> {
        let Some(activity) = &query.activity else {
            return Err(StoreError::Statement("a search of what is recorded names an activity".to_owned()));
        };
        let pattern = if activity.contains('.') { activity.clone() } else { format!("{activity}.%") };
        self.recorded_by_any(&pattern, std::slice::from_ref(query)).await
    }

    /// The same of some activities of one kind, in the log's order: what is recorded of the kind besides, such as that
    /// somebody read it, does not count.
    pub async fn recorded_of(
        &self,
        activities: &[Activity],
        query: &EventQuery,
    ) -> Result<Vec<EventView>, StoreError> {
        let named = |one: &Activity| EventQuery { activity: Some(one.name().to_owned()), ..query.clone() };
        let queries: Vec<_> = activities.iter().map(named).collect();
        let noun = activities.first().and_then(|one| one.name().split_once('.')).map_or("", |(noun, _)| noun);
        self.recorded_by_any(&format!("{noun}.%"), &queries).await
    }

    async fn recorded_by_any(
        &self,
        pattern: &str,
        queries: &[EventQuery],
    ) -> Result<Vec<EventView>, StoreError> {
        // First what waits: what enters the log meanwhile is found twice, and nothing is missed.
        let values = [pattern.into(), MAX_PENDING.into()];
        let mut pending = Vec::new();
        let waiting = self.log_rows(PENDING, &values).await?;
        if waiting.len() as i64 >= MAX_PENDING {
            return Err(StoreError::Log(format!("too many events of `{pattern}` wait for the log")));
        }
        for row in waiting {
            // One that is no event was changed: it explains nothing.
            let event = Event::decode(row.blob(0)?).ok();
            pending.extend(event.filter(|event| queries.iter().any(|query| query.matches(event))));
        }
        let mut found = Vec::new();
        for query in queries {
            let Some((kind, whole)) = kind_of(query) else {
                found.extend(self.found_from(query, pattern, Found::default()).await?.events);
                continue;
            };
            let known = self.0.known.get(&kind);
            let all = Arc::new(self.found_from(&whole, pattern, Found::clone(&known)).await?);
            if all.size < known.size {
                // The log is another than it was: nothing that was found in that one counts.
                self.0.known.forget(&kind);
                return Err(StoreError::Log("the log is shorter than it was".to_owned()));
            }
            found.extend(all.events.iter().filter(|(_, event)| query.matches(event)).cloned());
            self.0.known.put(kind, all);
        }
        found.sort_by_key(|(index, _)| *index);
        let mut found: Vec<_> = found.into_iter().map(|(_, event)| event).collect();
        pending.retain(|waiting| found.iter().all(|event| event.id != waiting.id));
        found.extend(pending);
        Ok(found)
    }

    /// The newest events of a kind as a whole, at most `limit`, the newest first. What there is much of is found at once from the
    /// log's end; what there is little of is remembered.
    pub async fn latest(
        &self,
        query: &EventQuery,
        limit: usize,
    ) -> Result<Vec<(u64, EventView)>, StoreError> {
        let Some((kind, whole)) = kind_of(query) else {
            return Err(StoreError::Statement("the latest of a kind are those of a whole kind".to_owned()));
        };
        let known = self.0.known.get(&kind);
        if known.size == 0 {
            let page = self.search_events(query, EventOrder::NewestFirst, None, limit).await?;
            if page.found.len() >= limit {
                return Ok(page.found.into_iter().map(|one| (one.index, one.event)).collect());
            }
        }
        let all = Arc::new(self.found_from(&whole, &kind, Found::clone(&known)).await?);
        if all.size < known.size {
            self.0.known.forget(&kind);
            return Err(StoreError::Log("the log is shorter than it was".to_owned()));
        }
        let matching = all.events.iter().rev().filter(|(_, event)| query.matches(event));
        let found = matching.take(limit).cloned().collect();
        self.0.known.put(kind, all);
        Ok(found)
    }

    /// What matches, from where an earlier search ended.
    async fn found_from(
        &self,
        query: &EventQuery,
        pattern: &str,
        mut found: Found,
    ) -> Result<Found, StoreError> {
        let mut cursor = Some(found.size);
        while let Some(from) = cursor {
            let page = self.search_events(query, EventOrder::OldestFirst, Some(from), MAX_EVENT_PAGE).await?;
            found.events.extend(page.found.into_iter().map(|one| (one.index, one.event)));
            if found.events.len() > MAX_RECORDED {
                return Err(StoreError::Log(format!(
                    "more than {MAX_RECORDED} events of `{pattern}` explain one thing"
                )));
            }
            (cursor, found.size) = (page.next, page.size);
        }
        Ok(found)
    }
}

impl Search<'_> {
    /// Looks at an entry; whether the page ends with it.
    fn take(&mut self, index: u64, leaf: Vec<u8>) -> bool {
        self.read += 1;
        match Event::decode(&leaf) {
            Ok(event) if self.query.matches(&event) => self.found.push(FoundEvent { index, leaf, event }),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(index, %error, "an entry of the log was changed: run `tenet log verify`")
            }
        }
        let is_full = self.found.len() >= self.limit || self.read >= MAX_READ;
        if is_full {
            let next = match self.order {
                EventOrder::NewestFirst => (index > self.from).then_some(index),
                EventOrder::OldestFirst => (index + 1 < self.until).then_some(index + 1),
            };
            self.next = next;
        }
        is_full
    }

    async fn tail(&mut self, from: u64, until: u64) -> Result<bool, StoreError> {
        let (mut from, mut until) = (from.max(self.from), until.min(self.until));
        while from < until {
            let (first, end) = match self.order {
                EventOrder::NewestFirst => (until.saturating_sub(TIMES_OF).max(from), until),
                EventOrder::OldestFirst => (from, (from + TIMES_OF).min(until)),
            };
            tokio::task::yield_now().await;
            let range = [as_int(first)?.into(), as_int(end)?.into()];
            let mut leaves = rows(&mut self.snapshot, INDEXED_ENTRIES, &range).await?;
            if self.order == EventOrder::NewestFirst {
                leaves.reverse();
            }
            for row in leaves {
                if self.take(row.count(0)?, row.blob(1)?.to_vec()) {
                    return Ok(true);
                }
            }
            match self.order {
                EventOrder::NewestFirst => until = first,
                EventOrder::OldestFirst => from = end,
            }
        }
        Ok(false)
    }

    async fn segments(&mut self, level: i64, of: u64, from: u64, until: u64) -> Result<bool, StoreError> {
        let (mut from, mut until) = (from.max(self.from / of), until.min(self.until.div_ceil(of)));
        while from < until {
            let (first, end) = match self.order {
                EventOrder::NewestFirst => (until.saturating_sub(AT_ONCE).max(from), until),
                EventOrder::OldestFirst => (from, (from + AT_ONCE).min(until)),
            };
            // On SQLite all of this computes and never waits: others get their turn in between.
            tokio::task::yield_now().await;
            let mut some = self.candidates(level, of, first, end).await?;
            if self.order == EventOrder::NewestFirst {
                some.reverse();
            }
            for (segment, positions) in some {
                if self.entries(segment * of, &positions).await? {
                    return Ok(true);
                }
            }
            match self.order {
                EventOrder::NewestFirst => until = first,
                EventOrder::OldestFirst => from = end,
            }
        }
        Ok(false)
    }

    /// What may match in each of the segments, by their times and terms.
    async fn candidates(
        &mut self,
        level: i64,
        of: u64,
        first: u64,
        end: u64,
    ) -> Result<Vec<(u64, Positions)>, StoreError> {
        let range = [level.into(), as_int(first)?.into(), as_int(end)?.into()];
        let mut some = Vec::new();
        for row in rows(&mut self.snapshot, TIMES, &range).await? {
            let segment = row.count(0)?;
            let mut timely = self.timely(row.blob(1)?);
            let start = segment * of;
            let clip = |at: u64| u32::try_from(at.saturating_sub(start).min(of)).unwrap_or(u32::MAX);
            timely.keep(&Positions::range(clip(self.from), clip(self.until)));
            if !timely.is_empty() {
                some.push((segment, timely));
            }
        }
        let [level, from, until] = range;
        for term in self.terms.clone() {
            if some.is_empty() {
                break;
            }
            let pages = rows(&mut self.snapshot, PAGES, &[level, from, until, term.into()]).await?;
            let mut having = Vec::new();
            for (segment, mut left) in some {
                let page = pages.iter().find(|row| row.count(0).is_ok_and(|number| number == segment));
                let page = page.map(|row| row.opt_blob(1)).transpose()?.flatten();
                let Some(page) = page else { continue };
                let of_term = positions(page, term).map_err(|error| StoreError::Log(error.to_string()))?;
                left.keep(&of_term);
                if !left.is_empty() {
                    having.push((segment, left));
                }
            }
            some = having;
        }
        Ok(some)
    }

    /// The positions of a segment whose 256 entries have some of the time that is asked for.
    fn timely(&self, times: &[u8]) -> Positions {
        let width = u32::try_from(TIMES_OF).unwrap_or(u32::MAX);
        let mut all = Positions::none();
        for (place, pair) in (0u32..).zip(times.as_chunks::<TIMES_BYTES>().0) {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *pair;
            let earliest = Timestamp::from_micros(i64::from_be_bytes([a, b, c, d, e, f, g, h]));
            let latest = Timestamp::from_micros(i64::from_be_bytes([i, j, k, l, m, n, o, p]));
            let early = self.query.until.is_none_or(|until| earliest < until);
            if early && self.query.from.is_none_or(|from| latest >= from) {
                all.join(&Positions::range(place * width, (place + 1) * width));
            }
        }
        all
    }

    async fn entries(&mut self, start: u64, positions: &Positions) -> Result<bool, StoreError> {
        let mut all: Vec<u64> = positions.iter().map(|at| start + u64::from(at)).collect();
        if self.order == EventOrder::NewestFirst {
            all.reverse();
        }
        for some in all.chunks(READ_AT_ONCE) {
            tokio::task::yield_now().await;
            let mut values = [Value::Int(-1); READ_AT_ONCE];
            for (value, index) in values.iter_mut().zip(some) {
                *value = as_int(*index)?.into();
            }
            let rows = rows(&mut self.snapshot, SOME, &values).await?;
            for index in some {
                let row = rows.iter().find(|row| row.count(0).is_ok_and(|found| found == *index));
                let Some(leaf) = row.map(|row: &Row| row.blob(1)).transpose()? else { continue };
                if self.take(*index, leaf.to_vec()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
