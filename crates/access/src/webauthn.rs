//! What a browser and an authenticator answer in a ceremony (W3C Web Authentication Level 3), taken apart and checked.
//! Pure: bytes, the challenge and the addresses of this installation in, a verdict out. No attestation is asked for, and none is
//! looked at (8.7): who makes an authenticator decides nothing here.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use ciborium::Value;
use serde::Deserialize;

use crate::jws::{decode, sha256};

/// Most bytes of a credential's id (Level 3, 4: "Credential ID").
const MAX_CREDENTIAL_BYTES: usize = 1_023;
/// Most bytes of any part of an answer.
pub(crate) const MAX_PART_BYTES: usize = 16_384;
/// COSE algorithms (RFC 9053, RFC 8812) that are offered, the best first: EdDSA, ES256, RS256.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];
const MAX_KEY_BYTES: usize = 2_048;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const CAN_BE_BACKED_UP: u8 = 0x08;
const IS_BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;

/// Why an answer is refused: for the event. Whoever gave it hears only that it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnFault {
    /// A part is not what its format says.
    #[error("a part of the answer is malformed")]
    Malformed,
    /// Made for another ceremony.
    #[error("the answer is for another ceremony")]
    Ceremony,
    /// Made for another challenge, or one that has ended.
    #[error("the answer is for another challenge")]
    Challenge,
    /// Made at another address.
    #[error("the answer was made at another address")]
    Origin,
    /// Nobody was there, or the authenticator did not verify who.
    #[error("the authenticator did not verify its user")]
    Unverified,
    /// A key of a kind that is not taken.
    #[error("the key is of a kind that is not taken")]
    Key,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The authenticator's counter went back: there may be a copy of it.
    #[error("the counter went back")]
    Counter,
}

impl WebauthnFault {
    /// The word for it in an event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "passkey-malformed",
            Self::Ceremony => "passkey-ceremony",
            Self::Challenge => "passkey-challenge",
            Self::Origin => "passkey-origin",
            Self::Unverified => "passkey-user-unverified",
            Self::Key => "passkey-key",
            Self::Signature => "passkey-signature",
            Self::Counter => "passkey-counter",
        }
    }
}

/// A new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The authenticator's id of it.
    pub credential: Vec<u8>,
    /// Its public key: COSE_Key.
    pub key: Vec<u8>,
    /// The authenticator's counter.
    pub count: u32,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<String>,
}

/// What the authenticator says, as far as the credential.
struct AuthenticatorData<'a> {
    party: &'a [u8],
    flags: u8,
    count: u32,
    rest: &'a [u8],
}

/// The host of an address such as `https://tenet.example:8443`: what a credential is bound to. None for an address that is a
/// number, to which none can be bound.
pub fn party_of(address: &str) -> Option<&str> {
    let host = address.strip_prefix("https://")?.split('/').next()?;
    let host = host
        .rsplit_once(':')
        .map_or(host, |(host, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { "" });
    let is_number = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    (!host.is_empty() && !is_number).then_some(host)
}

/// Checks the answer to `navigator.credentials.create` (Level 3, 7.1).
pub fn created(
    client_data: &[u8],
    attestation: &[u8],
    challenge: &str,
    addresses: &[String],
) -> Result<Created, WebauthnFault> {
    let party = client(client_data, "webauthn.create", challenge, addresses)?;
    let mut after = attestation;
    let Value::Map(fields) = cbor(&mut after)? else { return Err(WebauthnFault::Malformed) };
    if !after.is_empty() {
        return Err(WebauthnFault::Malformed);
    }
    let data = fields.iter().find(|(name, _)| name.as_text() == Some("authData"));
    let data = data.and_then(|(_, value)| value.as_bytes()).ok_or(WebauthnFault::Malformed)?;
    let data = authenticator(data, party)?;
    if data.flags & HAS_CREDENTIAL == 0 {
        return Err(WebauthnFault::Malformed);
    }
    let (_aaguid, rest) = data.rest.split_first_chunk::<16>().ok_or(WebauthnFault::Malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(WebauthnFault::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > MAX_CREDENTIAL_BYTES {
        return Err(WebauthnFault::Malformed);
    }
    let (credential, rest) = rest.split_at_checked(length).ok_or(WebauthnFault::Malformed)?;
    let mut left = rest;
    cbor(&mut left)?;
    let key = rest.get(..rest.len() - left.len()).ok_or(WebauthnFault::Malformed)?;
    if key.len() > MAX_KEY_BYTES || public_key(key).is_none() {
        return Err(WebauthnFault::Key);
    }
    Ok(Created { credential: credential.to_vec(), key: key.to_vec(), count: data.count })
}

/// Checks the answer to `navigator.credentials.get` (Level 3, 7.2) by the stored key. The counter that came.
pub fn asserted(
    (client_data, authenticator_data, signature): (&[u8], &[u8], &[u8]),
    challenge: &str,
    addresses: &[String],
    (key, count): (&[u8], u32),
) -> Result<u32, WebauthnFault> {
    let party = client(client_data, "webauthn.get", challenge, addresses)?;
    let data = authenticator(authenticator_data, party)?;
    let key = public_key(key).ok_or(WebauthnFault::Key)?;
    let mut signed = authenticator_data.to_vec();
    signed.extend_from_slice(&sha256(client_data));
    if !key.verifies(&signed, signature) {
        return Err(WebauthnFault::Signature);
    }
    // Zero: an authenticator that doesn't count.
    if (count != 0 || data.count != 0) && data.count <= count {
        return Err(WebauthnFault::Counter);
    }
    Ok(data.count)
}

/// The party that the answer's address stands for.
fn client<'a>(
    client_data: &[u8],
    ceremony: &str,
    challenge: &str,
    addresses: &'a [String],
) -> Result<&'a str, WebauthnFault> {
    let client: ClientData = serde_json::from_slice(client_data).map_err(|_| WebauthnFault::Malformed)?;
    if client.ceremony != ceremony {
        return Err(WebauthnFault::Ceremony);
    }
    let answered = decode(&client.challenge).ok_or(WebauthnFault::Malformed)?;
    if decode(challenge).is_none_or(|asked| !base::constant_time_eq(&asked, &answered)) {
        return Err(WebauthnFault::Challenge);
    }
    let address = addresses.iter().find(|address| **address == client.origin);
    let is_framed = client.cross_origin || client.top_origin.is_some();
    let address = address.filter(|_| !is_framed).ok_or(WebauthnFault::Origin)?;
    party_of(address).ok_or(WebauthnFault::Origin)
}

/// Level 3, 6.1.
fn authenticator<'a>(data: &'a [u8], party: &str) -> Result<AuthenticatorData<'a>, WebauthnFault> {
    let (hash, rest) = data.split_first_chunk::<32>().ok_or(WebauthnFault::Malformed)?;
    let (flags, rest) = rest.split_first().ok_or(WebauthnFault::Malformed)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(WebauthnFault::Malformed)?;
    let data = AuthenticatorData { party: hash, flags: *flags, count: u32::from_be_bytes(*count), rest };
    if data.party != sha256(party.as_bytes()) {
        return Err(WebauthnFault::Origin);
    }
    if data.flags & USER_PRESENT == 0 || data.flags & USER_VERIFIED == 0 {
        return Err(WebauthnFault::Unverified);
    }
    // Backed up, and not such that it can be.
    if data.flags & (CAN_BE_BACKED_UP | IS_BACKED_UP) == IS_BACKED_UP {
        return Err(WebauthnFault::Malformed);
    }
    Ok(data)
}

/// One item; what follows it is left.
fn cbor(bytes: &mut &[u8]) -> Result<Value, WebauthnFault> {
    ciborium::de::from_reader_with_recursion_limit(bytes, 8).map_err(|_| WebauthnFault::Malformed)
}

enum Key {
    EdDsa(Vec<u8>),
    /// An uncompressed point of P-256.
    Es256(Vec<u8>),
    Rs256 {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl Key {
    fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::EdDsa(point) => UnparsedPublicKey::new(&ED25519, point).verify(signed, signature),
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(signed, signature)
            }
            Self::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
        }
        .is_ok()
    }
}

/// A COSE_Key (RFC 9052 7) of an algorithm that is taken.
fn public_key(bytes: &[u8]) -> Option<Key> {
    let mut left = bytes;
    let Value::Map(fields) = cbor(&mut left).ok()? else { return None };
    let field = |label: i64| {
        let mut found = fields.iter().filter(|(name, _)| name.as_integer() == Some(label.into()));
        let first = found.next().map(|(_, value)| value);
        if found.next().is_some() { None } else { first }
    };
    let number = |label| field(label).and_then(Value::as_integer).and_then(|one| i64::try_from(one).ok());
    let sized = |label, length| field(label).and_then(Value::as_bytes).filter(|one| one.len() == length);
    // Key type, algorithm, curve.
    match (number(1)?, number(3)?) {
        (1, -8) if number(-1)? == 6 => Some(Key::EdDsa(sized(-2, 32)?.clone())),
        (2, -7) if number(-1)? == 1 => {
            let point = [&[4], sized(-2, 32)?.as_slice(), sized(-3, 32)?.as_slice()].concat();
            Some(Key::Es256(point))
        }
        (3, -257) => {
            let n = field(-1)?.as_bytes()?.clone();
            let e = field(-2)?.as_bytes()?.clone();
            ((256..=1_024).contains(&n.len()) && (1..=8).contains(&e.len())).then_some(Key::Rs256 { n, e })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::encode;
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
    };
    use proptest::prelude::*;

    const CHALLENGE: &str = "AAECAwQFBgcICQoLDA0ODw";
    const ADDRESS: &str = "https://tenet.test:8443";

    fn addresses() -> Vec<String> {
        vec!["https://other.test".to_owned(), ADDRESS.to_owned()]
    }
    fn client_data(ceremony: &str, origin: &str) -> Vec<u8> {
        format!(r#"{{"type":"{ceremony}","challenge":"{CHALLENGE}","origin":"{origin}","crossOrigin":false,"other":1}}"#)
            .into_bytes()
    }
    fn data(flags: u8, count: u32, rest: &[u8]) -> Vec<u8> {
        [&sha256(b"tenet.test")[..], &[flags], &count.to_be_bytes(), rest].concat()
    }
    fn map(fields: Vec<(Value, Value)>) -> Vec<u8> {
        let mut out = Vec::new();
        ciborium::into_writer(&Value::Map(fields), &mut out).unwrap();
        out
    }
    fn number(of: i64) -> Value {
        Value::Integer(of.into())
    }
    fn es256() -> (EcdsaKeyPair, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let cose = map(vec![
            (number(1), number(2)),
            (number(3), number(-7)),
            (number(-1), number(1)),
            (number(-2), Value::Bytes(point[1..33].to_vec())),
            (number(-3), Value::Bytes(point[33..].to_vec())),
        ]);
        (pair, cose)
    }
    fn attested(flags: u8, key: &[u8]) -> Vec<u8> {
        let credential = b"credential-1";
        let rest = [&[0u8; 16][..], &(credential.len() as u16).to_be_bytes(), credential, key].concat();
        map(vec![
            (Value::Text("fmt".into()), Value::Text("none".into())),
            (Value::Text("attStmt".into()), Value::Map(vec![])),
            (Value::Text("authData".into()), Value::Bytes(data(flags, 0, &rest))),
        ])
    }

    #[test]
    fn a_credential_is_made_and_proves_its_holder() {
        let (pair, cose) = es256();
        let client = client_data("webauthn.create", ADDRESS);
        let made = created(&client, &attested(0x45, &cose), CHALLENGE, &addresses()).unwrap();
        assert_eq!(made, Created { credential: b"credential-1".to_vec(), key: cose.clone(), count: 0 });
        let client = client_data("webauthn.get", ADDRESS);
        let data = data(0x05, 3, b"");
        let signed = [data.clone(), sha256(&client).to_vec()].concat();
        let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
        let answer = (client.as_slice(), data.as_slice(), signature.as_ref());
        let by = |count| asserted(answer, CHALLENGE, &addresses(), (&cose, count));
        assert_eq!(by(2), Ok(3));
        assert_eq!(by(3), Err(WebauthnFault::Counter));
        let other = es256().1;
        assert_eq!(asserted(answer, CHALLENGE, &addresses(), (&other, 0)), Err(WebauthnFault::Signature));
        assert_eq!(asserted(answer, "AAAA", &addresses(), (&cose, 0)), Err(WebauthnFault::Challenge));
        let elsewhere = client_data("webauthn.get", "https://evil.test");
        let answer = (elsewhere.as_slice(), data.as_slice(), signature.as_ref());
        assert_eq!(asserted(answer, CHALLENGE, &addresses(), (&cose, 0)), Err(WebauthnFault::Origin));
    }

    #[test]
    fn an_ed25519_key_is_taken() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let cose = map(vec![
            (number(1), number(1)),
            (number(3), number(-8)),
            (number(-1), number(6)),
            (number(-2), Value::Bytes(pair.public_key().as_ref().to_vec())),
        ]);
        let client = client_data("webauthn.get", ADDRESS);
        let data = data(0x05, 0, b"");
        let signature = pair.sign(&[data.clone(), sha256(&client).to_vec()].concat());
        let answer = (client.as_slice(), data.as_slice(), signature.as_ref());
        assert_eq!(asserted(answer, CHALLENGE, &addresses(), (&cose, 0)), Ok(0), "it doesn't count");
    }

    #[test]
    fn what_is_not_of_this_ceremony_is_refused() {
        let (_, cose) = es256();
        let client = client_data("webauthn.create", ADDRESS);
        let refused = |client: &[u8], attestation: &[u8]| {
            created(client, attestation, CHALLENGE, &addresses()).unwrap_err()
        };
        let good = attested(0x45, &cose);
        assert_eq!(refused(&client_data("webauthn.get", ADDRESS), &good), WebauthnFault::Ceremony);
        assert_eq!(
            refused(&client_data("webauthn.create", "https://other.test"), &good),
            WebauthnFault::Origin
        );
        assert_eq!(refused(&client, &attested(0x41, &cose)), WebauthnFault::Unverified);
        assert_eq!(refused(&client, &attested(0x05, &cose)), WebauthnFault::Malformed);
        assert_eq!(refused(&client, &attested(0x45, &map(vec![]))), WebauthnFault::Key);
        assert_eq!(refused(&client, b"\xff"), WebauthnFault::Malformed);
        assert_eq!(refused(&client, &[good.as_slice(), b"\x00"].concat()), WebauthnFault::Malformed);
        assert_eq!(refused(&client, &attested(0x55, &cose)), WebauthnFault::Malformed);
        let top = String::from_utf8(client.clone())
            .unwrap()
            .replace("\"other\":1", "\"topOrigin\":\"https://evil.test\"");
        assert_eq!(refused(top.as_bytes(), &good), WebauthnFault::Origin);
        assert_eq!(refused(b"{}", &good), WebauthnFault::Malformed);
        let framed = String::from_utf8(client).unwrap().replace("false", "true");
        assert_eq!(refused(framed.as_bytes(), &good), WebauthnFault::Origin);
        assert!(decode(&encode(b"x")).is_some());
    }

    #[test]
    fn a_credential_is_bound_to_a_name() {
        for (address, party) in [
            ("https://tenet.example:8443", Some("tenet.example")),
            ("https://localhost", Some("localhost")),
            ("https://127.0.0.1:8443", None),
            ("https://[::1]:8443", None),
            ("http://tenet.example", None),
            ("https://", None),
        ] {
            assert_eq!(party_of(address), party, "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(client in prop::collection::vec(any::<u8>(), 0..200), more in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(created(&client, &more, CHALLENGE, &addresses()).is_err());
            let client = client_data("webauthn.create", ADDRESS);
            prop_assert!(created(&client, &more, CHALLENGE, &addresses()).is_err());
            let _ = public_key(&more);
            let client = client_data("webauthn.get", ADDRESS);
            prop_assert!(asserted((&client, &more, &more), CHALLENGE, &addresses(), (&more, 0)).is_err());
        }
    }
}
