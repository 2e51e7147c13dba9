//! What was done to which object, with what outcome. Who, where, how and when come from the scope.

use std::fmt::{self, Display, Write as _};

use base::{AccountId, RepositoryId};

use crate::{Activity, Commitment, json};

/// Most details that an act keeps; further ones are counted, not kept.
pub const MAX_DETAILS: usize = 32;
/// Most bytes of one detail's text, as escaped in JSON; longer text is cut and ends in `…`.
pub const MAX_DETAIL_BYTES: usize = 256;
/// Most bytes of an object's id, as escaped in JSON; longer text is cut and ends in `…`.
pub const MAX_OBJECT_ID_BYTES: usize = 256;
/// Most deciding policies that an act keeps.
pub const MAX_POLICIES: usize = 16;
/// Most bytes of a policy's name, as escaped in JSON; longer text is cut and ends in `…`.
pub const MAX_POLICY_BYTES: usize = 128;
const MAX_CLASSIFICATION_BYTES: usize = 64;

/// The object of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) account: Option<AccountId>,
    pub(crate) repository: Option<RepositoryId>,
    pub(crate) classification: Option<String>,
}

impl ObjectRef {
    /// An object: the word for its kind, such as `record`, and its typed id or the name that the
    /// platform gave it. Never a name that a customer chose.
    pub fn new(kind: &'static str, id: impl Display) -> Self {
        let mut text = String::with_capacity(32);
        // Writing to a `String` fails only if `id` itself does; what it wrote until then stands.
        let _ = write!(text, "{id}");
        let id = json::bounded(text, MAX_OBJECT_ID_BYTES);
        Self { kind, id, account: None, repository: None, classification: None }
    }

    /// Says whose object it is.
    pub fn in_account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    /// Says in which repository it is.
    pub fn in_repository(mut self, repository: RepositoryId) -> Self {
        self.repository = Some(repository);
        self
    }

    /// Says its classification, by the name of the level.
    pub fn classified(mut self, classification: impl Into<String>) -> Self {
        self.classification = Some(json::bounded(classification.into(), MAX_CLASSIFICATION_BYTES));
        self
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// How the act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed, and done.
    Success,
    /// Not allowed, and not done.
    Refused {
        /// Why: a stable code such as `legal-hold`.
        reason: &'static str,
        /// The clause that refuses, such as `DD-1`, if a clause does.
        clause: Option<&'static str>,
    },
    /// Allowed, and not done because something failed.
    Failed {
        /// Why: a stable code such as `storage-full`.
        reason: &'static str,
    },
}

/// The value of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetailValue {
    /// Yes or no.
    Flag(bool),
    /// A count, size or version.
    Number(i64),
    /// A word of ours or a typed id. Never personal data: the log can't be erased.
    Text(String),
}

impl From<bool> for DetailValue {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}
impl From<i64> for DetailValue {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}
impl From<u32> for DetailValue {
    fn from(value: u32) -> Self {
        Self::Number(i64::from(value))
    }
}
impl From<u64> for DetailValue {
    /// Values above the largest `i64` become that.
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<usize> for DetailValue {
    /// Values above the largest `i64` become that.
    fn from(value: usize) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<String> for DetailValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&str> for DetailValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl<K: base::IdKind> From<base::Id<K>> for DetailValue {
    fn from(value: base::Id<K>) -> Self {
        Self::Text(value.to_string())
    }
}
impl From<base::Timestamp> for DetailValue {
    fn from(value: base::Timestamp) -> Self {
        Self::Text(value.to_string())
    }
}

/// What was done to which object, with what outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub(crate) activity: Activity,
    pub(crate) object: ObjectRef,
    pub(crate) outcome: Outcome,
    pub(crate) before: Option<Commitment>,
    pub(crate) after: Option<Commitment>,
    pub(crate) policies: Vec<String>,
    pub(crate) key: Option<(String, &'static str)>,
    pub(crate) details: Vec<(&'static str, DetailValue)>,
    pub(crate) details_omitted: u32,
}

impl Act {
    /// An act that was allowed and done.
    pub fn new(activity: Activity, object: ObjectRef) -> Self {
        Self::with_outcome(activity, object, Outcome::Success)
    }

    /// An act that was not allowed: why (a stable code), and the clause that refuses if one does.
    pub fn refused(
        activity: Activity,
        object: ObjectRef,
        reason: &'static str,
        clause: Option<&'static str>,
    ) -> Self {
        Self::with_outcome(activity, object, Outcome::Refused { reason, clause })
    }

    /// An act that was allowed and failed: why (a stable code).
    pub fn failed(activity: Activity, object: ObjectRef, reason: &'static str) -> Self {
        Self::with_outcome(activity, object, Outcome::Failed { reason })
    }

    fn with_outcome(activity: Activity, object: ObjectRef, outcome: Outcome) -> Self {
        Self {
            activity,
            object,
            outcome,
            before: None,
            after: None,
            policies: Vec::new(),
            key: None,
            details: Vec::new(),
            details_omitted: 0,
        }
    }

    /// Commits to the value before the act.
    pub fn before(mut self, value: Commitment) -> Self {
        self.before = Some(value);
        self
    }

    /// Commits to the value after the act.
    pub fn after(mut self, value: Commitment) -> Self {
        self.after = Some(value);
        self
    }

    /// Names the policies that decided, at most [`MAX_POLICIES`].
    pub fn decided_by(mut self, policies: Vec<String>) -> Self {
        let bounded = |name| json::bounded(name, MAX_POLICY_BYTES);
        self.policies = policies.into_iter().take(MAX_POLICIES).map(bounded).collect();
        self
    }

    /// Names the key that was used (its id or name), and for which purpose.
    pub fn key(mut self, key: impl Display, purpose: &'static str) -> Self {
        self.key = Some((json::bounded(key.to_string(), MAX_OBJECT_ID_BYTES), purpose));
        self
    }

    /// Adds a detail, at most [`MAX_DETAILS`]; one of the same name is replaced. Never personal data.
    pub fn detail(mut self, name: &'static str, value: impl Into<DetailValue>) -> Self {
        let value = match value.into() {
            DetailValue::Text(text) => DetailValue::Text(json::bounded(text, MAX_DETAIL_BYTES)),
            other => other,
        };
        if let Some(known) = self.details.iter_mut().find(|(known, _)| *known == name) {
            known.1 = value;
        } else if self.details.len() < MAX_DETAILS {
            self.details.push((name, value));
        } else {
            self.details_omitted = self.details_omitted.saturating_add(1);
        }
        self
    }

    /// What was done.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// To which object.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// At which stage of an act of several steps it is, if it is one.
    pub fn stage(&self) -> Option<&str> {
        self.details.iter().find_map(|(name, value)| match value {
            DetailValue::Text(text) if *name == "stage" => Some(text.as_str()),
            _ => None,
        })
    }

    /// With what outcome.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl fmt::Display for DetailValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_bounded_and_replaced_by_name() {
        let names: Vec<&'static str> =
            (0..40).map(|n| &*Box::leak(format!("d{n}").into_boxed_str())).collect();
        let mut act = Act::new(Activity::RecordRead, ObjectRef::new("record", "x"));
        for name in &names {
            act = act.detail(name, 1i64);
        }
        act = act.detail(names[0], true);
        assert_eq!(act.details.len(), MAX_DETAILS);
        assert_eq!(act.details_omitted, 8);
        assert_eq!(act.details[0].1, DetailValue::Flag(true));
    }

    #[test]
    fn long_text_is_cut_visibly() {
        let act = Act::new(Activity::RecordRead, ObjectRef::new("record", "é".repeat(300)))
            .detail("text", "\u{1}".repeat(300));
        assert!(act.object.id.len() <= MAX_OBJECT_ID_BYTES && act.object.id.ends_with('…'));
        let DetailValue::Text(text) = &act.details[0].1 else { panic!("a text") };
        assert!(text.ends_with('…') && text.chars().count() < 45, "six bytes a character once escaped");
    }
}
