//! `tenet client`: as an operator.

use base::AccountId;
use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::{ClientCommand, ClientCreate},
    client::{Api, ClientKey, Home, Profile, Subject},
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
    if let Some(name) = &new.credential.save {
        let made = create_saved(&session.home()?, api, new.account, &body, name, &session.context).await?;
        session.out.item(&made, COLUMNS)?;
        if !session.out.is_json() {
            output::note(&format!("saved as `{name}`: use it with `--as {name}`"));
        }
        return Ok(());
    }
    let made = register(api, new.account, body, new.credential.public_key.as_deref()).await?;
    if session.out.is_json() {
        return session.out.document(&made);
    }
    session.out.item(made.get("client").unwrap_or(&Value::Null), COLUMNS)?;
    if let Some(secret) = made.get("secret").and_then(Value::as_str) {
        output::note("the secret, which is shown this once:");
        session.out.text(&format!("{secret}\n"))?;
    }
    Ok(())
}

/// Registers a client with a key made here, and saves it as a profile. The client's JSON.
pub(super) async fn create_saved(
    home: &Home,
    api: &Api,
    account: AccountId,
    body: &Value,
    name: &str,
    context: &base::Context,
) -> Result<Value, Failure> {
    if home.has(name) {
        return Err(Failure::new(
            Exit::Conflict,
            "profile-exists",
            format!("there is a profile `{name}` already"),
        )
        .remedy(format!(
            "choose another name, or remove `{}/{name}.json` and `.key`",
            home.path().display()
        )));
    }
    let key = ClientKey::generate(context)
        .map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
    let made = register(api, account, body.clone(), Some(&key.public_text())).await?;
    let client = made.get("client").cloned().unwrap_or_default();
    let id = client.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id =
        id.ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer names no client"))?;
    let own = api.profile().ok_or_else(|| Failure::usage("only an operator can register a client"))?;
    let profile = Profile { subject: Subject::Client { id, account }, ..own.clone() };
    home.save(name, &profile, &key)?;
    Ok(client)
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
