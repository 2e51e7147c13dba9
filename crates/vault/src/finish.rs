//! The second half of an erasure, once it is decided: the key, the blobs, the rows, the certificate.
//! Whoever comes here finds what was done already.

use keys::INDEX_DIGEST_BYTES;
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Scope, Scoped, Tx, delete, insert, update};

use crate::{
    Cause, Certificate, Decided, Target, TargetKind, Vault, VaultError,
    target::{Head, head_of},
    write::DROP_TERM,
};

const PURGE_RECORD: Scoped =
    delete!("record" where "repository_id = $2 AND id = $3 AND erasing_at IS NOT NULL");
const PURGE_OBJECT: Scoped =
    delete!("object" where "repository_id = $2 AND id = $3 AND erasing_at IS NOT NULL");
const PURGE_VERSIONS: Scoped = delete!("record_version" where "repository_id = $2 AND record_id = $3");
const RELEASE: Scoped = update!("object_usage" set "objects = objects - 1, bytes = bytes - $2" where "1 = 1");
const CERTIFY: Scoped = insert!(
    "deletion_certificate" ("id, repository_id, object_kind, object_id, issued_at, statement")
    values "$2, $3, $4, $5, $6, $7"
);

impl Vault {
    /// Finishes the erasure of targets that are marked. `None` if all of them were finished before.
    pub(crate) async fn finish(
        &self,
        scope: &Scope,
        targets: &[Target],
        cause: Cause,
        decided: &Decided,
    ) -> Result<Option<Committed<()>>, VaultError> {
        let mut marked = Vec::with_capacity(targets.len());
        let mut read = self.store().read(scope).await?;
        for target in targets {
            let repository = target.repository();
            let row = read.row(head_of(target.kind()), &[(&repository).into(), target.id().into()]).await?;
            let head = row.map(|row| self.parse_head(target.kind(), &row)).transpose()?;
            if let Some(head) = head.filter(|head| head.erasing_at.is_some()) {
                marked.push((*target, head));
            }
        }
        drop(read);
        if marked.is_empty() {
            return Ok(None);
        }
        let keys: Vec<_> = marked.iter().map(|(_, head)| head.key).collect();
        self.keys().destroy_data_keys(scope, &keys).await?;
        store::crash_point("vault.erase-key-destroyed"); // a crash here: nothing opens it; the job deletes the rows
        for (_, head) in &marked {
            if let Some(blob) = &head.blob {
                self.delete_blob(scope, blob, head.bytes).await?;
            }
        }
        store::crash_point("vault.erase-blobs-deleted"); // a crash here: the rows name blobs that are gone; the job goes on
        self.purge(scope, &marked, cause, decided).await
    }

    async fn purge(
        &self,
        scope: &Scope,
        marked: &[(Target, Head)],
        cause: Cause,
        decided: &Decided,
    ) -> Result<Option<Committed<()>>, VaultError> {
        let certified = marked
            .iter()
            .map(|(target, head)| Ok((target, head, self.certify(scope, target, head, cause)?)))
            .collect::<Result<Vec<_>, VaultError>>()?;
        let mut tx = self.store().begin(scope).await?;
        let mut acts = Vec::new();
        for (target, head, certificate) in &certified {
            if !purge_one(&mut tx, target, head, certificate).await? {
                continue; // somebody else finished it
            }
            acts.push(issue_act(scope, certificate));
            acts.push(erase_act(scope, target, head, certificate, cause, decided));
        }
        if acts.is_empty() {
            return Ok(None);
        }
        if let (true, Some((target, ..))) = (cause != Cause::Request, certified.first()) {
            let object = ObjectRef::new("repository", target.repository())
                .in_account(scope.account())
                .in_repository(target.repository());
            let act = Act::new(Activity::RetentionAct, object)
                .detail("cause", cause.as_str())
                .detail("erased", acts.len() / 2);
            acts.insert(0, act);
        }
        store::crash_point("vault.erase-before-purge"); // a crash here: the job deletes the rows
        let committed = tx.commit_all((), acts).await?;
        store::crash_point("vault.erase-purged"); // a crash here: it is done, and nobody was told
        Ok(Some(committed))
    }
}

/// The statements of one purge; whether this call deleted the row.
async fn purge_one(
    tx: &mut Tx,
    target: &Target,
    head: &Head,
    certificate: &Certificate,
) -> Result<bool, VaultError> {
    let repository = target.repository();
    let at = [(&repository).into(), target.id().into()];
    let purge = match target.kind() {
        TargetKind::Record => PURGE_RECORD,
        TargetKind::Object => PURGE_OBJECT,
    };
    if tx.execute(purge, &at).await? != 1 {
        return Ok(false);
    }
    match target.kind() {
        TargetKind::Record => {
            tx.execute(PURGE_VERSIONS, &at).await?;
            for term in head.terms.chunks_exact(INDEX_DIGEST_BYTES) {
                tx.execute(DROP_TERM, &[(&repository).into(), term.into(), target.id().into()]).await?;
            }
        }
        TargetKind::Object => {
            let bytes = i64::try_from(head.bytes).unwrap_or(i64::MAX);
            tx.execute(RELEASE, &[bytes.into()]).await?;
        }
    }
    let values = [
        (&certificate.id).into(),
        (&repository).into(),
        target.kind().as_str().into(),
        target.id().into(),
        certificate.statement.erased_at.into(),
        (&certificate.note).into(),
    ];
    tx.execute(CERTIFY, &values).await?;
    Ok(true)
}

fn issue_act(scope: &Scope, certificate: &Certificate) -> Act {
    let object = ObjectRef::new("certificate", certificate.id).in_account(scope.account());
    Act::new(Activity::CertificateIssue, object)
        .detail("kind", certificate.statement.kind.as_str())
        .detail("id", certificate.statement.id.clone())
}

fn erase_act(
    scope: &Scope,
    target: &Target,
    head: &Head,
    certificate: &Certificate,
    cause: Cause,
    decided: &Decided,
) -> Act {
    let activity = target.activity(Activity::RecordErase, Activity::ObjectErase);
    Act::new(activity, target.object_ref(scope).classified(head.effective.name()))
        .before(head.commitment)
        .key(head.key, "erase")
        .decided_by(decided.policies.clone())
        .detail("cause", cause.as_str())
        .detail("certificate", certificate.id)
        .detail("versions", head.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRecord, State, samples::Sample};
    use base::{Duration, Fault as _};
    use store::JobRunner;

    /// Where the server dies: after the decision, or after the key is gone.
    async fn dies_and_resumes(sample: Sample, key_destroyed: bool) {
        let Sample { h, vault, scope, repository } = sample;
        let decided = Decided::default();
        let new = NewRecord { body: br#"{"email": "a@example.com"}"#, classification: None };
        let id = vault.record_create(&scope, repository, new, None, &decided).await.unwrap().id;
        let target = Target::Record(repository, id);
        let head = vault.head(&scope, &target, crate::reader::Attempt::FIRST).await.unwrap();
        let _ = vault.mark(&scope, &[target], Cause::Request, None, &decided).await.unwrap();
        if key_destroyed {
            assert_eq!(vault.keys().destroy_data_keys(&scope, &[head.key]).await.unwrap(), 1);
        }
        // Gone for everybody, although its rows are there.
        let error = vault.record_get(&scope, (repository, id), None, &decided).await.unwrap_err();
        assert_eq!(error.code(), "not-found");
        let state = || async { vault.explain(&scope, target, &decided).await.unwrap().state };
        assert_eq!(state().await, State::Erasing);
        let held = vault.hold_set(&scope, crate::HoldTarget::One(target), "too late", &decided).await;
        assert_eq!(held.unwrap_err().code(), "not-found");
        // The one who decided has a minute; then the job does it, once.
        let runner = JobRunner::new(h.data.clone(), vault.job_handlers());
        runner.run_due().await.unwrap();
        assert_eq!(state().await, State::Erasing);
        h.clock.advance(Duration::from_seconds(61));
        assert_eq!(runner.run_due().await.unwrap(), 1);
        assert_eq!(state().await, State::Erased);
        assert_eq!(runner.run_due().await.unwrap(), 0);
        assert!(vault.finish(&scope, &[target], Cause::Request, &decided).await.unwrap().is_none());
    }

    /// Two finish at once: one certificate.
    async fn two_finish(sample: Sample) {
        let Sample { h, vault, scope, repository } = sample;
        let decided = Decided::default();
        let new = NewRecord { body: b"{}", classification: None };
        let id = vault.record_create(&scope, repository, new, None, &decided).await.unwrap().id;
        let targets = [Target::Record(repository, id)];
        let _ = vault.mark(&scope, &targets, Cause::Request, None, &decided).await.unwrap();
        let finish = || vault.finish(&scope, &targets, Cause::Request, &decided);
        let (one, two) = tokio::join!(finish(), finish());
        let finished = [one.unwrap(), two.unwrap()];
        assert_eq!(finished.iter().filter(|done| done.is_some()).count(), 1);
        let count = h.tamper(store::Realm::Data, "SELECT COUNT(*) FROM deletion_certificate");
        assert_eq!(count, ["1"]);
    }

    /// Decided by the schedule, not finished, and asked for: it is finished, and the certificate says
    /// why it was decided.
    async fn asked_for_again(sample: Sample) {
        let Sample { h, vault, scope, repository } = sample;
        let decided = Decided::default();
        let new = NewRecord { body: b"{}", classification: None };
        let id = vault.record_create(&scope, repository, new, None, &decided).await.unwrap().id;
        h.clock.advance(Duration::from_days(366));
        let target = Target::Record(repository, id);
        let _ = vault.mark(&scope, &[target], Cause::Retention, None, &decided).await.unwrap();
        let certificate = vault.erase(&scope, target, None, &decided).await.unwrap().into_inner();
        assert_eq!(certificate.statement.cause, Cause::Retention);
        assert_eq!(vault.explain(&scope, target, &decided).await.unwrap().state, State::Erased);
        assert_eq!(vault.erase(&scope, target, None, &decided).await.unwrap().into_inner(), certificate);
    }

    testkit::on_both_engines! {
        async fn an_erasure_that_is_asked_for_again_is_finished(h: Harness) {
            asked_for_again(Sample::new(h).await).await;
        }

        async fn a_decision_outlives_a_crash(h: Harness) {
            dies_and_resumes(Sample::new(h).await, false).await;
        }

        async fn a_destroyed_key_is_followed_by_its_rows(h: Harness) {
            dies_and_resumes(Sample::new(h).await, true).await;
        }

        async fn whoever_finishes_second_finds_it_done(h: Harness) {
            two_finish(Sample::new(h).await).await;
        }
    }
}
