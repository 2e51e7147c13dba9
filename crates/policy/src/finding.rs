//! What is wrong with a policy's files.

use std::fmt;

use serde::{Serialize, Serializer};

/// Most characters of the writer's own text that a finding repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// One line a code: variant, name, and what it says.
macro_rules! codes {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// What kind of fault. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, such as `parameter-missing`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    FileUnknown "file-unknown" "a file that a policy does not have.";
    FileMissing "file-missing" "a file that a policy needs is not there.";
    FileLong "file-long" "a file is longer than the limit; it is not read.";
    FileSyntax "file-syntax" "a file is not TOML.";
    FieldUnknown "field-unknown" "a field that the file does not have.";
    FieldMissing "field-missing" "a field that the file needs is not there.";
    FieldInvalid "field-invalid" "a field holds another type of value than it should.";
    FormatUnknown "format-unknown" "the files are in a form that this version does not read.";
    VersionInvalid "version-invalid" "the policy's version is no positive number.";
    TextInvalid "text-invalid" "a text that is published is empty, too long, or not one line.";
    PlaceholderLeft "placeholder-left" "a text that is published was left to be filled in.";
    GuidancePublished "guidance-published" "a text that is published holds guidance.";
    DateInvalid "date-invalid" "not a day of the calendar.";
    DatesContradict "dates-contradict" "the next review is not after the day of effect.";
    FrameworkUnknown "framework-unknown" "a framework that there is not.";
    FrameworksNone "frameworks-none" "no framework is chosen.";
    ParameterUnknown "parameter-unknown" "a parameter that there is not.";
    ParameterInvalid "parameter-invalid" "a value that is not of the parameter's type.";
    ParameterMissing "parameter-missing" "a clause of the policy needs a parameter that has no value.";
    ClauseUnknown "clause-unknown" "a clause that there is not.";
    WordingInvalid "wording-invalid" "an own wording can't be read.";
    WordingUnused "wording-unused" "an own wording of a clause that is not in the policy.";
    ReasonMissing "reason-missing" "a decision has no reason worth the name.";
    DeciderMissing "decider-missing" "a decision does not say whose it is.";
    DecisionTwice "decision-twice" "the same is decided twice.";
    KeepNeedless "keep-needless" "a clause is kept that a framework requires anyway.";
    DropRequired "drop-required" "a clause is dropped that a framework requires.";
    DropKept "drop-kept" "a clause is both kept and dropped.";
    FeasibleNeedless "feasible-needless" "a decision on `where feasible` that nothing in the policy asks for.";
    FeasibleUndecided "feasible-undecided" "a clause holds `where feasible`, and nobody decided what that means.";
    Contradicted "contradicted" "the policy says what is not so.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that is wrong. A document is made only of files with none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of fault.
    pub code: Code,
    /// In which file.
    pub file: String,
    /// The key at fault: a field, a parameter or a clause; `-` for the file as a whole.
    pub key: String,
    /// The line on which it stands, from 1; none for what is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    /// A finding. What the writer of a file controls is shortened, and can't steer a terminal.
    pub(crate) fn new(
        code: Code,
        file: &str,
        key: &str,
        line: Option<usize>,
        message: impl AsRef<str>,
    ) -> Self {
        let message = message.as_ref().chars().flat_map(harmless).collect();
        Self { code, file: shown(file), key: shown(key), line, message }
    }
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

/// The writer's text as a finding repeats it.
pub(crate) fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let mut out: String = letters.by_ref().take(MAX_SHOWN_CHARS).flat_map(harmless).collect();
    if letters.next().is_some() {
        out.push_str("...");
    }
    out
}

fn harmless(letter: char) -> impl Iterator<Item = char> {
    let is_harmful = crate::published::steers(letter);
    is_harmful.then(|| letter.escape_default()).into_iter().flatten().chain((!is_harmful).then_some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_short_and_steers_no_terminal() {
        let key = format!("\u{1b}[2J{}", "x".repeat(500));
        let finding = Finding::new(Code::FieldUnknown, "policy.toml", &key, Some(3), "no `\u{202e}` here");
        let text = finding.to_string();
        assert!(text.starts_with("policy.toml:3: \\u{1b}[2Jxxx"), "{text}");
        assert!(text.ends_with("...: no `\\u{202e}` here") && text.len() < 200, "{text}");
    }

    #[test]
    fn codes_are_distinct_and_well_formed() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }
}
