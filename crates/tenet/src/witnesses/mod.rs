//! The log's witnesses, as this installation sees them: who they are, sending them what the log signed, and what
//! they keep of it.

mod client;
mod known;

pub use client::{SubmitError, Verdict, WitnessClient};
pub use known::{clients, read_policy};
