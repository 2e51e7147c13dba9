//! The answers of browsers and authenticators: any bytes are a verdict, and none that nobody made is a credential of another
//! address.
#![no_main]

use libfuzzer_sys::fuzz_target;

const CHALLENGE: &str = "AAECAwQFBgcICQoLDA0ODw";

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (client, rest) = rest.split_at(length);
    let addresses = ["https://tenet.test:8443".to_owned()];
    if let Ok(made) = access::created(client, rest, CHALLENGE, &addresses) {
        assert!(!made.credential.is_empty() && !made.key.is_empty());
        assert!(access::created(client, rest, CHALLENGE, &["https://other.test".to_owned()]).is_err());
        let _ = access::asserted((client, rest, rest), CHALLENGE, &addresses, (&made.key, 0));
    }
    let _ = access::asserted((client, rest, rest), CHALLENGE, &addresses, (rest, 0));
    let _ = std::str::from_utf8(data).map(access::party_of);
});
