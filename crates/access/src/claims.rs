//! The claims of an access token (RFC 9068): what is signed in, and the only reading of it. The
//! account is one of them, so that no request can name another (CD-8).

use base::{AccountId, ClientId, Duration, OperatorId, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use crate::{
    jws::{JwsError, SigningKey, Unverified, names},
    scopes::ScopeSet,
};

/// The `typ` of an access token (RFC 9068 2.1).
pub const TOKEN_TYPE: &str = "at+jwt";
/// How long a token lives.
pub const TOKEN_LIFE: Duration = Duration::from_seconds(15 * 60);
/// How far apart the clocks of two servers may be when a token says that it is not valid yet.
pub const CLOCK_SKEW: Duration = Duration::from_seconds(5);

/// Whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A customer's application, in one account.
    Client {
        /// Which.
        client: ClientId,
        /// The account that is signed in.
        account: AccountId,
    },
    /// A customer's administrator, in one account.
    Customer {
        /// Who.
        person: OperatorId,
        /// The account that is signed in.
        account: AccountId,
    },
    /// A person who operates Tenet. Never has an account.
    Operator(OperatorId),
}

/// The claims of a token whose signature, issuer, audience and type are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for.
    pub subject: Subject,
    /// What it may be used for; empty for an operator, whose role decides.
    pub scopes: ScopeSet,
    /// Its id, by which it is revoked.
    pub token: TokenId,
    /// When it was issued, in whole seconds.
    pub issued: Timestamp,
    /// When it ends, in whole seconds.
    pub expires: Timestamp,
}

/// Who issues tokens and who they are for; both are checked as text, byte by byte.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, such as `https://localhost:8440`.
    pub name: String,
    /// `aud`.
    pub audience: String,
}

/// Why a token is refused. Each is a reason in an event; the caller is told only that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// It is not a token of the form that is issued here.
    #[error(transparent)]
    Form(#[from] JwsError),
    /// No key here has the id in the header.
    #[error("the token is signed with a key that is not known here")]
    UnknownKey,
    /// The signature is not that key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Claims are missing, of another type, or contradict each other.
    #[error("the token's claims are malformed")]
    Claims,
    /// Issued by another.
    #[error("the token is another issuer's")]
    Issuer,
    /// For another service.
    #[error("the token is for another audience")]
    Audience,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// Not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
}

impl TokenFault {
    /// The word for it in an event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Form(JwsError::Malformed) => "token-malformed",
            Self::Form(JwsError::Algorithm) => "token-algorithm",
            Self::Form(JwsError::Type) => "token-type",
            Self::Form(JwsError::Critical) => "token-extension",
            Self::UnknownKey => "token-key",
            Self::Signature => "token-signature",
            Self::Claims => "token-claims",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet",
        }
    }
}

/// As written and read. Only Tenet issues these, so anything unknown is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    sub: String,
    aud: String,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    jti: TokenId,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Claims {
    /// The signed token of these claims.
    pub fn sign(&self, issuer: &Issuer, key: &SigningKey) -> Result<String, serde_json::Error> {
        let (sub, account) = match self.subject {
            Subject::Client { client, account } => (client.to_string(), Some(account)),
            Subject::Customer { person, account } => (person.to_string(), Some(account)),
            Subject::Operator(operator) => (operator.to_string(), None),
        };
        let wire = Wire {
            iss: issuer.name.clone(),
            client_id: sub.clone(),
            sub,
            aud: issuer.audience.clone(),
            account,
            scope: self.scopes.to_string(),
            jti: self.token,
            iat: self.issued.seconds(),
            nbf: self.issued.seconds(),
            exp: self.expires.seconds(),
        };
        key.sign(TOKEN_TYPE, &wire)
    }

    /// The claims of `token`, when its form, key, signature, issuer and audience are right. Time is
    /// not looked at: [`Claims::check_time`] does that at each use, since it can't be cached.
    pub fn verify(token: &str, issuer: &Issuer, keys: &[SigningKey]) -> Result<Self, TokenFault> {
        let wire = Self::signed_wire(token, keys)?;
        if wire.iss != issuer.name {
            return Err(TokenFault::Issuer);
        }
        if wire.aud != issuer.audience {
            return Err(TokenFault::Audience);
        }
        Self::from_wire(&wire).ok_or(TokenFault::Claims)
    }

    /// The claims of `token` when its form, key and signature are right, whatever it says of issuer,
    /// audience and time: for its revocation, which must hold on servers that are set differently, too.
    pub fn signed(token: &str, keys: &[SigningKey]) -> Result<Self, TokenFault> {
        Self::from_wire(&Self::signed_wire(token, keys)?).ok_or(TokenFault::Claims)
    }

    fn signed_wire(token: &str, keys: &[SigningKey]) -> Result<Wire, TokenFault> {
        let parsed = Unverified::parse(token, &[TOKEN_TYPE])?;
        let kid = parsed.kid.as_deref().ok_or(TokenFault::UnknownKey)?;
        let key = keys.iter().find(|key| names(key, kid)).ok_or(TokenFault::UnknownKey)?;
        match parsed.verify(&key.public()) {
            None => Err(TokenFault::Signature),
            Some(claims) => claims.map_err(|_| TokenFault::Claims),
        }
    }

    /// Whether it is valid at `now`.
    pub fn check_time(&self, now: Timestamp) -> Result<(), TokenFault> {
        if now >= self.expires {
            return Err(TokenFault::Expired);
        }
        if now + CLOCK_SKEW < self.issued {
            return Err(TokenFault::NotYet);
        }
        Ok(())
    }

    fn from_wire(wire: &Wire) -> Option<Self> {
        let scopes = ScopeSet::parse(&wire.scope).ok()?;
        let subject = match wire.account {
            // The id says which: a client's and a person's begin differently.
            Some(account) => match wire.sub.parse() {
                Ok(client) => Subject::Client { client, account },
                Err(_) => Subject::Customer { person: wire.sub.parse().ok()?, account },
            },
            None => Subject::Operator(wire.sub.parse().ok()?),
        };
        let life = wire.exp.checked_sub(wire.iat)?;
        let coherent = wire.client_id == wire.sub
            && wire.nbf == wire.iat
            && (1..=TOKEN_LIFE.seconds()).contains(&life)
            && (matches!(subject, Subject::Client { .. }) || scopes.is_empty());
        coherent.then_some(Self {
            subject,
            scopes,
            token: wire.jti,
            issued: Timestamp::from_seconds(wire.iat),
            expires: Timestamp::from_seconds(wire.exp),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use base::Secret;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    pub(crate) fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&Secret::new(vec![byte; 32])).unwrap()
    }
    pub(crate) fn issuer() -> Issuer {
        Issuer { name: "https://tenet.test".into(), audience: "https://tenet.test".into() }
    }
    pub(crate) fn claims() -> Claims {
        Claims {
            subject: Subject::Client {
                client: ClientId::from_bytes([1; 16]),
                account: AccountId::from_bytes([2; 16]),
            },
            scopes: ScopeSet::parse("records:read").unwrap(),
            token: TokenId::from_bytes([3; 16]),
            issued: Timestamp::from_seconds(1_000),
            expires: Timestamp::from_seconds(1_900),
        }
    }
    fn payload() -> Value {
        json!({
            "iss": "https://tenet.test", "sub": ClientId::from_bytes([1; 16]), "aud": "https://tenet.test",
            "client_id": ClientId::from_bytes([1; 16]), "account": AccountId::from_bytes([2; 16]),
            "scope": "records:read", "jti": TokenId::from_bytes([3; 16]), "iat": 1_000, "nbf": 1_000, "exp": 1_900,
        })
    }
    fn verify(payload: &Value) -> Result<Claims, TokenFault> {
        Claims::verify(&key(7).sign(TOKEN_TYPE, payload).unwrap(), &issuer(), &[key(7)])
    }
    fn with(member: &str, value: Value) -> Value {
        let mut payload = payload();
        payload[member] = value;
        payload
    }

    #[test]
    fn a_token_is_read_as_it_was_signed() {
        let token = claims().sign(&issuer(), &key(7)).unwrap();
        assert_eq!(Claims::verify(&token, &issuer(), &[key(8), key(7)]), Ok(claims()));
        assert_eq!(verify(&payload()), Ok(claims()));
        let operator = Claims {
            subject: Subject::Operator(OperatorId::from_bytes([4; 16])),
            scopes: ScopeSet::empty(),
            ..claims()
        };
        let token = operator.sign(&issuer(), &key(7)).unwrap();
        assert_eq!(Claims::verify(&token, &issuer(), &[key(7)]), Ok(operator.clone()));
        let account = AccountId::from_bytes([2; 16]);
        let person = OperatorId::from_bytes([4; 16]);
        let customer = Claims { subject: Subject::Customer { person, account }, ..operator };
        let token = customer.sign(&issuer(), &key(7)).unwrap();
        assert_eq!(Claims::verify(&token, &issuer(), &[key(7)]), Ok(customer));
    }

    #[test]
    fn each_wrong_token_is_refused() {
        let other = Issuer { audience: "https://other.test".into(), ..issuer() };
        let token = claims().sign(&issuer(), &key(7)).unwrap();
        assert_eq!(Claims::verify(&token, &other, &[key(7)]), Err(TokenFault::Audience));
        assert_eq!(verify(&with("iss", json!("https://evil.test"))), Err(TokenFault::Issuer));
        assert_eq!(verify(&with("aud", json!(["https://tenet.test"]))), Err(TokenFault::Claims));
        assert_eq!(Claims::verify(&token, &issuer(), &[key(8)]), Err(TokenFault::UnknownKey));
        assert_eq!(Claims::verify(&token, &issuer(), &[]), Err(TokenFault::UnknownKey));
        let wrong_type = key(7).sign("jwt", &payload()).unwrap();
        assert_eq!(Claims::verify(&wrong_type, &issuer(), &[key(7)]), Err(TokenFault::Form(JwsError::Type)));
    }

    #[test]
    fn an_account_that_was_not_signed_in_breaks_the_signature() {
        let token = claims().sign(&issuer(), &key(7)).unwrap();
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[1] = crate::jws::encode(with("account", json!(AccountId::from_bytes([9; 16]))).to_string());
        assert_eq!(Claims::verify(&parts.join("."), &issuer(), &[key(7)]), Err(TokenFault::Signature));
    }

    #[test]
    fn claims_that_contradict_each_other_are_refused() {
        for (member, value) in [
            ("exp", json!(1_901)),
            ("exp", json!(1_000)),
            ("exp", json!(i64::MIN)),
            ("exp", json!(1_900.5)),
            ("nbf", json!(999)),
            ("sub", json!(OperatorId::from_bytes([1; 16]))),
            ("client_id", json!(ClientId::from_bytes([9; 16]))),
            ("account", Value::Null),
            ("account", json!("acc_1")),
            ("scope", json!("root")),
            ("admin", json!(true)),
            ("jti", json!("tok_1")),
        ] {
            assert_eq!(verify(&with(member, value.clone())), Err(TokenFault::Claims), "{member} {value}");
        }
        let mut operator = with("sub", json!(OperatorId::from_bytes([1; 16])));
        operator["client_id"] = operator["sub"].clone();
        assert_eq!(verify(&operator), Err(TokenFault::Claims), "an operator never has an account");
        operator.as_object_mut().unwrap().remove("account");
        assert_eq!(verify(&operator), Err(TokenFault::Claims), "nor scopes");
        operator.as_object_mut().unwrap().remove("scope");
        assert!(verify(&operator).is_ok());
    }

    #[test]
    fn a_token_ends_at_its_expiry_and_not_before() {
        let at = Timestamp::from_seconds;
        assert_eq!(claims().check_time(at(1_900)), Err(TokenFault::Expired));
        assert_eq!(claims().check_time(Timestamp::from_micros(1_899_999_999)), Ok(()));
        assert_eq!(claims().check_time(at(995)), Ok(()));
        assert_eq!(claims().check_time(at(994)), Err(TokenFault::NotYet));
    }

    proptest! {
        #[test]
        fn any_signed_claims_are_parsed_without_panic(
            member in prop::sample::select(vec!["iss", "sub", "aud", "account", "scope", "jti", "iat", "nbf", "exp"]),
            number: i64, text in ".{0,40}", which in 0u8..3,
        ) {
            let value = match which { 0 => json!(number), 1 => json!(text), _ => json!([text]) };
            let _ = verify(&with(member, value));
        }
    }
}
