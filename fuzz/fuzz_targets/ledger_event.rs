//! The verifier's quick check and the decoder agree on what is an event: a log of one entry verifies
//! exactly if the entry decodes.
#![no_main]

use std::sync::LazyLock;

use base::Secret;
use ledger::{Event, Failure, LogSigner, SourceError, TileSource, leaf_hash, push_entry, verify_log};
use libfuzzer_sys::fuzz_target;

static SIGNER: LazyLock<LogSigner> =
    LazyLock::new(|| LogSigner::new("fuzz.example/log", &Secret::new([1; 32])).unwrap());

struct One<'a>(&'a [u8]);

impl TileSource for One<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        Ok(SIGNER.sign(1, leaf_hash(self.0)))
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        match path {
            "tile/0/000.p/1" => Ok(leaf_hash(self.0).to_vec()),
            "tile/entries/000.p/1" => {
                let mut bundle = Vec::new();
                push_entry(&mut bundle, self.0).unwrap();
                Ok(bundle)
            }
            _ => Err(SourceError::Missing),
        }
    }
}

fuzz_target!(|leaf: &[u8]| {
    if leaf.len() > ledger::MAX_ENTRY_BYTES {
        return;
    }
    let verified = verify_log(&One(leaf), SIGNER.verifier(), &mut |_, _| {});
    match Event::decode(leaf) {
        Ok(_) => assert!(verified.is_ok()),
        Err(_) => assert!(matches!(verified, Err(Failure::NotAnEvent { index: 0, .. }))),
    }
});
