//! Limits: each refuses, says when to come back, and leaves its event.

use std::net::SocketAddr;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use store::Realm;
use web::{Limits, Rate};

use crate::support::{World, ask, name_of};

testkit::on_both_engines! {
    async fn a_client_that_asks_too_much_waits_and_others_do_not(h: Harness) {
        let world = World::with(h, Limits { client_rate: Rate::new(1, 8), ..Limits::default() }).await;
        let list = |token: &str| ask("GET", "/v1/repositories").bearer(token);
        for _ in 0..8 {
            world.call(list(&world.client.token)).await.expect(200);
        }
        let refused = world.call(list(&world.client.token)).await.expect(429);
        assert_eq!(refused.text("/code"), "rate-exceeded");
        assert_eq!(world.events_of(&refused), ["limit.exceed"]);
        world.call(list(&world.stranger.token)).await.expect(200);
        world.wait(refused.header("retry-after").parse().unwrap());
        world.call(list(&world.client.token)).await.expect(200);
    }

    async fn an_address_that_asks_too_much_waits(h: Harness) {
        let rates = Limits { peer_rate: Rate::new(1, 2), sign_in_rate: Rate::new(1, 20), ..Limits::default() };
        let world = World::with(h, rates).await;
        let (near, far) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 1)));
        for _ in 0..2 {
            world.call_from(ask("GET", "/healthz"), near).await.expect(200);
        }
        let refused = world.call_from(ask("GET", "/healthz"), near).await.expect(429);
        assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
        world.call_from(ask("GET", "/healthz"), far).await.expect(200);
        let noted = |world: &World| world.leaves().iter().filter(|leaf| name_of(leaf) == "limit.exceed").count();
        assert_eq!(noted(&world), 1);
        world.call_from(ask("GET", "/healthz"), near).await.expect(429);
        assert_eq!(noted(&world), 1, "a flood fills the log");
        world.wait(5);
        world.call_from(ask("GET", "/healthz"), near).await.expect(200);
    }

    async fn guesses_at_tokens_are_slowed_down(h: Harness) {
        let world = World::with(h, Limits { sign_in_rate: Rate::new(1, 3), ..Limits::default() }).await;
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let guess = || ask("GET", "/v1/repositories").bearer("no.such.token");
        for _ in 0..3 {
            world.call_from(guess(), peer).await.expect(401);
        }
        world.call_from(guess(), peer).await.expect(429);
        let honest = ask("GET", "/v1/repositories").bearer(&world.client.token);
        world.call_from(honest, peer).await.expect(200);
        // Nor do guesses take from the sign-ins of those who share the address.
        let (id, secret) = (&world.client.id, &world.client.secret);
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        for _ in 0..3 {
            world.call_from(ask("POST", "/v1/token").form(&form), peer).await.expect(200);
        }
        world.call_from(ask("POST", "/v1/token").form(&form), peer).await.expect(429);
    }

    async fn a_store_that_does_not_answer_is_told_as_that(h: Harness) {
        let world = World::with(h, Limits { sign_in_rate: Rate::new(1, 3), ..Limits::default() }).await;
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let list = || ask("GET", "/v1/repositories").bearer(&world.client.token);
        world.h.tamper(Realm::Data, "ALTER TABLE token_revocation RENAME TO gone");
        for _ in 0..6 {
            let status = world.call_from(list(), peer).await.status.as_u16();
            assert!(matches!(status, 500 | 503), "{status}");
        }
        world.h.tamper(Realm::Data, "ALTER TABLE gone RENAME TO token_revocation");
        world.call_from(list(), peer).await.expect(200);
        world.call_from(ask("GET", "/v1/repositories").bearer("no.such.token"), peer).await.expect(401);
    }

    async fn one_callers_streams_leave_places_for_others(h: Harness) {
        let world = World::with(h, Limits { requests_per_caller: 1, ..Limits::default() }).await;
        let repository = world.repository("r", "internal").await;
        let objects = format!("/v1/repositories/{repository}/objects");
        let content = vec![7; 200_000];
        let put = ask("POST", format!("{objects}?name=a")).bearer(&world.client.token);
        let id = world.call(put.raw("text/plain", content)).await.expect(201).text("/id");
        let get = Request::get(format!("{objects}/{id}"))
            .header("authorization", format!("Bearer {}", world.client.token))
            .body(Body::empty())
            .unwrap();
        // Answered, and nobody takes the content yet.
        let answer = tower::ServiceExt::oneshot(world.router.clone(), get).await.unwrap();
        assert_eq!(answer.status(), 200);
        let list = |token: &str| ask("GET", "/v1/repositories").bearer(token);
        let refused = world.call(list(&world.client.token)).await.expect(429);
        assert_eq!((refused.text("/code"), refused.header("retry-after")), ("rate-exceeded".into(), "1"));
        assert_eq!(world.events_of(&refused), ["limit.exceed"]);
        let again = world.call(list(&world.client.token)).await.expect(429);
        assert!(world.events_of(&again).is_empty(), "a flood fills the log");
        world.call(list(&world.stranger.token)).await.expect(200);
        assert_eq!(to_bytes(answer.into_body(), 1_000_000).await.unwrap().len(), 200_000);
        while world.call(list(&world.client.token)).await.status == 429 {
            tokio::task::yield_now().await;
        }
        world.call(list(&world.client.token)).await.expect(200);
    }

    async fn what_somebody_unknown_may_send_is_small(h: Harness) {
        let world = World::new(h).await;
        let large = "x".repeat(16_384);
        let token = ask("POST", "/v1/token").form(&format!("grant_type={large}"));
        assert_eq!(world.call(token).await.expect(413).text("/code"), "body-too-large");
        let enrol = ask("POST", "/v1/enrol").json(&serde_json::json!({"secret": large}));
        assert_eq!(world.call(enrol).await.expect(413).text("/code"), "body-too-large");
    }

    async fn a_batch_is_read_only_from_whoever_may_write(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("r", "internal").await;
        let reader = world.make_client(&world.account, "records:read").await;
        let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let batch = ask("POST", format!("/v1/repositories/{repository}/records/batch"))
            .bearer(&reader.token)
            .header("content-type", "application/json")
            .stream(Body::from_stream(never));
        assert_eq!(world.call(batch).await.expect(403).text("/code"), "access-denied");
    }

    async fn more_requests_than_places_are_sent_away(h: Harness) {
        let world = World::with(h, Limits::default()).await;
        let busy = World::with_no_place(&world);
        let get = |path: &str| tower::ServiceExt::oneshot(busy.router(), Request::get(path).body(Body::empty()).unwrap());
        let response = get("/openapi.json").await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        // Whoever watches it hears that it lives and answers.
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get(path).await.unwrap().status(), 200, "{path}");
        }
    }

    async fn a_server_that_stops_is_not_ready(h: Harness) {
        let world = World::new(h).await;
        world.call(ask("GET", "/readyz")).await.expect(200);
        world.app.stop();
        assert_eq!(world.call(ask("GET", "/readyz")).await.expect(503).text("/code"), "not-ready");
        world.call(ask("GET", "/healthz")).await.expect(200);
    }
}
