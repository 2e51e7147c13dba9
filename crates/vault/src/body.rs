//! A record's body: one JSON object, read strictly and kept in one form. Members are named once
//! (RFC 7493: two readers must not see two objects), nesting is bounded, numbers are 64-bit integers
//! or IEEE doubles.

use std::fmt;

use base::SecretBytes;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::{VaultError, limits};

/// A body, parsed and in its stored form.
pub(crate) struct Body {
    pub(crate) value: Value,
    pub(crate) bytes: SecretBytes,
}

impl Body {
    /// Reads a body; an error unless it is one JSON object of at most 1 MiB.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, VaultError> {
        if text.len() > limits::MAX_RECORD_BYTES {
            return Err(too_large());
        }
        Self::from_value(parse(text, "body")?)
    }

    /// The body of a value.
    pub(crate) fn from_value(value: Value) -> Result<Self, VaultError> {
        if !value.is_object() {
            return Err(VaultError::field("body", "a record is one JSON object"));
        }
        let bytes = serde_json::to_vec(&value).map_err(|_| VaultError::Shape("a body"))?;
        if bytes.len() > limits::MAX_RECORD_BYTES {
            return Err(too_large());
        }
        Ok(Self { value, bytes: SecretBytes::new(bytes) })
    }

    /// This body changed by a merge patch (RFC 7396).
    pub(crate) fn patched(self, patch: Value) -> Result<Self, VaultError> {
        let mut value = self.value;
        merge(&mut value, patch);
        if crate::schema::depth(&value) > limits::MAX_JSON_DEPTH {
            return Err(VaultError::field("body", "nested too deeply: at most 64 levels"));
        }
        Self::from_value(value)
    }
}

/// Reads a merge patch: any JSON object.
pub(crate) fn parse_patch(text: &[u8]) -> Result<Value, VaultError> {
    if text.len() > limits::MAX_RECORD_BYTES {
        return Err(too_large());
    }
    let patch = parse(text, "patch")?;
    if patch.is_object() {
        Ok(patch)
    } else {
        Err(VaultError::field("patch", "a merge patch is one JSON object"))
    }
}

fn too_large() -> VaultError {
    VaultError::limit("record", limits::MAX_RECORD_BYTES as u64, "bytes")
}

fn parse(text: &[u8], field: &str) -> Result<Value, VaultError> {
    if let Some((line, column)) = wide_integer(text) {
        let reason =
            format!("a whole number of more than 64 bits at line {line} column {column}: write it as a text");
        return Err(VaultError::field(field, reason));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        // The message of the library may quote the text; its place is enough.
        let reason = match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => format!("not JSON, at line {} column {}", error.line(), error.column()),
        };
        VaultError::field(field, reason)
    })
}

/// Line and column of the first whole number that fits neither 64-bit type. The reader would make it a double,
/// so that another number than what was sent were kept.
fn wide_integer(text: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(within) = text.get(at).filter(|within| **within != b'"') {
                    at += if *within == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = text.get(at..).unwrap_or_default();
                let ends = |byte: &u8| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let number = rest.split(ends).next().unwrap_or_default();
                if is_wide(number) {
                    let before = text.get(..at).unwrap_or_default();
                    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
                    return Some((line, column));
                }
                at += number.len().max(1);
            }
            _ => at += 1,
        }
    }
    None
}

fn is_wide(number: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(number) else { return false };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole && text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// Reads a value and refuses members named twice and deep nesting.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth >= limits::MAX_JSON_DEPTH {
            return Err(E::custom("nested too deeply: at most 64 levels"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.inner()?)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn bodies_are_read_strictly() {
        assert_eq!(
            Body::parse(br#" {"a": [1, 2.5, "x", null, true]} "#).unwrap().bytes.expose(),
            br#"{"a":[1,2.5,"x",null,true]}"#
        );
        for wrong in
            ["", "[]", "7", "{} {}", r#"{"a":1,"a":2}"#, r#"{"a":{"b":1,"b":1}}"#, "{\"a\":1e999}", "{'a':1}"]
        {
            assert!(Body::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let deep = |levels: usize| format!("{}7{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(Body::parse(deep(limits::MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(Body::parse(deep(limits::MAX_JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(Body::parse(deep(100_000).as_bytes()).is_err());
        assert!(
            Body::parse(format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::MAX_RECORD_BYTES)).as_bytes()).is_err()
        );
    }

    #[test]
    fn a_whole_number_is_kept_as_it_is_or_refused() {
        for fits in
            ["0", "-9223372036854775808", "18446744073709551615", "1e30", "1.5", "\"123456789012345678901\""]
        {
            let text = format!("{{\"a\":{fits}}}");
            assert!(Body::parse(text.as_bytes()).is_ok(), "{fits}");
        }
        for wide in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"] {
            let text = format!("{{\"a\\\"1\": [\n {wide}]}}");
            let error = Body::parse(text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains("more than 64 bits at line 2 column 2"), "{error}");
            assert!(parse_patch(text.as_bytes()).is_err(), "{wide}");
        }
    }

    // RFC 7396, appendix A; the cases whose result is an object.
    #[test]
    fn merge_patches_are_those_of_the_standard() {
        for (original, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let body = Body::from_value(original).unwrap().patched(patch).unwrap();
            assert_eq!(body.value, result);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Body::parse(&bytes);
        }

        #[test]
        fn doubles_round_trip(value: f64) {
            prop_assume!(value.is_finite());
            let text = serde_json::to_vec(&json!({"a": value})).unwrap();
            let body = Body::parse(&text).unwrap();
            prop_assert_eq!(body.bytes.expose(), &text);
        }
    }
}
