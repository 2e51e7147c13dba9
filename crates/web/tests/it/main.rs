//! The API as callers meet it: every route, in process and over TLS, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what went wrong by panicking"
)]

mod console;
mod customers;
mod document;
mod flows;
mod fuzzed;
mod listener;
mod offers;
mod problems;
mod rates;
mod support;
mod table;
mod tour;
mod witness;
