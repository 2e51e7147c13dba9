//! Searching the log, which spans accounts: for operators and auditors. Leaves hold no personal data.

use ledger::{Act, Activity, EventQuery, EventView, ObjectRef};
use store::{EventOrder, EventPage};

use crate::{Access, AccessError, Action, Principal, Resource};

impl Access {
    /// A page of the log's events that match, at most `limit` (1 to 1,000), starting at `cursor`. An operator's act.
    /// The event says by what was searched, not for what: words that people type may name people.
    pub async fn log_search(
        &self,
        by: &Principal,
        query: &EventQuery,
        order: EventOrder,
        cursor: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, AccessError> {
        let (scope, decision) = self.operate(by, Action::LogRead, &Resource::new()).await?;
        let page = self.0.store.search_events(query, order, cursor, limit).await?;
        let by = [
            ("from", query.from.is_some()),
            ("until", query.until.is_some()),
            ("activity", query.activity.is_some()),
            ("actor", query.actor.is_some()),
            ("object", query.object.is_some()),
            ("account", query.account.is_some()),
            ("outcome", query.outcome.is_some()),
            ("severity", query.severity.is_some()),
            ("text", !query.words.is_empty()),
        ];
        let by: Vec<_> = by.into_iter().filter(|(_, asked)| *asked).map(|(name, _)| name).collect();
        let mut act = Act::new(Activity::LogSearch, ObjectRef::new("log", "events"))
            .decided_by(decision.policies())
            .detail("by", by.join(" "))
            .detail("count", page.found.len());
        if let Some(account) = query.account {
            act = act.detail("account", account);
        }
        self.0.store.record_system(scope, act).await?;
        Ok(page)
    }

    /// The newest events of each of some kinds, at most `limit` of each, the newest first, each with its index. An operator's act:
    /// one search in the log, whatever it asks for.
    pub async fn log_latest(
        &self,
        by: &Principal,
        kinds: &[EventQuery],
        limit: usize,
    ) -> Result<Vec<Vec<(u64, EventView)>>, AccessError> {
        let (scope, decision) = self.operate(by, Action::LogRead, &Resource::new()).await?;
        let mut found = Vec::with_capacity(kinds.len());
        for kind in kinds {
            found.push(self.0.store.latest(kind, limit).await?);
        }
        let act = Act::new(Activity::LogSearch, ObjectRef::new("log", "events"))
            .decided_by(decision.policies())
            .detail("by", "activity outcome")
            .detail("count", found.iter().map(Vec::len).sum::<usize>());
        self.0.store.record_system(scope, act).await?;
        Ok(found)
    }
}
