//! The reference of the configuration, made from the list of settings: `docs/configuration.md`.

use serde_json::{Value, json};

use super::settings::{Config, OTHER_VARIABLES, SETTINGS};

const HEAD: &str = "\
# Configuration

<!-- Made by `tenet config reference > docs/configuration.md`; a test holds it against the code. -->

Every setting has a default: `tenet up` needs none. Sources, the later winning: defaults, the file,
the environment, the command line (`--data`, `--listen`, `--database`, `--log-format`).

The file is TOML: `--config FILE`, else `TENET_CONFIG`, else `tenet.toml` in the data directory. A key
that does not exist is refused with the nearest that does. `tenet config check` says what is wrong,
`tenet config show` what is in force and where it came from.

Secrets never stand in the file or on the command line: a setting that ends in `_file` names a file,
readable by its owner alone, that holds one; or an environment variable does.

Spans of time are a whole number and `s`, `m`, `h` or `d`.
";

/// The reference, in Markdown.
pub fn reference() -> String {
    let mut config = Config::default();
    let mut page = HEAD.to_owned();
    let mut section = "";
    for setting in SETTINGS {
        let this = setting.key.rsplit_once('.').map_or("", |(section, _)| section);
        if this != section {
            section = this;
            page.push_str(&format!("\n## [{section}]\n"));
        }
        let field = setting.field(&mut config);
        let default = match field.show() {
            Some(value) if setting.unset.is_empty() => format!("`{value}`"),
            _ => setting.unset.to_owned(),
        };
        page.push_str(&format!(
            "\n### `{}`\n\n{}\n\n- Value: {}\n- Default: {default}\n- Environment: `{}`\n",
            setting.key,
            setting.about,
            field.expects(),
            setting.variable()
        ));
    }
    page.push_str("\n## Other environment variables\n\n");
    for (name, about) in OTHER_VARIABLES {
        page.push_str(&format!("- `{name}`: {about}\n"));
    }
    page
}

/// The reference for programs: each setting, and the other variables that are read.
pub fn reference_json() -> Value {
    let mut config = Config::default();
    let settings: Vec<Value> = SETTINGS
        .iter()
        .map(|setting| {
            let field = setting.field(&mut config);
            let default = field.show().filter(|_| setting.unset.is_empty());
            json!({
                "key": setting.key, "about": setting.about, "expects": field.expects(),
                "default": default.and_then(|value| serde_json::to_value(value).ok()),
                "unset": (!setting.unset.is_empty()).then_some(setting.unset),
                "environment": setting.variable(),
            })
        })
        .collect();
    let others: Vec<Value> =
        OTHER_VARIABLES.iter().map(|(name, about)| json!({ "name": name, "about": about })).collect();
    json!({ "settings": settings, "variables": others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == reference(), "run `cargo run -- config reference > docs/configuration.md`");
    }

    #[test]
    fn programs_get_the_same_settings() {
        let listed = reference_json();
        let listen = listed["settings"].as_array().unwrap().iter().find(|one| one["key"] == "server.listen");
        assert_eq!(listen.unwrap()["default"], "localhost:8440");
        assert_eq!(listed["settings"].as_array().unwrap().len(), SETTINGS.len());
        assert_eq!(listed["settings"][0]["default"], Value::Null);
    }

    #[test]
    fn every_setting_that_shows_nothing_says_what_its_default_is() {
        let mut config = Config::default();
        for setting in SETTINGS {
            let shown = setting.field(&mut config).show();
            assert!(shown.is_some() || !setting.unset.is_empty(), "{}", setting.key);
            assert!(setting.about.ends_with('.'), "{}", setting.key);
        }
    }
}
