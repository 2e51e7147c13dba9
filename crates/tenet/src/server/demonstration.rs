//! Whether an installation is a demonstration: the log says so. The filling is an event where it begins and one where it
//! ends; what lies between is a history that was told, and not lived.

use base::Fault as _;
use ledger::{Act, Activity, EventQuery, ObjectRef};
use store::{EventOrder, Store, SystemScope};

use crate::failure::{Exit, Failure};

const BEGUN: &str = "begun";
const COMPLETE: &str = "complete";

/// What an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was ever recorded in it.
    Empty,
    /// A demonstration, filled to its end.
    Demonstration,
    /// A demonstration whose filling was broken off.
    Unfinished,
    /// One that people work with.
    InUse,
}

/// What the log says of an installation.
pub(crate) async fn standing(data: &Store) -> Result<Standing, Failure> {
    let failed = |error: store::StoreError| {
        Failure::new(Exit::of(error.kind()), error.code(), "it can't be told whether this is a demonstration")
            .why(error.to_string())
    };
    let filled = EventQuery { activity: Some(Activity::DemoFill.name().to_owned()), ..EventQuery::default() };
    let events = data.recorded(&filled).await.map_err(failed)?;
    if events.iter().any(|event| event.text("state") == Some(COMPLETE)) {
        return Ok(Standing::Demonstration);
    }
    if !events.is_empty() {
        return Ok(Standing::Unfinished);
    }
    let anything =
        data.search_events(&EventQuery::default(), EventOrder::OldestFirst, None, 1).await.map_err(failed)?;
    let waiting = data.events_waiting().await.map_err(failed)?;
    Ok(if anything.size == 0 && waiting == 0 { Standing::Empty } else { Standing::InUse })
}

/// Says that the filling begins, before anything of it is there. A crash from here to [`complete`] leaves an
/// installation that is of no use, and that says so at its next start.
pub(crate) async fn begin(data: &Store, scope: &SystemScope, days: u32) -> Result<(), Failure> {
    note(data, scope, BEGUN, days).await
}

/// Says that the filling is complete: the last that it does.
pub(crate) async fn complete(data: &Store, scope: &SystemScope, days: u32) -> Result<(), Failure> {
    note(data, scope, COMPLETE, days).await
}

async fn note(data: &Store, scope: &SystemScope, state: &'static str, days: u32) -> Result<(), Failure> {
    let act = Act::new(Activity::DemoFill, ObjectRef::new("demonstration", "-"));
    let act = act.detail("state", state).detail("days", days);
    let noted = data.record_system(scope, act).await;
    noted.map(|_| ()).map_err(|error| Failure::fault("the demonstration can't be marked as one", &error))
}

/// What is wrong with a demonstration that was not filled to its end, and what to do.
pub(crate) fn unfinished(data: &std::path::Path) -> Failure {
    Failure::new(Exit::Conflict, "demo-unfinished", "the demonstration was not filled to its end")
        .why("the filling was broken off: what is there is a part of a history, and of no use")
        .remedy(format!(
            "delete the directory `{}` (with PostgreSQL, the database's two schemas), then run `tenet up --demo` again",
            data.display()
        ))
}
