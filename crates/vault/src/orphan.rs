//! Blobs without a row: what an upload left that broke off. Their names tell their age; those older
//! than any upload may last, and without a row, are deleted.

use futures::TryStreamExt as _;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, Scoped, select};

use crate::{ORPHAN_AGE, Vault, VaultError, blob::named_at};

/// Most parts that one pass deletes.
const MAX_DELETED: u64 = 10_000;

const OWNER: Scoped = select!(["id"] from "object" where "blob = $2");

impl Vault {
    /// Sweeps one shard of an account's blobs, in constant memory.
    pub(crate) async fn sweep_orphans(&self, scope: &Scope, shard: u8) -> Result<(), VaultError> {
        let folder = self.shard_path(scope, shard);
        let oldest = self.context().now().minus(ORPHAN_AGE);
        let mut listing = self.0.blobs.list(Some(&folder));
        let mut known: Option<(String, bool)> = None;
        let mut deleted = 0u64;
        while let Some(found) = listing.try_next().await? {
            let mut names = found.location.parts().map(|part| part.as_ref().to_owned()).skip(2);
            let (Some(shard), Some(name)) = (names.next(), names.next()) else { continue };
            if named_at(&name).is_none_or(|at| at > oldest) {
                continue;
            }
            let blob = format!("{shard}/{name}");
            let orphan = match &known {
                Some((last, orphan)) if *last == blob => *orphan,
                _ => {
                    let row = self.store().read(scope).await?.row(OWNER, &[(&blob).into()]).await?;
                    row.is_none()
                }
            };
            known = Some((blob, orphan));
            if orphan {
                self.delete_path(&found.location).await?;
                deleted = deleted.saturating_add(1);
                if deleted == MAX_DELETED {
                    break; // the next pass goes on
                }
            }
        }
        if deleted > 0 {
            let object = ObjectRef::new("account", scope.account()).in_account(scope.account());
            let act = Act::new(Activity::RetentionAct, object)
                .detail("what", "parts of unfinished uploads")
                .detail("count", deleted);
            self.store().record(scope, act).await?;
        }
        Ok(())
    }
}
