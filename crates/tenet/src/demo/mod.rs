//! `tenet up --demo`: fills a new installation with some weeks of a told history, so that there is something to walk
//! through: the people of a fictitious company, its customers, its policy, and what is known of it. All of it is done by
//! the same calls that a server makes for whoever asks, under a clock that the story moves; nothing is put beside them.
//! Not the serving: that is `server`'s, as of any installation.

mod checks;
mod clock;
mod customers;
mod dice;
mod governance;
mod lifecycle;
mod people;
mod reviews;
mod story;
mod visitor;
mod work;

use std::sync::Arc;

use base::{Context, Duration, Fault, ServerId, Timestamp};

pub(crate) use clock::ScriptedClock;
pub use governance::COMPANY;
pub use visitor::follow;

use crate::{
    client::Home,
    config::Loaded,
    data_dir::DataDir,
    failure::{Exit, Failure},
    output,
    progress::bar,
    server::{
        demonstration::{self, Standing},
        stage::Stage,
        stores,
    },
};
use story::Story;
use visitor::Visitor;

/// How many days of history there are, unless it is said otherwise.
pub const DAYS: u32 = story::DAYS;
const DAY_SECONDS: i64 = 86_400;

/// What was filled.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// Entries of the log.
    pub entries: u64,
    /// How long it took.
    pub took: Duration,
}

fn failed(error: &impl Fault) -> Failure {
    Failure::fault("the demonstration can't be filled", error)
}

/// Fills the installation, if nothing is in it. One that is a demonstration already is left as it is.
///
/// # Errors
/// One that is in use, or whose filling was broken off; a profile in the way.
pub async fn fill(
    loaded: &Loaded,
    home: &Home,
    days: u32,
    context: &Context,
) -> Result<Option<Filled>, Failure> {
    match standing(loaded, context).await? {
        Standing::Empty => {}
        Standing::Demonstration => return Ok(None),
        Standing::Unfinished => return Err(demonstration::unfinished(&loaded.data)),
        Standing::InUse => {
            return Err(Failure::new(Exit::Conflict, "not-a-demo", "this installation is not a demonstration")
                .why(format!("something was recorded in `{}` already", loaded.data.display()))
                .remedy("give the demonstration a directory of its own with `--data DIR` (and no database that is in use), or start this one without `--demo`"));
        }
    }
    let visitor = Visitor::prepare(home, context)?;
    let filled = fill_empty(loaded, &visitor, days, context).await;
    match filled {
        Ok(filled) => Ok(Some(filled)),
        Err(failure) => {
            visitor.abandon();
            Err(failure)
        }
    }
}

/// What the installation is. Its schema is made if it has none.
async fn standing(loaded: &Loaded, context: &Context) -> Result<Standing, Failure> {
    let directory = DataDir::open(&loaded.data)
        .map_err(|error| Failure::fault("the data directory can't be used", &error))?;
    let server =
        ServerId::new(context).map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
    let opened = stores::open(loaded, &directory, context, server).await?;
    demonstration::standing(&opened.data).await
}

async fn fill_empty(
    loaded: &Loaded,
    visitor: &Visitor,
    days: u32,
    context: &Context,
) -> Result<Filled, Failure> {
    let (began, end) = (context.elapsed(), context.now());
    let today = Timestamp::from_seconds(end.seconds().div_euclid(DAY_SECONDS) * DAY_SECONDS);
    let start = today.minus(Duration::from_days(i64::from(days)));
    let clock = Arc::new(ScriptedClock::at(start));
    let of_clock = Context::new(Arc::clone(&clock) as Arc<dyn base::Clock>, Arc::new(base::SystemEntropy));
    let mishap = |day| start + Duration::from_days(i64::from(story::day_of(day, days)));
    let stage = Stage::open(loaded, clock, checks::told(&of_clock, mishap)?).await?;
    demonstration::begin(&stage.data, stage.scope(), days).await?;
    // A crash from here on leaves a part of the story, marked as that.
    let shown = bar("filling the demonstration, by days", u64::from(days), false);
    if !output::is_watched() {
        output::note(&format!("filling a demonstration: {days} days of {COMPANY}, a fictitious company"));
    }
    let mut story = Story::new(&stage, (start, end), days, visitor.keys()?);
    story.tell(|day| shown.set_position(u64::from(day))).await?;
    // What was told took its own time: the history ends where serving begins.
    stage.reach(context.now()).await?;
    stage.round().await?;
    stage.read().await?;
    let (lead, customers) = story.visitor()?;
    visitor.save(&stage, loaded, lead, &customers)?;
    demonstration::complete(&stage.data, stage.scope(), days).await?;
    stage.settle().await?;
    let anything = ledger::EventQuery::default();
    let entries = stage.data.search_events(&anything, store::EventOrder::OldestFirst, None, 1).await;
    let entries = entries.map_err(|error| failed(&error))?.size;
    drop(story);
    stage.close().await?;
    shown.finish_and_clear();
    let took = Duration::from_micros(context.elapsed().micros().saturating_sub(began.micros()));
    Ok(Filled { entries, took })
}
