//! What a witness watches for (AO-1, AO-3): rules over every entry that its mirror holds, silence, and what a log signed
//! and should not have. Under its own configuration, on its own machine, out of reach of those who run the server.
//!
//! Each log has a file with the entry that comes next and what correlations have counted. Alarms are durable before the
//! file moves on: a crash in between raises them again, and loses none.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use base::{Context, Duration};
use ledger::{Event, GapCause, GapFinder, TILE_WIDTH, TileKind, TilePath, bundle_entries};
use rules::{Alert, Detector, RuleSet};
use serde_json::{Value, json};
use tokio::sync::watch;
use witness::{Standing, Witness};

use super::alarms::Alarms;
use crate::data_dir::write_private;

/// How often copies are looked at.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
/// Entries after which the position is saved, at the latest.
const SAVE_AFTER: u64 = 4_096;
/// Entries before its position that are read again at a start, for gaps that span it: heartbeats of some minutes.
const READ_AGAIN: u64 = 65_536;
/// Most bytes of a saved position, what correlations counted included.
const MAX_SAVED_BYTES: u64 = 256 * 1_048_576;

/// Watches the logs of a witness.
pub(crate) struct Watching {
    witness: Arc<Witness>,
    alarms: Arc<Alarms>,
    context: Context,
    silence: Duration,
    logs: Vec<Watched>,
}

/// One log.
struct Watched {
    origin: String,
    path: String,
    saved: PathBuf,
    detector: Detector,
    gaps: GapFinder,
    /// The entry that comes next.
    next: u64,
    /// What the copy had at the last look, read or not.
    mirrored: u64,
    /// What rules found and could not be made durable: correlations that told once are quiet, so it is kept.
    waiting: Vec<Value>,
    /// Its checkpoints under evidence that were told of.
    evidence: u64,
    /// When the copy last grew, by the clock that nobody sets.
    grown: Duration,
    is_silent: bool,
    /// Whether the finder of gaps knows what came before `next`: after a start it reads that again.
    knows_before: bool,
}

impl Watching {
    /// Takes up each log where it was left. `directory` is for the positions.
    pub(crate) fn open(
        witness: Arc<Witness>,
        alarms: Arc<Alarms>,
        rules: &RuleSet,
        silence: Duration,
        directory: &Path,
        context: Context,
    ) -> Result<Self, String> {
        std::fs::create_dir_all(directory).map_err(|error| format!("`{}`: {error}", directory.display()))?;
        let mut logs = Vec::new();
        for standing in witness.standings() {
            let saved = directory.join(format!("{}.json", standing.path));
            let detector = Detector::new(rules).map_err(|error| error.to_string())?;
            let mut log = Watched {
                origin: standing.origin,
                path: standing.path,
                saved,
                detector,
                gaps: GapFinder::new(),
                next: 0,
                mirrored: 0,
                waiting: Vec::new(),
                evidence: 0,
                grown: context.elapsed(),
                is_silent: false,
                knows_before: false,
            };
            log.take_up()?;
            logs.push(log);
        }
        Ok(Self { witness, alarms, context, silence, logs })
    }

    /// Until told to stop.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(LOOK);
        while !*stop.borrow() {
            tokio::select! {
                _ = look.tick() => {}
                _ = stop.changed() => continue,
            }
            // Files are read and written: not on a thread that serves others.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(back) => self = back,
                Err(error) => {
                    tracing::error!(%error, "the watch ended: restart this witness");
                    return;
                }
            }
        }
    }

    /// Looks at every log once.
    pub(crate) fn look(&mut self) {
        for standing in self.witness.standings() {
            let Some(log) = self.logs.iter_mut().find(|log| log.path == standing.path) else { continue };
            // What failed is tried again at the next look: nothing is passed over.
            if let Err(error) = log.look(&standing, &self.witness, &self.alarms, self.silence, &self.context)
            {
                tracing::error!(log = %log.origin, %error, "the log can't be watched");
            }
        }
    }
}

impl Watched {
    fn take_up(&mut self) -> Result<(), String> {
        let wrong = |why: &str| {
            format!("`{}`: {why}; move it away to watch from the first entry on", self.saved.display())
        };
        match std::fs::metadata(&self.saved) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(wrong(&error.to_string())),
            Ok(found) if found.len() > MAX_SAVED_BYTES => return Err(wrong("it is larger than it can be")),
            Ok(_) => {}
        }
        let bytes = std::fs::read(&self.saved).map_err(|error| wrong(&error.to_string()))?;
        let saved: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("it is damaged"))?;
        let number =
            |name: &str| saved.get(name).and_then(Value::as_u64).ok_or_else(|| wrong("it is damaged"));
        (self.next, self.evidence) = (number("next")?, number("evidence")?);
        self.mirrored = self.next;
        self.is_silent = saved.get("silent").and_then(Value::as_bool).unwrap_or(false);
        let counted = saved.get("counted").map(Value::to_string).unwrap_or_default();
        if !self.detector.restore(counted.as_bytes()) {
            tracing::warn!(log = %self.origin, "what correlations had counted can't be taken up: they begin anew");
        }
        Ok(())
    }

    fn save(&self) -> std::io::Result<()> {
        let counted: Value = serde_json::from_slice(&self.detector.save()).unwrap_or_default();
        let saved = json!({
            "next": self.next, "evidence": self.evidence, "silent": self.is_silent, "counted": counted,
        });
        write_private(&self.saved, saved.to_string().as_bytes())
    }

    fn look(
        &mut self,
        standing: &Standing,
        witness: &Witness,
        alarms: &Alarms,
        silence: Duration,
        context: &Context,
    ) -> std::io::Result<()> {
        let elapsed = context.elapsed();
        let since = Duration::from_micros(elapsed.micros().saturating_sub(self.grown.micros()));
        let mut raised = Vec::new();
        let evidence = u64::try_from(standing.evidence).unwrap_or(u64::MAX);
        if evidence > self.evidence {
            raised.push(json!({
                "kind": "evidence", "level": "critical",
                "title": "The log signed another past than the one this witness knows", "evidence": evidence,
            }));
        }
        let has_grown = standing.mirrored > self.mirrored;
        if has_grown && self.is_silent {
            raised.push(json!({
                "kind": "spoke", "level": "medium", "title": "The log is written again", "silent_seconds": since.seconds(),
            }));
        } else if !has_grown && !self.is_silent && since > silence {
            raised.push(json!({
                "kind": "silence", "level": "high", "silent_seconds": since.seconds(),
                "title": "Nothing was written into the log, not even a heartbeat", "size": standing.mirrored,
            }));
        }
        let says = !raised.is_empty();
        self.raise(alarms, context, raised)?;
        self.is_silent = if has_grown { false } else { self.is_silent || since > silence };
        self.evidence = self.evidence.max(evidence);
        if has_grown {
            self.grown = elapsed;
            self.mirrored = standing.mirrored;
        }
        if standing.mirrored > self.next || !self.waiting.is_empty() {
            self.read(standing.mirrored, witness, alarms, context)?;
        } else if says {
            self.save()?;
        }
        Ok(())
    }

    /// Makes what waits durable; what can't be goes on waiting, and nothing is read behind it.
    fn tell(&mut self, alarms: &Alarms, context: &Context) -> std::io::Result<()> {
        self.raise(alarms, context, self.waiting.clone())?;
        self.waiting.clear();
        Ok(())
    }

    /// Runs the rules over the entries up to, not with, `until`.
    fn read(
        &mut self,
        until: u64,
        witness: &Witness,
        alarms: &Alarms,
        context: &Context,
    ) -> std::io::Result<()> {
        let wide = u64::from(TILE_WIDTH);
        let mut saved = self.next;
        self.tell(alarms, context)?;
        self.read_again(witness)?;
        while self.next < until {
            let index = self.next / wide;
            let width = u16::try_from((until - index * wide).min(wide)).unwrap_or(TILE_WIDTH);
            let path = TilePath { kind: TileKind::Entries, index, width };
            // The copy may have grown since: its last bundle is another one then, and the next look finds it.
            let Some(bundle) = witness.tile(&self.path, &path)? else { break };
            let (mut next, before) = (index * wide, self.next);
            for entry in bundle_entries(&bundle) {
                let entry = entry.map_err(|error| std::io::Error::other(error.to_string()))?;
                if next >= self.next {
                    let found = self.entry(next, entry);
                    self.waiting.extend(found);
                    // Taken: the detector does not see it again, whatever becomes of the alarms.
                    self.next = next + 1;
                }
                next += 1;
            }
            self.tell(alarms, context)?;
            if self.next == before {
                return Err(std::io::Error::other("a bundle of the copy has fewer entries than it should"));
            }
            if self.next - saved >= SAVE_AFTER {
                self.save()?;
                saved = self.next;
            }
        }
        self.save()
    }

    /// Tells the finder of gaps what came before, once: what it finds there was told when it was read first.
    fn read_again(&mut self, witness: &Witness) -> std::io::Result<()> {
        let wide = u64::from(TILE_WIDTH);
        let mut index =
            if self.knows_before { self.next } else { self.next.saturating_sub(READ_AGAIN) } / wide;
        while index * wide < self.next && !self.knows_before {
            let width = u16::try_from((self.next - index * wide).min(wide)).unwrap_or(TILE_WIDTH);
            let path = TilePath { kind: TileKind::Entries, index, width };
            let Some(bundle) = witness.tile(&self.path, &path)? else { break };
            for (at, entry) in (index * wide..).zip(bundle_entries(&bundle)) {
                if let Ok(Ok(event)) = entry.map(Event::decode) {
                    self.gaps.read(at, &event);
                }
            }
            index += 1;
        }
        drop(self.gaps.take());
        self.knows_before = true;
        Ok(())
    }

    fn entry(&mut self, index: u64, entry: &[u8]) -> Vec<Value> {
        let mut raised = match self.detector.take(index, entry) {
            Ok(alerts) => alerts.iter().map(of_rule).collect(),
            Err(error) => vec![json!({
                "kind": "unreadable", "level": "medium", "index": index, "why": error.to_string(),
                "title": "An entry of the log is no event that this version knows",
            })],
        };
        if let Ok(event) = Event::decode(entry) {
            self.gaps.read(index, &event);
        }
        // What servers say themselves is for the rules; that heartbeats are missing is seen by others alone.
        for gap in self.gaps.take().into_iter().filter(|gap| gap.cause == GapCause::Rollback) {
            raised.push(json!({
                "kind": "gap", "level": "critical", "title": "Heartbeats are missing: the log was set back",
                "cause": gap.cause.as_str(), "after": gap.after, "before": gap.before,
                "from": gap.from.to_string(), "until": gap.until.to_string(),
            }));
        }
        raised
    }

    /// Makes alarms durable, each with the log and the time, and a line that chat programs show.
    fn raise(&self, alarms: &Alarms, context: &Context, mut raised: Vec<Value>) -> std::io::Result<()> {
        let now = context.now();
        for alarm in &mut raised {
            let text = |name: &str| alarm.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (level, title) = (text("level"), text("title"));
            let at = alarm.get("index").map(|index| format!(", entry {index}")).unwrap_or_default();
            let shown = format!("[{level}] {title} (log {}{at})", self.origin);
            tracing::warn!(log = %self.origin, level, title, "an alarm");
            if let Some(map) = alarm.as_object_mut() {
                map.insert("raised_at".to_owned(), now.to_string().into());
                map.insert("log".to_owned(), self.origin.clone().into());
                map.insert("text".to_owned(), shown.into());
            }
        }
        alarms.raise(&raised)
    }
}

fn of_rule(alert: &Alert) -> Value {
    let mut value = json!({
        "kind": "rule", "level": alert.level, "title": alert.title, "rule": alert.rule, "index": alert.index,
        "event": alert.event, "time": alert.time.to_string(), "activity": alert.activity, "actor": alert.actor,
        "object": alert.object,
    });
    if let (Some((count, group)), Some(map)) = (&alert.counted, value.as_object_mut()) {
        map.insert("count".to_owned(), (*count).into());
        map.insert(
            "group".to_owned(),
            group.iter().cloned().map(|(name, value)| (name, Value::from(value))).collect(),
        );
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Secret, SystemEntropy, Timestamp};
    use ledger::LogSigner;
    use testkit::MovableClock;
    use witness::Voices;

    struct World {
        directory: tempfile::TempDir,
        clock: Arc<MovableClock>,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(MovableClock::at(Timestamp::from_seconds(1_767_225_600)));
            Self { directory: tempfile::tempdir().unwrap(), clock }
        }
        fn watching(&self) -> Watching {
            let context = Context::new(self.clock.clone(), Arc::new(SystemEntropy));
            let log = LogSigner::new("log.test/watched", &Secret::new([1; 32])).unwrap().verifier().clone();
            let voices = Voices::new("w.test", &Secret::new([2; 32]), &Secret::new([3; 32])).unwrap();
            let copies = self.directory.path().join("logs");
            let witness = Witness::open(&copies, vec![log], voices, context.clone()).unwrap();
            let alarms = Arc::new(Alarms::new(self.directory.path(), false));
            let rules = RuleSet::starter().unwrap();
            let watch = self.directory.path().join("watch");
            Watching::open(Arc::new(witness), alarms, &rules, Duration::from_seconds(90), &watch, context)
                .unwrap()
        }
        fn kinds(&self) -> Vec<String> {
            let text =
                std::fs::read_to_string(self.directory.path().join("alerts.jsonl")).unwrap_or_default();
            let kind = |line: &str| {
                let alarm: Value = serde_json::from_str(line).unwrap();
                assert!(alarm["text"].as_str().unwrap().contains("log.test/watched"), "{alarm}");
                format!("{} {}", alarm["kind"].as_str().unwrap(), alarm["silent_seconds"])
            };
            text.lines().map(kind).collect()
        }
    }

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let world = World::new();
        let mut watching = world.watching();
        watching.look();
        world.clock.advance(Duration::from_seconds(90));
        watching.look();
        assert_eq!(world.kinds(), [""; 0]);
        // Whoever sets the clock does not make it pass, nor keep it from passing.
        world.clock.set(Timestamp::from_seconds(1));
        watching.look();
        world.clock.advance(Duration::from_seconds(1));
        watching.look();
        watching.look();
        assert_eq!(world.kinds(), ["silence 91"]);
        world.clock.advance(Duration::from_seconds(9));
        let (witness, alarms) = (Arc::clone(&watching.witness), Arc::clone(&watching.alarms));
        let mut standing = witness.standings().remove(0);
        standing.mirrored = 1;
        let silence = watching.silence;
        let context = watching.context.clone();
        let log = watching.logs.first_mut().unwrap();
        log.look(&standing, &witness, &alarms, silence, &context).unwrap();
        assert_eq!(world.kinds(), ["silence 91", "spoke 100"]);
    }

    #[test]
    fn silence_that_was_told_is_not_told_again_after_a_start_and_its_end_is() {
        let world = World::new();
        let mut watching = world.watching();
        world.clock.advance(Duration::from_seconds(91));
        watching.look();
        drop(watching);
        let mut watching = world.watching();
        world.clock.advance(Duration::from_seconds(200));
        watching.look();
        assert_eq!(world.kinds(), ["silence 91"]);
        let (witness, alarms) = (Arc::clone(&watching.witness), Arc::clone(&watching.alarms));
        let mut standing = witness.standings().remove(0);
        standing.mirrored = 1;
        let (silence, context) = (watching.silence, watching.context.clone());
        let log = watching.logs.first_mut().unwrap();
        log.look(&standing, &witness, &alarms, silence, &context).unwrap();
        assert_eq!(world.kinds(), ["silence 91", "spoke 200"]);
    }

    #[test]
    fn a_copy_that_can_t_be_read_does_not_hide_silence() {
        let world = World::new();
        let mut watching = world.watching();
        let (witness, alarms) = (Arc::clone(&watching.witness), Arc::clone(&watching.alarms));
        let mut standing = witness.standings().remove(0);
        standing.mirrored = 1;
        let (silence, context) = (watching.silence, watching.context.clone());
        let log = watching.logs.first_mut().unwrap();
        for _ in 0..3 {
            log.look(&standing, &witness, &alarms, silence, &context).unwrap();
            world.clock.advance(Duration::from_seconds(60));
        }
        assert_eq!(world.kinds(), ["silence 120"]);
        assert_eq!(log.next, 0, "what was not read is still to be read");
    }

    #[test]
    fn an_alarm_that_can_t_be_written_waits() {
        let world = World::new();
        let mut watching = world.watching();
        let (witness, alarms) = (Arc::clone(&watching.witness), Arc::clone(&watching.alarms));
        let standing = witness.standings().remove(0);
        let (silence, context) = (watching.silence, watching.context.clone());
        let log = watching.logs.first_mut().unwrap();
        log.waiting.push(json!({ "kind": "rule", "level": "high", "title": "T" }));
        let file = world.directory.path().join("alerts.jsonl");
        std::fs::create_dir(&file).unwrap();
        assert!(log.look(&standing, &witness, &alarms, silence, &context).is_err());
        std::fs::remove_dir(&file).unwrap();
        for _ in 0..2 {
            log.look(&standing, &witness, &alarms, silence, &context).unwrap();
        }
        assert_eq!(world.kinds(), ["rule null"]);
    }

    #[test]
    fn evidence_is_told_once_across_starts() {
        let world = World::new();
        for _ in 0..2 {
            let mut watching = world.watching();
            let (witness, alarms) = (Arc::clone(&watching.witness), Arc::clone(&watching.alarms));
            let mut standing = witness.standings().remove(0);
            standing.evidence = 1;
            let (silence, context) = (watching.silence, watching.context.clone());
            let log = watching.logs.first_mut().unwrap();
            log.look(&standing, &witness, &alarms, silence, &context).unwrap();
        }
        assert_eq!(world.kinds(), ["evidence null"]);
    }

    #[test]
    fn a_damaged_position_is_not_gone_on_from() {
        let world = World::new();
        let mut watching = world.watching();
        let saved = watching.logs.remove(0).saved;
        std::fs::write(&saved, "{}").unwrap();
        let context = watching.context.clone();
        let rules = RuleSet::starter().unwrap();
        let watch = world.directory.path().join("watch");
        let opened =
            Watching::open(watching.witness, watching.alarms, &rules, watching.silence, &watch, context);
        assert!(opened.is_err_and(|why| why.contains("damaged") && why.contains("move it away")));
    }
}
