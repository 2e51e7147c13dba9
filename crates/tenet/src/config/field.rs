//! The types that a setting can have: how each is read from TOML, from text (the environment, an
//! argument), and shown.

use std::path::PathBuf;

use base::{Duration, Level, Scheme};
use toml::Value;

/// Why a value is not one of its setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) String);

/// A setting's value.
pub(crate) trait Field {
    /// What it expects, in words that follow "expected".
    fn expects(&self) -> String;
    /// Takes a TOML value.
    fn read(&mut self, value: &Value) -> Result<(), Wrong>;
    /// Takes text, as in an environment variable.
    fn read_text(&mut self, text: &str) -> Result<(), Wrong>;
    /// Its value in TOML; none if it is not set.
    fn show(&self) -> Option<Value>;
}

/// What was found, for a message.
fn found(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`\"{}\"`", text.chars().take(64).collect::<String>()),
        Value::Integer(number) => format!("`{number}`"),
        Value::Float(number) => format!("`{number}`"),
        Value::Boolean(truth) => format!("`{truth}`"),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

pub(crate) fn mismatch(field: &dyn Field, value: &Value) -> Wrong {
    Wrong(format!("expected {}, found {}", field.expects(), found(value)))
}

fn text_mismatch(field: &dyn Field, text: &str) -> Wrong {
    mismatch(field, &Value::String(text.to_owned()))
}

/// Text that can't be wrong.
impl Field for String {
    fn expects(&self) -> String {
        "text in quotes".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let text = value.as_str().ok_or_else(|| mismatch(self, value))?;
        text.clone_into(self);
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        text.clone_into(self);
        Ok(())
    }
    fn show(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::String(self.clone()))
    }
}

/// A path; relative ones start at the working directory.
impl Field for Option<PathBuf> {
    fn expects(&self) -> String {
        "a path in quotes".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let text = value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| mismatch(self, value))?;
        *self = Some(PathBuf::from(text));
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        self.read(&Value::String(text.to_owned()))
    }
    fn show(&self) -> Option<Value> {
        self.as_ref().map(|path| Value::String(path.display().to_string()))
    }
}

/// A list of words; in text, separated by commas.
impl Field for Vec<String> {
    fn expects(&self) -> String {
        "a list of texts, such as `[\"a\", \"b\"]`".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let list = value.as_array().ok_or_else(|| mismatch(self, value))?;
        let words: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        *self = words.ok_or_else(|| mismatch(self, value))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        *self = text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Ok(())
    }
    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().cloned().map(Value::String).collect()))
    }
}

/// A whole number between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The value.
    pub value: u64,
    min: u64,
    max: u64,
    unit: &'static str,
}

impl Number {
    pub(crate) const fn new(value: u64, min: u64, max: u64, unit: &'static str) -> Self {
        Self { value, min, max, unit }
    }
    /// The value where a signed number is needed. Bounds keep it below 2^63.
    pub fn signed(self) -> i64 {
        i64::try_from(self.value).unwrap_or(i64::MAX)
    }
    /// The value where memory is counted.
    pub fn size(self) -> usize {
        usize::try_from(self.value).unwrap_or(usize::MAX)
    }
}

impl Field for Number {
    fn expects(&self) -> String {
        format!("a whole number of {} from {} to {}", self.unit, self.min, self.max)
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        let number = number.filter(|number| (self.min..=self.max).contains(number));
        self.value = number.ok_or_else(|| mismatch(self, value))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        let number: i64 = text.trim().parse().map_err(|_| text_mismatch(self, text))?;
        self.read(&Value::Integer(number))
    }
    fn show(&self) -> Option<Value> {
        Some(Value::Integer(self.signed()))
    }
}

/// A span of time between two bounds: a whole number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The value.
    pub value: Duration,
    min: Duration,
    max: Duration,
}

impl Span {
    pub(crate) const fn seconds(value: i64, min: i64, max: i64) -> Self {
        let span = Duration::from_seconds;
        Self { value: span(value), min: span(min), max: span(max) }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&span_text(self.value))
    }
}

fn span_text(span: Duration) -> String {
    let seconds = span.seconds();
    for (length, unit) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if seconds != 0 && seconds % length == 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

fn parse_span(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    let length = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(length).map(Duration::from_seconds)
}

impl Field for Span {
    fn expects(&self) -> String {
        format!(
            "a span such as `\"90s\"`, `\"15m\"`, `\"12h\"` or `\"30d\"`, from {} to {}",
            span_text(self.min),
            span_text(self.max)
        )
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let span = value.as_str().and_then(parse_span).filter(|span| (self.min..=self.max).contains(span));
        self.value = span.ok_or_else(|| mismatch(self, value))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        self.read(&Value::String(text.trim().to_owned()))
    }
    fn show(&self) -> Option<Value> {
        Some(Value::String(span_text(self.value)))
    }
}

/// One of several words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The word.
    pub value: &'static str,
    of: &'static [&'static str],
}

impl Choice {
    pub(crate) const fn new(value: &'static str, of: &'static [&'static str]) -> Self {
        Self { value, of }
    }
}

impl Field for Choice {
    fn expects(&self) -> String {
        let words: Vec<_> = self.of.iter().map(|word| format!("`\"{word}\"`")).collect();
        words.join(" or ")
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let word = value.as_str().and_then(|text| self.of.iter().find(|word| **word == text));
        self.value = word.ok_or_else(|| mismatch(self, value))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        self.read(&Value::String(text.trim().to_owned()))
    }
    fn show(&self) -> Option<Value> {
        Some(Value::String(self.value.to_owned()))
    }
}

/// A host and a port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bare {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None if host.contains([':', '/', '@', ' ']) || host.is_empty() => return None,
            None => host.to_owned(),
        };
        Some(Self { host, port: port.parse().ok()? })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Field for Address {
    fn expects(&self) -> String {
        "a host and a port, such as `\"localhost:8440\"`, `\"0.0.0.0:443\"` or `\"[::]:443\"`".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        *self = value.as_str().and_then(Self::parse).ok_or_else(|| mismatch(self, value))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        *self = Self::parse(text).ok_or_else(|| text_mismatch(self, text))?;
        Ok(())
    }
    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

/// The classification levels, lowest first.
impl Field for Scheme {
    fn expects(&self) -> String {
        "a list of levels, lowest first, such as `[{ name = \"public\", confidential = false }]`; in the environment `public,internal,confidential+` (a `+` marks the levels whose reads are recorded)".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let list = value.as_array().ok_or_else(|| mismatch(self, value))?;
        let mut levels = Vec::new();
        for item in list {
            let table = item.as_table().filter(|table| table.len() == 2);
            let name = table.and_then(|table| table.get("name")).and_then(Value::as_str);
            let confidential = table.and_then(|table| table.get("confidential")).and_then(Value::as_bool);
            let (Some(name), Some(confidential)) = (name, confidential) else {
                return Err(mismatch(self, value));
            };
            levels.push(Level { name: name.to_owned(), confidential });
        }
        *self = Self::new(levels).map_err(|error| Wrong(error.to_string()))?;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        let level = |word: &str| Level {
            name: word.trim_end_matches('+').to_owned(),
            confidential: word.ends_with('+'),
        };
        let levels = text.split(',').map(str::trim).map(level).collect();
        *self = Self::new(levels).map_err(|error| Wrong(error.to_string()))?;
        Ok(())
    }
    fn show(&self) -> Option<Value> {
        let level = |level: &Level| {
            let mut table = toml::Table::new();
            table.insert("name".to_owned(), Value::String(level.name.clone()));
            table.insert("confidential".to_owned(), Value::Boolean(level.confidential));
            Value::Table(table)
        };
        Some(Value::Array(self.levels().iter().map(level).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_bounds() {
        let mut span = Span::seconds(60, 10, 86_400);
        span.read_text("15m").unwrap();
        assert_eq!(span.value, Duration::from_seconds(900));
        assert_eq!(span.show(), Some(Value::String("15m".to_owned())));
        for wrong in ["15", "m", "-1m", "2d", "9s", "1w", "99999999999999999d", "1 m"] {
            assert!(span.read_text(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            span.read(&Value::Integer(5)).unwrap_err().0,
            "expected a span such as `\"90s\"`, `\"15m\"`, `\"12h\"` or `\"30d\"`, from 10s to 1d, found `5`"
        );
    }

    #[test]
    fn addresses_need_a_port() {
        for (text, host, port) in [
            ("localhost:8440", "localhost", 8440),
            ("[::1]:0", "::1", 0),
            ("10.0.0.1:65535", "10.0.0.1", 65535),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
        for wrong in ["localhost", ":1", "::1:8440", "https://a:1", "a:65536", "[a]:1", "u@h:1"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn levels_are_read_from_both_forms() {
        let mut from_text = Scheme::default();
        from_text.read_text("open, closed+").unwrap();
        let mut from_toml = Scheme::default();
        from_toml.read(&from_text.show().unwrap()).unwrap();
        assert_eq!(from_text, from_toml);
        assert!(from_toml.read_text("closed+,open").is_err());
        assert!(from_toml.read(&Value::Array(vec![Value::Integer(1)])).is_err());
    }
}
