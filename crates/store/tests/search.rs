//! Searching the log, on both engines: what the index finds is what reading everything finds.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use base::{Duration, Secret, Timestamp};
use ledger::{Act, Activity, Event, EventQuery, EventView, LogSigner, ObjectRef, OutcomeWord, words};
use store::{EventOrder, Indexer, Realm, Sequencer, Store};
use testkit::{Engine, Harness};

/// Events whose leaves differ.
const DIFFERENT: u64 = 4_200;

async fn fill(h: &Harness, count: u64) {
    let scopes = [h.system(), h.system(), h.system()];
    let activities =
        [Activity::AccountList, Activity::AccessDeny, Activity::KeyRotate, Activity::OperatorRevoke];
    let mut at = 0;
    while at < count {
        let mut acts = Vec::new();
        for number in at..(at + 70).min(count) {
            let object = ObjectRef::new("thing", format!("thing_{}", number % 97));
            let activity = activities[number as usize % activities.len()];
            let act = if number % 11 == 0 {
                Act::refused(activity, object, "policy-forbids", Some("SD-1"))
            } else {
                Act::new(activity, object)
            };
            acts.push(act.detail("number", number));
        }
        at += 70;
        h.clock.advance(Duration::from_seconds(10));
        let tx = h.data.system(&scopes[(at / 70) as usize % 3]).await.unwrap();
        tx.commit_all((), acts).await.unwrap().into_inner();
    }
}

/// The same events once more, as rows of their own.
fn repeat(h: &Harness, upto: u64) {
    let id = if h.engine() == Engine::Sqlite { "randomblob(16)" } else { "uuid_send(gen_random_uuid())" };
    let last = &h.tamper(Realm::Data, "SELECT max(seq) FROM event")[0];
    h.tamper(
        Realm::Data,
        &format!(
            "INSERT INTO event (id, account_id, at, activity, leaf) \
             SELECT {id}, account_id, at, activity, leaf FROM event WHERE seq <= {upto} ORDER BY seq"
        ),
    );
    h.tamper(Realm::Data, &format!("INSERT INTO outbox (seq) SELECT seq FROM event WHERE seq > {last}"));
}

async fn log(store: &Store) -> u64 {
    let signer = Arc::new(LogSigner::new("log.test/search", &Secret::new([1; 32])).unwrap());
    Sequencer::new(store.clone(), signer).unwrap().drain().await.unwrap().size.unwrap()
}

async fn everything(store: &Store, size: u64) -> Vec<EventView> {
    let mut all = Vec::new();
    for index in 0..size {
        all.push(Event::decode(&store.leaf(index).await.unwrap().unwrap()).unwrap());
    }
    all
}

/// All pages.
async fn found(store: &Store, query: &EventQuery, order: EventOrder, limit: usize) -> Vec<u64> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.search_events(query, order, cursor, limit).await.unwrap();
        assert!(page.found.len() <= limit);
        all.extend(page.found.iter().map(|one| one.index));
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn queries(events: &[EventView]) -> Vec<EventQuery> {
    let base = EventQuery::default;
    let at = |index: usize| events[index].time;
    vec![
        EventQuery { object: some("thing_42"), ..base() },
        EventQuery { actor: Some(events[80].actor.to_string()), object: some("thing_3"), ..base() },
        EventQuery { outcome: Some(OutcomeWord::Refused), activity: some("key.rotate"), ..base() },
        EventQuery { words: words("forbids 4147"), ..base() },
        EventQuery { words: words("nowhere"), ..base() },
        EventQuery { from: Some(at(1_000)), until: Some(at(1_500)), activity: some("account"), ..base() },
        EventQuery { from: Some(at(4_000)), object: some("thing_5"), ..base() },
        EventQuery { until: Some(at(300)), ..base() },
        EventQuery { severity: Some(4), ..base() },
    ]
}

testkit::on_both_engines! {
    async fn the_index_finds_what_reading_everything_finds(h: Harness) {
        fill(&h, DIFFERENT).await;
        for _ in 0..16 {
            repeat(&h, 4_096);
        }
        let size = log(&h.data).await;
        assert_eq!(size, DIFFERENT + 16 * 4_096);
        // Two servers at it: each segment is there once.
        let (other, _, _) = h.reopen().await;
        let (one, two) = (Indexer::new(h.data.clone()).unwrap(), Indexer::new(other).unwrap());
        while one.step().await.unwrap() {
            two.step().await.unwrap();
        }
        let levels = h.tamper(Realm::Data, "SELECT level, count(*) FROM log_segment GROUP BY level ORDER BY level");
        assert_eq!(levels, ["0|1", "1|1"]);
        let pages = "SELECT count(*) FROM log_segment_page WHERE level = 0 AND segment < 16";
        assert_eq!(h.tamper(Realm::Data, pages), ["0"]);

        let different = everything(&h.data, DIFFERENT).await;
        let events: Vec<&EventView> =
            (0..size).map(|at| &different[if at < DIFFERENT { at } else { (at - DIFFERENT) % 4_096 } as usize]).collect();
        for query in queries(&different) {
            let mut expected: Vec<u64> = (0..size).filter(|at| query.matches(events[*at as usize])).collect();
            let forward = found(&h.data, &query, EventOrder::OldestFirst, 300).await;
            assert_eq!(forward, expected, "{query:?}");
            expected.reverse();
            assert_eq!(found(&h.data, &query, EventOrder::NewestFirst, 1_000).await, expected, "{query:?}");
        }
        // Without an index the answers are the same, and so is the index that is built anew.
        let query = EventQuery { words: words("4147"), ..EventQuery::default() };
        let before = found(&h.data, &query, EventOrder::NewestFirst, 10).await;
        let often = EventQuery { object: some("thing_42"), ..EventQuery::default() };
        let first = |page: store::EventPage| page.found.iter().map(|one| one.index).collect::<Vec<_>>();
        let recent = first(h.data.search_events(&often, EventOrder::NewestFirst, None, 10).await.unwrap());
        h.tamper(Realm::Data, "DELETE FROM log_segment");
        h.tamper(Realm::Data, "DELETE FROM log_segment_page");
        h.tamper(Realm::Data, "UPDATE log_indexed SET size = 0");
        let page = h.data.search_events(&query, EventOrder::OldestFirst, None, 10).await.unwrap();
        assert!(page.found.len() < 10 && page.next.is_some(), "a page's work is bounded: it goes on from there");
        assert_eq!(first(h.data.search_events(&often, EventOrder::NewestFirst, None, 10).await.unwrap()), recent);
        one.drain().await.unwrap();
        assert_eq!(h.tamper(Realm::Data, "SELECT size FROM log_indexed"), ["69632"]);
        assert_eq!(found(&h.data, &query, EventOrder::NewestFirst, 10).await, before);
    }

    async fn a_page_starts_where_it_is_told_to(h: Harness) {
        fill(&h, 140).await;
        assert_eq!(log(&h.data).await, 140);
        let all = EventQuery::default();
        let indices = |page: &store::EventPage| page.found.iter().map(|one| one.index).collect::<Vec<_>>();
        let search = |order, cursor, limit| h.data.search_events(&all, order, cursor, limit);
        let page = search(EventOrder::NewestFirst, None, 3).await.unwrap();
        assert_eq!((indices(&page), page.next, page.size), (vec![139, 138, 137], Some(137), 140));
        let page = search(EventOrder::NewestFirst, Some(2), 3).await.unwrap();
        assert_eq!((indices(&page), page.next), (vec![1, 0], None));
        let page = search(EventOrder::OldestFirst, Some(138), 2).await.unwrap();
        assert_eq!((indices(&page), page.next), (vec![138, 139], None));
        let page = search(EventOrder::OldestFirst, Some(900), 2).await.unwrap();
        assert_eq!((indices(&page), page.next), (vec![], None));
        let nothing = EventQuery { until: Some(Timestamp::from_seconds(1)), ..EventQuery::default() };
        let page = h.data.search_events(&nothing, EventOrder::NewestFirst, Some(u64::MAX), 1).await.unwrap();
        assert_eq!((indices(&page), page.next), (vec![], None));
    }

    async fn what_is_recorded_of_a_kind_is_whole_however_often_it_was_asked_for(h: Harness) {
        let whole = EventQuery { activity: Some("operator".to_owned()), ..EventQuery::default() };
        let of = |query: &EventQuery| {
            let (store, query) = (h.data.clone(), query.clone());
            async move { store.recorded(&query).await.unwrap().len() }
        };
        assert_eq!(of(&whole).await, 0);
        fill(&h, 700).await;
        assert_eq!(of(&whole).await, 175, "what waits for the log counts");
        log(&h.data).await;
        assert_eq!(of(&whole).await, 175, "once");
        let middle = EventQuery { until: Some(h.context.now()), ..whole.clone() };
        let until = of(&middle).await;
        fill(&h, 700).await;
        assert_eq!(of(&whole).await, 350, "one part in the log, one waiting");
        log(&h.data).await;
        Indexer::new(h.data.clone()).unwrap().drain().await.unwrap();
        fill(&h, 70).await;
        let late = EventQuery { from: middle.until, ..whole.clone() };
        assert_eq!((of(&whole).await, of(&middle).await), (350 + 17, until), "of a time, as it was");
        assert_eq!(of(&middle).await + of(&late).await, of(&whole).await);
        let rare = EventQuery { activity: Some("key.rotate".to_owned()), ..EventQuery::default() };
        for limit in [1, 40, 1_000] {
            let logged = found(&h.data, &rare, EventOrder::NewestFirst, 1_000).await;
            let latest = h.data.latest(&rare, limit).await.unwrap();
            let indices: Vec<_> = latest.iter().map(|(index, _)| *index).collect();
            assert_eq!(indices, logged.into_iter().take(limit).collect::<Vec<_>>(), "{limit}");
            fill(&h, 70).await;
            log(&h.data).await;
        }
        let of_one = EventQuery { object: Some("thing_3".to_owned()), ..whole.clone() };
        let one = h.data.recorded(&of_one).await.unwrap();
        assert!(!one.is_empty() && one.iter().all(|event| event.object.id == "thing_3"));
    }
}
