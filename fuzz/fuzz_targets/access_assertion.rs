//! An assertion is looked at before anybody is known: any text, and any claims in the right envelope.
#![no_main]

use std::sync::OnceLock;

use access::{Assertion, SigningKey};
use base::Secret;
use libfuzzer_sys::fuzz_target;

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::from_seed(&Secret::new(vec![8; 32])).unwrap())
}

fuzz_target!(|text: &str| {
    let _ = Assertion::parse(text);
    if let Ok(claims) = serde_json::from_str::<serde_json::Value>(text) {
        let signed = key().sign("JWT", &claims).unwrap();
        let _ = Assertion::parse(&signed);
    }
});
