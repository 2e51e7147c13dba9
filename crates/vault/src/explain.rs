//! Explaining a record or an object (SD-2): what applies to it, why, and when; of what was erased,
//! its certificate.

use base::{CertificateId, RepositoryId, Timestamp};
use ledger::{Act, Activity};
use serde::Serialize;
use store::Scope;

use crate::{
    Basis, Decided, Hold, Retention, Target, TargetKind, Vault, VaultError,
    target::{Head, head_of},
};

/// Where in its life something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There for readers.
    Live,
    /// Deleted, and not yet erased.
    Deleted,
    /// Its erasure is decided.
    Erasing,
    /// Erased.
    Erased,
}

/// One rule that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applies {
    /// What it means for this.
    pub what: String,
    /// Why.
    pub why: String,
    /// The clause.
    pub clause: &'static str,
    /// When it takes or took effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Timestamp>,
}

/// What applies to a record or an object.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Which kind of thing.
    pub kind: TargetKind,
    /// Its id's text.
    pub id: String,
    /// Its repository.
    pub repository: RepositoryId,
    /// Where in its life it is.
    pub state: State,
    /// The classification by which it is handled.
    pub classification: String,
    /// Its retention schedule; none once it is erased.
    pub retention: Option<Retention>,
    /// The end of its retention period.
    pub retained_until: Timestamp,
    /// The holds in force that cover it.
    pub holds: Vec<Hold>,
    /// Until when it can be restored, if it is deleted.
    pub restorable_until: Option<Timestamp>,
    /// Whether it could be erased on request now.
    pub erasable_now: bool,
    /// Its certificate of deletion, if it is erased.
    pub certificate: Option<CertificateId>,
    /// The rules that apply, the strongest first.
    pub applies: Vec<Applies>,
}

impl Vault {
    /// What applies to a record or an object, why, and when.
    pub async fn explain(
        &self,
        scope: &Scope,
        target: Target,
        decided: &Decided,
    ) -> Result<Explanation, VaultError> {
        let activity = target.activity(Activity::RecordExplain, Activity::ObjectExplain);
        let outcome = self.explain_target(scope, target).await;
        let object = target.object_ref(scope);
        let explanation = self.noted(scope, decided, activity, object.clone(), outcome).await?;
        let act = Act::new(activity, object.classified(explanation.classification.clone()));
        self.store().record(scope, act.decided_by(decided.policies.clone())).await?;
        Ok(explanation)
    }

    async fn explain_target(&self, scope: &Scope, target: Target) -> Result<Explanation, VaultError> {
        let repository = target.repository();
        let mut read = self.snapshot(scope).await?;
        let row = read.row(head_of(target.kind()), &[(&repository).into(), target.id().into()]).await?;
        let Some(head) = row.map(|row| self.parse_head(target.kind(), &row)).transpose()? else {
            drop(read);
            return self.explain_erased(scope, target).await;
        };
        let holds = if head.held() { self.covering(scope, read, &target).await? } else { Vec::new() };
        let now = self.context().now();
        let state = match (head.erasing_at, head.deleted_at) {
            (Some(_), _) => State::Erasing,
            (None, Some(_)) => State::Deleted,
            (None, None) => State::Live,
        };
        let until = head.retained_until();
        let restorable_until = head
            .deleted_at
            .map(|deleted| head.restorable_until(deleted, self.restore_window()))
            .filter(|end| state == State::Deleted && *end > now);
        let early = head.retention.basis.permits_early_erasure();
        let mut applies: Vec<Applies> = holds.iter().map(hold_rule).collect();
        applies.push(retention_rule(&head, until));
        applies.push(end_rule(&head, until, self.restore_window()));
        applies.push(read_rule(&head));
        Ok(Explanation {
            kind: target.kind(),
            id: target.id_text(),
            repository,
            state,
            classification: head.effective.name().to_owned(),
            retained_until: until,
            erasable_now: state != State::Erasing && !head.held() && (early || now >= until),
            retention: Some(head.retention),
            holds,
            restorable_until,
            certificate: None,
            applies,
        })
    }

    async fn explain_erased(&self, scope: &Scope, target: Target) -> Result<Explanation, VaultError> {
        let certificate = self.certificate_now(scope, &target).await?.ok_or_else(|| target.absent())?;
        let said = certificate.statement;
        Ok(Explanation {
            kind: target.kind(),
            id: target.id_text(),
            repository: target.repository(),
            state: State::Erased,
            classification: said.classification,
            retention: None,
            retained_until: said.retained_until,
            holds: Vec::new(),
            restorable_until: None,
            erasable_now: false,
            certificate: Some(certificate.id),
            applies: vec![Applies {
                what: "erased: its key is destroyed and its rows are deleted".to_owned(),
                why: format!("cause: {}; certificate {}", said.cause.as_str(), certificate.id),
                clause: "DD-2",
                when: Some(said.erased_at),
            }],
        })
    }
}

fn hold_rule(hold: &Hold) -> Applies {
    Applies {
        what: "can't be deleted or erased while the hold is in force".to_owned(),
        why: format!("legal hold {}: {}", hold.id, hold.reason),
        clause: "DD-1",
        when: Some(hold.set_at),
    }
}

fn retention_rule(head: &Head, until: Timestamp) -> Applies {
    let Retention { period_days, basis, reason, data_type, media } = &head.retention;
    let what = match basis {
        Basis::Business => "kept until the end of its period, unless it is erased on request".to_owned(),
        Basis::Law | Basis::Contract => "kept until the end of its period, and not erased before".to_owned(),
    };
    let why =
        format!("{period_days} days by {}: {reason}; data type: {data_type}; media: {media}", basis.as_str());
    Applies { what, why, clause: "AR-2", when: Some(until) }
}

/// When it will be erased by itself, if nothing changes.
fn end_rule(head: &Head, until: Timestamp, window: base::Duration) -> Applies {
    let rule = |what: &str, why: &str, when| Applies {
        what: what.to_owned(),
        why: why.to_owned(),
        clause: "DD-1",
        when: Some(when),
    };
    if let Some(erasing) = head.erasing_at {
        return rule("its erasure is decided and being finished", "erasure", erasing);
    }
    match head.deleted_at.map(|deleted| deleted.plus(window)) {
        Some(end) if head.retention.basis.permits_early_erasure() => {
            rule("is erased when the window of restoring ends", "it was deleted", end.min(until))
        }
        _ => rule("is erased by the schedule", "its retention period ends", until),
    }
}

fn read_rule(head: &Head) -> Applies {
    let what = if head.effective.is_confidential() {
        "each read is recorded before data leaves"
    } else {
        "reads are not recorded one by one"
    };
    Applies {
        what: what.to_owned(),
        why: format!("classified `{}`", head.effective.name()),
        clause: "CD-3",
        when: None,
    }
}
