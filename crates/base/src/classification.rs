//! Classification: an ordered scheme of levels, lowest first, and labels that belong to it (RR-1).

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// Most levels that a scheme may have.
pub const MAX_LEVELS: usize = 16;
const MAX_NAME_BYTES: usize = 32;

/// One level of a scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name: lower-case letters, digits and hyphens, 1 to 32 bytes.
    pub name: String,
    /// Whether every read of data at this level is recorded before the data leaves (CD-3).
    pub confidential: bool,
}

/// The organisation's levels, lowest first. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme(Arc<[Level]>);

/// A level of the scheme that made it. Ordered by sensitivity.
#[derive(Clone)]
pub struct Classification {
    scheme: Scheme,
    rank: usize,
}

/// A scheme or a label that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassificationError {
    /// The label is none of the scheme's.
    #[error("`{given}` is not a classification: use one of {known}")]
    Unknown {
        /// What was given.
        given: String,
        /// The scheme's names.
        known: String,
    },
    /// The scheme itself is malformed.
    #[error("classification scheme: {0}")]
    Scheme(&'static str),
}

impl Default for Scheme {
    /// `public` < `internal` < `confidential` < `restricted`; reads are recorded from `confidential`.
    fn default() -> Self {
        let level = |name: &str, confidential| Level { name: name.to_owned(), confidential };
        Self(Arc::new([
            level("public", false),
            level("internal", false),
            level("confidential", true),
            level("restricted", true),
        ]))
    }
}

impl Scheme {
    /// A scheme of these levels, lowest first: 1 to 16, distinct names, and no level below a
    /// confidential one that is itself confidential while a higher is not.
    pub fn new(levels: Vec<Level>) -> Result<Self, ClassificationError> {
        if levels.is_empty() || levels.len() > MAX_LEVELS {
            return Err(ClassificationError::Scheme("give between 1 and 16 levels, lowest first"));
        }
        let well_named = |name: &str| {
            (1..=MAX_NAME_BYTES).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !levels.iter().all(|level| well_named(&level.name)) {
            return Err(ClassificationError::Scheme(
                "a name is 1 to 32 lower-case letters, digits or hyphens",
            ));
        }
        let distinct: std::collections::BTreeSet<_> = levels.iter().map(|level| &level.name).collect();
        if distinct.len() != levels.len() {
            return Err(ClassificationError::Scheme("two levels have the same name"));
        }
        if levels.windows(2).any(|pair| matches!(pair, [low, high] if low.confidential && !high.confidential))
        {
            return Err(ClassificationError::Scheme(
                "a level above a confidential one must be confidential too",
            ));
        }
        Ok(Self(levels.into()))
    }

    /// The label of that name.
    pub fn parse(&self, name: &str) -> Result<Classification, ClassificationError> {
        let rank = self.0.iter().position(|level| level.name == name).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|level| format!("`{}`", level.name)).collect();
            let given = name.chars().take(MAX_NAME_BYTES).collect();
            ClassificationError::Unknown { given, known: known.join(", ") }
        })?;
        Ok(Classification { scheme: self.clone(), rank })
    }

    /// The levels, lowest first.
    pub fn levels(&self) -> &[Level] {
        &self.0
    }
}

impl Classification {
    /// Its name, as stored and shown.
    pub fn name(&self) -> &str {
        self.scheme.0.get(self.rank).map_or("", |level| &level.name)
    }
    /// Whether reads at this level are recorded before data leaves.
    pub fn is_confidential(&self) -> bool {
        self.scheme.0.get(self.rank).is_none_or(|level| level.confidential)
    }
    /// Its place in the scheme, 0 the lowest.
    pub fn rank(&self) -> usize {
        self.rank
    }
}

impl PartialEq for Classification {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank && self.name() == other.name()
    }
}
impl Eq for Classification {}
impl PartialOrd for Classification {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Classification {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| self.name().cmp(other.name()))
    }
}
impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Debug for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Classification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered() {
        let scheme = Scheme::default();
        let [public, restricted] = ["public", "restricted"].map(|name| scheme.parse(name).unwrap());
        assert!(public < restricted);
        assert!(!public.is_confidential() && restricted.is_confidential());
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = Scheme::default().parse("secret").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`secret` is not a classification: use one of `public`, `internal`, `confidential`, `restricted`"
        );
    }

    #[test]
    fn malformed_schemes_are_refused() {
        let level = |name: &str, confidential| Level { name: name.to_owned(), confidential };
        assert!(Scheme::new(vec![]).is_err());
        assert!(Scheme::new(vec![level("a", false), level("a", true)]).is_err());
        assert!(Scheme::new(vec![level("a", true), level("b", false)]).is_err());
        assert!(Scheme::new(vec![level("A", true)]).is_err());
        assert!(Scheme::new(vec![level("a", false), level("b", true)]).is_ok());
    }
}
