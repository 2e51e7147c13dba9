//! Paths of fields: JSON Pointers (RFC 6901), or the bare name of a top-level member.

use serde_json::Value;

use crate::{VaultError, limits};

/// The JSON Pointer of a path: as it is if it starts with `/`, else that of the top-level member.
pub(crate) fn pointer(field: &str, path: &str) -> Result<String, VaultError> {
    let pointer = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{}", path.replace('~', "~0").replace('/', "~1"))
    };
    let escapes_well = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let bounded = !path.is_empty() && pointer.len() <= limits::MAX_FIELD_BYTES;
    if !escapes_well || !bounded || pointer.chars().any(char::is_control) {
        let reason =
            "not a path: use a member's name or a JSON Pointer such as `/person/email`, of at most 256 bytes";
        return Err(VaultError::field(field, reason));
    }
    Ok(pointer)
}

/// The one form of a value that is indexed: JSON of a text, number or truth value, if it is one and
/// short enough. `1` and `1.0` are two values.
pub(crate) fn indexed(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            serde_json::to_vec(value).ok().filter(|bytes| bytes.len() <= limits::MAX_TERM_BYTES)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_become_pointers() {
        assert_eq!(pointer("f", "email").unwrap(), "/email");
        assert_eq!(pointer("f", "a~b").unwrap(), "/a~0b");
        assert_eq!(pointer("f", "/a/b~1c").unwrap(), "/a/b~1c");
        assert_eq!(json!({"a": {"b/c": 7}}).pointer(&pointer("f", "/a/b~1c").unwrap()), Some(&json!(7)));
        for wrong in ["", "/a~", "/a~2", "a\n", &"a".repeat(256)] {
            assert!(pointer("f", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scalars_alone_are_indexed() {
        assert_eq!(indexed(&json!("x")), Some(b"\"x\"".to_vec()));
        assert_eq!(indexed(&json!(1)), Some(b"1".to_vec()));
        assert_eq!(indexed(&json!(null)), None);
        assert_eq!(indexed(&json!(["x"])), None);
        assert_eq!(indexed(&json!("x".repeat(1_023))), None);
    }
}
