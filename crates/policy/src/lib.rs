//! The data protection policy as typed data. A [`Catalogue`] has every clause, in our words, with the frameworks that
//! require it, and variants whose wording follows from facts. An organisation's files choose frameworks and fill in
//! parameters; [`Document::read`] makes a [`Document`] of them, or says everything that is wrong with them, what
//! observation contradicts included. A document renders to Markdown and HTML, has a hash for each clause, and can be
//! compared with another.
//!
//! Pure: it opens no file, asks no clock and knows no server. What is observed is given by who calls.

mod catalogue;
mod control;
mod decide;
mod diff;
mod document;
mod evidence;
mod files;
mod finding;
mod framework;
mod manifest;
mod observed;
mod oscal;
mod parameter;
mod published;
mod registry;
mod render;
mod source;
mod starter;
mod template;

pub use catalogue::{Catalogue, CatalogueError, Clause, ClauseId, Hold, Section, Variant, Wording};
pub use decide::{Chosen, Decided, Feasible};
pub use diff::{Change, ClauseChange, Difference, Word, compare};
pub use document::{Document, DocumentClause, DocumentSection, Sentence, lint};
pub use evidence::{
    Assessment, CheckFinding, CheckState, ClauseState, Exception, Known, Latest, Observation, Seen,
    SentenceState, State, assess, check_state, latest,
};
pub use files::Files;
pub use finding::{Code, Finding};
pub use framework::Framework;
pub use manifest::{ClauseHash, Manifest};
pub use observed::Observed;
pub use oscal::{
    OSCAL_VERSION, oscal_all, oscal_assessment_plan, oscal_assessment_results, oscal_catalog,
    oscal_component_definition, oscal_poam, oscal_profile, oscal_references, oscal_ssp,
};
pub use parameter::{Parameter, ParameterKind, Value};
pub use published::steers;
pub use registry::{Check, CheckKind, Control, Holds, OWN_WORDING, Registry, clauses_markdown};
pub use render::{escaped, feasible, head, html, markdown, why};
pub use source::MAX_FILE_BYTES;
pub use starter::{Answers, Filled, filled, specimen, specimen_files, starter, to_decide};
pub use template::{Segment, Template, TemplateError};
