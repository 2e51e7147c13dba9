//! Writing JSON: the canonical form of strings (RFC 8785 3.2.2.2), and text bounded by its escaped
//! size so that an event's size is bounded.

use std::fmt::{Display, Write};

const ELLIPSIS: &str = "…";
/// Most bytes of a word of ours, before escapes.
const MAX_WORD_BYTES: usize = 64;

/// JSON as it is being written.
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Punctuation and names that are literals of ours.
    pub(crate) fn raw(&mut self, literal: &'static str) -> &mut Self {
        self.0.extend_from_slice(literal.as_bytes());
        self
    }

    /// A quoted string, escaped where it must be.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(b'"');
        // Without a branch a byte, so that it is compiled to vector instructions.
        let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
        if !text.bytes().fold(false, |found, byte| found | special(byte)) {
            self.0.extend_from_slice(text.as_bytes());
        } else {
            text.bytes().for_each(|byte| self.escaped(byte));
        }
        self.0.push(b'"');
        self
    }

    /// A quoted word that the code chose. None is near the bound; it keeps the size of an event certain.
    pub(crate) fn word(&mut self, word: &'static str) -> &mut Self {
        self.text(word.get(..word.floor_char_boundary(MAX_WORD_BYTES)).unwrap_or(word))
    }

    /// A quoted word that is known to need no escape.
    pub(crate) fn literal(&mut self, word: &'static str) -> &mut Self {
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
        self
    }

    /// A quoted string of something whose text never needs an escape: an id, an instant, hexadecimal.
    pub(crate) fn plain(&mut self, value: impl Display) -> &mut Self {
        self.0.push(b'"');
        self.number(value);
        self.0.push(b'"');
        self
    }

    /// A number.
    pub(crate) fn number(&mut self, value: impl Display) -> &mut Self {
        // Writing to a vector doesn't fail, nor does the `Display` of ids, instants and numbers.
        let _ = write!(Sink(&mut self.0), "{value}");
        self
    }

    fn escaped(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..=0x1f => {
                let digit = DIGITS.get(usize::from(byte & 15)).copied().unwrap_or(b'0');
                self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
                return;
            }
            _ => {
                self.0.push(byte);
                return;
            }
        };
        self.0.extend_from_slice(&[b'\\', short]);
    }
}

struct Sink<'a>(&'a mut Vec<u8>);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Bytes that this byte takes in a JSON string.
const fn escape_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

/// `text`, cut so that it takes at most `max` bytes in a JSON string; a cut text ends in `…`.
pub(crate) fn bounded(mut text: String, max: usize) -> String {
    if text.bytes().map(escape_len).sum::<usize>() <= max {
        return text;
    }
    let room = max.saturating_sub(ELLIPSIS.len());
    let mut used = 0;
    let cut = text.char_indices().find_map(|(at, character)| {
        let mut utf8 = [0u8; 4];
        used += character.encode_utf8(&mut utf8).bytes().map(escape_len).sum::<usize>();
        (used > room).then_some(at)
    });
    text.truncate(cut.unwrap_or(text.len()));
    text.push_str(ELLIPSIS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(text in ".*|[\u{0}-\u{30}\"\\\\]{0,64}") {
            let mut json = Json::with_capacity(64);
            json.text(&text);
            let bytes = json.into_bytes();
            prop_assert_eq!(&serde_json::to_vec(&text).unwrap(), &bytes);
            prop_assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
        }

        #[test]
        fn bounded_text_fits(text in ".*|[\u{0}-\u{30}\"\\\\é]{0,64}", max in 3usize..40) {
            let cut = bounded(text.clone(), max);
            prop_assert!(cut.bytes().map(escape_len).sum::<usize>() <= max);
            prop_assert!(cut == text || text.starts_with(cut.strip_suffix(ELLIPSIS).unwrap()));
        }
    }
}
