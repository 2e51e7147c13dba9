//! Client assertions (RFC 7523): a client or an operator proves who it is by signing, so that no
//! standing secret exists. Made for this installation alone, at most five minutes long, used once.

use base::{Actor, ClientId, Duration, OperatorId, Timestamp};
use serde::Deserialize;

use crate::{
    claims::CLOCK_SKEW,
    jws::{JwsError, PublicKey, Unverified, sha256},
};

/// The only `client_assertion_type` (RFC 7523 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Most time between now and an assertion's end.
pub const MAX_ASSERTION_LIFE: Duration = Duration::from_seconds(5 * 60);
const MAX_JTI_BYTES: usize = 128;

/// An assertion that is not yet verified.
#[derive(Debug)]
pub struct Assertion<'a> {
    token: Unverified<'a>,
    /// Who it says it is from: the key to verify it with is looked up by this.
    pub claimed: Actor,
}

/// An assertion that was signed by whom it names, for us, now. It still has to be its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// Stands for issuer and `jti` together: stored until `expires`, so that a second use is refused.
    pub replay: [u8; 32],
    /// Until when a replay must be refused: its end and the allowance for clocks.
    pub expires: Timestamp,
}

/// Why an assertion is refused. Each is a reason in an event; the caller is told `invalid_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AssertionFault {
    /// Not an assertion at all.
    #[error(transparent)]
    Form(#[from] JwsError),
    /// Not signed by the key of whom it names.
    #[error("the assertion's signature is wrong")]
    Signature,
    /// Claims are missing or contradict each other.
    #[error("the assertion's claims are malformed")]
    Claims,
    /// Made for another endpoint.
    #[error("the assertion is for another audience")]
    Audience,
    /// Over.
    #[error("the assertion has expired")]
    Expired,
    /// Not valid yet.
    #[error("the assertion is not valid yet")]
    NotYet,
    /// Its end is more than five minutes ahead.
    #[error("the assertion lives too long: at most 5 minutes")]
    TooLong,
}

impl AssertionFault {
    /// The word for it in an event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Form(_) => "assertion-malformed",
            Self::Signature => "assertion-signature",
            Self::Claims => "assertion-claims",
            Self::Audience => "assertion-audience",
            Self::Expired => "assertion-expired",
            Self::NotYet => "assertion-not-yet",
            Self::TooLong => "assertion-too-long",
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    iss: String,
    sub: String,
    aud: Audience,
    jti: String,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
}

/// One text, or a list that holds exactly one: an assertion for several endpoints could be carried
/// from one to the other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl Audience {
    /// Whether it is one of ours.
    fn is_among(&self, ours: &[String]) -> bool {
        let audience = match self {
            Self::One(audience) => audience,
            Self::List(list) => match list.as_slice() {
                [audience] => audience,
                _ => return false,
            },
        };
        ours.contains(audience)
    }
}

impl<'a> Assertion<'a> {
    /// Takes an assertion apart, far enough to know whose key it needs.
    pub fn parse(text: &'a str) -> Result<Self, AssertionFault> {
        let token = Unverified::parse(text, &["", "jwt", "client-authentication+jwt"])?;
        let wire: Wire = token.peek()?;
        let claimed = if let Ok(client) = wire.sub.parse::<ClientId>() {
            Actor::Client(client)
        } else if let Ok(operator) = wire.sub.parse::<OperatorId>() {
            Actor::Operator(operator)
        } else {
            return Err(AssertionFault::Claims);
        };
        if wire.iss != wire.sub {
            return Err(AssertionFault::Claims);
        }
        Ok(Self { token, claimed })
    }

    /// Verifies it with the key of whom it names, for one of `audiences`.
    pub fn verify(
        &self,
        key: &PublicKey,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Asserted, AssertionFault> {
        let wire: Wire = self.token.verify(key).ok_or(AssertionFault::Signature)??;
        if !wire.aud.is_among(audiences) {
            return Err(AssertionFault::Audience);
        }
        if wire.jti.is_empty() || wire.jti.len() > MAX_JTI_BYTES {
            return Err(AssertionFault::Claims);
        }
        let expires = Timestamp::from_seconds(wire.exp) + CLOCK_SKEW;
        if now >= expires {
            return Err(AssertionFault::Expired);
        }
        if expires.since(now)
            > Duration::from_seconds(MAX_ASSERTION_LIFE.seconds() + 2 * CLOCK_SKEW.seconds())
        {
            return Err(AssertionFault::TooLong);
        }
        let starts = [wire.nbf, wire.iat].into_iter().flatten().max().unwrap_or(i64::MIN);
        if now + CLOCK_SKEW < Timestamp::from_seconds(starts) {
            return Err(AssertionFault::NotYet);
        }
        Ok(Asserted { replay: sha256(format!("{}\n{}", wire.sub, wire.jti).as_bytes()), expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claims::tests::key, jws::SigningKey};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ENDPOINT: &str = "https://tenet.test/v1/token";

    fn operator() -> OperatorId {
        OperatorId::from_bytes([4; 16])
    }
    fn payload() -> Value {
        json!({ "iss": operator(), "sub": operator(), "aud": ENDPOINT, "jti": "once", "iat": 1_000, "exp": 1_060 })
    }
    fn verify_signed(key: &SigningKey, payload: &Value, now: i64) -> Result<Asserted, AssertionFault> {
        let text = key.sign("JWT", payload).unwrap();
        let ours = [ENDPOINT, "urn:tenet:issuer:1"].map(str::to_owned);
        Assertion::parse(&text)?.verify(&self::key(5).public(), &ours, Timestamp::from_seconds(now))
    }
    fn with(member: &str, value: Value) -> Result<Asserted, AssertionFault> {
        let mut payload = payload();
        payload[member] = value;
        verify_signed(&key(5), &payload, 1_000)
    }

    #[test]
    fn a_right_assertion_passes() {
        let asserted = verify_signed(&key(5), &payload(), 1_000).unwrap();
        assert_eq!(asserted.expires, Timestamp::from_seconds(1_065));
        assert_eq!(with("aud", json!([ENDPOINT])).unwrap().replay, asserted.replay);
        assert_eq!(with("aud", json!("urn:tenet:issuer:1")).unwrap().replay, asserted.replay);
        assert_ne!(with("jti", json!("twice")).unwrap().replay, asserted.replay);
    }

    #[test]
    fn each_wrong_assertion_is_refused() {
        assert_eq!(verify_signed(&key(6), &payload(), 1_000), Err(AssertionFault::Signature));
        assert_eq!(verify_signed(&key(5), &payload(), 1_065), Err(AssertionFault::Expired));
        assert_eq!(verify_signed(&key(5), &payload(), 994), Err(AssertionFault::NotYet));
        assert_eq!(with("aud", json!("https://tenet.test")), Err(AssertionFault::Audience));
        assert_eq!(with("aud", json!([ENDPOINT, "https://evil.test"])), Err(AssertionFault::Audience));
        assert_eq!(with("aud", json!([ENDPOINT, "urn:tenet:issuer:1"])), Err(AssertionFault::Audience));
        assert_eq!(with("aud", json!([])), Err(AssertionFault::Audience));
        assert_eq!(with("exp", json!(1_306)), Err(AssertionFault::TooLong));
        assert_eq!(with("exp", json!(i64::MAX)), Err(AssertionFault::TooLong));
        assert!(with("exp", json!(1_305)).is_ok());
        assert_eq!(with("nbf", json!(1_006)), Err(AssertionFault::NotYet));
        assert_eq!(with("iss", json!(OperatorId::from_bytes([5; 16]))), Err(AssertionFault::Claims));
        assert_eq!(with("jti", json!("")), Err(AssertionFault::Claims));
        assert_eq!(with("jti", json!("j".repeat(129))), Err(AssertionFault::Claims));
        assert_eq!(with("jti", Value::Null), Err(AssertionFault::Form(JwsError::Malformed)));
        assert_eq!(with("sub", json!("root")), Err(AssertionFault::Claims));
    }

    proptest! {
        #[test]
        fn any_claims_are_parsed_without_panic(exp: i64, iat: i64, nbf: i64, now: i64, jti in ".{0,200}") {
            let mut payload = payload();
            payload["exp"] = json!(exp);
            payload["iat"] = json!(iat);
            payload["nbf"] = json!(nbf);
            payload["jti"] = json!(jti);
            if let Ok(asserted) = verify_signed(&key(5), &payload, now) {
                prop_assert!(asserted.expires > Timestamp::from_seconds(now));
            }
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,200}") {
            let _ = Assertion::parse(&text);
        }
    }
}
