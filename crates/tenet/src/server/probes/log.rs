//! Checks of the log: that it takes events up in time, is what was signed, is cosigned, and has no gaps.

use base::{Duration, Timestamp};
use ledger::{Activity, EventQuery, EventView, TileKind, TilePath, leaf_hash};
use store::{ClockState, EventOrder, SystemScope, Witnessing};
use watch::Sight;

use super::{Grounds, Looked, why};

/// How long an event may wait for the log.
const MOST_WAITING: Duration = Duration::from_seconds(60);
/// Entries that are held against the tree at each look.
const SAMPLED: u64 = 64;
const TILE: u64 = 256;
const DAY: Duration = Duration::from_days(1);
/// How old the last comparison of rows with the log may be: half of an interval more than the longest that is allowed by
/// default.
const COMPARED_WITHIN: Duration = Duration::from_seconds(36 * 3_600);

pub(super) async fn keeps_up(grounds: &Grounds, _: &SystemScope) -> Looked {
    let since = grounds.data.waiting_since().await.map_err(why)?;
    let waiting = grounds.data.events_waiting().await.map_err(why)?;
    let now = grounds.context.now();
    let late = since.is_some_and(|since| now >= since.plus(MOST_WAITING));
    let summary = match since {
        None => "no event waits for the log".to_owned(),
        Some(since) => {
            format!("{waiting} events wait for the log, the oldest for {} s", now.since(since).seconds())
        }
    };
    Ok(Sight::counted(waiting.max(1), u64::from(late), summary))
}

pub(super) async fn verifies(grounds: &Grounds, _: &SystemScope) -> Looked {
    let Some(note) = grounds.data.checkpoint().await.map_err(why)? else {
        return Ok(Sight::unknown("nothing is signed yet"));
    };
    let checkpoint = match grounds.signer.verifier().verify(&note) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(Sight::whether(false, format!("the checkpoint does not verify: {error}"))),
    };
    let size = checkpoint.size;
    let root = grounds.data.root_at(size).await.map_err(why)?;
    if root != checkpoint.root {
        return Ok(Sight::whether(
            false,
            format!("the tree of {size} entries has another root than was signed"),
        ));
    }
    let mut wrong = 0;
    let sampled = SAMPLED.min(size);
    for _ in 0..sampled {
        let random = u64::from_be_bytes(grounds.context.random::<8>().map_err(why)?);
        let index = random.checked_rem(size).unwrap_or(0);
        wrong += u64::from(!is_in_tree(grounds, index, size).await?);
    }
    let summary = format!(
        "the root of {size} entries is the one that was signed; {sampled} entries were held against it, {wrong} differ"
    );
    Ok(Sight::counted(sampled, wrong, summary))
}

/// Whether the entry at an index has the hash that the tree has of it.
async fn is_in_tree(grounds: &Grounds, index: u64, size: u64) -> Result<bool, String> {
    let tile = index / TILE;
    let width = u16::try_from((size - tile * TILE).min(TILE)).map_err(why)?;
    let path = TilePath { kind: TileKind::Hashes(0), index: tile, width };
    let hashes = grounds.data.tile(&path).await.map_err(why)?.unwrap_or_default();
    let at = usize::try_from(index % TILE).map_err(why)? * 32;
    let Some(leaf) = grounds.data.leaf(index).await.map_err(why)? else { return Ok(false) };
    Ok(hashes.get(at..at + 32) == Some(leaf_hash(&leaf).as_slice()))
}

pub(super) async fn witnessed(grounds: &Grounds, _: &SystemScope) -> Looked {
    Ok(match grounds.data.witnessing() {
        Witnessing::Fresh => Sight::whether(true, "the quorum of witnesses stands by the log"),
        Witnessing::Stale { last } => {
            let last = last.map_or_else(|| "never".to_owned(), |at| at.to_string());
            Sight::whether(false, format!("no quorum of witnesses stands by the log; the last time: {last}"))
        }
        Witnessing::Off => Sight::unknown("no witness is configured"),
    })
}

/// The newest events of an activity that succeeded since then, at most 100.
async fn newest(
    grounds: &Grounds,
    activity: Activity,
    since: Option<Timestamp>,
) -> Result<Vec<EventView>, String> {
    let query =
        EventQuery { activity: Some(activity.name().to_owned()), from: since, ..EventQuery::default() };
    let page = grounds.data.search_events(&query, EventOrder::NewestFirst, None, 100).await.map_err(why)?;
    Ok(page.found.into_iter().map(|one| one.event).collect())
}

pub(super) async fn heartbeats(grounds: &Grounds, _: &SystemScope) -> Looked {
    let now = grounds.context.now();
    let gaps = newest(grounds, Activity::LogGap, Some(now.minus(DAY))).await?.len() as u64;
    let beats = newest(grounds, Activity::ServerHeartbeat, Some(now.minus(DAY))).await?;
    // A server that has only just started has not shown itself yet.
    let Some(last) = beats.first() else { return Ok(Sight::unknown("no server has shown itself yet")) };
    let interval = grounds.config.ledger.heartbeat.value;
    let is_late = now >= last.time.plus(interval + interval + interval);
    let failed = gaps + u64::from(is_late);
    let summary =
        format!("{gaps} gaps within a day; the last heartbeat {} s ago", now.since(last.time).seconds());
    Ok(Sight::counted((beats.len() as u64).max(failed), failed, summary))
}

pub(super) async fn clock(grounds: &Grounds, _: &SystemScope) -> Looked {
    let reading = grounds.data.clock();
    let offset = reading.offset;
    Ok(match reading.state {
        ClockState::Synchronised => {
            Sight::whether(true, format!("the clock is off by {offset} microseconds"))
        }
        ClockState::Skewed => {
            Sight::whether(false, format!("the clock is off by {offset} microseconds, beyond the limit"))
        }
        ClockState::Unknown => Sight::unknown("too few NTP servers answer or agree"),
        ClockState::Unmeasured => Sight::unknown("the clock is not measured yet"),
    })
}

pub(super) async fn rows_explained(grounds: &Grounds, _: &SystemScope) -> Looked {
    let done = newest(grounds, Activity::LogReconcile, None).await?;
    let Some(last) = done.first() else {
        return Ok(Sight::unknown("rows were not compared with the log yet"));
    };
    let (Some(rows), Some(unexplained)) = (last.count("rows"), last.count("unexplained")) else {
        return Err("the event of the comparison does not say what was found".to_owned());
    };
    if grounds.context.now() >= last.time.plus(COMPARED_WITHIN) {
        return Ok(Sight::whether(false, format!("rows were last compared with the log at {}", last.time)));
    }
    let summary = format!(
        "{rows} rows were compared with the log at {}: {unexplained} are not what it says",
        last.time
    );
    Ok(Sight::counted(rows.max(unexplained), unexplained, summary))
}

/// Whether each route took the last test alarm.
pub(super) async fn alarms_arrive(grounds: &Grounds, scope: &SystemScope) -> Looked {
    grounds.alarms.arrival(scope).await.map_err(why)
}
