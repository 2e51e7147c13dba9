//! The body of a `.docx`: title page, contents, sections, appendix.

use super::{
    escaped,
    parts::{R, W},
};
use crate::sheet::{Sheet, SheetClause};

/// The appendix, in headings and contents.
const APPENDIX: &str = "Appendix: hashes";
const APPENDIX_MARK: &str = "appendix";
const CONTENTS: &str = "Contents";

/// The widths of a table's columns, in twentieths of a point.
type Widths = [u32; 2];
const HEAD: Widths = [2268, 6802];
const HASHES: Widths = [1134, 7936];

/// What is written, and how many marks stand in it.
struct Body {
    out: String,
    marks: usize,
}

/// `word/document.xml`, without its declaration.
pub(super) fn document(sheet: &Sheet) -> String {
    let mut body = Body { out: String::new(), marks: 0 };
    body.title_page(sheet);
    body.contents(sheet);
    for section in &sheet.sections {
        body.heading("Heading1", &mark("section", &section.id), &section.title);
        for clause in &section.clauses {
            body.clause(clause);
        }
    }
    body.appendix(sheet);
    format!(
        "<w:document xmlns:w=\"{W}\" xmlns:r=\"{R}\"><w:body>{}<w:sectPr>\
         <w:headerReference w:type=\"default\" r:id=\"rId3\"/><w:footerReference w:type=\"default\" r:id=\"rId4\"/>\
         <w:pgSz w:w=\"11906\" w:h=\"16838\"/>\
         <w:pgMar w:top=\"1588\" w:right=\"1418\" w:bottom=\"1418\" w:left=\"1418\" w:header=\"794\" w:footer=\"680\" w:gutter=\"0\"/>\
         <w:titlePg/></w:sectPr></w:body></w:document>",
        body.out
    )
}

impl Body {
    fn title_page(&mut self, sheet: &Sheet) {
        self.paragraph("Organisation", &run(&sheet.company));
        self.paragraph("Title", &run(&sheet.title));
        self.paragraph(if sheet.adopted { "Adopted" } else { "Draft" }, &run(&sheet.status));
        if sheet.adopted {
            self.paragraph("Normal", &run(&format!("Approved by {}", sheet.approvers.join(", "))));
        }
        let mut rows: Vec<_> = sheet.head.iter().map(|(name, value)| (*name, run(value))).collect();
        rows.push(("SHA-256", styled("Hash", &sheet.sha256)));
        let rows: Vec<_> =
            rows.iter().map(|(name, value)| row(HEAD, [("Label", &run(name)), ("Cell", value)])).collect();
        self.table(HEAD, &rows.concat());
    }

    /// The contents as a field that Word can make anew, filled in already: links without numbers of pages, which
    /// nobody knows who does not break lines.
    fn contents(&mut self, sheet: &Sheet) {
        let begin = "<w:r><w:fldChar w:fldCharType=\"begin\"/></w:r>\
                     <w:r><w:instrText xml:space=\"preserve\"> TOC \\o \"1-2\" \\n \\h \\z </w:instrText></w:r>\
                     <w:r><w:fldChar w:fldCharType=\"separate\"/></w:r>";
        self.paragraph("ContentsHeading", &run(CONTENTS));
        let mut begin = Some(begin);
        for section in &sheet.sections {
            let title = link(&mark("section", &section.id), &run(&section.title));
            self.paragraph("TOC1", &format!("{}{title}", begin.take().unwrap_or_default()));
            for clause in &section.clauses {
                let text = format!("{}<w:r><w:tab/></w:r>{}", run(&clause.id), run(&clause.title));
                self.paragraph("TOC2", &link(&mark("clause", &clause.id), &text));
            }
        }
        let appendix = link(APPENDIX_MARK, &run(APPENDIX));
        self.paragraph("TOC1", &format!("{}{appendix}", begin.take().unwrap_or_default()));
        let end = "<w:r><w:fldChar w:fldCharType=\"end\"/></w:r><w:r><w:br w:type=\"page\"/></w:r>";
        self.paragraph("Normal", end);
    }

    fn clause(&mut self, clause: &SheetClause) {
        self.heading("Heading2", &mark("clause", &clause.id), &format!("{} {}", clause.id, clause.title));
        for (id, text) in &clause.sentences {
            let text = format!("{}<w:r><w:tab/></w:r>{}", styled("SentenceId", id), run(text));
            self.paragraph("Sentence", &text);
        }
        if let Some(decided) = &clause.feasible {
            self.paragraph("Decided", &format!("{}{}", styled("Emphasis", "Where feasible: "), run(decided)));
        }
        self.paragraph("Why", &run(&clause.why));
    }

    fn appendix(&mut self, sheet: &Sheet) {
        self.heading("Heading1", APPENDIX_MARK, APPENDIX);
        self.paragraph("Normal", &run(sheet.about_hashes));
        let head = [("Label", &*run("Clause")), ("Label", &*run("SHA-256"))];
        let head = row(HASHES, head).replacen("<w:tr>", "<w:tr><w:trPr><w:tblHeader/></w:trPr>", 1);
        let rows = sheet.hashes.iter();
        let rows =
            rows.map(|(id, sha256)| row(HASHES, [("Label", &run(id)), ("Cell", &styled("Hash", sha256))]));
        self.table(HASHES, &format!("{head}{}", rows.collect::<String>()));
        // A body does not end in a table.
        self.paragraph("Normal", "");
    }

    fn paragraph(&mut self, style: &str, runs: &str) {
        self.out.push_str(&paragraph(style, runs));
    }

    /// A heading with a mark that links lead to.
    fn heading(&mut self, style: &str, mark: &str, text: &str) {
        let number = self.marks;
        self.marks += 1;
        let runs = format!(
            "<w:bookmarkStart w:id=\"{number}\" w:name=\"{mark}\"/>{}<w:bookmarkEnd w:id=\"{number}\"/>",
            run(text)
        );
        self.paragraph(style, &runs);
    }

    fn table(&mut self, [first, second]: Widths, rows: &str) {
        self.out.push_str(&format!(
            "<w:tbl><w:tblPr><w:tblStyle w:val=\"Plain\"/><w:tblW w:w=\"{}\" w:type=\"dxa\"/><w:tblLayout w:type=\"fixed\"/></w:tblPr>\
             <w:tblGrid><w:gridCol w:w=\"{first}\"/><w:gridCol w:w=\"{second}\"/></w:tblGrid>{rows}</w:tbl>",
            first + second
        ));
    }
}

fn paragraph(style: &str, runs: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>{runs}</w:p>")
}

fn row(widths: Widths, cells: [(&str, &str); 2]) -> String {
    let cells = widths.into_iter().zip(cells).map(|(width, (style, runs))| {
        let properties = format!("<w:tcPr><w:tcW w:w=\"{width}\" w:type=\"dxa\"/></w:tcPr>");
        format!("<w:tc>{properties}{}</w:tc>", paragraph(style, runs))
    });
    format!("<w:tr>{}</w:tr>", cells.collect::<String>())
}

fn run(text: &str) -> String {
    format!("<w:r><w:t xml:space=\"preserve\">{}</w:t></w:r>", escaped(text))
}

fn styled(style: &str, text: &str) -> String {
    let properties = format!("<w:rPr><w:rStyle w:val=\"{style}\"/></w:rPr>");
    format!("<w:r>{properties}<w:t xml:space=\"preserve\">{}</w:t></w:r>", escaped(text))
}

fn link(mark: &str, runs: &str) -> String {
    format!("<w:hyperlink w:anchor=\"{mark}\" w:history=\"1\">{runs}</w:hyperlink>")
}

/// The name of a mark: of letters, digits and underscores.
fn mark(kind: &str, id: &str) -> String {
    let plain: String = id.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect();
    format!("{kind}_{plain}")
}
