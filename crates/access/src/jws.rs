//! Compact JWS (RFC 7515) with Ed25519 (RFC 8037) and nothing else. The algorithm is never taken
//! from the token: a header that does not say Ed25519 is refused before any key is looked up, so
//! `none`, an HMAC under the public key, and keys carried by the token itself have no code to reach.

use aws_lc_rs::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base::{Secret, constant_time_eq};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Most bytes of a token that are looked at. Ours have about 600.
pub const MAX_TOKEN_BYTES: usize = 4_096;
/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const SEED_BYTES: usize = 32;

/// An Ed25519 public key that verifies signatures.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// The key of those bytes (RFC 8032 5.1.5). Whether they are a point shows at verification.
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }
    /// The key that unpadded base64url text or a JWK's `x` holds.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 43).then(|| decode(text)).flatten()?.try_into().ok().map(Self)
    }
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }
    /// Its bytes in unpadded base64url, as in a JWK's `x`.
    pub fn to_text(self) -> String {
        encode(self.0)
    }
    /// Its thumbprint: SHA-256 over the required members of its JWK (RFC 7638, RFC 8037 A.3).
    pub fn thumbprint(self) -> String {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.to_text());
        encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, jwk.as_bytes()))
    }
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// An Ed25519 key that signs tokens or assertions.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    kid: String,
}

/// The seed is not one of Ed25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seed of an Ed25519 key has 32 bytes")]
pub struct SeedError;

/// The header that this crate writes.
#[derive(Serialize)]
struct WrittenHeader<'a> {
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 5.1.5).
    pub fn from_seed(seed: &Secret<Vec<u8>>) -> Result<Self, SeedError> {
        if seed.expose().len() != SEED_BYTES {
            return Err(SeedError);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| SeedError)?;
        let public = PublicKey(pair.public_key().as_ref().try_into().map_err(|_| SeedError)?);
        Ok(Self { pair, public, kid: public.thumbprint() })
    }
    /// The public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }
    /// Its id: the thumbprint of the public half.
    pub fn kid(&self) -> &str {
        &self.kid
    }
    /// A compact JWS over `claims`, with the header's `typ`.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, serde_json::Error> {
        let header = serde_json::to_vec(&WrittenHeader { typ, alg: "EdDSA", kid: &self.kid })?;
        let mut token = encode(header);
        token.push('.');
        token.push_str(&encode(serde_json::to_vec(claims)?));
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        token.push_str(&encode(signature));
        Ok(token)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// Why text is not a signed token that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of canonical base64url, too long, or not the JSON that is expected.
    #[error("the token is malformed")]
    Malformed,
    /// The header names another algorithm than Ed25519, or none.
    #[error("the token is signed with another algorithm: use `EdDSA`")]
    Algorithm,
    /// The header's `typ` is another.
    #[error("the token is of another type")]
    Type,
    /// The header asks for an extension (`crit`), which is never understood here.
    #[error("the token asks for an extension that is not understood")]
    Critical,
}

/// A parsed token whose signature is not yet verified. The claims are out of reach until it is.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: [u8; SIGNATURE_BYTES],
    /// The key that the header names.
    pub(crate) kid: Option<String>,
}

/// Header parameters that are looked at. Others are ignored, as RFC 7515 4 asks, except those that
/// would carry a key: they are refused, for no honest sender needs them here.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
}

impl<'a> Unverified<'a> {
    /// Takes compact serialization apart. `types` are the accepted `typ`s (case-insensitive, and
    /// `application/` may be left out: RFC 7515 4.1.9); an absent one passes only if `types` has "".
    pub(crate) fn parse(token: &'a str, types: &[&str]) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        if payload.contains('.') {
            return Err(JwsError::Malformed);
        }
        let header: Header = from_json(header)?;
        if header.alg != "EdDSA" && header.alg != "Ed25519" {
            return Err(JwsError::Algorithm);
        }
        if header.crit || header.b64 || header.zip {
            return Err(JwsError::Critical);
        }
        if header.jwk || header.jku || header.x5u || header.x5c {
            return Err(JwsError::Malformed);
        }
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !types.contains(&typ) {
            return Err(JwsError::Type);
        }
        let signature =
            decode(signature).and_then(|bytes| bytes.try_into().ok()).ok_or(JwsError::Malformed)?;
        Ok(Self { signed, payload, signature, kid: header.kid })
    }

    /// The claims, if `key` made the signature; `None` if it did not.
    pub(crate) fn verify<C: DeserializeOwned>(&self, key: &PublicKey) -> Option<Result<C, JwsError>> {
        key.verify(self.signed.as_bytes(), &self.signature).then(|| from_json(self.payload))
    }

    /// The claims before verification: only to find the key that is to verify them.
    pub(crate) fn peek<C: DeserializeOwned>(&self) -> Result<C, JwsError> {
        from_json(self.payload)
    }
}

/// SHA-256 of some text: what caches and tables hold in place of a secret.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    for (target, byte) in hash.iter_mut().zip(digest.as_ref()) {
        *target = *byte;
    }
    hash
}

/// HMAC-SHA-256 over parts, each with its length, so that no two lists of parts are one message.
pub(crate) fn framed_mac(key: &hmac::Key, kind: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in std::iter::once(&kind.as_bytes()).chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0u8; 32];
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Whether `kid` is that key's id; an attacker learns nothing from the time it takes.
pub(crate) fn names(key: &SigningKey, kid: &str) -> bool {
    constant_time_eq(key.kid().as_bytes(), kid.as_bytes())
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Strict: duplicate members of a struct are refused by the deserializer, trailing text too.
fn from_json<T: DeserializeOwned>(part: &str) -> Result<T, JwsError> {
    decode(part).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(JwsError::Malformed)
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&Secret::new(vec![byte; 32])).unwrap()
    }

    /// RFC 8037 appendix A: the seed, the public key and the thumbprint.
    #[test]
    fn known_key_and_thumbprint() {
        let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_seed(&Secret::new(seed)).unwrap();
        assert_eq!(key.public().to_text(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), Some(key.public()));
    }

    /// RFC 8037 appendix A.4 and A.5: the signature of the example.
    #[test]
    fn known_signature_verifies() {
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                     hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let parsed = Unverified::parse(token, &[""]).unwrap();
        let public = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert!(public.verify(parsed.signed.as_bytes(), &parsed.signature));
    }

    #[test]
    fn what_is_signed_is_read_back_and_another_key_is_refused() {
        let token = key(1).sign("jwt", &json!({ "a": 1 })).unwrap();
        let parsed = Unverified::parse(&token, &["jwt"]).unwrap();
        assert_eq!(parsed.kid.as_deref(), Some(key(1).kid()));
        assert_eq!(parsed.verify::<serde_json::Value>(&key(1).public()), Some(Ok(json!({ "a": 1 }))));
        assert_eq!(parsed.verify::<serde_json::Value>(&key(2).public()), None);
    }

    fn with_header(header: serde_json::Value) -> String {
        let token = key(1).sign("jwt", &json!({})).unwrap();
        let rest = token.split_once('.').unwrap().1;
        format!("{}.{rest}", encode(header.to_string()))
    }

    #[test]
    fn headers_outside_the_profile_are_refused() {
        let refused = |header, error| {
            assert_eq!(Unverified::parse(&with_header(header), &["jwt"]).unwrap_err(), error);
        };
        for alg in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
            refused(json!({ "alg": alg, "typ": "jwt" }), JwsError::Algorithm);
        }
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "crit": ["exp"] }), JwsError::Critical);
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "crit": null }), JwsError::Critical);
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "b64": false }), JwsError::Critical);
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "zip": "DEF" }), JwsError::Critical);
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "jwk": { "kty": "OKP" } }), JwsError::Malformed);
        refused(json!({ "alg": "EdDSA", "typ": "jwt", "jku": "https://example.org" }), JwsError::Malformed);
        refused(json!({ "alg": "EdDSA", "typ": "at+jwt" }), JwsError::Type);
        refused(json!({ "alg": "EdDSA" }), JwsError::Type);
        refused(json!({ "typ": "jwt" }), JwsError::Malformed);
        refused(json!(["EdDSA"]), JwsError::Malformed);
        assert!(Unverified::parse(&with_header(json!({ "alg": "Ed25519", "typ": "JWT" })), &["jwt"]).is_ok());
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        let rest = key(1).sign("jwt", &json!({})).unwrap().split_once('.').unwrap().1.to_owned();
        let twice = encode(r#"{"alg":"none","alg":"EdDSA","typ":"jwt"}"#);
        assert_eq!(Unverified::parse(&format!("{twice}.{rest}"), &["jwt"]).unwrap_err(), JwsError::Malformed);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,200}") {
            let _ = Unverified::parse(&text, &["jwt"]);
        }

        #[test]
        fn a_changed_character_is_refused(at in 0usize..200, replacement in "[A-Za-z0-9_.=-]") {
            let token = key(1).sign("jwt", &json!({ "sub": "someone", "n": 12_345 })).unwrap();
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &replacement);
            prop_assume!(changed != token);
            let verified = Unverified::parse(&changed, &["jwt"]).ok().and_then(|t| t.verify::<serde_json::Value>(&key(1).public()));
            prop_assert!(verified.is_none());
        }
    }
}
