//! What is in force, setting by setting, for `tenet config show`.

use serde_json::Value;

use super::{Loaded, Source, settings::SETTINGS};

/// Each setting's key, value and source, in the order of the reference. No secret is among them.
pub fn values(loaded: &Loaded) -> Vec<(&'static str, Value, Source)> {
    let mut config = loaded.config.clone();
    let mut shown = Vec::new();
    for setting in SETTINGS {
        let source = loaded.sources.get(setting.key).cloned().unwrap_or(Source::Default);
        let value = match (setting.key, setting.field(&mut config).show()) {
            ("data", _) => Value::String(loaded.data.display().to_string()),
            // The one setting that may hold a password: when the environment gave it.
            ("database.url", Some(_)) if super::database_url::has_password(&loaded.config.database.url) => {
                Value::String("(holds a password)".to_owned())
            }
            (_, Some(value)) => serde_json::to_value(value).unwrap_or_default(),
            (_, None) => Value::Null,
        };
        shown.push((setting.key, value, source));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, Environment, load};
    use super::*;

    #[test]
    fn a_password_from_the_environment_is_not_shown() {
        let environment: Environment = [
            ("HOME".to_owned(), "/home/ann".to_owned()),
            ("TENET_DATABASE_URL".to_owned(), "postgres://u:hunter2@h/d".to_owned()),
        ]
        .into();
        let shown = values(&load(&Arguments::default(), &environment).unwrap());
        assert!(!format!("{shown:?}").contains("hunter2"));
        assert_eq!(shown[0].1, "/home/ann/.local/share/tenet");
        assert_eq!(shown[1].2, Source::Default);
    }
}
