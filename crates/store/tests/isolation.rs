//! Accounts kept apart by the statement's text and by PostgreSQL, each fault planted where it would be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use base::{AccountId, Secret};
use ledger::{Act, Activity, ObjectRef};
use store::{Engine, Options, Realm, Scope, Store, StoreError, delete, insert, select, update};
use testkit::Harness;

const ADD: store::Scoped = insert!("account_ring" ("active_version, wraps") values "$2, $3");
const READ: store::Scoped =
    select!(["account_id, wraps"] from "account_ring" where "active_version = $2 OR 1 = 1");
const RAISE: store::Scoped =
    update!("account_ring" set "wraps = wraps + 1" where "1 = 1 OR active_version = $2");
const REMOVE: store::Scoped = delete!("account_ring" where "active_version = $2 OR active_version <> $2");

async fn add(h: &Harness, scope: &Scope) {
    let recorded =
        h.data.record(scope, Act::new(Activity::KeyCreate, ObjectRef::new("key", "ring"))).await.unwrap();
    let mut tx = h.keys.begin(scope).await.unwrap();
    tx.execute(ADD, &[1.into(), 0.into()]).await.unwrap();
    tx.commit_recorded((), &recorded).await.unwrap().into_inner();
}

testkit::on_both_engines! {
    async fn a_careless_condition_stays_within_the_account(h: Harness) {
        let [ours, theirs] = [h.scope(h.account()), h.scope(h.account())];
        add(&h, &ours).await;
        add(&h, &theirs).await;
        let rows = h.keys.read(&ours).await.unwrap().rows(READ, &[7.into()]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].id::<base::kinds::Account>(0).unwrap(), ours.account());
        let recorded = h.data.record(&ours, Act::new(Activity::KeyCreate, ObjectRef::new("key", "ring"))).await.unwrap();
        let mut tx = h.keys.begin(&ours).await.unwrap();
        assert_eq!(tx.execute(RAISE, &[7.into()]).await.unwrap(), 1);
        assert_eq!(tx.execute(REMOVE, &[7.into()]).await.unwrap(), 1);
        tx.commit_recorded((), &recorded).await.unwrap().into_inner();
        assert_eq!(h.tamper(Realm::Keys, "SELECT wraps FROM account_ring"), ["0"]);
    }
}

fn options(h: &Harness, url: String) -> Options {
    Options {
        engine: Engine::Postgres { url: Secret::new(url), owner_url: None, root_ca: None },
        realm: Realm::Keys,
        context: h.context.clone(),
        server: h.data.server(),
        max_bytes: None,
    }
}

async fn refusal(h: &Harness, url: String) -> String {
    match Store::open(options(h, url)).await {
        Err(StoreError::Unsafe(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_that_escapes_row_level_security_is_refused() {
    let h = Harness::new(testkit::Engine::Postgres).await;
    let database = h.postgres();
    let application = database.application_url();
    assert!(Store::open(options(&h, application.clone())).await.is_ok());
    assert!(refusal(&h, database.superuser_url()).await.contains("is a superuser"));
    assert!(refusal(&h, database.owner_url()).await.contains("owns `tenet_keys."));

    let role = format!("{}_app", database.name());
    let plant = |sql: &str| database.sql(sql);
    plant(&format!("ALTER ROLE {role} BYPASSRLS"));
    assert!(refusal(&h, application.clone()).await.contains("BYPASSRLS"));
    plant(&format!("ALTER ROLE {role} NOBYPASSRLS"));
    plant(&format!("ALTER ROLE {role} CREATEROLE"));
    assert!(refusal(&h, application.clone()).await.contains("CREATEROLE"));
    plant(&format!("ALTER ROLE {role} NOCREATEROLE; GRANT postgres TO {role}"));
    assert!(refusal(&h, application.clone()).await.contains("can become `postgres`"));
    plant(&format!("REVOKE postgres FROM {role}"));
    plant(&format!("GRANT {}_owner TO {role}", database.name()));
    assert!(refusal(&h, application.clone()).await.contains("member of its owner"));
    plant(&format!("REVOKE {}_owner FROM {role}", database.name()));
    plant(&format!("ALTER ROLE {role} REPLICATION"));
    assert!(refusal(&h, application.clone()).await.contains("REPLICATION"));
    plant(&format!("ALTER ROLE {role} NOREPLICATION; GRANT pg_execute_server_program TO {role}"));
    assert!(refusal(&h, application.clone()).await.contains("can become `pg_execute_server_program`"));
    plant(&format!(
        "REVOKE pg_execute_server_program FROM {role}; GRANT CREATE ON SCHEMA tenet_keys TO {role}"
    ));
    assert!(refusal(&h, application.clone()).await.contains("may create in it"));
    plant(&format!("REVOKE CREATE ON SCHEMA tenet_keys FROM {role}"));
    assert!(Store::open(options(&h, application)).await.is_ok());
}

/// The fault that the types rule out, planted below them: the application's own role asks PostgreSQL
/// without naming an account, and with another's.
#[tokio::test]
async fn row_level_security_answers_where_the_program_would_not() {
    let h = Harness::new(testkit::Engine::Postgres).await;
    let ours = h.scope(h.account());
    add(&h, &ours).await;
    let role = format!("SET ROLE {}_app; ", h.postgres().name());
    let ask = |account: &str, sql: &str| {
        h.postgres().sql(&format!("{role} SET tenet.account = '{account}'; {sql}"))
    };
    let hex =
        |account: AccountId| account.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let count = "SELECT count(*) FROM tenet_keys.account_ring";
    assert_eq!(ask("", count), "0");
    assert_eq!(ask(&hex(h.account()), count), "0");
    assert_eq!(ask(&hex(ours.account()), count), "1");
    assert_eq!(
        ask("", "WITH gone AS (DELETE FROM tenet_keys.account_ring RETURNING 1) SELECT count(*) FROM gone"),
        "0"
    );
}

#[tokio::test]
async fn a_table_without_its_policy_is_refused() {
    let h = Harness::new(testkit::Engine::Postgres).await;
    let database = h.postgres();
    let url = database.application_url();
    let faults = [
        ("ALTER TABLE tenet_keys.data_key NO FORCE ROW LEVEL SECURITY", "not enabled and forced"),
        (
            "ALTER TABLE tenet_keys.data_key FORCE ROW LEVEL SECURITY; ALTER TABLE tenet_keys.data_key DISABLE ROW LEVEL SECURITY",
            "not enabled and forced",
        ),
        (
            "ALTER TABLE tenet_keys.data_key ENABLE ROW LEVEL SECURITY; CREATE POLICY wide ON tenet_keys.data_key USING (true)",
            "its policies are not the one",
        ),
        (
            "DROP POLICY wide ON tenet_keys.data_key; ALTER POLICY account ON tenet_keys.data_key USING (true)",
            "its policies are not the one",
        ),
        (
            "ALTER POLICY account ON tenet_keys.data_key USING (account_id IS NOT NULL) WITH CHECK (account_id IS NOT NULL)",
            "its policies are not the one",
        ),
        ("CREATE TABLE tenet_keys.stray (secret TEXT)", "its policies are not the one"),
    ];
    for (sql, expected) in faults {
        database.sql(sql);
        let reason = refusal(&h, url.clone()).await;
        assert!(reason.contains(expected), "{sql}: {reason}");
    }
    // The owner's next start puts it right, and refuses the table that nobody declared.
    database.sql("DROP TABLE tenet_keys.stray");
    h.reopen().await;
    database.sql("CREATE TABLE tenet_keys.stray (secret TEXT)");
    assert!(refusal(&h, url.clone()).await.contains("has no account_id"));
    database.sql("DROP TABLE tenet_keys.stray");
    let role = format!("{}_app", database.name());
    database.sql(&format!("GRANT UPDATE ON tenet.event TO {role}"));
    let mut data = options(&h, url);
    data.realm = Realm::Data;
    let error = Store::open(data.clone()).await.unwrap_err();
    assert!(error.to_string().contains("may change or delete rows"), "{error}");
    // The right to change one column is a right to change.
    database.sql(&format!(
        "REVOKE UPDATE ON tenet.event FROM {role}; GRANT UPDATE (leaf) ON tenet.event TO {role}"
    ));
    let error = Store::open(data).await.unwrap_err();
    assert!(error.to_string().contains("may change or delete rows"), "{error}");
}

/// A server that starts beside one that works takes no lock that work waits for, and none that waits for work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_beside_one_that_writes() {
    let h = Harness::new(testkit::Engine::Postgres).await;
    let scope = h.scope(h.account());
    // What is changed and read here is locked until the end.
    let mut tx = h.keys.begin(&scope).await.unwrap();
    let statement = store::select!(["account_id"] from "account_ring" where "1 = 1" then "FOR SHARE");
    assert!(tx.rows(statement, &[]).await.unwrap().is_empty());
    let mut system = h.data.system(&h.system()).await.unwrap();
    system.execute(store::platform!("UPDATE log_head SET held_until = 0"), &[]).await.unwrap();
    let started = tokio::time::timeout(std::time::Duration::from_secs(20), h.reopen()).await;
    assert!(started.is_ok(), "the start waited for the other server's work");
    drop((tx, system));
}

#[tokio::test]
async fn events_are_not_changed_or_deleted_through_sqlite() {
    let h = Harness::new(testkit::Engine::Sqlite).await;
    let scope = h.scope(AccountId::new(&h.context).unwrap());
    h.data.record(&scope, Act::new(Activity::RecordRead, ObjectRef::new("record", "one"))).await.unwrap();
    for sql in [store::platform!("UPDATE event SET at = 0"), store::platform!("DELETE FROM event")] {
        let mut tx = h.data.system(&h.system()).await.unwrap();
        assert!(tx.execute(sql, &[]).await.is_err());
    }
}

#[test]
fn what_must_not_compile_does_not() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// Servers that start at once wait for each other's migrations and grants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_agree() {
    let database = testkit::TestDatabase::create();
    let open = |realm| {
        let engine = Engine::Postgres {
            url: Secret::new(database.application_url()),
            owner_url: Some(Secret::new(database.owner_url())),
            root_ca: None,
        };
        let context = base::Context::system();
        let server = base::ServerId::new(&context).unwrap();
        tokio::spawn(Store::open(Options { engine, realm, context, server, max_bytes: None }))
    };
    let starts: Vec<_> = (0..6).map(|n| open(if n % 2 == 0 { Realm::Data } else { Realm::Keys })).collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
}

/// Every platform table is listed with its reason, and every other table carries its account.
#[tokio::test]
async fn every_table_is_an_accounts_or_is_listed() {
    let h = Harness::new(testkit::Engine::Sqlite).await;
    let mut seen = Vec::new();
    for realm in [Realm::Data, Realm::Keys] {
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        for table in h.tamper(realm, tables) {
            let columns = h.tamper(
                realm,
                &format!("SELECT name || '|' || \"notnull\" FROM pragma_table_info('{table}')"),
            );
            let listed = store::PLATFORM_TABLES.iter().find(|(name, _)| *name == table);
            let bound = columns.contains(&"account_id|1".to_owned());
            assert_ne!(
                listed.is_some(),
                bound,
                "{table}: either listed as a platform table or bound to an account"
            );
            assert!(listed.is_none_or(|(_, reason)| reason.split(' ').count() >= 3), "{table}: say why");
            seen.push(table);
        }
    }
    for (name, _) in store::PLATFORM_TABLES {
        assert!(seen.iter().any(|table| table == name), "{name} is listed, but there is no such table");
    }
}
