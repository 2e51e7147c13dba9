//! The `.docx`, read back by the zip crate, by an XML parser and by pandoc.

use std::io::{Cursor, Read as _};

use print::docx;
use quick_xml::{Reader, events::Event};

use crate::fixture::{HOSTILE, adoption, dense, document, holds_everything, run, with_text};

/// The parts, by name.
fn parts(bytes: &[u8]) -> Vec<(String, String)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let count = zip.len();
    let read = |at: usize| {
        let mut file = zip.by_index(at).unwrap();
        assert_eq!(file.last_modified().unwrap(), zip::DateTime::DEFAULT);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        (file.name().unwrap().into_owned(), text)
    };
    (0..count).map(read).collect()
}

/// The text of an XML document's `w:t` elements; paragraphs on lines of their own. Fails if it is not well-formed.
fn text(xml: &str) -> String {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut out, mut is_text, mut depth) = (String::new(), false, 0_i32);
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(start) => {
                assert!(start.attributes().all(|one| one.is_ok()), "{start:?}");
                depth += 1;
                is_text = start.name().as_ref() == b"w:t";
            }
            Event::End(end) => {
                depth -= 1;
                is_text = false;
                if end.name().as_ref() == b"w:p" {
                    out.push('\n');
                }
            }
            Event::Empty(empty) if empty.name().as_ref() == b"w:tab" => out.push(' '),
            Event::Text(part) if is_text => out.push_str(&part.decode().unwrap()),
            Event::GeneralRef(entity) if is_text => {
                let name = entity.decode().unwrap();
                out.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap());
            }
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    out
}

fn part(bytes: &[u8], name: &str) -> String {
    parts(bytes).into_iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn the_same_document_is_the_same_docx() {
    let document = document("Acme, Inc.");
    let adoption = adoption(&document);
    assert_eq!(docx(&document, None).unwrap(), docx(&document.clone(), None).unwrap());
    assert_eq!(docx(&document, Some(&adoption)).unwrap(), docx(&document, Some(&adoption)).unwrap());
    assert_ne!(docx(&document, Some(&adoption)).unwrap(), docx(&document, None).unwrap());
}

#[test]
fn every_part_of_a_docx_is_xml_that_is_declared_and_every_sentence_is_there() {
    let document = document("Acme, Inc.");
    let bytes = docx(&document, None).unwrap();
    let types = part(&bytes, "[Content_Types].xml");
    for (name, xml) in parts(&bytes) {
        text(&xml);
        let is_declared = name.ends_with(".rels") || types.contains(&format!("PartName=\"/{name}\""));
        assert!(is_declared || name == "[Content_Types].xml", "{name}");
    }
    for target in part(&bytes, "word/_rels/document.xml.rels").split("Target=\"").skip(1) {
        let target = target.split('"').next().unwrap();
        part(&bytes, &format!("word/{target}"));
    }
    let body = part(&bytes, "word/document.xml");
    holds_everything(&text(&body), &document);
    let styles = part(&bytes, "word/styles.xml");
    for style in ["pStyle", "rStyle", "tblStyle"] {
        for used in body.split(&format!("<w:{style} w:val=\"")).skip(1) {
            let used = used.split('"').next().unwrap();
            assert!(styles.contains(&format!("w:styleId=\"{used}\"")), "there is no style `{used}`");
        }
    }
    for link in body.split("w:anchor=\"").skip(1) {
        let link = link.split('"').next().unwrap();
        assert_eq!(body.matches(&format!("w:name=\"{link}\"")).count(), 1, "{link}");
    }
}

#[test]
fn a_docx_says_whether_it_was_adopted() {
    let document = document("Acme, Inc.");
    let draft = text(&part(&docx(&document, None).unwrap(), "word/document.xml"));
    assert!(draft.contains("Draft, not adopted\n") && !draft.contains("Approved by"));
    let adopted = docx(&document, Some(&adoption(&document))).unwrap();
    let body = text(&part(&adopted, "word/document.xml"));
    assert!(body.contains("Adopted on 2026-11-30\nApproved by Olivia Owner, Sam Security\n"), "{body}");
    assert!(!body.contains("Draft"));
    assert!(text(&part(&adopted, "word/footer1.xml")).contains("Version 1 \u{b7} Adopted on 2026-11-30"));
}

#[test]
fn nobodys_text_is_markup_of_a_docx() {
    for hostile in HOSTILE {
        let document = with_text(hostile);
        let bytes = docx(&document, None).unwrap();
        holds_everything(&text(&part(&bytes, "word/document.xml")), &document);
        for name in ["word/header1.xml", "docProps/core.xml"] {
            text(&part(&bytes, name));
        }
        assert_eq!(text(&part(&bytes, "word/header1.xml")), format!("2{hostile} 1{hostile}\n"));
    }
}

#[test]
fn pandoc_reads_a_docx_with_its_headings_and_sentences() {
    let directory = tempfile::tempdir().unwrap();
    for company in ["Acme, Inc.", HOSTILE[0], HOSTILE[1], HOSTILE[6]] {
        let document = document(company);
        let path = directory.path().join("policy.docx");
        std::fs::write(&path, docx(&document, Some(&adoption(&document))).unwrap()).unwrap();
        let path = path.to_str().unwrap();
        // Its plain text leaves quotes and dashes as they are without `smart`.
        let plain = run("pandoc", "pandoc", &["-f", "docx", "-t", "plain", "--wrap=none", path]);
        let plain = dense(&plain);
        let mut rest = plain.as_str();
        for sentence in document.clauses().flat_map(|clause| &clause.sentences) {
            let wanted = dense(&format!("{} {}", sentence.id, sentence.text));
            let at = rest.find(&wanted).unwrap_or_else(|| panic!("pandoc does not read {wanted}"));
            rest = &rest[at..];
        }
        let html = run("pandoc", "pandoc", &["-f", "docx", "-t", "html", "--wrap=none", path]);
        assert_eq!(html.matches("<h1").count(), document.sections.len() + 1);
        assert_eq!(html.matches("<h2").count(), document.clauses().count());
    }
}
