//! What a page of the console costs with a large log: one session, one page at a time, as its reader waits for it: with TLS, the
//! session looked up, the policies asked and the look recorded.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::client::Client;
use crate::report;
use crate::tenet::Tenet;

/// Records in each batch, each of which leaves an event.
const BATCH: u64 = 250;
/// Batches between two tokens, which live 15 minutes.
const BATCHES: u64 = 200;

/// `load pages`
#[derive(Args)]
pub struct Pages {
    /// The `tenet` binary, a release build.
    #[arg(long)]
    tenet: PathBuf,
    /// Where the server keeps what it writes; on the disk to be measured.
    #[arg(long)]
    directory: PathBuf,
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How often each page is read.
    #[arg(long, default_value_t = 100)]
    times: u64,
}

/// Fills, measures, and prints the table in Markdown.
pub async fn pages(arguments: Pages) -> Result<()> {
    let tenet = Tenet::start(&arguments.tenet, &arguments.directory.join("pages")).await?;
    let repository = tenet.repository("pages").await?;
    let mut size = entries(&tenet).await?;
    while size < arguments.events {
        let (header, value) = tenet.header().await?;
        let mut client = tenet.target.connect().await?.with(header, value);
        let path = format!("/v1/repositories/{repository}/records/batch");
        for _ in 0..BATCHES.min((arguments.events - size).div_ceil(BATCH)) {
            let records: Vec<Value> = (0..BATCH).map(|n| json!({"op": "create", "body": {"n": n}})).collect();
            let body = Bytes::from(json!({"operations": records}).to_string());
            client.send(Method::POST, &path, body).await?.json().context("a batch")?;
        }
        // The sequencer is a second behind at most.
        tokio::time::sleep(Duration::from_secs(2)).await;
        size = entries(&tenet).await?;
    }
    // What is looked at for the first time is indexed and read once; readers come afterwards.
    tokio::time::sleep(Duration::from_secs(20)).await;
    report::machine(&[&tenet.version]);
    println!("{size} entries in the log; one session; each page {} times.\n", arguments.times);
    println!("| page | p50 ms | p95 ms | KiB |\n|---|---:|---:|---:|");
    let mut client = session(&tenet).await?;
    let account = tenet.account();
    let mut all = Histogram::<u64>::new(3)?;
    for path in [
        "/", "/clauses/CD-8", "/checks/log-keeps-up", "/versions", "/findings", "/exceptions", "/alarms", "/events",
        "/events?activity=record.create", "/events?actor=operator", "/reviews", "/audit", "/deletions", "/accounts",
        "/accounts/{account}", "/accounts/{account}/repositories", "/keys", "/people", "/me",
    ] {
        let path = path.replace("{account}", account);
        let (mut times, mut bytes) = (Histogram::<u64>::new(3)?, 0);
        for turn in 0..=arguments.times {
            let sent = Instant::now();
            let answer = client.send(Method::GET, &path, Bytes::new()).await?;
            let took = u64::try_from(sent.elapsed().as_micros())?.max(1);
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            bytes = answer.body.len();
            // The first is not one of many readers.
            if turn > 0 {
                times.record(took)?;
                all.record(took)?;
            }
        }
        let millis = |at| times.value_at_percentile(at) as f64 / 1000.0;
        println!("| `{path}` | {:.1} | {:.1} | {} |", millis(50.0), millis(95.0), bytes / 1024);
    }
    let millis = |at| all.value_at_percentile(at) as f64 / 1000.0;
    println!("| all of them | {:.1} | {:.1} | |", millis(50.0), millis(95.0));
    Ok(())
}

/// The size of the log, as its newest checkpoint says it.
async fn entries(tenet: &Tenet) -> Result<u64> {
    let mut client = tenet.target.connect().await?;
    let answer = client.send(Method::GET, "/log/checkpoint", Bytes::new()).await?;
    let text = String::from_utf8(answer.body.to_vec())?;
    Ok(text.lines().nth(1).context("a checkpoint has a size")?.parse()?)
}

/// A connection of somebody in a session.
async fn session(tenet: &Tenet) -> Result<Client> {
    let code = tenet.console_code().await?;
    let mut client = tenet.target.connect().await?;
    let answer = client.send_form("/sign-in/code", format!("code={code}&next=/")).await?;
    let cookie = answer.cookie.context("signing in gives a cookie")?;
    Ok(client.with("cookie", cookie))
}
