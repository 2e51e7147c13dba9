//! Silence as evidence (AO-1): what heartbeats in the log, and their absence, say. Pure: it reads events in the log's
//! order, of a server or of any copy, and names each gap and its cause. Not the alarm: who watches raises it.

use std::collections::BTreeMap;

use base::{Duration, ServerId, Timestamp};

use crate::{Activity, DetailValue, EventView};

/// How much later than its interval a heartbeat may come: a server under load is late, not silent.
pub const HEARTBEAT_GRACE: Duration = Duration::from_seconds(10);
/// How far the machine's clock and the time that passed may differ between two heartbeats.
pub const CLOCK_TOLERANCE: Duration = Duration::from_seconds(1);
/// Most servers that are followed at once. A log with more that never stop is read to its end, the longest silent
/// ones being reported.
const MAX_SERVERS: usize = 1_024;

/// Why the log was silent, or its times can't be taken as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapCause {
    /// The last server said that it stops.
    StopAnnounced,
    /// A server ended without a word: killed, crashed, or its machine lost power.
    Killed,
    /// A server ran and could not write: its database did not answer.
    StoreUnreachable,
    /// A server ran and could not write: space had run out.
    StorageFull,
    /// The machine's clock was set forward or back, or the machine slept.
    ClockJump,
    /// A server ran, could have written, and did not: it was suspended or starved.
    Stalled,
    /// Heartbeats are missing from the middle of a run: the log was set back and went on.
    Rollback,
    /// No quorum of witnesses could be reached.
    WitnessesUnreachable,
    /// A server neither wrote nor stopped up to the end of what was read.
    Silent,
}

impl GapCause {
    /// Every cause.
    pub const ALL: [Self; 9] = [
        Self::StopAnnounced,
        Self::Killed,
        Self::StoreUnreachable,
        Self::StorageFull,
        Self::ClockJump,
        Self::Stalled,
        Self::Rollback,
        Self::WitnessesUnreachable,
        Self::Silent,
    ];

    /// Its word in events and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopAnnounced => "stop-announced",
            Self::Killed => "killed",
            Self::StoreUnreachable => "store-unreachable",
            Self::StorageFull => "storage-full",
            Self::ClockJump => "clock-jump",
            Self::Stalled => "stalled",
            Self::Rollback => "rollback",
            Self::WitnessesUnreachable => "witnesses-unreachable",
            Self::Silent => "silent",
        }
    }

    /// What it means, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::StopAnnounced => "every server had said that it stops",
            Self::Killed => "a server ended without a word",
            Self::StoreUnreachable => "a server ran, and its database did not answer",
            Self::StorageFull => "a server ran, and space had run out",
            Self::ClockJump => "the machine's clock was set, or the machine slept",
            Self::Stalled => "a server ran and did not write: suspended or starved",
            Self::Rollback => "heartbeats are missing from the middle: the log was set back",
            Self::WitnessesUnreachable => "no quorum of witnesses could be reached",
            Self::Silent => "a server neither wrote nor stopped",
        }
    }

    /// Whether somebody should be told: all but an announced stop.
    pub const fn is_alarm(self) -> bool {
        !matches!(self, Self::StopAnnounced)
    }
}

/// What a heartbeat says of the time since the event before it of the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its number in the run, from 1.
    pub number: u64,
    /// How often the server means to show itself.
    pub interval: Duration,
    /// How long the run has lasted, by a clock that nobody sets.
    pub uptime: Duration,
    /// How long since the heartbeat before, by that clock.
    pub since: Duration,
    /// Attempts to write a heartbeat that failed since the one before.
    pub failed: u64,
    /// By how much the machine's clock moved more (or less) than time did, in microseconds.
    pub clock_moved: i64,
    /// Whether space had run out meanwhile.
    pub full: bool,
}

impl Heartbeat {
    /// Its details in the event. Spans are whole milliseconds.
    pub fn details(&self) -> [(&'static str, DetailValue); 7] {
        [
            ("beat", self.number.into()),
            ("interval_ms", (self.interval.micros() / 1_000).into()),
            ("uptime_ms", (self.uptime.micros() / 1_000).into()),
            ("since_ms", (self.since.micros() / 1_000).into()),
            ("failed", self.failed.into()),
            ("clock_moved_ms", (self.clock_moved / 1_000).into()),
            ("full", self.full.into()),
        ]
    }

    /// Reads an event's details; none if one is missing.
    pub fn of(event: &EventView) -> Option<Self> {
        let number = |wanted: &str| {
            event.details.iter().find_map(|(name, value)| match value {
                DetailValue::Number(value) if name == wanted => Some(*value),
                _ => None,
            })
        };
        let count = |wanted: &str| number(wanted).and_then(|value| u64::try_from(value).ok());
        let span = |wanted: &str| number(wanted).map(Duration::from_millis);
        let full =
            event.details.iter().any(|(name, value)| name == "full" && *value == DetailValue::Flag(true));
        Some(Self {
            number: count("beat")?,
            interval: span("interval_ms")?,
            uptime: span("uptime_ms")?,
            since: span("since_ms")?,
            failed: count("failed")?,
            clock_moved: number("clock_moved_ms")?.saturating_mul(1_000),
            full,
        })
    }

    /// What was wrong since the heartbeat before, as the server itself knows it.
    pub fn cause(&self) -> Option<GapCause> {
        let late = self.since > self.interval + HEARTBEAT_GRACE;
        if self.clock_moved.unsigned_abs() > CLOCK_TOLERANCE.micros().unsigned_abs() {
            Some(GapCause::ClockJump)
        } else if late && self.full {
            Some(GapCause::StorageFull)
        } else if late && self.failed > 0 {
            Some(GapCause::StoreUnreachable)
        } else if late {
            Some(GapCause::Stalled)
        } else {
            None
        }
    }
}

/// A gap: between which entries and which times, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose heartbeats; none where it concerns the log as a whole.
    pub server: Option<ServerId>,
    /// Why.
    pub cause: GapCause,
    /// The last entry before it.
    pub after: u64,
    /// The first entry behind it; none while it lasts.
    pub before: Option<u64>,
    /// The time of the last entry before it.
    pub from: Timestamp,
    /// The time of the first entry behind it, or of the newest that was read.
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    last: (u64, Timestamp),
    beat: u64,
    interval: Option<Duration>,
}

/// Reads a log's events in order and finds the gaps. Memory: one small row for each server that runs.
#[derive(Debug, Default)]
pub struct GapFinder {
    runs: BTreeMap<ServerId, Run>,
    /// Since when no server runs: the last entry and why.
    down: Option<(u64, Timestamp, GapCause)>,
    unwitnessed: Option<(u64, Timestamp)>,
    newest: Option<(u64, Timestamp)>,
    found: Vec<Gap>,
}

impl GapFinder {
    /// None read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event. Gaps that it closes are in [`Self::take`].
    pub fn read(&mut self, index: u64, event: &EventView) {
        let here = (index, event.time);
        self.newest = Some(here);
        match Activity::from_name(&event.activity) {
            Some(Activity::ServerStart) => self.started(event.server, here),
            Some(Activity::ServerHeartbeat) => self.beat(event, here),
            Some(Activity::ServerStop) => self.ended(event.server, here, GapCause::StopAnnounced),
            Some(Activity::ServerCrashDetected) => {
                if let Ok(server) = event.object.id.parse() {
                    self.crashed(server, here);
                }
            }
            Some(Activity::LogUnwitnessed) => self.unwitnessed = self.unwitnessed.or(Some(here)),
            Some(Activity::LogWitnessed) => {
                if let Some(since) = self.unwitnessed.take() {
                    self.close(None, GapCause::WitnessesUnreachable, since, here);
                }
            }
            Some(Activity::LogRecover) => self.close(None, GapCause::Rollback, here, here),
            _ => {
                if let Some(run) = self.runs.get_mut(&event.server) {
                    run.last = here;
                }
            }
        }
    }

    /// The gaps found since the last call.
    pub fn take(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.found)
    }

    /// The gaps that last to the end of the log. `now` is the time to hold them against: that of the reader if the
    /// log is a running server's, that of the newest entry if it is a copy.
    pub fn finish(mut self, now: Option<Timestamp>) -> Vec<Gap> {
        let Some((_, newest)) = self.newest else { return self.found };
        let now = now.unwrap_or(newest).max(newest);
        if let Some((after, from, cause)) = self.down {
            self.found.push(Gap { server: None, cause, after, before: None, from, until: now });
        }
        if let Some((after, from)) = self.unwitnessed {
            let cause = GapCause::WitnessesUnreachable;
            self.found.push(Gap { server: None, cause, after, before: None, from, until: now });
        }
        for (server, run) in &self.runs {
            let Some(interval) = run.interval else { continue };
            let (after, from) = run.last;
            if now.since(from) > interval + HEARTBEAT_GRACE {
                let cause = GapCause::Silent;
                self.found.push(Gap { server: Some(*server), cause, after, before: None, from, until: now });
            }
        }
        self.found
    }

    fn close(
        &mut self,
        server: Option<ServerId>,
        cause: GapCause,
        from: (u64, Timestamp),
        here: (u64, Timestamp),
    ) {
        let gap = Gap { server, cause, after: from.0, before: Some(here.0), from: from.1, until: here.1 };
        self.found.push(gap);
    }

    fn started(&mut self, server: ServerId, here: (u64, Timestamp)) {
        if let Some((after, from, cause)) = self.down.take() {
            self.close(None, cause, (after, from), here);
        }
        if self.runs.len() >= MAX_SERVERS
            && let Some((oldest, last)) =
                self.runs.iter().map(|(id, run)| (*id, run.last)).min_by_key(|(_, (index, _))| *index)
        {
            self.runs.remove(&oldest);
            self.close(Some(oldest), GapCause::Silent, last, here);
        }
        self.runs.insert(server, Run { last: here, beat: 0, interval: None });
    }

    fn beat(&mut self, event: &EventView, here: (u64, Timestamp)) {
        let Some(beat) = Heartbeat::of(event) else { return };
        // A log that is read from its middle: the run is known from here on.
        let known = self.runs.get(&event.server).copied();
        let run = Run { last: here, beat: beat.number, interval: Some(beat.interval) };
        self.runs.insert(event.server, run);
        let Some(before) = known else { return };
        // A heartbeat whose commit was in doubt is written again under its number.
        let consecutive = beat.number == before.beat + 1 || beat.number == before.beat;
        let cause =
            if consecutive || before.interval.is_none() { beat.cause() } else { Some(GapCause::Rollback) };
        if let Some(cause) = cause {
            self.close(Some(event.server), cause, before.last, here);
        }
    }

    fn ended(&mut self, server: ServerId, here: (u64, Timestamp), cause: GapCause) {
        self.runs.remove(&server);
        if self.runs.is_empty() {
            self.down = Some((here.0, here.1, cause));
        }
    }

    /// Another server, or the next start, found it dead: from its last word on.
    fn crashed(&mut self, server: ServerId, here: (u64, Timestamp)) {
        let last = self.runs.remove(&server).map_or(here, |run| run.last);
        self.close(Some(server), GapCause::Killed, last, here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, Event, Interface, ObjectRef, Origin};
    use base::{Actor, EventId, RequestId};

    struct Log {
        finder: GapFinder,
        index: u64,
    }

    fn server(byte: u8) -> ServerId {
        ServerId::from_bytes([byte; 16])
    }

    impl Log {
        fn new() -> Self {
            Self { finder: GapFinder::new(), index: 0 }
        }
        fn add(&mut self, who: u8, second: i64, act: Act) {
            let origin = Origin {
                actor: Actor::System(server(who)),
                account: None,
                request: RequestId::from_bytes([5; 16]),
                server: server(who),
                subsystem: "server",
                interface: Interface::Job,
                sealed: None,
            };
            let at = Timestamp::from_seconds(1_000 + second);
            let leaf = Event::new(EventId::from_bytes([7; 16]), at, origin, act).encode();
            self.finder.read(self.index, &Event::decode(&leaf).unwrap());
            self.index += 1;
        }
        fn say(&mut self, who: u8, second: i64, activity: Activity) {
            self.add(who, second, Act::new(activity, ObjectRef::new("server", server(who))));
        }
        fn beat(&mut self, who: u8, second: i64, number: u64, change: impl FnOnce(&mut Heartbeat)) {
            let mut beat = Heartbeat {
                number,
                interval: Duration::from_seconds(30),
                uptime: Duration::from_seconds(second),
                since: Duration::from_seconds(30),
                failed: 0,
                clock_moved: 0,
                full: false,
            };
            change(&mut beat);
            let mut act = Act::new(Activity::ServerHeartbeat, ObjectRef::new("server", server(who)));
            for (name, value) in beat.details() {
                act = act.detail(name, value);
            }
            self.add(who, second, act);
        }
        fn found(&mut self) -> Vec<(GapCause, u64, Option<u64>, i64)> {
            let row = |gap: Gap| (gap.cause, gap.after, gap.before, gap.until.since(gap.from).seconds());
            self.finder.take().into_iter().map(row).collect()
        }
        fn left(self, now: Option<i64>) -> Vec<(GapCause, u64, i64)> {
            let now = now.map(|second| Timestamp::from_seconds(1_000 + second));
            let row = |gap: Gap| (gap.cause, gap.after, gap.until.since(gap.from).seconds());
            self.finder.finish(now).into_iter().map(row).collect()
        }
    }

    #[test]
    fn a_steady_log_has_no_gap() {
        let mut log = Log::new();
        log.say(1, 0, Activity::ServerStart);
        for beat in 1..50 {
            log.beat(1, beat * 31, beat.unsigned_abs(), |_| {});
        }
        assert_eq!(log.found(), []);
        assert_eq!(log.left(Some(49 * 31 + 40)), []);
    }

    #[test]
    fn each_cause_is_told_from_the_others() {
        let mut log = Log::new();
        log.say(1, 0, Activity::ServerStart);
        log.beat(1, 30, 1, |_| {});
        let late = |beat: &mut Heartbeat| beat.since = Duration::from_seconds(41);
        log.beat(1, 71, 2, late);
        assert_eq!(log.found(), [(GapCause::Stalled, 1, Some(2), 41)]);
        log.beat(1, 112, 3, |beat| {
            late(beat);
            beat.failed = 2;
        });
        assert_eq!(log.found(), [(GapCause::StoreUnreachable, 2, Some(3), 41)]);
        log.beat(1, 153, 4, |beat| {
            late(beat);
            (beat.failed, beat.full) = (2, true);
        });
        assert_eq!(log.found(), [(GapCause::StorageFull, 3, Some(4), 41)]);
        log.beat(1, 3_783, 5, |beat| beat.clock_moved = 3_600_000_000);
        assert_eq!(log.found(), [(GapCause::ClockJump, 4, Some(5), 3_630)]);
        log.beat(1, 213, 6, |beat| beat.clock_moved = -3_600_000_000);
        assert_eq!(log.found(), [(GapCause::ClockJump, 5, Some(6), 0)], "back in time, and said so");
        log.beat(1, 243, 9, |_| {});
        assert_eq!(log.found(), [(GapCause::Rollback, 6, Some(7), 30)]);
        log.beat(1, 273, 9, |_| {});
        assert_eq!(log.found(), [], "one whose commit was in doubt");
    }

    #[test]
    fn ends_are_told_apart() {
        let mut log = Log::new();
        log.say(1, 0, Activity::ServerStart);
        log.say(1, 5, Activity::ServerStop);
        log.say(2, 100, Activity::ServerStart);
        assert_eq!(log.found(), [(GapCause::StopAnnounced, 1, Some(2), 95)]);
        log.beat(2, 130, 1, |_| {});
        let gone = ObjectRef::new("server", server(2));
        log.add(3, 500, Act::failed(Activity::ServerCrashDetected, gone, "stopped-unannounced"));
        log.say(3, 500, Activity::ServerStart);
        assert_eq!(log.found(), [(GapCause::Killed, 3, Some(4), 370)]);
        log.say(3, 510, Activity::LogUnwitnessed);
        log.say(3, 600, Activity::LogWitnessed);
        assert_eq!(log.found(), [(GapCause::WitnessesUnreachable, 6, Some(7), 90)]);
        log.beat(3, 620, 1, |_| {});
        assert_eq!(log.left(Some(700)), [(GapCause::Silent, 8, 80)]);
    }

    #[test]
    fn another_server_that_runs_keeps_the_log_alive() {
        let mut log = Log::new();
        log.say(1, 0, Activity::ServerStart);
        log.say(2, 1, Activity::ServerStart);
        log.say(1, 5, Activity::ServerStop);
        log.beat(2, 31, 1, |_| {});
        assert_eq!(log.found(), []);
        log.say(2, 40, Activity::ServerStop);
        assert_eq!(log.left(None), [(GapCause::StopAnnounced, 4, 0)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut finder = Log::new();
        for one in 0..MAX_SERVERS as u64 + 3 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&one.to_be_bytes());
            finder.finder.started(ServerId::from_bytes(id), (one, Timestamp::from_seconds(1)));
        }
        assert_eq!(finder.finder.runs.len(), MAX_SERVERS);
        assert_eq!(finder.found().len(), 3);
    }
}
