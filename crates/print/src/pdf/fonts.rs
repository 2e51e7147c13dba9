//! The fonts, which are in the crate: 1.3 MB in all. What a document uses of them is embedded in it, as PDF/A asks.
//!
//! Libertinus Serif has the Latin, Greek, Cyrillic and Hebrew scripts; DejaVu Sans Mono is for hashes, and for the letters that
//! the first does not have, such as Arabic. Neither has Chinese, Japanese or Korean, whose fonts weigh ten times as much.

use std::sync::LazyLock;

use typst::{
    foundations::Bytes,
    text::{Font, FontBook, is_default_ignorable},
    utils::LazyHash,
};

use crate::{PrintError, sheet::Sheet};

const FILES: [&[u8]; 4] = [
    include_bytes!("../../fonts/LibertinusSerif-Regular.otf"),
    include_bytes!("../../fonts/LibertinusSerif-Italic.otf"),
    include_bytes!("../../fonts/LibertinusSerif-Semibold.otf"),
    include_bytes!("../../fonts/DejaVuSansMono.ttf"),
];

static FONTS: LazyLock<Vec<Font>> =
    LazyLock::new(|| FILES.into_iter().flat_map(|file| Font::iter(Bytes::new(file))).collect());
static BOOK: LazyLock<LazyHash<FontBook>> =
    LazyLock::new(|| LazyHash::new(FontBook::from_fonts(FONTS.iter())));

/// What fonts there are.
pub(super) fn book() -> &'static LazyHash<FontBook> {
    &BOOK
}

/// The font of that number.
pub(super) fn font(index: usize) -> Option<Font> {
    FONTS.get(index).cloned()
}

/// That one or the other font has each letter.
pub(super) fn have(sheet: &Sheet) -> Result<(), PrintError> {
    for (place, text) in sheet.texts() {
        if let Some(letter) = text.chars().find(|letter| !has(*letter)) {
            return Err(PrintError::LetterUnknown { place: place.to_owned(), letter });
        }
    }
    Ok(())
}

/// Ignorable ones, such as a joiner, have no picture.
fn has(letter: char) -> bool {
    let covers = |font: &Font| font.info().coverage.contains(u32::from(letter));
    is_default_ignorable(letter) || FONTS.iter().any(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fonts_are_read_and_have_the_letters_that_are_said() {
        assert_eq!(FONTS.len(), FILES.len());
        let families: Vec<_> = BOOK.families().map(|(family, _)| family.to_owned()).collect();
        assert_eq!(families, ["DejaVu Sans Mono", "Libertinus Serif"]);
        for letter in "Aß\u{e9}ŁĞΩЖאم\u{a0}\u{2019}".chars() {
            assert!(has(letter), "{letter}");
        }
        assert!(!has('株') && !has('\u{1f600}'));
    }
}
