//! The one map from agora's errors to exit codes, and what an error says: what failed, why, and what to do.

use agora_core::error::{Class, Problem};
use agora_engine::operations::OpError;
use serde::Serialize;

use crate::cli::tool;

/// The exit codes: a public contract (`docs/admin.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// The work failed: a failed run, a failed check.
    Failed = 1,
    /// It could not be told.
    Untold = 2,
    /// The time to wait ran out.
    TimedOut = 3,
    /// What was named is not there.
    Missing = 4,
    /// Store or driver are not available.
    Unavailable = 5,
    /// Wrong arguments or configuration.
    Wrong = 6,
    /// A broken promise of agora itself.
    Internal = 7,
    /// Somebody has to answer first.
    Question = 8,
    /// A stop could not be verified.
    StopUnverified = 9,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// By code where the contract names one, else by class; never by text.
    fn of(problem: &Problem) -> Self {
        if problem.code == "stop-unverified" {
            return Self::StopUnverified;
        }
        if problem.code == "run-not-sealed" {
            return Self::Untold;
        }
        if problem.code == "home-missing" || problem.code.starts_with("store-") {
            return Self::Unavailable;
        }
        match problem.class {
            Class::Caller | Class::Operator => Self::Wrong,
            Class::Missing => Self::Missing,
            Class::Later => Self::Unavailable,
            Class::Bug => Self::Internal,
        }
    }
}

/// Why a verb did not do what was asked.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What was being done, fit to follow "failed to".
    pub(crate) doing: String,
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

/// What a program is told of a failure.
#[derive(Debug, Serialize)]
pub(crate) struct FailureReply<'a> {
    /// What failed.
    failed_to: &'a str,
    /// The exit code.
    exit_code: u8,
    /// Whether the same call may work later.
    retryable: bool,
    /// Every problem.
    problems: &'a [Problem],
}

impl Failure {
    /// Makes one of a single problem.
    pub(crate) fn one(doing: impl Into<String>, problem: Problem) -> Self {
        Self { doing: doing.into(), problems: vec![problem] }
    }

    /// Makes one of all that is wrong.
    pub(crate) fn all(doing: impl Into<String>, problems: Vec<Problem>) -> Self {
        let doing = doing.into();
        if problems.is_empty() {
            return Self::one(doing, Problem::new(Class::Bug, "internal", "an error without a cause"));
        }
        Self { doing, problems }
    }

    /// The exit code: that of the first problem.
    pub(crate) fn exit(&self) -> Exit {
        self.problems.first().map_or(Exit::Internal, Exit::of)
    }

    /// The same as data.
    pub(crate) fn reply(&self) -> FailureReply<'_> {
        FailureReply {
            failed_to: &self.doing,
            exit_code: self.exit().code(),
            retryable: self.problems.first().is_some_and(|problem| problem.class == Class::Later),
            problems: &self.problems,
        }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    /// Adds it to an error; the words follow "failed to". Its hints name verbs, not tools.
    fn doing(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<OpError>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut problems = error.into().problems;
            for hint in problems.iter_mut().filter_map(|problem| problem.hint.as_mut()) {
                *hint = tool::in_verbs(hint);
            }
            Failure::all(what, problems)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(class: Class, code: &'static str) -> u8 {
        Failure::one("x", Problem::new(class, code, "m")).exit().code()
    }

    #[test]
    fn every_class_and_every_named_code_has_its_exit_code() {
        assert_eq!(exit(Class::Caller, "plan-cycle"), 6);
        assert_eq!(exit(Class::Operator, "config-key"), 6);
        assert_eq!(exit(Class::Missing, "run-unknown"), 4);
        assert_eq!(exit(Class::Later, "disk-full"), 5);
        assert_eq!(exit(Class::Operator, "store-newer"), 5);
        assert_eq!(exit(Class::Operator, "home-missing"), 5);
        assert_eq!(exit(Class::Bug, "internal"), 7);
        assert_eq!(exit(Class::Later, "stop-unverified"), 9);
    }

    #[test]
    fn a_failure_is_never_without_a_problem() {
        let failure = Failure::all("x", Vec::new());
        assert_eq!((failure.problems.len(), failure.exit()), (1, Exit::Internal));
    }
}
