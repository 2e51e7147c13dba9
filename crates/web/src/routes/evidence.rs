//! What is known of the policy's sentences: states, observations, findings, exceptions. For operators.

use axum::{Json, extract::State, http::StatusCode};
use base::{EventId, JobId, Timestamp};
use policy::{Exception, Observation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watch::{Assessed, Attestation, MAX_OBSERVATIONS, NewException};

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    schema::{AnyObject, EventIdText, HashText, InstantText, JobIdText, OperatorIdText},
};

/// Observations on a page unless it is said otherwise.
const DEFAULT: u32 = 100;
/// Most observations on a page.
const MOST: u32 = MAX_OBSERVATIONS as u32;

/// How evidence looks in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AnyObject, EventIdText, HashText, InstantText, OperatorIdText, ToSchema};
    use crate::routes::policy::described::Standing;

    /// What is known of the policy at an instant.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Assessment {
        /// How the version stands that is spoken of.
        standing: Standing,
        /// As of when.
        #[schema(value_type = InstantText)]
        at: String,
        /// The document's version.
        #[schema(minimum = 1)]
        version: u32,
        /// Its hash.
        #[schema(value_type = HashText)]
        sha256: String,
        /// How many clauses there are of each state.
        #[schema(value_type = AnyObject)]
        counts: String,
        /// The clauses with their sentences, the state of each, and the checks that observe it.
        #[schema(value_type = Vec<AnyObject>)]
        clauses: Vec<String>,
        /// The checks that were asked, with the observation that counts.
        #[schema(value_type = Vec<AnyObject>)]
        checks: Vec<String>,
        /// The controls that are not there, because what they need is not configured.
        absent: Vec<String>,
        /// Findings, the newest first.
        #[schema(value_type = Vec<AnyObject>)]
        findings: Vec<String>,
    }

    /// What was seen.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum Seen {
        /// It is so.
        Pass,
        /// It is not so.
        Fail,
        /// Nobody could tell.
        Unknown,
    }

    /// An observation of a check.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Observation {
        /// The event that records it.
        #[schema(value_type = EventIdText)]
        event: String,
        /// Which check.
        check: String,
        /// As of when it is true.
        #[schema(value_type = InstantText)]
        effective: String,
        /// When somebody or something looked.
        #[schema(value_type = InstantText)]
        collected: String,
        /// When it was recorded.
        #[schema(value_type = InstantText)]
        received: String,
        /// Who looked: an operator or a server.
        by: String,
        /// What was seen.
        seen: Seen,
        /// How many things were looked at.
        examined: u64,
        /// How many of them were not so.
        failed: u64,
        /// In words.
        summary: String,
        /// SHA-256 of a document that a person looked at.
        #[schema(nullable = false, required = false, value_type = HashText)]
        document: Option<String>,
    }

    /// Somebody's word that a clause does not apply, or is not held for now.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Exception {
        /// Its id: the event that set it.
        #[schema(value_type = EventIdText)]
        event: String,
        /// Which clause.
        clause: String,
        /// Whether the clause does not apply; otherwise it does, and is not held.
        not_applicable: bool,
        /// Why.
        reason: String,
        /// Who answers for it.
        #[schema(value_type = OperatorIdText)]
        owner: String,
        /// Who set it.
        #[schema(value_type = OperatorIdText)]
        by: String,
        /// From when.
        #[schema(value_type = InstantText)]
        from: String,
        /// Until when, at the latest.
        #[schema(value_type = InstantText)]
        until: String,
        /// When it was ended before that.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        ended: Option<String>,
    }
}

/// Of which version, and as of when.
pub(crate) struct Which {
    version: Option<u32>,
    at: Option<Timestamp>,
}

impl QueryParameters for Which {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let version = pairs.take_number("version", 1, 1_000_000)?;
        Ok(Self { version, at: pairs.take_parsed("as_of")? })
    }
}

/// What is known of each clause and sentence: of the version that is spoken of, now or as of an instant that is past.
#[utoipa::path(get, path = "/v1/evidence", operation_id = "read_evidence",
    params(
        ("version" = Option<u32>, Query, minimum = 1, maximum = 1_000_000, description = "Of which version; the one that is spoken of if left out."),
        ("as_of" = inline(Option<InstantText>), Query, description = "What was known then; now if left out."),
    ),
    responses((status = 200, description = "What is known.", body = described::Assessment)))]
pub(crate) async fn assess(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<Assessed>, Problem> {
    Ok(Json(app.watch().assess(caller.principal(), which.version, which.at).await?))
}

/// Which observations.
pub(crate) struct OfCheck {
    check: String,
    before: Option<Timestamp>,
    limit: u32,
}

impl QueryParameters for OfCheck {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let missing = || Problem::invalid("invalid-parameter", "check", "give the check's id".to_owned());
        let check = pairs.take("check").ok_or_else(missing)?;
        let before = pairs.take_parsed("before")?;
        Ok(Self { check, before, limit: pairs.take_number("limit", 1, MOST)?.unwrap_or(DEFAULT) })
    }
}

/// A page of observations.
#[derive(Serialize, ToSchema)]
pub(crate) struct ObservationList {
    /// The observations, the newest first.
    #[schema(value_type = Vec<described::Observation>)]
    items: Vec<Observation>,
    /// What to send as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    next: Option<Timestamp>,
}

/// Lists the observations of a check, the newest first.
#[utoipa::path(get, path = "/v1/evidence/observations", operation_id = "list_observations",
    params(
        ("check" = String, Query, max_length = 64, description = "The check's id."),
        ("before" = inline(Option<InstantText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = ObservationList)))]
pub(crate) async fn observations(
    State(app): State<App>,
    caller: Caller,
    Query(of): Query<OfCheck>,
) -> Result<Json<ObservationList>, Problem> {
    let page = app.watch().observations(caller.principal(), &of.check, of.before, of.limit as usize).await?;
    Ok(Json(ObservationList { items: page.items, next: page.next }))
}

/// What a person attests.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"check": "media-disposed", "holds": true, "summary": "12 disks shredded, protocol filed"}))]
pub(crate) struct AttestBody {
    /// Which check: one that a person makes, or `wording/` and a clause in the organisation's own words.
    #[schema(max_length = 64)]
    check: String,
    /// Whether it is so.
    holds: bool,
    /// In words, in one line. They are in the log: no personal data.
    #[schema(min_length = 1, max_length = 200)]
    summary: String,
    /// As of when it is true; now if left out.
    #[serde(default)]
    #[schema(nullable, required = false, value_type = Option<InstantText>)]
    effective: Option<Timestamp>,
    /// When it was looked at; now if left out.
    #[serde(default)]
    #[schema(nullable, required = false, value_type = Option<InstantText>)]
    collected: Option<Timestamp>,
    /// How many things were looked at.
    #[serde(default = "one")]
    #[schema(maximum = 1_000_000_000, required = false)]
    examined: u32,
    /// How many of them were not so.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000, required = false)]
    failed: u32,
    /// SHA-256 of a document that was looked at.
    #[serde(default)]
    #[schema(nullable, required = false, value_type = Option<HashText>)]
    document: Option<String>,
}

const fn one() -> u32 {
    1
}

/// What was recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Attested {
    /// The event that records it.
    #[schema(value_type = EventIdText)]
    event: EventId,
}

/// Records what a person saw.
#[utoipa::path(post, path = "/v1/evidence/observations", operation_id = "attest", request_body = AttestBody,
    responses((status = 201, description = "Recorded.", body = Attested)))]
pub(crate) async fn attest(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AttestBody>,
) -> Result<(StatusCode, Json<Attested>), Problem> {
    let attestation = Attestation {
        check: body.check,
        effective: body.effective,
        collected: body.collected,
        holds: body.holds,
        examined: body.examined.into(),
        failed: body.failed.into(),
        summary: body.summary,
        document: body.document,
    };
    let done = app.watch().attest(caller.principal(), &attestation).await?;
    Ok((StatusCode::CREATED, Json(Attested { event: done.event_id() })))
}

/// Which checks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"checks": ["drill-cross-account"]}))]
pub(crate) struct AskBody {
    /// Their ids; empty for every one that Tenet makes by itself.
    #[schema(max_items = 100)]
    checks: Vec<String>,
}

/// Checks that were asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Asked {
    /// The job that makes them.
    #[schema(value_type = JobIdText)]
    job: JobId,
}

/// Asks for checks to be made now. Their observations say what came of it.
#[utoipa::path(post, path = "/v1/evidence/checks", operation_id = "ask_for_checks", request_body = AskBody,
    responses((status = 202, description = "Asked for.", body = Asked)))]
pub(crate) async fn ask(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AskBody>,
) -> Result<(StatusCode, Json<Asked>), Problem> {
    let asked = app.watch().ask(caller.principal(), &body.checks).await?;
    Ok((StatusCode::ACCEPTED, Json(Asked { job: asked.into_inner() })))
}

/// An exception to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"clause": "RR-4", "not_applicable": true, "reason": "no hosts of our own", "owner": "opr_01knk0m3a0e9x8c5m3q8d2v7zt", "until": "2027-01-31T00:00:00Z"}))]
pub(crate) struct ExceptionBody {
    /// Which clause.
    #[schema(max_length = 16)]
    clause: String,
    /// Whether it does not apply; otherwise it does, and is not held for now.
    #[serde(default)]
    not_applicable: bool,
    /// Why, in one line. It is in the log: no personal data.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// Who answers for it.
    #[schema(value_type = OperatorIdText)]
    owner: String,
    /// Until when, at most 366 days from now.
    #[schema(value_type = InstantText)]
    until: Timestamp,
}

/// Sets an exception, which another operator reviews.
#[utoipa::path(post, path = "/v1/evidence/exceptions", operation_id = "set_exception", request_body = ExceptionBody,
    responses((status = 201, description = "Set.", body = described::Exception)))]
pub(crate) async fn except(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<ExceptionBody>,
) -> Result<(StatusCode, Json<Exception>), Problem> {
    let ExceptionBody { clause, not_applicable, reason, owner, until } = body;
    let new = NewException { clause, not_applicable, reason, owner, until };
    let done = app.watch().except(caller.principal(), &new).await?;
    Ok((StatusCode::CREATED, Json(done.into_inner())))
}

/// Ends an exception before its day.
#[utoipa::path(post, path = "/v1/evidence/exceptions/{exception}/end", operation_id = "end_exception",
    params(("exception" = EventIdText, Path)),
    responses((status = 200, description = "Ended.", body = described::Exception)))]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<Json<Exception>, Problem> {
    Ok(Json(app.watch().end_exception(caller.principal(), id).await?.into_inner()))
}
