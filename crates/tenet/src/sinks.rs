//! Where events can be sent: syslog over TLS (RFC 5424, RFC 5425), OpenTelemetry logs (OTLP over HTTP, JSON), a bucket.
//! A delivery that returns without an error has arrived.

use std::{path::Path, sync::Arc, time::Duration};

use object_store::{ObjectStoreExt, PutPayload};
use reqwest::{Url, header};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    client::Pinned,
    commands::Outgoing,
    config::{self, Environment},
    failure::Failure,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The facility of syslog: log audit.
const FACILITY: u8 = 13;

/// A destination.
pub(crate) enum Sink {
    /// Syslog over TLS.
    Syslog {
        /// Host and port.
        host: String,
        port: u16,
        tls: Arc<rustls::ClientConfig>,
    },
    /// OpenTelemetry logs.
    Otlp { url: Url, headers: header::HeaderMap, http: reqwest::Client },
    /// An S3-compatible bucket, or a directory.
    Bucket { store: Box<dyn object_store::ObjectStore>, prefix: object_store::path::Path },
}

/// The headers of a private file's lines, `Name: value` each, none of which is ever shown; or what is wrong.
pub(crate) fn headers<'a>(
    lines: impl Iterator<Item = &'a String>,
) -> Result<header::HeaderMap, &'static str> {
    let mut headers = header::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line is not `Name: value`")?;
        let name = header::HeaderName::try_from(name.trim()).map_err(|_| "a header's name is none")?;
        let mut value =
            header::HeaderValue::try_from(value.trim()).map_err(|_| "a header's value is none")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Sink {
    /// From a private file: the address on its first line, for OpenTelemetry headers on others. `ca` is the authority of
    /// the other side's certificate; without one, those that the system trusts are.
    pub(crate) fn read(path: &Path, ca: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let lines = config::read_secret_lines(path)
            .map_err(|error| Failure::usage("events can't be sent").why(error.to_string()))?;
        let wrong = |why: String| {
            Failure::usage(format!("`{}` does not say where events go", path.display())).why(why).remedy(
                "its first line is syslog+tls://HOST:PORT, otlp+https://HOST/v1/logs, s3://BUCKET/PREFIX or file:///DIRECTORY",
            )
        };
        let mut lines = lines.expose().iter();
        let address = lines.next().map(String::as_str).unwrap_or_default();
        let url = Url::parse(address).map_err(|_| wrong("its first line is not an address".to_owned()))?;
        let authorities = match ca {
            None => Vec::new(),
            Some(ca) => {
                let pem = std::fs::read(ca).map_err(|error| Failure::file("can't read", ca, &error))?;
                let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
                found.map_err(|_| Failure::usage(format!("`{}` is not certificates in PEM", ca.display())))?
            }
        };
        match url.scheme() {
            "syslog+tls" => {
                let host = url.host_str().ok_or_else(|| wrong("it names no host".to_owned()))?.to_owned();
                if authorities.is_empty() {
                    return Err(wrong(
                        "syslog needs `--ca` with the authority of its certificate".to_owned(),
                    ));
                }
                let mut tls =
                    Pinned::by_certificates(&authorities).map_err(|error| wrong(error.to_string()))?;
                tls.alpn_protocols.clear();
                Ok(Self::Syslog { host, port: url.port().unwrap_or(6_514), tls: Arc::new(tls) })
            }
            "otlp+https" | "otlp+http" => {
                let plain = address.trim_start_matches("otlp+");
                if url.scheme() == "otlp+http" && !config::is_clear_and_near(plain) {
                    return Err(wrong("otlp+http:// is for this machine itself alone".to_owned()));
                }
                let url =
                    Url::parse(plain).map_err(|_| wrong("its first line is not an address".to_owned()))?;
                let headers = headers(lines).map_err(|why| wrong(why.to_owned()))?;
                let mut builder =
                    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
                if authorities.is_empty() {
                    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                } else {
                    let tls =
                        Pinned::by_certificates(&authorities).map_err(|error| wrong(error.to_string()))?;
                    builder = builder.tls_backend_preconfigured(tls);
                }
                let http = builder.build().map_err(|error| wrong(error.to_string()))?;
                Ok(Self::Otlp { url, headers, http })
            }
            "s3" | "file" => {
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let options = environment.iter().filter_map(|(name, value)| {
                    let known = name.strip_prefix("AWS_").is_some();
                    known.then(|| (name.to_ascii_lowercase(), value.clone()))
                });
                let near = environment.get("AWS_ENDPOINT").is_some_and(|url| config::is_clear_and_near(url));
                let options = options.chain(near.then(|| ("aws_allow_http".to_owned(), "true".to_owned())));
                let (store, prefix) =
                    object_store::parse_url_opts(&url, options).map_err(|error| wrong(error.to_string()))?;
                Ok(Self::Bucket { store, prefix })
            }
            other => Err(wrong(format!("`{other}` is no kind of destination"))),
        }
    }

    /// Sends events of the log of that origin; why not, if they did not all arrive.
    pub(crate) async fn send(&self, events: &[Outgoing], origin: &str) -> Result<(), String> {
        match self {
            Self::Syslog { host, port, tls } => {
                let sending = syslog(host, *port, Arc::clone(tls), events);
                tokio::time::timeout(TIMEOUT, sending).await.map_err(|_| "it takes too long".to_owned())?
            }
            Self::Otlp { url, headers, http } => {
                let call = http.post(url.clone()).headers(headers.clone()).json(&otlp(events, origin));
                let answer = call.send().await.map_err(|error| error.without_url().to_string())?;
                if !answer.status().is_success() {
                    return Err(format!("it answers {}", answer.status()));
                }
                let body = answer.text().await.map_err(|error| error.without_url().to_string())?;
                let answer: Value = serde_json::from_str(&body).unwrap_or_default();
                let rejected = answer.pointer("/partialSuccess/rejectedLogRecords");
                match rejected
                    .map(|count| count.as_i64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0))
                {
                    Some(count) if count != 0 => Err(format!("it does not take {count} of them")),
                    _ => Ok(()),
                }
            }
            Self::Bucket { store, prefix } => {
                let mut lines = Vec::new();
                for event in events {
                    lines.extend_from_slice(&event.leaf);
                    lines.push(b'\n');
                }
                let place = |event: Option<&Outgoing>| event.map_or(0, |event| event.index);
                let name = format!("{:020}-{:020}.jsonl", place(events.first()), place(events.last()));
                let path = prefix.clone().join(name);
                store.put(&path, PutPayload::from(lines)).await.map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }
}

/// Syslog acknowledges nothing. That the other side closes after our close says that it has read all.
async fn syslog(
    host: &str,
    port: u16,
    tls: Arc<rustls::ClientConfig>,
    events: &[Outgoing],
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host is no name".to_owned())?;
    let stream = TcpStream::connect((host, port)).await.map_err(text)?;
    let mut stream = TlsConnector::from(tls).connect(name, stream).await.map_err(text)?;
    for event in events {
        let message = message(event);
        stream.write_all(format!("{} ", message.len()).as_bytes()).await.map_err(text)?;
        stream.write_all(&message).await.map_err(text)?;
    }
    stream.flush().await.map_err(text)?;
    stream.shutdown().await.map_err(text)?;
    let mut rest = [0u8; 256];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Some close without the alert that TLS asks for: they have read ours, or there would be a reset.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// RFC 5424: facility log audit, the event's severity, its time, the server, and the event of OCSF as it is in the log.
fn message(outgoing: &Outgoing) -> Vec<u8> {
    let event = &outgoing.event;
    // Critical, error, warning, notice, informational.
    let severity = match event.severity_id {
        5.. => 2,
        4 => 3,
        3 => 4,
        2 => 5,
        _ => 6,
    };
    let head = format!(
        "<{}>1 {} {} tenet {} {} - ",
        FACILITY * 8 + severity,
        event.time,
        event.server,
        outgoing.index,
        event.activity.chars().take(32).collect::<String>()
    );
    let mut message = head.into_bytes();
    message.extend_from_slice(&outgoing.leaf);
    message
}

/// A request of OTLP (opentelemetry-proto 1, ExportLogsServiceRequest in JSON).
fn otlp(events: &[Outgoing], origin: &str) -> Value {
    let text = |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
    let records: Vec<Value> = events
        .iter()
        .map(|outgoing| {
            let event = &outgoing.event;
            // INFO, INFO2, WARN, ERROR, FATAL.
            let (number, word) = match event.severity_id {
                5.. => (21, "FATAL"),
                4 => (17, "ERROR"),
                3 => (13, "WARN"),
                2 => (10, "INFO2"),
                _ => (9, "INFO"),
            };
            json!({
                "timeUnixNano": event.time.micros().saturating_mul(1_000).to_string(),
                "severityNumber": number, "severityText": word,
                "body": { "stringValue": String::from_utf8_lossy(&outgoing.leaf) },
                "attributes": [
                    text("event.name", event.activity.clone()), text("log.record.uid", event.id.to_string()),
                    text("tenet.index", outgoing.index.to_string()), text("enduser.id", event.actor.to_string()),
                    text("tenet.object", event.object.id.clone()),
                ],
            })
        })
        .collect();
    json!({ "resourceLogs": [{
        "resource": { "attributes": [text("service.name", "tenet".to_owned()), text("tenet.log", origin.to_owned())] },
        "scopeLogs": [{ "scope": { "name": "tenet.log" }, "logRecords": records }],
    }] })
}
