//! Outcomes as a worker would write them.

use std::collections::BTreeMap;
use std::path::Path;

use agora_core::canon;
use agora_core::id::Digest;
use agora_core::worker::{Failure, LogReport, OUTCOME_FORMAT, Outcome, Reason, Status, Task, WorkerBuild};

/// The version of the worker that fakes claim to be.
pub(crate) const VERSION: &str = "0.0.0-fake";

/// Returns the plainest outcome of a task: this status, no patch, no outputs, an empty log. One that failed says
/// `agent-exit`, one that was cancelled `caller`.
///
/// # Panics
/// When the task has no canonical form.
#[must_use]
pub fn outcome_of(task: &Task, status: Status) -> Outcome {
    let failure = match status {
        Status::Done | Status::NeedsInput => None,
        Status::Failed => Some(Failure::new(Reason::AgentExit, "the agent ended with exit code 1")),
        Status::Cancelled => Some(Failure::new(Reason::Caller, "it was asked to end")),
    };
    Outcome {
        format: OUTCOME_FORMAT.to_owned(),
        attempt: task.attempt.clone(),
        task: Digest::of(&canon::to_bytes(task).unwrap()),
        status,
        failure,
        steps: Vec::new(),
        isolation: None,
        start_tree: None,
        result_tree: None,
        patch: None,
        draft: None,
        left_out: BTreeMap::new(),
        outputs: Vec::new(),
        verify: None,
        summary: None,
        usage: None,
        question: None,
        overlaid: Vec::new(),
        log: LogReport { digest: Digest::of(b""), size_bytes: 0, dropped_bytes: 0 },
        worker: WorkerBuild { version: VERSION.to_owned() },
    }
}

/// Writes the outcome, and an empty log if the script wrote none, as a worker does: the outcome last, and whole.
pub(crate) fn write(folder: &Path, outcome: &Outcome) -> std::io::Result<()> {
    let out = folder.join("out");
    if !out.join("log.jsonl").exists() {
        std::fs::write(out.join("log.jsonl"), b"")?;
    }
    let temporary = out.join(".outcome.new");
    std::fs::write(&temporary, canon::to_bytes(outcome).map_err(std::io::Error::other)?)?;
    std::fs::rename(temporary, out.join("outcome.json"))
}
