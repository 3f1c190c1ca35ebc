//! Repositories that a patch smuggles in as plain files.
//!
//! A folder needs no `.git` to be a repository: one with `HEAD`, `objects` and `refs` is a bare one, and git obeys its
//! `config` and `hooks` for whoever merely enters it (`core.fsmonitor` runs a program on `git status`).

use std::collections::{BTreeMap, BTreeSet};

use super::Patch;
use super::folded::{Folded, ROOT};
use crate::path::undisguise;
use crate::tree::{Tree, TreePath};

const HEAD: u8 = 1;
const OBJECTS: u8 = 2;
const REFS: u8 = 4;
const COMMON: u8 = 8;

/// The paths of a patch that lie in a folder which git takes for a repository in the result (git, setup.c,
/// `is_git_directory`): those that make it one, and those that change one.
pub(super) fn within_repositories<'p>(patch: &'p Patch<'_>, result: &Tree) -> BTreeSet<&'p TreePath> {
    let mut folders = Folded::new(|name| undisguise(name).into_bytes());
    let above: Vec<(&TreePath, Vec<usize>)> =
        patch.files.iter().map(|file| (&file.path, folders.add(&file.path))).collect();
    if above.is_empty() {
        return BTreeSet::new();
    }
    let mut has: BTreeMap<usize, u8> = BTreeMap::new();
    for path in result.files.keys() {
        folders.walk(path, |folder, _, name, _| {
            // What a name is, file, folder or link, does not matter: git follows links here.
            let part = match name {
                b"head" => HEAD,
                b"objects" => OBJECTS,
                b"refs" => REFS,
                b"commondir" => COMMON,
                _ => return,
            };
            *has.entry(folder).or_default() |= part;
        });
    }
    let is_repository = |folder: &usize| {
        let has = has.get(folder).copied().unwrap_or_default();
        has & HEAD != 0 && (has & (OBJECTS | REFS) == OBJECTS | REFS || has & COMMON != 0)
    };
    let lies_in_one = |numbers: &[usize]| is_repository(&ROOT) || numbers.iter().any(is_repository);
    above.into_iter().filter(|(_, numbers)| lies_in_one(numbers)).map(|(path, _)| path).collect()
}

/// Whether a path could be the configuration of a repository, of which another patch brings the rest.
pub(super) fn is_config(path: &TreePath) -> bool {
    path.components().next_back().is_some_and(|name| undisguise(name) == "config")
}

/// Whether bytes have a section that only git's configuration has: the one with its programs, or one that reads more.
pub(super) fn configures_git(bytes: &[u8]) -> bool {
    let sections: [&[u8]; 2] = [b"[core", b"[include"];
    let starts = |at: &[u8], section: &[u8]| at.get(..section.len()).is_some_and(|s| s.eq_ignore_ascii_case(section));
    (0..bytes.len()).any(|at| bytes[at] == b'[' && sections.iter().any(|section| starts(&bytes[at..], section)))
}

#[cfg(test)]
mod tests {
    use super::{configures_git, is_config};

    #[test]
    fn a_configuration_of_git_is_known_by_its_sections() {
        for text in ["[core]\n\tfsmonitor = x\n", "[alias][CORE]x=1", "# c\n [include]\npath = x", "[includeIf \"x\"]"]
        {
            assert!(configures_git(text.as_bytes()), "{text}");
        }
        for text in ["", "[", "[cor", "core = 1\n", "[build]\ntarget = 1\n", "[encore]"] {
            assert!(!configures_git(text.as_bytes()), "{text}");
        }
        assert!(is_config(&"a/Config".into()) && is_config(&"config".into()));
        assert!(!is_config(&"config/a".into()) && !is_config(&"a/config.toml".into()));
    }
}
