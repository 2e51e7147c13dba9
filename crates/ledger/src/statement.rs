//! Signed statements, such as deletion certificates: one JSON object in a signed note, under the
//! log's own key, verified offline by the verifier key alone.
//!
//! The signed text is two lines: `tenet statement v1 <origin>`, and the JSON. The first has spaces,
//! which no origin may have, so that a statement can't be passed off as a checkpoint, nor the reverse.

use base::{Fault, Kind};
use serde::de::IgnoredAny;

use crate::{LogSigner, LogVerifier, MAX_NOTE_BYTES, NoteError};

const HEADER: &str = "tenet statement v1 ";
/// Most bytes of a statement's JSON.
pub const MAX_STATEMENT_BYTES: usize = MAX_NOTE_BYTES / 2;

/// Why a statement is not signed, or not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not one JSON object on one line.
    #[error("a statement is one JSON object on one line, of at most {MAX_STATEMENT_BYTES} bytes")]
    Json,
    /// Not signed by the key that is trusted, or not a statement.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Fault for StatementError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Json => "statement-json",
            Self::Note(error) => error.code(),
        }
    }
}

/// Signs a JSON object, written on one line; the text of the note.
pub fn sign_statement(signer: &LogSigner, json: &str) -> Result<String, StatementError> {
    if !is_object(json) {
        return Err(StatementError::Json);
    }
    Ok(signer.sign_text(&format!("{HEADER}{}\n{json}\n", signer.origin())))
}

/// The JSON of a statement, once the signature has verified.
pub fn verify_statement<'a>(key: &LogVerifier, note: &'a str) -> Result<&'a str, StatementError> {
    let text = key.open(note)?;
    let (head, json) = text
        .strip_suffix('\n')
        .and_then(|text| text.split_once('\n'))
        .ok_or(NoteError::Content("a statement"))?;
    if head.strip_prefix(HEADER) != Some(key.origin()) {
        return Err(NoteError::Content("a statement of this log").into());
    }
    if is_object(json) { Ok(json) } else { Err(StatementError::Json) }
}

fn is_object(json: &str) -> bool {
    json.len() <= MAX_STATEMENT_BYTES
        && json.starts_with('{')
        && !json.bytes().any(|byte| byte < 0x20)
        && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Secret;
    use proptest::prelude::*;

    fn signer() -> LogSigner {
        LogSigner::new("log.example/tenet", &Secret::new([8; 32])).unwrap()
    }

    #[test]
    fn a_statement_verifies_by_the_key_alone() {
        let json = r#"{"certificate":"crt_x","note":"line\nbreak é","n":1}"#;
        let note = sign_statement(&signer(), json).unwrap();
        let key = LogVerifier::from_vkey(&signer().vkey()).unwrap();
        assert_eq!(verify_statement(&key, &note), Ok(json));
        let other = LogSigner::new("log.example/tenet", &Secret::new([9; 32])).unwrap();
        assert!(matches!(
            verify_statement(other.verifier(), &note),
            Err(StatementError::Note(NoteError::Unsigned(_)))
        ));
    }

    #[test]
    fn checkpoints_and_statements_are_not_confused() {
        let signer = signer();
        let statement = sign_statement(&signer, "{}").unwrap();
        assert_eq!(signer.verifier().verify(&statement), Err(NoteError::Content("a checkpoint")));
        let checkpoint = signer.sign(3, [1; 32]);
        let refused = verify_statement(signer.verifier(), &checkpoint);
        assert_eq!(refused, Err(NoteError::Content("a statement of this log").into()));
    }

    #[test]
    fn only_one_object_on_one_line_is_signed() {
        for wrong in ["", "[]", "1", "{", "{}{}", "{}\n", "{\n}", "{\t}", " {}", "{\"a\":1,}"] {
            assert_eq!(sign_statement(&signer(), wrong), Err(StatementError::Json), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found(at in 0usize..200, bit in 0u8..8) {
            let signer = signer();
            let mut bytes = sign_statement(&signer, r#"{"a":[1,2,3],"b":"text"}"#).unwrap().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(note) = String::from_utf8(bytes) {
                prop_assert!(verify_statement(signer.verifier(), &note).is_err());
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(tenet statement v1 log.example/tenet\n)?(.|\n){0,60}") {
            let signer = signer();
            prop_assert!(verify_statement(signer.verifier(), &text).is_err());
            // Signed by us and still any text: what verifies is a statement.
            if let Ok(json) = verify_statement(signer.verifier(), &signer.sign_text(&format!("{text}\n"))) {
                prop_assert!(is_object(json));
            }
        }
    }
}
