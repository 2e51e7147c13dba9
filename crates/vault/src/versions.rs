//! The versions of a record, newest first.

use base::{RecordId, RepositoryId, Timestamp};
use keys::DataKeyState;
use ledger::{Act, Activity};
use serde::Serialize;
use store::{Scope, Scoped, select};

use crate::{Decided, Vault, VaultError, record::record_ref, repository_read::page_limit};

/// A version of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionMeta {
    /// Its number, from 1.
    pub version: u64,
    /// Its label.
    pub classification: String,
    /// Bytes of its body.
    pub bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

const VERSIONS: Scoped = select!(
    ["version, classification, bytes, created_at"] from "record_version"
    where "repository_id = $2 AND record_id = $3 AND version < $4" then "ORDER BY version DESC LIMIT $5"
);

impl Vault {
    /// Versions of a record below `before`, newest first, at most `limit` (1 to 100). The next page
    /// starts at the last one's number; none is left after version 1.
    pub async fn record_versions(
        &self,
        scope: &Scope,
        target: (RepositoryId, RecordId),
        before: Option<u64>,
        limit: usize,
        decided: &Decided,
    ) -> Result<Vec<VersionMeta>, VaultError> {
        let outcome = self.list_versions(scope, target, before, limit, decided).await;
        let object = record_ref(scope, target.0, target.1);
        self.noted(scope, decided, Activity::RecordVersions, object, outcome).await
    }

    async fn list_versions(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, RecordId),
        before: Option<u64>,
        limit: usize,
        decided: &Decided,
    ) -> Result<Vec<VersionMeta>, VaultError> {
        let limit = page_limit(limit)?;
        let mut read = self.snapshot(scope).await?;
        let current = self.current(&mut read, repository, id).await?;
        let before = before.unwrap_or(u64::MAX);
        let below = i64::try_from(before).unwrap_or(i64::MAX);
        let values = [(&repository).into(), (&id).into(), below.into(), (limit as i64).into()];
        let rows = read.rows(VERSIONS, &values).await?;
        drop(read);
        if self.keys().data_key_states(scope, &[current.key]).await? != [DataKeyState::Live] {
            // Erased, and its row came back with an old copy of the data.
            return Err(VaultError::NotFound("record"));
        }
        let mut versions = Vec::with_capacity(limit);
        if current.version < before {
            versions.push(VersionMeta {
                version: current.version,
                classification: current.label.clone(),
                bytes: current.bytes,
                created_at: current.updated_at,
            });
        }
        for row in rows.iter().take(limit.saturating_sub(versions.len())) {
            versions.push(VersionMeta {
                version: row.count(0)?,
                classification: row.text(1)?.to_owned(),
                bytes: row.count(2)?,
                created_at: row.time(3)?,
            });
        }
        let object = record_ref(scope, repository, id).classified(current.effective.name());
        let act = Act::new(Activity::RecordVersions, object)
            .decided_by(decided.policies.clone())
            .detail("count", versions.len());
        self.store().record(scope, act).await?;
        Ok(versions)
    }
}
