//! A witness over HTTP: what C2SP tlog-witness and tlog-mirror say that it answers.

use std::{io::Write as _, sync::Arc};

use base::{Context, Secret, SecretBytes};
use ledger::{AddCheckpoint, EntriesHeader, EntryPackage, Frontier, LogSigner, leaf_hash};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;
use web::{Limits, TlsPem, WitnessApp, serve};
use witness::{Voices, Witness, origin_path};

const ORIGIN: &str = "log.example/tenet";

struct Served {
    client: reqwest::Client,
    base: String,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<Result<(), web::ServeError>>,
    signer: LogSigner,
    _directory: tempfile::TempDir,
}

impl Served {
    async fn start(limits: Limits) -> Self {
        let signer = LogSigner::new(ORIGIN, &Secret::new([3; 32])).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let voices = Voices::new("w.example", &Secret::new([7; 32]), &Secret::new([8; 32])).unwrap();
        let logs = vec![signer.verifier().clone()];
        let witness = Witness::open(directory.path(), logs, voices, Context::system()).unwrap();
        let app = WitnessApp::new(Arc::new(witness), limits, Context::system(), "0");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = SecretBytes::new(made.signing_key.serialize_pem().into_bytes());
        let tls = TlsPem { chain: made.cert.pem().into_bytes(), key };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(app, tls, listener, stopped));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(trust).no_proxy();
        let client = client.resolve("localhost", address).build().unwrap();
        let base = format!("https://localhost:{}", address.port());
        Self { client, base, stop, serving, signer, _directory: directory }
    }
    async fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        read(self.client.get(format!("{}{path}", self.base)).send().await.unwrap()).await
    }
    async fn post(&self, path: &str, body: Vec<u8>, packed: bool) -> (u16, String, Vec<u8>) {
        let mut request = self.client.post(format!("{}{path}", self.base));
        if packed {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gzip.write_all(&body).unwrap();
            request = request.header("content-encoding", "gzip").body(gzip.finish().unwrap());
        } else {
            request = request.body(body);
        }
        read(request.send().await.unwrap()).await
    }
    /// The checkpoint of these entries, from the empty log, and the body that brings them.
    fn bodies(&self, entries: &[&[u8]]) -> (String, Vec<u8>) {
        let mut tree = Frontier::empty();
        entries.iter().for_each(|entry| tree.append(leaf_hash(entry)));
        let checkpoint = self.signer.sign(tree.size(), tree.root());
        let offer = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint }.encode();
        let header =
            EntriesHeader { origin: ORIGIN.to_owned(), start: 0, end: tree.size(), ticket: Vec::new() };
        let mut body = header.encode().unwrap();
        EntryPackage { entries: entries.to_vec(), proof: Vec::new() }.encode(&mut body).unwrap();
        (offer, body)
    }
    async fn end(self) {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

async fn read(answer: reqwest::Response) -> (u16, String, Vec<u8>) {
    let media = answer.headers().get("content-type").map(|it| it.to_str().unwrap().to_owned());
    (answer.status().as_u16(), media.unwrap_or_default(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_the_specifications() {
    let served = Served::start(Limits::default()).await;
    let entries: [&[u8]; 3] = [b"one", b"two", b"three"];
    let (offer, body) = served.bodies(&entries);
    let copy = format!("/{}", origin_path(ORIGIN));
    assert_eq!(served.get(&format!("{copy}/checkpoint")).await.0, 404);
    // Entries before their checkpoint: told where the mirror stands.
    let (status, media, text) = served.post("/add-entries", body.clone(), false).await;
    assert_eq!((status, media.as_str(), text.as_slice()), (409, "text/x.tlog.mirror-info", &b"0\n0\n\n"[..]));
    let (status, _, line) = served.post("/add-checkpoint", offer.clone().into_bytes(), false).await;
    assert_eq!(status, 200);
    assert!(String::from_utf8(line).unwrap().starts_with("\u{2014} w.example/witness "));
    let (status, media, text) = served.post("/add-checkpoint", offer.clone().into_bytes(), false).await;
    assert_eq!((status, media.as_str(), text.as_slice()), (409, "text/x.tlog.size", &b"3\n"[..]));
    for (body, expected) in [
        ("nonsense".to_owned(), 400),
        (offer.replace("old 0", "old 9"), 400),
        (offer.replace("log.example", "mog.example"), 404),
        (offer.replacen("\n3\n", "\n2\n", 1), 403),
        ("x".repeat(70_000), 413),
    ] {
        assert_eq!(served.post("/add-checkpoint", body.into_bytes(), false).await.0, expected);
    }
    let fork =
        AddCheckpoint { old: 3, proof: Vec::new(), checkpoint: served.signer.sign(3, [9; 32]) }.encode();
    assert_eq!(served.post("/add-checkpoint", fork.into_bytes(), false).await.0, 422);
    // Cut short, altered, of nobody's log, and in another encoding.
    assert_eq!(served.post("/add-entries", body[..20].to_vec(), false).await.0, 400);
    assert_eq!(served.post("/add-entries", body[..body.len() - 1].to_vec(), false).await.0, 400);
    let mut altered = body.clone();
    let at = altered.windows(3).position(|it| it == b"two").unwrap();
    altered[at] = b'T';
    assert_eq!(served.post("/add-entries", altered, false).await.0, 422);
    let strange = EntriesHeader { origin: "x".to_owned(), start: 0, end: 0, ticket: Vec::new() };
    assert_eq!(served.post("/add-entries", strange.encode().unwrap(), false).await.0, 404);
    let odd = served.client.post(format!("{}/add-entries", served.base)).header("content-encoding", "br");
    assert_eq!(odd.body(body.clone()).send().await.unwrap().status().as_u16(), 415);
    // Packed, as the specification asks for.
    let (status, _, line) = served.post("/add-entries", body.clone(), true).await;
    let line = String::from_utf8(line).unwrap();
    assert!(status == 200 && line.starts_with("\u{2014} w.example/mirror "), "{status} {line}");
    let (status, _, note) = served.get(&format!("{copy}/checkpoint")).await;
    assert!(status == 200 && String::from_utf8(note).unwrap().ends_with(&line));
    assert_eq!(served.get(&format!("/witness{copy}/checkpoint")).await.0, 200);
    let (_, media, bundle) = served.get(&format!("{copy}/tile/entries/000.p/3")).await;
    assert_eq!(
        (media.as_str(), bundle.as_slice()),
        ("application/octet-stream", &b"\0\x03one\0\x03two\0\x05three"[..])
    );
    for missing in
        ["/tile/entries/000.p/4", "/tile/entries/000", "/tile/0/001.p/1", "/tile/../pending", "/evidence"]
    {
        assert_eq!(served.get(&format!("{copy}{missing}")).await.0, 404, "{missing}");
    }
    let (_, _, about) = served.get("/").await;
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    assert_eq!((&about["logs"][0]["mirrored"], &about["logs"][0]["evidence"]), (&3.into(), &1.into()));
    let (_, _, ready) = served.get("/readyz").await;
    assert_eq!(String::from_utf8(ready).unwrap(), "ready; evidence against: log.example/tenet\n");
    let (_, _, metrics) = served.get("/metrics").await;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("tenet_witness_mirrored_entries{origin=\"log.example/tenet\"} 3\n"),
        "{metrics}"
    );
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_unpacks_to_very_much_is_cut_off() {
    let served = Served::start(Limits::default()).await;
    let entries: [&[u8]; 1] = [b"one"];
    let (offer, _) = served.bodies(&entries);
    assert_eq!(served.post("/add-checkpoint", offer.into_bytes(), false).await.0, 200);
    // A gibibyte of nothing where one entry is due: it is no package, and is not unpacked to its end.
    let header = EntriesHeader { origin: ORIGIN.to_owned(), start: 0, end: 1, ticket: Vec::new() };
    // As small as it gets, so that it is sent whole before the server, which answers early, closes.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&header.encode().unwrap()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        gzip.write_all(&zeros).unwrap();
    }
    let request =
        served.client.post(format!("{}/add-entries", served.base)).header("content-encoding", "gzip");
    let answer = request.body(gzip.finish().unwrap()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422, "an empty entry that is not the log's");
    let broken =
        served.client.post(format!("{}/add-entries", served.base)).header("content-encoding", "gzip");
    assert_eq!(broken.body("not gzip").send().await.unwrap().status().as_u16(), 400);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_everything() {
    let limits = Limits { peer_rate: web::Rate::new(1, 3), ..Limits::default() };
    let served = Served::start(limits).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(served.get("/healthz").await.0);
    }
    assert_eq!(answers[..3], [200, 200, 200]);
    assert!(answers.contains(&429), "{answers:?}");
    served.end().await;
}
