//! Files that steer agents: what an upstream item changed in them has no effect here unless the subagent says so.

use agora_core::tree::{Tree, TreePath};

/// Whether agents read this path as settings or instructions: the same files that reviewers see flagged.
fn steers_agents(path: &TreePath) -> bool {
    agora_core::patch::steers_agents(path)
}

/// The tree to lay out: the start tree, with the files that steer agents as the base tree has them.
pub(crate) fn laid_out(base: &Tree, start: &Tree, trust_upstream: bool) -> Tree {
    let mut tree = start.clone();
    if !trust_upstream {
        tree.files.retain(|path, _| !steers_agents(path));
        let kept: Vec<_> = base.files.iter().filter(|(path, _)| steers_agents(path)).collect();
        for (path, node) in kept {
            // Where upstream made a folder of what was a file above, or the reverse, upstream's tree has to stand.
            if !clashes(&tree, path) {
                tree.files.insert(path.clone(), *node);
            }
        }
    }
    tree
}

/// Whether the tree has a file where this path has a folder, or the reverse.
pub(crate) fn clashes(tree: &Tree, path: &TreePath) -> bool {
    clash(tree, path).is_some()
}

/// The path of the tree that cannot stand beside this one.
pub(crate) fn clash(tree: &Tree, path: &TreePath) -> Option<TreePath> {
    let bytes = path.as_bytes();
    let above = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| TreePath::new(&bytes[..at]));
    for folder in above {
        if tree.files.contains_key(&folder) {
            return Some(folder);
        }
    }
    let mut below = bytes.to_vec();
    below.push(b'/');
    let first = TreePath::new(below.clone());
    let (found, _) = tree.files.range(first..).next()?;
    found.as_bytes().starts_with(&below).then(|| found.clone())
}

#[cfg(test)]
mod tests {
    use agora_core::id::Digest;
    use agora_core::tree::{Mode, Node};

    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let node = |text: &str| Node { mode: Mode::File, digest: Digest::of(text.as_bytes()), size_bytes: 1 };
        Tree { files: files.iter().map(|(path, text)| ((*path).into(), node(text))).collect() }
    }

    #[test]
    fn upstream_changes_to_settings_have_no_effect_unless_trusted() {
        let base = tree(&[("AGENTS.md", "old"), ("CLAUDE.md", "kept"), ("src/a", "1")]);
        let start = tree(&[("AGENTS.md", "evil"), (".mcp.json", "new"), ("src/a", "2")]);
        let expected = tree(&[("AGENTS.md", "old"), ("CLAUDE.md", "kept"), ("src/a", "2")]);
        assert_eq!(laid_out(&base, &start, false), expected);
        assert_eq!(laid_out(&base, &start, true), start);
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_clash() {
        let tree = tree(&[("a", ""), ("b/c", ""), ("b-d", "")]);
        assert_eq!(clash(&tree, &"a/x".into()), Some("a".into()));
        assert_eq!(clash(&tree, &"b".into()), Some("b/c".into()));
        assert_eq!(clash(&tree, &"b/d".into()), None);
        assert_eq!(clash(&tree, &"b-".into()), None);
    }
}
