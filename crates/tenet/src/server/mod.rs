//! `tenet up`: what a server is made of, brought up in order and taken down in reverse. And `tenet witness`, which
//! shares its listeners and certificates.

mod alarms;
pub mod authority;
mod blobs;
mod boot;
mod certificates;
mod clock;
pub(crate) mod demonstration;
mod duties;
mod evidence;
mod limits;
mod listen;
mod logging;
mod packer;
mod probes;
mod provider;
mod recovery;
mod safeguards;
pub(crate) mod stage;
mod stop;
pub(crate) mod stores;
mod watching;
mod witness;
mod witnesses;

pub use alarms::Route;
pub use boot::{FIRST_LINK, Ready, run};
pub(crate) use listen::{host_name, public_url};
pub use logging::init as init_logging;
pub use recovery::Recovery;
pub use witness::{WitnessReady, WitnessSettings, run as run_witness};
