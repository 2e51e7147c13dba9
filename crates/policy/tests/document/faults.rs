//! What lint refuses: each fault is planted, and named by code, key and line.

use std::collections::BTreeSet;

use policy::{Code, Finding, Framework, Observed, lint};
use proptest::prelude::*;

use crate::{catalogue, codes, filled, read, with};

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
        "reason = \"Nobody holds such access until a second person grants it, for a reason and up to an hour that are written down.\" #",
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

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
