//! The data protection policy as typed data. A [`Catalogue`] has every clause, in our words, with the frameworks that
//! require it, and variants whose wording follows from facts. An organisation's files choose frameworks and fill in
//! parameters; [`Document::read`] makes a [`Document`] of them, or says everything that is wrong with them, what
//! observation contradicts included. A document renders to Markdown and HTML, has a hash for each clause, and can be
//! compared with another.
//!
//! Pure: it opens no file, asks no clock and knows no server. What is observed is given by who calls.

mod catalogue;
mod diff;
mod document;
mod finding;
mod framework;
mod manifest;
mod observed;
mod oscal;
mod parameter;
mod render;
mod starter;
mod template;

pub use catalogue::{Catalogue, CatalogueError, Clause, ClauseId, Hold, Section, Variant, Wording};
pub use diff::{Change, ClauseChange, Difference, Word, compare};
pub use document::{Chosen, Document, DocumentClause, DocumentSection, Files, MAX_FILE_BYTES, Sentence};
pub use finding::Finding;
pub use framework::Framework;
pub use manifest::{ClauseHash, Manifest};
pub use observed::Observed;
pub use oscal::{OSCAL_VERSION, oscal_catalog, oscal_profile};
pub use parameter::{Parameter, ParameterKind, Value};
pub use render::{html, markdown};
pub use starter::{Answers, starter};
pub use template::{Segment, Template, TemplateError};
