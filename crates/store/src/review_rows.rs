//! What the log says of the queue of reviews, and what its rows say: for the reconciler. A privileged act that somebody
//! took out of the queue, or that was signed off by nobody, is found.

use std::str::FromStr;

use base::EventId;
use ledger::{Activity, EventView, leaf_hash};

use crate::{
    Platform, Protected, ReadTx, RowKey, RowPage, RowState, RowsFuture, Said, SystemReadTx,
    outbox::needs_review, platform,
};

const REVIEW: &str = "review";
const IN_ORDER: u8 = 1;
const OBJECTION: u8 = 2;

const ROWS: Platform = platform!(
    "SELECT event, activity, actor, object_kind, object, verdict FROM review WHERE event > $1 ORDER BY event LIMIT $2"
);

/// The rows of the queue of reviews.
pub(crate) struct Reviews;

fn content(activity: &str, actor: &str, kind: &str, object: &str) -> [u8; 32] {
    let parts = [activity, actor, kind, object].map(|part| format!("{}:{part}", part.len()));
    leaf_hash(parts.concat().as_bytes())
}

fn key(id: EventId) -> RowKey {
    RowKey { kind: REVIEW, id: *id.as_bytes(), part: 0 }
}

impl Protected for Reviews {
    fn of_accounts(&self) -> &'static [&'static str] {
        &[]
    }

    fn of_platform(&self) -> &'static [&'static str] {
        &[REVIEW]
    }

    fn activities(&self) -> &'static [Activity] {
        &[
            Activity::OperatorEnrol,
            Activity::PasskeyAdd,
            Activity::PasswordSet,
            Activity::IdentityAdd,
            Activity::OperatorLinkCreate,
            Activity::OperatorRevoke,
            Activity::AccountCreate,
            Activity::AccountSuspend,
            Activity::AccountResume,
            Activity::ClientCreate,
            Activity::ClientRevoke,
            Activity::KeyRotate,
            Activity::KeyRetire,
            Activity::SubjectErase,
            Activity::ExceptionSet,
            Activity::ReviewSign,
            Activity::ReviewObject,
        ]
    }

    fn take(&self, event: &EventView, said: &mut Said) {
        let Some(activity) = Activity::from_name(&event.activity) else { return };
        if needs_review(activity, event.actor, &event.object.kind, event.text("stage")) {
            let actor = event.actor.to_string();
            let content = content(&event.activity, &actor, &event.object.kind, &event.object.id);
            said.made(None, key(event.id), RowState { content, ..RowState::default() });
        }
        let verdict = match activity {
            Activity::ReviewSign => IN_ORDER,
            Activity::ReviewObject => OBJECTION,
            _ => return,
        };
        if let Ok(of) = EventId::from_str(&event.object.id)
            && let Some(row) = said.row(None, &key(of))
        {
            row.marks = verdict;
        }
    }

    fn account_rows<'a>(
        &'a self,
        _read: &'a mut ReadTx,
        _kind: &'static str,
        _after: &'a [u8],
        _limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async { Ok(RowPage::default()) })
    }

    fn platform_rows<'a>(
        &'a self,
        read: &'a mut SystemReadTx,
        _kind: &'static str,
        after: &'a [u8],
        limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async move {
            let found = read.rows(ROWS, &[after.into(), limit.into()]).await?;
            let is_full = found.len() as i64 >= limit;
            let mut rows = Vec::with_capacity(found.len());
            for row in &found {
                let marks = match row.opt_text(5)? {
                    Some("in-order") => IN_ORDER,
                    Some(_) => OBJECTION,
                    None => 0,
                };
                let content = content(row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?);
                rows.push((key(row.id(0)?), RowState { content, marks, ..RowState::default() }));
            }
            let next = rows.last().filter(|_| is_full).map(|(key, _)| key.id.to_vec());
            Ok(RowPage { rows, next })
        })
    }

    fn id_text(&self, _kind: &'static str, id: [u8; 16]) -> String {
        EventId::from_bytes(id).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_that_is_reviewed_is_read() {
        for activity in Activity::ALL.iter().filter(|activity| activity.needs_review()) {
            assert!(Reviews.activities().contains(activity), "{activity}");
        }
    }
}
