//! Every limit of the server, named and bounded. Sizes are in bytes.

use std::num::NonZeroU32;

use base::Duration;

/// So many a second, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, over time.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; zero counts as one.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// The server's limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; one more is refused.
    pub connections: usize,
    /// Connections at once from one address (an IPv6 network of 64 bits counts as one); one more is refused.
    pub connections_per_address: usize,
    /// Requests at once; one more is answered 503.
    pub requests: usize,
    /// Requests of one client or operator at once, until the end of what is answered; one more is answered
    /// 429.
    pub requests_per_caller: usize,
    /// Streams at once on an HTTP/2 connection.
    pub streams_per_connection: u32,
    /// All headers of a request together, in bytes; at least 8,192.
    pub header_bytes: u32,
    /// Headers of a request.
    pub headers: usize,
    /// The body of a request for a token, or to enrol or revoke.
    pub sign_in_bytes: usize,
    /// A JSON body.
    pub body_bytes: usize,
    /// The body of a batch.
    pub batch_bytes: usize,
    /// An object.
    pub object_bytes: u64,
    /// The TLS handshake.
    pub handshake_timeout: Duration,
    /// From a connection's readiness to the end of a request's headers; also how long an idle
    /// connection is kept.
    pub header_timeout: Duration,
    /// A whole request, but for the streaming of an object.
    pub request_timeout: Duration,
    /// Between two pieces of a body, and for the peer to take what is written to it.
    pub body_pause: Duration,
    /// The least that a body must bring each second, over its whole time, after the first
    /// [`Limits::body_pause`].
    pub body_bytes_per_second: u64,
    /// How long requests in hand may take to end after the server is told to stop.
    pub drain: Duration,
    /// Requests of one client or operator.
    pub client_rate: Rate,
    /// Requests of one peer address to routes that nobody signs in for.
    pub peer_rate: Rate,
    /// Attempts to sign in of one peer address; requests with an access token that is not valid have as many
    /// of their own.
    pub sign_in_rate: Rate,
    /// Callers whose rates are kept apart; callers beyond share one.
    pub tracked_callers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 512,
            requests: 1_024,
            requests_per_caller: 64,
            streams_per_connection: 128,
            header_bytes: 32_768,
            headers: 64,
            sign_in_bytes: 16_384,
            body_bytes: 1_048_576,
            batch_bytes: 16 * 1_048_576,
            object_bytes: 5 * 1_073_741_824,
            handshake_timeout: Duration::from_seconds(5),
            header_timeout: Duration::from_seconds(30),
            request_timeout: Duration::from_seconds(30),
            body_pause: Duration::from_seconds(10),
            body_bytes_per_second: 1_024,
            drain: Duration::from_seconds(20),
            client_rate: Rate::new(5_000, 10_000),
            peer_rate: Rate::new(1_000, 2_000),
            sign_in_rate: Rate::new(50, 200),
            tracked_callers: 65_536,
        }
    }
}
