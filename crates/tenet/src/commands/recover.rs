//! `tenet log recover`: entries that this server's log has lost, taken back from a mirror.

use std::path::Path;

use ledger::{Checkpoint, LogVerifier, TileSource};
use serde_json::json;

use super::{
    Session,
    log::{at_place, bundle, place, unreadable, verified},
};
use crate::{
    cli::SettingArgs,
    config,
    failure::{Exit, Failure},
    server::Recovery,
};

/// Entries that are taken back in one transaction.
const AT_ONCE: usize = 1_024;

pub(super) async fn run(
    session: &Session,
    from: &str,
    ca: Option<&Path>,
    settings: &SettingArgs,
) -> Result<(), Failure> {
    let loaded = config::load_to_start(&settings.arguments(), &session.environment)?;
    let place = place(session, Some(from), ca)?;
    let recovery = Recovery::open(&loaded, &session.context).await?;
    let (key, here) = (recovery.key(), recovery.head().await?);
    let before = here.as_ref().map_or(0, |head| head.size);
    let (recovery, theirs) = at_place(place, move |source, _| {
        let theirs = check(source, &key, here.as_ref())?;
        let handle = tokio::runtime::Handle::current();
        let mut next = before;
        while next < theirs.size {
            let mut entries = Vec::new();
            while entries.len() < AT_ONCE && next < theirs.size {
                let skip = usize::try_from(next % u64::from(ledger::TILE_WIDTH)).unwrap_or(0);
                let more = bundle(source, theirs.size, next)?.into_iter().skip(skip);
                let had = entries.len();
                entries.extend(more);
                next += (entries.len() - had) as u64;
                if entries.len() == had {
                    return Err(Failure::new(
                        Exit::NotVerified,
                        "log-damaged",
                        format!("entry {next} is missing"),
                    ));
                }
            }
            handle.block_on(recovery.take_back(&entries))?;
        }
        Ok((recovery, theirs))
    })
    .await?;
    recovery.finish(before, &theirs).await?;
    let taken = theirs.size.saturating_sub(before);
    session.out.say(
        &format!("took {taken} entries back: the log has {} again; start the server", theirs.size),
        &json!({ "taken": taken, "before": before, "size": theirs.size }),
    )
}

/// The mirror's head: this log's, whole, and a continuation of what is here.
fn check(
    source: &dyn TileSource,
    key: &LogVerifier,
    here: Option<&Checkpoint>,
) -> Result<Checkpoint, Failure> {
    let note = source.checkpoint().map_err(|error| unreadable("checkpoint", &error))?;
    let theirs = key.verify(&note).map_err(|error| {
        Failure::new(Exit::NotVerified, "log-not-verified", "the copy is not of this server's log")
            .why(error.to_string())
    })?;
    let size = here.map_or(0, |head| head.size);
    if theirs.size <= size {
        let what = "there is nothing to take back";
        return Err(Failure::new(Exit::Conflict, "nothing-lost", what)
            .why(format!("the copy has {} entries, and the log here {size}", theirs.size)));
    }
    // The whole of it, and that it continues what is here: a fork is refused.
    verified(source, key, here.filter(|head| head.size > 0))?;
    Ok(theirs)
}
