//! Steps 2 to 9: everything up to the moment before the agent starts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use agora_core::registry::{Block, GitMode, decode_capability};
use agora_core::tree::TreePath;
use agora_core::worker::{Failure, Reason, Task};
use agora_tree::Overlay;

use crate::baseline::{self, Baseline, PassedOver};
use crate::beneath::Root;
use crate::blobs::Blobs;
use crate::environment::{self, environment};
use crate::failure::{broke, fail};
use crate::log::Stream;
use crate::notes::notes;
use crate::overlay::{Layer, Setup, overlay};
use crate::question::QUESTION_PATH;
use crate::requires;
use crate::runtime;
use crate::supervise::EndedBy;
use crate::work::{Command, Work, cannot_run, check_stop};
use crate::workspace::{self, Start};
use crate::{inputs, snapshot};

/// Longest manifest of a capability, in bytes: 10,000 files of a line each.
const CAPABILITY_BYTES_MAX: u64 = 16 << 20;
/// Longest setup script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 50 << 20;
/// Longest system prompt, in bytes: the registry's cap of a prompt.
const PROMPT_BYTES_MAX: u64 = 256 << 10;
/// Longest message, in bytes: it goes through a pipe, and a model reads it.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 16 << 20;
/// Longest draft, in bytes: the limit of every patch.
const DRAFT_BYTES_MAX: u64 = agora_core::patch::PATCH_BYTES_MAX;
/// Each setup script, unless the limits say less or more.
const SETUP: Duration = Duration::from_secs(120);
/// All agent blocks together, unless the limits say less or more.
const WALL: Duration = Duration::from_secs(7200);
/// Bytes of a command's last words in a failure.
const LAST_WORDS_BYTES: usize = 1000;

/// All that the blocks work with.
pub(crate) struct Prepared {
    pub(crate) start: Start,
    pub(crate) workspace: Root,
    pub(crate) outputs: Root,
    pub(crate) brought: BTreeSet<TreePath>,
    pub(crate) passed_over: PassedOver,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) baseline: Baseline,
    pub(crate) message: Vec<u8>,
}

impl Work<'_> {
    /// Makes everything ready for the agent.
    pub(crate) fn prepare(&mut self, task: &Task) -> Result<Prepared, Failure> {
        self.wall_left = task.limits.wall_seconds.map_or(WALL, Duration::from_secs);
        let adapter = runtime::adapter(task.runtime.name);
        let (blobs, message) = self.step("check-blobs", |work| {
            let blobs = Rc::new(Blobs::verify(work.places.inbox.clone(), &task.blobs)?);
            let message = blobs.read(&task.message, "the message", MESSAGE_BYTES_MAX)?;
            Ok((blobs, message))
        })?;
        let mut start = self.step("start-tree", |work| {
            let start = workspace::start_tree(task, &blobs)?;
            let digest = start.tree.digest();
            work.report.start_tree =
                Some(digest.map_err(|error| fail(Reason::WorkerError, format!("the start tree: {error}")))?);
            Ok(start)
        })?;
        let adapter = adapter?;
        let (workspace, brought, setup) = self.step("capabilities", |work| {
            let workspace = work.make_folders()?;
            let layers = layers(task, &blobs)?;
            let tree = crate::settings::laid_out(&start.base, &start.tree, task.trust_upstream_config);
            let read = |digest: &_, _| start.sources.bytes(digest, "a file to merge");
            let laid = overlay(tree, &layers, adapter.merged_files(), &read)?;
            start.sources.made.extend(laid.made);
            workspace::lay_out(&workspace, &laid.tree, &start.sources)?;
            work.report.overlaid = laid.overlaid;
            Ok((workspace, laid.brought, laid.setup))
        })?;
        let passed_over = self.step("inputs", |work| work.lay_inputs(task, &blobs, &workspace))?;
        let env = self.step("environment", |work| work.environment(task))?;
        self.setup(task, &setup, &blobs, &env)?;
        self.step("requires", |work| {
            let seen = requires::Seen { workspace: &workspace, folder: &work.places.workspace, env: &env, passed_over };
            let has_agent = task.blocks.iter().any(|block| matches!(block, Block::Agent));
            let given = runtime::Given { runtime: &task.runtime, message: &message };
            let start = has_agent.then(|| adapter.start(&given)).transpose()?;
            let program = start.and_then(|start| start.argv.into_iter().next());
            requires::check(&task.requires, program.as_deref(), &seen)
        })?;
        let (baseline, outputs) = self.step("baseline", |work| {
            // A question of the setup's would be taken for the agent's.
            workspace
                .remove(QUESTION_PATH)
                .map_err(|error| fail(Reason::SetupFailed, format!("after the setup scripts, .agora: {error}")))?;
            let baseline = baseline::take(&workspace, passed_over)?;
            lay_draft(task, &start, &blobs, &workspace)?;
            let outputs = Root::open(&work.places.outputs).map_err(|error| broke("open outputs/", &error))?;
            Ok((baseline, outputs))
        })?;
        Ok(Prepared { start, workspace, outputs, brought, passed_over, env, baseline, message })
    }

    /// Makes `work/`, which must not exist: what an earlier attempt left is never worked on.
    fn make_folders(&self) -> Result<Root, Failure> {
        let places = &self.places;
        let failed = |error: io::Error| broke("make the folders of the attempt", &error);
        if let Some(work) = places.workspace.parent() {
            std::fs::create_dir(work).map_err(failed)?;
        }
        for folder in [&places.workspace, &places.home, &places.tmp, &places.inputs, &places.outputs, &places.setup] {
            std::fs::create_dir(folder).map_err(failed)?;
        }
        Root::open(&places.workspace).map_err(failed)
    }

    fn lay_inputs(&mut self, task: &Task, blobs: &Blobs, workspace: &Root) -> Result<PassedOver, Failure> {
        let keys = inputs::all(&task.inputs, task.resume.as_ref())?;
        let folder = Root::open(&self.places.inputs).map_err(|error| broke("open inputs/", &error))?;
        inputs::lay_out(&folder, &keys, blobs)?;
        match task.git {
            GitMode::None => {}
            // Before the links are there, so that the repository has only what is in the trees.
            GitMode::Snapshot => self.snapshot(task)?,
        }
        let prompt = task.system_prompt.map(|digest| blobs.read(&digest, "the system prompt", PROMPT_BYTES_MAX));
        let prompt = prompt.transpose()?;
        let keys: Vec<String> = keys.into_keys().collect();
        let text = notes(&self.agents_places(), &keys, task.may_ask, prompt.is_some());
        let write = |path: &[u8], bytes: &[u8]| {
            workspace.create(path, 0o644, bytes).map_err(|error| broke("write the notes", &error))
        };
        write(b".agora/notes.md", text.as_bytes())?;
        if let Some(prompt) = prompt {
            write(b".agora/system-prompt.md", &prompt)?;
        }
        inputs::link(workspace, &self.places.inputs, &self.places.outputs)
    }

    fn snapshot(&mut self, task: &Task) -> Result<(), Failure> {
        let env = snapshot::environment(&environment(&BTreeMap::new(), &self.agents_places(), &task.attempt)?);
        let mut words = LastWords::default();
        let command =
            Command { argv: snapshot::argv(), env: &env, stdin: Vec::new(), timeout: setup_time(task), idle: None };
        let finished = self.command(task, command, &mut |_, bytes| words.add(bytes)).map_err(|e| cannot_run(&e))?;
        check_stop(finished)?;
        if finished.well() {
            return Ok(());
        }
        let what = format!("git = \"snapshot\" needs the program git: {}{}", finished.shown(), words.shown());
        Err(fail(Reason::ContextUnmet, what))
    }

    fn environment(&self, task: &Task) -> Result<BTreeMap<String, String>, Failure> {
        environment(&task.env, &self.agents_places(), &task.attempt)
    }

    fn agents_places(&self) -> environment::Places<'_> {
        environment::Places {
            workspace: &self.places.workspace,
            home: &self.places.home,
            tmp: &self.places.tmp,
            inputs: &self.places.inputs,
            outputs: &self.places.outputs,
            notes: &self.places.notes,
        }
    }

    /// Step 7: every capability's script, in order.
    fn setup(
        &mut self,
        task: &Task,
        scripts: &[Setup],
        blobs: &Blobs,
        env: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let folder = Root::open(&self.places.setup).map_err(|error| broke("open setup/", &error))?;
        for (n, script) in scripts.iter().enumerate() {
            self.step("setup", |work| {
                let what = format!("the setup script of the capability {}", script.capability);
                let bytes = blobs.read(&script.script, &what, SCRIPT_BYTES_MAX)?;
                let name = format!("{n:02}.sh");
                folder.create(name.as_bytes(), 0o755, &bytes).map_err(|error| broke("write a setup script", &error))?;
                let path = work.places.setup.join(name).to_string_lossy().into_owned();
                // A script says who reads it, or the shell does.
                let argv = if bytes.starts_with(b"#!") { vec![path] } else { vec!["/bin/sh".to_owned(), path] };
                let mut words = LastWords::default();
                let command = Command { argv, env, stdin: Vec::new(), timeout: setup_time(task), idle: None };
                let finished = work
                    .command(task, command, &mut |_, bytes| words.add(bytes))
                    .map_err(|error| fail(setup_reason(cannot_run(&error).reason), format!("{what}: {error}")))?;
                check_stop(finished)?;
                let reason = match finished.by {
                    EndedBy::Timeout | EndedBy::Idle => Reason::SetupTimeout,
                    EndedBy::Itself | EndedBy::Stop => Reason::SetupFailed,
                };
                if finished.well() {
                    Ok(())
                } else {
                    Err(fail(reason, format!("{what}: {}{}", finished.shown(), words.shown())))
                }
            })?;
        }
        Ok(())
    }
}

/// A setup script whose interpreter is missing is a failed setup, not a missing runtime.
fn setup_reason(reason: Reason) -> Reason {
    if reason == Reason::RuntimeMissing { Reason::SetupFailed } else { reason }
}

fn setup_time(task: &Task) -> Duration {
    task.limits.setup_seconds.map_or(SETUP, Duration::from_secs)
}

/// Reads the manifests of the capabilities; the path policy is asked again.
fn layers(task: &Task, blobs: &Blobs) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    for capability in &task.capabilities {
        let what = format!("the capability {}", capability.name);
        let bytes = blobs.read(&capability.manifest, &what, CAPABILITY_BYTES_MAX)?;
        let manifest = decode_capability(&bytes).map_err(|problems| {
            let unknown = |code: &str| matches!(code, "not-canonical" | "artifact-shape" | "format-unknown");
            let unknown = problems.iter().any(|problem| unknown(&problem.code));
            let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
            let reason = if unknown { Reason::ProtocolVersion } else { Reason::PathRefused };
            fail(reason, format!("{what}: {}", shown.join("; ")))
        })?;
        for file in &manifest.files {
            let what = format!("{} of {what}", file.path);
            let digest = agora_core::id::Digest::from_hex(&file.sha256)
                .map_err(|error| fail(Reason::DigestMismatch, format!("{what}: {error}")))?;
            let size = blobs.size(&digest, &what)?;
            if size != file.size {
                let what = format!("{what} has {size} bytes, its manifest says {}", file.size);
                return Err(fail(Reason::DigestMismatch, what));
            }
        }
        layers.push(Layer { name: capability.name.clone(), manifest });
    }
    Ok(layers)
}

/// Lays the draft of the attempt that asked over the workspace, so that the agent goes on where it stopped.
fn lay_draft(task: &Task, start: &Start, blobs: &Blobs, workspace: &Root) -> Result<(), Failure> {
    let Some(digest) = task.resume.as_ref().and_then(|resume| resume.draft) else { return Ok(()) };
    let patch = blobs.read(&digest, "the draft", DRAFT_BYTES_MAX)?;
    let merged = agora_tree::apply(&patch, &start.tree, &start.sources)
        .map_err(|error| fail(Reason::WorkerError, format!("the draft does not apply to the start tree: {error}")))?;
    workspace::replace(workspace, &start.tree, &merged.tree, &Overlay::new(&merged.added, &start.sources))
}

/// The end of what a command wrote, for a failure's detail.
#[derive(Default)]
pub(crate) struct LastWords(Vec<u8>);

impl LastWords {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let over = self.0.len().saturating_sub(LAST_WORDS_BYTES);
        self.0.drain(..over);
    }

    /// Only what it wrote to its standard error.
    pub(crate) fn add_error(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Err {
            self.add(bytes);
        }
    }

    pub(crate) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        match text.trim() {
            "" => String::new(),
            text => format!(": {text}"),
        }
    }
}
