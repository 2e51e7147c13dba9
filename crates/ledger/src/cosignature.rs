//! Cosignatures (C2SP tlog-cosignature, `cosignature/v1`, Ed25519): a witness says that it saw a checkpoint at
//! a time, and that it continues every checkpoint of that log that it saw before.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Checkpoint, LogVerifier, NoteError,
    note::{Note, PUBLIC_KEY_BYTES, SIGNATURE_MARK, Signature, is_name, key_id, parse_vkey, vkey},
};

/// The specification's identifier of an Ed25519 cosignature.
const COSIGNATURE_TYPE: u8 = 0x04;
const TIME_BYTES: usize = 8;
/// Most signature lines that a witness's answer is read to.
const MAX_LINES: usize = 16;

/// Cosigns checkpoints.
pub struct Cosigner {
    pair: Ed25519KeyPair,
    key: CosignerKey,
}

/// Verifies what a [`Cosigner`] cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignerKey {
    name: String,
    id: [u8; 4],
    key: [u8; PUBLIC_KEY_BYTES],
}

impl Cosigner {
    /// A cosigner of this name (such as `witness.example.org/tenet`) with an Ed25519 seed (RFC 8032). The seed is
    /// this cosigner's alone: the signed text does not hold its name.
    pub fn new(name: &str, seed: &Secret<[u8; 32]>) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| NoteError::Seed)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Seed)?;
        let id = key_id(name, COSIGNATURE_TYPE, &key);
        Ok(Self { pair, key: CosignerKey { name: name.to_owned(), id, key } })
    }

    /// What verifies its cosignatures.
    pub fn key(&self) -> &CosignerKey {
        &self.key
    }

    /// The signature line, newline included, for a checkpoint that `log` signed, at `time` (seconds since 1970).
    /// That it continues what was cosigned before is for the caller to have made sure.
    pub fn cosign(&self, log: &LogVerifier, note: &str, time: u64) -> Result<String, NoteError> {
        log.verify(note)?;
        let text = log.open(note)?;
        let mut bytes = self.key.id.to_vec();
        bytes.extend_from_slice(&time.to_be_bytes());
        bytes.extend_from_slice(self.pair.sign(message(text, time).as_bytes()).as_ref());
        Ok(format!("{SIGNATURE_MARK}{} {}\n", self.key.name, STANDARD.encode(bytes)))
    }
}

impl std::fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cosigner({})", self.key.name)
    }
}

impl CosignerKey {
    /// Reads a verifier key of type 0x04: `name+hash+key`.
    pub fn from_vkey(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = parse_vkey(text, COSIGNATURE_TYPE)?;
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// The verifier key in text.
    pub fn vkey(&self) -> String {
        vkey(&self.name, self.id, COSIGNATURE_TYPE, &self.key)
    }

    /// The cosigner's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key alone: two verifier keys with the same are the same key.
    pub(crate) fn public_key(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.key
    }

    /// When this cosigner last cosigned the note, in seconds since 1970; `None` if it did not. A signature that
    /// claims to be its and is not makes the note unacceptable.
    pub fn cosigned_at(&self, note: &str) -> Result<Option<u64>, NoteError> {
        let note = Note::parse(note)?;
        let mut newest = None;
        for signature in &note.signatures {
            newest = newest.max(self.time_of(note.text, signature)?);
        }
        Ok(newest)
    }

    fn time_of(&self, text: &str, signature: &Signature<'_>) -> Result<Option<u64>, NoteError> {
        if signature.name != self.name || signature.id != self.id {
            return Ok(None);
        }
        let false_one = || NoteError::Signature(self.name.clone());
        let (time, bytes) = signature.bytes.split_first_chunk::<TIME_BYTES>().ok_or_else(false_one)?;
        let time = u64::from_be_bytes(*time);
        if i64::try_from(time).is_err() {
            return Err(false_one());
        }
        UnparsedPublicKey::new(&ED25519, &self.key)
            .verify(message(text, time).as_bytes(), bytes)
            .map_err(|_| false_one())?;
        Ok(Some(time))
    }

    /// The first line of a witness's answer that is this cosigner's and holds for the checkpoint, with its time.
    /// Other keys' lines are ignored, as the specification says; a false one of this key is an error.
    pub fn pick(&self, note: &str, answer: &str) -> Result<Option<(String, u64)>, NoteError> {
        let text = Note::parse(note)?.text;
        for line in answer.lines().take(MAX_LINES) {
            let signature =
                Signature::parse(line).ok_or(NoteError::Shape("a signature line is malformed"))?;
            if let Some(time) = self.time_of(text, &signature)? {
                return Ok(Some((format!("{line}\n"), time)));
            }
        }
        Ok(None)
    }
}

/// The checkpoint and no signature but the log's own, which has verified: what others' lines can be added to.
pub fn bare_checkpoint(log: &LogVerifier, note: &str) -> Result<(Checkpoint, String), NoteError> {
    let checkpoint = log.verify(note)?;
    let parsed = Note::parse(note)?;
    let mut bare = format!("{}\n", parsed.text);
    let ours = parsed.signatures.iter().find(|signature| log.made(signature));
    let ours = ours.ok_or_else(|| NoteError::Unsigned(log.origin().to_owned()))?;
    let mut bytes = ours.id.to_vec();
    bytes.extend_from_slice(&ours.bytes);
    bare.push_str(&format!("{SIGNATURE_MARK}{} {}\n", ours.name, STANDARD.encode(bytes)));
    Ok((checkpoint, bare))
}

fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogSigner;
    use proptest::prelude::*;

    fn log() -> LogSigner {
        LogSigner::new("log.example/tenet", &Secret::new([3; 32])).unwrap()
    }
    fn cosigner(name: &str, seed: u8) -> Cosigner {
        Cosigner::new(name, &Secret::new([seed; 32])).unwrap()
    }

    /// The example of C2SP tlog-cosignature: its key is not published, its id and time are readable.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn the_example_has_the_form_that_we_read() {
        let note = Note::parse(EXAMPLE).unwrap();
        let cosignature = note.signatures.get(1).unwrap();
        assert_eq!((cosignature.name, cosignature.id), ("witness.example.com/w1", [0x8d, 0x66, 0xcf, 0x3f]));
        assert_eq!(cosignature.bytes.len(), TIME_BYTES + 64);
        assert_eq!(cosignature.bytes[..TIME_BYTES], 1_679_315_147_u64.to_be_bytes());
        assert!(
            message(note.text, 1_679_315_147).starts_with("cosignature/v1\ntime 1679315147\nexample.com/b")
        );
    }

    #[test]
    fn what_was_cosigned_verifies_with_its_time() {
        let (log, witness) = (log(), cosigner("w.example/1", 9));
        let note = log.sign(7, [9; 32]);
        let line = witness.cosign(log.verifier(), &note, 1_700_000_000).unwrap();
        let key = CosignerKey::from_vkey(&witness.key().vkey()).unwrap();
        assert_eq!(&key, witness.key());
        assert_eq!(key.cosigned_at(&note), Ok(None));
        assert_eq!(key.pick(&note, &line), Ok(Some((line.clone(), 1_700_000_000))));
        let cosigned = format!("{note}{line}");
        assert_eq!(key.cosigned_at(&cosigned), Ok(Some(1_700_000_000)));
        // The log's own verification goes on as before.
        assert_eq!(log.verifier().verify(&cosigned).unwrap().size, 7);
        assert_eq!(bare_checkpoint(log.verifier(), &cosigned).unwrap().1, note);
        // A later cosignature of the same key counts.
        let later = witness.cosign(log.verifier(), &note, 1_700_000_060).unwrap();
        assert_eq!(key.cosigned_at(&format!("{cosigned}{later}")), Ok(Some(1_700_000_060)));
    }

    #[test]
    fn a_false_cosignature_is_refused_and_a_strangers_ignored() {
        let (log, witness, other) = (log(), cosigner("w.example/1", 9), cosigner("w.example/1", 8));
        let (note, fork) = (log.sign(7, [9; 32]), log.sign(7, [8; 32]));
        let line = witness.cosign(log.verifier(), &fork, 5).unwrap();
        assert!(witness.key().cosigned_at(&format!("{note}{line}")).is_err());
        assert!(witness.key().pick(&note, &line).is_err());
        let strange = other.cosign(log.verifier(), &note, 5).unwrap();
        assert_eq!(witness.key().cosigned_at(&format!("{note}{strange}")), Ok(None));
        assert_eq!(witness.key().pick(&note, &strange), Ok(None));
        let short = format!("{SIGNATURE_MARK}w.example/1 {}\n", STANDARD.encode(witness.key().id));
        assert!(witness.key().pick(&note, &short).is_err());
        // Only what the log signed is cosigned.
        let strange_log = LogSigner::new("log.example/tenet", &Secret::new([4; 32])).unwrap();
        assert!(witness.cosign(strange_log.verifier(), &note, 5).is_err());
    }

    #[test]
    fn keys_of_logs_and_of_cosigners_are_not_taken_for_each_other() {
        let log = log();
        assert_eq!(CosignerKey::from_vkey(&log.vkey()), Err(NoteError::VerifierKey));
        assert!(LogVerifier::from_vkey(&cosigner("w", 1).key().vkey()).is_err());
        assert!(Cosigner::new("a b", &Secret::new([1; 32])).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(answer in "(— w.example/1 [A-Za-z0-9/+=]{0,110}\n){0,3}.*") {
            let note = log().sign(7, [9; 32]);
            let _ = cosigner("w.example/1", 9).key().pick(&note, &answer);
        }

        #[test]
        fn a_flipped_bit_is_found(at: proptest::sample::Index, bit in 0u8..8) {
            let (log, witness) = (log(), cosigner("w.example/1", 9));
            let note = log.sign(7, [9; 32]);
            let cosigned = format!("{note}{}", witness.cosign(log.verifier(), &note, 77).unwrap());
            let mut bytes = cosigned.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(flipped) = String::from_utf8(bytes) {
                let both = log.verifier().verify(&flipped).is_ok()
                    && witness.key().cosigned_at(&flipped) == Ok(Some(77));
                prop_assert!(!both);
            }
        }
    }
}
