//! An incoming webhook of Slack, and of Mattermost, which takes the same.

use reqwest::Url;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use watch::{CarryFuture, Courier, Notice};

use super::http;
use crate::config::RouteConfig;

pub(super) struct Slack {
    route: String,
    url: Url,
    http: reqwest::Client,
}

impl Slack {
    /// Its file holds the webhook's address.
    pub(super) fn new(
        route: &RouteConfig,
        lines: &[String],
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let url = http::address(lines.first())?;
        Ok(Self { route: route.name.clone(), url, http: http::client(authorities)? })
    }
}

impl Courier for Slack {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        // What both of them would read as markup does not stand in fixed words and ids.
        let body = json!({ "text": notice.text() });
        Box::pin(http::send(self.http.post(self.url.clone()).json(&body)))
    }
}
