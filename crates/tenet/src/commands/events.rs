//! The log's events, one after the other: of a server's index, or of a whole log that is verified and read. And
//! `tenet log search`, `tenet log tail`.

use std::ops::ControlFlow;

use ledger::{Checkpoint, Event, EventView, LogVerifier, TILE_WIDTH, TileSource};
use serde_json::Value;

use super::{
    Session,
    forward::{failed, matching},
    log::{COLUMNS, at, bundle, describe, head, not_verified, trusted_key, verified},
};
use crate::{
    cli::{EventFilter, LogPlace},
    failure::{Exit, Failure},
    offline::Follower,
    progress,
};

/// How often `tail` looks for more.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
/// Most entries that `tail` verifies at once.
const MOST: u64 = 1_000;

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

/// `tenet log tail`: the newest entries, and with `follow` those that come, each verified before it is shown.
pub(super) async fn tail(
    session: &Session,
    log: &LogPlace,
    filter: &EventFilter,
    lines: u64,
    follow: bool,
) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    let query = filter.query(&session.context)?;
    let mut follower: Option<Follower> = None;
    loop {
        let (taken, wanted, key) = (follower.take(), query.clone(), key.clone());
        let (now, entries, is_all) = at(session, log, move |source, _| {
            let mut follower = match taken {
                Some(follower) => follower,
                None => {
                    let start = head(source, &key)?.0.size.saturating_sub(lines);
                    Follower::open(source, &key, start, None).map_err(|error| failed(&error))?
                }
            };
            let (first, entries) = follower.next(source, MOST).map_err(|error| failed(&error))?;
            let is_all = (entries.len() as u64) < MOST;
            let shown = matching(first, entries, &wanted)?;
            let shown: Result<Vec<_>, _> =
                shown.iter().map(|event| describe(event.index, &event.leaf)).collect();
            Ok((follower, shown?, is_all))
        })
        .await?;
        for entry in entries {
            line(session, &entry)?;
        }
        follower = Some(now);
        if !is_all {
            continue;
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
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
