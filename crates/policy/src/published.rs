//! What may stand in published text, whoever wrote it: no placeholder, no guidance, nothing that steers the eye.

use crate::{Catalogue, Code};

/// Most characters of a name, a title or a reason.
pub(crate) const MAX_LINE_CHARS: usize = 200;
/// Least words of a sentence of guidance that is looked for: shorter ones are anybody's.
const MIN_GUIDANCE_WORDS: usize = 6;

/// The guidance of a catalogue, in a form that can be looked for.
pub(crate) struct Guidance(Vec<String>);

impl Guidance {
    pub(crate) fn of(catalogue: &Catalogue) -> Self {
        let all = catalogue.clauses().flat_map(|clause| clause.guidance.split_inclusive(['.', ':', ';']));
        let sentences = all.map(plain).filter(|one| one.split(' ').count() >= MIN_GUIDANCE_WORDS);
        Self(sentences.collect())
    }

    /// Why this text can't be published; none if it can.
    pub(crate) fn fault(&self, text: &str, most_chars: usize) -> Option<(Code, String)> {
        if text.trim().is_empty() {
            return Some((Code::TextInvalid, "it is empty: fill it in".to_owned()));
        }
        if text.chars().nth(most_chars).is_some() || text.chars().any(steers) {
            let message = format!(
                "expected one line of at most {most_chars} characters, without characters that can't be seen"
            );
            return Some((Code::TextInvalid, message));
        }
        if is_placeholder(text) {
            return Some((
                Code::PlaceholderLeft,
                "it was left to be filled in: say what belongs here".to_owned(),
            ));
        }
        self.is_in(text).then(|| {
            (
                Code::GuidancePublished,
                "it repeats guidance, which is for the author alone: say it in your own words".to_owned(),
            )
        })
    }

    /// Whether a sentence of guidance stands in the text, however it is spaced or capitalised.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let text = plain(text);
        self.0.iter().any(|sentence| text.contains(sentence))
    }
}

/// Lower case, single spaces, no punctuation at the end.
pub(crate) fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ").trim_end_matches(['.', ':', ';', '!', '?', ',']).to_owned()
}

/// Characters that have no picture of their own, but move or hide others: controls, marks of direction (Unicode 6.0, UAX
/// #9, embeddings and isolates), spaces without width. None is published.
pub fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}')
}

/// Text that somebody meant to fill in.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let upper = text.to_uppercase();
    let words = ["TODO", "TBD", "FIXME", "XXX", "CHANGEME", "PLACEHOLDER"];
    let is_word = |word: &str| upper.split(|letter: char| !letter.is_alphanumeric()).any(|part| part == word);
    let enclosed = |open: char, close: char| {
        text.find(open).is_some_and(|at| text.get(at..).is_some_and(|rest| rest.contains(close)))
    };
    words.into_iter().any(is_word)
        || upper.contains("LOREM IPSUM")
        || enclosed('[', ']')
        || enclosed('<', '>')
        || enclosed('{', '}')
        || text.trim().chars().all(|one| matches!(one, '.' | '\u{2026}' | '?' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_to_fill_in_is_seen() {
        for text in [
            "TODO",
            "[company]",
            "<name>",
            "{company}",
            "to be done (TBD)",
            "...",
            "",
            "xxx",
            "Lorem ipsum",
            "??",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["Acme, Inc.", "TodoSoft", "A < B", "O'Neill & Co.", "Ipsum GmbH"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn guidance_is_seen_however_it_is_spaced() {
        let guidance = Guidance::of(&Catalogue::load().unwrap());
        assert!(guidance.is_in("We: the  IDENTIFIER is never taken from the request itself, that's it"));
        assert!(!guidance.is_in("See CD-8 for how."), "too short to be anybody's in particular");
        let fault = |text: &str| guidance.fault(text, 30).map(|(code, _)| code);
        assert_eq!(fault("Acme, Inc."), None);
        assert_eq!(fault(" "), Some(Code::TextInvalid));
        assert_eq!(fault("A\u{202e}B"), Some(Code::TextInvalid));
        assert_eq!(fault("a\nb"), Some(Code::TextInvalid));
        assert_eq!(fault(&"é".repeat(30)), None);
        assert_eq!(fault(&"é".repeat(31)), Some(Code::TextInvalid));
    }
}
