//! Paths as a disk that folds names sees them: a tree of folded names, each with a number.
//!
//! Prefixes are never kept as text: with 256 components of a path of 4,096 bytes, they would be a hundred times the path.

use std::collections::BTreeMap;

use crate::tree::TreePath;

/// The number of the root.
pub(super) const ROOT: usize = 0;

/// The folders and files of some paths, by folded name.
pub(super) struct Folded {
    fold: fn(&[u8]) -> Vec<u8>,
    numbers: BTreeMap<(usize, Vec<u8>), usize>,
}

impl Folded {
    /// Makes one that folds names so.
    pub(super) fn new(fold: fn(&[u8]) -> Vec<u8>) -> Self {
        Self { fold, numbers: BTreeMap::new() }
    }

    /// Adds a path, and returns the numbers of its prefixes, shortest first, its own last.
    pub(super) fn add(&mut self, path: &TreePath) -> Vec<usize> {
        let mut at = ROOT;
        path.components()
            .map(|name| {
                let next = self.numbers.len() + 1;
                at = *self.numbers.entry((at, (self.fold)(name))).or_insert(next);
                at
            })
            .collect()
    }

    /// Walks a path as far as its folders were added. Calls `see` with the folder's number, the name in it as it is
    /// spelled and folded, and that one's number if it was added too.
    pub(super) fn walk<'p>(&self, path: &'p TreePath, mut see: impl FnMut(usize, &'p [u8], &[u8], Option<usize>)) {
        let mut at = ROOT;
        for name in path.components() {
            let key = (at, (self.fold)(name));
            let next = self.numbers.get(&key).copied();
            see(at, name, &key.1, next);
            let Some(next) = next else { return };
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Folded, ROOT};
    use crate::path::fold;

    #[test]
    fn what_differs_in_case_alone_has_one_number() {
        let mut folded = Folded::new(fold);
        let (first, second) = (folded.add(&"Src/a".into()), folded.add(&"src/B".into()));
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1], second[1]);
        let mut seen = Vec::new();
        folded.walk(&"SRC/b/c".into(), |at, name, _, number| seen.push((at, name.to_vec(), number)));
        let expected = [
            (ROOT, b"SRC".to_vec(), Some(first[0])),
            (first[0], b"b".to_vec(), Some(second[1])),
            (second[1], b"c".to_vec(), None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_kept_of_a_deep_path_is_as_long_as_the_path() {
        let mut folded = Folded::new(fold);
        let path = "0123456789abcde/".repeat(255) + "x";
        folded.add(&path.as_str().into());
        assert_eq!(folded.numbers.keys().map(|(_, name)| name.len() + 1).sum::<usize>(), path.len() + 1);
    }
}
