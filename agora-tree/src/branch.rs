//! Commits on a new branch: objects into the repository's database and one reference; no checkout, index, hook or filter.
//!
//! The objects are written here byte for byte, so the same trees, messages, authors and times give the same ids, and a
//! repeated call finds its own branch and changes nothing. A path whose content is the base commit's reuses its blob, and
//! so whole folders keep their trees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Enc};
use agora_core::path::{Refusal, check_structure};
use agora_core::tree::{Mode, Node, Tree, TreePath};
use git2::{ObjectType, Odb, Oid, Repository};

use crate::base::{BaseError, Bounds, list_git_tree};
use crate::content::{Content, ContentError};
use crate::repository::{self, Place};
use crate::walk::Found;

/// A commit to write.
#[derive(Debug, Clone)]
pub struct BranchCommit<'a> {
    /// Its whole tree.
    pub tree: &'a Tree,
    /// Its message.
    pub message: String,
    /// Author and committer: name and address.
    pub author: (String, String),
    /// When, in seconds since 1970, UTC.
    pub time_seconds: i64,
}

/// Why there is no branch.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// There is one of this name with other commits.
    #[error("the branch {0:?} exists")]
    Exists(String),
    /// No branch can be called that.
    #[error("{0:?} is no name for a branch")]
    Name(String),
    /// Nothing to point to.
    #[error("there is neither a commit to write nor one to start from")]
    Nothing,
    /// The commit to start from is not there.
    #[error("the base commit {0:?} is not in the repository")]
    BaseMissing(String),
    /// A message or author that no commit can have.
    #[error("the {0} of a commit holds a character it cannot hold")]
    Text(&'static str),
    /// A path that no tree may have, or a file that is a folder too.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// Bytes cannot be had.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The repository cannot be opened or read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The repository cannot be written.
    #[error("the repository cannot be written: {0}")]
    Write(#[from] git2::Error),
}

impl Coded for BranchError {
    fn class(&self) -> Class {
        match self {
            Self::Exists(_) | Self::Name(_) | Self::Nothing | Self::Text(_) => Class::Caller,
            Self::BaseMissing(_) => Class::Missing,
            Self::Path(error) => error.class(),
            Self::Content(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Write(_) => Class::Operator,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "branch-exists",
            Self::Name(_) | Self::Nothing | Self::Text(_) => "branch-refused",
            Self::BaseMissing(_) => "rev-unknown",
            Self::Path(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Base(error) => error.code(),
            Self::Write(_) => "repository-unwritable",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(name) => Some(format!("choose another name, or delete it with `git branch -D {name}`")),
            Self::Name(_) => Some("choose a name such as agora/RUN".to_owned()),
            Self::Nothing | Self::Text(_) => Some("give a message and an author of plain text".to_owned()),
            Self::BaseMissing(_) => {
                Some("fetch the commit that the run started from, or apply to the working tree".to_owned())
            }
            Self::Path(error) => error.hint(),
            Self::Content(error) => error.hint(),
            Self::Base(error) => error.hint(),
            Self::Write(_) => Some("check the rights and the free space of the repository".to_owned()),
        }
    }
}

/// Writes commits onto `base_commit`, each on the one before, and a new branch that points to the last.
///
/// Returns the ids of the commits. A branch that already points to exactly these commits is left alone.
///
/// # Errors
/// [`BranchError::Exists`] when the branch points elsewhere or is where HEAD stands; nothing has been written then.
pub fn write_branch(
    repo: &Path,
    branch: &str,
    base_commit: Option<&str>,
    commits: &[BranchCommit<'_>],
    content: &dyn Content,
) -> Result<Vec<String>, BranchError> {
    let Place::Repository { git, .. } = repository::locate(repo)? else {
        return Err(BaseError::Workspace {
            folder: repo.display().to_string(),
            why: "it is no git repository".to_owned(),
            hint: "write the result into the folder itself with --worktree",
        }
        .into());
    };
    let repository = repository::open(&git).map_err(BaseError::from)?;
    let reference = format!("refs/heads/{branch}");
    if branch.starts_with('-') || branch == "HEAD" || !git2::Reference::is_valid_name(&reference) {
        return Err(BranchError::Name(branch.to_owned()));
    }
    let existing = repository.refname_to_id(&reference).ok();
    let head = repository.find_reference("HEAD").ok();
    let head_stands_there =
        head.as_ref().and_then(|head| head.symbolic_target_bytes()) == Some(reference.as_bytes()) && existing.is_none();
    if head_stands_there {
        // A repository without commits: to create its branch would make every file of its working tree look deleted.
        return Err(BranchError::Exists(branch.to_owned()));
    }
    if existing.is_none() && name_is_blocked(&repository, &reference)? {
        return Err(BranchError::Exists(branch.to_owned()));
    }
    let mut parent = base_commit.map(|id| find_commit(&repository, id)).transpose()?;
    let known = parent.map_or(Ok(BTreeMap::new()), |commit| base_blobs(&repository, commit, commits))?;
    // With a branch there, the ids are only computed: it is the same branch, or nothing is written.
    let mut writer = Writer { odb: repository.odb()?, dry: existing.is_some(), known, trees: BTreeSet::new(), content };
    let mut ids = Vec::new();
    for commit in commits {
        let id = writer.commit(commit, parent)?;
        ids.push(id.to_string());
        parent = Some(id);
    }
    let tip = parent.ok_or(BranchError::Nothing)?;
    match existing {
        Some(there) if there == tip => Ok(ids),
        Some(_) => Err(BranchError::Exists(branch.to_owned())),
        None => {
            repository.reference(&reference, tip, false, "agora: apply").map_err(|error| match error.code() {
                git2::ErrorCode::Exists | git2::ErrorCode::Directory => BranchError::Exists(branch.to_owned()),
                _ => error.into(),
            })?;
            Ok(ids)
        }
    }
}

/// Whether another branch stands where this one needs a folder, or the other way round.
fn name_is_blocked(repository: &Repository, reference: &str) -> Result<bool, BranchError> {
    let slashes = reference.match_indices('/').map(|(at, _)| at).skip(2);
    if slashes.into_iter().any(|at| repository.find_reference(&reference[..at]).is_ok()) {
        return Ok(true);
    }
    Ok(repository.references_glob(&format!("{reference}/*"))?.next().is_some())
}

fn find_commit(repository: &Repository, id: &str) -> Result<Oid, BranchError> {
    let missing = || BranchError::BaseMissing(id.chars().take(80).collect());
    let id = Oid::from_str(id).map_err(|_| missing())?;
    repository.find_commit(id).map(|commit| commit.id()).map_err(|_| missing())
}

/// Finds which blobs of the base commit the trees want again: same path, same size, then the same digest.
fn base_blobs(
    repository: &Repository,
    commit: Oid,
    commits: &[BranchCommit<'_>],
) -> Result<BTreeMap<Digest, Oid>, BranchError> {
    let tree = repository.find_commit(commit)?.tree_id();
    let mut entries = BTreeMap::new();
    list_git_tree(repository, tree, &mut Bounds::default(), &mut entries)?;
    let odb = repository.odb()?;
    let mut known = BTreeMap::new();
    let mut looked_at = BTreeSet::new();
    for (path, found) in &entries {
        let Found::Object { mode, id } = *found else { continue };
        let wanted: BTreeSet<u64> =
            commits.iter().filter_map(|c| c.tree.files.get(path)).map(|node| node.size_bytes).collect();
        if wanted.is_empty() || mode == Mode::Gitlink || !looked_at.insert(id) {
            continue;
        }
        let size = odb.read_header(id)?.0 as u64;
        if wanted.contains(&size) {
            let digest = Digest::of(repository.find_blob(id)?.content());
            known.insert(digest, id);
        }
    }
    Ok(known)
}

struct Writer<'a> {
    odb: Odb<'a>,
    dry: bool,
    /// Digest to blob, for all that is in the database.
    known: BTreeMap<Digest, Oid>,
    /// Trees that are in the database.
    trees: BTreeSet<Oid>,
    content: &'a dyn Content,
}

impl Writer<'_> {
    fn write(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, BranchError> {
        let id = Oid::hash_object(kind, bytes)?;
        if !self.dry && (kind != ObjectType::Tree || self.trees.insert(id)) && !self.odb.exists(id) {
            self.odb.write(kind, bytes)?;
        }
        Ok(id)
    }

    fn commit(&mut self, commit: &BranchCommit<'_>, parent: Option<Oid>) -> Result<Oid, BranchError> {
        let mut entries = Vec::with_capacity(commit.tree.files.len());
        let mut last: Option<&TreePath> = None;
        for (path, node) in &commit.tree.files {
            check_structure(path.as_bytes())?;
            let inside =
                |above: &TreePath| path.as_bytes().strip_prefix(above.as_bytes()).is_some_and(|r| r.starts_with(b"/"));
            if last.is_some_and(inside) {
                let rule = agora_core::path::Rule::FileAndFolder;
                return Err(Refusal { path: Enc::encode_bytes(path.as_bytes()), rule }.into());
            }
            last = Some(path);
            entries.push((path.as_bytes(), node.mode.git(), self.blob(node)?));
        }
        let tree = self.tree(&entries, 0)?;
        let (name, address) = (&commit.author.0, &commit.author.1);
        let bad = |text: &str| text.chars().any(|c| matches!(c, '<' | '>' | '\n' | '\0'));
        if bad(name) || bad(address) || name.trim().is_empty() {
            return Err(BranchError::Text("author"));
        }
        if commit.message.contains('\0') {
            return Err(BranchError::Text("message"));
        }
        let who = format!("{} <{}> {} +0000", name.trim(), address.trim(), commit.time_seconds);
        let parent = parent.map(|id| format!("parent {id}\n")).unwrap_or_default();
        let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{}", commit.message);
        self.write(ObjectType::Commit, text.as_bytes())
    }

    fn blob(&mut self, node: &Node) -> Result<Oid, BranchError> {
        if let Some(id) = self.known.get(&node.digest).filter(|_| node.mode != Mode::Gitlink) {
            return Ok(*id);
        }
        let bytes = self.content.read(&node.digest)?;
        if node.mode == Mode::Gitlink {
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            return Ok(Oid::from_str(text)?);
        }
        let id = self.write(ObjectType::Blob, &bytes)?;
        self.known.insert(node.digest, id);
        Ok(id)
    }

    /// Writes the tree of these entries, all of one folder whose name with its slash is `skip` bytes long.
    ///
    /// The order of whole paths is git's order of names, in which a folder stands as if its name ended with a slash.
    fn tree(&mut self, entries: &[(&[u8], u32, Oid)], skip: usize) -> Result<Oid, BranchError> {
        let mut bytes = Vec::new();
        let mut rest = entries;
        while let Some(((path, mode, id), after)) = rest.split_first() {
            let name = &path[skip..];
            if let Some(slash) = name.iter().position(|b| *b == b'/') {
                let folder = &path[..skip + slash + 1];
                let end = rest.iter().position(|(path, _, _)| !path.starts_with(folder)).unwrap_or(rest.len());
                let id = self.tree(&rest[..end], folder.len())?;
                put_entry(&mut bytes, 0o040_000, &name[..slash], id);
                rest = &rest[end..];
            } else {
                put_entry(&mut bytes, *mode, name, *id);
                rest = after;
            }
        }
        self.write(ObjectType::Tree, &bytes)
    }
}

fn put_entry(bytes: &mut Vec<u8>, mode: u32, name: &[u8], id: Oid) {
    bytes.extend(format!("{mode:o} ").bytes());
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.extend_from_slice(id.as_bytes());
}
