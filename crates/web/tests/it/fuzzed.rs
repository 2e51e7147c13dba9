//! A server for a fuzzer of the OpenAPI document to work on. Run by hand, or by the script that runs the
//! fuzzer: it prints the address and the tokens, and serves until its standard input ends.

use crate::{listener::Listening, support::World};
use web::{Limits, Rate};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "serves until its standard input ends"]
async fn serve_for_a_fuzzer() {
    let free = Rate::new(1_000_000, 1_000_000);
    let limits = Limits { client_rate: free, peer_rate: free, sign_in_rate: free, ..Limits::default() };
    let world = World::with(testkit::Harness::new(testkit::Engine::Sqlite).await, limits).await;
    let repository = world.repository("fuzzed", "confidential").await;
    world.drain().await;
    let server = Listening::start(world).await;
    println!("address https://localhost:{}", server.address.port());
    println!("client {}", server.world.client.token);
    println!("operator {}", server.world.operator);
    println!("repository {repository}");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await
        .unwrap()
        .unwrap();
    server.stop.send(true).unwrap();
    server.serving.await.unwrap().unwrap();
}
