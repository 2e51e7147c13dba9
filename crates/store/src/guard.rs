//! PostgreSQL's part in keeping customers apart: forced row-level security under a role that neither
//! owns the tables nor bypasses it. [`protect`] sets it up as the owner; [`check`] looks at the
//! catalogue as the application's role at each start, and the server does not start if it is wrong.

use crate::{
    Realm, Row, StoreError,
    engine::{Database, Read, postgres::Postgres},
};

/// Tables without an account's predicate, and why each is one. Every other table is an account's.
pub const PLATFORM_TABLES: &[(&str, &str)] = &[
    ("migration", "which migrations were applied"),
    ("event", "the log spans accounts; leaves hold no personal data"),
    ("outbox", "events that are not in the log yet"),
    ("outbox_refused", "events that no server recorded, taken out of the outbox"),
    ("log_entry", "the log's order"),
    ("log_tile", "the log's hashes"),
    ("log_head", "the log's checkpoint"),
    ("log_witnessed", "checkpoints that witnesses cosigned"),
    ("log_segment", "the index of the log, which spans accounts"),
    ("log_segment_page", "the index of the log, which spans accounts"),
    ("log_indexed", "how much of the log is indexed"),
    ("review", "privileged acts belong to no account"),
    ("policy_content", "the organisation's policy belongs to no account"),
    ("observation", "what is observed of the policy belongs to no account"),
    ("open_finding", "what is observed of the policy belongs to no account"),
    ("log_reader", "the log spans accounts"),
    ("alarm", "alarms are the platform's: they name what is wrong, and no customer's data"),
    ("alarm_delivery", "alarms are the platform's"),
    ("job", "a job runner leases across accounts, then acts in the lease's scope"),
    ("server", "which servers run"),
    ("account", "authentication finds the account here, before there is a scope"),
    ("client", "authentication finds the client, and so its account, before there is a scope"),
    (
        "operator",
        "operators belong to no account; of a customer's administrator, authentication finds the account here",
    ),
    ("enrolment_link", "who enrols belongs to no account"),
    ("passkey", "proofs of people, read before anybody is known"),
    ("password", "proofs of people, read before anybody is known"),
    ("identity", "proofs of people, read before anybody is known"),
    ("console_session", "sessions of people, read before anybody is known"),
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

/// Every right that PostgreSQL 15 has on a table.
const RIGHTS: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

/// Roles that read or write what they like, past every table's own rules.
const PREDEFINED: &str = "'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', \
    'pg_read_all_data', 'pg_write_all_data'";

/// The rights that the application has on a table.
fn rights(table: &str) -> &'static [&'static str] {
    match table {
        name if APPEND_ONLY.contains(&name) => &["SELECT", "INSERT"],
        name if READ_ONLY.contains(&name) => &["SELECT"],
        _ => &["SELECT", "INSERT", "UPDATE", "DELETE"],
    }
}

fn is_platform(table: &str) -> bool {
    PLATFORM_TABLES.iter().any(|(name, _)| *name == table)
}

/// A condition on `pg_class c`: its policies are exactly the one that [`protect`] makes, enabled and forced.
fn policy_is_ours() -> String {
    "(c.relrowsecurity AND c.relforcerowsecurity \
     AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) = 1 \
     AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'account' AND p.polpermissive \
        AND p.polcmd = '*' AND p.polroles = '{0}' \
        AND pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid) \
        AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '[\\s()]|::text|AS decode', '', 'g') = \
            'account_id=SELECTdecodeNULLIFcurrent_setting''tenet.account'',true,'''',''hex''') = 1)"
        .to_owned()
}

/// Forces row-level security on each account's table, and grants the application's role what it needs.
/// `locked` begins a transaction that waits for other servers doing the same.
///
/// A table that is as it should be is left alone, and each of the others is changed in a transaction of its
/// own: the change locks the table against everybody, so that several at once, while another server works,
/// would be a deadlock waiting to happen.
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
    let granted = RIGHTS.map(|right| {
        format!(
            "CASE WHEN has_table_privilege('{application}', c.oid, '{right}') THEN '{right} ' ELSE '' END"
        )
    });
    let sql = format!(
        "SELECT c.relname::text, {}, {}, has_schema_privilege('{application}', n.oid, 'USAGE'), \
         has_any_column_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') ORDER BY 1",
        policy_is_ours(),
        granted.join(" || ")
    );
    let mut read = owner.begin(None, true).await?;
    let tables = read.rows(leak(sql), &[]).await?;
    drop(read);
    let mut enters = true;
    for table in tables.into_iter().map(Row) {
        let name = table.text(0)?;
        enters &= table.bool(3)?;
        let wanted: String = rights(name).iter().map(|right| format!("{right} ")).collect();
        let protected = (is_platform(name) || table.bool(1)?) && !table.bool(4)?;
        if protected && table.text(2)? == wanted {
            continue;
        }
        owner.batch(&protection(schema, name, application, locked)).await?;
    }
    if !enters {
        owner
            .batch(&format!("{locked}; GRANT USAGE ON SCHEMA {schema} TO \"{application}\"; COMMIT"))
            .await?;
    }
    Ok(())
}

/// What makes one table as it should be.
fn protection(schema: &str, table: &str, application: &str, locked: &str) -> String {
    let rights = rights(table).join(", ");
    let mut sql = format!(
        "{locked}; REVOKE ALL ON {schema}.{table} FROM \"{application}\", PUBLIC;\
         GRANT {rights} ON {schema}.{table} TO \"{application}\";"
    );
    if !is_platform(table) {
        sql.push_str(&format!(
            "ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY;\
             ALTER TABLE {schema}.{table} FORCE ROW LEVEL SECURITY;\
             DROP POLICY IF EXISTS account ON {schema}.{table};\
             CREATE POLICY account ON {schema}.{table} USING ({PREDICATE}) WITH CHECK ({PREDICATE});"
        ));
    }
    sql.push_str("COMMIT");
    sql
}

/// Refuses to go on unless the role in use can't get round row-level security, and every account's
/// table has it, forced, with the one expected policy.
pub(crate) async fn check(realm: Realm, database: &Database) -> Result<(), StoreError> {
    let mut read = database.read(None).await?;
    let name = check_role(&mut read).await?;
    let schema = realm.schema();
    let sql = format!(
        "SELECT c.relname::text, pg_has_role(current_user, c.relowner, 'MEMBER'), c.relrowsecurity AND c.relforcerowsecurity, \
         {}, \
         (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id' AND a.attnotnull), \
         has_any_column_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'), \
         has_table_privilege(c.oid, 'TRUNCATE') OR has_table_privilege(c.oid, 'TRIGGER') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') ORDER BY 1",
        policy_is_ours()
    );
    let tables = read.rows(leak(sql), &[]).await?;
    for table in tables.into_iter().map(Row) {
        let table_name = table.text(0)?;
        let refuse =
            |reason: &str| Err(StoreError::Unsafe(format!("table `{schema}.{table_name}`: {reason}")));
        if table.bool(1)? {
            return Err(StoreError::Unsafe(format!(
                "database.url: the role `{name}` owns `{schema}.{table_name}` or is a member of its owner: use a role that is not"
            )));
        }
        if table.bool(6)? {
            return refuse("the application's role may truncate it or put triggers on it: revoke that");
        }
        if APPEND_ONLY.contains(&table_name) && table.bool(5)? {
            return refuse("the application's role may change or delete rows: revoke that");
        }
        if is_platform(table_name) {
            continue;
        }
        if table.int(4)? != 1 {
            return refuse("has no account_id that is never null");
        }
        if !table.bool(2)? {
            return refuse("row-level security is not enabled and forced");
        }
        if !table.bool(3)? {
            return refuse(
                "its policies are not the one that Tenet made: drop the others and start with the owner's connection",
            );
        }
    }
    check_schema(realm, &mut read, &name).await
}

/// Refuses a role that may drop what row-level security stands on.
async fn check_schema(realm: Realm, read: &mut Read, name: &str) -> Result<(), StoreError> {
    let schema = realm.schema();
    let owns = format!(
        "SELECT pg_has_role(current_user, n.nspowner, 'MEMBER') OR has_schema_privilege(n.oid, 'CREATE') \
         FROM pg_namespace n WHERE n.nspname = '{schema}'"
    );
    if let Some(row) = read.rows(leak(owns), &[]).await?.into_iter().next()
        && Row(row).bool(0)?
    {
        return Err(StoreError::Unsafe(format!(
            "database.url: the role `{name}` owns the schema `{schema}`, or may create in it: give it to another role, and revoke that"
        )));
    }
    Ok(())
}

/// Refuses a role that escapes row-level security by what it is or what it can become; its name otherwise.
async fn check_role(read: &mut Read) -> Result<String, StoreError> {
    let role = read
        .rows(
            "SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication FROM pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    let role = Row(role.into_iter().next().ok_or(StoreError::Shape("the role in use"))?);
    let name = role.text(0)?.to_owned();
    let refuse = |reason: &str| Err(StoreError::Unsafe(format!("database.url: the role `{name}` {reason}")));
    if role.bool(1)? {
        return refuse("is a superuser, and so escapes row-level security: use a role of its own");
    }
    if role.bool(2)? {
        return refuse("has BYPASSRLS: take it away with ALTER ROLE .. NOBYPASSRLS");
    }
    if role.bool(3)? {
        return refuse("has CREATEROLE, and so can make roles that escape: take it away");
    }
    if role.bool(4)? {
        return refuse("has REPLICATION, and so can copy every account's rows: take it away");
    }
    let others = format!(
        "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname <> current_user \
         AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication OR r.rolname IN ({PREDEFINED})) \
         AND pg_has_role(current_user, r.oid, 'MEMBER')"
    );
    if let Some(other) = read.rows(leak(others), &[]).await?.into_iter().next() {
        let other = Row(other);
        return refuse(&format!(
            "can become `{}`, which escapes row-level security: revoke that",
            other.text(0)?
        ));
    }
    Ok(name)
}

/// Statements are cached for the life of the program by their text; those here are made once at
/// start-up from constants, so that leaking them is bounded.
fn leak(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}
