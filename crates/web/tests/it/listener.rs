//! The listener: TLS, both versions of HTTP, its bounds, and the end.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base::SecretBytes;
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use web::{Limits, ServeError, TlsPem, serve};

use crate::support::{World, name_of};

pub(crate) struct Listening {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
    roots: RootCertStore,
}

type Piece = Result<Vec<u8>, std::io::Error>;
type Upload = JoinHandle<reqwest::Result<reqwest::Response>>;

impl Listening {
    pub(crate) async fn start(world: World) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = SecretBytes::new(made.signing_key.serialize_pem().into_bytes());
        let tls = TlsPem { chain: made.cert.pem().into_bytes(), key };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(world.app.clone(), tls, listener, stopped));
        Self { world, address, stop, serving, roots }
    }

    fn client(&self, versions: &[&[u8]]) -> reqwest::Client {
        self.client_from([127, 0, 0, 1], versions)
    }

    fn client_from(&self, from: [u8; 4], versions: &[&[u8]]) -> reqwest::Client {
        let client = reqwest::Client::builder().tls_backend_preconfigured(self.tls(versions)).no_proxy();
        client.local_address(IpAddr::from(from)).resolve("localhost", self.address).build().unwrap()
    }

    /// An upload of two bytes, of which the first is sent. Another piece is taken from the channel only once
    /// the request is on its way.
    async fn half_an_upload(&self, version: &[u8]) -> (Upload, mpsc::Sender<Piece>) {
        let repository = self.world.repository("r", "internal").await;
        let (parts, body) = mpsc::channel::<Piece>(1);
        let content =
            futures::stream::unfold(body, |mut body| async move { body.recv().await.map(|it| (it, body)) });
        let upload = self
            .client(&[version])
            .post(self.url(&format!("/v1/repositories/{repository}/objects?name=a")))
            .bearer_auth(&self.world.client.token)
            .header("content-length", "2")
            .body(reqwest::Body::wrap_stream(content))
            .send();
        let upload = tokio::spawn(upload);
        parts.send(Ok(b"a".to_vec())).await.unwrap();
        (upload, parts)
    }

    /// A connection that speaks HTTP/2 and asks for nothing. What comes back ends when the server ends it.
    fn quiet(&self) -> tokio::sync::oneshot::Receiver<()> {
        let (tls, address) = (Arc::new(self.tls(&[b"h2"])), self.address);
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let name = "localhost".try_into().unwrap();
            let session = rustls::ClientConnection::new(tls, name).unwrap();
            let mut stream =
                rustls::StreamOwned::new(session, std::net::TcpStream::connect(address).unwrap());
            // The preface (RFC 9113 3.4) and empty settings.
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            let mut bytes = [0; 1_024];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
            let _ = ended.send(());
        });
        end
    }

    fn tls(&self, versions: &[&[u8]]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        tls.alpn_protocols = versions.iter().map(|name| name.to_vec()).collect();
        tls
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

testkit::on_both_engines! {
    async fn both_versions_of_http_are_spoken_over_tls_alone(h: Harness) {
        let server = Listening::start(World::new(h).await).await;
        for (protocol, version) in [(&b"h2"[..], reqwest::Version::HTTP_2), (b"http/1.1", reqwest::Version::HTTP_11)] {
            let answer = server.client(&[protocol]).get(server.url("/healthz")).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
            assert_eq!(answer.headers()["strict-transport-security"], "max-age=63072000");
        }
        let mut plain = TcpStream::connect(server.address).await.unwrap();
        plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "plain HTTP is answered");
        server.stop.send(true).unwrap();
        server.serving.await.unwrap().unwrap();
        let refused = |leaf: &String| name_of(leaf) == "connection.refused" && leaf.contains("handshake-failed");
        assert!(server.world.leaves().iter().any(refused), "a failed handshake leaves no event");
        // Two that spoke TLS and the one that did not were taken in; said once.
        server.world.app.note_connections().await.unwrap();
        server.world.app.note_connections().await.unwrap();
        let leaves = server.world.leaves();
        let taken: Vec<_> = leaves.iter().filter(|leaf| name_of(leaf) == "connection.accept").collect();
        assert!(matches!(&taken[..], [one] if one.contains("\"count\":3")), "{taken:?}");
    }

    async fn a_connection_too_many_is_refused_and_recorded(h: Harness) {
        let world = World::with(h, Limits { connections: 1, ..Limits::default() }).await;
        let server = Listening::start(world).await;
        let client = server.client(&[b"http/1.1"]);
        let held = client.get(server.url("/healthz")).send().await.unwrap();
        assert_eq!(held.status(), 200);
        let second = server.client(&[b"http/1.1"]).get(server.url("/healthz")).send().await;
        assert!(second.is_err());
        server.stop.send(true).unwrap();
        server.serving.await.unwrap().unwrap();
        let refused = |leaf: &String| name_of(leaf) == "connection.refused" && leaf.contains("too-many-connections");
        assert!(server.world.leaves().iter().any(refused));
    }

    async fn one_address_does_not_take_every_connection(h: Harness) {
        let world = World::with(h, Limits { connections_per_address: 1, ..Limits::default() }).await;
        let server = Listening::start(world).await;
        let (near, far) = (server.client(&[b"h2"]), server.client_from([127, 0, 0, 2], &[b"h2"]));
        assert_eq!(near.get(server.url("/healthz")).send().await.unwrap().status(), 200);
        assert!(server.client(&[b"h2"]).get(server.url("/healthz")).send().await.is_err());
        assert_eq!(far.get(server.url("/healthz")).send().await.unwrap().status(), 200);
        server.stop.send(true).unwrap();
        server.serving.await.unwrap().unwrap();
        let refused = |leaf: &String| name_of(leaf) == "connection.refused" && leaf.contains("too-many-connections-of-address");
        assert!(server.world.leaves().iter().any(refused));
    }

    async fn a_connection_that_asks_for_nothing_is_ended_and_one_at_work_is_not(h: Harness) {
        let limits = Limits { header_timeout: base::Duration::from_millis(400), ..Limits::default() };
        let server = Listening::start(World::with(h, limits).await).await;
        let (upload, parts) = server.half_an_upload(b"h2").await;
        let permit = parts.reserve().await.unwrap();
        // The first ends after the limit; the second begins then, so that the upload is far beyond it.
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(15), server.quiet()).await.expect("kept for ever").unwrap();
        }
        permit.send(Ok(b"b".to_vec()));
        drop(parts);
        assert_eq!(upload.await.unwrap().unwrap().status(), 201);
        server.stop.send(true).unwrap();
        server.serving.await.unwrap().unwrap();
    }

    async fn a_request_in_hand_ends_before_the_server_does(h: Harness) {
        let server = Listening::start(World::new(h).await).await;
        let (upload, parts) = server.half_an_upload(b"http/1.1").await;
        let permit = parts.reserve().await.unwrap();
        let metrics = server.client(&[b"h2"]);
        while !metrics.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap()
            .contains("tenet_http_requests_in_hand 2")
        {
            tokio::task::yield_now().await;
        }
        server.stop.send(true).unwrap();
        permit.send(Ok(b"b".to_vec()));
        drop(parts);
        assert_eq!(upload.await.unwrap().unwrap().status(), 201);
        tokio::time::timeout(Duration::from_secs(30), server.serving).await.unwrap().unwrap().unwrap();
    }
}
