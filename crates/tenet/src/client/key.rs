//! The caller's key: Ed25519, made on the caller's machine, kept as PKCS#8 in a file of mode 0600. It
//! signs assertions (RFC 7523); nothing else ever leaves the machine.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base::{Context, Duration, EntropyError, Secret, SecretBytes};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

/// PKCS#8 version 1 of an Ed25519 key (RFC 8410 7): everything before the 32 bytes of the seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// How long an assertion lives; the server takes at most five minutes.
const ASSERTION_LIFE: Duration = Duration::from_seconds(60);

/// A caller's private key.
pub struct ClientKey {
    pair: Ed25519KeyPair,
    pkcs8: SecretBytes,
}

/// A key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is not one.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    Malformed,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl ClientKey {
    /// A new key.
    pub fn generate(context: &Context) -> Result<Self, KeyFileError> {
        Self::from_seed(&Secret::new(context.random::<32>()?))
    }

    /// The key of a seed.
    pub(crate) fn from_seed(seed: &Secret<[u8; 32]>) -> Result<Self, KeyFileError> {
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.reserve_exact(32);
        pkcs8.extend_from_slice(seed.expose());
        Self::from_pkcs8(SecretBytes::new(pkcs8))
    }

    /// The key in a PEM file.
    pub fn from_pem(pem: &Secret<String>) -> Result<Self, KeyFileError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|_| KeyFileError::Malformed)?;
        Self::from_pkcs8(SecretBytes::new(der.secret_pkcs8_der().to_vec()))
    }

    fn from_pkcs8(pkcs8: SecretBytes) -> Result<Self, KeyFileError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.expose())
            .map_err(|_| KeyFileError::Malformed)?;
        Ok(Self { pair, pkcs8 })
    }

    /// As a PEM file.
    pub fn to_pem(&self) -> Secret<String> {
        Secret::new(crate::pem::encode("PRIVATE KEY", self.pkcs8.expose()))
    }

    /// The public half, base64url, as in a JWK's `x`.
    pub fn public_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// An assertion of `subject` for the token endpoint, good for one use within a minute.
    pub fn assertion(
        &self,
        subject: &str,
        endpoint: &str,
        context: &Context,
    ) -> Result<Secret<String>, EntropyError> {
        let now = context.now().seconds();
        let claims = serde_json::json!({
            "iss": subject, "sub": subject, "aud": endpoint,
            "jti": URL_SAFE_NO_PAD.encode(context.random::<16>()?),
            "iat": now, "exp": now + ASSERTION_LIFE.seconds(),
        });
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"JWT"}"#);
        let mut token = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(token.as_bytes()));
        token.push('.');
        token.push_str(&signature);
        Ok(Secret::new(token))
    }
}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKey({})", self.public_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_key() {
        let key = ClientKey::generate(&Context::system()).unwrap();
        let again = ClientKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(key.public_text(), again.public_text());
        assert!(ClientKey::from_pem(&Secret::new("x".to_owned())).is_err());
        let certificate = crate::pem::encode("CERTIFICATE", b"x");
        assert!(ClientKey::from_pem(&Secret::new(certificate)).is_err());
    }

    #[test]
    fn the_server_accepts_its_assertions() {
        let context = Context::system();
        let key = ClientKey::generate(&context).unwrap();
        let operator = base::OperatorId::new(&context).unwrap().to_string();
        let endpoint = "https://localhost:8440/v1/token";
        let text = key.assertion(&operator, endpoint, &context).unwrap();
        let public = access::PublicKey::parse(&key.public_text()).unwrap();
        let assertion = access::Assertion::parse(text.expose()).unwrap();
        assert_eq!(assertion.claimed.to_string(), operator);
        let verified = |endpoint: &str| assertion.verify(&public, &[endpoint.to_owned()], context.now());
        verified(endpoint).unwrap();
        assert!(verified("https://other/v1/token").is_err());
    }
}
