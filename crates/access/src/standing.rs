//! What a person may be here: an operator of the platform in a role, or an administrator of one customer's account, for good.
//! There is no third, and nobody is both: whoever has an account has no role, and whoever has a role no account.

use base::AccountId;

use crate::Role;

/// The word for an administrator of a customer's account, as stored, shown and recorded.
pub(crate) const CUSTOMER: &str = "customer";

/// What a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Works with the platform, in that role. Has no account, ever.
    Operator(Role),
    /// Governs that account, and nothing else.
    Customer(AccountId),
}

impl Standing {
    /// What the word of a row or an event and the account beside it say; none where they contradict each other: an account
    /// beside a role, or the word for a customer's administrator without one.
    pub fn of(word: &str, account: Option<AccountId>) -> Option<Self> {
        match (word, account) {
            (CUSTOMER, Some(account)) => Some(Self::Customer(account)),
            (CUSTOMER, None) | (_, Some(_)) => None,
            (word, None) => Role::from_word(word).map(Self::Operator),
        }
    }
    /// The word that is stored, shown and recorded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator(role) => role.as_str(),
            Self::Customer(_) => CUSTOMER,
        }
    }
    /// The role on the platform; none for a customer's administrator.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Operator(role) => Some(role),
            Self::Customer(_) => None,
        }
    }
    /// The account that is governed; none for an operator.
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Operator(_) => None,
            Self::Customer(account) => Some(account),
        }
    }
    /// Whether it is one of these roles: never for a customer's administrator.
    pub fn is_any(self, roles: &[Role]) -> bool {
        self.role().is_some_and(|role| roles.contains(&role))
    }
}

impl From<Role> for Standing {
    fn from(role: Role) -> Self {
        Self::Operator(role)
    }
}

impl PartialEq<Role> for Standing {
    fn eq(&self, role: &Role) -> bool {
        *self == Self::Operator(*role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_both_and_nobody_is_half() {
        let account = AccountId::from_bytes([1; 16]);
        assert_eq!(Standing::of("customer", Some(account)), Some(Standing::Customer(account)));
        assert_eq!(Standing::of("customer", None), None);
        assert_eq!(Standing::of("anything", None), None);
        for role in Role::ALL {
            let standing = Standing::of(role.as_str(), None).unwrap();
            assert_eq!((standing.role(), standing.account()), (Some(role), None));
            assert!(standing == role && standing.is_any(&[role]));
            assert_eq!(Standing::of(role.as_str(), Some(account)), None, "a role has no account");
        }
        let customer = Standing::Customer(account);
        assert!(!customer.is_any(&Role::ALL) && customer.role().is_none());
        assert_eq!(Standing::of(customer.as_str(), customer.account()), Some(customer));
    }
}
