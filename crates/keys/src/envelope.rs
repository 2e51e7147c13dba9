//! One sealed message: AES-256-GCM under a key of its own, derived with HKDF-SHA-512 from a secret, a
//! random salt and everything that the message is bound to. The same derivation yields a commitment
//! to all of these, stored and compared before anything is decrypted, so that no message opens under
//! two keys or two bindings (Albertini et al., "How to Abuse and Fix Authenticated Encryption Without
//! Key Commitment", USENIX Security 2022; the construction is their key-commitment by derivation).
//!
//! Format 1: one byte `1`, 32 bytes of salt, 32 bytes of commitment, the ciphertext, 16 bytes of tag.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use base::{Context, Secret, SecretBytes, constant_time_eq};
use zeroize::Zeroizing;

use crate::KeyError;

/// Bytes of a secret at each level of the hierarchy.
pub(crate) const SECRET_BYTES: usize = 32;
pub(crate) const SALT_BYTES: usize = 32;
pub(crate) const COMMITMENT_BYTES: usize = 32;
pub(crate) const TAG_BYTES: usize = 16;
/// Format, salt and commitment.
pub(crate) const HEADER_BYTES: usize = 1 + SALT_BYTES + COMMITMENT_BYTES;
const FORMAT: u8 = 1;

/// A secret of the hierarchy: 32 random bytes.
pub(crate) type RawKey = Secret<[u8; SECRET_BYTES]>;

/// What a derivation is for. The label is the start of HKDF's `info`, so that a key made for one use
/// is worth nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) &'static str);

impl Label {
    pub(crate) const MESSAGE: Self = Self("tenet message 1\0");
    pub(crate) const STREAM: Self = Self("tenet stream 1\0");
    pub(crate) const COMMIT: Self = Self("tenet commit 1\0");
    pub(crate) const INDEX: Self = Self("tenet index 1\0");
    pub(crate) const DATA_KEY: Self = Self("tenet data key 1\0");
    pub(crate) const ACCOUNT_SECRET: Self = Self("tenet account secret 1\0");
    pub(crate) const PROVIDER: Self = Self("tenet provider wrap 1\0");
    pub(crate) const SUBJECT: Self = Self("tenet subject 1\0");
    pub(crate) const SUBJECT_COMMIT: Self = Self("tenet subject commit 1\0");
    pub(crate) const PLATFORM: Self = Self("tenet platform 1\0");
}

/// A message key and the commitment to what it was derived from.
pub(crate) struct Derived {
    pub(crate) key: LessSafeKey,
    pub(crate) commitment: [u8; COMMITMENT_BYTES],
}

/// Random bytes for a new key.
pub(crate) fn random_key(context: &Context) -> Result<RawKey, KeyError> {
    Ok(Secret::new(context.random::<SECRET_BYTES>()?))
}

/// Seals `plaintext`; what comes out is [`HEADER_BYTES`] + [`TAG_BYTES`] longer.
pub(crate) fn seal(
    context: &Context,
    secret: &RawKey,
    label: Label,
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let salt = context.random::<SALT_BYTES>()?;
    let derived = derive(secret, &salt, label, associated)?;
    let mut out = Vec::with_capacity(plaintext.len().saturating_add(HEADER_BYTES + TAG_BYTES));
    out.extend_from_slice(&header(&salt, &derived.commitment));
    out.extend_from_slice(plaintext);
    let body = out.get_mut(HEADER_BYTES..).ok_or(KeyError::Crypto)?;
    // The key is used once, so that its nonce is a constant.
    let tag = derived
        .key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(associated), body)
        .map_err(|_| KeyError::Crypto)?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// Opens what [`seal`] made with the same secret, label and associated data; an error otherwise, the
/// same for every cause.
pub(crate) fn open(
    secret: &RawKey,
    label: Label,
    associated: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes, KeyError> {
    let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(KeyError::DoesNotOpen)?;
    let derived = derive_for_header(secret, label, associated, header)?;
    let body_bytes = rest.len().checked_sub(TAG_BYTES).ok_or(KeyError::DoesNotOpen)?;
    let (body, tag) = rest.split_at(body_bytes);
    let mut plaintext = Zeroizing::new(vec![0u8; body_bytes]);
    derived
        .key
        .open_separate_gather(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::from(associated),
            body,
            tag,
            &mut plaintext,
        )
        .map_err(|_| KeyError::DoesNotOpen)?;
    Ok(Secret::new(std::mem::take(&mut *plaintext)))
}

/// Opens a sealed secret of the hierarchy.
pub(crate) fn open_key(
    secret: &RawKey,
    label: Label,
    associated: &[u8],
    sealed: &[u8],
) -> Result<RawKey, KeyError> {
    raw_key(&open(secret, label, associated, sealed)?)
}

/// A secret of the hierarchy from its bytes.
pub(crate) fn raw_key(bytes: &SecretBytes) -> Result<RawKey, KeyError> {
    let mut raw = Zeroizing::new([0u8; SECRET_BYTES]);
    if bytes.expose().len() != SECRET_BYTES {
        return Err(KeyError::DoesNotOpen);
    }
    raw.copy_from_slice(bytes.expose());
    Ok(Secret::new(*raw))
}

/// The bytes before the ciphertext.
pub(crate) fn header(salt: &[u8; SALT_BYTES], commitment: &[u8; COMMITMENT_BYTES]) -> [u8; HEADER_BYTES] {
    let mut out = [0u8; HEADER_BYTES];
    let source = std::iter::once(&FORMAT).chain(salt).chain(commitment);
    out.iter_mut().zip(source).for_each(|(target, byte)| *target = *byte);
    out
}

/// Derives the key that a header asks for; an error unless the header's commitment is to this
/// secret, label and associated data.
pub(crate) fn derive_for_header(
    secret: &RawKey,
    label: Label,
    associated: &[u8],
    header: &[u8],
) -> Result<Derived, KeyError> {
    let (format, rest) = header.split_first().ok_or(KeyError::DoesNotOpen)?;
    let (salt, commitment) = rest.split_at_checked(SALT_BYTES).ok_or(KeyError::DoesNotOpen)?;
    let salt: &[u8; SALT_BYTES] = salt.try_into().map_err(|_| KeyError::DoesNotOpen)?;
    if *format != FORMAT {
        return Err(KeyError::DoesNotOpen);
    }
    let derived = derive(secret, salt, label, associated)?;
    if !constant_time_eq(commitment, &derived.commitment) {
        return Err(KeyError::DoesNotOpen);
    }
    Ok(derived)
}

/// HKDF-SHA-512 (RFC 5869): 32 bytes of key, then 32 bytes of commitment. `info` is the label and the
/// associated data, so that both depend on what the message is bound to.
pub(crate) fn derive(
    secret: &RawKey,
    salt: &[u8; SALT_BYTES],
    label: Label,
    associated: &[u8],
) -> Result<Derived, KeyError> {
    let mut okm = Zeroizing::new([0u8; SECRET_BYTES + COMMITMENT_BYTES]);
    expand(secret, salt, &[label.0.as_bytes(), associated], &mut *okm)?;
    let (key, committed) = okm.split_at(SECRET_BYTES);
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| KeyError::Crypto)?;
    let mut commitment = [0u8; COMMITMENT_BYTES];
    commitment.copy_from_slice(committed);
    Ok(Derived { key: LessSafeKey::new(key), commitment })
}

/// A secret for one use, derived without a salt: the secret is itself 32 random bytes.
pub(crate) fn subkey(secret: &RawKey, label: Label, info: &[u8]) -> Result<RawKey, KeyError> {
    let mut out = Zeroizing::new([0u8; SECRET_BYTES]);
    expand(secret, &[], &[label.0.as_bytes(), info], &mut *out)?;
    Ok(Secret::new(*out))
}

fn expand(secret: &RawKey, salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), KeyError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, salt).extract(secret.expose());
    let okm = prk.expand(info, Length(out.len())).map_err(|_| KeyError::Crypto)?;
    okm.fill(out).map_err(|_| KeyError::Crypto)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    const LABEL: Label = Label::MESSAGE;

    fn key(byte: u8) -> RawKey {
        Secret::new([byte; SECRET_BYTES])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(text: Vec<u8>, associated: Vec<u8>) {
            let sealed = seal(&samples::context(), &key(1), LABEL, &associated, &text).unwrap();
            prop_assert_eq!(sealed.len(), text.len() + HEADER_BYTES + TAG_BYTES);
            let opened = open(&key(1), LABEL, &associated, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &text);
        }

        #[test]
        fn foreign_bytes_never_open(bytes: Vec<u8>) {
            prop_assert!(matches!(open(&key(1), LABEL, b"", &bytes), Err(KeyError::DoesNotOpen)));
        }
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let sealed = seal(&samples::context(), &key(1), LABEL, b"a", b"text").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key(1), LABEL, b"a", &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key(1), LABEL, b"a", &sealed[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn another_key_label_or_associated_data_is_refused() {
        let sealed = seal(&samples::context(), &key(1), LABEL, b"a", b"text").unwrap();
        assert!(open(&key(2), LABEL, b"a", &sealed).is_err());
        assert!(open(&key(1), Label::STREAM, b"a", &sealed).is_err());
        assert!(open(&key(1), LABEL, b"b", &sealed).is_err());
    }

    /// AES-GCM alone does not commit: whoever knows two keys can make one ciphertext that
    /// authenticates under both. The stored commitment fits one of them only.
    #[test]
    fn the_commitment_refuses_another_key_before_decryption() {
        let salt = [7; SALT_BYTES];
        let one = derive(&key(1), &salt, LABEL, b"a").unwrap();
        let two = derive(&key(2), &salt, LABEL, b"a").unwrap();
        assert_ne!(one.commitment, two.commitment);
        // A message whose GCM part is valid under key 2, with key 1's commitment: refused for both.
        let mut forged = header(&salt, &one.commitment).to_vec();
        let mut body = b"text".to_vec();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = two.key.seal_in_place_separate_tag(nonce, Aad::from(b"a"), &mut body).unwrap();
        forged.extend_from_slice(&body);
        forged.extend_from_slice(tag.as_ref());
        assert!(matches!(open(&key(2), LABEL, b"a", &forged), Err(KeyError::DoesNotOpen)));
        assert!(matches!(open(&key(1), LABEL, b"a", &forged), Err(KeyError::DoesNotOpen)));
    }

    #[test]
    fn sealing_twice_never_repeats_a_salt() {
        let context = samples::context();
        let [one, two] = [(); 2].map(|()| seal(&context, &key(1), LABEL, b"a", b"text").unwrap());
        assert_ne!(one, two);
    }
}
