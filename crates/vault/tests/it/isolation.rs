//! The walls between accounts (CD-8): another account's things are not there, and what is carried
//! over behind our back does not open.

use std::collections::BTreeMap;

use base::{Fault as _, HoldId, Kind, ObjectId, RecordId, RepositoryId};
use bytes::Bytes;
use serde_json::json;
use store::Realm;
use vault::{
    BatchOperation, HoldTarget, IdempotencyKey, NewObject, NewRecord, RepositoryChange, SearchRecords,
    Target, VaultError,
};

use crate::support::{World, code, hex, kept, person, said};

const NEW: NewRecord<'static> = NewRecord { body: b"{}", classification: None };

fn content(text: &'static str) -> futures::stream::Iter<std::vec::IntoIter<Result<Bytes, std::io::Error>>> {
    futures::stream::iter(vec![Ok(Bytes::from_static(text.as_bytes()))])
}

/// Declares the members of a repository in a schema.
fn schema_of(kind: &str) -> vault::NewRepository {
    let schema = json!({"properties": {"a": {"type": kind}}});
    vault::NewRepository { name: kind.into(), schema: Some(schema), ..kept(365, vault::Basis::Business) }
}

/// Notes whose account its jobs are run for.
struct Probe(std::sync::Arc<std::sync::Mutex<Vec<Option<base::AccountId>>>>);

impl store::JobHandler for Probe {
    fn kind(&self) -> &'static str {
        "probe"
    }
    fn run<'a>(&'a self, lease: &'a store::Lease) -> store::JobFuture<'a> {
        self.0.lock().unwrap().push(lease.scope().map(store::Scope::account));
        Box::pin(async { Ok(store::Next::Done) })
    }
}

/// Another account's ids cost what absent ones cost: the same statements in the same order.
async fn foreign_and_absent_cost_the_same(engine: testkit::Engine) {
    let w = World::new(testkit::Harness::new(engine).await).await;
    let repo = w.repository_with(kept(365, vault::Basis::Business)).await;
    let record = w.put(repo.id, person(1)).await;
    let new = NewObject { name: "n", content_type: "text/plain", classification: None, length: Some(5) };
    let object = w.vault.object_put(&w.scope, repo.id, new, content("hello"), &w.decided).await.unwrap().id;
    let target = HoldTarget::Repository(repo.id);
    let hold = w.vault.hold_set(&w.scope, target, said("why"), &w.decided).await.unwrap().id;
    let other = w.other_account().await;
    let c = &w.h.context;
    let statements = crate::trace::Statements::default();
    let _tracing = tracing::subscriber::set_default(statements.clone());
    let mut traces = Vec::new();
    for foreign in [true, false] {
        let ids = if foreign {
            (repo.id, record, object, hold)
        } else {
            let (repository, record) = (RepositoryId::new(c).unwrap(), RecordId::new(c).unwrap());
            (repository, record, ObjectId::new(c).unwrap(), HoldId::new(c).unwrap())
        };
        // What the first of both finds cold, such as keys to be unwrapped, is warm for both.
        outcomes(&w, &other, ids.0, ids.1, ids.2, ids.3).await;
        let _ = statements.take();
        outcomes(&w, &other, ids.0, ids.1, ids.2, ids.3).await;
        traces.push(statements.take());
    }
    assert!(traces[0].len() > 50, "{} statements", traces[0].len());
    assert_eq!(traces[0], traces[1]);
}

#[tokio::test]
async fn foreign_and_absent_ids_run_the_same_statements_sqlite() {
    foreign_and_absent_cost_the_same(testkit::Engine::Sqlite).await;
}

#[tokio::test]
async fn foreign_and_absent_ids_run_the_same_statements_postgres() {
    foreign_and_absent_cost_the_same(testkit::Engine::Postgres).await;
}

/// What every operation says of these ids, in words; all of them must be "there is no such ..".
async fn outcomes(
    w: &World,
    scope: &store::Scope,
    repo: RepositoryId,
    record: RecordId,
    object: ObjectId,
    hold: HoldId,
) -> Vec<(&'static str, VaultError)> {
    let (v, d, at) = (&w.vault, &w.decided, (repo, record));
    let (rec, obj) = (Target::Record(repo, record), Target::Object(repo, object));
    let equals = BTreeMap::from([("email".to_owned(), json!("p1@example.com"))]);
    let search = SearchRecords { repository: repo, equals: &equals, limit: 10, cursor: None, bodies: true };
    let new_object = NewObject { name: "n", content_type: "text/plain", classification: None, length: None };
    let batch = [BatchOperation::Replace(record, NEW, None)];
    let name = RepositoryChange { name: Some("stolen".into()), ..RepositoryChange::default() };
    vec![
        ("repository get", v.repository_get(scope, repo, d).await.err().unwrap()),
        ("repository update", v.repository_update(scope, repo, name, None, d).await.err().unwrap()),
        ("create", v.record_create(scope, repo, NEW, None, d).await.err().unwrap()),
        ("get", v.record_get(scope, at, None, d).await.err().unwrap()),
        ("get version", v.record_get(scope, at, Some(1), d).await.err().unwrap()),
        ("replace", v.record_replace(scope, at, NEW, None, None, d).await.err().unwrap()),
        ("patch", v.record_patch(scope, at, NEW, None, None, d).await.err().unwrap()),
        ("versions", v.record_versions(scope, at, None, 10, d).await.err().unwrap()),
        ("batch", v.record_batch(scope, repo, &batch, None, d).await.err().unwrap()),
        ("list", v.record_list(scope, w.list(repo, 10, None), d).await.err().unwrap()),
        ("search", v.record_search(scope, search, d).await.err().unwrap()),
        ("delete", v.delete(scope, rec, None, None, d).await.err().unwrap()),
        ("restore", v.restore(scope, rec, None, None, d).await.err().unwrap()),
        ("erase", v.erase(scope, rec, None, d).await.err().unwrap()),
        ("explain", v.explain(scope, rec, d).await.err().unwrap()),
        ("certificate", v.certificate_of(scope, rec, d).await.err().unwrap()),
        ("hold set", v.hold_set(scope, HoldTarget::One(rec), said("why"), d).await.err().unwrap()),
        ("hold all", v.hold_set(scope, HoldTarget::Repository(repo), said("why"), d).await.err().unwrap()),
        ("hold lift", v.hold_lift(scope, hold, said("why"), d).await.err().unwrap()),
        ("holds", v.hold_list(scope, repo, None, 10, d).await.err().unwrap()),
        ("object put", v.object_put(scope, repo, new_object, content("x"), d).await.err().unwrap()),
        ("object get", v.object_get(scope, (repo, object), None, d).await.err().unwrap()),
        ("object head", v.object_head(scope, (repo, object), d).await.err().unwrap()),
        ("objects", v.object_list(scope, repo, (10, None, false), d).await.err().unwrap()),
        ("object delete", v.delete(scope, obj, None, None, d).await.err().unwrap()),
        ("object erase", v.erase(scope, obj, None, d).await.err().unwrap()),
        ("object explain", v.explain(scope, obj, d).await.err().unwrap()),
    ]
}

testkit::on_both_engines! {
    async fn what_is_anothers_is_as_what_is_not_there(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(365, vault::Basis::Business)).await;
        let record = w.put(repo.id, person(1)).await;
        let new = NewObject { name: "n", content_type: "text/plain", classification: None, length: Some(5) };
        let object = w.vault.object_put(&w.scope, repo.id, new, content("hello"), &w.decided).await.unwrap().id;
        let hold = w.vault.hold_set(&w.scope, HoldTarget::Repository(repo.id), said("why"), &w.decided).await.unwrap().id;
        let other = w.other_account().await;
        let foreign = outcomes(&w, &other, repo.id, record, object, hold).await;
        let c = &w.h.context;
        let absent = outcomes(
            &w, &other, RepositoryId::new(c).unwrap(), RecordId::new(c).unwrap(), ObjectId::new(c).unwrap(), HoldId::new(c).unwrap(),
        ).await;
        for ((name, foreign), (_, absent)) in foreign.iter().zip(&absent) {
            assert_eq!(foreign.kind(), Kind::NotFound, "{name}: {foreign}");
            assert_eq!((foreign.to_string(), foreign.code(), foreign.clause()), (absent.to_string(), absent.code(), absent.clause()), "{name}");
        }
        // Each refusal is an event.
        assert!(w.events("record.read", "not-found") >= 4);
        // The owner's things are as they were.
        assert_eq!(w.get(repo.id, record).await.unwrap(), person(1));
        // A record of the account, looked for in another repository of it, is not there either.
        let second = w.repository("second", "confidential").await;
        assert_eq!(code(&w.get(second.id, record).await.unwrap_err()), "not-found");
    }

    async fn a_declaration_in_memory_serves_its_own_account_alone(h: Harness) {
        let w = World::new(h).await;
        let mine = w.repository_with(schema_of("integer")).await;
        let other = w.other_account().await;
        let theirs = w.vault.repository_create(&other, schema_of("string"), &w.decided).await.unwrap().id;
        // The same id in both accounts.
        w.h.tamper(Realm::Data, &format!(
            "UPDATE repository SET id = x'{}' WHERE account_id = x'{}' AND id = x'{}'",
            hex(mine.id.as_bytes()), hex(other.account().as_bytes()), hex(theirs.as_bytes())
        ));
        let create = async |scope: &store::Scope, body: &[u8]| {
            let new = NewRecord { body, classification: None };
            w.vault.record_create(scope, mine.id, new, None, &w.decided).await.map(store::Committed::into_inner)
        };
        let (number, text) = (br#"{"a": 1}"#.as_slice(), br#"{"a": "x"}"#.as_slice());
        for _ in 0..3 {
            assert!(create(&w.scope, number).await.is_ok() && create(&other, text).await.is_ok());
            for refused in [create(&w.scope, text).await, create(&other, number).await] {
                assert_eq!(code(&refused.unwrap_err()), "schema-mismatch");
            }
        }
    }

    async fn a_jobs_scope_is_the_account_that_asked_for_it(h: Harness) {
        let w = World::new(h).await;
        let other = w.other_account().await;
        let seen = std::sync::Arc::default();
        let runner = store::JobRunner::new(w.h.data.clone(), vec![Box::new(Probe(std::sync::Arc::clone(&seen)))]);
        for scope in [&w.scope, &other] {
            let mut tx = w.h.data.begin(scope).await.unwrap();
            let (payload, run_at) = ("{}".to_owned(), w.h.context.now());
            let job = store::NewJob { kind: "probe", payload, run_at, dedupe: None, max_attempts: 1 };
            tx.enqueue(job).await.unwrap();
            let act = ledger::Act::new(ledger::Activity::RetentionAct, ledger::ObjectRef::new("job", "probe"));
            tx.commit((), act).await.unwrap().into_inner();
            runner.run_due().await.unwrap();
        }
        assert_eq!(*seen.lock().unwrap(), [Some(w.account), Some(other.account())]);
        // So what the schedule erases, it erases where it is, and certifies there.
        let mut expected = Vec::new();
        for (name, scope) in [("a", &w.scope), ("b", &other)] {
            let new = vault::NewRepository { name: name.into(), ..kept(1, vault::Basis::Business) };
            let repo = w.vault.repository_create(scope, new, &w.decided).await.unwrap().id;
            let record = w.vault.record_create(scope, repo, NEW, None, &w.decided).await.unwrap().id;
            expected.push(format!("{}|{}", hex(scope.account().as_bytes()), hex(record.as_bytes())));
        }
        w.pass_days(2);
        w.runner.run_due().await.unwrap();
        let mut certified = w.h.tamper(Realm::Data, "SELECT account_id, object_id FROM deletion_certificate");
        certified.sort();
        expected.sort();
        assert_eq!(certified, expected);
    }

    async fn a_cursor_is_for_its_own_listing_alone(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(365, vault::Basis::Business)).await;
        let second = w.repository("second", "confidential").await;
        for n in 0..3 {
            let _ = w.put(repo.id, person(n)).await;
            let _ = w.put(second.id, person(n)).await;
        }
        let page = w.vault.record_list(&w.scope, w.list(repo.id, 2, None), &w.decided).await.unwrap();
        let cursor = page.next.unwrap();
        let list = |list| w.vault.record_list(&w.scope, list, &w.decided);
        assert_eq!(list(w.list(repo.id, 2, Some(&cursor))).await.unwrap().records.len(), 1);
        let mut with_deleted = w.list(repo.id, 2, Some(&cursor));
        with_deleted.deleted = true;
        let mut bent = cursor.clone().into_bytes();
        bent[5] = if bent[5] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        for wrong in [w.list(second.id, 2, Some(&cursor)), with_deleted, w.list(repo.id, 2, Some(&bent)), w.list(repo.id, 2, Some(""))] {
            let error = list(wrong).await.unwrap_err();
            assert_eq!((code(&error), error.clause()), ("invalid-cursor", Some("CD-8")));
        }
        let equals = BTreeMap::from([("email".to_owned(), json!("p1@example.com"))]);
        let search = SearchRecords { repository: repo.id, equals: &equals, limit: 2, cursor: Some(&cursor), bodies: false };
        assert_eq!(code(&w.vault.record_search(&w.scope, search, &w.decided).await.unwrap_err()), "invalid-cursor");
        // Another account's listing of repositories, with this account's cursor.
        let mine = w.vault.repository_list(&w.scope, 1, None, i64::MAX, &w.decided).await.unwrap().next.unwrap();
        let other = w.other_account().await;
        let error = w.vault.repository_list(&other, 1, Some(&mine), i64::MAX, &w.decided).await.unwrap_err();
        assert_eq!(code(&error), "invalid-cursor");
    }

    async fn an_idempotency_key_is_for_its_own_account_alone(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let once = Some(IdempotencyKey { key: "k", route: "POST", body: b"{}" });
        let first = w.vault.record_create(&w.scope, repo.id, NEW, once, &w.decided).await.unwrap().id;
        // The same client id in another account: as near as a forger could come.
        let account = w.h.account();
        let _ = w.keys.create_account(&w.h.system(), account).await.unwrap();
        let forged = w.h.mint.scope(account, w.scope.origin().clone(), w.scope.now());
        let error = w.vault.record_create(&forged, repo.id, NEW, once, &w.decided).await.unwrap_err();
        assert_eq!(code(&error), "not-found");
        // The row itself, carried over.
        w.h.tamper(Realm::Data, &format!(
            "INSERT INTO idempotency SELECT x'{}', digest, fingerprint, response, expires_at FROM idempotency",
            hex(account.as_bytes())
        ));
        let error = w.vault.record_create(&forged, repo.id, NEW, once, &w.decided).await.unwrap_err();
        assert_eq!(code(&error), "not-found");
        assert_eq!(w.events("idempotency.replay", &first.to_string()), 0);
    }

    async fn rows_copied_to_another_account_do_not_open(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let record = w.put(repo.id, json!({"a": 1})).await;
        let new = NewObject { name: "n", content_type: "text/plain", classification: None, length: None };
        let object = w.vault.object_put(&w.scope, repo.id, new, content("hello"), &w.decided).await.unwrap().id;
        let other = w.other_account().await;
        let theirs = hex(other.account().as_bytes());
        for (table, columns) in [
            ("repository", "id, name, classification, declaration, revision, holds, created_at, updated_at"),
            ("record", "repository_id, id, classification, key_id, version, created_at, updated_at, deleted_at, erasing_at, holds, bytes, commitment, terms, sealed"),
            ("object", "repository_id, id, classification, key_id, created_at, deleted_at, erasing_at, holds, bytes, commitment, blob, sealed"),
        ] {
            w.h.tamper(Realm::Data, &format!("INSERT INTO {table} (account_id, {columns}) SELECT x'{theirs}', {columns} FROM {table}"));
        }
        let get = || w.get_as(&other, repo.id, record);
        assert_eq!(code(&get().await.unwrap_err()), "stored-data-damaged", "their account has no such key");
        let read = w.vault.object_get(&other, (repo.id, object), None, &w.decided).await.unwrap_err();
        assert_eq!(code(&read), "stored-data-damaged");
        // With the wrapped key carried over too, it does not unwrap.
        let columns = w.h.tamper(Realm::Keys, match w.h.engine() {
            testkit::Engine::Sqlite => "SELECT group_concat(name, ', ') FROM pragma_table_info('data_key') WHERE name <> 'account_id'",
            testkit::Engine::Postgres => "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_schema = 'tenet_keys' AND table_name = 'data_key' AND column_name <> 'account_id'",
        });
        let columns = &columns[0];
        w.h.tamper(Realm::Keys, &format!(
            "INSERT INTO data_key (account_id, {columns}) SELECT x'{theirs}', {columns} FROM data_key WHERE account_id = x'{}'",
            hex(w.account.as_bytes())
        ));
        assert_eq!(get().await.unwrap_err().kind(), Kind::Internal);
        assert!(w.vault.object_get(&other, (repo.id, object), None, &w.decided).await.is_err());
        assert!(w.events("integrity.violation", &record.to_string()) >= 2);
        assert_eq!(w.get(repo.id, record).await.unwrap(), json!({"a": 1}));
    }

    async fn a_blob_path_leads_nowhere_from_another_account(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("mine", "internal").await;
        let new = NewObject { name: "n", content_type: "text/plain", classification: None, length: None };
        let _ = w.vault.object_put(&w.scope, repo.id, new, content("mine"), &w.decided).await.unwrap();
        let other = w.other_account().await;
        let declared = vault::NewRepository { name: "theirs".into(), ..kept(1, vault::Basis::Business) };
        let theirs = w.vault.repository_create(&other, declared, &w.decided).await.unwrap();
        let object = w.vault.object_put(&other, theirs.id, new, content("their"), &w.decided).await.unwrap().id;
        let blob = w.h.tamper(Realm::Data, &format!("SELECT blob FROM object WHERE account_id = x'{}'", hex(w.account.as_bytes())));
        w.h.tamper(Realm::Data, &format!("UPDATE object SET blob = '{}' WHERE account_id = x'{}'", blob[0], hex(other.account().as_bytes())));
        let error = w.vault.object_get(&other, (theirs.id, object), None, &w.decided).await.unwrap_err();
        assert_eq!(code(&error), "stored-data-damaged");
    }
}
