//! Tenet as a newcomer starts it: `tenet up` on a fresh directory with embedded storage, enrolment with the link that it
//! prints, an account, a client, and a confidential repository with its retention. Events and a key for each record are
//! not options: there is no way to switch them off.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::Target;
use crate::measure::{Call, Work};
use crate::payload;

/// A running server. Killed when dropped.
pub struct Tenet {
    process: Child,
    /// Where it listens.
    pub target: Target,
    /// What `tenet --version` says.
    pub version: String,
    credentials: Credentials,
}

struct Credentials {
    client: String,
    secret: String,
}

impl Tenet {
    /// Starts the binary with everything it writes under `directory`.
    pub async fn start(tenet: &Path, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let data = directory.join("data");
        let log = std::fs::File::create(directory.join("server.log"))?;
        let mut process = Command::new(tenet)
            .arg("up")
            .arg("--data")
            .arg(&data)
            .args(["--listen", "localhost:0"])
            // The limit on one client's rate is the only setting that differs from the defaults.
            .env("TENET_LIMITS_REQUESTS_PER_SECOND", "1000000")
            .env("TENET_LIMITS_REQUEST_BURST", "1000000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", tenet.display()))?;
        let output = process.stdout.take().context("no standard output")?;
        let link = tokio::time::timeout(Duration::from_secs(60), enrolment_link(output))
            .await
            .context("no enrolment link within a minute")??;
        let cli = Cli { tenet: tenet.to_owned(), home: directory.join("home") };
        let version = cli.run(&["--version"]).await?.trim().to_owned();
        cli.run(&["enrol", &link]).await?;
        let account = cli.json(&["account", "create", "bench"]).await?;
        let account = find(&account, &|text| text.starts_with("acc_")).context("no account id")?;
        let scopes = "records:read,records:write,repositories:read,repositories:write";
        let client = cli
            .json(&["client", "create", "bench", "--account", &account, "--scope", scopes, "--secret"])
            .await?;
        let credentials = Credentials {
            client: find(&client, &|text| text.starts_with("cli_")).context("no client id")?,
            secret: text(&client, "/client_secret").or_else(|_| text(&client, "/secret"))?,
        };
        let port = link.split("/enrol#").next().and_then(|address| address.rsplit(':').next());
        let target = Target::new(port.context("no port in the link")?.parse()?, &data.join("ca.pem"))?;
        Ok(Self { process, target, version, credentials })
    }

    /// The process id.
    pub fn id(&self) -> Result<u32> {
        self.process.id().context("Tenet has ended")
    }

    /// A fresh token of the client, as a header. Lives 15 minutes: take one for each phase.
    pub async fn header(&self) -> Result<(&'static str, String)> {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            self.credentials.client, self.credentials.secret
        );
        let mut client = self.target.connect().await?;
        let answer = client.send_form("/v1/token", form).await?.json().context("a token")?;
        Ok(("authorization", format!("Bearer {}", text(&answer, "/access_token")?)))
    }

    /// Makes a confidential repository, with `group` searchable, and gives its id.
    pub async fn repository(&self, name: &str) -> Result<String> {
        let (header, value) = self.header().await?;
        let mut client = self.target.connect().await?.with(header, value);
        let body = json!({
            "name": name,
            "classification": "confidential",
            "searchable": ["/group"],
            "retention": {
                "period_days": 365, "basis": "business", "reason": "measurement",
                "data_type": "notes", "media": "database",
            },
        });
        let answer = client.send(Method::POST, "/v1/repositories", Bytes::from(body.to_string())).await?;
        text(&answer.json().context("a repository")?, "/id")
    }
}

/// Reads lines until one holds the link, then lets the rest flow away.
async fn enrolment_link(output: tokio::process::ChildStdout) -> Result<String> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let found = line.split_whitespace().map(|word| word.trim_matches(['\'', '"', '`']));
        if let Some(link) =
            found.into_iter().find(|word| word.starts_with("https://") && word.contains("/enrol#"))
        {
            let link = link.to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(link);
        }
    }
    bail!("Tenet ended without an enrolment link; its log is server.log")
}

/// The command line of one operator.
struct Cli {
    tenet: PathBuf,
    home: PathBuf,
}

impl Cli {
    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.tenet)
            .args(arguments)
            .env("TENET_HOME", &self.home)
            .stdin(Stdio::null())
            .output()
            .await?;
        if !output.status.success() {
            bail!("tenet {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[arguments, &["--json"]].concat()).await?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    Ok(value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no {pointer} in {value}"))?
        .to_owned())
}

/// The first text within a value that satisfies a condition.
fn find(value: &Value, wanted: &dyn Fn(&str) -> bool) -> Option<String> {
    match value {
        Value::String(text) if wanted(text) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(|item| find(item, wanted)),
        Value::Object(members) => members.values().find_map(|item| find(item, wanted)),
        _ => None,
    }
}

/// Creates records, and remembers their ids by client.
pub struct Create {
    /// The repository's id.
    pub repository: String,
    /// Sets one phase's values apart from another's.
    pub round: u64,
    ids: Vec<Mutex<Vec<String>>>,
}

impl Create {
    /// For so many clients.
    pub fn new(repository: String, round: u64, clients: usize) -> Self {
        Self { repository, round, ids: (0..clients).map(|_| Mutex::new(Vec::new())).collect() }
    }

    /// The ids that were created, by client, at most so many each.
    pub fn created(&self, most: usize) -> Vec<Vec<String>> {
        self.ids.iter().map(|ids| ids.lock().unwrap().iter().take(most).cloned().collect()).collect()
    }
}

impl Work for Create {
    fn call(&self, client: usize, n: u64) -> Call {
        let value = payload::value(self.round << 48 | (client as u64) << 40 | n);
        let body = json!({"note": value});
        let path = format!("/v1/repositories/{}/records", self.repository);
        Call { method: Method::POST, path, body: Bytes::from(body.to_string()) }
    }

    fn learn(&self, client: usize, _call: &Call, body: &Bytes) {
        let id = serde_json::from_slice::<Value>(body).ok().and_then(|answer| text(&answer, "/id").ok());
        if let (Some(id), Some(ids)) = (id, self.ids.get(client)) {
            ids.lock().unwrap().push(id);
        }
    }
}

/// Reads records in a random order.
pub struct Read {
    /// The repository's id.
    pub repository: String,
    /// The records, by client.
    pub records: Vec<Vec<String>>,
}

impl Work for Read {
    fn call(&self, client: usize, n: u64) -> Call {
        let records = &self.records[client];
        let mut state = (client as u64) << 40 | n;
        let pick = payload::next(&mut state) as usize % records.len();
        let path = format!("/v1/repositories/{}/records/{}", self.repository, records[pick]);
        Call { method: Method::GET, path, body: Bytes::new() }
    }
}
