//! The catalogue of clauses as an OSCAL catalog.

use serde_json::{Value as Json, json};

use super::{CATALOGUE_DATE, CATALOGUE_VERSION, NAMESPACE, metadata, token, uuid};
use crate::{Catalogue, Clause, ParameterKind, Segment, Template, Wording};

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

/// A wording, with its parameters to be put in by whoever reads it.
fn worded(sentence: &[Segment]) -> String {
    let each = sentence.iter().map(|segment| match segment {
        Segment::Text(text) => text.clone(),
        Segment::Parameter(name) => format!("{{{{ insert: param, {name} }}}}"),
    });
    each.collect()
}

fn items(id: &str, template: &Template) -> Vec<Json> {
    let each = template.sentences().iter().enumerate();
    each.map(|(at, sentence)| json!({ "id": format!("{id}.{}", at + 1), "name": "item", "prose": worded(sentence) })).collect()
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
