//! Who acts: the subject of every event.

use std::fmt;

use crate::{ClientId, Id, IdError, OperatorId, ServerId, kinds};

/// The kinds of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A customer's application.
    Client,
    /// A person who operates Tenet.
    Operator,
    /// Tenet itself: a job, the sequencer, start-up.
    System,
    /// Nobody established: a refused sign-in.
    Anonymous,
}

impl ActorKind {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A customer's application.
    Client(ClientId),
    /// A person who operates Tenet.
    Operator(OperatorId),
    /// Tenet itself, on this server.
    System(ServerId),
    /// Nobody established.
    Anonymous,
}

impl Actor {
    /// Its kind.
    pub const fn kind(&self) -> ActorKind {
        match self {
            Self::Client(_) => ActorKind::Client,
            Self::Operator(_) => ActorKind::Operator,
            Self::System(_) => ActorKind::System,
            Self::Anonymous => ActorKind::Anonymous,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::Operator(id) => id.fmt(f),
            Self::System(id) => id.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl std::str::FromStr for Actor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        if let Ok(id) = text.parse::<Id<kinds::Operator>>() {
            return Ok(Self::Operator(id));
        }
        if let Ok(id) = text.parse::<Id<kinds::Server>>() {
            return Ok(Self::System(id));
        }
        text.parse::<Id<kinds::Client>>().map(Self::Client)
    }
}
