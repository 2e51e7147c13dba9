//! How often which account's keys were used, and for what. Counted in memory, written as events by
//! [`Keys::flush_uses`]: a use costs no durable write of its own.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use base::AccountId;
use ledger::{Act, Activity, ObjectRef};

use crate::{KeyError, Keys, Purpose};

/// Most accounts in one transaction of events.
const EVENTS_AT_ONCE: usize = 256;

type Counts = BTreeMap<AccountId, BTreeMap<Purpose, u64>>;

/// Uses since the last flush.
#[derive(Default)]
pub(crate) struct Uses(Mutex<Counts>);

impl Uses {
    pub(crate) fn count(&self, account: AccountId, purpose: Purpose, uses: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(account).or_default().entry(purpose).or_default();
        *count = count.saturating_add(uses);
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    /// Writes one `key.use` event for each account whose keys were used since the last flush, with a
    /// count for each purpose; wipes keys whose time in memory is over; destroys new data keys that
    /// were not used, and keys of days long over. The server calls it each minute and as it stops. How many accounts it wrote of.
    ///
    /// A crash loses the counts since the last flush, never an event of a single act: unwraps of
    /// account keys, and what was done with the data, are events of their own.
    pub async fn flush_uses(&self) -> Result<usize, KeyError> {
        let now = self.context().now();
        self.sweep(now);
        let counts: Vec<_> = self.inner().uses.take().into_iter().collect();
        let mut written = 0;
        for some in counts.chunks(EVENTS_AT_ONCE) {
            if let Err(error) = self.write_uses(some).await {
                // Kept for the next flush.
                for (account, purposes) in counts.iter().skip(written) {
                    for (purpose, uses) in purposes {
                        self.inner().uses.count(*account, *purpose, *uses);
                    }
                }
                return Err(error);
            }
            written += some.len();
        }
        self.release_dropped().await?;
        self.expire_anonymous().await?;
        Ok(written)
    }

    async fn write_uses(&self, some: &[(AccountId, BTreeMap<Purpose, u64>)]) -> Result<(), KeyError> {
        let acts = some.iter().map(|(account, purposes)| {
            let object = ObjectRef::new("account_key", account).in_account(*account);
            let act = Act::new(Activity::KeyUse, object);
            purposes.iter().fold(act, |act, (purpose, uses)| act.detail(purpose.as_str(), *uses))
        });
        let system = self.own_system(ledger::Interface::Job, "counts of key uses")?;
        let tx = self.data().system(&system).await?;
        tx.commit_all((), acts.collect()).await?.into_inner();
        Ok(())
    }
}
