//! Entries that are read from a bundle make the same bundle; what is narrowed is its beginning.
#![no_main]

use ledger::{TileKind, TilePath, bundle_entries, push_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let entries: Result<Vec<&[u8]>, _> = bundle_entries(bytes).collect();
    if let Ok(entries) = &entries {
        let mut bundle = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
        assert_eq!(bundle, bytes);
    }
    for width in [1, 2, 255, 256] {
        for kind in [TileKind::Entries, TileKind::Hashes(0)] {
            if let Some(narrow) = (TilePath { kind, index: 0, width }).narrow(bytes) {
                assert!(bytes.starts_with(narrow));
            }
        }
    }
});
