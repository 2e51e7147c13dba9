//! A commitment to a value that must not be in the log itself. Who makes one (`keys`) uses an HMAC
//! under a key that dies with the data, so that erased data can't be guessed back from the log.

use std::{fmt, str::FromStr};

/// Bytes in a commitment.
const BYTES: usize = 32;

/// A keyed digest of a value: 32 bytes, 64 lower-case hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment([u8; BYTES]);

/// Text that is not a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a commitment: expected 64 lower-case hexadecimal digits")]
pub struct CommitmentError;

impl Commitment {
    /// The commitment of these bytes.
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0u8; BYTES * 2];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair =
                [byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Commitment {
    type Err = CommitmentError;

    fn from_str(text: &str) -> Result<Self, CommitmentError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != BYTES || !rest.is_empty() {
            return Err(CommitmentError);
        }
        let mut bytes = [0u8; BYTES];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, CommitmentError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(CommitmentError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            let commitment = Commitment::from_bytes(bytes);
            prop_assert_eq!(commitment.to_string().parse(), Ok(commitment));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "[0-9a-fA-F]{60,66}") {
            if let Ok(commitment) = text.parse::<Commitment>() {
                prop_assert_eq!(commitment.to_string(), text);
            }
        }
    }
}
