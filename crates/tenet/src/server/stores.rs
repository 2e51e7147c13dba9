//! The two realms, opened: files in the data directory, or PostgreSQL.

use base::{Context, Fault, ServerId};
use store::{Engine, Mint, Options, Realm, Store};

use crate::{
    config::{Loaded, database_urls},
    data_dir::DataDir,
    failure::Failure,
};

/// Both realms and their mints.
pub(crate) struct Stores {
    pub(crate) data: Store,
    pub(crate) data_mint: Mint,
    pub(crate) keys: Store,
    pub(crate) keys_mint: Mint,
    /// Whether no other server can be using the same data.
    pub(crate) alone: bool,
}

pub(crate) async fn open(
    loaded: &Loaded,
    directory: &DataDir,
    context: &Context,
    server: ServerId,
) -> Result<Stores, Failure> {
    let urls = database_urls(&loaded.config, &loaded.environment)?;
    if urls.is_none() {
        // SQLite gives its other files the mode of the first.
        for file in ["data.db", "keys.db"] {
            make_private(&directory.file(file))?;
        }
    }
    let database = &loaded.config.database;
    let engine = |file: &str| match &urls {
        None => Engine::Sqlite { path: directory.file(file) },
        Some(urls) => Engine::Postgres {
            url: urls.url.clone(),
            owner_url: urls.owner_url.clone(),
            root_ca: database.root_ca.clone(),
        },
    };
    let max_bytes = (database.max_bytes.value > 0).then_some(database.max_bytes.value);
    let options =
        |realm, engine, max_bytes| Options { engine, realm, context: context.clone(), server, max_bytes };
    let failed = |error: store::StoreError| {
        let failure = Failure::fault("the database can't be opened", &error);
        match error.kind() {
            base::Kind::Unavailable if urls.is_some() => failure
                .remedy("check that PostgreSQL runs and that `database.url` and its password are right"),
            _ => failure,
        }
    };
    let opened = Store::open(options(Realm::Data, engine("data.db"), max_bytes)).await;
    let (data, data_mint) = opened.map_err(failed)?;
    let opened = Store::open(options(Realm::Keys, engine("keys.db"), None)).await;
    let (keys, keys_mint) = opened.map_err(failed)?;
    Ok(Stores { data, data_mint, keys, keys_mint, alone: urls.is_none() })
}

fn make_private(path: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(|error| Failure::file("can't make", path, &error))
}
