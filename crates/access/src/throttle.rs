//! Failed sign-ins, counted per client at an address, per client, and per address, in memory that
//! never grows. Each limit is a generic cell rate algorithm (ITU-T I.371): one instant per cell. Keys are
//! hashed, under a key of this process, into two rows of cells; a key is over its limit when both
//! its cells are, so that two keys that share one cell don't hurt each other.
//!
//! A limit is asked only about what has failed already: the proof is looked at first, and a right one
//! passes whatever was counted. So nobody can lock anybody out by failing on purpose under their id or
//! beside them. Nor is guessing the threat: secrets have 256 random bits. What the limits hold down is the
//! events that failures leave, and they tell a client in a loop to stop. The work of looking at proofs is
//! bounded before this, by the rate of sign-ins per address that `web` keeps.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicI64, Ordering},
};

use base::{Actor, Duration, Timestamp};

/// Cells in a row; two rows of 8-byte cells for each limit, and as many for what was reported.
const CELLS: usize = 8_192;

/// A limit: so many failures at once, and one more each `interval`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Failures that may come at once.
    pub burst: u32,
    /// The time in which one failure is forgiven.
    pub interval: Duration,
}

/// The limits on failed sign-ins.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleLimits {
    /// Per client or operator and address: 10 at once, then one each 6 seconds.
    pub pair: Limit,
    /// Per client or operator, from anywhere: 200 at once, then one each 300 milliseconds.
    pub subject: Limit,
    /// Per address (an IPv6 address by its /64): 60 at once, then one each second.
    pub address: Limit,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            pair: Limit { burst: 10, interval: Duration::from_seconds(6) },
            subject: Limit { burst: 200, interval: Duration::from_millis(300) },
            address: Limit { burst: 60, interval: Duration::from_seconds(1) },
        }
    }
}

/// Over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// How long until another failure is told and recorded as such.
    pub retry_after: Duration,
    /// Whether this is the first refusal of a while, to be recorded: one event each minute and
    /// key, lest whoever floods us fills the log too.
    pub report: bool,
}

/// Counts failures.
#[derive(Debug)]
pub(crate) struct Throttle {
    limits: ThrottleLimits,
    pair: Cells,
    subject: Cells,
    address: Cells,
    reported: Cells,
    hasher: RandomState,
}

/// How often a key that stays over its limit is reported.
const REPORT_INTERVAL: Duration = Duration::from_seconds(60);

impl Throttle {
    pub(crate) fn new(limits: ThrottleLimits) -> Self {
        let cells = Cells::new;
        Self {
            limits,
            pair: cells(),
            subject: cells(),
            address: cells(),
            reported: cells(),
            hasher: RandomState::new(),
        }
    }

    /// Whether one more failure of `subject` from `address` at `now` is within the limits.
    pub(crate) fn check(
        &self,
        subject: Actor,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Throttled> {
        let mut wait = None;
        self.each(subject, address, |cells, hash, limit| {
            wait = wait.max(cells.wait(hash, limit, now));
        });
        let Some(retry_after) = wait else { return Ok(()) };
        let hash = self.hash(&("report", subject, address.map(network)));
        let once = Limit { burst: 1, interval: REPORT_INTERVAL };
        let report = self.reported.wait(hash, once, now).is_none();
        if report {
            self.reported.add(hash, once, now);
        }
        Err(Throttled { retry_after, report })
    }

    /// Counts a failure of `subject` from `address`.
    pub(crate) fn fail(&self, subject: Actor, address: Option<IpAddr>, now: Timestamp) {
        self.each(subject, address, |cells, hash, limit| cells.add(hash, limit, now));
    }

    fn each(&self, subject: Actor, address: Option<IpAddr>, mut visit: impl FnMut(&Cells, u64, Limit)) {
        let network = address.map(network);
        if subject != Actor::Anonymous {
            visit(&self.pair, self.hash(&("pair", subject, network)), self.limits.pair);
            visit(&self.subject, self.hash(&("subject", subject)), self.limits.subject);
        }
        if let Some(network) = network {
            visit(&self.address, self.hash(&("address", network)), self.limits.address);
        }
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// The part of an address that one party holds: an IPv6 subscriber has at least a /64 (RFC 6177).
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

/// Two rows of cells. A cell is the instant, in microseconds, at which its failures are all forgiven.
#[derive(Debug)]
struct Cells {
    rows: [Box<[AtomicI64]>; 2],
}

impl Cells {
    fn new() -> Self {
        let row = || (0..CELLS).map(|_| AtomicI64::new(i64::MIN)).collect();
        Self { rows: [row(), row()] }
    }

    fn of(&self, hash: u64) -> impl Iterator<Item = &AtomicI64> {
        let places = [hash as u32, (hash >> 32) as u32];
        self.rows.iter().zip(places).filter_map(|(row, place)| row.get(place as usize % CELLS))
    }

    /// How long until one more failure fits under the limit; `None` if it fits now.
    fn wait(&self, hash: u64, limit: Limit, now: Timestamp) -> Option<Duration> {
        let forgiven = self.of(hash).map(|cell| cell.load(Ordering::Relaxed)).min()?;
        let tolerance = limit.interval.micros().saturating_mul(i64::from(limit.burst.max(1) - 1));
        let earliest = forgiven.saturating_sub(tolerance);
        (earliest > now.micros()).then(|| Timestamp::from_micros(earliest).since(now))
    }

    /// Adds a failure. Never later than a full burst from now, so that a limit that is hit is
    /// lifted in bounded time however many failures came.
    fn add(&self, hash: u64, limit: Limit, now: Timestamp) {
        let interval = limit.interval.micros();
        let latest = now.micros().saturating_add(interval.saturating_mul(i64::from(limit.burst.max(1))));
        for cell in self.of(hash) {
            let next = |forgiven: i64| forgiven.max(now.micros()).saturating_add(interval).min(latest);
            // Always `Some`, so this can't fail; relaxed, since a cell stands for nothing but itself.
            let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |forgiven| Some(next(forgiven)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ClientId;
    use proptest::prelude::*;

    fn client(n: u8) -> Actor {
        Actor::Client(ClientId::from_bytes([n; 16]))
    }
    fn peer(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn the_eleventh_failure_is_refused_and_one_is_forgiven_each_six_seconds() {
        let throttle = Throttle::new(ThrottleLimits::default());
        for _ in 0..10 {
            assert_eq!(throttle.check(client(1), peer(1), at(0)), Ok(()));
            throttle.fail(client(1), peer(1), at(0));
        }
        let refused = throttle.check(client(1), peer(1), at(0)).unwrap_err();
        assert_eq!(refused, Throttled { retry_after: Duration::from_seconds(6), report: true });
        assert!(!throttle.check(client(1), peer(1), at(1)).unwrap_err().report, "reported once a minute");
        assert_eq!(throttle.check(client(1), peer(1), at(6)), Ok(()));
        throttle.fail(client(1), peer(1), at(6));
        assert!(throttle.check(client(1), peer(1), at(6)).is_err());
        assert_eq!(throttle.check(client(1), peer(2), at(6)), Ok(()), "another address of the same client");
        assert_eq!(throttle.check(client(2), peer(1), at(6)), Ok(()), "another client at the same address");
    }

    #[test]
    fn an_address_is_limited_over_all_clients_and_an_ipv6_one_by_its_network() {
        let throttle = Throttle::new(ThrottleLimits::default());
        let host = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        for n in 0..60u8 {
            throttle.fail(client(n), host(u16::from(n)), at(0));
        }
        assert!(throttle.check(client(99), host(99), at(0)).is_err());
        let elsewhere = Some(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]));
        assert_eq!(throttle.check(client(99), elsewhere, at(0)), Ok(()));
        assert!(throttle.check(Actor::Anonymous, host(1), at(0)).is_err());
    }

    #[test]
    fn a_client_is_limited_over_all_addresses() {
        let throttle = Throttle::new(ThrottleLimits::default());
        for n in 0..200u8 {
            throttle.fail(client(1), peer(n), at(0));
        }
        assert!(throttle.check(client(1), peer(250), at(0)).is_err());
        assert_eq!(throttle.check(client(2), peer(250), at(0)), Ok(()));
    }

    #[test]
    fn a_limit_is_lifted_in_bounded_time_however_many_failed() {
        let throttle = Throttle::new(ThrottleLimits::default());
        for _ in 0..10_000 {
            throttle.fail(client(1), peer(1), at(0));
        }
        let wait = throttle.check(client(1), peer(1), at(0)).unwrap_err().retry_after;
        assert!(wait <= Duration::from_seconds(6), "{wait:?}");
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_the_same() {
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
        assert_ne!(network("192.0.2.1".parse().unwrap()), network("192.0.2.2".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_wait_is_bounded_at_any_time(times in proptest::collection::vec(0i64..10_000, 1..400), now in 10_000i64..20_000) {
            let throttle = Throttle::new(ThrottleLimits::default());
            for time in &times {
                throttle.fail(client(1), peer(1), at(*time));
            }
            if let Err(throttled) = throttle.check(client(1), peer(1), at(now)) {
                prop_assert!(throttled.retry_after <= Duration::from_seconds(6));
            }
            prop_assert_eq!(throttle.check(client(1), peer(1), at(now + 6)), Ok(()));
        }

        #[test]
        fn any_instant_is_taken_without_panic(time: i64, interval: i64, burst: u32) {
            let cells = Cells::new();
            let limit = Limit { burst, interval: Duration::from_micros(interval) };
            cells.add(1, limit, Timestamp::from_micros(time));
            let _ = cells.wait(1, limit, Timestamp::from_micros(time));
        }
    }
}
