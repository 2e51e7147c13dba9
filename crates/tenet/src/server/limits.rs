//! The limits of a server, as they are configured.

use web::{Limits, Rate};

use crate::config::Config;

/// What a client may do, and how much at once.
pub(super) fn of(config: &Config) -> Limits {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let set = &config.limits;
    let (rate, burst) = (set.requests_per_second.value, set.request_burst.value);
    let (sign_ins, at_once) = (set.sign_ins_per_second.value, set.sign_in_burst.value);
    Limits {
        drain: config.server.drain.value,
        connections_per_address: count(set.connections_per_address.value),
        requests_per_caller: count(set.requests_at_once.value),
        client_rate: Rate::new(small(rate), small(burst)),
        sign_in_rate: Rate::new(small(sign_ins), small(at_once)),
        ..Limits::default()
    }
}

/// How many failed sign-ins of one address are told and recorded one by one.
pub(super) fn of_failures(config: &Config) -> access::ThrottleLimits {
    let burst = u32::try_from(config.limits.sign_in_failure_burst.value).unwrap_or(u32::MAX);
    let per_minute = i64::try_from(config.limits.sign_in_failures_per_minute.value).unwrap_or(i64::MAX);
    let interval = base::Duration::from_micros(60_000_000 / per_minute.max(1));
    access::ThrottleLimits { address: access::Limit { burst, interval }, ..access::ThrottleLimits::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_held_to() {
        let mut config = Config::default();
        config.limits.sign_ins_per_second.value = 7;
        config.limits.sign_in_burst.value = 9;
        config.limits.requests_at_once.value = 3;
        config.limits.connections_per_address.value = 5;
        config.limits.sign_in_failures_per_minute.value = 120;
        config.limits.sign_in_failure_burst.value = 4;
        let set = of(&config);
        assert_eq!(set.sign_in_rate, Rate::new(7, 9));
        assert_eq!((set.requests_per_caller, set.connections_per_address), (3, 5));
        let failures = of_failures(&config).address;
        assert_eq!((failures.burst, failures.interval), (4, base::Duration::from_millis(500)));
    }
}
