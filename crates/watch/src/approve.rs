//! A version is approved by people other than whoever put it up, and so adopted.

use access::{Action, Principal, Resource};
use ledger::{Act, Activity, ObjectRef};
use policy::{Document, Registry};
use store::SystemScope;

use crate::{APPROVALS, Approval, Sight, Version, Watch, WatchError, propose::NOUN};

impl Watch {
    /// Approves a version, which must have the hash that is given: what was approved is not something else by then. The
    /// last approval that it needs adopts it. What runs may contradict it by now: then it is refused. An operator's act.
    ///
    /// # Errors
    /// [`WatchError::NotFound`], [`WatchError::Changed`], [`WatchError::OwnVersion`], [`WatchError::DoneAlready`],
    /// [`WatchError::AdoptedAlready`], [`WatchError::Faulty`].
    pub async fn approve(&self, by: &Principal, number: u32, sha256: &str) -> Result<Version, WatchError> {
        let resource = Resource::new().id(number);
        let (scope, decision) = self.0.access.operate(by, Action::PolicyApprove, &resource).await?;
        let object = || ObjectRef::new(NOUN, number);
        let me = scope.actor().to_string();
        let now = self.now();
        let adoption = self.adoption(now).await?;
        let newest = adoption.newest_adopted().map(|one| one.version);
        let refusal = match adoption.versions.get(&number) {
            None => Some(("not-found", WatchError::NotFound("version"))),
            Some(one) if one.adopted_at.is_some() => {
                Some(("adopted-already", WatchError::AdoptedAlready { version: number }))
            }
            Some(_) if newest.is_some_and(|newest| newest >= number) => {
                Some(("version-not-new", WatchError::NotNew { given: number, adopted: newest.unwrap_or(0) }))
            }
            Some(one) if one.sha256 != sha256 => {
                Some(("version-changed", WatchError::Changed { version: number }))
            }
            Some(one) if one.proposed_by == me => Some(("own-version", WatchError::OwnVersion)),
            Some(one) if one.approvals.iter().any(|one| one.by == me) => {
                Some(("done-already", WatchError::DoneAlready))
            }
            Some(_) => None,
        };
        if let Some((reason, error)) = refusal {
            let act = Act::refused(Activity::PolicyApprove, object(), reason, Some("PD-2"));
            self.0.store.record_system(scope, act).await?;
            return Err(error);
        }
        let mut version = adoption.versions.get(&number).cloned().ok_or(WatchError::NotFound("version"))?;
        let content = self.content(scope, &version).await?;
        if let Err(found) = Document::read(&content.files, &self.0.catalogue, self.running()) {
            let act = Act::refused(Activity::PolicyApprove, object(), "policy-faulty", Some("PD-1"));
            self.0.store.record_system(scope, act.detail("findings", found.len())).await?;
            return Err(WatchError::Faulty(found));
        }
        let approve = Act::new(Activity::PolicyApprove, object())
            .decided_by(decision.policies())
            .detail("sha256", version.sha256.clone());
        version.approvals.push(Approval { by: me, at: now });
        let mut acts = vec![approve];
        if version.approvals.len() >= APPROVALS {
            version.adopted_at = Some(now);
            acts.push(
                Act::new(Activity::PolicyAdopt, object())
                    .decided_by(decision.policies())
                    .detail("sha256", version.sha256.clone())
                    .detail("effective", version.effective.to_string())
                    .detail("next_review", version.next_review.to_string()),
            );
        }
        // First: a crash between the two leaves words that are to be attested once more, and never new ones that count as
        // attested.
        if version.adopted_at.is_some() {
            self.ask_for_wordings(scope, &content.document, adoption.newest_adopted()).await?;
        }
        let tx = self.0.store.system(scope).await?;
        Ok(tx.commit_all(version, acts).await?.into_inner())
    }

    /// Of each clause that the organisation words otherwise than before, what somebody attested of other words counts no more:
    /// until somebody attests these, they are not held.
    async fn ask_for_wordings(
        &self,
        scope: &SystemScope,
        document: &Document,
        before: Option<&Version>,
    ) -> Result<(), WatchError> {
        let known = match before {
            Some(version) => match self.content(scope, version).await {
                Ok(content) => content.document.manifest().clauses,
                Err(WatchError::Damaged(_)) => Vec::new(),
                Err(error) => return Err(error),
            },
            None => Vec::new(),
        };
        let manifest = document.manifest();
        for (clause, hash) in document.clauses().zip(&manifest.clauses) {
            if clause.own_wording && !known.contains(hash) {
                let check = Registry::own_wording(&clause.id).id;
                let sight = Sight::whether(
                    false,
                    format!("worded anew in version {}: to be attested", document.version),
                );
                self.observe(scope, &check, &sight).await?.into_inner();
            }
        }
        Ok(())
    }
}
