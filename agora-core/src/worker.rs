//! The messages between the engine and the worker of one attempt: `task.json` in, `outcome.json` out.
//!
//! Both are strict canonical JSON. The task is complete: the worker never reads the registry, the configuration or the
//! store. The outcome is hostile until the engine has checked it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{Digest, Enc, ItemId, RunId};
use crate::isolation::Isolation;
use crate::registry::{Block, GitMode, PermissionMode, Requirement, Runtime};
use crate::target::{Limits, Profile};
use crate::tree::TreePath;

/// The `format` of `task.json`.
pub const TASK_FORMAT: &str = "agora-task/v1";
/// The `format` of `outcome.json`.
pub const OUTCOME_FORMAT: &str = "agora-outcome/v1";

/// Who an attempt is: what every effect, folder and outcome carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptId {
    /// The run.
    pub run: RunId,
    /// The item.
    pub item: ItemId,
    /// From 1.
    pub attempt: u64,
    /// Rises with every attempt at the item; a lower one changes nothing (I7).
    pub fence: u64,
}

impl AttemptId {
    /// The name of its folder below `attempts/`: 32 hex digits, the first half of the SHA-256 of run, item, attempt and
    /// fence, each on a line. Ids hold no line breaks, so no two attempts can share a text.
    #[must_use]
    pub fn folder_name(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}\n", self.run, self.item, self.attempt, self.fence);
        Digest::of(text.as_bytes()).hex().chars().take(32).collect()
    }
}

/// Bytes by digest and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Their digest.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
}

/// The base tree: blobs of this attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The manifest (`crate::tree`).
    pub manifest: Digest,
    /// The pack with its bytes.
    pub pack: Digest,
}

/// An accepted patch to merge into the start tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whose it is.
    pub item: ItemId,
    /// The patch. Absent: the item changed nothing, and its result tree is its start tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patch: Option<Digest>,
    /// The items, all earlier in the list, whose patches that item's own start tree was merged from, in order.
    pub after: Vec<ItemId>,
    /// The digest of the tree the patch must give when it is applied to that start tree.
    pub result_tree: Digest,
}

/// A capability to lay over the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskCapability {
    /// Its name, for messages.
    pub name: String,
    /// Its manifest; the manifest's files are blobs of this attempt too.
    pub manifest: Digest,
}

/// The program of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRuntime {
    /// Which adapter.
    pub name: Runtime,
    /// Program and arguments of `command`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub argv: Vec<String>,
    /// The model asked for.
    pub model: String,
    /// The agent's own permission system.
    pub permission_mode: PermissionMode,
}

/// What the jail is asked to enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailPolicy {
    /// The profile that the provider chose for this attempt.
    pub profile: Profile,
}

/// `task.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// [`TASK_FORMAT`].
    pub format: String,
    /// Who this is.
    pub attempt: AttemptId,
    /// All that lies in `in/`, each under its digest's hex digits; nothing else there is read.
    pub blobs: Vec<Artifact>,
    /// The base tree. Absent: the item works on an empty folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<Base>,
    /// The accepted patches to merge, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<Change>,
    /// In overlay order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub capabilities: Vec<TaskCapability>,
    /// Key to blob, laid out at `inputs/<key>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub inputs: BTreeMap<String, Digest>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_prompt: Option<Digest>,
    /// What the agent is told, on its standard input.
    pub message: Digest,
    /// The program.
    pub runtime: TaskRuntime,
    /// The plain variables of the env bundles, merged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// The pipeline, `verify` in its place.
    pub blocks: Vec<Block>,
    /// What must be seen before the agent starts.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requires: Vec<Requirement>,
    /// What of git the agent sees.
    #[serde(default)]
    pub git: GitMode,
    /// Whether it is taught to ask.
    pub may_ask: bool,
    /// Whether agent settings changed upstream take effect.
    pub trust_upstream_config: bool,
    /// The jail.
    pub jail: JailPolicy,
    /// What bounds the attempt.
    pub limits: Limits,
    /// Where an earlier attempt stopped to ask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resume: Option<Resume>,
}

/// What the next attempt goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The draft to apply after the baseline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<Digest>,
    /// The answer's text.
    pub answer: Digest,
    /// What the agent wanted to find again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partial_state: Option<Digest>,
}

/// How an attempt ended, as its worker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The agent ended well.
    Done,
    /// It did not.
    Failed,
    /// It asked.
    NeedsInput,
    /// It was stopped.
    Cancelled,
}

/// Why an attempt failed: whose fault it is, and whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// What the item was given does not fit: the caller's.
    Input,
    /// The workspace could not be made ready: the operator's.
    Setup,
    /// Bytes are not what their digest says: the operator's.
    Integrity,
    /// The isolation cannot be had: the operator's.
    Sandbox,
    /// Credentials are missing or refused: the operator's.
    Auth,
    /// The agent's own.
    Agent,
    /// A gate was red: the agent's.
    Verify,
    /// The wall clock: the agent's.
    Timeout,
    /// No output: the agent's.
    Idle,
    /// A provider of models or machines has no room.
    Capacity,
    /// The way out broke, or was misused.
    Egress,
    /// A budget was spent: the caller's.
    Budget,
    /// The worker ended without an outcome.
    Lost,
    /// The provider's own.
    Provider,
    /// Somebody stopped it.
    Cancelled,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = ($text:literal, $class:ident, $again:literal),)*) => {
        /// The reason of a failure, from the closed list of its class (`docs/worker.md`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }
        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The word that records use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// The class it belongs to.
            #[must_use]
            pub fn class(self) -> FailureClass {
                match self { $(Self::$variant => FailureClass::$class,)* }
            }
            /// Whether another attempt may help.
            #[must_use]
            pub fn may_retry(self) -> bool {
                match self { $(Self::$variant => $again,)* }
            }
        }
    };
}

reasons! {
    /// Two patches do not apply together.
    PatchConflict = ("patch-conflict", Input, false),
    /// A product that the upstream item did not make.
    NeedMissing = ("need-missing", Input, false),
    /// An input key that the path policy refuses.
    BadInputKey = ("bad-input-key", Input, false),
    /// Capabilities whose files cannot be merged.
    MergeConflict = ("merge-conflict", Setup, false),
    /// A digest revoked since the run was accepted.
    RegistryRevoked = ("registry-revoked", Setup, false),
    /// A variable that may not be set.
    EnvRefused = ("env-refused", Setup, false),
    /// A requirement is not met.
    ContextUnmet = ("context-unmet", Setup, false),
    /// The runtime's program is not there.
    RuntimeMissing = ("runtime-missing", Setup, false),
    /// The runtime's program is too old.
    RuntimeVersion = ("runtime-version", Setup, false),
    /// The runtime has no model for this level.
    ModelUnmapped = ("model-unmapped", Setup, false),
    /// A setup script ended red.
    SetupFailed = ("setup-failed", Setup, true),
    /// A setup script took too long.
    SetupTimeout = ("setup-timeout", Setup, true),
    /// Bytes do not match their digest.
    DigestMismatch = ("digest-mismatch", Integrity, false),
    /// Bytes are not there.
    BlobMissing = ("blob-missing", Integrity, false),
    /// A patch does not give the recorded tree.
    TreeMismatch = ("tree-mismatch", Integrity, false),
    /// A path that the path policy refuses.
    PathRefused = ("path-refused", Integrity, false),
    /// An outcome that is none, or lies.
    OutcomeInvalid = ("outcome-invalid", Integrity, false),
    /// The isolation of the policy cannot be had here.
    IsolationUnavailable = ("isolation-unavailable", Sandbox, false),
    /// The jail broke while it was made.
    JailFailed = ("jail-failed", Sandbox, false),
    /// A secret is not in the store.
    SecretMissing = ("secret-missing", Auth, false),
    /// A secret is not granted to this target.
    SecretDenied = ("secret-denied", Auth, false),
    /// Credentials were refused.
    CredentialsRejected = ("credentials-rejected", Auth, false),
    /// The agent ended red.
    AgentExit = ("agent-exit", Agent, true),
    /// The agent ended without a result.
    NoResult = ("no-result", Agent, true),
    /// The patch breaks the patch policy.
    PatchRefused = ("patch-refused", Agent, true),
    /// Something in the workspace cannot be read.
    CaptureUnreadable = ("capture-unreadable", Agent, true),
    /// A question that does not follow its form.
    NeedsInputMalformed = ("needs-input-malformed", Agent, true),
    /// Out of memory.
    Memory = ("memory", Agent, true),
    /// Out of disk.
    Disk = ("disk", Agent, true),
    /// Out of processes.
    Pids = ("pids", Agent, true),
    /// A secret of the attempt is in the patch.
    SecretInPatch = ("secret-in-patch", Agent, false),
    /// A gate was red.
    GateFailed = ("gate-failed", Verify, false),
    /// A person rejected it.
    Rejected = ("rejected", Verify, false),
    /// The wall clock ran out.
    Wall = ("wall", Timeout, true),
    /// No output for too long.
    NoOutput = ("no-output", Idle, true),
    /// The model's provider asked to wait.
    RateLimited = ("rate-limited", Capacity, true),
    /// The model's provider is overloaded.
    Overloaded = ("overloaded", Capacity, true),
    /// A quota is used up.
    Quota = ("quota", Capacity, true),
    /// The compute provider has no room.
    NoRoom = ("no-room", Capacity, true),
    /// The broker is gone.
    BrokerLost = ("broker-lost", Egress, true),
    /// Too many bytes through the broker.
    BytesExceeded = ("bytes-exceeded", Egress, false),
    /// A stand-in was used elsewhere.
    Canary = ("canary", Egress, false),
    /// Money.
    Cost = ("cost", Budget, false),
    /// Tokens.
    Tokens = ("tokens", Budget, false),
    /// Turns.
    Turns = ("turns", Budget, false),
    /// The worker ended without an outcome.
    WorkerLost = ("worker-lost", Lost, true),
    /// The provider could not start the attempt.
    LaunchFailed = ("launch-failed", Provider, true),
    /// The image is not there.
    ImageMissing = ("image-missing", Provider, true),
    /// Files did not arrive.
    TransferFailed = ("transfer-failed", Provider, true),
    /// The deadline lies past the transport's expiry.
    TransportExpiry = ("transport-expiry", Provider, true),
    /// Worker and engine speak no common format.
    ProtocolVersion = ("protocol-version", Provider, true),
    /// The worker broke.
    WorkerError = ("worker-error", Provider, true),
    /// The caller stopped it.
    Caller = ("caller", Cancelled, false),
    /// The operator stopped it.
    Operator = ("operator", Cancelled, false),
    /// A policy stopped it.
    Policy = ("policy", Cancelled, false),
    /// The driver shut down.
    Shutdown = ("shutdown", Cancelled, false),
}

/// A failure as the worker reports it. The text in it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The reason's class, repeated for readers.
    pub class: FailureClass,
    /// The reason.
    pub reason: Reason,
    /// For people, at most 4 KiB. Untrusted.
    pub detail: String,
    /// Another attempt not before this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before_ms: Option<u64>,
}

impl Failure {
    /// Makes a failure of this reason.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { class: reason.class(), reason, detail: detail.into(), not_before_ms: None }
    }
}

/// One step of `docs/worker.md`, as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    /// `read-task`, `check-blobs`, `start-tree`, `capabilities`, `inputs`, `environment`, `setup`, `requires`, `baseline`,
    /// `agent`, `capture`, `verify`, `script`, `outputs`.
    pub step: String,
    /// Whether it went well.
    pub ok: bool,
    /// Exit code of the command, if it ran one that exited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<u64>,
    /// Signal that ended the command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<u64>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The patch of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchReport {
    /// Its bytes, in `out/patch`.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
    /// Files it touches.
    pub files: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// The kinds of flag of the patch policy, sorted.
    pub flags: Vec<String>,
}

/// Something that was not captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// How many paths.
    pub count: u64,
    /// The first 20, percent-encoded.
    pub first: Vec<Enc>,
}

/// An output: one regular file below `outputs/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputReport {
    /// Its path below `outputs/`, under the path policy.
    pub path: String,
    /// Its bytes.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
}

/// The worker's own check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyReport {
    /// Whether it passed.
    pub passed: bool,
    /// Exit code, if it exited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<u64>,
    /// How long it took.
    pub duration_ms: u64,
    /// At most 8,000 characters. Untrusted.
    pub text: String,
}

/// What the runtime says it used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Models, as reported.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub models: Vec<String>,
    /// Input tokens, cached ones included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input_tokens: Option<u64>,
    /// Cached input tokens.
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

/// A question of the agent. All of it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// At most 4 KiB.
    pub question: String,
    /// At most 16 of 256 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<String>,
    /// At most 16 KiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context: Option<String>,
    /// At most 1 MiB of JSON; any shape.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partial_state: Option<Value>,
}

/// Whose file lost against whose in the overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlaid {
    /// The path.
    pub path: String,
    /// The capability whose file stands.
    pub winner: String,
    /// `workspace`, or the capability whose file lost.
    pub loser: String,
}

/// The log of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogReport {
    /// Its bytes, in `out/log.jsonl`.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
    /// Bytes of the commands' output that were dropped.
    pub dropped_bytes: u64,
}

/// Who wrote the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerBuild {
    /// The worker's version.
    pub version: String,
}

/// `outcome.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// [`OUTCOME_FORMAT`].
    pub format: String,
    /// Whose it is.
    pub attempt: AttemptId,
    /// The digest of `task.json`.
    pub task: Digest,
    /// How it ended.
    pub status: Status,
    /// Exactly when it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<Failure>,
    /// Each step, in order.
    pub steps: Vec<StepReport>,
    /// The isolation as the worker found it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub isolation: Option<Isolation>,
    /// The tree the item started from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_tree: Option<Digest>,
    /// The tree it left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result_tree: Option<Digest>,
    /// The patch between them. Absent: no difference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patch: Option<PatchReport>,
    /// A patch that no other item sees.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draft: Option<PatchReport>,
    /// What was not captured, by why: `git`, `agora`, `links`, `special`, `capability`, `ignored`, `outputs`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub left_out: BTreeMap<String, LeftOut>,
    /// The outputs, by path; their bytes one after another are `out/outputs.pack`, each distinct blob once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outputs: Vec<OutputReport>,
    /// The worker's own check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify: Option<VerifyReport>,
    /// The agent's last words, at most 8 KiB. Untrusted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// What the runtime says it used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<Usage>,
    /// The question, exactly when the status is `needs_input`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub question: Option<Question>,
    /// Who won in the overlay.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub overlaid: Vec<Overlaid>,
    /// The log.
    pub log: LogReport,
    /// Who wrote this.
    pub worker: WorkerBuild,
}

/// A path of a tree as outcomes, replies and messages show it: every byte outside printable ASCII as `%XX`, so that names
/// that are not UTF-8 stay apart.
#[must_use]
pub fn shown(path: &TreePath) -> Enc {
    Enc::encode_bytes(path.as_bytes())
}
