//! Arguments of `up`, `quickstart` and `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Arguments;

/// Settings that the command line can give.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// The data directory [default: ~/.local/share/tenet]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen [default: localhost:8440]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// PostgreSQL, without a password: postgres://user@host/database [default: SQLite]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// The configuration file [default: tenet.toml in the data directory, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The form of the process's own log: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl SettingArgs {
    /// For the configuration's reader.
    pub fn arguments(&self) -> Arguments {
        Arguments {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
            database: self.database.clone(),
            log_format: self.log_format.clone(),
        }
    }
}

/// `tenet quickstart`.
#[derive(Debug, Args)]
pub struct Quickstart {
    /// An enrolment link, unless you are enrolled or the server's data directory is here
    pub link: Option<String>,
    /// The server's data directory, to find the first link [default: ~/.local/share/tenet]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `tenet witness`.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// Its directory [default: ~/.local/share/tenet-witness]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "localhost:8441")]
    pub listen: String,
    /// The key of a log to witness from now on, or a file that holds it; can be given several times
    #[arg(long, value_name = "VKEY|FILE")]
    pub log: Vec<String>,
    /// Its name in cosignatures, fixed at the first start [default: the machine's name and /tenet-witness]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The address under which logs reach it [default: https://, the host and port of --listen]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The form of the process's own log: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
}

/// `tenet config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration, and say everything that is wrong
    #[command(after_help = "\
Examples:
  tenet config check
  tenet config check --config /etc/tenet.toml")]
    Check(SettingArgs),
    /// Show what is in force, and where each value came from
    #[command(after_help = "\
Examples:
  tenet config show
  tenet config show --json")]
    Show(SettingArgs),
    /// Print the reference of all settings, in Markdown
    #[command(after_help = "\
Examples:
  tenet config reference | less")]
    Reference,
}
