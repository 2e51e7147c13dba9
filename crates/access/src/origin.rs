//! Where a request comes from: the peer's address and tool, sealed under the actor's own key once and
//! then remembered, so that a client's thousandth request doesn't seal them again.

use std::net::IpAddr;

use base::{AccountId, Actor, RequestId};
use ledger::{Interface, Origin, SealedContext};
use quick_cache::sync::Cache;
use serde::Serialize;

use crate::{Access, AccessError, jws::sha256};

/// Most sealed contexts that are remembered: about 2 MiB.
const MAX_ORIGINS: usize = 4_096;
const MAX_TOOL_CHARS: usize = 200;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address; none for a call that came over no network.
    pub address: Option<IpAddr>,
    /// What it says it is (`User-Agent`); cut to 200 characters.
    pub tool: String,
}

/// One call: what `web` knows before anybody is authenticated.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it comes from.
    pub peer: Peer,
    /// Its id.
    pub request: RequestId,
    /// The part of Tenet that is called, such as `records`.
    pub subsystem: &'static str,
}

/// Sealed contexts by actor, day and SHA-256 of what is sealed. By day, since those who are nobody
/// established are sealed under a key of the day.
#[derive(Debug)]
pub(crate) struct Origins(Cache<(Actor, i64, [u8; 32]), SealedContext>);

const SECONDS_PER_DAY: i64 = 86_400;

impl Origins {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_ORIGINS))
    }
}

impl Origins {
    /// Forgets what was sealed for one who acts.
    pub(crate) fn forget(&self, actor: Actor) {
        self.0.retain(|(known, _, _), _| *known != actor);
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    address: Option<IpAddr>,
    tool: &'a str,
}

impl Access {
    /// The origin of acts of `actor` in this call.
    pub(crate) async fn origin(
        &self,
        actor: Actor,
        account: Option<AccountId>,
        call: &Call,
    ) -> Result<Origin, AccessError> {
        let mut origin = self.bare_origin(actor, account, call.request, call.subsystem, Interface::Api);
        let tool = call
            .peer
            .tool
            .char_indices()
            .nth(MAX_TOOL_CHARS)
            .map_or(call.peer.tool.as_str(), |(end, _)| call.peer.tool.get(..end).unwrap_or_default());
        let plain = serde_json::to_vec(&Plain { address: call.peer.address, tool })
            .map_err(|_| AccessError::Internal("the peer can't be written as JSON"))?;
        let day = self.0.context.now().seconds().div_euclid(SECONDS_PER_DAY);
        let key = (actor, day, sha256(&plain));
        let sealed = match self.0.origins.0.get(&key) {
            Some(sealed) => sealed,
            None => {
                let sealed = self.0.keys.seal_context(actor, &plain).await?;
                self.0.origins.0.insert(key, sealed.clone());
                sealed
            }
        };
        origin.sealed = Some(sealed);
        Ok(origin)
    }
}
