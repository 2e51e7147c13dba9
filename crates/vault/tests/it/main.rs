//! The vault on both engines: the life of records and objects, and the walls between accounts.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod batch;
mod isolation;
mod lifecycle;
mod objects;
mod reconcile;
mod records;
mod search;
mod support;
mod trace;
