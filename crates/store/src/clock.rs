//! What is known of this server's clock: set by whoever measures it, read by every event that is written (EL-5).

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use crate::Store;

/// Whether the clock is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// Nobody measures it: no servers are configured.
    Unmeasured,
    /// It is within the limit.
    Synchronised,
    /// It is off by more than the limit.
    Skewed,
    /// It is to be measured, and too few servers answered or agreed.
    Unknown,
}

impl ClockState {
    const ALL: [Self; 4] = [Self::Unmeasured, Self::Synchronised, Self::Skewed, Self::Unknown];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unmeasured => "unmeasured",
            Self::Synchronised => "synchronised",
            Self::Skewed => "skewed",
            Self::Unknown => "unknown",
        }
    }
}

/// What was measured last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Whether it is right.
    pub state: ClockState,
    /// By how much the reference is ahead of it, in microseconds; 0 if that is not known.
    pub offset: i64,
}

impl ClockReading {
    /// Whether events are to say that their time is in doubt: where it is to be known and is not right.
    pub const fn is_doubtful(self) -> bool {
        matches!(self.state, ClockState::Skewed | ClockState::Unknown)
    }
}

pub(crate) struct Mark {
    state: AtomicU8,
    offset: AtomicI64,
}

impl Mark {
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU8::new(0), offset: AtomicI64::new(0) }
    }
}

impl Store {
    /// What is known of this server's clock.
    pub fn clock(&self) -> ClockReading {
        let state = usize::from(self.0.clock.state.load(Ordering::Relaxed));
        let state = ClockState::ALL.get(state).copied().unwrap_or(ClockState::Unknown);
        ClockReading { state, offset: self.0.clock.offset.load(Ordering::Relaxed) }
    }

    /// Says what was measured. From now on events are marked, or not.
    pub fn set_clock(&self, reading: ClockReading) {
        let state = ClockState::ALL.iter().position(|one| *one == reading.state);
        self.0.clock.offset.store(reading.offset, Ordering::Relaxed);
        self.0
            .clock
            .state
            .store(state.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX), Ordering::Relaxed);
    }
}
