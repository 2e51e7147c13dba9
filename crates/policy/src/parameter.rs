//! What an organisation fills in: parameters with types, and their values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Code,
    published::{MAX_LINE_CHARS, is_placeholder, steers},
};

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

impl Parameter {
    /// What it looks like, as people write it: `AWS, Hetzner`.
    pub fn shown_example(&self) -> String {
        match &self.example {
            toml::Value::Array(all) => {
                all.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(", ")
            }
            other => other.as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// A value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A name, a choice, a frequency or a duration.
    One(String),
    /// Names.
    Many(Vec<String>),
}

impl Value {
    /// Reads a value of a parameter; on failure the words say what was expected.
    pub(crate) fn read(parameter: &Parameter, value: &toml::Value) -> Result<Self, (Code, String)> {
        let such_as = || format!("such as `{}`", shown(&parameter.example));
        let expected = |what: &str| (Code::ParameterInvalid, format!("expected {what}, {}", such_as()));
        if value.as_str().is_some_and(is_placeholder) {
            let message = format!("it was left to be filled in: {} {}", parameter.about, such_as());
            return Err((Code::PlaceholderLeft, message));
        }
        let text = |what| value.as_str().ok_or_else(|| expected(what));
        match parameter.kind {
            ParameterKind::Name => name(text("a name in quotation marks")?).map(Self::One),
            ParameterKind::Choice => {
                let chosen = text("a choice")?;
                let is_one = parameter.choices.iter().any(|choice| choice == chosen);
                is_one.then(|| Self::One(chosen.to_owned())).ok_or_else(|| {
                    let known = parameter.choices.join(", ");
                    let given = crate::finding::shown(chosen);
                    (Code::ParameterInvalid, format!("`{given}` is no choice: give one of {known}"))
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
                names(value.as_array().ok_or_else(|| expected("a list of names"))?, expected)
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

fn names(list: &[toml::Value], expected: impl Fn(&str) -> (Code, String)) -> Result<Value, (Code, String)> {
    if list.is_empty() || list.len() > MAX_NAMES {
        return Err(expected(&format!("1 to {MAX_NAMES} names")));
    }
    let names = list.iter().map(|one| name(one.as_str().ok_or_else(|| expected("a list of names"))?));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    for (at, one) in names.iter().enumerate() {
        if names.iter().skip(at + 1).any(|other| other == one) {
            return Err((Code::ParameterInvalid, format!("`{one}` stands in the list twice")));
        }
    }
    Ok(Value::Many(names))
}

fn name(text: &str) -> Result<String, (Code, String)> {
    if text.trim().is_empty() {
        return Err((Code::ParameterInvalid, "it is empty: fill it in".to_owned()));
    }
    if text.chars().nth(MAX_LINE_CHARS).is_some() || text.chars().any(steers) {
        let message = format!(
            "expected one line of at most {MAX_LINE_CHARS} characters, without characters that can't be seen"
        );
        return Err((Code::ParameterInvalid, message));
    }
    if is_placeholder(text) {
        return Err((Code::PlaceholderLeft, format!("`{text}` was left to be filled in: fill it in")));
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

    fn parameter(kind: ParameterKind) -> Parameter {
        let example = toml::Value::String("every 12 months".into());
        let choices = vec!["agent".to_owned(), "agentless".to_owned()];
        Parameter { name: "one".into(), kind, choices, about: "What it is.".into(), example }
    }

    #[test]
    fn a_value_is_of_its_kind() {
        let text = |text: &str| toml::Value::String(text.into());
        let list = |all: &[&str]| toml::Value::Array(all.iter().map(|one| text(one)).collect());
        let many: Vec<_> = (0..=MAX_NAMES).map(|at| format!("n{at}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        for (kind, value, code) in [
            (ParameterKind::Name, text("Acme, Inc."), None),
            (ParameterKind::Name, text(" "), Some(Code::PlaceholderLeft)),
            (ParameterKind::Name, text("[company]"), Some(Code::PlaceholderLeft)),
            (ParameterKind::Name, text("A\u{202e}B"), Some(Code::ParameterInvalid)),
            (ParameterKind::Name, text(&"x".repeat(MAX_LINE_CHARS + 1)), Some(Code::ParameterInvalid)),
            (ParameterKind::Name, toml::Value::Integer(1), Some(Code::ParameterInvalid)),
            (ParameterKind::Names, list(&["a", "b"]), None),
            (ParameterKind::Names, list(&[]), Some(Code::ParameterInvalid)),
            (ParameterKind::Names, list(&["a", "a"]), Some(Code::ParameterInvalid)),
            (ParameterKind::Names, list(&["a", "TODO"]), Some(Code::PlaceholderLeft)),
            (ParameterKind::Names, list(&many), Some(Code::ParameterInvalid)),
            (ParameterKind::Names, text("a"), Some(Code::ParameterInvalid)),
            (ParameterKind::Choice, text("agentless"), None),
            (ParameterKind::Choice, text("Agent"), Some(Code::ParameterInvalid)),
            (ParameterKind::Frequency, text("every 2 weeks"), None),
            (ParameterKind::Frequency, text("2 weeks"), Some(Code::ParameterInvalid)),
            (ParameterKind::Frequency, text("every 2 hours"), Some(Code::ParameterInvalid)),
            (ParameterKind::Duration, text("2 hours"), None),
            (ParameterKind::Duration, text("every 2 hours"), Some(Code::ParameterInvalid)),
        ] {
            let found = Value::read(&parameter(kind), &value).err().map(|(code, _)| code);
            assert_eq!(found, code, "{kind:?} {value}");
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
