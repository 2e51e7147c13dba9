//! An account: a customer whose data is kept apart from every other's.

use base::{AccountId, Timestamp};
use ledger::ObjectRef;
use store::{Row, StoreError, SystemTx, platform};

use crate::AccessError;

/// Most characters of a name.
pub const MAX_NAME_CHARS: usize = 64;

/// An account, as shown to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is suspended, if it is.
    pub suspended: Option<Timestamp>,
}

impl Account {
    /// From the columns id, name, created_at, suspended_at.
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id(0)?,
            name: row.text(1)?.to_owned(),
            created: row.time(2)?,
            suspended: row.opt_time(3)?,
        })
    }
}

/// An account as the object of an event.
pub(crate) fn object(account: AccountId) -> ObjectRef {
    ObjectRef::new("account", account).in_account(account)
}

/// Whether an account is there and not suspended, and that it stays so until the transaction ends: a suspension waits at its
/// row, and then finds what the transaction made.
pub(crate) async fn hold_account(tx: &mut SystemTx, account: AccountId) -> Result<bool, StoreError> {
    let lock = platform!("UPDATE account SET name = name WHERE id = $1 AND suspended_at IS NULL");
    Ok(tx.execute(lock, &[(&account).into()]).await? == 1)
}

/// A name of an account, a client or an operator: 1 to 64 letters and digits of any script, and spaces
/// and `. _ - ' & @ ,` within. Nothing that is invisible or combines with what stands before it, so that two
/// names that look alike are more likely to be the same.
pub(crate) fn check_name(name: &str) -> Result<&str, AccessError> {
    let wrong = |reason| Err(AccessError::Invalid { field: "name", reason });
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return wrong("a name has 1 to 64 characters");
    }
    let within = |c: char| c.is_alphanumeric() || " ._-'&@,".contains(c);
    if !name.chars().all(within) {
        return wrong("a name is made of letters, digits, spaces and . _ - ' & @ ,");
    }
    let edges = [name.chars().next(), name.chars().next_back()];
    if !edges.into_iter().flatten().all(|c| c.is_alphanumeric() || c == '.') || name.contains("  ") {
        return wrong("a name starts and ends with a letter or digit, and has single spaces within");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_of_visible_letters() {
        for name in
            ["Acme", "Acme & Sons, Inc.", "société générale", "日本銀行", "o'neill", "a@example.org", "7"]
        {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "",
            " Acme",
            "Acme ",
            "Ac  me",
            "Ac\nme",
            "Ac\u{200b}me",
            "e\u{301}",
            "-",
            "<b>",
            "a\u{202e}b",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_panic(text in ".{0,80}") {
            if check_name(&text).is_ok() {
                prop_assert!(!text.chars().any(char::is_control) && text.trim() == text);
            }
        }
    }
}
