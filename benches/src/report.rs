//! Tables in Markdown, for `RESULTS.md`.

use std::fs;

use crate::measure::Measured;

/// A kind of phase over all rounds.
pub struct Row {
    /// Whose, and which.
    pub name: &'static str,
    /// Operations a second, by round.
    pub rates: Vec<f64>,
    /// Everything together.
    pub measured: Measured,
}

/// What it ran on.
pub fn machine(versions: &[&str]) {
    let field = |path: &str, name: &str| -> String {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("- processor: {processors} x {}", field("/proc/cpuinfo", "model name"));
    println!("- memory: {}", field("/proc/meminfo", "MemTotal"));
    println!("- kernel: Linux {}", kernel.trim());
    println!("- load average at the end: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    for version in versions {
        println!("- {version}");
    }
    println!();
}

/// One line a phase.
pub fn phases(rows: &[Row]) {
    println!(
        "| phase | ops/s | by round | p50 ms | p99 ms | server CPU | generator CPU | RSS MiB | of it anonymous |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|");
    for Row { name, rates, measured } in rows {
        let rounds: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
        println!(
            "| {name} | {:.0} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} |",
            measured.rate(),
            rounds.join(" "),
            measured.millis(50.0),
            measured.millis(99.0),
            measured.server_cpu / measured.seconds,
            measured.generator_cpu / measured.seconds,
            measured.memory.resident / 1024,
            measured.memory.anonymous / 1024,
        );
    }
    println!("\nCPU is in cores: seconds of CPU time by second of measurement.\n");
}

/// Tenet's figures over each of OpenBao's, beside what they are meant to be. Nothing if a phase is missing.
pub fn ratios(rows: &[Row]) -> Option<()> {
    let find = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.measured);
    println!("| ratio | to KV version 1 | to KV version 2 | wanted |");
    println!("|---|---:|---:|---|");
    for (ours, act, wanted) in [("Tenet create", "put", "at least 3"), ("Tenet read", "get", "at least 2")] {
        let (ours, v1, v2) = (find(ours)?, find(&format!("KV1 {act}"))?, find(&format!("KV2 {act}"))?);
        let rate = |theirs: &Measured| ours.rate() / theirs.rate();
        let tail = |theirs: &Measured| ours.millis(99.0) / theirs.millis(99.0);
        println!("| {act}: ops/s | {:.2} | {:.2} | {wanted} |", rate(v1), rate(v2));
        println!("| {act}: p99 | {:.2} | {:.2} | at most 0.5 |", tail(v1), tail(v2));
    }
    Some(())
}
