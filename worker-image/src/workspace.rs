//! The workspace: the start tree of the item, and its files written into an empty folder.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use agora_core::path::check_structure;
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_core::worker::{Failure, Reason, Task};
use agora_tree::{Content, ContentError, MergeError, Pack};
use rustix::fs::AtFlags;

use crate::beneath::{Root, create_in, split};
use crate::blobs::Blobs;
use crate::failure::{broke, fail, shown};
use crate::sources::Sources;

/// Longest manifest of a base tree, in bytes: 200,000 files of a line each.
const MANIFEST_BYTES_MAX: u64 = 128 << 20;
/// The folder at the root that is agora's own.
pub(crate) const AGORA_FOLDER: &[u8] = b".agora";
/// What agora writes into that folder, or reads there.
pub(crate) const AGORA_FILES: [&[u8]; 3] = [b"notes.md", b"system-prompt.md", b"needs_input.json"];

/// The trees an attempt starts from, and their bytes.
pub(crate) struct Start {
    /// The tree of the repository.
    pub(crate) base: Tree,
    /// The base tree merged with the accepted patches of all the item depends on.
    pub(crate) tree: Tree,
    /// The bytes of both.
    pub(crate) sources: Sources,
}

/// Merges the start tree (`docs/worker.md`: merged, never stacked).
pub(crate) fn start_tree(task: &Task, blobs: &Rc<Blobs>) -> Result<Start, Failure> {
    let (base, pack) = match &task.base {
        None => (Tree::default(), None),
        Some(base) => {
            let bytes = blobs.read(&base.manifest, "the base tree's manifest", MANIFEST_BYTES_MAX)?;
            let tree = Tree::from_manifest(&bytes)
                .map_err(|error| fail(Reason::DigestMismatch, format!("the base tree's manifest: {error}")))?;
            let pack = Pack::open(&blobs.path(&base.pack, "the base tree's pack")?, &tree)
                .map_err(|error| fail(Reason::DigestMismatch, format!("the base tree's pack: {error}")))?;
            (tree, Some(pack))
        }
    };
    let mut sources = Sources { blobs: Rc::clone(blobs), pack, made: BTreeMap::new() };
    let merged =
        agora_tree::start_tree(&base, &task.changes, &sources, &sources).map_err(|error| merge_failure(&error))?;
    sources.made.extend(merged.added);
    Ok(Start { base, tree: merged.tree, sources })
}

fn merge_failure(error: &MergeError) -> Failure {
    let reason = match error {
        MergeError::Conflict { .. } => Reason::PatchConflict,
        MergeError::TreeMismatch { .. } | MergeError::Patch { .. } => Reason::TreeMismatch,
        MergeError::Content(ContentError::Missing(_)) => Reason::BlobMissing,
        MergeError::Content(_) => Reason::DigestMismatch,
        MergeError::Order { .. } | MergeError::Manifest(_) | MergeError::Lines { .. } => Reason::WorkerError,
    };
    fail(reason, error.to_string())
}

/// Writes a tree into the empty workspace. Nothing in it exists before, and nothing foreign has run.
///
/// Paths below `.agora/` are not written: that folder is agora's own, and what the base tree has there stays as it is.
pub(crate) fn lay_out(root: &Root, tree: &Tree, content: &dyn Content) -> Result<(), Failure> {
    let mut parent: Option<(Vec<u8>, OwnedFd)> = None;
    for (path, node) in &tree.files {
        check_structure(path.as_bytes()).map_err(|refusal| fail(Reason::PathRefused, refusal.to_string()))?;
        if path.components().next() == Some(AGORA_FOLDER) {
            continue;
        }
        let (folder, name) = split(path.as_bytes());
        // Paths are sorted, so neighbours mostly share their folder.
        if parent.as_ref().is_none_or(|(open, _)| open != folder) {
            let fd = root.make_folders(folder).map_err(|error| refused(path, &error))?;
            parent = Some((folder.to_vec(), fd));
        }
        let Some((_, folder)) = &parent else { continue };
        write(folder.as_fd(), name, path, node, content)?;
    }
    Ok(())
}

fn write(
    folder: BorrowedFd<'_>,
    name: &[u8],
    path: &TreePath,
    node: &Node,
    content: &dyn Content,
) -> Result<(), Failure> {
    if node.mode == Mode::Gitlink {
        // A submodule's place: an empty folder, as a checkout without its submodules has it.
        return rustix::fs::mkdirat(folder, name, rustix::fs::Mode::from_raw_mode(0o755))
            .map_err(|error| refused(path, &error.into()));
    }
    let bytes = content.read(&node.digest).map_err(|error| {
        fail(Reason::DigestMismatch, format!("the bytes of {} cannot be had: {error}", shown(path)))
    })?;
    let written = match node.mode {
        Mode::Link => rustix::fs::symlinkat(bytes.as_slice(), folder, name).map_err(Into::into),
        Mode::File => create_in(folder, name, 0o644).and_then(|mut file| file.write_all(&bytes)),
        Mode::Exec | Mode::Gitlink => create_in(folder, name, 0o755).and_then(|mut file| file.write_all(&bytes)),
    };
    written.map_err(|error| refused(path, &error))
}

/// A path that cannot be written: a name that is taken, or that leads through a link, is the tree's fault.
fn refused(path: &TreePath, error: &io::Error) -> Failure {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::LOOP | Errno::NOTDIR | Errno::EXIST | Errno::NAMETOOLONG | Errno::INVAL | Errno::XDEV) => {
            fail(Reason::PathRefused, format!("{} cannot be laid out: {error}", shown(path)))
        }
        _ => broke(&format!("lay out {}", shown(path)), error),
    }
}

/// Makes the workspace have what `to` has, at the paths where it differs from `from`.
pub(crate) fn replace(root: &Root, from: &Tree, to: &Tree, content: &dyn Content) -> Result<(), Failure> {
    let failed = |path: &TreePath, error: &io::Error| {
        fail(Reason::WorkerError, format!("the draft cannot be laid over {}: {error}", shown(path)))
    };
    let changed = |path: &TreePath| from.files.get(path) != to.files.get(path);
    for path in from.files.keys().filter(|path| changed(path)) {
        root.remove(path.as_bytes()).map_err(|error| failed(path, &error))?;
        remove_empty_folders(root, path);
    }
    let mut fresh = Tree::default();
    fresh.files.extend(to.files.iter().filter(|(path, _)| changed(path)).map(|(path, node)| (path.clone(), *node)));
    for path in fresh.files.keys().filter(|path| !from.files.contains_key(*path)) {
        root.remove(path.as_bytes()).map_err(|error| failed(path, &error))?;
    }
    lay_out(root, &fresh, content)
}

/// Removes the folders above a removed file that hold nothing any more, so that a file may take their place.
fn remove_empty_folders(root: &Root, path: &TreePath) {
    let (mut above, _) = split(path.as_bytes());
    while !above.is_empty() {
        let (folder, name) = split(above);
        let removed = root.folder(folder).map(|folder| rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR));
        // Not empty, or not there: what stands above it is not empty either, or was looked at before.
        if !matches!(removed, Ok(Ok(()))) {
            break;
        }
        above = folder;
    }
}
