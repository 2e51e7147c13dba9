//! No text that we did not sign is accepted, and a verifier key has one spelling.
#![no_main]

use std::sync::LazyLock;

use base::Secret;
use ledger::{LogSigner, LogVerifier, verify_statement};
use libfuzzer_sys::fuzz_target;

static SIGNER: LazyLock<LogSigner> =
    LazyLock::new(|| LogSigner::new("fuzz.example/log", &Secret::new([1; 32])).unwrap());

fuzz_target!(|text: &str| {
    if let Ok(key) = LogVerifier::from_vkey(text) {
        assert_eq!(key.vkey(), text);
    }
    assert!(SIGNER.verifier().verify(text).is_err());
    assert!(verify_statement(SIGNER.verifier(), text).is_err());
});
