//! `tenet log forward`: the log's events to where an organisation keeps its others, as they come. A process of its own, so
//! that nothing at the server waits for it: what can't be delivered waits in the log. Each entry is verified before it
//! leaves. The position moves once the other side has what was sent, so every event arrives, perhaps more than once.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ledger::{Event, EventQuery, EventView, Hash};
use serde_json::{Value, json};

use super::{
    Session,
    log::{at, hex, trusted_key},
};
use crate::{
    cli::{EventFilter, LogPlace},
    data_dir::{open_alone, write_private},
    failure::{Exit, Failure},
    input::read_text,
    offline::{FollowError, Follower},
    output,
    sinks::Sink,
};

/// Most events of one delivery.
const BATCH: u64 = 1_000;
/// How often it looks for more.
const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Most bytes of a position's file.
const MAX_STATE_BYTES: usize = 4_096;

/// What is delivered, where to, and how far it got.
pub(super) struct Forward {
    pub(super) place: LogPlace,
    pub(super) filter: EventFilter,
    pub(super) to: PathBuf,
    pub(super) ca: Option<PathBuf>,
    pub(super) state: PathBuf,
    pub(super) from_now: bool,
    pub(super) once: bool,
}

/// An event on its way.
pub(crate) struct Outgoing {
    pub(crate) index: u64,
    pub(crate) leaf: Vec<u8>,
    pub(crate) event: EventView,
}

pub(super) async fn run(session: &Session, forward: Forward) -> Result<(), Failure> {
    let key = trusted_key(session, forward.place.key.as_deref(), forward.place.place.as_deref())?;
    let query = forward.filter.query(&session.context)?;
    let sink = Sink::read(&forward.to, forward.ca.as_deref(), &session.environment)?;
    let _alone = alone(&forward.state)?;
    let known = position(&forward.state, key.origin())?;
    let mut follower: Option<Follower> = None;
    let mut delivered = 0u64;
    let mut wait = FIRST_WAIT;
    loop {
        let (taken, key, query) = (follower.take(), key.clone(), query.clone());
        let from_now = forward.from_now;
        let read = at(session, &forward.place, move |source, _| {
            let mut follower = match taken {
                Some(follower) => follower,
                None => match known {
                    Some((size, root)) => {
                        Follower::open(source, &key, size, Some(root)).map_err(|error| failed(&error))?
                    }
                    None => {
                        let start = if from_now { super::log::head(source, &key)?.0.size } else { 0 };
                        Follower::open(source, &key, start, None).map_err(|error| failed(&error))?
                    }
                },
            };
            let (first, entries) = follower.next(source, BATCH).map_err(|error| failed(&error))?;
            let is_all = (entries.len() as u64) < BATCH;
            let events = matching(first, entries, &query)?;
            Ok((follower, events, is_all))
        })
        .await;
        let pause = match read {
            // A server that does not answer now may later; a log that does not verify never will.
            Err(failure) if failure.exit == Exit::Unavailable && !forward.once => {
                output::note(&format!("waiting: {}", failure.text()));
                let pause = wait;
                wait = (wait * 2).min(LONGEST_WAIT);
                pause
            }
            Err(failure) => return Err(failure),
            Ok((follower_now, events, is_all)) => {
                delivered += deliver(&sink, &events, follower_now.origin(), forward.once).await?;
                save(&forward.state, &follower_now)?;
                follower = Some(follower_now);
                wait = FIRST_WAIT;
                if is_all && forward.once {
                    break;
                }
                if is_all { LOOK } else { Duration::ZERO }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let size = follower.as_ref().map_or(0, Follower::size);
    let line = format!("{delivered} events delivered; the next time it goes on behind entry {size}");
    session.out.say(&line, &json!({ "delivered": delivered, "position": size }))
}

/// Sends until the other side has it all.
async fn deliver(sink: &Sink, events: &[Outgoing], origin: &str, once: bool) -> Result<u64, Failure> {
    if events.is_empty() {
        return Ok(0);
    }
    let mut wait = FIRST_WAIT;
    loop {
        match sink.send(events, origin).await {
            Ok(()) => return Ok(events.len() as u64),
            Err(why) if once => {
                return Err(Failure::new(
                    Exit::Unavailable,
                    "not-delivered",
                    "the events can't be delivered",
                )
                .why(why));
            }
            Err(why) => output::note(&format!("{} events wait: {why}", events.len())),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::new(Exit::Interrupted, "interrupted", "stopped; what waited goes out the next time"));
            }
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

pub(super) fn matching(
    first: u64,
    entries: Vec<Vec<u8>>,
    query: &EventQuery,
) -> Result<Vec<Outgoing>, Failure> {
    let mut events = Vec::new();
    for (index, leaf) in (first..).zip(entries) {
        let event = Event::decode(&leaf)
            .map_err(|error| super::log::not_verified(&ledger::Failure::NotAnEvent { index, error }))?;
        if query.matches(&event) {
            events.push(Outgoing { index, leaf, event });
        }
    }
    Ok(events)
}

pub(super) fn failed(error: &FollowError) -> Failure {
    match error {
        FollowError::Unreadable { .. } => {
            Failure::new(Exit::Unavailable, "log-unreadable", "the log can't be read").why(error.to_string())
        }
        _ => Failure::new(Exit::NotVerified, "log-not-verified", "the log does not verify")
            .why(error.to_string())
            .remedy("run `tenet log verify`, and compare with a witness's copy"),
    }
}

/// How far an earlier run got, of this very log.
/// Two that go on from one position would each send everything: the second is refused. For as long as it is held.
fn alone(state: &Path) -> Result<std::fs::File, Failure> {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let path = state.with_file_name(name);
    let held = open_alone(&path).map_err(|error| Failure::file("can't write", &path, &error))?;
    held.ok_or_else(|| {
        Failure::new(Exit::Failure, "in-use", format!("another process forwards from `{}`", state.display()))
            .remedy("stop it, or give this one another `--state FILE`")
    })
}

fn position(path: &Path, origin: &str) -> Result<Option<(u64, Hash)>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let wrong = |why: &str| {
        Failure::usage(format!("`{}` is no position of this log", path.display()))
            .why(why.to_owned())
            .remedy("give another `--state FILE`, or remove it to begin anew")
    };
    let state: Value =
        serde_json::from_str(&read_text(path, MAX_STATE_BYTES)?).map_err(|_| wrong("it is damaged"))?;
    if state.get("log").and_then(Value::as_str) != Some(origin) {
        return Err(wrong("it is another log's"));
    }
    let size = state.get("size").and_then(Value::as_u64).ok_or_else(|| wrong("it is damaged"))?;
    let root = state.get("root").and_then(Value::as_str).unwrap_or_default();
    let bytes: Option<Vec<u8>> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(root.get(at..at + 2)?, 16).ok()).collect();
    let root = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| wrong("it is damaged"))?;
    Ok(Some((size, root)))
}

fn save(path: &Path, follower: &Follower) -> Result<(), Failure> {
    let root = hex(&follower.root());
    let state = json!({ "log": follower.origin(), "size": follower.size(), "root": root });
    write_private(path, state.to_string().as_bytes())
        .map_err(|error| Failure::file("can't write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_one_who_goes_on_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state.json");
        let held = alone(&state).unwrap();
        let refused = alone(&state).unwrap_err();
        assert!(refused.text().contains("another process forwards"), "{}", refused.text());
        drop(held);
        alone(&state).unwrap();
    }
}
