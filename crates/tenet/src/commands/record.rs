//! `tenet record`: as a customer's client.

use std::path::Path;

use base::{ObjectId, RepositoryId};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Session, log::write_or_print};
use crate::{
    cli::{Locate, RecordCommand, RecordSource},
    client::{Api, Reply},
    failure::{Exit, Failure},
    input::read_text,
    output::{Column, note},
};

/// Most bytes of a record, as the server takes.
const MAX_RECORD_BYTES: usize = 1_048_576;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("version", "/version"),
    ("classification", "/classification"),
    ("bytes", "/bytes"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
    ("deleted", "/deleted_at"),
    ("body", "/body"),
];
const LIFECYCLE: &[Column] = &[
    ("id", "/id"),
    ("version", "/version"),
    ("deleted", "/deleted_at"),
    ("restorable until", "/restorable_until"),
];
const HOLD: &[Column] = &[
    ("id", "/id"),
    ("reason", "/reason"),
    ("decided by", "/person"),
    ("set", "/set_at"),
    ("set by", "/set_by"),
    ("lifted", "/lifted_at"),
    ("lifted by", "/lifted_by"),
    ("because", "/lift_reason"),
    ("lift decided by", "/lift_person"),
];

/// A path of the record or object, and more.
pub(super) struct At {
    repository: String,
    kind: &'static str,
    id: String,
}

impl At {
    fn new(locate: &Locate) -> Self {
        let Locate { repository, record } = locate;
        Self { repository: repository.to_string(), kind: "records", id: record.to_string() }
    }
    pub(super) fn object(repository: RepositoryId, object: ObjectId) -> Self {
        Self { repository: repository.to_string(), kind: "objects", id: object.to_string() }
    }
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["v1", "repositories", &self.repository, self.kind, &self.id];
        path.extend(rest);
        path
    }
    pub(super) async fn act(&self, api: &Api, method: Method, rest: &[&str]) -> Result<Reply, Failure> {
        api.call(method, api.url(&self.path(rest), &[])).await?.send().await
    }
}

pub(super) async fn run(session: &Session, command: RecordCommand) -> Result<(), Failure> {
    let api = session.client()?;
    let out = session.out;
    match command {
        RecordCommand::Put { .. } => put(session, &api, command).await,
        RecordCommand::Get { locate, number } => get(session, &api, &At::new(&locate), number).await,
        RecordCommand::List { repository, limit, bodies, deleted } => {
            let repository = repository.to_string();
            let path = ["v1", "repositories", &repository, "records"];
            let filter = [("bodies", bodies.to_string()), ("deleted", deleted.to_string())];
            out.list(&api.filtered(&path, &filter, "cursor", limit).await?, COLUMNS)
        }
        RecordCommand::Versions { locate } => {
            out.list(&api.all(&At::new(&locate).path(&["versions"]), "before", usize::MAX).await?, COLUMNS)
        }
        RecordCommand::Delete { locate } => {
            out.item(&At::new(&locate).act(&api, Method::DELETE, &[]).await?.body, LIFECYCLE)
        }
        RecordCommand::Restore { locate } => {
            out.item(&At::new(&locate).act(&api, Method::POST, &["restore"]).await?.body, LIFECYCLE)
        }
        RecordCommand::Erase { locate, certificate } => {
            erase(session, &api, &At::new(&locate), certificate.as_deref()).await
        }
        RecordCommand::Hold { locate, reason, person } => {
            let repository = locate.repository.to_string();
            let path = ["v1", "repositories", &repository, "holds"];
            let body = json!({ "record": locate.record.to_string(), "reason": reason, "person": person });
            out.item(&api.post(&path, &body).await?.body, HOLD)
        }
        RecordCommand::Release { hold, reason, person } => {
            let path = ["v1", "holds", &hold.to_string(), "lift"];
            let body = json!({ "reason": reason, "person": person });
            out.item(&api.post(&path, &body).await?.body, HOLD)
        }
        RecordCommand::Search { repository, terms, limit } => {
            out.list(&search(&api, repository, &terms, limit).await?, COLUMNS)
        }
        RecordCommand::Explain { locate } => explain(session, &api, &At::new(&locate)).await,
    }
}

async fn put(session: &Session, api: &Api, command: RecordCommand) -> Result<(), Failure> {
    let RecordCommand::Put { repository, record, classification, if_match, idempotency_key, source } =
        command
    else {
        return Ok(());
    };
    let body = body_of(&source)?;
    let (repository, record) = (repository.to_string(), record.map(|record| record.to_string()));
    let mut path = vec!["v1", "repositories", &repository, "records"];
    path.extend(record.as_deref());
    let method = if record.is_some() { Method::PUT } else { Method::POST };
    let label: Vec<_> = classification.map(|level| ("classification", level)).into_iter().collect();
    let call = api.call(method, api.url(&path, &label)).await?;
    let reply = call
        .header("content-type", "application/json")
        .maybe_header("if-match", if_match.as_deref())
        .maybe_header("idempotency-key", idempotency_key.as_deref())
        .body(body)
        .send()
        .await?;
    session.out.item(&reply.body, COLUMNS)
}

/// The body, sent as it is: what is signed for is what the caller wrote, to the byte.
fn body_of(source: &RecordSource) -> Result<String, Failure> {
    let text = match (&source.body, &source.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => read_text(path, MAX_RECORD_BYTES)?,
        (None, None) => return Err(Failure::usage("no body: give `--body JSON` or `--file FILE`")),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => {
            Err(Failure::usage("the body is not a JSON object").remedy("write it as `{\"name\": \"value\"}`"))
        }
        Err(error) => Err(Failure::usage("the body is not JSON").why(error.to_string())),
    }
}

async fn get(session: &Session, api: &Api, at: &At, number: Option<u64>) -> Result<(), Failure> {
    let query: Vec<_> = number.map(|number| ("version", number.to_string())).into_iter().collect();
    let record = api.get(&at.path(&[]), &query).await?.body;
    if session.out.is_json() {
        return session.out.document(&record);
    }
    let without_body = COLUMNS.split_last().map_or(COLUMNS, |(_, rest)| rest);
    session.out.item(&record, without_body)?;
    session.out.text("\n")?;
    session.out.document(record.get("body").unwrap_or(&Value::Null))
}

pub(super) async fn erase(session: &Session, api: &Api, at: &At, file: Option<&Path>) -> Result<(), Failure> {
    let certificate = at.act(api, Method::POST, &["erase"]).await?.body;
    let text = certificate.get("note").and_then(Value::as_str);
    let text = text
        .ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer holds no certificate"))?;
    if session.out.is_json() && file.is_none() {
        return session.out.document(&certificate);
    }
    if !session.out.is_json() {
        note("erased: its key is destroyed, wherever copies of the data may be");
    }
    write_or_print(session, file, text)
}

async fn search(
    api: &Api,
    repository: RepositoryId,
    terms: &[String],
    limit: usize,
) -> Result<Vec<Value>, Failure> {
    let mut equals = Map::new();
    for term in terms {
        let (field, value) = term.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`{term}` is not FIELD=VALUE")).remedy("write it as `number=2026-7`")
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        equals.insert(field.to_owned(), value);
    }
    let path = ["v1", "repositories", &repository.to_string(), "records", "search"];
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<Value> = None;
    loop {
        let page_limit = limit.saturating_sub(items.len()).clamp(1, 100);
        let mut body = json!({ "equals": equals, "limit": page_limit, "bodies": true });
        if let (Some(cursor), Some(members)) = (cursor.take(), body.as_object_mut()) {
            members.insert("cursor".to_owned(), cursor);
        }
        let mut page = api.post(&path, &body).await?.body;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        cursor = page.get("next").filter(|next| next.is_string()).cloned();
        if cursor.is_none() || items.len() >= limit {
            items.truncate(limit);
            return Ok(items);
        }
    }
}

pub(super) async fn explain(session: &Session, api: &Api, at: &At) -> Result<(), Failure> {
    let found = api.get(&at.path(&["explain"]), &[]).await?.body;
    if session.out.is_json() {
        return session.out.document(&found);
    }
    session.out.item(
        &found,
        &[
            ("id", "/id"),
            ("state", "/state"),
            ("classification", "/classification"),
            ("keep days", "/retention/period_days"),
            ("basis", "/retention/basis"),
            ("reason", "/retention/reason"),
            ("retained until", "/retained_until"),
            ("restorable until", "/restorable_until"),
            ("erasable now", "/erasable_now"),
            ("certificate", "/certificate"),
        ],
    )?;
    let list = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    session.out.text("\n")?;
    session.out.list(
        &list("applies"),
        &[("clause", "/clause"), ("what", "/what"), ("why", "/why"), ("when", "/when")],
    )?;
    if !list("holds").is_empty() {
        session.out.text("\n")?;
        session.out.list(&list("holds"), HOLD)?;
    }
    Ok(())
}
