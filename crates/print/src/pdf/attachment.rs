//! Files inside of a PDF, as PDF/A-3 has them: each with a name, a type, a description and how it relates to the document.

use crate::PrintError;

/// Most files in one document.
pub const MAX_ATTACHMENTS: usize = 32;
/// Most characters of a name, a type or a description.
const MAX_CHARS: usize = 200;

/// A file that goes with the document, inside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The name of a file, without a folder: `manifest.json`. No two are the same.
    pub name: String,
    /// Its type (RFC 6838): `application/json`.
    pub media_type: String,
    /// What it is, for who reads the document.
    pub description: String,
    /// How it relates to the document.
    pub relationship: Relationship,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// How an attached file relates to the document (ISO 19005-3, annex E).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relationship {
    /// The document was made from it.
    Source,
    /// What the document shows, such as the hashes.
    Data,
    /// The same content in another form.
    Alternative,
    /// What goes with it, such as signatures.
    Supplement,
}

impl Relationship {
    /// By the name that the template knows.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Data => "data",
            Self::Alternative => "alternative",
            Self::Supplement => "supplement",
        }
    }
}

/// That these can be attached.
pub(super) fn check(attachments: &[Attachment]) -> Result<(), PrintError> {
    for (at, attachment) in attachments.iter().enumerate() {
        let before = attachments.iter().take(at);
        let why = if at >= MAX_ATTACHMENTS {
            Some("there are too many attachments")
        } else if before.into_iter().any(|other| other.name == attachment.name) {
            Some("another one has this name")
        } else {
            fault(attachment)
        };
        if let Some(why) = why {
            let name = attachment.name.escape_debug().to_string();
            return Err(PrintError::AttachmentInvalid { name, why });
        }
    }
    Ok(())
}

fn fault(attachment: &Attachment) -> Option<&'static str> {
    let Attachment { name, media_type, description, .. } = attachment;
    if !is_line(name) || name.contains(['/', '\\', ':']) || name.starts_with('.') {
        return Some("expected the name of a file, without a folder and not hidden");
    }
    if !is_media_type(media_type) {
        return Some("expected a media type such as `application/json`");
    }
    (!is_line(description)).then_some("expected a line that says what it is")
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().nth(MAX_CHARS).is_none() && !text.chars().any(policy::steers)
}

/// A type and a subtype, RFC 6838 section 4.2.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_first = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        is_first
            && name.len() <= 127
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}
