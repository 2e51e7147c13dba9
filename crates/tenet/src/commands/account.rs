//! `tenet account`: as an operator.

use base::AccountId;
use serde_json::{Value, json};

use super::Session;
use crate::{cli::AccountCommand, failure::Failure, output::Column};

const COLUMNS: &[Column] =
    &[("id", "/id"), ("name", "/name"), ("created", "/created_at"), ("suspended", "/suspended_at")];

pub(super) async fn run(session: &Session, command: AccountCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    let change = async |account: AccountId, act: &str| -> Result<Value, Failure> {
        let path = ["v1", "accounts", &account.to_string(), act];
        Ok(api.call(reqwest::Method::POST, api.url(&path, &[])).await?.send().await?.body)
    };
    match command {
        AccountCommand::Create { name } => {
            let made = api.post(&["v1", "accounts"], &json!({ "name": name })).await?.body;
            session.out.item(&made, COLUMNS)
        }
        AccountCommand::List => {
            session.out.list(&api.all(&["v1", "accounts"], "after", usize::MAX).await?, COLUMNS)
        }
        AccountCommand::Invite { account, days } => {
            let path = ["v1", "accounts", &account.to_string(), "links"];
            super::operator::link(session, &api, &path, "customer", json!({}), days).await
        }
        AccountCommand::People { account } => {
            let path = ["v1", "accounts", &account.to_string(), "people"];
            let found = api.call(reqwest::Method::GET, api.url(&path, &[])).await?.send().await?.body;
            let people = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            session.out.list(&people, super::operator::COLUMNS)
        }
        AccountCommand::Suspend { account } => session.out.item(&change(account, "suspend").await?, COLUMNS),
        AccountCommand::Resume { account } => session.out.item(&change(account, "resume").await?, COLUMNS),
    }
}
