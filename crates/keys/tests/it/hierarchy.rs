//! Data keys, accounts, secrets and events, on both engines.

use std::{future::Future as _, sync::Arc, task::Poll};

use crate::common::{account, binding, events, leaves, open, open_with, provider, sql_bytes};
use base::{Actor, DataKeyId, Duration, Fault as _, Kind, RepositoryId, SecretBytes};
use keys::{FileProvider, KeyError, Keys, Limits, NewDataKey, Purpose, Subject};
use store::{Realm, StoreError};
use testkit::{Engine, Harness, on_both_engines};

on_both_engines! {
    async fn a_data_key_is_durable_before_it_is_handed_out(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let key = keys.new_data_key(&scope).await.unwrap();
            assert!(seen.insert(key.id()), "never twice");
            let place = binding(scope.account());
            let sealed = key.seal(&place, b"value").unwrap();
            let again = keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
            assert_eq!(again.open(&place, &sealed).unwrap().expose(), b"value");
        }
        // 200 keys cost a handful of durable writes: an intent and a completion for every 64.
        assert!(events(&h, "key.create") <= 24, "{}", events(&h, "key.create"));
        let ids: Vec<_> = seen.into_iter().collect();
        let all = keys.data_keys(&scope, &ids, Purpose::List).await.unwrap();
        assert!(all.iter().zip(&ids).all(|(key, id)| key.as_ref().unwrap().id() == *id));
    }

    async fn another_account_has_no_such_key(h: Harness) {
        let keys = open(&h).await;
        let (one, two) = (h.scope(account(&h, &keys).await), h.scope(account(&h, &keys).await));
        let key = keys.new_data_key(&one).await.unwrap();
        let foreign = keys.data_key(&two, key.id(), Purpose::Read).await.unwrap_err();
        let absent = keys.data_key(&two, DataKeyId::new(&h.context).unwrap(), Purpose::Read).await.unwrap_err();
        assert_eq!((foreign.kind(), foreign.code()), (Kind::NotFound, "key-unknown"));
        assert_eq!(foreign.to_string(), absent.to_string());
        assert!(keys.data_keys(&two, &[key.id()], Purpose::Read).await.unwrap()[0].is_none());
        assert!(!keys.destroy_data_key(&two, key.id()).await.unwrap());
        assert!(keys.data_key(&one, key.id(), Purpose::Read).await.is_ok(), "not another account's to destroy");
    }

    async fn a_wrapped_key_moved_to_another_account_does_not_open(h: Harness) {
        let keys = open(&h).await;
        let (one, two) = (h.scope(account(&h, &keys).await), h.scope(account(&h, &keys).await));
        let key = keys.new_data_key(&one).await.unwrap();
        let move_row = format!(
            "UPDATE data_key SET account_id = {} WHERE id = {}",
            sql_bytes(two.account().as_bytes()),
            sql_bytes(key.id().as_bytes())
        );
        h.tamper(Realm::Keys, &move_row);
        let refused = keys.data_key(&two, key.id(), Purpose::Read).await;
        assert!(matches!(refused, Err(KeyError::DoesNotOpen)), "{refused:?}");
        assert!(leaves(&h, "key.refuse")[0].contains("wrapped-key-damaged"));
        // Nor does a key under another id of the same account.
        let [a, b] = [keys.new_data_key(&one).await.unwrap().id(), keys.new_data_key(&one).await.unwrap().id()];
        let swap = format!(
            "UPDATE data_key SET wrapped = (SELECT d.wrapped FROM data_key d WHERE d.id = {}) WHERE id = {}",
            sql_bytes(a.as_bytes()),
            sql_bytes(b.as_bytes())
        );
        h.tamper(Realm::Keys, &swap);
        assert!(matches!(keys.data_key(&one, b, Purpose::Read).await, Err(KeyError::DoesNotOpen)));
    }

    async fn an_account_key_moved_to_another_account_does_not_open(h: Harness) {
        let keys = open(&h).await;
        let (one, two) = (h.scope(account(&h, &keys).await), h.scope(account(&h, &keys).await));
        let swap = format!(
            "UPDATE account_key SET wrapped = (SELECT k.wrapped FROM account_key k WHERE k.account = {}) WHERE account = {}",
            sql_bytes(one.account().as_bytes()),
            sql_bytes(two.account().as_bytes())
        );
        h.tamper(Realm::Keys, &swap);
        let refused = keys.new_data_key(&two).await;
        assert!(matches!(refused, Err(KeyError::Provider(_))), "{refused:?}");
        assert_eq!(events(&h, "key.refuse"), 1);
        assert!(keys.new_data_key(&one).await.is_ok());
    }

    async fn a_destroyed_key_is_gone_on_every_server_at_once(h: Harness) {
        let keys = open(&h).await;
        let other = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let [key, kept] = [keys.new_data_key(&scope).await.unwrap(), keys.new_data_key(&scope).await.unwrap()];
        assert!(other.data_key(&scope, key.id(), Purpose::Read).await.is_ok());
        assert!(keys.destroy_data_key(&scope, key.id()).await.unwrap());
        assert!(!keys.destroy_data_key(&scope, key.id()).await.unwrap(), "idempotent");
        for server in [&keys, &other] {
            let gone = server.data_key(&scope, key.id(), Purpose::Read).await.unwrap_err();
            assert_eq!((gone.kind(), gone.code()), (Kind::NotFound, "key-destroyed"));
            let batch = server.data_keys(&scope, &[kept.id(), key.id()], Purpose::List).await.unwrap();
            assert!(batch[0].is_some() && batch[1].is_none());
        }
        let sql = format!("SELECT COALESCE(LENGTH(wrapped), 0) FROM data_key WHERE id = {}", sql_bytes(key.id().as_bytes()));
        assert_eq!(h.tamper(Realm::Keys, &sql), ["0"], "the wrapped key is overwritten");
        let said = leaves(&h, "key.destroy");
        assert!(said[0].contains("intent") && said[1].contains("complete"), "{said:?}");
        assert!(said[0].contains(&key.id().to_string()));
    }

    async fn a_server_does_not_start_with_empty_keys_over_data_in_use(h: Harness) {
        // An event alone is what a first start that crashed leaves.
        let note = ledger::Act::new(ledger::Activity::ServerStart, ledger::ObjectRef::new("server", "one"));
        h.data.record_system(&h.system(), note).await.unwrap();
        let keys = open(&h).await;
        let account = account(&h, &keys).await;
        let empty = || {
            for table in ["provider_key", "account_key", "account_ring", "account_secret"] {
                h.tamper(Realm::Keys, &format!("DELETE FROM {table}"));
            }
        };
        let again = async || {
            let mint = h.another_mint().await;
            Keys::open(h.data.clone(), h.keys.clone(), mint, provider(&h), Limits::default()).await
        };
        let id = sql_bytes(account.as_bytes());
        for (plant, clear) in [
            (format!("INSERT INTO account (id, name, created_at) VALUES ({id}, 'Acme', 1)"), "DELETE FROM account"),
            ("UPDATE log_head SET size = 1".to_owned(), "UPDATE log_head SET size = 0"),
            (
                format!(
                    "INSERT INTO operator (id, name, role, public_key, enrolled_at) \
                     VALUES ({id}, 'One', 'auditor', {id}, 1)"
                ),
                "DELETE FROM operator",
            ),
        ] {
            h.tamper(Realm::Data, &plant);
            again().await.unwrap();
            empty();
            let before = events(&h, "key.create");
            let refused = again().await.unwrap_err();
            assert_eq!((refused.kind(), refused.code()), (Kind::Internal, "keys-missing"), "{plant}");
            assert!(refused.to_string().contains("restore the keys' database"), "{refused}");
            assert_eq!(h.tamper(Realm::Keys, "SELECT COUNT(*) FROM provider_key"), ["0"], "nothing is made");
            assert_eq!(events(&h, "key.create"), before, "nothing is begun");
            h.tamper(Realm::Data, clear);
            again().await.unwrap();
        }
    }

    async fn without_its_event_nothing_is_destroyed(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let key = keys.new_data_key(&scope).await.unwrap();
        keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        h.tamper(Realm::Data, "ALTER TABLE outbox RENAME TO outbox_away");
        assert!(keys.destroy_data_key(&scope, key.id()).await.is_err());
        assert!(keys.rotate_account(&h.system(), scope.account()).await.is_err());
        h.tamper(Realm::Data, "ALTER TABLE outbox_away RENAME TO outbox");
        assert!(keys.data_key(&scope, key.id(), Purpose::Read).await.is_ok(), "it was not destroyed");
    }

    async fn suspended_and_absent_accounts_fail_closed(h: Harness) {
        let keys = open(&h).await;
        let other = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let key = keys.new_data_key(&scope).await.unwrap();
        let repository = RepositoryId::from_bytes([1; 16]);
        other.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        keys.suspend_account(&h.system(), scope.account()).await.unwrap();
        keys.suspend_account(&h.system(), scope.account()).await.unwrap();
        for server in [&keys, &other] {
            let refused = server.data_key(&scope, key.id(), Purpose::Read).await.unwrap_err();
            assert_eq!((refused.kind(), refused.code()), (Kind::Denied, "account-suspended"));
            assert!(matches!(server.new_data_key(&scope).await, Err(KeyError::Suspended)));
            assert!(matches!(server.index_key(&scope, repository, "a").await, Err(KeyError::Suspended)));
            let batch = server.data_keys(&scope, &[key.id()], Purpose::List).await;
            assert!(matches!(batch, Err(KeyError::Suspended)));
        }
        keys.resume_account(&h.system(), scope.account()).await.unwrap();
        assert!(keys.data_key(&scope, key.id(), Purpose::Read).await.is_ok());
        assert!(keys.new_data_key(&scope).await.is_ok());

        let nobody = h.scope(h.account());
        assert!(matches!(keys.new_data_key(&nobody).await, Err(KeyError::NoSuchAccount)));
        assert!(matches!(keys.index_key(&nobody, repository, "a").await, Err(KeyError::NoSuchAccount)));
        assert!(matches!(keys.data_key(&nobody, key.id(), Purpose::Read).await, Err(KeyError::NoSuchKey)));
    }

    async fn creating_an_account_twice_is_creating_it_once(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let key = keys.new_data_key(&scope).await.unwrap();
        let index = keys.index_key(&scope, RepositoryId::from_bytes([1; 16]), "a").await.unwrap().digest(b"x");
        keys.create_account(&h.system(), scope.account()).await.unwrap().into_inner();
        let fresh = open(&h).await;
        assert!(fresh.data_key(&scope, key.id(), Purpose::Read).await.is_ok());
        let again = fresh.index_key(&scope, RepositoryId::from_bytes([1; 16]), "a").await.unwrap().digest(b"x");
        assert_eq!(index, again);
        let other = fresh.index_key(&scope, RepositoryId::from_bytes([1; 16]), "b").await.unwrap().digest(b"x");
        assert_ne!(index, other);
    }

    async fn another_provider_key_is_refused_at_start(h: Harness) {
        let keys = open(&h).await;
        account(&h, &keys).await;
        let stranger: Arc<dyn keys::Provider> =
            Arc::new(FileProvider::create(h.dir.path().join("other.key"), &h.context).unwrap());
        let mint = h.another_mint().await;
        let refused = Keys::open(h.data.clone(), h.keys.clone(), mint, stranger, Limits::default()).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the provider key `file` is not the one that these keys were wrapped with: its version 1 is another key; \
             put back the key file or token that belongs to this database"
        );
        open(&h).await;
    }

    async fn uses_are_events_by_purpose(h: Harness) {
        let keys = open(&h).await;
        let before = events(&h, "key.use");
        let scope = h.scope(account(&h, &keys).await);
        let key = keys.new_data_key(&scope).await.unwrap();
        let unwraps = events(&h, "key.use");
        assert_eq!(unwraps - before, 1, "the account key was unwrapped once, and that is an event of its own");
        for _ in 0..5 {
            keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        }
        keys.data_key(&scope, key.id(), Purpose::Verify).await.unwrap();
        assert_eq!(events(&h, "key.use"), unwraps, "a use costs no durable write");
        assert_eq!(keys.flush_uses().await.unwrap(), 1);
        let last = leaves(&h, "key.use").pop().unwrap();
        for expected in ["\"read\":5", "\"verify\":1", "\"write\":1"] {
            assert!(last.contains(expected), "{expected} in {last}");
        }
        assert!(last.contains(&scope.account().to_string()));
        assert_eq!(keys.flush_uses().await.unwrap(), 0, "nothing since");
        h.tamper(Realm::Data, "ALTER TABLE outbox RENAME TO outbox_away");
        keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        assert!(keys.flush_uses().await.is_err());
        h.tamper(Realm::Data, "ALTER TABLE outbox_away RENAME TO outbox");
        assert_eq!(keys.flush_uses().await.unwrap(), 1, "counts are kept until they are written");
    }

    async fn keys_in_memory_are_bounded_by_time_and_uses(h: Harness) {
        let keys = open_with(&h, Limits { cache_uses: 4, ..Limits::default() }).await;
        let before = events(&h, "key.use");
        let scope = h.scope(account(&h, &keys).await);
        let key = keys.new_data_key(&scope).await.unwrap();
        assert_eq!(events(&h, "key.use") - before, 1);
        for _ in 0..4 {
            keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        }
        assert_eq!(events(&h, "key.use") - before, 2, "unwrapped anew after four uses");
        h.clock.advance(Limits::default().cache_time);
        keys.data_key(&scope, key.id(), Purpose::Read).await.unwrap();
        assert_eq!(events(&h, "key.use") - before, 3, "unwrapped anew after five minutes");
    }

    async fn unused_keys_of_the_pool_are_destroyed(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let used = keys.new_data_key(&scope).await.unwrap();
        let stored = || h.tamper(Realm::Keys, "SELECT COUNT(*) FROM data_key")[0].clone();
        assert_eq!(stored(), "64");
        h.clock.advance(Limits::default().pool_time.max(Duration::from_seconds(1)));
        keys.flush_uses().await.unwrap();
        assert_eq!(stored(), "1");
        let second = keys.new_data_key(&scope).await.unwrap();
        assert_eq!(stored(), "65");
        keys.close().await.unwrap();
        assert_eq!(stored(), "2");
        for key in [used, second] {
            assert!(keys.data_key(&scope, key.id(), Purpose::Read).await.is_ok());
        }
    }

    async fn a_new_key_that_nothing_came_to_use_is_destroyed(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let mut ids = Vec::new();
        // Refused, committed, with an outcome that nobody knows, cancelled, and never used.
        for outcome in [Err(StoreError::Full), Ok(()), Err(StoreError::Unknown)] {
            let mut some = [keys.new_data_key(&scope).await.unwrap()];
            ids.push(some[0].id());
            let _ = NewDataKey::used_by(&mut some, async { outcome }).await;
        }
        let mut cancelled = [keys.new_data_key(&scope).await.unwrap()];
        ids.push(cancelled[0].id());
        let mut committing =
            Box::pin(NewDataKey::used_by(&mut cancelled, std::future::pending::<Result<(), StoreError>>()));
        assert!(std::future::poll_fn(|context| Poll::Ready(committing.as_mut().poll(context).is_pending())).await);
        drop(committing);
        drop(cancelled);
        ids.push(keys.new_data_key(&scope).await.unwrap().id());
        keys.flush_uses().await.unwrap();
        let mut there = Vec::new();
        for id in &ids {
            there.push(keys.data_key(&scope, *id, Purpose::Read).await.is_ok());
        }
        assert_eq!(there, [false, true, true, true, false]);
    }

    async fn what_could_not_be_destroyed_is_destroyed_the_next_time(h: Harness) {
        let keys = open(&h).await;
        let scopes = [h.scope(account(&h, &keys).await), h.scope(account(&h, &keys).await)];
        let mut made = Vec::new();
        for scope in &scopes {
            made.push(keys.new_data_key(scope).await.unwrap());
        }
        keys.close().await.unwrap();
        drop(made);
        let stored = || h.tamper(Realm::Keys, "SELECT COUNT(*) FROM data_key")[0].clone();
        assert_eq!(stored(), "2");
        h.tamper(Realm::Data, "ALTER TABLE outbox RENAME TO outbox_away");
        assert!(keys.flush_uses().await.is_err());
        h.tamper(Realm::Data, "ALTER TABLE outbox_away RENAME TO outbox");
        assert_eq!(stored(), "2");
        keys.flush_uses().await.unwrap();
        assert_eq!(stored(), "0");
    }

    async fn a_filling_that_is_cancelled_leaves_no_key(h: Harness) {
        let keys = open(&h).await;
        let scope = h.scope(account(&h, &keys).await);
        let stored = || h.tamper(Realm::Keys, "SELECT COUNT(*) FROM data_key")[0].clone();
        // Cancelled at each of its waits, until one filling is done.
        for steps in 1.. {
            let mut filling = Box::pin(keys.new_data_key(&scope));
            let mut left = steps;
            let done = std::future::poll_fn(|context| {
                let ready = filling.as_mut().poll(context).is_ready();
                left -= 1;
                if ready || left == 0 { Poll::Ready(ready) } else { Poll::Pending }
            });
            let done = done.await;
            drop(filling);
            // Behind whatever is still being made.
            drop(keys.new_data_key(&scope).await.unwrap());
            keys.close().await.unwrap();
            keys.flush_uses().await.unwrap();
            assert_eq!(stored(), "0", "after {steps} steps");
            if done {
                break;
            }
        }
    }

    async fn from_where_nobody_acted_is_forgotten_in_time(h: Harness) {
        let keys = open(&h).await;
        let (nobody, somebody) = (Actor::Anonymous, h.system().actor());
        let day = Subject::of(nobody, h.context.now());
        let of_day = keys.seal_context(nobody, b"192.0.2.1").await.unwrap();
        let known = keys.seal_context(somebody, b"192.0.2.2").await.unwrap();
        h.clock.advance(Duration::from_days(90));
        keys.flush_uses().await.unwrap();
        assert_eq!(keys.open_context(&h.system(), &day, &of_day).await.unwrap().expose(), b"192.0.2.1");
        h.clock.advance(Duration::from_days(1));
        keys.flush_uses().await.unwrap();
        let gone = keys.open_context(&h.system(), &day, &of_day).await;
        assert!(matches!(gone, Err(KeyError::Destroyed)), "{gone:?}");
        let subject = Subject::of(somebody, h.context.now());
        assert!(keys.open_context(&h.system(), &subject, &known).await.is_ok());
        assert!(leaves(&h, "key.destroy").iter().any(|leaf| leaf.contains(day.name())));
    }

    async fn servers_share_secrets(h: Harness) {
        let (one, two) = (open(&h).await, open(&h).await);
        let make = |byte: u8| move |_: &base::Context| Ok(SecretBytes::new(vec![byte; 32]));
        let (a, b) = tokio::join!(one.secret("log-signing", make(1)), two.secret("log-signing", make(2)));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.expose(), b.expose(), "whoever stored it first");
        assert_eq!(open(&h).await.secret("log-signing", make(3)).await.unwrap().expose(), a.expose());
        assert_ne!(one.secret("token-signing", make(9)).await.unwrap().expose(), a.expose());
        let cursor = one.platform_key("cursor").await.unwrap();
        assert_eq!(cursor.expose().len(), 32);
        assert_eq!(cursor.expose(), two.platform_key("cursor").await.unwrap().expose());
        assert_ne!(cursor.expose(), one.platform_key("other").await.unwrap().expose());
        h.tamper(Realm::Keys, "UPDATE platform_secret SET wrapped = (SELECT s.wrapped FROM platform_secret s WHERE s.name = 'log-signing') WHERE name = 'token-signing'");
        assert!(matches!(one.secret("token-signing", make(9)).await, Err(KeyError::Provider(_))), "bound to its name");
    }

    async fn where_somebody_acts_from_is_sealed_to_them(h: Harness) {
        let keys = open(&h).await;
        let actor = h.system().actor();
        let sealed = keys.seal_context(actor, b"192.0.2.1 curl").await.unwrap();
        let again = keys.seal_context(actor, b"192.0.2.1 curl").await.unwrap();
        assert_ne!(sealed.commitment, again.commitment, "equal contexts do not look alike");
        let subject = Subject::of(actor, h.context.now());
        let opened = keys.open_context(&h.system(), &subject, &sealed).await.unwrap();
        assert_eq!(opened.expose(), b"192.0.2.1 curl");
        let mut other = sealed.clone();
        other.commitment = again.commitment;
        assert!(keys.open_context(&h.system(), &subject, &other).await.is_err(), "not what the leaf commits to");
        let nobody = keys.seal_context(Actor::Anonymous, b"192.0.2.9").await.unwrap();
        assert!(keys.open_context(&h.system(), &subject, &nobody).await.is_err());
        let today = Subject::of(Actor::Anonymous, h.context.now());
        assert_eq!(today.name(), "anonymous 2026-01-01");
        assert!(keys.open_context(&h.system(), &today, &nobody).await.is_ok());

        assert!(keys.destroy_subject(&h.system(), &subject).await.unwrap());
        assert!(!keys.destroy_subject(&h.system(), &subject).await.unwrap());
        assert!(matches!(keys.open_context(&h.system(), &subject, &sealed).await, Err(KeyError::Destroyed)));
        let after = keys.seal_context(actor, b"192.0.2.1 curl").await.unwrap();
        assert!(keys.open_context(&h.system(), &subject, &after).await.is_ok());
        assert!(keys.open_context(&h.system(), &subject, &sealed).await.is_err());
    }

    async fn two_servers_may_start_at_once(h: Harness) {
        let (first, second) = (h.another_mint().await, h.another_mint().await);
        let start = |mint| Keys::open(h.data.clone(), h.keys.clone(), mint, provider(&h), Limits::default());
        let (one, two) = tokio::join!(start(first), start(second));
        let (one, two) = (one.unwrap(), two.unwrap());
        let scope = h.scope(account(&h, &one).await);
        let key = one.new_data_key(&scope).await.unwrap();
        assert!(two.data_key(&scope, key.id(), Purpose::Read).await.is_ok());
        assert_eq!(h.tamper(Realm::Keys, "SELECT version, state FROM provider_key"), ["1|active"]);
    }
}

/// Erased, then last night's data restored beside today's keys: what was erased stays erased.
#[tokio::test]
async fn a_copy_of_the_data_does_not_bring_a_key_back() {
    let h = Harness::new(Engine::Sqlite).await;
    let keys = open(&h).await;
    let scope = h.scope(account(&h, &keys).await);
    let (erased, kept) = (keys.new_data_key(&scope).await.unwrap(), keys.new_data_key(&scope).await.unwrap());
    let place = binding(scope.account());
    // Last night's backup of the data: sealed values and the ids of their keys.
    let backup = [erased, kept].map(|key| (key.id(), key.seal(&place, b"value").unwrap()));
    keys.destroy_data_key(&scope, backup[0].0).await.unwrap();
    let today = open(&h).await;
    assert!(matches!(today.data_key(&scope, backup[0].0, Purpose::Read).await, Err(KeyError::Destroyed)));
    let key = today.data_key(&scope, backup[1].0, Purpose::Read).await.unwrap();
    assert_eq!(key.open(&place, &backup[1].1).unwrap().expose(), b"value");
    // Nor does the file of the keys hold the destroyed key anywhere.
    let wrapped = |id: DataKeyId| {
        let sql = format!(
            "SELECT COALESCE(LENGTH(wrapped), 0) FROM data_key WHERE id = {}",
            sql_bytes(id.as_bytes())
        );
        h.tamper(Realm::Keys, &sql)[0].clone()
    };
    assert_eq!(wrapped(backup[0].0), "0");
    assert_eq!(wrapped(backup[1].0), "113");
}

/// Which of the wrapped keys the files of the keys' realm hold.
fn held(h: &Harness, wrapped: &[Vec<u8>]) -> Vec<bool> {
    let path = h.sqlite_path(Realm::Keys);
    let log = path.with_file_name("keys.db-wal");
    let files = [path, log].map(|path| std::fs::read(path).unwrap_or_default());
    let holds = |key: &Vec<u8>| files.iter().any(|file| file.windows(key.len()).any(|window| window == key));
    wrapped.iter().map(holds).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A copy of the file that is made after the certificate must not open what was erased.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_holds_a_destroyed_key() {
    let h = Harness::new(Engine::Sqlite).await;
    let keys = open(&h).await;
    // Two accounts whose keys are made by turns, so that pages of the table were split.
    let scopes = [h.scope(account(&h, &keys).await), h.scope(account(&h, &keys).await)];
    let mut made = Vec::new();
    for n in 0..260 {
        let scope = &scopes[n % 2];
        let id = keys.new_data_key(scope).await.unwrap().id();
        let sql = format!("SELECT wrapped FROM data_key WHERE id = {}", sql_bytes(id.as_bytes()));
        made.push((scope, id, bytes(&h.tamper(Realm::Keys, &sql)[0])));
    }
    let wrapped: Vec<_> = made.iter().map(|(_, _, wrapped)| wrapped.clone()).collect();
    h.keys.fold().await.unwrap();
    assert!(held(&h, &wrapped).iter().all(|held| *held), "they were there");
    // One, as an erasure does; then those of an account at once.
    let (scope, id, _) = &made[0];
    keys.destroy_data_key(scope, *id).await.unwrap();
    assert!(!held(&h, &wrapped)[0], "gone from both files");
    let ids: Vec<_> = made.iter().step_by(2).map(|(_, id, _)| *id).collect();
    assert_eq!(keys.destroy_data_keys(&scopes[0], &ids).await.unwrap(), 129);
    let held_after = held(&h, &wrapped);
    let wrong = held_after.iter().enumerate().filter(|(n, held)| **held != (n % 2 == 1)).count();
    assert_eq!(wrong, 0, "those destroyed are gone, the others are there");
    // The same of a subject's key, and of a retired account key.
    let subject = Subject::of(Actor::Anonymous, h.context.now());
    keys.seal_context(Actor::Anonymous, b"somewhere").await.unwrap();
    let mut others = vec![bytes(&h.tamper(Realm::Keys, "SELECT wrapped FROM subject_key")[0])];
    h.keys.fold().await.unwrap();
    assert_eq!(held(&h, &others), [true]);
    keys.destroy_subject(&h.system(), &subject).await.unwrap();
    assert_eq!(held(&h, &others), [false]);
    let account = scopes[1].account();
    let sql = format!("SELECT wrapped FROM account_key WHERE account = {}", sql_bytes(account.as_bytes()));
    others = vec![bytes(&h.tamper(Realm::Keys, &sql)[0])];
    keys.rotate_account(&h.system(), account).await.unwrap().into_inner();
    crate::common::run_jobs(&h, &keys).await;
    h.keys.fold().await.unwrap();
    assert_eq!(held(&h, &others), [true]);
    keys.retire_account(&h.system(), account, 1).await.unwrap();
    assert_eq!(held(&h, &others), [false]);
}

/// The destruction that stopped between the change and the fold: its repetition destroys nothing, and folds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_destruction_makes_the_files_forget() {
    let h = Harness::new(Engine::Sqlite).await;
    let keys = open(&h).await;
    let scope = h.scope(account(&h, &keys).await);
    let id = keys.new_data_key(&scope).await.unwrap().id();
    let sql = format!("SELECT wrapped FROM data_key WHERE id = {}", sql_bytes(id.as_bytes()));
    let wrapped = [bytes(&h.tamper(Realm::Keys, &sql)[0])];
    h.keys.fold().await.unwrap();
    const DESTROY: store::Scoped =
        store::update!("data_key" set "wrapped = NULL, destroyed_at = 1" where "id = $2");
    let act = ledger::Act::new(ledger::Activity::KeyDestroy, ledger::ObjectRef::new("data_key", id));
    let recorded = h.data.record(&scope, act).await.unwrap();
    let mut tx = h.keys.begin(&scope).await.unwrap();
    tx.execute(DESTROY, &[(&id).into()]).await.unwrap();
    tx.commit_recorded((), &recorded).await.unwrap().into_inner();
    assert_eq!(held(&h, &wrapped), [true], "the change is in the write-ahead log alone");
    assert!(!keys.destroy_data_key(&scope, id).await.unwrap());
    assert_eq!(held(&h, &wrapped), [false]);
}
