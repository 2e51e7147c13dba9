//! What a sealed value belongs to. The binding is never stored with the value: whoever opens it says
//! what it must be, so that a value moved to another account, record, field or version does not open.

use base::{AccountId, DataKeyId, RepositoryId};

/// First bytes of the associated data, so that no other structure of ours can be taken for one.
const DOMAIN: &[u8; 16] = b"tenet binding 1\0";

/// The place that a sealed value belongs to (CD-8). All of it, the format and the data key's id are
/// the associated data of the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Whose it is.
    pub account: AccountId,
    /// In which repository.
    pub repository: RepositoryId,
    /// The name of its classification.
    pub classification: &'a str,
    /// The word for what it is part of: `record` or `object`.
    pub kind: &'a str,
    /// The id of that record or object.
    pub id: [u8; 16],
    /// Which part of it: a field's name, `body`, `meta`.
    pub field: &'a str,
    /// Which version of it, counted from 1.
    pub version: u64,
}

impl Binding<'_> {
    /// The associated data: the domain, then each component as a 32-bit big-endian length and its
    /// bytes, in the order of the fields and the key's id last. No two bindings share it.
    pub(crate) fn associated_data(&self, key: DataKeyId) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let components: [&[u8]; 8] = [
            self.account.as_bytes(),
            self.repository.as_bytes(),
            self.classification.as_bytes(),
            self.kind.as_bytes(),
            &self.id,
            self.field.as_bytes(),
            &version,
            key.as_bytes(),
        ];
        length_prefixed(DOMAIN, &components)
    }
}

/// `domain`, then each component as a 32-bit big-endian length and its bytes.
pub(crate) fn length_prefixed(domain: &[u8], components: &[&[u8]]) -> Vec<u8> {
    let total: usize = components.iter().map(|component| component.len().saturating_add(4)).sum();
    let mut out = Vec::with_capacity(domain.len().saturating_add(total));
    out.extend_from_slice(domain);
    for component in components {
        // A component is a name or an id; 4 GiB of one would be refused long before this.
        let length = u32::try_from(component.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(component);
    }
    out
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn binding() -> Binding<'static> {
        Binding {
            account: AccountId::from_bytes([1; 16]),
            repository: RepositoryId::from_bytes([2; 16]),
            classification: "confidential",
            kind: "record",
            id: [3; 16],
            field: "body",
            version: 7,
        }
    }

    /// The sample with one component changed, once for each component.
    pub(crate) fn neighbours() -> Vec<(&'static str, Binding<'static>)> {
        let same = binding();
        vec![
            ("account", Binding { account: AccountId::from_bytes([9; 16]), ..same }),
            ("repository", Binding { repository: RepositoryId::from_bytes([9; 16]), ..same }),
            ("classification", Binding { classification: "internal", ..same }),
            ("kind", Binding { kind: "object", ..same }),
            ("id", Binding { id: [9; 16], ..same }),
            ("field", Binding { field: "bodx", ..same }),
            ("version", Binding { version: 8, ..same }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_can_not_run_into_each_other() {
        let left = Binding { kind: "ab", field: "c", ..samples::binding() };
        let right = Binding { kind: "a", field: "bc", ..samples::binding() };
        let key = DataKeyId::from_bytes([4; 16]);
        assert_ne!(left.associated_data(key), right.associated_data(key));
    }

    #[test]
    fn each_component_is_in_it() {
        let key = DataKeyId::from_bytes([4; 16]);
        let same = samples::binding().associated_data(key);
        for (name, other) in samples::neighbours() {
            assert_ne!(same, other.associated_data(key), "{name}");
        }
        assert_ne!(same, samples::binding().associated_data(DataKeyId::from_bytes([5; 16])));
    }
}
