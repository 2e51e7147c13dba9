//! `tenet log gaps`: when nothing was recorded, and why; from the log alone, so on any copy of it.

use std::ops::ControlFlow;

use ledger::{Gap, GapFinder};
use serde_json::{Value, json};

use super::{
    Session,
    events::read_all,
    log::{at, trusted_key},
};
use crate::{cli::LogPlace, failure::Failure, output};

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
        let mut finder = GapFinder::new();
        read_all(source, &key, |index, _, event| {
            finder.read(index, event);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut found = finder.take();
        found.extend(finder.finish(now));
        Ok(found)
    })
    .await?;
    let shown: Vec<Value> =
        found.iter().filter(|gap| !alarms || gap.cause.is_alarm()).map(describe).collect();
    session.out.list(&shown, COLUMNS)
}

fn describe(gap: &Gap) -> Value {
    json!({
        "cause": gap.cause.as_str(), "meaning": gap.cause.meaning(), "alarm": gap.cause.is_alarm(),
        "from": gap.from.to_string(), "until": gap.until.to_string(),
        "seconds": gap.until.since(gap.from).seconds(), "after": gap.after, "before": gap.before,
        "lasts": gap.before.is_none(), "server": gap.server.map(|server| server.to_string()),
    })
}
