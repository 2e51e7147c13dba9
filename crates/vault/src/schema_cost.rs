//! What a JSON Schema can cost, found before it is compiled: two references in each of forty
//! definitions are a trillion checks, written in two thousand bytes. The count knows no keywords: every
//! JSON value of the schema counts one, and a reference counts what it leads to. So it is never too low.

use std::collections::HashMap;

use serde_json::Value;

use crate::{VaultError, limits, schema::shown};

/// Whether a member of that name, if it is a text, refers to another place.
pub(crate) fn refers(name: &str) -> bool {
    matches!(name, "$ref" | "$dynamicRef" | "$recursiveRef")
}

/// The schema's values, with each reference written out.
pub(crate) fn expanded(schema: &Value) -> Result<u64, VaultError> {
    if let Some(id) = inner_id(schema, schema) {
        let reason =
            format!("`$id` `{}` below the top changes where references lead: leave it out", shown(id));
        return Err(VaultError::field("schema", reason));
    }
    let mut walk = Walk { root: schema, known: HashMap::new() };
    Ok(walk.size(schema, 0)?.values)
}

/// How many patterns there are.
pub(crate) fn patterns(schema: &Value) -> Result<u64, VaultError> {
    let (mut count, mut bytes) = (0u64, 0u64);
    each_pattern(schema, &mut |pattern| {
        count = count.saturating_add(1);
        bytes = bytes.saturating_add(pattern.len() as u64);
    });
    if count > limits::MAX_SCHEMA_PATTERNS || bytes > limits::MAX_SCHEMA_PATTERN_BYTES {
        let reason = format!(
            "{count} patterns of {bytes} bytes together: at most {} of {} bytes; use `enum`, `minLength` or `maxLength` where they serve",
            limits::MAX_SCHEMA_PATTERNS,
            limits::MAX_SCHEMA_PATTERN_BYTES
        );
        return Err(VaultError::field("schema", reason));
    }
    Ok(count)
}

fn each_pattern<'a>(schema: &'a Value, take: &mut impl FnMut(&'a str)) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| each_pattern(item, take)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(pattern) if name == "pattern" => take(pattern),
                    Value::Object(of) if name == "patternProperties" => {
                        of.keys().for_each(|pattern| take(pattern));
                    }
                    _ => {}
                }
                each_pattern(value, take);
            }
        }
        _ => {}
    }
}

/// Draft 4 says `id` where later ones say `$id`.
fn inner_id<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a str> {
    let old = root.get("$schema").and_then(Value::as_str).is_some_and(|draft| draft.contains("draft-0"));
    match schema {
        Value::Array(items) => items.iter().find_map(|item| inner_id(root, item)),
        Value::Object(members) => members.iter().find_map(|(name, value)| match value {
            Value::String(id) if name == "$id" || (old && name == "id") => {
                (!std::ptr::eq(root, schema)).then_some(id.as_str())
            }
            other => inner_id(root, other),
        }),
        _ => None,
    }
}

/// What a part of a schema comes to.
#[derive(Clone, Copy, Debug)]
struct Size {
    values: u64,
    /// How many references follow one another at most.
    references: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// By place, what was counted already; none while it is being counted.
    known: HashMap<*const Value, Option<Size>>,
}

impl<'a> Walk<'a> {
    /// `followed` references led here.
    fn size(&mut self, part: &'a Value, followed: usize) -> Result<Size, VaultError> {
        let place = std::ptr::from_ref(part);
        match self.known.get(&place) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let reason = "a reference leads back to where it stands: write the levels out, as many as there may be";
                return Err(VaultError::field("schema", reason));
            }
            None => {}
        }
        self.known.insert(place, None);
        let mut size = Size { values: 1, references: 0 };
        match part {
            Value::Array(items) => {
                for item in items {
                    size.add(self.size(item, followed)?);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    size.add(self.member(name, value, followed)?);
                }
            }
            _ => {}
        }
        size.check()?;
        self.known.insert(place, Some(size));
        Ok(size)
    }

    fn member(&mut self, name: &str, value: &'a Value, followed: usize) -> Result<Size, VaultError> {
        let Value::String(reference) = value else { return self.size(value, followed) };
        if !refers(name) {
            return self.size(value, followed);
        }
        let Some(target) = self.resolve(reference) else {
            let reason = format!("the reference `{}` leads nowhere", shown(reference));
            return Err(VaultError::field("schema", reason));
        };
        let followed = followed.saturating_add(1);
        Size { values: 1, references: followed }.check()?;
        let target = self.size(target, followed)?;
        let referred =
            Size { values: target.values.saturating_add(1), references: target.references.saturating_add(1) };
        referred.check()?;
        Ok(referred)
    }

    /// `#`, a JSON Pointer behind it, or the name of an anchor.
    fn resolve(&self, reference: &str) -> Option<&'a Value> {
        let name = decoded(reference.strip_prefix('#')?)?;
        if name.is_empty() || name.starts_with('/') {
            return self.root.pointer(&name);
        }
        anchored(self.root, &name)
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.values = self.values.saturating_add(other.values);
        self.references = self.references.max(other.references);
    }

    fn check(self) -> Result<(), VaultError> {
        if self.references > limits::MAX_SCHEMA_REFERENCES {
            let most = limits::MAX_SCHEMA_REFERENCES;
            let reason = format!("more than {most} references follow one another: write some of them out");
            return Err(VaultError::field("schema", reason));
        }
        if self.values > limits::MAX_SCHEMA_VALUES {
            let most = limits::MAX_SCHEMA_VALUES;
            let reason = format!(
                "it comes to more than {most} values with its references written out: refer to large parts from fewer places"
            );
            return Err(VaultError::field("schema", reason));
        }
        Ok(())
    }
}

/// The part of that anchor. An anchor that stands twice is refused when the schema is compiled.
fn anchored<'a>(schema: &'a Value, anchor: &str) -> Option<&'a Value> {
    match schema {
        Value::Array(items) => items.iter().find_map(|item| anchored(item, anchor)),
        Value::Object(members) => {
            let named = |name| members.get(name).and_then(Value::as_str) == Some(anchor);
            if named("$anchor") || named("$dynamicAnchor") {
                return Some(schema);
            }
            members.values().find_map(|value| anchored(value, anchor))
        }
        _ => None,
    }
}

/// A URI fragment, percent-decoded (RFC 3986, 2.1); none if it is not text.
fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = fragment.bytes();
    let mut out = Vec::with_capacity(fragment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::compile;
    use base::Fault as _;
    use serde_json::{Map, json};

    fn refused(schema: &Value, containing: &str) {
        let error = compile(schema).err().unwrap();
        assert_eq!(error.field(), Some("schema"));
        assert!(error.to_string().contains(containing), "{error}");
    }

    /// Each definition names the next one twice.
    fn doubling(levels: usize) -> Value {
        let mut defs = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        defs.insert(format!("d{levels}"), json!({"type": "object"}));
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    }

    #[test]
    fn what_references_come_to_is_bounded() {
        compile(&doubling(5)).unwrap().check(&json!({})).unwrap();
        refused(&doubling(40), "written out");
        // The same by anchors, and by escapes.
        let mut named = doubling(40).to_string();
        for level in 0..=40 {
            named = named.replace(&format!("#/$defs/d{level}\""), &format!("#/%24defs/d{level}\""));
        }
        refused(&serde_json::from_str(&named).unwrap(), "written out");
        let by_anchor: Map<String, Value> = (0..40)
            .map(|level| {
                let next = json!({"$ref": format!("#a{}", (level + 1).min(39))});
                let part = if level == 39 { json!({}) } else { json!({"allOf": [next, next]}) };
                let mut part = part.as_object().unwrap().clone();
                part.insert("$anchor".into(), json!(format!("a{level}")));
                (format!("d{level}"), Value::Object(part))
            })
            .collect();
        refused(&json!({"$defs": by_anchor, "$ref": "#a0"}), "written out");
    }

    #[test]
    fn references_never_lead_back() {
        refused(&json!({"properties": {"child": {"$ref": "#"}}}), "leads back");
        refused(&json!({"$recursiveRef": "#"}), "leads back");
        let two = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
        refused(&two, "leads back");
        refused(&json!({"$ref": "#/$defs/nothing"}), "leads nowhere");
        // It would move what `#/...` means.
        refused(&json!({"$defs": {"a": {"$id": "http://example.com/a", "$ref": "#/x"}}}), "below the top");
    }

    #[test]
    fn a_long_chain_of_references_is_refused() {
        let mut defs: Map<String, Value> =
            (0..2_000).map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}))).collect();
        defs.insert("d2000".into(), json!({}));
        refused(&json!({"$defs": defs}), "follow one another");
    }

    #[test]
    fn patterns_are_few() {
        let of = |count: usize| -> Value {
            let each = |n| (format!("p{n}"), json!({"pattern": format!("^a{{{n}}}$")}));
            json!({"properties": (0..count).map(each).collect::<Map<_, _>>()})
        };
        compile(&of(64)).unwrap();
        refused(&of(65), "patterns");
        let keys: Map<String, Value> = (0..65).map(|n| (format!("^x{n}"), json!(true))).collect();
        refused(&json!({"patternProperties": keys}), "patterns");
        refused(&json!({"pattern": "a".repeat(9_000)}), "patterns");
    }
}
