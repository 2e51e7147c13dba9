//! Signed notes (C2SP signed-note): text, an empty line, signature lines. Ed25519 (type 0x01) only.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base::{Fault, Kind, Secret};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Most bytes of a note that is read.
pub const MAX_NOTE_BYTES: usize = 1_048_576;
/// Most signatures that are looked at; the specification asks for at least 16.
const MAX_SIGNATURES: usize = 64;
const MAX_NAME_BYTES: usize = 256;
/// The specification's identifier of Ed25519.
const ED25519_TYPE: u8 = 0x01;
pub(crate) const PUBLIC_KEY_BYTES: usize = 32;
pub(crate) const SIGNATURE_MARK: &str = "— ";

/// Why a note or a key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The name of a key is empty, too long, or has a space, a `+` or a control character.
    #[error("not a name for a key: use a name such as `log.example.com/tenet`, without spaces and `+`")]
    Name,
    /// The seed is not one of Ed25519.
    #[error("the signing key is not usable")]
    Seed,
    /// The verifier key is malformed.
    #[error("not a verifier key: expected `name+hash+key` as `tenet log key` prints it")]
    VerifierKey,
    /// The note is not of the form of a signed note.
    #[error("not a signed note: {0}")]
    Shape(&'static str),
    /// No signature is by the key that is trusted.
    #[error("the note is not signed by `{0}`")]
    Unsigned(String),
    /// A signature claims to be by the trusted key and is not.
    #[error("the signature of `{0}` does not verify: the text is not what was signed")]
    Signature(String),
    /// Signed, but not what was expected.
    #[error("the signed text is not {0}")]
    Content(&'static str),
}

impl Fault for NoteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Seed => Kind::Internal,
            _ => Kind::Invalid,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Name => "note-name",
            Self::Seed => "note-seed",
            Self::VerifierKey => "note-verifier-key",
            Self::Shape(_) => "note-shape",
            Self::Unsigned(_) => "note-unsigned",
            Self::Signature(_) => "note-signature",
            Self::Content(_) => "note-content",
        }
    }
}

/// Signs the log's checkpoints and statements.
pub struct LogSigner {
    pair: Ed25519KeyPair,
    verifier: LogVerifier,
}

/// Verifies what a [`LogSigner`] signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogVerifier {
    name: String,
    id: [u8; 4],
    key: [u8; PUBLIC_KEY_BYTES],
}

impl LogSigner {
    /// A signer of this name (the log's origin, such as `log.example.com/tenet`) with an Ed25519 seed
    /// (RFC 8032).
    pub fn new(origin: &str, seed: &Secret<[u8; 32]>) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| NoteError::Seed)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Seed)?;
        let verifier = LogVerifier::new(origin, key)?;
        Ok(Self { pair, verifier })
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.verifier.name
    }

    /// The verifier key in text: `name+hash+key`.
    pub fn vkey(&self) -> String {
        self.verifier.vkey()
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// A signed note of `text`, which ends in a newline and has no other control character.
    pub(crate) fn sign_text(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNATURE_MARK}{} {}\n", self.verifier.name, STANDARD.encode(signature))
    }
}

impl std::fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogSigner({})", self.verifier.name)
    }
}

impl LogVerifier {
    fn new(name: &str, key: [u8; PUBLIC_KEY_BYTES]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, ED25519_TYPE, &key), key })
    }

    /// Reads a verifier key: the name, `+`, 8 hexadecimal digits of the key's hash, `+`, the base64
    /// of 0x01 and the public key.
    pub fn from_vkey(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, key) = parse_vkey(vkey, ED25519_TYPE)?;
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// The verifier key in text.
    pub fn vkey(&self) -> String {
        vkey(&self.name, self.id, ED25519_TYPE, &self.key)
    }

    /// The public key alone: two verifier keys with the same are the same key.
    pub(crate) fn public_key(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.key
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// Whether a signature says that it is this key's.
    pub(crate) fn made(&self, signature: &Signature<'_>) -> bool {
        signature.name == self.name && signature.id == self.id
    }

    /// The text of a note, its last newline included, once a signature of this key has verified.
    /// Signatures of other keys (witnesses) are ignored, as the specification says.
    pub(crate) fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let parsed = Note::parse(note)?;
        let mut verified = false;
        for signature in parsed.signatures {
            if !self.made(&signature) {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, &self.key)
                .verify(parsed.text.as_bytes(), &signature.bytes)
                .map_err(|_| NoteError::Signature(self.name.clone()))?;
            verified = true;
        }
        if verified { Ok(parsed.text) } else { Err(NoteError::Unsigned(self.name.clone())) }
    }
}

/// A note, taken apart and not verified.
pub(crate) struct Note<'a> {
    pub(crate) text: &'a str,
    pub(crate) signatures: Vec<Signature<'a>>,
}

/// One signature line.
pub(crate) struct Signature<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: [u8; 4],
    pub(crate) bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    pub(crate) fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Shape("it is larger than 1 MiB"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Shape("it has a control character"));
        }
        let gap = note.rfind("\n\n").ok_or(NoteError::Shape("no empty line before the signatures"))?;
        let (text, lines) = (note.get(..=gap), note.get(gap + 2..));
        let (Some(text), Some(lines)) = (text, lines) else {
            return Err(NoteError::Shape("no empty line before the signatures"));
        };
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape("it does not end in a newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::Shape("it has more than 64 signatures"));
            }
            signatures.push(Signature::parse(line).ok_or(NoteError::Shape("a signature line is malformed"))?);
        }
        Ok(Self { text, signatures })
    }
}

impl<'a> Signature<'a> {
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !rest.is_empty()).then(|| Self { name, id: *id, bytes: rest.to_vec() })
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(allowed)
}

/// The specification's key id: the first four bytes of the hash of name, newline, type and key.
pub(crate) fn key_id(name: &str, kind: u8, key: &[u8; PUBLIC_KEY_BYTES]) -> [u8; 4] {
    let mut input = name.as_bytes().to_vec();
    input.extend_from_slice(&[b'\n', kind]);
    input.extend_from_slice(key);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &input);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// A verifier key in text: name, key id, and the key with its type before it.
pub(crate) fn vkey(name: &str, id: [u8; 4], kind: u8, key: &[u8; PUBLIC_KEY_BYTES]) -> String {
    let mut typed = vec![kind];
    typed.extend_from_slice(key);
    format!("{name}+{:08x}+{}", u32::from_be_bytes(id), STANDARD.encode(typed))
}

/// Takes a verifier key of that type apart: its name, its id, which is right, and the public key.
pub(crate) fn parse_vkey(text: &str, kind: u8) -> Result<(&str, [u8; 4], [u8; PUBLIC_KEY_BYTES]), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::VerifierKey);
    };
    let bytes = STANDARD.decode(key).map_err(|_| NoteError::VerifierKey)?;
    let key = match bytes.split_first() {
        Some((found, key)) if *found == kind => key.try_into().map_err(|_| NoteError::VerifierKey)?,
        _ => return Err(NoteError::VerifierKey),
    };
    let id = key_id(name, kind, &key);
    if !is_name(name) || hash != format!("{:08x}", u32::from_be_bytes(id)) {
        return Err(NoteError::VerifierKey);
    }
    Ok((name, id, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // From the tests of Go's golang.org/x/mod/sumdb/note.
    const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NEUMANN_TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer(seed: u8) -> LogSigner {
        LogSigner::new("log.example/tenet", &Secret::new([seed; 32])).unwrap()
    }

    #[test]
    fn the_reference_note_verifies() {
        let verifier = LogVerifier::from_vkey(NEUMANN).unwrap();
        assert_eq!(verifier.open(NEUMANN_NOTE), Ok(NEUMANN_TEXT));
        assert_eq!(verifier.vkey(), NEUMANN);
        let other = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        assert_eq!(LogVerifier::from_vkey(other).unwrap().vkey(), other);
    }

    #[test]
    fn a_signer_is_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        shared(&signer(1));
        shared(signer(1).verifier());
    }

    #[test]
    fn the_published_seed_has_the_published_key() {
        // RFC 8032 7.1, test 1.
        let seed =
            crate::tree::tests::hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = crate::tree::tests::hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signer = LogSigner::new("a", &Secret::new(seed.try_into().unwrap())).unwrap();
        assert_eq!(signer.verifier.key.to_vec(), key);
    }

    #[test]
    fn other_signatures_are_ignored_and_false_ones_refused() {
        let (ours, theirs) = (signer(1), signer(2));
        let note = ours.sign_text("text\n");
        assert_eq!(ours.verifier().open(&note), Ok("text\n"));
        let cosigned = format!("{note}{}", NEUMANN_NOTE.rsplit("\n\n").next().unwrap());
        assert_eq!(ours.verifier().open(&cosigned), Ok("text\n"));
        // The same name with another id is another key.
        assert_eq!(theirs.verifier().open(&note), Err(NoteError::Unsigned("log.example/tenet".into())));
        let altered = note.replacen("text", "test", 1);
        assert_eq!(ours.verifier().open(&altered), Err(NoteError::Signature("log.example/tenet".into())));
        // A false signature under our id spoils the note even beside a right one.
        let false_line = altered.rsplit("\n\n").next().unwrap();
        let other_text = ours.sign_text("test\n");
        assert!(ours.verifier().open(&format!("{other_text}{false_line}")).is_err());
    }

    #[test]
    fn malformed_notes_are_refused() {
        let verifier = LogVerifier::from_vkey(NEUMANN).unwrap();
        for wrong in [
            "",
            "\n",
            "\n\n",
            "text\n",
            "text\n\n",
            "text\n\n— a b\n",
            "text\n\n- PeterNeumann x08go/Y=\n",
            NEUMANN_NOTE.trim_end(),
            &NEUMANN_NOTE.replace('\n', "\r\n"),
            &NEUMANN_NOTE.replace("BwJnAM=", "BwJnAN="),
            &NEUMANN_NOTE.replace(" x08", "  x08"),
            &NEUMANN_NOTE.replace("JnAM=\n", "JnAM=\n\n"),
        ] {
            assert!(verifier.open(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn malformed_keys_and_names_are_refused() {
        for wrong in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "+c74f20a3+ARpc",
            "PeterNeumann+c74f20a3+AQ==",
        ] {
            assert_eq!(LogVerifier::from_vkey(wrong), Err(NoteError::VerifierKey), "{wrong}");
        }
        for wrong in ["", "a b", "a+b", "a\nb", "a\u{a0}b", &"a".repeat(257)] {
            assert!(LogSigner::new(wrong, &Secret::new([1; 32])).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_note_is_read_without_panic(text in "(.|\n){0,80}(\n\n)?(— PeterNeumann [A-Za-z0-9/+=]{0,100}\n)?") {
            prop_assert!(LogVerifier::from_vkey(NEUMANN).unwrap().open(&text).is_err());
        }

        #[test]
        fn any_key_is_read_without_panic(text in "[a-zP]{0,4}\\+[0-9a-f]{8}\\+[A-Za-z0-9/+=]{0,50}|.*") {
            if let Ok(verifier) = LogVerifier::from_vkey(&text) {
                prop_assert_eq!(verifier.vkey(), text);
            }
        }

        #[test]
        fn a_flipped_bit_is_found(at in 0usize..NEUMANN_NOTE.len(), bit in 0u8..8) {
            let mut bytes = NEUMANN_NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(note) = String::from_utf8(bytes) {
                prop_assert!(LogVerifier::from_vkey(NEUMANN).unwrap().open(&note).is_err());
            }
        }
    }
}
