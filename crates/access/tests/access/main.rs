//! Access on both engines: who gets in, who doesn't, and what is recorded of it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod accounts;
mod customers;
mod limits;
mod looking;
mod operators;
mod planted;
mod reconcile;
mod reviews;
mod safeguards;
mod sessions;
mod support;
mod tokens;
mod unexplained;
mod ways;
mod witnesses;
