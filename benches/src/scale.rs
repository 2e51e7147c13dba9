//! What a page of a list and of a search costs as a repository grows, and what memory the server holds. One client, one
//! request at a time: this is cost, not throughput.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::client::Client;
use crate::measure::{Memory, cpu_seconds};
use crate::payload;
use crate::report;
use crate::tenet::Tenet;

/// Records in each batch that fills the repository.
const BATCH: u64 = 250;
/// Records that share a value of the searchable field: the answer to a search is as long at every size.
const GROUP: u64 = 50;
/// Records on a page.
const PAGE: u64 = 50;
/// Pages measured at each size.
const PAGES: u64 = 400;

/// `load scale`
#[derive(Args)]
pub struct Scale {
    /// The `tenet` binary, a release build.
    #[arg(long)]
    tenet: PathBuf,
    /// Where the server keeps what it writes; on the disk to be measured.
    #[arg(long)]
    directory: PathBuf,
    /// Numbers of records to measure at, rising.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    sizes: Vec<u64>,
}

/// Fills, measures, and prints the table in Markdown.
pub async fn scale(arguments: Scale) -> Result<()> {
    let tenet = Tenet::start(&arguments.tenet, &arguments.directory.join("scale")).await?;
    let repository = tenet.repository("scale").await?;
    report::machine(&[&tenet.version]);
    println!(
        "Records of 1 KiB; one client; a page of {PAGE} records with their bodies; a search that finds {GROUP}, with theirs.\n"
    );
    println!(
        "| records | fill records/s | list p50 ms | list p99 ms | search p50 ms | search p99 ms | server CPU ms/page | RSS MiB | anonymous | most ever |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut stored = 0;
    for size in arguments.sizes {
        ensure!(size >= stored && size % BATCH == 0, "sizes rise, in steps of {BATCH}");
        let (from, started) = (stored, Instant::now());
        while stored < size {
            // A token lives 15 minutes: a fresh one for every 50,000 records.
            let until = size.min(stored + 50_000);
            fill(&mut client(&tenet).await?, &repository, stored, until).await?;
            stored = until;
        }
        let rate = (stored - from) as f64 / started.elapsed().as_secs_f64();
        let before = cpu_seconds(tenet.id()?)?;
        let list = list(&mut client(&tenet).await?, &repository).await?;
        let search = search(&mut client(&tenet).await?, &repository, stored / GROUP).await?;
        let cpu = (cpu_seconds(tenet.id()?)? - before) / (PAGES * 2) as f64;
        let memory = Memory::of(tenet.id()?)?;
        let millis = |times: &Histogram<u64>, at| times.value_at_percentile(at) as f64 / 1000.0;
        println!(
            "| {stored} | {rate:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} |",
            millis(&list, 50.0),
            millis(&list, 99.0),
            millis(&search, 50.0),
            millis(&search, 99.0),
            cpu * 1000.0,
            memory.resident / 1024,
            memory.anonymous / 1024,
            memory.peak / 1024,
        );
    }
    Ok(())
}

async fn client(tenet: &Tenet) -> Result<Client> {
    let (header, value) = tenet.header().await?;
    Ok(tenet.target.connect().await?.with(header, value))
}

async fn fill(client: &mut Client, repository: &str, from: u64, until: u64) -> Result<()> {
    let path = format!("/v1/repositories/{repository}/records/batch");
    for first in (from..until).step_by(BATCH as usize) {
        let records: Vec<Value> = (first..first + BATCH)
            // Members of a group are far apart, as they are in life.
            .map(|n| json!({"op": "create", "body": {"note": payload::value(n), "group": group(n)}}))
            .collect();
        let body = Bytes::from(json!({"operations": records}).to_string());
        client.send(Method::POST, &path, body).await?.json().context("a batch")?;
    }
    Ok(())
}

/// The group of the n-th record: each group has its members among `GROUP` times as many records.
fn group(n: u64) -> String {
    let block = n / (GROUP * 200);
    format!("{block}-{}", n % 200)
}

async fn list(client: &mut Client, repository: &str) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let path = format!("/v1/repositories/{repository}/records?limit={PAGE}&bodies=true{cursor}");
        let page = timed(client, Method::GET, &path, Bytes::new(), &mut times).await?;
        let count = items(&page)?.len() as u64;
        ensure!(count == PAGE || (count == 0 && !cursor.is_empty()), "a page holds {count} records");
        // After the last page, which is empty, the first again.
        let next = page.pointer("/next").and_then(Value::as_str);
        cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    Ok(times)
}

async fn search(client: &mut Client, repository: &str, groups: u64) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let mut state = 1;
    for _ in 0..PAGES {
        let pick = payload::next(&mut state) % groups;
        let value = format!("{}-{}", pick / 200, pick % 200);
        let body = json!({"equals": {"/group": value}, "limit": PAGE, "bodies": true}).to_string();
        let path = format!("/v1/repositories/{repository}/records/search");
        let page = timed(client, Method::POST, &path, Bytes::from(body), &mut times).await?;
        ensure!(items(&page)?.len() as u64 == GROUP, "a search found {} records", items(&page)?.len());
    }
    Ok(times)
}

async fn timed(
    client: &mut Client,
    method: Method,
    path: &str,
    body: Bytes,
    times: &mut Histogram<u64>,
) -> Result<Value> {
    let sent = Instant::now();
    let answer = client.send(method, path, body).await?;
    times.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
    answer.json()
}

fn items(page: &Value) -> Result<&Vec<Value>> {
    page.pointer("/items").and_then(Value::as_array).context("no items")
}
