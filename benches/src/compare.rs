//! Both servers in one run: started once, then loaded in turn, round after round, so that what the machine does meanwhile
//! falls on both.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::measure::{Load, Measured, run};
use crate::openbao::{Engine, Get, OpenBao, Put};
use crate::report::{self, Row};
use crate::tenet::{Create, Read, Tenet};

/// Values that a phase of reads reads, all clients together: as many for either server.
const READ_SET: usize = 8_000;

/// `load compare`
#[derive(Args)]
pub struct Compare {
    /// The `bao` binary.
    #[arg(long)]
    bao: PathBuf,
    /// The `tenet` binary, a release build.
    #[arg(long)]
    tenet: PathBuf,
    /// Where servers keep what they write; on the disk to be measured.
    #[arg(long)]
    directory: PathBuf,
    /// Seconds counted in each phase.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds sent before counting starts.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Rounds: each loads both servers with writes and reads.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 16)]
    clients: usize,
}

/// Runs every round and prints the tables in Markdown.
pub async fn compare(arguments: Compare) -> Result<()> {
    let load = Load {
        clients: arguments.clients,
        warm_up: Duration::from_secs(arguments.warm_up),
        length: Duration::from_secs(arguments.seconds),
    };
    let bao = OpenBao::start(&arguments.bao, &arguments.directory.join("openbao")).await?;
    let tenet = Tenet::start(&arguments.tenet, &arguments.directory.join("tenet")).await?;
    let repository = tenet.repository("compare").await?;
    let mut sums = Sums::default();
    for round in 1..=arguments.rounds {
        for engine in [Engine::V1, Engine::V2] {
            let measured = openbao_round(&bao, engine, round, load).await?;
            sums.add(engine.put_name(), measured.0)?;
            sums.add(engine.get_name(), measured.1)?;
            if engine == Engine::V1 {
                let measured = tenet_round(&tenet, &repository, round, load).await?;
                sums.add("Tenet create", measured.0)?;
                sums.add("Tenet read", measured.1)?;
            }
        }
        eprintln!("round {round} of {} done", arguments.rounds);
    }
    report::machine(&[&bao.version, &tenet.version]);
    println!(
        "{} keep-alive clients over TLS 1.3, closed loop, values of 1 KiB, {} rounds of {} s after {} s of warm-up each.\n",
        arguments.clients, arguments.rounds, arguments.seconds, arguments.warm_up
    );
    report::phases(&sums.0);
    report::ratios(&sums.0).context("a phase is missing")
}

async fn openbao_round(
    bao: &OpenBao,
    engine: Engine,
    round: u64,
    load: Load,
) -> Result<(Measured, Measured)> {
    let headers = [("x-vault-token", bao.token.clone())];
    let put = run(&bao.target, bao.id()?, &headers, load, Arc::new(Put { engine, round })).await?;
    // A client that wrote less than the rest must still find every key it reads.
    let written = put.operations as usize / load.clients / 2;
    let keys = written.min(READ_SET / load.clients) as u64;
    let get = run(&bao.target, bao.id()?, &headers, load, Arc::new(Get { engine, round, keys })).await?;
    Ok((put, get))
}

async fn tenet_round(
    tenet: &Tenet,
    repository: &str,
    round: u64,
    load: Load,
) -> Result<(Measured, Measured)> {
    let headers = [tenet.header().await?];
    let work = Arc::new(Create::new(repository.to_owned(), round, load.clients));
    let create = run(&tenet.target, tenet.id()?, &headers, load, work.clone()).await?;
    let work = Read { repository: repository.to_owned(), records: work.created(READ_SET / load.clients) };
    let read = run(&tenet.target, tenet.id()?, &headers, load, Arc::new(work)).await?;
    Ok((create, read))
}

/// Phases of the same name, over all rounds, in the order in which they first came.
#[derive(Default)]
struct Sums(Vec<Row>);

impl Sums {
    fn add(&mut self, name: &'static str, measured: Measured) -> Result<()> {
        match self.0.iter_mut().find(|row| row.name == name) {
            Some(row) => {
                row.rates.push(measured.rate());
                row.measured.merge(measured)
            }
            None => {
                self.0.push(Row { name, rates: vec![measured.rate()], measured });
                Ok(())
            }
        }
    }
}
