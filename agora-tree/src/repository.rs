//! Opening a repository so that nothing in it has an effect.
//!
//! A repository is opened as if it were bare: libgit2 then has no working tree, so there is nothing to filter, check out or
//! watch. Of its configuration only what describes the repository itself is read (`extensions`,
//! `core.repositoryformatversion`); libgit2 runs no program for any of `core.fsmonitor`, `core.hooksPath`, `core.pager`,
//! `filter.*` or `diff.*`, and blobs are read raw from the object database.
//!
//! **Owner.** libgit2 refuses a repository whose folder belongs to another user (`safe.directory`), because a program that
//! obeys the configuration could be made to run something. Nothing here obeys it, and the operator named the folder, so the
//! check is not made: `git_repository_open_bare` has none. A service that runs as root may read a user's repository.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Repository};

use crate::base::BaseError;

/// The largest `.git` file (the pointer of a linked working tree) in bytes.
const POINTER_BYTES_MAX: u64 = 8 << 10;
/// The longest revision in bytes.
const REV_BYTES_MAX: usize = 256;
/// The most branches looked at to suggest one.
const SUGGEST_MAX: usize = 1_000;

/// What a folder is.
pub(crate) enum Place {
    /// A repository: its own folder, and whether `folder` is a working tree of it.
    Repository { git: PathBuf, has_worktree: bool },
    /// A plain folder.
    Folder,
}

/// Says what a folder is. Nothing is searched upwards, but a folder *inside* a repository is refused, naming the root.
pub(crate) fn locate(folder: &Path) -> Result<Place, BaseError> {
    let unreadable = |source: std::io::Error| BaseError::Workspace {
        folder: folder.display().to_string(),
        why: format!("it cannot be opened: {source}"),
        hint: "name an existing folder that this user may read",
    };
    let whole = fs::canonicalize(folder).map_err(unreadable)?;
    if !fs::metadata(&whole).map_err(unreadable)?.is_dir() {
        return Err(unreadable(std::io::ErrorKind::NotADirectory.into()));
    }
    if let Some(git) = git_folder(&whole)? {
        return Ok(Place::Repository { git, has_worktree: true });
    }
    if is_git_folder(&whole) {
        return Ok(Place::Repository { git: whole, has_worktree: false });
    }
    for above in whole.ancestors().skip(1) {
        if git_folder(above).is_ok_and(|git| git.is_some()) {
            return Err(BaseError::Workspace {
                folder: folder.display().to_string(),
                why: format!("it lies inside the repository {}", above.display()),
                hint: "name the root of the repository as the workspace",
            });
        }
    }
    Ok(Place::Folder)
}

fn is_git_folder(folder: &Path) -> bool {
    let there = |name: &str| folder.join(name).exists();
    there("HEAD") && ((there("objects") && there("refs")) || there("commondir"))
}

/// The repository of the working tree `folder`, if it is one: its `.git`, or what a `.git` file points to.
fn git_folder(folder: &Path) -> Result<Option<PathBuf>, BaseError> {
    let dot_git = folder.join(".git");
    let Ok(metadata) = fs::metadata(&dot_git) else { return Ok(None) };
    if metadata.is_dir() {
        return Ok(is_git_folder(&dot_git).then_some(dot_git));
    }
    let broken = |why: &str| BaseError::Workspace {
        folder: folder.display().to_string(),
        why: format!("its .git file {why}"),
        hint: "mend or remove the .git file, or name another folder",
    };
    if !metadata.is_file() || metadata.len() > POINTER_BYTES_MAX {
        return Err(broken("is no pointer to a repository"));
    }
    let text = fs::read(&dot_git).map_err(|error| broken(&error.to_string()))?;
    let target = text.strip_prefix(b"gitdir: ").ok_or_else(|| broken("is no pointer to a repository"))?;
    let target = folder.join(std::ffi::OsStr::from_bytes(target.trim_ascii_end()));
    if is_git_folder(&target) { Ok(Some(target)) } else { Err(broken("points to no repository")) }
}

/// Opens the repository whose own folder this is.
pub(crate) fn open(git: &Path) -> Result<Repository, git2::Error> {
    Repository::open_bare(git)
}

/// Finds the commit that a revision names.
pub(crate) fn commit<'r>(repository: &'r Repository, rev: &str) -> Result<git2::Commit<'r>, BaseError> {
    let unknown =
        || BaseError::RevUnknown { rev: rev.chars().take(80).collect(), near: nearest_branch(repository, rev) };
    // `:` searches messages or names files; `^{/` searches too: neither names a commit, and both can be made slow.
    if rev.is_empty() || rev.len() > REV_BYTES_MAX || rev.contains(':') || rev.contains("^{/") || rev.contains('\0') {
        return Err(unknown());
    }
    let object = repository.revparse_single(rev).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound
        | git2::ErrorCode::UnbornBranch
        | git2::ErrorCode::InvalidSpec
        | git2::ErrorCode::Ambiguous => unknown(),
        _ => error.into(),
    })?;
    object.peel(ObjectType::Commit).ok().and_then(|object| object.into_commit().ok()).ok_or_else(unknown)
}

fn nearest_branch(repository: &Repository, rev: &str) -> Option<String> {
    let branches = repository.branches(None).ok()?;
    let names: Vec<String> =
        branches.take(SUGGEST_MAX).filter_map(|branch| branch.ok()?.0.name().ok()?.map(str::to_owned)).collect();
    agora_core::error::nearest(rev, names.iter().map(String::as_str)).map(str::to_owned)
}
