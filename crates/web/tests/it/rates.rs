//! Limits: each refuses, says when to come back, and leaves its event.

use std::net::SocketAddr;

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
    }

    async fn more_requests_than_places_are_sent_away(h: Harness) {
        let world = World::with(h, Limits::default()).await;
        let busy = World::with_no_place(&world);
        let response = tower::ServiceExt::oneshot(
            busy.router(),
            axum::http::Request::get("/healthz").body(axum::body::Body::empty()).unwrap(),
        ).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
    }

    async fn a_server_that_stops_is_not_ready(h: Harness) {
        let world = World::new(h).await;
        world.call(ask("GET", "/readyz")).await.expect(200);
        world.app.stop();
        assert_eq!(world.call(ask("GET", "/readyz")).await.expect(503).text("/code"), "not-ready");
        world.call(ask("GET", "/healthz")).await.expect(200);
    }
}
