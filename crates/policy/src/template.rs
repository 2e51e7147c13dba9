//! The wording of a clause: text in which `{name}` stands for a parameter. `{{` and `}}` are the braces themselves.

/// A part of a wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// As it stands.
    Text(String),
    /// The value of a parameter.
    Parameter(String),
}

/// A wording, read. What it holds is one sentence or several, each of which is a list of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    sentences: Vec<Vec<Segment>>,
}

/// A wording that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {what}")]
pub struct TemplateError {
    /// Which character, from 1.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl Template {
    /// Reads a wording. A sentence ends at `.`, `!` or `?` that a space follows; never within a parameter's value, since
    /// values are put in afterwards.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut reader = Reader::default();
        let mut letters = text.chars().enumerate().peekable();
        while let Some((at, letter)) = letters.next() {
            let wrong = |what| TemplateError { at: at + 1, what };
            let next = letters.peek().map(|(_, next)| *next);
            match letter {
                '{' if next == Some('{') => {
                    letters.next();
                    reader.text.push('{');
                }
                '}' if next == Some('}') => {
                    letters.next();
                    reader.text.push('}');
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some((_, '}')) => break,
                            Some((_, part)) if part.is_ascii_lowercase() || part == '_' => name.push(part),
                            Some(_) => {
                                return Err(wrong("a parameter's name has lower-case letters and `_` alone"));
                            }
                            None => return Err(wrong("the `{` has no `}`; write `{{` for the brace itself")),
                        }
                    }
                    if name.is_empty() {
                        return Err(wrong("`{}` names no parameter"));
                    }
                    reader.parameter(name);
                }
                '}' => return Err(wrong("the `}` has no `{`; write `}}` for the brace itself")),
                letter if letter.is_control() => return Err(wrong("a wording is text in one line")),
                letter => {
                    reader.text.push(letter);
                    if matches!(letter, '.' | '!' | '?') && next == Some(' ') {
                        letters.next();
                        reader.end();
                    }
                }
            }
        }
        reader.end();
        if reader.sentences.is_empty() {
            return Err(TemplateError { at: 1, what: "it is empty" });
        }
        Ok(Self { sentences: reader.sentences })
    }

    /// Its sentences.
    pub fn sentences(&self) -> &[Vec<Segment>] {
        &self.sentences
    }

    /// The parameters that it names, in order, perhaps more than once.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.sentences.iter().flatten().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Text(_) => None,
        })
    }

    /// Each sentence with the values put in; none if one has no value.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
        let sentence = |segments: &Vec<Segment>| -> Option<String> {
            let mut out = String::new();
            for segment in segments {
                match segment {
                    // A name that ends in a full stop ends the sentence: `Acme, Inc.` and no second one.
                    Segment::Text(text) if out.ends_with('.') && text.starts_with('.') => {
                        out.push_str(text.trim_start_matches('.'));
                    }
                    Segment::Text(text) => out.push_str(text),
                    Segment::Parameter(name) => out.push_str(&value(name)?),
                }
            }
            Some(out)
        };
        self.sentences.iter().map(sentence).collect()
    }
}

#[derive(Default)]
struct Reader {
    sentences: Vec<Vec<Segment>>,
    sentence: Vec<Segment>,
    text: String,
}

impl Reader {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.sentence.push(Segment::Text(std::mem::take(&mut self.text)));
        }
    }
    fn parameter(&mut self, name: String) {
        self.flush();
        self.sentence.push(Segment::Parameter(name));
    }
    fn end(&mut self) {
        self.flush();
        if !self.sentence.is_empty() {
            self.sentences.push(std::mem::take(&mut self.sentence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sentences_are_of_the_wording_and_not_of_values() {
        let template = Template::parse("At {company}, all is well. It is {{so}}! Ask {company}.").unwrap();
        let filled = template.fill(|_| Some("Acme Inc. of Ulm. Yes".into())).unwrap();
        assert_eq!(
            filled,
            ["At Acme Inc. of Ulm. Yes, all is well.", "It is {so}!", "Ask Acme Inc. of Ulm. Yes."]
        );
        assert_eq!(template.parameters().collect::<Vec<_>>(), ["company", "company"]);
        assert_eq!(template.fill(|_| None), None);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        for (text, at) in [("a {", 3), ("a } b", 3), ("{A}", 1), ("{}", 1), ("", 1), ("a\nb", 2)] {
            assert_eq!(Template::parse(text).unwrap_err().at, at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert!(template.fill(|_| Some(String::new())).is_some());
            }
        }
    }
}
