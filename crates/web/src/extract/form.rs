//! Pairs of names and values, as forms and queries carry them (application/x-www-form-urlencoded of the
//! URL standard): each name known, each given at most once.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use base::Secret;

use super::json::body;
use crate::{App, problem::Problem};

/// Most pairs of one form or query.
const MAX_PAIRS: usize = 64;

/// A form's pairs, taken out one by one.
#[derive(Default)]
pub(crate) struct Pairs(BTreeMap<String, Secret<String>>);

/// A form within [`crate::Limits::sign_in_bytes`]: all of them hold a credential.
pub(crate) struct Form(pub(crate) Pairs);

impl FromRequest<App> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = body(request, &["application/x-www-form-urlencoded"], app.limits().sign_in_bytes).await?;
        Pairs::parse(&bytes).map(Self)
    }
}

impl Pairs {
    /// The pairs of an encoded text.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, Problem> {
        let mut pairs = BTreeMap::new();
        for piece in encoded.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
            let mut halves = piece.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default(), "name")?;
            let value = decode(halves.next().unwrap_or_default(), &name)?;
            if pairs.len() == MAX_PAIRS {
                return Err(Problem::invalid("too-many-parameters", &name, "too many parameters"));
            }
            if pairs.insert(name.clone(), Secret::new(value)).is_some() {
                return Err(Problem::invalid("repeated-parameter", &name, "the parameter is given twice"));
            }
        }
        Ok(Self(pairs))
    }
    /// Takes a value out.
    pub(crate) fn take_secret(&mut self, name: &str) -> Option<Secret<String>> {
        self.0.remove(name)
    }
    /// Takes a value out that is no secret.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|value| value.expose().clone())
    }
    /// Takes a value out and parses it.
    pub(crate) fn take_parsed<T>(&mut self, name: &str) -> Result<Option<T>, Problem>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.take(name) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|error: T::Err| Problem::invalid("invalid-parameter", name, error.to_string()))
    }
    /// Takes a number out that must lie between these, both included.
    pub(crate) fn take_number(&mut self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        let within = number.filter(|number| (least..=most).contains(number));
        within.map(Some).ok_or_else(|| {
            Problem::invalid("invalid-parameter", name, format!("expected a number from {least} to {most}"))
        })
    }
    /// A value that is no secret, left in.
    pub(crate) fn peek(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.expose().clone())
    }
    /// Leaves out what is empty: a form sends its empty fields too.
    pub(crate) fn drop_empty(&mut self) {
        self.0.retain(|_, value| !value.expose().is_empty());
    }
    /// Leaves out whatever is left: where others say what is sent.
    pub(crate) fn drop_rest(&mut self) {
        self.0.clear();
    }
    /// The name of a pair that nobody took.
    pub(crate) fn left(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }
}

/// Undoes `+` and `%xx`.
fn decode(text: &[u8], name: &str) -> Result<String, Problem> {
    let malformed = || Problem::invalid("malformed-encoding", name, "not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
                u8::try_from(high * 16 + low).map_err(|_| malformed())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let mut pairs = Pairs::parse(b"a=1&b=x+y%26%C3%A9&empty=&flag").unwrap();
        assert_eq!(pairs.take("a").as_deref(), Some("1"));
        assert_eq!(pairs.take("b").as_deref(), Some("x y&\u{e9}"));
        assert_eq!(pairs.take("empty").as_deref(), Some(""));
        assert_eq!(pairs.left(), Some("flag"));
        assert_eq!(pairs.take("missing"), None);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for wrong in ["a=%", "a=%g0", "a=%ff", "a=1&a=2", "%zz=1"] {
            assert!(Pairs::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let many: Vec<_> = (0..=MAX_PAIRS).map(|n| format!("n{n}=1")).collect();
        assert!(Pairs::parse(many.join("&").as_bytes()).is_err());
    }

    #[test]
    fn numbers_are_bounded() {
        let number = |text: &str| Pairs::parse(text.as_bytes()).unwrap().take_number("n", 1, 1_000);
        assert_eq!(number("n=1000").unwrap(), Some(1_000));
        assert_eq!(number("m=1").unwrap(), None);
        for wrong in ["n=0", "n=1001", "n=-1", "n=1.0", "n=", "n=+1", "n=99999999999"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
