//! A revision, a working tree or a plain folder as a base tree.
//!
//! The pack is written while the blobs are read, in the order of the manifest, so memory is bounded by the largest file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Enc};
use agora_core::path::{Refusal, check_structure};
use agora_core::tree::{Mode, Node, Tree, TreePath};
use git2::{ObjectType, Oid, Repository};

use crate::repository::{self, Place};
use crate::walk::{self, Found};

/// The most files of a base tree: what a manifest can still list in some 40 MiB.
pub const FILES_MAX: u64 = 200_000;
/// The most bytes of a base tree, all its files added up.
pub const TREE_BYTES_MAX: u64 = 4 << 30;
/// The largest file of a base tree in bytes; one is in memory at a time.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// A base tree, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseTree {
    /// The tree; its pack has been written.
    pub tree: Tree,
    /// The commit: of the revision, or of HEAD where the working tree was read. `None` for a plain folder.
    pub commit: Option<String>,
    /// Git's id of the tree, by which it may be cached. `None` unless a revision was read.
    pub git_tree: Option<String>,
    /// Whether the working tree was read.
    pub dirty: bool,
    /// How many things lie there that no tree carries: sockets, pipes, devices, nested repositories, `.git` in disguise.
    pub left_out: u64,
}

/// Why there is no base tree.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The folder cannot be a workspace.
    #[error("the workspace {folder} cannot be used: {why}")]
    Workspace {
        /// As it was given.
        folder: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// No commit has this name.
    #[error("the revision {rev:?} names no commit of the repository")]
    RevUnknown {
        /// As it was given, cut to 80 characters.
        rev: String,
        /// A branch with a similar name.
        near: Option<String>,
    },
    /// Over a limit.
    #[error("the workspace is too large: more than {limit} {what}{}", .path.as_ref().map(|path| format!(" at {path}")).unwrap_or_default())]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Where, if one file is at fault.
        path: Option<Enc>,
    },
    /// A path that no tree may have.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// A tree object with a name or mode that git does not write.
    #[error("the repository's tree is malformed at {path}: {what}")]
    Malformed {
        /// Where.
        path: Enc,
        /// What is wrong.
        what: &'static str,
    },
    /// The repository cannot be read.
    #[error("the repository cannot be read: {0}")]
    Repository(#[from] git2::Error),
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Where.
        path: Enc,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody changed the folder meanwhile.
    #[error("{path} changed while the workspace was read")]
    Changed {
        /// Where.
        path: Enc,
    },
    /// The pack cannot be written.
    #[error("the pack cannot be written: {0}")]
    Pack(std::io::Error),
}

impl Coded for BaseError {
    fn class(&self) -> Class {
        match self {
            Self::RevUnknown { .. } => Class::Caller,
            Self::Workspace { .. }
            | Self::TooLarge { .. }
            | Self::Path(_)
            | Self::Malformed { .. }
            | Self::Repository(_)
            | Self::Unreadable { .. } => Class::Operator,
            Self::Changed { .. } | Self::Pack(_) => Class::Later,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Workspace { .. } => "workspace-path",
            Self::RevUnknown { .. } => "rev-unknown",
            Self::TooLarge { .. } => "workspace-too-large",
            Self::Path(error) => error.code(),
            Self::Malformed { .. } | Self::Repository(_) => "repository-unreadable",
            Self::Unreadable { .. } => "workspace-unreadable",
            Self::Changed { .. } => "workspace-changed",
            Self::Pack(_) => "blob-io",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Workspace { hint, .. } => (*hint).to_owned(),
            Self::RevUnknown { near: Some(near), .. } => format!("did you mean {near:?}? a branch, tag or commit id will do"),
            Self::RevUnknown { near: None, .. } => {
                "name a branch, tag or commit id; `git rev-parse REV` in the workspace shows whether it exists, and a new \
                 repository needs a first commit or `dirty`"
                    .to_owned()
            }
            Self::TooLarge { .. } => "register a smaller folder, or keep large files out of the repository".to_owned(),
            Self::Path(error) => return error.hint(),
            Self::Malformed { .. } | Self::Repository(_) => {
                "run `git fsck` there; shallow and partial clones must have the objects of this revision".to_owned()
            }
            Self::Unreadable { .. } => "give this user the right to read it, or let git ignore it".to_owned(),
            Self::Changed { .. } => "try again when nothing writes there".to_owned(),
            Self::Pack(_) => "free some disk space and try again".to_owned(),
        })
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Workspace { folder, .. } => Some(folder.clone()),
            Self::TooLarge { path, .. } => path.as_ref().map(Enc::to_string),
            Self::Path(error) => error.at(),
            Self::Malformed { path, .. } | Self::Unreadable { path, .. } | Self::Changed { path } => {
                Some(path.to_string())
            }
            Self::RevUnknown { .. } | Self::Repository(_) | Self::Pack(_) => None,
        }
    }
}

/// Returns git's id of the tree of a revision, and the commit: cheap, for the cache.
///
/// # Errors
/// [`BaseError::RevUnknown`], also for a folder that is no repository; [`BaseError::Workspace`] as [`read_base`].
pub fn git_tree_id(repo: &Path, rev: &str) -> Result<(String, String), BaseError> {
    let Place::Repository { git, .. } = repository::locate(repo)? else {
        return Err(BaseError::RevUnknown { rev: rev.chars().take(80).collect(), near: None });
    };
    let repository = repository::open(&git)?;
    let commit = repository::commit(&repository, rev)?;
    Ok((commit.tree_id().to_string(), commit.id().to_string()))
}

/// Reads a base tree and writes its pack.
///
/// Of a git repository the revision `rev`, or with `dirty` its working tree: tracked files, and untracked ones that neither
/// a `.gitignore` nor `info/exclude` matches. A folder that is no repository is taken as it is, with every file.
///
/// # Errors
/// [`BaseError`]; what has been written to `pack` by then is of no use.
pub fn read_base(folder: &Path, rev: &str, dirty: bool, pack: &mut dyn Write) -> Result<BaseTree, BaseError> {
    match repository::locate(folder)? {
        Place::Folder => {
            // A revision of nothing is a mistake, not a wish to be forgotten.
            if rev != "HEAD" && !rev.is_empty() {
                return Err(BaseError::RevUnknown { rev: rev.chars().take(80).collect(), near: None });
            }
            let (tree, left_out) = walk::read(folder, None, pack)?;
            Ok(BaseTree { tree, commit: None, git_tree: None, dirty: false, left_out })
        }
        Place::Repository { git, .. } if !dirty => {
            let repository = repository::open(&git)?;
            let commit = repository::commit(&repository, rev)?;
            let tree = read_git_tree(&repository, commit.tree_id(), pack)?;
            let (commit, git_tree) = (Some(commit.id().to_string()), Some(commit.tree_id().to_string()));
            Ok(BaseTree { tree, commit, git_tree, dirty: false, left_out: 0 })
        }
        Place::Repository { has_worktree: false, .. } => Err(BaseError::Workspace {
            folder: folder.display().to_string(),
            why: "a bare repository has no working tree".to_owned(),
            hint: "leave `dirty` out, or name a working tree",
        }),
        Place::Repository { git, .. } => {
            let repository = repository::open(&git)?;
            let commit = repository.head().ok().and_then(|head| head.peel_to_commit().ok()).map(|c| c.id().to_string());
            let (tree, left_out) = walk::read(folder, Some(&repository), pack)?;
            Ok(BaseTree { tree, commit, git_tree: None, dirty: true, left_out })
        }
    }
}

/// Counts files and bytes against the bounds.
#[derive(Default)]
pub(crate) struct Bounds {
    files: u64,
    bytes: u64,
}

impl Bounds {
    pub(crate) fn file(&mut self) -> Result<(), BaseError> {
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(BaseError::TooLarge { what: "files", limit: FILES_MAX, path: None });
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, path: &TreePath, size: u64) -> Result<(), BaseError> {
        if size > FILE_BYTES_MAX {
            let path = Some(Enc::encode_bytes(path.as_bytes()));
            return Err(BaseError::TooLarge { what: "bytes", limit: FILE_BYTES_MAX, path });
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > TREE_BYTES_MAX {
            return Err(BaseError::TooLarge { what: "bytes in all", limit: TREE_BYTES_MAX, path: None });
        }
        Ok(())
    }
}

/// Builds a tree and writes its pack, path by path in order.
pub(crate) struct Packer<'a> {
    pub(crate) tree: Tree,
    pub(crate) bounds: Bounds,
    seen: BTreeSet<Digest>,
    pack: &'a mut dyn Write,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(pack: &'a mut dyn Write) -> Self {
        Self { tree: Tree::default(), bounds: Bounds::default(), seen: BTreeSet::new(), pack }
    }

    pub(crate) fn put(&mut self, path: TreePath, mode: Mode, bytes: &[u8]) -> Result<Node, BaseError> {
        let node = Node { mode, digest: Digest::of(bytes), size_bytes: bytes.len() as u64 };
        if self.seen.insert(node.digest) {
            self.pack.write_all(bytes).map_err(BaseError::Pack)?;
        }
        self.put_node(path, node)?;
        Ok(node)
    }

    /// Puts a node whose bytes have been written.
    fn put_node(&mut self, path: TreePath, node: Node) -> Result<(), BaseError> {
        self.bounds.bytes(&path, node.size_bytes)?;
        // The pack has the order of the manifest, so the paths must come in it.
        if self.tree.files.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(BaseError::Changed { path: Enc::encode_bytes(path.as_bytes()) });
        }
        self.tree.files.insert(path, node);
        Ok(())
    }
}

fn read_git_tree(repository: &Repository, id: Oid, pack: &mut dyn Write) -> Result<Tree, BaseError> {
    let mut entries = BTreeMap::new();
    let mut packer = Packer::new(pack);
    list_git_tree(repository, id, &mut packer.bounds, &mut entries)?;
    let mut known: BTreeMap<Oid, Node> = BTreeMap::new();
    for (path, found) in entries {
        let Found::Object { mode, id } = found else { continue };
        if let Some(node) = known.get(&id) {
            packer.put_node(path, Node { mode, ..*node })?;
            continue;
        }
        if mode == Mode::Gitlink {
            packer.put(path, mode, id.to_string().as_bytes())?;
            continue;
        }
        let bytes = read_blob(repository, &path, id)?;
        let node = packer.put(path, mode, bytes.data())?;
        known.insert(id, node);
    }
    Ok(packer.tree)
}

/// Reads a blob raw, after a look at its size.
pub(crate) fn read_blob<'r>(odb: &'r Repository, path: &TreePath, id: Oid) -> Result<BlobBytes<'r>, BaseError> {
    let size = odb.odb()?.read_header(id)?.0 as u64;
    Bounds::default().bytes(path, size)?;
    Ok(BlobBytes(odb.find_blob(id)?))
}

/// The bytes of a blob.
pub(crate) struct BlobBytes<'r>(git2::Blob<'r>);

impl BlobBytes<'_> {
    pub(crate) fn data(&self) -> &[u8] {
        self.0.content()
    }
}

/// Lists all paths below a tree object. The names are an attacker's: each path is checked, none may come twice.
pub(crate) fn list_git_tree(
    repository: &Repository,
    id: Oid,
    bounds: &mut Bounds,
    out: &mut BTreeMap<TreePath, Found>,
) -> Result<(), BaseError> {
    // Trees within trees can be few objects and many paths, so folders count as much as files.
    let mut folders = vec![(Vec::new(), id)];
    let mut folders_left = FILES_MAX;
    while let Some((prefix, id)) = folders.pop() {
        folders_left =
            folders_left.checked_sub(1).ok_or(BaseError::TooLarge { what: "folders", limit: FILES_MAX, path: None })?;
        let tree = repository.find_tree(id)?;
        let mut names = BTreeSet::new();
        for entry in &tree {
            let name = entry.name_bytes();
            let path = [prefix.as_slice(), name].concat();
            let malformed = |what| BaseError::Malformed { path: Enc::encode_bytes(&path), what };
            check_structure(&path)?;
            if name.contains(&b'/') {
                return Err(malformed("a name with a slash"));
            }
            if !names.insert(name.to_vec()) {
                return Err(malformed("a name twice"));
            }
            let mode = match (entry.filemode_raw() & 0o170_000, entry.kind()) {
                (0o040_000, Some(ObjectType::Tree)) => {
                    folders.push(([path.as_slice(), b"/"].concat(), entry.id()));
                    continue;
                }
                (0o100_000, Some(ObjectType::Blob)) if entry.filemode_raw() & 0o100 != 0 => Mode::Exec,
                (0o100_000, Some(ObjectType::Blob)) => Mode::File,
                (0o120_000, Some(ObjectType::Blob)) => Mode::Link,
                (0o160_000, _) => Mode::Gitlink,
                _ => return Err(malformed("a mode that git does not write")),
            };
            bounds.file()?;
            out.insert(TreePath::new(path), Found::Object { mode, id: entry.id() });
        }
    }
    Ok(())
}
