//! `tenet keys`: as an operator. No key material ever comes here.

use std::time::Duration;

use base::AccountId;
use serde_json::Value;

use super::Session;
use crate::{
    cli::KeysCommand,
    client::Api,
    failure::{Exit, Failure},
    output::{Column, note},
    progress,
};

/// After how long a rotation that is waited for is looked at first; each look waits longer than the last.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// The longest wait between two looks.
const MAX_LOOK: Duration = Duration::from_secs(5);
/// By when a rotation must have been begun.
const MAX_START: Duration = Duration::from_secs(60);

const VERSIONS: &[Column] = &[
    ("version", "/version"),
    ("provider", "/provider"),
    ("state", "/state"),
    ("wraps", "/wraps"),
    ("account keys", "/account_keys"),
    ("subject keys", "/subject_keys"),
    ("secrets", "/secrets"),
    ("created", "/created_at"),
];
const ROTATIONS: &[Column] = &[
    ("rotation", "/name"),
    ("from", "/from"),
    ("to", "/to"),
    ("done", "/done"),
    ("of", "/total"),
    ("damaged", "/damaged"),
    ("started", "/started_at"),
    ("finished", "/finished_at"),
];

pub(super) async fn run(session: &Session, command: KeysCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        KeysCommand::Status { account: None } => status(session, &api).await,
        KeysCommand::Status { account: Some(account) } => {
            let path = ["v1", "accounts", &account.to_string(), "keys"];
            let found = api.get(&path, &[]).await?.body;
            session.out.item(
                &found,
                &[
                    ("active version", "/active"),
                    ("wraps", "/wraps"),
                    ("data keys", "/data_keys"),
                    ("suspended", "/suspended_at"),
                ],
            )
        }
        KeysCommand::Rotate { account, wait } => rotate(session, &api, account, wait).await,
        KeysCommand::Retire { version, account } => {
            let version = version.to_string();
            let owner = account.map(|account| account.to_string());
            let path: Vec<&str> = match &owner {
                Some(account) => vec!["v1", "accounts", account, "keys", &version, "retire"],
                None => vec!["v1", "keys", &version, "retire"],
            };
            api.call(reqwest::Method::POST, api.url(&path, &[])).await?.send().await?;
            let line =
                format!("version {version} is retired: what it wrapped can't be opened with it any more");
            session.out.say(&line, &serde_json::json!({ "retired": version }))
        }
    }
}

async fn status(session: &Session, api: &Api) -> Result<(), Failure> {
    let found = api.get(&["v1", "keys"], &[]).await?.body;
    if session.out.is_json() {
        return session.out.document(&found);
    }
    let list = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    session.out.item(&found, &[("provider", "/provider"), ("accounts with keys", "/accounts")])?;
    session.out.text("\n")?;
    session.out.list(&list("versions"), VERSIONS)?;
    if !list("rotations").is_empty() {
        session.out.text("\n")?;
        session.out.list(&list("rotations"), ROTATIONS)?;
    }
    Ok(())
}

async fn rotate(session: &Session, api: &Api, account: Option<AccountId>, wait: bool) -> Result<(), Failure> {
    let owner = account.map(|account| account.to_string());
    let path: Vec<&str> = match &owner {
        Some(account) => vec!["v1", "accounts", account, "keys", "rotate"],
        None => vec!["v1", "keys", "rotate"],
    };
    let started = api.call(reqwest::Method::POST, api.url(&path, &[])).await?.send().await?.body;
    session.out.item(&started, &[("from version", "/from"), ("to version", "/to")])?;
    if wait {
        return wait_for(api, owner.as_deref(), started.get("to").and_then(Value::as_u64)).await;
    }
    if !session.out.is_json() {
        note("begun; `tenet keys status` shows how far it is");
    }
    Ok(())
}

/// Until the rotation to that version is finished.
async fn wait_for(api: &Api, account: Option<&str>, to: Option<u64>) -> Result<(), Failure> {
    let ours = |rotation: &Value| {
        let name = rotation.get("name").and_then(Value::as_str).unwrap_or_default();
        let named = account.map_or(name == "provider", |account| name.contains(account));
        named && rotation.get("to").and_then(Value::as_u64) == to
    };
    let bar = progress::bar("rotating", 0, false);
    let mut looks = looks();
    let mut waited = Duration::ZERO;
    loop {
        let status = api.get(&["v1", "keys"], &[]).await?.body;
        let rotations = status.get("rotations").and_then(Value::as_array);
        let Some(rotation) = rotations.and_then(|all| all.iter().find(|one| ours(one))) else {
            if waited >= MAX_START {
                let what = "the rotation has not been begun within a minute";
                return Err(Failure::new(Exit::Unavailable, "rotation-waits", what)
                    .remedy("look at `tenet keys status`, and at the server's log"));
            }
            let look = looks.next().unwrap_or(MAX_LOOK);
            waited += look;
            tokio::time::sleep(look).await;
            continue;
        };
        let number = |name: &str| rotation.get(name).and_then(Value::as_u64).unwrap_or(0);
        bar.set_length(number("total"));
        bar.set_position(number("done"));
        if rotation.get("finished_at").is_some_and(Value::is_string) {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(looks.next().unwrap_or(MAX_LOOK)).await;
    }
}

/// How long to wait before each look: a rotation may take seconds or hours.
fn looks() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST_LOOK), |last| Some((*last * 3 / 2).min(MAX_LOOK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer() {
        let waits: Vec<u128> = looks().take(8).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [500, 750, 1_125, 1_687, 2_531, 3_796, 5_000, 5_000]);
    }
}
