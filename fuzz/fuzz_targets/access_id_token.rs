//! ID tokens and key sets of a provider of identities: any bytes. Nothing that a fuzzer can make is signed, so none is believed.
#![no_main]

use access::{Wanted, id_token};
use base::Timestamp;
use libfuzzer_sys::fuzz_target;

// The key set, a zero, the token.
fuzz_target!(|bytes: &[u8]| {
    let mut halves = bytes.splitn(2, |byte| *byte == 0);
    let (keys, token) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let Ok(token) = std::str::from_utf8(token) else { return };
    let now = Timestamp::from_seconds(1_800_000_000);
    let wanted =
        Wanted { issuer: "https://login.example", client_id: "tenet", nonce: "n", now, proved_since: Some(now) };
    assert!(id_token(token, keys, &wanted).is_err());
});
