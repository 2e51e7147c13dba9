//! The clock of a told history: it starts weeks ago, and stands still until the teller moves it. Nothing but the filling
//! of a demonstration is made with it; a server that serves has the machine's.

use std::sync::atomic::{AtomicI64, Ordering};

use base::{Clock, Duration, Timestamp};

/// Goes forward alone, and only when it is told to. No time passes that it does not show: what it says to have elapsed
/// is what lies between its start and its now.
#[derive(Debug)]
pub(crate) struct ScriptedClock {
    start: Timestamp,
    now: AtomicI64,
}

impl ScriptedClock {
    /// Stands at `start`.
    pub(crate) fn at(start: Timestamp) -> Self {
        Self { start, now: AtomicI64::new(start.micros()) }
    }
    /// Goes on to an instant; stays where it is if that has passed.
    pub(crate) fn reach(&self, instant: Timestamp) {
        self.now.fetch_max(instant.micros(), Ordering::SeqCst);
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }
    fn elapsed(&self) -> Duration {
        self.now().since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward_alone_and_so_does_what_elapsed() {
        let start = Timestamp::from_seconds(1_000);
        let clock = ScriptedClock::at(start);
        assert_eq!((clock.now(), clock.elapsed()), (start, Duration::from_micros(0)));
        clock.reach(Timestamp::from_seconds(1_060));
        clock.reach(Timestamp::from_seconds(1_030));
        assert_eq!(clock.now(), Timestamp::from_seconds(1_060));
        assert_eq!(clock.elapsed(), Duration::from_seconds(60));
    }
}
