//! The normalised plan: defaults filled in, `needs` united into `depends_on`, every name and number checked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pattern::Pattern;
use crate::canon::{self, CanonError};
use crate::id::{Digest, ItemId, Name, RunId};
use crate::limits::{ATTEMPTS_DEFAULT, BACKOFF_SECONDS_DEFAULT};
use crate::registry::Model;

/// A plan, normalised. Its own encoding ([`Plan::to_bytes`]) is again a plan, and parses to the same value.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The run's id; absent: the engine mints one.
    pub id: Option<RunId>,
    /// The queue.
    pub queue: Name,
    /// What the items work on. Absent: an empty folder.
    pub workspace: Option<WorkspaceRef>,
    /// Whether the run may be extended until it is closed.
    pub open_ended: bool,
    /// Shown, never used for policy.
    pub labels: BTreeMap<String, String>,
    /// What the whole run may use.
    pub budget: Option<Budget>,
    /// In the order in which they were given.
    pub items: Vec<Item>,
}

impl Plan {
    /// What an extension of its run starts from: its queue, and nothing that was settled when the run was opened.
    pub(super) fn head(&self) -> Self {
        Self {
            id: None,
            queue: self.queue.clone(),
            workspace: None,
            open_ended: self.open_ended,
            labels: BTreeMap::new(),
            budget: None,
            items: Vec::new(),
        }
    }
}

/// A workspace by name, and which of its states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRef {
    /// A registered workspace, or `cwd`.
    pub name: Name,
    /// A revision of its repository.
    pub rev: String,
    /// Whether the working tree is taken instead of the revision.
    pub dirty: bool,
}

/// What a whole run may use; absent means not bounded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Money, in millionths of a US dollar.
    pub microusd: Option<u64>,
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Wall clock from the opening, in milliseconds; whole seconds, which is what plans speak of.
    pub wall_ms: Option<u64>,
}

/// One item of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Unique in the run.
    pub id: ItemId,
    /// A name under `[executors]`, or `dispatch`: it chooses the target. Or `approval`, exactly when the work is one.
    pub executor: Name,
    /// What is to be done.
    pub work: Work,
    /// What must be done before: as given, then the producers of `needs` that were not among them.
    pub depends_on: Vec<ItemId>,
    /// Lock keys, taken all or none.
    pub locks: Vec<String>,
    /// Key to a product of an upstream item, found at `inputs/<key>`.
    pub needs: BTreeMap<String, Need>,
    /// A label for the kind of subagent, shown.
    pub subagent_shape: Option<String>,
    /// Wall clock of one attempt, in seconds.
    pub timeout_seconds: Option<u64>,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// 0 to 9, higher first.
    pub priority: u8,
}

/// What an item asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// A subagent's attempt.
    Dispatch(Box<Inputs>),
    /// A person's decision.
    Approval(Approval),
}

/// What a person is asked to approve or reject: the `inputs` of an item for the executor `approval`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// In the words of whoever wrote the plan.
    pub question: String,
}

impl Approval {
    /// The name of the executor, which no configuration can define.
    pub const EXECUTOR: &'static str = "approval";

    /// The question as it is shown, in the form that agents' questions have: a blob, which `question.asked` names.
    ///
    /// # Errors
    /// [`CanonError`] for a question made by hand that parsing would have refused.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonError> {
        canon::to_bytes(&serde_json::json!({ "question": self.question }))
    }
}

impl Item {
    /// What the subagent is told; absent where none works.
    #[must_use]
    pub fn inputs(&self) -> Option<&Inputs> {
        match &self.work {
            Work::Dispatch(inputs) => Some(inputs),
            Work::Approval(_) => None,
        }
    }

    /// What its end leads to; absent in a queue without a pattern.
    #[must_use]
    pub fn pattern(&self) -> Option<&Pattern> {
        self.inputs().and_then(|inputs| inputs.pattern.as_ref())
    }

    /// What a person is asked; absent where a subagent works.
    #[must_use]
    pub fn approval(&self) -> Option<&Approval> {
        match &self.work {
            Work::Dispatch(_) => None,
            Work::Approval(approval) => Some(approval),
        }
    }
}

/// A product of another item, wired into a named input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Who makes it.
    pub from: ItemId,
    /// Which of its products.
    pub select: Select,
}

/// Which product of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// Its patch.
    Patch,
    /// One of its outputs.
    Output {
        /// The output's path, below `outputs/`.
        path: String,
    },
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: u64,
    /// Wait before the second attempt; each further one waits twice as long.
    pub backoff_seconds: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: ATTEMPTS_DEFAULT, backoff_seconds: BACKOFF_SECONDS_DEFAULT }
    }
}

/// The `inputs` of an item, for the executors that dispatch to a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Who works.
    pub subagent: Name,
    /// What the prompt template sees: any JSON, an empty object unless given.
    pub worker_input: Value,
    /// Env bundles beside the subagent's own.
    pub env: Vec<Name>,
    /// Capabilities instead of the subagent's own.
    pub capabilities: Option<Vec<Name>>,
    /// Capabilities beside the subagent's own.
    pub add_capabilities: Vec<Name>,
    /// Key to content that the plan pins, found at `inputs/<key>`.
    pub input_refs: BTreeMap<String, Digest>,
    /// A pipeline instead of the subagent's own.
    pub pipeline: Option<Name>,
    /// A model instead of the subagent's own.
    pub model: Option<Model>,
    /// Whether the patches of what the item depends on are merged into its workspace; false for
    /// `"workspace": {"apply": "none"}`.
    pub apply_upstream: bool,
    /// What its end leads to, in a queue that has a pattern.
    pub pattern: Option<Pattern>,
}

impl Inputs {
    /// Inputs that name a subagent and nothing else.
    #[must_use]
    pub fn new(subagent: Name) -> Self {
        Self {
            subagent,
            worker_input: Value::Object(serde_json::Map::new()),
            env: Vec::new(),
            capabilities: None,
            add_capabilities: Vec::new(),
            input_refs: BTreeMap::new(),
            pipeline: None,
            model: None,
            apply_upstream: true,
            pattern: None,
        }
    }
}
