//! A client: a customer's application, in one account for good. And pages of lists.

use base::{AccountId, ClientId, Timestamp};
use ledger::ObjectRef;
use store::{Row, StoreError};

use crate::ScopeSet;

/// Most items of a page.
pub const MAX_PAGE: u32 = 500;

/// A client, as shown to operators. Never with its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id: what it authenticates as.
    pub id: ClientId,
    /// Its account.
    pub account: AccountId,
    /// A name for people.
    pub name: String,
    /// The scopes that it may ask for.
    pub scopes: ScopeSet,
    /// The highest classification that it may touch; the highest of the scheme if none.
    pub clearance: Option<String>,
    /// Whether it proves itself by signing (`private_key_jwt`), not by a secret.
    pub signs: bool,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

impl Client {
    /// From the columns id, account, name, scopes, clearance, public_key, created_at, revoked_at.
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id(0)?,
            account: row.id(1)?,
            name: row.text(2)?.to_owned(),
            scopes: ScopeSet::parse(row.text(3)?).map_err(|_| StoreError::Shape("a list of scopes"))?,
            clearance: row.opt_text(4)?.map(str::to_owned),
            signs: row.opt_blob(5)?.is_some(),
            created: row.time(6)?,
            revoked: row.opt_time(7)?,
        })
    }
}

/// A client as the object of an event.
pub(crate) fn object(client: ClientId, account: AccountId) -> ObjectRef {
    ObjectRef::new("client", client).in_account(account)
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in order.
    pub items: Vec<T>,
    /// What to give as `after` for the next page; none at the end.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// The first `limit` items of what was read, which is one more if there is a next page.
    pub(crate) fn cut(mut items: Vec<T>, limit: i64, key: impl Fn(&T) -> K) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

pub(crate) fn page_size(limit: u32) -> i64 {
    i64::from(limit.clamp(1, MAX_PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_whether_there_is_another() {
        assert_eq!(Page::cut(vec![1, 2, 3], 2, |n| *n), Page { items: vec![1, 2], next: Some(2) });
        assert_eq!(Page::cut(vec![1, 2], 2, |n| *n), Page { items: vec![1, 2], next: None });
        assert_eq!(Page::cut(vec![], 2, |n: &u8| *n), Page { items: vec![], next: None });
        assert_eq!([page_size(0), page_size(50), page_size(9_999)], [1, 50, 500]);
    }
}
