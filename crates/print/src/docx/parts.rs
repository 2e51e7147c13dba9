//! The parts of a `.docx` around its body: what they are, their relations, styles, header and footer.

use super::{body, escaped};
use crate::sheet::Sheet;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
/// The namespace of words.
pub(super) const W: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
/// The namespace of relations.
pub(super) const R: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

const CONTENT_TYPES: &str = include_str!("content_types.xml");
const RELATIONS: &str = include_str!("relations.xml");
const DOCUMENT_RELATIONS: &str = include_str!("document_relations.xml");
const STYLES: &str = include_str!("styles.xml");
const SETTINGS: &str = include_str!("settings.xml");

/// Each part's name and text, the list of types first, as readers that stream want it.
pub(super) fn all(sheet: &Sheet) -> [(&'static str, String); 9] {
    [
        ("[Content_Types].xml", CONTENT_TYPES.to_owned()),
        ("_rels/.rels", RELATIONS.to_owned()),
        ("docProps/core.xml", core(sheet)),
        ("word/_rels/document.xml.rels", DOCUMENT_RELATIONS.to_owned()),
        ("word/document.xml", format!("{DECLARATION}{}", body::document(sheet))),
        ("word/styles.xml", STYLES.to_owned()),
        ("word/settings.xml", SETTINGS.to_owned()),
        ("word/header1.xml", header(sheet)),
        ("word/footer1.xml", footer(sheet)),
    ]
}

/// Title, author and day: from the document, as there is no clock here.
fn core(sheet: &Sheet) -> String {
    let (title, company, author) = (escaped(&sheet.title), escaped(&sheet.company), escaped(&sheet.author));
    let (version, status) = (escaped(&sheet.version), escaped(&sheet.status));
    let instant = format!("{}T00:00:00Z", escaped(&sheet.effective));
    format!(
        "{DECLARATION}<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:dcterms=\"http://purl.org/dc/terms/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <dc:title>{title} - {company}</dc:title><dc:creator>{author}</dc:creator><dc:language>en</dc:language>\
         <dc:description>{version}. {status}. SHA-256 {}</dc:description>\
         <dcterms:created xsi:type=\"dcterms:W3CDTF\">{instant}</dcterms:created>\
         <dcterms:modified xsi:type=\"dcterms:W3CDTF\">{instant}</dcterms:modified></cp:coreProperties>",
        sheet.sha256
    )
}

/// Company on the left, title on the right.
fn header(sheet: &Sheet) -> String {
    format!(
        "{DECLARATION}<w:hdr xmlns:w=\"{W}\"><w:p><w:pPr><w:pStyle w:val=\"Header\"/></w:pPr>\
         <w:r><w:t xml:space=\"preserve\">{}</w:t></w:r><w:r><w:tab/></w:r>\
         <w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p></w:hdr>",
        escaped(&sheet.company),
        escaped(&sheet.title)
    )
}

/// Version and status on the left, page n of m on the right.
fn footer(sheet: &Sheet) -> String {
    let text = |text: &str| format!("<w:r><w:t xml:space=\"preserve\">{}</w:t></w:r>", escaped(text));
    let field =
        |name: &str| format!("<w:fldSimple w:instr=\" {name} \"><w:r><w:t>1</w:t></w:r></w:fldSimple>");
    format!(
        "{DECLARATION}<w:ftr xmlns:w=\"{W}\"><w:p><w:pPr><w:pStyle w:val=\"Footer\"/></w:pPr>\
         {}<w:r><w:tab/></w:r>{}{}{}{}</w:p></w:ftr>",
        text(&format!("{} \u{b7} {}", sheet.version, sheet.status)),
        text("Page "),
        field("PAGE"),
        text(" of "),
        field("NUMPAGES"),
    )
}
