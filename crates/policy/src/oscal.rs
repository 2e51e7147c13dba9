//! OSCAL 1.2.1 in JSON: the catalogue of clauses as a catalog, and a policy as a profile over it: which clauses, with which
//! values, in whose words. Ids and times follow from the content, so that the same input gives the same bytes.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use serde_json::{Value as Json, json};

use crate::{
    Catalogue, Clause, ClauseId, Document, Framework, ParameterKind, Segment, Template, Value, Wording,
};

/// The version of OSCAL.
pub const OSCAL_VERSION: &str = "1.2.1";
/// The namespace of what OSCAL has no word for.
const NAMESPACE: &str = "urn:tenet:oscal";
/// The name space of our UUIDs: itself a UUID, drawn once.
const SPACE: [u8; 16] =
    [0x8f, 0x1c, 0x6a, 0x52, 0x0d, 0x3b, 0x4e, 0x77, 0x9a, 0x21, 0x5c, 0xe4, 0x90, 0x6b, 0x13, 0xd8];
/// What a profile says of where its catalog is.
const CATALOG_FILE: &str = "catalog.json";
/// When the words of the catalogue last changed.
const CATALOGUE_DATE: &str = "2026-11-27T00:00:00Z";
/// The catalogue's own version.
const CATALOGUE_VERSION: &str = "1";

/// A UUID that follows from parts (RFC 9562 5.5, version 5: OSCAL takes 4 and 5 alone), so that it is the same wherever it is
/// made. It names; nothing is protected by its SHA-1.
fn uuid(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&SPACE);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    let number = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x5 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// A clause's id as a token of OSCAL: `cd-8`.
fn token(id: &ClauseId) -> String {
    id.as_str().to_lowercase()
}

fn metadata(title: &str, changed: &str, version: &str) -> Json {
    json!({ "title": title, "last-modified": changed, "version": version, "oscal-version": OSCAL_VERSION })
}

/// A wording, with its parameters to be put in by whoever reads it.
fn prose(sentence: &[Segment]) -> String {
    let each = sentence.iter().map(|segment| match segment {
        Segment::Text(text) => text.clone(),
        Segment::Parameter(name) => format!("{{{{ insert: param, {name} }}}}"),
    });
    each.collect()
}

fn items(id: &str, template: &Template) -> Vec<Json> {
    let each = template.sentences().iter().enumerate();
    each.map(|(at, sentence)| json!({ "id": format!("{id}.{}", at + 1), "name": "item", "prose": prose(sentence) })).collect()
}

fn control(clause: &Clause) -> Json {
    let id = token(&clause.id);
    let mut props = vec![json!({ "name": "label", "value": clause.id.as_str() })];
    for (framework, controls) in &clause.frameworks {
        for one in controls {
            props.push(
                json!({ "name": framework.as_str(), "ns": NAMESPACE, "value": one, "class": "required-by" }),
            );
        }
    }
    let parts = match &clause.wording {
        Wording::One(template) => items(&format!("{id}_smt"), template),
        Wording::Variants(all) => {
            let variant = |(at, one): (usize, &crate::Variant)| {
                let when: Vec<_> = one.when.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let part = format!("{id}_smt.v{}", at + 1);
                json!({
                    "id": part, "name": "item", "title": format!("where {}", when.join(" and ")),
                    "props": [{ "name": "when", "ns": NAMESPACE, "value": when.join(",") }],
                    "parts": items(&part, &one.text),
                })
            };
            all.iter().enumerate().map(variant).collect()
        }
    };
    let mut all = vec![json!({ "id": format!("{id}_smt"), "name": "statement", "parts": parts })];
    if !clause.guidance.is_empty() {
        all.push(json!({ "id": format!("{id}_gdn"), "name": "guidance", "prose": clause.guidance }));
    }
    json!({ "id": id, "class": "clause", "title": clause.title, "props": props, "parts": all })
}

/// The catalogue as an OSCAL catalog.
pub fn oscal_catalog(catalogue: &Catalogue) -> Json {
    let param = |parameter: &crate::Parameter| {
        let mut param = json!({ "id": parameter.name, "label": parameter.about });
        if parameter.kind == ParameterKind::Choice
            && let Some(map) = param.as_object_mut()
        {
            map.insert("select".to_owned(), json!({ "how-many": "one", "choice": parameter.choices }));
        }
        param
    };
    let group = |section: &crate::Section| {
        let controls: Vec<_> = section.clauses.iter().map(control).collect();
        json!({ "id": section.id.to_lowercase(), "class": "section", "title": section.title, "controls": controls })
    };
    json!({ "catalog": {
        "uuid": uuid(&["catalog", CATALOGUE_VERSION]),
        "metadata": metadata("Tenet: clauses of a data protection policy", CATALOGUE_DATE, CATALOGUE_VERSION),
        "params": catalogue.parameters().iter().map(param).collect::<Vec<_>>(),
        "groups": catalogue.sections().iter().map(group).collect::<Vec<_>>(),
    }})
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_follow_from_their_parts() {
        let one = uuid(&["a", "b"]);
        assert_eq!(one, uuid(&["a", "b"]));
        assert_ne!(one, uuid(&["ab"]));
        let bytes = one.as_bytes();
        assert_eq!((one.len(), bytes.get(14), one.matches('-').count()), (36, Some(&b'5'), 4));
        assert!(bytes.get(19).is_some_and(|letter| b"89ab".contains(letter)), "{one}");
    }
}
