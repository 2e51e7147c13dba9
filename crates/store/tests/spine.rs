//! The spine on both engines: commits, refusals, accounts apart, the log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use base::Secret;
use ledger::{Act, Activity, LogSigner, ObjectRef, parse_tile_path};
use store::{JobHandler, JobRunner, Lease, NewJob, Next, Sequencer, StoreError, platform};

fn act(name: &str) -> Act {
    Act::new(Activity::RecordCreate, ObjectRef::new("record", name))
}

fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::new("log.test/spine", &Secret::new([7; 32])).unwrap())
}

testkit::on_both_engines! {
    async fn a_change_and_its_event_are_one(h: Harness) {
        let scope = h.scope(h.account());
        let tx = h.data.begin(&scope).await.unwrap();
        let committed = tx.commit(5, act("one")).await.unwrap();
        assert_eq!(*committed, 5);
        // Dropped: nothing happened, and no event says it did.
        drop(h.data.begin(&scope).await.unwrap());
        h.data.begin(&scope).await.unwrap().refuse(Act::refused(Activity::RecordRead, ObjectRef::new("record", "two"), "no", Some("CD-8"))).await.unwrap();
        let found = h.tamper(store::Realm::Data, "SELECT activity FROM event ORDER BY seq");
        assert_eq!(found, ["record.create", "record.read"]);
    }

    async fn the_outbox_becomes_a_log_in_order(h: Harness) {
        let scope = h.scope(h.account());
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        for round in 0..3u64 {
            for entry in 0..300 {
                h.data.record(&scope, act(&format!("{round}-{entry}"))).await.unwrap();
            }
            let step = sequencer.drain().await.unwrap();
            assert_eq!((step.moved, step.size), (300, Some(300 * (round + 1))));
        }
        let checkpoint = h.data.checkpoint().await.unwrap().unwrap();
        let verified = signer().verifier().verify(&checkpoint).unwrap();
        assert_eq!(verified.size, 900);
        let bundle = h.data.tile(&parse_tile_path("tile/entries/003.p/132").unwrap()).await.unwrap().unwrap();
        assert_eq!(ledger::bundle_entries(&bundle).count(), 132);
        assert!(h.data.tile(&parse_tile_path("tile/entries/003.p/133").unwrap()).await.unwrap().is_none());
        assert_eq!(h.data.tile(&parse_tile_path("tile/0/000").unwrap()).await.unwrap().unwrap().len(), 8192);
        assert_eq!(h.data.tile(&parse_tile_path("tile/1/000.p/3").unwrap()).await.unwrap().unwrap().len(), 96);
        // A restart picks the edge up from the tables and goes on with the same tree.
        let (data, _, _) = h.reopen().await;
        h.clock.advance(base::Duration::from_seconds(10));
        data.record(&scope, act("last")).await.unwrap();
        let again = Sequencer::new(data.clone(), signer()).unwrap();
        assert_eq!(again.drain().await.unwrap().size, Some(901));
    }

    async fn a_changed_tile_stops_the_sequencer(h: Harness) {
        let scope = h.scope(h.account());
        h.data.record(&scope, act("one")).await.unwrap();
        Sequencer::new(h.data.clone(), signer()).unwrap().drain().await.unwrap();
        h.tamper(store::Realm::Data, &format!("UPDATE log_tile SET data = x'{}'", "00".repeat(32)));
        h.clock.advance(base::Duration::from_seconds(10));
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        let error = sequencer.step().await.unwrap_err();
        assert!(matches!(error, StoreError::Log(_)), "{error}");
        assert!(!h.data.is_log_broken());
        // A server that runs says so: an event, once, and a mark that stays.
        h.data.record(&scope, act("two")).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(async move { sequencer.run(stopped).await });
        let violations = "SELECT count(*) FROM event WHERE activity = 'integrity.violation'";
        while h.tamper(store::Realm::Data, violations) == ["0"] {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
        running.await.unwrap();
        assert!(h.data.is_log_broken());
        assert_eq!(h.tamper(store::Realm::Data, violations), ["1"]);
    }

    async fn a_hold_that_a_wrong_clock_wrote_holds_nobody_up(h: Harness) {
        h.data.record(&h.scope(h.account()), act("one")).await.unwrap();
        h.tamper(store::Realm::Data, &format!("UPDATE log_head SET holder = x'{}', held_until = 9000000000000000000", "07".repeat(16)));
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        assert_eq!(sequencer.step().await.unwrap().size, Some(1));
    }

    async fn nothing_is_committed_after_a_statement_that_failed(h: Harness) {
        let add = platform!("INSERT INTO outbox (seq) VALUES ($1)");
        let mut tx = h.data.system(&h.system()).await.unwrap();
        tx.execute(add, &[1.into()]).await.unwrap();
        assert!(tx.execute(add, &[1.into()]).await.is_err());
        assert!(tx.commit((), act("one")).await.is_err());
        // A refusal undoes what failed, and is durable.
        let mut tx = h.data.system(&h.system()).await.unwrap();
        tx.execute(add, &[1.into()]).await.unwrap();
        assert!(tx.execute(add, &[1.into()]).await.is_err());
        tx.refuse(Act::refused(Activity::RecordRead, ObjectRef::new("record", "two"), "no", None)).await.unwrap();
        assert_eq!(h.tamper(store::Realm::Data, "SELECT activity FROM event"), ["record.read"]);
        assert_eq!(h.tamper(store::Realm::Data, "SELECT count(*) FROM outbox"), ["1"]);
    }

    async fn two_sequencers_at_once_lose_and_double_nothing(h: Harness) {
        let scope = h.scope(h.account());
        let (other, _, _) = h.reopen().await;
        // On SQLite a second process is kept out of the directory: there the second is of this one.
        let other = if h.engine() == testkit::Engine::Postgres { other } else { h.data.clone() };
        let sequencers = [
            Arc::new(Sequencer::new(h.data.clone(), signer()).unwrap()),
            Arc::new(Sequencer::new(other, signer()).unwrap()),
        ];
        let writer = {
            let store = h.data.clone();
            tokio::spawn(async move {
                for entry in 0..200 {
                    store.record(&scope, act(&entry.to_string())).await.unwrap();
                }
            })
        };
        let (clock, mut steps) = (h.clock.clone(), Vec::new());
        for sequencer in &sequencers {
            let (sequencer, clock) = (sequencer.clone(), clock.clone());
            steps.push(tokio::spawn(async move {
                for _ in 0..40 {
                    // Each wants to take over all the time.
                    clock.advance(base::Duration::from_seconds(10));
                    let step = sequencer.step().await;
                    assert!(matches!(step, Ok(_) | Err(StoreError::Contention)), "{step:?}");
                }
            }));
        }
        writer.await.unwrap();
        for step in steps {
            step.await.unwrap();
        }
        h.clock.advance(base::Duration::from_seconds(10));
        assert_eq!(sequencers[0].drain().await.unwrap().size, Some(200));
        let found = h.tamper(store::Realm::Data, "SELECT count(*), count(DISTINCT seq), min(idx), max(idx) FROM log_entry");
        assert_eq!(found, ["200|200|0|199"]);
    }

    async fn one_sequencer_at_a_time_and_the_other_takes_over(h: Harness) {
        let scope = h.scope(h.account());
        let (other, _, _) = h.reopen().await;
        let first = Sequencer::new(h.data.clone(), signer()).unwrap();
        let second = Sequencer::new(other, signer()).unwrap();
        h.data.record(&scope, act("one")).await.unwrap();
        assert_eq!(first.step().await.unwrap().size, Some(1));
        h.data.record(&scope, act("two")).await.unwrap();
        assert_eq!(second.step().await.unwrap().size, None);
        // The first falls silent: the second takes over, and nothing is lost or doubled.
        h.clock.advance(base::Duration::from_seconds(10));
        assert_eq!(second.step().await.unwrap().size, Some(2));
        h.data.record(&scope, act("three")).await.unwrap();
        assert_eq!(first.step().await.unwrap().size, None);
        assert_eq!(second.step().await.unwrap().size, Some(3));
    }

    async fn a_job_runs_in_its_account_and_gives_up_in_the_end(h: Harness) {
        struct Failing(base::AccountId);
        impl JobHandler for Failing {
            fn kind(&self) -> &'static str { "failing" }
            fn run<'a>(&'a self, lease: &'a Lease) -> store::JobFuture<'a> {
                Box::pin(async move {
                    assert_eq!(lease.scope().map(store::Scope::account), Some(self.0));
                    if lease.payload() == "again" { return Ok(Next::Done); }
                    Err(store::JobError("no".to_owned()))
                })
            }
        }
        let account = h.account();
        let scope = h.scope(account);
        let mut tx = h.data.begin(&scope).await.unwrap();
        let job = |payload: &str, dedupe: &str| NewJob {
            kind: "failing", payload: payload.to_owned(), run_at: h.context.now(), dedupe: Some(dedupe.to_owned()), max_attempts: 2,
        };
        assert!(tx.enqueue(job("", "a")).await.unwrap().is_some());
        assert!(tx.enqueue(job("", "a")).await.unwrap().is_none());
        assert!(tx.enqueue(job("again", "b")).await.unwrap().is_some());
        tx.commit((), act("jobs")).await.unwrap().into_inner();
        let runner = JobRunner::new(h.data.clone(), vec![Box::new(Failing(account))]);
        assert_eq!(runner.run_due().await.unwrap(), 2);
        assert_eq!(runner.run_due().await.unwrap(), 0);
        h.clock.advance(base::Duration::from_seconds(60));
        assert_eq!(runner.run_due().await.unwrap(), 1);
        h.clock.advance(base::Duration::from_days(1));
        assert_eq!(runner.run_due().await.unwrap(), 0);
        let found = h.tamper(store::Realm::Data, "SELECT activity FROM event ORDER BY seq");
        assert_eq!(found, ["record.create", "job.complete", "job.fail"]);
    }

    async fn a_job_that_ran_out_is_said_to_have_and_can_be_asked_for_again(h: Harness) {
        struct Panics;
        impl JobHandler for Panics {
            fn kind(&self) -> &'static str { "panics" }
            fn run<'a>(&'a self, _: &'a Lease) -> store::JobFuture<'a> {
                Box::pin(async { unreachable!("a fault of the handler") })
            }
        }
        let scope = h.scope(h.account());
        let ask = async || {
            let mut tx = h.data.begin(&scope).await.unwrap();
            let job = NewJob {
                kind: "panics", payload: String::new(), run_at: h.context.now(), dedupe: Some("one".to_owned()), max_attempts: 1,
            };
            let asked = tx.enqueue(job).await.unwrap().is_some();
            tx.commit(asked, act("job")).await.unwrap().into_inner()
        };
        assert!(ask().await);
        assert!(!ask().await);
        let runner = JobRunner::new(h.data.clone(), vec![Box::new(Panics)]);
        assert_eq!(runner.run_due().await.unwrap(), 1);
        assert!(ask().await, "what ran out can be asked for again");
        // Its next life ends without a word: a process that died holding it.
        h.tamper(store::Realm::Data, "UPDATE job SET attempts = 1, lease_until = 5");
        assert_eq!(runner.run_due().await.unwrap(), 0);
        let found = h.tamper(store::Realm::Data, "SELECT count(*) FROM event WHERE activity = 'job.fail'");
        assert_eq!(found, ["2"]);
        assert_eq!(runner.run_due().await.unwrap(), 0);
    }

    async fn a_job_that_failed_and_then_died_is_said_to_have_run_out(h: Harness) {
        struct Fails;
        impl JobHandler for Fails {
            fn kind(&self) -> &'static str { "fails" }
            fn run<'a>(&'a self, _: &'a Lease) -> store::JobFuture<'a> {
                Box::pin(async { Err(store::JobError("no".to_owned())) })
            }
        }
        let mut tx = h.data.begin(&h.scope(h.account())).await.unwrap();
        struct Hangs(Arc<tokio::sync::Semaphore>, Arc<tokio::sync::Semaphore>);
        impl JobHandler for Hangs {
            fn kind(&self) -> &'static str { "fails" }
            fn run<'a>(&'a self, _: &'a Lease) -> store::JobFuture<'a> {
                Box::pin(async {
                    self.0.add_permits(1);
                    let _never = self.1.acquire().await;
                    Ok(Next::Done)
                })
            }
        }
        let job = NewJob { kind: "fails", payload: String::new(), run_at: h.context.now(), dedupe: None, max_attempts: 2 };
        tx.enqueue(job).await.unwrap();
        tx.commit((), act("job")).await.unwrap().into_inner();
        let runner = JobRunner::new(h.data.clone(), vec![Box::new(Fails)]);
        assert_eq!(runner.run_due().await.unwrap(), 1);
        assert_eq!(h.tamper(store::Realm::Data, "SELECT failure FROM job"), ["no"]);
        // Its second attempt, the last, is taken and never ends: its process dies.
        h.clock.advance(base::Duration::from_seconds(60));
        let (begun, never) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
        let dies = JobRunner::new(h.data.clone(), vec![Box::new(Hangs(begun.clone(), never))]);
        let running = tokio::spawn(async move { dies.run_due().await });
        begun.acquire().await.unwrap().forget();
        running.abort();
        h.clock.advance(base::Duration::from_days(1));
        assert_eq!(runner.run_due().await.unwrap(), 0);
        let found = h.tamper(store::Realm::Data, "SELECT count(*) FROM event WHERE activity = 'job.fail'");
        assert_eq!(found, ["1"]);
    }

    async fn a_job_whose_lease_was_lost_is_not_said_to_be_done(h: Harness) {
        struct Slow(Arc<tokio::sync::Semaphore>, Arc<tokio::sync::Semaphore>);
        impl JobHandler for Slow {
            fn kind(&self) -> &'static str { "slow" }
            fn run<'a>(&'a self, _: &'a Lease) -> store::JobFuture<'a> {
                Box::pin(async {
                    self.0.add_permits(1);
                    self.1.acquire().await.unwrap().forget();
                    Ok(Next::Done)
                })
            }
        }
        let mut tx = h.data.begin(&h.scope(h.account())).await.unwrap();
        let job = NewJob { kind: "slow", payload: String::new(), run_at: h.context.now(), dedupe: None, max_attempts: 3 };
        tx.enqueue(job).await.unwrap();
        tx.commit((), act("job")).await.unwrap().into_inner();
        let (begun, go_on) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
        let runner = JobRunner::new(h.data.clone(), vec![Box::new(Slow(begun.clone(), go_on.clone()))]);
        let running = tokio::spawn(async move { runner.run_due().await.unwrap() });
        begun.acquire().await.unwrap().forget();
        // Another server has taken it meanwhile.
        h.tamper(store::Realm::Data, &format!("UPDATE job SET lease_holder = x'{}', attempts = 2", "07".repeat(16)));
        go_on.add_permits(1);
        running.await.unwrap();
        let found = h.tamper(store::Realm::Data, "SELECT count(*) FROM event WHERE activity = 'job.complete'");
        assert_eq!(found, ["0"]);
        assert_eq!(h.tamper(store::Realm::Data, "SELECT count(*) FROM job"), ["1"]);
    }

    async fn a_jobs_key_is_its_accounts_own(h: Harness) {
        for _ in 0..2 {
            let mut tx = h.data.begin(&h.scope(h.account())).await.unwrap();
            let job = NewJob {
                kind: "same", payload: String::new(), run_at: h.context.now(), dedupe: Some("key".to_owned()), max_attempts: 1,
            };
            assert!(tx.enqueue(job).await.unwrap().is_some());
            tx.commit((), act("job")).await.unwrap().into_inner();
        }
        assert_eq!(h.tamper(store::Realm::Data, "SELECT count(*), count(DISTINCT account_id) FROM job"), ["2|2"]);
    }

    async fn many_writers_lose_nothing(h: Harness) {
        let account = h.account();
        let mut writers = Vec::new();
        for writer in 0..8 {
            let (store, scope) = (h.data.clone(), h.scope(account));
            writers.push(tokio::spawn(async move {
                for entry in 0..50 {
                    if entry % 5 == 0 {
                        drop(store.begin(&scope).await.unwrap());
                    }
                    store.record(&scope, act(&format!("{writer}-{entry}"))).await.unwrap();
                }
            }));
        }
        let sequencer = Sequencer::new(h.data.clone(), signer()).unwrap();
        for writer in writers {
            sequencer.step().await.unwrap();
            writer.await.unwrap();
        }
        assert_eq!(sequencer.drain().await.unwrap().size, Some(400));
    }

    async fn a_system_statement_reaches_platform_tables(h: Harness) {
        let mut read = h.data.system_read(&h.system()).await.unwrap();
        let row = read.row(platform!("SELECT count(*) FROM event"), &[]).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), 0);
    }
}
