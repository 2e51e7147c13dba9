//! Alarms: what is wrong, who has taken it on, and whether the routes take what is sent.

use access::Action;
use askama::Template;
use axum::{extract::State, response::Response};
use base::{AlarmId, Duration};
use watch::{Alarm, AlarmSeverity, AlarmState};

use super::{
    frame::Frame,
    page::{Page, see},
    time::When,
    visitor::{Posted, Visitor},
    who::Who,
};
use crate::{App, extract::Path, problem::Problem};

/// Alarms on the page.
const SHOWN: usize = 100;
/// Most hours for which an alarm is taken on.
const MAX_HOURS: u32 = 720;

struct Row {
    id: AlarmId,
    title: String,
    about: Option<Who>,
    severity: &'static str,
    class: &'static str,
    clauses: Vec<String>,
    count: u64,
    first: When,
    last: When,
    next: Option<When>,
    taken: Option<(Who, String, When)>,
    resolved: Option<When>,
}

struct RouteRow {
    name: String,
    kind: String,
    waiting: u64,
    delivered: Option<When>,
    failed: Option<When>,
    is_failing: bool,
}

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage {
    frame: Frame,
    open: Vec<Row>,
    over: Vec<Row>,
    routes: Vec<RouteRow>,
    may_take: bool,
    may_resolve: bool,
    may_test: bool,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let when = |at| When::new(at, now);
    let all = app.alarms().list(&visitor.principal, true, None, SHOWN).await?.items;
    let routes = app.alarms().routes(&visitor.principal).await?;
    let mut ids: Vec<&str> = all.iter().map(|one| one.about.as_str()).collect();
    ids.extend(all.iter().filter_map(|one| one.acknowledged.as_ref()).map(|taken| taken.by.as_str()));
    let names = visitor.names(&app, ids).await?;
    let row = |one: Alarm| Row {
        id: one.id,
        title: one.title,
        about: (one.about != "-").then(|| Who::new(&names, one.about)),
        severity: one.severity.as_str(),
        class: match one.severity {
            AlarmSeverity::Critical => "bad",
            AlarmSeverity::Warning => "warn",
            AlarmSeverity::Info => "",
        },
        clauses: one.clauses,
        count: one.count,
        first: when(one.first_at),
        last: when(one.last_at),
        next: one.next_at.map(when),
        taken: one.acknowledged.map(|taken| (Who::new(&names, taken.by), taken.reason, when(taken.until))),
        resolved: one.resolved_at.map(when),
    };
    let is_open = |one: &Alarm| matches!(one.state, AlarmState::Open | AlarmState::Acknowledged);
    let (open, over): (Vec<_>, Vec<_>) = all.into_iter().partition(is_open);
    let routes = routes.into_iter().map(|one| RouteRow {
        name: one.name,
        kind: one.kind,
        waiting: one.waiting,
        delivered: one.delivered_at.map(when),
        failed: one.failed_at.map(when),
        is_failing: one.failed_at > one.delivered_at,
    });
    let page = AlarmsPage {
        frame: visitor.frame(&app),
        open: open.into_iter().map(row).collect(),
        over: over.into_iter().map(row).collect(),
        routes: routes.collect(),
        may_take: visitor.may(&app, Action::AlarmAcknowledge),
        may_resolve: visitor.may(&app, Action::AlarmResolve),
        may_test: visitor.may(&app, Action::AlarmTest),
    };
    Ok(Page(page))
}

pub(crate) async fn acknowledge(
    State(app): State<App>,
    Path(alarm): Path<AlarmId>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let hours = form.take_number("hours", 1, MAX_HOURS)?.unwrap_or(8);
    let until = app.now().plus(Duration::from_seconds(i64::from(hours) * 3_600));
    let reason = form.take("reason").unwrap_or_default();
    app.alarms().acknowledge(&visitor.principal, alarm, &reason, until).await?.into_inner();
    Ok(see("/alarms?done=taken"))
}

pub(crate) async fn resolve(
    State(app): State<App>,
    Path(alarm): Path<AlarmId>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let reason = form.take("reason").unwrap_or_default();
    app.alarms().resolve(&visitor.principal, alarm, &reason).await?.into_inner();
    Ok(see("/alarms?done=over"))
}

pub(crate) async fn test(
    State(app): State<App>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.alarms().test(&visitor.principal).await?.into_inner();
    Ok(see("/alarms?done=tested"))
}
