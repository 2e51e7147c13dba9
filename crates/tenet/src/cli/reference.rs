//! The reference of the command line, made from its definition: `docs/cli.md`.

use clap::{Command, CommandFactory};

use super::Cli;

const HEAD: &str = "\
# Command line

<!-- Made by `tenet cli-reference > docs/cli.md`; a test holds it against the code. -->

Results go to standard output, everything else to standard error. With `--json`, both are JSON: results
as the API gives them, failures as `{\"error\": {\"exit\", \"code\", \"what\", \"why\", \"do\", \"clause\", \"request\"}}`.
Tables and bars are for people and may change; JSON and exit codes are for scripts and stay.

Keys and profiles are in `~/.config/tenet` (`TENET_HOME`), for their owner alone. Each call signs a
short-lived assertion and gets a token for it, which is never written anywhere.
";

/// The reference, in Markdown.
pub fn reference() -> String {
    // A fixed width: the page must not depend on somebody's terminal.
    let mut command = Cli::command().term_width(100).max_term_width(100);
    command.build();
    let mut page = HEAD.to_owned();
    section(&command, "tenet", &mut page);
    page
}

fn section(command: &Command, path: &str, page: &mut String) {
    let mut shown = command.clone().bin_name(path);
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## {path}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for inner in command.get_subcommands() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            section(inner, &format!("{path} {}", inner.get_name()), page);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == super::reference(), "run `cargo run -- cli-reference > docs/cli.md`");
    }
}
