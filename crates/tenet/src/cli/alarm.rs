//! `tenet alarm`: what is wrong, who was told, who has taken it on.

use base::{AlarmId, Timestamp};
use clap::Subcommand;

/// From now: a span such as 4h, or an instant.
fn span_or_instant(text: &str) -> Result<Until, String> {
    if let Ok(at) = text.parse() {
        return Ok(Until::At(at));
    }
    let length = |unit| match unit {
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let unit = text.chars().next_back();
    let number = unit.and_then(|unit| text.strip_suffix(unit)).and_then(|digits| digits.parse::<u32>().ok());
    let seconds = unit.and_then(length).zip(number).map(|(length, number)| i64::from(number) * length);
    seconds.map(|seconds| Until::In(base::Duration::from_seconds(seconds))).ok_or_else(|| {
        "expected a span such as 30m, 4h or 2d, or an instant such as 2026-11-30T09:00:00Z".to_owned()
    })
}

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So long from now.
    In(base::Duration),
    /// Then.
    At(Timestamp),
}

/// `tenet alarm`.
#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// List alarms, the newest first
    #[command(after_help = "\
Examples:
  tenet alarm list
  tenet alarm list --all --limit 1000 --json
  tenet alarm list --json | jq -r '.[] | select(.severity == \"critical\") | .id'")]
    List {
        /// Those that are over too, and tests
        #[arg(long)]
        all: bool,
        /// Most that are listed
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show an alarm, and what became of each message about it
    #[command(after_help = "\
Examples:
  tenet alarm show alm_01j...
  tenet alarm show alm_01j... --json | jq '.deliveries[] | select(.state == \"failed\")'

`entry` is the entry of the log that raised it: `tenet log show` opens it.")]
    Show {
        /// The alarm
        alarm: AlarmId,
    },
    /// Take an alarm on: it is not told again until then
    #[command(after_help = "\
Examples:
  tenet alarm acknowledge alm_01j... --reason 'the disk is being replaced' --for 4h
  tenet alarm acknowledge alm_01j... --reason 'known' --for 2026-11-30T09:00:00Z

What happens again meanwhile raises its count. If it stands when the time is over, it alarms again.")]
    Acknowledge {
        /// The alarm
        alarm: AlarmId,
        /// Why, or what you do, in one line. It goes into the log: no personal data
        #[arg(long)]
        reason: String,
        /// For how long, or until when; at most 30 days
        #[arg(long = "for", value_name = "SPAN|WHEN", default_value = "1h", value_parser = span_or_instant)]
        until: Until,
    },
    /// End an alarm: what was wrong is not any more
    #[command(after_help = "\
Examples:
  tenet alarm resolve alm_01j... --reason 'the disk was replaced'

If it happens again, that is another alarm. Some end by themselves: a check that passes again, a
clock that is right again, a quorum that is back.")]
    Resolve {
        /// The alarm
        alarm: AlarmId,
        /// Why, in one line. It goes into the log: no personal data
        #[arg(long)]
        reason: String,
    },
    /// Send a test by every route, and wait until each took it or did not
    #[command(after_help = "\
Examples:
  tenet alarm test
  tenet alarm test --json | jq -r '.deliveries[] | select(.state != \"done\") | .route'")]
    Test,
    /// List the routes by which alarms go, and how they do
    #[command(after_help = "\
Examples:
  tenet alarm routes
  tenet alarm routes --json | jq -r '.[] | select(.waiting > 0) | .name'

They are configured: `alarms.route` and `alarms.step` in tenet.toml, see docs/alarms.md.")]
    Routes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_for_a_while_or_until_then() {
        let span = |seconds| Ok(Until::In(base::Duration::from_seconds(seconds)));
        assert_eq!(span_or_instant("30m"), span(1_800));
        assert_eq!(span_or_instant("2d"), span(172_800));
        let at = "2026-11-30T09:00:00Z";
        assert_eq!(span_or_instant(at), Ok(Until::At(at.parse().unwrap())));
        for wrong in ["", "m", "-1h", "5", "4 h", "soon", "99999999999d"] {
            assert!(span_or_instant(wrong).is_err(), "{wrong}");
        }
    }
}
