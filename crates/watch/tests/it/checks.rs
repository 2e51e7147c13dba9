//! The job that makes checks: when it does, and what it records of a probe that fails, can't tell, hangs or panics.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use access::Role;
use base::{Duration, Fault, Kind};
use policy::{Seen, State};
use store::{JobRunner, Realm, SystemScope};
use testkit::{Engine, on_both_engines};
use tokio::sync::Semaphore;
use watch::{ChecksJob, LookFuture, Probe, Sight};

use crate::support::{House, state};

/// Every 15 minutes, valid for six hours.
const OFTEN: &str = "log-keeps-up";
/// Every hour, valid for a day.
const SELDOM: &str = "rows-explained";
/// Once a day, valid for two.
const DRILL: &str = "drill-cross-account";

/// What a probe does when it looks.
#[derive(Clone)]
enum Look {
    Sees(Seen),
    Hangs,
    Panics,
    PanicsAtOnce,
    /// Says that it looks, and waits until it may go on.
    Waits(Arc<Semaphore>, Arc<Semaphore>),
}

/// A probe that does as it is told, and counts.
#[derive(Clone)]
struct Fake {
    check: &'static str,
    look: Arc<Mutex<Look>>,
    looks: Arc<AtomicUsize>,
}

impl Fake {
    fn new(check: &'static str, look: Look) -> Self {
        Self { check, look: Arc::new(Mutex::new(look)), looks: Arc::default() }
    }
    fn now(&self, look: Look) {
        *self.look.lock().unwrap() = look;
    }
    /// How often it looked since it was asked last.
    fn looks(&self) -> usize {
        self.looks.swap(0, Ordering::SeqCst)
    }
}

impl Probe for Fake {
    fn check(&self) -> &'static str {
        self.check
    }
    fn look<'a>(&'a self, _: &'a SystemScope) -> LookFuture<'a> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let look = self.look.lock().unwrap().clone();
        if matches!(look, Look::PanicsAtOnce) {
            panic!("a probe's fault");
        }
        Box::pin(async move {
            match look {
                Look::Sees(Seen::Pass) => Sight::counted(2, 0, "both are so"),
                Look::Sees(Seen::Fail) => Sight::counted(2, 1, "one is not so"),
                Look::Sees(Seen::Unknown) => Sight::unknown("it was not to be reached"),
                Look::Hangs => std::future::pending().await,
                Look::Panics | Look::PanicsAtOnce => panic!("a probe's fault"),
                Look::Waits(begun, go_on) => {
                    begun.add_permits(1);
                    go_on.acquire().await.unwrap().forget();
                    Sight::whether(true, "it went on")
                }
            }
        })
    }
}

fn job(house: &House, probes: &[&Fake]) -> ChecksJob {
    let probes = probes.iter().map(|one| Box::new((*one).clone()) as Box<dyn Probe>).collect();
    ChecksJob::new(house.watch.clone(), probes)
}

/// A runner that does it by the clock, from now on.
async fn by_the_clock(house: &House, job: ChecksJob) -> JobRunner {
    job.schedule(&house.server()).await.unwrap();
    house.h.clock.advance(Duration::from_seconds(2));
    JobRunner::new(house.h.data.clone(), vec![Box::new(job)])
}

async fn minutes_later(house: &House, runner: &JobRunner, minutes: i64) {
    house.h.clock.advance(Duration::from_seconds(60 * minutes));
    runner.run_due().await.unwrap();
}

on_both_engines! {
    async fn what_is_due_is_made_and_nothing_else(h: Harness) {
        let house = House::open(h).await;
        let (often, seldom) = (Fake::new(OFTEN, Look::Sees(Seen::Pass)), Fake::new(SELDOM, Look::Sees(Seen::Pass)));
        let nobodys = Fake::new("no-such-check", Look::Sees(Seen::Pass));
        let all = || job(&house, &[&often, &seldom, &nobodys]);
        let looks = || (often.looks(), seldom.looks(), nobodys.looks());
        let early = JobRunner::new(house.h.data.clone(), vec![Box::new(all())]);
        all().schedule(&house.server()).await.unwrap();
        assert_eq!((early.run_due().await.unwrap(), looks()), (0, (0, 0, 0)), "not at once");
        // However many servers start, it waits once.
        all().schedule(&house.server()).await.unwrap();
        assert_eq!(house.h.tamper(Realm::Data, "SELECT count(*) FROM job WHERE kind = 'watch.checks'"), ["1"]);
        let runner = by_the_clock(&house, all()).await;
        assert_eq!((runner.run_due().await.unwrap(), looks()), (1, (1, 1, 0)), "what was never made is due");
        assert_eq!((runner.run_due().await.unwrap(), looks()), (0, (0, 0, 0)));
        minutes_later(&house, &runner, 14).await;
        assert_eq!(looks(), (0, 0, 0));
        minutes_later(&house, &runner, 1).await;
        assert_eq!(looks(), (1, 0, 0));
        minutes_later(&house, &runner, 45).await;
        assert_eq!(looks(), (1, 1, 0), "each once, however late");
        // Another server starts: it knows when they were made.
        let other = by_the_clock(&house, all()).await;
        minutes_later(&house, &other, 1).await;
        assert_eq!(looks(), (0, 0, 0));
        let page = house.watch.observations(&house.by(&house.ann).await, OFTEN, None, 10).await.unwrap();
        assert_eq!(page.items.len(), 3);
        let one = &page.items[0];
        assert_eq!((one.effective, one.collected, one.by.starts_with("srv_")), (one.received, one.received, true), "{one:?}");
        assert_eq!((one.examined, one.failed, one.summary.as_str()), (2, 0, "both are so"));
    }

    async fn what_a_probe_sees_is_what_is_known(h: Harness) {
        let house = House::open(h).await;
        let probe = Fake::new(OFTEN, Look::Sees(Seen::Fail));
        let runner = by_the_clock(&house, job(&house, &[&probe])).await;
        runner.run_due().await.unwrap();
        let known = house.known(None).await;
        assert_eq!((state(&known, OFTEN), known.findings.len(), known.findings[0].summary.as_str()), (State::NotSatisfied, 1, "one is not so"));
        probe.now(Look::Sees(Seen::Pass));
        minutes_later(&house, &runner, 15).await;
        let known = house.known(None).await;
        assert_eq!((state(&known, OFTEN), known.findings[0].closed), (State::Satisfied, Some(house.now())));
        // It can't tell any more: what it saw counts while it is valid, and not a moment longer.
        let passed = house.now();
        probe.now(Look::Sees(Seen::Unknown));
        minutes_later(&house, &runner, 15).await;
        let known = house.known(None).await;
        let check = known.assessment.check(OFTEN).unwrap();
        assert_eq!((check.state, check.observation.as_ref().unwrap().received), (State::Satisfied, passed));
        assert_eq!(check.could_not_tell.as_ref().unwrap().summary, "it was not to be reached");
        assert_eq!(known.findings.len(), 1, "that nobody could tell is no finding");
        for _ in 0..22 {
            minutes_later(&house, &runner, 15).await;
        }
        assert_eq!(house.state(OFTEN).await, State::Satisfied, "five hours and three quarters");
        minutes_later(&house, &runner, 15).await;
        assert_eq!(house.state(OFTEN).await, State::Stale, "a probe that died is never green");
        assert!(probe.looks() >= 25);
    }

    async fn a_probe_that_hangs_or_panics_could_not_tell_and_stops_no_other(h: Harness) {
        let house = House::open(h).await;
        let (hangs, last) = (Fake::new(OFTEN, Look::Hangs), Fake::new(SELDOM, Look::Sees(Seen::Pass)));
        // A minute is not waited for: none is given.
        let runner = by_the_clock(&house, job(&house, &[&hangs, &last]).giving(Duration::from_seconds(0))).await;
        for (look, summary) in [
            (Look::Hangs, "it took more than 0 seconds"),
            (Look::Panics, "it panicked"),
            (Look::PanicsAtOnce, "it panicked"),
        ] {
            hangs.now(look);
            minutes_later(&house, &runner, 60).await;
            let known = house.known(None).await;
            assert_eq!((state(&known, OFTEN), state(&known, SELDOM)), (State::NeverObserved, State::Satisfied), "{summary}");
            assert_eq!(known.assessment.check(OFTEN).unwrap().could_not_tell.as_ref().unwrap().summary, summary);
            assert_eq!((hangs.looks(), last.looks()), (1, 1), "{summary}");
        }
        assert!(house.events().iter().all(|one| one.activity != "job.fail"));
    }

    async fn a_check_that_nobody_makes_grows_stale(h: Harness) {
        let house = House::open(h).await;
        let (drill, other) = (Fake::new(DRILL, Look::Sees(Seen::Pass)), Fake::new(OFTEN, Look::Sees(Seen::Pass)));
        by_the_clock(&house, job(&house, &[&drill, &other])).await.run_due().await.unwrap();
        assert_eq!(house.state(DRILL).await, State::Satisfied);
        // The next server has no such probe.
        let runner = by_the_clock(&house, job(&house, &[&other])).await;
        for _ in 0..7 {
            minutes_later(&house, &runner, 60 * 6).await;
        }
        assert_eq!((house.state(DRILL).await, house.state(OFTEN).await), (State::Satisfied, State::Satisfied), "42 hours");
        minutes_later(&house, &runner, 60 * 6).await;
        let known = house.known(None).await;
        assert_eq!((state(&known, DRILL), state(&known, OFTEN)), (State::Stale, State::Satisfied));
        assert_eq!(state(&known, SELDOM), State::NeverObserved);
    }

    async fn what_is_asked_for_is_made_once(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        let (often, drill) = (Fake::new(OFTEN, Look::Sees(Seen::Pass)), Fake::new(DRILL, Look::Sees(Seen::Pass)));
        let runner = by_the_clock(&house, job(&house, &[&often, &drill])).await;
        runner.run_due().await.unwrap();
        assert_eq!((often.looks(), drill.looks()), (1, 1));
        // At once, though it is not due; twice in an order is once.
        let asked = house.watch.ask(&house.by(&eve).await, &[DRILL.to_owned(), DRILL.to_owned()]).await.unwrap().into_inner();
        assert_eq!(house.last_act(), "evidence.ask ok");
        assert_eq!(runner.run_due().await.unwrap(), 1);
        assert_eq!((often.looks(), drill.looks()), (0, 1));
        let done = house.events().into_iter().find(|one| one.activity == "job.complete").unwrap();
        assert_eq!(done.object.id, asked.to_string());
        for _ in 0..3 {
            minutes_later(&house, &runner, 1).await;
        }
        assert_eq!((often.looks(), drill.looks()), (0, 0));
        // Every one that Tenet makes; those that it has no probe for are not made, and nothing is said of them.
        house.watch.ask(&house.by(&eve).await, &[]).await.unwrap().into_inner();
        runner.run_due().await.unwrap();
        assert_eq!((often.looks(), drill.looks(), house.state(SELDOM).await), (1, 1, State::NeverObserved));
        assert_eq!(house.h.tamper(Realm::Data, "SELECT payload FROM job WHERE kind = 'watch.checks'"), [r#"{"checks":[]}"#], "the one by the clock");
        for (check, code) in [("media-disposed", "invalid"), ("no-such-check", "not-found"), ("", "not-found")] {
            let error = house.watch.ask(&house.by(&eve).await, &[OFTEN.to_owned(), check.to_owned()]).await.unwrap_err();
            assert_eq!((error.code(), house.last_act()), (code, format!("evidence.ask refused {code}")), "{check}");
        }
        runner.run_due().await.unwrap();
        assert_eq!((often.looks(), drill.looks()), (0, 0), "an order with one that is wrong is none");
        assert_eq!(house.watch.attest(&house.by(&eve).await, &crate::support::attestation(DRILL)).await.unwrap_err().kind(), Kind::Invalid);
    }

    async fn two_servers_do_not_make_it_twice(h: Harness) {
        let house = House::open(h).await;
        let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let probe = Fake::new(OFTEN, Look::Waits(begun.clone(), go_on.clone()));
        let here = by_the_clock(&house, job(&house, &[&probe])).await;
        let there = match house.h.engine() {
            Engine::Postgres => house.h.reopen().await.0,
            // One process at a time has the file.
            Engine::Sqlite => house.h.data.clone(),
        };
        let there = JobRunner::new(there, vec![Box::new(job(&house, &[&probe]))]);
        let running = tokio::spawn(async move { here.run_due().await.unwrap() });
        begun.acquire().await.unwrap().forget();
        // While the one looks, the other one has nothing to do; nor afterwards.
        assert_eq!(there.run_due().await.unwrap(), 0);
        go_on.add_permits(2);
        assert_eq!(running.await.unwrap(), 1);
        assert_eq!((there.run_due().await.unwrap(), probe.looks()), (0, 1));
        minutes_later(&house, &there, 1).await;
        assert_eq!(probe.looks(), 0, "made by one, it is due for neither");
        assert_eq!(house.h.tamper(Realm::Data, "SELECT count(*) FROM observation"), ["1"]);
    }
}
