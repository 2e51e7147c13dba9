//! The hierarchy on both engines: one program, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[cfg(feature = "crash-points")]
mod crash;
mod hierarchy;
mod rotation;
