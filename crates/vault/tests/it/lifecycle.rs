//! Deletion, holds, retention and erasure, with a clock that moves.

use base::{Fault as _, RecordId, RepositoryId, Timestamp};
use ledger::verify_statement;
use serde_json::json;
use store::Realm;
use testkit::{Engine, Harness};
use vault::{
    Basis, CERTIFICATE_TYPE, CertificateStatement, HoldTarget, NewRecord, NewRepository, RepositoryChange,
    Retention, State, Target, Vault, VaultConfig, VaultError,
};

use crate::support::{World, code, kept, open_keys, person, signer};

async fn erase(w: &World, repository: RepositoryId, id: RecordId) -> Result<vault::Certificate, VaultError> {
    w.vault
        .erase(&w.scope, Target::Record(repository, id), None, &w.decided)
        .await
        .map(store::Committed::into_inner)
}

async fn state(w: &World, target: Target) -> State {
    w.vault.explain(&w.scope, target, &w.decided).await.unwrap().state
}

testkit::on_both_engines! {
    async fn deleted_things_can_be_restored_for_a_while(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "confidential").await;
        let id = w.put(repo.id, json!({"a": 1})).await;
        let target = Target::Record(repo.id, id);
        let restore = || w.vault.restore(&w.scope, target, None, None, &w.decided);
        assert_eq!(code(&restore().await.unwrap_err()), "not-deleted");
        let deletion = w.vault.delete(&w.scope, target, Some(1), None, &w.decided).await.unwrap();
        assert_eq!(deletion.restorable_until, deletion.deleted_at.map(|at| at.plus(VaultConfig::default().restore_window)));
        assert_eq!(code(&w.get(repo.id, id).await.unwrap_err()), "not-found");
        assert_eq!(code(&w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap_err()), "not-found");
        let new = NewRecord { body: b"{}", classification: None };
        assert_eq!(code(&w.vault.record_replace(&w.scope, (repo.id, id), new, None, None, &w.decided).await.unwrap_err()), "not-found");
        assert_eq!(state(&w, target).await, State::Deleted);
        w.pass_days(29);
        let _ = restore().await.unwrap();
        assert_eq!(w.get(repo.id, id).await.unwrap(), json!({"a": 1}));
        let _ = w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap();
        w.pass_days(30);
        let error = restore().await.unwrap_err();
        assert_eq!((code(&error), error.clause()), ("restore-window-closed", Some("DD-1")));
        assert_eq!((w.events("record.delete", "\"status\""), w.events("record.restore", "restore-window-closed")), (3, 1));
    }

    async fn an_erasure_leaves_a_certificate_and_nothing_else(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(365, Basis::Business)).await;
        let id = w.put(repo.id, person(1)).await;
        let beside = w.put(repo.id, person(2)).await;
        let patch = NewRecord { body: br#"{"name": "another"}"#, classification: None };
        let _ = w.vault.record_patch(&w.scope, (repo.id, id), patch, None, None, &w.decided).await.unwrap();
        assert_eq!((w.count("record"), w.count("record_version"), w.count("record_term")), (2, 1, 4));
        let certificate = erase(&w, repo.id, id).await.unwrap();
        assert_eq!((w.count("record"), w.count("record_version"), w.count("record_term")), (1, 0, 2));
        assert_eq!(w.get(repo.id, beside).await.unwrap(), person(2));

        // Offline, with the verifier key alone.
        let verifier = ledger::LogVerifier::from_vkey(&signer().vkey()).unwrap();
        let json = verify_statement(&verifier, &certificate.note).unwrap();
        let said: CertificateStatement = serde_json::from_str(json).unwrap();
        assert_eq!(said, certificate.statement);
        assert_eq!((said.kind_of_statement.as_str(), said.id.clone(), said.versions), (CERTIFICATE_TYPE, id.to_string(), 2));
        assert!(!json.contains("person") && !json.contains("example.com"));
        assert_eq!(w.events("record.erase", &certificate.id.to_string()), 1);
        assert_eq!(w.events("record.erase", &said.commitment), 1);
        assert_eq!((w.events("record.erase-start", ""), w.events("certificate.issue", ""), w.events("key.destroy", &said.key.to_string())), (1, 1, 2));
        assert_eq!(w.vault.certificate_get(&w.scope, certificate.id, &w.decided).await.unwrap(), certificate);

        let target = Target::Record(repo.id, id);
        assert_eq!(code(&w.get(repo.id, id).await.unwrap_err()), "not-found");
        let explained = w.vault.explain(&w.scope, target, &w.decided).await.unwrap();
        assert_eq!((explained.state, explained.certificate), (State::Erased, Some(certificate.id)));
        // Asked for again: the same certificate; the job that would have finished finds nothing to do.
        assert_eq!(erase(&w, repo.id, id).await.unwrap(), certificate);
        w.pass_days(1);
        assert!(w.runner.run_due().await.unwrap() > 0);
        assert_eq!((w.count("deletion_certificate"), w.events("job.fail", "")), (1, 0));
        // A certificate that was altered in the database is not passed on.
        w.h.tamper(Realm::Data, "UPDATE deletion_certificate SET statement = REPLACE(statement, 'business', 'contract')");
        assert_eq!(code(&w.vault.certificate_get(&w.scope, certificate.id, &w.decided).await.unwrap_err()), "stored-data-damaged");
    }

    async fn hold_beats_retention_beats_erasure(h: Harness) {
        let w = World::new(h).await;
        for (n, basis) in [Basis::Law, Basis::Contract, Basis::Business].into_iter().enumerate() {
            let start = w.h.context.now();
            let repo = w.repository_with(NewRepository { name: format!("repo {n}"), ..kept(100, basis) }).await;
            let (held, free, all) = (w.put(repo.id, person(1)).await, w.put(repo.id, person(2)).await, w.put(repo.id, person(3)).await);
            let one = HoldTarget::One(Target::Record(repo.id, held));
            let hold = w.vault.hold_set(&w.scope, one, "dispute", &w.decided).await.unwrap();
            // Held: whatever the basis, neither deleted nor erased.
            for error in [
                erase(&w, repo.id, held).await.unwrap_err(),
                w.vault.delete(&w.scope, Target::Record(repo.id, held), None, None, &w.decided).await.unwrap_err(),
            ] {
                assert_eq!((code(&error), error.clause()), ("legal-hold", Some("DD-1")));
            }
            // Not held, within its period: the basis decides.
            match (basis, erase(&w, repo.id, free).await) {
                (Basis::Business, outcome) => drop(outcome.unwrap()),
                (_, outcome) => {
                    let error = outcome.unwrap_err();
                    assert_eq!((code(&error), error.clause()), ("retention-period", Some("AR-2")));
                    let ends = start.plus(base::Duration::from_days(100));
                    assert!(error.to_string().contains(&ends.to_string()), "{error}");
                }
            }
            // The whole repository held: the others too.
            w.h.clock.advance(base::Duration::from_millis(1));
            let wide = w.vault.hold_set(&w.scope, HoldTarget::Repository(repo.id), "audit", &w.decided).await.unwrap();
            assert_eq!(code(&erase(&w, repo.id, all).await.unwrap_err()), "legal-hold");
            let explained = w.vault.explain(&w.scope, Target::Record(repo.id, held), &w.decided).await.unwrap();
            assert_eq!(explained.holds.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>(), ["dispute", "audit"]);
            assert!(!explained.erasable_now);
            // Past the period the schedule keeps what is held, says so, and takes the rest once free.
            w.pass_days(101);
            assert!(w.runner.run_due().await.unwrap() > 0);
            assert_eq!(state(&w, Target::Record(repo.id, all)).await, State::Live);
            assert_eq!(code(&erase(&w, repo.id, all).await.unwrap_err()), "legal-hold");
            let _ = w.vault.hold_lift(&w.scope, wide.id, "closed", &w.decided).await.unwrap();
            assert_eq!(code(&w.vault.hold_lift(&w.scope, wide.id, "again", &w.decided).await.unwrap_err()), "hold-lifted");
            w.pass_days(1);
            w.runner.run_due().await.unwrap();
            assert_eq!(state(&w, Target::Record(repo.id, all)).await, State::Erased);
            assert_eq!(state(&w, Target::Record(repo.id, held)).await, State::Live);
            let _ = w.vault.hold_lift(&w.scope, hold.id, "settled", &w.decided).await.unwrap();
            let _ = erase(&w, repo.id, held).await.unwrap();
            let holds = w.vault.hold_list(&w.scope, repo.id, None, 10, &w.decided).await.unwrap();
            assert_eq!(holds.iter().filter_map(|one| one.lift_reason.as_deref()).collect::<Vec<_>>(), ["settled", "closed"]);
        }
        assert!(w.events("retention.act", "legal-hold") >= 3);
        assert!(w.events("record.erase", "legal-hold") >= 6);
        assert_eq!(w.events("record.erase", "retention-period"), 2);
        assert!(w.events("retention.act", "\"cause\":\"retention\"") >= 3);
        // Reasons are not in the log.
        assert_eq!(w.events("hold.set", "dispute") + w.events("hold.lift", "settled"), 0);
    }

    async fn the_schedule_acts_on_time_and_not_before(h: Harness) {
        let w = World::with(h, VaultConfig { sweep_batch: 3, ..VaultConfig::default() }).await;
        let law = w.repository_with(NewRepository { name: "law".into(), ..kept(100, Basis::Law) }).await;
        let business = w.repository_with(NewRepository { name: "business".into(), ..kept(100, Basis::Business) }).await;
        let mut of_law = Vec::new();
        let mut of_business = Vec::new();
        for n in 0..7 {
            of_law.push(w.put(law.id, person(n)).await);
            of_business.push(w.put(business.id, person(n)).await);
        }
        let (kept_by_law, gone) = (Target::Record(law.id, of_law[0]), Target::Record(business.id, of_business[0]));
        for target in [kept_by_law, gone] {
            let _ = w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap();
        }
        w.pass_days(29);
        w.runner.run_due().await.unwrap();
        assert_eq!((state(&w, kept_by_law).await, state(&w, gone).await), (State::Deleted, State::Deleted));
        w.pass_days(1);
        w.runner.run_due().await.unwrap();
        assert_eq!((state(&w, kept_by_law).await, state(&w, gone).await), (State::Deleted, State::Erased));
        // One microsecond before the end of the period, and at it.
        let end = Timestamp::from_seconds(1_767_225_600).plus(base::Duration::from_days(100));
        w.h.clock.set(end.minus(base::Duration::from_micros(1)));
        w.runner.run_due().await.unwrap();
        assert_eq!(w.count("record"), 13);
        w.h.clock.set(end.plus(VaultConfig::default().sweep_interval));
        w.runner.run_due().await.unwrap();
        assert_eq!((w.count("record"), w.count("deletion_certificate")), (0, 14));
        assert_eq!(w.events("job.fail", ""), 0);
    }

    async fn a_longer_schedule_holds_for_what_is_stored_already(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(10, Basis::Business)).await;
        let id = w.put(repo.id, person(1)).await;
        let longer = Retention { period_days: 1_000, basis: Basis::Law, ..repo.retention.clone() };
        let change = RepositoryChange { retention: Some(longer), ..RepositoryChange::default() };
        let _ = w.vault.repository_update(&w.scope, repo.id, change, None, &w.decided).await.unwrap();
        w.pass_days(11);
        w.runner.run_due().await.unwrap();
        assert_eq!(state(&w, Target::Record(repo.id, id)).await, State::Live);
        assert_eq!(code(&erase(&w, repo.id, id).await.unwrap_err()), "retention-period");
    }

    async fn a_schedule_by_law_is_not_weakened_under_what_is_stored(h: Harness) {
        let w = World::new(h).await;
        for (n, basis) in [Basis::Law, Basis::Contract].into_iter().enumerate() {
            let repo = w.repository_with(NewRepository { name: format!("repo {n}"), ..kept(100, basis) }).await;
            let update = |period_days, basis| {
                let next = Retention { period_days, basis, ..repo.retention.clone() };
                let change = RepositoryChange { retention: Some(next), ..RepositoryChange::default() };
                w.vault.repository_update(&w.scope, repo.id, change, None, &w.decided)
            };
            // Empty, it may become anything.
            let _ = update(10, Basis::Business).await.unwrap();
            let _ = update(100, basis).await.unwrap();
            let id = w.put(repo.id, person(1)).await;
            let other = if basis == Basis::Law { Basis::Contract } else { Basis::Law };
            for (days, next) in [(99, basis), (100, Basis::Business), (500, Basis::Business), (500, other)] {
                let error = update(days, next).await.unwrap_err();
                assert_eq!(
                    (code(&error), error.clause(), error.field()),
                    ("retention-weakened", Some("AR-2"), Some("retention"))
                );
            }
            let read = w.vault.repository_get(&w.scope, repo.id, &w.decided).await.unwrap();
            assert_eq!((read.retention.period_days, read.retention.basis, read.revision), (100, basis, 3));
            let _ = update(101, basis).await.unwrap();
            // Deleted is not erased: it counts.
            let _ = w.vault.delete(&w.scope, Target::Record(repo.id, id), None, None, &w.decided).await.unwrap();
            assert_eq!(code(&update(1, basis).await.unwrap_err()), "retention-weakened");
            w.pass_days(102);
            w.runner.run_due().await.unwrap();
            assert_eq!(state(&w, Target::Record(repo.id, id)).await, State::Erased);
            let _ = update(1, Basis::Business).await.unwrap();
        }
        assert_eq!(w.events("repository.update", "retention-weakened"), 10);
    }

    async fn expired_answers_are_forgotten(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("people", "internal").await;
        let once = Some(vault::IdempotencyKey { key: "k", route: "POST", body: b"{}" });
        let new = NewRecord { body: b"{}", classification: None };
        let _ = w.vault.record_create(&w.scope, repo.id, new, once, &w.decided).await.unwrap();
        assert_eq!(w.count("idempotency"), 1);
        w.h.clock.advance(base::Duration::from_seconds(7_200));
        w.runner.run_due().await.unwrap();
        assert_eq!(w.count("idempotency"), 1);
        w.pass_days(1);
        w.runner.run_due().await.unwrap();
        assert_eq!(w.count("idempotency"), 0);
    }

    async fn holds_and_erasures_that_race_leave_no_held_thing_erased(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(10, Basis::Business)).await;
        for n in 0..6 {
            let target = Target::Record(repo.id, w.put(repo.id, person(n)).await);
            let (v, s, d) = (w.vault.clone(), w.scope.clone(), w.decided.clone());
            let holding = tokio::spawn(async move { v.hold_set(&s, HoldTarget::One(target), "why", &d).await.map(drop) });
            let (v, s, d) = (w.vault.clone(), w.scope.clone(), w.decided.clone());
            let erasing = tokio::spawn(async move { v.erase(&s, target, None, &d).await.map(drop) });
            let (held, erased) = (holding.await.unwrap(), erasing.await.unwrap());
            match state(&w, target).await {
                State::Live => assert!(held.is_ok() && erased.is_err_and(|error| code(&error) == "legal-hold")),
                State::Erased => assert!(erased.is_ok() && held.is_err_and(|error| code(&error) == "not-found")),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn deletions_and_holds_on_the_repository_that_race_are_in_order(h: Harness) {
        let w = World::new(h).await;
        for n in 0..6 {
            let repo = w.repository(&format!("repo {n}"), "internal").await;
            let target = Target::Record(repo.id, w.put(repo.id, person(n)).await);
            let (v, s, d) = (w.vault.clone(), w.scope.clone(), w.decided.clone());
            let wide = HoldTarget::Repository(repo.id);
            let holding = tokio::spawn(async move { v.hold_set(&s, wide, "why", &d).await.map(drop) });
            let (v, s, d) = (w.vault.clone(), w.scope.clone(), w.decided.clone());
            let deleting = tokio::spawn(async move { v.delete(&s, target, None, None, &d).await.map(drop) });
            holding.await.unwrap().unwrap();
            // What the log has last: a hold after the deletion, or a refusal after the hold.
            let last = "SELECT activity FROM event WHERE activity IN ('hold.set', 'record.delete') ORDER BY seq DESC LIMIT 1";
            match (deleting.await.unwrap(), state(&w, target).await) {
                (Ok(()), State::Deleted) => assert_eq!(w.h.tamper(Realm::Data, last), ["hold.set"]),
                (Err(error), State::Live) => {
                    assert_eq!(code(&error), "legal-hold");
                    assert_eq!(w.h.tamper(Realm::Data, last), ["record.delete"]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Last night's database beside today's keys: what was erased since stays erased, the rest reads.
async fn a_restored_backup(engine: Engine) {
    let w = World::new(Harness::new(engine).await).await;
    let repo = w.repository_with(kept(365, Basis::Business)).await;
    let (erased, beside) = (w.put(repo.id, person(1)).await, w.put(repo.id, person(2)).await);
    let patch = NewRecord { body: br#"{"name": "another"}"#, classification: None };
    let _ = w.vault.record_patch(&w.scope, (repo.id, erased), patch, None, None, &w.decided).await.unwrap();
    let backup = w.h.dir.path().join("backup");
    back_up(&w.h, &backup);
    let _ = erase(&w, repo.id, erased).await.unwrap();

    let data = restore(&w.h, &backup).await;
    let keys = open_keys(&w.h, &data).await;
    let restored =
        Vault::open(data, keys, w.blobs.clone(), w.vault.scheme().clone(), VaultConfig::default(), signer())
            .await
            .unwrap();
    let get = |id, version| restored.record_get(&w.scope, (repo.id, id), version, &w.decided);
    for version in [None, Some(1), Some(2)] {
        assert_eq!(code(&get(erased, version).await.unwrap_err()), "key-destroyed");
    }
    assert!(get(beside, None).await.unwrap().body.is_some());
    let page = restored.record_list(&w.scope, w.list(repo.id, 10, None), &w.decided).await.unwrap();
    assert_eq!(page.records.iter().map(|record| record.meta.id).collect::<Vec<_>>(), [beside]);
}

/// Copies the data realm as the engine's own tools do.
fn back_up(h: &Harness, to: &std::path::Path) {
    match h.engine() {
        Engine::Sqlite => drop(h.tamper(Realm::Data, &format!("VACUUM INTO '{}'", to.display()))),
        Engine::Postgres => {
            let mut dump = h.postgres().client("pg_dump");
            assert!(dump.args(["-n", "tenet", "-Fc", "-f"]).arg(to).status().unwrap().success());
        }
    }
}

/// Puts the copy in place of the data realm; the keys' realm stays as it is.
async fn restore(h: &Harness, from: &std::path::Path) -> store::Store {
    match h.engine() {
        Engine::Sqlite => {
            let options = store::Options {
                engine: store::Engine::Sqlite { path: from.to_owned() },
                realm: Realm::Data,
                context: h.context.clone(),
                server: h.data.server(),
                max_bytes: None,
            };
            store::Store::open(options).await.unwrap().0
        }
        Engine::Postgres => {
            h.postgres().sql("DROP SCHEMA tenet CASCADE");
            let mut restore = h.postgres().client("pg_restore");
            assert!(restore.arg(from).status().unwrap().success());
            h.reopen().await.0
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_does_not_bring_back_what_was_erased_sqlite() {
    a_restored_backup(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_does_not_bring_back_what_was_erased_postgres() {
    a_restored_backup(Engine::Postgres).await;
}
