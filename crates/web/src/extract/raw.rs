//! The exact text of values inside a JSON document, so that what a customer sends is stored to the byte:
//! a number that is parsed and written again may not be the same number.

use std::ops::Range;

/// The ranges of the member `member` of each object in the array that is the member `array` of the
/// document; `None` for objects without it. The document must have been parsed before: on anything
/// else the answer is `None`.
pub(crate) fn members(document: &[u8], array: &str, member: &str) -> Option<Vec<Option<Range<usize>>>> {
    let mut scan = Scan { text: document, at: 0 };
    let mut found = None;
    scan.object(|scan, name| {
        if name != array.as_bytes() {
            return scan.value().map(|_| ());
        }
        let mut ranges = Vec::new();
        scan.array(|scan| {
            let mut range = None;
            scan.object(|scan, name| {
                let value = scan.value()?;
                if name == member.as_bytes() {
                    range = Some(value);
                }
                Some(())
            })?;
            ranges.push(range);
            Some(())
        })?;
        found = Some(ranges);
        Some(())
    })?;
    found
}

/// A place in a document that is known to be JSON.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Calls `each` at the value of every member.
    fn object(&mut self, mut each: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let name = self.string()?;
            let name = self.text.get(name.start + 1..name.end.checked_sub(1)?)?;
            self.take(b':')?;
            each(self, name)?;
            if self.peek()? == b'}' {
                return self.take(b'}');
            }
            self.take(b',')?;
        }
    }

    /// Calls `each` at every element.
    fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            each(self)?;
            if self.peek()? == b']' {
                return self.take(b']');
            }
            self.take(b',')?;
        }
    }

    /// Passes over a string, its quotes included.
    fn string(&mut self) -> Option<Range<usize>> {
        self.take(b'"')?;
        let start = self.at - 1;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(start..self.at);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Passes over a value of any kind.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => {
                let mut depth = 0usize;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth = depth.checked_sub(1)?,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                while !matches!(self.text.get(self.at)?, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') {
                    self.at += 1;
                }
            }
        }
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(document: &str) -> Option<Vec<Option<&str>>> {
        let ranges = members(document.as_bytes(), "operations", "body")?;
        Some(ranges.into_iter().map(|range| range.map(|range| &document[range])).collect())
    }

    #[test]
    fn values_are_found_to_the_byte() {
        let document = r#" {"x":[{"body":1}], "operations" : [ {"op":"create", "body": {"n": 1.10e0, "s":"}\"]"} },
            {"op":"delete","id":"rec"}, {"body":[ ],"a":{}}, {"body":123456789012345678901234567890} ] } "#;
        assert_eq!(
            texts(document),
            Some(vec![
                Some(r#"{"n": 1.10e0, "s":"}\"]"}"#),
                None,
                Some("[ ]"),
                Some("123456789012345678901234567890"),
            ])
        );
        assert_eq!(texts(r#"{"operations":[]}"#), Some(vec![]));
        assert_eq!(texts("{}"), None);
        assert_eq!(texts(r#"{"operations":3}"#), None);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_without_panic(text in "[\\[\\]{}\",:ab\\\\1 ]{0,60}") {
            let _ = members(text.as_bytes(), "a", "b");
        }

        #[test]
        fn what_is_found_parses_to_what_was_there(values in prop::collection::vec("[^\u{0}]{0,12}", 0..6)) {
            let operations: Vec<_> = values.iter()
                .map(|value| serde_json::json!({"op": "create", "body": {"v": value, "n": [value]}}))
                .collect();
            let document = serde_json::json!({"operations": operations}).to_string();
            let found = members(document.as_bytes(), "operations", "body").unwrap();
            prop_assert_eq!(found.len(), values.len());
            for (range, value) in found.into_iter().zip(values) {
                let body: serde_json::Value = serde_json::from_str(&document[range.unwrap()]).unwrap();
                prop_assert_eq!(body, serde_json::json!({"v": value, "n": [value]}));
            }
        }
    }
}
