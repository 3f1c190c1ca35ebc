//! What the axes of a report mean, a line each.

use agora_core::audit::verify::Verdict;
use agora_core::record::RunOutcome;

/// The question that an axis answers.
pub(super) fn question(axis: &str) -> &'static str {
    match axis {
        "integrity" => "Was anything changed, moved, added or dropped since it was signed?",
        "authenticity" => "Whose signatures are these?",
        "tamper" => "Could the holder of the keys have written it all anew?",
        "completeness" => "Is this the whole run? Are all runs here?",
        "time" => "By whose clock?",
        "isolation" => "How was the weakest accepted attempt confined?",
        "credentials" => "Could an agent read a secret?",
        "authorisation" => "Is it recorded what allowed each act?",
        _ => "",
    }
}

/// What a value answers.
pub(super) fn answer(value: &str) -> &'static str {
    match value {
        "broken" => "Yes, or it cannot be told: do not believe what is below.",
        "consistent" => "No: entries, checkpoint, log and statements agree.",
        "self-asserted" => "Those of keys that the installation names itself. Nobody else's word is in it.",
        "key-pinned" => "Those of keys that the given trust policy names.",
        "unproven" => "Nothing is shown about it.",
        "tamper-detecting" => "Yes. Anybody else's change is found.",
        "tamper-evident" => "No: a checkpoint was fetched from where they cannot change it.",
        "open-run" => "No: the run goes on, or was never sealed.",
        "whole-run" => "The run is whole. Other runs are not shown.",
        "whole-log" => "The run and the log are whole. Some other run was never sealed.",
        "all-sealed" => "The run and the log are whole, and each run of the log is sealed.",
        "time-asserted" => "By the clock of the host that wrote it.",
        "time-anchored" => "By the clock of the service that keeps the anchor: sealed no later than it says.",
        "not-isolated" => "Not at all: it could do what the user could who ran agora.",
        "partly-isolated" => "In part: some walls were missing, or some probes failed or were not made.",
        "fully-isolated" => "By all walls of its profile; probes tried them and none failed.",
        "secrets-exposed" => "Yes: a secret was delivered to where it could.",
        "secrets-sealed" => "No secret was delivered to where it could.",
        "not-recorded" => "No: some act of a person, an agent or a schedule does not say.",
        "recorded" => "Yes, of each act of a person, an agent or a schedule.",
        "none" => "There was nothing to judge.",
        _ => "",
    }
}

/// Whether a value is one that a reader has to worry about, or at least to know.
pub(super) fn class(value: &str) -> &'static str {
    match value {
        "broken" | "unproven" => "bad",
        "self-asserted" | "open-run" | "not-isolated" | "partly-isolated" | "secrets-exposed" | "not-recorded" => {
            "warn"
        }
        _ => "plain",
    }
}

/// How a run ended, which is no verdict on its evidence, and the class of that.
pub(super) fn outcome(outcome: Option<RunOutcome>) -> (&'static str, &'static str) {
    match outcome {
        Some(RunOutcome::Done) => ("✓ done", "done"),
        Some(RunOutcome::Failed) => ("✗ failed", "failed"),
        Some(RunOutcome::Cancelled) => ("⊘ cancelled", "cancelled"),
        None => ("▶ not completed yet", "running"),
    }
}

/// The verdict in capitals, its class, and what it says.
pub(super) fn verdict(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Verified => {
            ("VERIFIED", "good", "The evidence holds: no check of it failed, and all that was required is met.")
        }
        Verdict::Failed => {
            ("FAILED", "bad", "A check failed. Do not believe what this page shows before you know why.")
        }
        Verdict::CouldNotCheck => {
            ("COULD NOT CHECK", "warn", "No check failed, and not all that was asked for could be checked.")
        }
    }
}

#[cfg(test)]
mod tests {
    use agora_core::audit::verify::{Axis, NOTHING};

    use super::*;

    #[test]
    fn every_axis_and_every_value_is_explained() {
        for axis in Axis::ALL {
            assert!(!question(axis.as_str()).is_empty(), "{axis:?}");
            for value in axis.values().iter().chain([&NOTHING]) {
                assert!(!answer(value).is_empty(), "{value}");
            }
        }
    }
}
