//! The auditor's room: what was known on a day, the archive that proves it without this server, and how to check it.

use std::{future::Future, pin::Pin};

use access::Principal;
use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use base::Timestamp;

use super::{
    frame::Frame,
    page::Page,
    policy::AsOf,
    visitor::{Visitor, same_site},
};
use crate::{
    App,
    extract::Query,
    problem::{Http, Problem},
};

/// An archive in the making.
pub type PackFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send + 'a>>;

/// Makes the archive of evidence: whoever wires a server brings it.
pub trait Packer: Send + Sync {
    /// As of then, or now; as that operator, whose acts the readings are.
    fn pack<'a>(&'a self, by: &'a Principal, at: Option<Timestamp>) -> PackFuture<'a>;
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    key: String,
    size: u64,
    may_pack: bool,
    today: String,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let page = app
        .access()
        .log_search(
            &visitor.principal,
            &ledger::EventQuery::default(),
            store::EventOrder::NewestFirst,
            None,
            1,
        )
        .await?;
    let page = AuditPage {
        frame: visitor.frame(&app),
        key: app.signer().vkey(),
        size: page.size,
        may_pack: app.packer().is_some(),
        today: app.now().to_string().get(..10).unwrap_or_default().to_owned(),
    };
    Ok(Page(page))
}

pub(crate) async fn pack(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(AsOf { at }): Query<AsOf>,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    // The end of today is meant as now.
    let now = app.now();
    let at = at.filter(|at| *at <= now || at.to_string().get(..10) != now.to_string().get(..10));
    let packer = app.packer();
    let packer = packer.ok_or_else(|| Problem::http(Http::Route, "this server makes no archives"))?;
    let place = app.packing().try_acquire_owned();
    let _place =
        place.map_err(|_| Problem::http(Http::Busy, "an archive is being made: try again in a moment"))?;
    let bytes = packer.pack(&visitor.principal, at).await?;
    let day = at.unwrap_or(now).to_string().get(..10).unwrap_or_default().to_owned();
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"evidence-{day}.zip\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
