//! The policy as a printed document: a `.docx` that Word and its like open, and with the feature `pdf` a tagged PDF/A-3a with
//! the files that belong to it inside. The same document gives the same bytes. What is printed is what
//! `policy::html` publishes, with the hashes that acknowledgements refer to.
//!
//! Pure: it opens no file, asks no clock and draws no random number. Fonts are in the crate.

mod adoption;
mod docx;
mod error;
#[cfg(feature = "pdf")]
mod pdf;
mod sheet;

pub use adoption::Adoption;
pub use docx::docx;
pub use error::PrintError;
#[cfg(feature = "pdf")]
pub use pdf::{Attachment, MAX_ATTACHMENTS, Relationship, pdf};
