//! The document as Office Open XML (ECMA-376, transitional): what Word, LibreOffice and pandoc read. The parts are few and
//! written here; every text goes through [`escaped`].

mod body;
mod parts;

use std::io::{Cursor, Write as _};

use policy::Document;
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::{Adoption, PrintError, sheet::Sheet};

/// The document as a `.docx`, with an adoption or marked as a draft.
///
/// The parts are stored, not compressed: the bytes then follow from the document alone, and not from the version of a
/// compressor.
///
/// # Errors
/// The adoption is not of this document, or a text can't be printed.
pub fn docx(document: &Document, adoption: Option<&Adoption>) -> Result<Vec<u8>, PrintError> {
    let sheet = Sheet::of(document, adoption)?;
    pack(&parts::all(&sheet)).map_err(|error| PrintError::Pack(error.to_string()))
}

/// Packs parts, all of them at the first moment that the form knows.
fn pack(parts: &[(&str, String)]) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    for (name, text) in parts {
        zip.start_file(*name, options)?;
        zip.write_all(text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A text within an element or an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            letter => out.push(letter),
        }
    }
    out
}
