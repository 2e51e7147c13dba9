//! PostgreSQL: a pool of connections under the application's role; each transaction names its
//! account to row-level security before it does anything else.

use std::sync::Arc;

use base::Secret;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres::{
    NoTls,
    config::{Host, SslMode},
    types::{IsNull, ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Rows;
use crate::{Realm, StoreError, Value, crash_point, value::Owned};

/// Connections of one realm.
const CONNECTIONS: usize = 16;
/// Longest wait for a connection to become free, or to be made.
const WAIT: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) struct Postgres {
    pool: Pool,
    user: String,
}

pub(crate) struct PgTx {
    /// `None` once the transaction ended.
    client: Option<Object>,
    begin: String,
}

impl Postgres {
    /// Connects as the role in `url`. A network connection must be encrypted with a verified
    /// certificate; a Unix socket, or a loopback address, needs none (TR-4).
    pub(crate) async fn open(
        url: &Secret<String>,
        root_ca: Option<&std::path::Path>,
        realm: Realm,
    ) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Unsafe(format!("database.url: {reason}"));
        let mut config: tokio_postgres::Config =
            url.expose().parse().map_err(|_| unusable("not a PostgreSQL connection string".to_owned()))?;
        config.application_name("tenet");
        config.options(format!("-c search_path={}", realm.schema()));
        let user = config.get_user().unwrap_or_default().to_owned();
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if is_local(&config) {
            config.ssl_mode(SslMode::Disable);
            Manager::from_config(config, NoTls, manager)
        } else {
            config.ssl_mode(SslMode::Require);
            Manager::from_config(config, tls(root_ca)?, manager)
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    // Durability and a bounded statement are not left to the server's defaults.
                    let settings = "SET synchronous_commit = on; SET statement_timeout = '60s'; \
                                    SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '30s'";
                    client.batch_execute(settings).await.map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let opened = Self { pool, user };
        drop(opened.pool.get().await?);
        Ok(opened)
    }

    /// The role in use.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Runs statements that bring their own transaction: migrations and start-up only. A connection on
    /// which they failed is not used again.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let client = self.pool.get().await?;
        let Err(error) = client.batch_execute(sql).await else { return Ok(()) };
        drop(Object::take(client));
        let reason = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
        Err(StoreError::Statement(reason))
    }

    pub(crate) async fn begin(
        &self,
        account: Option<&[u8; 16]>,
        read_only: bool,
    ) -> Result<PgTx, StoreError> {
        let client = self.pool.get().await?;
        let mode = if read_only { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
        let mut begin = format!("{mode}; SET LOCAL tenet.account = '");
        for byte in account.map(<[u8; 16]>::as_slice).unwrap_or_default() {
            begin.push_str(&format!("{byte:02x}"));
        }
        begin.push('\'');
        // Held from here on: a failure or a cancellation past this line discards the connection.
        let mut tx = PgTx { client: Some(client), begin };
        let begin = tx.begin.clone();
        tx.client()?.batch_execute(&begin).await?;
        Ok(tx)
    }
}

impl PgTx {
    fn client(&mut self) -> Result<&mut Object, StoreError> {
        self.client.as_mut().ok_or_else(|| StoreError::Unavailable("the transaction has ended".to_owned()))
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        Ok(client.execute(&statement, &parameters).await?)
    }

    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        let found = client.query(&statement, &parameters).await?;
        found.iter().map(read_row).collect()
    }

    pub(crate) async fn undo(&mut self) -> Result<(), StoreError> {
        let again = format!("ROLLBACK; {}", self.begin);
        Ok(self.client()?.batch_execute(&again).await?)
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let Some(client) = self.client.take() else {
            return Err(StoreError::Unavailable("the transaction has ended".to_owned()));
        };
        crash_point("store.before-commit");
        let outcome = client.batch_execute("COMMIT").await;
        crash_point("store.after-commit");
        let Err(error) = outcome else { return Ok(()) };
        drop(Object::take(client));
        // An answer, be it a refusal, says that nothing happened; a lost connection says nothing.
        if error.as_db_error().is_some() { Err(error.into()) } else { Err(StoreError::Unknown) }
    }
}

impl Drop for PgTx {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if client.batch_execute("ROLLBACK").await.is_err() {
                        drop(Object::take(client));
                    }
                });
            }
            Err(_) => drop(Object::take(client)),
        }
    }
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    let loopback =
        |name: &str| name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let hosts = config.get_hosts();
    !hosts.is_empty()
        && hosts.iter().all(|host| match host {
            Host::Tcp(name) => loopback(name),
            Host::Unix(_) => true,
        })
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

fn tls(root_ca: Option<&std::path::Path>) -> Result<MakeRustlsConnect, StoreError> {
    let unusable = |reason: &str| StoreError::Unsafe(format!("database.root_ca: {reason}"));
    let path = root_ca.ok_or_else(|| {
        unusable(
            "a database on another machine needs the certificate authority that signs its certificate (PEM)",
        )
    })?;
    let mut roots = rustls::RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|_| unusable("not a readable PEM file"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|_| unusable("not a PEM certificate"))?;
        roots.add(certificate).map_err(|_| unusable("not a certificate authority"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| unusable("TLS 1.3 is not available"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read_row(row: &tokio_postgres::Row) -> Result<Vec<Owned>, StoreError> {
    let mut values = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(Owned::Int),
            Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(|value| Owned::Int(value.into())),
            Type::INT2 => row.try_get::<_, Option<i16>>(index)?.map(|value| Owned::Int(value.into())),
            Type::BOOL => row.try_get::<_, Option<bool>>(index)?.map(|value| Owned::Int(value.into())),
            Type::TEXT | Type::VARCHAR | Type::NAME => {
                row.try_get::<_, Option<String>>(index)?.map(Owned::Text)
            }
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Owned::Blob),
            _ => return Err(StoreError::Shape("a value of a known type")),
        };
        values.push(value.unwrap_or(Owned::Null));
    }
    Ok(values)
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(value), &Type::INT8) => value.to_sql(kind, out),
            (Self::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Self::Int(value), &Type::INT2) => i16::try_from(*value)?.to_sql(kind, out),
            (Self::Text(value), &(Type::TEXT | Type::VARCHAR | Type::NAME)) => value.to_sql(kind, out),
            (Self::Blob(value), &Type::BYTEA) => value.to_sql(kind, out),
            _ => Err(format!("a parameter does not fit the type {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
