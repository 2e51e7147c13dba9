//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use base::{Clock, Duration, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MovableClock {
    now: AtomicI64,
    elapsed: AtomicI64,
}

impl MovableClock {
    /// Stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.micros()), elapsed: AtomicI64::new(0) }
    }
    /// Time passes.
    pub fn advance(&self, span: Duration) {
        self.now.fetch_add(span.micros(), Ordering::SeqCst);
        self.elapsed.fetch_add(span.micros(), Ordering::SeqCst);
    }
    /// Is set to an instant, be it back: no time passes.
    pub fn set(&self, instant: Timestamp) {
        self.now.store(instant.micros(), Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }
    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::SeqCst))
    }
}
