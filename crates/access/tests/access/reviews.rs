//! Reviews of privileged acts: each act has its place in the queue, nobody signs off their own, and lateness is told.

use access::{AccessError, Principal, ReviewState, Role, Verdict};
use base::{Duration, Fault, Kind};
use testkit::on_both_engines;

use crate::support::{House, Person};

async fn open(house: &House, by: &Principal, state: ReviewState) -> Vec<String> {
    let page = house.access.review_list(by, state, None, 500).await.unwrap();
    let mut acts: Vec<_> = page.items.into_iter().map(|one| one.activity).collect();
    // The clock stands still: acts of one instant are in no order.
    acts.sort();
    acts
}

async fn principal(house: &House, person: &Person) -> Principal {
    let token = house.sign_in(person).await.unwrap();
    house.authenticate(&token).await.unwrap()
}

on_both_engines! {
    async fn a_privileged_act_waits_for_a_second_person(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let (account, _) = house.customer("acme").await;
        // What only looks, and what is refused, is not to be reviewed.
        house.access.account_list(&admin, None, 10).await.unwrap();
        house.access.account_create(&admin, "acme").await.unwrap_err();
        assert_eq!(open(&house, &admin, ReviewState::Open).await, ["account.create", "client.create", "operator.enrol"]);
        // Two were enrolled: the later one is the auditor.
        house.h.clock.advance(Duration::from_seconds(1));
        let auditor = house.invite(Role::Auditor, 2).await;
        let auditor = principal(&house, &auditor).await;
        let queue = house.access.review_list(&auditor, ReviewState::Open, None, 500).await.unwrap().items;
        let of = |activity: &str, object: &str| {
            queue.iter().find(|one| one.activity == activity && (object.is_empty() || one.object.1 == object)).unwrap().event
        };
        let created = of("account.create", &account.to_string());

        let error = house.access.review_sign(&admin, created, Verdict::InOrder, "").await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.clause()), ("own-act", Kind::Denied, Some("AO-4")));
        assert_eq!(house.acts_since(0).last().unwrap(), "review.sign refused own-act");
        let signed = house.access.review_sign(&auditor, created, Verdict::InOrder, "ticket 4711").await.unwrap().into_inner();
        let (_, _, verdict, note) = signed.done.unwrap();
        assert_eq!((verdict, note.as_str()), (Verdict::InOrder, "ticket 4711"));
        let error = house.access.review_sign(&auditor, created, Verdict::Objection, "").await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("reviewed-already", Kind::Conflict));
        // An objection is an alarm; its words are not in the log.
        let client = of("client.create", "");
        house.access.review_sign(&auditor, client, Verdict::Objection, "nobody knows Zebra Ltd").await.unwrap().into_inner();
        assert_eq!(house.acts_since(0).last().unwrap(), "review.object ok");
        assert!(house.events().last().unwrap().details.iter().all(|(_, value)| !format!("{value:?}").contains("Zebra")));
        // Whoever was made an operator does not review that; whoever was there may.
        let enrolled = queue.iter().rfind(|one| one.activity == "operator.enrol").unwrap().event;
        let error = house.access.review_sign(&auditor, enrolled, Verdict::InOrder, "").await.unwrap_err();
        assert!(matches!(error, AccessError::OwnAct));
        house.access.review_sign(&admin, enrolled, Verdict::InOrder, "").await.unwrap().into_inner();
        assert_eq!(open(&house, &auditor, ReviewState::Done).await, ["account.create", "client.create", "operator.enrol"]);
    }

    async fn what_is_wrong_changes_nothing(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let event = house.access.review_list(&admin, ReviewState::Open, None, 1).await.unwrap().items.remove(0).event;
        let unknown = base::EventId::from_bytes([0; 16]);
        let error = house.access.review_sign(&admin, unknown, Verdict::InOrder, "").await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        for note in ["x".repeat(501), "two\nlines".to_owned()] {
            let error = house.access.review_sign(&admin, event, Verdict::InOrder, &note).await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (Kind::Invalid, Some("note")));
        }
        let (_, client) = house.customer("acme").await;
        let client = house.authenticate(&house.client_token(&client).await.unwrap()).await.unwrap();
        let error = house.access.review_list(&client, ReviewState::Open, None, 1).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert_eq!(house.h.tamper(store::Realm::Data, "SELECT count(*) FROM review WHERE reviewed_at IS NOT NULL"), ["0"]);
    }

    async fn lateness_is_told_once(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        house.access.account_create(&admin, "acme").await.unwrap().into_inner();
        let system = house.h.system();
        house.h.clock.advance(Duration::from_days(7));
        assert_eq!(house.access.review_overdue(&system).await.unwrap(), 0, "due, not overdue");
        house.h.clock.advance(Duration::from_seconds(1));
        let admin = house.admin().await;
        assert_eq!(open(&house, &admin, ReviewState::Overdue).await, ["account.create", "operator.enrol"]);
        let from = house.events().len();
        assert_eq!(house.access.review_overdue(&system).await.unwrap(), 2);
        assert_eq!(house.acts_since(from), ["review.overdue ok", "review.overdue ok"]);
        assert_eq!(house.access.review_overdue(&system).await.unwrap(), 0);
    }
}
