//! What waits while no witness stands by the log.

use access::{AccessError, Action, Resource, Role};
use base::{Duration, Fault, Kind};
use store::Witnessed;
use testkit::on_both_engines;

use crate::support::{House, enrol};

async fn cosign(house: &House) {
    let at = house.h.context.now();
    let witnessed = Witnessed { size: 1, at, note: "note".to_owned() };
    house.h.data.put_witnessed(&house.h.system(), &witnessed).await.unwrap();
}

on_both_engines! {
    async fn administrative_acts_that_give_something_wait_and_nothing_else_does(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let (account, made) = house.customer("acme").await;
        let before = (account, house.client_token(&made).await.unwrap());
        house.h.data.require_witnesses(Duration::from_seconds(60), false).await.unwrap();
        let resource = Resource::new();
        let waits = [
            Action::AccountCreate, Action::AccountResume, Action::ClientCreate, Action::CustomerInvite, Action::OperatorInvite,
            Action::KeyRotate, Action::KeyRetire, Action::SubjectErase,
        ];
        for action in Action::ALL.iter().copied().filter(|action| action.resource() == access::ResourceKind::Platform) {
            let from = house.events().len();
            let outcome = house.access.authorize(&admin, action, &resource).await;
            if waits.contains(&action) {
                let error = outcome.unwrap_err();
                assert!(matches!(error, AccessError::Unwitnessed { last: None }), "{action}: {error}");
                assert_eq!((error.kind(), error.clause()), (Kind::Unavailable, Some("AO-2")));
                assert_eq!(house.acts_since(from), ["access.deny refused log-unwitnessed"], "{action}");
            } else {
                outcome.unwrap();
            }
        }
        // Refused by policy comes first: who may not, is not told how the witnesses are.
        cosign(&house).await;
        for action in waits {
            house.access.authorize(&admin, action, &resource).await.unwrap();
        }
        house.h.clock.advance(Duration::from_seconds(61));
        let error = house.access.authorize(&admin, Action::KeyRotate, &resource).await.unwrap_err();
        assert!(error.to_string().contains("last cosigned 20"), "{error}");
        // Customers go on.
        let (_, client) = before;
        let client = house.authenticate(&client).await.unwrap();
        house.access.authorize(&client, Action::RecordList, &resource).await.unwrap();
        house.h.data.require_witnesses(Duration::from_seconds(60), true).await.unwrap();
        let error = house.access.authorize(&client, Action::RecordList, &resource).await.unwrap_err();
        assert!(matches!(error, AccessError::Unwitnessed { last: Some(_) }), "{error}");
    }

    async fn nobody_enrols_meanwhile_and_the_link_is_not_used_up(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        house.h.data.require_witnesses(Duration::from_seconds(60), false).await.unwrap();
        let again = base::Secret::new(link.secret.expose().clone());
        let error = enrol(&house.h, &house.access, again, 2).await.err().unwrap();
        assert!(matches!(error, AccessError::Unwitnessed { .. }), "{error}");
        assert_eq!(house.acts_since(0).last().unwrap(), "access.deny refused log-unwitnessed");
        cosign(&house).await;
        enrol(&house.h, &house.access, link.secret, 2).await.unwrap();
    }
}
