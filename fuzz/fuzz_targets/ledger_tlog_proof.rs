//! A proof that is read is written the same, and none holds that the log did not give.
#![no_main]

use std::sync::LazyLock;

use base::Secret;
use ledger::{LogSigner, TlogProof};
use libfuzzer_sys::fuzz_target;

static SIGNER: LazyLock<LogSigner> =
    LazyLock::new(|| LogSigner::new("fuzz.example/log", &Secret::new([1; 32])).unwrap());

fuzz_target!(|text: &str| {
    let Ok(mut proof) = TlogProof::parse(text) else { return };
    assert_eq!(proof.encode(), text);
    assert!(proof.check_enclosed(SIGNER.verifier()).is_err());
    // Under a checkpoint that we did sign, with a root that nothing leads to.
    proof.checkpoint = SIGNER.sign(proof.index.saturating_add(1), [0; 32]);
    assert!(proof.check_enclosed(SIGNER.verifier()).is_err());
});
