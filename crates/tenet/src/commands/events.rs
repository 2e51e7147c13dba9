//! The log's events, one after the other: of a server's index, or of a whole log that is verified and read. And
//! `tenet log search`, `tenet log tail`.

use std::ops::ControlFlow;

use ledger::{Checkpoint, Event, EventQuery, EventView, LogVerifier, TILE_WIDTH, TileSource};
use serde_json::Value;

use super::{
    Session,
    log::{COLUMNS, at, bundle, describe, head, not_verified, trusted_key, verified},
};
use crate::{
    cli::{EventFilter, LogPlace},
    failure::{Exit, Failure},
    progress,
};

/// How often `tail` looks for more.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// `tenet log search`.
pub(super) async fn search(
    session: &Session,
    log: &LogPlace,
    filter: &EventFilter,
    limit: usize,
    oldest: bool,
) -> Result<(), Failure> {
    let query = filter.query(&session.context)?;
    let found = if log.place.is_none() {
        let mut parameters = filter.parameters(&query);
        parameters.push(("order", if oldest { "oldest" } else { "newest" }.to_owned()));
        let api = session.operator()?;
        let items = api.filtered(&["v1", "log", "events"], &parameters, "cursor", limit).await?;
        items.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?
    } else {
        let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
        let mut found = std::collections::VecDeque::new();
        let found = at(session, log, move |source, _| {
            read_all(source, &key, |index, leaf, event| {
                if query.matches(event) {
                    found.push_back(describe(index, leaf)?);
                }
                if found.len() > limit {
                    if oldest {
                        found.pop_back();
                        return Ok(ControlFlow::Break(()));
                    }
                    found.pop_front();
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(found)
        })
        .await?;
        let mut found: Vec<Value> = found.into();
        if !oldest {
            found.reverse();
        }
        found
    };
    session.out.list(&found, COLUMNS)
}

/// An item of the API as the other commands show an entry, with the times that witnesses vouch for.
fn shown(item: Value) -> Result<Value, Failure> {
    let broken = || Failure::new(Exit::Failure, "answer", "the server's answer is not an event of the log");
    let index = item.get("index").and_then(Value::as_u64).ok_or_else(broken)?;
    let event = item.get("event").ok_or_else(broken)?;
    // The keys of an object stand in another order here than in the leaf: reading does not mind.
    let leaf = serde_json::to_vec(event).map_err(|_| broken())?;
    let mut entry = describe(index, &leaf)?;
    if let Some(map) = entry.as_object_mut() {
        for name in ["not_before", "not_after"] {
            map.insert(name.to_owned(), item.get(name).cloned().unwrap_or(Value::Null));
        }
    }
    Ok(entry)
}

/// Verifies a whole log, and reads its entries in order until told to stop.
pub(super) fn read_all(
    source: &dyn TileSource,
    key: &LogVerifier,
    take: impl FnMut(u64, &[u8], &EventView) -> Result<ControlFlow<()>, Failure>,
) -> Result<Checkpoint, Failure> {
    verified(source, key, None)?;
    let (head, _) = head(source, key)?;
    read_entries(source, 0, head.size, take)?;
    Ok(head)
}

/// Reads entries that were verified, `from` up to, not with, `until`, until told to stop.
pub(super) fn read_entries(
    source: &dyn TileSource,
    from: u64,
    until: u64,
    mut take: impl FnMut(u64, &[u8], &EventView) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let bar = progress::bar("reading", until.saturating_sub(from), false);
    let mut index = from;
    while index < until {
        let entries = bundle(source, until, index)?;
        let skip = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(0);
        if entries.len() <= skip {
            return Err(not_verified(&ledger::Failure::EntriesMissing { index, tail: false }));
        }
        for entry in entries.iter().skip(skip) {
            if index >= until {
                break;
            }
            let event = Event::decode(entry)
                .map_err(|error| not_verified(&ledger::Failure::NotAnEvent { index, error }))?;
            if take(index, entry, &event)?.is_break() {
                bar.finish_and_clear();
                return Ok(());
            }
            index += 1;
        }
        bar.set_position(index.saturating_sub(from));
    }
    bar.finish_and_clear();
    Ok(())
}

/// `tenet log tail`: the newest entries, and with `follow` those that come while
/// the log is seen to continue what it was.
pub(super) async fn tail(
    session: &Session,
    log: &LogPlace,
    filter: &EventFilter,
    lines: u64,
    follow: bool,
) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let query = filter.query(&session.context)?;
    let mut known: Option<Checkpoint> = None;
    loop {
        let (before, wanted, key) = (known.clone(), query.clone(), key.clone());
        let (head, entries) =
            at(session, log, move |source, _| newer(source, &key, before.as_ref(), &wanted, lines)).await?;
        for entry in entries {
            line(session, &entry)?;
        }
        known = Some(head);
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// What came since `known`, or the newest `lines` entries, that match. The log must continue what was known.
fn newer(
    source: &dyn TileSource,
    key: &LogVerifier,
    known: Option<&Checkpoint>,
    query: &EventQuery,
    lines: u64,
) -> Result<(Checkpoint, Vec<Value>), Failure> {
    let (head, _) = head(source, key)?;
    let from = match known {
        Some(known) if known.size == head.size && known.root == head.root => return Ok((head, Vec::new())),
        Some(known) => {
            let tile = |level, at, width| source.tile(&ledger::tile_path(level, at, width));
            let proof = ledger::consistency_proof(known.size, head.size, tile).map_err(|error| {
                Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read")
                    .why(error.to_string())
            })?;
            ledger::verify_consistency(known.size, &known.root, head.size, &head.root, &proof).map_err(
                |_| {
                    Failure::new(
                        Exit::NotVerified,
                        "log-not-verified",
                        "the log does not continue what it was",
                    )
                    .why(format!("it had {} entries, and those of today begin otherwise", known.size))
                    .remedy("keep what was shown, and compare with a witness's copy")
                },
            )?;
            known.size
        }
        None => head.size.saturating_sub(lines),
    };
    let mut entries = Vec::new();
    read_entries(source, from, head.size, |index, leaf, event| {
        if query.matches(event) {
            entries.push(describe(index, leaf)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((head, entries))
}

/// One line an entry: JSON lines for scripts.
fn line(session: &Session, entry: &Value) -> Result<(), Failure> {
    if session.out.is_json() {
        return session.out.text(&format!("{entry}\n"));
    }
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let index = entry.get("index").and_then(Value::as_u64).unwrap_or(0);
    session.out.text(&format!(
        "{index:>8}  {}  {:<24} {}  {}  {}\n",
        text("time"),
        text("activity"),
        text("actor"),
        text("object"),
        text("outcome"),
    ))
}
