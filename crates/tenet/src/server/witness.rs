//! `tenet witness`: a process for another machine, under other people. Everything that it is stands in one directory:
//! its name, its two seeds, its certificate authority, the keys of the logs it knows, and their copies.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::{Context, Secret, SecretBytes};
use ledger::LogVerifier;
use rules::RuleSet;
use tokio::sync::watch;
use web::{Limits, Rate, WitnessApp};
use witness::{Voices, Witness};

use crate::{
    config::{Address, Config},
    data_dir::DataDir,
    failure::{Exit, Failure},
    server::{
        alarms::{Alarms, Route},
        authority::{Authority, CurrentCertificate},
        listen, stop,
        watching::Watching,
    },
};

/// Most bytes of a file in the directory that holds one thing.
const MAX_FILE_BYTES: u64 = 65_536;
/// How often the certificate is looked at.
const RENEWAL: std::time::Duration = std::time::Duration::from_secs(3_600);
const DRAIN_SECONDS: i64 = 10;

/// How a witness is to be run.
#[derive(Clone, Debug)]
pub struct WitnessSettings {
    /// Its directory.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: Address,
    /// The address under which logs reach it.
    pub public_url: Option<String>,
    /// Its name, if it is to be set: fixed at the first start.
    pub name: Option<String>,
    /// Logs that it knows from now on, beside those it knew before.
    pub logs: Vec<LogVerifier>,
    /// The rules that it runs over every entry.
    pub rules: RuleSet,
    /// After how long without an entry a log is silent.
    pub silence: base::Duration,
    /// Where alarms go, besides a file.
    pub route: Option<Arc<Route>>,
}

/// What a witness that is ready says of itself.
#[derive(Debug)]
pub struct WitnessReady {
    /// Where logs reach it.
    pub address: String,
    /// Its name.
    pub name: String,
    /// The key of its cosignatures on what is consistent.
    pub witness_key: String,
    /// The key of its cosignatures on what it holds whole.
    pub mirror_key: String,
    /// The certificate of its authority.
    pub ca: PathBuf,
    /// The logs that it knows, each with the directory of its copy.
    pub logs: Vec<(String, PathBuf)>,
}

/// Runs a witness until it is told to stop. `announce` is called once it is ready.
pub async fn run(
    settings: &WitnessSettings,
    context: &Context,
    announce: impl FnOnce(&WitnessReady) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stop = stop::on_signal(DRAIN_SECONDS)?;
    let directory = DataDir::open(&settings.data)
        .map_err(|error| Failure::fault("the witness's directory can't be used", &error))?;
    let listeners = listen::listeners(&settings.listen)?;
    let port = listeners.first().and_then(|one| one.local_addr().ok()).map_or(0, |address| address.port());
    let mut server = Config::default().server;
    server.listen = settings.listen.clone();
    server.public_url = settings.public_url.clone().unwrap_or_default();
    let address = listen::public_url(&server, port)?;
    let name = name(&directory, settings.name.as_deref())?;
    let seeds = (seed(&directory, "witness.seed", context)?, seed(&directory, "mirror.seed", context)?);
    let voices = Voices::new(&name, &seeds.0, &seeds.1).map_err(|error| {
        Failure::usage(format!("`{name}` can't be a witness's name")).why(error.to_string())
    })?;
    let logs = logs(&directory, &settings.logs)?;
    let copies = directory.file("logs");
    let witness = Witness::open(&copies, logs, voices, context.clone()).map_err(|error| {
        Failure::fault("the witness can't go on", &error).remedy(
            "keep the directory as evidence; `tenet log verify` on the copy says what is wrong with it",
        )
    })?;
    let authority = authority(&directory, context)?;
    let names = listen::certificate_names(&server, &address);
    let issued = authority.issue(&names, context).map_err(|error| {
        Failure::new(Exit::Failure, "certificate", "the witness's certificate can't be made")
            .why(error.to_string())
    })?;
    let certificate = CurrentCertificate::new(issued);
    let ready = WitnessReady {
        address,
        witness_key: witness.voices().witness.key().vkey(),
        mirror_key: witness.voices().mirror.key().vkey(),
        ca: directory.file("ca.pem"),
        logs: witness.standings().into_iter().map(|log| (log.origin, copies.join(log.path))).collect(),
        name,
    };
    let limits = Limits {
        drain: base::Duration::from_seconds(DRAIN_SECONDS),
        requests: 256,
        connections: 512,
        connections_per_address: 64,
        peer_rate: Rate::new(200, 400),
        ..Limits::default()
    };
    let witness = Arc::new(witness);
    let alarms = Arc::new(Alarms::new(&settings.data, settings.route.is_some()));
    let watching = Watching::open(
        Arc::clone(&witness),
        Arc::clone(&alarms),
        &settings.rules,
        settings.silence,
        &directory.file("watch"),
        context.clone(),
    )
    .map_err(|why| Failure::new(Exit::Failure, "watch", "the logs can't be watched").why(why))?;
    let app = WitnessApp::new(witness, limits, context.clone(), env!("CARGO_PKG_VERSION"));
    announce(&ready)?;
    let renewal =
        tokio::spawn(renew(authority, Arc::clone(&certificate), names, context.clone(), stop.clone()));
    let watching = tokio::spawn(watching.run(stop.clone()));
    let delivering = settings.route.clone().map(|route| {
        let stop = stop.clone();
        tokio::spawn(async move { alarms.deliver(&route, stop).await })
    });
    let serving = listeners
        .into_iter()
        .map(|listener| web::serve(app.clone(), Arc::clone(&certificate), listener, stop.clone()));
    let served = futures::future::try_join_all(serving).await;
    renewal.abort();
    // An alarm that is being delivered may end; what is not is in the file.
    for task in [Some(watching), delivering].into_iter().flatten() {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), task).await;
    }
    served
        .map(|_| ())
        .map_err(|error| Failure::new(Exit::Failure, "serve", "the witness failed").why(error.to_string()))
}

async fn renew(
    authority: Authority,
    certificate: Arc<CurrentCertificate>,
    names: Vec<String>,
    context: Context,
    mut stop: watch::Receiver<bool>,
) {
    let mut hour = tokio::time::interval(RENEWAL);
    loop {
        tokio::select! {
            _ = hour.tick() => {}
            _ = stop.changed() => return,
        }
        if certificate.is_due(context.now()) {
            match authority.issue(&names, &context) {
                Ok(issued) => certificate.replace(issued),
                Err(error) => tracing::error!(%error, "the witness's certificate can't be renewed"),
            }
        }
    }
}

/// The content of a file of the directory; `None` if there is none.
fn content(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |error: &std::io::Error| Failure::file("can't read", path, error);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            Err(Failure::usage(format!("`{}` is larger than it can be", path.display())))
        }
        Ok(_) => fs::read(path).map(Some).map_err(|error| failed(&error)),
    }
}

fn keep(directory: &DataDir, name: &str, content: &[u8]) -> Result<(), Failure> {
    directory
        .write(name, content)
        .map_err(|error| Failure::file("can't write", &directory.file(name), &error))
}

/// The name in the cosigners' keys, fixed at the first start.
fn name(directory: &DataDir, wanted: Option<&str>) -> Result<String, Failure> {
    let path = directory.file("name");
    let Some(stored) = content(&path)? else {
        let host = listen::host_name().unwrap_or_else(|| "localhost".to_owned());
        let name = wanted.map_or_else(|| format!("{host}/tenet-witness"), str::to_owned);
        keep(directory, "name", name.as_bytes())?;
        return Ok(name);
    };
    let stored = String::from_utf8_lossy(&stored).trim().to_owned();
    match wanted {
        Some(wanted) if wanted != stored => {
            Err(Failure::usage(format!("`--name {wanted}`: this witness is named already"))
                .why(format!("it was fixed at the first start: `{stored}` is in every cosignature"))
                .remedy("leave `--name` out, or start another witness with another `--data DIR`"))
        }
        _ => Ok(stored),
    }
}

/// A cosigner's seed, made at the first start.
fn seed(directory: &DataDir, name: &str, context: &Context) -> Result<Secret<[u8; 32]>, Failure> {
    let path = directory.file(name);
    if let Some(stored) = content(&path)? {
        let seed: Result<[u8; 32], _> = stored.as_slice().try_into();
        return seed.map(Secret::new).map_err(|_| {
            Failure::new(Exit::Failure, "seed", format!("`{}` is not 32 bytes", path.display()))
                .remedy("restore it from a backup: with another one this is another witness")
        });
    }
    let seed = context.random::<32>().map_err(|error| {
        Failure::new(Exit::Failure, "seed", "a seed can't be made").why(error.to_string())
    })?;
    keep(directory, name, &seed)?;
    Ok(Secret::new(seed))
}

/// The logs that were known before and those that are given now, one key for each origin.
fn logs(directory: &DataDir, given: &[LogVerifier]) -> Result<Vec<LogVerifier>, Failure> {
    let path = directory.file("logs.txt");
    let mut known = BTreeMap::new();
    let stored = content(&path)?.unwrap_or_default();
    for line in String::from_utf8_lossy(&stored).lines().filter(|line| !line.trim().is_empty()) {
        let key = LogVerifier::from_vkey(line.trim()).map_err(|error| {
            Failure::usage(format!("`{}` has a line that is no log's key", path.display()))
                .why(error.to_string())
        })?;
        known.insert(key.origin().to_owned(), key);
    }
    for key in given {
        match known.get(key.origin()) {
            Some(before) if before != key => {
                return Err(Failure::usage(format!("`--log`: another key of `{}` is known", key.origin()))
                    .why("a log that changes its key is another log".to_owned())
                    .remedy(format!("if it is to be so, take its line out of `{}` first", path.display())));
            }
            _ => known.insert(key.origin().to_owned(), key.clone()),
        };
    }
    if known.is_empty() {
        return Err(Failure::usage("this witness knows no log yet")
            .remedy("give `--log KEY` with the key that `tenet log key` prints where the log is"));
    }
    let lines: String = known.values().map(|key| format!("{}\n", key.vkey())).collect();
    if lines.as_bytes() != stored {
        keep(directory, "logs.txt", lines.as_bytes())?;
    }
    Ok(known.into_values().collect())
}

fn authority(directory: &DataDir, context: &Context) -> Result<Authority, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failure, "certificate", "the witness's certificate authority can't be had")
            .why(error.to_string())
    };
    let stored = match content(&directory.file("authority.pem"))? {
        Some(stored) => SecretBytes::new(stored),
        None => {
            let made = Authority::make(context).map_err(|error| failed(&error))?;
            keep(directory, "authority.pem", made.expose())?;
            made
        }
    };
    let authority = Authority::open(&stored).map_err(|error| failed(&error))?;
    keep(directory, "ca.pem", authority.pem().as_bytes())?;
    Ok(authority)
}
