//! A version is put up for approval. Files with a fault, or that say what is not so, are refused.

use access::{Action, Principal, Resource};
use base::Timestamp;
use ledger::{Act, Activity, ObjectRef};
use policy::{Document, Files};
use store::{Committed, platform};

use crate::{Content, MAX_FILES_BYTES, Version, Watch, WatchError, sha256};

pub(crate) const NOUN: &str = "policy";

/// Midnight of a day that the document has checked.
pub(crate) fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap_or(Timestamp::from_micros(i64::MAX))
}

impl Watch {
    /// Puts up a version: files that make a document which nothing contradicts, with a number above that of the adopted one.
    /// One that was put up before under that number, and not adopted, is replaced, and its approvals are gone. An
    /// operator's act.
    ///
    /// # Errors
    /// [`WatchError::Faulty`] with everything that is wrong; [`WatchError::NotNew`].
    pub async fn propose(&self, by: &Principal, files: Files) -> Result<Committed<Version>, WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::PolicyPropose, &Resource::new()).await?;
        let refused = |id: &str, reason, clause| {
            Act::refused(Activity::PolicyPropose, ObjectRef::new(NOUN, id), reason, clause)
        };
        let bytes: usize = files.iter().map(|(name, text)| name.len() + text.len()).sum();
        if bytes > MAX_FILES_BYTES {
            self.0.store.record_system(scope, refused("-", "too-large", None)).await?;
            let reason = "the files have more than 256 KiB";
            return Err(WatchError::Invalid { field: "files", reason });
        }
        let document = match Document::read(&files, &self.0.catalogue, self.running()) {
            Ok(document) => document,
            Err(found) => {
                let act = refused("-", "policy-faulty", Some("PD-1")).detail("findings", found.len());
                self.0.store.record_system(scope, act).await?;
                return Err(WatchError::Faulty(found));
            }
        };
        let now = self.now();
        let number = document.version;
        let adoption = self.adoption(now).await?;
        if let Some(adopted) = adoption.newest_adopted().filter(|one| one.version >= number) {
            let adopted = adopted.version;
            self.0
                .store
                .record_system(scope, refused(&number.to_string(), "version-not-new", Some("PD-2")))
                .await?;
            return Err(WatchError::NotNew { given: number, adopted });
        }
        let hash = document.manifest().sha256;
        let (effective, next_review) = (day(&document.effective), day(&document.next_review));
        let content = serde_json::to_string(&Content { files, document })
            .map_err(|_| WatchError::Damaged("a version that can't be written"))?;
        let stored = sha256(content.as_bytes());
        // The key is the hash of what is stored: a row that somebody damaged is whole again.
        let keep = platform!(
            "INSERT INTO policy_content (sha256, content, at) VALUES ($1, $2, $3) \
             ON CONFLICT (sha256) DO UPDATE SET content = excluded.content"
        );
        let mut tx = self.0.store.system(scope).await?;
        tx.execute(keep, &[(&stored).into(), (&content).into(), now.into()]).await?;
        let act = Act::new(Activity::PolicyPropose, ObjectRef::new(NOUN, number))
            .decided_by(decision.policies())
            .detail("sha256", hash.clone())
            .detail("content", stored.clone())
            .detail("effective", effective.to_string())
            .detail("next_review", next_review.to_string());
        let version = Version {
            version: number,
            sha256: hash,
            content: stored,
            proposed_by: scope.actor().to_string(),
            proposed_at: now,
            effective,
            next_review,
            approvals: Vec::new(),
            adopted_at: None,
        };
        Ok(tx.commit(version, act).await?)
    }
}
