//! A plan against registry and configuration: every name exists, nothing is widened (I15), and each item is resolved to
//! the digests it will run with.

use std::collections::BTreeMap;

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Inputs, Item, Plan};
use super::parse::Parsed;
use super::pattern::{Pattern, TemplateAt};
use super::suggest::{listed, shown};
use super::surroundings::Surroundings;
use crate::error::Problem;
use crate::id::{Digest, ItemId, Name};
use crate::limits::WALL_SECONDS_DEFAULT;
use crate::registry::{Model, PermissionMode, Pipeline, Subagent};
use crate::target::Limits;
use crate::template::Template;

/// What an item will run with, from this registry snapshot and configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The item.
    pub item: ItemId,
    /// Where it runs.
    pub target: Name,
    /// Who works.
    pub subagent: (Name, Digest),
    /// Capabilities in overlay order: the subagent's frozen ones, or what the plan says.
    pub capabilities: Vec<(Name, Digest)>,
    /// Env bundles in order, the plan's after the subagent's own.
    pub envs: Vec<(Name, Digest)>,
    /// The pipeline; absent: the default one.
    pub pipeline: Option<(Name, Digest)>,
    /// The model asked for.
    pub model: Model,
    /// The smallest of target, subagent and plan; wall clock is always bounded.
    pub limits: Limits,
}

/// Checks a parsed plan against what it would be bound to, and resolves its items, in plan order; those that are a person's
/// to decide resolve to nothing.
///
/// # Errors
/// Every problem, those of parsing included, in the order of the document.
pub fn check(parsed: &Parsed, surroundings: &Surroundings) -> Result<Vec<Resolved>, Vec<Problem>> {
    let report = Report::with(parsed.problems.clone(), parsed.left_out);
    let plan = &parsed.plan;
    // What patterns will add is checked as it will be, as far as that is known.
    let of_patterns: Vec<Vec<(TemplateAt, Item)>> = plan.items.iter().map(samples).collect();
    let mut check = Check { surroundings, report, templates: BTreeMap::new() };
    check.plan(plan);
    let items = Place::Root.key("items");
    let mut resolved = Vec::with_capacity(plan.items.len());
    let mut pipelines = Vec::with_capacity(plan.items.len());
    for ((item, position), samples) in plan.items.iter().zip(&parsed.positions).zip(&of_patterns) {
        let place = items.index(*position);
        check.report.about(Some(&item.id));
        let (of_item, pipeline) = check.item(item, &place);
        resolved.extend(of_item);
        pipelines.push(pipeline);
        for (at, sample) in samples {
            at.place(&place.key("inputs"), |place| {
                check.item(sample, place);
            });
        }
    }
    check.edge_types(parsed, &pipelines);
    let (problems, _) = check.report.finish();
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// The items that an item's pattern adds, each once, told all that they may be told.
fn samples(item: &Item) -> Vec<(TemplateAt, Item)> {
    let templates = item.pattern().map(Pattern::templates).unwrap_or_default();
    templates.into_iter().map(|(at, template)| (at, template.item(item.id.clone(), Vec::new()).told_all())).collect()
}

/// A check on its way.
pub(super) struct Check<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) report: Report,
    /// Parsed once each; `None` for one that cannot be had.
    pub(super) templates: BTreeMap<Digest, Option<Template>>,
}

/// Names as text.
pub(super) fn texts<'a>(
    names: impl IntoIterator<Item = &'a Name, IntoIter: Clone>,
) -> impl Iterator<Item = &'a str> + Clone {
    names.into_iter().map(Name::as_str)
}

impl<'a> Check<'a> {
    pub(super) fn unknown<'n>(
        &mut self,
        code: Code,
        place: &Place<'_>,
        kind: (&str, &str),
        name: &Name,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        let (one, many) = kind;
        let message = format!("there is no {one} `{name}`");
        self.report.unknown(code, place, message, name.as_str(), (many, known));
    }

    fn plan(&mut self, plan: &Plan) {
        let surroundings = self.surroundings;
        let root = Place::Root;
        if !surroundings.queues.contains(&plan.queue) {
            let known = texts(&surroundings.queues);
            self.unknown(Code::QueueUnknown, &root.key("queue"), ("queue", "queues"), &plan.queue, known);
        }
        if let Some(workspace) = plan.workspace.as_ref().filter(|w| !surroundings.workspaces.contains(&w.name)) {
            let known = texts(&surroundings.workspaces);
            let place = root.key("workspace");
            self.unknown(
                Code::WorkspaceUnknown,
                &place.key("name"),
                ("workspace", "workspaces"),
                &workspace.name,
                known,
            );
        }
    }

    fn item(&mut self, item: &'a Item, place: &Place<'_>) -> (Option<Resolved>, Option<&'a Pipeline>) {
        // A person's decision uses nothing of registry and configuration.
        let Some(wish) = item.inputs() else { return (None, None) };
        let surroundings = self.surroundings;
        let inputs = place.key("inputs");
        let target = self.target(item, place);
        self.refs(wish, &inputs);
        let asked = self.capabilities_asked(wish, &inputs);
        let subagent_name = &wish.subagent;
        let Some((subagent_digest, subagent)) = surroundings.subagents.get(subagent_name) else {
            let known = texts(&surroundings.known.subagents);
            let place = inputs.key("subagent");
            self.unknown(Code::SubagentUnknown, &place, ("subagent", "subagents"), subagent_name, known);
            self.names_alone(wish, &inputs);
            return (None, None);
        };
        if let Some(target) = target {
            self.target_allows(target, subagent, wish, place);
        }
        let capabilities = self.capabilities(wish, subagent, asked, &inputs);
        let envs = self.envs(wish, subagent, &inputs);
        let pipeline = self.pipeline(wish, subagent, &inputs);
        let model = self.model(wish, subagent, &inputs);
        self.template_inputs(wish, subagent, &inputs);
        let resolved = target.and_then(|name| {
            let target = surroundings.targets.get(name)?;
            Some(Resolved {
                item: item.id.clone(),
                target: name.clone(),
                subagent: (subagent_name.clone(), *subagent_digest),
                capabilities,
                envs,
                pipeline: pipeline.map(|(name, digest, _)| (name.clone(), digest)),
                model,
                limits: limits(target.limits, subagent.limits, item.timeout_seconds),
            })
        });
        (resolved, pipeline.map(|(_, _, pipeline)| pipeline))
    }

    /// Content by digest that is not there would fail every attempt before its launch.
    fn refs(&mut self, wish: &Inputs, inputs: &Place<'_>) {
        let place = inputs.key("inputRefs");
        for (key, digest) in wish.input_refs.iter().filter(|(_, at)| self.surroundings.absent.contains(at)) {
            let message = format!("there is no content {digest}");
            let hint = "name the digest of a patch or output of this home, as `result` gives it";
            self.report.refuse(Code::BlobMissing.problem(place.key(key).to_string(), message).hint(hint));
        }
    }

    /// The target of the item's executor, when both are configured.
    fn target(&mut self, item: &Item, place: &Place<'_>) -> Option<&'a Name> {
        let surroundings = self.surroundings;
        let place = place.key("executor");
        let Some(target) = surroundings.executors.get(&item.executor) else {
            let known = texts(surroundings.executors.keys());
            self.unknown(Code::ExecutorUnknown, &place, ("executor", "executors"), &item.executor, known);
            return None;
        };
        if surroundings.targets.contains_key(target) {
            return Some(target);
        }
        let message = format!("executor `{}` leads to target `{target}`, which is not configured", item.executor);
        let hint = format!("an operator adds [targets.{target}] to agora.toml, or mends [executors.{}]", item.executor);
        self.report.refuse(Code::TargetUnknown.problem(place.to_string(), message).hint(hint));
        None
    }

    fn target_allows(&mut self, target: &Name, subagent: &Subagent, wish: &Inputs, place: &Place<'_>) {
        let surroundings = self.surroundings;
        let may = |target: &Name| subagent.targets.iter().any(|allowed| allowed == "*" || allowed == target.as_str());
        let bypasses = subagent.permission_mode == PermissionMode::Bypass;
        let bypass_ok = |target: &Name| !bypasses || surroundings.targets.get(target).is_some_and(|t| t.allow_bypass);
        let name = &wish.subagent;
        let message = if !may(target) {
            format!("subagent `{name}` may not run on target `{target}`")
        } else if !bypass_ok(target) {
            format!("subagent `{name}` runs with permission_mode `bypass`, which target `{target}` does not allow")
        } else {
            return;
        };
        let right = surroundings.executors.iter().filter(|(_, target)| may(target) && bypass_ok(target));
        let right: Vec<&str> = right.map(|(executor, _)| executor.as_str()).collect();
        let hint = if right.is_empty() {
            format!("no executor leads to a target for `{name}`; choose another subagent, or ask the operator")
        } else {
            listed("executors that it may use", right)
        };
        let at = place.key("executor").to_string();
        self.report.refuse(Code::TargetNotAllowed.problem(at, message).hint(hint));
    }

    /// A subagent that names what the registry does not hold is the operator's to mend.
    pub(super) fn dangling(&mut self, place: &Place<'_>, wish: &Inputs, kind: &str, name: &str) {
        let subagent = &wish.subagent;
        let message =
            format!("subagent `{subagent}` names {kind} `{name}`, which the registry does not hold or cannot read");
        let hint = "an operator deploys it again: `agora-admin deploy --from …` puts back what is missing";
        self.report.refuse(Code::RegistryEntry.problem(place.to_string(), message).hint(hint));
    }

    /// With an unknown subagent nothing can be allowed; whether the other names exist can still be said.
    fn names_alone(&mut self, wish: &Inputs, inputs: &Place<'_>) {
        let surroundings = self.surroundings;
        let place = inputs.key("env");
        for (i, name) in wish.env.iter().enumerate().filter(|(_, name)| !surroundings.envs.contains_key(*name)) {
            let known = texts(&surroundings.known.envs);
            self.unknown(Code::EnvUnknown, &place.index(i), ("env bundle", "env bundles"), name, known);
        }
        if let Some(name) = wish.pipeline.as_ref().filter(|name| !surroundings.pipelines.contains_key(*name)) {
            let known = texts(&surroundings.known.pipelines);
            self.unknown(Code::PipelineUnknown, &inputs.key("pipeline"), ("pipeline", "pipelines"), name, known);
        }
    }

    /// The pipeline of an item that was checked when it was added, if it is still there.
    fn pipeline_of(&self, item: &Item) -> Option<&'a Pipeline> {
        let surroundings = self.surroundings;
        let inputs = item.inputs()?;
        let own = || surroundings.subagents.get(&inputs.subagent).and_then(|(_, of)| of.pipeline.as_ref());
        let name = inputs.pipeline.as_ref().or_else(own)?;
        surroundings.pipelines.get(name).map(|(_, pipeline)| pipeline)
    }

    /// Where the producer's pipeline says what it makes and the consumer's what it takes, both must agree.
    fn edge_types(&mut self, parsed: &Parsed, pipelines: &[Option<&Pipeline>]) {
        let mut made: BTreeMap<&str, &str> = BTreeMap::new();
        for item in &parsed.beside {
            if let Some(made_type) = self.pipeline_of(item).and_then(|pipeline| pipeline.output_type.as_deref()) {
                made.insert(item.id.as_str(), made_type);
            }
        }
        for (item, pipeline) in parsed.plan.items.iter().zip(pipelines) {
            if let Some(made_type) = pipeline.and_then(|pipeline| pipeline.output_type.as_deref()) {
                made.insert(item.id.as_str(), made_type);
            }
        }
        let items = Place::Root.key("items");
        for ((item, position), pipeline) in parsed.plan.items.iter().zip(&parsed.positions).zip(pipelines) {
            let Some(pipeline) = pipeline else { continue };
            for (key, need) in &item.needs {
                let Some((takes, makes)) = pipeline.input_types.get(key).zip(made.get(need.from.as_str())) else {
                    continue;
                };
                if takes == makes {
                    continue;
                }
                self.report.about(Some(&item.id));
                let message =
                    format!("takes {} as {}, but {} makes {}", shown(key), shown(takes), need.from, shown(makes));
                let at = items.index(*position).key("needs").key(key).to_string();
                let hint =
                    "take it from an item whose pipeline makes that type, or choose a pipeline that takes the other";
                self.report.refuse(Code::NeedType.problem(at, message).hint(hint));
            }
        }
        self.report.about(None);
    }
}

fn limits(target: Limits, subagent: Limits, timeout_seconds: Option<u64>) -> Limits {
    let plan = Limits { wall_seconds: timeout_seconds, ..Limits::default() };
    let mut limits = target.narrowed_by(subagent).narrowed_by(plan);
    limits.wall_seconds = limits.wall_seconds.or(Some(WALL_SECONDS_DEFAULT));
    limits
}
