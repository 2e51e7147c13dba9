//! The archive of evidence: the policy, what is known of it, and the events that say so, each with its proof against one
//! signed checkpoint. Written from what a server serves; whoever checks it (`pack_verify.rs`) needs no server.
//!
//! Format 1, a zip file without compression: `pack.json` says what it is and has the SHA-256 of every other file;
//! `checkpoint` is the log's signed head; `entries.jsonl` has a line for each event: its index, its leaf and the hashes of
//! its inclusion proof in base64; `assessment.json` what the server says is known; `policy/` the files of the version,
//! `document.json` what is stored of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
};

use base::Timestamp;
use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::{Activity, LogVerifier, TILE_WIDTH, TileSource, inclusion_proof, tile_path};
use policy::{Catalogue, Document, Registry};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use watch::{Assessed, Content, Standing, StoredVersion, Version, sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::{Session, adopt, evidence, log};
use crate::{
    cli::{PolicyFormat, WhichEvidence},
    client::Api,
    failure::{Exit, Failure},
    output,
};

/// The form of the archive.
pub(super) const FORMAT: u32 = 1;
pub(super) const HEAD: &str = "pack.json";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const ENTRIES: &str = "entries.jsonl";
pub(super) const ASSESSMENT: &str = "assessment.json";
pub(super) const DOCUMENT: &str = "document.json";
pub(super) const POLICY: &str = "policy/";
pub(super) const MANIFEST: &str = "manifest.note";
#[cfg(feature = "pdf")]
const PDF: &str = "policy.pdf";
pub(super) const OSCAL: &str = "oscal/";
const READ_ME: &str = "README.txt";
/// Most events of a kind that an archive holds.
pub(crate) const MAX_EVENTS: usize = 20_000;

/// What an archive says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// Its form.
    pub(super) format: u32,
    /// As of when.
    pub(super) as_of: Timestamp,
    /// When it was written.
    pub(super) written: Timestamp,
    /// The version of Tenet that wrote it: its registry of controls is that of this version.
    pub(super) tenet: String,
    /// How the version of the policy stands that it is of.
    pub(super) standing: Standing,
    /// The version.
    pub(super) version: u32,
    /// The log's verifier key, as whoever wrote it trusts it.
    pub(super) key: String,
    /// The SHA-256 of each other file, by name.
    pub(super) files: BTreeMap<String, String>,
}

/// An event, and where it is in the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Its index.
    pub(super) index: u64,
    /// The leaf, in base64.
    pub(super) leaf: String,
    /// The hashes from the leaf's sibling up, in base64.
    pub(super) path: Vec<String>,
}

/// The kinds of activities of which every event is taken, besides the observations that count.
pub(crate) const WHOLE: [&str; 9] = [
    Activity::PolicyPropose.name(),
    Activity::PolicyApprove.name(),
    Activity::PolicyAdopt.name(),
    Activity::PolicyAcknowledge.name(),
    Activity::ReviewObject.name(),
    "exception",
    "finding",
    Activity::OperatorEnrol.name(),
    Activity::OperatorRevoke.name(),
];

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, "pack", "the archive can't be written").why(error.to_string())
}

pub(super) async fn pack(session: &Session, which: &WhichEvidence, out: &Path) -> Result<(), Failure> {
    if out.exists() {
        return Err(Failure::usage(format!("`{}` is there already", out.display()))
            .remedy("give a file that is new: nothing is written over"));
    }
    let api = session.operator()?;
    let key = log::trusted_key(session, None, None)?;
    let (_, assessed) = evidence::assessed(session, &api, which).await?;
    let (document, stored) = document(&api, &assessed, which).await?;
    let at = assessed.assessment.at;
    let indices = indices(&api, &assessed, at).await?;
    let wanted: Vec<u64> = indices.iter().copied().collect();
    let verifier = key.clone();
    let place = log::place(session, None, None)?;
    let (checkpoint, entries) =
        log::at_place(place, move |source, _| proved(source, &verifier, &wanted)).await?;
    let parts =
        Parts { document: &document, assessed: &assessed, stored: stored.as_ref(), checkpoint, entries };
    let bytes = assemble(parts, &key, session.context.now())?;
    fs::write(out, &bytes).map_err(|error| Failure::file("can't write", out, &error))?;
    let shown = out.display().to_string();
    let version = assessed.assessment.version;
    let line = format!(
        "`{shown}` holds version {version} as of {at}, {} clauses, {} events with their proofs",
        assessed.assessment.clauses.len(),
        indices.len()
    );
    session.out.say(
        &line,
        &json!({ "file": shown, "as_of": at, "version": version, "events": indices.len(), "sha256": sha256(&bytes) }),
    )?;
    if !session.out.is_json() {
        output::note(&format!(
            "whoever checks it: `tenet evidence verify {shown} --key VKEY`, with the key from elsewhere"
        ));
    }
    Ok(())
}

/// What an archive is made of.
pub(crate) struct Parts<'a> {
    /// The document.
    pub(crate) document: &'a Document,
    /// What is known of it.
    pub(crate) assessed: &'a Assessed,
    /// What is stored of the version; none of a specimen.
    pub(crate) stored: Option<&'a (Content, StoredVersion)>,
    /// The log's signed head.
    pub(crate) checkpoint: String,
    /// The entries that it rests on, with their proofs.
    pub(crate) entries: Vec<u8>,
}

/// The archive's bytes.
pub(crate) fn assemble(parts: Parts<'_>, key: &LogVerifier, written: Timestamp) -> Result<Vec<u8>, Failure> {
    let Parts { document, assessed, stored, checkpoint, entries } = parts;
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    files.insert(ASSESSMENT.to_owned(), pretty(&json!(assessed))?);
    let content = stored.map(|(content, _)| content);
    if let Some(content) = content {
        files.insert(DOCUMENT.to_owned(), serde_json::to_string(content).map_err(failed)?.into_bytes());
        for (name, text) in &content.files {
            files.insert(format!("{POLICY}{name}"), text.clone().into_bytes());
        }
    }
    // Adopted later than that instant, it was a draft then.
    let is_adopted = assessed.standing != Standing::Proposed;
    let stored = stored.map(|(_, stored)| stored).filter(|_| is_adopted);
    files.extend(readable(document, stored.map(|stored| &stored.summary.version))?);
    if let Some(note) = stored.and_then(|stored| stored.note.as_ref()) {
        files.insert(MANIFEST.to_owned(), note.clone().into_bytes());
        #[cfg(feature = "pdf")]
        files.insert(PDF.to_owned(), print_pdf(document, stored, note)?);
    }
    files.extend(oscal(document, assessed)?);
    files.insert(CHECKPOINT.to_owned(), checkpoint.into_bytes());
    files.insert(ENTRIES.to_owned(), entries);
    files.insert(READ_ME.to_owned(), read_me(assessed).into_bytes());
    let head = Head {
        format: FORMAT,
        as_of: assessed.assessment.at,
        written,
        tenet: env!("CARGO_PKG_VERSION").to_owned(),
        standing: assessed.standing,
        version: assessed.assessment.version,
        key: key.vkey(),
        files: files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect(),
    };
    archive(&head, &files)
}

/// The document, and what is stored of it; nothing is stored of a specimen.
async fn document(
    api: &Api,
    assessed: &Assessed,
    which: &WhichEvidence,
) -> Result<(Document, Option<(Content, StoredVersion)>), Failure> {
    if assessed.standing == Standing::Specimen {
        let catalogue = Catalogue::load().map_err(failed)?;
        return Ok((policy::specimen(&catalogue).ok_or_else(|| failed("no specimen"))?, None));
    }
    let version = which.version.unwrap_or(assessed.assessment.version);
    let found = adopt::read(api, Some(version)).await?;
    let content = Content { files: found.files.clone(), document: found.document.clone() };
    Ok((found.document.clone(), Some((content, found))))
}

/// The policy as people read it.
pub(super) fn readable(
    document: &Document,
    version: Option<&Version>,
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let adoption = version.and_then(adopt::adoption);
    let form = |name: &str, format| {
        Ok((name.to_owned(), super::policy::printed(document, format, adoption.as_ref(), None)?))
    };
    [
        ("policy.md", PolicyFormat::Md),
        ("policy.html", PolicyFormat::Html),
        ("policy.docx", PolicyFormat::Docx),
    ]
    .into_iter()
    .map(|(name, format)| form(name, format))
    .collect()
}

/// What is known, in OSCAL.
pub(super) fn oscal(document: &Document, assessed: &Assessed) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let catalogue = Catalogue::load().map_err(failed)?;
    let registry = Registry::load(&catalogue).map_err(failed)?;
    policy::oscal_all(&catalogue, &registry, document, &assessed.assessment, &assessed.findings)
        .into_iter()
        .map(|(name, value)| Ok((format!("{OSCAL}{name}"), pretty(&value)?)))
        .collect()
}

/// As PDF, with the signed hashes inside of it.
#[cfg(feature = "pdf")]
fn print_pdf(document: &Document, stored: Option<&StoredVersion>, note: &str) -> Result<Vec<u8>, Failure> {
    let adoption = stored.and_then(|stored| adopt::adoption(&stored.summary.version));
    super::policy::printed(document, PolicyFormat::Pdf, adoption.as_ref(), Some(note))
}

/// Where in the log the events are: all that make versions, exceptions and findings, and the observations that count.
async fn indices(api: &Api, assessed: &Assessed, at: Timestamp) -> Result<BTreeSet<u64>, Failure> {
    let until = Timestamp::from_micros(at.micros().saturating_add(1)).to_string();
    let mut indices = BTreeSet::new();
    for noun in WHOLE {
        let filter =
            [("activity", noun.to_owned()), ("outcome", "success".to_owned()), ("until", until.clone())];
        let found = api.filtered(&["v1", "log", "events"], &filter, "cursor", MAX_EVENTS).await?;
        if found.len() >= MAX_EVENTS {
            return Err(failed(format!("more than {MAX_EVENTS} events of `{noun}`")));
        }
        indices.extend(found.iter().filter_map(|one| one.get("index").and_then(Value::as_u64)));
    }
    for check in &assessed.assessment.checks {
        let counted = [&check.observation, &check.could_not_tell].into_iter().flatten();
        for observation in counted {
            let filter = [
                ("activity", Activity::EvidenceObserve.name().to_owned()),
                ("object", observation.check.clone()),
                ("from", observation.received.to_string()),
                (
                    "until",
                    Timestamp::from_micros(observation.received.micros().saturating_add(1)).to_string(),
                ),
            ];
            let found = api.filtered(&["v1", "log", "events"], &filter, "cursor", 100).await?;
            let index = found.iter().find_map(|one| one.get("index").and_then(Value::as_u64));
            indices.insert(index.ok_or_else(|| {
                Failure::new(
                    Exit::Unavailable,
                    "not-in-the-log-yet",
                    format!("an observation of `{check}` is not in the log yet", check = check.check),
                )
                .remedy("try again in a moment")
            })?);
        }
    }
    Ok(indices)
}

/// The checkpoint, and a line for each of the entries with its proof.
pub(crate) fn proved(
    source: &dyn TileSource,
    key: &LogVerifier,
    indices: &[u64],
) -> Result<(String, Vec<u8>), Failure> {
    let (head, note) = log::head(source, key)?;
    let mut lines = Vec::new();
    let mut last: Option<(u64, Vec<Vec<u8>>)> = None;
    for index in indices.iter().copied() {
        if index >= head.size {
            return Err(Failure::new(
                Exit::Unavailable,
                "not-signed-yet",
                format!("entry {index} is not signed yet"),
            )
            .remedy("try again in a moment"));
        }
        let place = index / u64::from(TILE_WIDTH);
        let bundle = match last.take() {
            Some((of, bundle)) if of == place => bundle,
            _ => log::bundle(source, head.size, index)?,
        };
        let at = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(0);
        let leaf = bundle
            .get(at)
            .ok_or_else(|| log::not_verified(&ledger::Failure::EntriesMissing { index, tail: false }))?;
        let tile = |level, at, width| source.tile(&tile_path(level, at, width));
        let path = inclusion_proof(index, head.size, tile).map_err(|error| {
            Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read").why(error.to_string())
        })?;
        let path = path.iter().map(|hash| STANDARD.encode(hash)).collect();
        let entry = Entry { index, leaf: STANDARD.encode(leaf), path };
        serde_json::to_writer(&mut lines, &entry).map_err(failed)?;
        lines.push(b'\n');
        last = Some((place, bundle));
    }
    Ok((note, lines))
}

pub(super) fn pretty(value: &Value) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(failed)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The archive's bytes: `pack.json` first.
fn archive(head: &Head, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Failure> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let first = (HEAD.to_owned(), pretty(&json!(head))?);
    for (name, bytes) in std::iter::once((&first.0, &first.1)).chain(files) {
        zip.start_file(name.as_str(), options).map_err(failed)?;
        zip.write_all(bytes).map_err(failed)?;
    }
    Ok(zip.finish().map_err(failed)?.into_inner())
}

fn read_me(assessed: &Assessed) -> String {
    format!(
        "Evidence of a data protection policy, version {}, as of {}.\n\n\
         policy.html, policy.docx and policy.md are for reading; assessment.json says of each sentence what is known of it and by which\n\
         observation. entries.jsonl holds the events that say so, as they stand in a log that is only ever added to, each with\n\
         the proof that it is in the tree of `checkpoint` (C2SP tlog-tiles, RFC 9162).\n\n\
         To check it, on any machine and without a network:\n\n    tenet evidence verify THIS.zip --key VKEY\n\n\
         VKEY is the log's verifier key: get it from elsewhere than this archive. Every state is computed anew from the events.\n",
        assessed.assessment.version, assessed.assessment.at
    )
}
