//! The folder of an attempt, laid out before its launch: `in/` first, `task.json` last, so that a folder with a task is
//! complete.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use agora_core::canon;
use agora_core::id::Digest;
use agora_core::seam::BlobStore;
use agora_core::target::Profile;
use agora_core::worker::{Artifact, Failure, JailPolicy, Reason, TASK_FORMAT, Task, TaskRuntime};

use super::assignment::{Assignment, Content, task_capabilities};
use super::context::blob_failure;

/// Lays out the folder and returns the digest of its `task.json`. A folder that is complete already is left as it is: the
/// task is a function of the records, so it is the same one.
pub(crate) async fn prepare(
    store: &dyn BlobStore,
    folder: &Path,
    assignment: &Assignment,
    content: &Content,
    profile: Profile,
) -> Result<Digest, Failure> {
    let task_path = folder.join("task.json");
    if let Ok(bytes) = std::fs::read(&task_path) {
        return Ok(Digest::of(&bytes));
    }
    make_folders(folder).map_err(|error| io(&error))?;
    for bytes in std::iter::once(&content.message).chain(&content.state) {
        store.put(bytes).await.map_err(|error| blob_failure(&error))?;
    }
    let mut blobs = Vec::new();
    for digest in wanted(content) {
        let to = folder.join("in").join(digest.hex());
        // What an interrupted preparation left may be a part of a file.
        if let Err(error) = std::fs::remove_file(&to)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(io(&error));
        }
        let size_bytes = store.export(&digest, &to).await.map_err(|error| blob_failure(&error))?;
        blobs.push(Artifact { digest, size_bytes });
    }
    let task = task(assignment, content, profile, blobs);
    let bytes = canon::to_bytes(&task).map_err(|error| Failure::new(Reason::WorkerError, error.to_string()))?;
    write_new(folder, &task_path, &bytes).map_err(|error| io(&error))?;
    Ok(Digest::of(&bytes))
}

fn io(error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Reason::NoRoom,
        _ => Reason::TransferFailed,
    };
    Failure::new(reason, format!("the attempt's folder: {error}"))
}

fn make_folders(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).recursive(true);
    for path in [folder.to_owned(), folder.join("in"), folder.join("out")] {
        builder.create(path)?;
    }
    Ok(())
}

/// Writes a file that is whole or not there.
fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = folder.join("task.json.tmp");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o444).open(&temporary)?;
    file.write_all(bytes)?;
    std::fs::rename(&temporary, path)
}

/// Every blob the task names, each once.
fn wanted(content: &Content) -> BTreeSet<Digest> {
    let mut wanted = BTreeSet::from([Digest::of(&content.message)]);
    wanted.extend(content.base.iter().flat_map(|base| [base.manifest, base.pack]));
    wanted.extend(content.changes.iter().filter_map(|change| change.patch));
    wanted.extend(content.inputs.values());
    wanted.extend(content.item.subagent.system_prompt);
    for (_, manifest, capability) in &content.item.capabilities {
        wanted.insert(*manifest);
        wanted.extend(capability.files.iter().filter_map(|file| Digest::from_hex(&file.sha256).ok()));
    }
    if let Some(resume) = &content.resume {
        wanted.insert(resume.answer);
        wanted.extend(resume.draft);
        wanted.extend(resume.partial_state);
    }
    wanted
}

fn task(assignment: &Assignment, content: &Content, profile: Profile, blobs: Vec<Artifact>) -> Task {
    let subagent = &content.item.subagent;
    Task {
        format: TASK_FORMAT.to_owned(),
        attempt: assignment.attempt.clone(),
        blobs,
        base: content.base.clone(),
        changes: content.changes.clone(),
        capabilities: task_capabilities(&content.item),
        inputs: content.inputs.clone(),
        system_prompt: subagent.system_prompt,
        message: Digest::of(&content.message),
        runtime: TaskRuntime {
            name: subagent.runtime,
            argv: subagent.argv.clone(),
            model: content.model.clone(),
            permission_mode: subagent.permission_mode,
        },
        env: content.item.env.clone(),
        blocks: content.blocks.clone(),
        requires: subagent.requires.clone(),
        git: subagent.git,
        may_ask: subagent.may_ask,
        trust_upstream_config: subagent.trust_upstream_config,
        jail: JailPolicy { profile },
        limits: content.limits,
        resume: content.resume.clone(),
    }
}
