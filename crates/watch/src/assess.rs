//! What is known of the policy's sentences at an instant, of what was recorded until then.

use access::{Action, Principal, Resource};
use base::Timestamp;
use ledger::{Act, Activity, ObjectRef};
use policy::{Assessment, CheckFinding, Document, Known, OWN_WORDING, Registry};
use serde::{Deserialize, Serialize};
use store::SystemScope;

use crate::{Standing, Watch, WatchError, about, events};

/// What is known, and of which document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assessed {
    /// How the version stands that is spoken of.
    pub standing: Standing,
    /// What is known of its sentences.
    #[serde(flatten)]
    pub assessment: Assessment,
    /// The controls that are not there, because what they need is not configured.
    pub absent: Vec<String>,
    /// Findings, the newest first.
    pub findings: Vec<CheckFinding>,
}

impl Watch {
    /// What is known at an instant: now, or one that is past. Of the version that is spoken of then, or of one that is
    /// named. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`] of a version; [`WatchError::Invalid`] of an instant to come.
    pub async fn assess(
        &self,
        by: &Principal,
        version: Option<u32>,
        at: Option<Timestamp>,
    ) -> Result<Assessed, WatchError> {
        Ok(self.assess_document(by, version, at).await?.1)
    }

    /// The same, with the document that it is of.
    pub async fn assess_document(
        &self,
        by: &Principal,
        version: Option<u32>,
        at: Option<Timestamp>,
    ) -> Result<(Document, Assessed), WatchError> {
        let (scope, decision) = self.0.access.operate(by, Action::EvidenceRead, &Resource::new()).await?;
        let now = self.now();
        let object = || ObjectRef::new("policy", version.unwrap_or(0));
        if at.is_some_and(|at| at > now) {
            let act = Act::refused(Activity::EvidenceRead, object(), "invalid", None);
            self.0.store.record_system(scope, act).await?;
            let reason = "it lies in the future: nothing is known of it";
            return Err(WatchError::Invalid { field: "as_of", reason });
        }
        let (standing, document) = match self.spoken_of(scope, version, at.unwrap_or(now)).await {
            Err(WatchError::NotFound(what)) => {
                let act = Act::refused(Activity::EvidenceRead, object(), "not-found", None);
                self.0.store.record_system(scope, act).await?;
                return Err(WatchError::NotFound(what));
            }
            other => other?,
        };
        let assessed = self.known(scope, standing, &document, at.unwrap_or(now)).await?;
        let act = Act::new(Activity::EvidenceRead, object()).decided_by(decision.policies());
        self.0.store.record_system(scope, act).await?;
        Ok((document, assessed))
    }

    /// The document that is spoken of then, and how it stands.
    pub async fn spoken_of(
        &self,
        scope: &SystemScope,
        version: Option<u32>,
        at: Timestamp,
    ) -> Result<(Standing, Document), WatchError> {
        let adoption = self.adoption(at).await?;
        let found = match version {
            Some(number) => Some(adoption.versions.get(&number).ok_or(WatchError::NotFound("version"))?),
            None => adoption.current(at),
        };
        match found {
            Some(version) => {
                let content = self.content(scope, version).await?;
                Ok((adoption.standing(version, at), content.document))
            }
            None => {
                let specimen = policy::specimen(&self.0.catalogue);
                Ok((Standing::Specimen, specimen.ok_or(WatchError::Damaged("the catalogue's examples"))?))
            }
        }
    }

    /// What is known of a document then. The controls that are absent are those of this server, now.
    pub async fn known(
        &self,
        scope: &SystemScope,
        standing: Standing,
        document: &Document,
        at: Timestamp,
    ) -> Result<Assessed, WatchError> {
        let exceptions = self.exceptions(at).await?;
        let found = self.0.store.recorded(&about("finding", at)).await?;
        let mut findings = events::findings(&found, at);
        findings.reverse();
        let own = document
            .clauses()
            .filter(|clause| clause.own_wording)
            .map(|clause| Registry::own_wording(&clause.id).id);
        let ids: Vec<String> =
            self.0.registry.checks().map(|(_, check)| check.id.clone()).chain(own).collect();
        let mut known = Known { exceptions, absent: self.0.absent.clone(), ..Known::default() };
        let mut read = self.0.store.system_read(scope).await?;
        for id in ids {
            let latest = self.newest(&mut read, &id, at).await?;
            known.latest.insert(id, latest);
        }
        drop(read);
        let assessment = policy::assess(document, &self.0.registry, &known, at);
        Ok(Assessed { standing, assessment, absent: self.0.absent.iter().cloned().collect(), findings })
    }

    /// Whether a check is one: in the registry, or on an own wording.
    pub fn is_check(&self, id: &str) -> bool {
        match id.strip_prefix(OWN_WORDING) {
            Some(clause) => clause.parse().is_ok_and(|id| self.0.catalogue.clause(&id).is_some()),
            None => self.0.registry.check(id).is_some(),
        }
    }
}
