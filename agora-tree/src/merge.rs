//! The start tree of an item: the base tree with the accepted patches of all it depends on, merged and never stacked.
//!
//! Each patch is applied to the exact tree it was made on, where it must give the recorded tree; the results are combined by
//! a three-way merge whose ancestor is that tree. Lines are merged by libgit2; paths here, over sparse trees, so that only
//! what the patches touch is ever held. No renames are guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use agora_core::canon::CanonError;
use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Enc, ItemId};
use agora_core::patch::Patch;
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_core::worker::Change;

use crate::apply::{Merged, PatchError, apply_over, enc, finish};
use crate::content::{Content, ContentError};
use crate::sparse::{Changes, Manifest, View};

/// The largest file whose lines are merged, in bytes; beyond it two changes of one file are a conflict.
const MERGE_BYTES_MAX: u64 = 64 << 20;
/// How many of the first bytes decide whether content is text, as in git.
const BINARY_PROBE_BYTES: usize = 8_000;
/// The most paths that one conflict names.
const CONFLICT_PATHS_MAX: usize = 100;

/// Why patches cannot be combined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Two items changed the same thing in different ways.
    #[error("the patch of {item} conflicts with {} at {}", list(.with), list(.paths))]
    Conflict {
        /// The later item.
        item: ItemId,
        /// The items whose changes it meets.
        with: Vec<ItemId>,
        /// Where, sorted, the first hundred.
        paths: Vec<Enc>,
    },
    /// A patch does not give the tree that was recorded.
    #[error("the patch of {item} does not give the recorded tree")]
    TreeMismatch {
        /// Whose patch.
        item: ItemId,
    },
    /// A patch cannot be applied to the tree it was made on.
    #[error("the patch of {item} cannot be applied: {source}")]
    Patch {
        /// Whose patch.
        item: ItemId,
        /// Why.
        source: PatchError,
    },
    /// An item comes after one that does not stand before it, or stands twice.
    #[error("the changes are out of order at {item}")]
    Order {
        /// Which.
        item: ItemId,
    },
    /// Bytes cannot be had.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A manifest cannot be written.
    #[error("the manifest of a tree cannot be written: {0}")]
    Manifest(#[from] CanonError),
    /// libgit2 failed at three buffers in memory.
    #[error("the lines of {path} cannot be merged: {message}")]
    Lines {
        /// Where.
        path: Enc,
        /// What libgit2 says.
        message: String,
    },
}

fn list<T: std::fmt::Display>(things: &[T]) -> String {
    let shown: Vec<String> = things.iter().take(5).map(T::to_string).collect();
    let more = things.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

impl Coded for MergeError {
    fn class(&self) -> Class {
        match self {
            Self::Conflict { .. } => Class::Caller,
            Self::TreeMismatch { .. } => Class::Operator,
            Self::Patch { .. } => Class::Operator,
            Self::Content(error) => error.class(),
            Self::Order { .. } | Self::Manifest(_) | Self::Lines { .. } => Class::Bug,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "patch-conflict",
            Self::TreeMismatch { .. } | Self::Patch { .. } => "tree-mismatch",
            Self::Order { .. } | Self::Manifest(_) | Self::Lines { .. } => "merge-broken",
            Self::Content(error) => error.code(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { item, with, .. } => Some(match with.first() {
                Some(other) => {
                    format!("let {item} depend on {other}, or give both a lock, so that one sees the other's change")
                }
                None => format!("run {item} again on the present base"),
            }),
            Self::TreeMismatch { .. } | Self::Patch { .. } => {
                Some("run `agora-admin doctor`: stored bytes do not agree with the journal".to_owned())
            }
            Self::Content(error) => error.hint(),
            Self::Order { .. } | Self::Manifest(_) | Self::Lines { .. } => {
                Some("report it, with the run's patches".to_owned())
            }
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Conflict { item, .. }
            | Self::TreeMismatch { item }
            | Self::Patch { item, .. }
            | Self::Order { item } => Some(item.to_string()),
            Self::Lines { path, .. } => Some(path.to_string()),
            Self::Content(_) | Self::Manifest(_) => None,
        }
    }
}

/// Merges accepted patches into a base tree.
///
/// `content` has the bytes of the base, `patches` those of the patches. `changes` is in topological order and holds every
/// item that one of them names in `after`. The order decides which of two items a conflict calls the later one; where the
/// merge succeeds, each line has one answer.
///
/// # Errors
/// [`MergeError`]; a conflict names the later item, those it meets, and the paths.
pub fn start_tree(
    base: &Tree,
    changes: &[Change],
    content: &dyn Content,
    patches: &dyn Content,
) -> Result<Merged, MergeError> {
    if changes.is_empty() {
        return Ok(Merged { tree: base.clone(), added: BTreeMap::new() });
    }
    let manifest = Manifest::new(base)?;
    let mut merge = Merge::new(base, changes, content);
    for change in changes {
        merge.add(change, &manifest, patches)?;
    }
    let whole = merge.fold(&(0..changes.len()).collect::<Vec<_>>())?;
    Ok(finish(View { base, changes: &whole.changes }, merge.added))
}

/// The trees that come to be while patches are merged one after another.
#[derive(Debug)]
pub struct Steps {
    /// For each change, the base with it and every earlier one merged, or the conflict for which it was left out.
    pub trees: Vec<Result<Tree, MergeError>>,
    /// The bytes of these trees that the base has not.
    pub added: BTreeMap<Digest, Vec<u8>>,
}

/// Merges as [`start_tree`] does, and gives the tree after each change; each patch is read and applied once.
///
/// A change that conflicts is left out, and those after it are merged all the same, so that all conflicts are known.
///
/// # Errors
/// [`MergeError`], but for conflicts between the changes, which stand in the answer.
pub fn merge_steps(
    base: &Tree,
    changes: &[Change],
    content: &dyn Content,
    patches: &dyn Content,
) -> Result<Steps, MergeError> {
    let manifest = Manifest::new(base)?;
    let mut merge = Merge::new(base, changes, content);
    let (mut whole, mut trees, mut needed) = (Fold::default(), Vec::new(), BTreeSet::new());
    for (at, change) in changes.iter().enumerate() {
        merge.add(change, &manifest, patches)?;
        match merge.merge_in(&mut whole, at) {
            Ok(()) => {
                let nodes = merge.results[at].paths.iter().filter_map(|path| whole.changes.get(path)).flatten();
                needed.extend(nodes.map(|node| node.digest));
                trees.push(Ok(View { base, changes: &whole.changes }.tree()));
            }
            Err(error @ MergeError::Conflict { .. }) => trees.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    merge.added.retain(|digest, _| needed.contains(digest));
    Ok(Steps { trees, added: merge.added })
}

/// What an item made of its start tree.
struct Made {
    after: BTreeSet<usize>,
    start: Rc<Fold>,
    changes: Changes,
    paths: Vec<TreePath>,
}

/// Some items merged in order: what differs from the base, and who touched what.
#[derive(Default, Clone)]
struct Fold {
    changes: Changes,
    touched: BTreeMap<TreePath, Vec<usize>>,
}

struct Merge<'a> {
    base: &'a Tree,
    content: &'a dyn Content,
    items: &'a [Change],
    positions: BTreeMap<&'a ItemId, usize>,
    results: Vec<Made>,
    folds: HashMap<Vec<usize>, Rc<Fold>>,
    added: BTreeMap<Digest, Vec<u8>>,
}

/// What becomes of one path.
enum Outcome {
    Keep,
    Take(Option<Node>),
    Conflict,
}

impl<'a> Merge<'a> {
    fn new(base: &'a Tree, items: &'a [Change], content: &'a dyn Content) -> Self {
        let folds = HashMap::from([(Vec::new(), Rc::new(Fold::default()))]);
        Self { base, content, items, positions: BTreeMap::new(), results: Vec::new(), folds, added: BTreeMap::new() }
    }

    /// Makes the next item's result, which must be the recorded one.
    fn add(&mut self, change: &'a Change, manifest: &Manifest<'_>, patches: &dyn Content) -> Result<(), MergeError> {
        let order = || MergeError::Order { item: change.item.clone() };
        let positions = &mut self.positions;
        let after: Vec<usize> =
            change.after.iter().map(|item| positions.get(item).copied()).collect::<Option<_>>().ok_or_else(order)?;
        if after.iter().collect::<BTreeSet<_>>().len() != after.len()
            || positions.insert(&change.item, self.results.len()).is_some()
        {
            return Err(order());
        }
        let result = self.result(change, after, patches)?;
        if manifest.digest(&result.changes)? != change.result_tree {
            return Err(MergeError::TreeMismatch { item: change.item.clone() });
        }
        self.results.push(result);
        Ok(())
    }

    fn result(&mut self, change: &Change, after: Vec<usize>, patches: &dyn Content) -> Result<Made, MergeError> {
        let start = self.fold(&after)?;
        let after = after.into_iter().collect();
        let Some(digest) = &change.patch else {
            return Ok(Made { after, changes: start.changes.clone(), start, paths: Vec::new() });
        };
        let bytes = patches.read(digest)?;
        let failed = |source: PatchError| match source {
            PatchError::Content(error) => MergeError::Content(error),
            source => MergeError::Patch { item: change.item.clone(), source },
        };
        let patch = Patch::parse(&bytes).map_err(|error| failed(error.into()))?;
        let view = View { base: self.base, changes: &start.changes };
        let changes = apply_over(&patch, view, self.content, &mut self.added).map_err(failed)?;
        let paths: BTreeSet<TreePath> = patch.files.into_iter().map(|file| file.path).collect();
        Ok(Made { after, start, changes, paths: paths.into_iter().collect() })
    }

    /// Merges these items in order, going on from the longest beginning that was merged before.
    fn fold(&mut self, list: &[usize]) -> Result<Rc<Fold>, MergeError> {
        let known =
            (0..=list.len()).rev().find_map(|end| self.folds.get(&list[..end]).map(|fold| (end, Rc::clone(fold))));
        let (end, fold) = known.unwrap_or_default();
        if end == list.len() {
            return Ok(fold);
        }
        let mut fold = Rc::unwrap_or_clone(fold);
        for item in &list[end..] {
            self.merge_in(&mut fold, *item)?;
        }
        let fold = Rc::new(fold);
        self.folds.insert(list.to_vec(), Rc::clone(&fold));
        Ok(fold)
    }

    /// Merges an item's result into a fold, which stays as it was where there is a conflict.
    fn merge_in(&mut self, fold: &mut Fold, item: usize) -> Result<(), MergeError> {
        let mut conflicts: BTreeSet<TreePath> = BTreeSet::new();
        let (mut placed, mut before) = (Vec::new(), Vec::new());
        for at in 0..self.results[item].paths.len() {
            let made = &self.results[item];
            let path = made.paths[at].clone();
            let get = |changes: &Changes| View { base: self.base, changes }.get(&path);
            let (ancestor, ours, theirs) = (get(&made.start.changes), get(&fold.changes), get(&made.changes));
            match self.three_way(&path, ancestor, ours, theirs)? {
                Outcome::Keep => {}
                Outcome::Conflict => {
                    conflicts.insert(path.clone());
                }
                Outcome::Take(node) => {
                    if node.is_some() && ours.is_none() {
                        placed.push(path.clone());
                    }
                    before.push((path.clone(), fold.changes.insert(path, node)));
                }
            }
        }
        let view = View { base: self.base, changes: &fold.changes };
        for path in placed {
            if let Some(other) = view.file_above(&path).or_else(|| view.path_below(&path)) {
                conflicts.extend([path, other]);
            }
        }
        if !conflicts.is_empty() {
            for (path, node) in before {
                match node {
                    Some(node) => fold.changes.insert(path, node),
                    None => fold.changes.remove(&path),
                };
            }
            return Err(self.conflict(fold, item, &conflicts));
        }
        for path in &self.results[item].paths {
            fold.touched.entry(path.clone()).or_default().push(item);
        }
        Ok(())
    }

    fn three_way(
        &mut self,
        path: &TreePath,
        ancestor: Option<Node>,
        ours: Option<Node>,
        theirs: Option<Node>,
    ) -> Result<Outcome, MergeError> {
        if theirs == ancestor || theirs == ours {
            return Ok(Outcome::Keep);
        }
        if ours == ancestor {
            return Ok(Outcome::Take(theirs));
        }
        let (Some(ancestor), Some(ours), Some(theirs)) = (ancestor, ours, theirs) else { return Ok(Outcome::Conflict) };
        let regular = |node: Node| matches!(node.mode, Mode::File | Mode::Exec);
        if ![ancestor, ours, theirs].into_iter().all(regular) {
            return Ok(Outcome::Conflict);
        }
        // With two modes, of two changes to the mode both say the same.
        let mode = if ours.mode == ancestor.mode { theirs.mode } else { ours.mode };
        let content = if theirs.digest == ancestor.digest || theirs.digest == ours.digest {
            Some((ours.digest, ours.size_bytes))
        } else if ours.digest == ancestor.digest {
            Some((theirs.digest, theirs.size_bytes))
        } else {
            self.merge_lines(path, [ancestor, ours, theirs])?
        };
        Ok(match content {
            Some((digest, size_bytes)) => Outcome::Take(Some(Node { mode, digest, size_bytes })),
            None => Outcome::Conflict,
        })
    }

    fn merge_lines(&mut self, path: &TreePath, nodes: [Node; 3]) -> Result<Option<(Digest, u64)>, MergeError> {
        if nodes.iter().any(|node| node.size_bytes > MERGE_BYTES_MAX) {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(3);
        for node in nodes {
            let known = self.added.get(&node.digest).cloned();
            bytes.push(known.map_or_else(|| self.content.read(&node.digest), Ok)?);
        }
        if bytes.iter().any(|side| side[..side.len().min(BINARY_PROBE_BYTES)].contains(&0)) {
            return Ok(None);
        }
        let input = |content| {
            let mut input = git2::MergeFileInput::new();
            input.content(content);
            input
        };
        let merged = git2::merge_file(&input(&bytes[0]), &input(&bytes[1]), &input(&bytes[2]), None)
            .map_err(|error| MergeError::Lines { path: enc(path), message: error.message().to_owned() })?;
        if !merged.is_automergeable() {
            return Ok(None);
        }
        let merged = merged.content().to_vec();
        let digest = Digest::of(&merged);
        let size_bytes = merged.len() as u64;
        self.added.insert(digest, merged);
        Ok(Some((digest, size_bytes)))
    }

    /// Names those who touched what this item meets, but for those whose changes it had before it.
    fn conflict(&self, fold: &Fold, item: usize, conflicts: &BTreeSet<TreePath>) -> MergeError {
        let mut near: BTreeSet<usize> =
            conflicts.iter().filter_map(|path| fold.touched.get(path)).flatten().copied().collect();
        if near.is_empty() {
            near = fold.touched.values().flatten().copied().collect();
        }
        let news: BTreeSet<usize> = near.difference(&self.results[item].after).copied().collect();
        let with = if news.is_empty() { near } else { news };
        let name = |at: usize| self.items[at].item.clone();
        let paths = conflicts.iter().take(CONFLICT_PATHS_MAX).map(enc).collect();
        MergeError::Conflict { item: name(item), with: with.into_iter().map(name).collect(), paths }
    }
}
