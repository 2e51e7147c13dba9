//! What is wrong with a policy's files.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong. A document is made only of files with none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code, such as `parameter-missing`.
    pub code: &'static str,
    /// In which file.
    pub file: String,
    /// The key at fault.
    pub key: String,
    /// The line on which it stands, from 1, if it stands on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}", self.key, self.message)
    }
}

/// The line on which a key, or a text, first stands.
pub(crate) fn line_of(text: &str, wanted: &str) -> Option<usize> {
    let last = wanted.rsplit('.').next().unwrap_or(wanted);
    let is_key = |line: &str| {
        let line = line.trim_start().trim_start_matches('"');
        line.strip_prefix(last).is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
    };
    text.lines()
        .position(is_key)
        .or_else(|| text.lines().position(|line| line.contains(last)))
        .map(|at| at + 1)
}
