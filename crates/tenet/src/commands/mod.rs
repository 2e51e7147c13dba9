//! What each command does. One file a group; each ends by printing through `output`.

mod account;
mod adopt;
mod alarm;
mod chart;
mod client;
mod config;
mod console;
mod enrol;
mod events;
mod evidence;
mod extract;
mod forward;
mod gaps;
mod keys;
mod log;
mod object;
mod operator;
pub(crate) mod pack;
mod pack_verify;
mod policy;
mod profile;
mod quickstart;
mod reconcile;
mod record;
mod recover;
mod report;
mod repository;
mod review;
mod rules;
mod safeguard;
mod saved;
mod share;
mod subject;
mod up;
mod verify_certificate;
mod witness;

pub(crate) use forward::Outgoing;

use base::Context;
use clap::CommandFactory;

use crate::{
    cli::{self, Cli, Command},
    client::{Api, Home},
    config::Environment,
    failure::Failure,
    output::Output,
};

/// What every command has at hand.
pub struct Session {
    /// Where results go.
    pub out: Output,
    /// `--as`, or `TENET_PROFILE`.
    pub profile: Option<String>,
    /// The environment.
    pub environment: Environment,
    /// Time and randomness.
    pub context: Context,
}

impl Session {
    /// The session of a command line.
    pub fn new(cli: &Cli, environment: Environment, context: Context) -> Self {
        let from_environment = environment.get("TENET_PROFILE").filter(|name| !name.is_empty()).cloned();
        let profile = cli.profile.clone().or(from_environment);
        Self { out: Output::new(cli.json), profile, environment, context }
    }

    /// The directory of profiles.
    pub fn home(&self) -> Result<Home, Failure> {
        Home::find(&self.environment)
    }
    /// The server, as an operator.
    pub fn operator(&self) -> Result<Api, Failure> {
        let home = self.home()?;
        Api::open(&home, &home.choose(self.profile.as_deref(), true)?, &self.context)
    }
    /// The server, as a customer's client.
    pub fn client(&self) -> Result<Api, Failure> {
        let home = self.home()?;
        Api::open(&home, &home.choose(self.profile.as_deref(), false)?, &self.context)
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli, environment: Environment, context: Context) -> Result<(), Failure> {
    let session = Session::new(&cli, environment, context);
    match cli.command {
        Command::Up(arguments) => up::run(&session, &arguments),
        Command::Witness(arguments) => witness::run(&session, &arguments),
        Command::Rules(command) => rules::run(&session, command),
        Command::Config(command) => config::run(&session, command),
        Command::Profile(command) => profile::run(&session, command),
        Command::VerifyCertificate(arguments) => verify_certificate::run(&session, &arguments),
        Command::Completions { shell } => completions(&session, shell),
        Command::CliReference => session.out.text(&cli::reference()),
        other => runtime()?.block_on(online(&session, other)),
    }
}

async fn online(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Enrol { link, name, save } => enrol::run(session, &link, name, &save).await,
        Command::Quickstart(arguments) => quickstart::run(session, &arguments).await,
        Command::Console(arguments) => console::run(session, &arguments).await,
        Command::Account(command) => account::run(session, command).await,
        Command::Client(command) => client::run(session, command).await,
        Command::Operator(command) => operator::run(session, command).await,
        Command::Review(command) => review::run(session, command).await,
        Command::Safeguard(command) => safeguard::run(session, command).await,
        Command::Subject(command) => subject::run(session, command).await,
        Command::Repository(command) => repository::run(session, command).await,
        Command::Record(command) => record::run(session, command).await,
        Command::Object(command) => object::run(session, command).await,
        Command::Keys(command) => keys::run(session, command).await,
        Command::Log(command) => log::run(session, command).await,
        Command::Policy(command) => policy::run(session, command).await,
        Command::Evidence(command) => evidence::run(session, command).await,
        Command::Alarm(command) => alarm::run(session, command).await,
        // The rest needs no runtime of this kind and is dealt with by `run`.
        _ => Ok(()),
    }
}

/// A runtime for one command.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| {
        Failure::new(crate::failure::Exit::Failure, "runtime", "the process can't start")
            .why(error.to_string())
    })
}

fn completions(session: &Session, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tenet", &mut script);
    if session.out.is_json() {
        let script = String::from_utf8_lossy(&script);
        return session.out.document(&serde_json::json!({ "shell": shell.to_string(), "script": script }));
    }
    session.out.bytes(&script)
}
