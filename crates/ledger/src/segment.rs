//! An index of some of the log: for each term the entries that have it. Segments hold 4,096 or 65,536 entries, are built
//! once and never changed, so that they are written in one go and many of them are searched quickly. They are derived:
//! what they say is checked against the entries, and they can be built anew from those. Bytes here, no tables.

use std::collections::BTreeMap;

use crate::{EventQuery, EventView, search::event_terms};

/// Entries of a small segment.
pub const SMALL_SEGMENT: u32 = 4_096;
/// Entries of a large segment: as many as a position of 16 bits has values.
pub const LARGE_SEGMENT: u32 = 65_536;
/// Positions up to which they are stored one by one; more are a bitmap.
const MAX_LISTED: usize = 4_096;
const BITMAP_BYTES: usize = LARGE_SEGMENT as usize / 8;
/// A page is closed once it has so many bytes.
const PAGE_BYTES: usize = 16_384;
const HEADER: usize = 10;

/// A part of a segment: the terms from `first` up to the next page's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPage {
    /// Its first term, as a signed number in the order of terms.
    pub first: i64,
    /// Its terms with their positions.
    pub data: Vec<u8>,
}

/// A page that is none: it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page of the index is damaged")]
pub struct SegmentError;

/// Positions in a segment.
#[derive(Clone, PartialEq, Eq)]
pub struct Positions(Box<[u64]>);

impl Positions {
    /// None.
    pub fn none() -> Self {
        Self(vec![0; LARGE_SEGMENT as usize / 64].into())
    }
    /// All from `from` up to, not with, `until`.
    pub fn range(from: u32, until: u32) -> Self {
        let mut all = Self::none();
        (from..until.min(LARGE_SEGMENT)).for_each(|at| all.add(at as u16));
        all
    }
    fn add(&mut self, at: u16) {
        if let Some(word) = self.0.get_mut(usize::from(at / 64)) {
            *word |= 1 << (at % 64);
        }
    }
    /// Keeps those that `others` has as well.
    pub fn keep(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(one, other)| *one &= other);
    }
    /// Adds those that `others` has.
    pub fn join(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(one, other)| *one |= other);
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
    /// In rising order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64u16).filter(move |bit| word & (1 << bit) != 0).map(move |bit| (at * 64) as u16 + bit)
        })
    }
}

impl std::fmt::Debug for Positions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Gathers the entries of a segment.
#[derive(Debug, Default)]
pub struct SegmentBuilder(BTreeMap<i64, Vec<u16>>);

impl SegmentBuilder {
    /// Without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the event at a position. Positions rise.
    pub fn add(&mut self, position: u16, event: &EventView) {
        for term in event_terms(event) {
            let positions = self.0.entry(signed(term)).or_default();
            if positions.last() != Some(&position) {
                positions.push(position);
            }
        }
    }

    /// Adds a page of a smaller segment, whose first entry is at `offset` of this one. Offsets rise.
    pub fn add_page(&mut self, offset: u16, page: &[u8]) -> Result<(), SegmentError> {
        let mut rest = page;
        while !rest.is_empty() {
            let (term, positions, after) = next(rest)?;
            let moved = positions.iter().map(|at| at.checked_add(offset).ok_or(SegmentError));
            let moved = moved.collect::<Result<Vec<_>, _>>()?;
            self.0.entry(term).or_default().extend(moved);
            rest = after;
        }
        Ok(())
    }

    /// The segment, in pages.
    pub fn finish(self) -> Vec<SegmentPage> {
        let mut pages: Vec<SegmentPage> = Vec::new();
        for (term, positions) in self.0 {
            if pages.last().is_none_or(|page| page.data.len() >= PAGE_BYTES) {
                pages.push(SegmentPage { first: term, data: Vec::with_capacity(PAGE_BYTES + 256) });
            }
            let Some(page) = pages.last_mut() else { continue };
            page.data.extend_from_slice(&term.to_be_bytes());
            // At least one, at most 65,536.
            page.data.extend_from_slice(&((positions.len().saturating_sub(1)) as u16).to_be_bytes());
            if positions.len() <= MAX_LISTED {
                positions.iter().for_each(|at| page.data.extend_from_slice(&at.to_be_bytes()));
            } else {
                let mut all = Positions::none();
                positions.iter().for_each(|at| all.add(*at));
                all.0.iter().for_each(|word| page.data.extend_from_slice(&word.to_be_bytes()));
            }
        }
        pages
    }
}

/// A query's terms, as the numbers by which their pages are found.
pub fn query_terms(query: &EventQuery) -> Vec<i64> {
    query.terms().into_iter().map(signed).collect()
}

/// The positions of a term in its page: the last one whose first term is not behind it.
pub fn positions(page: &[u8], term: i64) -> Result<Positions, SegmentError> {
    let mut rest = page;
    while !rest.is_empty() {
        let (found, positions, after) = next(rest)?;
        if found == term {
            let mut all = Positions::none();
            positions.iter().for_each(|at| all.add(at));
            return Ok(all);
        }
        if found > term {
            break;
        }
        rest = after;
    }
    Ok(Positions::none())
}

enum Stored<'a> {
    Listed(&'a [u8]),
    Bitmap(&'a [u8]),
}

impl Stored<'_> {
    fn iter(&self) -> Box<dyn Iterator<Item = u16> + '_> {
        match self {
            Self::Listed(bytes) => Box::new(bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))),
            Self::Bitmap(bytes) => Box::new(bytes.as_chunks().0.iter().enumerate().flat_map(|(at, word)| {
                let word = u64::from_be_bytes(*word);
                (0..64u16).filter(move |bit| word & (1 << bit) != 0).map(move |bit| (at * 64) as u16 + bit)
            })),
        }
    }
}

/// The term at the start, its positions, and what comes behind.
fn next(page: &[u8]) -> Result<(i64, Stored<'_>, &[u8]), SegmentError> {
    let (header, rest) = page.split_first_chunk::<HEADER>().ok_or(SegmentError)?;
    let [a, b, c, d, e, f, g, h, high, low] = *header;
    let term = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let count = usize::from(u16::from_be_bytes([high, low])) + 1;
    let listed = count <= MAX_LISTED;
    let bytes = if listed { count * 2 } else { BITMAP_BYTES };
    let (data, rest) = rest.split_at_checked(bytes).ok_or(SegmentError)?;
    Ok((term, if listed { Stored::Listed(data) } else { Stored::Bitmap(data) }, rest))
}

/// Databases have signed numbers: the same order, moved.
const fn signed(term: u64) -> i64 {
    (term ^ (1 << 63)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, Activity, Event, Interface, ObjectRef, Origin};
    use base::{Actor, EventId, RequestId, ServerId, Timestamp};
    use proptest::prelude::*;

    fn event(number: u32) -> EventView {
        let origin = Origin {
            actor: Actor::System(ServerId::from_bytes([(number % 3) as u8; 16])),
            account: None,
            request: RequestId::from_bytes([5; 16]),
            server: ServerId::from_bytes([6; 16]),
            subsystem: "vault",
            interface: Interface::Api,
            sealed: None,
        };
        let activity = Activity::ALL[number as usize % Activity::ALL.len()];
        let act = Act::new(activity, ObjectRef::new("thing", format!("thing_{number}")));
        let leaf =
            Event::new(EventId::from_bytes([7; 16]), Timestamp::from_seconds(50), origin, act).encode();
        Event::decode(&leaf).unwrap()
    }

    fn find(pages: &[SegmentPage], query: &EventQuery) -> Vec<u16> {
        let mut found = Positions::range(0, LARGE_SEGMENT);
        for term in query_terms(query) {
            let page = pages.iter().rev().find(|page| page.first <= term);
            found.keep(&page.map_or_else(Positions::none, |page| positions(&page.data, term).unwrap()));
        }
        found.iter().collect()
    }

    #[test]
    fn a_segment_finds_what_reading_everything_finds() {
        let count = 5_000u32;
        let events: Vec<_> = (0..count).map(event).collect();
        let mut builder = SegmentBuilder::new();
        events.iter().enumerate().for_each(|(at, event)| builder.add(at as u16, event));
        let pages = builder.finish();
        assert!(pages.len() > 5 && pages.is_sorted_by_key(|page| page.first));
        let some = |text: &str| Some(text.to_owned());
        for query in [
            EventQuery { object: some("thing_77"), ..EventQuery::default() },
            EventQuery { activity: some("record.read"), ..EventQuery::default() },
            EventQuery {
                actor: Some(events[1].actor.to_string()),
                activity: some("key"),
                ..EventQuery::default()
            },
            EventQuery { words: vec!["vault".into(), "thing_4999".into()], ..EventQuery::default() },
            EventQuery { words: vec!["nothing".into()], ..EventQuery::default() },
            EventQuery { severity: Some(5), ..EventQuery::default() },
        ] {
            let expected: Vec<u16> =
                (0..count).filter(|at| query.matches(&events[*at as usize])).map(|at| at as u16).collect();
            assert_eq!(find(&pages, &query), expected, "{query:?}");
        }
        assert_eq!(find(&pages, &EventQuery { actor: some("system"), ..EventQuery::default() }).len(), 5_000);
    }

    #[test]
    fn small_segments_merge_into_what_one_would_have_been() {
        let (mut one, mut merged) = (SegmentBuilder::new(), SegmentBuilder::new());
        for part in 0..2u16 {
            let mut small = SegmentBuilder::new();
            for at in 0..4_096u16 {
                let event = event(u32::from(part) * 4_096 + u32::from(at));
                small.add(at, &event);
                one.add(part * 4_096 + at, &event);
            }
            for page in small.finish() {
                merged.add_page(part * 4_096, &page.data).unwrap();
            }
        }
        assert_eq!(merged.finish(), one.finish());
    }

    proptest! {
        #[test]
        fn damaged_pages_do_no_harm(page: Vec<u8>, term: i64) {
            let _ = positions(&page, term);
            let _ = SegmentBuilder::new().add_page(60_000, &page);
        }
    }
}
