//! Arguments that can't be used, told in the form that was asked for.

use std::ffi::OsStr;

use clap::error::ErrorKind;

use crate::failure::Failure;

/// Whether JSON was asked for, where the arguments as a whole could not be read.
pub fn wants_json<T: AsRef<OsStr>>(arguments: &[T]) -> bool {
    let before_values = arguments.iter().take_while(|argument| argument.as_ref() != "--");
    before_values.into_iter().any(|argument| argument.as_ref() == "--json")
}

/// Whether it is no error at all, but what was asked for: the help or the version.
pub fn is_answer(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// The parser's message, taken apart: its first paragraph says what, its tips what to do.
pub fn refusal(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage("no command is given").remedy("`tenet --help` lists them");
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(first));
    let (mut why, mut remedy) = (Vec::new(), Vec::new());
    for line in lines.filter(|line| !line.starts_with("For more information")) {
        match line.strip_prefix("tip: ") {
            Some(tip) => remedy.push(tip.to_owned()),
            None if line.starts_with("Usage: ") => remedy.push(line.replacen("Usage", "usage", 1)),
            None => why.push(line),
        }
    }
    if !why.is_empty() {
        failure = failure.why(why.join("\n"));
    }
    remedy.push("add `--help` for what it takes".to_owned());
    failure.remedy(remedy.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn a_parsers_message_becomes_a_failure() {
        let refused =
            |arguments: &[&str]| refusal(&Cli::try_parse_from([&["tenet"], arguments].concat()).unwrap_err());
        let failure = refused(&["record", "gett"]);
        assert_eq!(failure.what, "unrecognized subcommand 'gett'");
        assert!(failure.remedy.as_ref().unwrap().starts_with("a similar subcommand exists: 'get'\nusage: "));
        let failure = refused(&["record", "get", "-r", "x", "rec_1"]);
        assert!(failure.what.starts_with("invalid value 'x' for '--repository <ID>'"), "{failure:?}");
        let failure = refused(&["account", "suspend"]);
        assert_eq!(failure.why.as_deref(), Some("<ACCOUNT>"), "{failure:?}");
        assert_eq!(refused(&[]).what, "no command is given");
    }

    #[test]
    fn json_is_asked_for_by_the_option_alone() {
        assert!(wants_json(&["tenet", "x", "--json"]));
        assert!(!wants_json(&["tenet", "x", "--", "--json"]));
        assert!(!wants_json(&["tenet", "--jsonx"]));
    }

    #[test]
    fn help_and_version_are_answers() {
        for asked in ["--help", "--version"] {
            assert!(is_answer(&Cli::try_parse_from(["tenet", asked, "--json"]).unwrap_err()), "{asked}");
        }
    }
}
