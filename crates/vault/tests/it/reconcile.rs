//! Each protected row is what the log says: what is done through Tenet never looks wrong, and what is done behind its back
//! is found and named.

use std::sync::Arc;

use base::AccountId;
use bytes::Bytes;
use serde_json::json;
use store::{Protected, Realm, Reconciled, Reconciler, Sequencer, Unexplained, Wrong};
use vault::{BatchOperation, HoldTarget, NewObject, NewRecord, RepositoryChange, Target};

use crate::support::{World, hex, person, said, signer};

impl World {
    fn reconciler(&self) -> Reconciler {
        let protected: Vec<Arc<dyn Protected>> = vec![Arc::new(self.vault.clone())];
        Reconciler::new(self.h.data.clone(), signer().verifier().clone(), protected).unwrap()
    }

    async fn reconcile(&self) -> Reconciled {
        self.reconciler().run().await.unwrap()
    }

    async fn sequence(&self) {
        Sequencer::new(self.h.data.clone(), signer()).unwrap().drain().await.unwrap();
    }

    fn tamper(&self, sql: &str) {
        self.h.tamper(Realm::Data, sql);
    }

    async fn replace(&self, at: (base::RepositoryId, base::RecordId), n: usize) {
        let body = serde_json::to_vec(&person(n)).unwrap();
        let new = NewRecord { body: &body, classification: None };
        self.vault
            .record_replace(&self.scope, at, new, None, None, &self.decided)
            .await
            .unwrap()
            .into_inner();
    }

    async fn put_object(&self, repository: base::RepositoryId) -> base::ObjectId {
        let new = NewObject { name: "n", content_type: "text/plain", classification: None, length: Some(5) };
        let content = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hello"))]);
        self.vault.object_put(&self.scope, repository, new, content, &self.decided).await.unwrap().id
    }
}

/// What was found, in short: kind, id and what is wrong.
fn short(found: &Reconciled) -> Vec<(&'static str, String, Wrong)> {
    assert_eq!(found.count, found.unexplained.len() as u64);
    found.unexplained.iter().map(|one| (one.kind, one.id.clone(), one.wrong.clone())).collect()
}

/// Everything that can be done to records, objects, holds and repositories.
async fn a_life(w: &World) -> (base::RepositoryId, base::RecordId, base::ObjectId) {
    let decided = &w.decided;
    let repo = w.repository("people", "confidential").await.id;
    let record = w.put(repo, person(1)).await;
    w.replace((repo, record), 2).await;
    w.replace((repo, record), 3).await;
    let patch = json!({"name": "patched"});
    let patch = serde_json::to_vec(&patch).unwrap();
    let patch = NewRecord { body: &patch, classification: None };
    w.vault.record_patch(&w.scope, (repo, record), patch, None, None, decided).await.unwrap().into_inner();
    let gone = w.put(repo, person(4)).await;
    w.replace((repo, gone), 5).await;
    w.vault.erase(&w.scope, Target::Record(repo, gone), None, decided).await.unwrap().into_inner();
    let deleted = w.put(repo, person(6)).await;
    w.vault.delete(&w.scope, Target::Record(repo, deleted), None, None, decided).await.unwrap().into_inner();
    let restored = w.put(repo, person(7)).await;
    w.vault.delete(&w.scope, Target::Record(repo, restored), None, None, decided).await.unwrap().into_inner();
    w.vault
        .restore(&w.scope, Target::Record(repo, restored), None, None, decided)
        .await
        .unwrap()
        .into_inner();
    w.replace((repo, restored), 8).await;
    let body = serde_json::to_vec(&person(9)).unwrap();
    let operations = [
        BatchOperation::Create(NewRecord { body: &body, classification: None }),
        BatchOperation::Delete(restored, None),
    ];
    w.vault.record_batch(&w.scope, repo, &operations, None, decided).await.unwrap().into_inner();
    let object = w.put_object(repo).await;
    let erased = w.put_object(repo).await;
    w.vault.erase(&w.scope, Target::Object(repo, erased), None, decided).await.unwrap().into_inner();
    let deleted = w.put_object(repo).await;
    w.vault.delete(&w.scope, Target::Object(repo, deleted), None, None, decided).await.unwrap().into_inner();
    for target in [
        HoldTarget::Repository(repo),
        HoldTarget::One(Target::Record(repo, record)),
        HoldTarget::One(Target::Object(repo, object)),
    ] {
        w.vault.hold_set(&w.scope, target, said("a case"), decided).await.unwrap().into_inner();
        let hold = w.vault.hold_set(&w.scope, target, said("another"), decided).await.unwrap().id;
        w.vault.hold_lift(&w.scope, hold, said("settled"), decided).await.unwrap().into_inner();
    }
    let change =
        RepositoryChange { classification: Some("restricted".into()), ..RepositoryChange::default() };
    w.vault.repository_update(&w.scope, repo, change, None, decided).await.unwrap().into_inner();
    (repo, record, object)
}

testkit::on_both_engines! {
    async fn what_is_done_through_tenet_is_explained(h: Harness) {
        let w = World::new(h).await;
        let (repo, record, _) = a_life(&w).await;
        // Nothing is in the log yet, all of it waits.
        let found = w.reconcile().await;
        assert_eq!((short(&found), found.entries), (vec![], 0));
        let rows = ["repository", "record", "record_version", "object", "hold", "deletion_certificate"];
        let rows: usize = rows.iter().map(|table| w.count(table)).sum();
        assert_eq!(found.rows, rows as u64);
        assert!(rows > 15, "{rows}");
        w.sequence().await;
        let found = w.reconcile().await;
        assert_eq!((short(&found), found.rows, found.passes), (vec![], rows as u64, 1));
        assert!(found.entries > 20);
        // Some in the log, some not.
        w.replace((repo, record), 10).await;
        assert_eq!(short(&w.reconcile().await), []);
        // In parts, because there are more rows than are kept at a time.
        let found = w.reconciler().keeping(8).run().await.unwrap();
        assert_eq!((short(&found), found.rows), (vec![], rows as u64 + 1));
        assert!(found.passes > 1, "{}", found.passes);
    }

    async fn what_changes_meanwhile_is_not_taken_for_wrong(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await.id;
        let record = w.put(repo, person(1)).await;
        let sequencer = Sequencer::new(w.h.data.clone(), signer()).unwrap();
        let reconciler = w.reconciler();
        let writing = async {
            for n in 0..40 {
                w.replace((repo, record), n).await;
                let other = w.put(repo, person(n)).await;
                let target = Target::Record(repo, other);
                w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap().into_inner();
                sequencer.step().await.unwrap();
                if n % 3 == 0 {
                    w.vault.erase(&w.scope, target, None, &w.decided).await.unwrap().into_inner();
                }
            }
        };
        let reading = async {
            let mut found = Vec::new();
            for _ in 0..20 {
                found.extend(short(&reconciler.run().await.unwrap()));
            }
            found
        };
        let ((), found) = tokio::join!(writing, reading);
        assert_eq!(found, []);
    }

    async fn a_row_that_was_changed_is_named(h: Harness) {
        let w = World::new(h).await;
        let (repo, record, object) = a_life(&w).await;
        w.sequence().await;
        let zeros = "00".repeat(32);
        let at = |id: &[u8; 16]| format!("id = x'{}'", hex(id));
        let (of_repo, of_record, of_object) = (at(repo.as_bytes()), at(record.as_bytes()), at(object.as_bytes()));
        let differs = |what| Wrong::Differs(what);
        for (change, undo, kind, wrong) in [
            (format!("UPDATE record SET version = version - 1 WHERE {of_record}"),
             format!("UPDATE record SET version = version + 1 WHERE {of_record}"), "record", differs("its version")),
            (format!("UPDATE record SET deleted_at = 1 WHERE {of_record}"),
             format!("UPDATE record SET deleted_at = NULL WHERE {of_record}"), "record", differs("its state")),
            (format!("UPDATE record SET holds = holds - 1 WHERE {of_record}"),
             format!("UPDATE record SET holds = holds + 1 WHERE {of_record}"), "record", differs("its legal holds")),
            (format!("UPDATE record SET classification = 'public' WHERE {of_record}"),
             format!("UPDATE record SET classification = 'confidential' WHERE {of_record}"), "record", differs("its classification")),
            (format!("UPDATE object SET holds = 0 WHERE {of_object}"),
             format!("UPDATE object SET holds = 1 WHERE {of_object}"), "object", differs("its legal holds")),
            (format!("UPDATE repository SET name = 'other' WHERE {of_repo}"),
             format!("UPDATE repository SET name = 'people' WHERE {of_repo}"), "repository", differs("its content")),
            (format!("UPDATE repository SET revision = 1 WHERE {of_repo}"),
             format!("UPDATE repository SET revision = 2 WHERE {of_repo}"), "repository", differs("its version")),
        ] {
            w.tamper(&change);
            let found = short(&w.reconcile().await);
            let ids = [record.to_string(), object.to_string(), repo.to_string()];
            assert!(matches!(&found[..], [(k, id, what)] if *k == kind && ids.contains(id) && *what == wrong), "{change}: {found:?}");
            w.tamper(&undo);
        }
        assert_eq!(short(&w.reconcile().await), []);
        let change = format!("UPDATE record_version SET commitment = x'{zeros}' WHERE record_id = x'{}' AND version = 2", hex(record.as_bytes()));
        w.tamper(&change);
        let found = w.reconcile().await;
        let expected = Unexplained {
            account: Some(w.account), kind: "record_version", id: record.to_string(), part: 2, wrong: differs("its content"),
        };
        assert_eq!(found.unexplained, [expected]);
    }

    async fn a_row_that_was_taken_out_or_put_in_is_named(h: Harness) {
        let w = World::new(h).await;
        let (repo, record, object) = a_life(&w).await;
        w.sequence().await;
        w.tamper(&format!("DELETE FROM record WHERE id = x'{}'", hex(record.as_bytes())));
        let found = short(&w.reconcile().await);
        assert_eq!(found, [("record", record.to_string(), Wrong::Missing)]);
        // An object put in under an id of another's making, and one hold taken out.
        let copy = base::ObjectId::new(&w.h.context).unwrap();
        w.tamper(&format!(
            "INSERT INTO object (account_id, repository_id, id, classification, key_id, created_at, deleted_at, holds, bytes, commitment, blob, sealed) \
             SELECT account_id, repository_id, x'{}', classification, key_id, created_at, deleted_at, holds, bytes, commitment, 'elsewhere', sealed \
             FROM object WHERE id = x'{}'", hex(copy.as_bytes()), hex(object.as_bytes())
        ));
        w.tamper("DELETE FROM hold WHERE target_kind = 'repository' AND lifted_at IS NULL");
        let mut found = short(&w.reconcile().await);
        found.sort_by_key(|(kind, _, _)| *kind);
        assert_eq!(found.iter().map(|(kind, _, wrong)| (*kind, wrong.clone())).collect::<Vec<_>>(), [
            ("hold", Wrong::Missing), ("object", Wrong::Unexplained), ("record", Wrong::Missing),
        ]);
        assert_eq!(found[1].1, copy.to_string());
        // A certificate of what never was erased.
        w.tamper(&format!(
            "INSERT INTO deletion_certificate (account_id, id, repository_id, object_kind, object_id, issued_at, statement) \
             VALUES (x'{}', x'{}', x'{}', 'record', x'{}', 1, 'none')",
            hex(w.account.as_bytes()), "01".repeat(16), hex(repo.as_bytes()), hex(record.as_bytes())
        ));
        let found = short(&w.reconcile().await);
        assert!(found.iter().any(|(kind, _, wrong)| *kind == "certificate" && *wrong == Wrong::Unexplained), "{found:?}");
    }

    async fn a_row_in_another_account_is_named_in_both(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await.id;
        let record = w.put(repo, person(1)).await;
        let other = w.other_account().await;
        let theirs = w.vault.repository_create(&other, vault::NewRepository { name: "theirs".into(), ..crate::support::kept(30, vault::Basis::Business) }, &w.decided).await.unwrap().id;
        w.tamper(&format!(
            "UPDATE record SET account_id = x'{}', repository_id = x'{}' WHERE id = x'{}'",
            hex(other.account().as_bytes()), hex(theirs.as_bytes()), hex(record.as_bytes())
        ));
        let found = w.reconcile().await;
        let mut found: Vec<_> = found.unexplained.iter().map(|one| (one.account, one.id.clone(), one.wrong.clone())).collect();
        let mut expected: Vec<(Option<AccountId>, String, Wrong)> = vec![
            (Some(w.account), record.to_string(), Wrong::Missing),
            (Some(other.account()), record.to_string(), Wrong::Unexplained),
        ];
        found.sort_by_key(|(account, _, _)| *account);
        expected.sort_by_key(|(account, _, _)| *account);
        assert_eq!(found, expected);
    }

    async fn who_edits_the_log_too_is_found_by_its_checkpoint(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await.id;
        let record = w.put(repo, person(1)).await;
        w.sequence().await;
        if w.h.engine() == testkit::Engine::Sqlite {
            w.tamper("DROP TRIGGER event_no_update");
        }
        w.tamper(&format!("DELETE FROM record WHERE id = x'{}'", hex(record.as_bytes())));
        w.tamper("UPDATE event SET leaf = x'7b7d' WHERE activity = 'record.create'");
        let error = w.reconciler().run().await.unwrap_err();
        assert!(matches!(error, store::StoreError::Log(_)), "{error}");
    }

    async fn what_nobody_recorded_explains_nothing_and_is_set_aside(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await.id;
        w.sequence().await;
        let real = w.put(repo, person(1)).await;
        // A copy of a real event, of another id, planted with the seal of the real one, and one without a seal.
        let leaf = &w.h.tamper(Realm::Data, "SELECT leaf FROM event WHERE activity = 'record.create'")[0];
        let planted = base::RecordId::new(&w.h.context).unwrap();
        let event = base::EventId::new(&w.h.context).unwrap();
        let text: Vec<u8> = (0..leaf.len() / 2).map(|i| u8::from_str_radix(&leaf[2 * i..2 * i + 2], 16).unwrap()).collect();
        let text = String::from_utf8(text).unwrap();
        let old = ledger::Event::decode(text.as_bytes()).unwrap();
        let text = text.replace(&real.to_string(), &planted.to_string()).replace(&old.id.to_string(), &event.to_string());
        assert_eq!(ledger::Event::decode(text.as_bytes()).unwrap().object.id, planted.to_string());
        w.tamper(&format!(
            "INSERT INTO event (id, account_id, at, activity, leaf) VALUES (x'{}', NULL, 1, 'record.create', x'{}')",
            hex(event.as_bytes()), hex(text.as_bytes())
        ));
        w.tamper(&format!(
            "INSERT INTO outbox (seq, seal) SELECT (SELECT seq FROM event WHERE id = x'{}'), (SELECT seal FROM outbox WHERE seal IS NOT NULL ORDER BY seq DESC LIMIT 1)",
            hex(event.as_bytes())
        ));
        let copy = format!(
            "INSERT INTO record (account_id, repository_id, id, classification, key_id, version, created_at, updated_at, holds, bytes, commitment, terms, sealed) \
             SELECT account_id, repository_id, x'{}', classification, key_id, version, created_at, updated_at, holds, bytes, commitment, terms, sealed \
             FROM record WHERE id = x'{}'", hex(planted.as_bytes()), hex(real.as_bytes())
        );
        w.tamper(&copy);
        assert_eq!(short(&w.reconcile().await), [("record", planted.to_string(), Wrong::Unexplained)]);
        let before = w.events("integrity.violation", &event.to_string());
        w.sequence().await;
        assert_eq!((before, w.events("integrity.violation", &event.to_string())), (0, 1));
        assert_eq!((w.count("outbox"), w.count("outbox_refused")), (0, 1));
        // It is not in the log, the real one is, and its row is explained by nothing still.
        assert_eq!(w.h.data.index_of(event).await.unwrap(), None);
        assert!(w.h.data.index_of(old.id).await.unwrap().is_some());
        assert_eq!(short(&w.reconcile().await), [("record", planted.to_string(), Wrong::Unexplained)]);
    }
}
