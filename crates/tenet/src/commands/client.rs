//! `tenet client`: as an operator.

use base::AccountId;
use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::{ClientCommand, ClientCreate},
    client::{Api, Home, Profile, Subject},
    failure::{Exit, Failure},
    output::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("scope", "/scope"),
    ("clearance", "/clearance"),
    ("credential", "/credential"),
    ("created", "/created_at"),
    ("revoked", "/revoked_at"),
];

pub(super) async fn run(session: &Session, command: ClientCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        ClientCommand::Create(new) => create(session, &api, new).await,
        ClientCommand::List { account } => {
            let path = ["v1", "accounts", &account.to_string(), "clients"];
            session.out.list(&api.all(&path, "after", usize::MAX).await?, COLUMNS)
        }
        ClientCommand::Revoke { client } => {
            let path = ["v1", "clients", &client.to_string(), "revoke"];
            let call = api.call(reqwest::Method::POST, api.url(&path, &[])).await?;
            session.out.item(&call.send().await?.body, COLUMNS)
        }
    }
}

async fn create(session: &Session, api: &Api, new: ClientCreate) -> Result<(), Failure> {
    let body = json!({ "name": new.name, "scope": new.scope.join(" "), "clearance": new.clearance });
    let saved = new.credential.save.as_deref();
    let mut made = match saved {
        Some(name) => create_saved(&session.home()?, api, new.account, &body, name, &session.context).await?,
        None => register(api, new.account, body, new.credential.public_key.as_deref()).await?,
    };
    if session.out.is_json() {
        // One shape, however the client proves who it is.
        if let Some(members) = made.as_object_mut() {
            members.entry("secret").or_insert(Value::Null);
            members.insert("profile".to_owned(), json!(saved));
        }
        return session.out.document(&made);
    }
    session.out.item(made.get("client").unwrap_or(&Value::Null), COLUMNS)?;
    if let Some(name) = saved {
        output::note(&format!("saved as `{name}`: use it with `--as {name}`"));
    }
    if let Some(secret) = made.get("secret").and_then(Value::as_str) {
        output::note("the secret, which is shown this once:");
        session.out.text(&format!("{secret}\n"))?;
    }
    Ok(())
}

/// Registers a client with a key made here, and saves it as a profile. The server's answer.
pub(super) async fn create_saved(
    home: &Home,
    api: &Api,
    account: AccountId,
    body: &Value,
    name: &str,
    context: &base::Context,
) -> Result<Value, Failure> {
    let own = api.profile().ok_or_else(|| Failure::usage("only an operator can register a client"))?;
    // The key is on disk before the server knows it: no client is registered that nobody can be.
    let reserved = home.reserve(name, context)?;
    let made = match register(api, account, body.clone(), Some(&reserved.key().public_text())).await {
        Ok(made) => made,
        Err(failure) => return Err(reserved.abandon_after(failure)),
    };
    let id = made.pointer("/client/id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id =
        id.ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer names no client"))?;
    reserved.save(&Profile { subject: Subject::Client { id, account }, ..own.clone() })?;
    Ok(made)
}

async fn register(
    api: &Api,
    account: AccountId,
    mut body: Value,
    public_key: Option<&str>,
) -> Result<Value, Failure> {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        if let Some(key) = public_key {
            members.insert("public_key".to_owned(), key.into());
        }
    }
    Ok(api.post(&["v1", "accounts", &account.to_string(), "clients"], &body).await?.body)
}
