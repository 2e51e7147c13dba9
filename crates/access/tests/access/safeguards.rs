//! Safeguards: a weaker one is an alarm, and administrative acts wait for two operators or for it to be what it was.

use access::{AccessError, Role, Safeguard};
use base::{Fault, Kind};
use ledger::Interface;
use testkit::on_both_engines;

use crate::support::{House, config};

fn heartbeat(seconds: i64) -> Safeguard {
    Safeguard {
        name: "ledger.heartbeat",
        value: format!("{seconds}s"),
        strength: -seconds,
        exchangeable: true,
    }
}

fn witnesses(policy: &str) -> Safeguard {
    let strength = i64::from(policy != "none");
    Safeguard { name: "ledger.witness_policy", value: policy.into(), strength, exchangeable: false }
}

async fn start(access: &access::Access, with: Vec<Safeguard>) -> Vec<&'static str> {
    let scope = access.server_scope(Interface::Startup, "server", "a test").unwrap();
    access.safeguards_at_start(&scope, with).await.unwrap()
}

on_both_engines! {
    async fn a_weaker_one_waits_for_two_operators(h: Harness) {
        let house = House::open(h).await;
        let ann = house.invite(Role::Auditor, 2).await;
        let from = house.events().len();
        assert_eq!(start(&house.access, vec![heartbeat(30), witnesses("none")]).await, [""; 0]);
        // Stronger, and the same: said once, and nobody has to agree.
        assert_eq!(start(&house.access, vec![heartbeat(20), witnesses("sha256:a")]).await, [""; 0]);
        assert_eq!(start(&house.access, vec![heartbeat(20), witnesses("sha256:a")]).await, [""; 0]);
        assert_eq!(house.acts_since(from), vec!["safeguard.set ok"; 4]);
        let admin = house.admin().await;
        house.access.account_create(&admin, "before").await.unwrap().into_inner();

        // Weaker, and other witnesses, on a server that starts anew.
        let later = house.another_server(config()).await;
        let from = house.events().len();
        let weaker = vec![heartbeat(60), witnesses("sha256:b")];
        assert_eq!(start(&later, weaker.clone()).await, ["ledger.heartbeat", "ledger.witness_policy"]);
        assert_eq!(start(&later, weaker.clone()).await, ["ledger.heartbeat", "ledger.witness_policy"]);
        assert_eq!(house.acts_since(from), ["safeguard.weaken ok", "safeguard.weaken ok"]);
        let error = later.account_create(&admin, "while").await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.clause()), ("safeguard-weakened", Kind::Denied, Some("AO-1")));
        assert_eq!(house.acts_since(0).last().unwrap(), "access.deny refused safeguard-weakened");
        // What only looks, or takes away, goes on.
        later.account_list(&admin, None, 10).await.unwrap();

        // One person is not enough, nor twice the same one, nor another value.
        let by = house.authenticate(&house.sign_in(&ann).await.unwrap()).await.unwrap();
        let error = later.safeguard_approve(&admin, "ledger.heartbeat", "90s").await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let state = later.safeguard_approve(&admin, "ledger.heartbeat", "60s").await.unwrap();
        assert!(state.weakened && state.approved_by == [house.administrator.id.clone()], "{state:?}");
        let error = later.safeguard_approve(&admin, "ledger.heartbeat", "60s").await.unwrap_err();
        assert!(matches!(error, AccessError::ApprovedAlready), "{error}");
        assert!(later.account_create(&admin, "while").await.is_err());
        assert!(!later.safeguard_approve(&by, "ledger.heartbeat", "60s").await.unwrap().weakened);
        // The other one waits still; then nothing does, and a start says nothing new.
        assert!(later.account_create(&admin, "while").await.is_err());
        later.safeguard_approve(&by, "ledger.witness_policy", "sha256:b").await.unwrap();
        later.safeguard_approve(&admin, "ledger.witness_policy", "sha256:b").await.unwrap();
        later.account_create(&admin, "after").await.unwrap().into_inner();
        let from = house.events().len();
        assert_eq!(start(&later, weaker).await, [""; 0]);
        assert_eq!(house.acts_since(from), [""; 0]);
        let listed = later.safeguard_list(&by).await.unwrap();
        assert!(listed.iter().all(|one| !one.weakened && one.accepted == one.value), "{listed:?}");
    }

    async fn set_back_it_waits_no_more_and_old_approvals_are_gone(h: Harness) {
        let house = House::open(h).await;
        let ann = house.invite(Role::Auditor, 2).await;
        let by = house.authenticate(&house.sign_in(&ann).await.unwrap()).await.unwrap();
        let admin = house.admin().await;
        start(&house.access, vec![heartbeat(30)]).await;
        assert_eq!(start(&house.access, vec![heartbeat(60)]).await, ["ledger.heartbeat"]);
        house.access.safeguard_approve(&admin, "ledger.heartbeat", "60s").await.unwrap();
        assert_eq!(start(&house.access, vec![heartbeat(30)]).await, [""; 0]);
        house.access.account_create(&admin, "acme").await.unwrap().into_inner();
        // Weakened once more: the approval of then does not count.
        assert_eq!(start(&house.access, vec![heartbeat(60)]).await, ["ledger.heartbeat"]);
        let state = house.access.safeguard_approve(&by, "ledger.heartbeat", "60s").await.unwrap();
        assert!(state.weakened && state.approved_by == [ann.id.clone()], "{state:?}");
        // Nobody becomes an operator meanwhile, to be the second person.
        let error = house.access.link_create(&admin, Role::Auditor).await.unwrap_err();
        assert!(matches!(error, AccessError::Weakened), "{error}");
    }
}
