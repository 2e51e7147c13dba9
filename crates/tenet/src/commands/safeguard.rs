//! `tenet safeguard`: as an operator.

use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::SafeguardCommand,
    failure::Failure,
    output::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("setting", "/name"),
    ("value", "/value"),
    ("accepted", "/accepted"),
    ("weakened", "/weakened"),
    ("approved by", "/approved_by"),
];

pub(super) async fn run(session: &Session, command: SafeguardCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        SafeguardCommand::List => {
            let found = api.get(&["v1", "safeguards"], &[]).await?.body;
            let items = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            session.out.list(&items, COLUMNS)
        }
        SafeguardCommand::Approve { safeguard, value } => {
            let path = ["v1", "safeguards", &safeguard, "approve"];
            let done = api.post(&path, &json!({ "value": value })).await?.body;
            session.out.item(&done, COLUMNS)?;
            let is_open = done.get("weakened").and_then(Value::as_bool).unwrap_or(false);
            if is_open && !session.out.is_json() {
                output::note("one more operator has to approve it");
            }
            Ok(())
        }
    }
}
