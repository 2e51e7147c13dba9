//! `tenet log reconcile`: what is stored, held against the log by the server. As an operator.

use std::time::Duration;

use base::Context;
use serde_json::{Value, json};

use super::Session;
use crate::{
    client::Api,
    failure::{Exit, Failure},
    output::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("kind", "/kind"),
    ("id", "/id"),
    ("version", "/version"),
    ("account", "/account"),
    ("why", "/why"),
    ("recorded as", "/event"),
];
/// How often it looks whether the check is done.
const LOOK: Duration = Duration::from_millis(500);
/// Most findings that are shown.
const MOST: usize = 1_000;

pub(super) async fn run(session: &Session, timeout: u64) -> Result<(), Failure> {
    let api = session.operator()?;
    let check = api.post(&["v1", "log", "reconcile"], &json!({})).await?.body;
    let check = text(&check, "/check").ok_or_else(broken)?;
    output::note("holding every protected row against the log");
    let done = wait(&session.context, &api, &check, timeout).await?;
    let found = events(&api, &check, "integrity.violation", MOST).await?;
    let found: Vec<Value> = found.iter().map(finding).collect();
    let number =
        |name: &str| done.pointer(&format!("/event/unmapped/detail/{name}")).cloned().unwrap_or(Value::Null);
    let count = number("unexplained").as_u64().unwrap_or(0);
    if session.out.is_json() {
        let all = json!({
            "check": check, "entries": number("entries"), "rows": number("rows"), "passes": number("passes"),
            "unexplained": count, "findings": found,
        });
        session.out.document(&all)?;
    } else {
        if count > 0 {
            session.out.list(&found, COLUMNS)?;
        }
        let found = if count == 0 { "each is what the log says" } else { "some are not what the log says" };
        session.out.text(&format!(
            "{} rows, {} entries of the log: {found}\n",
            number("rows"),
            number("entries")
        ))?;
    }
    if count == 0 {
        return Ok(());
    }
    let rows = if count == 1 { "1 row is".to_owned() } else { format!("{count} rows are") };
    Err(Failure::new(Exit::Failure, "unexplained", format!("{rows} not what the log says"))
        .why("somebody changed the database behind Tenet's back, or it was restored from another time")
        .remedy(
            "find out who can write to the database; restore it to its last good copy, then run this again",
        ))
}

/// Waits for the event that says that it is done.
async fn wait(context: &Context, api: &Api, check: &str, timeout: u64) -> Result<Value, Failure> {
    let limit = i64::try_from(timeout).unwrap_or(i64::MAX);
    let end = context.elapsed() + base::Duration::from_seconds(limit);
    loop {
        if let Some(done) = events(api, check, "log.reconcile", 1).await?.into_iter().next() {
            return Ok(done);
        }
        // It gave up: the log's own tables were changed.
        let unreadable = events(api, check, "integrity.violation", 1).await?;
        if let Some(why) = unreadable
            .first()
            .filter(|event| text(event, "/event/status_code").as_deref() == Some("unreadable"))
        {
            let why = text(why, "/event/unmapped/detail/why").unwrap_or_default();
            return Err(
                Failure::new(Exit::Failure, "unreadable", "the rows can't be held against the log").why(why)
            );
        }
        if context.elapsed() >= end {
            return Err(Failure::new(
                Exit::Failure,
                "timeout",
                format!("the check is not done after {timeout} seconds"),
            )
            .why("it reads the whole log, and waits behind other jobs")
            .remedy(format!(
                "look later: `tenet log search --text {check}`, or give more with `--timeout`"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn events(api: &Api, check: &str, activity: &str, most: usize) -> Result<Vec<Value>, Failure> {
    let filter =
        [("activity", activity.to_owned()), ("text", check.to_owned()), ("order", "newest".to_owned())];
    api.filtered(&["v1", "log", "events"], &filter, "cursor", most).await
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn broken() -> Failure {
    Failure::new(Exit::Failure, "answer", "the server's answer does not name the check")
}

fn finding(item: &Value) -> Value {
    let at = |pointer: &str| item.pointer(pointer).cloned().unwrap_or(Value::Null);
    json!({
        "kind": at("/event/resources/0/type"), "id": at("/event/resources/0/uid"),
        "version": at("/event/unmapped/detail/version"), "account": at("/event/resources/0/data/account"),
        "why": at("/event/unmapped/detail/why"), "event": at("/event/metadata/uid"),
    })
}
