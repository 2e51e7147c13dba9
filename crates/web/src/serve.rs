//! Serving: the listener, its limits, and the draining at the end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{Extension, middleware::AddExtension};
use axum_server::{
    Handle,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, RwLock, Semaphore, watch},
    task::JoinSet,
};
use tower::Layer;

use crate::{
    Limits,
    connection::{Watched, Work},
    seats::{Seat, Seats},
    throttle::party,
    tls::{Certificate, TlsError, config},
};

/// The least that hyper takes for all headers of a request, in bytes.
const LEAST_HEADER_BYTES: usize = 8_192;
/// Between pings on an idle HTTP/2 connection, in seconds; the same again without an answer ends it.
const PING_SECONDS: u64 = 20;
/// What of a stream's answer may wait in memory to be written. Small, so that little is left to write once
/// the last of an answer is handed over and its connection counts as idle.
const SEND_BUFFER_BYTES: usize = 65_536;
/// Streams that a peer may open and reset at once before the connection is closed (rapid reset).
const PENDING_RESETS: usize = 32;

/// Serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate or the key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listener.
    #[error("the listener failed: {0}")]
    Listener(#[from] io::Error),
}

/// What can be served: the API, or a witness.
pub trait Application: Clone + Send + Sync + Unpin + 'static {
    /// Its limits.
    fn limits(&self) -> &Limits;
    /// All its routes, and the outermost layer.
    fn router(&self) -> axum::Router;
    /// It is to stop.
    fn stop(&self);
    /// A connection came (1) or went (-1).
    fn connections(&self, change: i64);
    /// A connection was refused: counts it.
    fn refused(&self, reason: &'static str);
    /// Records a connection that was refused.
    fn note(&self, reason: &'static str) -> impl Future<Output = ()> + Send;
}

/// Serves the application on `listener` until `stop` says so; then takes no more connections, answers
/// `/readyz` with no, lets requests in hand end for as long as the limits say, and returns. Connections
/// that idle are told to go; those that don't end in time are cut.
pub async fn serve<A: Application>(
    app: A,
    certificate: impl Into<Certificate>,
    listener: std::net::TcpListener,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let limits = app.limits().clone();
    let handle = Handle::new();
    let notes = Notes { app: app.clone(), running: Arc::default(), entering: Arc::default() };
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config(&certificate.into())?))
        .handshake_timeout(limits.handshake_timeout.into())
        .acceptor(Bounded::new(app.clone(), &limits));
    let acceptor = Recorded { inner: acceptor, notes: notes.clone() };
    let listening = notes.clone();
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(std::time::Duration::from(limits.header_timeout))
        // Without a peer it is the listener that failed: file descriptors ran out, mostly. The rest is told below.
        .accept_error_handler(move |peer: Option<&SocketAddr>, _: &io::Error| {
            if peer.is_none() {
                listening.record("accept-failed");
            }
        });
    let header_bytes =
        usize::try_from(limits.header_bytes).unwrap_or(LEAST_HEADER_BYTES).max(LEAST_HEADER_BYTES);
    let builder = server.http_builder();
    builder
        .http1()
        .max_buf_size(header_bytes)
        .max_headers(limits.headers)
        .header_read_timeout(std::time::Duration::from(limits.header_timeout))
        .half_close(false);
    builder
        .http2()
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .keep_alive_interval(std::time::Duration::from_secs(PING_SECONDS))
        .keep_alive_timeout(std::time::Duration::from_secs(PING_SECONDS));
    let drained = drain_when(app.clone(), handle, stop);
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    let serving = server.serve(service);
    tokio::pin!(serving, drained);
    tokio::select! {
        ended = &mut serving => ended?,
        () = &mut drained => serving.await?,
    }
    notes.finish().await;
    Ok(())
}

async fn drain_when<A: Application>(app: A, handle: Handle<SocketAddr>, mut stop: watch::Receiver<bool>) {
    // A sender that is gone can't say stop any more: that counts as one.
    let _ = stop.wait_for(|stop| *stop).await;
    app.stop();
    handle.graceful_shutdown(Some(app.limits().drain.into()));
}

/// Records connections that came to nothing, beside the loop that takes them in.
#[derive(Clone)]
struct Notes<A> {
    app: A,
    running: Arc<Mutex<JoinSet<()>>>,
    /// Held for reading by each connection that is not through yet.
    entering: Arc<RwLock<()>>,
}

impl<A: Application> Notes<A> {
    /// Too many connections, or a handshake that failed or took too long.
    fn refused(&self, error: &io::Error) {
        let reason = match error.kind() {
            io::ErrorKind::QuotaExceeded => "too-many-connections",
            io::ErrorKind::ResourceBusy => "too-many-connections-of-address",
            io::ErrorKind::TimedOut => "handshake-timeout",
            // The peer left, or a monitor looked whether the port is open: no refusal of ours.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                return;
            }
            _ => "handshake-failed",
        };
        self.record(reason);
    }

    fn record(&self, reason: &'static str) {
        self.app.refused(reason);
        let app = self.app.clone();
        let Ok(mut running) = self.running.lock() else { return };
        while running.try_join_next().is_some() {}
        running.spawn(async move { app.note(reason).await });
    }

    /// Waits for those that are being written, also of connections whose peers know that they are refused while the
    /// refusal is not told here yet. The time for a handshake bounds it.
    async fn finish(&self) {
        let _none = self.entering.write().await;
        let Ok(running) = self.running.lock().map(|mut running| std::mem::take(&mut *running)) else {
            return;
        };
        running.join_all().await;
    }
}

/// Records what the acceptor inside refuses.
#[derive(Clone)]
struct Recorded<I, A> {
    inner: I,
    notes: Notes<A>,
}

impl<I, A, S> Accept<TcpStream, S> for Recorded<I, A>
where
    I: Accept<TcpStream, S> + Clone + Send + 'static,
    I::Future: Send,
    A: Application,
    S: Send + 'static,
{
    type Stream = I::Stream;
    type Service = I::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(I::Stream, I::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { inner, notes } = self.clone();
        Box::pin(async move {
            let _entering = notes.entering.read().await;
            let outcome = inner.accept(stream, service).await;
            if let Err(error) = &outcome {
                notes.refused(error);
            }
            outcome
        })
    }
}

/// Takes at most so many connections at once, and so many of them from one address.
#[derive(Clone)]
struct Bounded<A> {
    app: A,
    places: Arc<Semaphore>,
    addresses: Arc<Seats<IpAddr>>,
    idle: base::Duration,
    stall: base::Duration,
}

impl<A: Application> Bounded<A> {
    fn new(app: A, limits: &Limits) -> Self {
        Self {
            app,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            addresses: Seats::new(limits.connections_per_address),
            idle: limits.header_timeout,
            stall: limits.body_pause,
        }
    }

    /// The connection with its places, or why it gets none.
    fn take(&self, stream: TcpStream, work: Work) -> io::Result<Held<A>> {
        let address = party(stream.peer_addr()?.ip());
        let seat = self.addresses.take(&address).ok_or(io::ErrorKind::ResourceBusy)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| io::ErrorKind::QuotaExceeded)?;
        stream.set_nodelay(true)?;
        self.app.connections(1);
        let stream = Watched::new(stream, work, self.idle, self.stall);
        Ok(Held { stream, app: self.app.clone(), _place: place, _seat: seat })
    }
}

impl<A: Application, S: Send + 'static> Accept<TcpStream, S> for Bounded<A> {
    type Stream = Held<A>;
    type Service = AddExtension<S, Work>;
    type Future = std::future::Ready<io::Result<(Held<A>, Self::Service)>>;

    /// Each request of the connection carries what the connection has in hand, for the outermost layer to
    /// count it there.
    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let work = Work::default();
        let held = self.take(stream, work.clone());
        std::future::ready(held.map(|held| (held, Extension(work).layer(service))))
    }
}

/// A connection that holds its places until it is dropped.
struct Held<A: Application> {
    stream: Watched<TcpStream>,
    app: A,
    _place: OwnedSemaphorePermit,
    _seat: Seat<IpAddr>,
}

impl<A: Application> Drop for Held<A> {
    fn drop(&mut self) {
        self.app.connections(-1);
    }
}

impl<A: Application> AsyncRead for Held<A> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<A: Application> AsyncWrite for Held<A> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
