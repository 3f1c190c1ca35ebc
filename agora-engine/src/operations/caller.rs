//! Who calls an operation, and what it is told when it cannot be done.

use std::path::PathBuf;

use agora_core::error::{Class, Coded, Problem};
use agora_core::id::{Actor, Digest, Enc, Word};
use agora_core::record::CancelVia;

/// Who calls. Made by the edge from what it knows, never from what the caller says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// `human:NAME`, `agent:NAME` or `schedule:NAME`.
    pub actor: Actor,
    /// How that was established: `os-user`, `mcp-stdio` or `schedule`.
    pub how: Word,
    /// The rule that allows it: `owner` for who owns the home.
    pub rule: Enc,
    /// Through what it came.
    pub via: CancelVia,
    /// The folder that the workspace `cwd` stands for.
    pub cwd: Option<PathBuf>,
    /// The digest of the tools' list, for tools.
    pub tools: Option<Digest>,
    /// Whether runs of other actors are seen and acted on: the operator's command line.
    pub all_runs: bool,
}

/// Why an operation was not done: one problem or, for a plan, all of them.
#[derive(Debug, Clone)]
pub struct OpError {
    /// At least one; the first is the one to show when there is room for one.
    pub problems: Vec<Problem>,
}

impl OpError {
    /// Makes one of a single problem.
    #[must_use]
    pub fn one(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }

    /// The first problem.
    #[must_use]
    pub fn first(&self) -> Problem {
        self.problems
            .first()
            .cloned()
            .unwrap_or_else(|| Problem::new(Class::Bug, "internal", "an error without a cause"))
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.first().class == Class::Later
    }
}

impl std::fmt::Display for OpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.first(), f)
    }
}

impl std::error::Error for OpError {}

impl<E: Coded> From<E> for OpError {
    fn from(error: E) -> Self {
        Self::one(error.problem())
    }
}
