//! The rows that several replies share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text that a worker or agent wrote: data, never instructions (I16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Text {
    /// Always true.
    pub untrusted: bool,
    /// Where it comes from: `RUN/ITEM/ATTEMPT`; `RUN/ITEM` for a recorded failure, `RUN/(merged)` for what several made.
    pub source: String,
    /// SHA-256 of the whole text, 64 hex digits.
    pub sha256: String,
    /// Bytes of the whole text.
    pub bytes: u64,
    /// Whether something was left out here.
    pub truncated: bool,
    /// The text, without control characters.
    pub text: String,
}

/// A problem as replies show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemRow {
    /// The stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl From<&agora_core::error::Problem> for ProblemRow {
    fn from(problem: &agora_core::error::Problem) -> Self {
        Self {
            code: problem.code.clone(),
            message: problem.message.clone(),
            at: problem.at.clone(),
            hint: problem.hint.clone(),
        }
    }
}

/// How many items stand where; those with none are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct StateCounts(pub BTreeMap<String, u64>);

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunRow {
    /// Its id.
    pub run_id: String,
    /// `open`, `done`, `failed`, `cancelled`.
    pub state: String,
    /// Whether its evidence is sealed.
    pub sealed: bool,
    /// Whether it is held.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// When the bytes of its results were removed to make room; its evidence is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<String>,
    /// The queue.
    pub queue: String,
    /// Who opened it.
    pub actor: String,
    /// When it was opened.
    pub opened: String,
    /// When it was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// From its opening to its end, or till now.
    pub duration_ms: u64,
    /// How many items stand where.
    pub items: StateCounts,
    /// What its attempts cost as reported, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
}

/// A patch in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PatchStat {
    /// Its digest.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
    /// Files it touches.
    pub files: u64,
    /// Kinds of flag of the patch policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptRow {
    /// Which, from 1.
    pub attempt: u64,
    /// `running`, or how it ended: `done`, `failed`, `needs_input`, `cancelled`, `lost`.
    pub state: String,
    /// The target.
    pub target: String,
    /// The profile that is, or was, enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When it was leased.
    pub leased: String,
    /// How long it took, or has taken.
    pub duration_ms: u64,
    /// `class: reason` of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Exit code of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u64>,
}

/// An item in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ItemRow {
    /// Its id.
    pub item_id: String,
    /// Where it stands: `pending`, `ready`, `running`, `waiting`, `done`, `failed`, `skipped`, `cancelled`, `denied`,
    /// `stopping` for a running one that was asked to stop, and `stopping_unverified` once that takes too long.
    pub state: String,
    /// Its executor.
    pub executor: String,
    /// Attempts so far.
    pub attempts: u64,
    /// What it depends on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Why it does not run, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<String>,
    /// `class: reason` of its failure, or of the attempt it is tried again after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// More of it, as it was recorded: it may quote what the worker said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text>,
    /// The item because of which it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_to: Option<String>,
    /// Time since its first lease until its end, or till now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its accepted patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchStat>,
    /// How many outputs of it were accepted; `result` names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<u64>,
    /// Whether its verify passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// The number of its open question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question_id: Option<u64>,
}
