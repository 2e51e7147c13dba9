//! New data keys. They are made some at a time and durable before the first of them is handed out, so
//! that a record's creation costs no durable write here, and no record names a key that is not stored.
//!
//! A key goes out as a [`NewDataKey`], which gives it back to be destroyed unless it came to be used.
//!
//! A crash loses the keys in memory that no record names yet: rows that open nothing, at most
//! [`Limits::pool_keys`] and [`Limits::pool_low_busy`] for each account in use, and those in the hands of
//! operations under way. A clean stop destroys them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base::{AccountId, DataKeyId, Duration, Timestamp};
use ledger::{Act, Activity, Interface, ObjectRef};
use store::{Scope, StoreError, insert, update};

use crate::{
    DataKey, KeyError, Keys, Limits, NewDataKey, Purpose,
    account::account_object,
    envelope::{self, Label, RawKey},
    keys::signed,
    read_data_key::data_key_associated,
};

const ADD: store::Scoped =
    insert!("data_key" ("id, account_key_version, wrapped, destroyed_at") values "$2, $3, $4, NULL");
pub(crate) const COUNT_WRAPS: store::Scoped = update!("account_ring" set "wraps = wraps + $3"
    where "active_version = $2 AND suspended_at IS NULL AND wraps + $3 <= $4" then "RETURNING wraps");

/// Two fillings within this are close together.
const BUSY: Duration = Duration::from_seconds(1);

type Fresh = (DataKeyId, RawKey);

/// Data keys in memory that are durable and not yet used.
#[derive(Default)]
pub(crate) struct Pools(Mutex<State>);

#[derive(Default)]
struct State {
    pools: HashMap<AccountId, Pool>,
    /// Keys that were dropped without ever being used.
    dropped: Vec<(AccountId, DataKeyId)>,
}

#[derive(Default)]
struct Pool {
    /// Oldest first, each until when it may stay.
    keys: VecDeque<(Fresh, Timestamp)>,
    /// When it was last filled.
    filled: Option<Timestamp>,
    /// Whether the last two fillings came close together: then the next begins earlier, so that
    /// nobody waits for it.
    busy: bool,
    filling: Arc<tokio::sync::Mutex<()>>,
}

impl Pools {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the maps whole: entries are moved in and out in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key, and whether the pool runs low.
    fn take(&self, account: AccountId, now: Timestamp, limits: &Limits) -> Option<(Fresh, bool)> {
        let mut state = self.state();
        state.drop_old(account, now);
        let pool = state.pools.get_mut(&account)?;
        let (fresh, _) = pool.keys.pop_front()?;
        let low = if pool.busy { limits.pool_low_busy } else { limits.pool_low };
        Some((fresh, pool.keys.len() <= low))
    }

    fn put(&self, account: AccountId, keys: Vec<Fresh>, now: Timestamp, limits: &Limits) {
        let mut state = self.state();
        if state.pools.len() >= limits.pool_accounts && !state.pools.contains_key(&account) {
            let age = |pool: &Pool| pool.keys.front().map(|(_, until)| *until);
            let oldest = state.pools.iter().min_by_key(|(_, pool)| age(pool)).map(|(account, _)| *account);
            if let Some(oldest) = oldest {
                state.remove(oldest);
            }
        }
        let until = now.plus(limits.pool_time);
        let pool = state.pools.entry(account).or_default();
        pool.keys.extend(keys.into_iter().map(|fresh| (fresh, until)));
        pool.busy = pool.filled.is_some_and(|filled| now.since(filled) < BUSY);
        pool.filled = Some(now);
    }

    fn filling(&self, account: AccountId) -> Arc<tokio::sync::Mutex<()>> {
        self.state().pools.entry(account).or_default().filling.clone()
    }

    pub(crate) fn forget(&self, account: AccountId) {
        self.state().remove(account);
    }

    pub(crate) fn sweep(&self, now: Timestamp) {
        let mut state = self.state();
        let accounts: Vec<_> = state.pools.keys().copied().collect();
        for account in accounts {
            state.drop_old(account, now);
        }
        // A pool that is being filled has a holder beside the map.
        state.pools.retain(|_, pool| !pool.keys.is_empty() || Arc::strong_count(&pool.filling) > 1);
    }

    fn drop_all(&self) {
        let mut state = self.state();
        let accounts: Vec<_> = state.pools.keys().copied().collect();
        for account in accounts {
            state.remove(account);
        }
    }

    fn take_dropped(&self) -> Vec<(AccountId, DataKeyId)> {
        std::mem::take(&mut self.state().dropped)
    }

    /// Keys to be destroyed: no record names them.
    pub(crate) fn drop_keys(&self, dropped: impl IntoIterator<Item = (AccountId, DataKeyId)>) {
        self.state().dropped.extend(dropped);
    }
}

/// Keys that are becoming durable and are in nobody's hands yet. Dropped, since their filling failed, they
/// are destroyed; those that did not become durable are not missed.
struct Made<'a> {
    pools: &'a Pools,
    account: AccountId,
    keys: Vec<Fresh>,
}

impl Made<'_> {
    fn hand_out(mut self, now: Timestamp, limits: &Limits) {
        self.pools.put(self.account, std::mem::take(&mut self.keys), now, limits);
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.pools.drop_keys(self.keys.iter().map(|(id, _)| (self.account, *id)));
    }
}

/// Keys that are being destroyed, by account. Dropped, those that were not are for the next time.
struct Destroying<'a> {
    pools: &'a Pools,
    left: HashMap<AccountId, Vec<DataKeyId>>,
}

impl Drop for Destroying<'_> {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.left).into_iter();
        self.pools.drop_keys(left.flat_map(|(account, ids)| ids.into_iter().map(move |id| (account, id))));
    }
}

impl State {
    fn remove(&mut self, account: AccountId) {
        if let Some(pool) = self.pools.remove(&account) {
            self.dropped.extend(pool.keys.into_iter().map(|((id, _), _)| (account, id)));
        }
    }

    fn drop_old(&mut self, account: AccountId, now: Timestamp) {
        let Some(pool) = self.pools.get_mut(&account) else { return };
        while pool.keys.front().is_some_and(|(_, until)| now >= *until) {
            if let Some(((id, _), _)) = pool.keys.pop_front() {
                self.dropped.push((account, id));
            }
        }
    }
}

impl Keys {
    /// A new data key, durable already: seal with it, then commit the record that names it, by
    /// [`NewDataKey::used_by`]. A key that no record comes to name opens nothing, and is destroyed.
    ///
    /// # Errors
    /// [`KeyError::NoSuchAccount`], [`KeyError::Suspended`], [`KeyError::Exhausted`].
    pub async fn new_data_key(&self, scope: &Scope) -> Result<NewDataKey, KeyError> {
        if let Some(key) = self.take_pooled(scope) {
            return Ok(key);
        }
        loop {
            let filling = self.inner().pools.filling(scope.account());
            let filling = filling.lock_owned().await;
            // Whoever held the lock before may have filled it.
            if let Some(key) = self.take_pooled(scope) {
                return Ok(key);
            }
            // In a task of its own: whoever waits for it may go away, and the keys are there all the same.
            let (keys, scope) = (self.clone(), scope.clone());
            let filled = tokio::spawn(async move {
                let outcome = keys.fill(&scope).await;
                drop(filling);
                outcome
            });
            filled
                .await
                .map_err(|_| StoreError::Unavailable("the making of keys broke off".to_owned()))??;
        }
    }

    fn take_pooled(&self, scope: &Scope) -> Option<NewDataKey> {
        let account = scope.account();
        let ((id, secret), low) = self.inner().pools.take(account, self.context().now(), self.limits())?;
        let key = NewDataKey::new(self, account, DataKey::new(id, secret, self.context().clone()));
        if low {
            self.fill_in_background(scope);
        }
        self.inner().uses.count(account, Purpose::Write, 1);
        Some(key)
    }

    fn fill_in_background(&self, scope: &Scope) {
        let filling = self.inner().pools.filling(scope.account());
        let Ok(guard) = filling.try_lock_owned() else { return };
        let (keys, scope) = (self.clone(), scope.clone());
        tokio::spawn(async move {
            if let Err(error) = keys.fill(&scope).await {
                // Whoever finds the pool empty meets the error itself.
                tracing::warn!(account = %scope.account(), %error, "new data keys could not be made");
            }
            drop(guard);
        });
    }

    async fn fill(&self, scope: &Scope) -> Result<(), KeyError> {
        let account = scope.account();
        loop {
            let ring = self.ring(scope).await?;
            if ring.suspended {
                return Err(KeyError::Suspended);
            }
            let key = self.account_key(scope, ring.active, Purpose::Write).await?;
            let mut fresh = Vec::with_capacity(self.limits().pool_keys);
            let mut rows = Vec::with_capacity(self.limits().pool_keys);
            for _ in 0..self.limits().pool_keys.max(1) {
                let id = DataKeyId::new(self.context())?;
                let secret = envelope::random_key(self.context())?;
                let associated = data_key_associated(account, id, ring.active);
                rows.push(envelope::seal(
                    self.context(),
                    &key,
                    Label::DATA_KEY,
                    &associated,
                    secret.expose(),
                )?);
                fresh.push((id, secret));
            }
            let object = ObjectRef::new("data_key", "pool").in_account(account);
            let act = || Act::new(Activity::KeyCreate, object.clone()).detail("keys", fresh.len());
            let recorded = self.intend(scope, act()).await?;
            let mut tx = self.store().begin(scope).await?;
            let most = self.limits().account_wraps;
            let values = [ring.active.into(), signed(rows.len() as u64).into(), signed(most).into()];
            let Some(counted) = tx.row(COUNT_WRAPS, &values).await? else {
                drop(tx);
                self.why_not_wrapped(scope, ring.active).await?;
                continue;
            };
            for ((id, _), wrapped) in fresh.iter().zip(&rows) {
                tx.execute(ADD, &[id.into(), ring.active.into(), wrapped.into()]).await?;
            }
            let completion = act();
            let made = Made { pools: &self.inner().pools, account, keys: fresh };
            // A crash before the commit: no keys. After it: keys that no record names, see above.
            tx.commit_recorded((), &recorded).await?.into_inner();
            store::crash_point("keys.pool-filled");
            self.complete(scope, completion).await?;
            made.hand_out(self.context().now(), self.limits());
            if counted.count(0)? >= self.limits().account_rotate_at {
                self.rotate_account_by_itself(scope).await?;
            }
            return Ok(());
        }
    }

    /// Why the account's ring did not take wraps: nothing if the caller may try again.
    pub(crate) async fn why_not_wrapped(&self, scope: &Scope, used: u32) -> Result<(), KeyError> {
        let ring = self.ring(scope).await?;
        if ring.suspended {
            return Err(KeyError::Suspended);
        }
        if ring.active == used {
            let object = account_object(scope.account(), used);
            let act = Act::refused(Activity::KeyRefuse, object, "key-exhausted", Some("CD-6"));
            self.data().record(scope, act).await?;
            self.rotate_account_by_itself(scope).await?;
            return Err(KeyError::Exhausted("account key"));
        }
        Ok(())
    }

    /// Destroys the keys that wait in memory unused: what a clean stop calls last. Counts of uses are
    /// flushed too, and an embedded realm's file is made whole by itself, so that a copy of it is a backup.
    pub async fn close(&self) -> Result<(), KeyError> {
        self.inner().pools.drop_all();
        self.flush_uses().await?;
        self.store().fold().await?;
        Ok(())
    }

    /// Destroys keys that left memory without coming to be used: of the pool, and of operations that
    /// failed. No record names one. What can't be destroyed now waits for the next time; the first
    /// error of all is the answer.
    pub(crate) async fn release_dropped(&self) -> Result<(), KeyError> {
        let pools = &self.inner().pools;
        let mut destroying = Destroying { pools, left: HashMap::new() };
        for (account, id) in pools.take_dropped() {
            destroying.left.entry(account).or_default().push(id);
        }
        let system = self.own_system(Interface::Job, "new data keys that were not used are destroyed")?;
        let accounts: Vec<_> = destroying.left.keys().copied().collect();
        let mut outcome = Ok(());
        for account in accounts {
            let scope = self.scope_of(&system, account);
            let Some(ids) = destroying.left.get(&account) else { continue };
            match self.remove_unused(&scope, ids).await {
                Ok(()) => drop(destroying.left.remove(&account)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Secret;

    const START: Timestamp = Timestamp::from_seconds(1_000);

    fn fresh(from: u8, count: u8) -> Vec<Fresh> {
        (from..from + count)
            .map(|byte| (DataKeyId::from_bytes([byte; 16]), Secret::new([byte; 32])))
            .collect()
    }

    #[test]
    fn oldest_first_and_bounded_by_time() {
        let (pools, limits, account) = (Pools::default(), Limits::default(), AccountId::from_bytes([1; 16]));
        pools.put(account, fresh(1, 2), START, &limits);
        let later = START.plus(Duration::from_seconds(600));
        pools.put(account, fresh(10, 1), later, &limits);
        let ((id, _), low) = pools.take(account, later, &limits).unwrap();
        assert_eq!((id, low), (DataKeyId::from_bytes([1; 16]), true));
        let ((id, _), _) = pools.take(account, START.plus(limits.pool_time), &limits).unwrap();
        assert_eq!(id, DataKeyId::from_bytes([10; 16]), "the second was too old");
        assert_eq!(pools.take_dropped(), [(account, DataKeyId::from_bytes([2; 16]))]);
        assert!(pools.take(account, later, &limits).is_none());
    }

    #[test]
    fn bounded_by_number_of_accounts() {
        let (pools, limits) = (Pools::default(), Limits { pool_accounts: 2, ..Limits::default() });
        let accounts = [1, 2, 3].map(|byte| AccountId::from_bytes([byte; 16]));
        for (seconds, account) in (0..).zip(accounts) {
            pools.put(account, fresh(1, 1), START.plus(Duration::from_seconds(seconds)), &limits);
        }
        assert!(pools.take(accounts[0], START, &limits).is_none(), "the oldest went");
        assert_eq!(pools.take_dropped().len(), 1, "and its keys are to be destroyed");
        assert!(pools.take(accounts[2], START, &limits).is_some());
    }

    #[test]
    fn a_busy_account_is_filled_earlier() {
        let (pools, account) = (Pools::default(), AccountId::from_bytes([1; 16]));
        let limits = Limits { pool_low: 1, pool_low_busy: 10, ..Limits::default() };
        let low = |at| pools.take(account, at, &limits).unwrap().1;
        pools.put(account, fresh(1, 8), START, &limits);
        assert!(!low(START), "not busy yet");
        let soon = START.plus(Duration::from_millis(10));
        pools.put(account, fresh(20, 2), soon, &limits);
        assert!(low(soon), "filled twice within a second");
        let later = START.plus(Duration::from_seconds(5));
        pools.put(account, fresh(30, 1), later, &limits);
        assert!(!low(later), "busy no more");
    }
}
