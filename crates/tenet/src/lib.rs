//! The parts of the one binary: command line, configuration, wiring. The only crate that sees all
//! others; nothing depends on it.

pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
mod couriers;
pub mod data_dir;
pub mod demo;
pub mod failure;
mod identity_provider;
pub mod input;
pub mod offline;
pub mod output;
pub mod pem;
pub mod progress;
mod running;
pub mod server;
mod sinks;
pub mod witnesses;
