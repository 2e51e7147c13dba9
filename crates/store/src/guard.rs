//! PostgreSQL's part in keeping customers apart: forced row-level security under a role that neither
//! owns the tables nor bypasses it. [`protect`] sets it up as the owner; [`check`] looks at the
//! catalogue as the application's role at each start, and the server does not start if it is wrong.

use crate::{
    Realm, Row, StoreError,
    engine::{Database, postgres::Postgres},
};

/// Tables without an account's predicate, and why each is one. Every other table is an account's.
pub const PLATFORM_TABLES: &[(&str, &str)] = &[
    ("migration", "which migrations were applied"),
    ("event", "the log spans accounts; leaves hold no personal data"),
    ("outbox", "events that are not in the log yet"),
    ("log_entry", "the log's order"),
    ("log_tile", "the log's hashes"),
    ("log_head", "the log's checkpoint"),
    ("job", "a job runner leases across accounts, then acts in the lease's scope"),
    ("server", "which servers run"),
    ("account", "authentication finds the account here, before there is a scope"),
    ("client", "authentication finds the client, and so its account, before there is a scope"),
    ("operator", "operators belong to no account"),
    ("enrolment_link", "who enrols belongs to no account"),
    ("token_revocation", "looked up before a token's account is believed"),
    ("provider_key", "versions of the provider's key, above all accounts"),
    ("account_key", "rewrapped across accounts when the provider's key rotates; bound to its account by AAD"),
    ("subject_key", "operators, who belong to no account, have keys too"),
    ("platform_secret", "the platform's own secrets"),
    ("key_rotation", "how far a rotation got"),
    ("assertion_use", "looked up before an assertion's account is believed"),
];

/// Tables to which rows are only added.
const APPEND_ONLY: &[&str] = &["event", "log_entry"];
/// Tables that the application only reads.
const READ_ONLY: &[&str] = &["migration"];

/// The condition of every policy, as written; [`check`] compares it with how PostgreSQL prints it back.
const PREDICATE: &str =
    "account_id = (SELECT decode(NULLIF(current_setting('tenet.account', true), ''), 'hex'))";

/// Forces row-level security on each account's table, and grants the application's role what it needs.
/// `locked` begins a transaction that waits for other servers doing the same.
pub(crate) async fn protect(
    realm: Realm,
    owner: &Postgres,
    application: &str,
    locked: &str,
) -> Result<(), StoreError> {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain(application) {
        return Err(StoreError::Unsafe(
            "database.url: name a role of letters, digits and underscores".to_owned(),
        ));
    }
    let schema = realm.schema();
    let sql = format!(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') ORDER BY 1"
    );
    let mut read = owner.begin(None, true).await?;
    let tables = read.rows(leak(sql), &[]).await?;
    drop(read);
    let mut sql = format!("{locked}; GRANT USAGE ON SCHEMA {schema} TO \"{application}\";");
    for table in tables {
        let table = Row(table).text(0)?.to_owned();
        let rights = match table.as_str() {
            name if APPEND_ONLY.contains(&name) => "SELECT, INSERT",
            name if READ_ONLY.contains(&name) => "SELECT",
            _ => "SELECT, INSERT, UPDATE, DELETE",
        };
        sql.push_str(&format!("REVOKE ALL ON {schema}.{table} FROM \"{application}\", PUBLIC;"));
        sql.push_str(&format!("GRANT {rights} ON {schema}.{table} TO \"{application}\";"));
        if !PLATFORM_TABLES.iter().any(|(name, _)| *name == table) {
            sql.push_str(&format!(
                "ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY;\
                 ALTER TABLE {schema}.{table} FORCE ROW LEVEL SECURITY;\
                 DROP POLICY IF EXISTS account ON {schema}.{table};\
                 CREATE POLICY account ON {schema}.{table} USING ({PREDICATE}) WITH CHECK ({PREDICATE});"
            ));
        }
    }
    sql.push_str("COMMIT");
    owner.batch(&sql).await
}

/// Refuses to go on unless the role in use can't get round row-level security, and every account's
/// table has it, forced, with the one expected policy.
pub(crate) async fn check(realm: Realm, database: &Database) -> Result<(), StoreError> {
    let schema = realm.schema();
    let mut read = database.read(None).await?;
    let role = read
        .rows("SELECT r.rolsuper, r.rolbypassrls, r.rolname::text, r.rolcreaterole FROM pg_roles r WHERE r.rolname = current_user", &[])
        .await?;
    let role = Row(role.into_iter().next().ok_or(StoreError::Shape("the role in use"))?);
    let name = role.text(2)?.to_owned();
    let refuse = |reason: &str| StoreError::Unsafe(format!("database.url: the role `{name}` {reason}"));
    if role.bool(0)? {
        return Err(refuse("is a superuser, and so escapes row-level security: use a role of its own"));
    }
    if role.bool(1)? {
        return Err(refuse("has BYPASSRLS: take it away with ALTER ROLE .. NOBYPASSRLS"));
    }
    let others = "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname <> current_user AND (r.rolsuper OR r.rolbypassrls) \
                  AND pg_has_role(current_user, r.oid, 'MEMBER')";
    if let Some(other) = read.rows(others, &[]).await?.into_iter().next() {
        let other = Row(other);
        return Err(refuse(&format!(
            "can become `{}`, which escapes row-level security: revoke that",
            other.text(0)?
        )));
    }
    if role.bool(3)? {
        return Err(refuse("has CREATEROLE, and so can make roles that escape: take it away"));
    }
    let sql = format!(
        "SELECT c.relname::text, pg_has_role(current_user, c.relowner, 'MEMBER'), c.relrowsecurity, c.relforcerowsecurity, \
         (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid), \
         (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'account' AND p.polpermissive \
            AND p.polcmd = '*' AND p.polroles = '{{0}}' \
            AND pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid) \
            AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '[\\s()]|::text|AS decode', '', 'g') = \
                'account_id=SELECTdecodeNULLIFcurrent_setting''tenet.account'',true,'''',''hex'''), \
         (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id' AND a.attnotnull), \
         has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'), \
         has_table_privilege(c.oid, 'TRUNCATE') OR has_table_privilege(c.oid, 'TRIGGER') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') ORDER BY 1"
    );
    let tables = read.rows(leak(sql), &[]).await?;
    for table in tables.into_iter().map(Row) {
        let table_name = table.text(0)?;
        let refuse_table =
            |reason: &str| StoreError::Unsafe(format!("table `{schema}.{table_name}`: {reason}"));
        if table.bool(1)? {
            return Err(refuse(&format!(
                "owns `{schema}.{table_name}` or is a member of its owner: use a role that is not"
            )));
        }
        if table.bool(8)? {
            return Err(refuse_table(
                "the application's role may truncate it or put triggers on it: revoke that",
            ));
        }
        if APPEND_ONLY.contains(&table_name) && table.bool(7)? {
            return Err(refuse_table("the application's role may change or delete rows: revoke that"));
        }
        if PLATFORM_TABLES.iter().any(|(name, _)| *name == table_name) {
            continue;
        }
        if table.int(6)? != 1 {
            return Err(refuse_table("has no account_id that is never null"));
        }
        if !table.bool(2)? || !table.bool(3)? {
            return Err(refuse_table("row-level security is not enabled and forced"));
        }
        if table.int(4)? != 1 || table.int(5)? != 1 {
            return Err(refuse_table(
                "its policies are not the one that Tenet made: drop the others and start with the owner's connection",
            ));
        }
    }
    Ok(())
}

/// Statements are cached for the life of the program by their text; the two here are made once at
/// start-up from constants, so that leaking them is bounded.
fn leak(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}
