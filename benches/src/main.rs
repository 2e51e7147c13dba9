//! `load`: drives Tenet and OpenBao with the same clients in one run, and Tenet alone as it grows.

mod client;
mod compare;
mod measure;
mod openbao;
mod payload;
mod report;
mod scale;
mod tenet;

use anyhow::Result;
use clap::Parser;

/// Measures Tenet.
#[derive(Parser)]
enum Arguments {
    /// Tenet beside OpenBao, in one run.
    Compare(compare::Compare),
    /// Tenet's cost of a page and its memory, by the number of records stored.
    Scale(scale::Scale),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Compare(arguments) => compare::compare(arguments).await,
        Arguments::Scale(arguments) => scale::scale(arguments).await,
    }
}
