//! Legal holds: set and lifted by a person with a reason. For customers.

use access::Resource;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base::{HoldId, ObjectId, RecordId, RepositoryId};
use ledger::{Act, Activity, ObjectRef};
use serde::Deserialize;
use utoipa::ToSchema;
use vault::{Decided, Hold, HoldDecision, HoldTarget, Target};

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    routes::repositories::{limit, listed},
    schema::{ActorText, HoldIdText, InstantText, ObjectIdText, RecordIdText, RepositoryIdText},
};

/// How holds look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{ActorText, HoldIdText, InstantText, RepositoryIdText, ToSchema};

    /// What a hold covers.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct HoldTarget {
        /// `record`, `object` or `repository`.
        #[schema(pattern = "^(record|object|repository)$")]
        kind: String,
        /// The repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// The id of the record, the object or the repository.
        #[schema(pattern = "^(rec|obj|rep)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        id: String,
    }

    /// A legal hold.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Hold {
        /// Its id.
        #[schema(value_type = HoldIdText)]
        id: String,
        /// What it covers.
        target: HoldTarget,
        /// Why it was set.
        reason: String,
        /// Which person decided that.
        person: String,
        /// When.
        #[schema(value_type = InstantText)]
        set_at: String,
        /// By which client.
        #[schema(value_type = ActorText)]
        set_by: String,
        /// When it was lifted; null while it is in force.
        #[schema(value_type = Option<InstantText>)]
        lifted_at: Option<String>,
        /// By which client it was lifted.
        #[schema(value_type = Option<ActorText>)]
        lifted_by: Option<String>,
        /// Why it was lifted.
        lift_reason: Option<String>,
        /// Which person decided that.
        lift_person: Option<String>,
    }

    /// A page of holds.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct HoldList {
        /// The holds, in the order in which they were set; lifted ones too.
        items: Vec<Hold>,
        /// What to send as `after` for the next page; absent on the last.
        #[schema(nullable = false, required = false, value_type = HoldIdText)]
        next: Option<String>,
    }
}

/// A hold to be set. Without `record` and `object` it covers the whole repository, what comes later too.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"record": "rec_01knk0m3a0e9x8c5m3q8d2v7zt", "reason": "case 2026/17", "person": "A. Counsel"}))]
pub(crate) struct NewHoldBody {
    /// The record that it covers.
    #[schema(nullable = false, required = false, value_type = RecordIdText)]
    record: Option<RecordId>,
    /// The object that it covers.
    #[schema(nullable = false, required = false, value_type = ObjectIdText)]
    object: Option<ObjectId>,
    /// Why. It is kept sealed.
    #[schema(min_length = 1, max_length = 1_024)]
    reason: String,
    /// The person who decided it: a name or an id. It is kept sealed.
    #[schema(min_length = 1, max_length = 200)]
    person: String,
}

/// The lifting of a hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "case 2026/17 is closed", "person": "A. Counsel"}))]
pub(crate) struct LiftBody {
    /// Why. It is kept sealed.
    #[schema(min_length = 1, max_length = 1_024)]
    reason: String,
    /// The person who decided it: a name or an id. It is kept sealed.
    #[schema(min_length = 1, max_length = 200)]
    person: String,
}

/// Which page of holds.
pub(crate) struct Holds {
    limit: usize,
    after: Option<HoldId>,
}

impl QueryParameters for Holds {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        Ok(Self { limit: limit(pairs)?, after: pairs.take_parsed("after")? })
    }
}

fn said<'a>(person: &'a str, reason: &'a str) -> HoldDecision<'a> {
    HoldDecision { person, reason }
}

/// Sets a legal hold. While it is in force, nothing that it covers is deleted or erased.
#[utoipa::path(post, path = "/v1/repositories/{repository}/holds", operation_id = "set_hold",
    params(("repository" = RepositoryIdText, Path)), request_body = NewHoldBody,
    responses((status = 201, description = "Set.", body = described::Hold)))]
pub(crate) async fn set(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Body(body): Body<NewHoldBody>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let target = match (body.record, body.object) {
        (None, None) => HoldTarget::Repository(repository),
        (Some(record), None) => HoldTarget::One(Target::Record(repository, record)),
        (None, Some(object)) => HoldTarget::One(Target::Object(repository, object)),
        (Some(_), Some(_)) => {
            let object = ObjectRef::new("repository", repository)
                .in_account(scope.account())
                .in_repository(repository);
            let act = Act::refused(Activity::HoldSet, object, "invalid-field", None);
            app.store().record(scope, act.decided_by(decided.policies)).await?;
            let detail = "a hold covers a record or an object, not both";
            return Err(Problem::invalid("invalid-field", "/object", detail));
        }
    };
    let hold = app.vault().hold_set(scope, target, said(&body.person, &body.reason), &decided).await?;
    Ok((StatusCode::CREATED, Json(&*hold)).into_response())
}

/// Lists the holds of a repository and of what is in it.
#[utoipa::path(get, path = "/v1/repositories/{repository}/holds", operation_id = "list_holds",
    params(
        ("repository" = RepositoryIdText, Path),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most on the page; 100 if left out."),
        ("after" = inline(Option<HoldIdText>), Query, description = "`next` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = described::HoldList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    Query(page): Query<Holds>,
) -> Result<Response, Problem> {
    let (scope, decided) = caller.within(&app, repository, Resource::new()).await?;
    let holds = app.vault().hold_list(scope, repository, page.after, page.limit, &decided).await?;
    let next = holds.last().filter(|_| holds.len() == page.limit).map(|last: &Hold| last.id.to_string());
    Ok(listed(&holds, next.as_deref()))
}

/// Lifts a legal hold.
#[utoipa::path(post, path = "/v1/holds/{hold}/lift", operation_id = "lift_hold",
    params(("hold" = HoldIdText, Path)), request_body = LiftBody,
    responses((status = 200, description = "Lifted.", body = described::Hold)))]
pub(crate) async fn lift(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<HoldId>,
    Body(body): Body<LiftBody>,
) -> Result<Response, Problem> {
    let (scope, decision) = caller.client(&app, &Resource::new().id(id)).await?;
    let decided = Decided { policies: decision.policies() };
    let hold = app.vault().hold_lift(scope, id, said(&body.person, &body.reason), &decided).await?;
    Ok(Json(&*hold).into_response())
}
