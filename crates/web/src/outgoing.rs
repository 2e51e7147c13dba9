//! A response's body on its way out. A peer that does not take it must not hold what it holds: a large
//! body passes in small copies through a channel of one, the request keeps its place until the last of
//! them is taken, and a pause too long ends it and frees the rest.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, header},
    response::Response,
};
use base::Duration;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

/// A body up to this size goes out whole, and gives its place back at once.
const SMALL_BYTES: u64 = 65_536;
/// What of a larger one may be on its way at a time, twice.
const PIECE_BYTES: usize = 65_536;

/// The peer did not take the body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the response was not taken in time")]
struct NotTaken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Piece {
    Data(Bytes),
    Failed(Failure),
    End,
}

/// The response; what it has `held` (its place in hand, its caller's) is kept while its body goes out.
/// `pause` is the longest wait for the peer to take a piece.
pub(crate) fn outgoing<H: Send + 'static>(response: Response, held: H, pause: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    let exact = body.size_hint().exact();
    if exact.is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return Response::from_parts(parts, body);
    }
    if let (Some(bytes), false) = (exact, parts.headers.contains_key(header::CONTENT_LENGTH)) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        // Dropped together, whichever way this ends.
        let _held = held;
        pass(body, &send, pause).await;
    });
    let pieces = stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Piece::Data(bytes)) => Some((Ok(bytes), Some(receive))),
            Some(Piece::Failed(error)) => Some((Err(error), None)),
            Some(Piece::End) => None,
            None => Some((Err(Box::new(NotTaken) as Failure), None)),
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

async fn pass(body: Body, send: &mpsc::Sender<Piece>, pause: Duration) {
    let mut body = body.into_data_stream();
    let wait: std::time::Duration = pause.into();
    while let Some(piece) = body.next().await {
        let bytes = match piece {
            Ok(bytes) => bytes,
            Err(error) => {
                let _ = send.send_timeout(Piece::Failed(Box::new(error)), wait).await;
                return;
            }
        };
        for part in bytes.chunks(PIECE_BYTES) {
            // A copy: a slice would keep the whole of what it was cut from.
            let part = Piece::Data(Bytes::copy_from_slice(part));
            if send.send_timeout(part, wait).await.is_err() {
                return;
            }
        }
    }
    let _ = send.send_timeout(Piece::End, wait).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn large() -> Response {
        Response::new(Body::from(vec![7u8; 1_000_000]))
    }

    #[tokio::test]
    async fn a_large_body_arrives_whole_and_keeps_its_place_until_then() {
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().unwrap();
        let response = outgoing(large(), place, Duration::from_seconds(60));
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "1000000");
        assert_eq!(places.available_permits(), 0);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((bytes.len(), bytes.iter().all(|byte| *byte == 7)), (1_000_000, true));
        let _again = places.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_taken_is_let_go() {
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().unwrap();
        let response = outgoing(large(), place, Duration::from_millis(1));
        // Nobody reads.
        let _free = places.acquire().await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("not taken in time"), "{error}");
    }

    #[tokio::test]
    async fn a_small_body_gives_its_place_back_at_once() {
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().unwrap();
        let response = outgoing(Response::new(Body::from("small")), place, Duration::from_seconds(60));
        assert_eq!(places.available_permits(), 1);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "small");
    }
}
