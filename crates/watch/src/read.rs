//! Versions as they are stored, held against what the log says of them.

use access::{Action, Principal, Resource};
use base::Timestamp;
use ledger::{Act, Activity, ObjectRef};
use policy::{Document, Files, Manifest};
use serde::{Deserialize, Serialize};
use store::{SystemScope, platform};

use crate::{
    Acknowledgement, Content, Outstanding, Standing, Version, Watch, WatchError, propose::NOUN, sha256,
};

/// A version, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// What the log says of it.
    #[serde(flatten)]
    pub version: Version,
    /// How it stands.
    pub standing: Standing,
}

/// A version whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredVersion {
    /// What the log says of it.
    #[serde(flatten)]
    pub summary: VersionSummary,
    /// The document.
    pub document: Document,
    /// The files that made it.
    pub files: Files,
    /// Its hashes.
    pub manifest: Manifest,
    /// Who acknowledged it.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Who is asked to.
    pub outstanding: Outstanding,
}

impl Watch {
    /// What is stored of a version, if it is what its event names.
    pub(crate) async fn content(
        &self,
        scope: &SystemScope,
        version: &Version,
    ) -> Result<Content, WatchError> {
        let stored = platform!("SELECT content FROM policy_content WHERE sha256 = $1");
        let mut read = self.0.store.system_read(scope).await?;
        let row = read.row(stored, &[(&version.content).into()]).await?;
        let row = row.ok_or(WatchError::Damaged("a version of the policy"))?;
        let text = row.text(0)?;
        let content: Content =
            serde_json::from_str(text).map_err(|_| WatchError::Damaged("a version of the policy"))?;
        let is_whole = sha256(text.as_bytes()) == version.content
            && content.document.manifest().sha256 == version.sha256;
        if is_whole { Ok(content) } else { Err(WatchError::Damaged("a version of the policy")) }
    }

    /// Every version, the newest first. An operator's act.
    pub async fn versions(&self, by: &Principal) -> Result<Vec<VersionSummary>, WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::PolicyRead, &Resource::new()).await?;
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let each = adoption.versions.values().rev();
        let found: Vec<_> = each
            .map(|one| VersionSummary { version: one.clone(), standing: adoption.standing(one, now) })
            .collect();
        let act = Act::new(Activity::PolicyRead, ObjectRef::new(NOUN, "-"))
            .decided_by(decision.policies())
            .detail("count", found.len());
        self.0.store.record_system(scope, act).await?;
        Ok(found)
    }

    /// A version whole, as it was then; without a number, the one that is spoken of then. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`] if there is none; [`WatchError::Damaged`] if what is stored is not what the log says.
    pub async fn version(
        &self,
        by: &Principal,
        number: Option<u32>,
        at: Option<Timestamp>,
    ) -> Result<StoredVersion, WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::PolicyRead, &Resource::new()).await?;
        let at = at.unwrap_or_else(|| self.now());
        let adoption = self.adoption(at).await?;
        let wanted = match number {
            Some(number) => adoption.versions.get(&number),
            None => adoption.current(at),
        };
        let Some(version) = wanted.cloned() else {
            let act = Act::refused(
                Activity::PolicyRead,
                ObjectRef::new(NOUN, number.unwrap_or(0)),
                "not-found",
                None,
            );
            self.0.store.record_system(scope, act).await?;
            return Err(WatchError::NotFound("version"));
        };
        let content = self.content(scope, &version).await?;
        let outstanding = match version.adopted_at {
            Some(_) => self.outstanding(scope, &adoption, &version, at).await?,
            None => Outstanding::default(),
        };
        let of_it = |one: &&Acknowledgement| one.version == version.version;
        let acknowledgements = adoption.acknowledgements.iter().filter(of_it).cloned().collect();
        let standing = adoption.standing(&version, at);
        let act = Act::new(Activity::PolicyRead, ObjectRef::new(NOUN, version.version))
            .decided_by(decision.policies());
        self.0.store.record_system(scope, act).await?;
        Ok(StoredVersion {
            summary: VersionSummary { version, standing },
            manifest: content.document.manifest(),
            document: content.document,
            files: content.files,
            acknowledgements,
            outstanding,
        })
    }
}
