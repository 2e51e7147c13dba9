//! What is published: the same for the same input, nothing but what is meant, and whole.

use std::collections::BTreeSet;

use policy::{Framework, html, markdown};
use proptest::prelude::*;

use crate::{catalogue, document, filled, read, with};

#[test]
fn what_is_published_is_the_same_for_the_same_input_and_holds_no_guidance() {
    let document = document(&Framework::ALL);
    for text in [markdown(&document), html(&document)] {
        assert!(!text.contains("TODO") && !text.contains("{company}"));
        for clause in catalogue().clauses().filter(|clause| !clause.guidance.is_empty()) {
            assert!(!text.contains(&clause.guidance), "{}", clause.id);
        }
    }
    assert_eq!(html(&document), html(&self::document(&Framework::ALL)));
    assert_eq!(document.manifest(), self::document(&Framework::ALL).manifest());
    let page = html(&document);
    assert!(page.contains("<span id=\"CD-8.2\">") && !page.contains("<script"));
}

/// No id stands twice, and nothing in the page refers to one that is not there, or to anything outside of it.
#[test]
fn a_page_refers_to_what_is_on_it_alone() {
    let page = html(&document(&Framework::ALL));
    let values = |attribute: &str| -> Vec<String> {
        let start = format!(" {attribute}=\"");
        page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids: BTreeSet<_> = values("id").into_iter().collect();
    assert_eq!(ids.len(), values("id").len(), "an id stands twice");
    for named in values("aria-labelledby") {
        assert!(ids.contains(&named), "{named}");
    }
    for link in values("href") {
        assert!(link.strip_prefix('#').is_some_and(|id| ids.contains(id)), "{link}");
    }
    assert!(values("href").len() == 13 && values("src").is_empty() && !page.contains("url("));
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.contains("@media print"));
    for tag in [
        "main", "nav", "section", "h1", "h2", "h3", "p", "span", "em", "table", "tr", "th", "td", "ol", "li",
        "a",
    ] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn names_can_t_break_out_of_a_page() {
    let published = |file: &str, from: &str, to: &str| {
        let document = read(&with(file, from, to)).unwrap();
        (markdown(&document), html(&document))
    };
    let (md, page) =
        published("parameters.toml", "company = \"Acme, Inc.\"", "company = \"A<b onload='x' & *B*\"");
    assert!(page.contains("A&lt;b onload=&#39;x&#39; &amp; *B*") && !page.contains("<b "));
    assert!(md.contains("A\\<b onload='x' \\& \\*B\\*"));
    // A cell of a table stays one cell, an entity stays what was written.
    let (md, page) = published("policy.toml", "Ann Author", "Ann | &copy; `x` $y$");
    assert!(md.contains("| Author | Ann \\| \\&copy; \\`x\\` \\$y\\$ |\n"), "{md}");
    assert!(page.contains("<td>Ann | &amp;copy; `x` $y$</td>"), "{page}");
    // A paragraph stays one.
    for (own, shown) in [
        ("- It is so.", "\\- It is so."),
        ("1. It is so.", "1\\. It is so."),
        ("12) It is so.", "12\\) It is so."),
        ("# It is so.", "\\# It is so."),
        ("=== It is so.", "\\=== It is so."),
        ("12 are so.", "12 are so."),
    ] {
        let (md, _) = published("wording.toml", "[text]", &format!("[text]\n\"RR-4\" = \"{own}\""));
        assert!(md.contains(&format!("\n\n{shown}\n\n")), "{own}: {md}");
    }
}

/// Each framework alone and all together, as it is published.
#[test]
fn published_texts_are_as_checked_in() {
    let renew = std::env::var_os("UPDATE_POLICY").is_some();
    let mut sets: Vec<(String, Vec<Framework>)> =
        Framework::ALL.iter().map(|one| (one.as_str().to_owned(), vec![*one])).collect();
    sets.push(("all".to_owned(), Framework::ALL.to_vec()));
    for (name, frameworks) in sets {
        let document = document(&frameworks);
        for (end, text) in [("md", markdown(&document)), ("html", html(&document))] {
            if end == "html" && name != "all" {
                continue;
            }
            let path = format!("{}/tests/golden/{name}.{end}", env!("CARGO_MANIFEST_DIR"));
            if renew {
                std::fs::write(&path, &text).unwrap();
            }
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                known == text,
                "{path} differs: look at what changed, then run the test with UPDATE_POLICY=1"
            );
        }
    }
}

/// Every member of that name, wherever it stands.
fn members<'a>(value: &'a serde_json::Value, name: &str, found: &mut Vec<&'a serde_json::Value>) {
    match value {
        serde_json::Value::Object(map) => {
            found.extend(map.get(name));
            map.values().for_each(|inner| members(inner, name, found));
        }
        serde_json::Value::Array(all) => all.iter().for_each(|inner| members(inner, name, found)),
        _ => {}
    }
}

fn texts(value: &serde_json::Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    members(value, name, &mut found);
    found.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Nothing in OSCAL refers to what is not there, and no id is there twice. That it is OSCAL, `./check interop` has
/// compliance-trestle say.
#[test]
fn oscal_refers_to_what_there_is() {
    let catalog = policy::oscal_catalog(&catalogue());
    let ids = texts(&catalog, "id");
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "an id stands twice");
    for prose in texts(&catalog, "prose") {
        for named in prose.split("{{ insert: param, ").skip(1) {
            let name = named.split(" }}").next().unwrap().to_owned();
            assert!(ids.contains(&name), "{name} is no parameter");
        }
        assert!(!prose.contains("{company}"), "{prose}");
    }
    let mut files = filled(&[Framework::Iso27001, Framework::Gdpr]);
    files.insert(
        "wording.toml".into(),
        "[text]\n\"RR-4\" = \"Only what is needed runs at {company} now.\"\n".into(),
    );
    let document = read(&files).unwrap();
    let profile = policy::oscal_profile(&document);
    let chosen =
        profile.pointer("/profile/imports/0/include-controls/0/with-ids").unwrap().as_array().unwrap();
    assert_eq!(chosen.len(), document.clauses().count());
    for id in chosen
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .chain(texts(&profile, "param-id"))
        .chain(texts(&profile, "control-id"))
    {
        assert!(ids.contains(&id), "{id} is not in the catalog");
    }
    let own = texts(&profile, "prose");
    assert!(own.iter().any(|prose| prose == "Only what is needed runs at Acme, Inc. now."), "{own:?}");
    let resource = profile.pointer("/profile/back-matter/resources/0/uuid").unwrap().as_str().unwrap();
    assert_eq!(profile.pointer("/profile/imports/0/href").unwrap().as_str().unwrap(), format!("#{resource}"));
    assert_eq!(
        profile,
        policy::oscal_profile(&read(&files).unwrap()),
        "the same input gives the same document"
    );
}

/// Texts that may be published, and after them texts that may not.
const TEXTS: [&str; 9] = [
    "Acme, Inc.",
    "Müller & Söhne (2) *",
    "- 1. # a|b",
    "Where it is so, nothing runs that is not needed.",
    "TODO",
    "{company}",
    "[Say how.]",
    "the identifier is NEVER taken from the  request itself, here",
    "<name>",
];
/// How many of them may be published.
const PUBLISHABLE: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Whatever is filled in and worded anew, what is published holds no guidance and nothing that was to be filled in; and
    /// nothing else is refused.
    #[test]
    fn what_is_published_holds_no_guidance_and_no_placeholder(
        frameworks in proptest::sample::subsequence(Framework::ALL.to_vec(), 1..=5),
        company in 0..TEXTS.len(),
        tool in 0..TEXTS.len(),
        worded in 0..TEXTS.len(),
        reason in 0..TEXTS.len(),
        (is_company, is_agent) in (any::<bool>(), any::<bool>()),
    ) {
        let mut files = filled(&frameworks);
        let quoted = |at: usize| format!("\"{}\"", TEXTS[at]);
        let parameters = files["parameters.toml"]
            .replace("company = \"Acme, Inc.\"", &format!("company = {}", quoted(company)))
            .replace("\"Amazon CloudWatch\"", &quoted(tool))
            .replace("\"company\"", if is_company { "\"company\"" } else { "\"provider\"" })
            .replace("\"agent\"", if is_agent { "\"agent\"" } else { "\"agentless\"" });
        files.insert("parameters.toml".into(), parameters);
        files.insert("wording.toml".into(), format!("[text]\n\"RR-4\" = {}\n", quoted(worded)));
        let said = format!("\"so it is: {}\"", TEXTS[reason]);
        let decisions = files["decisions.toml"].replace("\"on all hosts of the production network\"", &said);
        files.insert("decisions.toml".into(), decisions);
        let outcome = read(&files);
        let is_fine = |at: usize| at < PUBLISHABLE;
        // `{company}` in an own wording is the parameter, which is what it should be.
        let wording_is_fine = is_fine(worded) || TEXTS[worded] == "{company}";
        prop_assert_eq!(
            outcome.is_ok(),
            is_fine(company) && is_fine(tool) && wording_is_fine && is_fine(reason),
            "{:?}", outcome.err()
        );
        let Ok(document) = outcome else { return Ok(()) };
        let catalogue = catalogue();
        for text in [markdown(&document), html(&document)] {
            let plain = text.to_lowercase();
            for clause in catalogue.clauses().filter(|clause| !clause.guidance.is_empty()) {
                prop_assert!(!plain.contains(&clause.guidance.to_lowercase()), "{}", clause.id);
            }
            for parameter in catalogue.parameters() {
                let name = format!("{{{}}}", parameter.name);
                prop_assert!(!text.contains(&name));
            }
            prop_assert!(!text.contains("TODO") && !text.contains("Say how"));
        }
    }
}
