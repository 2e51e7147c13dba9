//! Rates per caller. Memory is bounded: callers beyond the number that is kept apart share one rate, so
//! that a flood of addresses slows itself and nobody who is known already.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use base::Context;
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{
        InMemoryState, NotKeyed, StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};

use crate::limits::Rate;

/// Rates of callers that are told apart by `K`.
pub(crate) struct Throttle<K: Hash + Eq + Clone> {
    known: RateLimiter<K, Kept<K>, ContextClock, NoOpMiddleware<std::time::Duration>>,
    kept: Kept<K>,
    others: RateLimiter<NotKeyed, InMemoryState, ContextClock, NoOpMiddleware<std::time::Duration>>,
    clock: ContextClock,
    most: usize,
    sweeps: std::sync::atomic::AtomicU32,
}

/// Between two looks for callers that can be forgotten, when all places are taken: so many requests.
const SWEEP_EVERY: u32 = 1_024;

impl<K: Hash + Eq + Clone> Throttle<K> {
    pub(crate) fn new(rate: Rate, most: usize, context: Context) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let clock = ContextClock(context);
        let kept = Kept(Arc::default());
        Self {
            known: RateLimiter::new(quota, kept.clone(), clock.clone()),
            kept,
            others: RateLimiter::new(quota, InMemoryState::default(), clock.clone()),
            clock,
            most,
            sweeps: std::sync::atomic::AtomicU32::new(0),
        }
    }

    /// Counts one request of a caller. When it is one too many: in how many whole seconds to try again.
    pub(crate) fn admit(&self, caller: &K) -> Result<(), u32> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.known.len() >= self.most && self.sweeps.fetch_add(1, Relaxed).is_multiple_of(SWEEP_EVERY) {
            self.known.retain_recent();
        }
        // Whoever has a rate of their own keeps it while the table is full: strangers share the one that is left.
        let own = self.kept.0.contains_key(caller) || self.known.len() < self.most;
        let verdict = if own { self.known.check_key(caller) } else { self.others.check() };
        verdict.map_err(|until| self.seconds(&until))
    }

    fn seconds(&self, until: &NotUntil<std::time::Duration>) -> u32 {
        let wait = until.wait_time_from(self.clock.now());
        u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// The table of rates, held by the limiter and looked into beside it: the limiter itself has no way to ask
/// whether it knows somebody without getting to know them.
struct Kept<K: Hash + Eq + Clone>(Arc<DashMapStateStore<K>>);

impl<K: Hash + Eq + Clone> Clone for Kept<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq + Clone> StateStore for Kept<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Kept<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&*self.0, drop_below);
    }
    fn len(&self) -> usize {
        ShrinkableKeyedStateStore::len(&*self.0)
    }
    fn is_empty(&self) -> bool {
        ShrinkableKeyedStateStore::is_empty(&*self.0)
    }
}

/// The part of a peer's address that one party controls: an IPv6 network of 64 bits counts as one.
pub(crate) fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// The clock of the context, for the limiter: time since 1970.
#[derive(Clone)]
struct ContextClock(Context);

impl Clock for ContextClock {
    type Instant = std::time::Duration;

    fn now(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.now().micros().max(0).unsigned_abs())
    }
}

const _: fn() = || {
    fn is_reference<T: Reference>() {}
    is_reference::<std::time::Duration>();
};

#[cfg(test)]
mod tests {
    use super::*;
    use base::{SystemEntropy, Timestamp};
    use std::sync::atomic::{AtomicI64, Ordering};

    #[derive(Default)]
    struct Moved(AtomicI64);
    impl base::Clock for Moved {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_000_000 + self.0.load(Ordering::SeqCst))
        }
    }

    fn throttle(rate: Rate, most: usize) -> (Throttle<u8>, Arc<Moved>) {
        let clock = Arc::new(Moved::default());
        (Throttle::new(rate, most, Context::new(clock.clone(), Arc::new(SystemEntropy))), clock)
    }

    #[test]
    fn a_caller_waits_and_another_does_not() {
        let (throttle, clock) = throttle(Rate::new(1, 2), 8);
        assert_eq!([throttle.admit(&1), throttle.admit(&1)], [Ok(()), Ok(())]);
        let seconds = throttle.admit(&1).unwrap_err();
        assert!((1..=2).contains(&seconds));
        assert_eq!(throttle.admit(&2), Ok(()));
        clock.0.store(i64::from(seconds), Ordering::SeqCst);
        assert_eq!(throttle.admit(&1), Ok(()));
    }

    #[test]
    fn callers_beyond_the_bound_share_one_rate() {
        let (throttle, clock) = throttle(Rate::new(1, 1), 4);
        for caller in 0..4 {
            assert_eq!(throttle.admit(&caller), Ok(()));
        }
        assert_eq!(throttle.admit(&10), Ok(()));
        assert!(throttle.admit(&11).is_err());
        assert_eq!(throttle.known.len(), 4);
        clock.0.store(3_600, Ordering::SeqCst);
        for _ in 0..SWEEP_EVERY {
            let _ = throttle.admit(&12);
        }
        assert!(throttle.known.len() < 4);
    }

    #[test]
    fn a_known_caller_keeps_its_rate_when_the_table_is_full() {
        let (throttle, _clock) = throttle(Rate::new(1, 2), 2);
        assert_eq!([throttle.admit(&1), throttle.admit(&2)], [Ok(()), Ok(())]);
        for stranger in 10..20 {
            let _ = throttle.admit(&stranger);
        }
        assert!(throttle.admit(&20).is_err(), "strangers have used up what they share");
        assert_eq!([throttle.admit(&1), throttle.admit(&2)], [Ok(()), Ok(())], "and nobody else's");
        assert!(throttle.admit(&1).is_err(), "which is bounded too");
    }

    #[test]
    fn a_network_counts_as_one_party() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(party(parse("2001:db8::1")), party(parse("2001:db8::ffff:2")));
        assert_ne!(party(parse("2001:db8::1")), party(parse("2001:db8:0:1::1")));
        assert_eq!(party(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
