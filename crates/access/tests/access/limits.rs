//! Failed sign-ins are limited, and the limit is recorded once and not a thousand times.

use access::AccessError;
use base::{Duration, Fault, Kind};
use testkit::on_both_engines;

use crate::support::{House, assertion, by_assertion, by_secret, call_from};

on_both_engines! {
    async fn the_eleventh_wrong_secret_is_told_to_wait_and_a_right_one_never_is(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let id = client.client.id;
        let from = house.events().len();
        let near = call_from(&house.h, 7);
        let wrong = || house.access.token(by_secret(id, "wrong"), &near);
        for _ in 0..10 {
            assert!(matches!(wrong().await.unwrap_err(), AccessError::InvalidClient));
        }
        for _ in 0..5 {
            let error = wrong().await.unwrap_err();
            assert_eq!((error.code(), error.kind()), ("too-many-failures", Kind::Limit));
            assert_eq!(error.retry_after(), Some(Duration::from_seconds(6)));
        }
        let acts = house.acts_since(from);
        assert_eq!(acts.iter().filter(|act| *act == "auth.fail refused secret-wrong").count(), 10);
        assert_eq!(acts.iter().filter(|act| *act == "limit.exceed refused too-many-failures").count(), 1);
        assert_eq!(acts.len(), 11);
        let right = client.secret.as_ref().unwrap().expose();
        assert!(house.access.token(by_secret(id, right), &call_from(&house.h, 7)).await.is_ok());
        assert!(matches!(wrong().await.unwrap_err(), AccessError::Throttled { .. }), "a success forgives nothing");
    }

    async fn nobody_can_lock_out_an_operator_or_an_invitation(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, access::Role::Auditor).await.unwrap().into_inner();
        let (right, forged) = (&house.administrator.id, crate::support::key(9));
        for host in 0..=30 {
            for _ in 0..12 {
                let forged = by_assertion(assertion(&house.h, &forged, right));
                assert!(house.access.token(forged, &call_from(&house.h, host)).await.is_err());
            }
        }
        // From an address that failed, under an id that failed from everywhere.
        assert!(house.sign_in(&house.administrator).await.is_ok());
        assert!(crate::support::enrol(&house.h, &house.access, link.secret, 2).await.is_ok());
    }

    async fn garbage_tokens_fill_neither_the_log_nor_a_neighbours_way(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        let from = house.events().len();
        for n in 0..200 {
            let error = house.access.authenticate(&format!("garbage {n}"), &house.call()).await.unwrap_err();
            let expected = if n < 60 { Kind::Unauthenticated } else { Kind::Limit };
            assert_eq!(error.kind(), expected, "{n}");
        }
        assert_eq!(house.acts_since(from).len(), 61);
        assert!(house.authenticate(&token).await.is_ok(), "a valid token from the same address passes");
    }
}
