//! What is known of a request before anybody has signed in: its id and where it comes from.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use base::{Actor, RequestId};

use crate::{App, problem::Problem, seats::Seat};

/// Most bytes of the caller's tool that are kept.
const MAX_TOOL_BYTES: usize = 256;

/// What the outermost layer establishes for each request.
#[derive(Clone)]
pub(crate) struct RequestContext {
    /// Its id.
    pub(crate) id: RequestId,
    /// The address of the peer; unspecified where no connection is (a call within the process).
    pub(crate) peer: IpAddr,
    /// What the caller says it is: its `User-Agent`, shortened.
    pub(crate) tool: String,
    /// The caller's place, once the caller is known. The outermost layer keeps it until the answer is out.
    pub(crate) seat: Arc<OnceLock<Seat<Actor>>>,
}

impl RequestContext {
    pub(crate) fn new(id: RequestId, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip().to_canonical());
        let tool = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
        let tool = tool.get(..MAX_TOOL_BYTES).unwrap_or(tool).to_owned();
        Self { id, peer, tool, seat: Arc::default() }
    }
}

impl FromRequestParts<App> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let known = parts.extensions.get::<Self>().cloned();
        known.ok_or_else(|| Problem::internal("the request has no context: a layer is missing"))
    }
}
