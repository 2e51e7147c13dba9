//! What a caller is told when a request fails, and the headers of every answer.

use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::{Value, json};

use crate::support::{World, ask, declaration};

testkit::on_both_engines! {
    async fn every_answer_carries_the_common_headers(h: Harness) {
        let world = World::new(h).await;
        for ask in [ask("GET", "/healthz"), ask("GET", "/nowhere"), ask("PUT", "/healthz"), ask("GET", "/v1/keys")] {
            let reply = world.plain(ask).await;
            for (name, value) in [
                ("strict-transport-security", "max-age=63072000"),
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(reply.header(name), value, "{name}");
            }
            assert!(reply.header("x-request-id").starts_with("req_"));
            if !reply.status.is_success() {
                assert_eq!(reply.header("content-type"), "application/problem+json");
                assert_eq!(reply.text("/request"), reply.header("x-request-id"));
                assert_eq!(reply.text("/type"), format!("urn:tenet:problem:{}", reply.text("/code")));
            }
        }
    }

    async fn unknown_routes_and_methods_are_problems(h: Harness) {
        let world = World::new(h).await;
        assert_eq!(world.plain(ask("GET", "/v1/nowhere")).await.expect(404).text("/code"), "no-such-route");
        let wrong = world.plain(ask("DELETE", "/v1/repositories")).await.expect(405);
        assert_eq!((wrong.text("/code"), wrong.header("allow")), ("method-not-allowed".into(), "GET, HEAD, POST"));
        assert_eq!(world.plain(ask("HEAD", "/healthz")).await.expect(200).bytes.len(), 0);
    }

    async fn the_field_the_parameter_or_the_header_is_named(h: Harness) {
        let world = World::new(h).await;
        let token = world.client.token.as_str();
        let mut unknown = declaration("r", "internal");
        unknown["retention"]["weeks"] = json!(3);
        let mut negative = declaration("r", "internal");
        negative["retention"]["period_days"] = json!(-1);
        let mut none = declaration("r", "internal");
        none.as_object_mut().unwrap().remove("retention");
        let post = |value: &Value| ask("POST", "/v1/repositories").bearer(token).json(value);
        let get = |path: &str| ask("GET", path).bearer(token);
        for (asked, field) in [
            (post(&unknown), "/retention/weeks"),
            (post(&negative), "/retention/period_days"),
            (post(&none), "retention"),
            (post(&declaration("r", "secret")), "classification"),
            (post(&json!([])), "body"),
            (ask("POST", "/v1/repositories").bearer(token).raw("application/json", "{"), "body"),
            (get("/v1/repositories?limit=0"), "limit"),
            (get("/v1/repositories?limit=1&limit=2"), "limit"),
            (get("/v1/repositories?account=acc_1"), "account"),
            (get("/v1/repositories?cursor=AAAA"), "cursor"),
            (get("/v1/repositories/rep_1"), "repository"),
            (get("/v1/repositories/acc_00000000000000000000000001"), "repository"),
            (post(&declaration("r", "internal")).header("authorization", "Bearer x"), ""),
        ] {
            let reply = world.call(asked).await;
            if field.is_empty() {
                reply.expect(401);
            } else {
                assert_eq!(reply.expect(400).text("/field"), field);
            }
        }
        let clause = world.call(post(&none)).await.expect(400);
        assert_eq!(clause.text("/clause"), "AR-2");
    }

    async fn bodies_are_held_to_their_type_and_size(h: Harness) {
        let world = World::new(h).await;
        let token = world.client.token.as_str();
        let repository = world.repository("r", "internal").await;
        let post = |path: String| ask("POST", path).bearer(token);
        let records = format!("/v1/repositories/{repository}/records");
        let objects = format!("/v1/repositories/{repository}/objects?name=a");
        let wrong = world.call(post(records.clone()).raw("text/plain", "{}")).await.expect(415);
        assert!(wrong.text("/detail").contains("application/json"));
        world.call(post(records.clone())).await.expect(415);
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1_048_576));
        let large = world.call(post(records.clone()).raw("application/json", large)).await.expect(413);
        assert_eq!(large.text("/code"), "body-too-large");
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536])));
        let endless = post(records).header("content-type", "application/json").stream(Body::from_stream(endless));
        world.call(endless).await.expect(413);
        let told = post(objects.clone()).header("content-type", "text/plain").stream(Body::from("x"));
        assert_eq!(world.call(told).await.expect(411).text("/code"), "length-required");
        let huge = post(objects.clone()).header("content-length", "6000000000");
        world.call(huge).await.expect(413);
        let short = post(objects.clone()).header("content-length", "5").stream(Body::from("abc"));
        assert_eq!(world.call(short).await.expect(400).text("/code"), "content-broken-off");
        let missing = objects.replace("?name=a", "");
        assert_eq!(world.call(post(missing).raw("text/plain", "x")).await.expect(400).text("/field"), "name");
    }

    async fn ranges_outside_are_refused_with_the_size(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("r", "internal").await;
        let objects = format!("/v1/repositories/{repository}/objects");
        let token = world.client.token.as_str();
        let put = ask("POST", format!("{objects}?name=a")).bearer(token).raw("text/plain", "0123456789");
        let id = world.call(put).await.expect(201).text("/id");
        let get = |range: &str| ask("GET", format!("{objects}/{id}")).bearer(token).header("range", range);
        let outside = world.call(get("bytes=10-")).await.expect(416);
        assert_eq!(outside.header("content-range"), "bytes */10");
        assert_eq!(world.call(get("bytes=-3")).await.expect(206).bytes, b"789");
        assert_eq!(world.call(get("bytes=8-99")).await.expect(206).bytes, b"89");
        assert_eq!(world.call(get("bytes=0-1,3-4")).await.expect(200).bytes, b"0123456789");
        let other = get("bytes=0-1").header("if-range", "\"2\"");
        assert_eq!(world.call(other).await.expect(200).bytes.len(), 10);
    }

    async fn a_batch_names_the_write_at_fault(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("r", "internal").await;
        let send = |operations: Value| {
            ask("POST", format!("/v1/repositories/{repository}/records/batch"))
                .bearer(&world.client.token)
                .json(&json!({"operations": operations}))
        };
        let create = json!({"op": "create", "body": {"n": 1}});
        for (operations, field) in [
            (json!([create, {"op": "create", "id": "rec_00000000000000000000000001", "body": {}}]), "/operations/1/id"),
            (json!([create, {"op": "delete"}]), "/operations/1/id"),
            (json!([{"op": "create"}]), "/operations/0/body"),
            (json!([create, {"op": "merge", "body": {}}]), "/operations/1/op"),
            (json!([]), "operations"),
        ] {
            let reply = world.call(send(operations)).await.expect(400);
            assert_eq!(reply.text("/field"), field);
        }
        let absent = json!({"op": "delete", "id": "rec_00000000000000000000000001"});
        world.call(send(json!([create, absent]))).await.expect(404);
        let list = ask("GET", format!("/v1/repositories/{repository}/records")).bearer(&world.client.token);
        assert_eq!(world.call(list).await.expect(200).json()["items"], json!([]));
    }
}
