//! `tenet up`: what a server is made of, brought up in order and taken down in reverse.

pub mod authority;
mod blobs;
mod boot;
mod duties;
mod listen;
mod logging;
mod provider;
mod stop;
mod stores;

pub use boot::{FIRST_LINK, Ready, run};
pub use logging::init as init_logging;
