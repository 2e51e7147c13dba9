//! Documents to print, and what other programs read in a file.

use std::process::Command;

use policy::{Answers, Catalogue, Document, Files, Framework, Observed, starter};
use print::Adoption;

/// Names that mean something to typst, XML, Word or a shell.
pub(crate) const HOSTILE: [&str; 12] = [
    "#panic(\"x\")",
    "*x* _y_ `z` $1 + 1$ = Heading",
    "<b>&amp;</b> <!-- --> ]]>",
    "\\ \\u{41} // no comment /* none */",
    "#include \"/etc/passwd\"",
    "@CD-8 <CD-8> ~ --- ... #[",
    "\"quoted\" 'twice' & Söhne, Żółć",
    "- list + enum / term: x",
    "{ PAGE } %s ${HOME} $(id)",
    "https://example.com/?a=1&b=2#c",
    "Ελλάς Россия \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "x\u{a0}y  z",
];

/// A policy with everything filled in, for all frameworks.
pub(crate) fn document(company: &str) -> Document {
    let catalogue = Catalogue::load().unwrap();
    let answers = Answers {
        company: company.into(),
        author: "Ann Author".into(),
        frameworks: Framework::ALL.to_vec(),
        effective: "2026-12-01".into(),
        next_review: "2027-12-01".into(),
    };
    let mut files: Files = starter(&catalogue, &answers);
    let parameters = catalogue.parameters().iter().map(|one| {
        let quoted = format!("'''{company}'''");
        let value = if one.name == "company" { quoted } else { one.example.to_string() };
        format!("{} = {value}\n", one.name)
    });
    files.insert("parameters.toml".into(), parameters.collect());
    let decisions = files["decisions.toml"]
        .replace("reason = \"TODO\"", "reason = \"on all hosts of the production network\"")
        .replace("by = \"TODO\"", "by = \"Sam Security\"")
        .replace("date = \"TODO\"", "date = \"2026-11-20\"");
    files.insert("decisions.toml".into(), decisions);
    let read = Document::read(&files, &catalogue, &Observed::default());
    read.unwrap_or_else(|found| panic!("{found:?}"))
}

/// A document with a text at each place where somebody's may be, however it came there.
pub(crate) fn with_text(text: &str) -> Document {
    let mut document = document("Acme, Inc.");
    document.title = format!("1{text}");
    document.company = format!("2{text}");
    document.author = format!("3{text}");
    let section = &mut document.sections[0];
    section.title = format!("4{text}");
    let clause = &mut section.clauses[1];
    clause.title = format!("5{text}");
    clause.sentences[0].text = format!("6{text}");
    clause.feasible.as_mut().unwrap().decided.reason = format!("7{text}");
    clause.chosen = policy::Chosen::Kept(policy::Decided {
        reason: format!("8{text}"),
        by: "Sam".into(),
        date: "2026-11-20".into(),
    });
    document
}

pub(crate) fn adoption(document: &Document) -> Adoption {
    Adoption {
        adopted: "2026-11-30".into(),
        approvers: vec!["Olivia Owner".into(), "Sam Security".into()],
        sha256: document.manifest().sha256,
    }
}

/// What a program of a Debian package makes of a file.
pub(crate) fn run(program: &str, package: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|error| {
        panic!("{program}: {error}: install Debian's package {package} (`./check packages` does)")
    });
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Without white space, which a line break may have taken the place of.
pub(crate) fn dense(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// That each sentence stands in the text with its id before it, in order, and everything else that is published.
pub(crate) fn holds_everything(text: &str, document: &Document) {
    let text = dense(text);
    let mut rest = text.as_str();
    let mut next = |wanted: &str, what: &str| {
        let wanted = dense(wanted);
        let at = rest.find(&wanted);
        let at = at.unwrap_or_else(|| panic!("{what} is not there, or not in order: {wanted}"));
        rest = &rest[at + wanted.len()..];
    };
    let first = document.clauses().next().unwrap();
    next(&document.title, "the title");
    next("Contents", "the contents");
    // The contents have the title of each clause; the text itself begins after them.
    next("Appendix: hashes", "the last of the contents");
    assert!(!first.sentences.is_empty());
    for section in &document.sections {
        next(&section.title, "a section");
        for clause in &section.clauses {
            next(&format!("{} {}", clause.id, clause.title), "a clause");
            for sentence in &clause.sentences {
                next(&format!("{} {}", sentence.id, sentence.text), "a sentence");
            }
            if let Some(decided) = &clause.feasible {
                next(&format!("Where feasible: {}", policy::feasible(decided)), "a decision");
            }
            next(&policy::why(clause), "why");
        }
    }
    next("Appendix: hashes", "the appendix");
    for hash in document.manifest().clauses {
        next(&format!("{}{}", hash.clause, hash.sha256), "a hash");
    }
    for (name, value) in policy::head(document) {
        assert!(text.contains(&dense(&format!("{name}{value}"))), "{name}");
    }
    assert!(text.contains(&document.manifest().sha256));
}
