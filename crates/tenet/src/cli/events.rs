//! What the commands on the log's events take.

use base::{AccountId, Context, Duration, Timestamp};
use clap::{Args, ValueEnum};
use ledger::{Activity, EventQuery, MAX_SEARCH_WORDS, OutcomeWord, words};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Which events. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// Not before this: an instant such as 2026-01-31T09:30:00Z, a date, or a span back such as 90m, 24h or 7d
    #[arg(long, value_name = "TIME", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Before this
    #[arg(long, value_name = "TIME", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What was done, such as record.read, or record for everything that is done to records
    #[arg(long, value_name = "NAME", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// Who acted: an id, or client, operator, system or anonymous
    #[arg(long, value_name = "ID|KIND", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// To what: an id, or the word for its kind, such as record
    #[arg(long, value_name = "ID|KIND", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The account in which it happened, or whose the object is
    #[arg(long, value_name = "ACCOUNT", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// How it ended: success, refused or failed
    #[arg(long, value_name = "OUTCOME", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// At least this severity: informational, low, medium, high or critical
    #[arg(long, value_name = "LEVEL", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Words that all stand somewhere in the event
    #[arg(long, value_name = "WORDS", help_heading = "Which events")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Severities, the first being 1.
const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

impl EventFilter {
    /// The query that it means, now.
    pub fn query(&self, context: &Context) -> Result<EventQuery, Failure> {
        let now = context.now();
        let wrong = |option: &str, value: &str, remedy: String| {
            Failure::usage(format!("`--{option} {value}` is not understood")).remedy(remedy)
        };
        let time = |option: &str, given: &Option<String>| match given {
            None => Ok(None),
            Some(text) => match instant(text, now) {
                Some(at) => Ok(Some(at)),
                None => Err(wrong(
                    option,
                    text,
                    "give 2026-01-31T09:30:00Z, 2026-01-31, or a span back: 90m, 24h, 7d".into(),
                )),
            },
        };
        let mut query = EventQuery {
            from: time("since", &self.since)?,
            until: time("until", &self.until)?,
            activity: self.activity.clone(),
            actor: self.actor.clone(),
            object: self.object.clone(),
            account: self.account,
            ..EventQuery::default()
        };
        if let Some(name) = &self.activity {
            let noun = |name: &'static str| name.split_once('.').map_or(name, |(noun, _)| noun);
            if !Activity::ALL.iter().any(|one| one.name() == name || noun(one.name()) == name) {
                let near = Activity::ALL
                    .iter()
                    .map(|one| one.name())
                    .min_by_key(|known| strsim::damerau_levenshtein(known, name));
                return Err(wrong(
                    "activity",
                    name,
                    format!("did you mean `{}`?", near.unwrap_or("record.read")),
                ));
            }
        }
        if let Some(word) = &self.outcome {
            query.outcome = OutcomeWord::from_word(word);
            if query.outcome.is_none() {
                return Err(wrong("outcome", word, "give success, refused or failed".into()));
            }
        }
        if let Some(word) = &self.severity {
            let number =
                (1u8..).zip(SEVERITIES).find(|(number, name)| name == word || number.to_string() == *word);
            let Some((number, _)) = number else {
                return Err(wrong("severity", word, format!("give one of {}", SEVERITIES.join(", "))));
            };
            query.severity = Some(number);
        }
        if let Some(text) = &self.text {
            query.words = words(text);
            if query.words.is_empty() || query.words.len() > MAX_SEARCH_WORDS {
                return Err(wrong("text", text, format!("give 1 to {MAX_SEARCH_WORDS} words")));
            }
        }
        Ok(query)
    }

    /// This, and where it says nothing, the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            since: self.since.or(other.since),
            until: self.until.or(other.until),
            activity: self.activity.or(other.activity),
            actor: self.actor.or(other.actor),
            object: self.object.or(other.object),
            account: self.account.or(other.account),
            outcome: self.outcome.or(other.outcome),
            severity: self.severity.or(other.severity),
            text: self.text.or(other.text),
        }
    }

    /// As somebody would type it.
    pub fn arguments(&self) -> String {
        let all = [
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("activity", self.activity.clone()),
            ("actor", self.actor.clone()),
            ("object", self.object.clone()),
            ("account", self.account.map(|account| account.to_string())),
            ("outcome", self.outcome.clone()),
            ("severity", self.severity.clone()),
            ("text", self.text.clone()),
        ];
        let typed = all.into_iter().filter_map(|(name, value)| {
            let value = value?;
            let plain = value.chars().all(|letter| letter.is_ascii_alphanumeric() || "._:-".contains(letter));
            Some(if plain { format!("--{name} {value}") } else { format!("--{name} '{value}'") })
        });
        typed.collect::<Vec<_>>().join(" ")
    }

    /// The same for a server's API: instants as they are now, all else as it was given. Checked by [`Self::query`].
    pub fn parameters(&self, query: &EventQuery) -> Vec<(&'static str, String)> {
        let times = [("from", query.from), ("until", query.until)];
        let texts = [
            ("activity", self.activity.clone()),
            ("actor", self.actor.clone()),
            ("object", self.object.clone()),
            ("account", self.account.map(|account| account.to_string())),
            ("outcome", self.outcome.clone()),
            ("severity", query.severity.map(|severity| severity.to_string())),
            ("text", self.text.clone()),
        ];
        let times = times.into_iter().filter_map(|(name, at)| Some((name, at?.to_string())));
        times.chain(texts.into_iter().filter_map(|(name, text)| Some((name, text?)))).collect()
    }
}

/// A form for other people's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// One event of OCSF in JSON on each line, byte for byte as in the log
    Ocsf,
    /// Comma-separated values, RFC 4180
    Csv,
    /// Apache Parquet
    Parquet,
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// What operators changed
    Privileged,
    /// What was refused, to whom and why
    Denials,
    /// Who reached customers' records and objects
    AccessByPerson,
    /// Which records and objects were reached, and by whom
    AccessByRecord,
    /// Proofs of identity that failed
    FailedLogins,
    /// What operators did outside working hours
    AfterHours,
}

/// When people work: from one minute of the day up to another, Monday to Friday, in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    from: i64,
    until: i64,
    offset: i64,
}

impl WorkingHours {
    /// Whether an instant lies within them.
    pub fn hold(self, at: Timestamp) -> bool {
        let minutes = at.seconds().div_euclid(60) + self.offset;
        // 1970-01-01 was a Thursday; 0 is Monday here.
        let day = (minutes.div_euclid(1_440) + 3).rem_euclid(7);
        day < 5 && (self.from..self.until).contains(&minutes.rem_euclid(1_440))
    }
}

impl std::str::FromStr for WorkingHours {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give hours and a zone, such as 08:00-18:00+01:00".to_owned();
        let minute = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let digits = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
            let (hours, minutes) = (digits(hours)?, digits(minutes)?);
            (minutes < 60 && hours * 60 + minutes <= 1_440).then_some(i64::from(hours * 60 + minutes))
        };
        let parts = (text.get(..5), text.get(5..6), text.get(6..11), text.get(11..));
        let (Some(from), Some("-"), Some(until), Some(zone)) = parts else { return Err(wrong()) };
        let offset = match zone.split_at_checked(1) {
            None => Some(0),
            Some(("Z", "")) => Some(0),
            Some(("+", zone)) => minute(zone),
            Some(("-", zone)) => minute(zone).map(|minutes| -minutes),
            Some(_) => None,
        };
        let (from, until) = (minute(from).ok_or_else(wrong)?, minute(until).ok_or_else(wrong)?);
        if from >= until {
            return Err(wrong());
        }
        Ok(Self { from, until, offset: offset.ok_or_else(wrong)? })
    }
}

/// An instant, a date (its first moment, UTC), or a span before now.
fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    if text.len() == 10 {
        return format!("{text}T00:00:00Z").parse().ok();
    }
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| (0..=1_000_000).contains(count))?;
    Some(now.minus(Duration::from_seconds(count * seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now = Timestamp::from_seconds(1_767_225_600);
        instant(text, now).map(|at| at.to_string())
    }

    #[test]
    fn times_are_what_people_type() {
        assert_eq!(at("2026-01-31T09:30:00Z").as_deref(), Some("2026-01-31T09:30:00.000000Z"));
        assert_eq!(at("2026-01-31").as_deref(), Some("2026-01-31T00:00:00.000000Z"));
        assert_eq!(at("90m").as_deref(), Some("2025-12-31T22:30:00.000000Z"));
        assert_eq!(at("7d").as_deref(), Some("2025-12-25T00:00:00.000000Z"));
        for wrong in ["", "m", "7", "-7d", "7w", "yesterday", "2026-13-01", "99999999d"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let filter = EventFilter { activity: Some("record.raed".to_owned()), ..EventFilter::default() };
        let failure = filter.query(&Context::system()).unwrap_err();
        assert!(failure.text().contains("record.read"), "{}", failure.text());
        let filter = EventFilter { severity: Some("worst".to_owned()), ..EventFilter::default() };
        assert!(filter.query(&Context::system()).unwrap_err().text().contains("critical"));
        let filter = EventFilter { severity: Some("high".to_owned()), ..EventFilter::default() };
        assert_eq!(filter.query(&Context::system()).unwrap().severity, Some(4));
    }

    #[test]
    fn working_hours_know_days_and_zones() {
        let hours: WorkingHours = "08:00-18:00+01:00".parse().unwrap();
        let at = |text: &str| hours.hold(text.parse().unwrap());
        assert!(at("2026-11-26T07:00:00Z") && at("2026-11-26T16:59:59Z"), "a Thursday");
        assert!(!at("2026-11-26T06:59:59Z") && !at("2026-11-26T17:00:00Z"));
        assert!(!at("2026-11-28T10:00:00Z") && !at("2026-11-29T10:00:00Z"), "a weekend");
        assert!(!at("2026-11-29T22:00:00Z"), "Sunday there too");
        for wrong in
            ["", "8-18", "18:00-08:00", "08:00-18:00+1", "08:00-25:00", "08:00-18:00~01:00", "08:61-18:00"]
        {
            assert!(wrong.parse::<WorkingHours>().is_err(), "{wrong}");
        }
        assert!(
            "00:00-24:00".parse::<WorkingHours>().is_ok() && "08:00-18:00Z".parse::<WorkingHours>().is_ok()
        );
    }
}
