//! Documents: what is right becomes one, what is wrong is named, what is published holds no guidance.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use policy::{
    Answers, Catalogue, Change, Code, Document, Files, Finding, Framework, Manifest, Observed, Word, Wording,
    compare, html, lint, markdown, starter,
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
    outcome.err().unwrap_or_default().into_iter().map(|one| (one.code.as_str(), one.key)).collect()
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
        found.iter().all(|one| ["placeholder-left", "reason-missing", "decider-missing", "date-invalid"]
            .contains(&one.code.as_str())),
        "{found:?}"
    );
    assert!(found.iter().all(|one| one.line.is_some()), "{found:?}");
    assert!(found.iter().any(|one| one.key == "regions" && one.message.contains("eu-central-1")));
}

#[test]
fn frameworks_choose_clauses_and_several_are_a_union() {
    let ids = |frameworks: &[Framework]| {
        document(frameworks).clauses().map(|clause| clause.id.to_string()).collect::<BTreeSet<_>>()
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

/// A file, a text in it, what to put there, and the code, key and line that are to be found.
type Fault = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<usize>);

/// Faults that are planted by replacing a text.
const FAULTS: &[Fault] = &[
    ("policy.toml", "format = 1", "format = 2", "format-unknown", "format", Some(2)),
    ("policy.toml", "version = 1", "version = 0", "version-invalid", "version", Some(5)),
    ("policy.toml", "version = 1", "version = 99999999999999999999", "field-invalid", "version", Some(5)),
    ("policy.toml", "author = \"Ann Author\"", "author = \"[name]\"", "placeholder-left", "author", Some(6)),
    ("policy.toml", "author = \"Ann Author\"", "author = \" \"", "text-invalid", "author", Some(6)),
    ("policy.toml", "author = \"Ann Author\"", "author = \"Ann\\nB\"", "text-invalid", "author", Some(6)),
    (
        "policy.toml",
        "author = \"Ann Author\"",
        "author = \"The identifier is never taken from the  request itself\"",
        "guidance-published",
        "author",
        Some(6),
    ),
    ("policy.toml", "2026-12-01", "2026-13-01", "date-invalid", "effective", Some(9)),
    ("policy.toml", "2026-12-01", "2027-02-29", "date-invalid", "effective", Some(9)),
    ("policy.toml", "2027-12-01", "2026-11-01", "dates-contradict", "next_review", Some(10)),
    ("policy.toml", "2027-12-01", "2026-12-01", "dates-contradict", "next_review", Some(10)),
    ("policy.toml", "\"soc2\"", "\"soc3\"", "framework-unknown", "frameworks", Some(8)),
    ("policy.toml", "frameworks = [", "frameworks = []\n#", "frameworks-none", "frameworks", Some(8)),
    ("policy.toml", "title =", "titel =", "field-unknown", "titel", Some(3)),
    ("policy.toml", "title =", "titel =", "field-missing", "title", None),
    ("policy.toml", "version = 1", "version = \"1\"", "field-invalid", "version", Some(5)),
    ("policy.toml", "version = 1", "version =", "file-syntax", "-", Some(5)),
    ("policy.toml", "format = 1", "format = 1\nformat = 1", "file-syntax", "-", Some(3)),
    (
        "parameters.toml",
        "company = \"Acme, Inc.\"",
        "company = \"TODO\"",
        "placeholder-left",
        "company",
        Some(1),
    ),
    (
        "parameters.toml",
        "company = \"Acme, Inc.\"",
        "company = \"{company}\"",
        "placeholder-left",
        "company",
        Some(1),
    ),
    ("parameters.toml", "company = \"Acme, Inc.\"", "", "parameter-missing", "company", None),
    (
        "parameters.toml",
        "company = \"Acme, Inc.\"",
        "company = \"What is not part of it is found by comparing\"",
        "guidance-published",
        "company",
        Some(1),
    ),
    ("parameters.toml", "company =", "compny = \"x\"\ncompany =", "parameter-unknown", "compny", Some(1)),
    ("parameters.toml", "company =", "[company]\nname =", "field-unknown", "company", Some(1)),
    ("parameters.toml", "every 12 months", "now and then", "parameter-invalid", "review_frequency", Some(9)),
    ("parameters.toml", "\"agent\"", "\"perhaps\"", "parameter-invalid", "monitoring", Some(7)),
    ("parameters.toml", ", \"eu-west-1\"]", "]", "contradicted", "regions", Some(3)),
    ("decisions.toml", "clause = \"AO-2\"", "clause = \"AO-9\"", "clause-unknown", "AO-9", Some(15)),
    ("decisions.toml", "by = \"Sam Security\"", "by = \"\"", "decider-missing", "RR-2", Some(10)),
    ("decisions.toml", "by = \"Sam Security\"", "", "field-missing", "by", Some(6)),
    ("decisions.toml", "date = \"2026-11-20\"", "date = \"soon\"", "date-invalid", "RR-2", Some(11)),
    ("decisions.toml", "reason = \"on", "reason = \"ok\" #", "reason-missing", "RR-2", Some(9)),
    ("decisions.toml", "reason = \"on", "reason = \"TODO: write it\" #", "reason-missing", "RR-2", Some(9)),
    (
        "decisions.toml",
        "reason = \"on",
        "reason = \"Accounts that reach production are off unless somebody else has switched them on for a reason and a time.\" #",
        "guidance-published",
        "RR-2",
        Some(9),
    ),
    ("decisions.toml", "holds = true", "holds = \"yes\"", "field-invalid", "holds", Some(8)),
    ("decisions.toml", "holds = true", "", "field-missing", "holds", Some(6)),
    ("decisions.toml", "clause = \"RR-2\"", "clause = \"RR-1\"", "feasible-needless", "RR-1", Some(7)),
    ("decisions.toml", "clause = \"RR-2\"", "clause = \"RR-1\"", "feasible-undecided", "RR-2", None),
    ("decisions.toml", "clause = \"AO-2\"", "clause = \"RR-2\"", "decision-twice", "RR-2", Some(15)),
    ("decisions.toml", "[[feasible]]\nclause", "[[feasable]]\nclause", "field-unknown", "feasable", Some(6)),
    ("decisions.toml", "[[feasible]]\nclause", "[[keep]]\nclause", "keep-needless", "RR-2", Some(7)),
    ("decisions.toml", "[[feasible]]\nclause", "[[drop]]\nclause", "drop-required", "RR-2", Some(7)),
    (
        "wording.toml",
        "[text]",
        "[text]\n\"CD-8\" = \"{nobody} does it.\"",
        "parameter-unknown",
        "CD-8",
        Some(3),
    ),
    ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"It {is so.\"", "wording-invalid", "CD-8", Some(3)),
    ("wording.toml", "[text]", "[text]\n\"CD-8\" = 8", "field-invalid", "CD-8", Some(3)),
    ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"\"", "wording-invalid", "CD-8", Some(3)),
    (
        "wording.toml",
        "[text]",
        "[text]\n\"CD-8\" = \"At {company} the identifier is never taken from the request itself!\"",
        "guidance-published",
        "CD-8",
        Some(3),
    ),
    ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"[Say how.]\"", "placeholder-left", "CD-8", Some(3)),
    (
        "wording.toml",
        "[text]",
        "[text]\n\"CD-8\" = \"At {{company}}, it is.\"",
        "placeholder-left",
        "CD-8",
        Some(3),
    ),
    ("wording.toml", "[text]", "[text]\n\"CD-99\" = \"It is.\"", "clause-unknown", "CD-99", Some(3)),
    ("wording.toml", "[text]", "[txt]", "field-unknown", "txt", Some(2)),
    (
        "wording.toml",
        "[text]",
        "[text]\n\"CD-8\" = \"Where  feasible, customers are apart.\"",
        "feasible-undecided",
        "CD-8",
        None,
    ),
];

#[test]
fn each_fault_is_named() {
    for (file, from, to, code, key, line) in FAULTS {
        let found = lint(&with(file, from, to), &catalogue(), &Observed::default());
        let is_it = |one: &Finding| one.code.as_str() == *code && one.key == *key && one.line == *line;
        assert!(found.iter().any(is_it), "{file} {from} -> {to}: {found:#?}");
    }
    let with_file = |name: &str, text: Option<&str>| {
        let mut files = filled(&Framework::ALL);
        match text {
            Some(text) => files.insert(name.into(), text.into()),
            None => files.remove(name),
        };
        codes(read(&files))
    };
    assert_eq!(with_file("parameters.toml", None), [("file-missing", "-".to_owned())]);
    assert_eq!(with_file("notes.txt", Some("")), [("file-unknown", "-".to_owned())]);
    let long = "#".repeat(policy::MAX_FILE_BYTES + 1);
    assert_eq!(with_file("wording.toml", Some(&long)), [("file-long", "-".to_owned())]);
}

/// A code that nothing plants would be a check that can't fail.
#[test]
fn each_code_has_a_fault_that_brings_it_and_a_clean_policy_has_none() {
    let elsewhere = ["file-missing", "file-unknown", "file-long", "drop-kept", "wording-unused"];
    let planted: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.3).chain(elsewhere).collect();
    assert_eq!(planted, Code::ALL.iter().map(|code| code.as_str()).collect());
    for framework in Framework::ALL {
        assert_eq!(lint(&filled(&[framework]), &catalogue(), &Observed::default()), []);
    }
    assert_eq!(lint(&filled(&Framework::ALL), &catalogue(), &Observed::default()), []);
}

#[test]
fn faults_of_all_files_are_told_at_once_and_none_that_only_follows() {
    let mut files = filled(&Framework::ALL);
    for (file, from, to) in [
        ("policy.toml", "version = 1", "version = 0"),
        ("policy.toml", "title =", "titel ="),
        ("parameters.toml", "company = \"Acme, Inc.\"", "company = \"TODO\""),
        ("parameters.toml", "every 12 months", "now and then"),
        ("decisions.toml", "by = \"Sam Security\"", "by = \"\""),
        ("wording.toml", "[text]", "[text]\n\"CD-8\" = \"It {is so.\""),
    ] {
        let text = files[file].replacen(from, to, 1);
        files.insert(file.into(), text);
    }
    let found = read(&files).unwrap_err();
    let told: Vec<_> = found.iter().map(|one| (one.code.as_str(), one.key.as_str())).collect();
    assert_eq!(
        told,
        [
            ("field-missing", "title"),
            ("field-unknown", "titel"),
            ("version-invalid", "version"),
            ("placeholder-left", "company"),
            ("parameter-invalid", "review_frequency"),
            ("decider-missing", "RR-2"),
            ("wording-invalid", "CD-8"),
        ]
    );
    // One file that is no TOML hides nothing of the others.
    for broken in ["policy.toml", "parameters.toml", "decisions.toml"] {
        let mut files = with("wording.toml", "[text]", "[text]\n\"CD-8\" = \"It {is so.\"");
        files.insert(broken.into(), "= =\n".into());
        let found = codes(read(&files));
        let is_syntax = |one: &&(&str, String)| one.0 == "file-syntax";
        assert!(found.iter().any(|one| one.0 == "wording-invalid"), "{broken}: {found:?}");
        assert_eq!(found.iter().filter(is_syntax).count() + 1, found.len(), "{broken}: {found:?}");
    }
}

#[test]
fn the_company_has_a_name_whatever_the_clauses_say() {
    let mut files = filled(&[Framework::Soc2]);
    let clauses = document(&[Framework::Soc2]);
    let own: String =
        clauses.clauses().map(|clause| format!("\"{}\" = \"It is so.\"\n", clause.id)).collect();
    files.insert("wording.toml".into(), format!("[text]\n{own}"));
    assert_eq!(read(&files).unwrap().parameters.keys().collect::<Vec<_>>(), ["company"]);
    let text = files["parameters.toml"].replace("company = \"Acme, Inc.\"\n", "");
    files.insert("parameters.toml".into(), text);
    assert_eq!(codes(read(&files)), [("parameter-missing", "company".to_owned())]);
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
    let twice = decision("keep", "EL-1") + &decision("keep", "EL-1");
    assert_eq!(codes(outcome(&twice)), [("decision-twice", "EL-1".to_owned())]);
    let mut files = filled(&[Framework::Soc2]);
    files.insert("wording.toml".into(), "[text]\n\"EL-1\" = \"Events are recorded.\"\n".into());
    assert_eq!(codes(read(&files)), [("wording-unused", "EL-1".to_owned())]);
    let text = files["decisions.toml"].clone() + &decision("keep", "EL-1");
    files.insert("decisions.toml".into(), text);
    let document = read(&files).unwrap();
    assert!(markdown(&document).contains("Kept: auditors asked for it (Sam, 2026-11-20)"));
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

#[test]
fn what_is_published_does_not_change_without_the_hash() {
    let document = document(&[Framework::Iso27001, Framework::Nist80053]);
    let hash = document.manifest().sha256;
    type Edit = (&'static str, fn(&mut Document));
    let changes: [Edit; 12] = [
        ("title", |one| one.title.push('x')),
        ("company", |one| one.company.push('x')),
        ("version", |one| one.version += 1),
        ("author", |one| one.author.push('x')),
        ("effective", |one| one.effective = "2026-12-02".into()),
        ("next review", |one| one.next_review = "2027-12-02".into()),
        ("frameworks", |one| one.frameworks = [Framework::Iso27001].into()),
        ("section", |one| one.sections[0].title.push('x')),
        ("clause", |one| one.sections[0].clauses[0].title.push('x')),
        ("sentence", |one| one.sections[0].clauses[1].sentences[0].text.push('x')),
        ("feasible", |one| one.sections[0].clauses[1].feasible.as_mut().unwrap().holds = false),
        ("why", |one| {
            one.sections[0].clauses[0].chosen = policy::Chosen::Kept(policy::Decided::default());
        }),
    ];
    for (what, change) in changes {
        let mut other = document.clone();
        change(&mut other);
        assert_ne!(other.manifest().sha256, hash, "{what}");
        assert!(markdown(&other) != markdown(&document), "{what} is not published");
    }
    // A clause that moves to the section before is not where it was.
    let mut moved = document.clone();
    let clause = moved.sections[1].clauses.remove(0);
    moved.sections[0].clauses.push(clause);
    assert_ne!(moved.manifest().sha256, hash);
    // Who acknowledged a clause is not asked again because one more framework requires it.
    let alone = self::document(&[Framework::Soc2]);
    let both = self::document(&[Framework::Soc2, Framework::Hipaa]);
    assert_eq!(alone.manifest().clauses, both.manifest().clauses);
    assert_ne!(alone.manifest().sha256, both.manifest().sha256);
    assert!(!compare(&alone, &both).asks_again());
    let manifest = alone.manifest();
    let text = serde_json::to_string(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    assert!(serde_json::from_str::<Manifest>(&text.replacen("RR-1", "RR1", 1)).is_err());
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
/// What is scribbled into files.
const SCRIBBLES: [&str; 12] = [
    "",
    "[",
    "]]",
    "[[feasible]]\n",
    "[text]\n",
    "= ",
    "\"",
    "'''",
    "\u{0}",
    "\u{202e}",
    "\na.b = {c = [1, {d = 2}]}\n",
    "\nversion = -0x1\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

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

    /// A policy that was cut, spliced and scribbled on is read without panic, and each finding is on a line that there is.
    #[test]
    fn hostile_files_do_no_harm(
        file in proptest::sample::select(vec!["policy.toml", "parameters.toml", "decisions.toml", "wording.toml"]),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0..12_usize, 0..16_usize), 1..6),
    ) {
        let mut files = filled(&[Framework::Iso27001]);
        let mut text: Vec<char> = files[file].chars().collect();
        for (at, scribble, cut) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, SCRIBBLES[scribble].chars());
        }
        let text: String = text.into_iter().collect();
        let lines = text.matches('\n').count() + 1;
        files.insert(file.into(), text);
        let found = lint(&files, &catalogue(), &Observed::default());
        prop_assert_eq!(found.is_empty(), read(&files).is_ok());
        for finding in found {
            let is_there = finding.line.is_none_or(|line| (1..=lines).contains(&line));
            prop_assert!(finding.file != file || is_there, "{}", finding);
            prop_assert!(!finding.to_string().contains(char::is_control), "{}", finding);
        }
    }
}
