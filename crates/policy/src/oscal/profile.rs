//! A policy as an OSCAL profile: which clauses, with which values, in whose words.

use serde_json::{Value as Json, json};

use super::{CATALOG_FILE, CATALOGUE_VERSION, NAMESPACE, metadata, token, uuid};
use crate::{Document, Framework, Value};

/// A policy as an OSCAL profile over that catalog, which it expects beside it as `catalog.json`.
pub fn oscal_profile(document: &Document) -> Json {
    let hash = document.manifest().sha256;
    let resource = uuid(&["resource", "catalog", CATALOGUE_VERSION]);
    let ids: Vec<_> = document.clauses().map(|clause| token(&clause.id)).collect();
    let values = |value: &Value| value.names().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let set: Vec<_> = document
        .parameters
        .iter()
        .map(|(name, value)| json!({ "param-id": name, "values": values(value) }))
        .collect();
    let own = |clause: &crate::DocumentClause| {
        let id = token(&clause.id);
        let own = clause.sentences.iter().map(|sentence| {
            json!({ "id": format!("{id}_own.{}", sentence.id.rsplit('.').next().unwrap_or("1")), "name": "item", "prose": sentence.text })
        });
        let mut parts = Vec::new();
        if clause.own_wording {
            parts.push(json!({ "id": format!("{id}_own"), "name": "statement", "ns": NAMESPACE, "title": "In the organisation's words", "parts": own.collect::<Vec<_>>() }));
        }
        if let Some(feasible) = &clause.feasible {
            parts.push(json!({ "id": format!("{id}_feasible"), "name": "feasible", "ns": NAMESPACE, "prose": crate::render::feasible(feasible) }));
        }
        (!parts.is_empty())
            .then(|| json!({ "control-id": id, "adds": [{ "position": "ending", "parts": parts }] }))
    };
    let alters: Vec<_> = document.clauses().filter_map(own).collect();
    let mut modify = serde_json::Map::new();
    if !set.is_empty() {
        modify.insert("set-parameters".to_owned(), json!(set));
    }
    if !alters.is_empty() {
        modify.insert("alters".to_owned(), json!(alters));
    }
    let mut head = metadata(
        &document.title,
        &format!("{}T00:00:00Z", document.effective),
        &document.version.to_string(),
    );
    if let Some(map) = head.as_object_mut() {
        let party = uuid(&["party", &document.company]);
        let mut props = vec![
            json!({ "name": "sha256", "ns": NAMESPACE, "value": hash }),
            json!({ "name": "next-review", "ns": NAMESPACE, "value": document.next_review }),
        ];
        let framework =
            |one: &Framework| json!({ "name": "framework", "ns": NAMESPACE, "value": one.as_str() });
        props.extend(document.frameworks.iter().map(framework));
        map.insert("props".to_owned(), json!(props));
        map.insert(
            "parties".to_owned(),
            json!([{ "uuid": party, "type": "organization", "name": document.company }]),
        );
    }
    json!({ "profile": {
        "uuid": uuid(&["profile", &hash]),
        "metadata": head,
        "imports": [{ "href": format!("#{resource}"), "include-controls": [{ "with-ids": ids }] }],
        "merge": { "as-is": true },
        "modify": modify,
        "back-matter": { "resources": [{
            "uuid": resource, "title": "Tenet: clauses of a data protection policy",
            "rlinks": [{ "href": CATALOG_FILE, "media-type": "application/oscal.catalog+json" }],
        }]},
    }})
}
