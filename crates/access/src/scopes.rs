//! The scopes of a token: what a client may ask for. Text is the space-separated list of RFC 6749
//! 3.3. A scope permits nothing by itself: the policies in `policies/` say what each is for.

use std::fmt;

/// Most bytes that a list of scopes may have before it is parsed.
const MAX_LIST_BYTES: usize = 512;

/// One scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TokenScope {
    /// `records:read`: read, list, search and explain records.
    RecordsRead,
    /// `records:write`: create, replace and patch records.
    RecordsWrite,
    /// `records:delete`: delete records, and restore them within the window.
    RecordsDelete,
    /// `records:erase`: erase records beyond recovery.
    RecordsErase,
    /// `objects:read`: read and list objects.
    ObjectsRead,
    /// `objects:write`: store objects.
    ObjectsWrite,
    /// `objects:delete`: delete objects, and restore them within the window.
    ObjectsDelete,
    /// `objects:erase`: erase objects beyond recovery.
    ObjectsErase,
    /// `holds:write`: set and lift legal holds.
    HoldsWrite,
    /// `repositories:read`: read and list repositories.
    RepositoriesRead,
    /// `repositories:write`: create and change repositories.
    RepositoriesWrite,
}

impl TokenScope {
    /// Every scope, in the order in which lists are written.
    pub const ALL: [Self; 11] = [
        Self::RecordsRead,
        Self::RecordsWrite,
        Self::RecordsDelete,
        Self::RecordsErase,
        Self::ObjectsRead,
        Self::ObjectsWrite,
        Self::ObjectsDelete,
        Self::ObjectsErase,
        Self::HoldsWrite,
        Self::RepositoriesRead,
        Self::RepositoriesWrite,
    ];

    /// Its name in a token, such as `records:read`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecordsRead => "records:read",
            Self::RecordsWrite => "records:write",
            Self::RecordsDelete => "records:delete",
            Self::RecordsErase => "records:erase",
            Self::ObjectsRead => "objects:read",
            Self::ObjectsWrite => "objects:write",
            Self::ObjectsDelete => "objects:delete",
            Self::ObjectsErase => "objects:erase",
            Self::HoldsWrite => "holds:write",
            Self::RepositoriesRead => "repositories:read",
            Self::RepositoriesWrite => "repositories:write",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u16);

/// A scope that does not exist, or a list that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a scope: use some of {known}", known = known())]
pub struct ScopeError {
    /// The text at fault, shortened.
    pub given: String,
}

impl ScopeSet {
    /// No scope.
    pub const fn empty() -> Self {
        Self(0)
    }
    /// Every scope.
    pub fn all() -> Self {
        TokenScope::ALL.into_iter().collect()
    }
    /// The set that a space-separated list names. A repeated scope counts once; an empty list is the
    /// empty set; anything that is not a scope is refused.
    pub fn parse(list: &str) -> Result<Self, ScopeError> {
        let wrong = |given: &str| ScopeError { given: given.chars().take(32).collect() };
        if list.len() > MAX_LIST_BYTES {
            return Err(wrong(list));
        }
        list.split(' ').filter(|name| !name.is_empty()).try_fold(Self::empty(), |set, name| {
            let scope = TokenScope::ALL.into_iter().find(|scope| scope.name() == name);
            scope.map(|scope| Self(set.0 | scope.bit())).ok_or_else(|| wrong(name))
        })
    }
    /// Whether it holds that scope.
    pub const fn contains(self, scope: TokenScope) -> bool {
        self.0 & scope.bit() != 0
    }
    /// Whether every scope of it is in `other`.
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
    /// The scopes that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Its scopes, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = TokenScope> {
        TokenScope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<TokenScope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = TokenScope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::empty(), |set, scope| Self(set.0 | scope.bit()))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.name())?;
        }
        Ok(())
    }
}

fn known() -> String {
    let names: Vec<_> = TokenScope::ALL.iter().map(|scope| format!("`{}`", scope.name())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(bits in 0u16..(1 << 11)) {
            let set = ScopeSet(bits);
            prop_assert_eq!(ScopeSet::parse(&set.to_string()), Ok(set));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,600}") {
            if let Ok(set) = ScopeSet::parse(&text) {
                for name in text.split(' ').filter(|name| !name.is_empty()) {
                    prop_assert!(set.iter().any(|scope| scope.name() == name));
                }
            }
        }
    }

    #[test]
    fn unknown_scopes_are_refused_by_name() {
        let error = ScopeSet::parse("records:read admin").unwrap_err();
        assert_eq!(error.given, "admin");
        assert!(error.to_string().starts_with("`admin` is not a scope: use some of `records:read`,"));
        assert!(ScopeSet::parse("RECORDS:READ").is_err());
        assert!(ScopeSet::parse(&"records:read ".repeat(100)).is_err());
    }

    #[test]
    fn subsets_are_by_membership() {
        let [read, both] =
            ["records:read", "records:write records:read"].map(|t| ScopeSet::parse(t).unwrap());
        assert!(read.is_subset_of(both) && !both.is_subset_of(read));
        assert_eq!(both.intersection(read), read);
        assert!(both.is_subset_of(ScopeSet::all()));
    }
}
