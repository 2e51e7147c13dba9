//! Whether the server lives, is ready, and how it does. Nothing here is about anybody.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::Witnessing;
use utoipa::ToSchema;

use crate::{
    App,
    problem::{Http, Problem},
};

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    #[schema(pattern = "^ok$", example = "ok")]
    status: &'static str,
    /// Whether there is space: while there is none, writes are refused and reads go on.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<&'static str>,
    /// `changed` if somebody changed the log's tables: nothing is signed until they are restored.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'static str>,
    /// Whether the quorum of witnesses stands by the log: `ok`, `stale` (administrative acts wait), or `none` configured.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    witnesses: Option<&'static str>,
    /// Whether the clock is right: `synchronised`, `skewed`, `unknown` (too few NTP servers answered or agreed) or
    /// `unmeasured` (none are configured).
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
}

/// Whether the server lives.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz",
    responses((status = 200, description = "It lives.", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", storage: None, log: None, witnesses: None, clock: None })
}

/// Whether the server can serve: the database answers, and it is not stopping.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz",
    responses((status = 200, description = "It is ready.", body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if app.is_stopping() {
        return Err(Problem::http(Http::NotReady, "the server is stopping"));
    }
    app.store().ready().await?;
    let storage = if is_full(&app) { "full" } else { "ok" };
    let log = if app.store().is_log_broken() { "changed" } else { "ok" };
    let witnesses = match app.store().witnessing() {
        Witnessing::Off => "none",
        Witnessing::Fresh => "ok",
        Witnessing::Stale { .. } => "stale",
    };
    let clock = app.store().clock().state.as_str();
    let (storage, log, witnesses, clock) = (Some(storage), Some(log), Some(witnesses), Some(clock));
    Ok(Json(Health { status: "ok", storage, log, witnesses, clock }))
}

/// Whether either realm has no space.
fn is_full(app: &App) -> bool {
    app.store().is_full() || app.keys().is_full()
}

/// Metrics for Prometheus (OpenMetrics 1.0 text).
#[utoipa::path(get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, description = "The metrics.", body = String,
        content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    // Nobody signs in for this, and counting what waits reads it all: once a second for whoever asks.
    if app.metrics().log_is_due(app.now()) {
        let waiting = app.store().events_waiting().await?;
        let size = match app.store().checkpoint().await? {
            Some(note) => app.signer().verifier().verify(&note).map_or(0, |checkpoint| checkpoint.size),
            None => 0,
        };
        app.metrics().set_log(waiting, size);
    }
    app.metrics().set_full(is_full(&app));
    app.metrics().set_log_changed(app.store().is_log_broken());
    app.metrics().set_clock(app.store().clock());
    app.metrics().set_witnessing(app.store().witnessing());
    let text = app.metrics().text().map_err(|_| Problem::internal("metrics can't be written"))?;
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "The OpenAPI 3.1 document.", body = crate::schema::AnyObject)))]
pub(crate) async fn openapi(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.document().to_owned()).into_response()
}
