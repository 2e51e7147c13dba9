//! Typed 128-bit identifiers. One generic type; the kind is a marker, so that an account's id can't
//! be passed where a record's is meant. Ids order by creation time (UUIDv7 layout, RFC 9562 5.7),
//! and print as a prefix and 26 characters of Crockford base32.

use std::{cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Context, EntropyError};

/// Bytes in an id.
const ID_BYTES: usize = 16;
const TEXT_CHARS: usize = 26;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an id names. Implemented by the markers in [`kinds`].
pub trait IdKind: 'static + Send + Sync {
    /// The text before the underscore, such as `acc`.
    const PREFIX: &'static str;
    /// The word for it in messages, such as `account`.
    const NOUN: &'static str;
}

/// An identifier of a `K`: 16 bytes, `prefix_` and 26 characters in text.
pub struct Id<K> {
    bytes: [u8; ID_BYTES],
    kind: PhantomData<fn() -> K>,
}

impl<K: IdKind> Id<K> {
    /// A new id: 48 bits of milliseconds since 1970, then 74 random bits (RFC 9562 5.7).
    pub fn new(context: &Context) -> Result<Self, EntropyError> {
        let mut bytes = [0u8; ID_BYTES];
        context.entropy().fill(&mut bytes)?;
        let millis = (context.now().micros().max(0) / 1_000).to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Ok(Self::from_bytes(bytes))
    }

    /// An id from its 16 stored bytes.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// An id from a stored slice; an error unless it has 16 bytes.
    pub fn from_slice(slice: &[u8]) -> Result<Self, IdError> {
        let bytes = slice.try_into().map_err(|_| IdError { noun: K::NOUN, prefix: K::PREFIX })?;
        Ok(Self::from_bytes(bytes))
    }

    /// The 16 bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.bytes
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = u128::from_be_bytes(self.bytes);
        let mut text = [0u8; TEXT_CHARS];
        for place in text.iter_mut().rev() {
            *place = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'0');
            value >>= 5;
        }
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an id of the kind that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the kind `{noun}`: expected `{prefix}_` and 26 characters")]
pub struct IdError {
    noun: &'static str,
    prefix: &'static str,
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError { noun: K::NOUN, prefix: K::PREFIX };
        let body = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|body| body.len() == TEXT_CHARS)
            .ok_or_else(|| wrong.clone())?;
        let mut value: u128 = 0;
        for (index, character) in body.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|known| *known == character).ok_or_else(|| wrong.clone())?;
            // 26 characters hold 130 bits: the first may only use its low three.
            if index == 0 && digit > 7 {
                return Err(wrong);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self::from_bytes(value.to_be_bytes()))
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The markers, one for each noun that has an id.
pub mod kinds {
    use super::IdKind;

    /// One marker per line: type, prefix, noun.
    macro_rules! kinds {
        ($($name:ident, $prefix:literal, $noun:literal;)*) => {$(
            #[doc = concat!("The id of a ", $noun, ".")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}
            impl IdKind for $name {
                const PREFIX: &'static str = $prefix;
                const NOUN: &'static str = $noun;
            }
        )*};
    }

    kinds! {
        Account, "acc", "account";
        Alarm, "alm", "alarm";
        Certificate, "crt", "deletion certificate";
        Client, "cli", "client";
        DataKey, "dek", "data key";
        Event, "evt", "event";
        Hold, "hld", "legal hold";
        Identity, "idn", "identity";
        Job, "job", "job";
        Message, "msg", "message";
        Object, "obj", "object";
        Operator, "opr", "operator";
        Passkey, "psk", "passkey";
        Password, "pwd", "password";
        Record, "rec", "record";
        Repository, "rep", "repository";
        Request, "req", "request";
        Server, "srv", "server";
        Session, "ses", "session";
        Token, "tok", "token";
    }
}

/// A customer whose data is kept apart.
pub type AccountId = Id<kinds::Account>;
/// An alarm.
pub type AlarmId = Id<kinds::Alarm>;
/// A signed certificate of deletion.
pub type CertificateId = Id<kinds::Certificate>;
/// A customer's application.
pub type ClientId = Id<kinds::Client>;
/// The key that seals one record or object.
pub type DataKeyId = Id<kinds::DataKey>;
/// An event.
pub type EventId = Id<kinds::Event>;
/// A legal hold.
pub type HoldId = Id<kinds::Hold>;
/// Somebody at a provider of identities, who is an operator here.
pub type IdentityId = Id<kinds::Identity>;
/// A job.
pub type JobId = Id<kinds::Job>;
/// A message about an alarm, for one route.
pub type MessageId = Id<kinds::Message>;
/// A stored object.
pub type ObjectId = Id<kinds::Object>;
/// A person who operates Tenet.
pub type OperatorId = Id<kinds::Operator>;
/// A passkey of an operator.
pub type PasskeyId = Id<kinds::Passkey>;
/// A password of an operator.
pub type PasswordId = Id<kinds::Password>;
/// A stored record.
pub type RecordId = Id<kinds::Record>;
/// A repository.
pub type RepositoryId = Id<kinds::Repository>;
/// One request.
pub type RequestId = Id<kinds::Request>;
/// One running server.
pub type ServerId = Id<kinds::Server>;
/// A session of the console.
pub type SessionId = Id<kinds::Session>;
/// An access token.
pub type TokenId = Id<kinds::Token>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 16]) {
            let id = RecordId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<RecordId>(), Ok(id));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,40}") {
            if let Ok(id) = text.parse::<AccountId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn another_kind_is_refused() {
        let id = RecordId::from_bytes([7; 16]);
        let error = id.to_string().parse::<AccountId>().unwrap_err();
        assert_eq!(error.to_string(), "not an id of the kind `account`: expected `acc_` and 26 characters");
        assert!(id.to_string().to_uppercase().parse::<RecordId>().is_err());
        assert!(format!("rec_z{}", "0".repeat(25)).parse::<RecordId>().is_err());
    }
}
