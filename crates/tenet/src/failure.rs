//! How a command fails: what happened, why, what to do; and the exit code that scripts rely on.

use base::{Fault, Kind};

/// Exit codes, documented in `docs/cli.md` and never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// It failed for a reason that has no code of its own.
    Failure = 1,
    /// The arguments, the configuration or the data given can't be used.
    Usage = 2,
    /// Not established who asks, or not allowed.
    Denied = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The state does not allow it now: a hold, a version, a name taken, another process.
    Conflict = 5,
    /// The server does not answer, is full, or asks to try again later.
    Unavailable = 6,
    /// A signature, a proof or the log does not verify.
    NotVerified = 7,
    /// A server was told twice to stop, and stopped without letting requests end: 128 and SIGINT's
    /// number, as a shell gives for any command that was interrupted.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, for the documentation.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Done, "it was done"),
        (Self::Failure, "it failed for a reason that has no code of its own"),
        (Self::Usage, "the arguments, the configuration or the data given can't be used"),
        (Self::Denied, "not established who asks, or not allowed"),
        (Self::NotFound, "there is no such thing, or it is another account's"),
        (Self::Conflict, "the state does not allow it now: a hold, a version, a name taken, another process"),
        (Self::Unavailable, "the server does not answer, is full, or asks to try again later"),
        (Self::NotVerified, "a signature, a proof or the log does not verify"),
        (Self::Interrupted, "it was interrupted; `tenet up`: twice, so that requests were cut"),
    ];

    /// The code for an error's kind.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Usage,
            Kind::Unauthenticated | Kind::Denied => Self::Denied,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Limit | Kind::Unavailable => Self::Unavailable,
            Kind::Internal => Self::Failure,
        }
    }
}

/// A failed command. Small, as it travels through every result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Box<Told>);

/// What is told of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The exit code.
    pub exit: Exit,
    /// A stable code, as in the API's problems.
    pub code: String,
    /// What happened.
    pub what: String,
    /// Why.
    pub why: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
    /// The clause that refuses, such as `RR-2`.
    pub clause: Option<String>,
    /// The request's id, to find it in the server's log.
    pub request: Option<String>,
}

impl Failure {
    /// A failure: what happened.
    pub fn new(exit: Exit, code: &str, what: impl Into<String>) -> Self {
        let code = code.to_owned();
        let told =
            Told { exit, code, what: what.into(), why: None, remedy: None, clause: None, request: None };
        Self(Box::new(told))
    }
    /// Wrong arguments or data.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", what)
    }
    /// From a room's error: its message already says why and what to do.
    pub fn fault(what: &str, error: &impl Fault) -> Self {
        let mut failure = Self::new(Exit::of(error.kind()), error.code(), what).why(error.to_string());
        failure.clause = error.clause().map(str::to_owned);
        failure
    }
    /// A file that can't be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            std::io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::Failure,
        };
        Self::new(exit, "file", format!("{what} `{}`", path.display())).why(error.to_string())
    }
    /// Says why.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// For people: up to three lines and the clause.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}", self.what);
        for (label, line) in
            [("why", &self.why), ("do", &self.remedy), ("clause", &self.clause), ("request", &self.request)]
        {
            if let Some(line) = line {
                let indented = line.replace('\n', "\n         ");
                text.push_str(&format!("\n{label:>7}: {indented}"));
            }
        }
        text
    }

    /// For scripts.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "error": {
            "exit": self.exit as u8, "code": self.code, "what": self.what, "why": self.why,
            "do": self.remedy, "clause": self.clause, "request": self.request,
        }})
    }
}

impl std::ops::Deref for Failure {
    type Target = Told;
    fn deref(&self) -> &Told {
        &self.0
    }
}

impl std::ops::DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::Usage, "config", "the configuration can't be used")
            .why(error.to_string())
            .remedy("correct it, then try `tenet config check`; `tenet config reference` lists every setting")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_what_why_do() {
        let failure = Failure::new(Exit::Conflict, "locked", "the data directory is in use")
            .why("process 7 has it open\non this machine")
            .remedy("stop that process");
        assert_eq!(
            failure.text(),
            "error: the data directory is in use\n    why: process 7 has it open\n         on this machine\n     do: stop that process"
        );
        assert_eq!(failure.json()["error"]["exit"], 5);
    }
}
