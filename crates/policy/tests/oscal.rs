//! OSCAL: each model is what NIST's schema says, refers to what is there, says what was assessed, and is the same for the same
//! input. `./check interop` has compliance-trestle read them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "oscal/models.rs"]
mod models;
#[path = "oscal/references.rs"]
mod references;

use std::collections::{BTreeMap, BTreeSet};

use policy::{
    Answers, Assessment, Catalogue, CheckFinding, Document, Exception, Framework, Known, Observation,
    Observed, Registry, Seen, assess, latest, oscal_all, starter,
};
use serde_json::Value as Json;

/// When it is assessed.
const AT: &str = "2026-12-10T12:00:00Z";

/// Two controls that run, one that does not, and nothing for ND-1.
const CONTROLS: &str = r#"
[[control]]
id = "isolation"
title = "Isolation of accounts"
hold = ["enforced"]
holds = ["CD-8"]
text = """
Each query names its account.
A row of another is not there."""
tests = ["crates/store/src/scope.rs::refused"]
evidence = "The log of drills."
open = "Backups are not isolated."
[[control.check]]
id = "drill-isolation"
title = "What is another account's is refused."
kind = "drill"
every = "1 day"
valid = "2 days"
holds = ["CD-8.1"]
[[control.check]]
id = "isolation-reviewed"
title = "Somebody reviewed the rules of isolation."
kind = "manual"
every = "90 days"
valid = "100 days"
holds = ["CD-8.2"]

[[control]]
id = "encryption"
title = "Encryption at rest"
hold = ["enforced", "detected"]
holds = ["CD-5", "CD-7.1"]
text = "Each record is sealed under a key of its own."
tests = ["crates/vault/src/seal.rs::sealed"]
evidence = "The keys' events."
[[control.check]]
id = "records-sealed"
title = "No record is stored in the clear."
kind = "automatic"
every = "90 minutes"
valid = "1 day"

[[control]]
id = "regions"
title = "Regions of stores"
hold = ["detected"]
holds = ["CD-1"]
text = "The stores' regions are compared with the policy's."
tests = ["crates/store/src/region.rs::told"]
evidence = "The log."
needs = "`store.region`"
[[control.check]]
id = "regions-as-stated"
title = "Every store is where the policy says."
kind = "automatic"
every = "1 hour"
valid = "1 day"
"#;
/// What of the policy is kept, so that the files can be read.
const CLAUSES: [&str; 7] = ["RR-2", "RR-4", "CD-1", "CD-5", "CD-7", "CD-8", "ND-1"];

fn catalogue() -> Catalogue {
    static LOADED: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    LOADED.get_or_init(|| Catalogue::load().unwrap()).clone()
}

fn registry() -> Registry {
    Registry::read(&catalogue(), &[("controls/test.toml", CONTROLS)]).unwrap()
}

/// A policy of few clauses, one of them in the organisation's own words, and keys that a provider manages.
fn document() -> Document {
    let catalogue = catalogue();
    let answers = Answers {
        company: "Acme, Inc.".into(),
        author: "Ann Author".into(),
        frameworks: vec![Framework::Gdpr],
        effective: "2026-12-01".into(),
        next_review: "2027-12-01".into(),
    };
    let mut files = starter(&catalogue, &answers);
    let value = |one: &policy::Parameter| match one.name.as_str() {
        "company" => "\"Acme, Inc.\"".to_owned(),
        "key_management" => "\"provider\"".to_owned(),
        _ => one.example.to_string(),
    };
    let parameters = catalogue.parameters().iter().map(|one| format!("{} = {}\n", one.name, value(one)));
    files.insert("parameters.toml".into(), parameters.collect());
    let decisions = files["decisions.toml"]
        .replace("reason = \"TODO\"", "reason = \"on all hosts of production\"")
        .replace("by = \"TODO\"", "by = \"Sam Security\"")
        .replace("date = \"TODO\"", "date = \"2026-11-20\"");
    files.insert("decisions.toml".into(), decisions);
    let own = "[text]\n\"RR-4\" = \"Nothing runs at {company} that nobody needs.\"\n";
    files.insert("wording.toml".into(), own.into());
    let mut document = Document::read(&files, &catalogue, &Observed::default()).unwrap();
    for section in &mut document.sections {
        section.clauses.retain(|clause| CLAUSES.contains(&clause.id.as_str()));
    }
    document.sections.retain(|section| !section.clauses.is_empty());
    document
}

fn observation(event: &str, check: &str, when: &str, seen: Seen) -> Observation {
    let when = when.parse().unwrap();
    let manual = check.contains("review") || check.contains('/');
    Observation {
        event: event.into(),
        check: check.into(),
        effective: when,
        collected: when,
        received: when,
        by: if manual { "Sam Security" } else { "srv_1" }.into(),
        seen,
        examined: 12,
        failed: u64::from(seen == Seen::Fail),
        summary: match seen {
            Seen::Pass => "12 were looked at.",
            Seen::Fail => "1 of 12 is in the clear.",
            Seen::Unknown => "The store did not answer.",
        }
        .into(),
        document: manual.then(|| "ab".repeat(32)),
    }
}

/// CD-8.1 is satisfied and CD-8.2 stale, CD-5 and CD-7.1 fail, RR-4's own words are attested by nobody, nothing holds ND-1 and
/// RR-2, which does not apply; what CD-1's control needs is not configured.
fn assessment() -> Assessment {
    let seen = [
        observation("evt_1", "drill-isolation", "2026-12-10T03:00:00Z", Seen::Pass),
        observation("evt_2", "isolation-reviewed", "2026-08-01T09:00:00Z", Seen::Pass),
        observation("evt_4", "records-sealed", "2026-12-10T11:00:00Z", Seen::Fail),
        observation("evt_5", "records-sealed", "2026-12-10T11:30:00Z", Seen::Unknown),
    ];
    let at = AT.parse().unwrap();
    let exception = |event: &str, clause: &str, not_applicable| Exception {
        event: event.into(),
        clause: clause.parse().unwrap(),
        not_applicable,
        reason: "There is no repository yet.".into(),
        owner: "Olga Owner".into(),
        by: "Sam Security".into(),
        from: "2026-12-01T00:00:00Z".parse().unwrap(),
        until: "2027-03-01T00:00:00Z".parse().unwrap(),
        ended: None,
    };
    let known = Known {
        latest: latest(&seen, at),
        absent: BTreeSet::from(["regions".to_owned()]),
        exceptions: vec![exception("evt_6", "RR-2", true), exception("evt_7", "CD-5", false)],
    };
    assess(&document(), &registry(), &known, at)
}

/// One that is open, one that was closed, and one of after the assessment.
fn findings() -> Vec<CheckFinding> {
    let finding = |event: &str, check: &str, opened: &str, closed: Option<&str>| CheckFinding {
        event: event.into(),
        check: check.into(),
        opened: opened.parse().unwrap(),
        closed: closed.map(|at| at.parse().unwrap()),
        summary: "1 of 12 is in the clear.".into(),
    };
    vec![
        finding("evt_3", "records-sealed", "2026-12-09T11:00:00Z", None),
        finding("evt_0", "drill-isolation", "2026-12-02T03:00:00Z", Some("2026-12-02T04:00:00Z")),
        finding("evt_9", "drill-isolation", "2026-12-11T03:00:00Z", None),
    ]
}

fn all() -> Vec<(&'static str, Json)> {
    oscal_all(&catalogue(), &registry(), &document(), &assessment(), &findings())
}

fn models() -> BTreeMap<&'static str, Json> {
    all().into_iter().collect()
}
