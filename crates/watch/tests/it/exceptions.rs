//! Exceptions: who answers for what, until when, and who looks at that.

use std::sync::Arc;

use access::{ReviewState, Role, Verdict};
use base::{Duration, EventId, Fault, Kind, Secret};
use ledger::LogSigner;
use policy::State;
use store::{Protected, Reconciler};
use testkit::on_both_engines;
use watch::NewException;

use crate::support::{House, attestation, clause};

fn of(house: &House, not_applicable: bool, days: i64) -> NewException {
    NewException {
        clause: "SD-5".into(),
        not_applicable,
        reason: "we own no media".into(),
        owner: house.ann.id.clone(),
        until: house.now().plus(Duration::from_days(days)),
    }
}

async fn set(house: &House, given: &NewException) -> EventId {
    let set = house.watch.except(&house.by(&house.ann).await, given).await.unwrap();
    let id = set.event_id();
    assert_eq!(set.into_inner().event, id.to_string());
    id
}

on_both_engines! {
    async fn an_exception_holds_until_its_day_or_until_it_is_ended(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let before = house.now();
        house.pass_days(1);
        let start = house.now();
        let first = set(&house, &of(&house, true, 30)).await;
        house.sequence().await;
        let exempt = async |at| clause(&house.known(at).await, "SD-5").state == State::NotApplicable;
        assert!(exempt(None).await);
        assert!(!exempt(Some(before)).await, "not before it was set");
        house.h.clock.set(start.plus(Duration::from_days(30)).minus(Duration::from_micros(1)));
        assert!(exempt(None).await);
        house.h.clock.advance(Duration::from_micros(1));
        assert!(!exempt(None).await, "not on the day on which it ends");
        let by = house.by(&bob).await;
        let error = house.watch.end_exception(&by, first).await.unwrap_err();
        assert_eq!((error.kind(), house.last_act().as_str()), (Kind::NotFound, "exception.end refused not-found"), "it is over");

        let second = set(&house, &of(&house, true, 30)).await;
        house.pass_days(1);
        let ended = house.watch.end_exception(&house.by(&bob).await, second).await.unwrap().into_inner();
        assert_eq!((ended.ended, ended.by.as_str()), (Some(house.now()), house.ann.id.as_str()));
        assert!(!exempt(None).await);
        assert!(exempt(Some(house.now().minus(Duration::from_micros(1)))).await, "as it was then");
        let by = house.by(&bob).await;
        let error = house.watch.end_exception(&by, second).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "it is ended");
        assert!(house.watch.end_exception(&by, EventId::from_bytes([7; 16])).await.is_err());
        let all = house.watch.exceptions(house.now()).await.unwrap();
        assert_eq!(all.iter().map(|one| one.ended.is_some()).collect::<Vec<_>>(), [false, true]);
        // Each lasts by itself.
        let third = set(&house, &of(&house, true, 30)).await;
        set(&house, &of(&house, true, 3)).await;
        house.watch.end_exception(&house.by(&bob).await, third).await.unwrap().into_inner();
        assert!(exempt(None).await);
    }

    async fn only_what_does_not_apply_changes_a_state(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        house.pass_days(1);
        let failing = watch::Attestation { holds: false, ..attestation("media-disposed") };
        house.watch.attest(&house.by(&eve).await, &failing).await.unwrap().into_inner();
        assert_eq!(clause(&house.known(None).await, "SD-5").state, State::NotSatisfied);
        set(&house, &of(&house, false, 30)).await;
        let known = house.known(None).await;
        let one = clause(&known, "SD-5");
        assert_eq!((one.state, one.exceptions.len()), (State::NotSatisfied, 1), "somebody answers for it, and it is not so");
        assert_eq!((one.exceptions[0].owner.as_str(), one.exceptions[0].reason.as_str()), (house.ann.id.as_str(), "we own no media"));
        let counted = known.assessment.counts.clone();
        set(&house, &of(&house, true, 30)).await;
        let known = house.known(None).await;
        let one = clause(&known, "SD-5");
        assert_eq!((one.state, one.exceptions.len()), (State::NotApplicable, 2));
        assert_eq!(one.sentences[0].state, State::NotSatisfied, "what was seen is seen still");
        let failing = |counts: &std::collections::BTreeMap<State, usize>| counts.get(&State::NotSatisfied).copied().unwrap_or(0);
        assert_eq!(failing(&known.assessment.counts) + 1, failing(&counted));
        // Of other clauses it says nothing.
        assert!(known.assessment.clauses.iter().filter(|one| one.state == State::NotApplicable).count() == 1);
    }

    async fn what_nobody_may_except_is_refused(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        let gone = house.invite(Role::Auditor, 3).await;
        house.access.operator_revoke(&house.by(&house.ann).await, gone.id.parse().unwrap()).await.unwrap().into_inner();
        let good = || of(&house, true, 1);
        let later = |days, micros| house.now().plus(Duration::from_days(days)).plus(Duration::from_micros(micros));
        for (what, given, code, field) in [
            ("no clause", NewException { clause: "SD-99".into(), ..good() }, "not-found", None),
            ("a sentence", NewException { clause: "SD-5.1".into(), ..good() }, "not-found", None),
            ("a stranger", NewException { owner: "Ann".into(), ..good() }, "not-found", None),
            ("somebody who left", NewException { owner: gone.id.clone(), ..good() }, "not-found", None),
            ("for too long", NewException { until: later(366, 1), ..good() }, "invalid", Some("until")),
            ("until now", NewException { until: house.now(), ..good() }, "invalid", Some("until")),
            ("for no reason", NewException { reason: "".into(), ..good() }, "invalid", Some("reason")),
            ("in two lines", NewException { reason: "a\r\nb".into(), ..good() }, "invalid", Some("reason")),
        ] {
            let by = house.by(&house.ann).await;
            let error = house.watch.except(&by, &given).await.expect_err(what);
            assert_eq!((error.code(), error.field()), (code, field), "{what}");
            assert_eq!(house.last_act(), format!("exception.set refused {code}"), "{what}");
        }
        let error = house.watch.except(&house.by(&eve).await, &good()).await.unwrap_err();
        assert_eq!((error.kind(), house.last_act().as_str()), (Kind::Denied, "access.deny refused nothing-permits"));
        assert!(house.watch.exceptions(house.now()).await.unwrap().is_empty());
        // An auditor answers for one that an administrator sets; and a leap year is whole.
        let longest = NewException { owner: eve.id.clone(), until: later(366, 0), ..good() };
        let id = set(&house, &longest).await;
        let error = house.watch.end_exception(&house.by(&eve).await, id).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
    }

    async fn a_second_person_looks_at_each(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        house.h.clock.advance(Duration::from_seconds(1));
        let id = set(&house, &of(&house, true, 30)).await;
        let by = house.by(&eve).await;
        let queue = house.access.review_list(&by, ReviewState::Open, None, 500).await.unwrap().items;
        let review = queue.iter().find(|one| one.event == id).expect("it waits");
        assert_eq!((review.activity.as_str(), review.actor.as_str()), ("exception.set", house.ann.id.as_str()));
        assert_eq!(review.object, ("clause".to_owned(), "SD-5".to_owned()));
        let error = house.access.review_sign(&house.by(&house.ann).await, id, Verdict::InOrder, "").await.unwrap_err();
        assert_eq!(error.code(), "own-act");

        // Its place in the queue is what the log says, and one that is taken out is missed.
        house.sequence().await;
        let signer = LogSigner::new("log.test/watch", &Secret::new([7; 32])).unwrap();
        let wrong = async || {
            let protected: Vec<Arc<dyn Protected>> = vec![Arc::new(house.access.clone())];
            let reconciler = Reconciler::new(house.h.data.clone(), signer.verifier().clone(), protected).unwrap();
            reconciler.run().await.unwrap().unexplained.into_iter().map(|one| one.kind).collect::<Vec<_>>()
        };
        assert_eq!(wrong().await, [""; 0]);
        house.access.review_sign(&by, id, Verdict::InOrder, "").await.unwrap().into_inner();
        house.h.tamper(store::Realm::Data, "DELETE FROM review WHERE activity = 'exception.set'");
        house.sequence().await;
        assert_eq!(wrong().await, ["review"]);
    }
}
