//! Who acts, for which account, where and how: what the scope in `store` knows, so that the one who
//! writes an act can't forget it.

use base::{AccountId, Actor, RequestId, ServerId};

use crate::Commitment;

/// By which way the act came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The HTTP API.
    Api,
    /// A background job.
    Job,
    /// The server as it starts.
    Startup,
    /// The server as it stops.
    Shutdown,
    /// A command run on the server's own machine.
    Cli,
}

impl Interface {
    /// The word that stands in the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Job => "job",
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::Cli => "cli",
        }
    }

    /// The interface of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Api, Self::Job, Self::Startup, Self::Shutdown, Self::Cli]
            .into_iter()
            .find(|known| known.as_str() == word)
    }
}

/// The peer's address and tool, encrypted under the actor's own key. The leaf holds the commitment
/// alone; the bytes are kept beside it and become unreadable with the actor's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedContext {
    /// What goes into the leaf.
    pub commitment: Commitment,
    /// The ciphertext, kept outside the log.
    pub bytes: Vec<u8>,
}

/// Who, for which account, where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who acts.
    pub actor: Actor,
    /// The account in which the act happens; none for acts on the platform itself.
    pub account: Option<AccountId>,
    /// The request, job run or start-up that the act is part of.
    pub request: RequestId,
    /// The server that carries it out.
    pub server: ServerId,
    /// The part of Tenet that carries it out, such as `vault`.
    pub subsystem: &'static str,
    /// By which way it came in.
    pub interface: Interface,
    /// From where and with which tool, sealed.
    pub sealed: Option<SealedContext>,
}
