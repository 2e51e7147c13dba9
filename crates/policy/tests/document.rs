//! Documents: what is right becomes one, what is wrong is named, what is published holds no guidance.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use policy::{
    Answers, Catalogue, Change, Document, Files, Finding, Framework, Observed, Word, compare, html, markdown,
    starter,
};
use proptest::prelude::*;

fn catalogue() -> Catalogue {
    static LOADED: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    LOADED.get_or_init(|| Catalogue::load().unwrap()).clone()
}

/// A policy with everything filled in, for these frameworks.
fn filled(frameworks: &[Framework]) -> Files {
    let catalogue = catalogue();
    let answers = Answers {
        company: "Acme, Inc.".into(),
        author: "Ann Author".into(),
        frameworks: frameworks.to_vec(),
        effective: "2026-12-01".into(),
        next_review: "2027-12-01".into(),
    };
    let mut files = starter(&catalogue, &answers);
    let parameters: String = catalogue
        .parameters()
        .iter()
        .map(|one| {
            let value =
                if one.name == "company" { "\"Acme, Inc.\"".to_owned() } else { one.example.to_string() };
            format!("{} = {value}\n", one.name)
        })
        .collect();
    files.insert("parameters.toml".into(), parameters);
    let decisions = files["decisions.toml"]
        .replace("reason = \"TODO\"", "reason = \"on all hosts of the production network\"")
        .replace("by = \"TODO\"", "by = \"Sam Security\"")
        .replace("date = \"TODO\"", "date = \"2026-11-20\"");
    files.insert("decisions.toml".into(), decisions);
    files
}

fn read(files: &Files) -> Result<Document, Vec<Finding>> {
    Document::read(files, &catalogue(), &Observed::default())
}

fn document(frameworks: &[Framework]) -> Document {
    read(&filled(frameworks)).unwrap_or_else(|found| panic!("{found:?}"))
}

fn codes(outcome: Result<Document, Vec<Finding>>) -> Vec<(&'static str, String)> {
    outcome.err().unwrap_or_default().into_iter().map(|one| (one.code, one.key)).collect()
}

/// The files with a text of one replaced.
fn with(file: &str, from: &str, to: &str) -> Files {
    let mut files = filled(&Framework::ALL);
    let text = files[file].clone();
    assert!(text.contains(from), "{file} has no `{from}`:\n{text}");
    files.insert(file.into(), text.replacen(from, to, 1));
    files
}

#[test]
fn a_starter_says_what_is_to_be_filled_in_and_nothing_else() {
    let answers = Answers {
        company: "Acme, Inc.".into(),
        author: "Ann Author".into(),
        frameworks: vec![Framework::Iso27001],
        effective: "2026-12-01".into(),
        next_review: "2027-12-01".into(),
    };
    let files = starter(&catalogue(), &answers);
    let found = read(&files).unwrap_err();
    assert!(
        found.iter().all(|one| ["parameter-invalid", "reason-missing", "decider-missing", "date-invalid"]
            .contains(&one.code)),
        "{found:?}"
    );
    assert!(found.iter().all(|one| one.line.is_some()), "{found:?}");
    assert!(found.iter().any(|one| one.key == "regions" && one.message.contains("eu-central-1")));
}

#[test]
fn frameworks_choose_clauses_and_several_are_a_union() {
    let ids = |frameworks: &[Framework]| {
        document(frameworks)
            .clauses()
            .map(|clause| clause.id.to_string())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (iso, soc) = (ids(&[Framework::Iso27001]), ids(&[Framework::Soc2]));
    assert!(iso.contains("EL-1") && !soc.contains("EL-1") && soc.contains("CD-8"));
    let nist = ids(&[Framework::Nist80053]);
    assert!(nist.contains("IX-1") && !iso.contains("IX-1"));
    let both = ids(&[Framework::Iso27001, Framework::Nist80053]);
    assert_eq!(both, iso.union(&nist).cloned().collect());
    assert_eq!(ids(&Framework::ALL).len(), 63);
}

#[test]
fn wordings_follow_facts() {
    let text = |files: &Files| {
        let document = read(files).unwrap();
        document.clauses().find(|clause| clause.id.as_str() == "CD-5").unwrap().sentences[0].text.clone()
    };
    let company = filled(&Framework::ALL);
    assert!(text(&company).contains("Acme, Inc. manages itself"));
    let provider = with("parameters.toml", "key_management = \"company\"", "key_management = \"provider\"");
    assert!(text(&provider).contains("AWS manage on behalf of Acme, Inc."));
    let mut own = company;
    own.insert("wording.toml".into(), "[text]\n\"CD-5\" = \"Disks of {company} are encrypted.\"\n".into());
    assert_eq!(text(&own), "Disks of Acme, Inc. are encrypted.");
}

#[test]
fn each_fault_is_named() {
    for (file, from, to, code, key) in [
        ("policy.toml", "format = 1", "format = 2", "format-unknown", "format"),
        ("policy.toml", "version = 1", "version = 0", "version-invalid", "version"),
        ("policy.toml", "author = \"Ann Author\"", "author = \"[name]\"", "text-invalid", "author"),
        ("policy.toml", "2026-12-01", "2026-13-01", "date-invalid", "effective"),
        ("policy.toml", "2027-12-01", "2026-11-01", "dates-contradict", "next_review"),
        ("policy.toml", "\"soc2\"", "\"soc3\"", "framework-unknown", "frameworks"),
        ("policy.toml", "title =", "titel =", "file-shape", "-"),
        ("parameters.toml", "company = \"Acme, Inc.\"", "company = \"TODO\"", "parameter-invalid", "company"),
        ("parameters.toml", "company = \"Acme, Inc.\"", "", "parameter-missing", "company"),
        ("parameters.toml", "company =", "compny = \"x\"\ncompany =", "parameter-unknown", "compny"),
        ("parameters.toml", "every 12 months", "now and then", "parameter-invalid", "review_frequency"),
        (
            "parameters.toml",
            "monitoring = \"agent\"",
            "monitoring = \"perhaps\"",
            "parameter-invalid",
            "monitoring",
        ),
        (
            "parameters.toml",
            "[\"eu-central-1\", \"eu-west-1\"]",
            "[\"eu-central-1\"]",
            "contradicted",
            "regions",
        ),
        ("decisions.toml", "clause = \"AO-2\"", "clause = \"AO-9\"", "clause-unknown", "AO-9"),
        ("decisions.toml", "by = \"Sam Security\"", "by = \"\"", "decider-missing", "RR-2"),
        ("decisions.toml", "date = \"2026-11-20\"", "date = \"soon\"", "date-invalid", "RR-2"),
        (
            "decisions.toml",
            "reason = \"on all hosts of the production network\"",
            "reason = \"ok\"",
            "reason-missing",
            "RR-2",
        ),
        ("decisions.toml", "clause = \"RR-2\"", "clause = \"RR-1\"", "feasible-needless", "RR-1"),
        ("decisions.toml", "clause = \"RR-2\"", "clause = \"RR-1\"", "feasible-undecided", "RR-2"),
        ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"{nobody} does it.\"", "parameter-unknown", "CD-8"),
        ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"It {is so.\"", "wording-invalid", "CD-8"),
        (
            "wording.toml",
            "[text]",
            "[text]\n\"CD-8\" = \"The identifier is never taken from the request itself.\"",
            "guidance-published",
            "CD-8",
        ),
        ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"[Say how.]\"", "guidance-published", "CD-8"),
    ] {
        let found = codes(read(&with(file, from, to)));
        assert!(found.contains(&(code, key.to_owned())), "{file} {from} -> {to}: {found:?}");
    }
    let mut files = filled(&Framework::ALL);
    files.remove("parameters.toml");
    assert_eq!(codes(read(&files)), [("file-missing", "-".to_owned())]);
    files = filled(&Framework::ALL);
    files.insert("notes.txt".into(), String::new());
    assert_eq!(codes(read(&files)), [("file-unknown", "-".to_owned())]);
    files = filled(&Framework::ALL);
    files.insert("wording.toml".into(), "#".repeat(policy::MAX_FILE_BYTES + 1));
    assert_eq!(codes(read(&files)), [("file-long", "-".to_owned())]);
}

#[test]
fn what_no_framework_requires_is_kept_for_a_reason_and_what_one_does_is_not_dropped() {
    let decision = |kind: &str, clause: &str| {
        format!(
            "\n[[{kind}]]\nclause = \"{clause}\"\nreason = \"auditors asked for it\"\nby = \"Sam\"\ndate = \"2026-11-20\"\n"
        )
    };
    let outcome = |more: &str| {
        let mut files = filled(&[Framework::Soc2]);
        let text = files["decisions.toml"].clone() + more;
        files.insert("decisions.toml".into(), text);
        read(&files)
    };
    let kept = outcome(&decision("keep", "EL-1")).unwrap();
    assert!(kept.clauses().any(|clause| clause.id.as_str() == "EL-1"));
    assert_eq!(codes(outcome(&decision("keep", "CD-8"))), [("keep-needless", "CD-8".to_owned())]);
    assert_eq!(codes(outcome(&decision("drop", "CD-8"))), [("drop-required", "CD-8".to_owned())]);
    outcome(&decision("drop", "EL-1")).unwrap();
    let both = decision("keep", "EL-1") + &decision("drop", "EL-1");
    assert_eq!(codes(outcome(&both)), [("drop-kept", "EL-1".to_owned())]);
}

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
    assert_eq!(held(Observed { providers: many(&["GCP"]), ..Observed::default() }), one("providers"));
    assert_eq!(
        held(Observed { deletion_methods: many(&["shredding"]), ..Observed::default() }),
        one("deletion_methods")
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
        deletion_methods: many(&["cryptographic erasure", "and another"]),
        alarm_channels: many(&["text message", "e-mail"]),
        agents: Some(3),
        witnesses: Some(1),
        time_servers: Some(2),
        privileged_review_seconds: Some(7 * 86_400),
    };
    assert_eq!(held(agreed), []);
    let agentless = with("parameters.toml", "monitoring = \"agent\"", "monitoring = \"agentless\"");
    let found =
        codes(Document::read(&agentless, &catalogue(), &Observed { agents: Some(3), ..Observed::default() }));
    assert_eq!(found, one("monitoring"));
}

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

#[test]
fn names_can_t_break_out_of_a_page() {
    let files = with("parameters.toml", "company = \"Acme, Inc.\"", "company = \"A<b onload='x' & *B*\"");
    let document = read(&files).unwrap();
    assert!(
        html(&document).contains("A&lt;b onload=&#39;x&#39; &amp; *B*") && !html(&document).contains("<b ")
    );
    assert!(markdown(&document).contains("A\\<b onload='x' & \\*B\\*"));
}

#[test]
fn a_comparison_names_what_people_are_asked_again_for() {
    let old = document(&Framework::ALL);
    assert!(!compare(&old, &old).asks_again());
    let mut files = with("parameters.toml", "\"eu-west-1\"", "\"us-east-1\"");
    files.insert("wording.toml".into(), "[text]\n\"RR-4\" = \"Only what is needed runs.\"\n".into());
    let text = files["policy.toml"].replace("version = 1", "version = 2");
    files.insert("policy.toml".into(), text);
    let new = read(&files).unwrap();
    let found = compare(&old, &new);
    let ids: Vec<_> = found.clauses.iter().map(|one| (one.clause.to_string(), one.change)).collect();
    assert_eq!(ids, [("RR-4".to_owned(), Change::Changed), ("CD-1".to_owned(), Change::Changed)]);
    assert_eq!(found.versions, (1, 2));
    assert_eq!(
        found.facts,
        [(
            "regions".to_owned(),
            "eu-central-1 and eu-west-1".to_owned(),
            "eu-central-1 and us-east-1".to_owned()
        )]
    );
    let words = &found.clauses[1].words;
    assert!(
        words.contains(&Word::Old("eu-west-1.".into())) && words.contains(&Word::New("us-east-1.".into()))
    );
    let less = compare(&old, &document(&[Framework::Soc2]));
    assert!(less.clauses.iter().any(|one| one.clause.as_str() == "EL-1" && one.change == Change::Removed));
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
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
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

proptest! {
    #[test]
    fn hostile_files_do_no_harm(text in "[a-z\\[\\]=\"{}.\n# -]{0,200}") {
        for file in ["policy.toml", "parameters.toml", "decisions.toml", "wording.toml"] {
            let mut files = filled(&[Framework::Soc2]);
            files.insert(file.into(), text.clone());
            let _ = read(&files);
        }
    }
}
