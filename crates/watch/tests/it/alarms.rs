//! Alarms from what happened to who was told: what happens again, escalation, acknowledgement, quiet hours, failed routes,
//! crashes on the way, tests, and what a message does not say.

use std::sync::atomic::Ordering;

use access::Role;
use base::{Duration, Fault, Kind, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use policy::Seen;
use testkit::on_both_engines;
use watch::{
    ALARM_RULES, AlarmPlan, AlarmSeverity, AlarmState, Alarms, MAX_ATTEMPTS, MessageKind, Notice, QuietHours,
    Untaken,
};

use crate::{
    post::{Post, messenger, plan, receivers},
    support::House,
};

const NOT_NOW: Untaken = Untaken { code: "server-error", answer: Some(503), again: true };
const NEVER: Untaken = Untaken { code: "refused", answer: Some(404), again: false };

on_both_engines! {
    async fn what_happens_again_raises_the_count_and_is_told_once(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900)])).await;
        let from = post.house.events().len();
        post.damage().await;
        let first = post.house.now();
        post.house.h.clock.advance(Duration::from_seconds(1));
        post.damage().await;
        post.go().await;
        assert_eq!(post.told(), ["a raise"]);
        post.house.h.clock.advance(Duration::from_seconds(1));
        post.damage().await;
        post.go().await;
        assert_eq!(post.told(), [""; 0]);
        let alarm = post.only().await;
        assert_eq!((alarm.rule.as_str(), alarm.state, alarm.severity), ("integrity", AlarmState::Open, AlarmSeverity::Critical));
        assert_eq!((alarm.count, alarm.first_at, alarm.last_at), (3, first, post.house.now()));
        assert_eq!(alarm.clauses, ["CD-2"]);
        // The entry that raised it is one that somebody else can open.
        let leaf = post.house.h.data.leaf(alarm.entry.unwrap()).await.unwrap().unwrap();
        assert_eq!(ledger::Event::decode(&leaf).unwrap().activity, "integrity.violation");
        assert_eq!(post.acts(from), ["alarm.raise"]);
        // Nothing of it is told again by a server that starts.
        let again = messenger(&post.house, &post.alarms, &post.receivers);
        again.look().await.unwrap();
        again.deliver_due().await.unwrap();
        assert_eq!((post.told(), post.only().await.count), (Vec::new(), 3));
    }

    async fn what_is_past_when_alarms_begin_is_not_raised(h: Harness) {
        let house = House::open(h).await;
        let damage = Act::new(Activity::IntegrityViolation, ObjectRef::new("record", "rec_1"));
        house.h.data.record_system(&house.server(), damage).await.unwrap();
        house.sequence().await;
        let alarms = Alarms::new(house.watch.clone(), plan(&[]));
        let receivers = receivers(false);
        let post = Post { messenger: messenger(&house, &alarms, &receivers), house, alarms, receivers };
        post.go().await;
        assert!(post.all().await.is_empty());
        post.damage().await;
        post.go().await;
        assert_eq!(post.only().await.count, 1);
    }

    async fn it_goes_on_to_the_next_step_until_somebody_acknowledges(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900), (&["b", "c"], 600)])).await;
        let from = post.house.events().len();
        post.damage().await;
        post.go().await;
        assert_eq!(post.told(), ["a raise"]);
        post.later(899).await;
        assert_eq!(post.told(), [""; 0]);
        post.later(1).await;
        assert_eq!(post.told(), ["b escalate", "c escalate"]);
        // The last step of what is critical comes again.
        post.later(600).await;
        assert_eq!(post.told(), ["b escalate", "c escalate"]);
        let alarm = post.only().await;
        assert_eq!(alarm.step, 2);
        post.acknowledge(&alarm, 7_200).await;
        post.go().await;
        assert_eq!(post.told(), ["a acknowledge", "b acknowledge", "c acknowledge"]);
        // It survives repeats until it ends.
        post.damage().await;
        post.later(7_199).await;
        assert_eq!((post.told(), post.only().await.count), (Vec::new(), 2));
        post.later(1).await;
        assert_eq!(post.told(), ["a again"]);
        let alarm = post.only().await;
        assert_eq!((alarm.state, alarm.step, alarm.acknowledged.is_none()), (AlarmState::Open, 0, true));
        post.later(900).await;
        assert_eq!(post.told(), ["b escalate", "c escalate"]);
        let by = post.house.by(&post.house.ann).await;
        let over = post.alarms.resolve(&by, alarm.id, "restored from the copy").await.unwrap().into_inner();
        assert_eq!((over.state, over.next_at), (AlarmState::Resolved, None));
        post.later(70_000).await;
        assert_eq!(post.told(), ["a resolve", "b resolve", "c resolve"]);
        assert_eq!(
            post.acts(from),
            ["alarm.raise", "alarm.escalate", "alarm.escalate", "alarm.acknowledge", "alarm.lapse", "alarm.escalate", "alarm.resolve"]
        );
        // Another time is another alarm.
        post.damage().await;
        post.go().await;
        assert_eq!((post.told(), post.all().await.len()), (vec!["a raise".to_owned()], 2));
    }

    async fn a_warning_ends_its_steps_and_what_passes_ends_its_alarm(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900), (&["b"], 600)])).await;
        post.house.saw("tls-only", Seen::Fail).await;
        post.house.sequence().await;
        post.go().await;
        let alarm = post.only().await;
        assert_eq!((alarm.rule.as_str(), alarm.about.as_str(), alarm.severity), ("finding", "tls-only", AlarmSeverity::Warning));
        assert!(alarm.clauses.contains(&"TR-4".to_owned()), "{:?}", alarm.clauses);
        post.later(900).await;
        assert_eq!(post.told(), ["a raise", "b escalate"]);
        post.later(9_000).await;
        assert_eq!(post.told(), [""; 0]);
        post.house.saw("tls-only", Seen::Pass).await;
        post.house.sequence().await;
        post.go().await;
        assert_eq!(post.told(), ["a resolve", "b resolve"]);
        assert_eq!(post.only().await.state, AlarmState::Resolved);
    }

    async fn quiet_hours_hold_back_what_is_not_critical(h: Harness) {
        let night: Timestamp = "2026-01-10T22:30:00Z".parse().unwrap();
        h.clock.set(night);
        let quiet = Some(QuietHours { from: 22 * 60, until: 7 * 60, offset: 0 });
        let post = Post::open(h, AlarmPlan { quiet, ..plan(&[(&["a"], 900), (&["b"], 900)]) }).await;
        post.crash().await;
        post.damage().await;
        post.go().await;
        let told = post.receiver("a").took();
        assert_eq!(told.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), ["integrity"]);
        let all = post.all().await;
        let by = post.house.by(&post.house.ann).await;
        post.alarms.resolve(&by, all[1].id, "restored").await.unwrap().into_inner();
        post.later(8 * 3_600 + 1_799).await;
        assert_eq!(post.told(), ["a resolve"], "of the critical one, nothing of the warning");
        post.later(1).await;
        assert_eq!(post.told(), ["a raise"]);
        // Its next step counts from when it was told.
        post.later(899).await;
        assert_eq!(post.told(), [""; 0]);
        post.later(1).await;
        assert_eq!(post.told(), ["b escalate"]);
    }

    async fn that_it_is_over_waits_until_quiet_hours_end(h: Harness) {
        h.clock.set("2026-01-10T21:59:00Z".parse().unwrap());
        let quiet = Some(QuietHours { from: 22 * 60, until: 7 * 60, offset: 0 });
        let post = Post::open(h, AlarmPlan { quiet, ..plan(&[(&["a"], 900)]) }).await;
        post.house.saw("tls-only", Seen::Fail).await;
        post.house.sequence().await;
        post.go().await;
        assert_eq!(post.told(), ["a raise"]);
        post.later(3_600).await;
        post.house.saw("tls-only", Seen::Pass).await;
        post.later(3_600).await;
        assert_eq!((post.told(), post.only().await.state), (Vec::new(), AlarmState::Resolved));
        post.later(8 * 3_600).await;
        assert_eq!(post.told(), ["a resolve"]);
    }

    async fn what_ends_during_quiet_hours_is_not_told_afterwards(h: Harness) {
        h.clock.set("2026-01-10T23:00:00Z".parse().unwrap());
        let quiet = Some(QuietHours { from: 22 * 60, until: 7 * 60, offset: 0 });
        let post = Post::open(h, AlarmPlan { quiet, ..plan(&[]) }).await;
        post.house.saw("tls-only", Seen::Fail).await;
        post.house.sequence().await;
        post.go().await;
        post.house.saw("tls-only", Seen::Pass).await;
        post.house.sequence().await;
        post.later(10 * 3_600).await;
        assert_eq!(post.told(), [""; 0]);
        let shown = post.shown(&post.only().await).await;
        assert!(shown.deliveries.iter().all(|one| one.state == "dropped"), "{shown:?}");
    }

    async fn a_route_that_fails_is_tried_again_then_another_stands_in_and_that_is_an_alarm(h: Harness) {
        let post = Post::open(h, plan(&[(&["b"], 86_000)])).await;
        post.receiver("b").answers(Err(NOT_NOW));
        post.damage().await;
        post.go().await;
        // Longer and longer waits: 10, 30, 90, 270 seconds.
        for (wait, asked) in [(9, 1), (1, 0), (29, 1), (1, 0), (89, 1), (1, 0), (269, 1)] {
            assert_eq!(post.receiver("b").asked(), asked, "before {wait} more");
            post.later(wait).await;
        }
        assert_eq!((post.receiver("b").asked(), post.told()), (0, Vec::new()));
        post.later(1).await;
        assert_eq!(post.receiver("b").asked(), 1);
        let all = post.all().await;
        assert_eq!(all.iter().map(|one| (one.rule.as_str(), one.about.as_str())).collect::<Vec<_>>(), [("integrity", "-"), ("route", "b")]);
        assert_eq!(post.told(), ["c raise", "c raise"], "the next one is told, and that it had to be");
        let shown = post.shown(&all[0]).await;
        let states: Vec<_> = shown.deliveries.iter().map(|one| (one.route.as_str(), one.state.as_str(), one.attempts)).collect();
        assert_eq!(states, [("b", "failed", MAX_ATTEMPTS), ("c", "done", 1)]);
        assert_eq!(shown.deliveries[0].failure.as_deref(), Some("server-error"));
        // What it takes again ends the alarm of it.
        post.receiver("b").answers(Ok(()));
        post.house.saw("tls-only", Seen::Fail).await;
        post.house.sequence().await;
        post.go().await;
        let all = post.all().await;
        let route = all.iter().find(|one| one.rule == "route").unwrap();
        assert_eq!(route.state, AlarmState::Resolved);
        assert_eq!(post.told(), ["b raise", "c resolve"]);
    }

    async fn what_a_receiver_never_takes_goes_by_another_at_once(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900)])).await;
        post.receiver("a").answers(Err(NEVER));
        post.receiver("b").answers(Err(NEVER));
        post.damage().await;
        post.go().await;
        // Of itself, a route is not told that it fails; of the other, it is.
        assert_eq!((post.receiver("a").asked(), post.receiver("c").took().len()), (2, 3));
        let all = post.all().await;
        let rules: Vec<_> = all.iter().map(|one| (one.rule.as_str(), one.about.as_str())).collect();
        assert_eq!(rules, [("integrity", "-"), ("route", "a"), ("route", "b")]);
        // Nobody is left: it ends, and what could not be told is in the log.
        post.receiver("c").answers(Err(NEVER));
        post.crash().await;
        post.go().await;
        let failed = post.house.events().into_iter().filter(|one| one.activity == "alarm.undelivered").count();
        assert!((5..30).contains(&failed), "{failed}");
    }

    async fn a_message_on_its_way_when_a_server_dies_is_brought_again(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 86_000)])).await;
        post.damage().await;
        let hanging = receivers(true);
        let dying = messenger(&post.house, &post.alarms, &hanging);
        dying.look().await.unwrap();
        let mut delivering = Box::pin(dying.deliver_due());
        // It is dropped where a crash would leave it: handed over, and no answer yet.
        while hanging["a"].asked.load(Ordering::SeqCst) == 0 {
            std::future::poll_fn(|context| {
                assert!(delivering.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        drop(delivering);
        post.go().await;
        assert_eq!(post.told(), [""; 0], "it is the other's still");
        post.later(59).await;
        assert_eq!(post.told(), [""; 0]);
        post.later(1).await;
        let took = post.receiver("a").took();
        let shown = post.shown(&post.only().await).await;
        assert_eq!((took.len(), took[0].kind, took[0].message), (1, MessageKind::Raise, shown.deliveries[0].message));
        assert_eq!((shown.deliveries.len(), shown.deliveries[0].attempts), (1, 2));
    }

    async fn two_servers_raise_an_alarm_once_and_tell_it_once(h: Harness) {
        let post = Post::open(h, plan(&[])).await;
        let (first, second) = (messenger(&post.house, &post.alarms, &post.receivers), messenger(&post.house, &post.alarms, &post.receivers));
        for _ in 0..5 {
            post.damage().await;
            let (one, other) = tokio::join!(first.look(), second.look());
            one.unwrap();
            other.unwrap();
            let (one, other) = tokio::join!(first.deliver_due(), second.deliver_due());
            one.unwrap();
            other.unwrap();
        }
        post.go().await;
        assert_eq!(post.only().await.count, 5);
        assert_eq!(post.told(), ["a raise", "b raise", "c raise"]);
    }

    async fn some_things_are_an_alarm_if_there_are_many_within_a_time(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900)])).await;
        let fails = || Act::refused(Activity::AuthFail, ObjectRef::new("client", "-"), "signature", Some("CD-8"));
        for _ in 0..19 {
            post.happens(fails()).await;
        }
        post.go().await;
        assert!(post.all().await.is_empty());
        // What lies too far apart is counted anew.
        post.later(601).await;
        for _ in 0..19 {
            post.happens(fails()).await;
        }
        post.go().await;
        assert!(post.all().await.is_empty());
        post.happens(fails()).await;
        post.go().await;
        let alarm = post.only().await;
        assert_eq!((alarm.rule.as_str(), alarm.count), ("sign-ins", 20));
        assert_eq!(post.told(), ["a raise"]);
    }

    async fn a_log_that_stands_still_is_an_alarm_though_it_says_nothing(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 86_000)])).await;
        let act = Act::new(Activity::ConfigLoad, ObjectRef::new("configuration", "tenet"));
        post.house.h.data.record_system(&post.house.server(), act).await.unwrap();
        post.house.h.clock.advance(Duration::from_seconds(301));
        post.messenger.look().await.unwrap();
        post.messenger.deliver_due().await.unwrap();
        assert_eq!(post.told(), ["a raise"]);
        let alarm = post.only().await;
        assert_eq!((alarm.rule.as_str(), alarm.about.as_str(), alarm.entry), ("log-stands-still", "waiting", None));
        post.house.sequence().await;
        post.go().await;
        assert_eq!((post.told(), post.only().await.state), (vec!["a resolve".to_owned()], AlarmState::Resolved));
        // One whose tables were changed takes none until somebody has looked.
        post.house.h.data.log_broke();
        post.messenger.look().await.unwrap();
        post.messenger.deliver_due().await.unwrap();
        assert_eq!(post.told(), ["a raise"]);
    }

    async fn tests_go_out_on_a_schedule_and_whether_they_arrive_is_seen(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 900)])).await;
        let sight = async || post.alarms.arrival(&post.house.server()).await.unwrap();
        assert_eq!((sight().await.seen, sight().await.examined), (Seen::Pass, 3));
        post.later(86_399).await;
        assert_eq!(post.told(), [""; 0]);
        post.receiver("b").answers(Err(NEVER));
        post.later(1).await;
        assert_eq!(post.told(), ["a test", "a raise", "c test"], "that one does not take it is an alarm");
        let seen = sight().await;
        assert_eq!((seen.seen, seen.examined, seen.failed), (Seen::Fail, 3, 1));
        assert!(seen.summary.ends_with(": b"), "{}", seen.summary);
        // One that is on its way does not hide what the one before showed.
        post.receiver("b").answers(Err(NOT_NOW));
        post.later(1).await;
        let by = post.house.by(&post.house.ann).await;
        post.alarms.test(&by).await.unwrap().into_inner();
        post.go().await;
        assert_eq!(sight().await.seen, Seen::Fail);
        post.receiver("b").answers(Ok(()));
        post.later(10).await;
        assert_eq!((sight().await.seen, post.all().await[0].state), (Seen::Pass, AlarmState::Resolved));
        // Nobody sends any more.
        post.house.pass_days(3);
        assert_eq!(sight().await.seen, Seen::Fail);
        let nobody = Alarms::new(post.house.watch.clone(), AlarmPlan::default());
        let by = post.house.by(&post.house.ann).await;
        let error = nobody.test(&by).await.unwrap_err();
        assert_eq!((error.kind(), error.code(), error.clause()), (Kind::Conflict, "no-route", Some("CD-9")));
    }

    async fn operators_take_alarms_on_and_auditors_look(h: Harness) {
        let post = Post::open(h, plan(&[])).await;
        let eve = post.house.invite(Role::Auditor, 2).await;
        post.damage().await;
        post.go().await;
        let alarm = post.only().await;
        let now = post.house.now();
        let at = |days| now.plus(Duration::from_days(days));
        let auditor = post.house.by(&eve).await;
        let standing = post.alarms.list(&auditor, false, None, 10).await.unwrap().items;
        assert_eq!(standing, std::slice::from_ref(&alarm));
        assert_eq!(post.alarms.show(&auditor, alarm.id).await.unwrap().deliveries.len(), 3);
        assert_eq!(post.alarms.routes(&auditor).await.unwrap().len(), 3);
        for denied in [
            post.alarms.acknowledge(&auditor, alarm.id, "mine", at(1)).await.map(|_| ()),
            post.alarms.resolve(&auditor, alarm.id, "over").await.map(|_| ()),
            post.alarms.test(&auditor).await.map(|_| ()),
        ] {
            assert_eq!(denied.unwrap_err().kind(), Kind::Denied);
        }
        let by = post.house.by(&post.house.ann).await;
        for (reason, until, field) in [("", at(1), "reason"), ("two\nlines", at(1), "reason"), ("x", now, "until"), ("x", at(31), "until")] {
            let error = post.alarms.acknowledge(&by, alarm.id, reason, until).await.unwrap_err();
            assert_eq!((error.code(), error.field()), ("invalid", Some(field)));
        }
        let nothing = base::AlarmId::from_bytes([7; 16]);
        assert_eq!(post.alarms.show(&by, nothing).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(post.alarms.resolve(&by, nothing, "x").await.unwrap_err().kind(), Kind::NotFound);
        let taken = post.alarms.acknowledge(&by, alarm.id, "looking", at(1)).await.unwrap().into_inner();
        assert_eq!(taken.acknowledged.as_ref().map(|one| one.by.as_str()), Some(post.house.ann.id.as_str()));
        assert_eq!(post.only().await, taken);
        let over = post.alarms.resolve(&by, alarm.id, "restored").await.unwrap().into_inner();
        assert_eq!(post.only().await, over);
        let error = post.alarms.acknowledge(&by, alarm.id, "again", at(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Conflict, "alarm-over"));
        assert!(post.alarms.list(&by, false, None, 10).await.unwrap().items.is_empty());
        // A page at a time.
        post.damage().await;
        post.go().await;
        let first = post.alarms.list(&by, true, None, 1).await.unwrap();
        let second = post.alarms.list(&by, true, first.next, 1).await.unwrap();
        assert_eq!((first.items.len(), second.items.len()), (1, 1));
        assert!(first.items[0].id > second.items[0].id);
    }

    async fn a_message_says_nothing_of_persons_or_data(h: Harness) {
        let post = Post::open(h, plan(&[(&["a"], 86_000)])).await;
        let secret = "Zoe Quimby <zoe@example.com> 4111 1111 1111 1111";
        let every = [
            Activity::IntegrityViolation, Activity::LogFork, Activity::LogRecover, Activity::LogGap, Activity::LogUnwitnessed,
            Activity::ClockSkew, Activity::ServerCrashDetected, Activity::StorageFull, Activity::JobFail, Activity::KeyRefuse,
            Activity::SafeguardWeaken, Activity::ReviewObject, Activity::ReviewOverdue, Activity::FindingOpen,
            Activity::AuthFail, Activity::AccessDeny, Activity::LimitExceed, Activity::AlarmUndelivered,
        ];
        for activity in every {
            let acts: Vec<Act> = (0..60).map(|_| {
                Act::new(activity, ObjectRef::new("thing", secret)).detail("summary", secret).detail("reason", secret)
            }).collect();
            let tx = post.house.h.data.system(&post.house.server()).await.unwrap();
            tx.commit_all((), acts).await.unwrap().into_inner();
        }
        post.house.sequence().await;
        post.go().await;
        let took: Vec<Notice> = post.receivers.values().flat_map(|one| one.took()).collect();
        let rules: std::collections::BTreeSet<_> = took.iter().map(|one| one.rule.clone()).collect();
        // Those that no event raises aside.
        assert_eq!(rules.len(), ALARM_RULES.len() - 2, "{rules:?}");
        for notice in &took {
            for text in [notice.text(), notice.subject(), notice.short(), format!("{notice:?}")] {
                for word in ["Zoe", "Quimby", "example.com", "4111", "@"] {
                    assert!(!text.contains(word), "{text}");
                }
            }
        }
        // Nor do the events of an alarm.
        let mine = post.house.events().into_iter().filter(|one| one.activity.starts_with("alarm.") && one.object.id != secret);
        for event in mine {
            assert!(!format!("{event:?}").contains("Zoe"), "{event:?}");
        }
    }
}
