//! Who a request is made by, once that is established.

use base::{Actor, ClientId, OperatorId, Timestamp, TokenId};
use store::{Scope, SystemScope};

use crate::{operator::Role, scopes::ScopeSet};

/// Who a request is made by. Only authentication makes one.
#[derive(Clone, Debug)]
pub struct Principal {
    pub(crate) kind: PrincipalKind,
    /// The token; none in a session of the console.
    pub(crate) token: Option<TokenId>,
    pub(crate) expires: Timestamp,
    /// In a session of the console: when its operator last proved who it is.
    pub(crate) proved: Option<Timestamp>,
}

/// A client with the scope of its account, or an operator with none.
#[derive(Clone, Debug)]
pub enum PrincipalKind {
    /// A customer's application.
    Client {
        /// The right to act within the account that was signed into the token.
        scope: Scope,
        /// What the token may be used for.
        scopes: ScopeSet,
        /// Which client.
        client: ClientId,
        /// The rank of the highest classification that it may touch; negative for none.
        clearance: i64,
    },
    /// A person of a customer, who governs one account. There is no `SystemScope` here, and no way to get one: what such a
    /// person does is bound to the account by the scope, as a client's acts are.
    Customer {
        /// The right to act within the account that the log says this person was enrolled for.
        scope: Scope,
        /// Which person: has a row, passkeys and sessions as an operator has.
        person: OperatorId,
    },
    /// A person who operates Tenet. There is no `Scope` here, and no way to get one.
    Operator {
        /// The right to act on the platform's tables.
        scope: SystemScope,
        /// Which operator.
        operator: OperatorId,
        /// What it may do.
        role: Role,
    },
}

impl Principal {
    /// A client, a customer's administrator, or an operator.
    pub const fn kind(&self) -> &PrincipalKind {
        &self.kind
    }
    /// The scope of the account of a client or a customer's administrator; none for an operator.
    pub const fn scope(&self) -> Option<&Scope> {
        match &self.kind {
            PrincipalKind::Client { scope, .. } | PrincipalKind::Customer { scope, .. } => Some(scope),
            PrincipalKind::Operator { .. } => None,
        }
    }
    /// An operator's scope; none for a client or a customer's administrator.
    pub const fn system(&self) -> Option<&SystemScope> {
        match &self.kind {
            PrincipalKind::Client { .. } | PrincipalKind::Customer { .. } => None,
            PrincipalKind::Operator { scope, .. } => Some(scope),
        }
    }
    /// Who acts.
    pub const fn actor(&self) -> Actor {
        match &self.kind {
            PrincipalKind::Client { client, .. } => Actor::Client(*client),
            PrincipalKind::Customer { person, .. } => Actor::Operator(*person),
            PrincipalKind::Operator { operator, .. } => Actor::Operator(*operator),
        }
    }
    /// The token's id; none in a session of the console.
    pub const fn token(&self) -> Option<TokenId> {
        self.token
    }
    /// When the token or the session ends.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}
