//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use base::{Clock, Duration, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MovableClock(AtomicI64);

impl MovableClock {
    /// Stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.micros()))
    }
    /// Moves forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(span.micros(), Ordering::SeqCst);
    }
    /// Moves to an instant, be it back.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.micros(), Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
