//! Tokens whose signature has been verified, by SHA-256 of their text. Verifying Ed25519 costs tens of
//! microseconds, and a client sends the same token with each request for a quarter of an hour.
//! An entry is only about the signature: time, revocation and suspension are looked at on every use.

use std::sync::Arc;

use base::Timestamp;
use quick_cache::sync::Cache;

use crate::{
    claims::{Claims, Issuer, TokenFault},
    jws::{JwsError, MAX_TOKEN_BYTES, SigningKey, sha256},
};

/// Most tokens whose verification is remembered: about 4 MiB.
pub const MAX_VERIFIED_TOKENS: usize = 16_384;

/// Verifies tokens and remembers those that passed.
#[derive(Debug)]
pub(crate) struct Verifier {
    issuer: Issuer,
    keys: Vec<SigningKey>,
    seen: Cache<[u8; 32], Arc<Claims>>,
}

impl Verifier {
    pub(crate) fn new(issuer: Issuer, keys: Vec<SigningKey>) -> Self {
        Self { issuer, keys, seen: Cache::new(MAX_VERIFIED_TOKENS) }
    }

    /// The signed token of these claims, under the first key.
    pub(crate) fn sign(&self, claims: &Claims) -> Option<String> {
        claims.sign(&self.issuer, self.keys.first()?).ok()
    }

    /// The public keys that tokens are verified with.
    pub(crate) fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The claims of a token that was signed here, valid or not; see [`Claims::signed`].
    pub(crate) fn signed(&self, token: &str) -> Result<Claims, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Form(JwsError::Malformed));
        }
        Claims::signed(token, &self.keys)
    }

    /// The claims of a token that is valid at `now`. Only what passed is remembered, and what has
    /// expired is forgotten, so that neither garbage nor age fills the cache.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Form(JwsError::Malformed));
        }
        let hash = sha256(token.as_bytes());
        if let Some(claims) = self.seen.get(&hash) {
            return match claims.check_time(now) {
                Ok(()) => Ok(claims),
                Err(fault) => {
                    self.seen.remove(&hash);
                    Err(fault)
                }
            };
        }
        let claims = Arc::new(Claims::verify(token, &self.issuer, &self.keys)?);
        claims.check_time(now)?;
        self.seen.insert(hash, Arc::clone(&claims));
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::tests::{claims, issuer, key};

    #[test]
    fn a_remembered_token_still_expires_and_is_forgotten() {
        let verifier = Verifier::new(issuer(), vec![key(7)]);
        let token = claims().sign(&issuer(), &key(7)).unwrap();
        assert!(verifier.verify(&token, Timestamp::from_seconds(1_000)).is_ok());
        assert_eq!(verifier.seen.len(), 1);
        assert!(verifier.verify(&token, Timestamp::from_seconds(1_899)).is_ok());
        assert_eq!(verifier.verify(&token, Timestamp::from_seconds(1_900)), Err(TokenFault::Expired));
        assert_eq!(verifier.seen.len(), 0);
    }

    #[test]
    fn refused_tokens_are_not_remembered() {
        let verifier = Verifier::new(issuer(), vec![key(7)]);
        let token = claims().sign(&issuer(), &key(8)).unwrap();
        assert_eq!(verifier.verify(&token, Timestamp::from_seconds(1_000)), Err(TokenFault::UnknownKey));
        assert_eq!(verifier.seen.len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let verifier = Verifier::new(issuer(), vec![key(7)]);
        let small = Verifier { seen: Cache::new(8), ..verifier };
        for n in 0..64u8 {
            let claims = Claims { token: base::TokenId::from_bytes([n; 16]), ..claims() };
            let token = claims.sign(&issuer(), &key(7)).unwrap();
            assert!(small.verify(&token, Timestamp::from_seconds(1_000)).is_ok());
        }
        assert!(small.seen.len() <= 8);
    }
}
