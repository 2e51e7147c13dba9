//! `tenet enrol`: becoming an operator. The key is made here; the server gets its public half.

use std::io::Read;

use base::OperatorId;
use serde_json::{Value, json};

use super::{Session, log};
use crate::{
    client::{Api, EnrolLink, Home, Pinned, Profile, Subject},
    failure::{Exit, Failure},
    output, pem,
};

/// Most bytes of a link.
const MAX_LINK_BYTES: u64 = 1_024;

pub(super) async fn run(
    session: &Session,
    link: &str,
    name: Option<String>,
    save: &str,
) -> Result<(), Failure> {
    let link = if link == "-" { read_link()? } else { link.to_owned() };
    let link: EnrolLink = link.parse().map_err(|error: crate::client::LinkError| {
        Failure::usage(error.to_string()).remedy("copy it whole, with everything after `#`, and quote it")
    })?;
    let home = session.home()?;
    let enrolled = enrol(session, &home, &link, name, save).await?;
    session.out.item(&enrolled, &[("id", "/id"), ("name", "/name"), ("role", "/role")])?;
    if !session.out.is_json() {
        output::note(&format!(
            "your key is in `{}/{save}.key`; it never leaves this machine",
            home.path().display()
        ));
    }
    Ok(())
}

/// Enrols at the link's server and saves the profile. The operator's JSON.
pub(super) async fn enrol(
    session: &Session,
    home: &Home,
    link: &EnrolLink,
    name: Option<String>,
    save: &str,
) -> Result<Value, Failure> {
    let name =
        name.or_else(|| session.environment.get("USER").cloned()).unwrap_or_else(|| "operator".to_owned());
    let failed = |error: &dyn std::error::Error| Failure::new(Exit::Failure, "enrol", error.to_string());
    // The link works once: whatever can go wrong on this machine must have gone wrong before it is sent.
    let reserved = home.reserve(save, &session.context)?;
    let prepared = async {
        let pinned = Pinned::by_fingerprint(link.authority);
        let tls = pinned.client_config().map_err(|error| failed(&error))?;
        let api = Api::anonymous(&link.server, tls, &session.context)?;
        // The log's key first: whoever can't be reached, or isn't the server of the link, gets no secret.
        let log_key = log::fetch_key(&api).await?;
        let authority = pinned.authority();
        let authority =
            authority.ok_or_else(|| Failure::new(Exit::Failure, "enrol", "no authority was seen"))?;
        Ok((api, log_key, pem::encode("CERTIFICATE", &authority)))
    };
    let (api, log_key, authority) = match prepared.await {
        Ok(prepared) => prepared,
        Err(failure) => {
            reserved.abandon();
            return Err(failure);
        }
    };
    let public_key = reserved.key().public_text();
    let body = json!({ "secret": link.secret.expose(), "name": name, "public_key": public_key });
    let enrolled = match api.post(&["v1", "enrol"], &body).await {
        Ok(reply) => reply.body,
        Err(failure) => return Err(reserved.abandon_after(failure)),
    };
    // A crash here leaves the key: with the operator's id, which the log names, it is still an identity.
    let id: Option<OperatorId> = enrolled.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id =
        id.ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer names no operator"))?;
    let subject = Subject::Operator { id };
    reserved.save(&Profile { server: link.server.clone(), subject, authority, log_key })?;
    Ok(enrolled)
}

fn read_link() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_LINK_BYTES).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Failure, "input", "the link can't be read").why(error.to_string())
    })?;
    Ok(text)
}
