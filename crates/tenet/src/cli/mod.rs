//! The command line: every command, option and example. What each does is in `commands`.

mod alarm;
mod data;
mod events;
mod evidence;
mod ledger;
mod platform;
mod policy;
mod reference;
mod refusal;
mod serve;

use clap::{Parser, Subcommand};

pub use alarm::{AlarmCommand, Until};
pub use data::{Locate, ObjectCommand, RecordCommand, RecordSource, RepositoryCommand, RepositoryCreate};
pub use events::{EventFilter, EventFormat, Report, WorkingHours};
pub use evidence::{Attest, EvidenceCommand, Except, WhichEvidence};
pub use ledger::{LogCommand, LogPlace, VerifyCertificate};
pub use platform::{
    AccountCommand, ClientCommand, ClientCreate, ClientCredential, KeysCommand, OperatorCommand,
    ProfileCommand, ReviewCommand, SafeguardCommand, SubjectCommand,
};
pub use policy::{ControlsFormat, ExportFormat, FrameworkArg, PolicyCommand, PolicyFormat, PolicyInit};
pub use reference::reference;
pub use refusal::{is_answer, refusal, wants_json};
pub use serve::{ConfigCommand, Console, Quickstart, RulesCommand, SettingArgs, UpArgs, WitnessArgs};

/// A store that keeps customers apart, seals their data with your keys, and records whatever it does
#[derive(Debug, Parser)]
#[command(
    name = "tenet",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// Print results, and errors, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// The saved profile to act as [default: the only fitting one, or TENET_PROFILE]
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    it was done
  1    it failed for a reason that has no code of its own
  2    the arguments, the configuration or the data given can't be used
  3    not established who asks, or not allowed
  4    there is no such thing, or it is another account's
  5    the state does not allow it now: a hold, a version, a name taken, another process
  6    the server does not answer, is full, or asks to try again later
  7    a signature, a proof or the log does not verify
  130  it was interrupted; `tenet up`: twice, so that requests were cut

Start with `tenet up`, then in another terminal `tenet quickstart`.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server
    #[command(after_help = "\
Examples:
  tenet up
  tenet up --demo --data ./demo
  tenet up --data /srv/tenet --listen 0.0.0.0:8440
  TENET_DATABASE_OWNER_URL_FILE=owner.url TENET_DATABASE_PASSWORD_FILE=app.password \\
    TENET_DATABASE_ROOT_CA=db-ca.pem tenet up --database postgres://tenet_app@db.example.com/tenet

The first start makes the data directory, its database and keys, a certificate authority (ca.pem),
and prints a link for the first administrator. With PostgreSQL it needs two roles that exist, and
the URL of the one that owns the tables: docs/postgresql.md has the statements.

--demo needs a data directory (and database) of its own: docs/demo.md says what is in it.

Ctrl-C lets requests end, then stops; a second one stops at once.")]
    Up(UpArgs),
    /// Walk through the main tasks on a running server, showing each command
    #[command(after_help = "\
Examples:
  tenet quickstart
  tenet quickstart 'https://localhost:8440/enrol#...'

On the machine of the server, the first enrolment link is found in the data directory.")]
    Quickstart(Quickstart),
    /// Become an operator with a link that an administrator gave you
    #[command(after_help = "\
Examples:
  tenet enrol 'https://localhost:8440/enrol#...'
  tenet enrol --name 'Ann Lee' 'https://localhost:8440/enrol#...'

The key is made on this machine and never leaves it. The link also says which certificate authority
to trust. It can be used once.")]
    Enrol {
        /// The link, whole, in quotes; `-` reads it from standard input
        link: String,
        /// Your name, as others see it
        #[arg(long)]
        name: Option<String>,
        /// The name of the profile to save
        #[arg(long, default_value = "default")]
        save: String,
    },
    /// Open the console in a browser, as the operator that you are here
    #[command(after_help = "\
Examples:
  tenet console
  tenet console --open

The address works once, for two minutes. Add a passkey there, and you need this command no more.")]
    Console(Console),
    /// Customers' accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Customers' applications
    #[command(subcommand)]
    Client(ClientCommand),
    /// The identities saved on this machine
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// The people who operate Tenet
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Privileged acts that a second person looks at
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Settings that keep the record of what is done
    #[command(subcommand)]
    Safeguard(SafeguardCommand),
    /// Those who act, and from where they did
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Repositories of an account
    #[command(subcommand)]
    Repository(RepositoryCommand),
    /// Records: JSON documents, each version kept until erased
    #[command(subcommand)]
    Record(RecordCommand),
    /// Objects: files of up to 5 GiB
    #[command(subcommand)]
    Object(ObjectCommand),
    /// The key hierarchy
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The log of everything that was done
    #[command(subcommand)]
    Log(LogCommand),
    /// Run a witness of other people's logs: a whole copy of each, and cosignatures
    #[command(after_help = "\
Examples:
  tenet witness --data /srv/witness --listen 0.0.0.0:8441 --log log.example/tenet+1234abcd+Aa...
  tenet witness --data /srv/witness --rules ./rules --alerts-to hook.txt

Run it on another machine, under other people than those who run the server. The first start makes
its keys and a certificate authority (ca.pem), and prints the lines for the server's witness policy;
later ones know the logs that were given before. It speaks C2SP tlog-witness and tlog-mirror. What a
log signed and should not have is kept under logs/*/evidence.

It watches what it copies: rules of Sigma over every entry, a log that falls silent, a log that
forks. Alarms go into alerts.jsonl in its directory and, with --alerts-to, to an address as JSON.

Ctrl-C lets requests end, then stops.")]
    Witness(WitnessArgs),
    /// The rules that a witness runs over the log
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Verify a certificate of deletion, offline
    VerifyCertificate(VerifyCertificate),
    /// The data protection policy, as data
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What is known of the policy: states, observations, findings, evidence for auditors
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Alarms: what is wrong, who was told, who has taken it on
    #[command(subcommand)]
    Alarm(AlarmCommand),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  tenet completions bash > ~/.local/share/bash-completion/completions/tenet
  tenet completions zsh > ~/.zfunc/_tenet")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print docs/cli.md
    #[command(hide = true)]
    CliReference,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_states_every_exit_code() {
        for (exit, meaning) in Exit::ALL {
            let short = meaning.split(", or it is").next().unwrap();
            assert!(EXIT_CODES.contains(&format!("  {:<3}  {short}", exit as u8)), "{meaning}");
        }
    }

    #[test]
    fn no_line_of_the_help_is_wrapped() {
        fn walk(command: &clap::Command, path: &str) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().chain(about.lines()) {
                assert!(line.chars().count() <= 100, "{path}: {line}");
            }
            for inner in command.get_subcommands() {
                walk(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        walk(&Cli::command(), "tenet");
    }

    #[test]
    fn every_command_has_examples() {
        fn walk(command: &clap::Command, path: &str) {
            for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
                let path = format!("{path} {}", inner.get_name());
                if inner.has_subcommands() {
                    walk(inner, &path);
                } else {
                    let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                    assert!(help.contains("Examples:\n  "), "{path} has no examples");
                }
            }
        }
        walk(&Cli::command(), "tenet");
    }
}
