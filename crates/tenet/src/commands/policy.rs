//! `tenet policy`: files of a policy in, findings, texts and comparisons out. Nothing here asks a server.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write as _},
    path::Path,
};

use base::Duration;
use policy::{
    Answers, Catalogue, Change, Document, Files, Finding, Framework, Hold, MAX_FILE_BYTES, Observed,
    Registry, Word,
};
use print::Adoption;
use serde_json::{Value, json};

use super::{Session, adopt};
use crate::{
    cli::{ControlsFormat, ExportFormat, FrameworkArg, PolicyCommand, PolicyFormat, PolicyInit},
    config,
    failure::{Exit, Failure},
    input::read_text,
    output::{self, Column},
    running,
};

/// Most files of a policy's directory that are looked at.
const MAX_FILES: usize = 64;

const FINDINGS: &[Column] = &[("file", "/file"), ("line", "/line"), ("key", "/key"), ("what", "/message")];
const CLAUSES: &[Column] =
    &[("clause", "/clause"), ("title", "/title"), ("held", "/hold"), ("required by", "/required_by")];
const CONTROLS: &[Column] = &[("control", "/id"), ("holds", "/clauses"), ("checks", "/check_ids")];
const SHOWN: &[Column] = &[("clause", "/clause"), ("title", "/title"), ("sha256", "/sha256")];

pub(super) async fn run(session: &Session, command: PolicyCommand) -> Result<(), Failure> {
    let catalogue = Catalogue::load().map_err(|error| {
        Failure::new(Exit::Failure, "catalogue", "the catalogue can't be read").why(error.to_string())
    })?;
    match command {
        PolicyCommand::Init(arguments) => init(session, &catalogue, &arguments),
        PolicyCommand::Lint { directory, running, settings } => {
            let observed = if running {
                running::observed(&config::load(&settings.arguments(), &session.environment)?.config)?
            } else {
                Observed::default()
            };
            lint(session, &catalogue, &directory, &observed)
        }
        PolicyCommand::Show { directory, clause } => {
            show(session, &read(&catalogue, &directory)?, clause.as_deref())
        }
        PolicyCommand::Render { directory, format, out } => {
            let bytes = printed(&read(&catalogue, &directory)?, format, None, None)?;
            write_bytes(session, out.as_deref(), &bytes)
        }
        PolicyCommand::Print { version, format, out } => {
            let bytes = adopt::print(session, version, format).await?;
            write_bytes(session, out.as_deref(), &bytes)
        }
        PolicyCommand::Export { directory, format: ExportFormat::Oscal, out } => {
            export(session, &catalogue, &read(&catalogue, &directory)?, &out)
        }
        PolicyCommand::Diff { old, new } => diff(session, &read(&catalogue, &old)?, &read(&catalogue, &new)?),
        PolicyCommand::Adopt { directory } => adopt::propose(session, &files(&directory)?).await,
        PolicyCommand::Approve { version, sha256 } => adopt::approve(session, version, sha256).await,
        PolicyCommand::Acknowledge { version, sha256 } => adopt::acknowledge(session, version, sha256).await,
        PolicyCommand::Versions { version: None, .. } => adopt::versions(session).await,
        PolicyCommand::Versions { version: Some(version), out } => {
            adopt::version(session, version, out.as_deref()).await
        }
        PolicyCommand::Controls { format } => controls(session, &catalogue, format),
        PolicyCommand::Clauses { framework } => clauses(session, &catalogue, framework.map(Framework::from)),
    }
}

/// The files of a directory that a policy has, and those that it has not.
fn files(directory: &Path) -> Result<Files, Failure> {
    let failed = |error: io::Error| Failure::file("can't read", directory, &error);
    let mut files = Files::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What belongs to git or to an editor is none of the policy's.
        if name.starts_with('.') || !name.ends_with(".toml") || !entry.path().is_file() {
            continue;
        }
        if files.len() >= MAX_FILES {
            return Err(Failure::usage(format!("`{}` has more than {MAX_FILES} files", directory.display())));
        }
        files.insert(name, read_text(&entry.path(), MAX_FILE_BYTES)?);
    }
    Ok(files)
}

fn read(catalogue: &Catalogue, directory: &Path) -> Result<Document, Failure> {
    Document::read(&files(directory)?, catalogue, &Observed::default())
        .map_err(|found| faulty(directory, &found))
}

fn faulty(directory: &Path, found: &[Finding]) -> Failure {
    let first = found.first().map(ToString::to_string).unwrap_or_default();
    let rest = found.len().saturating_sub(1);
    let more = if rest > 0 { format!(" (and {rest} more)") } else { String::new() };
    Failure::new(Exit::Usage, "policy-faulty", format!("`{}` is not a whole policy", directory.display()))
        .why(format!("{first}{more}"))
        .remedy(format!("`tenet policy lint {}` says everything that is wrong", directory.display()))
}

fn lint(
    session: &Session,
    catalogue: &Catalogue,
    directory: &Path,
    observed: &Observed,
) -> Result<(), Failure> {
    let found = match Document::read(&files(directory)?, catalogue, observed) {
        Ok(document) => {
            let line = format!(
                "nothing is wrong with version {} of the policy of {}: {} clauses",
                document.version,
                document.company,
                document.clauses().count()
            );
            if session.out.is_json() {
                return session.out.document(&json!([]));
            }
            return session.out.say(&line, &Value::Null);
        }
        Err(found) => found,
    };
    let shown: Vec<Value> = found.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
    session.out.list(&shown, FINDINGS)?;
    let what = if found.len() == 1 {
        "1 thing is wrong".to_owned()
    } else {
        format!("{} things are wrong", found.len())
    };
    Err(Failure::new(Exit::Usage, "policy-faulty", what)
        .remedy("correct each; `tenet policy lint` looks again"))
}

fn init(session: &Session, catalogue: &Catalogue, arguments: &PolicyInit) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let is_used = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        return Err(Failure::usage(format!("`{}` is not empty", directory.display()))
            .remedy("give a directory that is new, or empty: nothing is written over"));
    }
    let company = given_or_asked(arguments.company.as_deref(), "--company", "The organisation's name")?;
    let author = given_or_asked(arguments.author.as_deref(), "--author", "Who writes the policy")?;
    let frameworks = frameworks(&arguments.frameworks)?;
    let now = session.context.now();
    let day = |at: base::Timestamp| at.to_string().chars().take(10).collect::<String>();
    let effective = arguments.effective.clone().unwrap_or_else(|| day(now.plus(Duration::from_days(30))));
    let next_review =
        arguments.next_review.clone().unwrap_or_else(|| day(now.plus(Duration::from_days(395))));
    let answers = Answers { company, author, frameworks, effective, next_review };
    let files = policy::starter(catalogue, &answers);
    fs::create_dir_all(directory).map_err(|error| Failure::file("can't make", directory, &error))?;
    for (name, text) in &files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| Failure::file("can't write", &path, &error))?;
    }
    let left = Document::read(&files, catalogue, &Observed::default()).err().map_or(0, |found| found.len());
    let shown = directory.display();
    let line =
        format!("`{shown}` holds a policy; {left} things are to be filled in: `tenet policy lint {shown}`");
    session.out.say(&line, &json!({ "directory": shown.to_string(), "files": files.keys().collect::<Vec<_>>(), "to_fill_in": left }))
}

fn export(session: &Session, catalogue: &Catalogue, document: &Document, out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|error| Failure::file("can't make", out, &error))?;
    let registry = Registry::load(catalogue).map_err(|error| {
        Failure::new(Exit::Failure, "registry", "the registry of controls can't be read")
            .why(error.to_string())
    })?;
    let files = [
        ("catalog.json", policy::oscal_catalog(catalogue)),
        ("profile.json", policy::oscal_profile(document)),
        ("component-definition.json", policy::oscal_component_definition(catalogue, &registry)),
    ];
    for (name, value) in &files {
        let path = out.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|error| {
            Failure::new(Exit::Failure, "output", "it can't be written").why(error.to_string())
        })?;
        fs::write(&path, text + "\n").map_err(|error| Failure::file("can't write", &path, &error))?;
    }
    let shown = out.display().to_string();
    let line = format!(
        "`{shown}` holds catalog.json, profile.json and component-definition.json, OSCAL {}",
        policy::OSCAL_VERSION
    );
    session.out.say(
        &line,
        &json!({ "directory": shown, "files": files.map(|(name, _)| name), "oscal": policy::OSCAL_VERSION }),
    )
}

fn given_or_asked(given: Option<&str>, argument: &str, question: &str) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let asked = ask(question)?;
    asked.ok_or_else(|| {
        Failure::usage(format!("`{argument}` is missing")).remedy("give it; it is asked for on a terminal")
    })
}

/// A line from whoever sits at the terminal; none if nobody does.
fn ask(question: &str) -> Result<Option<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let failed = |error: io::Error| {
        Failure::new(Exit::Failure, "input", "nothing can be asked").why(error.to_string())
    };
    write!(io::stderr(), "{question}: ").and_then(|()| io::stderr().flush()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(Some(line.trim().to_owned()).filter(|line| !line.is_empty()))
}

fn frameworks(given: &[FrameworkArg]) -> Result<Vec<Framework>, Failure> {
    if !given.is_empty() {
        return Ok(given.iter().copied().map(Framework::from).collect());
    }
    let known = Framework::ALL.map(Framework::as_str).join(", ");
    let asked = ask(&format!("Frameworks, of {known}"))?;
    let asked = asked.ok_or_else(|| {
        Failure::usage("`--framework` is missing").remedy(format!("give one or several of {known}"))
    })?;
    let names = asked.split([',', ' ']).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|why: String| Failure::usage(why))).collect()
}

fn show(session: &Session, document: &Document, clause: Option<&str>) -> Result<(), Failure> {
    let manifest = document.manifest();
    let Some(wanted) = clause else {
        if session.out.is_json() {
            return session.out.document(&json!({ "document": document, "manifest": manifest }));
        }
        let rows: Vec<Value> = document
            .clauses()
            .zip(&manifest.clauses)
            .map(
                |(clause, hash)| json!({ "clause": clause.id, "title": clause.title, "sha256": hash.sha256 }),
            )
            .collect();
        output::note(&format!(
            "{}, {}, version {}: {}",
            document.title, document.company, document.version, manifest.sha256
        ));
        return session.out.list(&rows, SHOWN);
    };
    let found = document.clauses().find(|clause| clause.id.as_str() == wanted);
    let found = found.ok_or_else(|| {
        Failure::usage(format!("the policy has no clause `{wanted}`"))
            .remedy("`tenet policy show` lists those that it has, `tenet policy clauses` all that there are")
    })?;
    if session.out.is_json() {
        return session.out.document(&json!(found));
    }
    let mut text = format!("{} {}\n\n", found.id, found.title);
    for sentence in &found.sentences {
        text.push_str(&format!("{}  {}\n", sentence.id, sentence.text));
    }
    session.out.text(&text)
}

fn clauses(session: &Session, catalogue: &Catalogue, framework: Option<Framework>) -> Result<(), Failure> {
    let wanted =
        catalogue.clauses().filter(|clause| framework.is_none_or(|one| clause.frameworks.contains_key(&one)));
    let word = |hold: &Hold| match hold {
        Hold::Enforced => "enforced",
        Hold::Detected => "detected",
        Hold::Attested => "attested",
    };
    let rows: Vec<Value> = wanted
        .map(|clause| {
            let by: Vec<_> = clause
                .frameworks
                .iter()
                .map(|(one, controls)| format!("{one} {}", controls.join(" ")))
                .collect();
            let hold: Vec<_> = clause.hold.iter().map(word).collect();
            json!({
                "clause": clause.id, "title": clause.title, "hold": hold.join(", "), "required_by": by.join("; "),
                "where_feasible": clause.feasible,
            })
        })
        .collect();
    session.out.list(&rows, CLAUSES)
}

fn controls(session: &Session, catalogue: &Catalogue, format: ControlsFormat) -> Result<(), Failure> {
    let registry = Registry::load(catalogue).map_err(|error| {
        Failure::new(Exit::Failure, "registry", "the registry of controls can't be read")
            .why(error.to_string())
    })?;
    if format == ControlsFormat::Md {
        return session.out.text(&policy::clauses_markdown(catalogue, &registry));
    }
    let row = |control: &policy::Control| {
        let mut row = json!(control);
        let clauses: Vec<String> = control.holds.iter().map(ToString::to_string).collect();
        let checks: Vec<&str> = control.checks.iter().map(|check| check.id.as_str()).collect();
        if let Some(map) = row.as_object_mut() {
            map.insert("clauses".to_owned(), json!(clauses));
            map.insert("check_ids".to_owned(), json!(checks));
        }
        row
    };
    let rows: Vec<Value> = registry.controls().iter().map(row).collect();
    session.out.list(&rows, CONTROLS)
}

/// A document in a form. `note` is attached to a PDF.
pub(super) fn printed(
    document: &Document,
    format: PolicyFormat,
    adoption: Option<&Adoption>,
    note: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let failed = |error: print::PrintError| {
        Failure::new(Exit::Usage, "not-printed", "the policy can't be printed").why(error.to_string())
    };
    match format {
        PolicyFormat::Md => Ok(policy::markdown(document).into_bytes()),
        PolicyFormat::Html => Ok(policy::html(document).into_bytes()),
        PolicyFormat::Docx => print::docx(document, adoption).map_err(failed),
        PolicyFormat::Pdf => pdf(document, adoption, note),
    }
}

#[cfg(feature = "pdf")]
fn pdf(document: &Document, adoption: Option<&Adoption>, note: Option<&str>) -> Result<Vec<u8>, Failure> {
    let attached = note.map(|note| print::Attachment {
        name: "manifest.note".to_owned(),
        media_type: "text/plain".to_owned(),
        description: "The hash of each clause and who approved them, signed with the key of the log"
            .to_owned(),
        relationship: print::Relationship::Data,
        bytes: note.as_bytes().to_vec(),
    });
    print::pdf(document, adoption, attached.as_slice()).map_err(|error| {
        Failure::new(Exit::Usage, "not-printed", "the policy can't be printed").why(error.to_string())
    })
}

#[cfg(not(feature = "pdf"))]
fn pdf(_: &Document, _: Option<&Adoption>, _: Option<&str>) -> Result<Vec<u8>, Failure> {
    Err(Failure::new(Exit::Usage, "no-pdf", "this build makes no PDF")
        .remedy("build with `--features pdf`, or give `--format docx`"))
}

/// Bytes into a file, or to standard output.
fn write_bytes(session: &Session, out: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    match out {
        None => session.out.bytes(bytes),
        Some(path) => {
            fs::write(path, bytes).map_err(|error| Failure::file("can't write", path, &error))?;
            let shown = path.display().to_string();
            session.out.say(&format!("written to `{shown}`"), &json!({ "file": shown, "bytes": bytes.len() }))
        }
    }
}

fn diff(session: &Session, old: &Document, new: &Document) -> Result<(), Failure> {
    let found = policy::compare(old, new);
    if session.out.is_json() {
        return session.out.document(&json!(found));
    }
    let mut text = format!("version {} to {}\n", found.versions.0, found.versions.1);
    for (name, was, is) in &found.facts {
        text.push_str(&format!("  {name}: {was} -> {is}\n"));
    }
    for one in &found.clauses {
        let change = match one.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        };
        text.push_str(&format!("\n{} {change}\n  ", one.clause));
        let words: Vec<String> = one
            .words
            .iter()
            .map(|word| match word {
                Word::Same(text) => text.clone(),
                Word::Old(text) => format!("[-{text}-]"),
                Word::New(text) => format!("{{+{text}+}}"),
            })
            .collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    if !found.asks_again() {
        text.push_str("no clause reads otherwise\n");
    }
    session.out.text(&text)
}
