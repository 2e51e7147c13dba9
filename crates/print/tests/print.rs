//! What is printed: the same bytes each time, every sentence in order, nobody's text as markup; read back by other programs.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "print/adoption.rs"]
mod adoption;
#[path = "print/docx.rs"]
mod docx;
#[path = "print/fixture.rs"]
mod fixture;
#[cfg(feature = "pdf")]
#[path = "print/pdf.rs"]
mod pdf;
