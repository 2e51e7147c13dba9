//! Records: writing, reading, versions, preconditions, idempotency, listing.

use base::Fault as _;
use serde_json::json;
use store::Realm;
use vault::{Basis, IdempotencyKey, NewRecord, NewRepository, RepositoryChange, Target, VaultError};

use crate::support::{World, code, kept, person};

testkit::on_both_engines! {
    async fn a_record_is_written_changed_and_read(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await;
        let id = w.put(repo.id, json!({"a": 1, "b": {"c": "x"}})).await;
        let target = (repo.id, id);
        assert_eq!(w.get(repo.id, id).await.unwrap(), json!({"a": 1, "b": {"c": "x"}}));
        assert_eq!(w.events("record.create", "test-policy"), 1);
        assert_eq!(w.events("record.read", &id.to_string()), 1);

        let patch = NewRecord { body: br#"{"b": {"c": null, "d": true}}"#, classification: None };
        let patched = w.vault.record_patch(&w.scope, target, patch, Some(1), None, &w.decided).await.unwrap();
        assert_eq!(patched.version, 2);
        let whole = NewRecord { body: br#"{"z": 26}"#, classification: Some("internal") };
        let replaced = w.vault.record_replace(&w.scope, target, whole, None, None, &w.decided).await.unwrap();
        assert_eq!((replaced.version, replaced.classification.as_str()), (3, "internal"));
        assert_eq!(w.get(repo.id, id).await.unwrap(), json!({"z": 26}));

        let read = |version| w.vault.record_get(&w.scope, target, Some(version), &w.decided);
        for (version, body) in [(1, r#"{"a":1,"b":{"c":"x"}}"#), (2, r#"{"a":1,"b":{"d":true}}"#), (3, r#"{"z":26}"#)] {
            let record = read(version).await.unwrap();
            assert_eq!(record.body.unwrap().expose(), body.as_bytes());
            assert_eq!(record.meta.version, version);
        }
        assert_eq!(code(&read(4).await.unwrap_err()), "not-found");
        let versions = w.vault.record_versions(&w.scope, target, None, 2, &w.decided).await.unwrap();
        assert_eq!(versions.iter().map(|v| v.version).collect::<Vec<_>>(), [3, 2]);
        let rest = w.vault.record_versions(&w.scope, target, Some(2), 2, &w.decided).await.unwrap();
        assert_eq!(rest.iter().map(|v| v.version).collect::<Vec<_>>(), [1]);
        // Nothing readable is stored.
        let stored = w.h.tamper(Realm::Data, "SELECT sealed FROM record UNION ALL SELECT sealed FROM record_version");
        assert_eq!(stored.len(), 3);
        let needle = crate::support::hex(b"\"z\"");
        assert!(stored.iter().all(|sealed| !sealed.contains(&needle)));
    }

    async fn a_stale_precondition_is_refused(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let id = w.put(repo.id, json!({"n": 0})).await;
        let vault = &w.vault;
        let tries = (0..8).map(|n| {
            let body = format!(r#"{{"n": {n}}}"#).into_bytes();
            let (vault, scope, decided) = (vault.clone(), w.scope.clone(), w.decided.clone());
            tokio::spawn(async move {
                let new = NewRecord { body: &body, classification: None };
                vault.record_replace(&scope, (repo.id, id), new, Some(1), None, &decided).await.map(|done| done.version)
            })
        });
        let outcomes = futures::future::join_all(tries).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for error in lost.into_iter().map(Result::unwrap_err) {
            assert_eq!((code(&error), error.clause()), ("precondition-failed", Some("CD-2")), "{error}");
        }
        assert_eq!(w.events("record.update", "precondition-failed"), 7);
        let error = vault.delete(&w.scope, Target::Record(repo.id, id), Some(1), None, &w.decided).await.unwrap_err();
        assert!(matches!(error, VaultError::Changed { current: 2 }));
    }

    async fn what_is_labelled_above_its_repository_is_refused(h: Harness) {
        let w = World::new(h).await;
        let mut above = NewRepository { name: "above".into(), ..kept(1, Basis::Business) };
        above.fields.insert("ssn".into(), "restricted".into());
        let error = w.vault.repository_create(&w.scope, above, &w.decided).await.unwrap_err();
        assert_eq!((error.field(), error.clause()), (Some("/ssn"), Some("RR-2")));
        assert_eq!(w.events("repository.create", "above-repository"), 1);
        let none = NewRepository { retention: None, ..kept(1, Basis::Business) };
        let error = w.vault.repository_create(&w.scope, none, &w.decided).await.unwrap_err();
        assert_eq!((error.field(), error.clause()), (Some("retention"), Some("AR-2")));

        let repo = w.repository("internal", "internal").await;
        let new = NewRecord { body: b"{}", classification: Some("confidential") };
        let error = w.vault.record_create(&w.scope, repo.id, new, None, &w.decided).await.unwrap_err();
        assert_eq!((error.field(), error.clause(), error.code()), (Some("classification"), Some("RR-2"), "above-repository"));
        assert_eq!(w.events("record.create", "above-repository"), 1);
        assert_eq!(w.count("record"), 0);
    }

    async fn a_declaration_that_changed_admits_nothing_stale(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let id = w.put(repo.id, json!({"a": 1})).await;
        assert_eq!(w.events("record.read", ""), 0);
        let _ = w.get(repo.id, id).await.unwrap();
        assert_eq!(w.events("record.read", ""), 0, "internal data is read without an event of each read");
        // Behind this vault's back, as another server would: raised, and a schema added.
        let stored = w.h.tamper(Realm::Data, "SELECT declaration FROM repository")[0].clone();
        let changed = stored.replace("\"schema\":null", "\"schema\":{\"required\":[\"b\"]}");
        assert_ne!(stored, changed);
        w.h.tamper(Realm::Data, &format!("UPDATE repository SET classification = 'confidential', revision = 2, declaration = '{changed}'"));
        let _ = w.get(repo.id, id).await.unwrap();
        assert_eq!(w.events("record.read", ""), 1, "raised elsewhere: the read is recorded here");
        let new = NewRecord { body: br#"{"a": 2}"#, classification: None };
        let error = w.vault.record_create(&w.scope, repo.id, new, None, &w.decided).await.unwrap_err();
        assert_eq!((code(&error), error.field()), ("schema-mismatch", Some("/")));
        let new = NewRecord { body: br#"{"b": 2}"#, classification: None };
        let written = w.vault.record_create(&w.scope, repo.id, new, None, &w.decided).await.unwrap();
        assert_eq!(written.classification, "confidential");
    }

    async fn a_repository_is_raised_and_not_lowered(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let update = |change: RepositoryChange, expected| w.vault.repository_update(&w.scope, repo.id, change, expected, &w.decided);
        let to = |level: &str| RepositoryChange { classification: Some(level.into()), ..RepositoryChange::default() };
        let raised = update(to("restricted"), Some(1)).await.unwrap();
        assert_eq!((raised.revision, raised.classification.name()), (2, "restricted"));
        let error = update(to("internal"), None).await.unwrap_err();
        assert_eq!(error.field(), Some("classification"));
        assert_eq!(code(&update(to("restricted"), Some(1)).await.unwrap_err()), "precondition-failed");
        w.pass_days(1);
        let _ = w.repository("other", "internal").await;
        let rename = RepositoryChange { name: Some("other".into()), ..RepositoryChange::default() };
        assert_eq!(code(&update(rename, None).await.unwrap_err()), "name-taken");
        let seen = w.vault.repository_get(&w.scope, repo.id, &w.decided).await.unwrap();
        assert_eq!(seen, raised.into_inner());
        let page = w.vault.repository_list(&w.scope, 1, None, i64::MAX, &w.decided).await.unwrap();
        let next = w.vault.repository_list(&w.scope, 1, page.next.as_deref(), i64::MAX, &w.decided).await.unwrap();
        assert_eq!((page.repositories[0].name.as_str(), next.repositories[0].name.as_str()), ("people", "other"));
    }

    async fn a_request_that_is_sent_twice_is_done_once(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let new = NewRecord { body: br#"{"a": 1}"#, classification: None };
        let key = |key| Some(IdempotencyKey { key, route: "POST /v1/records", body: new.body });
        let create = |once| w.vault.record_create(&w.scope, repo.id, new, once, &w.decided);
        let first = create(key("k1")).await.unwrap().into_inner();
        let again = create(key("k1")).await.unwrap().into_inner();
        assert!(!first.replayed && again.replayed);
        assert_eq!((first.id, first.created_at), (again.id, again.created_at));
        assert_eq!((w.count("record"), w.events("idempotency.replay", &first.id.to_string())), (1, 1));
        let other = IdempotencyKey { key: "k1", route: "POST /v1/records", body: b"{}" };
        assert_eq!(code(&create(Some(other)).await.unwrap_err()), "idempotency-key-reused");
        let elsewhere = IdempotencyKey { key: "k1", route: "POST /v1/other", body: new.body };
        assert_eq!(code(&create(Some(elsewhere)).await.unwrap_err()), "idempotency-key-reused");
        // Another client of the same account has keys of its own.
        let colleague = w.h.scope(w.account);
        let theirs = w.vault.record_create(&colleague, repo.id, new, key("k1"), &w.decided).await.unwrap();
        assert_ne!(theirs.id, first.id);
        // After a day the key is forgotten.
        w.pass_days(1);
        assert_ne!(create(key("k1")).await.unwrap().id, first.id);
        let long = "k".repeat(256);
        for wrong in ["", "a b", "é", &long] {
            assert_eq!(code(&create(key(wrong)).await.unwrap_err()), "invalid-field");
        }
        // A replace that was done is replayed although its precondition no longer holds.
        let target = (repo.id, first.id);
        let put = |once| w.vault.record_replace(&w.scope, target, new, Some(1), once, &w.decided);
        assert_eq!(put(key("k2")).await.unwrap().version, 2);
        assert_eq!(put(key("k2")).await.unwrap().version, 2);
        assert_eq!(code(&put(key("k3")).await.unwrap_err()), "precondition-failed");
    }

    async fn one_of_many_concurrent_sendings_is_done(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let tries = (0..8).map(|_| {
            let (vault, scope, decided) = (w.vault.clone(), w.scope.clone(), w.decided.clone());
            tokio::spawn(async move {
                let new = NewRecord { body: b"{}", classification: None };
                let once = IdempotencyKey { key: "same", route: "POST", body: new.body };
                vault.record_create(&scope, repo.id, new, Some(once), &decided).await.map(|done| done.id)
            })
        });
        let ids: Vec<_> = futures::future::join_all(tries).await.into_iter().map(|id| id.unwrap().unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(w.count("record"), 1);
    }

    async fn pages_hold_everything_once(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await;
        let mut ids = Vec::new();
        for n in 0..25 {
            ids.push(w.put(repo.id, person(n)).await);
        }
        ids.sort();
        let deleted = ids.remove(7);
        let _ = w.vault.delete(&w.scope, Target::Record(repo.id, deleted), None, None, &w.decided).await.unwrap();
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = w.vault.record_list(&w.scope, w.list(repo.id, 10, cursor.as_deref()), &w.decided).await.unwrap();
            assert!(page.records.iter().all(|record| record.body.is_some()));
            seen.extend(page.records.iter().map(|record| record.meta.id));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((seen, pages), (ids.clone(), 3));
        // One event a page, which names each record on it.
        assert_eq!(w.events("record.list", "\"count\":10"), 1);
        let body = &ids[0].to_string()[4..];
        assert_eq!(w.events("record.list", body), 1);
        let mut all = w.list(repo.id, 100, None);
        all.deleted = true;
        all.bodies = false;
        let page = w.vault.record_list(&w.scope, all, &w.decided).await.unwrap();
        assert_eq!((page.records.len(), page.records[7].meta.deleted_at.is_some()), (25, true));
        for limit in [0, 101] {
            let error = w.vault.record_list(&w.scope, w.list(repo.id, limit, None), &w.decided).await.unwrap_err();
            assert_eq!(error.field(), Some("limit"));
        }
    }

    async fn damage_is_found_and_recorded(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let id = w.put(repo.id, json!({"a": 1})).await;
        let other = w.put(repo.id, json!({"a": 2})).await;
        // The other's whole content, its key too, put into this row.
        let columns = "key_id, sealed, commitment";
        let hexes = w.h.tamper(Realm::Data, &format!("SELECT {columns} FROM record WHERE id = x'{}'", crate::support::hex(other.as_bytes())));
        let parts: Vec<&str> = hexes[0].split('|').collect();
        w.h.tamper(Realm::Data, &format!(
            "UPDATE record SET key_id = x'{}', sealed = x'{}', commitment = x'{}' WHERE id = x'{}'",
            parts[0], parts[1], parts[2], crate::support::hex(id.as_bytes())
        ));
        assert_eq!(code(&w.get(repo.id, id).await.unwrap_err()), "stored-data-damaged");
        assert_eq!(w.events("integrity.violation", "record.read"), 1);
        // A label lowered in the database does not open what was sealed under the other.
        w.h.tamper(Realm::Data, "UPDATE record SET classification = 'public'");
        assert_eq!(code(&w.get(repo.id, other).await.unwrap_err()), "stored-data-damaged");
    }
}
