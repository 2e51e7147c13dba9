//! A path is refused, or is the one spelling of its tile.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(path) = ledger::parse_tile_path(text) {
        assert_eq!(path.to_string(), text);
        assert!((1..=256).contains(&path.width));
    }
});
