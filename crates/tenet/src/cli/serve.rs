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

/// `tenet console`.
#[derive(Debug, Args)]
pub struct Console {
    /// Open this desktop's browser, instead of printing the address
    #[arg(long)]
    pub open: bool,
}

/// `tenet up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Its settings
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Fill a new installation with an invented history, to look at everything; then serve it
    #[arg(long, help_heading = "A demonstration")]
    pub demo: bool,
    /// How many days of history
    #[arg(long, value_name = "DAYS", requires = "demo", default_value_t = crate::demo::DAYS,
        value_parser = clap::value_parser!(u32).range(14..=90), help_heading = "A demonstration")]
    pub demo_days: u32,
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
    /// Rules of Sigma to run over every entry, beside those that Tenet brings: files *.yml and *.yaml
    #[arg(long, value_name = "DIR", help_heading = "What it watches for")]
    pub rules: Option<PathBuf>,
    /// Leave out the rules that Tenet brings
    #[arg(long, requires = "rules", help_heading = "What it watches for")]
    pub only_these_rules: bool,
    /// Alarm when a log has not grown for so many seconds; servers write a heartbeat every 30
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(5..=86_400),
        help_heading = "What it watches for")]
    pub silence: u32,
    /// Where alarms are sent, besides alerts.jsonl: a file, readable by its owner alone, with the address on its first
    /// line and headers to send on others
    #[arg(long, value_name = "FILE", help_heading = "What it watches for")]
    pub alerts_to: Option<PathBuf>,
    /// The certificate authority of that address [default: those that the system trusts]
    #[arg(long, value_name = "FILE", requires = "alerts_to", help_heading = "What it watches for")]
    pub alerts_ca: Option<PathBuf>,
    /// The form of the process's own log: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
}

/// `tenet rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Check files of rules, and say what is wrong
    #[command(after_help = "\
Examples:
  tenet rules check ./rules
  tenet rules check ./rules/our-own.yml --json

Rules are Sigma's, with correlations. A field that no event of the log has is an error: such a rule
could never fire. Fields are those of OCSF as they are in the log, and under `tenet` by short names.")]
    Check {
        /// Files, or directories with files *.yml and *.yaml
        #[arg(required = true, value_name = "FILE|DIR")]
        places: Vec<PathBuf>,
    },
    /// Print the rules that Tenet brings
    #[command(after_help = "\
Examples:
  tenet rules show > starter.yml")]
    Show,
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
