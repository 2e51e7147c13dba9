//! ID tokens of a provider of identities (OpenID Connect Core 1.0, 3.1.3.7). Pure: any text and any set of keys may come in.
//! Signatures by `jsonwebtoken` with aws-lc-rs; time is given, never read.

use base::{Duration, Timestamp, constant_time_eq};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode_header, jwk::Jwk};
use serde::Deserialize;

use crate::jws::decode;

/// Most bytes of an ID token. Some providers put groups and pictures in.
pub const MAX_ID_TOKEN_BYTES: usize = 16_384;
/// Most keys of a provider that are looked at.
const MAX_KEYS: usize = 64;
/// Most bytes of `sub` (OpenID Connect Core 2).
const MAX_SUBJECT_BYTES: usize = 255;
/// How old a token may be: it was made for this answer.
const MAX_AGE: Duration = Duration::from_seconds(10 * 60);
/// How far its clock and ours may be apart.
const SKEW: Duration = Duration::from_seconds(60);
/// What signs: nothing that needs a secret that two have.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `iss`, to the letter.
    pub issuer: &'a str,
    /// `aud`: us.
    pub client_id: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// The time.
    pub now: Timestamp,
    /// Since when its person must have proved who it is, if that is asked.
    pub proved_since: Option<Timestamp>,
}

/// Who it is, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// `sub`: who, for this issuer, for ever.
    pub subject: String,
    /// How they proved it: the words of `amr`, and that of `acr`.
    pub means: Vec<String>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdTokenFault {
    /// Not a token, or one of another form.
    #[error("the ID token is malformed")]
    Malformed,
    /// Signed in another way than is taken.
    #[error("the ID token is signed with an algorithm that is not taken")]
    Algorithm,
    /// Signed with a key that the provider does not show.
    #[error("the ID token names a key that the provider does not have")]
    Key,
    /// Not signed by it.
    #[error("the ID token's signature is not right")]
    Signature,
    /// Of another provider.
    #[error("the ID token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the ID token is for another client")]
    Audience,
    /// Over, or too old.
    #[error("the ID token is over, or too old")]
    Time,
    /// Made for another question.
    #[error("the ID token answers another question")]
    Nonce,
    /// Its person did not prove of late who it is.
    #[error("the ID token does not say that its person proved now who it is")]
    Proof,
}

impl IdTokenFault {
    /// For the event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "id-token-malformed",
            Self::Algorithm => "id-token-algorithm",
            Self::Key => "id-token-key",
            Self::Signature => "id-token-signature",
            Self::Issuer => "id-token-issuer",
            Self::Audience => "id-token-audience",
            Self::Time => "id-token-time",
            Self::Nonce => "id-token-nonce",
            Self::Proof => "id-token-proof",
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: serde_json::Number,
    iat: serde_json::Number,
    nonce: Option<String>,
    auth_time: Option<serde_json::Number>,
    #[serde(default)]
    amr: Vec<String>,
    acr: Option<String>,
}

#[derive(Deserialize)]
struct Critical {
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

/// Seconds since 1970, whole or not (RFC 7519 2).
fn instant(number: &serde_json::Number) -> Result<Timestamp, IdTokenFault> {
    let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
    let seconds = seconds.filter(|seconds| (0..=253_402_300_799).contains(seconds));
    seconds.map(Timestamp::from_seconds).ok_or(IdTokenFault::Malformed)
}

/// Who a token is of, if `keys` (a JWK set) of the provider signed it and it says what is wanted.
pub fn id_token(token: &str, keys: &[u8], wanted: &Wanted<'_>) -> Result<IdToken, IdTokenFault> {
    if token.len() > MAX_ID_TOKEN_BYTES {
        return Err(IdTokenFault::Malformed);
    }
    let header = header(token)?;
    let key = key_for(&header, keys)?;
    let mut rules = Validation::new(header.alg);
    // All of it is looked at below, by the time that is given.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => IdTokenFault::Signature,
        _ => IdTokenFault::Malformed,
    })?;
    check(claims.claims, wanted)
}

fn header(token: &str) -> Result<Header, IdTokenFault> {
    let first = token.split('.').next().and_then(decode).ok_or(IdTokenFault::Malformed)?;
    let critical: Critical = serde_json::from_slice(&first).map_err(|_| IdTokenFault::Malformed)?;
    if critical.crit.is_some() {
        return Err(IdTokenFault::Malformed);
    }
    // An algorithm that has no name there is one that is not taken.
    let header = decode_header(token).map_err(|_| IdTokenFault::Algorithm)?;
    if ALGORITHMS.contains(&header.alg) { Ok(header) } else { Err(IdTokenFault::Algorithm) }
}

/// The one key that a header names; without a name, the only one that it can be. Keys of kinds that are not known are passed over.
fn key_for(header: &Header, keys: &[u8]) -> Result<DecodingKey, IdTokenFault> {
    let set: Keys = serde_json::from_slice(keys).map_err(|_| IdTokenFault::Key)?;
    let signs = |jwk: &Jwk| {
        let usable = !matches!(
            jwk.common.public_key_use,
            Some(jsonwebtoken::jwk::PublicKeyUse::Encryption | jsonwebtoken::jwk::PublicKeyUse::Other(_))
        );
        usable && header.kid.as_ref().is_none_or(|kid| jwk.common.key_id.as_ref() == Some(kid))
    };
    let mut fit = set
        .keys
        .into_iter()
        .take(MAX_KEYS)
        .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
        .filter(signs)
        .filter_map(|jwk| DecodingKey::from_jwk(&jwk).ok())
        .filter(|key| key.family().algorithms().contains(&header.alg));
    let key = fit.next().ok_or(IdTokenFault::Key)?;
    if header.kid.is_none() && fit.next().is_some() {
        return Err(IdTokenFault::Key);
    }
    Ok(key)
}

fn check(claims: Claims, wanted: &Wanted<'_>) -> Result<IdToken, IdTokenFault> {
    if claims.iss != wanted.issuer {
        return Err(IdTokenFault::Issuer);
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(one) => (one == wanted.client_id, false),
        Audience::Many(many) => {
            (many.iter().any(|one| one == wanted.client_id), many.iter().any(|one| one != wanted.client_id))
        }
    };
    let is_ours = match &claims.azp {
        Some(party) => party == wanted.client_id,
        None => !is_for_others,
    };
    if !is_for_us || !is_ours {
        return Err(IdTokenFault::Audience);
    }
    let (expires, made) = (instant(&claims.exp)?, instant(&claims.iat)?);
    let now = wanted.now;
    if now >= expires + SKEW || made > now + SKEW || now >= made + MAX_AGE + SKEW {
        return Err(IdTokenFault::Time);
    }
    let nonce = claims.nonce.unwrap_or_default();
    if !constant_time_eq(nonce.as_bytes(), wanted.nonce.as_bytes()) {
        return Err(IdTokenFault::Nonce);
    }
    if let Some(since) = wanted.proved_since {
        let proved = claims.auth_time.as_ref().map(instant).transpose()?;
        if proved.is_none_or(|proved| proved + SKEW < since) {
            return Err(IdTokenFault::Proof);
        }
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_BYTES {
        return Err(IdTokenFault::Malformed);
    }
    Ok(IdToken { subject: claims.sub, means: claims.amr.into_iter().chain(claims.acr).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::encode;
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000;

    struct Provider(EcdsaKeyPair);

    impl Provider {
        fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
        }
        fn jwk(&self, kid: &str) -> Value {
            let point = self.0.public_key().as_ref();
            json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
        }
        fn keys(&self) -> Vec<u8> {
            // One of a kind that nobody knows beside it.
            json!({ "keys": [{ "kty": "future", "kid": "f" }, self.jwk("k")] }).to_string().into_bytes()
        }
        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", encode(signature.as_ref()))
        }
    }

    fn wanted() -> Wanted<'static> {
        Wanted {
            issuer: "https://login.example",
            client_id: "tenet",
            nonce: "n",
            now: Timestamp::from_seconds(NOW),
            proved_since: None,
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://login.example", "sub": "ann", "aud": "tenet", "exp": NOW + 300, "iat": NOW - 1, "nonce": "n" })
    }

    fn with(changes: Value) -> Value {
        let mut claims = claims();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(key),
                value => claims.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        claims
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "kid": "k" })
    }

    #[test]
    fn who_it_is_and_how_they_proved_it() {
        let provider = Provider::new();
        let said = with(json!({ "amr": ["pwd", "hwk"], "acr": "phr", "aud": ["tenet"] }));
        let read = id_token(&provider.token(&header(), &said), &provider.keys(), &wanted()).unwrap();
        assert_eq!(
            read,
            IdToken { subject: "ann".into(), means: vec!["pwd".into(), "hwk".into(), "phr".into()] }
        );
        let unnamed = provider.token(&json!({ "alg": "ES256" }), &claims());
        assert!(id_token(&unnamed, &provider.keys(), &wanted()).is_ok(), "its only key");
    }

    #[test]
    fn what_another_says_is_refused() {
        let (provider, other) = (Provider::new(), Provider::new());
        let refused = |token: &str, fault| {
            assert_eq!(id_token(token, &provider.keys(), &wanted()), Err(fault), "{token}");
        };
        refused(&other.token(&header(), &claims()), IdTokenFault::Signature);
        refused(&provider.token(&json!({ "alg": "ES256", "kid": "other" }), &claims()), IdTokenFault::Key);
        refused(&provider.token(&json!({ "alg": "RS256", "kid": "k" }), &claims()), IdTokenFault::Key);
        for alg in ["none", "HS256", "HS512", "ES256K", ""] {
            refused(&provider.token(&json!({ "alg": alg, "kid": "k" }), &claims()), IdTokenFault::Algorithm);
        }
        let critical = json!({ "alg": "ES256", "kid": "k", "crit": ["exp"] });
        refused(&provider.token(&critical, &claims()), IdTokenFault::Malformed);
        let signed = provider.token(&header(), &claims());
        let (rest, _) = signed.rsplit_once('.').unwrap();
        refused(&format!("{rest}."), IdTokenFault::Signature);
        let two = json!({ "keys": [provider.jwk("k"), other.jwk("l")] }).to_string();
        let unnamed = provider.token(&json!({ "alg": "ES256" }), &claims());
        assert_eq!(id_token(&unnamed, two.as_bytes(), &wanted()), Err(IdTokenFault::Key), "which of two?");
    }

    #[test]
    fn what_was_said_to_others_or_at_another_time_is_refused() {
        let provider = Provider::new();
        for (changes, fault) in [
            (json!({ "iss": "https://login.example/" }), IdTokenFault::Issuer),
            (json!({ "aud": "another" }), IdTokenFault::Audience),
            (json!({ "aud": [] }), IdTokenFault::Audience),
            (json!({ "aud": ["tenet", "another"] }), IdTokenFault::Audience),
            (json!({ "aud": ["tenet", "another"], "azp": "another" }), IdTokenFault::Audience),
            (json!({ "azp": "another" }), IdTokenFault::Audience),
            (json!({ "exp": NOW - 3_600 }), IdTokenFault::Time),
            (json!({ "iat": NOW - 3_600 }), IdTokenFault::Time),
            (json!({ "iat": NOW + 3_600 }), IdTokenFault::Time),
            (json!({ "exp": -1 }), IdTokenFault::Malformed),
            (json!({ "exp": 1e300 }), IdTokenFault::Malformed),
            (json!({ "nonce": "m" }), IdTokenFault::Nonce),
            (json!({ "nonce": null }), IdTokenFault::Nonce),
            (json!({ "sub": "" }), IdTokenFault::Malformed),
            (json!({ "sub": "x".repeat(256) }), IdTokenFault::Malformed),
            (json!({ "sub": null }), IdTokenFault::Malformed),
        ] {
            let token = provider.token(&header(), &with(changes.clone()));
            assert_eq!(id_token(&token, &provider.keys(), &wanted()), Err(fault), "{changes}");
        }
        let both = with(json!({ "aud": ["tenet", "another"], "azp": "tenet", "exp": NOW as f64 + 0.5 }));
        assert!(id_token(&provider.token(&header(), &both), &provider.keys(), &wanted()).is_ok());
    }

    #[test]
    fn a_fresh_proof_must_be_said() {
        let provider = Provider::new();
        let since = Timestamp::from_seconds(NOW - 120);
        let wanted = Wanted { proved_since: Some(since), ..wanted() };
        let asked = |changes| id_token(&provider.token(&header(), &with(changes)), &provider.keys(), &wanted);
        assert_eq!(asked(json!({})), Err(IdTokenFault::Proof));
        assert_eq!(asked(json!({ "auth_time": NOW - 3_600 })), Err(IdTokenFault::Proof));
        assert!(asked(json!({ "auth_time": NOW - 10 })).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_and_any_keys_are_taken_without_panic(token in ".{0,300}", keys in ".{0,300}") {
            prop_assert!(id_token(&token, keys.as_bytes(), &wanted()).is_err());
        }

        #[test]
        fn a_changed_character_is_refused(at in 0usize..400, replacement in "[A-Za-z0-9_.=-]") {
            let provider = Provider::new();
            let token = provider.token(&header(), &claims());
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &replacement);
            prop_assume!(changed != token);
            prop_assert!(id_token(&changed, &provider.keys(), &wanted()).is_err());
        }
    }
}
