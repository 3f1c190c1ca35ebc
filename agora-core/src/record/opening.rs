//! What opens a run and what it consists of: `run.opened`, `items.added`, `run.logged`.

use serde::{Deserialize, Serialize};

use super::words::{GrowthCause, InputUse};
use crate::id::{Digest, Enc, Hash, ItemId, Word};

/// The registry snapshot a run is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryRef {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
    /// The digest of its signed note.
    pub note: Digest,
}

/// A target as it was configured when the run was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRef {
    /// Its name.
    pub name: Enc,
    /// Its provider.
    pub provider: Word,
    /// The digest of its configuration.
    pub digest: Digest,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<Digest>,
}

/// The base tree of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRef {
    /// The workspace's name.
    pub workspace: Enc,
    /// The tree's digest.
    pub tree: Digest,
    /// The commit it was read from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<Enc>,
    /// Whether it is the working tree instead.
    pub dirty: bool,
}

/// The budget of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRef {
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub microusd: Option<u64>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<u64>,
    /// Milliseconds from the opening.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall_ms: Option<u64>,
}

/// `run.opened`: always entry 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOpened {
    /// The log's origin.
    pub log: Enc,
    /// The position of this run's `run.opened` in the log.
    pub log_seq: u64,
    /// The digest of the normalised plan.
    pub plan: Digest,
    /// The queue.
    pub queue: Enc,
    /// The registry snapshot.
    pub registry: RegistryRef,
    /// The targets that its items may run on.
    pub targets: Vec<TargetRef>,
    /// The digest of the tools' list, when it came through a tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tools: Option<Digest>,
    /// The version of agora.
    pub agora: Enc,
    /// Whether it may be extended.
    pub open_ended: bool,
    /// The base tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<BaseRef>,
    /// The budget.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub budget: Option<BudgetRef>,
    /// How long evidence is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retain_days: Option<u64>,
}

/// Something resolved from the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRef {
    /// `capability`, `subagent`, `env`, `pipeline`.
    pub kind: Word,
    /// Its name.
    pub name: Enc,
    /// Its digest.
    pub digest: Digest,
}

/// A product of another item that an item asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddedNeed {
    /// The name of the input.
    pub key: Enc,
    /// Whose product.
    pub item: ItemId,
    /// `patch` or `output`.
    #[serde(rename = "use")]
    pub usage: InputUse,
    /// The output's path, percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<Enc>,
}

/// One item of `items.added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddedItem {
    /// Its id.
    pub id: ItemId,
    /// The digest of the normalised item.
    pub digest: Digest,
    /// Its executor.
    pub executor: Enc,
    /// What it depends on.
    pub depends_on: Vec<ItemId>,
    /// The products it asks for.
    pub needs: Vec<AddedNeed>,
    /// Its lock keys, percent-encoded.
    pub locks: Vec<Enc>,
    /// Which of `resolved` it uses.
    pub uses: Vec<u64>,
}

/// `items.added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Added {
    /// Why.
    pub cause: GrowthCause,
    /// What made them grow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Enc>,
    /// From the registry.
    pub resolved: Vec<NamedRef>,
    /// The items, in plan order.
    pub items: Vec<AddedItem>,
}

/// `run.logged`: a log checkpoint that covers the opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPlace {
    /// The log's size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// What follows the key name in the note.
    pub sig: String,
}
