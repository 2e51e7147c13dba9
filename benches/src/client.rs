//! One keep-alive HTTP/1.1 connection over TLS: what each simulated client holds. Owns no retries and no pool.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a server listens, and how its certificate is checked.
#[derive(Clone)]
pub struct Target {
    /// TCP port on localhost.
    pub port: u16,
    tls: TlsConnector,
}

impl Target {
    /// A server on localhost whose certificate was issued by the authority in the PEM file `authority`.
    pub fn new(port: u16, authority: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)
            .with_context(|| format!("reading {}", authority.display()))?
        {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { port, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Opens a connection: TCP without delay, TLS, HTTP/1.1.
    pub async fn connect(&self) -> Result<Client> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(async move {
            // The request on this connection reports the error.
            let _ = connection.await;
        });
        Ok(Client { sender, host: format!("localhost:{}", self.port), headers: Vec::new() })
    }
}

/// A connection with the headers that each of its requests carries.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    headers: Vec<(&'static str, String)>,
}

/// An answer, read to its end.
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON, when the status is one of success; else an error that shows both.
    pub fn json(&self) -> Result<serde_json::Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        if self.body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Client {
    /// Adds a header to every request to come.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Replaces the value of a header that `with` added.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.retain(|(held, _)| *held != name);
        self.headers.push((name, value.into()));
    }

    /// Sends one request, with JSON or nothing as its body, and reads its answer to the end.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer> {
        self.send_as("application/json", method, path, body).await
    }

    /// Posts a form.
    pub async fn send_form(&mut self, path: &str, form: String) -> Result<Answer> {
        self.send_as("application/x-www-form-urlencoded", Method::POST, path, Bytes::from(form)).await
    }

    async fn send_as(&mut self, kind: &str, method: Method, path: &str, body: Bytes) -> Result<Answer> {
        self.sender.ready().await?;
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if !body.is_empty() {
            request = request.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }
}
