//! The policy's versions and what is observed of it, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod adoption;
mod alarms;
mod checks;
mod exceptions;
mod observations;
mod post;
mod support;
