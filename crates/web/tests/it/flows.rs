//! What callers rely on: preconditions, repetition, labels, and that what is taken away is away at once.

use access::SigningKey;
use base::SecretBytes;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{World, ask, challenge, declaration, name_of, public};

testkit::on_both_engines! {
    async fn a_change_that_expects_another_version_is_refused(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        let made = ask("POST", &records).bearer(&world.client.token).json(&json!({"n": 1}));
        let made = world.call(made).await.expect(201);
        let path = format!("{records}/{}", made.text("/id"));
        let put = |tag: &'static str| {
            ask("PUT", path.clone()).bearer(&world.client.token).header("if-match", tag).json(&json!({"n": 2}))
        };
        world.call(put("\"1\"")).await.expect(200);
        let stale = world.call(put("\"1\"")).await.expect(412);
        assert_eq!(stale.text("/code"), "precondition-failed");
        assert_eq!(stale.text("/clause"), "CD-2");
        world.call(put("\"something-else\"")).await.expect(412);
        world.call(put("*")).await.expect(200);
        assert_eq!(world.call(put("3")).await.expect(400).text("/field"), "if-match");
    }

    async fn a_repeated_request_is_done_once(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        let send = |n: i32| {
            ask("POST", records.clone()).bearer(&world.client.token).header("idempotency-key", "k-1").json(&json!({"n": n}))
        };
        let first = world.call(send(1)).await.expect(201);
        let again = world.call(send(1)).await.expect(201);
        assert_eq!(first.text("/id"), again.text("/id"));
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
        assert_eq!(world.events_of(&again), ["idempotency.replay"]);
        assert_eq!(world.call(send(2)).await.expect(409).text("/code"), "idempotency-key-reused");
        let other = send(1).header("idempotency-key", "k-2");
        assert_eq!(world.call(other).await.expect(400).text("/field"), "idempotency-key");
    }

    async fn a_label_above_the_repository_is_refused_by_its_clause(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        let path = format!("{records}?classification=restricted");
        let refused = world.call(ask("POST", path).bearer(&world.client.token).json(&json!({}))).await.expect(400);
        assert_eq!((refused.text("/clause"), refused.text("/field")), ("RR-2".into(), "classification".into()));
        assert_eq!(world.events_of(&refused), ["record.create"]);
    }

    async fn a_batch_gives_no_right_that_its_parts_would_not(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        let made = ask("POST", &records).bearer(&world.client.token).json(&json!({"n": 1}));
        let id = world.call(made).await.expect(201).text("/id");
        let writer = world.make_client(&world.account, "records:read records:write").await;
        let batch = |operations: serde_json::Value| {
            ask("POST", format!("{records}/batch")).bearer(&writer.token).json(&json!({"operations": operations}))
        };
        let create = json!({"op": "create", "body": {"n": 2}});
        let delete = json!({"op": "delete", "id": id});
        let refused = world.call(batch(json!([create, delete]))).await.expect(403);
        assert_eq!(world.events_of(&refused), ["access.deny"]);
        world.call(ask("GET", format!("{records}/{id}")).bearer(&writer.token)).await.expect(200);
        let listed = world.call(ask("GET", records.clone()).bearer(&writer.token)).await.expect(200);
        assert_eq!(listed.json()["items"].as_array().unwrap_or(&Vec::new()).len(), 1, "nothing of the batch was done");
        world.call(batch(json!([create]))).await.expect(200);
    }

    async fn a_clearance_bounds_what_a_client_touches(h: Harness) {
        let world = World::new(h).await;
        let scopes = "records:read records:write";
        let cleared = world.make_client_cleared(&world.account, scopes, Some("internal")).await;
        for (name, status) in [("public", 201), ("internal", 201), ("confidential", 403), ("restricted", 403)] {
            let records = format!("/v1/repositories/{}/records", world.repository(name, name).await);
            let made = ask("POST", &records).bearer(&cleared.token).json(&json!({"n": 1}));
            world.call(made).await.expect(status);
        }
    }

    async fn a_record_comes_back_in_one_compact_form(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        let body = r#"{"z": 1.10, "big": 18446744073709551615, "least": -9223372036854775808, "b": [ ], "t": "\u00e9"}"#;
        let made = ask("POST", &records).bearer(&world.client.token).raw("application/json", body);
        let path = format!("{records}/{}", world.call(made).await.expect(201).text("/id"));
        let read = world.call(ask("GET", path).bearer(&world.client.token)).await.expect(200);
        let read = String::from_utf8(read.bytes).unwrap();
        // Numbers as they are read, without spaces; of the order of members nothing is said.
        for kept in [r#""b":[]"#, r#""big":18446744073709551615"#, r#""least":-9223372036854775808"#, r#""t":"é""#, r#""z":1.1"#] {
            let after = read.split_once(kept).map(|(_, rest)| rest.chars().next());
            assert!(matches!(after, Some(Some(',' | '}'))), "{kept} in {read}");
        }
    }

    async fn a_number_that_would_change_is_refused(h: Harness) {
        let world = World::new(h).await;
        let records = format!("/v1/repositories/{}/records", world.repository("r", "internal").await);
        for body in [r#"{"n": 123456789012345678901234567890}"#, r#"{"n": -9223372036854775809}"#, r#"{"n": 1e400}"#] {
            let made = ask("POST", &records).bearer(&world.client.token).raw("application/json", body);
            assert_eq!(world.call(made).await.expect(400).text("/field"), "body", "{body}");
        }
    }

    async fn an_erasure_or_restoring_that_expects_another_version_is_refused(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("r", "internal").await;
        let records = format!("/v1/repositories/{repository}/records");
        let made = ask("POST", &records).bearer(&world.client.token).json(&json!({"n": 1}));
        let path = format!("{records}/{}", world.call(made).await.expect(201).text("/id"));
        let send = |method: &'static str, rest: &str, tag: &str| {
            ask(method, format!("{path}{rest}")).bearer(&world.client.token).header("if-match", tag)
        };
        world.call(send("PUT", "", "\"1\"").json(&json!({"n": 2}))).await.expect(200);
        let stale = world.call(send("POST", "/erase", "\"1\"")).await.expect(412);
        assert_eq!((stale.text("/code"), stale.text("/clause")), ("precondition-failed".into(), "CD-2".into()));
        assert_eq!(world.events_of(&stale), ["record.erase"]);
        world.call(ask("GET", &path).bearer(&world.client.token)).await.expect(200);
        world.call(send("DELETE", "", "\"2\"")).await.expect(200);
        assert_eq!(world.events_of(&world.call(send("POST", "/restore", "\"1\"")).await.expect(412)), ["record.restore"]);
        world.call(send("POST", "/restore", "\"2\"")).await.expect(200);
        let certificate = world.call(send("POST", "/erase", "\"2\"")).await.expect(200);
        // Sent again after its answer was lost.
        assert_eq!(world.call(send("POST", "/erase", "\"2\"")).await.expect(200).text("/id"), certificate.text("/id"));
    }

    async fn a_header_that_would_not_be_acted_on_is_refused(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("r", "internal").await;
        let objects = format!("/v1/repositories/{repository}/objects");
        let put = ask("POST", format!("{objects}?name=a")).bearer(&world.client.token).raw("text/plain", "x");
        let object = format!("{objects}/{}", world.call(put).await.expect(201).text("/id"));
        let (client, operator) = (world.client.token.as_str(), world.operator.as_str());
        let clients = format!("/v1/accounts/{}/clients", world.account);
        for (asked, header) in [
            (ask("POST", format!("{objects}?name=b")).bearer(client).raw("text/plain", "x"), "idempotency-key"),
            (ask("POST", "/v1/repositories").bearer(client).json(&declaration("s", "internal")), "idempotency-key"),
            (ask("POST", format!("/v1/repositories/{repository}/holds")).bearer(client).json(&json!({"reason": "a"})), "idempotency-key"),
            (ask("POST", "/v1/accounts").bearer(operator).json(&json!({"name": "C"})), "idempotency-key"),
            (ask("POST", clients).bearer(operator).json(&json!({"name": "c", "scope": "records:read"})), "idempotency-key"),
            (ask("DELETE", &object).bearer(client), "if-match"),
            (ask("POST", format!("{object}/restore")).bearer(client), "if-match"),
            (ask("POST", format!("{object}/erase")).bearer(client), "if-match"),
        ] {
            let reply = world.call(asked.header(header, "\"1\"")).await.expect(400);
            assert_eq!((reply.text("/code"), reply.text("/field")), ("header-not-supported".into(), header.into()));
            assert!(reply.text("/detail").contains("leave it out"));
        }
        world.call(ask("GET", object).bearer(client)).await.expect(200);
    }

    async fn a_list_shows_no_declaration_above_the_callers_clearance(h: Harness) {
        let world = World::new(h).await;
        for level in ["public", "internal", "confidential"] {
            world.repository(level, level).await;
        }
        let cleared = world.make_client_cleared(&world.account, "repositories:read", Some("internal")).await;
        let names = |reply: crate::support::Reply| -> Vec<String> {
            let items = reply.json()["items"].as_array().unwrap().clone();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let list = |token: &str| ask("GET", "/v1/repositories").bearer(token);
        let mut shown = names(world.call(list(&cleared.token)).await.expect(200));
        shown.sort();
        assert_eq!(shown, ["internal", "public"]);
        assert_eq!(names(world.call(list(&world.client.token)).await.expect(200)).len(), 3);
    }

    async fn each_refusal_of_a_caller_leaves_its_event(h: Harness) {
        let world = World::new(h).await;
        let (id, secret) = (&world.client.id, &world.client.secret);
        let list = || ask("GET", "/v1/repositories").bearer(&world.client.token);
        for unreadable in [list().bearer(&world.client.token), ask("GET", "/v1/repositories").header("authorization", "Bearer \u{e9}")] {
            let reply = world.call(unreadable).await.expect(401);
            assert_eq!((reply.text("/code"), world.events_of(&reply)), ("token-invalid".into(), vec!["auth.fail".to_owned()]));
        }
        let grant = "grant_type=client_credentials";
        let twice = format!("{grant}&client_id={id}&client_secret={secret}&client_assertion=a&client_assertion_type=b");
        for (form, header, status) in [
            (grant.to_owned(), None, 401),
            (grant.to_owned(), Some("Basic !"), 401),
            (twice, None, 400),
            (format!("{grant}&client_secret={secret}"), None, 400),
        ] {
            let mut asked = ask("POST", "/v1/token").form(&form);
            if let Some(header) = header {
                asked = asked.header("authorization", header);
            }
            let reply = world.call(asked).await.expect(status);
            assert_eq!(world.events_of(&reply), ["auth.fail"], "{form}");
        }
        let clients = format!("/v1/accounts/{}/clients", world.account);
        let wrong = |token: &str| ask("POST", &clients).bearer(token).json(&json!({"name": "c", "scope": "root"}));
        let denied = world.call(wrong(&world.client.token)).await.expect(403);
        assert_eq!(world.events_of(&denied), ["access.deny"]);
        let refused = world.call(wrong(&world.operator)).await.expect(400);
        assert_eq!((refused.text("/field"), world.events_of(&refused)), ("/scope".into(), vec!["client.create".to_owned()]));
        let holds = format!("/v1/repositories/{}/holds", world.repository("r", "internal").await);
        let both = json!({"person": "A. Counsel", "record": "rec_00000000000000000000000001", "object": "obj_00000000000000000000000001", "reason": "a"});
        let reader = world.make_client(&world.account, "records:read").await;
        let denied = world.call(ask("POST", &holds).bearer(&reader.token).json(&both)).await.expect(403);
        assert_eq!(world.events_of(&denied), ["access.deny"]);
        let refused = world.call(ask("POST", &holds).bearer(&world.client.token).json(&both)).await.expect(400);
        assert_eq!((refused.text("/field"), world.events_of(&refused)), ("/object".into(), vec!["hold.set".to_owned()]));
    }

    async fn the_policy_that_allows_an_act_on_keys_is_in_its_event(h: Harness) {
        let world = World::new(h).await;
        for (asked, status, event) in [
            (ask("GET", "/v1/keys"), 200, "key.status"),
            (ask("GET", format!("/v1/accounts/{}/keys", world.account)), 200, "key.status"),
            (ask("POST", "/v1/keys/rotate"), 202, "key.rotate"),
            (ask("POST", "/v1/keys/rotate"), 409, "key.rotate"),
            (ask("POST", format!("/v1/accounts/{}/keys/rotate", world.account)), 202, "key.rotate"),
            (ask("POST", "/v1/keys/1/retire"), 409, "key.retire"),
            (ask("POST", format!("/v1/accounts/{}/keys/1/retire", world.account)), 409, "key.retire"),
        ] {
            let reply = world.call(asked.bearer(&world.operator)).await.expect(status);
            let request = reply.header("x-request-id");
            let leaves: Vec<_> = world.leaves().into_iter().filter(|leaf| leaf.contains(request) && name_of(leaf) == event).collect();
            assert!(!leaves.is_empty() && leaves.iter().all(|leaf| leaf.contains("administrators-run-the-platform")), "{event}: {leaves:?}");
        }
    }

    async fn a_token_is_asked_for_by_resource_as_by_audience(h: Harness) {
        let world = World::new(h).await;
        let (id, secret) = (&world.client.id, &world.client.secret);
        world.token(id, secret, "&resource=https%3A%2F%2Ftenet.test").await;
        world.token(id, secret, "&resource=https%3A%2F%2Ftenet.test%2F&audience=https%3A%2F%2Ftenet.test").await;
        for other in ["resource=https%3A%2F%2Fother.test", "audience=https%3A%2F%2Ftenet.test&resource=x"] {
            let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&{other}");
            let refused = world.call(ask("POST", "/v1/token").form(&form)).await.expect(400);
            assert_eq!(refused.text("/error"), "invalid_target", "{other}");
        }
    }

    async fn revocation_and_suspension_act_at_once(h: Harness) {
        let world = World::new(h).await;
        let list = || ask("GET", "/v1/repositories").bearer(&world.client.token);
        world.call(list()).await.expect(200);
        let account = format!("/v1/accounts/{}", world.account);
        world.call(ask("POST", format!("{account}/suspend")).bearer(&world.operator)).await.expect(200);
        world.call(list()).await.expect(401);
        let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", world.client.id, world.client.secret);
        let refused = world.call(ask("POST", "/v1/token").form(&form)).await.expect(400);
        assert_eq!(refused.text("/error"), "unauthorized_client");
        world.call(ask("POST", format!("{account}/resume")).bearer(&world.operator)).await.expect(200);
        world.call(list()).await.expect(200);
        let revoke = ask("POST", format!("/v1/clients/{}/revoke", world.client.id)).bearer(&world.operator);
        world.call(revoke).await.expect(200);
        world.call(list()).await.expect(401);
    }

    async fn each_way_of_client_authentication_works_and_none_mix(h: Harness) {
        let world = World::new(h).await;
        let (id, secret) = (&world.client.id, &world.client.secret);
        let grant = "grant_type=client_credentials";
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let by_basic = ask("POST", "/v1/token").header("authorization", &basic);
        let token = world.call(by_basic.form(&format!("{grant}&scope=records:read&account={}", world.account))).await;
        let token = token.expect(200);
        assert_eq!((token.text("/scope"), token.text("/account")), ("records:read".into(), world.account.clone()));
        assert_eq!(token.header("cache-control"), "no-store");

        let key = SigningKey::from_seed(&SecretBytes::new(vec![9; 32])).unwrap();
        let body = json!({"name": "signs", "scope": "records:read", "public_key": public(&key.public())});
        let made = ask("POST", format!("/v1/accounts/{}/clients", world.account)).bearer(&world.operator).json(&body);
        let made = world.call(made).await.expect(201);
        assert!(made.json().get("secret").is_none());
        world.sign_in(&key, &made.text("/client/id")).await;

        for (form, header, status, error) in [
            (format!("{grant}&client_id={id}&client_secret=wrong"), None, 401, "invalid_client"),
            (grant.to_owned(), Some(format!("Basic {}", STANDARD.encode(format!("{id}:no")))), 401, "invalid_client"),
            (grant.to_owned(), Some("Basic !".to_owned()), 401, "invalid_client"),
            (grant.to_owned(), None, 401, "invalid_client"),
            (format!("{grant}&client_id={id}&client_secret={secret}"), Some(basic.clone()), 400, "invalid_request"),
            (format!("client_id={id}&client_secret={secret}"), None, 400, "invalid_request"),
            (format!("{grant}&{grant}"), None, 400, "invalid_request"),
            (format!("grant_type=password&client_id={id}&client_secret={secret}"), None, 400, "unsupported_grant_type"),
            (format!("{grant}&client_id={id}&client_secret={secret}&scope=root"), None, 400, "invalid_scope"),
            (format!("{grant}&client_id={id}&client_secret={secret}&account=acc_x"), None, 400, "invalid_grant"),
        ] {
            let mut asked = ask("POST", "/v1/token").form(&form);
            let by_header = header.is_some();
            if let Some(header) = header {
                asked = asked.header("authorization", header);
            }
            let refused = world.call(asked).await.expect(status);
            assert_eq!(refused.text("/error"), error, "{form}");
            let scheme = if status != 401 { "" } else if by_header { "Basic realm=\"tenet\"" } else { "Bearer realm=\"tenet\"" };
            assert_eq!(challenge(&refused), scheme, "{form}");
        }
    }

    async fn an_operator_link_works_once(h: Harness) {
        let world = World::new(h).await;
        let link = ask("POST", "/v1/operators/links").bearer(&world.operator).json(&json!({"role": "auditor"}));
        let secret = world.call(link).await.expect(201).text("/secret");
        let enrol = |seed: u8| {
            let key = SigningKey::from_seed(&SecretBytes::new(vec![seed; 32])).unwrap();
            let body = json!({"secret": secret, "name": "Grace", "public_key": public(&key.public())});
            ask("POST", "/v1/enrol").json(&body)
        };
        world.call(enrol(3)).await.expect(201);
        assert_eq!(world.call(enrol(4)).await.expect(401).text("/code"), "link-invalid");
    }

    async fn full_tiles_are_for_ever_and_the_rest_for_a_moment(h: Harness) {
        let world = World::new(h).await;
        for _ in 0..260 {
            world.call(ask("GET", "/v1/repositories").bearer(&world.client.token)).await.expect(200);
        }
        world.drain().await;
        let full = world.call(ask("GET", "/log/tile/entries/000")).await.expect(200);
        assert_eq!(full.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(world.call(ask("GET", "/log/tile/0/000")).await.expect(200).bytes.len(), 8_192);
        let part = world.call(ask("GET", "/log/tile/0/000.p/5")).await.expect(200);
        assert_eq!((part.header("cache-control"), part.bytes.len()), ("public, max-age=1", 160));
        for absent in ["entries/x001/000", "0/00", "9/000", "0/000.p/256", "0/000.p/0", "x/000"] {
            world.call(ask("GET", format!("/log/tile/{absent}"))).await.expect(404);
        }
        world.call(ask("GET", "/log/proof/99999999")).await.expect(404);
        world.call(ask("GET", "/log/proof/-1")).await.expect(400);
    }

    async fn the_log_is_searched_and_that_is_in_it(h: Harness) {
        let world = World::new(h).await;
        let search = |query: &str| ask("GET", format!("/v1/log/events?{query}")).bearer(&world.operator);
        world.drain().await;
        let found = world.call(search("activity=account.create&limit=1")).await.expect(200).json();
        assert_eq!(found["items"][0]["event"]["metadata"]["event_code"], "account.create");
        assert_eq!(found["items"][0].get("not_before"), None, "no witness vouches for anything here");
        let all = world.call(search("order=oldest&limit=2")).await.expect(200).json();
        let rest = world.call(search(&format!("order=oldest&limit=2&cursor={}", all["next"]))).await.expect(200).json();
        assert_eq!((&all["items"][1]["index"], &rest["items"][0]["index"]), (&json!(1), &json!(2)));
        // The record of a search says by what was searched, and no word of what for.
        let asked = world.call(search("text=Ann+Smith&outcome=success")).await.expect(200);
        assert_eq!(world.events_of(&asked), ["log.search"]);
        let leaf = world.leaves().into_iter().rfind(|leaf| name_of(leaf) == "log.search").unwrap();
        assert!(leaf.contains("\"by\":\"outcome text\"") && !leaf.to_lowercase().contains("smith"), "{leaf}");
        for (query, field) in [
            ("activity=nothing.such", "activity"), ("actor=somebody", "actor"), ("outcome=good", "outcome"),
            ("severity=6", "severity"), ("severity=0", "severity"), ("text=-", "text"), ("text=", "text"),
            ("text=a+b+c+d+e+f+g+h+i", "text"), ("from=yesterday", "from"), ("until=1", "until"), ("order=up", "order"),
            ("cursor=-1", "cursor"), ("limit=0", "limit"), ("limit=1001", "limit"), ("account=acc_1", "account"),
            ("object=", "object"), ("colour=red", "colour"),
        ] {
            let refused = world.call(search(query)).await.expect(400);
            assert_eq!(refused.text("/field"), field, "{query}");
        }
    }
}
