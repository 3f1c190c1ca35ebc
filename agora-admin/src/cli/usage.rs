//! A command line that cannot be read, as an error like all others: what failed, why, and what to do.

use std::ffi::OsString;

use agora_core::error::{Class, Problem, nearest};
use clap::error::{ContextKind, ContextValue};

use crate::error::Failure;
use crate::output::Format;

/// Makes an error of clap's text: its first paragraph, its tip, its usage line.
pub(crate) fn failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first).split_whitespace().collect::<Vec<_>>().join(" ");
    let line = |start: &str| text.lines().find_map(|line| line.trim().strip_prefix(start).map(str::to_owned));
    let tip = nearest_verb(error).or_else(|| line("tip: "));
    let usage = line("Usage: ").map(|usage| format!("usage: {usage}"));
    let hint = tip.or(usage).unwrap_or_else(|| "the same with --help shows what it takes".to_owned());
    Failure::one("read the command line", Problem::new(Class::Caller, "usage", message).hint(hint))
}

/// Clap offers every verb that is somewhat like what was typed; one slip of the pen means one of them.
fn nearest_verb(error: &clap::Error) -> Option<String> {
    let (Some(ContextValue::String(given)), Some(ContextValue::Strings(known))) =
        (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::SuggestedSubcommand))
    else {
        return None;
    };
    nearest(given, known.iter().map(String::as_str)).map(|near| format!("did you mean '{near}'?"))
}

/// The format that a command line asks for, even if the rest of it cannot be read.
pub(crate) fn format(arguments: &[OsString]) -> Format {
    let json = arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
        || arguments.iter().any(|argument| argument == "--format=json");
    if json { Format::Json } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn said(arguments: &[&str]) -> (String, String) {
        let error = Cli::try_parse_from(std::iter::once("agora-admin").chain(arguments.iter().copied())).unwrap_err();
        let problem = failure(&error).problems.remove(0);
        (problem.message, problem.hint.unwrap())
    }

    #[test]
    fn a_slip_gets_the_nearest_name() {
        let (message, hint) = said(&["sumbit", "plan.json"]);
        assert!(message.contains("'sumbit'"), "{message}");
        assert_eq!(hint, "did you mean 'submit'?");
        let (message, hint) = said(&["submit", "plan.json", "--wtach"]);
        assert!(message.contains("'--wtach'") && hint.contains("'--watch'"), "{message} {hint}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_usage() {
        let (message, hint) = said(&["submit"]);
        assert!(message.ends_with("<PLAN>"), "{message}");
        assert!(hint.starts_with("usage: agora-admin submit"), "{hint}");
    }

    #[test]
    fn the_format_is_known_before_the_rest() {
        let of = |arguments: &[&str]| format(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["x", "--format", "json", "sumbit"]), Format::Json);
        assert_eq!(of(&["x", "--format=json"]), Format::Json);
        assert_eq!(of(&["x", "--format", "text"]), Format::Text);
    }
}
