//! Writing the event: part of the same transaction as the change it records.

use base::{Actor, EventId};
use ledger::{Act, Activity, Event, Origin, Outcome};

use crate::{Store, StoreError, engine::Write};

const ADD: &str = "INSERT INTO event (id, account_id, at, activity, leaf, sealed) VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq";
const ADD_REVIEW: &str = "INSERT INTO review (event, activity, actor, object_kind, object, at, due_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ADD_PENDING: &str = "INSERT INTO outbox (seq, seal) VALUES ($1, $2)";

/// Adds one event, with an id that was drawn before or a new one. A crash before the transaction commits takes the change with it.
pub(crate) async fn append(
    write: &mut Write,
    store: &Store,
    origin: &Origin,
    act: Act,
    id: Option<EventId>,
) -> Result<EventId, StoreError> {
    let id = id.map_or_else(|| EventId::new(store.context()), Ok)?;
    let at = store.context().now();
    let activity = act.activity().name();
    let mut event = Event::new(id, at, origin.clone(), act);
    if store.clock().is_doubtful() {
        event = event.with_doubtful_clock();
    }
    let leaf = event.encode();
    let sealed = origin.sealed.as_ref().map(|sealed| sealed.bytes.as_slice());
    let values = [
        (&id).into(),
        origin.account.as_ref().into(),
        at.into(),
        activity.into(),
        (&leaf).into(),
        sealed.into(),
    ];
    let rows = write.rows(ADD, &values).await?;
    let seq =
        rows.into_iter().next().map(crate::Row).ok_or(StoreError::Shape("the event's number"))?.int(0)?;
    let seal = store.seals().seal(&leaf);
    if seal.is_none() {
        store.seals().early(seq);
    }
    write.execute(ADD_PENDING, &[seq.into(), seal.as_ref().map(<[u8; 32]>::as_slice).into()]).await?;
    if is_privileged(&event) {
        let (actor, object) = (origin.actor.to_string(), event.act().object());
        let values = [
            (&id).into(),
            activity.into(),
            actor.as_str().into(),
            object.kind().into(),
            object.id().into(),
            at.into(),
            at.plus(store.review_due()).into(),
        ];
        write.execute(ADD_REVIEW, &values).await?;
    }
    Ok(id)
}

/// Whether a second person is to look at it: done by somebody, and not refused.
fn is_privileged(event: &Event) -> bool {
    let (act, actor) = (event.act(), event.origin().actor);
    matches!(act.outcome(), Outcome::Success)
        && needs_review(act.activity(), actor, act.object().kind(), act.stage())
}

/// Whether an act that succeeded is one to look at: once, not again for its completion, nor for the keys of what it was
/// done to.
pub(crate) fn needs_review(activity: Activity, actor: Actor, object: &str, stage: Option<&str>) -> bool {
    let of_keys =
        matches!(activity, Activity::AccountSuspend | Activity::AccountResume) && object != "account";
    activity.needs_review() && matches!(actor, Actor::Operator(_)) && !of_keys && stage != Some("complete")
}
