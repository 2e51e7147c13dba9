//! Documents: what is right becomes one, what is wrong is named, what is published holds no guidance.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "document/faults.rs"]
mod faults;
#[path = "document/observed.rs"]
mod observed;
#[path = "document/published.rs"]
mod published;

use std::collections::BTreeSet;

use policy::{
    Answers, Catalogue, Change, Document, Files, Finding, Framework, Manifest, Observed, Word, compare,
    markdown, starter,
};

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
    // Many clauses need it, and it is missed once.
    let missing = with("parameters.toml", "company = \"Acme, Inc.\"\n", "");
    assert_eq!(codes(read(&missing)), [("parameter-missing", "company".to_owned())]);
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
    // What was decided of a clause is part of what people acknowledge.
    let text = files["decisions.toml"].replacen("holds = true", "holds = false", 1);
    files.insert("decisions.toml".into(), text);
    let found = compare(&new, &read(&files).unwrap());
    let ids: Vec<_> = found.clauses.iter().map(|one| one.clause.to_string()).collect();
    assert_eq!(ids, ["RR-2"]);
    assert!(found.clauses[0].words.contains(&Word::New("not".into())));
    // A wording that is too long to be compared word by word is shown whole.
    let long = "so it is ".repeat(200);
    files.insert("wording.toml".into(), format!("[text]\n\"RR-4\" = \"{long}.\"\n"));
    let found = compare(&new, &read(&files).unwrap());
    let words = &found.clauses.iter().find(|one| one.clause.as_str() == "RR-4").unwrap().words;
    assert!(matches!(words.as_slice(), [Word::Old(_), Word::New(_)]), "{words:?}");
    let less = compare(&old, &document(&[Framework::Soc2]));
    assert!(less.clauses.iter().any(|one| one.clause.as_str() == "EL-1" && one.change == Change::Removed));
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
