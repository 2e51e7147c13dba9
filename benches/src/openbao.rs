//! OpenBao as the thing to compare with: one server, raft storage, TLS, a file audit device, a key/value mount, and
//! a token under a policy of its own (not the root token, which skips the policy check).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::client::Target;
use crate::measure::{Call, Work};
use crate::payload;

/// A running server. Killed when dropped.
pub struct OpenBao {
    process: Child,
    /// Where it listens.
    pub target: Target,
    /// A token that may use the two mounts and nothing else.
    pub token: String,
    /// What `bao version` says.
    pub version: String,
}

/// The key/value engine: version 1 overwrites in place, version 2 keeps versions as Tenet does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `kv` version 1: one storage entry a put.
    V1,
    /// `kv` version 2: metadata and a version a put.
    V2,
}

impl Engine {
    /// What a phase of puts is called.
    pub fn put_name(self) -> &'static str {
        match self {
            Self::V1 => "KV1 put",
            Self::V2 => "KV2 put",
        }
    }
    /// What a phase of gets is called.
    pub fn get_name(self) -> &'static str {
        match self {
            Self::V1 => "KV1 get",
            Self::V2 => "KV2 get",
        }
    }
}

impl OpenBao {
    /// Starts the binary `bao` with everything it writes under `directory`.
    pub async fn start(bao: &Path, directory: &Path) -> Result<Self> {
        let (port, cluster) = free_ports()?;
        std::fs::create_dir_all(directory.join("raft"))?;
        let authority = certificates(directory)?;
        let log = std::fs::File::create(directory.join("server.log"))?;
        std::fs::write(directory.join("bao.hcl"), configuration(directory, port, cluster))?;
        let process = Command::new(bao)
            .args(["server", "-config"])
            .arg(directory.join("bao.hcl"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", bao.display()))?;
        let target = Target::new(port, &authority)?;
        let version = Command::new(bao).arg("version").output().await?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let token = prepare(&target).await.context("preparing OpenBao; its log is server.log")?;
        Ok(Self { process, target, token, version })
    }

    /// The process id.
    pub fn id(&self) -> Result<u32> {
        self.process.id().context("OpenBao has ended")
    }
}

/// Two ports that nobody listens on now.
fn free_ports() -> Result<(u16, u16)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

fn configuration(directory: &Path, port: u16, cluster: u16) -> String {
    let at = directory.display();
    format!(
        r#"ui = false
log_level = "warn"
api_addr = "https://localhost:{port}"
cluster_addr = "https://localhost:{cluster}"
storage "raft" {{
  path = "{at}/raft"
  node_id = "one"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file = "{at}/server.pem"
  tls_key_file = "{at}/server.key"
}}
audit "file" "file" {{
  description = "each request and answer, before the answer leaves"
  options {{
    file_path = "{at}/audit.log"
  }}
}}
"#
    )
}

/// Writes an authority and a server certificate for localhost (ECDSA P-256); gives the authority's path.
fn certificates(directory: &Path) -> Result<PathBuf> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    std::fs::write(directory.join("server.pem"), server.pem())?;
    std::fs::write(directory.join("server.key"), key.serialize_pem())?;
    let path = directory.join("ca.pem");
    std::fs::write(&path, authority_certificate.pem())?;
    Ok(path)
}

async fn prepare(target: &Target) -> Result<String> {
    let mut client = None;
    for _ in 0..100 {
        if let Ok(made) = target.connect().await {
            client = Some(made);
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let Some(client) = client else { bail!("it does not listen on port {}", target.port) };
    let mut client = client;
    let mut put = async |path: &str, body: Value, token: Option<&str>| -> Result<Value> {
        if let Some(token) = token {
            client.set("x-vault-token", token);
        }
        client.send(Method::PUT, path, Bytes::from(body.to_string())).await?.json().context(path.to_owned())
    };
    let begun = put("/v1/sys/init", json!({"secret_shares": 1, "secret_threshold": 1}), None).await?;
    let root = text(&begun, "/root_token")?;
    put("/v1/sys/unseal", json!({"key": text(&begun, "/keys_base64/0")?}), None).await?;
    let mut mounted = Err(anyhow::anyhow!("never tried"));
    for _ in 0..100 {
        mounted =
            put("/v1/sys/mounts/kv1", json!({"type": "kv", "options": {"version": "1"}}), Some(&root)).await;
        if mounted.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await; // it becomes leader meanwhile
    }
    mounted?;
    put("/v1/sys/mounts/kv2", json!({"type": "kv", "options": {"version": "2"}}), Some(&root)).await?;
    let policy = r#"path "kv1/*" { capabilities = ["create", "update", "read"] }
        path "kv2/data/*" { capabilities = ["create", "update", "read"] }"#;
    put("/v1/sys/policies/acl/load", json!({"policy": policy}), Some(&root)).await?;
    let made = put("/v1/auth/token/create", json!({"policies": ["load"], "ttl": "12h"}), Some(&root)).await?;
    // The version 2 engine upgrades its storage in the background at first.
    tokio::time::sleep(Duration::from_secs(3)).await;
    text(&made, "/auth/client_token")
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    Ok(value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer}"))?.to_owned())
}

/// Puts new keys, each client under names of its own.
pub struct Put {
    /// Which engine.
    pub engine: Engine,
    /// Sets one phase's names apart from another's.
    pub round: u64,
}

/// Gets keys that `Put` wrote in the round given, in a random order.
pub struct Get {
    /// Which engine.
    pub engine: Engine,
    /// The round whose keys are read.
    pub round: u64,
    /// Keys each client wrote at least.
    pub keys: u64,
}

fn path(engine: Engine, round: u64, client: usize, n: u64) -> String {
    match engine {
        Engine::V1 => format!("/v1/kv1/r{round}/{client:02}-{n:08}"),
        Engine::V2 => format!("/v1/kv2/data/r{round}/{client:02}-{n:08}"),
    }
}

impl Work for Put {
    fn call(&self, client: usize, n: u64) -> Call {
        let value = payload::value(self.round << 48 | (client as u64) << 40 | n);
        let body = match self.engine {
            Engine::V1 => json!({"note": value}),
            Engine::V2 => json!({"data": {"note": value}}),
        };
        let path = path(self.engine, self.round, client, n);
        Call { method: Method::POST, path, body: Bytes::from(body.to_string()) }
    }
}

impl Work for Get {
    fn call(&self, client: usize, n: u64) -> Call {
        let mut state = self.round << 48 | (client as u64) << 40 | n;
        let pick = payload::next(&mut state) % self.keys.max(1);
        Call { method: Method::GET, path: path(self.engine, self.round, client, pick), body: Bytes::new() }
    }
}
