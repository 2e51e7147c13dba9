//! Scopes: under whose account, as whom, and on behalf of which request a statement runs. Only a
//! [`Mint`] makes them, and a store hands out one mint when it opens: to authentication. Jobs get
//! theirs from the lease. So no request can choose its own account (CD-8).

use std::sync::Arc;

use base::{AccountId, Actor, RequestId, Timestamp};
use ledger::Origin;

/// The right to act within one account.
#[derive(Clone, Debug)]
pub struct Scope(Arc<Inner>);

/// The right to act on platform tables, with the reason written where it is made.
#[derive(Clone, Debug)]
pub struct SystemScope {
    inner: Arc<Inner>,
    reason: &'static str,
}

#[derive(Debug)]
struct Inner {
    account: Option<AccountId>,
    origin: Origin,
    now: Timestamp,
}

/// The capability to make scopes. Not `Clone`: who holds it answers for authentication.
#[derive(Debug)]
pub struct Mint(());

impl Mint {
    pub(crate) const fn new() -> Self {
        Self(())
    }
    /// A scope of `account`. The origin's account is set to it.
    pub fn scope(&self, account: AccountId, mut origin: Origin, now: Timestamp) -> Scope {
        origin.account = Some(account);
        Scope(Arc::new(Inner { account: Some(account), origin, now }))
    }
    /// A scope for platform tables; `reason` says what for, in words.
    pub fn system(&self, origin: Origin, now: Timestamp, reason: &'static str) -> SystemScope {
        SystemScope { inner: Arc::new(Inner { account: origin.account, origin, now }), reason }
    }
}

impl Scope {
    /// The account, which every statement of this scope is bound to.
    pub fn account(&self) -> AccountId {
        // A scope is built with an account; the nil account owns nothing.
        self.0.account.unwrap_or(AccountId::from_bytes([0; 16]))
    }
    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.0.origin.actor
    }
    /// The request on whose behalf.
    pub fn request(&self) -> RequestId {
        self.0.origin.request
    }
    /// When the scope was made.
    pub fn now(&self) -> Timestamp {
        self.0.now
    }
    /// Who, where and how, for the event.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }
}

impl SystemScope {
    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.inner.origin.actor
    }
    /// When the scope was made.
    pub fn now(&self) -> Timestamp {
        self.inner.now
    }
    /// Who, where and how, for the event.
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }
    /// Why platform tables are touched.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}
