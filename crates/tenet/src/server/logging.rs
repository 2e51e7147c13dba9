//! What the process writes about itself: to standard error, for whoever runs it. The record of what
//! was done is the ledger's, not this.

use crate::config::LoggingConfig;
use tracing_subscriber::EnvFilter;

/// Sets up writing, once a process; a second call changes nothing.
pub fn init(config: &LoggingConfig) {
    // Of the libraries beneath, only what is a warning: their finer levels can quote data.
    let filter = format!(
        "warn,tenet={0},web={0},witness={0},vault={0},access={0},keys={0},store={0},ledger={0}",
        config.level.value
    );
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(crate::output::is_watched());
    let outcome = if config.format.value == "json" { builder.json().try_init() } else { builder.try_init() };
    if outcome.is_err() {
        tracing::debug!("logging is set up already");
    }
}
