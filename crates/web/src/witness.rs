//! A witness over HTTP: C2SP tlog-witness and tlog-mirror for logs that submit, C2SP tlog-tiles for whoever reads
//! the copy, and where it stands for whoever watches it.
//!
//! Nobody signs in: what a log signed is what counts, and everything that is served is public. So every request is
//! bounded by where it comes from.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    body::{Body, BodyDataStream, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base::Context;
use futures::StreamExt;
use ledger::{
    EntriesHeader, EntryPackage, MAX_ADD_CHECKPOINT_BYTES, MAX_HEADER_BYTES, MAX_PACKAGE_BYTES,
    MIRROR_INFO_MEDIA, MirrorInfo, SIZE_MEDIA, SubmissionError, TILE_WIDTH, parse_tile_path,
};
use serde_json::json;
use tokio::sync::Semaphore;
use witness::{AddError, Finished, Upload, UploadError, Witness};

use crate::{
    Limits,
    connection::Work,
    observe::{COMMON, one_header},
    outgoing::outgoing,
    paced::paced,
    seats::Seats,
    serve::Application,
    throttle::{Throttle, party},
};

/// Uploads at once: each may hold a package in memory.
const UPLOADS: usize = 8;
/// Uploads at once from one address.
const UPLOADS_PER_ADDRESS: usize = 2;
/// What is unpacked of a compressed body at a time: however well it is packed, so much of it is a bounded burst.
const UNPACKED_AT_ONCE: usize = 512;
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const SHORTLY: &str = "public, max-age=1";

/// A witness that is served. Cheap to clone.
#[derive(Clone)]
pub struct WitnessApp(Arc<Inner>);

struct Inner {
    witness: Arc<Witness>,
    limits: Limits,
    context: Context,
    version: &'static str,
    places: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    uploaders: Arc<Seats<IpAddr>>,
    peers: Throttle<IpAddr>,
    connections: AtomicI64,
    refused: AtomicU64,
    stopping: AtomicBool,
}

impl WitnessApp {
    /// Serves this witness within these limits.
    pub fn new(witness: Arc<Witness>, limits: Limits, context: Context, version: &'static str) -> Self {
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS))),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            uploaders: Seats::new(UPLOADS_PER_ADDRESS),
            peers: Throttle::new(limits.peer_rate, limits.tracked_callers, context.clone()),
            connections: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            witness,
            limits,
            context,
            version,
        }))
    }

    fn refuse(&self, status: StatusCode, why: &'static str) -> Response {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        answer(status, why)
    }
}

impl std::fmt::Debug for WitnessApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WitnessApp")
    }
}

impl Application for WitnessApp {
    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/", get(about))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/add-entries", post(add_entries))
            .route("/witness/{log}/checkpoint", get(witnessed))
            .route("/{log}/checkpoint", get(checkpoint))
            .route("/{log}/tile/{*path}", get(tile))
            .layer(DefaultBodyLimit::max(MAX_ADD_CHECKPOINT_BYTES))
            .layer(middleware::from_fn_with_state(self.clone(), observe))
            .with_state(self.clone())
    }

    fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    fn connections(&self, change: i64) {
        self.0.connections.fetch_add(change, Ordering::Relaxed);
    }

    fn refused(&self, _reason: &'static str) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    async fn note(&self, reason: &'static str) {
        tracing::debug!(reason, "a connection was refused");
    }
}

/// The outermost layer: so many requests at once and from one address, a body that keeps coming, an end to each,
/// and the headers of every answer.
async fn observe(State(app): State<WitnessApp>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let request = request.map(|body| paced(body, &app.0.limits, &app.0.context));
    let mut response = admit(&app, peer, request, next).await;
    let headers = response.headers_mut();
    for (name, value) in COMMON {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn admit(app: &WitnessApp, peer: IpAddr, request: Request, next: Next) -> Response {
    let Ok(place) = Arc::clone(&app.0.places).try_acquire_owned() else {
        return app
            .refuse(StatusCode::SERVICE_UNAVAILABLE, "more requests are in hand than are served at once\n");
    };
    if let Err(seconds) = app.0.peers.admit(&peer) {
        let why = "more requests come from this address than are served\n";
        let mut response = app.refuse(StatusCode::TOO_MANY_REQUESTS, why);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    let busy = request.extensions().get::<Work>().map(Work::begin);
    // An upload is as long as its entries are many; its pace is bounded, and so is all else.
    let response = if request.uri().path() == "/add-entries" {
        next.run(request).await
    } else {
        match tokio::time::timeout(app.0.limits.request_timeout.into(), next.run(request)).await {
            Ok(response) => response,
            Err(_) => app.refuse(StatusCode::SERVICE_UNAVAILABLE, "the witness did not finish in time\n"),
        }
    };
    outgoing(response, (place, busy), app.0.limits.body_pause)
}

fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    party(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical()))
}

fn answer(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

/// Runs what waits for the disk where waiting is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a task of the witness failed");
        answer(StatusCode::INTERNAL_SERVER_ERROR, "the witness failed\n")
    })
}

async fn about(State(app): State<WitnessApp>) -> Response {
    let voices = app.0.witness.voices();
    let logs: Vec<_> = app
        .0
        .witness
        .standings()
        .into_iter()
        .map(|log| {
            json!({
                "origin": log.origin, "path": log.path, "witnessed": log.witnessed, "mirrored": log.mirrored,
                "cosigned_at": log.cosigned.map(|at| at.to_string()), "evidence": log.evidence,
            })
        })
        .collect();
    Json(json!({
        "witness": voices.witness.key().vkey(), "mirror": voices.mirror.key().vkey(), "version": app.0.version,
        "logs": logs,
    }))
    .into_response()
}

async fn ready(State(app): State<WitnessApp>) -> Response {
    if app.0.stopping.load(Ordering::Relaxed) {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "the witness is stopping\n");
    }
    let forked: Vec<String> =
        app.0.witness.standings().into_iter().filter(|log| log.evidence > 0).map(|log| log.origin).collect();
    if forked.is_empty() {
        return answer(StatusCode::OK, "ready\n");
    }
    // It goes on; and whoever watches it learns here that a log has lied.
    answer(StatusCode::OK, format!("ready; evidence against: {}\n", forked.join(", ")))
}

async fn metrics(State(app): State<WitnessApp>) -> Response {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, String)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let logs = app.0.witness.standings();
    // A log's origin has neither spaces nor control characters; what is left to escape is this.
    let label =
        |origin: &str| format!("{{origin=\"{}\"}}", origin.replace('\\', "\\\\").replace('"', "\\\""));
    let each = |value: &dyn Fn(&witness::Standing) -> String| -> Vec<(String, String)> {
        logs.iter().map(|log| (label(&log.origin), value(log))).collect()
    };
    let one = |value: String| vec![(String::new(), value)];
    family(
        "tenet_witness_witnessed_entries",
        "gauge",
        "Entries up to which the log was witnessed.",
        &each(&|log| log.witnessed.to_string()),
    );
    family(
        "tenet_witness_mirrored_entries",
        "gauge",
        "Entries up to which the copy is whole and cosigned.",
        &each(&|log| log.mirrored.to_string()),
    );
    family(
        "tenet_witness_cosigned_seconds",
        "gauge",
        "When the mirror cosigned last, in seconds since 1970.",
        &each(&|log| log.cosigned.map_or(0, base::Timestamp::seconds).to_string()),
    );
    family(
        "tenet_witness_evidence",
        "gauge",
        "Checkpoints that the log signed and should not have.",
        &each(&|log| log.evidence.to_string()),
    );
    family(
        "tenet_witness_connections",
        "gauge",
        "Connections that are open.",
        &one(app.0.connections.load(Ordering::Relaxed).to_string()),
    );
    family(
        "tenet_witness_refused_total",
        "counter",
        "Requests and connections beyond a limit.",
        &one(app.0.refused.load(Ordering::Relaxed).to_string()),
    );
    let media = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], text).into_response()
}

async fn add_checkpoint(State(app): State<WitnessApp>, body: String) -> Response {
    let witness = Arc::clone(&app.0.witness);
    match blocking(move || witness.add_checkpoint(&body)).await {
        Err(failed) => failed,
        Ok(Ok(line)) => answer(StatusCode::OK, line),
        Ok(Err(error)) => not_added(&error),
    }
}

fn not_added(error: &AddError) -> Response {
    let status = match error {
        AddError::Malformed(_) | AddError::Checkpoint(_) | AddError::Order => StatusCode::BAD_REQUEST,
        AddError::UnknownLog => StatusCode::NOT_FOUND,
        AddError::Unsigned => StatusCode::FORBIDDEN,
        AddError::Fork { same_size: true, .. } => {
            tracing::error!(%error, "FORK: the log signed two pasts");
            StatusCode::UNPROCESSABLE_ENTITY
        }
        AddError::Clock => {
            tracing::error!(%error, "the clock went back");
            StatusCode::SERVICE_UNAVAILABLE
        }
        AddError::Fork { size, .. } | AddError::Conflict { size } => {
            if matches!(error, AddError::Fork { .. }) {
                tracing::error!(%error, "FORK: the log signed two pasts");
            }
            let media = [(header::CONTENT_TYPE, SIZE_MEDIA)];
            return (StatusCode::CONFLICT, media, format!("{size}\n")).into_response();
        }
        AddError::NotConsistent { .. } => {
            tracing::error!(%error, "a checkpoint that the log signed is not a continuation");
            StatusCode::UNPROCESSABLE_ENTITY
        }
        AddError::Io(_) | AddError::Sign(_) => {
            tracing::error!(%error, "a checkpoint could not be cosigned");
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "the witness can't store the checkpoint\n");
        }
    };
    answer(status, format!("{error}\n"))
}

async fn add_entries(
    State(app): State<WitnessApp>,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.0.ip().to_canonical());
    let seat = app.0.uploaders.take(&party(peer));
    let place = Arc::clone(&app.0.uploads).try_acquire_owned();
    let (Some(_seat), Ok(_place)) = (seat, place) else {
        return app.refuse(StatusCode::SERVICE_UNAVAILABLE, "more uploads are under way than are taken\n");
    };
    let packed = match one_header(&headers, &header::CONTENT_ENCODING) {
        Ok(None | Some("identity")) => false,
        Ok(Some("gzip")) => true,
        _ => {
            let mut response =
                answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the entries plain or as gzip\n");
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    };
    let mut response = match take_entries(&app.0.witness, Incoming::new(body, packed)).await {
        Ok(Finished::Cosigned(line)) => answer(StatusCode::OK, line),
        Ok(Finished::More(info)) => standing(StatusCode::ACCEPTED, &info),
        Err(Refusal::Answered(response)) => response,
        Err(Refusal::Upload(error)) => not_taken(&error),
    };
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

enum Refusal {
    Answered(Response),
    Upload(UploadError),
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        Self::Upload(error)
    }
}

impl From<SubmissionError> for Refusal {
    fn from(error: SubmissionError) -> Self {
        Self::Upload(error.into())
    }
}

async fn take_entries(witness: &Arc<Witness>, mut incoming: Incoming) -> Result<Finished, Refusal> {
    let header = loop {
        if let Some((header, used)) = EntriesHeader::parse(&incoming.buffer)? {
            incoming.drop_first(used);
            break header;
        }
        if incoming.buffer.len() > MAX_HEADER_BYTES || !incoming.more().await? {
            return Err(SubmissionError("the body ends before its first package").into());
        }
    };
    let known = Arc::clone(witness);
    let begun = blocking(move || known.begin_upload(&header)).await.map_err(Refusal::Answered)?;
    let mut upload = begun?;
    while let Some(count) = upload.expects() {
        let whole = EntryPackage::parse(&incoming.buffer, count)?.map(|(_, used)| used);
        let Some(used) = whole else {
            // What comes after the last whole package is dropped, as the specification says.
            if incoming.buffer.len() > MAX_PACKAGE_BYTES || !incoming.more().await? {
                break;
            }
            continue;
        };
        let package = incoming.take_first(used);
        let taken = blocking(move || add(upload, &package, count)).await.map_err(Refusal::Answered)?;
        upload = taken?;
    }
    let known = Arc::clone(witness);
    let finished = blocking(move || known.finish_upload(upload)).await.map_err(Refusal::Answered)?;
    Ok(finished?)
}

fn add(mut upload: Upload, package: &[u8], count: u64) -> Result<Upload, UploadError> {
    match EntryPackage::parse(package, count)? {
        Some((package, _)) => upload.add(&package).map(|()| upload),
        None => Err(SubmissionError("a package is cut short").into()),
    }
}

fn standing(status: StatusCode, info: &MirrorInfo) -> Response {
    (status, [(header::CONTENT_TYPE, MIRROR_INFO_MEDIA)], info.encode()).into_response()
}

fn not_taken(error: &UploadError) -> Response {
    let status = match error {
        UploadError::Malformed(_) => StatusCode::BAD_REQUEST,
        UploadError::UnknownLog => StatusCode::NOT_FOUND,
        UploadError::Conflict(info) => return standing(StatusCode::CONFLICT, info),
        UploadError::NotProved => StatusCode::UNPROCESSABLE_ENTITY,
        UploadError::Clock => StatusCode::SERVICE_UNAVAILABLE,
        UploadError::Io(_) | UploadError::Sign(_) => {
            tracing::error!(%error, "entries could not be stored");
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "the mirror can't store the entries\n");
        }
    };
    answer(status, format!("{error}\n"))
}

/// A body as it comes in, unpacked.
struct Incoming {
    body: BodyDataStream,
    piece: Bytes,
    packed: Option<flate2::write::GzDecoder<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl Incoming {
    fn new(body: Body, packed: bool) -> Self {
        let packed = packed.then(|| flate2::write::GzDecoder::new(Vec::new()));
        Self { body: body.into_data_stream(), piece: Bytes::new(), packed, buffer: Vec::new() }
    }

    /// Reads on; `false` at the end. An interrupted body ends where it broke: what came whole before counts.
    async fn more(&mut self) -> Result<bool, SubmissionError> {
        if self.piece.is_empty() {
            match self.body.next().await {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(_)) | None => return Ok(false),
            }
        }
        let Some(decoder) = &mut self.packed else {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.piece));
            return Ok(true);
        };
        let some = self.piece.split_to(self.piece.len().min(UNPACKED_AT_ONCE));
        let unpacked = decoder.write_all(&some).and_then(|()| decoder.flush());
        unpacked.map_err(|_| SubmissionError("the body is not gzip"))?;
        self.buffer.append(decoder.get_mut());
        Ok(true)
    }

    fn drop_first(&mut self, count: usize) {
        self.buffer.drain(..count.min(self.buffer.len()));
    }

    fn take_first(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }
}

/// What the mirror cosigned, at the head of its copy.
async fn checkpoint(State(app): State<WitnessApp>, Path(log): Path<String>) -> Response {
    note(app.0.witness.checkpoint(&log))
}

/// What the witness cosigned.
async fn witnessed(State(app): State<WitnessApp>, Path(log): Path<String>) -> Response {
    note(app.0.witness.witnessed(&log))
}

fn note(note: Option<String>) -> Response {
    match note {
        Some(note) => {
            let headers =
                [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, SHORTLY)];
            (headers, note).into_response()
        }
        None => answer(StatusCode::NOT_FOUND, "no such log, or nothing of it yet\n"),
    }
}

async fn tile(State(app): State<WitnessApp>, Path((log, path)): Path<(String, String)>) -> Response {
    let Ok(path) = parse_tile_path(&format!("tile/{path}")) else {
        return answer(StatusCode::NOT_FOUND, "no such tile\n");
    };
    let witness = Arc::clone(&app.0.witness);
    match blocking(move || witness.tile(&log, &path)).await {
        Err(failed) => failed,
        Ok(Ok(Some(data))) => {
            let life = if path.width == TILE_WIDTH { FOR_EVER } else { SHORTLY };
            let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, life)];
            (headers, data).into_response()
        }
        Ok(Ok(None)) => answer(StatusCode::NOT_FOUND, "no such tile\n"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the copy can't be read");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "the copy can't be read\n")
        }
    }
}
