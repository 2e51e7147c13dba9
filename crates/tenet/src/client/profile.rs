//! Whom the command line acts as, and where. Holds no secret: the key stands in a file beside it.

use base::{AccountId, ClientId, OperatorId};
use serde::{Deserialize, Serialize};

/// A saved identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The server's address, such as `https://localhost:8440`.
    pub server: String,
    /// Who.
    pub subject: Subject,
    /// The certificate of the server's authority, PEM: the only one that is trusted.
    pub authority: String,
    /// The log's verifier key, as it was when the profile was made.
    pub log_key: String,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Subject {
    /// A person who operates Tenet.
    Operator {
        /// The operator's id.
        id: OperatorId,
    },
    /// A customer's application.
    Client {
        /// The client's id.
        id: ClientId,
        /// The account that it belongs to.
        account: AccountId,
    },
}

impl Subject {
    /// The id in text: the subject of assertions.
    pub fn id(&self) -> String {
        match self {
            Self::Operator { id } => id.to_string(),
            Self::Client { id, .. } => id.to_string(),
        }
    }
}
