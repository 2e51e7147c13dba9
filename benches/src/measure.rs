//! The closed loop: each client sends its next request when the answer to the last is whole. Times each request,
//! and reads from `/proc` what the server and the generator itself used meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use hyper::Method;
use hyper::body::Bytes;

use crate::client::{Client, Target};

/// One request to send.
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON, or empty.
    pub body: Bytes,
}

/// What to send: `call(client, n)` is the n-th request of the numbered client; `learn` sees each answer of success.
pub trait Work: Send + Sync + 'static {
    /// The n-th request of a client.
    fn call(&self, client: usize, n: u64) -> Call;
    /// Sees an answer of success, outside the time measured.
    fn learn(&self, _client: usize, _call: &Call, _body: &Bytes) {}
}

/// How hard and how long.
#[derive(Clone, Copy)]
pub struct Load {
    /// Connections, each with one request in flight.
    pub clients: usize,
    /// Sent but not counted.
    pub warm_up: Duration,
    /// Counted.
    pub length: Duration,
}

/// What one phase measured.
pub struct Measured {
    /// Answers counted.
    pub operations: u64,
    /// Wall-clock time counted, in seconds.
    pub seconds: f64,
    /// Time to the whole answer, in microseconds.
    pub latency: Histogram<u64>,
    /// CPU seconds of the server while counted.
    pub server_cpu: f64,
    /// CPU seconds of this process while counted.
    pub generator_cpu: f64,
    /// Resident memory of the server after the phase.
    pub memory: Memory,
}

impl Measured {
    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// Latency at a percentile, in milliseconds.
    pub fn millis(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1000.0
    }

    /// Adds the counts of a later phase of the same kind; memory is the later one's.
    pub fn merge(&mut self, later: Measured) -> Result<()> {
        self.operations += later.operations;
        self.seconds += later.seconds;
        self.latency.add(later.latency)?;
        self.server_cpu += later.server_cpu;
        self.generator_cpu += later.generator_cpu;
        self.memory = later.memory;
        Ok(())
    }
}

/// Runs one phase. `headers` go with each request. Any answer that is not a success ends it with an error.
pub async fn run(
    target: &Target,
    server: u32,
    headers: &[(&'static str, String)],
    load: Load,
    work: Arc<dyn Work>,
) -> Result<Measured> {
    let mut clients = Vec::new();
    for _ in 0..load.clients {
        let mut client = target.connect().await?;
        for (name, value) in headers {
            client = client.with(name, value.clone());
        }
        clients.push(client);
    }
    let start = Instant::now() + load.warm_up;
    let end = start + load.length;
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| tokio::spawn(drive(number, client, start, end, work.clone())))
        .collect();
    tokio::time::sleep_until(start.into()).await;
    let (server_before, own_before) = (cpu_seconds(server)?, cpu_seconds(std::process::id())?);
    tokio::time::sleep_until(end.into()).await;
    let (server_after, own_after) = (cpu_seconds(server)?, cpu_seconds(std::process::id())?);
    let mut latency = Histogram::new(3)?;
    for task in tasks {
        latency.add(task.await??)?;
    }
    Ok(Measured {
        operations: latency.len(),
        seconds: load.length.as_secs_f64(),
        latency,
        server_cpu: server_after - server_before,
        generator_cpu: own_after - own_before,
        memory: Memory::of(server)?,
    })
}

async fn drive(
    number: usize,
    mut client: Client,
    start: Instant,
    end: Instant,
    work: Arc<dyn Work>,
) -> Result<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    for n in 0.. {
        let call = work.call(number, n);
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let answer = client.send(call.method.clone(), &call.path, call.body.clone()).await?;
        let done = Instant::now();
        if !(200..300).contains(&answer.status) {
            bail!(
                "{} {}: {} {}",
                call.method,
                call.path,
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        // Counted by when it ends, so that a phase counts exactly the answers that came within it.
        if done >= start && done < end {
            latency.record(u64::try_from((done - sent).as_micros())?.max(1))?;
        }
        work.learn(number, &call, &answer.body);
    }
    Ok(latency)
}

/// Resident memory, in KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// All of it, with file pages that are mapped.
    pub resident: u64,
    /// Without file pages: what the process allocated.
    pub anonymous: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// Reads `/proc/PID/status`.
    pub fn of(process: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))
            .with_context(|| format!("process {process} is gone"))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find(|line| line.starts_with(name)).context("no such field")?;
            Ok(line.split_whitespace().nth(1).context("no value")?.parse()?)
        };
        Ok(Self { resident: field("VmRSS:")?, anonymous: field("RssAnon:")?, peak: field("VmHWM:")? })
    }
}

/// User and system time of a process, in seconds. Linux counts in ticks of 10 ms.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("process {process} is gone"))?;
    let after_name = stat.rsplit_once(") ").context("unexpected /proc/PID/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields.get(11).context("no utime")?.parse::<u64>()?
        + fields.get(12).context("no stime")?.parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
