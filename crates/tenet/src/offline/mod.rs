//! Everything about the log that needs no server: reading a copy, verifying, proving, checking proofs
//! and certificates. The verification itself is `ledger`'s.

mod directory;
mod follow;
mod remote;
mod tee;
mod vkey;

pub use directory::Directory;
pub use follow::{FollowError, Follower};
pub use remote::Remote;
pub use tee::{Known, Tee};
pub use vkey::read_vkey;
