//! Accounts and clients, and that suspension and revocation act at once and everywhere.

use access::{AccessError, Action, NewClient, NewCredential, Resource};
use base::{AccountId, ClientId, Fault, Kind, Scheme};
use store::Realm;
use testkit::on_both_engines;

use crate::support::{House, assertion, by_assertion, by_secret, config, key, new_client};

const HOLD_RING: store::Scoped = store::update!("account_ring" set "wraps = wraps" where "1 = 1");
const HOLD_ACCOUNTS: store::Platform = store::platform!("UPDATE account SET name = name");

on_both_engines! {
    async fn a_clients_token_gives_the_scope_of_its_own_account(h: Harness) {
        let house = House::open(h).await;
        let (acme, client) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let token = house.client_token(&client).await.unwrap();
        assert_eq!(token.account, Some(acme));
        let principal = house.authenticate(&token).await.unwrap();
        assert_eq!(principal.scope().unwrap().account(), acme);
        assert!(principal.system().is_none());
        assert_eq!(principal.scope().unwrap().origin().account, Some(acme));
        let own = Resource::new().in_account(acme);
        let decision = house.access.authorize(&principal, Action::RecordRead, &own).await.unwrap();
        assert_eq!(decision.policies(), ["records-read"]);
        let error = house.access.authorize(&principal, Action::RecordRead, &Resource::new().in_account(globex)).await;
        assert_eq!(error.unwrap_err().clause(), Some("CD-8"));
        assert_eq!(house.events().pop().unwrap().policies, ["another-account"]);
    }

    async fn names_are_unique_and_bounded(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        house.access.account_create(&admin, "Acme").await.unwrap().into_inner();
        let error = house.access.account_create(&admin, "Acme").await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.field()), ("name-taken", Kind::Conflict, Some("name")));
        assert_eq!(house.acts_since(0).last().unwrap(), "account.create refused name-taken");
        let error = house.access.account_create(&admin, &"a".repeat(65)).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (Kind::Invalid, Some("name")));
        let (one, two) = tokio::join!(house.access.account_create(&admin, "Twice"), house.access.account_create(&admin, "Twice"));
        assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    }

    async fn whoever_may_not_is_refused_before_anything_else_is_looked_at(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let auditor = house.invite(access::Role::Auditor, 2).await;
        let auditor = house.authenticate(&house.sign_in(&auditor).await.unwrap()).await.unwrap();
        let nameless = || NewClient { name: String::new(), ..new_client("records:read") };
        let from = house.events().len();
        let error = house.access.account_create(&auditor, "").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        let error = house.access.client_create(&auditor, acme, nameless()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        let denied = house.acts_since(from);
        assert!(denied.len() == 2 && denied.iter().all(|act| act.starts_with("access.deny")), "{denied:?}");
        // Whoever may is told, and that is recorded too.
        let (admin, from) = (house.admin().await, house.events().len());
        assert_eq!(house.access.account_create(&admin, "").await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(house.access.client_create(&admin, acme, nameless()).await.unwrap_err().kind(), Kind::Invalid);
        let scopeless = NewClient { scopes: access::ScopeSet::empty(), ..new_client("records:read") };
        assert_eq!(house.access.client_create(&admin, acme, scopeless).await.unwrap_err().field(), Some("scope"));
        let refused = ["account.create refused invalid", "client.create refused invalid", "client.create refused invalid"];
        assert_eq!(house.acts_since(from), refused);
        let key = key(3).public();
        let enrolled = access::Enrolment { secret: base::Secret::new("x".into()), key, name: String::new() };
        let error = house.access.enrol(enrolled, &house.call()).await.unwrap_err();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
    }

    async fn the_event_of_a_new_client_says_what_it_may_do_and_which_key_is_its(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let admin = house.admin().await;
        let clearance = Some(Scheme::default().parse("internal").unwrap());
        let credential = NewCredential::PublicKey(key(9).public());
        let signs = NewClient { clearance, credential, ..new_client("records:read") };
        for (new, details) in [
            (signs, vec!["internal".to_owned(), key(9).public().thumbprint(), "records:read".to_owned()]),
            (new_client("records:read"), vec!["every level".to_owned(), "client_secret".to_owned()]),
        ] {
            let _made = house.access.client_create(&admin, acme, new).await.unwrap();
            let leaf = format!("{:?}", house.events().pop().unwrap());
            for detail in details {
                assert!(leaf.contains(&detail), "{detail} in {leaf}");
            }
        }
    }

    async fn a_suspension_acts_at_once_on_every_server_and_ends_with_a_resumption(h: Harness) {
        let house = House::open(h).await;
        let (account, client) = house.customer("Acme").await;
        let (_, other) = house.customer("Globex").await;
        let token = house.client_token(&client).await.unwrap();
        let others = house.client_token(&other).await.unwrap();
        let server = house.another_server(config()).await;
        assert!(server.authenticate(token.token.expose(), &house.call()).await.is_ok());
        let admin = house.admin().await;
        assert!(house.access.account_suspend(&admin, account).await.unwrap().suspended.is_some());
        for access in [&house.access, &server] {
            let error = access.authenticate(token.token.expose(), &house.call()).await.unwrap_err();
            assert!(matches!(error, AccessError::Unauthenticated), "{error}");
            assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused account-suspended");
        }
        assert!(house.authenticate(&others).await.is_ok());
        let error = house.client_token(&client).await.unwrap_err();
        assert_eq!((error.code(), error.oauth_code()), ("account-suspended", "unauthorized_client"));
        assert_eq!(house.acts_since(0).last().unwrap(), "token.refuse refused account-suspended");
        assert!(house.access.account_resume(&admin, account).await.unwrap().suspended.is_none());
        assert!(server.authenticate(token.token.expose(), &house.call()).await.is_ok());
        assert!(house.client_token(&client).await.is_ok());
    }

    async fn a_suspension_that_is_overtaken_leaves_no_stopped_keys(h: Harness) {
        let house = House::open(h).await;
        let (account, _) = house.customer("Acme").await;
        let admin = house.admin().await;
        let row = || house.h.tamper(Realm::Data, "SELECT COUNT(*) FROM account WHERE suspended_at IS NULL");
        // The keys' row is held: the suspension stops between its two steps.
        let mut held = house.h.keys.begin(&house.h.scope(account)).await.unwrap();
        held.execute(HOLD_RING, &[]).await.unwrap();
        let access = house.access.clone();
        let suspension = tokio::spawn(async move { access.account_suspend(&admin, account).await });
        while row() != ["0"] {
            tokio::task::yield_now().await;
        }
        // A resumption on another server has done its first step before, and now its second.
        house.h.tamper(Realm::Data, "UPDATE account SET suspended_at = NULL");
        drop(held);
        let _suspended = suspension.await.unwrap().unwrap();
        assert!(!house.keys.account_is_suspended(&house.h.system(), account).await.unwrap());
    }

    async fn a_resumption_that_is_overtaken_leaves_no_stopped_keys(h: Harness) {
        if h.engine() == testkit::Engine::Sqlite {
            return; // One writer: the row can't be held while the keys' events are written.
        }
        let house = House::open(h).await;
        let (account, _) = house.customer("Acme").await;
        let admin = house.admin().await;
        let _suspended = house.access.account_suspend(&admin, account).await.unwrap();
        let ring = || house.h.tamper(Realm::Keys, "SELECT COUNT(*) FROM account_ring WHERE suspended_at IS NULL");
        let mut held = house.h.data.system(&house.h.system()).await.unwrap();
        held.execute(HOLD_ACCOUNTS, &[]).await.unwrap();
        let access = house.access.clone();
        let resumption = tokio::spawn(async move { access.account_resume(&admin, account).await });
        while ring() != ["1"] {
            tokio::task::yield_now().await;
        }
        // A suspension on another server has done its first step before, and now its second.
        house.keys.suspend_account(&house.h.system(), account).await.unwrap();
        drop(held);
        assert!(resumption.await.unwrap().unwrap().suspended.is_none());
        assert!(!house.keys.account_is_suspended(&house.h.system(), account).await.unwrap());
    }

    async fn suspensions_and_resumptions_at_once_end_with_keys_as_the_account(h: Harness) {
        let house = House::open(h).await;
        let (account, _) = house.customer("Acme").await;
        let admin = std::sync::Arc::new(house.admin().await);
        for _ in 0..8 {
            let mut at_once = tokio::task::JoinSet::new();
            for n in 0..4 {
                let (access, admin) = (house.access.clone(), admin.clone());
                at_once.spawn(async move {
                    let done = if n % 2 == 0 {
                        access.account_suspend(&admin, account).await
                    } else {
                        access.account_resume(&admin, account).await
                    };
                    done.map(store::Committed::into_inner)
                });
            }
            while let Some(done) = at_once.join_next().await {
                done.unwrap().unwrap();
            }
            let row = house.h.tamper(Realm::Data, "SELECT COUNT(*) FROM account WHERE suspended_at IS NOT NULL");
            let keys = house.keys.account_is_suspended(&house.h.system(), account).await.unwrap();
            assert_eq!(row[0] == "1", keys);
        }
    }

    async fn a_revoked_client_is_out_at_once(h: Harness) {
        let house = House::open(h).await;
        let (account, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        assert!(house.authenticate(&token).await.is_ok());
        let admin = house.admin().await;
        house.access.client_revoke(&admin, client.client.id).await.unwrap().into_inner();
        assert!(matches!(house.authenticate(&token).await, Err(AccessError::Unauthenticated)));
        assert_eq!(house.client_token(&client).await.unwrap_err().oauth_code(), "invalid_client");
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused revoked");
        let listed = house.access.client_list(&admin, account, None, 10).await.unwrap();
        assert!(listed.items[0].revoked.is_some());
        let unknown = ClientId::from_bytes([9; 16]);
        assert_eq!(house.access.client_revoke(&admin, unknown).await.unwrap_err().kind(), Kind::NotFound);
    }

    async fn a_client_that_signs_needs_no_secret(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let account = house.access.account_create(&admin, "Acme").await.unwrap().id;
        let new = NewClient { credential: NewCredential::PublicKey(key(5).public()), ..new_client("records:read") };
        let made = house.access.client_create(&admin, account, new).await.unwrap().into_inner();
        assert!(made.secret.is_none() && made.client.signs);
        let id = made.client.id.to_string();
        let request = by_assertion(assertion(&house.h, &key(5), &id));
        let token = house.access.token(request, &house.call()).await.unwrap().into_inner();
        assert_eq!(house.authenticate(&token).await.unwrap().scope().unwrap().account(), account);
        let request = by_secret(&id, "tcs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(house.access.token(request, &house.call()).await.unwrap_err().oauth_code(), "invalid_client");
    }

    async fn a_clearance_bounds_what_a_client_touches(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let account = house.access.account_create(&admin, "Acme").await.unwrap().id;
        let scheme = Scheme::default();
        let [internal, restricted] = ["internal", "restricted"].map(|name| scheme.parse(name).unwrap());
        let new = NewClient { clearance: Some(internal.clone()), ..new_client("records:read") };
        let made = house.access.client_create(&admin, account, new).await.unwrap().into_inner();
        let token = house.client_token(&made).await.unwrap();
        let principal = house.authenticate(&token).await.unwrap();
        let at = |level| Resource::new().classified(level);
        assert!(house.access.authorize(&principal, Action::RecordRead, &at(&internal)).await.is_ok());
        let refused = house.access.authorize(&principal, Action::RecordRead, &at(&restricted)).await.unwrap_err();
        assert_eq!(refused.clause(), Some("RR-1"));
        let unsaid = house.access.authorize(&principal, Action::RecordRead, &Resource::new()).await.unwrap_err();
        assert_eq!(unsaid.clause(), Some("RR-1"), "unsaid counts as the highest");
        // A level that the scheme no longer has clears for nothing.
        let levels = ["public", "restricted"].map(|name| base::Level { name: name.into(), confidential: name != "public" });
        let scheme = Scheme::new(levels.into()).unwrap();
        let lowest = scheme.parse("public").unwrap();
        let other = house.another_server(access::Config { scheme, ..crate::support::config() }).await;
        let principal = other.authenticate(token.token.expose(), &house.call()).await.unwrap();
        assert!(other.authorize(&principal, Action::RecordRead, &at(&lowest)).await.is_err());
    }

    async fn lists_come_in_pages(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        for n in 0..5 {
            house.access.account_create(&admin, &format!("Customer {n}")).await.unwrap().into_inner();
            house.h.clock.advance(base::Duration::from_seconds(1));
        }
        let first = house.access.account_list(&admin, None, 3).await.unwrap();
        assert_eq!(first.items.len(), 3);
        let rest = house.access.account_list(&admin, first.next, 3).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (2, None));
        let names: Vec<_> = first.items.iter().chain(&rest.items).map(|account| account.name.clone()).collect();
        assert_eq!(names, ["Customer 0", "Customer 1", "Customer 2", "Customer 3", "Customer 4"]);
        let unknown = AccountId::from_bytes([9; 16]);
        assert_eq!(house.access.client_list(&admin, unknown, None, 3).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(house.acts_since(0).last().unwrap(), "client.list refused account-unknown");
    }

    async fn no_act_without_its_event(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let from = house.events().len();
        let account = house.access.account_create(&admin, "Acme").await.unwrap().id;
        let client = house.access.client_create(&admin, account, new_client("records:read")).await.unwrap().into_inner();
        house.client_token(&client).await.unwrap();
        house.access.client_list(&admin, account, None, 10).await.unwrap();
        house.access.account_list(&admin, None, 10).await.unwrap();
        house.access.operator_list(&admin, None, 10).await.unwrap();
        house.access.account_suspend(&admin, account).await.unwrap().into_inner();
        house.access.account_resume(&admin, account).await.unwrap().into_inner();
        house.access.client_revoke(&admin, client.client.id).await.unwrap().into_inner();
        let acts = house.acts_since(from);
        let expected = [
            "account.create ok", "client.create ok", "auth.succeed ok", "token.issue ok", "client.list ok",
            "account.list ok", "operator.list ok", "account.suspend ok", "account.resume ok", "client.revoke ok",
        ];
        assert_eq!(acts, expected);
        for event in house.events().iter().skip(from).filter(|event| event.object.kind == "account") {
            assert_eq!(event.policies, ["administrators-run-the-platform"], "{}", event.activity);
            assert_eq!(event.actor, admin.actor());
        }
    }
}
