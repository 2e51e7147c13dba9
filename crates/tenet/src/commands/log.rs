//! `tenet log`: reading, verifying and proving, on a server or on a copy.

use std::path::{Path, PathBuf};

use base::Timestamp;
use ledger::{
    Checkpoint, Event, LogVerifier, SourceError, TILE_WIDTH, TileSource, TlogProof, WitnessPolicy,
    bundle_entries, entries_path, inclusion_proof, tile_path, verify_log, verify_log_since,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{
    Session, events, extract,
    forward::{self, Forward},
    gaps, reconcile, recover, report, saved, share, subject,
};
use crate::{
    cli::{LogCommand, LogPlace},
    client::{Api, Pinned},
    data_dir::write_private,
    failure::{Exit, Failure},
    input::read_text,
    offline::{Directory, Known, Remote, Tee, read_vkey},
    output, progress,
    witnesses::read_policy,
};

/// Most bytes of a proof's file: an entry in base64, 64 hashes, a checkpoint.
const MAX_PROOF_BYTES: usize = 262_144;
/// Most bytes of a checkpoint's file.
const MAX_CHECKPOINT_BYTES: usize = 65_536;

pub(super) async fn run(session: &Session, command: LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Key { place } => key(session, &place).await,
        LogCommand::Verify { place, since, witnesses } => {
            verify(session, &place, since.as_deref(), witnesses.as_deref()).await
        }
        LogCommand::Show { place, from, limit } => {
            let key = trusted_key(session, place.key.as_deref(), place.place.as_deref())?;
            let entries = at(session, &place, move |source, _| show(source, &key, from, limit)).await?;
            session.out.list(&entries, COLUMNS)
        }
        LogCommand::Search { place, filter, limit, oldest, save, saved } => {
            let filter = match &saved {
                Some(name) => saved::load(session, name, &filter)?,
                None => filter,
            };
            if let Some(name) = &save {
                saved::save(session, name, &filter)?;
            }
            events::search(session, &place, &filter, limit, oldest).await
        }
        LogCommand::Searches { remove } => saved::run(session, remove.as_deref()),
        LogCommand::Tail { place, filter, lines, follow } => {
            events::tail(session, &place, &filter, lines, follow).await
        }
        LogCommand::Report { report, place, filter, hours, csv, svg } => {
            report::run(session, report, &place, &filter, hours, (csv, svg)).await
        }
        LogCommand::Extract { place, filter, format, out } => {
            extract::run(session, &place, &filter, format, out).await
        }
        LogCommand::Forward { place, filter, to, ca_of_sink, state, from_now, once } => {
            let ca = ca_of_sink;
            forward::run(session, Forward { place, filter, to, ca, state, from_now, once }).await
        }
        LogCommand::Share { allowed, place, filter, out } => {
            share::share(session, &allowed, &place, &filter, out.as_deref()).await
        }
        LogCommand::CheckShare { file, place, allowed, filter } => {
            share::check(session, &file, &place, allowed.as_deref(), &filter).await
        }
        LogCommand::Gaps { place, alarms } => gaps::run(session, &place, alarms).await,
        LogCommand::Source { event } => subject::source(session, event).await,
        LogCommand::Reconcile { timeout } => reconcile::run(session, timeout).await,
        LogCommand::Prove { index, place, out } => {
            let key = trusted_key(session, place.key.as_deref(), place.place.as_deref())?;
            let proof = at(session, &place, move |source, _| prove(source, &key, index)).await?;
            if session.out.is_json() && out.is_none() {
                return session.out.document(&json!({ "index": index, "proof": proof }));
            }
            write_or_print(session, out.as_deref(), &proof)
        }
        LogCommand::CheckProof { file, key } => check_proof(session, &file, key.as_deref()),
        LogCommand::Export { directory, place } => export(session, &place, directory).await,
        LogCommand::Recover { from, ca, settings } => {
            recover::run(session, &from, ca.as_deref(), &settings).await
        }
    }
}

pub(super) const COLUMNS: &[output::Column] = &[
    ("index", "/index"),
    ("time", "/time"),
    ("activity", "/activity"),
    ("actor", "/actor"),
    ("object", "/object"),
    ("outcome", "/outcome"),
];

/// Where a log is.
pub(super) enum Place {
    /// On a server, at this path.
    Server(Box<Api>, Vec<String>),
    Directory(PathBuf),
}

/// A server if it is an address, else a directory; the profile's server if nothing is given. An address with a path
/// is a copy of the log there, such as a witness's.
pub(super) fn place(session: &Session, given: Option<&str>, ca: Option<&Path>) -> Result<Place, Failure> {
    if let Some(path) = given.filter(|given| !given.starts_with("https://")) {
        if path.contains("://") {
            return Err(Failure::usage(format!("`{path}` is neither an `https://` address nor a directory")));
        }
        return Ok(Place::Directory(PathBuf::from(path)));
    }
    let address = given.map(|address| address.trim_end_matches('/'));
    let (server, path) = match address {
        Some(address) => {
            let host = address.strip_prefix("https://").unwrap_or(address);
            let (host, path) = host.split_once('/').unwrap_or((host, "log"));
            (Some(format!("https://{host}")), path)
        }
        None => (None, "log"),
    };
    let path: Vec<String> = path.split('/').map(str::to_owned).collect();
    if let Some(ca) = ca {
        let server = server.ok_or_else(|| Failure::usage("`--ca` needs the server's address"))?;
        let pem = std::fs::read(ca).map_err(|error| Failure::file("can't read", ca, &error))?;
        let authority = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| Failure::usage(format!("`{}` is not a certificate in PEM", ca.display())))?;
        let tls = Pinned::by_certificate(authority.into_owned())
            .map_err(|error| Failure::usage(format!("`{}`: {error}", ca.display())))?;
        return Ok(Place::Server(Box::new(Api::anonymous(&server, tls, &session.context)?), path));
    }
    let home = session.home()?;
    let profile = home.serving(session.profile.as_deref(), server.as_deref())?;
    let tls = Pinned::by_pem(&profile.authority)?;
    Ok(Place::Server(Box::new(Api::anonymous(&profile.server, tls, &session.context)?), path))
}

/// The key to trust: the one given, or the one saved when the profile was made.
pub(super) fn trusted_key(
    session: &Session,
    given: Option<&str>,
    server: Option<&str>,
) -> Result<LogVerifier, Failure> {
    if let Some(given) = given {
        return read_vkey(given);
    }
    let server = server.filter(|server| server.starts_with("https://"));
    let saved = session.home()?.serving(session.profile.as_deref(), server);
    let saved = saved.map_err(|failure| {
        let remedy = "give `--key`, as `tenet log key` prints it on a machine that is enrolled";
        Failure::usage("which key is the log to be verified with?").why(failure.what.clone()).remedy(remedy)
    })?;
    read_vkey(&saved.log_key)
}

/// Runs `work` on the log at its place, where it may wait for tiles.
pub(super) async fn at<T: Send + 'static>(
    session: &Session,
    log: &LogPlace,
    work: impl FnOnce(&dyn TileSource, Option<String>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    at_place(place(session, log.place.as_deref(), log.ca.as_deref())?, work).await
}

/// The same, of a place that is found already.
pub(super) async fn at_place<T: Send + 'static>(
    place: Place,
    work: impl FnOnce(&dyn TileSource, Option<String>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let handle = Handle::current();
    let task = tokio::task::spawn_blocking(move || match place {
        Place::Directory(path) => work(&Known::new(&Directory(path)), None),
        Place::Server(api, path) => {
            let server = api.server().to_owned();
            work(&Known::new(&Remote::new(*api, path, handle)), Some(server))
        }
    });
    task.await.map_err(|error| Failure::new(Exit::Failure, "task", error.to_string()))?
}

async fn key(session: &Session, log: &LogPlace) -> Result<(), Failure> {
    // Without a place, the key that was saved is the answer: it does not depend on today's server.
    let vkey = match (&log.place, &log.ca) {
        (None, None) => trusted_key(session, log.key.as_deref(), None)?.vkey(),
        _ => match place(session, log.place.as_deref(), log.ca.as_deref())? {
            Place::Server(api, _) => fetch_key(&api).await?,
            Place::Directory(_) => {
                return Err(Failure::usage("a copy of a log does not hold its key")
                    .remedy("get the key from the server or from whoever publishes it"));
            }
        },
    };
    session.out.say(&vkey, &json!({ "key": vkey }))
}

/// The key that a server says its log has.
pub(super) async fn fetch_key(api: &Api) -> Result<String, Failure> {
    let call = api.call(reqwest::Method::GET, api.url(&["log", "key"], &[])).await?;
    let text = call.stream().await?.text().await.map_err(|error| {
        Failure::new(Exit::Unavailable, "server-unreachable", "the answer broke off").why(error.to_string())
    })?;
    Ok(read_vkey(text.trim())?.vkey())
}

pub(super) fn not_verified(error: &ledger::Failure) -> Failure {
    let what = "the log does not verify";
    match error {
        ledger::Failure::Unreadable { .. } => {
            Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read").why(error.to_string())
        }
        ledger::Failure::NoCheckpoint => {
            Failure::new(Exit::NotFound, "log-missing", "there is no log here").why(error.to_string())
        }
        _ => Failure::new(Exit::NotVerified, "log-not-verified", what)
            .why(error.to_string())
            .remedy("keep this copy and the key as evidence, and compare them with other copies of the log"),
    }
}

async fn verify(
    session: &Session,
    log: &LogPlace,
    since: Option<&Path>,
    witnesses: Option<&Path>,
) -> Result<(), Failure> {
    let policy = witnesses.map(read_policy).transpose()?;
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let since = since.map(|path| read_text(path, MAX_CHECKPOINT_BYTES)).transpose()?;
    let home = session.home().ok();
    let report = at(session, log, move |source, server| {
        // What was seen of a server's log before, it must still show.
        let remembered = home.filter(|_| server.is_some()).map(|home| home.seen_checkpoint(&key.vkey()));
        let seen = remembered.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let known = match since.or(seen) {
            Some(note) => Some(key.verify(&note).map_err(|error| {
                Failure::new(
                    Exit::NotVerified,
                    "checkpoint-not-verified",
                    "the earlier checkpoint does not verify",
                )
                .why(error.to_string())
            })?),
            None => None,
        };
        let report = verified(source, &key, known.as_ref())?;
        let note = source.checkpoint().map_err(|error| unreadable("checkpoint", &error))?;
        let cosigned = policy.map(|policy| cosigned(&policy, &note)).transpose()?;
        if let Some(path) = remembered {
            // Not being able to remember does not make the log any worse.
            if let Err(error) = write_private(&path, note.as_bytes()) {
                output::note(&format!("warning: `{}` can't be written: {error}", path.display()));
            }
        }
        Ok(json!({
            "verified": true, "origin": report.origin, "size": report.size, "root": hex(&report.root),
            "key": key.vkey(), "continues": known.map(|known| known.size), "bytes": report.bytes,
            "cosigned_at": cosigned.map(|at| at.to_string()),
        }))
    })
    .await?;
    let size = report.get("size").and_then(Value::as_u64).unwrap_or(0);
    let origin = report.get("origin").and_then(Value::as_str).unwrap_or_default();
    let continues = match report.get("continues").and_then(Value::as_u64) {
        Some(before) => format!("; it continues the {before} entries that were verified before"),
        None => String::new(),
    };
    let cosigned = match report.get("cosigned_at").and_then(Value::as_str) {
        Some(at) => format!("; its witnesses stand by it since {at}"),
        None => String::new(),
    };
    session.out.say(
        &format!(
            "the log `{origin}` verifies: {size} entries, none altered, missing or added{continues}{cosigned}"
        ),
        &report,
    )
}

/// When the quorum cosigned a checkpoint; it must have.
fn cosigned(policy: &WitnessPolicy, note: &str) -> Result<Timestamp, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::NotVerified, "not-witnessed", "the quorum of witnesses does not stand by this log")
            .why(why)
            .remedy("ask the witnesses what they keep of it: its copy is under their address")
    };
    let at = policy.cosigned_at(note).map_err(|error| failed(error.to_string()))?;
    let at =
        at.ok_or_else(|| failed("the checkpoint lacks cosignatures that the policy asks for".to_owned()))?;
    Ok(Timestamp::from_seconds(i64::try_from(at).unwrap_or(i64::MAX)))
}

pub(super) fn verified(
    source: &dyn TileSource,
    key: &LogVerifier,
    known: Option<&Checkpoint>,
) -> Result<ledger::Report, Failure> {
    let bar = progress::bar("verifying", 0, false);
    let mut report = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let outcome = match known {
        Some(known) => verify_log_since(source, key, known, &mut report),
        None => verify_log(source, key, &mut report),
    };
    bar.finish_and_clear();
    outcome.map_err(|error| not_verified(&error))
}

pub(super) fn unreadable(path: &str, error: &SourceError) -> Failure {
    let exit = if *error == SourceError::Missing { Exit::NotFound } else { Exit::Unavailable };
    Failure::new(exit, "log-unreadable", format!("`{path}` of the log can't be read")).why(error.to_string())
}

pub(super) fn head(source: &dyn TileSource, key: &LogVerifier) -> Result<(Checkpoint, String), Failure> {
    let note = source.checkpoint().map_err(|error| unreadable("checkpoint", &error))?;
    let head = key.verify(&note).map_err(|error| not_verified(&ledger::Failure::Checkpoint(error)))?;
    Ok((head, note))
}

fn bundle_width(size: u64, bundle: u64) -> u16 {
    let before = bundle.saturating_mul(u64::from(TILE_WIDTH));
    u16::try_from(size.saturating_sub(before)).map_or(TILE_WIDTH, |left| left.min(TILE_WIDTH))
}

/// The entry of that index, and its bundle read once for its neighbours.
pub(super) fn bundle(source: &dyn TileSource, size: u64, index: u64) -> Result<Vec<Vec<u8>>, Failure> {
    let place = index / u64::from(TILE_WIDTH);
    let path = entries_path(place, bundle_width(size, place));
    let data = source.tile(&path).map_err(|error| unreadable(&path, &error))?;
    let entries: Result<Vec<Vec<u8>>, _> =
        bundle_entries(&data).map(|entry| entry.map(<[u8]>::to_vec)).collect();
    entries.map_err(|error| {
        Failure::new(Exit::NotVerified, "log-damaged", format!("`{path}` is damaged")).why(error.to_string())
    })
}

fn show(
    source: &dyn TileSource,
    key: &LogVerifier,
    from: Option<u64>,
    limit: u64,
) -> Result<Vec<Value>, Failure> {
    let (head, _) = head(source, key)?;
    let from = from.unwrap_or_else(|| head.size.saturating_sub(limit));
    let mut shown = Vec::new();
    let mut index = from;
    while index < head.size && index - from < limit {
        let entries = bundle(source, head.size, index)?;
        let skip = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(0);
        for entry in entries.iter().skip(skip) {
            if index >= head.size || index - from >= limit {
                break;
            }
            shown.push(describe(index, entry)?);
            index += 1;
        }
        if entries.len() <= skip {
            return Err(not_verified(&ledger::Failure::EntriesMissing { index, tail: false }));
        }
    }
    Ok(shown)
}

pub(super) fn describe(index: u64, entry: &[u8]) -> Result<Value, Failure> {
    let event =
        Event::decode(entry).map_err(|error| not_verified(&ledger::Failure::NotAnEvent { index, error }))?;
    let leaf: Value = serde_json::from_slice(entry).unwrap_or_default();
    let object = format!("{} {}", event.object.kind, event.object.id);
    Ok(json!({
        "index": index, "time": event.time.to_string(), "activity": event.activity,
        "actor": event.actor.to_string(), "object": object, "outcome": outcome(&event.outcome),
        "clock_doubtful": event.clock_doubtful, "event": leaf,
    }))
}

fn outcome(outcome: &ledger::OutcomeView) -> String {
    match outcome {
        ledger::OutcomeView::Success => "success".to_owned(),
        ledger::OutcomeView::Refused { reason, clause } => match clause {
            Some(clause) => format!("refused: {reason} ({clause})"),
            None => format!("refused: {reason}"),
        },
        ledger::OutcomeView::Failed { reason } => format!("failed: {reason}"),
    }
}

fn prove(source: &dyn TileSource, key: &LogVerifier, index: u64) -> Result<String, Failure> {
    let (head, note) = head(source, key)?;
    if index >= head.size {
        let what = format!("the log has no entry {index}");
        return Err(
            Failure::new(Exit::NotFound, "entry-unknown", what).why(format!("it has {} entries", head.size))
        );
    }
    let skip = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(0);
    let entry = bundle(source, head.size, index)?.into_iter().nth(skip);
    let entry = entry.ok_or_else(|| not_verified(&ledger::Failure::EntriesMissing { index, tail: false }))?;
    let tile = |level, at, width| source.tile(&tile_path(level, at, width));
    let path = inclusion_proof(index, head.size, tile).map_err(|error| {
        Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read").why(error.to_string())
    })?;
    let proof = TlogProof { extra: Some(entry), index, path, checkpoint: note };
    proof.check_enclosed(key).map_err(|error| {
        Failure::new(Exit::NotVerified, "log-not-verified", format!("entry {index} can't be proved"))
            .why(error.to_string())
            .remedy("run `tenet log verify` to find the first bad entry")
    })?;
    Ok(proof.encode())
}

fn check_proof(session: &Session, file: &Path, key: Option<&str>) -> Result<(), Failure> {
    let key = trusted_key(session, key, None)?;
    let refused = |error: &ledger::TlogProofError| {
        Failure::new(Exit::NotVerified, "proof-not-verified", "the proof does not verify")
            .why(error.to_string())
    };
    let proof = TlogProof::parse(&read_text(file, MAX_PROOF_BYTES)?).map_err(|error| refused(&error))?;
    let (entry, head) = proof.check_enclosed(&key).map_err(|error| refused(&error))?;
    let described = describe(proof.index, entry)?;
    if !session.out.is_json() {
        output::note(&format!(
            "entry {} is in the log `{}` of {} entries",
            proof.index, head.origin, head.size
        ));
    }
    session.out.item(&described, COLUMNS)
}

async fn export(session: &Session, log: &LogPlace, directory: PathBuf) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let shown = directory.display().to_string();
    std::fs::create_dir_all(&directory).map_err(|error| Failure::file("can't make", &directory, &error))?;
    let size = at(session, log, move |source, _| {
        let report = verified(&Tee::new(source, directory.clone()), &key, None)?;
        // The checkpoint last: a copy that broke off has none, or the one before.
        let note = source.checkpoint().map_err(|error| unreadable("checkpoint", &error))?;
        let path = directory.join("checkpoint");
        write_private(&path, note.as_bytes()).map_err(|error| Failure::file("can't write", &path, &error))?;
        Ok(report.size)
    })
    .await?;
    let line = format!("copied and verified {size} entries to `{shown}`");
    session.out.say(&line, &json!({ "directory": shown, "size": size }))
}

/// Writes a result to a file, or prints it.
pub(super) fn write_or_print(session: &Session, out: Option<&Path>, text: &str) -> Result<(), Failure> {
    match out {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| Failure::file("can't write", path, &error))?;
            let shown = path.display().to_string();
            session.out.say(&format!("written to `{shown}`"), &json!({ "file": shown }))
        }
        None => session.out.text(text),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
