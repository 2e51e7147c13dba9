//! Detection in the log (AO-3): Sigma rules over its events, and the rules that Tenet brings. For a witness to run, on
//! another machine and under other people than those whose acts are in the log. Pure: it reads events and says what they
//! amount to; it opens no file, sends nothing and asks no clock. Time is the events' own.
//!
//! A rule sees the event of OCSF as it is in the log and, under `tenet`, the same by short names: `index`, `activity`,
//! `actor`, `actor_kind`, `account`, `object`, `object_kind`, `outcome`, `reason`, `clause`, `server`, `source`.

mod detector;
mod rule_set;
mod strict;

pub use detector::{Alert, Detector};
pub use rule_set::{MAX_RULE_FILE_BYTES, MAX_RULES, RuleError, RuleSet, STARTER};
