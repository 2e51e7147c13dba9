//! What did not happen is recorded too: every operation's outcome passes here before its caller
//! hears of it.

use base::Fault as _;
use ledger::{Act, Activity, ObjectRef};
use store::Scope;

use crate::{Decided, Vault, VaultError, vault::is_ours};

impl Vault {
    /// Records a refusal or a failure; a success passes. If a refusal can't be recorded, that is the
    /// error.
    pub(crate) async fn noted<T>(
        &self,
        scope: &Scope,
        decided: &Decided,
        activity: Activity,
        object: ObjectRef,
        outcome: Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let Err(error) = outcome else { return outcome };
        let reason = error.code();
        let act =
            match &error {
                VaultError::Damaged => Act::failed(Activity::IntegrityViolation, object, reason)
                    .detail("during", activity.name()),
                VaultError::Limit { .. } => Act::refused(Activity::LimitExceed, object, reason, None)
                    .detail("during", activity.name()),
                other if is_ours(other) => Act::failed(activity, object, reason),
                other => Act::refused(activity, object, reason, other.clause()),
            };
        let recorded = self.store().record(scope, act.decided_by(decided.policies.clone())).await;
        match recorded {
            Err(unrecorded) if !is_ours(&error) => Err(unrecorded.into()),
            // The first failure says more than the second.
            _ => Err(error),
        }
    }
}
