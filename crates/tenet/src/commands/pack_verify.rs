//! Checking an archive of evidence, offline: nothing in it is believed that does not follow from events which are in the
//! signed log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::Path,
};

use base::Timestamp;
use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::{
    Event, EventView, Hash, LogVerifier, OutcomeView, leaf_hash, verify_inclusion, verify_statement,
};
use policy::{Catalogue, Document, Known, Observation, Registry};
use serde_json::json;
use watch::{
    Adoption, Assessed, Content, Standing, exceptions, findings, manifest_statement, observation, sha256,
};
use zip::ZipArchive;

use super::{
    Session, log,
    pack::{
        ASSESSMENT, CHECKPOINT, DOCUMENT, ENTRIES, Entry, FORMAT, HEAD, Head, MANIFEST, POLICY, WHOLE, oscal,
        readable,
    },
};
use crate::{
    failure::{Exit, Failure},
    offline::{Directory, read_vkey},
    output,
};

/// Most files of an archive.
const MAX_FILES: usize = 100;
/// Most bytes of its files together.
const MAX_BYTES: u64 = 256 * 1_048_576;

/// The archive does not hold.
fn wrong(why: impl Into<String>) -> Failure {
    Failure::new(Exit::NotVerified, "pack-not-verified", "the archive does not verify")
        .why(why.into())
        .remedy("ask for it anew; keep this one as evidence")
}

/// What was found out.
#[derive(Debug, Default)]
struct Checked {
    events: Vec<(u64, EventView)>,
    size: u64,
    origin: String,
}

pub(super) fn verify(
    session: &Session,
    pack: &Path,
    key: Option<&str>,
    copy: Option<&Path>,
) -> Result<(), Failure> {
    let files = read(pack)?;
    let head = head(&files)?;
    let (key, is_trusted) = match key {
        Some(given) => (read_vkey(given)?, true),
        None => {
            (LogVerifier::from_vkey(&head.key).map_err(|error| wrong(format!("its key: {error}")))?, false)
        }
    };
    let checked = entries(&files, &key)?;
    let events: Vec<&EventView> = checked.events.iter().map(|(_, event)| event).collect();
    let at = head.as_of;
    let document = document(&files, &head, &events, &key)?;
    let claimed: Assessed = json_of(&files, ASSESSMENT)?;
    let assessment = states(&document, &claimed, &events, at)?;
    for (name, made) in oscal(&document, &claimed)? {
        if files.get(&name) != Some(&made) {
            return Err(wrong(format!("`{name}` does not follow from what is known")));
        }
    }
    if let Some(copy) = copy {
        complete(copy, &key, &checked, &assessment)?;
    }
    let counts: BTreeMap<&str, usize> =
        assessment.counts.iter().map(|(state, count)| (state.as_str(), *count)).collect();
    let report = json!({
        "verified": true, "as_of": at, "version": head.version, "standing": head.standing, "sha256": assessment.sha256,
        "key": key.vkey(), "key_given": is_trusted, "log": checked.origin, "log_size": checked.size,
        "events": checked.events.len(), "complete": copy.is_some(), "counts": counts, "written_by": head.tenet,
    });
    if session.out.is_json() {
        return session.out.document(&report);
    }
    let states: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    session.out.text(&format!(
        "version {} ({}), as of {at}: {}\n{} events are in the log `{}` of {} entries, and each state follows from them\n",
        head.version,
        head.standing.as_str(),
        states.join(", "),
        checked.events.len(),
        checked.origin,
        checked.size
    ))?;
    if !is_trusted {
        output::note(&format!(
            "the key is the one that the archive names: compare it with the one published for the log, or give it with --key\n  {}",
            key.vkey()
        ));
    }
    if copy.is_none() {
        output::note(
            "whether it leaves a newer observation out is found out with --log, a copy of the whole log",
        );
    }
    Ok(())
}

/// The files of the archive, within limits. Nothing is written anywhere.
fn read(pack: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let file = File::open(pack).map_err(|error| Failure::file("can't read", pack, &error))?;
    let mut zip = ZipArchive::new(file).map_err(|error| wrong(format!("it is no zip file: {error}")))?;
    if zip.len() > MAX_FILES {
        return Err(wrong(format!("it has more than {MAX_FILES} files")));
    }
    let mut files = BTreeMap::new();
    let mut left = MAX_BYTES;
    for at in 0..zip.len() {
        let member = zip.by_index(at).map_err(|error| wrong(error.to_string()))?;
        let name = member.name().map_err(|error| wrong(error.to_string()))?.into_owned();
        let mut bytes = Vec::new();
        member.take(left + 1).read_to_end(&mut bytes).map_err(|error| wrong(format!("`{name}`: {error}")))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong(format!("its files have more than {MAX_BYTES} bytes")))?;
        if files.insert(name.clone(), bytes).is_some() {
            return Err(wrong(format!("`{name}` is in it twice")));
        }
    }
    Ok(files)
}

fn json_of<T: serde::de::DeserializeOwned>(
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
) -> Result<T, Failure> {
    let bytes = files.get(name).ok_or_else(|| wrong(format!("`{name}` is missing")))?;
    serde_json::from_slice(bytes).map_err(|error| wrong(format!("`{name}`: {error}")))
}

/// What it says of itself, and that its files are those that it names.
fn head(files: &BTreeMap<String, Vec<u8>>) -> Result<Head, Failure> {
    let head: Head = json_of(files, HEAD)?;
    if head.format != FORMAT {
        return Err(Failure::usage(format!(
            "this version of `tenet` reads format {FORMAT}, not {}",
            head.format
        )));
    }
    let named: BTreeSet<&String> = head.files.keys().collect();
    let there: BTreeSet<&String> = files.keys().filter(|name| *name != HEAD).collect();
    if let Some(name) = named.symmetric_difference(&there).next() {
        return Err(wrong(format!("`{name}` is in the list of files or in the archive, and not in both")));
    }
    for (name, hash) in &head.files {
        if files.get(name).is_none_or(|bytes| sha256(bytes) != *hash) {
            return Err(wrong(format!("`{name}` is not what the list of files says")));
        }
    }
    Ok(head)
}

/// Every event, held against the signed tree.
fn entries(files: &BTreeMap<String, Vec<u8>>, key: &LogVerifier) -> Result<Checked, Failure> {
    let text = |name: &str| {
        let bytes = files.get(name).ok_or_else(|| wrong(format!("`{name}` is missing")))?;
        std::str::from_utf8(bytes).map_err(|_| wrong(format!("`{name}` is not text")))
    };
    let checkpoint =
        key.verify(text(CHECKPOINT)?).map_err(|error| wrong(format!("the checkpoint: {error}")))?;
    let mut checked =
        Checked { size: checkpoint.size, origin: checkpoint.origin.clone(), ..Checked::default() };
    for (line, entry) in (1..).zip(text(ENTRIES)?.lines()) {
        let entry: Entry = serde_json::from_str(entry)
            .map_err(|error| wrong(format!("line {line} of its entries: {error}")))?;
        let index = entry.index;
        if checked.events.last().is_some_and(|(last, _)| *last >= index) {
            return Err(wrong(format!("entry {index} is not in the log's order")));
        }
        let decode =
            |text: &String| STANDARD.decode(text).map_err(|_| wrong(format!("entry {index} is not base64")));
        let leaf = decode(&entry.leaf)?;
        let mut path: Vec<Hash> = Vec::new();
        for hash in &entry.path {
            path.push(
                decode(hash)?.try_into().map_err(|_| wrong(format!("entry {index}: a hash has 32 bytes")))?,
            );
        }
        verify_inclusion(index, checkpoint.size, &leaf_hash(&leaf), &path, &checkpoint.root)
            .map_err(|error| wrong(format!("entry {index} is not in the log: {error}")))?;
        let event =
            Event::decode(&leaf).map_err(|error| wrong(format!("entry {index} is no event: {error}")))?;
        checked.events.push((index, event));
    }
    Ok(checked)
}

/// The document that the events say is the one; of a specimen, the catalogue's.
fn document(
    files: &BTreeMap<String, Vec<u8>>,
    head: &Head,
    events: &[&EventView],
    key: &LogVerifier,
) -> Result<Document, Failure> {
    let adoption = Adoption::fold(events.iter().copied(), head.as_of);
    let named = adoption.versions.get(&head.version);
    let standing = match (head.standing, named) {
        (Standing::Specimen, _) if adoption.current(head.as_of).is_none() => {
            let catalogue = Catalogue::load().map_err(|error| wrong(error.to_string()))?;
            return policy::specimen(&catalogue).ok_or_else(|| wrong("the catalogue's examples are refused"));
        }
        (Standing::Specimen, _) => return Err(wrong("a version was put up, and it speaks of none")),
        (_, None) => return Err(wrong(format!("no event says that version {} was put up", head.version))),
        (_, Some(version)) => adoption.standing(version, head.as_of),
    };
    if standing != head.standing {
        return Err(wrong(format!(
            "version {} was {} then, not {}",
            head.version,
            standing.as_str(),
            head.standing.as_str()
        )));
    }
    let bytes = files.get(DOCUMENT).ok_or_else(|| wrong(format!("`{DOCUMENT}` is missing")))?;
    if named.is_none_or(|version| version.content != sha256(bytes)) {
        return Err(wrong(format!("`{DOCUMENT}` is not what was put up as version {}", head.version)));
    }
    let content: Content = json_of(files, DOCUMENT)?;
    if named.is_none_or(|version| version.sha256 != content.document.manifest().sha256) {
        return Err(wrong("the document's hash is not the one that was approved"));
    }
    for (name, text) in &content.files {
        if files.get(&format!("{POLICY}{name}")).is_none_or(|bytes| bytes != text.as_bytes()) {
            return Err(wrong(format!("`{POLICY}{name}` is not the file that was put up")));
        }
    }
    for (name, made) in readable(&content.document, named)? {
        if files.get(&name) != Some(&made) {
            return Err(wrong(format!("`{name}` does not say what the document says")));
        }
    }
    if let Some(statement) =
        named.and_then(|version| manifest_statement(version, &content.document.manifest()))
    {
        let note = files.get(MANIFEST).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let signed = verify_statement(key, note).map_err(|error| wrong(format!("`{MANIFEST}`: {error}")))?;
        if signed != statement {
            return Err(wrong(format!("`{MANIFEST}` is a statement of something else")));
        }
    }
    Ok(content.document)
}

/// Every state, computed anew from the events; it must be what the archive says.
fn states(
    document: &Document,
    claimed: &Assessed,
    events: &[&EventView],
    at: Timestamp,
) -> Result<policy::Assessment, Failure> {
    let catalogue = Catalogue::load().map_err(|error| wrong(error.to_string()))?;
    let registry = Registry::load(&catalogue).map_err(|error| wrong(error.to_string()))?;
    let seen: Vec<Observation> = events.iter().filter_map(|event| observation(event)).collect();
    let known = Known {
        latest: policy::latest(&seen, at),
        // That a control is not there is the server's word. It makes a gap of what the control holds, never a green one.
        absent: claimed.absent.iter().cloned().collect(),
        exceptions: exceptions(events.iter().copied(), at),
    };
    let assessment = policy::assess(document, &registry, &known, at);
    if assessment != claimed.assessment {
        let pairs = assessment.clauses.iter().zip(&claimed.assessment.clauses);
        let first = pairs.into_iter().find(|(ours, theirs)| ours != theirs);
        return Err(wrong(match first {
            Some((ours, theirs)) => format!(
                "{}: it says {}, and its events say {}",
                ours.clause,
                theirs.state.as_str(),
                ours.state.as_str()
            ),
            None => "what it says is known does not follow from its events; or another version of `tenet` wrote it".to_owned(),
        }));
    }
    let mut found = findings(events.iter().copied(), at);
    found.reverse();
    if found != claimed.findings {
        return Err(wrong("its findings are not those that its events tell of"));
    }
    Ok(assessment)
}

/// Whether the log has anything more of what counts than the archive.
fn complete(
    copy: &Path,
    key: &LogVerifier,
    checked: &Checked,
    assessment: &policy::Assessment,
) -> Result<(), Failure> {
    let at = assessment.at;
    let source = Directory(copy.to_owned());
    let report = log::verified(&source, key, None)?;
    if report.size < checked.size {
        return Err(Failure::usage(format!(
            "the copy has {} entries, and the archive is of a log of {}",
            report.size, checked.size
        ))
        .remedy("take a newer copy: `tenet log export`"));
    }
    let known: BTreeSet<u64> = checked.events.iter().map(|(index, _)| *index).collect();
    let mut newest: BTreeMap<(String, bool), (Timestamp, Timestamp, u64)> = BTreeMap::new();
    let mut index = 0;
    while index < report.size {
        for entry in log::bundle(&source, report.size, index)? {
            let here = index;
            index += 1;
            let Ok(event) = Event::decode(&entry) else { continue };
            if event.time > at || event.outcome != OutcomeView::Success {
                continue;
            }
            if let Some(seen) = observation(&event) {
                let of = (seen.check.clone(), seen.seen == policy::Seen::Unknown);
                let stands = (seen.effective, seen.received, here);
                let place = newest.entry(of).or_insert(stands);
                *place = (*place).max(stands);
                continue;
            }
            let noun = event.activity.split('.').next().unwrap_or_default();
            let counts = WHOLE.contains(&noun) || WHOLE.contains(&event.activity.as_str());
            if counts && !known.contains(&here) {
                return Err(wrong(format!(
                    "it leaves out entry {here}, `{}` of {}",
                    event.activity, event.object.id
                )));
            }
        }
    }
    for ((check, is_unknown), (effective, _, index)) in &newest {
        // One that could not tell is left out where a definite one is newer; and what is no check of this version.
        let definite = newest.get(&(check.clone(), false)).map(|one| one.0);
        let is_moot = *is_unknown && definite.is_some_and(|definite| definite >= *effective);
        if !is_moot && assessment.check(check).is_some() && !known.contains(index) {
            return Err(wrong(format!("it leaves out entry {index}, a newer observation of `{check}`")));
        }
    }
    Ok(())
}
