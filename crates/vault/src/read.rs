//! Reading a record: the current version or any before it. A read of confidential data is an event
//! before the data leaves (CD-3); if the event can't be stored, the data stays.

use base::{RecordId, RepositoryId};
use keys::Purpose;
use ledger::{Act, Activity};
use store::{Scope, Scoped, select};

use crate::{
    Decided, Record, Vault, VaultError,
    record::record_ref,
    row::{Current, commitment},
};

const VERSION: Scoped = select!(
    ["classification, created_at, bytes, commitment, sealed"]
    from "record_version" where "repository_id = $2 AND record_id = $3 AND version = $4"
);

impl Vault {
    /// Reads a record; its current version, or the one asked for.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] if it, or that version of it, is absent, deleted or another account's.
    pub async fn record_get(
        &self,
        scope: &Scope,
        target: (RepositoryId, RecordId),
        version: Option<u64>,
        decided: &Decided,
    ) -> Result<Record, VaultError> {
        let outcome = self.read_record(scope, target, version, decided).await;
        let object = record_ref(scope, target.0, target.1);
        self.noted(scope, decided, Activity::RecordRead, object, outcome).await
    }

    async fn read_record(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, RecordId),
        version: Option<u64>,
        decided: &Decided,
    ) -> Result<Record, VaultError> {
        let mut read = self.snapshot(scope).await?;
        let mut current = self.current(&mut read, repository, id).await?;
        if let Some(wanted) = version.filter(|wanted| *wanted != current.version) {
            let wanted = i64::try_from(wanted).map_err(|_| VaultError::NotFound("version"))?;
            let values = [(&repository).into(), (&id).into(), wanted.into()];
            let row = read.row(VERSION, &values).await?.ok_or(VaultError::NotFound("version"))?;
            let label = row.text(0)?.to_owned();
            current = Current {
                // A version labelled higher than its record is now is handled as what it is.
                effective: self.stored_label(&label)?.max(current.effective),
                label,
                version: wanted.unsigned_abs(),
                updated_at: row.time(1)?,
                bytes: row.count(2)?,
                commitment: commitment(row.blob(3)?)?,
                sealed: row.blob(4)?.to_vec(),
                ..current
            };
        }
        drop(read);
        let key = self.keys().data_key(scope, current.key, Purpose::Read).await?;
        let body = current.open(scope, &key)?;
        if current.effective.is_confidential() {
            let object = record_ref(scope, repository, id).classified(current.effective.name());
            let act = Act::new(Activity::RecordRead, object)
                .before(current.commitment)
                .key(current.key, "read")
                .decided_by(decided.policies.clone())
                .detail("version", current.version);
            self.store().record(scope, act).await?;
            store::crash_point("vault.read-recorded"); // a crash here: the log has a read that nobody got
        }
        Ok(Record { meta: current.meta(), body: Some(body) })
    }
}
