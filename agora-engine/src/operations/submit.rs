//! `submit`: a plan is checked whole and accepted, or refused with every error at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::ProblemRow;

/// The arguments of `submit`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitArgs {
    /// The plan: {"items": [{"id", "inputs": {"subagent", "workerInput"}, "depends_on"?, "resourceLocks"?, …}], "queue"?, "workspace"?, "openEnded"?, …}. An item {"id", "executor": "approval", "inputs": {"question"}} waits for a person.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub plan: Option<Value>,
    /// Instead of a plan: more items for a run whose plan has "openEnded": true.
    #[serde(default)]
    pub extend: Option<ExtendArg>,
    /// With extend: the run takes nothing more, and ends when every item has.
    #[serde(default)]
    pub close: Option<bool>,
    /// Only check: nothing is stored.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// The same id and plan give the first answer again.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// A run, and what it is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ExtendArg {
    /// The run's whole id.
    pub run_id: String,
    /// Items as in a plan; they may depend on items of the run. Those that it has already are skipped.
    #[serde(default)]
    #[schemars(with = "Option<Vec<BTreeMap<String, Value>>>")]
    pub items: Option<Vec<Value>>,
}

/// A workspace, as `dispatch` takes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct WorkspaceArg {
    /// A registered workspace, or `cwd`.
    pub name: String,
    /// A revision of its repository; HEAD unless said.
    #[serde(default)]
    pub rev: Option<String>,
    /// The working tree instead of a revision.
    #[serde(default)]
    pub dirty: Option<bool>,
}

/// An item with everything resolved, of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedRow {
    /// The item.
    pub item_id: String,
    /// Where it would run.
    pub target: String,
    /// The model.
    pub model: String,
    /// `kind/name` to digest.
    pub uses: BTreeMap<String, String>,
}

/// What a dry run finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DryRun {
    /// The digest of the normalised plan.
    pub plan_digest: String,
    /// The normalised plan.
    pub plan: BTreeMap<String, Value>,
    /// The items in layers: each needs only earlier ones.
    pub layers: Vec<Vec<String>>,
    /// The longest chain.
    pub critical_path: Vec<String>,
    /// Lock key to the items that contend for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub contention: BTreeMap<String, Vec<String>>,
    /// Each item, resolved.
    pub resolved: Vec<ResolvedRow>,
}

/// The reply of `submit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitReply {
    /// The run. Absent in a dry run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run_id: Option<String>,
    /// `open`, or how it ended; `valid` in a dry run.
    pub state: String,
    /// Whether this is the answer to an earlier, equal call.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub deduplicated: bool,
    /// How many items the run has.
    pub items: u64,
    /// How many layers; of an extension, those of the new items.
    pub layers: u64,
    /// Of an extension: how many of its items were new.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub added: Option<u64>,
    /// Of an extension: whether it closed the run.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub closed: bool,
    /// What was ignored.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<ProblemRow>,
    /// The registry version it is bound to.
    pub registry_version: u64,
    /// Of a dry run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dry_run: Option<DryRun>,
    /// What to call next.
    pub next: String,
}
