//! Who adopted what.

use print::{PrintError, docx};

use crate::fixture::{adoption, document};

#[test]
fn only_the_document_that_was_adopted_is_printed_as_adopted() {
    let document = document("Acme, Inc.");
    let right = adoption(&document);
    docx(&document, Some(&right)).unwrap();
    let mut other = document.clone();
    other.sections[0].clauses[0].sentences[0].text.push('x');
    let sha256 = other.manifest().sha256;
    assert_eq!(docx(&other, Some(&right)), Err(PrintError::AnotherAdopted { document: sha256 }));
    for day in ["", "2026-02-30", "2026-12-01T00:00:00Z", "1.12.2026", "\u{202e}"] {
        let wrong = print::Adoption { adopted: day.into(), ..right.clone() };
        assert!(matches!(docx(&document, Some(&wrong)), Err(PrintError::DayInvalid(_))), "{day}");
    }
    let nobody = print::Adoption { approvers: vec![], ..right.clone() };
    assert!(matches!(docx(&document, Some(&nobody)), Err(PrintError::ApproversInvalid { .. })));
    let blank = print::Adoption { approvers: vec![" ".into()], ..right.clone() };
    assert_eq!(docx(&document, Some(&blank)), Err(PrintError::Empty("the name of an approver".into())));
    let hidden = print::Adoption { approvers: vec!["A\u{202e}B".into()], ..right };
    let error = docx(&document, Some(&hidden)).unwrap_err().to_string();
    assert_eq!(error, "the name of an approver holds U+202E, which can't be printed: take it out");
}

#[test]
fn a_letter_that_cannot_be_printed_is_named_with_its_place() {
    for letter in ['\0', '\u{8}', '\n', '\u{7f}', '\u{85}', '\u{200b}', '\u{202e}', '\u{fffe}', '\u{ffff}'] {
        let mut document = document("Acme, Inc.");
        document.sections[0].clauses[0].sentences[0].text.push(letter);
        let error = PrintError::LetterInvalid { place: "RR-1.1".into(), letter };
        assert_eq!(docx(&document, None), Err(error.clone()));
        #[cfg(feature = "pdf")]
        assert_eq!(print::pdf(&document, None, &[]), Err(error));
    }
}
