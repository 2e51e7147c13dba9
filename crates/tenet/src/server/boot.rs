//! A server, brought up in order: directory, stores, keys, access, vault, listeners; and taken down in
//! reverse. If any of it can't be had, nothing is served.

use std::{net::TcpListener, path::PathBuf, sync::Arc};

use access::Access;
use base::{Context, Secret, SecretBytes, ServerId, Timestamp};
use keys::Keys;
use ledger::{Act, Activity, EventQuery, Interface, LogSigner, ObjectRef};
use store::{
    EventOrder, Indexer, JobRunner, Protected, ReconcileJob, Reconciler, Sequencer, ServerRow, Store,
};
use tokio::sync::watch;
use vault::{Vault, VaultConfig};
use web::{App, AppParts};

use crate::{
    client::EnrolLink,
    config::{self, Config, Environment, Loaded},
    data_dir::DataDir,
    failure::{Exit, Failure},
    server::{
        authority::{Authority, CurrentCertificate},
        blobs, certificates,
        clock::ClockWatch,
        demonstration::{self, Standing},
        duties::Duties,
        evidence, limits, listen,
        packer::Evidence,
        probes::Grounds,
        provider, safeguards, stop, stores,
        witnesses::Witnesses,
    },
    witnesses,
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
    /// Whether what it serves is a demonstration: the log says so.
    pub demo: bool,
}

/// A server that is up, and not yet serving.
struct Server {
    app: App,
    row: ServerRow,
    runner: JobRunner,
    messenger: ::watch::Messenger,
    sequencer: Sequencer,
    indexer: Indexer,
    witnesses: Option<Witnesses>,
    clock: Option<ClockWatch>,
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
    let demo = match demonstration::standing(&opened.data).await? {
        Standing::Unfinished => return Err(demonstration::unfinished(directory.path())),
        standing => standing == Standing::Demonstration,
    };
    let keys_store = opened.keys.clone();
    let provider = provider::open(&config.keys, &loaded.environment, &directory, context)?;
    let anonymous_time = config.lifecycle.anonymous_context.value;
    let key_limits = keys::Limits { anonymous_time, ..keys::Limits::default() };
    let migrations = migrations(&opened.data, &opened.keys).await?;
    let keys = Keys::open(opened.data.clone(), opened.keys, opened.keys_mint, provider, key_limits).await;
    let keys = keys.map_err(|error| Failure::fault("the keys can't be opened", &error))?;
    let signer = Arc::new(signer(&keys, config).await?);
    let (authority, certificate) = certificates::of(&keys, config, &address, context).await?;
    directory
        .write("ca.pem", authority.pem().as_bytes())
        .map_err(|error| Failure::file("can't write", &directory.file("ca.pem"), &error))?;
    let reached = listen::reached_at(&config.server, &address, port);
    let access = access_of(&opened.data, opened.data_mint, &keys, config, reached, context).await?;
    let vault = vault_of(&opened.data, &keys, &signer, config, &loaded.environment, &directory).await?;
    let scope = |interface, reason| {
        access
            .server_scope(interface, "server", reason)
            .map_err(|error| Failure::fault("the server can't start", &error))
    };
    let witnesses =
        witnesses_of(&opened.data, &signer, config, scope(Interface::Job, "witnesses cosign the log")?)
            .await?;
    let startup = scope(Interface::Startup, "the server announces itself")?;
    let (row, stops) = ServerRow::start(&opened.data, &startup, opened.alone, env!("CARGO_PKG_VERSION"))
        .await
        .map_err(|error| Failure::fault("the server can't announce itself", &error))?;
    let row = row.showing_every(config.ledger.heartbeat.value);
    for stop in &stops {
        tracing::warn!(server = %stop.server, last_seen = %stop.seen_at, "a server stopped without announcing it");
    }
    note_start(&opened.data, &startup, loaded, &listeners, signer.origin()).await?;
    note_migrations(&opened.data, &startup, migrations).await?;
    let weaker = access.safeguards_at_start(&startup, safeguards::of(config)?).await;
    let weaker =
        weaker.map_err(|error| Failure::fault("the safeguards can't be compared with the log", &error))?;
    if !weaker.is_empty() {
        let names = weaker.join(", ");
        tracing::error!(
            names,
            "safeguards were weakened: administrative acts wait for two operators' approval"
        );
    }
    let watch = evidence::open(&opened.data, &access, config)?;
    let messaging = scope(Interface::Job, "alarms are raised from the log, and delivered")?;
    let (alarms, messenger) = evidence::alarms(&watch, config, &address, messaging)?;
    let grounds = Grounds {
        data: opened.data.clone(),
        keys_store,
        keys: keys.clone(),
        access: access.clone(),
        vault: vault.clone(),
        watch: watch.clone(),
        alarms: alarms.clone(),
        signer: Arc::clone(&signer),
        context: context.clone(),
        config: config.clone(),
        directory: directory.path().to_owned(),
        address: listen::reached_here(&listeners)?,
        authority: authority.pem(),
    };
    let checks =
        evidence::checks_job(&watch, grounds, &scope(Interface::Job, "checks are made by the clock")?)
            .await?;
    let reconcile = reconcile_job(&opened.data, &signer, &access, &vault, config).await?;
    let handlers =
        [keys.job_handlers(), vault.job_handlers(), access.job_handlers(), vec![reconcile, checks]];
    let runner = JobRunner::new(opened.data.clone(), handlers.into_iter().flatten().collect());
    let sequencer = Sequencer::new(opened.data.clone(), Arc::clone(&signer))
        .map_err(|error| Failure::fault("the log can't be continued", &error))?;
    let indexer = Indexer::new(opened.data.clone())
        .map_err(|error| Failure::fault("the log can't be indexed", &error))?;
    let link = first_link(&access, &directory, &address, &authority).await?;
    let packer = Evidence {
        access: access.clone(),
        watch: watch.clone(),
        store: opened.data.clone(),
        signer: Arc::clone(&signer),
    };
    let app = App::new(AppParts {
        access: access.clone(),
        vault,
        watch,
        alarms,
        keys: keys.clone(),
        store: opened.data.clone(),
        system: scope(Interface::Api, "the server records what nobody in particular did")?,
        signer: Arc::clone(&signer),
        scheme: config.classification.clone(),
        limits: limits::of(config),
        packer: Some(Arc::new(packer)),
        demo,
        authority: EnrolLink::fingerprint_text(&authority.fingerprint()),
        version: env!("CARGO_PKG_VERSION"),
    });
    let beat = scope(Interface::Job, "the server shows that it is alive")?;
    let clock = (!config.clock.servers.is_empty()).then(|| {
        let (limit, interval) = (config.clock.limit.value, config.clock.interval.value);
        ClockWatch::new(opened.data.clone(), beat.clone(), config.clock.servers.clone(), limit, interval)
    });
    let names = listen::certificate_names(&config.server, &address);
    opened.data.set_review_due(config.review.due.value);
    let duties = Duties {
        keys: keys.clone(),
        access: access.clone(),
        app: app.clone(),
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
        demo,
    };
    let data = opened.data;
    Ok(Server {
        app,
        row,
        runner,
        messenger,
        sequencer,
        indexer,
        witnesses,
        clock,
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
            messenger,
            sequencer,
            indexer,
            witnesses,
            clock,
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
        let (cosigning_stop, cosigning_stopped) = watch::channel(false);
        let cosigning = witnesses.map(|witnesses| tokio::spawn(witnesses.run(cosigning_stopped)));
        let jobs = tokio::spawn({
            let stop = stop.clone();
            async move { runner.run(stop).await }
        });
        let indexing = tokio::spawn({
            let stop = stop.clone();
            async move { indexer.run(stop).await }
        });
        let alarming = tokio::spawn(messenger.run(stop.clone()));
        if let Some(clock) = clock {
            // It holds nothing that a stop would have to wait for.
            tokio::spawn(clock.run(stop.clone()));
        }
        let row = Arc::new(row);
        let housekeeping = tokio::spawn(duties.run(Arc::clone(&row), stop.clone()));
        let serving = listeners
            .into_iter()
            .map(|listener| web::serve(app.clone(), Arc::clone(&certificate), listener, stop.clone()));
        let served = futures::future::try_join_all(serving).await;
        // A listener that fails ends the server as a whole: half a server helps nobody.
        let finish = std::time::Duration::from_secs(FINISH_SECONDS);
        if *stop.borrow() {
            for (what, task) in
                [("jobs", jobs), ("housekeeping", housekeeping), ("indexing", indexing), ("alarms", alarming)]
            {
                if tokio::time::timeout(finish, task).await.is_err() {
                    tracing::warn!(what, "not finished in time; it is taken up at the next start");
                }
            }
        } else {
            jobs.abort();
            housekeeping.abort();
            indexing.abort();
            alarming.abort();
        }
        if let Err(error) = app.note_connections().await {
            tracing::warn!(%error, "connections since the last minute are not recorded");
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
        let _ = cosigning_stop.send(true);
        if let Some(cosigning) = cosigning
            && tokio::time::timeout(finish, cosigning).await.is_err()
        {
            tracing::warn!("the stop is not cosigned; the next start has that done");
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
pub(crate) async fn signer(keys: &Keys, config: &Config) -> Result<LogSigner, Failure> {
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

pub(super) async fn access_of(
    data: &Store,
    mint: store::Mint,
    keys: &Keys,
    config: &Config,
    addresses: Vec<String>,
    context: &Context,
) -> Result<Access, Failure> {
    let issuer = issuer(keys, config).await?;
    let naming = access::Config {
        audience: issuer.clone(),
        issuer,
        token_endpoints: addresses.iter().map(|address| format!("{address}/v1/token")).collect(),
        addresses,
        scheme: config.classification.clone(),
        throttle: limits::of_failures(config),
        sign_in: access::SignIn {
            passwords: config.sign_in.passwords.value == "on",
            provider: crate::identity_provider::of(config, context)?,
        },
    };
    let opened = Access::open(data.clone(), mint, keys.clone(), context.clone(), naming).await;
    opened.map_err(|error| Failure::fault("authorization can't be set up", &error))
}

/// The issuer of tokens, fixed at the first start: the public address if there is one by then, a name of no
/// place if not. An address with a port would change with `--listen`, and differ between servers on one
/// database, whose tokens must be good at each other.
pub(super) async fn issuer(keys: &Keys, config: &Config) -> Result<String, Failure> {
    let wanted = config.server.public_url.trim_end_matches('/').to_owned();
    let make = |context: &Context| {
        let name = if wanted.is_empty() {
            let random = context.random::<16>()?;
            let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("urn:tenet:issuer:{digits}")
        } else {
            wanted
        };
        Ok(SecretBytes::new(name.into_bytes()))
    };
    let stored = keys.secret("issuer", make).await;
    let stored = stored.map_err(|error| Failure::fault("the issuer of tokens can't be opened", &error))?;
    Ok(String::from_utf8_lossy(stored.expose()).into_owned())
}

/// The witnesses, if there are any. A log that one of them knows to be rolled back or rewritten is not gone on with.
async fn witnesses_of(
    data: &Store,
    signer: &LogSigner,
    config: &Config,
    scope: store::SystemScope,
) -> Result<Option<Witnesses>, Failure> {
    let Some(path) = &config.ledger.witness_policy else { return Ok(None) };
    let policy = witnesses::read_policy(path)?;
    let clients = witnesses::clients(&policy, config.ledger.witness_ca.as_deref())?;
    let (limit, everything) =
        (config.ledger.witness_limit.value, config.ledger.unwitnessed.value == "everything");
    data.require_witnesses(limit, everything)
        .await
        .map_err(|error| Failure::fault("what the witnesses cosigned can't be read", &error))?;
    let witnesses = Witnesses::new(policy, clients, data.clone(), signer.verifier().clone(), scope, limit);
    witnesses.check_at_start().await?;
    Ok(Some(witnesses))
}

/// The job that holds rows against the log, which comes by the clock from now on.
pub(super) async fn reconcile_job(
    data: &Store,
    signer: &LogSigner,
    access: &Access,
    vault: &Vault,
    config: &Config,
) -> Result<Box<dyn store::JobHandler>, Failure> {
    let failed = |error| Failure::fault("rows can't be held against the log", &error);
    let protected: Vec<Arc<dyn Protected>> = vec![Arc::new(access.clone()), Arc::new(vault.clone())];
    let reconciler = Reconciler::new(data.clone(), signer.verifier().clone(), protected).map_err(failed)?;
    let job = ReconcileJob::new(reconciler, config.ledger.reconcile.value);
    job.schedule().await.map_err(failed)?;
    Ok(Box::new(job))
}

pub(super) async fn vault_of(
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

/// The events of a start, beside the one that announces it.
pub(super) async fn note_start(
    data: &Store,
    startup: &store::SystemScope,
    loaded: &Loaded,
    listeners: &[TcpListener],
    log: &str,
) -> Result<(), Failure> {
    let shown: Vec<_> =
        config::values(loaded).into_iter().map(|(key, value, _)| format!("{key}={value}")).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, shown.join("\n").as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut acts =
        vec![Act::new(Activity::ConfigLoad, ObjectRef::new("configuration", "tenet")).detail("sha256", hex)];
    // Whoever starts a server has the key from here on.
    acts.push(Act::new(Activity::LogKeyRead, ObjectRef::new("log", log)));
    let database = config::database_urls(&loaded.config, &loaded.environment)?;
    if let Some(urls) = database {
        acts.push(Act::new(Activity::ConnectionMake, ObjectRef::new("database", urls.host())));
    }
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

/// What was applied of the schemas of both realms: `data/0001_spine.sql`.
pub(super) async fn migrations(data: &Store, keys: &Store) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for (realm, store) in [("data", data), ("keys", keys)] {
        let applied = store.migrations().await;
        let applied = applied.map_err(|error| Failure::fault("the schema can't be read", &error))?;
        all.extend(applied.into_iter().map(|name| format!("{realm}/{name}")));
    }
    Ok(all)
}

/// The events of schemas that were brought up to date: those that the log does not have yet. A crash before they are in
/// it has one written again.
pub(super) async fn note_migrations(
    data: &Store,
    startup: &store::SystemScope,
    migrations: Vec<String>,
) -> Result<(), Failure> {
    let failed = |error: store::StoreError| Failure::fault("the schema's changes can't be recorded", &error);
    for name in migrations {
        let known = EventQuery {
            activity: Some(Activity::SchemaMigrate.name().to_owned()),
            object: Some(name.clone()),
            ..EventQuery::default()
        };
        let found = data.search_events(&known, EventOrder::OldestFirst, None, 1).await.map_err(failed)?;
        if found.found.is_empty() {
            let act = Act::new(Activity::SchemaMigrate, ObjectRef::new("schema", name));
            data.record_system(startup, act).await.map_err(failed)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    testkit::on_both_engines! {
        async fn the_issuer_is_fixed_at_the_first_start_and_follows_no_address(h: Harness) {
            let file = h.dir.path().join("provider.key");
            let provider = Arc::new(keys::FileProvider::open_or_create(file, &h.context).unwrap());
            let (data, wrapped, mint) = (h.data.clone(), h.keys.clone(), h.another_mint().await);
            let keys = Keys::open(data, wrapped, mint, provider, keys::Limits::default()).await.unwrap();
            let mut config = Config::default();
            let first = issuer(&keys, &config).await.unwrap();
            assert!(first.starts_with("urn:tenet:issuer:") && first.len() == 49, "{first}");
            // Another port, another server, an address given later: tokens that are out stay good.
            config.server.listen.port = 9;
            assert_eq!(issuer(&keys, &config).await.unwrap(), first);
            config.server.public_url = "https://tenet.example".to_owned();
            assert_eq!(issuer(&keys, &config).await.unwrap(), first);
        }

        async fn a_public_address_that_is_set_at_the_first_start_is_the_issuer(h: Harness) {
            let file = h.dir.path().join("provider.key");
            let provider = Arc::new(keys::FileProvider::open_or_create(file, &h.context).unwrap());
            let (data, wrapped, mint) = (h.data.clone(), h.keys.clone(), h.another_mint().await);
            let keys = Keys::open(data, wrapped, mint, provider, keys::Limits::default()).await.unwrap();
            let mut config = Config::default();
            config.server.public_url = "https://tenet.example/".to_owned();
            assert_eq!(issuer(&keys, &config).await.unwrap(), "https://tenet.example");
        }
    }
}
