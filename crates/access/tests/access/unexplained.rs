//! Operators whom the database's administrator made, raised or brought back: no event explains them, and none has any power.

use access::{AccessError, Role};
use base::{Duration, Fault, Kind, OperatorId};
use testkit::on_both_engines;

use crate::support::{House, Person, config, enrol, key};

fn bytes(of: &[u8]) -> String {
    of.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The operator's row, as SQL names it.
fn row(person: &Person) -> String {
    let id: OperatorId = person.id.parse().unwrap();
    format!("x'{}'", bytes(id.as_bytes()))
}

on_both_engines! {
    async fn an_operator_whom_no_event_made_is_none(h: Harness) {
        let house = House::open(h).await;
        let intruder = Person { key: key(66), id: OperatorId::from_bytes([6; 16]).to_string() };
        let public = intruder.key.public();
        house.h.tamper(store::Realm::Data, &format!(
            "INSERT INTO operator (id, name, role, public_key, enrolled_at) VALUES ({}, 'Eve', 'administrator', x'{}', 1)",
            row(&intruder), bytes(public.as_bytes())
        ));
        let from = house.events().len();
        let error = house.sign_in(&intruder).await.unwrap_err();
        assert!(matches!(error, AccessError::InvalidClient), "{error}");
        assert_eq!(house.acts_since(from), ["integrity.violation ok", "auth.fail refused operator-unexplained"]);
        // Told once a minute, not at each attempt.
        let from = house.events().len();
        house.sign_in(&intruder).await.unwrap_err();
        assert_eq!(house.acts_since(from), ["auth.fail refused operator-unexplained"]);
    }

    async fn a_link_that_no_event_made_enrols_nobody(h: Harness) {
        let house = House::open(h).await;
        let secret = format!("tel_{}", "A".repeat(43));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
        let creator: OperatorId = house.administrator.id.parse().unwrap();
        house.h.tamper(store::Realm::Data, &format!(
            "INSERT INTO enrolment_link (secret_hash, role, created_at, created_by, expires_at) \
             VALUES (x'{}', 'administrator', 1, x'{}', {})",
            bytes(hash.as_ref()), bytes(creator.as_bytes()), i64::MAX
        ));
        let from = house.events().len();
        let error = enrol(&house.h, &house.access, base::Secret::new(secret), 66).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
        assert_eq!(house.acts_since(from), ["integrity.violation ok", "auth.fail refused link-invalid"]);
    }

    async fn a_link_is_used_once_and_gives_the_role_that_was_given(h: Harness) {
        let house = House::open(h).await;
        let link = house.access.link_create(&house.admin().await, Role::Auditor).await.unwrap().into_inner();
        house.h.tamper(store::Realm::Data, "UPDATE enrolment_link SET role = 'administrator' WHERE used_at IS NULL");
        let error = enrol(&house.h, &house.access, link.secret.clone(), 66).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
        house.h.tamper(store::Realm::Data, "UPDATE enrolment_link SET role = 'auditor' WHERE used_at IS NULL");
        enrol(&house.h, &house.access, link.secret.clone(), 66).await.unwrap();
        // Brought back in the database, it is used all the same.
        house.h.tamper(store::Realm::Data, "UPDATE enrolment_link SET used_at = NULL");
        let error = enrol(&house.h, &house.access, link.secret, 67).await.err().unwrap();
        assert!(matches!(error, AccessError::LinkInvalid), "{error}");
    }

    async fn another_key_in_an_operators_row_signs_nobody_in(h: Harness) {
        let house = House::open(h).await;
        let intruder = Person { key: key(66), id: house.administrator.id.clone() };
        let public = bytes(intruder.key.public().as_bytes());
        house.h.tamper(store::Realm::Data, &format!("UPDATE operator SET public_key = x'{public}' WHERE id = {}", row(&intruder)));
        house.sign_in(&intruder).await.unwrap_err();
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused operator-unexplained");
    }

    async fn a_role_that_was_raised_is_not_taken(h: Harness) {
        let house = House::open(h).await;
        let auditor = house.invite(Role::Auditor, 2).await;
        let token = house.sign_in(&auditor).await.unwrap();
        house.authenticate(&token).await.unwrap();
        house.h.tamper(store::Realm::Data, &format!("UPDATE operator SET role = 'administrator' WHERE id = {}", row(&auditor)));
        let error = house.authenticate(&token).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        house.h.tamper(store::Realm::Data, &format!("UPDATE operator SET role = 'auditor' WHERE id = {}", row(&auditor)));
        house.authenticate(&token).await.unwrap();
    }

    async fn a_revocation_that_was_undone_in_the_database_stands(h: Harness) {
        let house = House::open(h).await;
        let auditor = house.invite(Role::Auditor, 2).await;
        let other = house.another_server(config()).await;
        let token = house.sign_in(&auditor).await.unwrap();
        other.authenticate(token.token.expose(), &house.call()).await.unwrap();
        let id: OperatorId = auditor.id.parse().unwrap();
        house.access.operator_revoke(&house.admin().await, id).await.unwrap().into_inner();
        house.h.tamper(store::Realm::Data, &format!("UPDATE operator SET revoked_at = NULL WHERE id = {}", row(&auditor)));
        house.sign_in(&auditor).await.unwrap_err();
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused operator-unexplained");
        // Another server hears of it within a minute.
        house.h.clock.advance(Duration::from_seconds(60));
        other.authenticate(token.token.expose(), &house.call()).await.unwrap_err();
    }

    async fn a_client_is_what_the_log_says_it_is(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("acme").await;
        let (globex, other) = house.customer("globex").await;
        let id = format!("x'{}'", bytes(client.client.id.as_bytes()));
        let set = |what: &str| house.h.tamper(store::Realm::Data, &format!("UPDATE client SET {what} WHERE id = {id}"));
        let token = house.client_token(&client).await.unwrap();
        house.authenticate(&token).await.unwrap();
        // The secret of another client, which the database's administrator knows, in place of this one's.
        let hash = house.h.tamper(store::Realm::Data, &format!(
            "SELECT secret_hash FROM client WHERE id = x'{}'", bytes(other.client.id.as_bytes())
        )).remove(0);
        let own = house.h.tamper(store::Realm::Data, &format!("SELECT secret_hash FROM client WHERE id = {id}")).remove(0);
        set(&format!("secret_hash = x'{hash}'"));
        let stolen = access::CreatedClient { client: client.client.clone(), secret: other.secret.clone() };
        house.client_token(&stolen).await.unwrap_err();
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused client-unexplained");
        set(&format!("secret_hash = x'{own}'"));
        house.client_token(&client).await.unwrap();
        // Another account, other scopes, another clearance: tokens that are out are refused at once.
        let account = house.h.tamper(store::Realm::Data, &format!("SELECT account FROM client WHERE id = {id}")).remove(0);
        for (wrong, right) in [
            (format!("account = x'{}'", bytes(globex.as_bytes())), format!("account = x'{account}'")),
            ("scopes = 'records:read'".to_owned(), format!("scopes = '{}'", access::ScopeSet::all())),
            ("clearance = 'public'".to_owned(), "clearance = NULL".to_owned()),
        ] {
            set(&wrong);
            house.authenticate(&token).await.unwrap_err();
            set(&right);
            house.authenticate(&token).await.unwrap();
        }
        // A revocation that was undone.
        house.access.client_revoke(&house.admin().await, client.client.id).await.unwrap().into_inner();
        set("revoked_at = NULL");
        house.authenticate(&token).await.unwrap_err();
        house.client_token(&client).await.unwrap_err();
    }
}

#[test]
fn every_scope_fits_the_event_that_is_compared() {
    assert!(access::ScopeSet::all().to_string().len() <= ledger::MAX_DETAIL_BYTES);
}
