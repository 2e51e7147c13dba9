//! A server without listeners, under a clock that somebody else moves: on it the history of a demonstration is made. It is
//! wired as the one that serves is, of the same parts, and does by the clock what that does; nothing reaches it from
//! outside, and nothing is recorded otherwise than there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use access::Access;
use base::{Clock as _, Context, Duration, Secret, ServerId, SystemEntropy, Timestamp};
use keys::Keys;
use ledger::{Interface, LogSigner};
use store::{Indexer, JobRunner, Sequencer, ServerRow, Store, SystemScope};
use tokio::sync::{Mutex, watch::channel};
use vault::Vault;
use watch::{ChecksJob, Probe, Watch};

use super::{
    boot, certificates,
    probes::{self, Grounds},
    provider, safeguards, stores,
};
use crate::{
    config::{Config, Loaded},
    data_dir::DataDir,
    demo::ScriptedClock,
    failure::Failure,
};

/// How often it shows itself in the log: as seldom as the configuration allows, lest weeks of it are heartbeats alone.
const HEARTBEAT: Duration = Duration::from_seconds(3_600);
/// How often jobs and checks have their turn.
const ROUND_HOURS: i64 = 4;
/// Data keys that are made at once for an account: most of what is left is destroyed before the clock's next move.
const POOL_KEYS: usize = 12;
/// The hour of the day at which the checks are made that read the log, each of which costs as much as all others.
const READING_HOUR: i64 = 20;
/// Those checks.
const READING: [&str; 6] = [
    "heartbeats-unbroken",
    "rows-explained",
    "safeguards-kept",
    "policy-uncontradicted",
    "policy-acknowledged",
    "erasures-certified",
];

/// Checks that only a server makes that is reached over the network, and one that reads back the evidence of all others:
/// here, whoever tells the story says what was seen.
pub(crate) fn is_told(check: &str) -> bool {
    check == "tls-only" || check == "evidence-complete" || check.starts_with("drill-")
}

/// The parts of the server, and its clock.
pub(crate) struct Stage {
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) context: Context,
    pub(crate) data: Store,
    pub(crate) keys: Keys,
    pub(crate) access: Access,
    pub(crate) vault: Vault,
    pub(crate) watch: Watch,
    pub(crate) signer: Arc<LogSigner>,
    /// What assertions are made for.
    pub(crate) issuer: String,
    /// The certificate of its authority, PEM.
    pub(crate) authority: String,
    row: ServerRow,
    scope: SystemScope,
    runner: JobRunner,
    /// Raises alarms of what is told. It delivers none: who would get them is invented too.
    messenger: watch::Messenger,
    /// The checks that read the log.
    reading: Vec<Box<dyn Probe>>,
    sequencer: Sequencer,
    indexer: Indexer,
    /// When the next heartbeat is due. Whoever moves the clock holds it.
    beat: Mutex<Timestamp>,
    /// Held to the end: the directory is this process's.
    _directory: DataDir,
}

impl Stage {
    /// Opens everything in a new data directory, as of the clock. `told` are the checks that it can't make.
    pub(crate) async fn open(
        loaded: &Loaded,
        clock: Arc<ScriptedClock>,
        told: Vec<Box<dyn Probe>>,
    ) -> Result<Self, Failure> {
        let context = Context::new(Arc::clone(&clock) as Arc<dyn base::Clock>, Arc::new(SystemEntropy));
        let mut config = loaded.config.clone();
        config.ledger.heartbeat.value = HEARTBEAT;
        let directory = DataDir::open(&loaded.data)
            .map_err(|error| Failure::fault("the data directory can't be used", &error))?;
        let server = ServerId::new(&context)
            .map_err(|error| Failure::new(crate::failure::Exit::Failure, "entropy", error.to_string()))?;
        let opened = stores::open(loaded, &directory, &context, server).await?;
        let provider = provider::open(&config.keys, &loaded.environment, &directory, &context)?;
        let migrations = boot::migrations(&opened.data, &opened.keys).await?;
        let limits = keys::Limits { pool_keys: POOL_KEYS, pool_low: 0, ..keys::Limits::default() };
        let keys_store = opened.keys.clone();
        let keys = Keys::open(opened.data.clone(), opened.keys, opened.keys_mint, provider, limits).await;
        let keys = keys.map_err(|error| Failure::fault("the keys can't be opened", &error))?;
        let signer = Arc::new(boot::signer(&keys, &config).await?);
        let authority = certificates::authority(&keys, &context).await?.pem();
        let issuer = boot::issuer(&keys, &config).await?;
        let access =
            boot::access_of(&opened.data, opened.data_mint, &keys, &config, Vec::new(), &context).await?;
        let vault =
            boot::vault_of(&opened.data, &keys, &signer, &config, &loaded.environment, &directory).await?;
        opened.data.set_review_due(config.review.due.value);
        let row =
            announce(&opened.data, opened.alone, &access, loaded, &config, (signer.origin(), migrations))
                .await?;
        let watch = super::evidence::open(&opened.data, &access, &config)?;
        let messaging = own_scope(&access, Interface::Job, "alarms are raised from the log")?;
        let (alarms, messenger) = super::evidence::alarms(&watch, &config, &issuer, messaging)?;
        let grounds = Grounds {
            data: opened.data.clone(),
            keys_store,
            keys: keys.clone(),
            access: access.clone(),
            vault: vault.clone(),
            watch: watch.clone(),
            alarms,
            signer: Arc::clone(&signer),
            context: context.clone(),
            config: config.clone(),
            directory: directory.path().to_owned(),
            // Nothing listens: the checks that would look there are told.
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            authority: authority.clone(),
        };
        let (runner, reading) = runner(&opened.data, grounds, told, &signer, &config).await?;
        let failed = |error: store::StoreError| Failure::fault("the log can't be continued", &error);
        let beat = Mutex::new(clock.now() + HEARTBEAT);
        Ok(Self {
            scope: own_scope(&access, Interface::Job, "the server shows that it is alive")?,
            sequencer: Sequencer::new(opened.data.clone(), Arc::clone(&signer)).map_err(failed)?,
            indexer: Indexer::new(opened.data.clone()).map_err(failed)?,
            data: opened.data,
            clock,
            context,
            keys,
            access,
            vault,
            watch,
            signer,
            issuer,
            authority,
            row,
            runner,
            messenger,
            reading,
            beat,
            _directory: directory,
        })
    }

    /// The instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A scope of the server's own, for what nobody in particular did.
    pub(crate) fn scope(&self) -> &SystemScope {
        &self.scope
    }

    /// Time passes.
    pub(crate) async fn pass(&self, span: Duration) -> Result<(), Failure> {
        self.reach(self.now() + span).await
    }

    /// Time passes until then: with a heartbeat each hour, and every few hours a round of jobs and checks.
    pub(crate) async fn reach(&self, instant: Timestamp) -> Result<(), Failure> {
        let mut beat = self.beat.lock().await;
        while *beat <= instant {
            self.clock.reach(*beat);
            self.row.beat(&self.scope).await.map_err(|error| failed(&error))?;
            let hour = (beat.seconds() / HEARTBEAT.seconds()).rem_euclid(24);
            if hour.rem_euclid(ROUND_HOURS) == 0 {
                self.round().await?;
            }
            if hour == READING_HOUR {
                self.read().await?;
            }
            *beat = *beat + HEARTBEAT;
        }
        self.clock.reach(instant);
        Ok(())
    }

    /// What a server does by the clock: what happened goes into the log, jobs and checks that are due are made, uses of
    /// keys are recorded, and reviews that are overdue are told.
    pub(crate) async fn round(&self) -> Result<(), Failure> {
        self.settle().await?;
        self.access.review_overdue(&self.scope).await.map_err(|error| failed(&error))?;
        self.keys.flush_uses().await.map_err(|error| failed(&error))?;
        self.settle().await?;
        self.runner.run_due().await.map_err(|error| failed(&error))?;
        self.settle().await?;
        self.messenger.look().await.map_err(|error| failed(&error))?;
        self.settle().await
    }

    /// Makes the checks that read the log.
    pub(crate) async fn read(&self) -> Result<(), Failure> {
        for probe in &self.reading {
            let seen = probe.look(&self.scope).await;
            let observed = self.watch.observe(&self.scope, probe.check(), &seen).await;
            observed.map_err(|error| failed(&error))?.into_inner();
        }
        self.settle().await
    }

    /// What happened goes into the log, and the log into its index.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        self.sequencer.drain().await.map_err(|error| failed(&error))?;
        self.indexer.drain().await.map_err(|error| failed(&error))
    }

    /// The end, in the order in which a server stops.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.keys.close().await.map_err(|error| failed(&error))?;
        let shutdown = own_scope(&self.access, Interface::Shutdown, "the server announces its stop")?;
        self.row.stop(&shutdown).await.map_err(|error| failed(&error))?;
        // Told to stop before it starts: it takes up what is left, and lets another server go on.
        let (_stop, stopped) = channel(true);
        self.sequencer.run(stopped).await;
        self.data.fold().await.map_err(|error| failed(&error))
    }
}

fn failed(error: &impl base::Fault) -> Failure {
    Failure::fault("the history can't be made", error)
}

fn own_scope(access: &Access, interface: Interface, reason: &'static str) -> Result<SystemScope, Failure> {
    access.server_scope(interface, "server", reason).map_err(|error| failed(&error))
}

/// Announces the server: its start, what it starts with, and the schema that it found.
async fn announce(
    data: &Store,
    alone: bool,
    access: &Access,
    loaded: &Loaded,
    config: &Config,
    (log, migrations): (&str, Vec<String>),
) -> Result<ServerRow, Failure> {
    let startup = own_scope(access, Interface::Startup, "the server announces itself")?;
    let (row, _) = ServerRow::start(data, &startup, alone, env!("CARGO_PKG_VERSION"))
        .await
        .map_err(|error| Failure::fault("the server can't announce itself", &error))?;
    boot::note_start(data, &startup, loaded, &[], log).await?;
    boot::note_migrations(data, &startup, migrations).await?;
    let accepted = access.safeguards_at_start(&startup, safeguards::of(config)?).await;
    accepted.map_err(|error| Failure::fault("the safeguards can't be compared with the log", &error))?;
    Ok(row.showing_every(HEARTBEAT))
}

/// The jobs of a server, its checks of each round among them; and apart from them the checks that read the log.
async fn runner(
    data: &Store,
    grounds: Grounds,
    mut told: Vec<Box<dyn Probe>>,
    signer: &LogSigner,
    config: &Config,
) -> Result<(JobRunner, Vec<Box<dyn Probe>>), Failure> {
    let (keys, access, vault, watch) =
        (grounds.keys.clone(), grounds.access.clone(), grounds.vault.clone(), grounds.watch.clone());
    let made = probes::all(Arc::new(grounds)).into_iter().filter(|probe| !is_told(probe.check()));
    let (reading, mut made): (Vec<_>, Vec<_>) = made.partition(|probe| READING.contains(&probe.check()));
    made.append(&mut told);
    let checks = ChecksJob::new(watch, made);
    let scope = own_scope(&access, Interface::Job, "checks are made by the clock")?;
    checks.schedule(&scope).await.map_err(|error| failed(&error))?;
    let reconcile = boot::reconcile_job(data, signer, &access, &vault, config).await?;
    let own: Vec<Box<dyn store::JobHandler>> = vec![reconcile, Box::new(checks)];
    let handlers = [keys.job_handlers(), vault.job_handlers(), access.job_handlers(), own];
    Ok((JobRunner::new(data.clone(), handlers.into_iter().flatten().collect()), reading))
}

/// The link of a first start, for the first administrator.
pub(crate) async fn first_link(access: &Access) -> Result<Secret<String>, Failure> {
    let invited = access.enrolment_link().await.map_err(|error| failed(&error))?;
    let invited = invited.ok_or_else(|| {
        Failure::new(
            crate::failure::Exit::Conflict,
            "administrator-exists",
            "there is an administrator already",
        )
    })?;
    Ok(invited.secret.clone())
}
