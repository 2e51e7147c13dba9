//! Checks of how the policy is governed: its adoption, reviews, safeguards, and its own evidence.

use store::SystemScope;
use watch::Sight;

use super::{Grounds, Looked, why};

pub(super) async fn safeguards(grounds: &Grounds, _: &SystemScope) -> Looked {
    let (all, weak) = grounds.access.safeguards_weak().await.map_err(why)?;
    let summary = match weak.as_slice() {
        [] => format!("none of {all} safeguards is weaker than what was accepted"),
        some => format!("weaker than what was accepted: {}", some.join(", ")),
    };
    Ok(Sight::counted(all as u64, weak.len() as u64, summary))
}

pub(super) async fn reviews(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let (open, overdue) = grounds.access.reviews_open(scope).await.map_err(why)?;
    Ok(Sight::counted(
        open,
        overdue,
        format!("{open} privileged acts wait for their review, {overdue} of them too long"),
    ))
}

pub(super) async fn uncontradicted(grounds: &Grounds, scope: &SystemScope) -> Looked {
    Ok(match grounds.watch.contradictions(scope).await.map_err(why)? {
        None => Sight::whether(
            false,
            "no version of the policy is in effect: put one up with `tenet policy adopt`",
        ),
        Some((version, found)) => {
            let summary = match found.first() {
                None => format!("nothing that runs contradicts version {version}"),
                Some(first) => format!("version {version}: {first}"),
            };
            Sight::counted((found.len() as u64).max(1), found.len() as u64, summary)
        }
    })
}

pub(super) async fn acknowledged(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let (examined, faults) = grounds.watch.adoption_faults(scope).await.map_err(why)?;
    let summary = match faults.as_slice() {
        [] => "the version in effect is approved, acknowledged in time, and not due for review".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    };
    Ok(Sight::counted(examined, faults.len() as u64, summary))
}

pub(super) async fn complete(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let (examined, missing) = grounds.watch.incomplete(scope).await.map_err(why)?;
    let summary = match missing.as_slice() {
        [] => format!("of {examined} checks, what is stored is the newest that the log has"),
        some => format!("the log has newer observations of {}", some.join(", ")),
    };
    Ok(Sight::counted(examined, missing.len() as u64, summary))
}
