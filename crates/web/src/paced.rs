//! A request's body that must keep coming: a pause too long, or a trickle, ends it. That is the guard
//! against peers that hold a connection by sending almost nothing.

use axum::body::{Body, BodyDataStream, Bytes};
use base::{Context, Duration, Timestamp};
use futures::{StreamExt, stream};

use crate::limits::Limits;

/// The body came too slowly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub(crate) struct Slow;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Most bytes of a body that nobody wanted which are read all the same, so that the connection can be used
/// again; a longer one costs the connection.
const MAX_DRAINED: usize = 65_536;

struct Pace {
    body: Option<BodyDataStream>,
    context: Context,
    began: Timestamp,
    pause: Duration,
    per_second: u64,
    received: u64,
    over: bool,
}

/// The body, held to the limits' pace.
pub(crate) fn paced(body: Body, limits: &Limits, context: &Context) -> Body {
    let pace = Pace {
        body: Some(body.into_data_stream()),
        context: context.clone(),
        began: context.now(),
        pause: limits.body_pause,
        per_second: limits.body_bytes_per_second,
        received: 0,
        over: false,
    };
    Body::from_stream(stream::unfold(pace, |mut pace| async move {
        let piece = pace.next().await?;
        pace.over = piece.is_err();
        Some((piece, pace))
    }))
}

/// Whether an error of a body is that it came too slowly.
pub(crate) fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Slow>() {
            return true;
        }
        next = error.source();
    }
    false
}

impl Pace {
    async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        if self.over {
            return None;
        }
        let body = self.body.as_mut()?;
        let piece = match tokio::time::timeout(self.pause.into(), body.next()).await {
            Err(_) => return Some(Err(Box::new(Slow))),
            Ok(None) => {
                self.body = None;
                return None;
            }
            Ok(Some(Err(error))) => return Some(Err(Box::new(error))),
            Ok(Some(Ok(piece))) => piece,
        };
        self.received = self.received.saturating_add(piece.len() as u64);
        let elapsed = self.context.now().since(self.began).seconds() - self.pause.seconds();
        let due = u64::try_from(elapsed).unwrap_or(0).saturating_mul(self.per_second);
        if self.received < due { Some(Err(Box::new(Slow))) } else { Some(Ok(piece)) }
    }
}

impl Drop for Pace {
    /// A request that is refused before its body was read: what is on its way already is taken in.
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|_| !self.over) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let pause = self.pause;
        runtime.spawn(tokio::time::timeout(pause.into(), async move {
            let mut left = MAX_DRAINED;
            while let Some(Ok(piece)) = body.next().await {
                match left.checked_sub(piece.len()) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Clock, SystemEntropy};
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    struct Moved(AtomicI64);
    impl Clock for Moved {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
        }
    }

    fn context() -> (Context, Arc<Moved>) {
        let clock = Arc::new(Moved(AtomicI64::new(0)));
        (Context::new(clock.clone(), Arc::new(SystemEntropy)), clock)
    }

    #[tokio::test]
    async fn a_body_that_keeps_coming_passes() {
        let (context, _) = context();
        let body = paced(Body::from("whole"), &Limits::default(), &context);
        assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "whole");
    }

    #[tokio::test]
    async fn a_pause_too_long_ends_it() {
        let (context, _) = context();
        let limits = Limits { body_pause: Duration::from_millis(5), ..Limits::default() };
        let stalled = stream::once(async { Ok::<_, Failure>(Bytes::from("a")) }).chain(stream::pending());
        let body = paced(Body::from_stream(stalled), &limits, &context);
        let error = axum::body::to_bytes(body, 100).await.unwrap_err();
        assert!(is_slow(&error));
    }

    #[tokio::test]
    async fn a_trickle_ends_it() {
        let (context, clock) = context();
        let trickle = stream::iter(0..100).map(move |_| {
            clock.0.fetch_add(9, Ordering::SeqCst);
            Ok::<_, Failure>(Bytes::from("a"))
        });
        let body = paced(Body::from_stream(trickle), &Limits::default(), &context);
        let error = axum::body::to_bytes(body, 1_000).await.unwrap_err();
        assert!(is_slow(&error));
    }

    #[tokio::test]
    async fn what_nobody_reads_is_taken_in_up_to_a_bound() {
        for (pieces, taken) in [(4usize, 4usize), (1_000, 17)] {
            let (context, _) = context();
            let (report, mut seen) = tokio::sync::mpsc::unbounded_channel();
            let source = stream::iter(0..pieces).map(move |_| {
                let _ = report.send(());
                Ok::<_, Failure>(Bytes::from(vec![0; 4_096]))
            });
            drop(paced(Body::from_stream(source), &Limits::default(), &context));
            let mut count = 0;
            while seen.recv().await.is_some() {
                count += 1;
            }
            assert_eq!(count, taken);
        }
    }
}
