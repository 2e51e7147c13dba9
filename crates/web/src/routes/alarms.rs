//! Alarms: what is wrong, who was told, who has taken it on. For operators.

use axum::{Json, extract::State, http::StatusCode};
use base::{AlarmId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watch::{Alarm, MAX_ALARMS, ShownAlarm, ShownRoute};

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    schema::{AlarmIdText, AnyObject, InstantText, OperatorIdText},
};

/// Alarms on a page unless it is said otherwise.
const DEFAULT: u32 = 100;
/// Most alarms on a page.
const MOST: u32 = MAX_ALARMS as u32;

/// How alarms look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AlarmIdText, AnyObject, InstantText, OperatorIdText, ToSchema};

    /// How an alarm stands.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum AlarmState {
        /// Nobody has taken it on.
        Open,
        /// Somebody has, until a time.
        Acknowledged,
        /// It is over.
        Resolved,
        /// It was a test.
        Test,
    }

    /// How grave an alarm is.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum AlarmSeverity {
        /// Worth knowing of.
        Info,
        /// To be looked at.
        Warning,
        /// A control is broken.
        Critical,
    }

    /// Who has taken an alarm on.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Acknowledged {
        /// Who.
        #[schema(value_type = OperatorIdText)]
        by: String,
        /// Why, or what they do.
        reason: String,
        /// Until when; then it alarms again.
        #[schema(value_type = InstantText)]
        until: String,
    }

    /// An alarm.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Alarm {
        /// Its id.
        #[schema(value_type = AlarmIdText)]
        id: String,
        /// The rule that raised it.
        rule: String,
        /// What is wrong.
        title: String,
        /// What it is about: a check, a setting, a route, an id; `-` if nothing in particular.
        about: String,
        /// How it stands.
        state: AlarmState,
        /// How grave it is.
        severity: AlarmSeverity,
        /// The clauses that it touches.
        clauses: Vec<String>,
        /// How often it happened.
        count: u64,
        /// When it happened first.
        #[schema(value_type = InstantText)]
        first_at: String,
        /// When it happened last.
        #[schema(value_type = InstantText)]
        last_at: String,
        /// The entry of the log that raised it, if one did.
        #[schema(nullable = false, required = false)]
        entry: Option<u64>,
        /// The step that it was told in last, from 0.
        step: u32,
        /// When it is told in the next step, unless somebody acknowledges it.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        next_at: Option<String>,
        /// Who has taken it on.
        #[schema(nullable = false, required = false)]
        acknowledged: Option<Acknowledged>,
        /// When it was over.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        resolved_at: Option<String>,
    }

    /// An alarm with its messages.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct ShownAlarm {
        /// The alarm.
        #[schema(inline)]
        #[serde(flatten)]
        alarm: Alarm,
        /// Its messages, the oldest first: by which route, what they say, and what became of them.
        #[schema(value_type = Vec<AnyObject>)]
        deliveries: Vec<String>,
    }

    /// A route by which alarms go.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct AlarmRoute {
        /// Its name.
        name: String,
        /// Which kind of receiver.
        kind: String,
        /// The steps that it is in, from 0.
        steps: Vec<u32>,
        /// Messages that wait for it.
        waiting: u64,
        /// When it took one last.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        delivered_at: Option<String>,
        /// When one was given up last.
        #[schema(nullable = false, required = false, value_type = InstantText)]
        failed_at: Option<String>,
    }
}

/// Which alarms.
pub(crate) struct Which {
    all: bool,
    before: Option<AlarmId>,
    limit: u32,
}

impl QueryParameters for Which {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let all = match pairs.take("state").as_deref() {
            None | Some("standing") => false,
            Some("all") => true,
            Some(_) => {
                let why = "expected `standing` or `all`".to_owned();
                return Err(Problem::invalid("invalid-parameter", "state", why));
            }
        };
        let before = pairs.take_parsed("before")?;
        Ok(Self { all, before, limit: pairs.take_number("limit", 1, MOST)?.unwrap_or(DEFAULT) })
    }
}

/// Which of them.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes")]
pub(crate) enum AlarmsShown {
    /// Those that are not over.
    Standing,
    /// Every one, tests too.
    All,
}

/// A page of alarms.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlarmList {
    /// The alarms, the newest first.
    #[schema(value_type = Vec<described::Alarm>)]
    items: Vec<Alarm>,
    /// What to send as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = AlarmIdText)]
    next: Option<AlarmId>,
}

/// Lists alarms, the newest first.
#[utoipa::path(get, path = "/v1/alarms", operation_id = "list_alarms",
    params(
        ("state" = inline(Option<AlarmsShown>), Query, description = "Which; those that are not over if left out."),
        ("before" = inline(Option<AlarmIdText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = AlarmList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<AlarmList>, Problem> {
    let Which { all, before, limit } = which;
    let page = app.alarms().list(caller.principal(), all, before, limit as usize).await?;
    Ok(Json(AlarmList { items: page.items, next: page.next }))
}

/// Shows an alarm with its messages.
#[utoipa::path(get, path = "/v1/alarms/{alarm}", operation_id = "show_alarm",
    params(("alarm" = AlarmIdText, Path)),
    responses((status = 200, description = "The alarm.", body = described::ShownAlarm)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AlarmId>,
) -> Result<Json<ShownAlarm>, Problem> {
    Ok(Json(app.alarms().show(caller.principal(), id).await?))
}

/// Who takes an alarm on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the disk is being replaced", "until": "2026-11-28T09:00:00Z"}))]
pub(crate) struct AcknowledgeBody {
    /// Why, or what you do, in one line. It is in the log: no personal data.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// Until when, at most 30 days from now; then it alarms again.
    #[schema(value_type = InstantText)]
    until: Timestamp,
}

/// Takes an alarm on: it is not told again until then.
#[utoipa::path(post, path = "/v1/alarms/{alarm}/acknowledge", operation_id = "acknowledge_alarm",
    request_body = AcknowledgeBody, params(("alarm" = AlarmIdText, Path)),
    responses((status = 200, description = "Acknowledged.", body = described::Alarm)))]
pub(crate) async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AlarmId>,
    Body(body): Body<AcknowledgeBody>,
) -> Result<Json<Alarm>, Problem> {
    let AcknowledgeBody { reason, until } = body;
    Ok(Json(app.alarms().acknowledge(caller.principal(), id, &reason, until).await?.into_inner()))
}

/// Why an alarm is over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the disk was replaced, and the copy verified"}))]
pub(crate) struct ResolveBody {
    /// Why, in one line. It is in the log: no personal data.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Ends an alarm. If it happens again, that is another one.
#[utoipa::path(post, path = "/v1/alarms/{alarm}/resolve", operation_id = "resolve_alarm",
    request_body = ResolveBody, params(("alarm" = AlarmIdText, Path)),
    responses((status = 200, description = "It is over.", body = described::Alarm)))]
pub(crate) async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AlarmId>,
    Body(body): Body<ResolveBody>,
) -> Result<Json<Alarm>, Problem> {
    Ok(Json(app.alarms().resolve(caller.principal(), id, &body.reason).await?.into_inner()))
}

/// A test alarm that goes out.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestSent {
    /// The alarm: its messages say what becomes of it.
    #[schema(value_type = AlarmIdText)]
    alarm: AlarmId,
}

/// Sends a test alarm by every route.
#[utoipa::path(post, path = "/v1/alarm-tests", operation_id = "test_alarms",
    responses((status = 202, description = "It goes out.", body = TestSent)))]
pub(crate) async fn test(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, Json<TestSent>), Problem> {
    let alarm = app.alarms().test(caller.principal()).await?.into_inner();
    Ok((StatusCode::ACCEPTED, Json(TestSent { alarm })))
}

/// Routes by which alarms go.
#[derive(Serialize, ToSchema)]
pub(crate) struct RouteList {
    /// The routes, in the order in which one stands in for another.
    #[schema(value_type = Vec<described::AlarmRoute>)]
    items: Vec<ShownRoute>,
}

/// Lists the routes by which alarms go, and how they do.
#[utoipa::path(get, path = "/v1/alarm-routes", operation_id = "list_alarm_routes",
    responses((status = 200, description = "The routes.", body = RouteList)))]
pub(crate) async fn routes(State(app): State<App>, caller: Caller) -> Result<Json<RouteList>, Problem> {
    Ok(Json(RouteList { items: app.alarms().routes(caller.principal()).await? }))
}
