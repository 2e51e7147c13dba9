//! `tenet log share` and `tenet log check-share`: events for a third party, with no more in them than a profile allows and
//! every identifier under a key of that recipient (EL-3). Each event comes with a proof that its entry is in the log; a
//! statement at the end says what was selected. The recipient checks the proofs alone. Whoever has the log and the
//! profile makes the selection again, and it must be the same to the byte: nothing left out, nothing changed.

use std::{
    fmt::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::{
    Checkpoint, EventQuery, EventView, Hash, LogVerifier, OutcomeView, SourceError, TILE_WIDTH, TileKind,
    TilePath, TileSource, bundle_entries, inclusion_proof, leaf_hash, parse_tile_path, push_entry, tile_path,
    verify_inclusion,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use watch::sha256;

use super::{
    Session,
    events::read_entries,
    log::{at, head, not_verified, trusted_key, verified, write_or_print},
};
use crate::{
    cli::{EventFilter, LogPlace},
    config,
    failure::{Exit, Failure},
    input::read_text,
};

/// Most bytes of a profile.
const MAX_PROFILE_BYTES: usize = 65_536;
/// Most bytes of a file that was shared and is checked.
const MAX_SHARE_BYTES: usize = 512 * 1_048_576;
/// Fewest characters of a recipient's key.
const MIN_KEY_CHARS: usize = 32;
const FORMAT: &str = "tenet-share/1";

/// The fields that a profile can allow; those that are identifiers are pseudonyms.
const FIELDS: &[(&str, bool)] = &[
    ("time", false),
    ("activity", false),
    ("severity_id", false),
    ("outcome", false),
    ("reason", false),
    ("clause", false),
    ("actor_kind", false),
    ("actor", true),
    ("account", true),
    ("object_kind", false),
    ("object", true),
    ("repository", true),
    ("classification", false),
    ("request", true),
    ("server", true),
    ("subsystem", false),
    ("interface", false),
];

/// What a recipient may see.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    /// Who.
    recipient: String,
    /// A file, readable by its owner alone, with the key of their pseudonyms.
    key_file: PathBuf,
    /// The fields of an event that they see.
    fields: Vec<String>,
}

/// A profile that can be used.
#[derive(Clone)]
struct Allowed {
    recipient: String,
    key: hmac::Key,
    fields: Vec<&'static (&'static str, bool)>,
}

impl Allowed {
    fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: String| {
            Failure::usage(format!("`{}` is no profile for a recipient", path.display()))
                .why(why)
                .remedy("it has `recipient`, `key_file` and `fields`; `tenet log share --help` shows one")
        };
        let profile: Profile = toml::from_str(&read_text(path, MAX_PROFILE_BYTES)?)
            .map_err(|error| wrong(error.message().to_owned()))?;
        if profile.recipient.trim().is_empty() || profile.fields.is_empty() {
            return Err(wrong("`recipient` and `fields` must not be empty".to_owned()));
        }
        let beside = path.parent().unwrap_or(Path::new(".")).join(&profile.key_file);
        let key = config::read_secret_file(&beside).map_err(|error| wrong(error.to_string()))?;
        if key.expose().len() < MIN_KEY_CHARS {
            return Err(wrong(format!(
                "the key in `{}` has fewer than {MIN_KEY_CHARS} characters",
                beside.display()
            )));
        }
        let mut fields = Vec::new();
        for name in &profile.fields {
            let known = FIELDS.iter().find(|(known, _)| known == name).ok_or_else(|| {
                let near = FIELDS
                    .iter()
                    .map(|(known, _)| *known)
                    .min_by_key(|known| strsim::damerau_levenshtein(known, name));
                wrong(format!("fields: `{name}` is none; did you mean `{}`?", near.unwrap_or("activity")))
            })?;
            if !fields.contains(&known) {
                fields.push(known);
            }
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
        Ok(Self { recipient: profile.recipient, key, fields })
    }

    /// The recipient's name for an identifier: the same each time, and another for every recipient.
    fn pseudonym(&self, id: &str) -> String {
        let tag = hmac::sign(&self.key, id.as_bytes());
        let kind = id.split_once('_').map_or("id", |(kind, _)| kind);
        let mut name = format!("{kind}~");
        for byte in tag.as_ref().iter().take(12) {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// What was asked, as the statement says it: times as instants, identifiers and words as pseudonyms.
    fn asked(&self, filter: &EventFilter, query: &EventQuery) -> Map<String, Value> {
        let shown = |name: &str, value: String| match name {
            "actor" | "object" | "account" | "text" => self.pseudonym(&value),
            _ => value,
        };
        filter
            .parameters(query)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), shown(name, value).into()))
            .collect()
    }

    fn event(&self, event: &EventView) -> Value {
        let (outcome, reason, clause) = match &event.outcome {
            OutcomeView::Success => ("success", None, None),
            OutcomeView::Refused { reason, clause } => ("refused", Some(reason), clause.as_ref()),
            OutcomeView::Failed { reason } => ("failed", Some(reason), None),
        };
        let mut shown = Map::new();
        for (name, is_id) in &self.fields {
            let value = match *name {
                "time" => Some(event.time.to_string()),
                "activity" => Some(event.activity.clone()),
                "severity_id" => Some(event.severity_id.to_string()),
                "outcome" => Some(outcome.to_owned()),
                "reason" => reason.cloned(),
                "clause" => clause.cloned(),
                "actor_kind" => Some(event.actor.kind().as_str().to_owned()),
                "actor" => Some(event.actor.to_string()),
                "account" => event.account.or(event.object.account).map(|account| account.to_string()),
                "object_kind" => Some(event.object.kind.clone()),
                "object" => Some(event.object.id.clone()),
                "repository" => event.object.repository.map(|repository| repository.to_string()),
                "classification" => event.object.classification.clone(),
                "request" => Some(event.request.to_string()),
                "server" => Some(event.server.to_string()),
                "subsystem" => Some(event.subsystem.clone()),
                "interface" => Some(event.interface.as_str().to_owned()),
                _ => None,
            };
            if let Some(value) = value {
                let value = if *is_id { self.pseudonym(&value) } else { value };
                shown.insert((*name).to_owned(), value.into());
            }
        }
        Value::Object(shown)
    }
}

pub(super) async fn share(
    session: &Session,
    profile: &Path,
    log: &LogPlace,
    filter: &EventFilter,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let allowed = Allowed::read(profile)?;
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let query = filter.query(&session.context)?;
    let asked = allowed.asked(filter, &query);
    let text = at(session, log, move |source, _| {
        verified(source, &key, None)?;
        let (head, note) = head(source, &key)?;
        select(source, &head, &note, &allowed, &query, &asked)
    })
    .await?;
    write_or_print(session, out, &text)
}

/// The selection, to the byte: a line for each event and the statement behind them.
fn select(
    source: &dyn TileSource,
    head: &Checkpoint,
    note: &str,
    allowed: &Allowed,
    query: &EventQuery,
    asked: &Map<String, Value>,
) -> Result<String, Failure> {
    let mut lines = String::new();
    let mut count = 0u64;
    read_entries(source, 0, head.size, |index, leaf, event| {
        if query.matches(event) {
            let tile = |level, at, width| source.tile(&tile_path(level, at, width));
            let proof = inclusion_proof(index, head.size, tile).map_err(|error| {
                Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read")
                    .why(error.to_string())
            })?;
            let proof: Vec<String> = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
            let entry = STANDARD.encode(leaf_hash(leaf));
            let line =
                json!({ "index": index, "entry": entry, "proof": proof, "event": allowed.event(event) });
            lines.push_str(&format!("{line}\n"));
            count += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let fields: Vec<&str> = allowed.fields.iter().map(|(name, _)| *name).collect();
    let statement = json!({
        "format": FORMAT, "recipient": allowed.recipient, "log": head.origin, "size": head.size, "asked": asked,
        "fields": fields, "count": count, "sha256": sha256(lines.as_bytes()), "checkpoint": note,
    });
    lines.push_str(&format!("{statement}\n"));
    Ok(lines)
}

/// The filter that a selection was made by: what the statement says in the clear, and what is given again of the rest.
fn filter_of(statement: &Value, given: &EventFilter) -> Result<EventFilter, Failure> {
    let said =
        |name: &str| statement.pointer(&format!("/asked/{name}")).and_then(Value::as_str).map(str::to_owned);
    let private = [
        ("actor", given.actor.is_some()),
        ("object", given.object.is_some()),
        ("account", given.account.is_some()),
        ("text", given.text.is_some()),
    ];
    for (name, is_given) in private {
        if said(name).is_some() && !is_given {
            return Err(Failure::usage(format!("the selection was by `{name}` too"))
                .why("the statement has a pseudonym of it".to_owned())
                .remedy(format!("give `--{name}` as it was given then")));
        }
    }
    Ok(EventFilter {
        since: said("from"),
        until: said("until"),
        activity: said("activity"),
        outcome: said("outcome"),
        severity: said("severity"),
        ..given.clone()
    })
}

/// What a file that was shared says, its proofs being right.
struct Shared {
    head: Checkpoint,
    note: String,
    statement: Value,
}

pub(super) async fn check(
    session: &Session,
    file: &Path,
    log: &LogPlace,
    profile: Option<&Path>,
    filter: &EventFilter,
) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let text = read_text(file, MAX_SHARE_BYTES)?;
    let shared = proofs(&text, &key)?;
    let count = shared.statement.get("count").and_then(Value::as_u64).unwrap_or(0);
    let (is_complete, line) = match profile {
        None => (
            Value::Null,
            format!(
                "{count} events: each has an entry in the log `{}` of {} entries. What they say, and that none is left out, \
                 is seen by whoever has the log and the profile: `--profile`",
                shared.head.origin, shared.head.size
            ),
        ),
        Some(profile) => {
            let allowed = Allowed::read(profile)?;
            let filter = filter_of(&shared.statement, filter)?;
            let query = filter.query(&session.context)?;
            let asked = allowed.asked(&filter, &query);
            let (known, note) = (shared.head.clone(), shared.note.clone());
            let again = at(session, log, move |source, _| {
                verified(source, &key, Some(&known))?;
                // The log may have grown since: it is read up to where it was.
                let now = head(source, &key)?.0.size;
                select(&Older { source, now }, &known, &note, &allowed, &query, &asked)
            })
            .await?;
            if again != text {
                return Err(Failure::new(Exit::NotVerified, "share-not-verified", "the file is not that selection")
                    .why("made again from the log by that profile, it has other events, or says other things of them")
                    .remedy("compare the two: `tenet log share` with what the statement names"));
            }
            (
                Value::Bool(true),
                format!("{count} events: all that were asked for, and what the profile allows of each"),
            )
        }
    };
    let report = json!({ "verified": true, "complete": is_complete, "count": count, "log": shared.head.origin, "size": shared.head.size });
    session.out.say(&line, &report)
}

/// Checks every proof, and that the statement is of these events.
fn proofs(text: &str, key: &LogVerifier) -> Result<Shared, Failure> {
    let wrong = |why: String| {
        Failure::new(Exit::NotVerified, "share-not-verified", "the file does not verify").why(why)
    };
    let body = text.strip_suffix('\n').unwrap_or(text);
    let (events, last) = body.rsplit_once('\n').map_or(("", body), |(events, last)| (events, last));
    let statement: Value =
        serde_json::from_str(last).map_err(|_| wrong("its last line is no statement".to_owned()))?;
    if statement.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(wrong("its last line is no statement of this format".to_owned()));
    }
    let note = statement.get("checkpoint").and_then(Value::as_str).unwrap_or_default().to_owned();
    let head = key.verify(&note).map_err(|error| not_verified(&ledger::Failure::Checkpoint(error)))?;
    let lines = if events.is_empty() { String::new() } else { format!("{events}\n") };
    if statement.get("sha256").and_then(Value::as_str) != Some(sha256(lines.as_bytes()).as_str()) {
        return Err(wrong("the statement is of other events".to_owned()));
    }
    let mut count = 0u64;
    let mut before: Option<u64> = None;
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).map_err(|_| wrong("a line is no event".to_owned()))?;
        let index = event
            .get("index")
            .and_then(Value::as_u64)
            .ok_or_else(|| wrong("a line is no event".to_owned()))?;
        let hash = |value: &Value| -> Option<Hash> { STANDARD.decode(value.as_str()?).ok()?.try_into().ok() };
        let entry = event.get("entry").and_then(hash);
        let proof: Option<Vec<Hash>> =
            event.get("proof").and_then(Value::as_array).and_then(|proof| proof.iter().map(hash).collect());
        let holds = match (entry, proof) {
            (Some(entry), Some(proof)) => {
                verify_inclusion(index, head.size, &entry, &proof, &head.root).is_ok()
            }
            _ => false,
        };
        if !holds || before.is_some_and(|before| before >= index) {
            return Err(wrong(format!("the event that is said to be entry {index} is not proved to be")));
        }
        before = Some(index);
        count += 1;
    }
    if statement.get("count").and_then(Value::as_u64) != Some(count) {
        return Err(wrong("the statement counts other events".to_owned()));
    }
    Ok(Shared { head, note, statement })
}

/// A log as it was when it had fewer entries: of a tile that has grown since, its beginning.
struct Older<'a> {
    source: &'a dyn TileSource,
    now: u64,
}

impl TileSource for Older<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        self.source.checkpoint()
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let asked = parse_tile_path(path).map_err(|error| SourceError::Unreadable(error.to_string()))?;
        let level = match asked.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let wide = u64::from(TILE_WIDTH);
        let there =
            self.now.checked_shr(8 * u32::from(level)).unwrap_or(0).saturating_sub(asked.index * wide);
        let width = u16::try_from(there.min(wide)).unwrap_or(TILE_WIDTH);
        let grown = TilePath { width: width.max(asked.width), ..asked };
        let mut data = self.source.tile(&grown.to_string())?;
        let width = usize::from(asked.width);
        if let TileKind::Hashes(_) = asked.kind {
            data.truncate(width * 32);
            return Ok(data);
        }
        let mut bundle = Vec::new();
        for entry in bundle_entries(&data).take(width) {
            let added = entry.ok().map(|entry| push_entry(&mut bundle, entry));
            if !matches!(added, Some(Ok(()))) {
                return Err(SourceError::Unreadable("a bundle is damaged".to_owned()));
            }
        }
        Ok(bundle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(key: &str, fields: &[&str]) -> Result<Allowed, String> {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let key_file = directory.path().join("key");
        std::fs::write(&key_file, key).unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let profile = directory.path().join("profile.toml");
        let fields = fields.iter().map(|field| format!("\"{field}\"")).collect::<Vec<_>>().join(", ");
        let text = format!("recipient = \"auditor.example\"\nkey_file = \"key\"\nfields = [{fields}]\n");
        std::fs::write(&profile, text).unwrap();
        Allowed::read(&profile).map_err(|failure| failure.text())
    }

    #[test]
    fn a_pseudonym_is_the_recipients_own() {
        let one = allowed(&"a".repeat(32), &["actor"]).unwrap();
        let two = allowed(&"b".repeat(32), &["actor"]).unwrap();
        let id = "opr_01m8cbspt8fkdvfhemctce8an6";
        assert_eq!(one.pseudonym(id), one.pseudonym(id));
        assert_ne!(one.pseudonym(id), two.pseudonym(id));
        assert!(one.pseudonym(id).starts_with("opr~") && !one.pseudonym(id).contains("01m8"));
    }

    #[test]
    fn a_profile_that_is_wrong_says_what() {
        assert!(allowed("short", &["actor"]).err().unwrap().contains("32 characters"));
        assert!(allowed(&"a".repeat(32), &["actr"]).err().unwrap().contains("`actor`"));
        assert!(allowed(&"a".repeat(32), &[]).is_err());
    }
}
