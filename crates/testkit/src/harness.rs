//! A store on either engine, with a clock to move and scopes to act in.

use std::{path::PathBuf, sync::Arc};

use base::{
    AccountId, Actor, ClientId, Context, OperatorId, RequestId, Secret, ServerId, SystemEntropy, Timestamp,
};
use ledger::{Interface, Origin};
use store::{Mint, Options, Realm, Scope, Store, SystemScope};

use crate::{MovableClock, TestDatabase};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A real server.
    Postgres,
}

/// Both realms on one engine.
pub struct Harness {
    /// The data realm.
    pub data: Store,
    /// The keys' realm.
    pub keys: Store,
    /// Makes scopes. `take_mint` hands out one to give away.
    pub mint: Mint,
    /// The clock.
    pub clock: Arc<MovableClock>,
    /// Time and randomness.
    pub context: Context,
    /// A directory that lives as long as the harness.
    pub dir: tempfile::TempDir,
    engine: Engine,
    postgres: Option<TestDatabase>,
}

impl Harness {
    /// Opens both realms, empty. The clock stands at 2026-01-01T00:00:00Z.
    pub async fn new(engine: Engine) -> Self {
        let clock = Arc::new(MovableClock::at(Timestamp::from_seconds(1_767_225_600)));
        let context = Context::new(clock.clone(), Arc::new(SystemEntropy));
        let dir = tempfile::tempdir().expect("a directory");
        let postgres = (engine == Engine::Postgres).then(TestDatabase::create);
        let (data, keys, mint) = open(engine, &context, &dir, postgres.as_ref()).await;
        Self { data, keys, mint, clock, context, dir, engine, postgres }
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Opens the same databases once more, as another server would (on SQLite: as a restart would;
    /// don't write through the old one any more). Data realm, keys' realm, mint.
    pub async fn reopen(&self) -> (Store, Store, Mint) {
        open(self.engine, &self.context, &self.dir, self.postgres.as_ref()).await
    }

    /// A mint to give away, to `Access` for example.
    pub async fn another_mint(&self) -> Mint {
        self.reopen().await.2
    }

    /// An account's id; no account is made.
    pub fn account(&self) -> AccountId {
        AccountId::new(&self.context).expect("randomness")
    }

    /// A scope of an account, as some client of it.
    pub fn scope(&self, account: AccountId) -> Scope {
        let client = ClientId::new(&self.context).expect("randomness");
        self.mint.scope(account, self.origin(Actor::Client(client)), self.context.now())
    }

    /// A scope for platform tables, as some operator.
    pub fn system(&self) -> SystemScope {
        let operator = OperatorId::new(&self.context).expect("randomness");
        self.mint.system(self.origin(Actor::Operator(operator)), self.context.now(), "a test")
    }

    /// An origin for that actor.
    pub fn origin(&self, actor: Actor) -> Origin {
        Origin {
            actor,
            account: None,
            request: RequestId::new(&self.context).expect("randomness"),
            server: self.data.server(),
            subsystem: "test",
            interface: Interface::Api,
            sealed: None,
        }
    }

    /// The file of a realm; only on SQLite.
    pub fn sqlite_path(&self, realm: Realm) -> PathBuf {
        assert_eq!(self.engine, Engine::Sqlite, "a file only on SQLite");
        sqlite_path(&self.dir, realm)
    }

    /// The database; only on PostgreSQL.
    pub fn postgres(&self) -> &TestDatabase {
        self.postgres.as_ref().expect("only on PostgreSQL")
    }

    /// Runs SQL behind the store's back, as the database's administrator: rows as text, values joined
    /// by `|`. Tables of the realm need no schema's name. Bytes are written as `x'..'` in both directions.
    pub fn tamper(&self, realm: Realm, sql: &str) -> Vec<String> {
        match self.engine {
            Engine::Sqlite => tamper_sqlite(&sqlite_path(&self.dir, realm), sql),
            Engine::Postgres => {
                let schema = if realm == Realm::Data { "tenet" } else { "tenet_keys" };
                let sql = postgres_bytes(sql);
                let out = self.postgres().sql(&format!("SET search_path = {schema}; {sql}"));
                out.lines().map(|line| line.replace("\\x", "")).collect()
            }
        }
    }
}

/// `x'0a'` as PostgreSQL writes it.
fn postgres_bytes(sql: &str) -> String {
    let mut parts = sql.split("x'");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("'\\x");
        out.push_str(part);
    }
    out
}

fn tamper_sqlite(path: &std::path::Path, sql: &str) -> Vec<String> {
    use rusqlite::types::ValueRef;
    let connection = rusqlite::Connection::open(path).expect("the database");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout");
    let mut statement = connection.prepare(sql).expect("a statement");
    let columns = statement.column_count();
    if columns == 0 {
        statement.execute([]).expect("a change");
        return Vec::new();
    }
    let mut rows = statement.query([]).expect("rows");
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let values: Vec<_> = (0..columns)
            .map(|column| match row.get_ref(column).expect("a value") {
                ValueRef::Null => String::new(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            })
            .collect();
        found.push(values.join("|"));
    }
    found
}

fn sqlite_path(dir: &tempfile::TempDir, realm: Realm) -> PathBuf {
    dir.path().join(if realm == Realm::Data { "data.db" } else { "keys.db" })
}

async fn open(
    engine: Engine,
    context: &Context,
    dir: &tempfile::TempDir,
    postgres: Option<&TestDatabase>,
) -> (Store, Store, Mint) {
    let server = ServerId::new(context).expect("randomness");
    let options = |realm| Options {
        engine: match (engine, postgres) {
            (Engine::Postgres, Some(database)) => store::Engine::Postgres {
                url: Secret::new(database.application_url()),
                owner_url: Some(Secret::new(database.owner_url())),
                root_ca: None,
            },
            _ => store::Engine::Sqlite { path: sqlite_path(dir, realm) },
        },
        realm,
        context: context.clone(),
        server,
        max_bytes: None,
    };
    let (data, mint) = Store::open(options(Realm::Data)).await.expect("the data realm");
    let (keys, _) = Store::open(options(Realm::Keys)).await.expect("the keys' realm");
    (data, keys, mint)
}
