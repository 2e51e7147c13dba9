//! `tenet log gaps`: when nothing was recorded, and why; from the log alone, so on any copy of it.

use base::Timestamp;
use ledger::{Event, Gap, GapFinder, TILE_WIDTH, TileSource};
use serde_json::{Value, json};

use super::{
    Session,
    log::{at, bundle, head, not_verified, trusted_key, verified},
};
use crate::{cli::LogPlace, failure::Failure, output, progress};

const COLUMNS: &[output::Column] = &[
    ("cause", "/cause"),
    ("from", "/from"),
    ("until", "/until"),
    ("seconds", "/seconds"),
    ("after entry", "/after"),
    ("before entry", "/before"),
    ("server", "/server"),
];

pub(super) async fn run(session: &Session, log: &LogPlace, alarms: bool) -> Result<(), Failure> {
    let key = trusted_key(session, log.key.as_deref(), log.place.as_deref())?;
    // A copy ends where it ends, be it a directory or a witness's; what a server shows of its own goes on to this moment.
    let host = log
        .place
        .as_deref()
        .map(|place| place.strip_prefix("https://").map(|rest| rest.trim_end_matches('/')));
    let is_live = host.is_none_or(|host| host.is_some_and(|host| !host.contains('/')));
    let now = is_live.then(|| session.context.now());
    let found = at(session, log, move |source, _| {
        verified(source, &key, None)?;
        let (head, _) = head(source, &key)?;
        find(source, head.size, now)
    })
    .await?;
    let shown: Vec<Value> =
        found.iter().filter(|gap| !alarms || gap.cause.is_alarm()).map(describe).collect();
    session.out.list(&shown, COLUMNS)
}

fn find(source: &dyn TileSource, size: u64, now: Option<Timestamp>) -> Result<Vec<Gap>, Failure> {
    let bar = progress::bar("reading", size, false);
    let mut finder = GapFinder::new();
    let mut index = 0;
    while index < size {
        let entries = bundle(source, size, index)?;
        if entries.is_empty() {
            return Err(not_verified(&ledger::Failure::EntriesMissing { index, tail: false }));
        }
        for entry in entries.iter().take(usize::from(TILE_WIDTH)) {
            let event = Event::decode(entry)
                .map_err(|error| not_verified(&ledger::Failure::NotAnEvent { index, error }))?;
            finder.read(index, &event);
            index += 1;
        }
        bar.set_position(index);
    }
    bar.finish_and_clear();
    let mut found = finder.take();
    found.extend(finder.finish(now));
    Ok(found)
}

fn describe(gap: &Gap) -> Value {
    json!({
        "cause": gap.cause.as_str(), "meaning": gap.cause.meaning(), "alarm": gap.cause.is_alarm(),
        "from": gap.from.to_string(), "until": gap.until.to_string(),
        "seconds": gap.until.since(gap.from).seconds(), "after": gap.after, "before": gap.before,
        "lasts": gap.before.is_none(), "server": gap.server.map(|server| server.to_string()),
    })
}
