//! Accounts, clients, operators and reviews are what the log says, or are named; and the job that says so.

use std::sync::Arc;

use access::{Role, Verdict};
use base::{AccountId, Duration, OperatorId, Secret};
use ledger::{DetailValue, EventView, LogSigner, OutcomeView};
use store::{JobRunner, Protected, Realm, ReconcileJob, Reconciler, Sequencer, Wrong};
use testkit::on_both_engines;

use crate::support::{House, enrol};

fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::new("log.test/access", &Secret::new([7; 32])).unwrap())
}

fn reconciler(house: &House) -> Reconciler {
    let protected: Vec<Arc<dyn Protected>> = vec![Arc::new(house.access.clone())];
    Reconciler::new(house.h.data.clone(), signer().verifier().clone(), protected).unwrap()
}

async fn found(house: &House) -> Vec<(&'static str, String, Wrong)> {
    let found = reconciler(house).run().await.unwrap();
    found.unexplained.into_iter().map(|one| (one.kind, one.id, one.wrong)).collect()
}

/// Everything that is done to accounts, clients, operators and reviews.
async fn a_life(house: &House) -> (AccountId, OperatorId) {
    let (acme, client) = house.customer("acme").await;
    let (globex, _) = house.customer("globe").await;
    let admin = house.admin().await;
    house.access.client_revoke(&admin, client.client.id).await.unwrap().into_inner();
    house.access.account_suspend(&admin, globex).await.unwrap().into_inner();
    house.access.account_resume(&admin, globex).await.unwrap().into_inner();
    house.access.account_suspend(&admin, acme).await.unwrap().into_inner();
    let link = house.access.customer_invite(&admin, globex, None).await.unwrap().into_inner();
    enrol(&house.h, &house.access, link.secret, 4).await.unwrap();
    let auditor = house.invite(Role::Auditor, 2).await;
    let gone = house.invite(Role::Auditor, 3).await;
    house.access.operator_revoke(&admin, gone.id.parse().unwrap()).await.unwrap().into_inner();
    let by = house.sign_in(&auditor).await.unwrap();
    let by = house.authenticate(&by).await.unwrap();
    let open = house.access.review_list(&by, access::ReviewState::Open, None, 100).await.unwrap().items;
    let of = |activity: &str| open.iter().find(|one| one.activity == activity).unwrap().event;
    house.access.review_sign(&by, of("account.create"), Verdict::InOrder, "").await.unwrap().into_inner();
    house
        .access
        .review_sign(&by, of("client.create"), Verdict::Objection, "why?")
        .await
        .unwrap()
        .into_inner();
    (globex, auditor.id.parse().unwrap())
}

fn detail<'a>(event: &'a EventView, wanted: &str) -> Option<&'a DetailValue> {
    event.details.iter().find_map(|(name, value)| (name == wanted).then_some(value))
}

on_both_engines! {
    async fn what_is_done_through_tenet_is_explained_and_nothing_else(h: Harness) {
        let house = House::open(h).await;
        let (globex, auditor) = a_life(&house).await;
        assert_eq!(found(&house).await, []);
        Sequencer::new(house.h.data.clone(), signer()).unwrap().drain().await.unwrap();
        assert_eq!(found(&house).await, []);
        let content = Wrong::Differs("its content");
        let state = Wrong::Differs("its state");
        for (change, undo, kind, wrong) in [
            ("UPDATE account SET suspended_at = NULL WHERE name = 'acme' ", "UPDATE account SET suspended_at = 1 WHERE name = 'acme' ", "account", &state),
            ("UPDATE account SET name = 'other' WHERE name = 'globe' ", "UPDATE account SET name = 'globe' WHERE name = 'other'", "account", &content),
            ("UPDATE client SET revoked_at = NULL WHERE revoked_at IS NOT NULL", "UPDATE client SET revoked_at = 1 WHERE account IN (SELECT id FROM account WHERE name = 'acme')", "client", &state),
            ("UPDATE client SET clearance = 'public' WHERE revoked_at IS NULL", "UPDATE client SET clearance = NULL WHERE revoked_at IS NULL", "client", &content),
            ("UPDATE operator SET name = 'Mallory' WHERE name = 'Operator 2'", "UPDATE operator SET name = 'Operator 2' WHERE name = 'Mallory'", "operator", &content),
            ("UPDATE operator SET role = 'administrator' WHERE name = 'Operator 2'", "UPDATE operator SET role = 'auditor' WHERE name = 'Operator 2'", "operator", &content),
            ("UPDATE operator SET account = (SELECT id FROM account WHERE name = 'acme') WHERE name = 'Operator 4'", "UPDATE operator SET account = (SELECT id FROM account WHERE name = 'globe') WHERE name = 'Operator 4'", "operator", &content),
            ("UPDATE operator SET role = 'administrator', account = NULL WHERE name = 'Operator 4'", "UPDATE operator SET role = 'customer', account = (SELECT id FROM account WHERE name = 'globe') WHERE name = 'Operator 4'", "operator", &content),
            ("UPDATE review SET verdict = 'in-order' WHERE verdict = 'objection'", "UPDATE review SET verdict = 'objection' WHERE activity = 'client.create' AND verdict IS NOT NULL", "review", &state),
        ] {
            house.h.tamper(Realm::Data, change);
            let named = found(&house).await;
            assert!(matches!(&named[..], [(k, _, what)] if *k == kind && what == wrong), "{change}: {named:?}");
            house.h.tamper(Realm::Data, undo);
        }
        assert_eq!(found(&house).await, []);
        // A privileged act that nobody is to look at, an operator and an account that are gone.
        house.h.tamper(Realm::Data, "DELETE FROM review WHERE activity = 'account.suspend'");
        house.h.tamper(Realm::Data, "DELETE FROM operator WHERE name = 'Operator 2'");
        house.h.tamper(Realm::Data, "DELETE FROM client WHERE account IN (SELECT id FROM account WHERE name = 'globe')");
        house.h.tamper(Realm::Data, "DELETE FROM account WHERE name = 'globe'");
        let named = found(&house).await;
        assert!(named.iter().all(|(_, _, wrong)| *wrong == Wrong::Missing), "{named:?}");
        let kinds: Vec<_> = named.iter().map(|(kind, _, _)| *kind).collect();
        assert_eq!(kinds, ["account", "client", "operator", "review", "review"], "{named:?} {:?}", house.h.tamper(Realm::Data, "SELECT activity FROM review"));
        assert!(named.contains(&("account", globex.to_string(), Wrong::Missing)));
        assert!(named.contains(&("operator", auditor.to_string(), Wrong::Missing)));
    }

    async fn the_job_records_what_it_finds(h: Harness) {
        let house = House::open(h).await;
        a_life(&house).await;
        let job = ReconcileJob::new(reconciler(&house), Duration::from_days(1));
        job.schedule().await.unwrap();
        let runner = JobRunner::new(house.h.data.clone(), vec![Box::new(job)]);
        runner.run_due().await.unwrap();
        let done = |house: &House| house.events().into_iter().filter(|one| one.activity == "log.reconcile").collect::<Vec<_>>();
        assert_eq!(done(&house).len(), 0);
        // By the clock: after a minute, then once a day.
        house.h.clock.advance(Duration::from_seconds(61));
        runner.run_due().await.unwrap();
        runner.run_due().await.unwrap();
        assert_eq!(done(&house).len(), 1);
        house.h.tamper(Realm::Data, "UPDATE operator SET name = 'Mallory' WHERE name = 'Operator 2'");
        house.h.clock.advance(Duration::from_days(1));
        runner.run_due().await.unwrap();
        let all = done(&house);
        assert_eq!((all.len(), detail(&all[1], "unexplained")), (2, Some(&DetailValue::Number(1))));
        // When somebody asks, at once, and under the id that was said.
        let check = house.access.log_reconcile(&house.admin().await).await.unwrap().into_inner();
        runner.run_due().await.unwrap();
        let of = Some(DetailValue::Text(check.to_string()));
        let events = house.events();
        let named = events.iter().filter(|one| one.activity == "integrity.violation" && detail(one, "check").cloned() == of);
        let named: Vec<_> = named.map(|one| (one.object.kind.as_str(), one.outcome.clone())).collect();
        assert_eq!(named, [("operator", OutcomeView::Failed { reason: "unexplained".into() })]);
        assert!(done(&house).iter().any(|one| detail(one, "check").cloned() == of));
        // Nobody becomes an operator by a row: signing in asks the log.
        assert!(enrol(&house.h, &house.access, Secret::new("tel_nothing".into()), 9).await.is_err());
    }
}
