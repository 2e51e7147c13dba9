//! Why a document can't be printed.

/// A document that can't be printed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrintError {
    /// A character that paper can't show, or that XML 1.0 can't hold (section 2.2).
    #[error("{place} holds U+{:04X}, which can't be printed: take it out", u32::from(*.letter))]
    LetterInvalid {
        /// Where it stands: `the company`, `CD-8.1`.
        place: String,
        /// The character.
        letter: char,
    },
    /// A character that the fonts of the PDF don't have.
    #[error("{place} holds `{letter}` (U+{:04X}), which the fonts of the PDF don't have: print a .docx, or write it in another script", u32::from(*.letter))]
    LetterUnknown {
        /// Where it stands.
        place: String,
        /// The character.
        letter: char,
    },
    /// A name, a title or an approver that is empty.
    #[error("{0} is empty: fill it in")]
    Empty(String),
    /// The day of an adoption is none.
    #[error("`{0}` is no day: give such as 2026-12-01")]
    DayInvalid(String),
    /// An adoption by nobody, or by very many.
    #[error("expected 1 to {most} approvers")]
    ApproversInvalid {
        /// Most approvers.
        most: usize,
    },
    /// The adoption is of another document.
    #[error("another document was adopted: this one has the hash {document}")]
    AnotherAdopted {
        /// SHA-256 of the document that was to be printed.
        document: String,
    },
    /// An attachment that can't be one.
    #[error("attachment `{name}`: {why}")]
    AttachmentInvalid {
        /// Its name, escaped.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The typesetting failed, or what came of it is no PDF/A-3a.
    #[error("the document can't be typeset: {0}")]
    Typeset(String),
    /// The parts of a .docx could not be put together.
    #[error("the parts can't be packed: {0}")]
    Pack(String),
}
