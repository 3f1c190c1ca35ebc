//! What a plan is checked against: one registry snapshot and one configuration, as far as the plan names them.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Item, Plan};
use crate::id::{Digest, Name};
use crate::registry::{EnvBundle, Pipeline, Subagent};
use crate::target::Target;

/// Configuration and registry as far as a plan needs them. What is not loaded does not exist for the check.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Executor to target; `dispatch` is among them.
    pub executors: BTreeMap<Name, Name>,
    /// The queues; `default` is among them.
    pub queues: BTreeSet<Name>,
    /// The targets.
    pub targets: BTreeMap<Name, Target>,
    /// The workspaces; `cwd` is among them where it is on.
    pub workspaces: BTreeSet<Name>,
    /// The subagents that [`names`] asks for.
    pub subagents: BTreeMap<Name, (Digest, Subagent)>,
    /// The texts of their templates.
    pub templates: BTreeMap<Digest, String>,
    /// The capabilities that [`names`] asks for: the current digest of each.
    pub capabilities: BTreeMap<Name, Digest>,
    /// The env bundles that [`names`] asks for, and the subagents' own.
    pub envs: BTreeMap<Name, (Digest, EnvBundle)>,
    /// The pipelines that [`names`] asks for, and the subagents' own.
    pub pipelines: BTreeMap<Name, (Digest, Pipeline)>,
    /// Blobs that [`names`] asks for and that are not there.
    pub absent: BTreeSet<Digest>,
    /// Every name there is, for "did you mean".
    pub known: Known,
}

impl Surroundings {
    /// The same for what an open run gets more of: the queue and the workspace that it was accepted with count, whatever
    /// became of the configuration.
    #[must_use]
    pub fn of_run(mut self, run: &Plan) -> Self {
        self.queues.insert(run.queue.clone());
        self.workspaces.extend(run.workspace.iter().map(|workspace| workspace.name.clone()));
        self
    }
}

/// Every name of the registry, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Subagents.
    pub subagents: BTreeSet<Name>,
    /// Capabilities.
    pub capabilities: BTreeSet<Name>,
    /// Env bundles.
    pub envs: BTreeSet<Name>,
    /// Pipelines.
    pub pipelines: BTreeSet<Name>,
}

/// What must be loaded from the registry before a plan can be checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Subagents.
    pub subagents: BTreeSet<Name>,
    /// Capabilities whose current digest is needed; those that a subagent froze are not among them.
    pub capabilities: BTreeSet<Name>,
    /// Env bundles.
    pub envs: BTreeSet<Name>,
    /// Pipelines.
    pub pipelines: BTreeSet<Name>,
    /// Blobs of templates.
    pub templates: BTreeSet<Digest>,
    /// Blobs that items are given by digest: they need only be there.
    pub refs: BTreeSet<Digest>,
}

/// Returns what a plan itself names, its patterns' items included. Its subagents name more: see [`Wanted::and_by`].
#[must_use]
pub fn names(plan: &Plan) -> Wanted {
    let mut wanted = Wanted::default();
    let of_patterns = plan
        .items
        .iter()
        .filter_map(Item::pattern)
        .flat_map(|pattern| pattern.templates().into_iter().filter_map(|(_, template)| template.inputs()));
    for inputs in plan.items.iter().filter_map(Item::inputs).chain(of_patterns) {
        wanted.subagents.insert(inputs.subagent.clone());
        wanted.capabilities.extend(inputs.capabilities.iter().flatten().chain(&inputs.add_capabilities).cloned());
        wanted.envs.extend(inputs.env.iter().cloned());
        wanted.pipelines.extend(inputs.pipeline.clone());
        wanted.refs.extend(inputs.input_refs.values().copied());
    }
    wanted
}

impl Wanted {
    /// Adds what these subagents name: their bundles, their pipeline, their template.
    #[must_use]
    pub fn and_by<'a>(mut self, subagents: impl IntoIterator<Item = &'a Subagent>) -> Self {
        for subagent in subagents {
            self.envs.extend(subagent.env.iter().cloned());
            self.pipelines.extend(subagent.pipeline.clone());
            self.templates.extend(subagent.template);
        }
        self
    }
}
