//! Search by the blind index.

use std::collections::BTreeMap;

use base::{Fault as _, RecordId, RepositoryId};
use serde_json::{Value, json};
use store::Realm;
use vault::{NewRecord, SearchRecords, Target};

use crate::support::{World, code, hex, person};

async fn found(w: &World, repository: RepositoryId, equals: &[(&str, Value)], limit: usize) -> Vec<RecordId> {
    let equals: BTreeMap<String, Value> =
        equals.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let search =
            SearchRecords { repository, equals: &equals, limit, cursor: cursor.as_deref(), bodies: true };
        let page = w.vault.record_search(&w.scope, search, &w.decided).await.unwrap();
        for record in &page.records {
            assert!(record.body.is_some());
            seen.push(record.meta.id);
        }
        cursor = page.next;
        if cursor.is_none() {
            return seen;
        }
    }
}

testkit::on_both_engines! {
    async fn records_are_found_by_their_fields(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(crate::support::kept(30, vault::Basis::Business)).await;
        let mut ids = Vec::new();
        for n in 0..7 {
            ids.push(w.put(repo.id, person(n)).await);
        }
        let ulm = [("/address/city", json!("Ulm"))];
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(found(&w, repo.id, &ulm, 3).await, sorted);
        assert_eq!(found(&w, repo.id, &[("email", json!("p3@example.com"))], 10).await, [ids[3]]);
        let both = [("/address/city", json!("Ulm")), ("/email", json!("p3@example.com"))];
        assert_eq!(found(&w, repo.id, &both, 2).await, [ids[3]]);
        assert!(found(&w, repo.id, &[("email", json!("P3@example.com"))], 10).await.is_empty());
        // The index follows changes, deletions and restorings.
        let patch = NewRecord { body: br#"{"email": "new@example.com"}"#, classification: None };
        let _ = w.vault.record_patch(&w.scope, (repo.id, ids[3]), patch, None, None, &w.decided).await.unwrap();
        assert!(found(&w, repo.id, &[("email", json!("p3@example.com"))], 10).await.is_empty());
        assert_eq!(found(&w, repo.id, &[("email", json!("new@example.com"))], 10).await, [ids[3]]);
        let target = Target::Record(repo.id, ids[3]);
        let _ = w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap();
        assert!(found(&w, repo.id, &[("email", json!("new@example.com"))], 10).await.is_empty());
        let _ = w.vault.restore(&w.scope, target, None, None, &w.decided).await.unwrap();
        assert_eq!(found(&w, repo.id, &[("email", json!("new@example.com"))], 10).await, [ids[3]]);
        // Neither value stands in the database, and an entry added there finds nothing.
        let digest = w.h.tamper(Realm::Data, &format!("SELECT digest FROM record_term WHERE record_id = x'{}'", hex(ids[0].as_bytes())));
        assert_eq!(digest.len(), 2);
        let before = found(&w, repo.id, &ulm, 10).await.len();
        let email = w.h.tamper(Realm::Data, &format!(
            "SELECT t.digest FROM record_term t WHERE t.record_id = x'{}' AND (SELECT COUNT(*) FROM record_term u WHERE u.digest = t.digest) = 1",
            hex(ids[0].as_bytes())
        ));
        w.h.tamper(Realm::Data, &format!(
            "INSERT INTO record_term (account_id, repository_id, digest, record_id) VALUES (x'{}', x'{}', x'{}', x'{}')",
            hex(w.account.as_bytes()), hex(repo.id.as_bytes()), email[0], hex(ids[1].as_bytes())
        ));
        assert_eq!(found(&w, repo.id, &[("email", json!("p0@example.com"))], 10).await, [ids[0]]);
        assert_eq!(found(&w, repo.id, &ulm, 10).await.len(), before);
    }

    async fn only_declared_fields_are_searched(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(crate::support::kept(30, vault::Basis::Business)).await;
        for (field, value, names) in [("name", json!("x"), Some("/name")), ("email", json!(null), Some("/email")), ("email", json!({}), Some("/email"))] {
            let equals = BTreeMap::from([(field.to_owned(), value)]);
            let search = SearchRecords { repository: repo.id, equals: &equals, limit: 10, cursor: None, bodies: false };
            let error = w.vault.record_search(&w.scope, search, &w.decided).await.unwrap_err();
            assert_eq!((code(&error), error.field()), ("invalid-field", names));
        }
        let none = BTreeMap::new();
        let search = SearchRecords { repository: repo.id, equals: &none, limit: 10, cursor: None, bodies: false };
        assert_eq!(w.vault.record_search(&w.scope, search, &w.decided).await.unwrap_err().field(), Some("equals"));
    }
}
