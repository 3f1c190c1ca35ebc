//! A result written into a folder that people work in.
//!
//! All checks come first: every path that is touched must be as in the start tree, or already as in the result, so that a
//! call that was cut short can be repeated. Then each file is written beside its place and renamed into it, beneath the open
//! folder, no component of any path being a link.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Enc};
use agora_core::path::{Refusal, Scope, check};
use agora_core::tree::{Mode, Node, Tree, TreePath};
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use crate::apply::{Merged, enc};
use crate::base::FILE_BYTES_MAX;
use crate::content::{Content, ContentError, Overlay};
use crate::sparse::{Changes, View, differences};
use crate::walk::{open_beneath, open_parent, open_root, read_file, read_link};

/// The most paths that a refusal names.
const PATHS_MAX: usize = 100;
/// How many names are tried for a temporary file.
const NAMES_MAX: u32 = 100;

/// What was done to a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Files and links written.
    pub written: u64,
    /// Files and links removed.
    pub removed: u64,
    /// Paths that were already as wanted.
    pub unchanged: u64,
}

/// Why a folder is left as it is, or half done.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// Somebody changed what is to be changed. Nothing has been written.
    #[error("the working tree differs from the base at {}", .paths.iter().take(5).map(Enc::as_str).collect::<Vec<_>>().join(", "))]
    Differs {
        /// Where, sorted, the first hundred.
        paths: Vec<Enc>,
    },
    /// A path that may not be written. Nothing has been written.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// A submodule's place comes, goes or changes. Nothing has been written.
    #[error("{path} is a submodule's place, which is not written")]
    Uncarried {
        /// Where.
        path: Enc,
    },
    /// A folder of git's own, without `.git` in its name: what is written there may be run. Nothing has been written.
    #[error("{path} is a bare repository: what is written there would be git's")]
    Repository {
        /// Which folder; `.` is the whole.
        path: Enc,
    },
    /// Bytes cannot be had.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The disk says no; a repeated call goes on where this one stopped.
    #[error("{path} cannot be written: {source}")]
    Io {
        /// Where.
        path: Enc,
        /// Why.
        source: io::Error,
    },
}

impl Coded for WorktreeError {
    fn class(&self) -> Class {
        match self {
            Self::Differs { .. } | Self::Uncarried { .. } => Class::Caller,
            Self::Path(error) => error.class(),
            Self::Content(error) => error.class(),
            Self::Repository { .. } | Self::Io { .. } => Class::Operator,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Differs { .. } => "worktree-differs",
            Self::Uncarried { .. } => "patch-uncarried",
            Self::Repository { .. } => "workspace-path",
            Self::Path(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Io { .. } => "worktree-io",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Differs { .. } => Some("commit or stash these files, or apply to a new branch".to_owned()),
            Self::Uncarried { .. } => Some("apply to a new branch and update the submodule by hand".to_owned()),
            Self::Repository { .. } => Some("apply to a new branch, or move the repository away".to_owned()),
            Self::Path(error) => error.hint(),
            Self::Content(error) => error.hint(),
            Self::Io { .. } => {
                Some("check rights and free space, then repeat the call: it goes on where it stopped".to_owned())
            }
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Differs { paths } => paths.first().map(Enc::to_string),
            Self::Uncarried { path } | Self::Repository { path } | Self::Io { path, .. } => Some(path.to_string()),
            Self::Path(error) => error.at(),
            Self::Content(_) => None,
        }
    }
}

/// Changes a folder from `start` to `result`: only the paths in which the two differ are looked at.
///
/// `content` has the bytes that `result.added` has not. Folders that become empty are removed.
///
/// # Errors
/// [`WorktreeError`]; only [`WorktreeError::Io`] and [`WorktreeError::Content`] may leave the folder half done.
pub fn apply_to_worktree(
    folder: &Path,
    start: &Tree,
    result: &Merged,
    content: &dyn Content,
) -> Result<Applied, WorktreeError> {
    let root = open_root(folder).map_err(|source| WorktreeError::Io { path: Enc::encode("."), source })?;
    let wanted = differences(start, &result.tree);
    for (path, new) in &wanted {
        check(path.as_bytes(), Scope::Workspace)?;
        if start.files.get(path).into_iter().chain(new).any(|node| node.mode == Mode::Gitlink) {
            return Err(WorktreeError::Uncarried { path: enc(path) });
        }
    }
    let content = Overlay::new(&result.added, content);
    let done = inspect(root.as_fd(), start, &wanted)?;
    not_in_repositories(root.as_fd(), start, wanted.keys().filter(|path| !done.contains(path)))?;
    // Everything is read once before anything is written: a missing blob must not leave half a result.
    for node in wanted.iter().filter(|(path, _)| !done.contains(*path)).filter_map(|(_, node)| node.as_ref()) {
        content.read(&node.digest)?;
    }
    let mut applied = Applied { unchanged: done.len() as u64, ..Applied::default() };
    let todo = || wanted.iter().filter(|(path, _)| !done.contains(*path));
    for (path, _) in todo().filter(|(_, node)| node.is_none()).rev() {
        remove(root.as_fd(), path).map_err(|source| WorktreeError::Io { path: enc(path), source })?;
        applied.removed += 1;
    }
    for (path, node) in todo() {
        let Some(node) = node else { continue };
        let bytes = content.read(&node.digest)?;
        write(root.as_fd(), path, node.mode, &bytes).map_err(|source| WorktreeError::Io { path: enc(path), source })?;
        applied.written += 1;
    }
    Ok(applied)
}

/// Refuses a path in a folder that is a repository of its own, but for one that the start tree has: nobody works there.
fn not_in_repositories<'w>(
    root: BorrowedFd<'_>,
    start: &Tree,
    paths: impl Iterator<Item = &'w TreePath>,
) -> Result<(), WorktreeError> {
    let mut seen = BTreeSet::new();
    for path in paths {
        let bytes = path.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in std::iter::once(0).chain(slashes) {
            let folder = &bytes[..end];
            if seen.contains(folder) {
                continue;
            }
            // What is not there, or no folder, has nothing below it either.
            let Ok(there) = open_beneath(root, folder, OFlags::PATH | OFlags::DIRECTORY, 0) else { break };
            let known = end > 0 && start.files.contains_key(&TreePath::new([folder, b"/HEAD"].concat()));
            if !known && is_repository(there.as_fd()) {
                let path = if end == 0 { Enc::encode(".") } else { Enc::encode_bytes(folder) };
                return Err(WorktreeError::Repository { path });
            }
            seen.insert(folder);
        }
    }
    Ok(())
}

/// Whether git takes the folder itself for a repository (git, setup.c, `is_git_directory`).
fn is_repository(folder: BorrowedFd<'_>) -> bool {
    let there = |name: &str| rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    !there(".git") && there("HEAD") && ((there("objects") && there("refs")) || there("commondir"))
}

/// Compares what lies there with the start tree; returns the paths that are already as wanted.
fn inspect<'w>(
    root: BorrowedFd<'_>,
    start: &Tree,
    wanted: &'w Changes,
) -> Result<BTreeSet<&'w TreePath>, WorktreeError> {
    let mut done = BTreeSet::new();
    let mut differs = Vec::new();
    let removed = |path: &TreePath| wanted.get(path).is_some_and(Option::is_none);
    for (path, new) in wanted {
        let old = start.files.get(path).copied();
        match look(root, path).map_err(|source| WorktreeError::Io { path: enc(path), source })? {
            There::Node(node) if Some(node) == *new => {
                done.insert(path);
            }
            There::Node(node) if Some(node) == old => {}
            There::Nothing if new.is_none() => {
                done.insert(path);
            }
            There::Nothing if old.is_none() => {}
            // A folder that will be empty by the time the file comes.
            There::Folder
                if old.is_none() && View { base: start, changes: &Changes::new() }.path_below(path).is_some() => {}
            There::Folder if new.is_none() => {
                done.insert(path);
            }
            // A file in the way of a folder, itself removed first.
            There::FileAbove(above) if old.is_none() && removed(&above) => {}
            There::FileAbove(_) if new.is_none() => {
                done.insert(path);
            }
            There::Node(_) | There::Nothing | There::Folder | There::FileAbove(_) | There::Other => {
                differs.push(enc(path))
            }
        }
    }
    if differs.is_empty() {
        return Ok(done);
    }
    differs.truncate(PATHS_MAX);
    Err(WorktreeError::Differs { paths: differs })
}

/// What lies at a path.
enum There {
    Node(Node),
    Nothing,
    Folder,
    /// A file or link where the path has a folder.
    FileAbove(TreePath),
    Other,
}

fn look(root: BorrowedFd<'_>, path: &TreePath) -> io::Result<There> {
    let bytes = path.as_bytes();
    let (parent, name) = match open_parent(root, bytes) {
        Ok(found) => found,
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => return Ok(There::Nothing),
            Some(Errno::NOTDIR | Errno::LOOP) => {
                return Ok(file_above(root, bytes).map_or(There::Other, There::FileAbove));
            }
            _ => return Err(error),
        },
    };
    let stat = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(There::Nothing),
        Err(error) => return Err(error.into()),
    };
    let node = |mode, content: &[u8]| Node { mode, digest: Digest::of(content), size_bytes: content.len() as u64 };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => match read_file(root, bytes, FILE_BYTES_MAX)? {
            Some((exec, content)) => There::Node(node(if exec { Mode::Exec } else { Mode::File }, &content)),
            None => There::Other,
        },
        FileType::Symlink => There::Node(node(Mode::Link, &read_link(root, bytes)?)),
        FileType::Directory => There::Folder,
        _ => There::Other,
    })
}

/// The first prefix of a path that is no folder.
fn file_above(root: BorrowedFd<'_>, path: &[u8]) -> Option<TreePath> {
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let is_folder = |end: &usize| open_beneath(root, &path[..*end], OFlags::PATH | OFlags::DIRECTORY, 0).is_ok();
    ends.into_iter().find(|end| !is_folder(end)).map(|end| TreePath::new(&path[..end]))
}

fn remove(root: BorrowedFd<'_>, path: &TreePath) -> io::Result<()> {
    let (parent, name) = open_parent(root, path.as_bytes())?;
    rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
    drop(parent);
    let bytes = path.as_bytes();
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).collect();
    for end in ends.into_iter().rev() {
        let (parent, name) = open_parent(root, &bytes[..end])?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Opens the folder of a path, making what is missing of it.
fn make_parent<'p>(root: BorrowedFd<'_>, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
    for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let (parent, name) = open_parent(root, &path[..at])?;
        match rustix::fs::mkdirat(&parent, name, rustix::fs::Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    open_parent(root, path)
}

fn write(root: BorrowedFd<'_>, path: &TreePath, mode: Mode, bytes: &[u8]) -> io::Result<()> {
    let (parent, name) = make_parent(root, path.as_bytes())?;
    let mut temporary = Vec::new();
    let made = (0..NAMES_MAX).find_map(|n| {
        temporary = format!(".agora-{}-{n}.tmp", std::process::id()).into_bytes();
        match create(parent.as_fd(), &temporary, mode, bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            other => Some(other),
        }
    });
    made.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
    rustix::fs::renameat(&parent, temporary.as_slice(), &parent, name).map_err(|error| {
        // The rename's failure is what counts; a temporary file left behind harms nothing.
        let _left_behind = rustix::fs::unlinkat(&parent, temporary.as_slice(), AtFlags::empty());
        error.into()
    })
}

fn create(parent: BorrowedFd<'_>, name: &[u8], mode: Mode, bytes: &[u8]) -> io::Result<()> {
    if mode == Mode::Link {
        return Ok(rustix::fs::symlinkat(bytes, parent, name)?);
    }
    // The umask decides about group and others, as it does for git.
    let bits = if mode == Mode::Exec { 0o777 } else { 0o666 };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(open_beneath(parent, name, flags, bits)?);
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // The write's failure is what counts.
        let _left_behind = rustix::fs::unlinkat(parent, name, AtFlags::empty());
    }
    written
}
