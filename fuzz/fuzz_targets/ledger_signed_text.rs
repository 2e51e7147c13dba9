//! Any text under a right signature: it is a checkpoint, a statement or neither, never both.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::Ed25519KeyPair;
use base::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::{LogSigner, verify_statement};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<(LogSigner, Ed25519KeyPair)> = LazyLock::new(|| {
    let seed = [1; 32];
    let signer = LogSigner::new("fuzz.example/log", &Secret::new(seed)).unwrap();
    (signer, Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
});

fuzz_target!(|text: &str| {
    let (signer, pair) = &*KEYS;
    let text = format!("{text}\n");
    let vkey = signer.vkey();
    let id = u32::from_str_radix(vkey.split('+').nth(1).unwrap(), 16).unwrap();
    let mut signature = id.to_be_bytes().to_vec();
    signature.extend_from_slice(pair.sign(text.as_bytes()).as_ref());
    let note = format!("{text}\n— fuzz.example/log {}\n", STANDARD.encode(signature));
    let checkpoint = signer.verifier().verify(&note);
    let statement = verify_statement(signer.verifier(), &note);
    assert!(checkpoint.is_err() || statement.is_err());
    if let Ok(checkpoint) = checkpoint {
        assert!(text.starts_with(&format!("fuzz.example/log\n{}\n", checkpoint.size)));
    }
});
