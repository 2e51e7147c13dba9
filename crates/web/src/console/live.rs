//! That something which pages show has changed: told as it happens (server-sent events), with nothing of it.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use base::{Duration, Timestamp};
use futures::stream;

use super::visitor::Visitor;
use crate::{
    App,
    problem::{Http, Problem},
};

/// How often it is looked.
const LOOK: Duration = Duration::from_seconds(2);
/// After so many looks, something is said in any case: a peer that is gone is noticed by that.
const KEEP_ALIVE: u32 = 8;
/// How long one answer goes on; the browser comes back by itself.
const LONGEST: Duration = Duration::from_seconds(15 * 60);

struct Watching {
    app: App,
    scope: store::SystemScope,
    known: Option<String>,
    quiet: u32,
    ends: Timestamp,
    /// Held as long as the answer goes on.
    _place: tokio::sync::OwnedSemaphorePermit,
}

pub(crate) async fn live(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let resource = access::Resource::new();
    let (scope, _) =
        app.access().operate(&visitor.principal, access::Action::EvidenceRead, &resource).await?;
    let scope = scope.clone();
    let place = app.watchers().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::http(Http::Busy, "more pages are open than are kept up to date"))?;
    let ends = visitor.session.ends.min(app.now().plus(LONGEST));
    let known = Some(app.mark(&scope).await?);
    let first = Watching { app, scope, known, quiet: 0, ends, _place: place };
    let pieces = stream::unfold(first, |mut watching| async move {
        loop {
            tokio::time::sleep(LOOK.into()).await;
            if watching.app.is_stopping() || watching.app.now() >= watching.ends {
                return None;
            }
            let mark = watching.app.mark(&watching.scope).await.ok();
            if mark.is_some() && mark != watching.known {
                watching.known = mark;
                watching.quiet = 0;
                return Some((said("event: changed\ndata: \n\n"), watching));
            }
            watching.quiet += 1;
            if watching.quiet >= KEEP_ALIVE {
                watching.quiet = 0;
                return Some((said(": still here\n\n"), watching));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

const fn said(text: &'static str) -> Result<Bytes, Infallible> {
    Ok(Bytes::from_static(text.as_bytes()))
}
