//! Migrations: one tree of files for both engines, embedded, applied in name order inside
//! transactions, and never edited once released (their digest is kept beside their name).
//!
//! In a file, `{int}`, `{blob}`, `{serial}` and `{strict}` stand for what each engine calls them, and
//! the lines between `-- @postgres` or `-- @sqlite` and `-- @end` are for that engine alone.

use std::fmt::Write as _;

use crate::{
    Realm, StoreError,
    engine::{Database, postgres::Postgres, sqlite::Sqlite},
    guard,
};

/// One file of the tree.
struct Migration {
    name: &'static str,
    text: &'static str,
}

// `DATA` and `KEYS`, listed by build.rs from `migrations/`.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

fn tree(realm: Realm) -> &'static [Migration] {
    match realm {
        Realm::Data => DATA,
        Realm::Keys => KEYS,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// The statements of a file for one engine.
fn render(text: &str, dialect: Dialect) -> String {
    let [int, blob, serial, strict] = match dialect {
        Dialect::Sqlite => ["INTEGER", "BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT", " STRICT"],
        Dialect::Postgres => ["BIGINT", "BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", ""],
    };
    let mut only = None;
    let mut kept = String::new();
    for line in text.lines() {
        match line.trim() {
            "-- @sqlite" => only = Some(Dialect::Sqlite),
            "-- @postgres" => only = Some(Dialect::Postgres),
            "-- @end" => only = None,
            _ if only.is_none_or(|wanted| wanted == dialect) => {
                kept.push_str(line);
                kept.push('\n');
            }
            _ => {}
        }
    }
    kept.replace("{int}", int).replace("{blob}", blob).replace("{serial}", serial).replace("{strict}", strict)
}

fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const APPLIED_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, digest TEXT NOT NULL)";
const APPLIED: &str = "SELECT name, digest FROM migration ORDER BY name";

/// Which files of the tree are still to be applied. An error if an applied one was edited since, or
/// the database is newer than this program.
fn pending(realm: Realm, applied: &[(String, String)]) -> Result<Vec<&'static Migration>, StoreError> {
    let tree = tree(realm);
    for (name, known) in applied {
        let failed = |reason: &str| StoreError::Migration { name: name.clone(), reason: reason.to_owned() };
        let Some(file) = tree.iter().find(|file| file.name == name) else {
            return Err(failed("the database was written by a newer Tenet: run that version or a newer one"));
        };
        if digest(file.text) != *known {
            return Err(failed("differs from the one that was applied: restore the released file"));
        }
    }
    Ok(tree.iter().filter(|file| !applied.iter().any(|(name, _)| name == file.name)).collect())
}

fn names(rows: crate::engine::Rows) -> Result<Vec<(String, String)>, StoreError> {
    rows.into_iter()
        .map(|row| {
            let row = crate::Row(row);
            Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
        })
        .collect()
}

/// Brings an embedded database up to date. A crash in between leaves whole files applied or not.
pub(crate) async fn sqlite(realm: Realm, database: &Sqlite) -> Result<(), StoreError> {
    database.batch(&format!("{APPLIED_TABLE} STRICT")).await?;
    let applied = names(database.read().await?.rows(APPLIED, &[])?)?;
    for file in pending(realm, &applied)? {
        let sql = render(file.text, Dialect::Sqlite);
        let sql = format!("{sql}; INSERT INTO migration VALUES ('{}', '{}')", file.name, digest(file.text));
        database.batch(&sql).await.map_err(|error| StoreError::Migration {
            name: file.name.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}

/// Brings a PostgreSQL schema up to date as its owner, forces row-level security on every account's
/// table, and grants the application's role the least it needs. Two servers starting at once wait
/// for each other.
pub(crate) async fn postgres(realm: Realm, owner: &Postgres, application: &str) -> Result<(), StoreError> {
    let schema = realm.schema();
    // Held by one connection for the whole of it: this number is Tenet's own, one per realm.
    let lock = 0x7e4e_7000_i64 + i64::from(realm == Realm::Keys);
    // A file may take as long as it takes, and so may the wait for another server that applies it: the
    // bounds of the connection are for requests.
    let locked = format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({lock})"
    );
    owner.batch(&format!("{locked}; CREATE SCHEMA IF NOT EXISTS {schema}; {APPLIED_TABLE}; COMMIT")).await?;
    let mut read = owner.begin(None, true).await?;
    let applied = names(read.rows(APPLIED, &[]).await?)?;
    drop(read);
    for file in pending(realm, &applied)? {
        let sql = render(file.text, Dialect::Postgres);
        let name = file.name;
        let note = format!("INSERT INTO migration VALUES ('{name}', '{}')", digest(file.text));
        // The insert first: a server that lost the race fails on its key, before any statement of the file.
        let sql = format!("{locked}; {note}; {sql}; COMMIT");
        if let Err(error) = owner.batch(&sql).await {
            let mut read = owner.begin(None, true).await?;
            let now_applied = names(read.rows(APPLIED, &[]).await?)?;
            if !now_applied.iter().any(|(known, _)| known == name) {
                return Err(StoreError::Migration { name: name.to_owned(), reason: error.to_string() });
            }
        }
    }
    guard::protect(realm, owner, application, &locked).await
}

/// The names of the files that were applied.
pub(crate) async fn applied(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut read = database.read(None).await?;
    Ok(names(read.rows(APPLIED, &[]).await?)?.into_iter().map(|(name, _)| name).collect())
}

/// Refuses a PostgreSQL schema that is not up to date, when no owner's connection was given.
pub(crate) async fn check_current(realm: Realm, database: &Database) -> Result<(), StoreError> {
    let mut read = database.read(None).await?;
    let missing = || {
        StoreError::Unsafe(format!(
            "the schema `{}` is not up to date: start once with `database.owner_url_file` set, so that its owner migrates it",
            realm.schema()
        ))
    };
    let applied = names(read.rows(APPLIED, &[]).await.map_err(|_| missing())?)?;
    if pending(realm, &applied)?.is_empty() { Ok(()) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_sections_are_kept_for_their_engine_alone() {
        let text = "a {int}\n-- @postgres\nb\n-- @end\n-- @sqlite\nc{strict}\n-- @end\nd";
        assert_eq!(render(text, Dialect::Sqlite), "a INTEGER\nc STRICT\nd\n");
        assert_eq!(render(text, Dialect::Postgres), "a BIGINT\nb\nd\n");
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let name = DATA[0].name.to_owned();
        let error = pending(Realm::Data, &[(name, "00".to_owned())]).err().unwrap();
        assert!(error.to_string().contains("differs from the one that was applied"));
        let error = pending(Realm::Data, &[("data/9999.sql".to_owned(), String::new())]).err().unwrap();
        assert!(error.to_string().contains("newer Tenet"));
    }
}
