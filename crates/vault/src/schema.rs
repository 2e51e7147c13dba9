//! JSON Schema: compiled once for each revision of a repository. References stay within the schema and
//! never lead back to themselves, patterns are few and run in time linear in the text, and what a body
//! may cost is known before it is looked at (`schema_cost`): one customer's schema never keeps the
//! others waiting.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::{VaultError, limits, schema_cost};

/// Largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 131_072;

/// A schema, ready to hold bodies against.
pub(crate) struct Schema {
    validator: Validator,
    /// Its values with each reference written out: the most that one value of a body is held against.
    expanded: u64,
    /// What it keeps in memory, beside its text.
    pub(crate) patterns: u64,
}

/// Compiles a schema; an error names what is wrong with it, and the remedy.
pub(crate) fn compile(schema: &Value) -> Result<Schema, VaultError> {
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
        let reason =
            format!("the reference `{}` leads elsewhere: use `#/...` within the schema", shown(reference));
        return Err(VaultError::field("schema", reason));
    }
    // Before it is compiled: compiling follows references too.
    let expanded = schema_cost::expanded(schema)?;
    let patterns = schema_cost::patterns(schema)?;
    let options = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    let validator = jsonschema::options()
        .with_pattern_options(options)
        .build(schema)
        .map_err(|error| VaultError::field("schema", bounded(&error.masked().to_string())))?;
    Ok(Schema { validator, expanded, patterns })
}

impl Schema {
    /// Holds a body against the schema; the error names the place and masks values.
    pub(crate) fn check(&self, body: &Value) -> Result<(), VaultError> {
        if values(body).saturating_mul(self.expanded) > limits::MAX_SCHEMA_STEPS {
            let most = limits::MAX_SCHEMA_STEPS / self.expanded.max(1);
            return Err(VaultError::limit("body", most, "values under this repository's schema"));
        }
        self.validator.validate(body).map_err(|error| {
            let at = error.instance_path().to_string();
            let field = if at.is_empty() { "/".to_owned() } else { at };
            VaultError::Schema { field, reason: bounded(&error.masked().to_string()) }
        })
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(300).collect()
}

/// A piece of the schema, as an error shows it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Levels of nesting; a scalar has one.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// How many values there are, those within others included.
fn values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(values).sum::<u64>().saturating_add(1),
        Value::Object(members) => members.values().map(values).sum::<u64>().saturating_add(1),
        _ => 1,
    }
}

/// A `$ref`, or one of its kin, that does not stay within the schema.
fn foreign_reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Array(items) => items.iter().find_map(foreign_reference),
        Value::Object(members) => members.iter().find_map(|(name, value)| match value {
            Value::String(target) if schema_cost::refers(name) && !target.starts_with('#') => {
                Some(target.as_str())
            }
            other => foreign_reference(other),
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
        let schema = compile(&schema).unwrap();
        schema.check(&json!({"age": 3})).unwrap();
        let error = schema.check(&json!({"age": "forty-two"})).unwrap_err();
        assert_eq!(error.field(), Some("/age"));
        assert!(!error.to_string().contains("forty-two"), "{error}");
        assert_eq!(schema.check(&json!({})).unwrap_err().field(), Some("/"));
    }

    #[test]
    fn references_stay_within() {
        for target in ["https://example.com/s.json", "file:///etc/passwd", "other.json"] {
            let error = compile(&json!({"properties": {"a": {"$ref": target}}})).err().unwrap();
            assert!(error.to_string().contains("leads elsewhere"), "{error}");
        }
        let inner = json!({"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}});
        assert!(compile(&inner).unwrap().check(&json!({"a": "x"})).is_err());
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
        compile(&json!({"pattern": r"^[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+$"})).unwrap();
    }

    #[test]
    fn a_large_body_under_a_large_schema_is_refused_before_it_is_checked() {
        let texts: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
        let schema = compile(&json!({"properties": {"a": {"items": {"enum": texts}}}})).unwrap();
        schema.check(&json!({"a": ["1", "2"]})).unwrap();
        let error = schema.check(&json!({"a": vec!["1"; 200_000]})).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("limit-exceeded", base::Kind::Limit));
    }
}
