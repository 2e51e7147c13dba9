//! Repositories: what one declares before anything can be stored in it. Names, labels, the retention
//! schedule, the schema and the searchable fields; parsed here, so that a built one is valid.

use std::collections::{BTreeMap, BTreeSet};

use base::{Classification, Duration, RepositoryId, Scheme, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{VaultError, field, limits, schema};

/// On what a retention period rests. Law and contract forbid erasure before its end; a business need
/// ends when the customer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// A law or regulation.
    Law,
    /// A contract.
    Contract,
    /// The business's own need.
    Business,
}

impl Basis {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Law => "law",
            Self::Contract => "contract",
            Self::Business => "business",
        }
    }
    /// Whether data may be erased on request before the period ends.
    pub const fn permits_early_erasure(self) -> bool {
        matches!(self, Self::Business)
    }
}

/// A retention schedule (AR-2): how long, why, of what and on what. The period counts from the
/// creation of a record or object; at its end the schedule erases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The period in days, 1 to 73,050.
    pub period_days: u32,
    /// On what it rests.
    pub basis: Basis,
    /// The law, contract or need in words, such as `HGB 257`; 1 to 1,024 bytes.
    pub reason: String,
    /// The type of data, such as `invoices`; 1 to 1,024 bytes.
    pub data_type: String,
    /// The media it is kept on, such as `encrypted database`; 1 to 1,024 bytes.
    pub media: String,
}

impl Retention {
    /// The period.
    pub fn period(&self) -> Duration {
        Duration::from_days(i64::from(self.period_days))
    }

    /// Whether what is stored under this schedule may come under `next`: what law or contract keeps
    /// may be kept longer on the same basis, and no less.
    pub(crate) fn may_become(&self, next: &Self) -> bool {
        self.basis.permits_early_erasure()
            || (next.basis == self.basis && next.period_days >= self.period_days)
    }

    fn parse(self) -> Result<Self, VaultError> {
        if !(1..=limits::MAX_RETENTION_DAYS).contains(&self.period_days) {
            let reason = format!("give 1 to {} days", limits::MAX_RETENTION_DAYS);
            return Err(VaultError::field("retention.period_days", reason));
        }
        for (name, text) in [
            ("retention.reason", &self.reason),
            ("retention.data_type", &self.data_type),
            ("retention.media", &self.media),
        ] {
            bounded_text(name, text, limits::MAX_TEXT_BYTES)?;
        }
        Ok(self)
    }
}

/// What a customer asks for when making a repository.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// Its name: unique in the account, 1 to 128 bytes, no control characters.
    pub name: String,
    /// The name of its classification.
    pub classification: String,
    /// Labels of single fields, by JSON Pointer (RFC 6901) or by the name of a top-level member.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Its retention schedule. Without one nothing can be stored.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// A JSON Schema that every record must satisfy, at most 64 KiB, without references to elsewhere.
    #[serde(default)]
    pub schema: Option<Value>,
    /// Fields that can be searched for equality, as for `fields`; set once and for all.
    #[serde(default)]
    pub searchable: Vec<String>,
}

/// What a customer asks to change; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryChange {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// A higher classification. It can't be lowered.
    #[serde(default)]
    pub classification: Option<String>,
    /// All labels of single fields.
    #[serde(default)]
    pub fields: Option<BTreeMap<String, String>>,
    /// Another retention schedule; it applies to what is stored already too. While anything is stored,
    /// one by law or contract can only become longer, on the same basis.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// Another schema; it applies from the next write on. `null` takes it away.
    #[serde(default, deserialize_with = "present")]
    pub schema: Option<Option<Value>>,
}

/// Tells an explicit `null` from an absent member.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::<Value>::deserialize(deserializer).map(Some)
}

/// A repository, as declared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repository {
    /// Its id.
    pub id: RepositoryId,
    /// Its name.
    pub name: String,
    /// Its classification.
    pub classification: Classification,
    /// Labels of single fields, by JSON Pointer.
    pub fields: BTreeMap<String, String>,
    /// Its retention schedule.
    pub retention: Retention,
    /// Its JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Fields that can be searched, as JSON Pointers.
    pub searchable: Vec<String>,
    /// Goes up with each change: the number in its ETag.
    pub revision: u64,
    /// Legal holds in force on the whole of it.
    pub holds: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The part of a declaration that is stored as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) retention: Retention,
    pub(crate) schema: Option<Value>,
    pub(crate) searchable: Vec<String>,
}

/// A declaration that holds together.
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) classification: Classification,
    pub(crate) stored: Stored,
}

impl Declaration {
    /// Parses what a customer asks for.
    pub(crate) fn parse(new: NewRepository, scheme: &Scheme) -> Result<Self, VaultError> {
        bounded_text("name", &new.name, limits::MAX_NAME_BYTES)?;
        let classification = label(scheme, "classification", &new.classification)?;
        let fields = classified(new.fields, &classification, scheme)?;
        let retention = new.retention.ok_or(VaultError::NoSchedule)?.parse()?;
        if let Some(schema) = &new.schema {
            schema::compile(schema)?;
        }
        let searchable = searchable(new.searchable)?;
        let stored = Stored { fields, retention, schema: new.schema, searchable };
        Ok(Self { name: new.name, classification, stored })
    }

    /// Applies a change to a repository as it is.
    pub(crate) fn changed(
        repository: &Repository,
        change: RepositoryChange,
        scheme: &Scheme,
    ) -> Result<Self, VaultError> {
        let asked = NewRepository {
            name: change.name.unwrap_or_else(|| repository.name.clone()),
            classification: change
                .classification
                .unwrap_or_else(|| repository.classification.name().to_owned()),
            fields: change.fields.unwrap_or_else(|| repository.fields.clone()),
            retention: Some(change.retention.unwrap_or_else(|| repository.retention.clone())),
            schema: change.schema.unwrap_or_else(|| repository.schema.clone()),
            searchable: repository.searchable.clone(),
        };
        let declaration = Self::parse(asked, scheme)?;
        if declaration.classification < repository.classification {
            let reason = "a repository can be raised, not lowered: make a new one for data of a lower label";
            return Err(VaultError::field("classification", reason));
        }
        Ok(declaration)
    }

    pub(crate) fn json(&self) -> Result<String, VaultError> {
        serde_json::to_string(&self.stored).map_err(|_| VaultError::Shape("a declaration"))
    }
}

/// Text of a customer's own: not empty, bounded, without control characters.
pub(crate) fn bounded_text(field: &str, text: &str, most: usize) -> Result<(), VaultError> {
    if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
        let reason = format!("give 1 to {most} bytes of text without control characters");
        return Err(VaultError::field(field, reason));
    }
    Ok(())
}

/// A label of the scheme.
pub(crate) fn label(scheme: &Scheme, field: &str, name: &str) -> Result<Classification, VaultError> {
    scheme.parse(name).map_err(|error| VaultError::field(field, error.to_string()))
}

/// A label, not above what the repository may hold (RR-2).
pub(crate) fn label_within(
    scheme: &Scheme,
    field: &str,
    name: &str,
    allowed: &Classification,
) -> Result<Classification, VaultError> {
    let given = label(scheme, field, name)?;
    if given > *allowed {
        return Err(VaultError::Above {
            field: field.to_owned(),
            given: given.name().to_owned(),
            allowed: allowed.name().to_owned(),
        });
    }
    Ok(given)
}

fn classified(
    fields: BTreeMap<String, String>,
    allowed: &Classification,
    scheme: &Scheme,
) -> Result<BTreeMap<String, String>, VaultError> {
    if fields.len() > limits::MAX_CLASSIFIED_FIELDS {
        return Err(VaultError::limit(
            "classified fields",
            limits::MAX_CLASSIFIED_FIELDS as u64,
            "a repository",
        ));
    }
    let mut parsed = BTreeMap::new();
    for (path, name) in fields {
        let pointer = field::pointer("fields", &path)?;
        let label = label_within(scheme, &pointer, &name, allowed)?;
        parsed.insert(pointer, label.name().to_owned());
    }
    Ok(parsed)
}

fn searchable(fields: Vec<String>) -> Result<Vec<String>, VaultError> {
    let pointers =
        fields.iter().map(|path| field::pointer("searchable", path)).collect::<Result<BTreeSet<_>, _>>()?;
    if pointers.len() > limits::MAX_SEARCHABLE_FIELDS {
        let most = limits::MAX_SEARCHABLE_FIELDS as u64;
        return Err(VaultError::limit("searchable fields", most, "a repository"));
    }
    Ok(pointers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Fault as _;

    fn asked() -> NewRepository {
        let retention = Retention {
            period_days: 30,
            basis: Basis::Business,
            reason: "support".into(),
            data_type: "tickets".into(),
            media: "database".into(),
        };
        NewRepository {
            name: "tickets".into(),
            classification: "internal".into(),
            retention: Some(retention),
            ..NewRepository::default()
        }
    }

    #[test]
    fn a_field_above_its_repository_is_refused_by_name_and_clause() {
        let mut new = asked();
        new.fields.insert("email".into(), "confidential".into());
        let error = Declaration::parse(new, &Scheme::default()).err().unwrap();
        assert_eq!(
            (error.field(), error.clause(), error.code()),
            (Some("/email"), Some("RR-2"), "above-repository")
        );
    }

    #[test]
    fn nothing_is_declared_without_a_schedule() {
        let error = Declaration::parse(NewRepository { retention: None, ..asked() }, &Scheme::default())
            .err()
            .unwrap();
        assert_eq!((error.field(), error.clause()), (Some("retention"), Some("AR-2")));
        for days in [0, limits::MAX_RETENTION_DAYS + 1] {
            let mut new = asked();
            new.retention.as_mut().unwrap().period_days = days;
            assert_eq!(
                Declaration::parse(new, &Scheme::default()).err().unwrap().field(),
                Some("retention.period_days")
            );
        }
        let mut new = asked();
        new.retention.as_mut().unwrap().reason = " ".into();
        assert_eq!(
            Declaration::parse(new, &Scheme::default()).err().unwrap().field(),
            Some("retention.reason")
        );
    }

    #[test]
    fn law_and_contract_are_not_weakened() {
        let schedule = |basis, period_days| Retention { period_days, basis, ..asked().retention.unwrap() };
        for basis in [Basis::Law, Basis::Contract] {
            for next in [Basis::Law, Basis::Contract, Basis::Business] {
                for days in [99, 100, 101] {
                    let may = schedule(basis, 100).may_become(&schedule(next, days));
                    assert_eq!(may, next == basis && days >= 100, "{basis:?} {next:?} {days}");
                }
            }
        }
        assert!(schedule(Basis::Business, 100).may_become(&schedule(Basis::Business, 1)));
        assert!(schedule(Basis::Business, 100).may_become(&schedule(Basis::Law, 1)));
    }

    #[test]
    fn names_and_labels_are_parsed() {
        for name in ["", "a\nb", &"a".repeat(129)] {
            let new = NewRepository { name: name.into(), ..asked() };
            assert_eq!(Declaration::parse(new, &Scheme::default()).err().unwrap().field(), Some("name"));
        }
        let new = NewRepository { classification: "secret".into(), ..asked() };
        let error = Declaration::parse(new, &Scheme::default()).err().unwrap();
        assert!(error.to_string().contains("`secret` is not a classification"), "{error}");
    }
}
