//! `tenet operator`: as an operator.

use base::{Duration, Secret};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::OperatorCommand,
    client::{Api, EnrolLink, fingerprint},
    failure::{Exit, Failure},
    output::{self, Column},
};

pub(super) const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("role", "/role"),
    ("enrolled", "/enrolled_at"),
    ("ends", "/ends_at"),
    ("revoked", "/revoked_at"),
];

const SESSIONS: &[Column] = &[
    ("id", "/id"),
    ("method", "/method"),
    ("began", "/began_at"),
    ("used", "/used_at"),
    ("ends", "/ends_at"),
];

pub(super) async fn run(session: &Session, command: OperatorCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        OperatorCommand::List => {
            session.out.list(&api.all(&["v1", "operators"], "after", usize::MAX).await?, COLUMNS)
        }
        OperatorCommand::Link { role, days } => {
            let asked = json!({ "role": role });
            link(session, &api, &["v1", "operators", "links"], &role, asked, days).await
        }
        OperatorCommand::Sessions { operator, end } => sessions(session, &api, operator, end).await,
        OperatorCommand::Revoke { operator } => {
            let path = ["v1", "operators", &operator.to_string(), "revoke"];
            let call = api.call(reqwest::Method::POST, api.url(&path, &[])).await?;
            session.out.item(&call.send().await?.body, COLUMNS)
        }
    }
}

async fn sessions(
    session: &Session,
    api: &Api,
    operator: base::OperatorId,
    end: bool,
) -> Result<(), Failure> {
    let url = api.url(&["v1", "operators", &operator.to_string(), "sessions"], &[]);
    let method = if end { reqwest::Method::DELETE } else { reqwest::Method::GET };
    let body = api.call(method, url).await?.send().await?.body;
    if end {
        return session.out.item(&body, &[("ended", "/ended")]);
    }
    let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    session.out.list(&items, SESSIONS)
}

/// Asks for a link, and says it.
pub(super) async fn link(
    session: &Session,
    api: &Api,
    path: &[&str],
    role: &str,
    mut asked: Value,
    days: Option<u32>,
) -> Result<(), Failure> {
    if let (Some(days), Some(asked)) = (days, asked.as_object_mut()) {
        let ends = session.context.now().plus(Duration::from_days(i64::from(days)));
        asked.insert("access_ends_at".to_owned(), json!(ends));
    }
    let made = api.post(path, &asked).await?.body;
    let incomplete = || Failure::new(Exit::Failure, "answer", "the server's answer holds no link");
    let text = |name: &str| made.get(name).and_then(Value::as_str).ok_or_else(incomplete);
    let pem = api.profile().map(|profile| profile.authority.as_bytes()).unwrap_or_default();
    let authority = CertificateDer::from_pem_slice(pem)
        .map_err(|_| Failure::new(Exit::Failure, "profile", "the profile's authority can't be read"))?;
    let link = EnrolLink {
        server: api.server().to_owned(),
        secret: Secret::new(text("secret")?.to_owned()),
        authority: fingerprint(&authority),
    };
    let (link, expires) = (link.to_text(), text("expires_at")?);
    if !session.out.is_json() {
        output::note(&format!(
            "for one {role}, once, until {expires}; send it over a channel that you trust. It opens in a browser too:"
        ));
    }
    session.out.say(link.expose(), &json!({ "link": link.expose(), "role": role, "expires_at": expires }))
}
