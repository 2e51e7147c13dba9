//! A proof that stands alone (C2SP tlog-proof): the entry's index, its inclusion proof and the signed
//! checkpoint. The entry itself travels as the extra data, so that one file is enough.

use base::{Fault, Kind};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Checkpoint, Hash, LogVerifier, MAX_ENTRY_BYTES, NoteError, ProofMismatch, checkpoint::decimal, leaf_hash,
    verify_inclusion,
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A path in a tree of `u64` leaves has no more.
const MAX_PATH: usize = 64;

/// A proof that an entry is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Extra data; here, the entry. Not to be trusted before [`TlogProof::check_enclosed`].
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The siblings, from the leaf's up.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as the log published it.
    pub checkpoint: String,
}

/// Why a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Not of the form of a proof.
    #[error("not a log proof: {0}")]
    Shape(&'static str),
    /// The proof does not hold the entry, and none was given.
    #[error("the proof does not hold the entry: give the entry beside it")]
    NoEntry,
    /// The checkpoint is not acceptable.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The proof does not lead to the root.
    #[error(transparent)]
    Mismatch(#[from] ProofMismatch),
}

impl Fault for TlogProofError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Shape(_) => "proof-shape",
            Self::NoEntry => "proof-no-entry",
            Self::Checkpoint(error) => error.code(),
            Self::Mismatch(error) => error.code(),
        }
    }
}

impl TlogProof {
    /// The proof in text.
    pub fn encode(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a proof. Strict; says nothing yet about whether it holds.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(TlogProofError::Shape("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Shape("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let mut line = lines.next().ok_or(TlogProofError::Shape("no index"))?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            let most = MAX_ENTRY_BYTES.div_ceil(3) * 4;
            let decoded = Some(encoded).filter(|it| it.len() <= most).and_then(|it| STANDARD.decode(it).ok());
            extra = Some(decoded.ok_or(TlogProofError::Shape("the extra data is too long or not base64"))?);
            line = lines.next().ok_or(TlogProofError::Shape("no index"))?;
        }
        let index = line.strip_prefix("index ").and_then(decimal).ok_or(TlogProofError::Shape("no index"))?;
        let mut path = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
            path.push(hash.ok_or(TlogProofError::Shape("a line of the path is not a hash in base64"))?);
            if path.len() > MAX_PATH {
                return Err(TlogProofError::Shape("the path is longer than any tree is high"));
            }
        }
        Ok(Self { extra, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `entry` is in the log at the proof's index, by the key alone; the checkpoint that
    /// says so.
    pub fn check(&self, key: &LogVerifier, entry: &[u8]) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = key.verify(&self.checkpoint)?;
        verify_inclusion(self.index, checkpoint.size, &leaf_hash(entry), &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }

    /// Checks the entry that the proof holds itself; the entry, and the checkpoint that says so.
    pub fn check_enclosed(&self, key: &LogVerifier) -> Result<(&[u8], Checkpoint), TlogProofError> {
        let entry = self.extra.as_deref().ok_or(TlogProofError::NoEntry)?;
        Ok((entry, self.check(key, entry)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frontier, LogSigner, inclusion_proof};
    use base::Secret;
    use proptest::prelude::*;

    fn proof() -> (TlogProof, LogVerifier) {
        let mut frontier = Frontier::empty();
        let entries: Vec<Vec<u8>> = (0..11u8).map(|n| vec![n; 20]).collect();
        entries.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        let data = frontier.take_changed().remove(0).data;
        let signer = LogSigner::new("log.example/tenet", &Secret::new([5; 32])).unwrap();
        let path = inclusion_proof(6, 11, |_, _, _| Ok::<_, String>(data.clone())).unwrap();
        let checkpoint = signer.sign(11, frontier.root());
        let extra = Some(entries[6].clone());
        (TlogProof { extra, index: 6, path, checkpoint }, signer.verifier().clone())
    }

    #[test]
    fn a_proof_stands_alone() {
        let (proof, key) = proof();
        let read = TlogProof::parse(&proof.encode()).unwrap();
        assert_eq!(read, proof);
        let (entry, checkpoint) = read.check_enclosed(&key).unwrap();
        assert_eq!((entry, checkpoint.size), (&[6u8; 20][..], 11));
        assert!(read.check(&key, &[7; 20]).is_err());
        let bare = TlogProof { extra: None, ..proof };
        let bare = TlogProof::parse(&bare.encode()).unwrap();
        assert!(bare.check(&key, &[6; 20]).is_ok());
        assert_eq!(bare.check_enclosed(&key).unwrap_err(), TlogProofError::NoEntry);
    }

    #[test]
    fn malformed_proofs_are_refused() {
        let text = proof().0.encode();
        for (from, to) in [
            ("@v1", "@v2"),
            ("index 6", "index 06"),
            ("index 6", "index +6"),
            ("index 6", "index"),
            ("index 6\n", ""),
            ("extra ", "extra  "),
            ("extra ", "Extra "),
            ("index 6\n", "index 6\n\n"),
            ("index 6\n", "index 6\nAAAA\n"),
        ] {
            let wrong = text.replacen(from, to, 1);
            let key = proof().1;
            let accepted =
                TlogProof::parse(&wrong).ok().and_then(|proof| proof.check_enclosed(&key).ok().map(drop));
            assert_eq!(accepted, None, "{to}");
        }
        assert!(TlogProof::parse(&text.replace('\n', "\r\n")).is_err());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found(at in 0usize..900, bit in 0u8..8) {
            let (proof, key) = proof();
            let mut bytes = proof.encode().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                let holds = TlogProof::parse(&text).is_ok_and(|proof| proof.check_enclosed(&key).is_ok());
                prop_assert!(!holds);
            }
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "(c2sp.org/tlog-proof@v1\n)?(extra [A-Za-z0-9+/=]{0,9}\n)?(index [0-9]{0,22}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?(.|\n){0,40}") {
            if let Ok(proof) = TlogProof::parse(&text) {
                prop_assert_eq!(proof.encode(), text);
            }
        }
    }
}
