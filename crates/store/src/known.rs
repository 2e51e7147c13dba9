//! What was found in the log of kinds of events of which there are few, remembered with the size up to which the log was read:
//! it only grows, so the next search begins there. Kept in memory, per server, and bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ledger::{EventQuery, EventView};

/// Most events that are remembered of one kind; what has more is searched each time.
const MAX_OF_A_KIND: usize = 5_000;
/// Most kinds.
const MAX_KINDS: usize = 64;

/// The events of a kind, each with its index, and the size of the log in which they were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) size: u64,
    pub(crate) events: Vec<(u64, EventView)>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<String, Arc<Found>>>);

/// Under which name a query is remembered, if it asks for a kind as a whole. For how long a time it asks does not matter.
pub(crate) fn kind_of(query: &EventQuery) -> Option<(String, EventQuery)> {
    let is_whole = query.actor.is_none()
        && query.object.is_none()
        && query.account.is_none()
        && query.severity.is_none()
        && query.words.is_empty();
    let whole = EventQuery { from: None, until: None, ..query.clone() };
    is_whole.then(|| (format!("{:?}{:?}", whole.activity, whole.outcome), whole))
}

impl Known {
    pub(crate) fn get(&self, kind: &str) -> Arc<Found> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(kind).cloned().unwrap_or_default()
    }

    /// Remembers what was found; the longer of two searches at once stays.
    pub(crate) fn put(&self, kind: String, found: Arc<Found>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.events.len() > MAX_OF_A_KIND {
            known.remove(&kind);
            return;
        }
        if known.len() >= MAX_KINDS && !known.contains_key(&kind) {
            known.clear();
        }
        if known.get(&kind).is_none_or(|before| before.size <= found.size) {
            known.insert(kind, found);
        }
    }

    pub(crate) fn forget(&self, kind: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_as_a_whole_is_remembered_whatever_the_time() {
        let of = |query: &EventQuery| kind_of(query).map(|(name, _)| name);
        let whole = EventQuery { activity: Some("finding".to_owned()), ..EventQuery::default() };
        let until = EventQuery { until: Some(base::Timestamp::from_seconds(1)), ..whole.clone() };
        assert_eq!(of(&whole), of(&until));
        assert!(of(&EventQuery { object: Some("x".to_owned()), ..whole.clone() }).is_none());
        assert!(of(&EventQuery { words: vec!["x".to_owned()], ..whole.clone() }).is_none());
        assert_ne!(of(&whole), of(&EventQuery { activity: Some("policy".to_owned()), ..whole }));
    }

    #[test]
    fn the_longer_search_stays_and_much_is_not_kept() {
        let known = Known::default();
        let found = |size| Arc::new(Found { size, events: Vec::new() });
        known.put("a".to_owned(), found(7));
        known.put("a".to_owned(), found(5));
        assert_eq!(known.get("a").size, 7);
        known.forget("a");
        assert_eq!(known.get("a").size, 0);
        for kind in 0..=MAX_KINDS {
            known.put(kind.to_string(), found(1));
        }
        assert!(known.0.lock().unwrap().len() <= MAX_KINDS);
    }
}
