//! The eight kinds of error. Each crate's error type says its kind; `web` alone maps a kind to a
//! status code, and `tenet` alone maps it to an exit code.

/// What an error means to the one who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or breaks a rule of its own: change the request.
    Invalid,
    /// Who calls is not established: authenticate.
    Unauthenticated,
    /// Known, and not allowed. Never used for another account's things: those are `NotFound`.
    Denied,
    /// There is no such thing, or it is another account's.
    NotFound,
    /// The state does not allow it now: read again, then decide.
    Conflict,
    /// A limit of size, rate or space is reached.
    Limit,
    /// A part that this needs does not answer: try again later. Nothing was changed.
    Unavailable,
    /// A fault of ours. Details go to the operator's log, never to the caller.
    Internal,
}

/// An error with a kind and a stable code that scripts can match.
pub trait Fault: std::error::Error {
    /// Its kind.
    fn kind(&self) -> Kind;
    /// Its code: lower-case words joined by hyphens, never changed once published.
    fn code(&self) -> &'static str;
    /// The clause that refuses, such as `RR-2`, if a clause does.
    fn clause(&self) -> Option<&'static str> {
        None
    }
    /// The field of the input that is wrong, if one is.
    fn field(&self) -> Option<&str> {
        None
    }
}
