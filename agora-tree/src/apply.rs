//! A patch applied to exactly the tree it was made on.
//!
//! Nothing is searched for: a line stands where the hunk says, every blob before and after has the id that the patch names,
//! or the patch is refused. So the result depends on the bytes alone, and libgit2 never sees a patch that others made.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Enc};
use agora_core::patch::{Body, FilePatch, GitId, Hunk, LineKind, ParseError, Patch, Side};
use agora_core::path::{self, Refusal};
use agora_core::tree::{Mode, Node, Tree, TreePath};

use crate::binary;
use crate::content::{Content, ContentError};
use crate::sparse::{Changes, View};

/// The most bytes that a patch may give in all: what a worker holds in memory at most.
const RESULT_BYTES_MAX: usize = 1 << 30;

/// A tree, and the bytes of it that the content it was made from lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// The tree.
    pub tree: Tree,
    /// Bytes by digest.
    pub added: BTreeMap<Digest, Vec<u8>>,
}

/// Why a patch cannot be made or applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is no patch of the form that is read.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It names a path that no tree may have.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// It does not belong to this tree.
    #[error("the patch does not apply at {path}: {what}")]
    Unfit {
        /// Where.
        path: Enc,
        /// What is wrong.
        what: &'static str,
    },
    /// It changes something that patches do not carry.
    #[error("the patch changes {path}, which is a submodule's place or of a mode that is not carried")]
    Uncarried {
        /// Where.
        path: Enc,
    },
    /// It gives more than is held in memory.
    #[error("the patch is too large at {path}: the limit is {limit} bytes")]
    TooLarge {
        /// Where.
        path: Enc,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes of the tree cannot be had.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// libgit2 failed at two buffers in memory.
    #[error("the difference at {path} cannot be computed: {message}")]
    Diff {
        /// Where.
        path: Enc,
        /// What libgit2 says.
        message: String,
    },
    /// A patch that was just made does not give the tree it was made from.
    #[error("the patch that was made does not give its tree again at {path}")]
    NotExact {
        /// Where.
        path: Enc,
    },
}

impl Coded for PatchError {
    fn class(&self) -> Class {
        match self {
            Self::Parse(error) => error.class(),
            Self::Path(error) => error.class(),
            Self::Content(error) => error.class(),
            Self::Unfit { .. } | Self::Uncarried { .. } | Self::TooLarge { .. } => Class::Caller,
            Self::Diff { .. } | Self::NotExact { .. } => Class::Bug,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Parse(error) => error.code(),
            Self::Path(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::Unfit { .. } => "patch-unfit",
            Self::Uncarried { .. } => "patch-uncarried",
            Self::TooLarge { .. } => "patch-too-large",
            Self::Diff { .. } | Self::NotExact { .. } => "patch-not-exact",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Parse(error) => error.hint(),
            Self::Path(error) => error.hint(),
            Self::Content(error) => error.hint(),
            Self::Unfit { .. } => Some("apply it to the tree it was made on; nothing is searched for".to_owned()),
            Self::Uncarried { .. } => Some("leave submodules and special files as they are".to_owned()),
            Self::TooLarge { .. } => Some("change less in one item, or hand large files out as outputs".to_owned()),
            Self::Diff { .. } | Self::NotExact { .. } => {
                Some("report it with the two trees; nothing was handed out".to_owned())
            }
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Unfit { path, .. }
            | Self::Uncarried { path }
            | Self::TooLarge { path, .. }
            | Self::Diff { path, .. }
            | Self::NotExact { path } => Some(path.to_string()),
            Self::Path(error) => error.at(),
            Self::Parse(_) | Self::Content(_) => None,
        }
    }
}

pub(crate) fn enc(path: &TreePath) -> Enc {
    Enc::encode_bytes(path.as_bytes())
}

/// Returns the id under which git knows these bytes as a blob.
pub(crate) fn blob_id(bytes: &[u8]) -> GitId {
    object_id(git2::ObjectType::Blob, bytes)
}

pub(crate) fn object_id(kind: git2::ObjectType, bytes: &[u8]) -> GitId {
    // Hashing memory has no way to fail but allocation; an id of zeros would match nothing.
    let id = git2::Oid::hash_object(kind, bytes).ok();
    GitId(id.and_then(|id| id.as_bytes().try_into().ok()).unwrap_or_default())
}

/// Applies a patch to the tree it was made on.
///
/// # Errors
/// [`PatchError`] unless every path, mode, line and id of the patch is as it says.
pub fn apply(patch: &[u8], to: &Tree, content: &dyn Content) -> Result<Merged, PatchError> {
    let patch = Patch::parse(patch)?;
    let mut added = BTreeMap::new();
    let changes = apply_over(&patch, View { base: to, changes: &Changes::new() }, content, &mut added)?;
    Ok(finish(View { base: to, changes: &changes }, added))
}

/// Builds the tree, and drops the bytes that it does not need or that its base has.
pub(crate) fn finish(view: View<'_>, mut added: BTreeMap<Digest, Vec<u8>>) -> Merged {
    let mut needed: BTreeSet<Digest> = view.changes.values().flatten().map(|node| node.digest).collect();
    for node in view.base.files.values() {
        needed.remove(&node.digest);
    }
    added.retain(|digest, _| needed.contains(digest));
    Merged { tree: view.tree(), added }
}

/// Applies a patch to a view; returns what then differs from the base, the view's changes included.
///
/// Bytes that come to be are put into `added`, where they are looked for first.
pub(crate) fn apply_over(
    patch: &Patch<'_>,
    view: View<'_>,
    content: &dyn Content,
    added: &mut BTreeMap<Digest, Vec<u8>>,
) -> Result<Changes, PatchError> {
    let mut changes = view.changes.clone();
    let mut bytes_left = RESULT_BYTES_MAX;
    for file in &patch.files {
        path::check_structure(file.path.as_bytes())?;
        let now = View { base: view.base, changes: &changes };
        let node = apply_file(file, now.get(&file.path), content, added, &mut bytes_left)?;
        changes.insert(file.path.clone(), node);
    }
    let after = View { base: view.base, changes: &changes };
    for file in patch.files.iter().filter(|file| file.new.is_some()) {
        if after.file_above(&file.path).is_some() || after.path_below(&file.path).is_some() {
            return Err(PatchError::Unfit { path: enc(&file.path), what: "it would be a file and a folder" });
        }
    }
    // What is as in the base again is no change.
    changes.retain(|path, node| view.base.files.get(path) != node.as_ref());
    Ok(changes)
}

fn apply_file(
    file: &FilePatch<'_>,
    now: Option<Node>,
    content: &dyn Content,
    added: &mut BTreeMap<Digest, Vec<u8>>,
    bytes_left: &mut usize,
) -> Result<Option<Node>, PatchError> {
    let unfit = |what| PatchError::Unfit { path: enc(&file.path), what };
    let carried = |side: Side| {
        let mode = Mode::from_git(side.mode).filter(|mode| *mode != Mode::Gitlink);
        mode.map(|mode| (mode, side.id)).ok_or_else(|| PatchError::Uncarried { path: enc(&file.path) })
    };
    let (old, new) = (file.old.map(carried).transpose()?, file.new.map(carried).transpose()?);
    if old.map(|(mode, _)| mode) != now.map(|node| node.mode) {
        return Err(unfit(if now.is_some() { "it is there with another mode" } else { "it is not there" }));
    }
    let old_bytes = match (now, old) {
        (Some(node), Some((_, Some(id)))) => {
            let bytes =
                added.get(&node.digest).map_or_else(|| content.read(&node.digest), |bytes| Ok(bytes.clone()))?;
            if blob_id(&bytes) != id {
                return Err(unfit("its content is not what the patch was made on"));
            }
            bytes
        }
        _ => Vec::new(),
    };
    let Some((mode, id)) = new else {
        // A deletion names all that goes: what is left must be nothing.
        return if new_bytes(file, &old_bytes)?.is_empty() { Ok(None) } else { Err(unfit("it deletes not all of it")) };
    };
    let Some(id) = id else { return Ok(now.map(|node| Node { mode, ..node })) };
    let bytes = new_bytes(file, &old_bytes)?;
    if blob_id(&bytes) != id {
        return Err(unfit("its content does not become what the patch says"));
    }
    *bytes_left = bytes_left
        .checked_sub(bytes.len())
        .ok_or_else(|| PatchError::TooLarge { path: enc(&file.path), limit: RESULT_BYTES_MAX as u64 })?;
    let node = Node { mode, digest: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
    added.insert(node.digest, bytes);
    Ok(Some(node))
}

fn new_bytes(file: &FilePatch<'_>, old: &[u8]) -> Result<Vec<u8>, PatchError> {
    let unfit = |what| PatchError::Unfit { path: enc(&file.path), what };
    match &file.body {
        Body::None => Ok(old.to_vec()),
        Body::Text(hunks) => apply_hunks(hunks, old).map_err(unfit),
        Body::Binary { forward, .. } => binary::content(forward, old).map_err(unfit),
    }
}

fn apply_hunks(hunks: &[Hunk<'_>], old: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(old.len());
    let mut rest = old;
    let mut line_now = 0u64;
    let put = |out: &mut Vec<u8>, bytes: &[u8]| {
        if !out.is_empty() && !out.ends_with(b"\n") && !bytes.is_empty() {
            return Err("something follows a line without a newline");
        }
        out.extend_from_slice(bytes);
        Ok(())
    };
    for hunk in hunks {
        let before = u64::from(hunk.old_start) - u64::from(hunk.old_lines > 0);
        while line_now < before {
            let line = take_line(&mut rest).ok_or("it has too few lines")?;
            put(&mut out, line)?;
            line_now += 1;
        }
        for line in hunk.lines() {
            if line.kind != LineKind::Added {
                if take_line(&mut rest) != Some(line.bytes) {
                    return Err("a line is not what the patch was made on");
                }
                line_now += 1;
            }
            if line.kind != LineKind::Removed {
                put(&mut out, line.bytes)?;
            }
        }
    }
    put(&mut out, rest)?;
    Ok(out)
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
    let (line, after) = rest.split_at(end);
    *rest = after;
    Some(line)
}
