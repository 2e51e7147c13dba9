//! A new data key in the hands of one operation: used, or destroyed.

use std::{future::Future, ops::Deref};

use base::{AccountId, Fault, Kind};

use crate::{DataKey, Keys};

/// A new data key, durable already, that no record names yet. Dropped without having come to be used
/// ([`NewDataKey::used_by`]), it is destroyed with the next flush: an operation that was refused, failed
/// or was cancelled leaves no key behind.
#[derive(Debug)]
#[must_use = "a new key is destroyed unless a record comes to name it"]
pub struct NewDataKey {
    key: DataKey,
    account: AccountId,
    keys: Keys,
    /// Whether some record may name it.
    used: bool,
}

impl NewDataKey {
    pub(crate) fn new(keys: &Keys, account: AccountId, key: DataKey) -> Self {
        Self { key, account, keys: keys.clone(), used: false }
    }

    /// Runs the commit of the rows that name these keys. From its start on nobody can tell whether they
    /// are named, so that they stay if it is cancelled, if its answer is lost, or if the store does not
    /// answer: a key too many opens nothing, a key too few is a record lost. An error that says that
    /// nothing was committed frees them again.
    pub async fn used_by<T, E: Fault>(
        keys: &mut [Self],
        commit: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        keys.iter_mut().for_each(|key| key.used = true);
        let outcome = commit.await;
        if outcome.as_ref().is_err_and(|error| error.kind() != Kind::Unavailable) {
            keys.iter_mut().for_each(|key| key.used = false);
        }
        outcome
    }
}

impl Deref for NewDataKey {
    type Target = DataKey;
    fn deref(&self) -> &DataKey {
        &self.key
    }
}

impl Drop for NewDataKey {
    fn drop(&mut self) {
        if !self.used {
            self.keys.inner().pools.drop_keys([(self.account, self.key.id())]);
        }
    }
}
