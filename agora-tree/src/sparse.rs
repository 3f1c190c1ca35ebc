//! A tree as a base and what differs from it: fifty results over one base hold the base once.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use agora_core::canon::CanonError;
use agora_core::id::Digest;
use agora_core::tree::{Node, TREE_FORMAT, Tree, TreePath};
use sha2::{Digest as _, Sha256};

/// What differs from the base: a node where there is another, `None` where there is nothing any more.
pub(crate) type Changes = BTreeMap<TreePath, Option<Node>>;

/// Returns what leads from one tree to another.
pub(crate) fn differences(from: &Tree, to: &Tree) -> Changes {
    let mut changes = Changes::new();
    let (mut old, mut new) = (from.files.iter().peekable(), to.files.iter().peekable());
    loop {
        // Both are sorted: what stands only on one side comes before the other side's next path.
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        if let Some((path, _)) = come.or(gone)
            && gone.map(|(_, node)| node) != come.map(|(_, node)| node)
        {
            changes.insert(path.clone(), come.map(|(_, node)| *node));
        }
    }
}

/// A base and what differs from it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) base: &'a Tree,
    pub(crate) changes: &'a Changes,
}

impl View<'_> {
    pub(crate) fn get(&self, path: &TreePath) -> Option<Node> {
        self.changes.get(path).copied().unwrap_or_else(|| self.base.files.get(path).copied())
    }

    /// The proper prefix of `path` that is there, and so is no folder.
    pub(crate) fn file_above(&self, path: &TreePath) -> Option<TreePath> {
        let bytes = path.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        ends.map(|end| TreePath::new(&bytes[..end])).find(|above| self.get(above).is_some())
    }

    /// A path below `path` that is there, so that `path` is a folder.
    pub(crate) fn path_below(&self, path: &TreePath) -> Option<TreePath> {
        let folder = [path.as_bytes(), b"/"].concat();
        let start = TreePath::new(folder.clone());
        let inside = |path: &&TreePath| path.as_bytes().starts_with(&folder);
        let changed = self.changes.range(start.clone()..).take_while(|(path, _)| inside(path));
        if let Some((path, _)) = changed.clone().find(|(_, node)| node.is_some()) {
            return Some(path.clone());
        }
        let mut base = self.base.files.range(start..).map(|(path, _)| path).take_while(inside);
        base.find(|path| !self.changes.contains_key(*path)).cloned()
    }

    /// Builds the whole tree.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = self.base.clone();
        for (path, node) in self.changes {
            match node {
                Some(node) => tree.files.insert(path.clone(), *node),
                None => tree.files.remove(path),
            };
        }
        tree
    }
}

/// How many elements lie between two kept states of the hash: 50,000 files keep 200 of them.
const STRIDE: usize = 256;

/// The manifest of a base, kept so that the digest of a changed tree costs one hash from the first change on.
pub(crate) struct Manifest<'a> {
    paths: Vec<&'a TreePath>,
    /// The elements, each with a comma before it, the first too.
    bytes: Vec<u8>,
    /// Where each element starts in `bytes`, and where the last ends.
    starts: Vec<usize>,
    /// The hash before element 0, 256, 512 …
    states: Vec<Sha256>,
}

impl<'a> Manifest<'a> {
    pub(crate) fn new(base: &'a Tree) -> Result<Self, CanonError> {
        let mut hash = Sha256::new();
        hash.update(b"{\"files\":[");
        let mut manifest = Self { paths: Vec::new(), bytes: Vec::new(), starts: vec![0], states: Vec::new() };
        for (at, (path, node)) in base.files.iter().enumerate() {
            if at % STRIDE == 0 {
                manifest.states.push(hash.clone());
            }
            let from = manifest.bytes.len();
            manifest.bytes.push(b',');
            manifest.bytes.extend(Tree::manifest_line(path, node)?);
            hash.update(&manifest.bytes[from + usize::from(at == 0)..]);
            manifest.starts.push(manifest.bytes.len());
            manifest.paths.push(path);
        }
        if manifest.states.is_empty() {
            manifest.states.push(hash);
        }
        Ok(manifest)
    }

    /// Returns the digest of the tree that the base gives with these changes.
    pub(crate) fn digest(&self, changes: &Changes) -> Result<Digest, CanonError> {
        let position = |path: &TreePath| self.paths.partition_point(|known| *known < path);
        let first_change = changes.keys().next().map_or(self.paths.len(), position);
        let state = (first_change / STRIDE).min(self.states.len() - 1);
        let mut hash = self.states[state].clone();
        let mut at = state * STRIDE;
        let mut first = at == 0;
        let mut feed = |bytes: &[u8]| {
            if !bytes.is_empty() {
                hash.update(&bytes[usize::from(first)..]);
                first = false;
            }
        };
        for (path, node) in changes {
            let here = position(path);
            feed(&self.bytes[self.starts[at]..self.starts[here]]);
            at = here + usize::from(self.paths.get(here) == Some(&path));
            if let Some(node) = node {
                feed(&[&b","[..], &Tree::manifest_line(path, node)?].concat());
            }
        }
        feed(&self.bytes[self.starts[at]..]);
        hash.update(format!("],\"format\":\"{TREE_FORMAT}\"}}").as_bytes());
        Ok(Digest(hash.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use agora_core::tree::Mode;
    use proptest::prelude::*;

    use super::*;

    fn node(n: u8) -> Node {
        Node {
            mode: if n.is_multiple_of(2) { Mode::File } else { Mode::Link },
            digest: Digest::of(&[n]),
            size_bytes: 1,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_digest_is_that_of_the_whole_tree(
            base in proptest::collection::btree_map("[a-e\u{e9}]{1,4}", any::<u8>(), 0..700),
            changes in proptest::collection::btree_map("[a-e\u{e9}]{1,4}", proptest::option::of(any::<u8>()), 0..12),
        ) {
            let base = Tree { files: base.iter().map(|(path, n)| (path.as_str().into(), node(*n))).collect() };
            let changes: Changes = changes.iter().map(|(path, n)| (path.as_str().into(), n.map(node))).collect();
            let view = View { base: &base, changes: &changes };
            prop_assert_eq!(Manifest::new(&base).unwrap().digest(&changes), view.tree().digest());
            let again = differences(&base, &view.tree());
            prop_assert_eq!(View { base: &base, changes: &again }.tree(), view.tree());
            prop_assert!(again.iter().all(|(path, node)| base.files.get(path) != node.as_ref()));
        }
    }

    #[test]
    fn folders_are_seen_through_the_changes() {
        let mut base = Tree::default();
        base.files.insert("a/b".into(), node(0));
        base.files.insert("a.c".into(), node(0));
        let mut changes = Changes::new();
        let below = |changes: &Changes, path: &str| View { base: &base, changes }.path_below(&path.into());
        assert_eq!(below(&changes, "a"), Some("a/b".into()));
        changes.insert("a/b".into(), None);
        assert_eq!(below(&changes, "a"), None);
        changes.insert("a/d".into(), Some(node(1)));
        assert_eq!(below(&changes, "a"), Some("a/d".into()));
        assert_eq!(View { base: &base, changes: &changes }.file_above(&"a.c/x/y".into()), Some("a.c".into()));
        assert_eq!(View { base: &base, changes: &changes }.file_above(&"a/x".into()), None);
    }
}
