//! What can go wrong in access. What an outsider is told says as little as possible: the event has the
//! reason.

use base::{Duration, EntropyError, Fault, Kind, Timestamp};
use keys::KeyError;
use store::StoreError;

use crate::{policy::PolicyError, scopes::ScopeError};

/// An error of access. Every refusal among them was recorded before it is returned.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No valid token came with the request.
    #[error(
        "the access token is missing, expired, revoked or not valid here: get a new one at the token endpoint"
    )]
    Unauthenticated,
    /// There is no session, or it has ended.
    #[error("there is no session, or it has ended: sign in")]
    NoSession,
    /// Too weak a proof for a network that anybody is on.
    #[error("from this network only a passkey opens the console: sign in with one")]
    StrongerSignIn,
    /// What is dangerous waits for a proof of late.
    #[error("prove once more who you are: it was too long ago for this")]
    ProofNeeded,
    /// A code that opens nothing.
    #[error("the code does not exist, was used, or has ended: run `tenet console` again")]
    CodeInvalid,
    /// A passkey that opens nothing.
    #[error("the passkey is not valid here: try again, or sign in another way")]
    PasskeyInvalid,
    /// A name, a password and a code of which one at least is wrong: nobody is told which.
    #[error(
        "the name, the password or the code is not right: the code is the one that your app shows now, and works once"
    )]
    PasswordInvalid,
    /// The company's provider of identities did not say who it is, or not to us.
    #[error("your company's sign-in did not say who you are: start again here")]
    ProviderInvalid,
    /// It did, and nobody here is that.
    #[error(
        "your company's sign-in knows you, and here nobody is linked with you: ask an administrator for a link, or sign in another way and add it at `Your sign-in`"
    )]
    IdentityUnknown,
    /// It does not answer.
    #[error("your company's sign-in does not answer: try again, or sign in another way")]
    ProviderUnreachable,
    /// Somebody else signs in by that name.
    #[error("somebody else signs in by that name: choose another")]
    LoginTaken,
    /// Somebody here is that at the provider.
    #[error("that person of your company's sign-in is linked here already")]
    IdentityTaken,
    /// Another way in is switched off, or was never on.
    #[error("this way to sign in is not offered here: use another")]
    WayOff,
    /// Whoever asks for a token did not prove who it is.
    #[error("the client's credentials are not valid")]
    InvalidClient,
    /// Credentials are right, and the account is suspended.
    #[error("the account is suspended: ask its administrator")]
    Suspended,
    /// The request for a token is malformed.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Another grant than client credentials.
    #[error("only the grant `client_credentials` is supported")]
    UnsupportedGrant,
    /// A scope that does not exist.
    #[error(transparent)]
    UnknownScope(#[from] ScopeError),
    /// A scope that the client does not have.
    #[error("the client may not have every scope that it asks for: ask for some of `{0}`")]
    InvalidScope(String),
    /// The chosen account is not the client's.
    #[error("the account is not one that this client may choose")]
    InvalidAccount,
    /// A token for another service.
    #[error("no token is issued for that audience")]
    InvalidTarget,
    /// Too many failures.
    #[error("too many failed attempts: wait {} seconds", .retry_after.seconds().saturating_add(1))]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Known, and not allowed.
    #[error("not allowed: {}", describe(.policies))]
    Denied {
        /// The policies that decided; none if nothing permits.
        policies: Vec<String>,
        /// The clause that refuses.
        clause: &'static str,
    },
    /// A customer's administrator asked for what is not the account's to govern.
    #[error("this is not a part of your account that you govern here")]
    NotOfAccount,
    /// A customer's administrator asked for what waits, whatever the platform waits for.
    #[error("this can't be done just now: try again later, or ask whoever runs Tenet for you")]
    NotNow,
    /// No witness stands by the log now.
    #[error(
        "refused while no witness stands by the log ({}): try again once the witnesses are reachable; ask whoever runs the server",
        describe_last(.last)
    )]
    Unwitnessed {
        /// When the quorum's newest cosignature was made.
        last: Option<Timestamp>,
    },
    /// A safeguard is weaker than what was accepted: administrative acts that give something wait.
    #[error(
        "a safeguard was weakened or switched off, and waits for two operators' approval: see `tenet safeguard list`; or set it back"
    )]
    Weakened,
    /// Nobody approves twice.
    #[error("you have approved that already: another operator does next")]
    ApprovedAlready,
    /// Not an enrolment link that can be used.
    #[error("the enrolment link is used, expired or unknown: ask an administrator for a new one")]
    LinkInvalid,
    /// The last administrator can't go.
    #[error("this is the last administrator: enrol another first")]
    LastAdministrator,
    /// A second person reviews, not who did it.
    #[error(
        "nobody reviews what they did themselves, or what made them an operator: ask another operator to"
    )]
    OwnAct,
    /// Nobody erases from where they acted themselves.
    #[error("nobody erases from where they acted themselves: ask another administrator to")]
    OwnTrail,
    /// Somebody was first.
    #[error("that act was reviewed already")]
    ReviewedAlready,
    /// Another account has the name.
    #[error("another account has that name: choose another")]
    NameTaken,
    /// Another operator has the key.
    #[error("that key is enrolled already: make a new one")]
    KeyTaken,
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The input breaks a rule.
    #[error("{reason}")]
    Invalid {
        /// The field of the input.
        field: &'static str,
        /// Which rule.
        reason: &'static str,
    },
    /// The policies or the configuration can't be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store failed. Nothing was changed, and nobody was let in.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys failed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A fault of ours.
    #[error("{0}")]
    Internal(&'static str),
}

impl AccessError {
    /// The error code of RFC 6749 5.2 (RFC 8707 2 for an audience) for an answer of the token endpoint.
    pub const fn oauth_code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "invalid_token",
            Self::InvalidClient
            | Self::NoSession
            | Self::CodeInvalid
            | Self::PasskeyInvalid
            | Self::PasswordInvalid
            | Self::ProviderInvalid
            | Self::IdentityUnknown => "invalid_client",
            Self::Suspended
            | Self::Denied { .. }
            | Self::NotOfAccount
            | Self::StrongerSignIn
            | Self::ProofNeeded
            | Self::WayOff => "unauthorized_client",
            Self::UnsupportedGrant => "unsupported_grant_type",
            Self::UnknownScope(_) | Self::InvalidScope(_) => "invalid_scope",
            Self::InvalidAccount => "invalid_grant",
            Self::InvalidTarget => "invalid_target",
            Self::Throttled { .. } => "slow_down",
            Self::InvalidRequest(_)
            | Self::LinkInvalid
            | Self::LastAdministrator
            | Self::OwnAct
            | Self::OwnTrail
            | Self::ApprovedAlready
            | Self::ReviewedAlready
            | Self::NameTaken
            | Self::KeyTaken
            | Self::LoginTaken
            | Self::IdentityTaken
            | Self::NotFound(_)
            | Self::Invalid { .. } => "invalid_request",
            Self::Unwitnessed { .. } | Self::Weakened | Self::NotNow | Self::ProviderUnreachable => {
                "temporarily_unavailable"
            }
            Self::Policy(_) | Self::Store(_) | Self::Keys(_) | Self::Entropy(_) | Self::Internal(_) => {
                "server_error"
            }
        }
    }

    /// How long to wait before another attempt, for `Retry-After`.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl Fault for AccessError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unauthenticated
            | Self::InvalidClient
            | Self::LinkInvalid
            | Self::NoSession
            | Self::CodeInvalid
            | Self::PasskeyInvalid
            | Self::PasswordInvalid
            | Self::ProviderInvalid
            | Self::IdentityUnknown => Kind::Unauthenticated,
            Self::Suspended
            | Self::Denied { .. }
            | Self::NotOfAccount
            | Self::OwnAct
            | Self::OwnTrail
            | Self::Weakened
            | Self::StrongerSignIn
            | Self::ProofNeeded
            | Self::WayOff => Kind::Denied,
            Self::InvalidRequest(_)
            | Self::UnsupportedGrant
            | Self::UnknownScope(_)
            | Self::InvalidScope(_)
            | Self::InvalidAccount
            | Self::InvalidTarget
            | Self::Invalid { .. } => Kind::Invalid,
            Self::Throttled { .. } => Kind::Limit,
            Self::LastAdministrator
            | Self::NameTaken
            | Self::KeyTaken
            | Self::LoginTaken
            | Self::IdentityTaken
            | Self::ReviewedAlready
            | Self::ApprovedAlready => Kind::Conflict,
            Self::NotFound(_) => Kind::NotFound,
            Self::Unwitnessed { .. } | Self::NotNow | Self::ProviderUnreachable => Kind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Keys(error) => error.kind(),
            Self::Policy(_) | Self::Entropy(_) | Self::Internal(_) => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "token-invalid",
            Self::InvalidClient => "client-invalid",
            Self::NoSession => "session-invalid",
            Self::StrongerSignIn => "stronger-sign-in-needed",
            Self::ProofNeeded => "proof-needed",
            Self::CodeInvalid => "code-invalid",
            Self::PasskeyInvalid => "passkey-invalid",
            Self::PasswordInvalid => "password-invalid",
            Self::ProviderInvalid => "provider-invalid",
            Self::IdentityUnknown => "identity-unknown",
            Self::ProviderUnreachable => "provider-unreachable",
            Self::LoginTaken => "login-taken",
            Self::IdentityTaken => "identity-taken",
            Self::WayOff => "way-off",
            Self::Suspended => "account-suspended",
            Self::InvalidRequest(_) => "token-request-invalid",
            Self::UnsupportedGrant => "grant-unsupported",
            Self::UnknownScope(_) => "scope-unknown",
            Self::InvalidScope(_) => "scope-invalid",
            Self::InvalidAccount => "account-invalid",
            Self::InvalidTarget => "audience-invalid",
            Self::Throttled { .. } => "too-many-failures",
            Self::Denied { .. } | Self::NotOfAccount => "access-denied",
            Self::NotNow => "not-now",
            Self::Unwitnessed { .. } => "log-unwitnessed",
            Self::LinkInvalid => "link-invalid",
            Self::LastAdministrator => "last-administrator",
            Self::OwnAct => "own-act",
            Self::OwnTrail => "own-trail",
            Self::Weakened => "safeguard-weakened",
            Self::ApprovedAlready => "approved-already",
            Self::ReviewedAlready => "reviewed-already",
            Self::NameTaken => "name-taken",
            Self::KeyTaken => "key-taken",
            Self::NotFound(_) => "not-found",
            Self::Invalid { .. } => "invalid",
            Self::Store(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Entropy(_) => "entropy-failed",
            Self::Policy(_) | Self::Internal(_) => "internal",
        }
    }

    fn clause(&self) -> Option<&'static str> {
        match self {
            Self::Denied { clause, .. } => Some(clause),
            Self::Unwitnessed { .. } => Some("AO-2"),
            Self::StrongerSignIn | Self::ProofNeeded => Some("MS-7"),
            Self::OwnAct => Some("AO-4"),
            Self::OwnTrail | Self::Weakened => Some("AO-1"),
            Self::Suspended | Self::InvalidAccount | Self::Unauthenticated => Some("CD-8"),
            Self::Keys(error) => error.clause(),
            _ => None,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            Self::NameTaken => Some("name"),
            Self::UnknownScope(_) | Self::InvalidScope(_) => Some("scope"),
            Self::InvalidAccount => Some("account"),
            Self::InvalidTarget => Some("audience"),
            _ => None,
        }
    }
}

fn describe_last(last: &Option<Timestamp>) -> String {
    last.map_or_else(|| "no cosignature yet".to_owned(), |last| format!("last cosigned {last}"))
}

fn describe(policies: &[String]) -> String {
    match policies {
        [] => "no policy permits it; ask for a token with the scope that it needs".to_owned(),
        named => format!("refused by the policy `{}`", named.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published: scripts match them. A change here is a change of the interface.
    #[test]
    fn codes_are_stable() {
        let policies = vec!["another-account".to_owned()];
        let retry_after = Duration::from_seconds(6);
        let unavailable = StoreError::Unavailable("the database is down".to_owned());
        let unknown = crate::ScopeSet::parse("root").unwrap_err();
        let table = [
            (AccessError::Unauthenticated, Kind::Unauthenticated, "token-invalid", "invalid_token"),
            (AccessError::InvalidClient, Kind::Unauthenticated, "client-invalid", "invalid_client"),
            (AccessError::NoSession, Kind::Unauthenticated, "session-invalid", "invalid_client"),
            (AccessError::StrongerSignIn, Kind::Denied, "stronger-sign-in-needed", "unauthorized_client"),
            (AccessError::ProofNeeded, Kind::Denied, "proof-needed", "unauthorized_client"),
            (AccessError::CodeInvalid, Kind::Unauthenticated, "code-invalid", "invalid_client"),
            (AccessError::PasskeyInvalid, Kind::Unauthenticated, "passkey-invalid", "invalid_client"),
            (AccessError::PasswordInvalid, Kind::Unauthenticated, "password-invalid", "invalid_client"),
            (AccessError::ProviderInvalid, Kind::Unauthenticated, "provider-invalid", "invalid_client"),
            (AccessError::IdentityUnknown, Kind::Unauthenticated, "identity-unknown", "invalid_client"),
            (
                AccessError::ProviderUnreachable,
                Kind::Unavailable,
                "provider-unreachable",
                "temporarily_unavailable",
            ),
            (AccessError::LoginTaken, Kind::Conflict, "login-taken", "invalid_request"),
            (AccessError::IdentityTaken, Kind::Conflict, "identity-taken", "invalid_request"),
            (AccessError::WayOff, Kind::Denied, "way-off", "unauthorized_client"),
            (AccessError::Suspended, Kind::Denied, "account-suspended", "unauthorized_client"),
            (AccessError::InvalidRequest("x"), Kind::Invalid, "token-request-invalid", "invalid_request"),
            (AccessError::UnsupportedGrant, Kind::Invalid, "grant-unsupported", "unsupported_grant_type"),
            (AccessError::UnknownScope(unknown), Kind::Invalid, "scope-unknown", "invalid_scope"),
            (AccessError::InvalidScope("x".into()), Kind::Invalid, "scope-invalid", "invalid_scope"),
            (AccessError::InvalidAccount, Kind::Invalid, "account-invalid", "invalid_grant"),
            (AccessError::InvalidTarget, Kind::Invalid, "audience-invalid", "invalid_target"),
            (AccessError::Throttled { retry_after }, Kind::Limit, "too-many-failures", "slow_down"),
            (
                AccessError::Denied { policies, clause: "CD-8" },
                Kind::Denied,
                "access-denied",
                "unauthorized_client",
            ),
            (
                AccessError::Unwitnessed { last: None },
                Kind::Unavailable,
                "log-unwitnessed",
                "temporarily_unavailable",
            ),
            (AccessError::NotOfAccount, Kind::Denied, "access-denied", "unauthorized_client"),
            (AccessError::NotNow, Kind::Unavailable, "not-now", "temporarily_unavailable"),
            (AccessError::LinkInvalid, Kind::Unauthenticated, "link-invalid", "invalid_request"),
            (AccessError::LastAdministrator, Kind::Conflict, "last-administrator", "invalid_request"),
            (AccessError::OwnAct, Kind::Denied, "own-act", "invalid_request"),
            (AccessError::OwnTrail, Kind::Denied, "own-trail", "invalid_request"),
            (AccessError::Weakened, Kind::Denied, "safeguard-weakened", "temporarily_unavailable"),
            (AccessError::ApprovedAlready, Kind::Conflict, "approved-already", "invalid_request"),
            (AccessError::ReviewedAlready, Kind::Conflict, "reviewed-already", "invalid_request"),
            (AccessError::NameTaken, Kind::Conflict, "name-taken", "invalid_request"),
            (AccessError::KeyTaken, Kind::Conflict, "key-taken", "invalid_request"),
            (AccessError::NotFound("client"), Kind::NotFound, "not-found", "invalid_request"),
            (AccessError::Invalid { field: "f", reason: "r" }, Kind::Invalid, "invalid", "invalid_request"),
            (AccessError::Store(unavailable), Kind::Unavailable, "storage-unavailable", "server_error"),
            (AccessError::Internal("x"), Kind::Internal, "internal", "server_error"),
        ];
        for (error, kind, code, oauth) in table {
            assert_eq!((error.kind(), error.code(), error.oauth_code()), (kind, code, oauth), "{error}");
        }
    }

    #[test]
    fn messages_say_what_to_do() {
        let throttled = AccessError::Throttled { retry_after: Duration::from_millis(5_500) };
        assert_eq!(throttled.to_string(), "too many failed attempts: wait 6 seconds");
        let nothing = AccessError::Denied { policies: vec![], clause: "SD-1" };
        assert_eq!(
            nothing.to_string(),
            "not allowed: no policy permits it; ask for a token with the scope that it needs"
        );
        let named = AccessError::Denied { policies: vec!["a".into(), "b".into()], clause: "RR-3" };
        assert_eq!(named.to_string(), "not allowed: refused by the policy `a`, `b`");
    }
}
