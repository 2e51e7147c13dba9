//! A route: its handler, its description, and who may call it. There is one list of them, in
//! `routes/mod.rs`; the router, the OpenAPI document and the table that the tests hold all come from it.

use access::Action;
use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use ledger::Activity;
use utoipa::openapi::{RefOr, path::HttpMethod, path::Operation, schema::Schema};

use crate::App;

/// Who may call a route, and what is authorized before it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Anybody, unauthenticated.
    Anyone,
    /// Whoever proves who it is with what the request holds: the token endpoint, enrolment.
    SigningIn,
    /// A customer's application, with a token that allows this.
    Client(Action),
    /// An operator, with a token and a role that allows this.
    Operator(Action),
    /// Whoever has a valid token; the act is on that token alone.
    Either,
    /// Somebody in a session of the console, whose role allows this.
    Visitor(Action),
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing.
    Nothing,
    /// JSON or a form.
    Document,
    /// Bytes of any length within a limit, which must be told beforehand.
    Stream,
}

/// What is known of a route.
#[derive(Clone, Debug)]
pub struct RouteInfo {
    /// Its method.
    pub method: &'static str,
    /// Its template, such as `/v1/records/{record}`.
    pub path: String,
    /// Who may call it.
    pub callers: Callers,
    /// The events that a call can leave: for a success or for a refusal of the act itself. Besides these,
    /// every route that needs a token can leave `auth.fail`, `access.deny` and `limit.exceed`, and one that
    /// reaches sealed data `key.create` and `key.use`.
    pub events: &'static [Activity],
    /// The part of Tenet that is called: the first word of the events' subsystem.
    pub subsystem: &'static str,
    pub(crate) takes: Takes,
    pub(crate) streams: bool,
    pub(crate) changes: bool,
    pub(crate) finds: bool,
    pub(crate) conflicts: bool,
    pub(crate) preconditions: bool,
    pub(crate) if_match: bool,
    pub(crate) once: bool,
    pub(crate) probe: bool,
    pub(crate) oauth: bool,
    pub(crate) ranges: bool,
    pub(crate) rest: bool,
    /// It is a page of the console: what goes wrong is a page too.
    pub(crate) page: bool,
}

/// A route.
pub(crate) struct Route {
    pub(crate) info: RouteInfo,
    pub(crate) handler: MethodRouter<App>,
    /// Its description; none of a page, which is no part of the API.
    pub(crate) operation: Option<Operation>,
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

/// The route of a handler; `P` is what `#[utoipa::path]` made beside it.
pub(crate) fn route<P, H, T>(subsystem: &'static str, callers: Callers, handler: H) -> Route
where
    P: utoipa::Path + utoipa::__dev::SchemaReferences,
    H: Handler<T, App>,
    T: 'static,
{
    let (method, filter) = match P::methods().first() {
        Some(HttpMethod::Post) => ("POST", MethodFilter::POST),
        Some(HttpMethod::Put) => ("PUT", MethodFilter::PUT),
        Some(HttpMethod::Patch) => ("PATCH", MethodFilter::PATCH),
        Some(HttpMethod::Delete) => ("DELETE", MethodFilter::DELETE),
        _ => ("GET", MethodFilter::GET),
    };
    let mut schemas = Vec::new();
    P::schemas(&mut schemas);
    Route {
        info: info(method, <P as utoipa::Path>::path(), subsystem, callers),
        handler: on(filter, handler),
        operation: Some(<P as utoipa::Path>::operation()),
        schemas,
    }
}

/// A page of the console, or a form of one that is sent by POST.
pub(crate) fn page<H, T>(method: &'static str, path: &str, callers: Callers, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    let is_form = method == "POST";
    let mut info = info(method, path.to_owned(), "console", callers);
    info.page = true;
    info.changes = is_form;
    info.takes = if is_form { Takes::Document } else { Takes::Nothing };
    let filter = if is_form { MethodFilter::POST } else { MethodFilter::GET };
    Route { info, handler: on(filter, handler), operation: None, schemas: Vec::new() }
}

fn info(method: &'static str, path: String, subsystem: &'static str, callers: Callers) -> RouteInfo {
    RouteInfo {
        method,
        path,
        callers,
        events: &[],
        subsystem,
        takes: Takes::Nothing,
        streams: false,
        changes: false,
        finds: false,
        conflicts: false,
        preconditions: false,
        if_match: false,
        once: false,
        probe: false,
        oauth: false,
        ranges: false,
        rest: false,
        page: false,
    }
}

impl Route {
    /// The events that a call can leave.
    pub(crate) fn events(mut self, events: &'static [Activity]) -> Self {
        self.info.events = events;
        self
    }
    /// It takes a JSON or form body.
    pub(crate) fn document(mut self) -> Self {
        self.info.takes = Takes::Document;
        self
    }
    /// It takes a stream of bytes, and may take as long as that needs.
    pub(crate) fn stream(mut self) -> Self {
        self.info.takes = Takes::Stream;
        self.info.streams = true;
        self
    }
    /// It changes something: it can meet a conflict, and want of space.
    pub(crate) fn changes(mut self) -> Self {
        self.info.changes = true;
        self.info.conflicts = true;
        self
    }
    /// It is about a thing that may not be there.
    pub(crate) fn finds(mut self) -> Self {
        self.info.finds = true;
        self
    }
    /// It takes `If-Match`.
    pub(crate) fn if_match(mut self) -> Self {
        self.info.if_match = true;
        self.preconditions()
    }
    /// What it changes can have another version than the request says.
    pub(crate) fn preconditions(mut self) -> Self {
        self.info.preconditions = true;
        self
    }
    /// It takes `Idempotency-Key`.
    pub(crate) fn once(mut self) -> Self {
        self.info.once = true;
        self
    }
    /// It says how the server is, also when that has no place for anybody else.
    pub(crate) fn probe(mut self) -> Self {
        self.info.probe = true;
        self
    }
    /// Its answer goes on for as long as whoever asked stays.
    pub(crate) fn lasting(mut self) -> Self {
        self.info.streams = true;
        self
    }
    /// It answers ranges.
    pub(crate) fn ranges(mut self) -> Self {
        self.info.ranges = true;
        self
    }
    /// It answers 400 and 401 as OAuth 2 does.
    pub(crate) fn oauth(mut self) -> Self {
        self.info.oauth = true;
        self
    }
    /// Its last path parameter may hold slashes.
    pub(crate) fn rest(mut self) -> Self {
        self.info.rest = true;
        self
    }
}

impl RouteInfo {
    /// Its template for the router.
    pub(crate) fn template(&self) -> String {
        match (self.rest, self.path.rsplit_once('{')) {
            (true, Some((before, name))) => format!("{before}{{*{name}"),
            _ => self.path.clone(),
        }
    }
    /// Whether the method is this one's; `HEAD` counts as `GET`.
    pub(crate) fn answers(&self, method: &Method) -> bool {
        self.method == method.as_str() || (self.method == "GET" && method == Method::HEAD)
    }
    /// Whether a token is needed.
    pub(crate) fn needs_token(&self) -> bool {
        matches!(self.callers, Callers::Client(_) | Callers::Operator(_) | Callers::Either)
    }
}
