//! Reviews of privileged acts. For operators: administrators and auditors alike, never of their own acts.

use access::{Review, ReviewState, Verdict};
use axum::{Json, extract::State};
use base::{EventId, OperatorId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    schema::{EventIdText, InstantText, OperatorIdText},
};

const DEFAULT: u32 = 100;

/// A privileged act, and its review.
#[derive(Serialize, ToSchema)]
#[schema(as = Review)]
pub(crate) struct ReviewBody {
    /// The act's event in the log.
    #[schema(value_type = EventIdText)]
    event: EventId,
    /// What was done, such as `account.create`.
    activity: String,
    /// Who did it: an id. Whoever enrolled did that themselves.
    actor: String,
    /// The word for what it was done to.
    object_kind: String,
    /// Its id.
    object: String,
    /// When it was done.
    #[schema(value_type = InstantText)]
    done_at: Timestamp,
    /// Until when it is to be reviewed.
    #[schema(value_type = InstantText)]
    due_at: Timestamp,
    /// When it was reviewed, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    reviewed_at: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = OperatorIdText)]
    reviewed_by: Option<OperatorId>,
    /// What they found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = VerdictBody)]
    verdict: Option<&'static str>,
    /// Their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    note: Option<String>,
}

impl From<Review> for ReviewBody {
    fn from(review: Review) -> Self {
        let (object_kind, object) = review.object;
        let (reviewed_at, reviewed_by, verdict, note) = match review.done {
            Some((at, by, verdict, note)) => (Some(at), Some(by), Some(verdict.as_str()), Some(note)),
            None => (None, None, None, None),
        };
        Self {
            event: review.event,
            activity: review.activity,
            actor: review.actor,
            object_kind,
            object,
            done_at: review.at,
            due_at: review.due,
            reviewed_at,
            reviewed_by,
            verdict,
            note: note.filter(|note| !note.is_empty()),
        }
    }
}

/// What a reviewer finds.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Verdict)]
pub(crate) enum VerdictBody {
    /// The act is in order.
    InOrder,
    /// It is not: an alarm.
    Objection,
}

/// A review.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"verdict": "in-order", "note": "agreed in ticket 4711"}))]
pub(crate) struct SignBody {
    /// What was found.
    verdict: VerdictBody,
    /// Words for people, in one line. They are not in the log.
    #[serde(default)]
    #[schema(max_length = 500)]
    note: String,
}

/// A page of reviews.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReviewList {
    /// The acts, in the order in which they were done.
    items: Vec<ReviewBody>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = EventIdText)]
    next: Option<EventId>,
}

/// Which reviews.
pub(crate) struct Which {
    state: ReviewState,
    after: Option<EventId>,
    limit: u32,
}

impl QueryParameters for Which {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let state = match pairs.take("state").as_deref() {
            None | Some("open") => ReviewState::Open,
            Some("overdue") => ReviewState::Overdue,
            Some("done") => ReviewState::Done,
            Some(_) => {
                let what = "expected `open`, `overdue` or `done`";
                return Err(Problem::invalid("invalid-parameter", "state", what.to_owned()));
            }
        };
        let after = pairs.take_parsed("after")?;
        let limit = pairs.take_number("limit", 1, access::MAX_PAGE)?.unwrap_or(DEFAULT);
        Ok(Self { state, after, limit })
    }
}

/// Lists privileged acts to review, or that were.
#[utoipa::path(get, path = "/v1/reviews", operation_id = "list_reviews",
    params(
        ("state" = Option<String>, Query, description = "`open`, `overdue` or `done`; `open` if left out."),
        ("after" = inline(Option<EventIdText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = ReviewList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<ReviewList>, Problem> {
    let found = app.access().review_list(caller.principal(), which.state, which.after, which.limit).await?;
    Ok(Json(ReviewList { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Signs a privileged act off, or objects to it. Once, and not one's own.
#[utoipa::path(post, path = "/v1/reviews/{event}/sign", operation_id = "sign_review", request_body = SignBody,
    params(("event" = EventIdText, Path)),
    responses((status = 200, description = "Reviewed.", body = ReviewBody)))]
pub(crate) async fn sign(
    State(app): State<App>,
    caller: Caller,
    Path(event): Path<EventId>,
    Body(body): Body<SignBody>,
) -> Result<Json<ReviewBody>, Problem> {
    let verdict = match body.verdict {
        VerdictBody::InOrder => Verdict::InOrder,
        VerdictBody::Objection => Verdict::Objection,
    };
    let signed = app.access().review_sign(caller.principal(), event, verdict, &body.note).await?;
    Ok(Json(signed.into_inner().into()))
}
