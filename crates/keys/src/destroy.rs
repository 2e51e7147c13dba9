//! Destruction of data keys: what makes an erasure irreversible (DD-1, SD-5).
//!
//! Order: the intent is in the log; then the wrapped key is overwritten, durably; then the embedded
//! database's files are made to hold it no more ([`store::Store::fold`]); then the completion is in the
//! log, and only then may anybody certify the erasure. A crash after the first step means that the key
//! still lives and the erasure must be begun again; after the second, that no server opens the data any
//! more, while a copy of the file could still hold the wrapped key; after the third, that the data is
//! unreadable for ever and the certificate still to be issued. Doing it again finds nothing to destroy,
//! folds all the same, and goes on.

use base::DataKeyId;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, delete, update};

use crate::{KeyError, Keys, Purpose};

/// Keys destroyed in one transaction.
const KEYS_AT_ONCE: usize = 256;

// The row stays, without the key: a reader is told "destroyed", and a record restored from an old
// backup finds no key to open it.
const DESTROY: store::Scoped =
    update!("data_key" set "wrapped = NULL, destroyed_at = $3" where "id = $2 AND destroyed_at IS NULL");
const REMOVE: store::Scoped = delete!("data_key" where "id = $2");

impl Keys {
    /// Destroys a data key; durable when it returns, on every server. Whether it was this call that
    /// destroyed it: false if it was destroyed before, or never was. Idempotent.
    pub async fn destroy_data_key(&self, scope: &Scope, id: DataKeyId) -> Result<bool, KeyError> {
        Ok(self.destroy_data_keys(scope, &[id]).await? == 1)
    }

    /// Destroys data keys; durable when it returns, on every server. How many this call destroyed.
    /// Idempotent, so that a call that failed half way can be made again.
    ///
    /// # Errors
    /// [`KeyError::Store`] also when the keys are destroyed and the embedded database's files could not
    /// be made to forget them, since readers kept them in use: the call must be made again.
    pub async fn destroy_data_keys(&self, scope: &Scope, ids: &[DataKeyId]) -> Result<u64, KeyError> {
        let mut destroyed = 0;
        for some in ids.chunks(KEYS_AT_ONCE) {
            let acts = |stage: &'static str| {
                some.iter().map(move |id| {
                    let object = ObjectRef::new("data_key", id).in_account(scope.account());
                    Act::new(Activity::KeyDestroy, object)
                        .key(id, Purpose::Erase.as_str())
                        .detail("stage", stage)
                })
            };
            let recorded = self.data().record_all(scope, acts("intent").collect()).await?;
            store::crash_point("keys.destroy-intended");
            let mut tx = self.store().begin(scope).await?;
            let now = self.context().now();
            let mut touched = 0;
            for id in some {
                touched += tx.execute(DESTROY, &[id.into(), now.into()]).await?;
            }
            tx.commit_recorded((), &recorded).await?.into_inner();
            store::crash_point("keys.destroyed");
            // Also when there was nothing left to destroy: the call before may have died here.
            self.store().fold().await?;
            self.data().record_all(scope, acts("complete").collect()).await?;
            self.inner().uses.count(scope.account(), Purpose::Erase, touched);
            destroyed += touched;
        }
        Ok(destroyed)
    }

    /// Removes keys that were made in advance and that no record came to name.
    pub(crate) async fn remove_unused(&self, scope: &Scope, ids: &[DataKeyId]) -> Result<(), KeyError> {
        let object = ObjectRef::new("data_key", "pool").in_account(scope.account());
        let act = || Act::new(Activity::KeyDestroy, object.clone()).detail("unused", ids.len());
        let recorded = self.intend(scope, act()).await?;
        let mut tx = self.store().begin(scope).await?;
        for id in ids {
            tx.execute(REMOVE, &[id.into()]).await?;
        }
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete(scope, act()).await?;
        Ok(())
    }
}
