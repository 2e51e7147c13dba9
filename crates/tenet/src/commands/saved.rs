//! Searches that are saved on this machine, by name, beside the profiles. Spans back from now stay spans.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::json;

use super::Session;
use crate::{
    cli::EventFilter,
    data_dir::write_private,
    failure::{Exit, Failure},
    input::read_text,
    output::Column,
};

/// Most searches that are saved.
const MAX_SAVED: usize = 200;
/// Most bytes of their file.
const MAX_BYTES: usize = 262_144;
const MAX_NAME_CHARS: usize = 64;
const COLUMNS: &[Column] = &[("name", "/name"), ("search", "/search")];

type Saved = BTreeMap<String, EventFilter>;

fn path(session: &Session) -> Result<PathBuf, Failure> {
    Ok(session.home()?.path().join("searches.toml"))
}

fn read(session: &Session) -> Result<Saved, Failure> {
    let path = path(session)?;
    if !path.exists() {
        return Ok(Saved::new());
    }
    toml::from_str(&read_text(&path, MAX_BYTES)?).map_err(|error| {
        Failure::usage(format!("`{}` does not hold saved searches", path.display()))
            .why(error.message().to_owned())
            .remedy("correct it, or remove it")
    })
}

fn write(session: &Session, saved: &Saved) -> Result<(), Failure> {
    let path = path(session)?;
    let text = toml::to_string(saved).map_err(|error| {
        Failure::new(Exit::Failure, "output", "searches can't be saved").why(error.to_string())
    })?;
    if text.len() > MAX_BYTES {
        return Err(Failure::usage(format!("the saved searches would take more than {MAX_BYTES} bytes"))
            .remedy("remove one: `tenet log searches --remove NAME`"));
    }
    write_private(&path, text.as_bytes()).map_err(|error| Failure::file("can't write", &path, &error))
}

/// Saves a filter under a name, in place of what had it.
pub(super) fn save(session: &Session, name: &str, filter: &EventFilter) -> Result<(), Failure> {
    let fits =
        !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if !fits {
        return Err(Failure::usage(format!("`--save`: a name has 1 to {MAX_NAME_CHARS} characters")));
    }
    // What could not be asked is not saved.
    filter.query(&session.context)?;
    let mut saved = read(session)?;
    saved.insert(name.to_owned(), filter.clone());
    if saved.len() > MAX_SAVED {
        return Err(Failure::usage(format!("{MAX_SAVED} searches are saved already"))
            .remedy("remove one: `tenet log searches --remove NAME`"));
    }
    write(session, &saved)
}

/// The filter of that name, with what is given besides in place of what it says.
pub(super) fn load(session: &Session, name: &str, given: &EventFilter) -> Result<EventFilter, Failure> {
    let saved = read(session)?;
    let found = saved.get(name).cloned().ok_or_else(|| unknown(name, &saved))?;
    Ok(given.clone().or(found))
}

fn unknown(name: &str, saved: &Saved) -> Failure {
    let near = saved.keys().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let failure = Failure::usage(format!("no search is saved as `{name}`"));
    match near {
        Some(near) => failure.remedy(format!("did you mean `{near}`?")),
        None => failure.remedy("save one: `tenet log search ... --save NAME`"),
    }
}

/// `tenet log searches`: lists them, or removes one.
pub(super) fn run(session: &Session, remove: Option<&str>) -> Result<(), Failure> {
    let mut saved = read(session)?;
    if let Some(name) = remove {
        if saved.remove(name).is_none() {
            return Err(unknown(name, &saved));
        }
        write(session, &saved)?;
    }
    let shown: Vec<_> =
        saved.iter().map(|(name, filter)| json!({ "name": name, "search": filter.arguments() })).collect();
    session.out.list(&shown, COLUMNS)
}
