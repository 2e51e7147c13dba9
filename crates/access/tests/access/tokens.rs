//! The token endpoint and revocation.

use access::{AccessError, Credential, Principal, ScopeSet, TOKEN_LIFE};
use base::{Duration, Fault, Kind, Secret};
use store::{JobRunner, Realm};
use testkit::on_both_engines;

use crate::support::{
    ENDPOINT, House, ISSUER, assertion, assertion_for, by_assertion, by_secret, config, new_client,
};

on_both_engines! {
    async fn a_token_lives_a_quarter_of_an_hour(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        assert_eq!(token.life, TOKEN_LIFE);
        assert!(house.authenticate(&token).await.is_ok());
        house.h.clock.advance(Duration::from_seconds(15 * 60 - 1));
        assert!(house.authenticate(&token).await.is_ok());
        house.h.clock.advance(Duration::from_seconds(1));
        assert!(matches!(house.authenticate(&token).await, Err(AccessError::Unauthenticated)));
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused token-expired");
    }

    async fn scopes_are_those_that_are_asked_for_and_never_more(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let account = house.access.account_create(&admin, "Acme").await.unwrap().id;
        let new = new_client("records:read records:write");
        let made = house.access.client_create(&admin, account, new).await.unwrap().into_inner();
        let secret = made.secret.as_ref().unwrap().expose().clone();
        let ask = |scope: Option<&str>| {
            let mut request = by_secret(made.client.id, &secret);
            request.scope = scope.map(str::to_owned);
            request
        };
        let granted = |scopes: &str| ScopeSet::parse(scopes).unwrap();
        let all = house.access.token(ask(None), &house.call()).await.unwrap();
        assert_eq!(all.scopes, granted("records:read records:write"));
        let one = house.access.token(ask(Some("records:read")), &house.call()).await.unwrap();
        assert_eq!(one.scopes, granted("records:read"));
        for wrong in ["records:read records:erase", "root", ""] {
            let error = house.access.token(ask(Some(wrong)), &house.call()).await.unwrap_err();
            assert_eq!((error.oauth_code(), error.kind()), ("invalid_scope", Kind::Invalid), "{wrong}");
            assert!(house.acts_since(0).last().unwrap().starts_with("token.refuse refused scope-"));
        }
    }

    async fn the_chosen_account_must_be_the_clients_own(h: Harness) {
        let house = House::open(h).await;
        let (acme, client) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let secret = client.secret.as_ref().unwrap().expose().clone();
        let choose = |account: String| {
            let mut request = by_secret(client.client.id, &secret);
            request.account = Some(account);
            request
        };
        assert!(house.access.token(choose(acme.to_string()), &house.call()).await.is_ok());
        for wrong in [globex.to_string(), "acme".to_owned(), String::new()] {
            let error = house.access.token(choose(wrong), &house.call()).await.unwrap_err();
            assert_eq!((error.oauth_code(), error.clause()), ("invalid_grant", Some("CD-8")));
        }
        let mut operators = by_assertion(assertion(&house.h, &house.administrator.key, &house.administrator.id));
        operators.account = Some(acme.to_string());
        assert_eq!(house.access.token(operators, &house.call()).await.unwrap_err().oauth_code(), "invalid_grant");
    }

    async fn another_audience_or_grant_is_refused(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let secret = client.secret.as_ref().unwrap().expose().clone();
        let mut request = by_secret(client.client.id, &secret);
        request.audiences = vec!["https://other.test".into()];
        assert_eq!(house.access.token(request, &house.call()).await.unwrap_err().oauth_code(), "invalid_target");
        let mut request = by_secret(client.client.id, &secret);
        request.grant = "password".into();
        let error = house.access.token(request, &house.call()).await.unwrap_err();
        assert_eq!(error.oauth_code(), "unsupported_grant_type");
        let assertion = Secret::new(assertion(&house.h, &house.administrator.key, &house.administrator.id));
        let mut request = by_secret(client.client.id, &secret);
        request.credential = Credential::Assertion { client: None, assertion_type: "saml".into(), assertion };
        assert_eq!(house.access.token(request, &house.call()).await.unwrap_err().oauth_code(), "invalid_client");
    }

    async fn an_unknown_client_and_a_wrong_secret_look_the_same(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let (_, other) = house.customer("Globex").await;
        let others = other.secret.as_ref().unwrap().expose();
        let unknown = base::ClientId::from_bytes([9; 16]).to_string();
        let mut seen = Vec::new();
        for (id, secret) in [(client.client.id.to_string(), others.as_str()), (unknown, others), ("nobody".into(), ""), (client.client.id.to_string(), "")] {
            let error = house.access.token(by_secret(id, secret), &house.call()).await.unwrap_err();
            seen.push((error.code(), error.to_string(), house.acts_since(0).pop().unwrap()));
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].2, "auth.fail refused secret-wrong");
    }

    async fn a_secret_is_stored_only_as_its_hash(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let secret = client.secret.as_ref().unwrap().expose();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(house.h.tamper(Realm::Data, "SELECT secret_hash FROM client"), [hash]);
    }

    async fn a_revoked_token_is_out_at_once_and_the_others_are_not(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let (_, other) = house.customer("Globex").await;
        let [gone, kept] = [house.client_token(&client).await.unwrap(), house.client_token(&client).await.unwrap()];
        let server = house.another_server(config()).await;
        let principal: Principal = server.authenticate(gone.token.expose(), &house.call()).await.unwrap();
        let others = house.authenticate(&house.client_token(&other).await.unwrap()).await.unwrap();
        let error = house.access.revoke(&others, gone.token.expose()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(house.acts_since(0).last().unwrap(), "token.revoke refused another-subject");
        assert!(house.access.revoke(&principal, gone.token.expose()).await.unwrap().is_some());
        assert_eq!(house.acts_since(0).last().unwrap(), "token.revoke ok");
        for access in [&house.access, &server] {
            assert!(access.authenticate(gone.token.expose(), &house.call()).await.is_err());
            assert!(access.authenticate(kept.token.expose(), &house.call()).await.is_ok());
        }
        assert!(house.access.revoke(&principal, gone.token.expose()).await.unwrap().is_some(), "twice is the same");
        let from = house.events().len();
        assert!(house.access.revoke(&principal, "garbage").await.unwrap().is_none());
        assert_eq!(house.acts_since(from), ["token.revoke refused token-malformed"]);
    }

    async fn a_token_is_revoked_whatever_this_servers_clock_and_name_say(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let principal = house.authenticate(&house.client_token(&client).await.unwrap()).await.unwrap();
        let renamed = house.another_server(access::Config { issuer: "https://other.test".into(), ..config() }).await;
        let revoked = |token: &access::IssuedToken| {
            let sql = "SELECT token, expires_at FROM token_revocation";
            let rows = house.h.tamper(Realm::Data, sql);
            let id: String = token.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            rows.into_iter().find(|row| row.to_lowercase().contains(&id))
        };
        // Not valid here yet: the server that issued it has its clock ahead.
        house.h.clock.advance(Duration::from_seconds(120));
        let ahead = house.client_token(&client).await.unwrap();
        house.h.clock.advance(Duration::from_seconds(-120));
        // Over here, and good for seconds at a server whose clock is behind.
        let over = house.client_token(&client).await.unwrap();
        let foreign = house.client_token(&client).await.unwrap();
        assert!(renamed.revoke(&principal, foreign.token.expose()).await.unwrap().is_some());
        assert!(revoked(&foreign).is_some());
        assert!(house.access.revoke(&principal, ahead.token.expose()).await.unwrap().is_some());
        let row = revoked(&ahead).expect("it takes effect once it is valid");
        let matters = ahead.expires + access::CLOCK_SKEW;
        assert!(row.ends_with(&matters.micros().to_string()), "{row}");
        house.h.clock.advance(Duration::from_seconds(15 * 60));
        assert!(house.authenticate(&over).await.is_err());
        assert!(house.access.revoke(&principal, over.token.expose()).await.unwrap().is_some());
        assert!(revoked(&over).is_some());
        assert!(house.authenticate(&ahead).await.is_err());
        assert_eq!(house.acts_since(0).last().unwrap(), "auth.fail refused token-revoked");
    }

    async fn what_is_signed_for_one_server_is_good_at_another(h: Harness) {
        let house = House::open(h).await;
        let address = "https://b.test:8440";
        let second = house.another_server(access::Config {
            addresses: vec![address.into()],
            token_endpoints: vec![format!("{address}/v1/token"), ENDPOINT.into()],
            ..config()
        }).await;
        let sign = |audience: &str| by_assertion(assertion_for(&house.h, &house.administrator, audience));
        // By its own address, by the other's that it was told of, and by the issuer that all share.
        for audience in ["https://b.test:8440/v1/token", ENDPOINT, ISSUER] {
            let token = second.token(sign(audience), &house.call()).await.unwrap().into_inner();
            assert!(house.authenticate(&token).await.is_ok(), "{audience}");
        }
        for audience in ["https://b.test/v1/token", "https://evil.test/v1/token", address] {
            let refused = second.token(sign(audience), &house.call()).await.unwrap_err();
            assert_eq!(refused.code(), "client-invalid", "{audience}");
        }
        for (asked, right) in [(address, true), ("https://b.test:8440/", true), (ISSUER, true), ("https://b.test", false)] {
            let mut request = sign(ISSUER);
            request.audiences = vec![asked.into()];
            assert_eq!(second.token(request, &house.call()).await.is_ok(), right, "{asked}");
        }
    }

    async fn what_has_ended_is_swept(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        let principal = house.authenticate(&token).await.unwrap();
        let _revoked = house.access.revoke(&principal, token.token.expose()).await.unwrap();
        let count = || {
            let sql = "SELECT (SELECT COUNT(*) FROM token_revocation), (SELECT COUNT(*) FROM assertion_use)";
            house.h.tamper(Realm::Data, sql)
        };
        let runner = JobRunner::new(house.h.data.clone(), house.access.job_handlers());
        assert_eq!(runner.run_due().await.unwrap(), 0);
        assert_ne!(count(), ["0|0"]);
        house.h.clock.advance(Duration::from_seconds(31 * 60));
        // For a server whose clock is two minutes behind, the first of these matters still.
        for (id, ago) in [("01", 124), ("02", 126)] {
            let ended = house.h.context.now().minus(Duration::from_seconds(ago)).micros();
            house.h.tamper(Realm::Data, &format!("INSERT INTO assertion_use (id, expires_at) VALUES (x'{id}', {ended})"));
            house.h.tamper(
                Realm::Data,
                &format!("INSERT INTO token_revocation (token, revoked_at, expires_at) VALUES (x'{id}', 1, {ended})"),
            );
        }
        assert_eq!(runner.run_due().await.unwrap(), 1);
        assert_eq!(count(), ["1|1"]);
        assert_eq!(house.h.tamper(Realm::Data, "SELECT id FROM assertion_use"), ["01"]);
        assert!(house.acts_since(0).contains(&"job.complete ok".to_owned()));
    }

    async fn nobody_gets_in_when_the_store_does_not_answer(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let token = house.client_token(&client).await.unwrap();
        assert!(house.authenticate(&token).await.is_ok(), "verified and remembered");
        house.h.tamper(Realm::Data, "ALTER TABLE token_revocation RENAME TO gone");
        let error = house.authenticate(&token).await.unwrap_err();
        assert!(matches!(error, AccessError::Store(_)), "{error}");
        assert_eq!(error.oauth_code(), "server_error");
        house.h.tamper(Realm::Data, "ALTER TABLE gone RENAME TO token_revocation");
        assert!(house.authenticate(&token).await.is_ok());
    }

    async fn a_refusal_that_cant_be_recorded_is_not_made(h: Harness) {
        let house = House::open(h).await;
        house.h.tamper(Realm::Data, "ALTER TABLE outbox RENAME TO gone");
        for _ in 0..2 {
            let error = house.access.authenticate("garbage", &house.call()).await.unwrap_err();
            assert!(matches!(error, AccessError::Store(_) | AccessError::Keys(_)), "{error}");
        }
    }
}
