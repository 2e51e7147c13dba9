//! Checkpoints (C2SP tlog-checkpoint): the log's origin, its size and its root, signed.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{Hash, LogSigner, LogVerifier, NoteError};

/// The head of a log's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
}

impl LogSigner {
    /// Signs the head of the tree; the text of the note. Never sign two heads of which neither
    /// continues the other.
    pub fn sign(&self, size: u64, root: Hash) -> String {
        self.sign_text(&format!("{}\n{size}\n{}\n", self.origin(), STANDARD.encode(root)))
    }
}

impl LogVerifier {
    /// The checkpoint, if it is signed by this key and is this log's.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint = parse(self.open(note)?).ok_or(NoteError::Content("a checkpoint"))?;
        if checkpoint.origin != self.origin() {
            return Err(NoteError::Content("a checkpoint of this log"));
        }
        Ok(checkpoint)
    }
}

fn parse(text: &str) -> Option<Checkpoint> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    // What follows is extensions, which have no meaning here; an empty line would be malformed.
    if origin.is_empty() || lines.any(str::is_empty) {
        return None;
    }
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some(Checkpoint { origin: origin.to_owned(), size: decimal(size)?, root })
}

/// A number as the specifications write it: digits, no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Secret;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert!(parse(&format!("{text}extension\n")).is_some());
        for wrong in [
            text.replace("2085", "02085"),
            text.replace("2085", "+2085"),
            text.replace("20852163", ""),
            text.replace("q2I=", "q2I"),
            text.replace("CsUY", ""),
            format!("{text}\n"),
            format!("\n{text}"),
            text.replace("2085", "99999999999999999999"),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_this_logs_checkpoints_are_accepted() {
        let signer = LogSigner::new("log.example/tenet", &Secret::new([3; 32])).unwrap();
        let verifier = LogVerifier::from_vkey(&signer.vkey()).unwrap();
        let note = signer.sign(7, [9; 32]);
        let expected = Checkpoint { origin: "log.example/tenet".into(), size: 7, root: [9; 32] };
        assert_eq!(verifier.verify(&note), Ok(expected));
        let text = format!("{}\n", note.split("\n\n").next().unwrap());
        let other = signer.sign_text(&text.replace("log.", "mog."));
        assert_eq!(verifier.verify(&other), Err(NoteError::Content("a checkpoint of this log")));
        assert_eq!(
            verifier.verify(&signer.sign_text("log.example/tenet\n7\n")),
            Err(NoteError::Content("a checkpoint"))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "([a-z. ]{0,8}\n){0,2}[0-9]{0,22}\n[A-Za-z0-9+/]{42,44}=?\n.*") {
            if let Some(checkpoint) = parse(&text) {
                prop_assert!(checkpoint.size.to_string().len() <= 20);
            }
        }

        #[test]
        fn checkpoints_round_trip(size: u64, root: [u8; 32]) {
            let signer = LogSigner::new("o", &Secret::new([3; 32])).unwrap();
            let checkpoint = signer.verifier().verify(&signer.sign(size, root)).unwrap();
            prop_assert_eq!((checkpoint.size, checkpoint.root), (size, root));
        }
    }
}
