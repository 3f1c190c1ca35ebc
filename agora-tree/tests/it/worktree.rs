//! Results written into a folder.

use agora_core::error::Coded as _;
use agora_core::tree::Mode::{Exec, File, Link};
use agora_tree::{Applied, Merged, WorktreeError, apply_to_worktree};

use crate::support::{Bytes, File as Entry, lay_out, put, read, tree};

struct Case {
    folder: tempfile::TempDir,
    bytes: Bytes,
    start: agora_core::tree::Tree,
    result: Merged,
}

impl Case {
    fn new(start: &[Entry<'_>], result: &[Entry<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut bytes, mut added) = (Bytes::new(), Bytes::new());
        let start = tree(start, &mut bytes);
        let result = Merged { tree: tree(result, &mut added), added };
        lay_out(folder.path(), &start, &bytes);
        Self { folder, bytes, start, result }
    }

    fn apply(&self) -> Result<Applied, WorktreeError> {
        apply_to_worktree(self.folder.path(), &self.start, &self.result, &self.bytes)
    }

    fn now(&self) -> agora_core::tree::Tree {
        read(self.folder.path(), "HEAD", false).0.tree
    }
}

#[test]
fn a_result_is_written_and_a_second_time_changes_nothing() {
    let case = Case::new(
        &[
            (b"a", File, b"1\n"),
            (b"d/x", File, b"1"),
            (b"d/y/z", File, b"1"),
            (b"p", File, b"1"),
            (b"q/r", Link, b"../a"),
        ],
        &[(b"a", Exec, b"2\n"), (b"d", Link, b"a"), (b"n/m/o", File, b""), (b"p/q", File, b"2"), (b"q/r", File, b"3")],
    );
    put(case.folder.path(), b"mine", File, b"untouched");
    let applied = case.apply().unwrap();
    assert_eq!((applied.written, applied.removed, applied.unchanged), (5, 3, 0));
    let mut expected = case.result.tree.clone();
    expected.files.extend(tree(&[(b"mine", File, b"untouched")], &mut Bytes::new()).files);
    assert_eq!(case.now(), expected);
    let again = case.apply().unwrap();
    assert_eq!((again.written, again.removed), (0, 0));
}

#[test]
fn what_differs_is_named_and_nothing_is_written() {
    type Spoil = fn(&std::path::Path);
    let spoils: [(&str, Spoil, &[&str]); 7] = [
        ("content", |folder| put(folder, b"a", File, b"mine\n"), &["a"]),
        ("mode", |folder| put(folder, b"a", Exec, b"1\n"), &["a"]),
        ("gone", |folder| std::fs::remove_file(folder.join("a")).unwrap(), &["a"]),
        ("in the way", |folder| put(folder, b"new/f", File, b"mine"), &["new/f"]),
        ("a file for a folder", |folder| put(folder, b"new", File, b"mine"), &["new/f"]),
        ("a folder for a file", |folder| std::fs::create_dir_all(folder.join("new/f")).unwrap(), &["new/f"]),
        ("a link for a folder", |folder| std::os::unix::fs::symlink("/tmp", folder.join("new")).unwrap(), &["new/f"]),
    ];
    for (name, spoil, at) in spoils {
        let case = Case::new(
            &[(b"a", File, b"1\n"), (b"b", File, b"1\n")],
            &[(b"a", File, b"2\n"), (b"b", File, b"2\n"), (b"new/f", File, b"2\n")],
        );
        spoil(case.folder.path());
        let before = case.now();
        let error = case.apply().unwrap_err();
        assert_eq!(error.code(), "worktree-differs", "{name}");
        let WorktreeError::Differs { paths } = error else { panic!("{name}") };
        assert_eq!(paths.iter().map(|path| path.as_str()).collect::<Vec<_>>(), at, "{name}");
        assert_eq!(case.now(), before, "{name}");
    }
}

#[test]
fn nothing_is_written_beyond_a_link_or_under_git() {
    let outside = tempfile::tempdir().unwrap();
    let case = Case::new(&[(b"d/f", File, b"1")], &[(b"d/f", File, b"2")]);
    std::fs::remove_dir_all(case.folder.path().join("d")).unwrap();
    put(outside.path(), b"f", File, b"1");
    std::os::unix::fs::symlink(outside.path(), case.folder.path().join("d")).unwrap();
    assert_eq!(case.apply().unwrap_err().code(), "worktree-differs");
    assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"1");
    let case = Case::new(&[], &[(b".git/hooks/pre-commit", Exec, b"2")]);
    assert_eq!(case.apply().unwrap_err().code(), "path-refused");
}

#[test]
fn nothing_is_written_into_a_repositorys_own_folder() {
    let git: [Entry<'_>; 3] = [(b"HEAD", File, b"ref: x\n"), (b"objects/x", File, b"x"), (b"refs/x", File, b"x")];
    let put_git = |folder: &std::path::Path, leave_out: &[u8]| {
        for (name, mode, content) in git.iter().filter(|(name, ..)| *name != leave_out) {
            put(folder, name, *mode, content);
        }
    };
    for (below, at) in [("", "."), ("vendor.git/", "vendor.git"), ("a/b/", "a/b")] {
        let hook = format!("{below}hooks/post-checkout");
        let case = || Case::new(&[], &[(b"a/x", File, b"1"), (hook.as_bytes(), Exec, b"1")]);
        let refused = case();
        put_git(&refused.folder.path().join(below), b"");
        let error = refused.apply().unwrap_err();
        assert_eq!((error.code(), error.at().as_deref()), ("workspace-path", Some(at)));
        assert!(!refused.folder.path().join(&hook).exists() && !refused.folder.path().join("a/x").exists());
        // One part less, and it is no repository; nor is one beside the way.
        let part = case();
        put_git(&part.folder.path().join(below), b"refs/x");
        assert_eq!(part.apply().unwrap().written, 2);
        let beside = case();
        put_git(&beside.folder.path().join("other"), b"");
        assert_eq!(beside.apply().unwrap().written, 2);
    }
}

#[test]
fn a_repository_that_the_start_tree_has_is_a_file_like_others() {
    let git: [Entry<'_>; 3] = [(b"t/HEAD", File, b"x"), (b"t/objects/x", File, b"x"), (b"t/refs/x", File, b"x")];
    let case = Case::new(&git, &[git[0], git[1], git[2], (b"t/config", File, b"x")]);
    assert_eq!(case.apply().unwrap().written, 1);
}

#[test]
fn missing_bytes_are_found_before_anything_is_written() {
    let mut case = Case::new(&[(b"a", File, b"1")], &[(b"a", File, b"2"), (b"b", File, b"3")]);
    let gone = case.result.tree.files[&"b".into()].digest;
    let bytes = case.result.added.remove(&gone).unwrap();
    assert_eq!(case.apply().unwrap_err().code(), "blob-missing");
    assert_eq!(case.now(), case.start);
    case.result.added.insert(gone, bytes);
    assert!(case.apply().is_ok());
}
