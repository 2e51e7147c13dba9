//! Versions as they are stored, held against what the log says of them.

use access::{Action, Principal, Resource};
use base::{Duration, Timestamp};
use ledger::{Act, Activity, EventQuery, ObjectRef};
use policy::{Document, Files, Finding, Manifest, Seen};
use serde::{Deserialize, Serialize};
use store::{EventOrder, SystemScope, platform};

use crate::{
    APPROVALS, Acknowledgement, Content, Outstanding, Standing, Version, Watch, WatchError, about, events,
    propose::NOUN, sha256,
};

/// How long somebody has to acknowledge a version, from when it is in effect or from when they came.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_days(30);

/// Most observations of a check that are looked for, of those that could not tell.
const MAX_LOOKED_BACK: usize = 64;

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
    /// Its hashes and who approved them as a statement (see [`manifest_statement`]), once it is adopted and somebody signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The type of that statement.
pub const MANIFEST_TYPE: &str = "tenet.policy-manifest.v1";

/// What is signed of an adopted version: JSON in one line, with the hash of each clause, who approved it and when. None
/// before it is adopted.
pub fn manifest_statement(version: &Version, manifest: &Manifest) -> Option<String> {
    let adopted_at = version.adopted_at?;
    let statement = serde_json::json!({
        "type": MANIFEST_TYPE, "version": version.version, "company": manifest.company, "title": manifest.title,
        "sha256": manifest.sha256, "clauses": manifest.clauses, "effective": version.effective,
        "next_review": version.next_review, "approvals": version.approvals, "adopted_at": adopted_at,
    });
    Some(statement.to_string())
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

    /// The version in effect, and everything that what runs says against it; none if no version is in effect.
    pub async fn contradictions(
        &self,
        scope: &SystemScope,
    ) -> Result<Option<(u32, Vec<Finding>)>, WatchError> {
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let Some(version) = adoption.in_effect(now) else { return Ok(None) };
        let content = self.content(scope, version).await?;
        let found =
            Document::read(&content.files, self.catalogue(), self.running()).err().unwrap_or_default();
        Ok(Some((version.version, found)))
    }

    /// Within which time stored data is to be had, if the version in effect says so.
    pub async fn retrieval_time(&self, scope: &SystemScope) -> Result<Option<Duration>, WatchError> {
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let Some(version) = adoption.in_effect(now) else { return Ok(None) };
        let content = self.content(scope, version).await?;
        let seconds = content.document.parameters.get("retrieval_time").and_then(policy::Value::seconds);
        Ok(seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(Duration::from_seconds))
    }

    /// What is wrong with how the version in effect was adopted: a line for each thing, and how many things were looked at.
    pub async fn adoption_faults(&self, scope: &SystemScope) -> Result<(u64, Vec<String>), WatchError> {
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let Some(version) = adoption.in_effect(now) else {
            return Ok((1, vec!["no version is in effect".to_owned()]));
        };
        let mut faults = Vec::new();
        if version.approvals.len() < APPROVALS {
            faults.push("it lacks approvals".to_owned());
        }
        if version.next_review <= now {
            faults.push("its review is overdue".to_owned());
        }
        let from = version.in_effect_from().unwrap_or(now);
        let outstanding = self.outstanding(scope, &adoption, version, now).await?;
        for person in outstanding.waiting() {
            if now >= from.max(person.since).plus(ACKNOWLEDGED_WITHIN) {
                faults.push(format!("{} has not acknowledged it", person.who));
            }
        }
        Ok((2 + outstanding.people.len() as u64, faults))
    }

    /// The checks of which the log has a newer observation than is stored, and how many were looked at.
    pub async fn incomplete(&self, scope: &SystemScope) -> Result<(u64, Vec<String>), WatchError> {
        let now = self.now();
        let mut missing = Vec::new();
        let mut examined = 0;
        for (_, check) in self.registry().checks() {
            examined += 1;
            if !self.has_newest(scope, &check.id, now).await? {
                missing.push(check.id.clone());
            }
        }
        Ok((examined, missing))
    }

    /// Whether what the log has last of a check is stored, back to the last that could tell. Row by row: late evidence is the
    /// last in the log, and not the newest.
    async fn has_newest(
        &self,
        scope: &SystemScope,
        check: &str,
        until: Timestamp,
    ) -> Result<bool, WatchError> {
        let stored = platform!(
            "SELECT 1 FROM observation WHERE check_id = $1 AND definite = $2 AND effective = $3 AND event = $4"
        );
        let query =
            EventQuery { object: Some(check.to_owned()), ..about(Activity::EvidenceObserve.name(), until) };
        let mut cursor = None;
        let mut looked = 0;
        // A page may be empty and not the last.
        loop {
            let page = self
                .store()
                .search_events(&query, EventOrder::NewestFirst, cursor, MAX_LOOKED_BACK - looked)
                .await?;
            for event in page.found.iter().map(|found| &found.event) {
                looked += 1;
                let Some(one) = events::observation(event) else { continue };
                let definite = one.seen != Seen::Unknown;
                let values = [check.into(), definite.into(), one.effective.into(), (&event.id).into()];
                let mut read = self.store().system_read(scope).await?;
                if read.row(stored, &values).await?.is_none() {
                    return Ok(false);
                }
                if definite {
                    return Ok(true);
                }
            }
            cursor = page.next;
            if cursor.is_none() || looked >= MAX_LOOKED_BACK {
                return Ok(true);
            }
        }
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

    /// Every adopted version with its document, the newest first. An operator's act.
    pub async fn adopted_documents(
        &self,
        by: &Principal,
    ) -> Result<Vec<(VersionSummary, Document)>, WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::PolicyRead, &Resource::new()).await?;
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let mut found = Vec::new();
        for version in adoption.versions.values().rev().filter(|one| one.adopted_at.is_some()) {
            let content = self.content(scope, version).await?;
            let standing = adoption.standing(version, now);
            found.push((VersionSummary { version: version.clone(), standing }, content.document));
        }
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
            note: None,
        })
    }
}
