//! The OpenAPI document: a snapshot of it, what must hold of it, and answers held against it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Reply, World};

/// Panics if an answer is not one that the document has for the operation that a path leads to.
pub(crate) fn conforms(document: &Value, method: &str, path: &str, reply: &Reply) {
    let path = path.split('?').next().unwrap();
    let Some((template, operation)) = operation(document, method, path) else {
        panic!("{method} {path} is not in the document");
    };
    let what = format!("{method} {template} -> {}", reply.status);
    let answer = &operation["responses"][reply.status.as_str()];
    let answer = resolved(document, answer);
    assert!(answer.is_object(), "{what} is not in the document: {}", String::from_utf8_lossy(&reply.bytes));
    let Some(content) = answer["content"].as_object() else {
        assert!(reply.bytes.is_empty(), "{what} has a body that is not in the document");
        return;
    };
    let media = reply.header("content-type").split(';').next().unwrap();
    let Some(described) = content.get(media).or_else(|| content.get("*/*")) else {
        panic!("{what}: `{media}` is not in the document");
    };
    if media.ends_with("json") && content.contains_key(media) {
        let schema = with_components(document, &described["schema"]);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let value = reply.json();
        let wrong: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{what}: {wrong:?} in {value}");
    }
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        let found = reply.headers.contains_key(name.to_lowercase().as_str());
        assert!(found || header["required"] != json!(true), "{what} lacks the header {name}");
    }
}

/// The template and operation that a path leads to: the one with the fewest parameters.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<(&'a String, &'a Value)> {
    let paths = document["paths"].as_object()?;
    let fits = |template: &str| {
        let mut given = path.split('/');
        let mut wanted = template.split('/').peekable();
        while let Some(want) = wanted.next() {
            if want == "{path}" && wanted.peek().is_none() {
                return given.next().is_some();
            }
            match given.next() {
                Some(have) if want.starts_with('{') || have == want => {}
                _ => return false,
            }
        }
        given.next().is_none()
    };
    let mut found: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
    found.sort_by_key(|(template, _)| template.matches('{').count());
    let (template, item) = found.into_iter().next()?;
    Some((template, item.get(method.to_lowercase())?))
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn with_components(document: &Value, schema: &Value) -> Value {
    json!({"allOf": [schema], "components": document["components"]})
}

testkit::on_both_engines! {
    async fn the_document_is_as_checked_in(h: Harness) {
        let world = World::new(h).await;
        insta::assert_json_snapshot!("openapi", world.document);
    }
}

/// Everything under a value.
fn walk(value: &Value, visit: &mut dyn FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|value| walk(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

testkit::on_both_engines! {
    async fn the_document_holds_together(h: Harness) {
        let document = World::new(h).await.document;
        assert_eq!(document["openapi"], "3.1.0");
        walk(&document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
        });
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let what = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{what}: `{id}` is used twice");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
                assert!(operation["security"].is_array(), "{what} does not say who may call it");
                let statuses: BTreeSet<_> = operation["responses"].as_object().unwrap().keys().collect();
                for status in ["400", "429", "500", "503"] {
                    assert!(statuses.contains(&status.to_owned()), "{what} lacks {status}");
                }
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_path = parameters.iter().filter(|it| it["in"] == "path").count();
                assert_eq!(in_path, path.matches('{').count(), "{what}: path parameters");
                for parameter in parameters {
                    assert!(parameter["schema"].is_object(), "{what}: {parameter}");
                }
            }
        }
        // No call of a customer's names an account.
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let for_clients = operation["security"].to_string().contains("client\"")
                    && !operation["security"].to_string().contains("operator");
                if for_clients {
                    assert!(!path.contains("account"), "{path}");
                    assert!(!operation["parameters"].to_string().contains("account"), "{path}");
                }
            }
        }
    }
}
