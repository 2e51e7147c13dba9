//! OSCAL 1.2.1 in JSON. Of the catalogue a catalog, of the registry a component definition; of a policy a profile, a system
//! security plan and an assessment plan; of what was observed, assessment results and a plan of action and milestones. Each
//! imports the others by the names of their files, so that they lie in one directory.
//!
//! Ids and times follow from the input, so that the same input gives the same documents. Nothing is said that the policy, the
//! registry or an observation doesn't say: where OSCAL asks for more, it reads "not stated".

mod assessment_plan;
mod assessment_results;
mod catalog;
mod component;
mod observation;
mod poam;
mod profile;
mod references;
mod risk;
mod scope;
mod ssp;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use serde_json::{Value as Json, json};

pub use assessment_plan::oscal_assessment_plan;
pub use assessment_results::oscal_assessment_results;
pub use catalog::oscal_catalog;
pub use component::oscal_component_definition;
pub use poam::oscal_poam;
pub use profile::oscal_profile;
pub use references::oscal_references;
pub use ssp::oscal_ssp;

use crate::{Assessment, Catalogue, CheckFinding, ClauseId, Document, Registry};

/// The version of OSCAL.
pub const OSCAL_VERSION: &str = "1.2.1";
/// The namespace of what OSCAL has no word for.
const NAMESPACE: &str = "urn:tenet:oscal";
/// The name space of our UUIDs: itself a UUID, drawn once.
const SPACE: [u8; 16] =
    [0x8f, 0x1c, 0x6a, 0x52, 0x0d, 0x3b, 0x4e, 0x77, 0x9a, 0x21, 0x5c, 0xe4, 0x90, 0x6b, 0x13, 0xd8];
/// When the words of the catalogue last changed.
const CATALOGUE_DATE: &str = "2026-11-27T00:00:00Z";
/// The catalogue's own version.
const CATALOGUE_VERSION: &str = "1";
/// What stands where OSCAL asks for what nobody stated.
const NOT_STATED: &str = "not stated";

// What the models say of where the others are.
const CATALOG_FILE: &str = "catalog.json";
const PROFILE_FILE: &str = "profile.json";
const COMPONENT_FILE: &str = "component-definition.json";
const SSP_FILE: &str = "ssp.json";
const PLAN_FILE: &str = "assessment-plan.json";
const RESULTS_FILE: &str = "assessment-results.json";
const POAM_FILE: &str = "poam.json";

/// Every model, with the name of its file. There is no `poam.json` where nothing is open: OSCAL has no empty one.
pub fn oscal_all(
    catalogue: &Catalogue,
    registry: &Registry,
    document: &Document,
    assessment: &Assessment,
    findings: &[CheckFinding],
) -> Vec<(&'static str, Json)> {
    let mut all = vec![
        (CATALOG_FILE, oscal_catalog(catalogue)),
        (PROFILE_FILE, oscal_profile(document)),
        (COMPONENT_FILE, oscal_component_definition(catalogue, registry)),
        (SSP_FILE, oscal_ssp(catalogue, registry, document, assessment)),
        (PLAN_FILE, oscal_assessment_plan(catalogue, registry, document)),
        (RESULTS_FILE, oscal_assessment_results(catalogue, registry, document, assessment, findings)),
    ];
    all.extend(oscal_poam(document, assessment, findings).map(|poam| (POAM_FILE, poam)));
    all
}

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

/// A document of a model, named by its content: whatever changes in it, it is another.
fn document(model: &str, body: Json) -> Json {
    let mut text = String::new();
    canonical(&body, &mut text);
    let mut body = body;
    put(&mut body, "uuid", json!(uuid(&[model, &text])));
    json!({ model: body })
}

/// JSON with members in the order of their names: whether a map keeps the order in which it was filled is a choice of the build.
fn canonical(value: &Json, text: &mut String) {
    match value {
        Json::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, value) in members {
                text.push_str(&Json::from(name.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Json::Array(all) => {
            text.push('[');
            for one in all {
                canonical(one, text);
                text.push(',');
            }
            text.push(']');
        }
        one => text.push_str(&one.to_string()),
    }
}

/// A clause's id as a token of OSCAL: `cd-8`.
fn token(id: &ClauseId) -> String {
    id.as_str().to_lowercase()
}

fn metadata(title: &str, changed: &str, version: &str) -> Json {
    json!({ "title": title, "last-modified": changed, "version": version, "oscal-version": OSCAL_VERSION })
}

/// Puts in a member.
fn put(object: &mut Json, name: &str, value: Json) {
    if let Some(map) = object.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

/// Puts in a list; none that is empty, which OSCAL doesn't have.
fn put_all(object: &mut Json, name: &str, all: Vec<Json>) {
    if !all.is_empty() {
        put(object, name, Json::Array(all));
    }
}

/// A property that OSCAL doesn't know.
fn prop(name: &str, value: &str) -> Json {
    json!({ "name": name, "ns": NAMESPACE, "value": line(value) })
}

/// A property of one of several things, which is told by its token.
fn prop_of(group: &str, name: &str, value: &str) -> Json {
    let mut prop = prop(name, value);
    put(&mut prop, "group", json!(group));
    prop
}

/// A text as OSCAL's strings and titles are: one line, not empty.
fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { NOT_STATED.to_owned() } else { line }
}

/// A text of several lines, not empty.
fn prose(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { NOT_STATED.to_owned() } else { text.to_owned() }
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
