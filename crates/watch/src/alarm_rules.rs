//! What raises an alarm: which events, how grave they are, what they have in common, how many it takes, and what ends it.
//! An alarm says these words and no others: nothing that an event says of a person or of data is in it.

use base::Duration;
use ledger::{Activity, EventView, OutcomeView};
use serde::{Deserialize, Serialize};

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmSeverity {
    /// Worth knowing of: told once.
    Info,
    /// To be looked at: waits until quiet hours end.
    Warning,
    /// A control is broken: told at any hour, until somebody acknowledges it.
    Critical,
}

impl AlarmSeverity {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|one| one.as_str() == word)
    }
}

/// What events of one alarm have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// That they happen.
    Nothing,
    /// The object: its id, or a name that the platform gave it.
    Object,
    /// Who acted: a typed id.
    Actor,
}

/// How many it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Many {
    pub(crate) count: u64,
    pub(crate) within: Duration,
}

/// What raises an alarm.
#[derive(Debug)]
pub struct AlarmRule {
    /// Its id: it stands in the log.
    pub id: &'static str,
    /// What is wrong, in fixed words.
    pub title: &'static str,
    /// How grave it is.
    pub severity: AlarmSeverity,
    /// The clauses that it touches.
    pub clauses: &'static [&'static str],
    raised_by: &'static [Activity],
    resolved_by: Option<Activity>,
    about: About,
    pub(crate) many: Option<Many>,
}

/// Of a test, which no event raises.
pub(crate) const TEST: &str = "test";
/// That the log takes no more events, which no entry of it can say.
pub(crate) const LOG_STILL: &str = "log-stands-still";
/// Of a finding: its clauses are those of the check.
pub(crate) const FINDING: &str = "finding";
/// That a route fails.
pub(crate) const ROUTE: &str = "route";
/// Most characters of what an alarm is about.
const MAX_ABOUT: usize = 96;

const MINUTES_10: Duration = Duration::from_seconds(600);

const fn rule(
    id: &'static str,
    severity: AlarmSeverity,
    clauses: &'static [&'static str],
    raised_by: &'static [Activity],
    title: &'static str,
) -> AlarmRule {
    let (resolved_by, about, many) = (None, About::Nothing, None);
    AlarmRule { id, title, severity, clauses, raised_by, resolved_by, about, many }
}

impl AlarmRule {
    const fn until(mut self, activity: Activity) -> Self {
        self.resolved_by = Some(activity);
        self
    }
    const fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }
    const fn many(mut self, count: u64, within: Duration) -> Self {
        self.many = Some(Many { count, within });
        self
    }
}

use AlarmSeverity::{Critical, Info, Warning};

/// Every rule.
pub static ALARM_RULES: &[AlarmRule] = &[
    rule(
        "integrity",
        Critical,
        &["CD-2"],
        &[Activity::IntegrityViolation],
        "Stored data is not what was stored",
    ),
    rule(
        "log-fork",
        Critical,
        &["AO-2", "CD-2"],
        &[Activity::LogFork],
        "A witness keeps another past of the log",
    ),
    rule(
        "log-recovered",
        Warning,
        &["AO-2"],
        &[Activity::LogRecover],
        "Lost entries of the log were taken back",
    ),
    rule(
        "log-gap",
        Warning,
        &["AO-1"],
        &[Activity::LogGap],
        "A server's heartbeats left a gap, or its clock was moved",
    ),
    rule(
        "log-unwitnessed",
        Critical,
        &["AO-2"],
        &[Activity::LogUnwitnessed],
        "No quorum of witnesses stands by the log",
    )
    .until(Activity::LogWitnessed),
    rule(LOG_STILL, Critical, &["AO-1", "CD-9"], &[], "The log takes no more events"),
    rule("clock", Warning, &["EL-5"], &[Activity::ClockSkew], "A server's clock is off, or nobody can tell")
        .until(Activity::ClockSync),
    rule(
        "crash",
        Warning,
        &["RR-5"],
        &[Activity::ServerCrashDetected],
        "A server stopped without announcing it",
    ),
    rule("storage-full", Critical, &["RR-5"], &[Activity::StorageFull], "Space ran out: writes are refused")
        .until(Activity::StorageRecover),
    rule("job", Warning, &["RR-5"], &[Activity::JobFail], "A job failed for the last time"),
    rule("key-refused", Critical, &["CD-6"], &[Activity::KeyRefuse], "A use of a key was refused"),
    rule(
        "safeguard",
        Critical,
        &["AO-1"],
        &[Activity::SafeguardWeaken],
        "A safeguard was weakened or switched off",
    )
    .about(About::Object),
    rule(
        "objection",
        Critical,
        &["AO-4"],
        &[Activity::ReviewObject],
        "A second person objects to a privileged act",
    ),
    rule(
        "review-overdue",
        Warning,
        &["AO-4"],
        &[Activity::ReviewOverdue],
        "A privileged act was not reviewed in time",
    ),
    rule(FINDING, Warning, &[], &[Activity::FindingOpen], "A check of the policy failed")
        .about(About::Object)
        .until(Activity::FindingClose),
    rule("sign-ins", Warning, &["CD-8"], &[Activity::AuthFail, Activity::TokenRefuse], "Many sign-ins fail")
        .many(20, MINUTES_10),
    rule("denials", Warning, &["CD-8"], &[Activity::AccessDeny], "Many acts of one caller are denied")
        .about(About::Actor)
        .many(20, MINUTES_10),
    rule(
        "limits",
        Info,
        &["RR-5"],
        &[Activity::LimitExceed],
        "Limits of rate or size are exceeded again and again",
    )
    .many(60, MINUTES_10),
    rule(ROUTE, Critical, &["CD-9"], &[Activity::AlarmUndelivered], "Alarms can't be delivered by a route")
        .about(About::Object)
        .until(Activity::AlarmDeliver),
    rule(TEST, Info, &["CD-9"], &[], "A test: nothing is wrong"),
];

/// The rule of that id.
pub(crate) fn rule_of(id: &str) -> Option<&'static AlarmRule> {
    ALARM_RULES.iter().find(|rule| rule.id == id)
}

/// What an event means for alarms.
pub(crate) struct Meaning {
    pub(crate) rule: &'static AlarmRule,
    pub(crate) about: String,
    /// It raises one; otherwise it ends one.
    pub(crate) raises: bool,
}

/// What an event means for alarms, if anything.
pub(crate) fn meaning(event: &EventView) -> Option<Meaning> {
    let activity = Activity::from_name(&event.activity)?;
    let raising = ALARM_RULES.iter().find(|rule| rule.raised_by.contains(&activity));
    let of = |rule: &'static AlarmRule, raises| Meaning { rule, about: about(rule, event), raises };
    if let Some(rule) = raising {
        return Some(of(rule, true));
    }
    let ended = ALARM_RULES.iter().find(|rule| rule.resolved_by == Some(activity))?;
    (event.outcome == OutcomeView::Success).then(|| of(ended, false))
}

fn about(rule: &AlarmRule, event: &EventView) -> String {
    let text = match rule.about {
        About::Nothing => return "-".to_owned(),
        About::Object => event.object.id.clone(),
        About::Actor => event.actor.to_string(),
    };
    // Names that the platform gave are of these; what is not is not said.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:-".contains(&byte);
    if text.is_empty() || text.len() > MAX_ABOUT || !text.bytes().all(is_plain) {
        return "-".to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_activity_means_one_thing_and_what_ends_an_alarm_raises_none() {
        let ids: BTreeSet<&str> = ALARM_RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), ALARM_RULES.len());
        let raising: Vec<_> = ALARM_RULES.iter().flat_map(|rule| rule.raised_by).collect();
        for (at, one) in raising.iter().enumerate() {
            assert!(!raising[at + 1..].contains(one), "{one} raises two alarms");
        }
        for rule in ALARM_RULES {
            assert!(rule.resolved_by.is_none_or(|one| !raising.contains(&&one)), "{}", rule.id);
            assert!(
                !rule.title.is_empty() && (!rule.clauses.is_empty() || rule.id == FINDING),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn every_activity_of_high_severity_is_an_alarm_or_says_why_not() {
        // An alarm's own events: they are the alarm.
        let own = [Activity::AlarmRaise, Activity::AlarmLapse];
        for activity in Activity::ALL {
            let is_grave = activity.severity().id() >= 4 && !own.contains(activity);
            let raises = ALARM_RULES.iter().any(|rule| rule.raised_by.contains(activity));
            assert!(raises || !is_grave, "{activity} is grave and raises no alarm");
        }
    }
}
