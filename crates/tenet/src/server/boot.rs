//! A server, brought up in order: directory, stores, keys, access, vault, listeners; and taken down in
//! reverse. If any of it can't be had, nothing is served.

use std::{net::TcpListener, path::PathBuf, sync::Arc};

use access::Access;
use base::{Context, Secret, SecretBytes, ServerId, Timestamp};
use keys::Keys;
use ledger::{Act, Activity, Interface, LogSigner, ObjectRef};
use store::{JobRunner, Sequencer, ServerRow, Store};
use tokio::sync::watch;
use vault::{Vault, VaultConfig};
use web::{App, AppParts, Limits, Rate};

use crate::{
    client::EnrolLink,
    config::{self, Config, Environment, Loaded},
    data_dir::DataDir,
    failure::{Exit, Failure},
    server::{
        authority::{Authority, CurrentCertificate},
        blobs,
        duties::Duties,
        listen, provider, stop, stores,
    },
};

/// The file in the data directory with the first administrator's link, while it can be used.
pub const FIRST_LINK: &str = "enrolment-link";
/// How long the work in hand may take after the listeners have closed, in seconds.
const FINISH_SECONDS: u64 = 15;

/// What a server that is ready says of itself.
#[derive(Debug)]
pub struct Ready {
    /// Where clients reach it.
    pub address: String,
    /// Where it listens.
    pub listeners: Vec<String>,
    /// Its data directory.
    pub data: PathBuf,
    /// The certificate of its authority.
    pub ca: PathBuf,
    /// The log's verifier key.
    pub log_key: String,
    /// The link for the first administrator, while there is none.
    pub link: Option<(Secret<String>, Timestamp)>,
    /// Servers that were found to have stopped without a word.
    pub crashed: usize,
}

/// A server that is up, and not yet serving.
struct Server {
    app: App,
    row: ServerRow,
    runner: JobRunner,
    sequencer: Sequencer,
    duties: Duties,
    certificate: Arc<CurrentCertificate>,
    listeners: Vec<TcpListener>,
    access: Access,
    keys: Keys,
    data: Store,
    ready: Ready,
    /// Held to the end: the directory is this process's.
    _directory: DataDir,
}

/// Runs a server until it is told to stop. `announce` is called once it is ready.
pub async fn run(
    loaded: &Loaded,
    context: &Context,
    announce: impl FnOnce(&Ready) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stop = stop::on_signal(loaded.config.server.drain.value.seconds())?;
    let server = start(loaded, context).await?;
    announce(&server.ready)?;
    server.serve(stop).await
}

async fn start(loaded: &Loaded, context: &Context) -> Result<Server, Failure> {
    let config = &loaded.config;
    let directory = DataDir::open(&loaded.data)
        .map_err(|error| Failure::fault("the data directory can't be used", &error))?;
    let listeners = listen::listeners(&config.server.listen)?;
    let port = listeners.first().and_then(|one| one.local_addr().ok()).map_or(0, |address| address.port());
    let address = listen::public_url(&config.server, port)?;
    let server = ServerId::new(context).map_err(|error| internal(&error))?;
    let opened = stores::open(loaded, &directory, context, server).await?;
    let provider = provider::open(&config.keys, &loaded.environment, &directory, context)?;
    let anonymous_time = config.lifecycle.anonymous_context.value;
    let key_limits = keys::Limits { anonymous_time, ..keys::Limits::default() };
    let keys = Keys::open(opened.data.clone(), opened.keys, opened.keys_mint, provider, key_limits).await;
    let keys = keys.map_err(|error| Failure::fault("the keys can't be opened", &error))?;
    let signer = Arc::new(signer(&keys, config).await?);
    let (authority, certificate) = certificates(&keys, config, &address, context).await?;
    directory
        .write("ca.pem", authority.pem().as_bytes())
        .map_err(|error| Failure::file("can't write", &directory.file("ca.pem"), &error))?;
    let access = access_of(&opened.data, opened.data_mint, &keys, config, &address, context).await?;
    let vault = vault_of(&opened.data, &keys, &signer, config, &loaded.environment, &directory).await?;
    let scope = |interface, reason| {
        access
            .server_scope(interface, "server", reason)
            .map_err(|error| Failure::fault("the server can't start", &error))
    };
    let startup = scope(Interface::Startup, "the server announces itself")?;
    let (row, stops) = ServerRow::start(&opened.data, &startup, opened.alone, env!("CARGO_PKG_VERSION"))
        .await
        .map_err(|error| Failure::fault("the server can't announce itself", &error))?;
    for stop in &stops {
        tracing::warn!(server = %stop.server, last_seen = %stop.seen_at, "a server stopped without announcing it");
    }
    note_start(&opened.data, &startup, loaded, &listeners).await?;
    let handlers = [keys.job_handlers(), vault.job_handlers(), access.job_handlers()];
    let runner = JobRunner::new(opened.data.clone(), handlers.into_iter().flatten().collect());
    let sequencer = Sequencer::new(opened.data.clone(), Arc::clone(&signer))
        .map_err(|error| Failure::fault("the log can't be continued", &error))?;
    let link = first_link(&access, &directory, &address, &authority).await?;
    let app = App::new(AppParts {
        access: access.clone(),
        vault,
        keys: keys.clone(),
        store: opened.data.clone(),
        system: scope(Interface::Api, "the server records what nobody in particular did")?,
        signer: Arc::clone(&signer),
        scheme: config.classification.clone(),
        limits: limits(config),
        version: env!("CARGO_PKG_VERSION"),
    });
    let beat = scope(Interface::Job, "the server shows that it is alive")?;
    let names = listen::certificate_names(&config.server, &address);
    let duties = Duties {
        keys: keys.clone(),
        context: context.clone(),
        scope: beat,
        authority,
        certificate: Arc::clone(&certificate),
        names,
        link_file: directory.file(FIRST_LINK),
        link_expires: link.as_ref().map(|(_, expires)| *expires),
    };
    let ready = Ready {
        address,
        listeners: listeners
            .iter()
            .filter_map(|one| one.local_addr().ok())
            .map(|at| at.to_string())
            .collect(),
        data: directory.path().to_owned(),
        ca: directory.file("ca.pem"),
        log_key: signer.vkey(),
        link,
        crashed: stops.len(),
    };
    let data = opened.data;
    Ok(Server {
        app,
        row,
        runner,
        sequencer,
        duties,
        certificate,
        listeners,
        access,
        keys,
        data,
        ready,
        _directory: directory,
    })
}

impl Server {
    /// Serves until told to stop. Then, in this order: no more connections, requests end, jobs end, the
    /// stop is announced, and the log takes up everything before it is let go.
    async fn serve(self, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let Self {
            app,
            row,
            runner,
            sequencer,
            duties,
            certificate,
            listeners,
            access,
            keys,
            data,
            ready,
            ..
        } = self;
        let (log_stop, log_stopped) = watch::channel(false);
        let log = tokio::spawn(async move { sequencer.run(log_stopped).await });
        let jobs = tokio::spawn({
            let stop = stop.clone();
            async move { runner.run(stop).await }
        });
        let row = Arc::new(row);
        let housekeeping = tokio::spawn(duties.run(Arc::clone(&row), stop.clone()));
        let serving = listeners
            .into_iter()
            .map(|listener| web::serve(app.clone(), Arc::clone(&certificate), listener, stop.clone()));
        let served = futures::future::try_join_all(serving).await;
        // A listener that fails ends the server as a whole: half a server helps nobody.
        let finish = std::time::Duration::from_secs(FINISH_SECONDS);
        if *stop.borrow() {
            for (what, task) in [("jobs", jobs), ("housekeeping", housekeeping)] {
                if tokio::time::timeout(finish, task).await.is_err() {
                    tracing::warn!(what, "not finished in time; it is taken up at the next start");
                }
            }
        } else {
            jobs.abort();
            housekeeping.abort();
        }
        if let Err(error) = keys.close().await {
            tracing::warn!(%error, "uses of keys since the last minute are not recorded");
        }
        let announced =
            match access.server_scope(Interface::Shutdown, "server", "the server announces its stop") {
                Ok(scope) => row
                    .stop(&scope)
                    .await
                    .map_err(|error| Failure::fault("the stop can't be announced", &error)),
                Err(error) => Err(Failure::fault("the stop can't be announced", &error)),
            };
        // A link that was not used is replaced at the next start.
        let _ = std::fs::remove_file(ready.data.join(FIRST_LINK));
        let _ = log_stop.send(true);
        if tokio::time::timeout(finish, log).await.is_err() {
            tracing::warn!("the log is not complete; the next start completes it");
        }
        // Last: from here on a copy of the file is a backup. A failure leaves the rest in the file beside it.
        if let Err(error) = data.fold().await {
            tracing::warn!(%error, "the database's write-ahead log is left beside it: copy both");
        }
        drop(data);
        served.map_err(|error| {
            Failure::new(Exit::Failure, "serve", "the server failed").why(error.to_string())
        })?;
        announced
    }
}

fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, "start", "the server can't start").why(error.to_string())
}

/// The log's name, fixed at the first start, and its signer.
async fn signer(keys: &Keys, config: &Config) -> Result<LogSigner, Failure> {
    let failed = |error: keys::KeyError| Failure::fault("the log's key can't be opened", &error);
    let wanted = config.ledger.origin.clone();
    let default = format!("{}/tenet", listen::host_name().unwrap_or_else(|| "localhost".to_owned()));
    let first = if wanted.is_empty() { default } else { wanted.clone() };
    let stored =
        keys.secret("log-origin", |_| Ok(SecretBytes::new(first.into_bytes()))).await.map_err(failed)?;
    let origin = String::from_utf8_lossy(stored.expose()).into_owned();
    if !wanted.is_empty() && wanted != origin {
        return Err(Failure::new(
            Exit::Usage,
            "config",
            format!("ledger.origin: `{wanted}` is not this log's name"),
        )
        .why(format!("it was fixed at the first start: `{origin}` is in every checkpoint"))
        .remedy("leave the setting out, or set it to that"));
    }
    let make = |context: &Context| Ok(SecretBytes::new(context.random::<32>()?.to_vec()));
    let seed = keys.secret("log-signing-seed", make).await.map_err(failed)?;
    let seed: [u8; 32] = seed.expose().as_slice().try_into().map_err(|error| internal(&error))?;
    LogSigner::new(&origin, &Secret::new(seed)).map_err(|error| {
        Failure::fault("the log can't be signed", &error).remedy("choose another `ledger.origin`")
    })
}

async fn certificates(
    keys: &Keys,
    config: &Config,
    address: &str,
    context: &Context,
) -> Result<(Authority, Arc<CurrentCertificate>), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failure, "certificate", "the server's certificate can't be made")
            .why(error.to_string())
    };
    // The first server makes it; all others, and every later start, find the same.
    let made = Authority::make(context).map_err(|error| failed(&error))?;
    let stored = keys.secret("certificate-authority", |_| Ok(made)).await;
    let stored =
        stored.map_err(|error| Failure::fault("the certificate authority can't be opened", &error))?;
    let authority = Authority::open(&stored).map_err(|error| failed(&error))?;
    let names = listen::certificate_names(&config.server, address);
    let issued = authority.issue(&names, context).map_err(|error| failed(&error))?;
    Ok((authority, CurrentCertificate::new(issued)))
}

async fn access_of(
    data: &Store,
    mint: store::Mint,
    keys: &Keys,
    config: &Config,
    address: &str,
    context: &Context,
) -> Result<Access, Failure> {
    let naming = access::Config {
        issuer: address.to_owned(),
        audience: address.to_owned(),
        token_endpoint: format!("{address}/v1/token"),
        scheme: config.classification.clone(),
        throttle: access::ThrottleLimits::default(),
    };
    let opened = Access::open(data.clone(), mint, keys.clone(), context.clone(), naming).await;
    opened.map_err(|error| Failure::fault("authorization can't be set up", &error))
}

async fn vault_of(
    data: &Store,
    keys: &Keys,
    signer: &Arc<LogSigner>,
    config: &Config,
    environment: &Environment,
    directory: &DataDir,
) -> Result<Vault, Failure> {
    let blobs = blobs::open(&config.objects, environment, directory)?;
    let vault_config =
        VaultConfig { restore_window: config.lifecycle.restore_window.value, ..VaultConfig::default() };
    let scheme = config.classification.clone();
    Vault::open(data.clone(), keys.clone(), blobs, scheme, vault_config, Arc::clone(signer))
        .await
        .map_err(|error| Failure::fault("the vault can't be opened", &error))
}

fn limits(config: &Config) -> Limits {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let (rate, burst) = (config.limits.requests_per_second.value, config.limits.request_burst.value);
    Limits {
        drain: config.server.drain.value,
        client_rate: Rate::new(small(rate), small(burst)),
        ..Limits::default()
    }
}

/// The events of a start, beside the one that announces it.
async fn note_start(
    data: &Store,
    startup: &store::SystemScope,
    loaded: &Loaded,
    listeners: &[TcpListener],
) -> Result<(), Failure> {
    let shown: Vec<_> =
        config::values(loaded).into_iter().map(|(key, value, _)| format!("{key}={value}")).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, shown.join("\n").as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut acts =
        vec![Act::new(Activity::ConfigLoad, ObjectRef::new("configuration", "tenet")).detail("sha256", hex)];
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            acts.push(Act::new(Activity::ListenerOpen, ObjectRef::new("listener", address)));
        }
    }
    for act in acts {
        data.record_system(startup, act)
            .await
            .map_err(|error| Failure::fault("the start can't be recorded", &error))?;
    }
    Ok(())
}

/// The link for the first administrator, while there is none. It is also put into the data directory,
/// which is the owner's alone, so that `tenet quickstart` finds it there; it works once.
async fn first_link(
    access: &Access,
    directory: &DataDir,
    address: &str,
    authority: &Authority,
) -> Result<Option<(Secret<String>, Timestamp)>, Failure> {
    let path = directory.file(FIRST_LINK);
    let invited = access.enrolment_link().await;
    let invited =
        invited.map_err(|error| Failure::fault("the first administrator can't be invited", &error))?;
    let Some(invited) = invited else {
        let _ = std::fs::remove_file(&path);
        return Ok(None);
    };
    let link = EnrolLink {
        server: address.to_owned(),
        secret: invited.secret.clone(),
        authority: authority.fingerprint(),
    };
    let text = link.to_text();
    directory
        .write(FIRST_LINK, text.expose().as_bytes())
        .map_err(|error| Failure::file("can't write", &path, &error))?;
    Ok(Some((text, invited.expires)))
}
