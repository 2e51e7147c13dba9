//! `tenet subject`, and `tenet log source`: as an operator.

use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::SubjectCommand,
    data_dir::write_private,
    failure::{Exit, Failure},
    output::{self, Column},
};

const ERASED: &[Column] = &[
    ("subject", "/subject"),
    ("had a key", "/had_key"),
    ("erased", "/erased_at"),
    ("recorded as", "/event"),
];
const SOURCE: &[Column] =
    &[("event", "/event"), ("actor", "/actor"), ("address", "/address"), ("tool", "/tool")];

pub(super) async fn run(session: &Session, command: SubjectCommand) -> Result<(), Failure> {
    let SubjectCommand::Erase { subject, out } = command;
    let api = session.operator()?;
    let path = ["v1", "subjects", &subject, "erase"];
    let done = api.call(reqwest::Method::POST, api.url(&path, &[])).await?.send().await?.body;
    let receipt = done
        .get("receipt")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer holds no receipt"))?;
    if let Some(out) = &out {
        write_private(out, receipt.as_bytes()).map_err(|error| Failure::file("can't write", out, &error))?;
    }
    session.out.item(&done, ERASED)?;
    if !session.out.is_json() {
        match &out {
            Some(out) => output::note(&format!("the receipt is in {}", out.display())),
            None => session.out.text(receipt)?,
        }
    }
    Ok(())
}

/// `tenet log source`.
pub(super) async fn source(session: &Session, event: base::EventId) -> Result<(), Failure> {
    let api = session.operator()?;
    let path = ["v1", "log", "events", &event.to_string(), "source"];
    let found = api.get(&path, &[]).await?.body;
    let found = if found.get("address").is_some() { found } else { with(found, "address", json!("none")) };
    session.out.item(&found, SOURCE)
}

fn with(mut value: Value, name: &str, to: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.insert(name.to_owned(), to);
    }
    value
}
