//! Where a symbolic link of a tree leads, followed in the tree alone.

use crate::path::is_git;
use crate::tree::{Mode, Tree, TreePath};

/// The longest target in bytes (`PATH_MAX`).
const TARGET_BYTES_MAX: usize = 4_096;
/// How many links may be passed on one way: what Linux follows before it gives up.
const HOPS_MAX: usize = 40;

/// Reads the target of the link at a path.
pub(super) type Targets<'a> = dyn Fn(&TreePath) -> Option<Vec<u8>> + 'a;

/// Returns why the link at `path` is refused, or `None` when it stays below the root of the tree.
///
/// Links on the way are followed as they are in the same tree, so that two harmless-looking links cannot lead out together.
pub(super) fn leads_out(path: &TreePath, tree: &Tree, targets: &Targets<'_>) -> Option<&'static str> {
    let mut at: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    at.pop();
    let Some(target) = targets(path) else { return Some("its target cannot be read") };
    if let Some(why) = bad_target(&target) {
        return Some(why);
    }
    // Components still to go, the next one last.
    let mut ahead: Vec<Vec<u8>> = target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
    let mut hops = 0;
    while let Some(part) = ahead.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                if at.pop().is_none() {
                    return Some("it leads out of the tree");
                }
                continue;
            }
            _ => {}
        }
        at.push(part);
        let here = TreePath::new(at.join(&b'/'));
        if tree.files.get(&here).is_some_and(|node| node.mode == Mode::Link) {
            hops += 1;
            if hops > HOPS_MAX {
                return Some("it leads through too many links");
            }
            let Some(next) = targets(&here) else { return Some("a target on its way cannot be read") };
            if let Some(why) = bad_target(&next) {
                return Some(why);
            }
            at.pop();
            ahead.extend(next.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
        }
    }
    None
}

fn bad_target(target: &[u8]) -> Option<&'static str> {
    let absolute = match target {
        [b'/' | b'\\', ..] => true,
        [drive, b':', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    };
    if target.is_empty() {
        Some("its target is empty")
    } else if absolute {
        Some("its target is absolute")
    } else if target.len() > TARGET_BYTES_MAX || target.contains(&0) {
        Some("its target is no path")
    } else if target.split(|b| *b == b'/').any(is_git) {
        Some("its target is in a repository's own folder")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::id::Digest;
    use crate::tree::Node;

    fn refused(links: &[(&str, &str)], path: &str) -> Option<&'static str> {
        let map: BTreeMap<TreePath, Vec<u8>> =
            links.iter().map(|(path, target)| ((*path).into(), target.as_bytes().to_vec())).collect();
        let mut tree = Tree::default();
        for (path, target) in &map {
            let node = Node { mode: Mode::Link, digest: Digest::of(target), size_bytes: target.len() as u64 };
            tree.files.insert(path.clone(), node);
        }
        leads_out(&path.into(), &tree, &|path| map.get(path).cloned())
    }

    #[test]
    fn links_that_leave_and_their_twins_that_stay() {
        for (stays, leaves) in [
            (&[("a/b", "../c")][..], &[("a/b", "../../c")][..]),
            (&[("a", "etc/passwd")], &[("a", "/etc/passwd")]),
            (&[("a", "b/../c")], &[("a", "b/../../c")]),
            (&[("a", "b/.."), ("b", "x/y")], &[("a", "b/../.."), ("b", "x")]),
            (&[("a", "b/c"), ("b", "d")], &[("a", "b/c"), ("b", "../d")]),
            (&[("a", ".gitignore")], &[("a", ".GIT/config")]),
            (&[("a", "c")], &[("a", "C:\\x")]),
            (&[("a", "b")], &[("a", "")]),
            (&[("a", "b")], &[("a", "a")]),
        ] {
            assert_eq!(refused(stays, stays[0].0), None, "{stays:?}");
            assert!(refused(leaves, leaves[0].0).is_some(), "{leaves:?}");
        }
    }
}
