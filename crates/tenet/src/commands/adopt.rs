//! Versions of the policy on a server: put up, approved, acknowledged.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write as _},
    path::Path,
};

use ::policy::{Change, Document, Files};
use print::Adoption;
use serde_json::{Value, json};
use watch::{Standing, StoredVersion, Version, VersionSummary};

use super::{Session, policy};
use crate::{
    cli::PolicyFormat,
    client::Api,
    failure::{Exit, Failure},
    output::{self, Column},
};

const VERSIONS: &[Column] = &[
    ("version", "/version"),
    ("standing", "/standing"),
    ("effective", "/effective"),
    ("next review", "/next_review"),
    ("proposed by", "/proposed_by"),
    ("approved by", "/approved_by"),
    ("sha256", "/sha256"),
];
const ACKNOWLEDGED: &[Column] =
    &[("version", "/version"), ("by", "/by"), ("at", "/at"), ("sha256", "/sha256")];
const PEOPLE: &[Column] = &[("who", "/who"), ("acknowledged", "/acknowledged"), ("asked for", "/clauses")];

/// As a row: the days of it, and who approved it.
fn row(version: &Value) -> Value {
    let mut row = version.clone();
    let text = |name: &str| version.get(name).and_then(Value::as_str).unwrap_or_default();
    let day = |name: &str| json!(text(name).chars().take(10).collect::<String>());
    let approvals = version.get("approvals").and_then(Value::as_array);
    let by: Vec<&Value> = approvals.into_iter().flatten().filter_map(|one| one.get("by")).collect();
    let (effective, next_review, by) = (day("effective"), day("next_review"), json!(by));
    if let Some(map) = row.as_object_mut() {
        map.insert("effective".to_owned(), effective);
        map.insert("next_review".to_owned(), next_review);
        map.insert("approved_by".to_owned(), by);
    }
    row
}

/// An answer that is not what this program expects.
fn odd(error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Failure, "answer", "the server's answer is not what this version of `tenet` expects")
        .why(error.to_string())
        .remedy("use the `tenet` of the server's version")
}

pub(super) async fn propose(session: &Session, files: &Files) -> Result<(), Failure> {
    let api = session.operator()?;
    let made = api.post(&["v1", "policy", "versions"], &json!({ "files": files })).await?.body;
    session.out.item(&if session.out.is_json() { made.clone() } else { row(&made) }, VERSIONS)?;
    if !session.out.is_json() {
        let number = made.get("version").map(ToString::to_string).unwrap_or_default();
        output::note(&format!("another administrator approves it: `tenet policy approve {number}`"));
    }
    Ok(())
}

pub(super) async fn versions(session: &Session) -> Result<(), Failure> {
    let api = session.operator()?;
    let found = api.get(&["v1", "policy", "versions"], &[]).await?.body;
    let items = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if session.out.is_json() {
        return session.out.list(&items, VERSIONS);
    }
    session.out.list(&items.iter().map(row).collect::<Vec<_>>(), VERSIONS)
}

/// A version, as the server has it.
pub(super) async fn read(api: &Api, version: Option<u32>) -> Result<StoredVersion, Failure> {
    let found = match version {
        Some(number) => api.get(&["v1", "policy", "versions", &number.to_string()], &[]).await?.body,
        None => api.get(&["v1", "policy"], &[]).await?.body,
    };
    serde_json::from_value(found).map_err(|error| odd(&error))
}

pub(super) async fn version(session: &Session, number: u32, out: Option<&Path>) -> Result<(), Failure> {
    let api = session.operator()?;
    let found = read(&api, Some(number)).await?;
    if let Some(out) = out {
        write_files(out, &found.files)?;
        let line = format!("`{}` holds the files of version {number}", out.display());
        return session
            .out
            .say(&line, &json!({ "directory": out, "files": found.files.keys().collect::<Vec<_>>() }));
    }
    if session.out.is_json() {
        return session.out.document(&json!(found));
    }
    let VersionSummary { version, standing } = &found.summary;
    let mut shown = row(&json!(version));
    if let Some(map) = shown.as_object_mut() {
        map.insert("standing".to_owned(), json!(standing.as_str()));
    }
    session.out.item(&shown, VERSIONS)?;
    let people: Vec<Value> = found
        .outstanding
        .people
        .iter()
        .map(|person| {
            let done = found.acknowledgements.iter().find(|one| one.by == person.who);
            json!({ "who": person.who, "acknowledged": done.map(|one| one.at), "clauses": person.clauses })
        })
        .collect();
    if people.is_empty() {
        return Ok(());
    }
    session.out.text("\n")?;
    session.out.list(&people, PEOPLE)
}

/// Files into a directory that is new or empty.
fn write_files(out: &Path, files: &Files) -> Result<(), Failure> {
    let is_used = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        return Err(Failure::usage(format!("`{}` is not empty", out.display()))
            .remedy("give a directory that is new, or empty: nothing is written over"));
    }
    fs::create_dir_all(out).map_err(|error| Failure::file("can't make", out, &error))?;
    for (name, text) in files {
        // The names come from a server: nothing but a plain name of a file is taken.
        let is_plain = name.ends_with(".toml") && !name.contains(['/', '\\']) && !name.starts_with('.');
        if !is_plain {
            return Err(Failure::new(
                Exit::Failure,
                "answer",
                format!("`{name}` is no name of a policy's file"),
            ));
        }
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| Failure::file("can't write", &path, &error))?;
    }
    Ok(())
}

/// Whoever sits at the terminal says yes; nobody does, and it is refused.
fn agreed(question: &str, otherwise: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked").remedy(otherwise));
    }
    let failed = |error: io::Error| {
        Failure::new(Exit::Failure, "input", "nothing can be asked").why(error.to_string())
    };
    write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn declined() -> Failure {
    Failure::new(Exit::Conflict, "declined", "nothing was done")
}

/// An adopted version in a form, with who approved it.
pub(super) async fn print(
    session: &Session,
    number: Option<u32>,
    format: PolicyFormat,
) -> Result<Vec<u8>, Failure> {
    let api = session.operator()?;
    let found = read(&api, number).await?;
    let adoption = adoption(&found.summary.version);
    if adoption.is_none() {
        let version = found.summary.version.version;
        return Err(Failure::new(Exit::Conflict, "not-adopted", format!("version {version} is not adopted"))
            .remedy("`tenet policy render DIR` writes a draft"));
    }
    policy::printed(&found.document, format, adoption.as_ref(), found.note.as_deref())
}

/// That a version was adopted, as it is printed.
pub(super) fn adoption(version: &Version) -> Option<Adoption> {
    let day = version.adopted_at?.to_string().chars().take(10).collect();
    let approvers = version.approvals.iter().map(|one| one.by.clone()).collect();
    Some(Adoption { adopted: day, approvers, sha256: version.sha256.clone() })
}

/// What changed between two documents, in words.
fn changes(old: Option<&Document>, new: &Document) -> String {
    let Some(old) = old else {
        return format!("{}: {} clauses; none is in effect before it\n", new.title, new.clauses().count());
    };
    let found = ::policy::compare(old, new);
    let mut text = format!("version {} to {}\n", found.versions.0, found.versions.1);
    for (name, was, is) in &found.facts {
        text.push_str(&format!("  {name}: {was} -> {is}\n"));
    }
    for one in &found.clauses {
        let word = match one.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        };
        text.push_str(&format!("  {} {word}\n", one.clause));
    }
    text
}

pub(super) async fn approve(session: &Session, number: u32, sha256: Option<String>) -> Result<(), Failure> {
    let api = session.operator()?;
    let sha256 = match sha256 {
        Some(sha256) => sha256,
        None => {
            let found = read(&api, Some(number)).await?;
            let before = in_effect(&api, number).await?;
            output::note(&changes(before.as_ref(), &found.document));
            let hash = found.summary.version.sha256;
            output::note(&format!(
                "`tenet policy versions {number} --out DIR` writes its files; its hash is {hash}"
            ));
            let otherwise = format!("look at it, then give --sha256 {hash}");
            if !agreed(&format!("Approve version {number}?"), &otherwise)? {
                return Err(declined());
            }
            hash
        }
    };
    let path = ["v1", "policy", "versions", &number.to_string(), "approve"];
    let done = api.post(&path, &json!({ "sha256": sha256 })).await?.body;
    session.out.item(&if session.out.is_json() { done } else { row(&done) }, VERSIONS)
}

/// The document that is in effect, if it is another version.
async fn in_effect(api: &Api, but: u32) -> Result<Option<Document>, Failure> {
    let found = read(api, None).await?;
    let is_it = found.summary.standing == Standing::InEffect && found.summary.version.version != but;
    Ok(is_it.then_some(found.document))
}

pub(super) async fn acknowledge(
    session: &Session,
    number: Option<u32>,
    sha256: Option<String>,
) -> Result<(), Failure> {
    let api = session.operator()?;
    let (number, sha256) = match (number, sha256) {
        (Some(number), Some(sha256)) => (number, sha256),
        (number, given) => {
            let found = read(&api, number).await?;
            let version = &found.summary.version;
            let (number, hash) = (version.version, version.sha256.clone());
            match given {
                Some(sha256) => (number, sha256),
                None => {
                    read_out(&api, &found)?;
                    let otherwise = format!("read it, then give {number} --sha256 {hash}");
                    if !agreed(&format!("Acknowledge version {number}?"), &otherwise)? {
                        return Err(declined());
                    }
                    (number, hash)
                }
            }
        }
    };
    let path = ["v1", "policy", "versions", &number.to_string(), "acknowledge"];
    let done = api.post(&path, &json!({ "sha256": sha256 })).await?.body;
    session.out.item(&done, ACKNOWLEDGED)
}

/// The clauses that whoever acts has not acknowledged as they read now.
fn read_out(api: &Api, found: &StoredVersion) -> Result<(), Failure> {
    let me = api.profile().map(|profile| profile.subject.id()).unwrap_or_default();
    let asked = found.outstanding.people.iter().find(|one| one.who == me);
    let clauses = asked.map(|one| one.clauses.clone()).unwrap_or_default();
    if clauses.is_empty() {
        output::note("every clause of it reads as you have acknowledged it");
    }
    for clause in found.document.clauses().filter(|clause| clauses.contains(&clause.id)) {
        let text: Vec<_> = clause.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
        output::note(&format!("{} {}\n  {}\n", clause.id, clause.title, text.join(" ")));
    }
    Ok(())
}
