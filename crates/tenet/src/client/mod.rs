//! The client side: the caller's own keys and profiles, the server's pinned authority, short tokens in
//! memory, and the calls.

mod api;
mod home;
mod key;
mod link;
mod pin;
mod profile;
mod reserved;

pub use api::{Api, NOT_TRUSTED, Reply, UNREACHABLE};
pub use home::{Home, NOT_ENROLLED};
pub use key::ClientKey;
pub use link::{EnrolLink, LinkError};
pub use pin::{Pinned, fingerprint};
pub use profile::{Profile, Subject};
pub use reserved::Reserved;
