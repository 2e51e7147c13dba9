//! `tenet review`: as an operator.

use serde_json::json;

use super::Session;
use crate::{cli::ReviewCommand, failure::Failure, output::Column};

const COLUMNS: &[Column] = &[
    ("event", "/event"),
    ("done", "/done_at"),
    ("activity", "/activity"),
    ("by", "/actor"),
    ("to", "/object"),
    ("due", "/due_at"),
    ("verdict", "/verdict"),
    ("reviewer", "/reviewed_by"),
    ("note", "/note"),
];

pub(super) async fn run(session: &Session, command: ReviewCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        ReviewCommand::List { overdue, done } => {
            let state = match (overdue, done) {
                (true, _) => "overdue",
                (_, true) => "done",
                _ => "open",
            };
            let filter = [("state", state.to_owned())];
            session.out.list(&api.filtered(&["v1", "reviews"], &filter, "after", usize::MAX).await?, COLUMNS)
        }
        ReviewCommand::Sign { events, objection, note } => {
            let body = json!({ "verdict": if objection { "objection" } else { "in-order" }, "note": note });
            let mut signed = Vec::new();
            for event in events {
                signed.push(api.post(&["v1", "reviews", &event.to_string(), "sign"], &body).await?.body);
            }
            session.out.list(&signed, COLUMNS)
        }
    }
}
