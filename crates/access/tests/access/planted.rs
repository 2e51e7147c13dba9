//! Tokens that somebody made up, each with one thing wrong. None gets in, each is recorded, and the
//! caller can't tell them apart.

use access::{Claims, Issuer, Subject, TOKEN_TYPE};
use aws_lc_rs::hmac;
use base::{AccountId, ClientId, Fault, Kind, OperatorId, Timestamp, TokenId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use testkit::on_both_engines;

use crate::support::{House, ISSUER, config, key};

/// The parts of a token, decoded.
fn parts(token: &str) -> [Value; 2] {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&B64.decode(part).unwrap()).unwrap_or(Value::Null));
    [parts.next().unwrap(), parts.next().unwrap()]
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

on_both_engines! {
    async fn each_is_refused(h: Harness) {
        let house = House::open(h).await;
        let (acme, client) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let token = house.client_token(&client).await.unwrap();
        let text = token.token.expose();
        let signature = text.rsplit('.').next().unwrap();
        let [header, claims] = parts(text);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
        assert_eq!(header["kid"], house.access.jwks()["keys"][0]["kid"]);
        assert_eq!(claims["account"], json!(acme));
        let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["account", "aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"]);
        let with = |value: &Value, member: &str, new: Value| {
            let mut value = value.clone();
            value[member] = new;
            value
        };
        let resigned = |claims: &Value, header: &Value| format!("{}.{signature}", unsigned(header, claims));

        // The public key as an HMAC secret, in each form that a careless verifier would use.
        let jwks = house.access.jwks();
        let x = jwks["keys"][0]["x"].as_str().unwrap();
        let hs256 = |secret: &[u8]| {
            let signed = unsigned(&with(&header, "alg", json!("HS256")), &claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            format!("{signed}.{}", B64.encode(tag))
        };
        let evil = key(66);
        let evil_with_our_kid = {
            let signed = unsigned(&header, &claims);
            let own = evil.sign(TOKEN_TYPE, &claims).unwrap();
            format!("{signed}.{}", own.rsplit('.').next().unwrap())
        };
        let other_audience = house.another_server(access::Config { audience: "https://other.test".into(), ..config() }).await;
        let other_issuer = house.another_server(access::Config { issuer: "https://other.test".into(), ..config() }).await;
        let from = |server: access::Access| {
            let request = crate::support::by_secret(client.client.id, client.secret.as_ref().unwrap().expose());
            let call = house.call();
            async move { server.token(request, &call).await.unwrap().into_inner().token.expose().clone() }
        };
        let planted = [
            ("a foreign account", resigned(&with(&claims, "account", json!(globex)), &header), "token-signature"),
            ("more scopes", resigned(&with(&claims, "scope", json!("records:erase")), &header), "token-signature"),
            ("a later end", resigned(&with(&claims, "exp", json!(9_999_999_999_i64)), &header), "token-signature"),
            ("a signature of zeroes", format!("{}.{}", unsigned(&header, &claims), B64.encode([0; 64])), "token-signature"),
            ("another key under our id", evil_with_our_kid, "token-signature"),
            ("another key under its own id", evil.sign(TOKEN_TYPE, &claims).unwrap(), "token-key"),
            ("no key id", resigned(&claims, &json!({ "typ": "at+jwt", "alg": "EdDSA" })), "token-key"),
            ("no algorithm", format!("{}.", unsigned(&with(&header, "alg", json!("none")), &claims)), "token-algorithm"),
            ("no algorithm, signed", resigned(&claims, &with(&header, "alg", json!("none"))), "token-algorithm"),
            ("HS256 under the public key", hs256(&B64.decode(x).unwrap()), "token-algorithm"),
            ("HS256 under its text", hs256(x.as_bytes()), "token-algorithm"),
            ("HS256 under the JWK set", hs256(jwks.to_string().as_bytes()), "token-algorithm"),
            ("another type", resigned(&claims, &with(&header, "typ", json!("JWT"))), "token-type"),
            ("its own key inside", resigned(&claims, &with(&header, "jwk", jwks["keys"][0].clone())), "token-malformed"),
            ("an extension", resigned(&claims, &with(&header, "crit", json!(["exp"]))), "token-extension"),
            ("another audience", from(other_audience).await, "token-audience"),
            ("another issuer", from(other_issuer).await, "token-issuer"),
            ("nothing", String::new(), "token-malformed"),
            ("two parts", unsigned(&header, &claims), "token-malformed"),
            ("five parts", format!("{text}.a.b"), "token-malformed"),
            ("padding", format!("{text}="), "token-malformed"),
            ("a space", format!("{text} "), "token-malformed"),
        ];
        for (what, token, reason) in planted {
            let error = house.access.authenticate(&token, &house.call()).await.expect_err(what);
            assert_eq!((error.kind(), error.code()), (Kind::Unauthenticated, "token-invalid"), "{what}");
            assert_eq!(house.acts_since(0).last().unwrap(), &format!("auth.fail refused {reason}"), "{what}");
        }
        assert!(house.authenticate(&token).await.is_ok());
    }

    /// Signed with the true key, as only a thief of it could: the store has the last word.
    async fn a_stolen_signing_key_still_makes_no_client_of_another_account(h: Harness) {
        let house = House::open(h).await;
        let (_, client) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let key = house.true_key().await;
        let issuer = Issuer { name: ISSUER.into(), audience: ISSUER.into() };
        let now = Timestamp::from_seconds(house.h.context.now().seconds());
        let claims = |subject| Claims {
            subject,
            scopes: access::ScopeSet::empty(),
            token: TokenId::from_bytes([7; 16]),
            issued: now,
            expires: now + access::TOKEN_LIFE,
        };
        let client_of = |client, account| claims(Subject::Client { client, account });
        let own = client_of(client.client.id, client.client.account);
        let token = own.sign(&issuer, &key).unwrap();
        let principal = house.access.authenticate(&token, &house.call()).await.unwrap();
        assert_eq!(principal.scope().unwrap().account(), client.client.account, "the key is the true one");
        for (claims, reason) in [
            (client_of(client.client.id, globex), "client-unknown"),
            (client_of(client.client.id, AccountId::from_bytes([9; 16])), "client-unknown"),
            (client_of(ClientId::from_bytes([9; 16]), globex), "client-unknown"),
            (claims(Subject::Operator(OperatorId::from_bytes([9; 16]))), "operator-unknown"),
        ] {
            let token = claims.sign(&issuer, &key).unwrap();
            assert!(house.access.authenticate(&token, &house.call()).await.is_err(), "{reason}");
            assert_eq!(house.acts_since(0).last().unwrap(), &format!("auth.fail refused {reason}"));
        }
    }
}
