//! JSON Schema: compiled once for each revision of a repository. References stay within the schema,
//! and patterns run in time linear in the text.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::{VaultError, limits};

/// Largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_048_576;

/// Compiles a schema; an error names what is wrong with it.
pub(crate) fn compile(schema: &Value) -> Result<Validator, VaultError> {
    let bytes = serde_json::to_vec(schema).map_err(|_| VaultError::Shape("a schema"))?.len();
    if bytes > limits::MAX_SCHEMA_BYTES {
        return Err(VaultError::limit("schema", limits::MAX_SCHEMA_BYTES as u64, "bytes"));
    }
    if !matches!(schema, Value::Object(_)) {
        return Err(VaultError::field("schema", "give a JSON object"));
    }
    if depth(schema) > limits::MAX_JSON_DEPTH {
        return Err(VaultError::field("schema", "nested too deeply: at most 64 levels"));
    }
    if let Some(reference) = foreign_reference(schema) {
        let shown: String = reference.chars().take(100).collect();
        let reason = format!("the reference `{shown}` leads elsewhere: use `#/...` within the schema");
        return Err(VaultError::field("schema", reason));
    }
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| VaultError::field("schema", bounded(&error.masked().to_string())))
}

/// Holds a body against a schema; the error names the place and masks values.
pub(crate) fn check(validator: &Validator, body: &Value) -> Result<(), VaultError> {
    validator.validate(body).map_err(|error| {
        let at = error.instance_path().to_string();
        let field = if at.is_empty() { "/".to_owned() } else { at };
        VaultError::Schema { field, reason: bounded(&error.masked().to_string()) }
    })
}

fn bounded(text: &str) -> String {
    text.chars().take(300).collect()
}

/// Levels of nesting; a scalar has one.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// A `$ref`, or one of its kin, that does not stay within the schema.
fn foreign_reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Array(items) => items.iter().find_map(foreign_reference),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let refers = matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
            match value {
                Value::String(target) if refers && !target.starts_with('#') => Some(target.as_str()),
                other => foreign_reference(other),
            }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Fault as _;
    use serde_json::json;

    #[test]
    fn a_mismatch_names_the_place_and_not_the_value() {
        let schema =
            json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
        let validator = compile(&schema).unwrap();
        check(&validator, &json!({"age": 3})).unwrap();
        let error = check(&validator, &json!({"age": "forty-two"})).unwrap_err();
        assert_eq!(error.field(), Some("/age"));
        assert!(!error.to_string().contains("forty-two"), "{error}");
        assert_eq!(check(&validator, &json!({})).unwrap_err().field(), Some("/"));
    }

    #[test]
    fn references_stay_within() {
        for target in ["https://example.com/s.json", "file:///etc/passwd", "other.json"] {
            let error = compile(&json!({"properties": {"a": {"$ref": target}}})).unwrap_err();
            assert!(error.to_string().contains("leads elsewhere"), "{error}");
        }
        let inner = json!({"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}});
        assert!(check(&compile(&inner).unwrap(), &json!({"a": "x"})).is_err());
    }

    #[test]
    fn schemas_are_bounded() {
        assert!(compile(&json!(true)).is_err());
        assert!(compile(&json!({"type": 7})).is_err());
        assert!(compile(&json!({"description": "x".repeat(limits::MAX_SCHEMA_BYTES)})).is_err());
        let mut deep = json!({});
        for _ in 0..limits::MAX_JSON_DEPTH {
            deep = json!({"items": deep});
        }
        assert!(compile(&deep).is_err());
        assert!(compile(&json!({"pattern": "(a{1000}){1000}"})).is_err());
    }
}
