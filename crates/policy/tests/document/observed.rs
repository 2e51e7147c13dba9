//! What a running system contradicts.

use std::collections::BTreeSet;

use policy::{Document, Framework, Observed, Wording, markdown};

use crate::{catalogue, codes, filled, read, with};

#[test]
fn what_observation_contradicts_is_refused() {
    let files = filled(&Framework::ALL);
    let held = |observed: Observed| codes(Document::read(&files, &catalogue(), &observed));
    let many = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let one = |key: &str| vec![("contradicted", key.to_owned())];
    assert_eq!(
        held(Observed { key_management: Some("provider".into()), ..Observed::default() }),
        one("key_management")
    );
    assert_eq!(held(Observed { regions: many(&["eu-central-1"]), ..Observed::default() }), one("regions"));
    assert_eq!(
        held(Observed { regions: many(&["eu-central-1", "eu-west-1", "us-east-1"]), ..Observed::default() }),
        one("regions")
    );
    let elsewhere = Observed { stored_in: vec!["us-east-1".into()], ..Observed::default() };
    assert_eq!(held(elsewhere), one("regions"));
    assert_eq!(held(Observed { providers: many(&["GCP"]), ..Observed::default() }), one("providers"));
    assert_eq!(
        held(Observed { deletion_methods: many(&["shredding"]), ..Observed::default() }),
        one("deletion_methods")
    );
    assert_eq!(
        held(Observed { providers: many(&["AWS", "GCP"]), ..Observed::default() }),
        one("providers"),
        "one more than the policy says"
    );
    assert_eq!(held(Observed { alarm_channels: many(&[]), ..Observed::default() }), one("alarm_channels"));
    assert_eq!(held(Observed { agents: Some(0), ..Observed::default() }), one("monitoring"));
    assert_eq!(
        held(Observed { privileged_review_seconds: Some(8 * 86_400), ..Observed::default() }),
        one("privileged_review_time")
    );
    assert_eq!(
        held(Observed { witnesses: Some(0), ..Observed::default() }),
        [one("AO-2"), one("AO-3")].concat()
    );
    assert_eq!(held(Observed { time_servers: Some(0), ..Observed::default() }), one("EL-5"));
    let agreed = Observed {
        key_management: Some("company".into()),
        regions: many(&["eu-central-1", "eu-west-1"]),
        providers: many(&["AWS"]),
        stored_in: vec!["eu-west-1".into()],
        deletion_methods: many(&["cryptographic erasure", "and another"]),
        alarm_channels: many(&["text message", "e-mail"]),
        agents: Some(3),
        witnesses: Some(1),
        time_servers: Some(2),
        privileged_review_seconds: Some(7 * 86_400),
    };
    assert_eq!(held(agreed), []);
    // What is not done, and said to be not done, contradicts nothing.
    let text = files["decisions.toml"].replace("holds = true", "holds = false");
    let mut honest = files.clone();
    honest.insert("decisions.toml".into(), text);
    let none = Observed { witnesses: Some(0), ..Observed::default() };
    let document = Document::read(&honest, &catalogue(), &none).unwrap();
    assert!(markdown(&document).contains("*Where feasible:* not done: on all hosts"));
    // A region that an own wording does not claim to be one of several.
    let mut own = with("parameters.toml", ", \"eu-west-1\"]", "]");
    own.insert("wording.toml".into(), "[text]\n\"CD-1\" = \"Data is in {regions}.\"\n".into());
    read(&own).unwrap();
}

/// What of a running system contradicts each value of a fact that wordings follow from.
fn contradiction(fact: &str, value: &str) -> Observed {
    match (fact, value) {
        ("key_management", "company") => {
            Observed { key_management: Some("provider".into()), ..Observed::default() }
        }
        ("key_management", "provider") => {
            Observed { key_management: Some("company".into()), ..Observed::default() }
        }
        ("monitoring", "agent") => Observed { agents: Some(0), ..Observed::default() },
        ("monitoring", "agentless") => Observed { agents: Some(1), ..Observed::default() },
        _ => panic!("nothing that can be observed contradicts `{fact} = {value}`"),
    }
}

/// CD-5, CD-10, RR-6, TR-3, and each that gets variants: whichever holds, a system that is otherwise is found.
#[test]
fn each_variant_of_a_clause_can_be_contradicted() {
    let catalogue = catalogue();
    let mut seen = BTreeSet::new();
    for clause in catalogue.clauses() {
        let Wording::Variants(variants) = &clause.wording else { continue };
        seen.insert(clause.id.to_string());
        for (fact, value) in variants.iter().flat_map(|variant| &variant.when) {
            let mut files = filled(&Framework::ALL);
            let example = catalogue.parameter(fact).unwrap().example.to_string();
            let text = files["parameters.toml"]
                .replace(&format!("{fact} = {example}"), &format!("{fact} = \"{value}\""));
            files.insert("parameters.toml".into(), text);
            // Every other clause that follows from the fact is worded without it, so that it is this one that is contradicted.
            let own: String = catalogue
                .clauses()
                .filter(|other| other.id != clause.id && other.wording.facts().contains(&fact.as_str()))
                .map(|other| format!("\"{}\" = \"It is so.\"\n", other.id))
                .collect();
            files.insert("wording.toml".into(), format!("[text]\n{own}"));
            let document = read(&files).unwrap();
            assert_eq!(document.parameters[fact].to_string(), *value);
            let found = Document::read(&files, &catalogue, &contradiction(fact, value));
            assert_eq!(codes(found), [("contradicted", fact.clone())], "{} {value}", clause.id);
            // Worded without the fact as well, it says nothing that could be contradicted.
            let own = format!("[text]\n{own}\"{}\" = \"It is so.\"\n", clause.id);
            files.insert("wording.toml".into(), own);
            Document::read(&files, &catalogue, &contradiction(fact, value)).unwrap();
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["CD-10", "CD-5", "RR-6", "TR-3"]);
}
