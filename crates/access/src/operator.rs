//! An operator: a person who works with Tenet. Has a role and a way to prove itself, and never an account. A customer's
//! administrator has a row like an operator's, with an account and no role: see [`Standing`].

use base::{OperatorId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{StoreError, SystemTx, platform};

use crate::{AccessError, Standing};

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the platform: accounts, clients, operators, keys.
    Administrator,
    /// Answers for security: keeps the policy and its exceptions, and sees everything about the platform.
    Security,
    /// Connects applications: accounts' clients.
    Engineer,
    /// Works here: reads and acknowledges the policy.
    Employee,
    /// Looks at the platform, and changes nothing.
    Auditor,
}

impl Role {
    /// Each role.
    pub const ALL: [Self; 5] =
        [Self::Administrator, Self::Security, Self::Engineer, Self::Employee, Self::Auditor];
    /// The word that is stored, shown and named in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Security => "security",
            Self::Engineer => "engineer",
            Self::Employee => "employee",
            Self::Auditor => "auditor",
        }
    }
    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// An operator or a customer's administrator, as shown to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its id.
    pub id: OperatorId,
    /// The name that it enrolled with.
    pub name: String,
    /// What it may do: a role, or the account that it governs.
    pub role: Standing,
    /// When it enrolled.
    pub enrolled: Timestamp,
    /// When its access ends by itself, if it does.
    pub ends: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

/// Whether an operator is not revoked and its access has not ended, and that it stays so until the transaction ends: a revocation
/// waits at its row, and then finds what the transaction made. Comes before other locks, in the order
/// in which a revocation takes them.
pub(crate) async fn hold(tx: &mut SystemTx, operator: &[u8], now: Timestamp) -> Result<bool, StoreError> {
    let lock = platform!(
        "UPDATE operator SET role = role WHERE id = $1 AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $2)"
    );
    Ok(tx.execute(lock, &[operator.into(), now.into()]).await? == 1)
}

/// Ends the act of an operator who was revoked after they were authenticated: as their next request
/// would end.
pub(crate) async fn refuse_revoked(tx: SystemTx, activity: Activity, object: ObjectRef) -> AccessError {
    let act = Act::refused(activity, object, "operator-revoked", Some("CD-8"));
    match tx.refuse(act).await {
        Ok(_) => AccessError::Unauthenticated,
        Err(error) => error.into(),
    }
}
