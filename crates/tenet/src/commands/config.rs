//! `tenet config`.

use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::ConfigCommand,
    config::{self, Source},
    failure::Failure,
    output,
};

pub(super) fn run(session: &Session, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Reference if session.out.is_json() => session.out.document(&config::reference_json()),
        ConfigCommand::Reference => session.out.text(&config::reference()),
        ConfigCommand::Check(arguments) => {
            let loaded = config::load_to_start(&arguments.arguments(), &session.environment)?;
            for warning in &loaded.warnings {
                output::note(&format!("warning: {warning}"));
            }
            let file = loaded.file.as_ref().map(|path| path.display().to_string());
            let line = match &file {
                Some(file) => format!("the configuration in `{file}` is fine"),
                None => "there is no configuration file; the defaults are fine".to_owned(),
            };
            session.out.say(&line, &json!({ "file": file, "warnings": loaded.warnings }))
        }
        ConfigCommand::Show(arguments) => {
            let loaded = config::load(&arguments.arguments(), &session.environment)?;
            let items: Vec<Value> = config::values(&loaded)
                .into_iter()
                .map(|(key, value, source)| {
                    let from = match source {
                        Source::Default => "default".to_owned(),
                        Source::File(line) => {
                            let file = loaded.file.as_ref().map(|path| path.display().to_string());
                            format!("{}:{line}", file.unwrap_or_default())
                        }
                        Source::Environment(name) | Source::Argument(name) => name,
                    };
                    json!({ "key": key, "value": value, "from": from })
                })
                .collect();
            session.out.list(&items, &[("key", "/key"), ("value", "/value"), ("from", "/from")])
        }
    }
}
