//! Privileged acts that a second person reviews (AO-4). An act and its place in the queue are one transaction; who did
//! it, or whom it made an operator, does not sign it off.

use base::{EventId, OperatorId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Row, StoreError, SystemScope, platform};

use crate::{Access, AccessError, Action, Page, Principal, Resource, client::page_size};

/// Most characters of a reviewer's note.
pub const MAX_NOTE_CHARS: usize = 500;
/// Most overdue reviews that are told of at once.
const MAX_TOLD: i64 = 100;

/// Which reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// Not reviewed yet.
    Open,
    /// Not reviewed yet, and overdue.
    Overdue,
    /// Reviewed.
    Done,
}

/// What a reviewer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The act is in order.
    InOrder,
    /// It is not: an alarm.
    Objection,
}

impl Verdict {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Objection => "objection",
        }
    }
    fn from_word(word: &str) -> Option<Self> {
        [Self::InOrder, Self::Objection].into_iter().find(|one| one.as_str() == word)
    }
}

/// A privileged act, and its review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The act's event.
    pub event: EventId,
    /// What was done.
    pub activity: String,
    /// Who did it: an id. Whoever enrolled did that themselves.
    pub actor: String,
    /// The word for the object's kind, and its id.
    pub object: (String, String),
    /// When it was done.
    pub at: Timestamp,
    /// Until when it is to be reviewed.
    pub due: Timestamp,
    /// Its review: when, by whom, what they found, and their words.
    pub done: Option<(Timestamp, OperatorId, Verdict, String)>,
}

impl Access {
    /// Privileged acts in the order in which they were done, those after `after`, at most `limit` (1 to 500).
    pub async fn review_list(
        &self,
        by: &Principal,
        state: ReviewState,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Page<Review, EventId>, AccessError> {
        let (scope, decision) = self.operate(by, Action::ReviewList, &Resource::new()).await?;
        let first = EventId::from_bytes([0; 16]);
        let after = after.unwrap_or(first);
        let limit = page_size(limit);
        let statement = platform!(
            "SELECT event, activity, actor, object_kind, object, at, due_at, reviewed_at, reviewed_by, verdict, note \
             FROM review WHERE (at > $5 OR (at = $5 AND event > $1)) AND (($2 = 0 AND reviewed_at IS NULL) \
             OR ($2 = 1 AND reviewed_at IS NULL AND due_at < $3) OR ($2 = 2 AND reviewed_at IS NOT NULL)) \
             ORDER BY at, event LIMIT $4"
        );
        let state = match state {
            ReviewState::Open => 0i64,
            ReviewState::Overdue => 1,
            ReviewState::Done => 2,
        };
        let mut read = self.0.store.system_read(scope).await?;
        let at = read.row(platform!("SELECT at FROM review WHERE event = $1"), &[(&after).into()]).await?;
        let at = match at {
            Some(row) => row.time(0)?,
            None if after == first => Timestamp::from_micros(i64::MIN),
            None => {
                return Err(AccessError::Invalid {
                    field: "after",
                    reason: "no page ends there: give `next` of one",
                });
            }
        };
        let now = self.0.store.context().now();
        let values = [(&after).into(), state.into(), now.into(), (limit + 1).into(), at.into()];
        let rows = read.rows(statement, &values).await?;
        drop(read);
        let page =
            Page::cut(rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?, limit, |one| one.event);
        let act = Act::new(Activity::ReviewList, ObjectRef::new("reviews", "-"))
            .decided_by(decision.policies())
            .detail("count", page.items.len());
        self.0.store.record_system(scope, act).await?;
        Ok(page)
    }

    /// Says what a second person found of a privileged act: once, and not by who did it. `note` is for people, up to
    /// [`MAX_NOTE_CHARS`] characters; the log has no word of it.
    pub async fn review_sign(
        &self,
        by: &Principal,
        event: EventId,
        verdict: Verdict,
        note: &str,
    ) -> Result<Committed<Review>, AccessError> {
        let (scope, decision) = self.operate(by, Action::ReviewSign, &Resource::new().id(event)).await?;
        let activity = match verdict {
            Verdict::InOrder => Activity::ReviewSign,
            Verdict::Objection => Activity::ReviewObject,
        };
        let object = || ObjectRef::new("event", event);
        let refused = |reason, clause| Act::refused(activity, object(), reason, clause);
        if note.chars().count() > MAX_NOTE_CHARS || note.chars().any(char::is_control) {
            self.0.store.record_system(scope, refused("note-invalid", None)).await?;
            let reason = "the note has more than 500 characters, or characters that are none of a line";
            return Err(AccessError::Invalid { field: "note", reason });
        }
        let base::Actor::Operator(reviewer) = scope.actor() else {
            return Err(AccessError::Internal("an operator's act of somebody else"));
        };
        let mut tx = self.0.store.system(scope).await?;
        // The row is held to the end: two reviewers don't both sign.
        let held =
            platform!("UPDATE review SET note = note WHERE event = $1 RETURNING actor, object, reviewed_at");
        let Some(row) = tx.row(held, &[(&event).into()]).await? else {
            tx.refuse(refused("not-found", None)).await?;
            return Err(AccessError::NotFound("review"));
        };
        let own = reviewer.to_string();
        if [row.text(0)?, row.text(1)?].contains(&own.as_str()) {
            tx.refuse(refused("own-act", Some("AO-4"))).await?;
            return Err(AccessError::OwnAct);
        }
        if row.opt_time(2)?.is_some() {
            tx.refuse(refused("reviewed-already", None)).await?;
            return Err(AccessError::ReviewedAlready);
        }
        let signed = platform!(
            "UPDATE review SET reviewed_at = $2, reviewed_by = $3, verdict = $4, note = $5 WHERE event = $1 \
             RETURNING event, activity, actor, object_kind, object, at, due_at, reviewed_at, reviewed_by, verdict, note"
        );
        let values =
            [(&event).into(), scope.now().into(), (&reviewer).into(), verdict.as_str().into(), note.into()];
        let row = tx.row(signed, &values).await?.ok_or(AccessError::Internal("a review that is gone"))?;
        let review = from_row(&row)?;
        let act = Act::new(activity, object())
            .decided_by(decision.policies())
            .detail("act", review.activity.clone());
        Ok(tx.commit(review, act).await?)
    }

    /// How many privileged acts wait for their review, and how many of those are overdue.
    pub async fn reviews_open(&self, scope: &SystemScope) -> Result<(u64, u64), AccessError> {
        let count = platform!(
            "SELECT count(*), coalesce(sum(CASE WHEN due_at < $1 THEN 1 ELSE 0 END), 0) FROM review \
             WHERE reviewed_at IS NULL"
        );
        let now = self.0.store.context().now();
        let row = self.0.store.system_read(scope).await?.row(count, &[now.into()]).await?;
        let row = row.ok_or(AccessError::Internal("a count that is none"))?;
        Ok((row.count(0)?, row.count(1)?))
    }

    /// Says of each review that became overdue that it is, once. How many those were.
    pub async fn review_overdue(&self, scope: &SystemScope) -> Result<usize, AccessError> {
        let now = self.0.store.context().now();
        let due = platform!(
            "UPDATE review SET overdue_at = $1 WHERE overdue_at IS NULL AND event IN (SELECT event FROM review \
             WHERE reviewed_at IS NULL AND overdue_at IS NULL AND due_at < $1 ORDER BY due_at LIMIT $2) \
             RETURNING event, activity, actor"
        );
        let mut tx = self.0.store.system(scope).await?;
        let mut acts = Vec::new();
        for row in tx.rows(due, &[now.into(), MAX_TOLD.into()]).await? {
            let event: EventId = row.id(0)?;
            acts.push(
                Act::new(Activity::ReviewOverdue, ObjectRef::new("event", event))
                    .detail("act", row.text(1)?)
                    .detail("actor", row.text(2)?),
            );
        }
        let told = acts.len();
        if told > 0 {
            tx.commit_all((), acts).await?.into_inner();
        }
        Ok(told)
    }
}

fn from_row(row: &Row) -> Result<Review, StoreError> {
    let done = match row.opt_time(7)? {
        None => None,
        Some(at) => {
            let verdict =
                row.opt_text(9)?.and_then(Verdict::from_word).ok_or(StoreError::Shape("a verdict"))?;
            Some((at, row.id(8)?, verdict, row.opt_text(10)?.unwrap_or_default().to_owned()))
        }
    };
    Ok(Review {
        event: row.id(0)?,
        activity: row.text(1)?.to_owned(),
        actor: row.text(2)?.to_owned(),
        object: (row.text(3)?.to_owned(), row.text(4)?.to_owned()),
        at: row.time(5)?,
        due: row.time(6)?,
        done,
    })
}
