//! `tenet rules`.

use std::path::{Path, PathBuf};

use rules::{MAX_RULE_FILE_BYTES, RuleSet, STARTER};
use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::RulesCommand,
    failure::{Exit, Failure},
    input::read_text,
    output::Column,
};

/// Most files of rules in a directory.
const MAX_FILES: usize = 2_000;
const COLUMNS: &[Column] = &[("level", "/level"), ("title", "/title")];

pub(super) fn run(session: &Session, command: RulesCommand) -> Result<(), Failure> {
    match command {
        RulesCommand::Check { places } => {
            let mut set = RuleSet::new();
            add(&mut set, &places)?;
            let shown: Vec<Value> = set
                .titles()
                .into_iter()
                .map(|(title, level)| json!({ "title": title, "level": level }))
                .collect();
            session.out.list(&shown, COLUMNS)
        }
        RulesCommand::Show => {
            let files: Vec<&str> = STARTER.iter().map(|(_, text)| text.trim_end()).collect();
            session.out.text(&(files.join("\n---\n") + "\n"))
        }
    }
}

/// Adds the rules of files, and of the files of directories, all at once: one may count what stands in another.
pub(super) fn add(set: &mut RuleSet, places: &[PathBuf]) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for place in places {
        for file in files(place)? {
            texts.push((file.display().to_string(), read_text(&file, MAX_RULE_FILE_BYTES)?));
        }
    }
    set.add_all(texts.iter().map(|(file, text)| (file.as_str(), text.as_str()))).map_err(|error| {
        Failure::new(Exit::Usage, "rule", "a rule can't be used")
            .why(error.to_string())
            .remedy("correct it; `tenet rules show` prints rules that can")
    })
}

fn files(place: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| Failure::file("can't read", place, &error);
    if !std::fs::metadata(place).map_err(unreadable)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(Failure::usage(format!(
                "`{}` has more than {MAX_FILES} files of rules",
                place.display()
            )));
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(format!("`{}` has no file *.yml or *.yaml", place.display())));
    }
    files.sort();
    Ok(files)
}
