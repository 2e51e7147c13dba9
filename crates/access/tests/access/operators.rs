//! Operators: enrolment, roles, revocation, and that none of them reaches customers' data.

use access::{AccessError, Action, PrincipalKind, Resource, Role};
use base::{Duration, Fault, Kind, Secret};
use testkit::on_both_engines;

use crate::support::{House, assertion, by_assertion, call_from, enrol, events, key};

on_both_engines! {
    async fn the_first_link_works_once_and_none_follows(h: Harness) {
        let house = House::open(h).await;
        assert!(house.access.enrolment_link().await.unwrap().is_none(), "there is an administrator");
        let acts = house.acts_since(0);
        assert!(acts.contains(&"operator.link-create ok".to_owned()) && acts.contains(&"operator.enrol ok".to_owned()));
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        let again = Secret::new(link.secret.expose().clone());
        enrol(&house.h, &house.access, link.secret, 2).await.unwrap();
        let error = enrol(&house.h, &house.access, again, 3).await.err().unwrap();
        assert_eq!((error.code(), error.kind()), ("link-invalid", Kind::Unauthenticated));
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused link-invalid");
    }

    async fn a_link_ends_after_half_an_hour(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        house.h.clock.advance(Duration::from_seconds(30 * 60));
        let error = enrol(&house.h, &house.access, link.secret, 2).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
    }

    async fn only_one_of_two_first_links_makes_an_administrator(h: Harness) {
        // Two servers that start at once have each printed one: planted, since one start withdraws the other's.
        let house = House::open(h).await;
        house.h.tamper(store::Realm::Data, "UPDATE operator SET revoked_at = 1");
        let second = house.access.enrolment_link().await.unwrap().unwrap().into_inner();
        let third = house.another_server(crate::support::config()).await.enrolment_link().await.unwrap();
        let third = third.unwrap().into_inner();
        let error = enrol(&house.h, &house.access, second.secret, 2).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "the newer start withdrew it: {error}");
        house.h.tamper(store::Realm::Data, "UPDATE operator SET revoked_at = NULL");
        let error = enrol(&house.h, &house.access, third.secret, 3).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "there is an administrator: {error}");
    }

    async fn a_key_enrols_once_and_the_link_survives_the_attempt(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        let again = Secret::new(link.secret.expose().clone());
        let error = enrol(&house.h, &house.access, link.secret, 1).await.err().unwrap();
        assert_eq!(error.code(), "key-taken");
        enrol(&house.h, &house.access, again, 2).await.unwrap();
    }

    async fn an_attempt_without_a_link_makes_nothing_but_its_event(h: Harness) {
        let house = House::open(h).await;
        let first = {
            house.h.tamper(store::Realm::Data, "UPDATE operator SET revoked_at = 1");
            let link = house.access.enrolment_link().await.unwrap().unwrap().into_inner();
            house.h.tamper(store::Realm::Data, "UPDATE operator SET revoked_at = NULL");
            link.secret
        };
        let unknown = || Secret::new("tel_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
        // Those whom nobody established share one key a day: this makes it.
        enrol(&house.h, &house.access, unknown(), 2).await.err().unwrap();
        let keys = || house.h.tamper(store::Realm::Keys, "SELECT COUNT(*) FROM subject_key");
        let (before, from) = (keys(), house.events().len());
        for secret in [unknown(), unknown(), first] {
            let error = enrol(&house.h, &house.access, secret, 2).await.err().unwrap();
            assert!(matches!(error, AccessError::LinkInvalid), "{error}");
        }
        assert_eq!(keys(), before, "no key for who is nobody");
        let events = house.events();
        assert_eq!(events.len(), from + 3, "one event each, none of keys");
        for event in &events[from..] {
            assert_eq!((event.activity.as_str(), event.actor), ("auth.fail", base::Actor::Anonymous));
        }
    }

    async fn who_is_revoked_after_authentication_leaves_no_link_and_no_client(h: Harness) {
        let house = House::open(h).await;
        let (account, _) = house.customer("Acme").await;
        let other = house.invite(Role::Administrator, 2).await;
        let token = house.sign_in(&other).await.unwrap();
        let late = house.authenticate(&token).await.unwrap();
        let link = house.access.link_create(&late, Role::Administrator).await.unwrap().into_inner();
        let admin = house.admin().await;
        let counts = "SELECT (SELECT COUNT(*) FROM client), (SELECT COUNT(*) FROM enrolment_link WHERE used_at IS NULL)";
        house.access.operator_revoke(&admin, other.id.parse().unwrap()).await.unwrap().into_inner();
        assert_eq!(house.h.tamper(store::Realm::Data, counts), ["1|0"]);
        // Its requests were past authentication.
        let error = house.access.link_create(&late, Role::Administrator).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("token-invalid", Kind::Unauthenticated));
        assert_eq!(house.acts_since(0).last().unwrap(), "operator.link-create refused operator-revoked");
        let new = crate::support::new_client("records:read");
        let error = house.access.client_create(&late, account, new).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("token-invalid", Kind::Unauthenticated));
        assert_eq!(house.acts_since(0).last().unwrap(), "client.create refused operator-revoked");
        assert_eq!(house.h.tamper(store::Realm::Data, counts), ["1|0"]);
        let error = enrol(&house.h, &house.access, link.secret, 3).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "it was withdrawn: {error}");
    }

    async fn a_link_of_somebody_revoked_does_not_work(h: Harness) {
        let house = House::open(h).await;
        let other = house.invite(Role::Administrator, 2).await;
        let late = house.authenticate(&house.sign_in(&other).await.unwrap()).await.unwrap();
        let link = house.access.link_create(&late, Role::Administrator).await.unwrap().into_inner();
        // Past the revocation that withdraws links: planted.
        house.h.tamper(store::Realm::Data, "UPDATE operator SET revoked_at = 1 WHERE name = 'Operator 2'");
        let error = enrol(&house.h, &house.access, link.secret, 3).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
    }

    async fn of_a_revocation_and_the_work_of_whom_it_revokes_nothing_is_left(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        for seed in 2..8 {
            let other = house.invite(Role::Administrator, seed).await;
            let late = house.authenticate(&house.sign_in(&other).await.unwrap()).await.unwrap();
            let link = house.access.link_create(&late, Role::Administrator).await.unwrap().into_inner();
            let (revoked, _, used) = tokio::join!(
                house.access.operator_revoke(&admin, other.id.parse().unwrap()),
                house.access.link_create(&late, Role::Administrator),
                enrol(&house.h, &house.access, link.secret, seed + 10),
            );
            let _revoked = revoked.unwrap();
            assert!(used.is_ok() || matches!(used, Err(AccessError::LinkInvalid)), "{:?}", used.err());
            let left = house.h.tamper(store::Realm::Data, "SELECT COUNT(*) FROM enrolment_link WHERE used_at IS NULL");
            assert_eq!(left, ["0"]);
        }
    }

    async fn an_operator_has_no_scope_and_reaches_no_customers_data(h: Harness) {
        let house = House::open(h).await;
        let (account, _) = house.customer("Acme").await;
        let auditor = house.invite(Role::Auditor, 2).await;
        for person in [&house.administrator, &auditor] {
            let token = house.sign_in(person).await.unwrap();
            assert!(token.account.is_none() && token.scopes.is_empty());
            let principal = house.authenticate(&token).await.unwrap();
            assert!(principal.scope().is_none() && principal.system().is_some());
            let theirs = [access::ResourceKind::Platform, access::ResourceKind::Account];
            for action in Action::ALL.iter().filter(|action| !theirs.contains(&action.resource())) {
                let from = house.events().len();
                let resource = Resource::new().id("rec_x").in_account(account);
                let error = house.access.authorize(&principal, *action, &resource).await.unwrap_err();
                assert_eq!((error.kind(), error.clause()), (Kind::Denied, Some("RR-3")), "{action}");
                let event = house.events().pop().unwrap();
                assert_eq!(house.events().len(), from + 1);
                assert_eq!(event.activity, "access.deny");
                assert_eq!(event.policies, ["operators-never-touch-customers-data"]);
                assert_eq!(event.actor, principal.actor());
            }
        }
    }

    async fn an_auditor_looks_and_changes_nothing(h: Harness) {
        let house = House::open(h).await;
        let (account, client) = house.customer("Acme").await;
        let token = house.sign_in(&house.invite(Role::Auditor, 2).await).await.unwrap();
        let auditor = house.authenticate(&token).await.unwrap();
        assert!(matches!(auditor.kind(), PrincipalKind::Operator { role: Role::Auditor, .. }));
        assert_eq!(house.access.account_list(&auditor, None, 10).await.unwrap().items.len(), 1);
        assert_eq!(house.access.client_list(&auditor, account, None, 10).await.unwrap().items.len(), 1);
        assert_eq!(house.access.operator_list(&auditor, None, 10).await.unwrap().items.len(), 2);
        let refused = [
            house.access.account_create(&auditor, "Other").await.err(),
            house.access.account_suspend(&auditor, account).await.err(),
            house.access.account_resume(&auditor, account).await.err(),
            house.access.client_create(&auditor, account, crate::support::new_client("records:read")).await.err(),
            house.access.client_revoke(&auditor, client.client.id).await.err(),
            house.access.link_create(&auditor, Role::Administrator).await.err(),
            house.access.operator_revoke(&auditor, house.administrator.id.parse().unwrap()).await.err(),
        ];
        for error in refused {
            assert_eq!(error.unwrap().kind(), Kind::Denied);
        }
        assert_eq!(house.events().iter().filter(|event| event.activity == "access.deny").count(), 7);
    }

    async fn a_client_reaches_nothing_of_the_platform(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        let client = house.authenticate(&token).await.unwrap();
        let error = house.access.account_list(&client, None, 10).await.unwrap_err();
        assert_eq!((error.kind(), error.clause()), (Kind::Denied, Some("CD-6")));
        assert_eq!(house.events().pop().unwrap().policies, ["clients-never-touch-the-platform"]);
    }

    async fn a_revoked_operator_is_out_at_once_with_its_links(h: Harness) {
        let house = House::open(h).await;
        let second = house.invite(Role::Administrator, 2).await;
        let token = house.sign_in(&second).await.unwrap();
        let principal = house.authenticate(&token).await.unwrap();
        let link = house.access.link_create(&principal, Role::Administrator).await.unwrap().into_inner();
        let server = house.another_server(crate::support::config()).await;
        assert!(server.authenticate(token.token.expose(), &house.call()).await.is_ok());
        let id = second.id.parse().unwrap();
        let revoked = house.access.operator_revoke(&house.admin().await, id).await.unwrap();
        assert!(revoked.revoked.is_some());
        for access in [&house.access, &server] {
            let error = access.authenticate(token.token.expose(), &house.call()).await.unwrap_err();
            assert!(matches!(error, AccessError::Unauthenticated), "{error}");
        }
        assert_eq!(house.sign_in(&second).await.unwrap_err().oauth_code(), "invalid_client");
        let error = enrol(&house.h, &house.access, link.secret, 3).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
    }

    async fn the_last_administrator_stays(h: Harness) {
        let house = House::open(h).await;
        let id = house.administrator.id.parse().unwrap();
        house.invite(Role::Auditor, 2).await;
        let error = house.access.operator_revoke(&house.admin().await, id).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("last-administrator", Kind::Conflict));
        assert_eq!(house.acts_since(0).last().unwrap(), "operator.revoke refused last-administrator");
        assert!(house.sign_in(&house.administrator).await.is_ok(), "undone");
    }

    async fn of_two_administrators_who_revoke_each_other_one_stays(h: Harness) {
        let house = House::open(h).await;
        let second = house.invite(Role::Administrator, 2).await;
        let first = house.admin().await;
        let token = house.sign_in(&second).await.unwrap();
        let other = house.authenticate(&token).await.unwrap();
        let server = house.another_server(crate::support::config()).await;
        let server = if house.h.engine() == testkit::Engine::Postgres { &server } else { &house.access };
        let [a, b] = [house.administrator.id.parse().unwrap(), second.id.parse().unwrap()];
        let (one, two) = tokio::join!(house.access.operator_revoke(&first, b), server.operator_revoke(&other, a));
        assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    }

    async fn an_assertion_is_used_once_even_on_two_servers(h: Harness) {
        let house = House::open(h).await;
        let text = assertion(&house.h, &house.administrator.key, &house.administrator.id);
        let server = house.another_server(crate::support::config()).await;
        assert!(house.access.token(by_assertion(text.clone()), &house.call()).await.is_ok());
        for access in [&server, &house.access] {
            let error = access.token(by_assertion(text.clone()), &house.call()).await.unwrap_err();
            assert_eq!((error.oauth_code(), error.kind()), ("invalid_client", Kind::Unauthenticated));
            assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused assertion-replayed");
        }
    }

    async fn of_two_that_race_for_one_link_or_with_one_assertion_one_wins(h: Harness) {
        let house = House::open(h).await;
        let server = house.another_server(crate::support::config()).await;
        let server = if house.h.engine() == testkit::Engine::Postgres { &server } else { &house.access };
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        let again = Secret::new(link.secret.expose().clone());
        let (one, two) =
            tokio::join!(enrol(&house.h, &house.access, link.secret, 2), enrol(&house.h, server, again, 3));
        assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
        let text = assertion(&house.h, &house.administrator.key, &house.administrator.id);
        let call = house.call();
        let (one, two) = tokio::join!(
            house.access.token(by_assertion(text.clone()), &call),
            server.token(by_assertion(text), &call)
        );
        assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    }

    async fn an_assertion_of_another_key_or_an_unknown_operator_is_refused_alike(h: Harness) {
        let house = House::open(h).await;
        let wrong = assertion(&house.h, &key(9), &house.administrator.id);
        let unknown = assertion(&house.h, &key(9), &base::OperatorId::from_bytes([9; 16]).to_string());
        let texts = [wrong, unknown].map(|text| async {
            house.access.token(by_assertion(text), &house.call()).await.unwrap_err().to_string()
        });
        let [wrong, unknown] = texts;
        assert_eq!(wrong.await, unknown.await);
        assert_eq!(house.acts_since(house.events().len() - 2), ["auth.fail refused assertion-signature"; 2]);
    }

    async fn the_peer_is_sealed_beside_the_event_and_not_in_it(h: Harness) {
        let house = House::open(h).await;
        house.admin().await;
        let events = events(&house.h);
        let issued = events.iter().find(|event| event.activity == "token.issue").unwrap();
        assert!(issued.context.is_some());
        let leaves = house.h.tamper(store::Realm::Data, "SELECT leaf FROM event WHERE sealed IS NULL AND activity = 'token.issue'");
        assert!(leaves.is_empty());
        let address: String = "192.0.2.1".bytes().map(|byte| format!("{byte:02x}")).collect();
        for leaf in house.h.tamper(store::Realm::Data, "SELECT leaf FROM event") {
            assert!(!leaf.contains(&address));
        }
        assert_eq!(call_from(&house.h, 1).peer.address.unwrap().to_string(), "192.0.2.1");
    }
}
