//! What can go wrong here. Every refusal was recorded before it is returned.

use access::AccessError;
use base::{EntropyError, Fault, Kind};
use policy::{CatalogueError, Finding};
use store::StoreError;

/// An error of the watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The files of a policy are wrong, or say what is not so.
    #[error("the policy is not whole: {}", first(.0))]
    Faulty(Vec<Finding>),
    /// The version's number is taken, or not above the adopted one.
    #[error("version {given} is not new: version {adopted} is adopted, give the new one a higher number")]
    NotNew {
        /// What was given.
        given: u32,
        /// The newest that is adopted.
        adopted: u32,
    },
    /// It says another thing than the one that was looked at.
    #[error("version {version} has another hash by now: look at it again")]
    Changed {
        /// Which version.
        version: u32,
    },
    /// Nobody approves what they put up themselves.
    #[error("nobody approves the version that they put up themselves: another administrator does")]
    OwnVersion,
    /// Nobody does it twice.
    #[error("you have done that already")]
    DoneAlready,
    /// It is adopted, and stays as it is.
    #[error("version {version} is adopted already: put up a new version")]
    AdoptedAlready {
        /// Which version.
        version: u32,
    },
    /// It is not adopted.
    #[error("version {version} is not adopted yet: it needs approval first")]
    NotAdopted {
        /// Which version.
        version: u32,
    },
    /// Nobody asks a machine's check of a person, nor the reverse.
    #[error("`{check}` is no check that a person attests: see `tenet evidence checks`")]
    NotManual {
        /// Which check.
        check: String,
    },
    /// Nobody attests what they worded themselves.
    #[error("whoever put the version up does not attest its wording: another operator does")]
    OwnWording,
    /// It is over already.
    #[error("the alarm is over: if it happens again, that is another one")]
    Over,
    /// There is nobody to tell.
    #[error("no route is configured by which alarms go: set `alarms.route`")]
    NoRoute,
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The input breaks a rule.
    #[error("{reason}")]
    Invalid {
        /// The field of the input.
        field: &'static str,
        /// Which rule.
        reason: &'static str,
    },
    /// What is stored is not what the log says.
    #[error("what is stored of {0} is not what the log says: run `tenet log verify`, and restore it")]
    Damaged(&'static str),
    /// Authorization refused, or failed.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalogue or the registry is faulty.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

fn first(found: &[Finding]) -> String {
    let first = found.first().map(ToString::to_string).unwrap_or_default();
    match found.len() {
        0 | 1 => first,
        more => format!("{first} (and {} more)", more - 1),
    }
}

impl Fault for WatchError {
    fn kind(&self) -> Kind {
        match self {
            Self::Faulty(_) | Self::NotManual { .. } | Self::Invalid { .. } => Kind::Invalid,
            Self::NotNew { .. }
            | Self::Changed { .. }
            | Self::DoneAlready
            | Self::AdoptedAlready { .. }
            | Self::Over
            | Self::NoRoute
            | Self::NotAdopted { .. } => Kind::Conflict,
            Self::OwnVersion | Self::OwnWording => Kind::Denied,
            Self::NotFound(_) => Kind::NotFound,
            Self::Damaged(_) | Self::Catalogue(_) | Self::Entropy(_) => Kind::Internal,
            Self::Access(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Faulty(_) => "policy-faulty",
            Self::NotNew { .. } => "version-not-new",
            Self::Changed { .. } => "version-changed",
            Self::OwnVersion => "own-version",
            Self::DoneAlready => "done-already",
            Self::AdoptedAlready { .. } => "adopted-already",
            Self::NotAdopted { .. } => "not-adopted",
            Self::NotManual { .. } => "not-manual",
            Self::OwnWording => "own-wording",
            Self::Over => "alarm-over",
            Self::NoRoute => "no-route",
            Self::NotFound(_) => "not-found",
            Self::Invalid { .. } => "invalid",
            Self::Damaged(_) => "damaged",
            Self::Catalogue(_) => "internal",
            Self::Entropy(_) => "entropy-failed",
            Self::Access(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn clause(&self) -> Option<&'static str> {
        match self {
            Self::Faulty(_) => Some("PD-1"),
            Self::OwnVersion | Self::OwnWording | Self::NotAdopted { .. } => Some("PD-2"),
            Self::NoRoute => Some("CD-9"),
            Self::Access(error) => error.clause(),
            _ => None,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            Self::Faulty(_) => Some("files"),
            Self::NotManual { .. } => Some("check"),
            Self::Changed { .. } => Some("sha256"),
            Self::NotNew { .. } => Some("files"),
            Self::Access(error) => error.field(),
            _ => None,
        }
    }
}
