//! Reviews in the story: each working day somebody signs what others did; one act is objected to, one is left lying too
//! long, and the newest wait for the visitor.

use access::{ReviewState, Verdict};
use base::{Duration, EventId};

use super::{failed, people::Person};
use crate::{failure::Failure, server::stage::Stage};

/// How long an act waits for its reviewer, at least.
const HALF_A_DAY: Duration = Duration::from_seconds(12 * 3_600);

/// Signs what waits and is not left for later, each by one of them who did not do it.
pub(crate) async fn sign_open(stage: &Stage, reviewers: &[&Person], left: &[EventId]) -> Result<(), Failure> {
    let Some(first) = reviewers.first() else { return Ok(()) };
    let as_first = first.principal(stage).await?;
    let open = stage.access.review_list(&as_first, ReviewState::Open, None, 200).await;
    let open = open.map_err(|error| failed(&error))?.items;
    for review in open {
        if left.contains(&review.event) || stage.now() < review.at.plus(HALF_A_DAY) {
            continue;
        }
        let has_part = |one: &&&Person| {
            let id = one.id.to_string();
            review.actor != id && review.object.1 != id
        };
        let Some(reviewer) = reviewers.iter().find(has_part) else { continue };
        stage.pass(Duration::from_seconds(35)).await?;
        sign(stage, reviewer, review.event, Verdict::InOrder, "as agreed at the weekly meeting").await?;
    }
    Ok(())
}

/// Says what somebody found of an act.
pub(crate) async fn sign(
    stage: &Stage,
    by: &Person,
    event: EventId,
    verdict: Verdict,
    note: &str,
) -> Result<(), Failure> {
    let reviewer = by.principal(stage).await?;
    let signed = stage.access.review_sign(&reviewer, event, verdict, note).await;
    signed.map(|_| ()).map_err(|error| failed(&error))
}
