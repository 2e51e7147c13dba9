//! A connection's bytes under watch: one on which nothing is asked for, or whose peer takes nothing, is
//! ended. HTTP/1.1 has a limit of its own for the first; HTTP/2 has none, and a peer that answers pings would
//! keep its place for ever.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use base::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What a connection has in hand.
#[derive(Clone, Default)]
pub(crate) struct Work(Arc<Mutex<Count>>);

#[derive(Clone, Copy, Default)]
struct Count {
    in_hand: usize,
    /// Goes up whenever something begins or ends: that it stayed the same shows that nothing was done.
    changes: u64,
}

impl Work {
    /// Something that the connection does, until it is dropped.
    pub(crate) fn begin(&self) -> Busy {
        let mut count = self.count();
        count.in_hand = count.in_hand.saturating_add(1);
        count.changes = count.changes.wrapping_add(1);
        drop(count);
        Busy(self.clone())
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that a connection has in hand.
pub(crate) struct Busy(Work);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.in_hand = count.in_hand.saturating_sub(1);
        count.changes = count.changes.wrapping_add(1);
    }
}

/// A stream under watch.
pub(crate) struct Watched<S> {
    stream: S,
    work: Work,
    idle: std::time::Duration,
    stall: std::time::Duration,
    /// Runs while nothing is in hand, and the number of changes when it was set.
    idling: Option<(Pin<Box<Sleep>>, u64)>,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// The stream ends after `idle` without anything in hand, and fails when nothing of what is written is
    /// taken for `stall`.
    pub(crate) fn new(stream: S, work: Work, idle: Duration, stall: Duration) -> Self {
        Self { stream, work, idle: idle.into(), stall: stall.into(), idling: None, stalled: None }
    }

    /// Ready once nothing has been in hand for too long. Looked at before each read, so that a peer that
    /// sends pings without pause is ended like one that is silent.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Count { in_hand, changes } = *self.work.count();
            let same = self.idling.as_ref().is_some_and(|(_, seen)| *seen == changes);
            if !same {
                self.idling = Some((Box::pin(sleep(self.idle)), changes));
            }
            let Some((timer, _)) = &mut self.idling else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            if in_hand == 0 && same {
                return Poll::Ready(());
            }
            self.idling = None;
        }
    }

    /// What a write came to: an error once it has waited too long.
    fn written<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall = self.stall;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    /// An idle connection reads as one whose peer has closed it: it is ended in good order.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_idle(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(outcome, cx)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        // A flush that is done says nothing of a write that waits.
        if outcome.is_ready() { outcome } else { this.written(outcome, cx) }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.written(outcome, cx)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.written(outcome, cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LONG: Duration = Duration::from_seconds(3_600);
    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_connection_with_nothing_in_hand_ends() {
        let (near, mut far) = duplex(64);
        let mut watched = Watched::new(near, Work::default(), SHORT, LONG);
        assert_eq!(watched.read(&mut [0; 8]).await.unwrap(), 0);
        // What the peer sends without asking for anything does not keep it.
        far.write_all(b"ping").await.unwrap();
        assert_eq!(watched.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn one_with_a_request_in_hand_does_not_until_it_is_done() {
        let (near, _far) = duplex(64);
        let work = Work::default();
        let busy = work.begin();
        let mut watched = Watched::new(near, work, SHORT, LONG);
        for _ in 0..2 {
            let mut bytes = [0; 8];
            let waited = tokio::time::timeout(SHORT.into(), watched.read(&mut bytes));
            assert!(waited.await.is_err(), "ended with a request in hand");
        }
        drop(busy);
        assert_eq!(watched.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_write_that_nobody_takes_fails() {
        let (near, mut far) = duplex(4);
        let mut watched = Watched::new(near, Work::default(), LONG, SHORT);
        watched.write_all(b"abcd").await.unwrap();
        let error = watched.write_all(b"efgh").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        far.read_exact(&mut [0; 4]).await.unwrap();
        watched.write_all(b"efgh").await.unwrap();
    }
}
