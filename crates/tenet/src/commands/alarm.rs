//! `tenet alarm`: as an operator.

use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::{AlarmCommand, Until},
    client::Api,
    failure::{Exit, Failure},
    output::Column,
};

/// How long it is waited for a test.
const PATIENCE: base::Duration = base::Duration::from_seconds(90);
const POLL: std::time::Duration = std::time::Duration::from_millis(500);

const ALARMS: &[Column] = &[
    ("alarm", "/id"),
    ("severity", "/severity"),
    ("state", "/state"),
    ("what", "/title"),
    ("about", "/about"),
    ("times", "/count"),
    ("first", "/first_at"),
    ("by", "/acknowledged/by"),
    ("until", "/acknowledged/until"),
];
const ALARM: &[Column] = &[
    ("alarm", "/id"),
    ("what", "/title"),
    ("rule", "/rule"),
    ("about", "/about"),
    ("clauses", "/clauses"),
    ("severity", "/severity"),
    ("state", "/state"),
    ("times", "/count"),
    ("first", "/first_at"),
    ("last", "/last_at"),
    ("entry", "/entry"),
    ("step", "/step"),
    ("next step at", "/next_at"),
    ("taken on by", "/acknowledged/by"),
    ("reason", "/acknowledged/reason"),
    ("until", "/acknowledged/until"),
    ("over since", "/resolved_at"),
];
const DELIVERIES: &[Column] = &[
    ("route", "/route"),
    ("what", "/kind"),
    ("step", "/step"),
    ("state", "/state"),
    ("attempts", "/attempts"),
    ("due", "/due_at"),
    ("why not", "/failure"),
    ("at", "/at"),
];
const ROUTES: &[Column] = &[
    ("route", "/name"),
    ("kind", "/kind"),
    ("steps", "/steps"),
    ("waiting", "/waiting"),
    ("delivered", "/delivered_at"),
    ("given up", "/failed_at"),
];

pub(super) async fn run(session: &Session, command: AlarmCommand) -> Result<(), Failure> {
    let api = session.operator()?;
    match command {
        AlarmCommand::List { all, limit } => {
            let state = if all { "all" } else { "standing" };
            let filter = [("state", state.to_owned())];
            session.out.list(&api.filtered(&["v1", "alarms"], &filter, "before", limit).await?, ALARMS)
        }
        AlarmCommand::Show { alarm } => {
            let found = api.get(&["v1", "alarms", &alarm.to_string()], &[]).await?.body;
            show(session, &found)
        }
        AlarmCommand::Acknowledge { alarm, reason, until } => {
            let until = match until {
                Until::In(span) => session.context.now().plus(span),
                Until::At(at) => at,
            };
            let body = json!({ "reason": reason, "until": until });
            let path = ["v1", "alarms", &alarm.to_string(), "acknowledge"];
            session.out.item(&api.post(&path, &body).await?.body, ALARM)
        }
        AlarmCommand::Resolve { alarm, reason } => {
            let path = ["v1", "alarms", &alarm.to_string(), "resolve"];
            session.out.item(&api.post(&path, &json!({ "reason": reason })).await?.body, ALARM)
        }
        AlarmCommand::Test => test(session, &api).await,
        AlarmCommand::Routes => {
            let found = api.get(&["v1", "alarm-routes"], &[]).await?.body;
            session.out.list(&members(&found, "items"), ROUTES)
        }
    }
}

fn members(value: &Value, name: &str) -> Vec<Value> {
    value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn show(session: &Session, alarm: &Value) -> Result<(), Failure> {
    session.out.item(alarm, ALARM)?;
    if session.out.is_json() {
        return Ok(());
    }
    session.out.text("\n")?;
    session.out.list(&members(alarm, "deliveries"), DELIVERIES)
}

async fn test(session: &Session, api: &Api) -> Result<(), Failure> {
    let sent = api.post(&["v1", "alarm-tests"], &Value::Null).await?.body;
    let id = sent.get("alarm").and_then(Value::as_str).unwrap_or_default().to_owned();
    let give_up = session.context.now().plus(PATIENCE);
    loop {
        tokio::time::sleep(POLL).await;
        let found = api.get(&["v1", "alarms", &id], &[]).await?.body;
        let deliveries = members(&found, "deliveries");
        let is = |one: &&Value, state: &str| one.get("state").and_then(Value::as_str) == Some(state);
        let waiting = deliveries.iter().filter(|one| is(one, "waiting")).count();
        let is_late = session.context.now() >= give_up;
        if waiting > 0 && !is_late {
            continue;
        }
        match session.out.is_json() {
            true => session.out.document(&found)?,
            false => session.out.list(&deliveries, DELIVERIES)?,
        }
        let missed = deliveries.iter().filter(|one| !is(one, "done")).count();
        if missed == 0 {
            return Ok(());
        }
        let what = format!("{missed} of {} routes did not take the test", deliveries.len());
        return Err(Failure::new(Exit::Unavailable, "not-delivered", what)
            .why("each is tried again, and then it is an alarm by the others")
            .remedy(format!("look again with `tenet alarm show {id}`, and at what the server logs")));
    }
}
