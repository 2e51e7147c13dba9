//! Whatever files a source gives under a signed checkpoint: the verifier ends, without a panic, and
//! accepts nothing but the log that was signed.
#![no_main]

use base::Secret;
use ledger::{LogSigner, SourceError, TileSource, verify_log};
use libfuzzer_sys::fuzz_target;

struct Files<'a> {
    note: String,
    bytes: &'a [u8],
}

impl TileSource for Files<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        Ok(self.note.clone())
    }
    /// The same bytes for every path, from a place that depends on it; sometimes nothing.
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        assert!(ledger::parse_tile_path(path).is_ok(), "{path}");
        let place =
            path.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let from = place % (self.bytes.len() + 1);
        if from % 7 == 0 { Err(SourceError::Missing) } else { Ok(self.bytes[from..].to_vec()) }
    }
}

fuzz_target!(|input: (u16, [u8; 32], &[u8])| {
    let (size, root, bytes) = input;
    let signer = LogSigner::new("fuzz.example/log", &Secret::new([1; 32])).unwrap();
    let note = signer.sign(u64::from(size), root);
    let report = verify_log(&Files { note, bytes }, signer.verifier(), &mut |_, _| {});
    if let Ok(report) = report {
        assert_eq!((report.size, report.events), (u64::from(size), u64::from(size)));
    }
});
