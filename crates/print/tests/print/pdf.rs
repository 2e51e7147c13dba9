//! The PDF, read back by Poppler.

use std::path::{Path, PathBuf};

use print::{Attachment, PrintError, Relationship, pdf};

use crate::fixture::{HOSTILE, adoption, dense, document, holds_everything, run, with_text};

const PACKAGE: &str = "poppler-utils";

fn attachment(name: &str, bytes: &[u8]) -> Attachment {
    Attachment {
        name: name.into(),
        media_type: "application/json".into(),
        description: "The signed manifest".into(),
        relationship: Relationship::Data,
        bytes: bytes.into(),
    }
}

fn written(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("policy.pdf");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The text in the order in which it was written.
fn text(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), bytes);
    run("pdftotext", PACKAGE, &["-raw", "-enc", "UTF-8", path.to_str().unwrap(), "-"])
}

/// Without what stands at the head and the foot of each page, and between pages.
fn without_margins(text: &str, document: &policy::Document, status: &str) -> String {
    let pages = text.split('\u{c}').filter(|page| !page.trim().is_empty());
    let (header, footer) = (
        dense(&format!("{}{}", document.company, document.title)),
        format!("Version{}\u{b7}{status}Page", document.version),
    );
    let plain = pages.enumerate().map(|(at, page)| {
        let page = dense(page);
        if at == 0 {
            return page;
        }
        let page = page.strip_prefix(&header).unwrap_or_else(|| panic!("page {at} has no header: {page}"));
        let footer = page.rfind(&dense(&footer)).unwrap_or_else(|| panic!("page {at} has no footer: {page}"));
        assert!(page[footer..].contains(&format!("Page{}of", at + 1)), "{}", &page[footer..]);
        page[..footer].to_owned()
    });
    plain.collect()
}

#[test]
fn the_same_document_is_the_same_pdf() {
    let document = document("Acme, Inc.");
    let adoption = adoption(&document);
    let attachments = [attachment("manifest.json", b"{}")];
    let first = pdf(&document, Some(&adoption), &attachments).unwrap();
    // Another one between, so that nothing which is remembered shows.
    let draft = pdf(&document, None, &[]).unwrap();
    assert!(first == pdf(&document.clone(), Some(&adoption), &attachments).unwrap());
    assert!(draft == pdf(&document, None, &[]).unwrap());
    assert!(first != draft);
}

#[test]
fn every_sentence_of_a_pdf_can_be_taken_out_in_order() {
    let document = document("Acme, Inc.");
    let text = text(&pdf(&document, None, &[]).unwrap());
    let text = without_margins(&text, &document, "Draft, not adopted");
    holds_everything(&text, &document);
    assert!(text.contains("Draft,notadopted") && !text.contains("Approvedby"));
}

#[test]
fn a_pdf_says_who_adopted_it() {
    let document = document("Acme, Inc.");
    let text = text(&pdf(&document, Some(&adoption(&document)), &[]).unwrap());
    let text = without_margins(&text, &document, "Adopted on 2026-11-30");
    assert!(text.contains("Adoptedon2026-11-30ApprovedbyOliviaOwnerandSamSecurity"), "{text}");
    assert!(!text.contains("Draft"));
    holds_everything(&text, &document);
}

#[test]
fn nobodys_text_is_markup_of_a_pdf() {
    for hostile in HOSTILE {
        let mut document = with_text(hostile);
        let printed = text(&pdf(&document, None, &[]).unwrap());
        // What is written from right to left comes out of a PDF in an order of its own.
        if hostile.contains('\u{5e9}') {
            assert!(printed.contains("Ελλάς Россия"), "{printed}");
            continue;
        }
        // One line of contents may be broken where another is not: white space is not compared.
        let text = without_margins(&printed, &document, "Draft, not adopted");
        holds_everything(&text, &document);
        document.company.clear();
        assert_eq!(pdf(&document, None, &[]), Err(PrintError::Empty("the company".into())));
    }
    // The name in each sentence, as somebody's files have it.
    let document = document(HOSTILE[1]);
    let text = text(&pdf(&document, None, &[]).unwrap());
    holds_everything(&without_margins(&text, &document, "Draft, not adopted"), &document);
}

#[test]
fn a_letter_that_no_font_has_is_named() {
    let document = document("株式会社");
    let error = pdf(&document, None, &[]).unwrap_err();
    assert_eq!(error, PrintError::LetterUnknown { place: "the company".into(), letter: '株' });
    print::docx(&document, None).unwrap();
}

#[test]
fn long_texts_break_across_pages() {
    let mut document = document("Acme, Inc.");
    let word = "word ".repeat(3000);
    document.sections[0].clauses[1].sentences[0].text = format!("{word}end");
    document.company = "C".repeat(200);
    document.title = "T".repeat(200);
    let text = text(&pdf(&document, None, &[]).unwrap());
    assert_eq!(text.matches("word").count(), 3000);
}

#[test]
fn attachments_come_out_as_they_went_in() {
    let document = document("Acme, Inc.");
    let blob: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let mut second = attachment("Prüfung \u{26}.bin", &blob);
    second.media_type = "application/octet-stream".into();
    second.relationship = Relationship::Supplement;
    let attachments =
        [attachment("manifest.json", b"{\"sha256\": \"#panic()\"}\n"), second, attachment("#x.json", b"")];
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &pdf(&document, None, &attachments).unwrap());
    let path = path.to_str().unwrap();
    let listed = run("pdfdetach", PACKAGE, &["-list", path]);
    for (at, one) in attachments.iter().enumerate() {
        let number = (1..=attachments.len())
            .find(|number| listed.contains(&format!("{number}: {}\n", one.name)))
            .unwrap_or_else(|| panic!("{}: {listed}", one.name));
        let out = directory.path().join(format!("out-{at}"));
        run("pdfdetach", PACKAGE, &["-save", &number.to_string(), "-o", out.to_str().unwrap(), path]);
        assert!(std::fs::read(out).unwrap() == one.bytes, "{}", one.name);
    }
}

#[test]
fn what_cannot_be_attached_is_named() {
    let document = document("Acme, Inc.");
    let wrong = |change: fn(&mut Attachment)| {
        let mut one = attachment("manifest.json", b"{}");
        change(&mut one);
        match pdf(&document, None, &[one]) {
            Err(PrintError::AttachmentInvalid { why, .. }) => why,
            other => panic!("{:?}", other.map(|bytes| bytes.len())),
        }
    };
    let names: [fn(&mut Attachment); 7] = [
        |one| one.name = "../x".into(),
        |one| one.name = "a/b".into(),
        |one| one.name = "a\\b".into(),
        |one| one.name = "..".into(),
        |one| one.name = " ".into(),
        |one| one.name = "a\u{202e}b".into(),
        |one| one.name = "x".repeat(201),
    ];
    for change in names {
        assert_eq!(wrong(change), "expected the name of a file, without a folder and not hidden");
    }
    let types: [fn(&mut Attachment); 2] =
        [|one| one.media_type = "json".into(), |one| one.media_type = "a/b c".into()];
    for change in types {
        assert_eq!(wrong(change), "expected a media type such as `application/json`");
    }
    assert_eq!(wrong(|one| one.description.clear()), "expected a line that says what it is");
    let twice = [attachment("a.json", b"1"), attachment("a.json", b"2")];
    let error = pdf(&document, None, &twice).unwrap_err().to_string();
    assert_eq!(error, "attachment `a.json`: another one has this name");
    let many: Vec<_> =
        (0..=print::MAX_ATTACHMENTS).map(|at| attachment(&format!("{at}.json"), b"")).collect();
    let error = pdf(&document, None, &many).unwrap_err().to_string();
    assert_eq!(error, "attachment `32.json`: there are too many attachments");
}

#[test]
fn a_pdf_says_that_it_is_pdf_a_3a_and_pdf_ua_1_and_what_it_is() {
    let document = document("Acme, Inc.");
    let directory = tempfile::tempdir().unwrap();
    let bytes = pdf(&document, Some(&adoption(&document)), &[attachment("manifest.json", b"{}")]).unwrap();
    let path = written(directory.path(), &bytes);
    let path = path.to_str().unwrap();
    let xmp = run("pdfinfo", PACKAGE, &["-meta", path]);
    for wanted in [
        "<pdfaid:part>3</pdfaid:part>",
        "<pdfaid:conformance>A</pdfaid:conformance>",
        "<pdfuaid:part>1</pdfuaid:part>",
        "Data Protection Policy \u{2013} Acme, Inc.",
        "Ann Author",
        "2026-12-01T00:00:00",
        &format!("sha256:{}", document.manifest().sha256),
    ] {
        assert!(xmp.contains(wanted), "{wanted}: {xmp}");
    }
    let info = run("pdfinfo", PACKAGE, &[path]);
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("{name}: {info}")).trim().to_owned()
    };
    assert_eq!(value("Tagged"), "yes");
    assert_eq!(value("JavaScript"), "no");
    assert_eq!(value("Encrypted"), "no");
    assert_eq!(value("Creator"), "Tenet");
    assert!(value("Page size").contains("A4"));
    // Each font is embedded, and says what its glyphs mean.
    let fonts = run("pdffonts", PACKAGE, &[path]);
    for line in fonts.lines().skip(2) {
        let flags: Vec<_> = line.split_whitespace().rev().skip(2).take(3).collect();
        assert_eq!(flags, ["yes", "yes", "yes"], "{line}");
    }
    // Who reads it aloud finds headings, contents and a table with its heads.
    let structure = run("pdfinfo", PACKAGE, &["-struct", path]);
    for tag in [
        "H1 \"Roles and responsibilities\" (block)",
        "H2 \"RR-1 Handling by classification\" (block)",
        "TOC\n",
        "TOCI\n",
        "Table",
        "TH",
    ] {
        assert!(structure.contains(tag), "{tag}: {structure}");
    }
}
