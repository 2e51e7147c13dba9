//! The document as PDF/A-3a (ISO 19005-3, the level that asks for tags and Unicode besides) that is PDF/UA-1 (ISO 14289-1) as
//! well: typeset by typst, which checks what it can of both and fails otherwise.
//!
//! No text of a policy becomes markup: it enters as JSON that the template reads, so that `#panic()` is printed as it stands.

mod attachment;
mod fonts;
mod world;

use policy::Document;
use typst::{
    comemo,
    diag::SourceDiagnostic,
    foundations::{Datetime, Smart},
};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

pub use self::attachment::{Attachment, MAX_ATTACHMENTS, Relationship};
use self::world::World;
use crate::{Adoption, PrintError, sheet::Sheet};

/// What made it, as its properties tell.
const CREATOR: &str = "Tenet";

/// The document as PDF/A-3a, with an adoption or marked as a draft, and with these files inside of it.
///
/// The same arguments give the same bytes: its identifier follows from the manifest's hash, its day is the one from which the
/// policy is in effect.
///
/// # Errors
/// The adoption is not of this document, a text can't be printed or an attachment attached; or what came of it is no PDF/A.
pub fn pdf(
    document: &Document,
    adoption: Option<&Adoption>,
    attachments: &[Attachment],
) -> Result<Vec<u8>, PrintError> {
    let sheet = Sheet::of(document, adoption)?;
    fonts::have(&sheet)?;
    attachment::check(attachments)?;
    let world = World::new(&sheet, attachments)?;
    let bytes = typeset(&world, &sheet);
    // What typst remembers, it would for good.
    comemo::evict(0);
    bytes
}

fn typeset(world: &World, sheet: &Sheet) -> Result<Vec<u8>, PrintError> {
    let laid_out = typst::compile::<PagedDocument>(world);
    // A warning is, for example, that a font is missing or that the pages did not settle.
    if let Some(warning) = laid_out.warnings.first() {
        return Err(PrintError::Typeset(warning.message.to_string()));
    }
    let pages = laid_out.output.map_err(|all| failed(&all))?;
    let standards = PdfStandards::new(&[PdfStandard::A_3a, PdfStandard::Ua_1])
        .map_err(|why| PrintError::Typeset(why.message().to_string()))?;
    let options = PdfOptions {
        ident: Smart::Custom(format!("{} {}", sheet.sha256, sheet.status)),
        creator: Smart::Custom(Some(CREATOR.to_owned())),
        timestamp: midnight(&sheet.effective).map(Timestamp::new_utc),
        page_ranges: None,
        standards,
        tagged: true,
        pretty: false,
    };
    typst_pdf::pdf(&pages, &options).map_err(|all| failed(&all))
}

fn failed(all: &[SourceDiagnostic]) -> PrintError {
    let all: Vec<_> = all.iter().map(|one| one.message.to_string()).collect();
    PrintError::Typeset(all.join("; "))
}

/// The first moment of a day such as `2026-12-01`.
fn midnight(day: &str) -> Option<Datetime> {
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Datetime::from_ymd_hms(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?, 0, 0, 0)
}
