//! No text is taken for a token of ours but one that was signed with the key; a signed one with claims
//! of any shape is taken or refused, and never brings the server down.
#![no_main]

use std::sync::OnceLock;

use access::{Claims, Issuer, SigningKey};
use base::Secret;
use libfuzzer_sys::fuzz_target;

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::from_seed(&Secret::new(vec![7; 32])).unwrap())
}

fuzz_target!(|text: &str| {
    let name = "https://tenet.test".to_owned();
    let issuer = Issuer { name: name.clone(), audience: name };
    let keys = std::slice::from_ref(key());
    assert!(Claims::verify(text, &issuer, keys).is_err());
    if let Ok(claims) = serde_json::from_str::<serde_json::Value>(text) {
        let token = key().sign(access::TOKEN_TYPE, &claims).unwrap();
        let _ = Claims::verify(&token, &issuer, keys);
    }
});
