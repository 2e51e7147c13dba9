//! SQLite: one writer with group commit, a pool of readers.
//!
//! A write transaction is a savepoint inside one open `BEGIN IMMEDIATE`. The writer is a fair lock:
//! transactions queue for it, and so does the committer, so that everything which queued before the
//! committer shares one durable commit. Nobody is told of success before that commit returned.
//!
//! A crash before the commit returns means that none of the batch happened, and none of it was
//! acknowledged. A failed commit fails every transaction of the batch.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rusqlite::{Connection, OpenFlags, Statement, config::DbConfig, types::ValueRef};
use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::Rows;
use crate::{StoreError, Value, crash_point, value::Owned};

/// Connections that read.
const READERS: usize = 4;
/// Statements kept prepared on each connection.
const STATEMENTS: usize = 256;
/// Page cache of the writer, in KiB (negative as SQLite wants it).
const WRITER_CACHE_KIB: i64 = -8_192;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = -4_096;
/// Pages in the write-ahead log before it is folded into the database.
const CHECKPOINT_PAGES: i64 = 4_096;
/// Transactions in the batch before, from which on the committer waits for more to gather: with many
/// writers, fewer and larger commits; with one or two, none waits for nobody.
const CROWD: usize = 3;
/// How long it waits.
const GATHER: std::time::Duration = std::time::Duration::from_micros(300);
/// Commits between two looks at the write-ahead log's size.
const COMMITS_PER_LOOK: u64 = 256;
/// A write-ahead log of this size is emptied, which readers that never pause would prevent.
const MAX_LOG_BYTES: u64 = 134_217_728;

pub(crate) struct Sqlite {
    writer: Arc<tokio::sync::Mutex<Writer>>,
    commit_wanted: Arc<Notify>,
    readers: Arc<Readers>,
    path: PathBuf,
}

/// Told whether the batch became durable.
type Waiter = oneshot::Sender<Result<(), Lost>>;

/// Why a whole batch was lost.
#[derive(Clone, Debug)]
enum Lost {
    Full,
    Unavailable(String),
    Unknown,
}

impl From<Lost> for StoreError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Full => Self::Full,
            Lost::Unavailable(reason) => Self::Unavailable(reason),
            Lost::Unknown => Self::Unknown,
        }
    }
}

struct Writer {
    connection: Connection,
    /// Whether `BEGIN IMMEDIATE` was run and not yet ended.
    open: bool,
    waiters: Vec<Waiter>,
    log_path: PathBuf,
    commits: u64,
    /// Transactions in the last batch, for the committer.
    crowd: Arc<AtomicUsize>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

pub(crate) struct WriteTx {
    writer: OwnedMutexGuard<Writer>,
    commit_wanted: Arc<Notify>,
    /// Whether the savepoint is still to be released or undone.
    live: bool,
}

pub(crate) struct ReadTx {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Sqlite {
    /// Opens or creates the database at `path`, and starts the committer on this runtime.
    pub(crate) fn open(path: &Path, max_bytes: Option<u64>) -> Result<Self, StoreError> {
        let connection = connect(path, false)?;
        connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        if let Some(bytes) = max_bytes {
            let page: u64 =
                connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?.unsigned_abs();
            let pages = i64::try_from(bytes / page.max(1)).unwrap_or(i64::MAX).min(4_294_967_294);
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        let crowd = Arc::new(AtomicUsize::new(0));
        let writer = Arc::new(tokio::sync::Mutex::new(Writer {
            connection,
            open: false,
            waiters: Vec::new(),
            log_path: log_path(path),
            commits: 0,
            crowd: Arc::clone(&crowd),
        }));
        let commit_wanted = Arc::new(Notify::new());
        tokio::spawn(committer(Arc::downgrade(&writer), Arc::clone(&commit_wanted), crowd));
        let readers = Readers { idle: Mutex::new(Vec::new()), permits: Arc::new(Semaphore::new(READERS)) };
        Ok(Self { writer, commit_wanted, readers: Arc::new(readers), path: path.to_owned() })
    }

    /// Runs a whole migration, alone.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let writer = self.writer.lock().await;
        if writer.open {
            return Err(StoreError::Contention);
        }
        let wrapped = format!("BEGIN IMMEDIATE; {sql}; COMMIT;");
        writer.connection.execute_batch(&wrapped).map_err(|error| {
            if !writer.connection.is_autocommit() {
                let _ = writer.connection.execute_batch("ROLLBACK");
            }
            StoreError::Statement(error.to_string())
        })
    }

    /// Folds the write-ahead log into the database's file and empties it: afterwards the file alone is
    /// the whole database, and what was overwritten is in neither. Waits for readers, for some seconds.
    pub(crate) async fn fold(&self) -> Result<(), StoreError> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let folded = tokio::task::spawn_blocking(move || {
            writer.end_batch();
            let busy = "PRAGMA wal_checkpoint(TRUNCATE)";
            writer.connection.query_row(busy, [], |row| row.get::<_, i64>(0))
        });
        match folded.await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(_)) => Err(StoreError::Unavailable("readers kept the write-ahead log in use".to_owned())),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    pub(crate) async fn write(&self) -> Result<WriteTx, StoreError> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        writer.begin()?;
        Ok(WriteTx { writer, commit_wanted: Arc::clone(&self.commit_wanted), live: true })
    }

    pub(crate) async fn read(&self) -> Result<ReadTx, StoreError> {
        let closed = |_| StoreError::Unavailable("the store is closing".to_owned());
        let permit = Arc::clone(&self.readers.permits).acquire_owned().await.map_err(closed)?;
        let idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path, true)?;
                connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
                connection
            }
        };
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(ReadTx { connection: Some(connection), readers: Arc::clone(&self.readers), _permit: permit })
    }
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, StoreError> {
    let mode = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // Plans that don't hang on the values bound: otherwise each statement is compiled afresh for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Each commit reaches the disk before it is acknowledged.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
    }
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Ends batches. Waits its turn behind the transactions that queued before it.
async fn committer(
    writer: std::sync::Weak<tokio::sync::Mutex<Writer>>,
    wanted: Arc<Notify>,
    crowd: Arc<AtomicUsize>,
) {
    loop {
        wanted.notified().await;
        let Some(writer) = writer.upgrade() else { return };
        let gather = crowd.load(Ordering::Relaxed) >= CROWD;
        // The commit waits for the disk: not on a thread that serves requests.
        let work = move || {
            if gather {
                std::thread::sleep(GATHER);
            }
            writer.blocking_lock_owned().end_batch();
        };
        let done = tokio::task::spawn_blocking(work).await;
        if let Err(error) = done {
            tracing::error!(%error, "the committer's thread failed");
        }
    }
}

impl Writer {
    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.open {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.open = true;
        }
        self.connection.prepare_cached("SAVEPOINT tx")?.execute([])?;
        Ok(())
    }

    fn end_batch(&mut self) {
        if !self.open {
            return;
        }
        crash_point("store.before-commit");
        let outcome = self.connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([]).map(|_| ()));
        crash_point("store.after-commit");
        let verdict = match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                tracing::error!(%error, "a commit failed");
                Err(not_committed(error.into()))
            }
        };
        self.open = false;
        self.crowd.store(self.waiters.len(), Ordering::Relaxed);
        self.tell(&verdict);
        self.commits = self.commits.wrapping_add(1);
        if self.commits.is_multiple_of(COMMITS_PER_LOOK) {
            self.bound_log();
        }
    }

    /// Waits for the readers of the moment to finish and empties the write-ahead log, if it has
    /// grown beyond its bound. A failure leaves it as it was, for the next look.
    fn bound_log(&self) {
        let bytes = std::fs::metadata(&self.log_path).map_or(0, |file| file.len());
        if bytes > MAX_LOG_BYTES {
            let done =
                self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            tracing::info!(bytes, busy = ?done, "the write-ahead log was to be emptied");
        }
    }

    /// Ends the batch without a commit, and tells everyone in it.
    fn give_up(&mut self, why: &str) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.open = false;
        self.tell(&Err(Lost::Unavailable(why.to_owned())));
    }

    fn tell(&mut self, verdict: &Result<(), Lost>) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(verdict.clone());
        }
    }

    /// SQLite ends the whole transaction by itself on some errors (no space, I/O): then the batch
    /// is lost, and everyone in it must hear so.
    fn check_still_open(&mut self, error: StoreError) -> StoreError {
        if self.open && self.connection.is_autocommit() {
            self.open = false;
            let verdict = match &error {
                StoreError::Full => Lost::Full,
                other => Lost::Unavailable(other.to_string()),
            };
            self.tell(&Err(verdict));
        }
        error
    }
}

/// What a commit that failed means. Without space, nothing of it is in the write-ahead log. Any other failure,
/// of the sync above all, may come after the whole of it was written there: in this process it is undone, and
/// the next commit overwrites it, but a crash before that brings it back.
fn not_committed(error: StoreError) -> Lost {
    match error {
        StoreError::Full => Lost::Full,
        _ => Lost::Unknown,
    }
}

impl WriteTx {
    /// A statement outside the batch would be a change of its own, without an event.
    fn check_open(&self) -> Result<(), StoreError> {
        let lost = || StoreError::Unavailable("the batch that held this transaction was lost".to_owned());
        if self.writer.open { Ok(()) } else { Err(lost()) }
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.check_open()?;
        let outcome = execute(&self.writer.connection, sql, values);
        outcome.map_err(|error| self.writer.check_still_open(error))
    }

    pub(crate) fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        self.check_open()?;
        let outcome = rows(&self.writer.connection, sql, values);
        outcome.map_err(|error| self.writer.check_still_open(error))
    }

    pub(crate) fn undo(&mut self) -> Result<(), StoreError> {
        if self.writer.open {
            self.run("ROLLBACK TO tx")
        } else {
            // The batch was lost under us; start afresh.
            self.writer.begin()
        }
    }

    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        let outcome = self.writer.connection.prepare_cached(sql).and_then(|mut s| s.execute([]).map(|_| ()));
        outcome.map_err(|error| self.writer.check_still_open(error.into()))
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if let Err(lost) = self.check_open() {
            self.live = false;
            return Err(lost);
        }
        self.run("RELEASE tx")?;
        self.live = false;
        let (told, verdict) = oneshot::channel();
        self.writer.waiters.push(told);
        self.commit_wanted.notify_one();
        drop(self);
        match verdict.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(StoreError::Unknown),
        }
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        if self.live && self.writer.open {
            let undone = self.run("ROLLBACK TO tx").and_then(|()| self.run("RELEASE tx"));
            if let Err(error) = undone {
                // Its statements must not become durable with the others': the whole batch is given up.
                tracing::error!(%error, "a dropped transaction could not be undone: its batch is lost");
                self.writer.give_up("a transaction of the same batch could not be undone");
            }
            self.commit_wanted.notify_one();
        }
    }
}

impl ReadTx {
    pub(crate) fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        match &self.connection {
            Some(connection) => rows(connection, sql, values),
            None => Err(StoreError::Unavailable("the read has ended".to_owned())),
        }
    }
}

impl Drop for ReadTx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let ended = connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([]).map(|_| ()));
            if ended.is_ok() {
                self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }
    }
}

fn bind(statement: &mut Statement<'_>, values: &[Value<'_>]) -> Result<(), StoreError> {
    const NAMES: [&str; 24] = [
        "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15",
        "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24",
    ];
    if values.len() > NAMES.len() {
        return Err(StoreError::Statement("more than 24 parameters".to_owned()));
    }
    let mut bound = 0;
    for (name, value) in NAMES.iter().zip(values) {
        let Some(index) = statement.parameter_index(name)? else { continue };
        bound += 1;
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Int(value) => statement.raw_bind_parameter(index, value)?,
            Value::Text(value) => statement.raw_bind_parameter(index, value)?,
            Value::Blob(value) => statement.raw_bind_parameter(index, value)?,
        }
    }
    if bound == statement.parameter_count() && bound == values.len() {
        Ok(())
    } else {
        Err(StoreError::Statement(format!(
            "{} values for {} parameters",
            values.len(),
            statement.parameter_count()
        )))
    }
}

/// The statement as SQLite has it: `FOR SHARE` keeps a row as it is until the transaction ends, which
/// with one writer is so anyway.
fn own(sql: &str) -> &str {
    sql.strip_suffix(" FOR SHARE").unwrap_or(sql)
}

fn execute(connection: &Connection, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(own(sql))?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

fn rows(connection: &Connection, sql: &str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
    let mut statement = connection.prepare_cached(own(sql))?;
    bind(&mut statement, values)?;
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column)? {
                ValueRef::Null => Owned::Null,
                ValueRef::Integer(value) => Owned::Int(value),
                ValueRef::Text(text) => Owned::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Owned::Blob(bytes.to_vec()),
                ValueRef::Real(_) => return Err(StoreError::Shape("a value that is not a fraction")),
            });
        }
        found.push(values);
    }
    Ok(found)
}
