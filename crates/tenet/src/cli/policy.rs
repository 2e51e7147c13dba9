//! `tenet policy`: the data protection policy as data.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use policy::Framework;

use super::SettingArgs;

/// A framework, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FrameworkArg {
    /// ISO/IEC 27001:2022
    Iso27001,
    /// SOC 2
    Soc2,
    /// NIST SP 800-53 Rev. 5
    Nist80053,
    /// HIPAA Security Rule
    Hipaa,
    /// GDPR
    Gdpr,
}

impl From<FrameworkArg> for Framework {
    fn from(one: FrameworkArg) -> Self {
        match one {
            FrameworkArg::Iso27001 => Self::Iso27001,
            FrameworkArg::Soc2 => Self::Soc2,
            FrameworkArg::Nist80053 => Self::Nist80053,
            FrameworkArg::Hipaa => Self::Hipaa,
            FrameworkArg::Gdpr => Self::Gdpr,
        }
    }
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// Markdown
    Md,
    /// One HTML page, without script
    Html,
    /// PDF/A-3a, in builds with the feature `pdf`
    Pdf,
    /// A document of Word and its like
    Docx,
}

/// In which form controls are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ControlsFormat {
    /// A table
    Table,
    /// Markdown, by clause
    Md,
}

/// In which form for other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// OSCAL 1.2.1, JSON
    Oscal,
}

/// `tenet policy init`.
#[derive(Debug, Args)]
pub struct PolicyInit {
    /// The directory to make; it must be new or empty
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The organisation's name [asked for if left out]
    #[arg(long, value_name = "NAME")]
    pub company: Option<String>,
    /// Who writes the policy [asked for if left out]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// A framework; several times for several [asked for if left out]
    #[arg(long = "framework", value_name = "FRAMEWORK")]
    pub frameworks: Vec<FrameworkArg>,
    /// From which day it is in effect [default: in 30 days]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub effective: Option<String>,
    /// The day of its next review [default: a year after that]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub next_review: Option<String>,
}

/// `tenet policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Begin a policy: a directory of TOML files that lives well in git
    #[command(after_help = "\
Examples:
  tenet policy init policy
  tenet policy init policy --company 'Acme, Inc.' --author Ann --framework soc2 --framework gdpr

Then fill in what says TODO, and run `tenet policy lint policy` until it has nothing to say.")]
    Init(PolicyInit),
    /// Say everything that is wrong with a policy
    #[command(after_help = "\
Examples:
  tenet policy lint policy
  tenet policy lint policy --running --config /etc/tenet.toml
  tenet policy lint policy --json | jq -r .[].code

With --running, what the policy says is held against the configuration: who manages the keys, how
data is deleted, witnesses, NTP servers, the time for reviews. What contradicts is refused.")]
    Lint {
        /// The policy's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Hold it against the configuration that the server runs with
        #[arg(long)]
        running: bool,
        /// Which configuration
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// Show a policy's clauses and hashes, or one clause whole
    #[command(after_help = "\
Examples:
  tenet policy show policy
  tenet policy show policy CD-8
  tenet policy show policy --json | jq .manifest.sha256")]
    Show {
        /// The policy's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The clause
        clause: Option<String>,
    },
    /// Write a policy as people read it
    #[command(after_help = "\
Examples:
  tenet policy render policy --format html > policy.html
  tenet policy render policy --format md > policy.md
  tenet policy render policy --format docx --out policy.docx

A policy that lint finds something wrong with is not rendered. Guidance is never published. The same
files give the same bytes.")]
    Render {
        /// The policy's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// In which form
        #[arg(long, value_enum, default_value = "md")]
        format: PolicyFormat,
        /// The file to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write an adopted version as people read it, with who approved it and its signed hashes
    #[command(after_help = "\
Examples:
  tenet policy print --format docx --out policy.docx
  tenet policy print 2 --format pdf --out policy.pdf

In a PDF the hashes of all clauses are attached as manifest.note, signed with the log's key:
`tenet verify-certificate manifest.note` verifies it.")]
    Print {
        /// The version [default: the one in effect]
        version: Option<u32>,
        /// In which form
        #[arg(long, value_enum, default_value = "docx")]
        format: PolicyFormat,
        /// The file to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write a policy in OSCAL 1.2.1: a profile, its catalog, and the controls that hold it
    #[command(after_help = "\
Examples:
  tenet policy export policy --out oscal
  ls oscal   # catalog.json component-definition.json profile.json

The profile expects the catalog beside it. The same files give the same bytes. What is known of the
policy, in the other models, is in an archive of evidence: `tenet evidence pack`.")]
    Export {
        /// The policy's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The form
        #[arg(long, value_enum, default_value = "oscal")]
        format: ExportFormat,
        /// The directory to write to; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Compare two versions: which clauses changed, in which words
    #[command(after_help = "\
Examples:
  tenet policy diff policy-2025 policy
  git worktree add /tmp/before v1 && tenet policy diff /tmp/before/policy policy")]
    Diff {
        /// The old version's directory
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The new version's directory
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// Put a version up for approval
    #[command(after_help = "\
Examples:
  tenet policy adopt policy
  tenet policy adopt policy --json | jq -r .sha256

The server refuses a version that lint finds something wrong with, or that what it runs with
contradicts. Another administrator approves it: `tenet policy approve`. It is in effect from the day
that it names.")]
    Adopt {
        /// The policy's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Approve a version that somebody else put up
    #[command(after_help = "\
Examples:
  tenet policy versions
  tenet policy approve 2
  tenet policy approve 2 --sha256 9f86d081...

It shows what changed since the version in effect, and asks. With --sha256 it does not: that says
what was looked at.")]
    Approve {
        /// The version
        version: u32,
        /// The hash of what was looked at, as `tenet policy versions` and `tenet policy show` say it
        #[arg(long, value_name = "HASH")]
        sha256: Option<String>,
    },
    /// Acknowledge the version in effect, as yourself
    #[command(after_help = "\
Examples:
  tenet policy acknowledge
  tenet policy acknowledge 2 --sha256 9f86d081...

It shows the clauses that you have not acknowledged as they read now, and asks, unless --sha256
says what was read. Of a new version you are asked only for what changed.")]
    Acknowledge {
        /// The version [default: the one in effect]
        version: Option<u32>,
        /// The hash of what was read
        #[arg(long, value_name = "HASH")]
        sha256: Option<String>,
    },
    /// List the versions that were put up and adopted, and who has to acknowledge them
    #[command(after_help = "\
Examples:
  tenet policy versions
  tenet policy versions 2
  tenet policy versions 2 --out policy-2")]
    Versions {
        /// One of them, with who approved and acknowledged it
        version: Option<u32>,
        /// A new directory for its files
        #[arg(long, value_name = "DIR", requires = "version")]
        out: Option<PathBuf>,
    },
    /// List the controls that hold clauses, and what is checked of each
    #[command(after_help = "\
Examples:
  tenet policy controls
  tenet policy controls --format md > docs/clauses.md
  tenet policy controls --json | jq -r .[].checks[].id")]
    Controls {
        /// In which form; `md` is a page by clause
        #[arg(long, value_enum, default_value = "table")]
        format: ControlsFormat,
    },
    /// List the clauses that there are, and what requires each
    #[command(after_help = "\
Examples:
  tenet policy clauses
  tenet policy clauses --framework soc2 --json")]
    Clauses {
        /// Those that a framework requires
        #[arg(long, value_enum)]
        framework: Option<FrameworkArg>,
    },
}
