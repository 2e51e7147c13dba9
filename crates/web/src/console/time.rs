//! Times as people read them. The exact instant stands beside each, in the `datetime` of its element.

use std::fmt;

use base::{Duration, Timestamp};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant, seen from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(crate) const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }
    /// `2026-11-27T08:00:00.000000Z`.
    pub(crate) fn exact(&self) -> String {
        self.at.to_string()
    }
    /// `27 Nov 2026, 08:00 UTC`.
    pub(crate) fn plain(&self) -> String {
        let (day, clock) = (day(self.at), self.at.to_string());
        let clock = clock.get(11..16).unwrap_or_default();
        format!("{day}, {clock} UTC")
    }
}

impl fmt::Display for When {
    /// `3 minutes ago`, `in 2 days`, or the day if that is far away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.at.micros() - self.now.micros()) / 1_000_000;
        let (size, is_past) = (seconds.abs(), seconds <= 0);
        if size < 45 {
            return f.write_str("just now");
        }
        if size > 45 * DAY {
            return f.write_str(&day(self.at));
        }
        let span = span(Duration::from_seconds(size));
        if is_past { write!(f, "{span} ago") } else { write!(f, "in {span}") }
    }
}

/// `27 Nov 2026`.
pub(crate) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|one| MONTHS.get(one.wrapping_sub(1)));
    format!("{} {} {}", part(8, 10).trim_start_matches('0'), month.unwrap_or(&""), part(0, 4))
}

/// `3 minutes`: rounded, in the unit that tells most.
pub(crate) fn span(of: Duration) -> String {
    let seconds = of.seconds().abs();
    let (unit, word) = match seconds {
        ..MINUTE => (1, "second"),
        MINUTE..HOUR => (MINUTE, "minute"),
        HOUR..DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    let count = (seconds + unit / 2) / unit;
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_people_say_them() {
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().unwrap();
        let said = |seconds: i64| When::new(now.plus(Duration::from_seconds(seconds)), now).to_string();
        assert_eq!(said(0), "just now");
        assert_eq!(said(-60), "1 minute ago");
        assert_eq!(said(-3_600 * 5), "5 hours ago");
        assert_eq!(said(86_400 * 3), "in 3 days");
        assert_eq!(said(-86_400 * 60), "28 Sep 2026");
        assert_eq!(When::new(now, now).plain(), "27 Nov 2026, 08:00 UTC");
    }
}
