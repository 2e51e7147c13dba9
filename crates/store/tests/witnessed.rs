//! What witnesses cosigned, what follows from it, and entries that are taken back, on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use base::{Duration, Secret, Timestamp};
use ledger::{
    Act, Activity, LogSigner, ObjectRef, consistency_proof, inclusion_proof, leaf_hash, verify_consistency,
    verify_inclusion,
};
use store::{Sequencer, Store, StoreError, Witnessed, Witnessing};

fn act(name: &str) -> Act {
    Act::new(Activity::RecordCreate, ObjectRef::new("record", name))
}
fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::new("log.test/witnessed", &Secret::new([7; 32])).unwrap())
}
fn minutes(count: i64) -> Duration {
    Duration::from_seconds(60 * count)
}
fn witnessed(size: u64, at: Timestamp) -> Witnessed {
    Witnessed { size, at, note: format!("note of {size} at {}", at.seconds()) }
}
async fn grow(store: &Store, scope: &store::Scope, count: usize, word: &str) {
    for number in 0..count {
        store.record(scope, act(&format!("{word}-{number}"))).await.unwrap();
    }
}

testkit::on_both_engines! {
    async fn the_newest_cosignature_says_whether_witnesses_stand_by_the_log(h: Harness) {
        let limit = Duration::from_seconds(60);
        assert_eq!(h.data.witnessing(), Witnessing::Off);
        h.data.require_witnesses(limit, false).await.unwrap();
        assert_eq!(h.data.witnessing(), Witnessing::Stale { last: None });
        let began = h.context.now();
        h.data.put_witnessed(&h.system(), &witnessed(5, began)).await.unwrap();
        assert_eq!(h.data.witnessing(), Witnessing::Fresh);
        h.clock.advance(limit);
        assert_eq!(h.data.witnessing(), Witnessing::Fresh);
        h.clock.advance(Duration::from_micros(1));
        assert_eq!(h.data.witnessing(), Witnessing::Stale { last: Some(began) });
        // The same size again, fresher; then one that came late changes nothing.
        h.data.put_witnessed(&h.system(), &witnessed(5, h.context.now())).await.unwrap();
        h.data.put_witnessed(&h.system(), &witnessed(5, began)).await.unwrap();
        assert_eq!(h.data.witnessing(), Witnessing::Fresh);
        assert_eq!(h.data.witnessed().await.unwrap(), Some(witnessed(5, h.context.now())));
        // A witness whose clock is far ahead does not keep it fresh for ever.
        h.data.put_witnessed(&h.system(), &witnessed(6, h.context.now() + minutes(5))).await.unwrap();
        assert!(matches!(h.data.witnessing(), Witnessing::Stale { last: Some(_) }));
        // Another server, or the next start, knows the same.
        let (again, _, _) = h.reopen().await;
        again.require_witnesses(minutes(10), true).await.unwrap();
        assert_eq!(again.witnessing(), Witnessing::Fresh);
        assert!(again.witnesses_gate_everything() && !h.data.witnesses_gate_everything());
    }

    async fn what_is_shown_is_what_was_cosigned_where_that_is_asked_for(h: Harness) {
        let scope = h.scope(h.account());
        grow(&h.data, &scope, 3, "a").await;
        Sequencer::new(h.data.clone(), signer()).unwrap().drain().await.unwrap();
        let signed = h.data.checkpoint().await.unwrap();
        assert!(signed.is_some());
        h.data.put_witnessed(&h.system(), &witnessed(2, h.context.now())).await.unwrap();
        assert_eq!(h.data.published_checkpoint().await.unwrap(), signed, "nobody asked for witnesses");
        h.data.require_witnesses(minutes(1), false).await.unwrap();
        let shown = h.data.published_checkpoint().await.unwrap().unwrap();
        assert_eq!(shown, witnessed(2, h.context.now()).note);
        h.clock.advance(minutes(9));
        assert_eq!(h.data.published_checkpoint().await.unwrap().unwrap(), shown, "it never goes back");
        let head = h.data.signed_head().await.unwrap().unwrap();
        assert_eq!((head.size, Some(head.note), head.ours), (3, signed, true));
    }

    async fn an_entry_lies_between_two_cosignatures(h: Harness) {
        let at = |minute: i64| Timestamp::from_seconds(1_800_000_000 + 60 * minute);
        for (size, minute) in [(10, 0), (20, 1), (20, 5), (35, 6)] {
            h.data.put_witnessed(&h.system(), &witnessed(size, at(minute))).await.unwrap();
        }
        let around = async |index| {
            let (before, behind) = h.data.witnessed_around(index).await.unwrap();
            (before.map(|it| (it.size, it.at)), behind.map(|it| (it.size, it.at)))
        };
        assert_eq!(around(3).await, (None, Some((10, at(0)))));
        // Not before the last time at which it was missing, not after the first at which it was there.
        assert_eq!(around(10).await, (Some((10, at(0))), Some((20, at(1)))));
        assert_eq!(around(19).await, (Some((10, at(0))), Some((20, at(1)))));
        assert_eq!(around(20).await, (Some((20, at(5))), Some((35, at(6)))));
        assert_eq!(around(35).await, (Some((35, at(6))), None));
        assert_eq!(around(u64::MAX).await, (None, None));
    }

    async fn old_cosignatures_are_thinned_out_to_one_a_minute(h: Harness) {
        let began = h.context.now();
        for second in 0..150 {
            let at = began + Duration::from_seconds(second);
            h.data.put_witnessed(&h.system(), &witnessed(second.unsigned_abs() + 1, at)).await.unwrap();
        }
        h.clock.advance(Duration::from_days(1));
        assert_eq!(h.data.thin_witnessed(&h.system(), Duration::from_days(2)).await.unwrap(), 0);
        let thinned = h.data.thin_witnessed(&h.system(), Duration::from_seconds(3_600)).await.unwrap();
        let left = h.tamper(store::Realm::Data, "SELECT count(*) FROM log_witnessed").concat();
        let left: u64 = left.parse().unwrap();
        assert_eq!(thinned + left, 150);
        assert!((3..=4).contains(&left), "{left}");
        assert_eq!(h.data.witnessed().await.unwrap().unwrap().size, 150, "the newest stays");
    }

    async fn proofs_and_roots_of_older_sizes_come_from_the_tables(h: Harness) {
        let scope = h.scope(h.account());
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        let mut roots = Vec::new();
        for count in [1, 255, 300] {
            grow(&h.data, &scope, count, "a").await;
            let size = sequencer.drain().await.unwrap().size.unwrap();
            let note = h.data.checkpoint().await.unwrap().unwrap();
            roots.push((size, signer().verifier().verify(&note).unwrap().root));
        }
        let (last, last_root) = *roots.last().unwrap();
        for (size, root) in &roots {
            assert_eq!(h.data.root_at(*size).await.unwrap(), *root);
            let proof = h.data.prove(|read| consistency_proof(*size, last, read)).await.unwrap();
            verify_consistency(*size, root, last, &last_root, &proof).unwrap();
        }
        let leaf = leaf_hash(&h.data.leaf(300).await.unwrap().unwrap());
        let proof = h.data.prove(|read| inclusion_proof(300, last, read)).await.unwrap();
        verify_inclusion(300, last, &leaf, &proof, &last_root).unwrap();
        assert!(matches!(h.data.prove(|read| inclusion_proof(last, last, read)).await, Err(StoreError::Log(_))));
        assert!(matches!(h.data.prove(|read| inclusion_proof(0, last * 9, read)).await, Err(StoreError::Log(_))));
    }

    async fn entries_that_a_copy_lost_are_taken_back_once_and_in_their_place(h: Harness) {
        let scope = h.scope(h.account());
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        grow(&h.data, &scope, 300, "kept").await;
        sequencer.drain().await.unwrap();
        // Entries that come later; then the database is as it was, but for two that were in the outbox already.
        let undo = |what: &str| h.tamper(store::Realm::Data, what);
        grow(&h.data, &scope, 2, "waiting").await;
        grow(&h.data, &scope, 400, "lost").await;
        sequencer.drain().await.unwrap();
        let theirs = h.data.checkpoint().await.unwrap().unwrap();
        let mut entries = Vec::new();
        for index in 300..702 {
            entries.push(h.data.leaf(index).await.unwrap().unwrap());
        }
        let before = h.data.root_at(300).await.unwrap();
        let (events, log) = match h.engine() {
            testkit::Engine::Sqlite => ("DROP TRIGGER event_no_delete", "DROP TRIGGER log_entry_no_delete"),
            _ => ("SELECT 1", "SELECT 1"),
        };
        for what in [
            events,
            log,
            "INSERT INTO outbox (seq) SELECT seq FROM log_entry WHERE idx IN (300, 301)",
            "DELETE FROM event WHERE seq IN (SELECT seq FROM log_entry WHERE idx >= 302)",
            "DELETE FROM log_entry WHERE idx >= 300",
            "DELETE FROM log_tile WHERE level = 0 AND idx >= 2",
        ] {
            undo(what);
        }
        let note = signer().sign(300, before);
        undo(&format!("UPDATE log_head SET size = 300, checkpoint = '{note}', held_until = 0"));
        // The tile at the edge is as it was then, too.
        let tile = h.tamper(store::Realm::Data, "SELECT count(*) FROM log_tile WHERE level = 0 AND idx = 1");
        assert_eq!(tile, ["1"]);

        let (data, _, _) = h.reopen().await;
        let (first, rest) = entries.split_at(100);
        let held = h.data.take_back(&h.system(), &signer(), first).await.unwrap();
        assert_eq!(held, 400);
        assert_eq!(data.take_back(&h.system(), &signer(), rest).await.unwrap(), 702);
        assert_eq!(data.checkpoint().await.unwrap().unwrap(), theirs);
        assert_eq!(h.tamper(store::Realm::Data, "SELECT count(*) FROM outbox"), ["0"], "each has one place");
        assert_eq!(h.tamper(store::Realm::Data, "SELECT count(*) FROM event"), ["702"]);
        for index in [0, 299, 300, 301, 302, 701] {
            assert!(data.leaf(index).await.unwrap().is_some());
        }
        // And the log goes on from there.
        h.clock.advance(Duration::from_seconds(10));
        data.record(&scope, act("after")).await.unwrap();
        let again = Sequencer::new(data.clone(), signer()).unwrap();
        assert_eq!(again.drain().await.unwrap().size, Some(703));
        // What is no event is not taken, and changes nothing; nor is anything while another server sequences.
        let error = data.take_back(&h.system(), &signer(), &[b"nonsense".to_vec()]).await.unwrap_err();
        assert!(matches!(error, StoreError::Log(_)), "{error}");
        assert_eq!(data.signed_head().await.unwrap().unwrap().size, 703);
        h.tamper(store::Realm::Data, &format!("UPDATE log_head SET holder = x'{}', held_until = {}", "07".repeat(16), (h.context.now() + minutes(1)).micros()));
        assert!(data.take_back(&h.system(), &signer(), &[]).await.is_err());
    }

    async fn a_log_that_a_witness_contradicts_is_not_signed_any_more(h: Harness) {
        let scope = h.scope(h.account());
        grow(&h.data, &scope, 3, "a").await;
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        sequencer.drain().await.unwrap();
        let signed = h.data.checkpoint().await.unwrap();
        assert!(!h.data.log_broke() && h.data.log_broke());
        grow(&h.data, &scope, 3, "b").await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        stop.send(true).unwrap();
        sequencer.run(stopped).await;
        assert_eq!(h.data.checkpoint().await.unwrap(), signed);
        assert_eq!(h.data.events_waiting().await.unwrap(), 3, "events are kept, and wait");
    }
}
