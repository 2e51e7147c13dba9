//! The store: SQLite and PostgreSQL behind one set of statements. It owns transactions and what they
//! promise: a statement is bound to its account, a change is durable together with its event, and the
//! events become a Merkle log. It does not know what a record is.
//!
//! There are two realms, each a [`Store`] of its own: data and events, and apart from them the keys.

mod clock;
mod crash;
mod drill;
mod engine;
mod error;
mod guard;
mod indexer;
mod job;
mod known;
mod log;
mod migrate;
mod outbox;
mod own_search;
mod reader;
mod reconcile;
mod reconcile_job;
mod recover;
mod review_rows;
mod scope;
mod seal;
mod search;
mod sequencer;
mod server;
mod statement;
mod survey;
mod tx;
mod value;
mod witnessed;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use base::{Actor, Context, Duration, RequestId, Secret, ServerId};
use ledger::{Interface, Origin};
use tokio::sync::Notify;

pub use clock::{ClockReading, ClockState};
pub use crash::crash_point;
pub use error::StoreError;
pub use guard::PLATFORM_TABLES;
pub use indexer::Indexer;
pub use job::{JobError, JobFuture, JobHandler, JobRunner, Lease, NewJob, Next};
pub use own_search::OwnQuery;
pub use reader::ReadEntry;
pub use reconcile::{
    MAX_UNEXPLAINED, Protected, Reconciled, Reconciler, RowKey, RowPage, RowState, RowsFuture, Said,
    Unexplained, Wrong,
};
pub use reconcile_job::ReconcileJob;
pub use scope::{Mint, Scope, SystemScope};
pub use search::{EventOrder, EventPage, FoundEvent, MAX_EVENT_PAGE, MAX_RECORDED};
pub use sequencer::{Sequenced, Sequencer};
pub use server::{BEAT, LastStop, ServerRow};
pub use statement::{Platform, Scoped, check};
pub use survey::Survey;
pub use tx::{Committed, ReadTx, Recorded, Refused, SystemReadTx, SystemTx, Tx};
pub use value::{Row, Value};
pub use witnessed::{Missing, SignedHead, Witnessed, Witnessing};

/// How long a privileged act may wait for its review unless it is said otherwise.
const REVIEW_DUE: Duration = Duration::from_days(7);

/// Which of the two realms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// Customers' data, the platform's tables, events and the log.
    Data,
    /// Wrapped keys, apart from what they open: a file of its own, or a schema of its own, so that
    /// yesterday's data restored beside today's keys stays erased where it was erased.
    Keys,
}

impl Realm {
    pub(crate) const fn schema(self) -> &'static str {
        match self {
            Self::Data => "tenet",
            Self::Keys => "tenet_keys",
        }
    }
}

/// Where a realm is stored.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A file of this machine. The caller makes sure that no other process has it open.
    Sqlite {
        /// The database's file.
        path: PathBuf,
    },
    /// A PostgreSQL server, shared by any number of Tenet servers.
    Postgres {
        /// The application's role: `postgres://tenet_app:..@host/database`.
        url: Secret<String>,
        /// The schema's owner, used to migrate at start-up and then let go.
        owner_url: Option<Secret<String>>,
        /// The certificate authority of a database on another machine, PEM.
        root_ca: Option<PathBuf>,
    },
}

/// How to open a realm.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is stored.
    pub engine: Engine,
    /// Which realm it is.
    pub realm: Realm,
    /// Time and randomness.
    pub context: Context,
    /// This server, for leases and events.
    pub server: ServerId,
    /// Most bytes of an embedded database; writes beyond are refused, reads go on.
    pub max_bytes: Option<u64>,
}

/// A realm, open. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    database: engine::Database,
    realm: Realm,
    context: Context,
    server: ServerId,
    added: Notify,
    full: AtomicBool,
    log_broken: AtomicBool,
    gate: witnessed::Gate,
    clock: clock::Mark,
    seals: seal::Seals,
    known: known::Known,
    /// How long a privileged act may wait for its review, in microseconds.
    review_due: AtomicI64,
}

impl Store {
    /// Opens a realm: migrates it, checks that the database keeps customers apart, and hands out the
    /// one mint of scopes.
    pub async fn open(options: Options) -> Result<(Self, Mint), StoreError> {
        let Options { engine, realm, context, server, max_bytes } = options;
        let database = match engine {
            Engine::Sqlite { path } => {
                let database = engine::sqlite::Sqlite::open(&path, max_bytes)?;
                migrate::sqlite(realm, &database).await?;
                engine::Database::Sqlite(database)
            }
            Engine::Postgres { url, owner_url, root_ca } => {
                let application = engine::postgres::Postgres::open(&url, root_ca.as_deref(), realm).await?;
                if let Some(owner_url) = owner_url {
                    let owner =
                        engine::postgres::Postgres::open(&owner_url, root_ca.as_deref(), realm).await?;
                    migrate::postgres(realm, &owner, application.user()).await?;
                }
                let database = engine::Database::Postgres(application);
                migrate::check_current(realm, &database).await?;
                guard::check(realm, &database).await?;
                database
            }
        };
        let inner = Inner {
            database,
            realm,
            context,
            server,
            added: Notify::new(),
            full: false.into(),
            log_broken: false.into(),
            gate: witnessed::Gate::new(),
            clock: clock::Mark::new(),
            seals: seal::Seals::default(),
            known: known::Known::default(),
            review_due: REVIEW_DUE.micros().into(),
        };
        Ok((Self(Arc::new(inner)), Mint::new()))
    }

    /// Time and randomness.
    pub fn context(&self) -> &Context {
        &self.0.context
    }
    /// This server.
    pub fn server(&self) -> ServerId {
        self.0.server
    }
    pub(crate) fn server_ref(&self) -> &ServerId {
        &self.0.server
    }
    /// Which realm this is.
    pub fn realm(&self) -> Realm {
        self.0.realm
    }
    /// Whether the last write was refused for want of space.
    pub fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }
    /// Whether the log's tables were found changed: nothing is signed any more until they are restored.
    pub fn is_log_broken(&self) -> bool {
        self.0.log_broken.load(Ordering::Relaxed)
    }
    /// How long a privileged act may wait for its review.
    pub fn review_due(&self) -> Duration {
        Duration::from_micros(self.0.review_due.load(Ordering::Relaxed))
    }
    /// Sets that, for acts from now on.
    pub fn set_review_due(&self, due: Duration) {
        self.0.review_due.store(due.micros(), Ordering::Relaxed);
    }
    /// Makes the embedded database's file whole by itself: what a clean stop does last, so that a copy
    /// of the file is a backup; and what the destruction of a key does, so that no file holds it any
    /// more. On PostgreSQL, which has its own ways, nothing.
    pub async fn fold(&self) -> Result<(), StoreError> {
        match &self.0.database {
            engine::Database::Sqlite(database) => database.fold().await,
            engine::Database::Postgres(_) => Ok(()),
        }
    }
    /// The files of the schema that were applied, by name.
    pub async fn migrations(&self) -> Result<Vec<String>, StoreError> {
        migrate::applied(&self.0.database).await
    }
    /// Whether the database answers.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.0.database.read(None).await?.rows("SELECT 1", &[]).await.map(|_| ())
    }

    /// The origin of what this server does by itself, in that part of it.
    pub(crate) fn own_origin(&self, subsystem: &'static str) -> Result<Origin, StoreError> {
        Ok(Origin {
            actor: Actor::System(self.server()),
            account: None,
            request: RequestId::new(self.context())?,
            server: self.server(),
            subsystem,
            interface: Interface::Job,
            sealed: None,
        })
    }
    pub(crate) fn database(&self) -> &engine::Database {
        &self.0.database
    }
    /// Remembers whether space ran out, so that the first write that succeeds again can say so.
    pub(crate) fn note<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(outcome, Err(StoreError::Full)) {
            self.0.full.store(true, Ordering::Relaxed);
        }
        outcome
    }
    pub(crate) fn clear_full(&self) {
        self.0.full.store(false, Ordering::Relaxed);
    }
    /// Remembers that the log is not what it was, here or where a witness keeps it; whether that was known already.
    /// Nothing is signed any more.
    pub fn log_broke(&self) -> bool {
        self.0.log_broken.swap(true, Ordering::Relaxed)
    }
    pub(crate) fn seals(&self) -> &seal::Seals {
        &self.0.seals
    }
    pub(crate) fn wake_sequencer(&self) {
        self.0.added.notify_one();
    }
    /// Returns once an event was added on this server.
    pub(crate) async fn events_added(&self) {
        self.0.added.notified().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.0.realm)
    }
}
