//! What records and objects have in common: deleting, restoring and erasing them, what applies to them,
//! and the certificate at the end. For customers.

use access::Resource;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{ObjectId, RecordId, RepositoryId};
use utoipa::ToSchema;
use vault::{Lifecycle, Target};

use crate::{
    App,
    caller::Caller,
    extract::{IfMatch, Once, Path, etag},
    problem::Problem,
    routes::{certificates::described as certificate, holds::described as hold, records::replayed},
    schema::{
        CertificateIdText, EtagText, IdempotencyKeyText, InstantText, LevelText, ObjectIdText, RecordIdText,
        RepositoryIdText,
    },
};

/// How lives look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{CertificateIdText, InstantText, LevelText, RepositoryIdText, ToSchema, hold};
    use crate::routes::repositories::described::Retention;

    /// A record or an object.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum Kind {
        /// A record.
        Record,
        /// An object.
        Object,
    }

    /// What deleting or restoring answers.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Lifecycle {
        /// Which kind of thing.
        kind: Kind,
        /// Its id.
        #[schema(pattern = "^(rec|obj)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        id: String,
        /// Its repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// Its version.
        version: u64,
        /// When it was deleted; null once it is restored.
        #[schema(value_type = Option<InstantText>)]
        deleted_at: Option<String>,
        /// Until when it can be restored, if it is deleted.
        #[schema(value_type = Option<InstantText>)]
        restorable_until: Option<String>,
    }

    /// Where in its life something is.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum State {
        /// There for readers.
        Live,
        /// Deleted, and not yet erased.
        Deleted,
        /// Its erasure is decided.
        Erasing,
        /// Erased.
        Erased,
    }

    /// One rule that applies.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Applies {
        /// What it means for this.
        what: String,
        /// Why.
        why: String,
        /// The clause of the policy.
        clause: String,
        /// When it takes or took effect.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        when: Option<String>,
    }

    /// What applies to a record or an object.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Explanation {
        /// Which kind of thing.
        kind: Kind,
        /// Its id.
        #[schema(pattern = "^(rec|obj)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        id: String,
        /// Its repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// Where in its life it is.
        state: State,
        /// The classification by which it is handled.
        #[schema(value_type = LevelText)]
        classification: String,
        /// Its retention schedule; null once it is erased.
        retention: Option<Retention>,
        /// The end of its retention period.
        #[schema(value_type = InstantText)]
        retained_until: String,
        /// The holds in force that cover it.
        holds: Vec<hold::Hold>,
        /// Until when it can be restored, if it is deleted.
        #[schema(value_type = Option<InstantText>)]
        restorable_until: Option<String>,
        /// Whether it could be erased on request now.
        erasable_now: bool,
        /// Its certificate of deletion, if it is erased.
        #[schema(value_type = Option<CertificateIdText>)]
        certificate: Option<String>,
        /// The rules that apply, the strongest first.
        applies: Vec<Applies>,
    }
}

fn changed(life: &Lifecycle) -> Response {
    let tag = [(header::ETAG, etag(life.version))];
    replayed((StatusCode::OK, tag, Json(life)).into_response(), life.replayed)
}

async fn delete(
    app: &App,
    caller: &Caller,
    target: Target,
    expected: Option<IfMatch>,
    once: &Once,
) -> Result<Response, Problem> {
    let (scope, decided) = reach(app, caller, &target).await?;
    let expected = expected.and_then(IfMatch::version);
    let life = app.vault().delete(scope, target, expected, once.with(&[]), &decided).await?;
    Ok(changed(&life))
}

async fn restore(
    app: &App,
    caller: &Caller,
    target: Target,
    expected: Option<IfMatch>,
    once: &Once,
) -> Result<Response, Problem> {
    let (scope, decided) = reach(app, caller, &target).await?;
    let expected = expected.and_then(IfMatch::version);
    let life = app.vault().restore(scope, target, expected, once.with(&[]), &decided).await?;
    Ok(changed(&life))
}

async fn erase(
    app: &App,
    caller: &Caller,
    target: Target,
    expected: Option<IfMatch>,
) -> Result<Response, Problem> {
    let (scope, decided) = reach(app, caller, &target).await?;
    let expected = expected.and_then(IfMatch::version);
    let certificate = app.vault().erase(scope, target, expected, &decided).await?;
    Ok(Json(&*certificate).into_response())
}

async fn explain(app: &App, caller: &Caller, target: Target) -> Result<Response, Problem> {
    let (scope, decided) = reach(app, caller, &target).await?;
    let explanation = app.vault().explain(scope, target, &decided).await?;
    Ok(Json(explanation).into_response())
}

async fn certified(app: &App, caller: &Caller, target: Target) -> Result<Response, Problem> {
    let (scope, decided) = reach(app, caller, &target).await?;
    let certificate = app.vault().certificate_of(scope, target, &decided).await?;
    Ok(Json(certificate).into_response())
}

async fn reach<'a>(
    app: &App,
    caller: &'a Caller,
    target: &Target,
) -> Result<(&'a store::Scope, vault::Decided), Problem> {
    caller.within(app, target.repository(), Resource::new().id(target.id_text())).await
}

/// Deletes a record. It can be restored within the window; the schedule erases it afterwards.
#[utoipa::path(delete, path = "/v1/repositories/{repository}/records/{record}", operation_id = "delete_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its version."),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    responses((status = 200, description = "Deleted.", body = described::Lifecycle)))]
pub(crate) async fn delete_record(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
    expected: Option<IfMatch>,
    once: Once,
) -> Result<Response, Problem> {
    delete(&app, &caller, Target::Record(repository, id), expected, &once).await
}

/// Restores a deleted record, as it was.
#[utoipa::path(post, path = "/v1/repositories/{repository}/records/{record}/restore", operation_id = "restore_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its version."),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    responses((status = 200, description = "Restored.", body = described::Lifecycle)))]
pub(crate) async fn restore_record(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
    expected: Option<IfMatch>,
    once: Once,
) -> Result<Response, Problem> {
    restore(&app, &caller, Target::Record(repository, id), expected, &once).await
}

/// Erases a record, all versions of it, beyond recovery: its key is destroyed. Answers with the
/// certificate; erasing it again answers with the same one.
#[utoipa::path(post, path = "/v1/repositories/{repository}/records/{record}/erase", operation_id = "erase_record",
    params(
        ("repository" = RepositoryIdText, Path),
        ("record" = RecordIdText, Path),
        ("If-Match" = inline(Option<EtagText>), Header, description = "Only if this is still its version."),
    ),
    responses((status = 200, description = "Erased.", body = certificate::Certificate)))]
pub(crate) async fn erase_record(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
    expected: Option<IfMatch>,
) -> Result<Response, Problem> {
    erase(&app, &caller, Target::Record(repository, id), expected).await
}

/// What applies to a record, why, and when.
#[utoipa::path(get, path = "/v1/repositories/{repository}/records/{record}/explain", operation_id = "explain_record",
    params(("repository" = RepositoryIdText, Path), ("record" = RecordIdText, Path)),
    responses((status = 200, description = "What applies.", body = described::Explanation)))]
pub(crate) async fn explain_record(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
) -> Result<Response, Problem> {
    explain(&app, &caller, Target::Record(repository, id)).await
}

/// The certificate of deletion of an erased record.
#[utoipa::path(get, path = "/v1/repositories/{repository}/records/{record}/certificate",
    operation_id = "read_record_certificate",
    params(("repository" = RepositoryIdText, Path), ("record" = RecordIdText, Path)),
    responses((status = 200, description = "The certificate.", body = certificate::Certificate)))]
pub(crate) async fn record_certificate(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, RecordId)>,
) -> Result<Response, Problem> {
    certified(&app, &caller, Target::Record(repository, id)).await
}

/// Deletes an object. It can be restored within the window; the schedule erases it afterwards.
#[utoipa::path(delete, path = "/v1/repositories/{repository}/objects/{object}", operation_id = "delete_object",
    params(
        ("repository" = RepositoryIdText, Path),
        ("object" = ObjectIdText, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    responses((status = 200, description = "Deleted.", body = described::Lifecycle)))]
pub(crate) async fn delete_object(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
    once: Once,
) -> Result<Response, Problem> {
    delete(&app, &caller, Target::Object(repository, id), None, &once).await
}

/// Restores a deleted object, as it was.
#[utoipa::path(post, path = "/v1/repositories/{repository}/objects/{object}/restore", operation_id = "restore_object",
    params(
        ("repository" = RepositoryIdText, Path),
        ("object" = ObjectIdText, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    responses((status = 200, description = "Restored.", body = described::Lifecycle)))]
pub(crate) async fn restore_object(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
    once: Once,
) -> Result<Response, Problem> {
    restore(&app, &caller, Target::Object(repository, id), None, &once).await
}

/// Erases an object beyond recovery: its key is destroyed. Answers with the certificate; erasing it again
/// answers with the same one.
#[utoipa::path(post, path = "/v1/repositories/{repository}/objects/{object}/erase", operation_id = "erase_object",
    params(("repository" = RepositoryIdText, Path), ("object" = ObjectIdText, Path)),
    responses((status = 200, description = "Erased.", body = certificate::Certificate)))]
pub(crate) async fn erase_object(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
) -> Result<Response, Problem> {
    erase(&app, &caller, Target::Object(repository, id), None).await
}

/// What applies to an object, why, and when.
#[utoipa::path(get, path = "/v1/repositories/{repository}/objects/{object}/explain", operation_id = "explain_object",
    params(("repository" = RepositoryIdText, Path), ("object" = ObjectIdText, Path)),
    responses((status = 200, description = "What applies.", body = described::Explanation)))]
pub(crate) async fn explain_object(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
) -> Result<Response, Problem> {
    explain(&app, &caller, Target::Object(repository, id)).await
}

/// The certificate of deletion of an erased object.
#[utoipa::path(get, path = "/v1/repositories/{repository}/objects/{object}/certificate",
    operation_id = "read_object_certificate",
    params(("repository" = RepositoryIdText, Path), ("object" = ObjectIdText, Path)),
    responses((status = 200, description = "The certificate.", body = certificate::Certificate)))]
pub(crate) async fn object_certificate(
    State(app): State<App>,
    caller: Caller,
    Path((repository, id)): Path<(RepositoryId, ObjectId)>,
) -> Result<Response, Problem> {
    certified(&app, &caller, Target::Object(repository, id)).await
}
