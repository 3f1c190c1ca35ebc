//! Runtime adapters: how an agent's program is started and what its output means. One pure file each.
//!
//! An adapter is given the task and hands back what to start and a reader of what it prints; it touches no file, clock or
//! process. A new one is a file here and a line in [`adapter`].

mod command;

use std::collections::BTreeMap;

use agora_core::registry::Runtime;
use agora_core::worker::{Failure, Reason, TaskRuntime, Usage};

use crate::failure::fail;

/// Longest summary in bytes: the agent's last words, read in a list of items.
pub(crate) const SUMMARY_BYTES_MAX: usize = 8 << 10;

/// What an adapter is told.
pub(crate) struct Given<'a> {
    /// The program, as the task names it.
    pub(crate) runtime: &'a TaskRuntime,
    /// What the agent is told.
    pub(crate) message: &'a [u8],
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Variables of the adapter's own, over those of the bundles.
    pub(crate) env: BTreeMap<String, String>,
    /// The program's standard input.
    pub(crate) stdin: Vec<u8>,
}

/// What the program said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Its last words.
    pub(crate) summary: Option<String>,
    /// What it says it used.
    pub(crate) usage: Option<Usage>,
    /// A failure that only its own output tells.
    pub(crate) failure: Option<Failure>,
}

/// How one runtime is driven.
pub(crate) trait Adapter {
    /// What to start.
    fn start(&self, given: &Given<'_>) -> Result<Start, Failure>;
    /// A reader of one block's standard output.
    fn reader(&self) -> Box<dyn Reader>;
    /// Further files that are merged as JSON in the overlay, beside the table's.
    fn merged_files(&self) -> &'static [&'static str];
}

/// Reads what the program prints, as it prints it.
pub(crate) trait Reader {
    /// The next bytes of standard output.
    fn stdout(&mut self, bytes: &[u8]);
    /// All of it came.
    fn end(self: Box<Self>) -> Said;
}

/// The adapter of a runtime.
pub(crate) fn adapter(runtime: Runtime) -> Result<&'static dyn Adapter, Failure> {
    match runtime {
        Runtime::Command => Ok(&command::Command),
        Runtime::ClaudeCode | Runtime::Codex | Runtime::Cursor | Runtime::Gemini => Err(fail(
            Reason::RuntimeMissing,
            format!("this worker has no adapter for the runtime {}; it has: command", runtime.as_str()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_without_an_adapter_is_named_and_command_has_one() {
        assert!(adapter(Runtime::Command).is_ok());
        let Err(failure) = adapter(Runtime::Codex) else { panic!("codex has no adapter yet") };
        assert_eq!(failure.reason, Reason::RuntimeMissing);
        assert!(failure.detail.contains("codex"));
    }
}
