//! The four kinds of artifact. Each is one strict canonical JSON object; its digest is over exactly those bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Name};
use crate::target::Limits;

/// The mode of a capability's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileMode {
    /// Not executable.
    #[serde(rename = "0644")]
    File,
    /// The owner may execute it.
    #[serde(rename = "0755")]
    Exec,
}

/// One file of a capability; its bytes are a blob of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityFile {
    /// Its mode.
    pub mode: FileMode,
    /// Its path under the path policy.
    pub path: String,
    /// SHA-256 of its bytes, 64 hex digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A named tree of files laid over the workspace (`docs/registry.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// `agora-capability/v1`.
    pub format: String,
    /// One line for the catalog.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// Patterns of the credential scanner that this capability may contain.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed_patterns: Vec<String>,
    /// Sorted by the bytes of the path.
    pub files: Vec<CapabilityFile>,
}

/// What program works on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// The subagent's own `argv`.
    Command,
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Cursor's agent.
    Cursor,
    /// Gemini's command line.
    Gemini,
}

impl Runtime {
    /// Every runtime.
    pub const ALL: &'static [Self] = &[Self::Command, Self::ClaudeCode, Self::Codex, Self::Cursor, Self::Gemini];

    /// The word that registry, task and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Cursor => "cursor",
            Self::Gemini => "gemini",
        }
    }
}

/// How strong a model an item wants: a level, or a provider's own id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Model(pub String);

impl Default for Model {
    fn default() -> Self {
        Self("standard".to_owned())
    }
}

impl Model {
    /// The rank of a level (`fast` 0, `standard` 1, `max` 2); `None` for a provider's id.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        match self.0.as_str() {
            "fast" => Some(0),
            "standard" => Some(1),
            "max" => Some(2),
            _ => None,
        }
    }
}

/// A capability as a subagent holds it: the name is for people, the digest is what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityRef {
    /// The capability's name.
    pub name: Name,
    /// Its manifest's digest, frozen.
    pub digest: Digest,
}

/// The worker's own check after the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyCommand {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its deadline in seconds; 600 unless said.
    #[serde(default = "ten_minutes")]
    pub timeout_seconds: u64,
}

fn ten_minutes() -> u64 {
    600
}

/// What a requirement on git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitNeed {
    /// A repository in the workspace.
    Worktree,
    /// A repository with at least one commit.
    History,
}

/// What must be seen before the agent starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    /// At least `min` paths of the workspace match the glob.
    Paths {
        /// The glob.
        glob: String,
        /// How many at least; 1 unless said.
        #[serde(default = "one")]
        min: u64,
    },
    /// A program of this name in the agent's PATH.
    Exec {
        /// The program's name.
        bin: String,
    },
    /// A git repository in the workspace.
    Git {
        /// What of it.
        needs: GitNeed,
    },
}

fn one() -> u64 {
    1
}

/// The agent's *own* permission system; neither changes the jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionMode {
    /// Kept.
    #[default]
    Strict,
    /// Switched off.
    Bypass,
}

/// What of git the agent sees in its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitMode {
    /// Nothing.
    #[default]
    None,
    /// A throw-away repository that only the agent reads.
    Snapshot,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who works (`docs/registry.md`). A member at its default is absent from the bytes, so each content has one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subagent {
    /// `agora-subagent/v1`.
    pub format: String,
    /// One line for the catalog.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// The inputs it wants: name to one line about it. Absent: the template's variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub expects: BTreeMap<String, String>,
    /// The program.
    pub runtime: Runtime,
    /// Program and arguments of the runtime `command`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub argv: Vec<String>,
    /// Passed to the agent as it is; a blob.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_prompt: Option<Digest>,
    /// Makes the message; a blob.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<Digest>,
    /// The model.
    #[serde(skip_serializing_if = "is_default", default)]
    pub model: Model,
    /// What a plan may say instead. Absent: the same level or a lower one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub models: Option<Vec<Model>>,
    /// The capabilities, in overlay order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub capabilities: Vec<CapabilityRef>,
    /// Bundles always applied, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub env: Vec<Name>,
    /// Bundles a plan may add.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub may_add_env: Vec<Name>,
    /// The default pipeline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pipeline: Option<Name>,
    /// Pipelines a plan may choose.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub may_use_pipelines: Vec<Name>,
    /// The worker's own check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify: Option<VerifyCommand>,
    /// What must be seen before the agent starts.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requires: Vec<Requirement>,
    /// The targets it may run on; `*` stands for any and must be written out.
    pub targets: Vec<String>,
    /// The agent's own permission system.
    #[serde(skip_serializing_if = "is_default", default)]
    pub permission_mode: PermissionMode,
    /// What of git the agent sees.
    #[serde(skip_serializing_if = "is_default", default)]
    pub git: GitMode,
    /// Whether it is taught to ask and stop.
    #[serde(skip_serializing_if = "is_true", default = "yes")]
    pub may_ask: bool,
    /// Whether agent settings changed by upstream patches take effect.
    #[serde(skip_serializing_if = "is_false", default)]
    pub trust_upstream_config: bool,
    /// What bounds it.
    #[serde(skip_serializing_if = "is_default", default)]
    pub limits: Limits,
}

/// How a secret reaches an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The broker alone holds it.
    Broker,
    /// A file in memory of the agent's uid.
    File,
    /// The environment variable itself.
    Env,
}

/// A part of an attempt that a secret may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretStep {
    /// The agent.
    Agent,
    /// The capabilities' setup scripts.
    Setup,
    /// The worker's own check.
    Verify,
}

/// The one way out on which the broker sets a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRoute {
    /// The host.
    pub host: String,
    /// Its port; 443 unless said.
    #[serde(skip_serializing_if = "is_https", default = "https")]
    pub port: u16,
    /// HTTP methods. Absent: any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub methods: Vec<String>,
    /// Prefixes of the path. Absent: any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub paths: Vec<String>,
    /// The header that is set, `{}` standing for the value.
    pub header: String,
}

fn https() -> u16 {
    443
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_https(port: &u16) -> bool {
    *port == https()
}

fn agent_alone() -> Vec<SecretStep> {
    vec![SecretStep::Agent]
}

fn is_agent_alone(steps: &Vec<SecretStep>) -> bool {
    *steps == agent_alone()
}

/// A reference to a secret, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The secret's name in the secret store.
    pub secret: Name,
    /// How it is delivered.
    pub deliver: Delivery,
    /// The parts of an attempt it may reach; the agent alone unless said.
    #[serde(skip_serializing_if = "is_agent_alone", default = "agent_alone")]
    pub steps: Vec<SecretStep>,
    /// Where the broker sets it; exactly when the broker delivers it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub route: Option<SecretRoute>,
    /// A variable that receives the broker's address for the route.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base_url_var: Option<String>,
}

/// Variables, and references to secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvBundle {
    /// `agora-env/v1`.
    pub format: String,
    /// One line for the catalog.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// Variable to plain value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub values: BTreeMap<String, String>,
    /// Variable to reference.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub secrets: BTreeMap<String, SecretRef>,
}

/// What a script of a pipeline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lens {
    /// A red one ends the attempt as failed.
    Gate,
    /// A red one is only reported.
    Verify,
}

/// What a capture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The tree difference.
    Patch,
    /// The files below `outputs/`.
    Outputs,
}

/// One block of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// The subagent's program.
    Agent,
    /// A command.
    Script {
        /// Program and arguments.
        command: Vec<String>,
        /// Its deadline in seconds; 600 unless said.
        #[serde(default = "ten_minutes")]
        timeout_seconds: u64,
        /// What its exit code means.
        lens: Lens,
    },
    /// A capture.
    Capture {
        /// Of what.
        what: Capture,
    },
}

/// The blocks of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// `agora-pipeline/v1`.
    pub format: String,
    /// One line for the catalog.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// In order; sealing is implicit and last.
    pub blocks: Vec<Block>,
    /// Type of what it makes, for the edges that plans type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_type: Option<String>,
    /// Input key to type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub input_types: BTreeMap<String, String>,
}

/// The blocks of an attempt whose subagent names no pipeline: agent, capture of the patch, the subagent's own check if
/// it has one, capture of the outputs.
#[must_use]
pub fn default_blocks(verify: Option<&VerifyCommand>) -> Vec<Block> {
    let check = verify.map(|verify| Block::Script {
        command: verify.command.clone(),
        timeout_seconds: verify.timeout_seconds,
        lens: Lens::Verify,
    });
    [Block::Agent, Block::Capture { what: Capture::Patch }]
        .into_iter()
        .chain(check)
        .chain([Block::Capture { what: Capture::Outputs }])
        .collect()
}
