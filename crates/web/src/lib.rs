//! The HTTP API: routes, problems, limits, TLS, the OpenAPI description.
//!
//! [`App`] is made of [`AppParts`]; [`App::router`] is the whole API, and [`serve`] puts it behind TLS. A
//! handler takes what it needs from the request, asks `access` whether the caller may, and calls the
//! domain. Which account a call is about comes from its token alone: no path, query, header or body names
//! one. [`WitnessApp`] is the other thing that is served: a witness, which knows nothing of accounts. Nothing here decides what is allowed, and nothing here knows SQL or keys.

mod app;
mod caller;
mod connection;
mod console;
mod extract;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod outgoing;
mod paced;
mod problem;
mod request;
mod route;
mod routes;
mod schema;
mod seats;
mod serve;
mod throttle;
mod tls;
mod witness;

pub use app::{App, AppParts};
pub use console::{PackFuture, Packer};
pub use limits::{Limits, Rate};
pub use problem::{PROBLEM_JSON, Problem, TYPE_PREFIX};
pub use route::{Callers, RouteInfo};
pub use serve::{Application, ServeError, serve};
pub use tls::{Certificate, SUITES, TlsError, TlsPem};
pub use witness::WitnessApp;

/// What is known of every page of the console, in the order of the list: for the table that the tests hold.
pub fn pages() -> Vec<RouteInfo> {
    console::all().into_iter().map(|route| route.info).collect()
}

/// What is known of every route of the API, in the order of the list: for the table that the tests hold.
pub fn routes() -> Vec<RouteInfo> {
    routes::all().into_iter().map(|route| route.info).collect()
}
