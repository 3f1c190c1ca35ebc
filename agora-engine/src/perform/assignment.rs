//! All that one attempt is told, made from the state and the run's context, before anything is performed.

use std::collections::BTreeMap;

use agora_core::decide::LeaseTerms;
use agora_core::id::{Digest, Enc, Word};
use agora_core::record::InputUse;
use agora_core::registry::{Block, Lens, default_blocks};
use agora_core::state::{ItemState, Rule, RunState};
use agora_core::target::{Limits, Target};
use agora_core::template::{AgoraVars, Template, add_answer, message_without_template};
use agora_core::time::Time;
use agora_core::worker::{AttemptId, Base, Change, Failure, Reason, Resume, TaskCapability};
use serde_json::Value;

use super::context::{ItemContext, RunContext};
use crate::config::Config;
use crate::journal::RunMeta;

/// Wall clock of an attempt where neither plan, subagent nor target says one, in seconds: two hours.
const WALL_SECONDS: u64 = 7_200;
/// What the steps around the agent may take beside its wall clock, in seconds, before the engine steps in.
const AROUND_SECONDS: u64 = 1_800;

/// An attempt to launch, or to wait for.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// Whose it is.
    pub(crate) attempt: AttemptId,
    /// Where it runs.
    pub(crate) target: Target,
    /// When it must have ended.
    pub(crate) deadline: Time,
    /// When it was leased.
    pub(crate) leased_at: Time,
    /// The box that runs it already.
    pub(crate) handle: Option<Enc>,
    /// Whether it was asked to stop before it started.
    pub(crate) stopping: bool,
    /// What it is told, or why it fails before it starts.
    pub(crate) content: Result<Box<Content>, Failure>,
    /// Whether each of its outputs becomes an item: none may be left out then.
    pub(crate) splits: bool,
}

/// What an attempt is told.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// Who works, and with what.
    pub(crate) item: ItemContext,
    /// The message.
    pub(crate) message: Vec<u8>,
    /// The base tree.
    pub(crate) base: Option<Base>,
    /// The merges that make the start tree.
    pub(crate) changes: Vec<Change>,
    /// Input key to blob.
    pub(crate) inputs: BTreeMap<String, Digest>,
    /// The model.
    pub(crate) model: String,
    /// The blocks.
    pub(crate) blocks: Vec<Block>,
    /// What bounds it.
    pub(crate) limits: Limits,
    /// Where it goes on.
    pub(crate) resume: Option<Resume>,
    /// What it wanted to find again, as canonical JSON.
    pub(crate) state: Option<Vec<u8>>,
}

/// The capabilities as the task names them.
pub(crate) fn task_capabilities(item: &ItemContext) -> Vec<TaskCapability> {
    item.capabilities
        .iter()
        .map(|(name, manifest, _)| TaskCapability { name: name.clone(), manifest: *manifest })
        .collect()
}

fn limits(plan_item: &agora_core::plan::Item, target: &Target, item: &ItemContext) -> Limits {
    let plan = Limits { wall_seconds: plan_item.timeout_seconds, ..Limits::default() };
    let mut limits = target.limits.narrowed_by(item.subagent.limits).narrowed_by(plan);
    limits.wall_seconds.get_or_insert(WALL_SECONDS);
    limits
}

/// What the lease of an item says beside the state.
pub(crate) fn terms(
    config: &Config,
    run: &RunState,
    ix: usize,
    meta: &RunMeta,
    context: Option<&RunContext>,
    target: &Enc,
) -> Option<LeaseTerms> {
    let item = &run.items[ix];
    let (name, found) = config.targets.iter().find(|(name, _)| name.as_str() == target.as_str())?;
    let plan_item = meta.plan_item(ix)?;
    let content = context.map(|context| (context, context.item(&item.uses)));
    let message = content.as_ref().and_then(|(context, content)| {
        let content = content.as_ref().ok()?;
        let text = message(run, item, item.attempts + 1, plan_item, content, context).ok()?;
        Some(Digest::of(text.as_bytes()))
    });
    let wall = match content.as_ref().map(|(_, content)| content) {
        Some(Ok(content)) => limits(plan_item, found, content).wall_seconds.unwrap_or(WALL_SECONDS),
        _ => WALL_SECONDS,
    };
    Some(LeaseTerms {
        target: target.clone(),
        target_digest: config.target_digest(name)?,
        provider: Word::new(found.provider.as_str()).ok()?,
        message,
        deadline_ms: wall.saturating_add(AROUND_SECONDS).saturating_mul(1000),
        refused: None,
    })
}

/// The keys under which an item's inputs lie, with their digests, as its lease names them.
fn inputs(item: &ItemState) -> BTreeMap<String, Digest> {
    let Some(lease) = &item.lease else { return BTreeMap::new() };
    lease
        .inputs
        .iter()
        .filter_map(|input| match input.usage {
            InputUse::Patch | InputUse::Output | InputUse::Ref => {
                Some((decode_key(input.key.as_ref()?.as_str()), input.digest))
            }
            InputUse::Answer => None,
        })
        .collect()
}

/// An input key as the plan had it, from its percent-encoded form in the record.
fn decode_key(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An approval is never leased: a lease of one is agora's own mistake, and its attempt says so.
fn no_task() -> Failure {
    Failure::new(Reason::WorkerError, "the item is a person's to decide")
}

fn message(
    run: &RunState,
    item: &ItemState,
    attempt: u64,
    plan_item: &agora_core::plan::Item,
    content: &ItemContext,
    context: &RunContext,
) -> Result<String, Failure> {
    let (answer, partial_state) = answer_of(item, context)?;
    let refused = |error: &dyn std::fmt::Display| Failure::new(Reason::WorkerError, format!("the message: {error}"));
    let inputs = plan_item.inputs().ok_or_else(no_task)?;
    let input = &inputs.worker_input;
    match &content.template {
        None => {
            let message = message_without_template(input).map_err(|error| refused(&error))?;
            Ok(answer.map_or(message.clone(), |answer| add_answer(&message, &answer, partial_state.as_ref())))
        }
        Some(text) => {
            let template = Template::parse(text).map_err(|error| refused(&error))?;
            let mut keys: Vec<String> = plan_item.needs.keys().cloned().collect();
            keys.extend(inputs.input_refs.keys().cloned());
            let vars = AgoraVars {
                run: run.id.to_string(),
                item: item.id.to_string(),
                attempt,
                inputs: keys.into_iter().map(|key| (key.clone(), format!("inputs/{key}"))).collect(),
                answer,
                partial_state,
            };
            template.render(input, &vars).map_err(|error| refused(&error))
        }
    }
}

fn answer_of(item: &ItemState, context: &RunContext) -> Result<(Option<String>, Option<Value>), Failure> {
    let Some((question, answer)) = item.question.as_ref().and_then(|q| Some((q, q.answer?))) else {
        return Ok((None, None));
    };
    let text = String::from_utf8_lossy(&context.bytes(&answer)?).into_owned();
    let asked: Value = serde_json::from_slice(&context.bytes(&question.text)?).unwrap_or(Value::Null);
    Ok((Some(text), asked.get("partial_state").cloned()))
}

fn resume(item: &ItemState, state: Option<&[u8]>) -> Option<Resume> {
    let question = item.question.as_ref()?;
    let draft = item.last().and_then(|last| last.draft.as_ref()).map(|draft| draft.digest);
    Some(Resume { draft, answer: question.answer?, partial_state: state.map(Digest::of) })
}

fn blocks(content: &ItemContext) -> Vec<Block> {
    let Some(pipeline) = &content.pipeline else { return default_blocks(content.subagent.verify.as_ref()) };
    let mut blocks = pipeline.blocks.clone();
    if let Some(verify) = &content.subagent.verify {
        let script = Block::Script {
            command: verify.command.clone(),
            timeout_seconds: verify.timeout_seconds,
            lens: Lens::Verify,
        };
        blocks.push(script);
    }
    blocks
}

/// Everything the running attempt of an item is told.
pub(crate) fn assign(
    config: &Config,
    run: &RunState,
    ix: usize,
    meta: &RunMeta,
    context: Option<&RunContext>,
    pack: Option<Digest>,
) -> Option<Assignment> {
    let item = &run.items[ix];
    let lease = item.lease.as_ref()?;
    let attempt = AttemptId { run: run.id.clone(), item: item.id.clone(), attempt: lease.attempt, fence: lease.fence };
    let target = config.targets.iter().find(|(name, _)| name.as_str() == lease.target.as_str());
    let content = content(run, item, meta, context, pack, target.map(|(_, target)| target));
    Some(Assignment {
        attempt,
        target: target.map(|(_, target)| target.clone()).unwrap_or_default(),
        deadline: lease.deadline,
        leased_at: lease.at,
        handle: lease.started.as_ref().map(|started| started.handle.clone()),
        stopping: item.is_stopping(),
        content: content.map(Box::new),
        splits: item.knobs.rule == Some(Rule::MapReduce),
    })
}

fn content(
    run: &RunState,
    item: &ItemState,
    meta: &RunMeta,
    context: Option<&RunContext>,
    pack: Option<Digest>,
    target: Option<&Target>,
) -> Result<Content, Failure> {
    let gone = |what: &str| Failure::new(Reason::LaunchFailed, format!("{what} is not configured any more"));
    let target = target.ok_or_else(|| gone("its target"))?;
    let context = context.ok_or_else(|| Failure::new(Reason::BlobMissing, "the run's artifacts were not read"))?;
    let ix = run.index_of(&item.id).unwrap_or_default();
    let plan_item =
        meta.plan_item(ix).ok_or_else(|| Failure::new(Reason::BlobMissing, "the plan does not have the item"))?;
    let parts = context.item(&item.uses)?;
    let message = message(run, item, item.attempts, plan_item, &parts, context)?.into_bytes();
    let base = match (&run.opened.base, pack) {
        (None, _) => None,
        (Some(base), Some(pack)) => Some(Base { manifest: base.tree, pack }),
        (Some(base), None) => {
            return Err(Failure::new(Reason::BlobMissing, format!("the base tree {} has no pack", base.tree)));
        }
    };
    let asked = plan_item.inputs().ok_or_else(no_task)?;
    let changes = if asked.apply_upstream { run.changes(&run.lineage(ix)) } else { Vec::new() };
    let (_, state) = answer_of(item, context)?;
    let state = state.map(|state| agora_core::canon::to_bytes(&state)).transpose();
    let state = state.map_err(|error| Failure::new(Reason::WorkerError, format!("the partial state: {error}")))?;
    let limits = limits(plan_item, target, &parts);
    Ok(Content {
        message,
        base,
        changes,
        inputs: inputs(item),
        model: asked.model.as_ref().unwrap_or(&parts.subagent.model).0.clone(),
        blocks: blocks(&parts),
        limits,
        resume: resume(item, state.as_deref()),
        state,
        item: parts,
    })
}
