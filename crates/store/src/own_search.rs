//! Searching the log from within an account: what happened in it, or to what is its own, and nothing else. The account is the
//! scope's; a search from within has no place where another could stand (CD-8).

use base::Timestamp;
use ledger::{EventQuery, OutcomeWord};

use crate::{EventOrder, EventPage, Scope, Store, StoreError};

/// What is asked from within an account. What is left out is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnQuery {
    /// Not before this, by the server's clock.
    pub from: Option<Timestamp>,
    /// Before this, by the server's clock.
    pub until: Option<Timestamp>,
    /// The activity's name, such as `record.read`, or its first half, such as `record`.
    pub activity: Option<String>,
    /// How it ended.
    pub outcome: Option<OutcomeWord>,
}

impl Store {
    /// A page of the events of the scope's account, newest first, at most `limit` (up to [`crate::MAX_EVENT_PAGE`]), starting
    /// before `cursor`.
    pub async fn search_own_events(
        &self,
        scope: &Scope,
        query: &OwnQuery,
        cursor: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, StoreError> {
        let account = scope.account();
        let query = EventQuery {
            account: Some(account),
            from: query.from,
            until: query.until,
            activity: query.activity.clone(),
            outcome: query.outcome,
            ..EventQuery::default()
        };
        let mut page = self.search_events(&query, EventOrder::NewestFirst, cursor, limit).await?;
        // INVARIANT: whatever the search became, nothing that is not of this account leaves here.
        page.found.retain(|one| [one.event.account, one.event.object.account].contains(&Some(account)));
        Ok(page)
    }
}
