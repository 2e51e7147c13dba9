//! A cursor comes from whoever calls: any text has the form of one, or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if vault::has_cursor_form(text) {
        // One byte of format, 16 of position, 16 of tag: one text for each, and no other.
        let own = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(text.len() == 44 && text.starts_with("AQ") && text.bytes().all(own));
    }
});
