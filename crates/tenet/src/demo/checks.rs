//! What is said of checks that only a server makes that is reached over the network, drills and the listener, and of the
//! one that reads back the evidence of all others. The history has them as they went on most days; two failed once, and were mended. All other checks of the history are made, by the
//! probes that a server makes them with.

use base::{Context, Duration, Timestamp};
use policy::{Catalogue, Registry};
use store::SystemScope;
use watch::{LookFuture, Probe, Sight};

use crate::{
    failure::{Exit, Failure},
    server::stage::is_told,
};

/// A check that went wrong for a time: which, from when, how long, and what was seen.
struct Mishap {
    check: &'static str,
    from: Timestamp,
    until: Timestamp,
    summary: &'static str,
}

struct Told {
    check: &'static str,
    context: Context,
    mishap: Option<Mishap>,
}

/// What is told of a check that went as it should.
fn as_it_should(check: &str) -> (u64, &'static str) {
    match check {
        "tls-only" => (2, "the listener speaks TLSv1_3 with an approved suite; in the clear it says nothing"),
        "evidence-complete" => (33, "of all checks, what is stored is the newest that the log has"),
        "drill-row-edit" => (3, "the database refused to change, delete and shorten entries of the log"),
        "drill-read-recorded" => (1, "a confidential record was read, and its event says what is to be said"),
        "drill-cross-account" => (3, "a record of another account was as if it were not there"),
        "drill-expired-token" => (1, "a token that had ended was refused"),
        "drill-erasure" => (2, "a record was stored and erased; its certificate verifies"),
        "drill-restricted-in-public" => (1, "a restricted record was refused by a public repository"),
        "drill-weak-session" => (2, "a weak session was refused, from outside and without a fresh proof"),
        "drill-operator-reads-data" => (1, "an administrator was refused a customer's record"),
        "drill-acts-recorded" => (6, "each act of the drill has its event"),
        "drill-missing-scope" => (1, "a client without the scope was refused"),
        "drill-read-back" => (1, "a record of an earlier drill was read back unchanged"),
        _ => (1, "it was as it is to be"),
    }
}

impl Probe for Told {
    fn check(&self) -> &'static str {
        self.check
    }
    fn look<'a>(&'a self, _scope: &'a SystemScope) -> LookFuture<'a> {
        let now = self.context.now();
        let wrong = self.mishap.as_ref().filter(|one| (one.from..one.until).contains(&now));
        let sight = match wrong {
            Some(mishap) => Sight::counted(1, 1, mishap.summary),
            None => {
                let (examined, summary) = as_it_should(self.check);
                Sight::counted(examined, 0, summary)
            }
        };
        Box::pin(async move { sight })
    }
}

/// The checks that are told, with what went wrong on the days of that story.
pub(crate) fn told(
    context: &Context,
    day_of: impl Fn(u32) -> Timestamp,
) -> Result<Vec<Box<dyn Probe>>, Failure> {
    let faulty = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failure, "catalogue", "the policy's catalogue can't be read")
            .why(error.to_string())
    };
    let catalogue = Catalogue::load().map_err(|error| faulty(&error))?;
    let registry = Registry::load(&catalogue).map_err(|error| faulty(&error))?;
    let mut mishaps = vec![
        Mishap {
            check: "drill-read-back",
            from: day_of(11),
            until: day_of(11) + Duration::from_days(1),
            summary: "a record of an earlier drill was read back after 19000 s; the policy gives 4 hours",
        },
        Mishap {
            check: "tls-only",
            from: day_of(23),
            until: day_of(23) + Duration::from_seconds(16 * 3_600),
            summary: "the listener speaks TLSv1_2 with a suite that is not approved",
        },
    ];
    let mut all: Vec<Box<dyn Probe>> = Vec::new();
    for check in CHECKS {
        if registry.check(check).is_none() || !is_told(check) {
            return Err(Failure::new(Exit::Failure, "demo", format!("`{check}` is no check to be told of")));
        }
        let at = mishaps.iter().position(|one| one.check == check);
        let mishap = at.map(|at| mishaps.remove(at));
        all.push(Box::new(Told { check, context: context.clone(), mishap }));
    }
    Ok(all)
}

/// Every check that is told of.
const CHECKS: [&str; 13] = [
    "tls-only",
    "evidence-complete",
    "drill-row-edit",
    "drill-read-recorded",
    "drill-cross-account",
    "drill-expired-token",
    "drill-erasure",
    "drill-restricted-in-public",
    "drill-operator-reads-data",
    "drill-weak-session",
    "drill-acts-recorded",
    "drill-missing-scope",
    "drill-read-back",
];

#[cfg(test)]
mod tests {
    use super::*;
    use policy::CheckKind;
    use std::collections::BTreeSet;

    #[test]
    fn each_check_that_needs_the_network_is_told_of_and_no_other() {
        let registry = Registry::load(&Catalogue::load().unwrap()).unwrap();
        let wanted: BTreeSet<String> = registry
            .checks()
            .filter(|(_, check)| check.kind != CheckKind::Manual && is_told(&check.id))
            .map(|(_, check)| check.id.clone())
            .collect();
        assert_eq!(wanted, CHECKS.iter().map(|check| (*check).to_owned()).collect());
        for check in CHECKS {
            assert_ne!(as_it_should(check).1, "it was as it is to be", "{check}");
        }
    }

    #[test]
    fn a_mishap_lasts_its_time() {
        let context = Context::system();
        let now = context.now();
        let told =
            told(&context, |day| if day == 11 { now } else { now + Duration::from_days(400) }).unwrap();
        assert_eq!(told.len(), CHECKS.len());
    }
}
