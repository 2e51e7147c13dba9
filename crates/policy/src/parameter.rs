//! What an organisation fills in: parameters with types, and their values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most characters of one name or text.
const MAX_CHARS: usize = 200;
/// Most names of a list.
const MAX_NAMES: usize = 32;

/// What kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// A name, in one line.
    Name,
    /// Names: at least one.
    Names,
    /// One of the choices.
    Choice,
    /// How often: `every 12 months`.
    Frequency,
    /// How long: `4 hours`.
    Duration,
}

/// A parameter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name in wordings and files.
    pub name: String,
    /// Its kind.
    pub kind: ParameterKind,
    /// The choices, if it is one.
    #[serde(default)]
    pub choices: Vec<String>,
    /// What it is, in a sentence.
    pub about: String,
    /// What it looks like.
    pub example: toml::Value,
}

/// A value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A name, a choice, a frequency or a duration.
    One(String),
    /// Names.
    Many(Vec<String>),
}

impl Value {
    /// Reads a value of a parameter; the words on failure say what was expected.
    pub fn read(parameter: &Parameter, value: &toml::Value) -> Result<Self, String> {
        let expected = |what: &str| format!("expected {what}, such as `{}`", shown(&parameter.example));
        let text = |what| value.as_str().ok_or_else(|| expected(what));
        match parameter.kind {
            ParameterKind::Name => name(text("a name")?).map(Self::One),
            ParameterKind::Choice => {
                let chosen = text("a choice")?;
                let is_one = parameter.choices.iter().any(|choice| choice == chosen);
                is_one.then(|| Self::One(chosen.to_owned())).ok_or_else(|| {
                    format!("`{chosen}` is no choice: give one of {}", parameter.choices.join(", "))
                })
            }
            ParameterKind::Frequency => {
                let text = text("how often")?;
                let rest = text.strip_prefix("every ").ok_or_else(|| expected("how often"))?;
                span(rest, &["day", "week", "month", "year"]).ok_or_else(|| expected("how often"))?;
                Ok(Self::One(text.to_owned()))
            }
            ParameterKind::Duration => {
                let text = text("how long")?;
                span(text, &["minute", "hour", "day", "week"]).ok_or_else(|| expected("how long"))?;
                Ok(Self::One(text.to_owned()))
            }
            ParameterKind::Names => {
                let list = value.as_array().ok_or_else(|| expected("a list of names"))?;
                if list.is_empty() || list.len() > MAX_NAMES {
                    return Err(format!("expected 1 to {MAX_NAMES} names"));
                }
                let names =
                    list.iter().map(|one| name(one.as_str().ok_or_else(|| expected("a list of names"))?));
                let names = names.collect::<Result<Vec<_>, _>>()?;
                for (at, one) in names.iter().enumerate() {
                    if names.iter().skip(at + 1).any(|other| other == one) {
                        return Err(format!("`{one}` stands in the list twice"));
                    }
                }
                Ok(Self::Many(names))
            }
        }
    }

    /// Its names, one or more.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }

    /// How many seconds a duration or a frequency is, a month counted as 30 days; none for what is neither.
    pub fn seconds(&self) -> Option<u64> {
        let Self::One(text) = self else { return None };
        let rest = text.strip_prefix("every ").unwrap_or(text);
        span(rest, &["minute", "hour", "day", "week", "month", "year"])
    }
}

/// As it stands in a sentence: `a, b and c`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(one) => f.write_str(one),
            Self::Many(many) => match many.split_last() {
                None => Ok(()),
                Some((last, [])) => f.write_str(last),
                Some((last, rest)) => write!(f, "{} and {last}", rest.join(", ")),
            },
        }
    }
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(all) => {
            let names: Vec<_> =
                all.iter().filter_map(toml::Value::as_str).map(|one| format!("\"{one}\"")).collect();
            format!("[{}]", names.join(", "))
        }
        other => other.to_string(),
    }
}

/// Text that somebody meant to fill in.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let upper = text.to_uppercase();
    let words = ["TODO", "TBD", "FIXME", "XXX", "LOREM IPSUM", "CHANGEME", "PLACEHOLDER"];
    let is_word = |word: &str| {
        upper.split(|letter: char| !letter.is_alphanumeric()).any(|part| part == word)
            || upper.contains(" IPSUM")
    };
    let enclosed = |open: char, close: char| {
        text.find(open).is_some_and(|at| text.get(at..).is_some_and(|rest| rest.contains(close)))
    };
    words.into_iter().any(is_word)
        || enclosed('[', ']')
        || enclosed('<', '>')
        || text.trim().chars().all(|one| one == '.')
}

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty: fill it in".to_owned());
    }
    if text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
        return Err(format!("expected one line of at most {MAX_CHARS} characters"));
    }
    if is_placeholder(text) {
        return Err(format!("`{text}` was left to be filled in: fill it in"));
    }
    Ok(text.trim().to_owned())
}

fn span(text: &str, units: &[&str]) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let number: u64 = number.parse().ok().filter(|number| (1..=10_000).contains(number))?;
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    if !units.contains(&unit) {
        return None;
    }
    let seconds = match unit {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 30 * 86_400,
        _ => 365 * 86_400,
    };
    Some(number * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_to_fill_in_is_seen() {
        for text in ["TODO", "[company]", "<name>", "to be done (TBD)", "...", "", "xxx"] {
            assert!(name(text).is_err(), "{text}");
        }
        for text in ["Acme, Inc.", "TodoSoft", "A < B", "O'Neill & Co."] {
            assert!(name(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn spans_are_numbers_with_a_unit() {
        let seconds = |text: &str| Value::One(text.into()).seconds();
        assert_eq!(seconds("every 12 months"), Some(12 * 30 * 86_400));
        assert_eq!((seconds("4 hours"), seconds("1 day")), (Some(14_400), Some(86_400)));
        for wrong in ["", "4", "hours", "0 days", "4 lightyears", "-1 days", "4  days"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
