//! All that typst may see: the template, the text as JSON, attached bytes and the fonts. No files, no packages, no clock.

use std::{path::PathBuf, sync::LazyLock};

use serde::Serialize;
use typst::{
    Library, LibraryExt,
    diag::{FileError, FileResult},
    foundations::{Bytes, Datetime, Duration},
    syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot},
    text::{Font, FontBook},
    utils::LazyHash,
};

use super::{Attachment, fonts};
use crate::{PrintError, sheet::Sheet};

const TEMPLATE: &str = include_str!("policy.typ");

static LIBRARY: LazyLock<LazyHash<Library>> = LazyLock::new(|| LazyHash::new(Library::default()));

/// What the template reads.
#[derive(Serialize)]
struct Input<'a> {
    #[serde(flatten)]
    sheet: &'a Sheet,
    attachments: Vec<Attached<'a>>,
}

/// An attachment, without its bytes, which the template reads from `file`.
#[derive(Serialize)]
struct Attached<'a> {
    name: &'a str,
    media_type: &'a str,
    description: &'a str,
    relationship: &'static str,
    file: String,
}

/// One document's world.
pub(super) struct World {
    template: Source,
    files: Vec<(FileId, Bytes)>,
}

impl World {
    pub(super) fn new(sheet: &Sheet, attachments: &[Attachment]) -> Result<Self, PrintError> {
        let attached = attachments.iter().enumerate().map(|(at, one)| Attached {
            name: &one.name,
            media_type: &one.media_type,
            description: &one.description,
            relationship: one.relationship.as_str(),
            // Typst keeps the paths that it has seen for good: few, and none of anybody's choosing.
            file: format!("/attachments/{at}"),
        });
        let input = Input { sheet, attachments: attached.collect() };
        let json = serde_json::to_vec(&input).map_err(|error| PrintError::Typeset(error.to_string()))?;
        let mut files = vec![(id("/sheet.json")?, Bytes::new(json))];
        for (attached, attachment) in input.attachments.iter().zip(attachments) {
            files.push((id(&attached.file)?, Bytes::new(attachment.bytes.clone())));
        }
        Ok(Self { template: Source::new(id("/policy.typ")?, TEMPLATE.to_owned()), files })
    }
}

fn id(path: &str) -> Result<FileId, PrintError> {
    let path = VirtualPath::new(path).map_err(|error| PrintError::Typeset(error.to_string()))?;
    Ok(RootedPath::new(VirtualRoot::Project, path).intern())
}

impl typst::World for World {
    fn library(&self) -> &LazyHash<Library> {
        &LIBRARY
    }

    fn book(&self) -> &LazyHash<FontBook> {
        fonts::book()
    }

    fn main(&self) -> FileId {
        self.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.template.id() { Ok(self.template.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let found = self.files.iter().find(|(known, _)| *known == id);
        let path = || PathBuf::from(id.vpath().get_without_slash());
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| FileError::NotFound(path()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        fonts::font(index)
    }

    /// No day: a document has its own.
    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}
