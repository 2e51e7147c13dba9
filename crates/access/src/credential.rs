//! Secrets that are handed out once: a client's secret and the secret of an enrolment link. 256 random
//! bits each, so that a hash without a salt or stretching is enough: there is nothing to guess from.

use base::{Context, EntropyError, Secret, constant_time_eq};

use crate::jws::{encode, sha256};

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;
/// Characters of a secret's text: a prefix that scanners can find, and 43 of base64url.
const TEXT_BYTES: usize = 4 + 43;
const PREFIXES: [&str; 2] = ["tcs_", "tel_"];

/// SHA-256 of a secret: what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretHash([u8; 32]);

/// Which secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Client,
    EnrolmentLink,
}

/// A new secret and what is stored of it.
pub(crate) fn generate(
    kind: SecretKind,
    context: &Context,
) -> Result<(Secret<String>, SecretHash), EntropyError> {
    let random = Secret::new(context.random::<SECRET_BYTES>()?);
    let [client, link] = PREFIXES;
    let prefix = match kind {
        SecretKind::Client => client,
        SecretKind::EnrolmentLink => link,
    };
    let text = Secret::new(format!("{prefix}{}", encode(random.expose())));
    let hash = SecretHash::of(&text);
    Ok((text, hash))
}

impl SecretHash {
    /// Of a secret as it was given. What can't be one hashes to something nobody holds.
    pub(crate) fn of(secret: &Secret<String>) -> Self {
        let given = secret.expose().as_bytes();
        Self(sha256(if given.len() == TEXT_BYTES { given } else { b"" }))
    }
    pub(crate) fn from_slice(stored: &[u8]) -> Option<Self> {
        stored.try_into().ok().map(Self)
    }
    /// What an event says of the secret: a digest of what is stored. Nobody guesses 256 random bits behind two hashes.
    pub(crate) fn digest(&self) -> String {
        sha256(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// Whether both are of the same secret, in the same time whether or not. `None` for a subject that
    /// does not exist or has no secret: it is compared all the same, and never equal.
    pub(crate) fn matches(self, stored: Option<Self>) -> bool {
        let compared = stored.map_or([0; 32], |hash| hash.0);
        constant_time_eq(&self.0, &compared) & stored.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_its_hash_alone() {
        let (secret, hash) = generate(SecretKind::Client, &Context::system()).unwrap();
        assert!(secret.expose().starts_with("tcs_") && secret.expose().len() == TEXT_BYTES);
        assert!(SecretHash::of(&secret).matches(Some(hash)));
        let (other, other_hash) = generate(SecretKind::EnrolmentLink, &Context::system()).unwrap();
        assert!(other.expose().starts_with("tel_"));
        assert!(!SecretHash::of(&secret).matches(Some(other_hash)));
        assert!(!SecretHash::of(&secret).matches(None));
    }

    #[test]
    fn nothing_matches_an_absent_secret_not_even_its_stand_in() {
        assert!(!SecretHash([0; 32]).matches(None));
        let empty = SecretHash::of(&Secret::new(String::new()));
        assert_eq!(empty, SecretHash::of(&Secret::new("too short".to_owned())));
    }
}
