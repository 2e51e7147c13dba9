//! A cursor comes from whoever calls: any text has the form of one, or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if vault::has_cursor_form(text) {
        assert!(text.is_ascii() && text.len() < 256);
    }
});
