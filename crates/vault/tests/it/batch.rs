//! Batches: all or nothing.

use base::{Fault as _, RecordId};
use serde_json::json;
use vault::{BatchOperation, IdempotencyKey, MAX_BATCH_OPERATIONS, NewRecord, VaultError};

use crate::support::{World, code};

fn new(body: &[u8]) -> NewRecord<'_> {
    NewRecord { body, classification: None }
}

testkit::on_both_engines! {
    async fn a_batch_is_done_whole(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await;
        let [a, b, c] = [w.put(repo.id, json!({"n": 1})).await, w.put(repo.id, json!({"n": 2})).await, w.put(repo.id, json!({"n": 3})).await];
        let operations = [
            BatchOperation::Create(new(br#"{"n": 4}"#)),
            BatchOperation::Replace(a, new(br#"{"n": 10}"#), Some(1)),
            BatchOperation::Patch(b, new(br#"{"m": 20}"#), None),
            BatchOperation::Delete(c, Some(1)),
        ];
        let once = IdempotencyKey { key: "batch", route: "POST", body: b"whole" };
        let run = || w.vault.record_batch(&w.scope, repo.id, &operations, Some(once), &w.decided);
        let done = run().await.unwrap().into_inner();
        assert_eq!(done.records.iter().map(|one| one.version).collect::<Vec<_>>(), [1, 2, 2, 1]);
        assert_eq!(w.get(repo.id, done.records[0].id).await.unwrap(), json!({"n": 4}));
        assert_eq!(w.get(repo.id, a).await.unwrap(), json!({"n": 10}));
        assert_eq!(w.get(repo.id, b).await.unwrap(), json!({"n": 2, "m": 20}));
        assert_eq!(code(&w.get(repo.id, c).await.unwrap_err()), "not-found");
        for activity in ["record.create", "record.update", "record.patch", "record.delete"] {
            assert_eq!(w.events(activity, "\"batch\":true"), 1, "{activity}");
        }
        assert_eq!(w.events("record.batch", "\"count\":4"), 1);
        let again = run().await.unwrap().into_inner();
        assert!(again.replayed && again.records[0].id == done.records[0].id);
        assert_eq!(w.count("record"), 4);
    }

    async fn one_that_fails_undoes_all(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let a = w.put(repo.id, json!({"n": 1})).await;
        let absent = RecordId::new(&w.h.context).unwrap();
        let above = NewRecord { body: b"{}", classification: Some("restricted") };
        for (last, at, clause) in [
            (BatchOperation::Replace(absent, new(b"{}"), None), "operations/2", None),
            (BatchOperation::Create(new(b"[]")), "operations/2/body", None),
            (BatchOperation::Create(above), "operations/2/classification", Some("RR-2")),
            (BatchOperation::Replace(a, new(b"{}"), None), "operations/2/id", None),
        ] {
            let operations = [BatchOperation::Create(new(br#"{"n": 4}"#)), BatchOperation::Patch(a, new(br#"{"n": 9}"#), None), last];
            let error = w.vault.record_batch(&w.scope, repo.id, &operations, None, &w.decided).await.unwrap_err();
            assert!(matches!(error, VaultError::Operation { index: 2, .. }), "{error}");
            assert_eq!((error.field(), error.clause()), (Some(at), clause));
        }
        assert_eq!(w.count("record"), 1);
        assert_eq!(w.get(repo.id, a).await.unwrap(), json!({"n": 1}));
        assert_eq!(w.events("record.create", "\"batch\":true"), 0);
        assert_eq!(w.events("record.batch", "above-repository"), 1);
        // No key is left behind, but the one of the record that is there.
        w.keys.close().await.unwrap();
        assert_eq!(w.h.tamper(store::Realm::Keys, "SELECT COUNT(*) FROM data_key"), ["1"]);
    }

    async fn the_largest_batch_is_done_and_a_larger_refused(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let mut operations = vec![BatchOperation::Create(new(br#"{"n": 4}"#)); MAX_BATCH_OPERATIONS];
        let done = w.vault.record_batch(&w.scope, repo.id, &operations, None, &w.decided).await.unwrap();
        assert_eq!((done.records.len(), w.count("record")), (MAX_BATCH_OPERATIONS, MAX_BATCH_OPERATIONS));
        operations.push(BatchOperation::Create(new(b"{}")));
        let error = w.vault.record_batch(&w.scope, repo.id, &operations, None, &w.decided).await.unwrap_err();
        assert_eq!(error.field(), Some("operations"));
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(1_000_000)).into_bytes();
        let operations = vec![BatchOperation::Create(new(&large)); 17];
        let error = w.vault.record_batch(&w.scope, repo.id, &operations, None, &w.decided).await.unwrap_err();
        assert_eq!(code(&error), "limit-exceeded");
        assert_eq!(w.events("limit.exceed", "record.batch"), 1);
    }
}
