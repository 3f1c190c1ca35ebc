//! What there is to record of an attempt: `attempt.leased`, `attempt.started`, `attempt.finished`.

use serde::{Deserialize, Serialize};

use super::words::{InputUse, OutcomeWord};
use crate::id::{Digest, Enc, ItemId, Word};
use crate::isolation::Isolation;
use crate::time::Time;
use crate::worker::{Artifact, FailureClass, Reason};

/// An input of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedInput {
    /// What it is.
    #[serde(rename = "use")]
    pub usage: InputUse,
    /// Its digest.
    pub digest: Digest,
    /// Whose product.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub item: Option<ItemId>,
    /// The position of that item's `item.done`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub done: Option<u64>,
    /// The name it has as an input.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Enc>,
    /// The output's path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<Enc>,
}

/// `attempt.leased`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptLeased {
    /// The item.
    pub item: ItemId,
    /// From 1.
    pub attempt: u64,
    /// Above all earlier ones of the item.
    pub fence: u64,
    /// Where it runs.
    pub target: Enc,
    /// The digest of the target's configuration in use.
    pub target_digest: Digest,
    /// The target's provider.
    pub provider: Word,
    /// What the agent is told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<Digest>,
    /// The model asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<Enc>,
    /// What it consumes.
    pub inputs: Vec<UsedInput>,
    /// The lock keys it holds.
    pub locks: Vec<Enc>,
    /// When it must have ended.
    pub deadline: Time,
    /// What it may cost, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reserved_microusd: Option<u64>,
}

/// The worker of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerRef {
    /// Its version.
    pub version: Enc,
    /// The digest of its executable.
    pub digest: Digest,
}

/// A secret of an attempt, never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// Its name.
    pub name: Enc,
    /// `broker`, `file`, `env`.
    pub deliver: Word,
    /// The store's version label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<Enc>,
}

/// `attempt.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptStarted {
    /// The item.
    pub item: ItemId,
    /// Which attempt.
    pub attempt: u64,
    /// Its fence.
    pub fence: u64,
    /// The box's name to the provider.
    pub handle: Enc,
    /// What is enforced.
    pub isolation: Isolation,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<Digest>,
    /// The worker.
    pub worker: WorkerRef,
    /// The digest of `task.json`.
    pub task: Digest,
    /// The secrets.
    pub secrets: Vec<SecretUse>,
}

/// An accepted patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchArtifact {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Files it touches.
    pub files: u64,
    /// Kinds of flag, sorted.
    pub flags: Vec<Word>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputArtifact {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Its path, percent-encoded.
    pub path: Enc,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruncatedArtifact {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Whether something was dropped.
    pub truncated: bool,
}

/// The worker's own check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyFact {
    /// Whether it passed.
    pub passed: bool,
    /// The digest of its report's text.
    pub report: Digest,
}

/// Numbers of use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageCount {
    /// Input tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input_tokens: Option<u64>,
    /// Cached ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached_tokens: Option<u64>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_tokens: Option<u64>,
    /// Cost, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_microusd: Option<u64>,
    /// Turns.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turns: Option<u64>,
}

/// What the broker decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// How many requests were let through.
    pub allowed: u64,
    /// How many were not.
    pub refused: u64,
    /// How many stand-ins were used elsewhere.
    pub canaries: u64,
    /// The broker's records.
    pub records: Digest,
}

/// `attempt.finished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptFinished {
    /// The item.
    pub item: ItemId,
    /// Which attempt.
    pub attempt: u64,
    /// Its fence.
    pub fence: u64,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// From its launch to its end.
    pub duration_ms: u64,
    /// The outputs, ascending by path.
    pub outputs: Vec<OutputArtifact>,
    /// The models, as reported.
    pub models: Vec<Enc>,
    /// Exactly when failed, cancelled or lost.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<FailureClass>,
    /// Exactly when failed, cancelled or lost.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// The agent's exit code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<u64>,
    /// The signal that ended the agent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<u64>,
    /// The tree it started from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_tree: Option<Digest>,
    /// The tree it left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result_tree: Option<Digest>,
    /// The patch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patch: Option<PatchArtifact>,
    /// The draft.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<Artifact>,
    /// The worker's own check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify: Option<VerifyFact>,
    /// As the runtime says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<UsageCount>,
    /// As the broker counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage_broker: Option<UsageCount>,
    /// The log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<TruncatedArtifact>,
    /// The digest of `outcome.json`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<Digest>,
    /// What the broker decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub egress: Option<Egress>,
}

impl AttemptFinished {
    /// One that says whose it is and how it ended, and nothing else.
    #[must_use]
    pub fn new(item: ItemId, attempt: u64, fence: u64, outcome: OutcomeWord) -> Self {
        Self {
            item,
            attempt,
            fence,
            outcome,
            duration_ms: 0,
            outputs: Vec::new(),
            models: Vec::new(),
            class: None,
            reason: None,
            exit_code: None,
            signal: None,
            start_tree: None,
            result_tree: None,
            patch: None,
            draft: None,
            verify: None,
            usage: None,
            usage_broker: None,
            log: None,
            report: None,
            egress: None,
        }
    }
}
