//! By which routes alarms go, in which steps, and when they keep quiet. What a configuration says; it is not stored.

use base::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::AlarmSeverity;

const MINUTES_A_DAY: i64 = 1_440;
/// How often the last step of a critical alarm is sent again at most.
pub(crate) const MAX_AGAIN: u32 = 10;
/// The wait after a step, where no steps are configured.
const DEFAULT_WAIT: Duration = Duration::from_seconds(1_800);

/// A route, as it is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRoute {
    /// Its name: it stands in the log.
    pub name: String,
    /// Which kind of receiver: `smtp`, `slack`, `matrix`, `sms`, `pagerduty`.
    pub kind: String,
}

/// A step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmStep {
    /// The routes that it goes by.
    pub routes: Vec<String>,
    /// How long it is waited for an acknowledgement before the next step.
    pub wait: Duration,
}

/// Hours in which only what is critical is told: from minute to minute of the day, at an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The first minute of the day.
    pub from: u16,
    /// The first minute that is not quiet any more; before `from` if it is of the next day.
    pub until: u16,
    /// Minutes ahead of UTC.
    pub offset: i16,
}

impl QuietHours {
    /// When they end, if it is quiet then.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let minutes = now.seconds().div_euclid(60);
        let minute = (minutes + i64::from(self.offset)).rem_euclid(MINUTES_A_DAY);
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        let is_quiet =
            if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until };
        let left = (until - minute).rem_euclid(MINUTES_A_DAY);
        is_quiet.then(|| Timestamp::from_seconds((minutes + left) * 60))
    }
}

/// How alarms go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmPlan {
    /// The routes, in the order in which one stands in for another.
    pub routes: Vec<AlarmRoute>,
    /// The steps; none means one with every route.
    pub steps: Vec<AlarmStep>,
    /// Quiet hours, if there are any.
    pub quiet: Option<QuietHours>,
    /// How often a test alarm is sent.
    pub test_every: Duration,
    /// Where this server is found: stands in messages.
    pub server: String,
}

impl Default for AlarmPlan {
    fn default() -> Self {
        let test_every = Duration::from_days(1);
        Self { routes: Vec::new(), steps: Vec::new(), quiet: None, test_every, server: String::new() }
    }
}

impl AlarmPlan {
    /// When a message is due that is made now.
    pub(crate) fn due(&self, severity: AlarmSeverity, now: Timestamp) -> Timestamp {
        let quiet = self.quiet.filter(|_| severity < AlarmSeverity::Critical);
        quiet.and_then(|quiet| quiet.end(now)).unwrap_or(now)
    }

    /// The routes of a step, from 0, and after which wait the next one is due, if there is one. The last step of a critical
    /// alarm comes again.
    pub(crate) fn step(&self, severity: AlarmSeverity, number: u32) -> Option<(Vec<&str>, Option<Duration>)> {
        let count = u32::try_from(self.steps.len().max(1)).unwrap_or(u32::MAX);
        let last = match severity {
            AlarmSeverity::Critical => count - 1 + MAX_AGAIN,
            AlarmSeverity::Warning => count - 1,
            AlarmSeverity::Info => 0,
        };
        if number > last {
            return None;
        }
        let known = |name: &&str| self.routes.iter().any(|route| route.name == **name);
        let (routes, wait) = match self.steps.get(number.min(count - 1) as usize) {
            Some(step) => (step.routes.iter().map(String::as_str).filter(known).collect(), step.wait),
            None => (self.routes.iter().map(|route| route.name.as_str()).collect(), DEFAULT_WAIT),
        };
        Some((routes, (number < last).then_some(wait)))
    }

    /// The routes that stand in for one that fails, nearest first.
    pub(crate) fn instead_of(&self, route: &str) -> impl Iterator<Item = &str> {
        let at = self.routes.iter().position(|one| one.name == route).map_or(0, |at| at + 1);
        let (before, after) = self.routes.split_at(at.min(self.routes.len()));
        after.iter().chain(before).map(|one| one.name.as_str()).filter(move |one| *one != route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_hours_are_by_the_clock_on_the_wall() {
        let night = QuietHours { from: 22 * 60, until: 7 * 60, offset: 60 };
        for (now, end) in [
            ("2026-11-27T20:59:59Z", None),
            ("2026-11-27T21:00:00Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-27T23:30:12Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-28T05:59:59Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-28T06:00:00Z", None),
        ] {
            assert_eq!(night.end(at(now)), end.map(at), "{now}");
        }
        let noon = QuietHours { from: 12 * 60, until: 13 * 60, offset: -330 };
        assert_eq!(noon.end(at("2026-11-27T17:30:00Z")), Some(at("2026-11-27T18:30:00Z")));
        assert_eq!(noon.end(at("2026-11-27T18:30:00Z")), None);
        // What is critical does not wait.
        let plan = AlarmPlan { quiet: Some(night), ..AlarmPlan::default() };
        let now = at("2026-11-27T23:00:00Z");
        assert_eq!(plan.due(AlarmSeverity::Critical, now), now);
        assert!(plan.due(AlarmSeverity::Warning, now) > now);
    }

    #[test]
    fn steps_follow_one_another_and_the_last_of_what_is_critical_comes_again() {
        let route = |name: &str| AlarmRoute { name: name.into(), kind: "slack".into() };
        let step = |name: &str| AlarmStep { routes: vec![name.into()], wait: Duration::from_seconds(900) };
        let (routes, steps) = (vec![route("a"), route("b"), route("c")], vec![step("a"), step("b")]);
        let plan = AlarmPlan { routes, steps, ..AlarmPlan::default() };
        let wait = Some(Duration::from_seconds(900));
        assert_eq!(plan.step(AlarmSeverity::Warning, 0), Some((vec!["a"], wait)));
        assert_eq!(plan.step(AlarmSeverity::Warning, 1), Some((vec!["b"], None)));
        assert_eq!(plan.step(AlarmSeverity::Warning, 2), None);
        assert_eq!(plan.step(AlarmSeverity::Info, 0), Some((vec!["a"], None)));
        assert_eq!(plan.step(AlarmSeverity::Critical, 7), Some((vec!["b"], wait)));
        assert_eq!(plan.step(AlarmSeverity::Critical, 11), Some((vec!["b"], None)));
        assert_eq!(plan.step(AlarmSeverity::Critical, 12), None);
        assert_eq!(plan.instead_of("b").collect::<Vec<_>>(), ["c", "a"]);
        let plain = AlarmPlan { steps: Vec::new(), ..plan };
        assert_eq!(plain.step(AlarmSeverity::Warning, 0), Some((vec!["a", "b", "c"], None)));
    }
}
