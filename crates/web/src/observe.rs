//! The outermost layer: gives each request its id and span, bounds how many are in hand and how long one
//! takes, turns every failure into a problem, counts, and sets the headers that every answer carries.
//!
//! Spans name the route's template and the method; never a path, a query, a header or a body.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base::RequestId;
use futures::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use tracing::Instrument;

use crate::{
    App,
    connection::Work,
    console,
    outgoing::outgoing,
    paced::paced,
    problem::{Http, Problem},
    request::RequestContext,
    route::{Callers, RouteInfo},
    throttle::party,
};

/// The header that carries a request's id back.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The label of requests that match no route.
const NO_ROUTE: &str = "-";

/// Headers of every answer, unless a handler set its own.
pub(crate) const COMMON: [(HeaderName, &str); 7] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The layer.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = app.now();
    let id = match RequestId::new(app.context()) {
        Ok(id) => id,
        Err(error) => return finish(Problem::internal(error.to_string()).into_response(), None, None),
    };
    let method = method_label(request.method());
    let template = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    let template: Arc<str> = Arc::from(template);
    let context = RequestContext::new(id, request.extensions(), request.headers());
    request.extensions_mut().insert(context);
    if !axum::body::HttpBody::is_end_stream(request.body()) {
        request = request.map(|body| paced(body, app.limits(), app.context()));
    }
    let span = tracing::info_span!("request", request = %id, method, route = %template);
    let page = PageAsked::of(&app, &request);
    let response = answer(&app, request, next).instrument(span.clone()).await;
    // The router leaves it to its caller to say which methods there are.
    let unnamed = response.extensions().get::<Arc<Problem>>().is_none();
    let response = if response.status() == StatusCode::METHOD_NOT_ALLOWED && unnamed {
        wrong_method(&app, &template)
    } else {
        response
    };
    let response = span.in_scope(|| finish(response, Some(id), page.as_ref()));
    let took = app.now().since(began);
    app.metrics().answered(method, &template, response.status().as_u16(), took);
    tracing::debug!(parent: &span, status = response.status().as_u16(), micros = took.micros(), "answered");
    response
}

async fn answer(app: &App, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let info = extensions.get::<MatchedPath>().and_then(|path| app.route(request.method(), path.as_str()));
    let place = match app.places().try_acquire_owned() {
        Ok(place) => Some(place),
        // Whoever watches the server must hear that it lives, most of all when it is busy.
        Err(_) if info.is_some_and(|info| info.probe) => None,
        Err(_) => {
            app.metrics().refused("requests");
            app.note_limit("requests-in-hand").await;
            let detail = "more requests are in hand than are served at once";
            return Problem::http(Http::Busy, detail).into_response();
        }
    };
    let _counted = InHand::new(app.metrics().in_hand());
    let context = request.extensions().get::<RequestContext>();
    let (peer, seat) = (context.map(|it| it.peer), context.map(|it| Arc::clone(&it.seat)));
    let busy = request.extensions().get::<Work>().map(Work::begin);
    if let Err(problem) = admit_peer(app, info, peer).await {
        return problem.into_response();
    }
    let streams = info.is_some_and(|info| info.streams);
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = if streams {
        handled.await
    } else {
        match tokio::time::timeout(app.limits().request_timeout.into(), handled).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let detail = "the server did not finish in time; a change may or may not have been made";
                return Problem::http(Http::Timeout, detail).into_response();
            }
        }
    };
    // What a panic says may hold data: only that there was one is told, to the operator.
    let response = outcome.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    outgoing(response, (place, seat, busy), app.limits().body_pause)
}

/// Counts the request against the rate of its peer's address, where nobody signs in for it.
async fn admit_peer(app: &App, info: Option<&RouteInfo>, peer: Option<IpAddr>) -> Result<(), Problem> {
    let Some(peer) = peer else { return Ok(()) };
    let verdict = match info.map(|info| info.callers) {
        Some(Callers::Client(_) | Callers::Operator(_) | Callers::Either | Callers::Visitor(_)) => {
            return Ok(());
        }
        Some(Callers::SigningIn) => app.sign_ins().admit(&party(peer)),
        Some(Callers::Anyone) | None => app.peers().admit(&party(peer)),
    };
    match verdict {
        Ok(()) => Ok(()),
        Err(seconds) => {
            app.metrics().refused("peer-rate");
            app.note_limit("peer-rate").await;
            let detail = "more requests come from this address than are served";
            Err(Problem::http(Http::Rate, detail).retry_after(seconds))
        }
    }
}

/// A page of the console that was asked for: what goes wrong with it is a page too.
struct PageAsked {
    method: Method,
    uri: Uri,
    referer: Option<String>,
}

impl PageAsked {
    fn of(app: &App, request: &Request) -> Option<Self> {
        let path = request.extensions().get::<MatchedPath>();
        app.route(request.method(), path?.as_str()).filter(|info| info.page)?;
        let referer = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        Some(Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            referer: referer.map(str::to_owned),
        })
    }
}

/// Counts a request as in hand until it is dropped, also when the caller goes away.
struct InHand(Gauge);

impl InHand {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes every failure a problem with the request's id, and sets the common headers.
fn finish(response: Response, id: Option<RequestId>, page: Option<&PageAsked>) -> Response {
    let mut response = as_problem(response, id, page);
    let headers = response.headers_mut();
    for (name, value) in COMMON {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Some(Ok(value)) = id.map(|id| HeaderValue::from_str(&id.to_string())) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn as_problem(response: Response, id: Option<RequestId>, page: Option<&PageAsked>) -> Response {
    if let Some(problem) = response.extensions().get::<Arc<Problem>>() {
        if let Some(words) = problem.for_operator() {
            tracing::error!(code = problem.code(), error = words, "a request failed");
        }
        return match page {
            Some(page) => console::failure(problem, &page.method, &page.uri, page.referer.as_deref(), id),
            None => problem.render(id),
        };
    }
    response
}

/// The problem of a method that a route does not take, with those that it does.
fn wrong_method(app: &App, template: &str) -> Response {
    let allowed = app.methods(template);
    let problem = Problem::http(Http::Method, format!("this route takes {allowed}"));
    match HeaderValue::from_str(&allowed) {
        Ok(value) => problem.header(header::ALLOW, value).into_response(),
        Err(_) => problem.into_response(),
    }
}

/// The method as a label: a bounded set, whatever a peer sends.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// Answers a path that is no route.
pub(crate) async fn no_route() -> Problem {
    Problem::http(Http::Route, "there is no such route")
}

/// The text of a header that may appear once; `None` if it is absent.
pub(crate) fn one_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid("repeated-header", name.as_str(), "the header is given twice"));
    }
    let text = first.to_str().map_err(|_| {
        Problem::invalid(
            "malformed-header",
            name.as_str(),
            "the header holds bytes that are not visible ASCII",
        )
    })?;
    Ok(Some(text))
}
