//! A room of Matrix, by the client-server API: a message with a transaction's id, so that one that is sent again is one.

use reqwest::{Url, header};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use watch::{CarryFuture, Courier, Notice};

use super::http;
use crate::config::RouteConfig;

pub(super) struct Matrix {
    route: String,
    server: Url,
    room: String,
    token: header::HeaderValue,
    http: reqwest::Client,
}

impl Matrix {
    /// Its file holds an access token of a member of the room.
    pub(super) fn new(
        route: &RouteConfig,
        lines: &[String],
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let server = http::address(Some(&route.server))?;
        let token = lines.first().map(String::as_str).unwrap_or_default();
        let mut token = header::HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| "the first line of its file is no access token".to_owned())?;
        token.set_sensitive(true);
        let http = http::client(authorities)?;
        Ok(Self { route: route.name.clone(), server, room: route.room.clone(), token, http })
    }

    /// `/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}`.
    fn url(&self, transaction: &str) -> Url {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["_matrix", "client", "v3", "rooms", &self.room, "send"]);
            path.extend(["m.room.message", transaction]);
        }
        url
    }
}

impl Courier for Matrix {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        let body = json!({ "msgtype": "m.text", "body": notice.text() });
        let call = self.http.put(self.url(&notice.message.to_string()));
        Box::pin(http::send(call.header(header::AUTHORIZATION, self.token.clone()).json(&body)))
    }
}
