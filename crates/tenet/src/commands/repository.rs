//! `tenet repository`: as a customer's client.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Session;
use crate::{
    cli::{RepositoryCommand, RepositoryCreate},
    failure::Failure,
    input::read_text,
    output::Column,
};

/// Most bytes of a declaration's or a schema's file.
const MAX_FILE_BYTES: usize = 1_048_576;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("classification", "/classification"),
    ("keep days", "/retention/period_days"),
    ("basis", "/retention/basis"),
    ("searchable", "/searchable"),
    ("holds", "/holds"),
    ("created", "/created_at"),
];

pub(super) async fn run(session: &Session, command: RepositoryCommand) -> Result<(), Failure> {
    let api = session.client()?;
    match command {
        RepositoryCommand::Create(new) => {
            let made = api.post(&["v1", "repositories"], &declaration(&new)?).await?.body;
            session.out.item(&made, COLUMNS)
        }
        RepositoryCommand::List => {
            session.out.list(&api.all(&["v1", "repositories"], "cursor", usize::MAX).await?, COLUMNS)
        }
    }
}

/// The declaration: the file's members, and over them what the options say.
fn declaration(new: &RepositoryCreate) -> Result<Value, Failure> {
    let mut members = match &new.file {
        Some(path) => read_object(path)?,
        None => Map::new(),
    };
    members.insert("name".to_owned(), json!(new.name));
    if let Some(level) = &new.classification {
        members.insert("classification".to_owned(), json!(level));
    }
    if let Some(days) = new.keep {
        let retention = json!({
            "period_days": days, "basis": new.basis, "reason": new.reason, "data_type": new.data_type,
            "media": new.media,
        });
        members.insert("retention".to_owned(), retention);
    }
    if !new.fields.is_empty() {
        let mut fields = Map::new();
        for pair in &new.fields {
            let (field, level) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`{pair}` is not FIELD=LEVEL")).remedy("write it as `ssn=restricted`")
            })?;
            fields.insert(field.to_owned(), json!(level));
        }
        members.insert("fields".to_owned(), Value::Object(fields));
    }
    if !new.searchable.is_empty() {
        members.insert("searchable".to_owned(), json!(new.searchable));
    }
    if let Some(path) = &new.schema {
        members.insert("schema".to_owned(), Value::Object(read_object(path)?));
    }
    Ok(Value::Object(members))
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = read_text(path, MAX_FILE_BYTES)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Failure::usage(format!("`{}` does not hold a JSON object", path.display()))),
        Err(error) => Err(Failure::usage(format!("`{}` is not JSON", path.display())).why(error.to_string())),
    }
}
