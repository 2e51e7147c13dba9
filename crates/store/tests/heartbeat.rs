//! Heartbeats of a server, and what the log says of those that are missing, on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use base::{Duration, Secret, Timestamp};
use ledger::{Event, EventView, Gap, GapCause, GapFinder, LogSigner};
use store::{Sequencer, ServerRow, Store};
use testkit::Harness;

const SECOND: Duration = Duration::from_seconds(1);

async fn events(store: &Store) -> Vec<EventView> {
    let signer = Arc::new(LogSigner::new("log.test/heart", &Secret::new([1; 32])).unwrap());
    let size = Sequencer::new(store.clone(), signer).unwrap().drain().await.unwrap().size.unwrap();
    let mut events = Vec::new();
    for index in 0..size {
        events.push(Event::decode(&store.leaf(index).await.unwrap().unwrap()).unwrap());
    }
    events
}

fn gaps(events: &[EventView], now: Option<Timestamp>) -> Vec<Gap> {
    let mut finder = GapFinder::new();
    for (index, event) in (0..).zip(events) {
        finder.read(index, event);
    }
    let mut found = finder.take();
    found.extend(finder.finish(now));
    found
}

fn causes(gaps: &[Gap]) -> Vec<GapCause> {
    gaps.iter().map(|gap| gap.cause).collect()
}

fn activities(events: &[EventView]) -> Vec<&str> {
    events.iter().map(|event| event.activity.as_str()).collect()
}

/// Beats every five seconds, as a server does.
async fn live(h: &Harness, row: &ServerRow, seconds: i64) {
    for _ in 0..seconds / 5 {
        h.clock.advance(Duration::from_seconds(5));
        row.beat(&h.system()).await.unwrap();
    }
}

testkit::on_both_engines! {
    async fn a_server_shows_itself_in_the_log(h: Harness) {
        let (row, _) = ServerRow::start(&h.data, &h.system(), true, "test").await.unwrap();
        let row = row.showing_every(Duration::from_seconds(60));
        live(&h, &row, 300).await;
        row.stop(&h.system()).await.unwrap();
        let events = events(&h.data).await;
        let mut expected = vec!["server.start"];
        expected.extend(["server.heartbeat"; 5]);
        expected.push("server.stop");
        assert_eq!(activities(&events), expected);
        assert_eq!(causes(&gaps(&events, None)), [GapCause::StopAnnounced]);
    }

    async fn a_server_that_was_held_up_says_so(h: Harness) {
        let (row, _) = ServerRow::start(&h.data, &h.system(), true, "test").await.unwrap();
        live(&h, &row, 60).await;
        h.clock.advance(Duration::from_seconds(100));
        row.beat(&h.system()).await.unwrap();
        let events = events(&h.data).await;
        assert_eq!(activities(&events).split_off(3), ["log.gap", "server.heartbeat"]);
        let found = gaps(&events, None);
        assert_eq!(causes(&found), [GapCause::Stalled]);
        let gap = found.first().unwrap();
        assert_eq!((gap.after, gap.before, gap.until.since(gap.from).seconds()), (3, Some(4), 0));
    }

    async fn a_clock_that_is_moved_is_told_from_time_that_passed(h: Harness) {
        let (row, _) = ServerRow::start(&h.data, &h.system(), true, "test").await.unwrap();
        live(&h, &row, 30).await;
        for hours in [5, -9] {
            let now = h.context.now();
            h.clock.set(Timestamp::from_micros(now.micros() + hours * 3_600_000_000));
            h.clock.advance(SECOND);
            row.beat(&h.system()).await.unwrap();
        }
        // At once, not at the next heartbeat that would have been due.
        let events = events(&h.data).await;
        assert_eq!(activities(&events).iter().filter(|one| **one == "log.gap").count(), 2);
        assert_eq!(causes(&gaps(&events, None)), [GapCause::ClockJump, GapCause::ClockJump]);
        let times: Vec<_> = events.iter().map(|event| event.time).collect();
        assert!(!times.is_sorted(), "times go back; the order does not");
        // A start behind a clock that was set back finds events of the future.
        let (again, _, _) = h.reopen().await;
        h.clock.set(Timestamp::from_seconds(1_700_000_000));
        ServerRow::start(&again, &h.system(), true, "test").await.unwrap();
        let told = "SELECT count(*) FROM event WHERE activity = 'log.gap'";
        assert_eq!(h.tamper(store::Realm::Data, told), ["3"]);
    }

    async fn a_server_that_dies_is_found_by_another_whatever_their_clocks_say(h: Harness) {
        let (_dead, _) = ServerRow::start(&h.data, &h.system(), false, "test").await.unwrap();
        let (other, _, _) = h.reopen().await;
        // Its clock is far ahead: that alone makes nobody dead.
        let now = h.context.now();
        let (row, found) = ServerRow::start(&other, &h.system(), false, "test").await.unwrap();
        assert!(found.is_empty());
        h.clock.set(now.plus(Duration::from_seconds(600)));
        row.beat(&h.system()).await.unwrap();
        live(&h, &row, 10).await;
        let crashes = "SELECT count(*) FROM event WHERE activity = 'server.crash-detected'";
        assert_eq!(h.tamper(store::Realm::Data, crashes), ["0"]);
        live(&h, &row, 15).await;
        assert_eq!(h.tamper(store::Realm::Data, crashes), ["1"]);
        live(&h, &row, 60).await;
        assert_eq!(h.tamper(store::Realm::Data, crashes), ["1"], "once");
        let found = causes(&gaps(&events(&other).await, None));
        assert_eq!(found, [GapCause::ClockJump, GapCause::Killed]);
    }

    async fn heartbeats_missing_from_the_middle_are_a_rollback(h: Harness) {
        let (row, _) = ServerRow::start(&h.data, &h.system(), true, "test").await.unwrap();
        live(&h, &row, 150).await;
        let mut events = events(&h.data).await;
        assert_eq!(causes(&gaps(&events, None)), []);
        events.drain(2..4);
        assert_eq!(causes(&gaps(&events, None)), [GapCause::Rollback]);
        events.truncate(2);
        let later = h.context.now();
        assert_eq!(causes(&gaps(&events, Some(later))), [GapCause::Silent]);
    }
}
