//! The application: what the handlers share, and the router over it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use access::Access;
use axum::{Router, http::Method, middleware};
use base::{Actor, Context, Duration, Scheme, Timestamp};
use keys::Keys;
use ledger::{Act, Activity, LogSigner, ObjectRef};
use store::{Store, StoreError, SystemScope};
use tokio::sync::Semaphore;
use vault::Vault;
use watch::{Alarms, Watch};

use crate::{
    Limits, Packer, console,
    limits::Rate,
    metrics::Metrics,
    observe::{no_route, observe},
    openapi,
    route::{Route, RouteInfo},
    routes,
    seats::Seats,
    serve::Application,
    throttle::Throttle,
};

/// How often one kind of limit, or one caller beyond its rate, leaves an event: a flood must not fill the log.
const NOTES: Rate = Rate::new(1, 1);

/// Most pages of the console that are kept up to date at a time.
const MAX_WATCHERS: usize = 256;
/// How long what pages are compared by is taken for true.
const MARK_LIFE: Duration = Duration::from_millis(1_900);

/// What the application is made of.
pub struct AppParts {
    /// Who may do what.
    pub access: Access,
    /// Customers' data.
    pub vault: Vault,
    /// The policy, and what is observed of it.
    pub watch: Watch,
    /// Alarms of it.
    pub alarms: Alarms,
    /// The keys, for their status and rotation.
    pub keys: Keys,
    /// The data realm: the log is served from it.
    pub store: Store,
    /// In whose name the server records what nobody in particular did: refused connections, limits.
    pub system: SystemScope,
    /// Signs the log; its verifier key is served.
    pub signer: Arc<LogSigner>,
    /// The organisation's classifications.
    pub scheme: Scheme,
    /// The limits.
    pub limits: Limits,
    /// Makes archives of evidence; none where nobody brings it.
    pub packer: Option<Arc<dyn Packer>>,
    /// Whether what is here is a demonstration: every page says so.
    pub demo: bool,
    /// The fingerprint of this server's authority, as links have it; empty if its certificate is another's.
    pub authority: String,
    /// The version that runs, for the OpenAPI document and the metrics.
    pub version: &'static str,
}

/// The HTTP API. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: AppParts,
    metrics: Metrics,
    places: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    packing: Arc<Semaphore>,
    marked: tokio::sync::Mutex<Option<(Duration, String)>>,
    callers: Throttle<Actor>,
    peers: Throttle<IpAddr>,
    sign_ins: Throttle<IpAddr>,
    bearer_failures: Throttle<IpAddr>,
    seats: Arc<Seats<Actor>>,
    notes: Throttle<Actor>,
    limit_notes: Throttle<&'static str>,
    routes: HashMap<String, Vec<RouteInfo>>,
    document: String,
    stopping: AtomicBool,
    /// Connections that were taken in since that was recorded.
    accepted: AtomicU64,
}

impl App {
    /// An application of these parts.
    pub fn new(parts: AppParts) -> Self {
        let context = parts.store.context().clone();
        let limits = &parts.limits;
        let tracked = limits.tracked_callers;
        let mut index: HashMap<String, Vec<RouteInfo>> = HashMap::new();
        let routes = routes::all();
        let document = openapi::document(&routes, parts.version);
        for route in routes.into_iter().chain(console::all()) {
            index.entry(route.info.template()).or_default().push(route.info);
        }
        let inner = Inner {
            metrics: Metrics::new(parts.version),
            places: Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS))),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
            packing: Arc::new(Semaphore::new(1)),
            marked: tokio::sync::Mutex::new(None),
            callers: Throttle::new(limits.client_rate, tracked, context.clone()),
            peers: Throttle::new(limits.peer_rate, tracked, context.clone()),
            sign_ins: Throttle::new(limits.sign_in_rate, tracked, context.clone()),
            bearer_failures: Throttle::new(limits.sign_in_rate, tracked, context.clone()),
            seats: Seats::new(limits.requests_per_caller),
            notes: Throttle::new(NOTES, tracked, context.clone()),
            limit_notes: Throttle::new(NOTES, tracked, context),
            routes: index,
            document: document.to_json().unwrap_or_default(),
            stopping: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            parts,
        };
        Self(Arc::new(inner))
    }

    /// The router: every route, problems for what is none, and the outermost layer.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for Route { info, handler, .. } in routes::all().into_iter().chain(console::all()) {
            router = router.route(&info.template(), handler);
        }
        router
            .fallback(no_route)
            .layer(middleware::from_fn_with_state(self.clone(), observe))
            .with_state(self.clone())
    }

    /// Says that the server is stopping: `/readyz` answers no from now on.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Records how many connections were taken in since the last time, if any were (EL-2). One event for all of them:
    /// what is done on each is recorded by itself, with from where.
    pub async fn note_connections(&self) -> Result<(), StoreError> {
        let count = self.0.accepted.swap(0, Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let store = &self.0.parts.store;
        let act = Act::new(Activity::ConnectionAccept, ObjectRef::new("server", store.server()));
        let recorded = store.record_system(&self.0.parts.system, act.detail("count", count)).await;
        if recorded.is_err() {
            self.0.accepted.fetch_add(count, Ordering::Relaxed);
        }
        recorded.map(|_| ())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.parts.limits
    }
    pub(crate) fn authority(&self) -> &str {
        &self.0.parts.authority
    }
    pub(crate) fn packer(&self) -> Option<&dyn Packer> {
        self.0.parts.packer.as_deref()
    }
    pub(crate) fn is_demo(&self) -> bool {
        self.0.parts.demo
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }
    pub(crate) fn access(&self) -> &Access {
        &self.0.parts.access
    }
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.parts.vault
    }
    pub(crate) fn watch(&self) -> &Watch {
        &self.0.parts.watch
    }
    pub(crate) fn alarms(&self) -> &Alarms {
        &self.0.parts.alarms
    }
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.parts.keys
    }
    pub(crate) fn store(&self) -> &Store {
        &self.0.parts.store
    }
    pub(crate) fn signer(&self) -> &LogSigner {
        &self.0.parts.signer
    }
    pub(crate) fn scheme(&self) -> &Scheme {
        &self.0.parts.scheme
    }
    pub(crate) fn context(&self) -> &Context {
        self.0.parts.store.context()
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.context().now()
    }
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    pub(crate) fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.places)
    }
    /// The one place where an archive of evidence is made: it takes memory and time.
    pub(crate) fn packing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.packing)
    }
    /// What changes when something changes that pages show: looked at once for all of them, at most every two seconds.
    pub(crate) async fn mark(&self, scope: &SystemScope) -> Result<String, watch::WatchError> {
        let mut marked = self.0.marked.lock().await;
        let now = self.context().elapsed();
        if let Some((at, mark)) = marked.as_ref()
            && now < *at + MARK_LIFE
        {
            return Ok(mark.clone());
        }
        let mark = self.watch().mark(scope).await?;
        *marked = Some((now, mark.clone()));
        Ok(mark)
    }
    /// The places of pages that are kept up to date.
    pub(crate) fn watchers(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.watchers)
    }
    pub(crate) fn callers(&self) -> &Throttle<Actor> {
        &self.0.callers
    }
    pub(crate) fn peers(&self) -> &Throttle<IpAddr> {
        &self.0.peers
    }
    pub(crate) fn sign_ins(&self) -> &Throttle<IpAddr> {
        &self.0.sign_ins
    }
    /// Requests with an access token that is not valid. Apart from the sign-ins, lest a client whose token has
    /// ended use up what its neighbours at one address need to get new ones.
    pub(crate) fn bearer_failures(&self) -> &Throttle<IpAddr> {
        &self.0.bearer_failures
    }
    /// The places of each caller for requests in hand.
    pub(crate) fn seats(&self) -> &Arc<Seats<Actor>> {
        &self.0.seats
    }
    pub(crate) fn notes(&self) -> &Throttle<Actor> {
        &self.0.notes
    }
    pub(crate) fn document(&self) -> &str {
        &self.0.document
    }

    /// What is known of the route that a template and method lead to.
    pub(crate) fn route(&self, method: &Method, template: &str) -> Option<&RouteInfo> {
        self.0.routes.get(template)?.iter().find(|info| info.answers(method))
    }

    /// The methods that a template takes, for `Allow`.
    pub(crate) fn methods(&self, template: &str) -> String {
        let mut methods: Vec<&str> = Vec::new();
        for info in self.0.routes.get(template).into_iter().flatten() {
            methods.push(info.method);
            if info.method == "GET" {
                methods.push("HEAD");
            }
        }
        methods.sort_unstable();
        methods.join(", ")
    }

    /// Records that a limit of the server as a whole, or of unknown callers, is exceeded: at most one
    /// event a second for each, so that a flood can't fill the log.
    pub(crate) async fn note_limit(&self, limit: &'static str) {
        let act = Act::refused(Activity::LimitExceed, ObjectRef::new("limit", limit), limit, None);
        self.record(limit, act).await;
    }

    async fn record(&self, what: &'static str, act: Act) {
        if self.0.limit_notes.admit(&what).is_err() {
            return;
        }
        if let Err(error) = self.store().record_system(&self.0.parts.system, act).await {
            tracing::error!(%error, what, "a refusal could not be recorded; it stands");
        }
    }
}

impl Application for App {
    fn limits(&self) -> &Limits {
        self.limits()
    }
    fn router(&self) -> Router {
        self.router()
    }
    fn stop(&self) {
        self.stop();
    }
    fn connections(&self, change: i64) {
        self.0.metrics.connections().inc_by(change);
        if change > 0 {
            self.0.accepted.fetch_add(change.unsigned_abs(), Ordering::Relaxed);
        }
    }

    fn refused(&self, reason: &'static str) {
        self.0.metrics.refused(reason);
    }

    /// Under the same bound as limits: at most one event a second for each reason.
    async fn note(&self, reason: &'static str) {
        let object = ObjectRef::new("connection", "-");
        let act = Act::refused(Activity::ConnectionRefused, object, reason, Some("TR-4"));
        self.record(reason, act).await;
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}
