//! The binary: command line, configuration, wiring.

use std::process::ExitCode;

use base::Context;
use clap::Parser;
use tenet::{
    cli::{self, Cli},
    commands,
    failure::Exit,
    output::Output,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    let out = Output::new(cli.json);
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match commands::run(cli, environment, Context::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Help and the version are answers. Everything else is a failure like any other, for scripts too.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if !cli::is_answer(error) && cli::wants_json(&arguments) {
        Output::new(true).failure(&cli::refusal(error));
    } else {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
    }
    if cli::is_answer(error) { ExitCode::SUCCESS } else { ExitCode::from(Exit::Usage as u8) }
}
