//! Checks that several artifacts share: one line of text, a command, a count.

use std::collections::BTreeSet;

use crate::error::{Class, Problem};

/// Bytes of `about` and of each line of `expects`: one line of a list.
pub const ABOUT_BYTES_MAX: usize = 512;
/// Arguments of one command, the program included.
pub const ARGS_MAX: usize = 256;
/// Bytes of one argument; Linux takes 128 KiB.
pub const ARG_BYTES_MAX: usize = 32 << 10;
/// The longest deadline of a command, in seconds: a day.
pub const COMMAND_SECONDS_MAX: u64 = 86_400;

/// Makes the problem of a count or size over its limit, naming the limit.
#[must_use]
pub fn over(what: &str, limit: &str, max: u64, got: u64) -> Problem {
    Problem::new(Class::Operator, "limit-exceeded", format!("{what} has {got}, over {limit} = {max}"))
        .hint("make it smaller, or split it; this limit is fixed")
}

/// One JSON pointer further (RFC 6901 §3).
pub(super) fn pointer(base: &str, member: &str) -> String {
    format!("{base}/{}", member.replace('~', "~0").replace('/', "~1"))
}

pub(super) fn problem(code: &'static str, at: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem::new(Class::Operator, code, message).at(at)
}

/// The problems of one artifact, as they are found.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn limit(&mut self, at: &str, what: &str, limit: &str, max: usize, got: usize) {
        if got > max {
            self.push(over(what, limit, max as u64, got as u64).at(at));
        }
    }

    /// One line that a list shows: no line breaks, no terminal codes.
    pub(super) fn line(&mut self, at: &str, text: &str) {
        self.limit(at, "the line", "about_bytes_max", ABOUT_BYTES_MAX, text.len());
        if text.chars().any(char::is_control) {
            self.push(
                problem("line-syntax", at, "the line holds a control character or a line break")
                    .hint("write one plain line"),
            );
        }
    }

    pub(super) fn command(&mut self, at: &str, command: &[String]) {
        if command.first().is_none_or(String::is_empty) {
            self.push(
                problem("command-empty", at, "the command names no program").hint("the first element is the program"),
            );
        }
        self.limit(at, "the command", "args_max", ARGS_MAX, command.len());
        for (i, arg) in command.iter().enumerate() {
            let at = format!("{at}/{i}");
            self.limit(&at, "the argument", "arg_bytes_max", ARG_BYTES_MAX, arg.len());
            if arg.contains('\0') {
                self.push(
                    problem("command-syntax", at, "the argument holds a NUL byte").hint("no program can be given one"),
                );
            }
        }
    }

    pub(super) fn deadline(&mut self, at: &str, seconds: u64) {
        if !(1..=COMMAND_SECONDS_MAX).contains(&seconds) {
            let message = format!(
                "a deadline of {seconds} seconds is not within 1 to command_seconds_max = {COMMAND_SECONDS_MAX}"
            );
            self.push(problem("limit-exceeded", at, message).hint("give whole seconds, at most a day"));
        }
    }

    /// Names in a list, each once: in an ordered list the second would silently do nothing.
    pub(super) fn once<'a>(&mut self, at: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (i, name) in names.into_iter().enumerate() {
            if !seen.insert(name) {
                self.push(
                    problem("name-duplicate", format!("{at}/{i}"), format!("{name:?} stands here twice"))
                        .hint("name it once"),
                );
            }
        }
    }
}
