//! Revisions, working trees and folders as base trees.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agora_core::error::Coded as _;
use agora_core::tree::Mode::{Exec, File, Gitlink, Link};
use agora_tree::{BaseError, git_tree_id, read_base};

use crate::support::{Bytes, Repo, paths, put, read, tree};

fn refused(folder: &Path, rev: &str, dirty: bool) -> BaseError {
    read_base(folder, rev, dirty, &mut Vec::new()).unwrap_err()
}

#[test]
fn a_revision_is_read_raw_in_the_order_of_the_manifest() {
    let repo = Repo::new();
    for (path, mode, content) in [
        (&b"a.txt"[..], File, &b"same\n"[..]),
        (b"a/b", Exec, b"same\n"),
        (b"a-c", File, b"crlf\r\n"),
        (b"l", Link, b"a/b"),
        (b"\xFFx", File, b""),
        (b".gitattributes", File, b"* text eol=lf\n*.txt ident export-ignore\n"),
    ] {
        repo.write(path, mode, content);
    }
    // Nothing of what the attributes say may touch the bytes on their way in either.
    repo.git(&["-c", "core.attributesFile=/dev/null", "add", "a-c"]);
    let first = repo.commit_all();
    repo.write(b"a.txt", File, b"second\n");
    repo.commit_all();
    let (base, bytes) = read(&repo.path(), "HEAD~1", false);
    assert_eq!(base.commit, Some(first));
    assert_eq!(base.git_tree, Some(repo.git(&["rev-parse", "HEAD~1^{tree}"])));
    assert_eq!((base.dirty, base.left_out), (false, 0));
    assert_eq!(base.tree.files[&"a.txt".into()].digest, base.tree.files[&"a/b".into()].digest);
    assert_eq!((base.tree.files[&"a/b".into()].mode, base.tree.files[&"l".into()].mode), (Exec, Link));
    assert_eq!(bytes.len(), 5);
    let (tree, commit) = git_tree_id(&repo.path(), "main~1").unwrap();
    assert_eq!((Some(tree), Some(commit)), (base.git_tree, base.commit));
}

#[test]
fn unknown_revisions_are_refused_with_a_hint() {
    let repo = Repo::new();
    repo.write(b"f", File, b"1");
    assert_eq!(refused(&repo.path(), "HEAD", false).code(), "rev-unknown", "no commit yet");
    repo.commit_all();
    assert!(read_base(&repo.path(), "main", false, &mut Vec::new()).is_ok());
    for rev in ["mian", "nothing", "", "HEAD:f", ":/x", "HEAD^{/x}", "--all", "HEAD^{tree}", &"x".repeat(300)] {
        let error = refused(&repo.path(), rev, false);
        assert_eq!(error.code(), "rev-unknown", "{rev}");
        assert_eq!(error.hint().unwrap().contains("did you mean \"main\""), rev == "mian", "{rev}");
    }
}

#[test]
fn a_folder_inside_a_repository_names_the_root() {
    let repo = Repo::new();
    repo.write(b"sub/f", File, b"1");
    repo.commit_all();
    let error = refused(&repo.path().join("sub"), "HEAD", false);
    assert_eq!(error.code(), "workspace-path");
    assert!(error.to_string().contains(repo.path().canonicalize().unwrap().to_str().unwrap()), "{error}");
    assert_eq!(refused(&repo.path().join("sub/f"), "HEAD", false).code(), "workspace-path");
    assert_eq!(refused(&repo.path().join("none"), "HEAD", false).code(), "workspace-path");
    assert!(read_base(&repo.path(), "HEAD", false, &mut Vec::new()).is_ok());
}

#[test]
fn linked_and_bare_repositories_are_read() {
    let repo = Repo::new();
    repo.write(b"f", File, b"1");
    repo.commit_all();
    let (linked, bare) = (repo.beside("linked"), repo.beside("bare"));
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    put(&linked, b"g", File, b"2");
    assert_eq!(paths(&read(&linked, "HEAD", false).0.tree), ["f"]);
    assert_eq!(paths(&read(&linked, "HEAD", true).0.tree), ["f", "g"]);
    assert_eq!(paths(&read(&bare, "HEAD", false).0.tree), ["f"]);
    assert_eq!(refused(&bare, "HEAD", true).code(), "workspace-path");
}

#[test]
fn a_working_tree_is_what_git_does_not_ignore() {
    let repo = Repo::new();
    repo.write(b".gitignore", File, b"*.log\n/out/\n");
    repo.write(b"tracked.log", File, b"1\n");
    repo.write(b"out/kept", File, b"1\n");
    repo.write(b"gone", File, b"1\n");
    repo.write(b"changed", File, b"1\n");
    repo.git(&["add", "-f", "tracked.log", "out/kept"]);
    let commit = repo.commit_all();
    repo.write(b"changed", Exec, b"2\r\n");
    repo.write(b"new", File, b"3\n");
    repo.write(b"new.log", File, b"ignored\n");
    repo.write(b"out/x", File, b"ignored\n");
    repo.write(b"sub/.gitignore", File, b"!new.log\n");
    repo.write(b"sub/new.log", File, b"4\n");
    repo.write(b"sub/excluded", File, b"5\n");
    repo.write(b"link", Link, b"/etc/passwd");
    std::fs::remove_file(repo.path().join("gone")).unwrap();
    std::fs::write(repo.path().join(".git/info/exclude"), "excluded\n").unwrap();
    // A global exclude says nothing here.
    std::fs::create_dir_all(repo.beside(".config/git")).unwrap();
    std::fs::write(repo.beside(".config/git/ignore"), "new\n").unwrap();
    let _pipe = std::os::unix::net::UnixListener::bind(repo.path().join("socket")).unwrap();

    let (base, bytes) = read(&repo.path(), "HEAD", true);
    let mut expected_bytes = Bytes::new();
    let expected = tree(
        &[
            (b".gitignore", File, b"*.log\n/out/\n"),
            (b"changed", Exec, b"2\r\n"),
            (b"link", Link, b"/etc/passwd"),
            (b"new", File, b"3\n"),
            (b"out/kept", File, b"1\n"),
            (b"sub/.gitignore", File, b"!new.log\n"),
            (b"sub/new.log", File, b"4\n"),
            (b"tracked.log", File, b"1\n"),
        ],
        &mut expected_bytes,
    );
    assert_eq!((base.tree, bytes), (expected, expected_bytes));
    assert_eq!((base.commit, base.git_tree, base.dirty, base.left_out), (Some(commit), None, true, 1));
}

#[test]
fn nested_repositories_and_submodules_are_not_looked_into() {
    let inner = Repo::new();
    inner.write(b"f", File, b"1");
    let commit = inner.commit_all();
    let repo = Repo::new();
    repo.write(b"f", File, b"1");
    repo.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        inner.path().to_str().unwrap(),
        "sub",
    ]);
    repo.commit_all();
    std::fs::create_dir(repo.path().join("nested")).unwrap();
    repo.git(&["init", "-q", "nested"]);
    repo.write(b"nested/file", File, b"1");
    for dirty in [false, true] {
        let (base, bytes) = read(&repo.path(), "HEAD", dirty);
        assert_eq!(paths(&base.tree), [".gitmodules", "f", "sub"]);
        let node = base.tree.files[&"sub".into()];
        assert_eq!((node.mode, bytes[&node.digest].as_slice()), (Gitlink, commit.as_bytes()));
        assert_eq!(base.left_out, u64::from(dirty));
    }
}

#[test]
fn a_sparse_checkout_is_whole() {
    let repo = Repo::new();
    repo.write(b"a/f", File, b"1\n");
    repo.write(b"b/f", File, b"2\n");
    repo.commit_all();
    repo.git(&["sparse-checkout", "set", "--no-cone", "/a/"]);
    assert!(!repo.path().join("b/f").exists());
    let (base, _) = read(&repo.path(), "HEAD", true);
    assert_eq!(base.tree, read(&repo.path(), "HEAD", false).0.tree);
}

#[test]
fn a_plain_folder_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), b".gitignore", File, b"*\n");
    put(folder.path(), b"x/y", Exec, b"1");
    put(folder.path(), b"x.y", Link, b"x/y");
    put(folder.path(), b"n/.git/config", File, b"[core]\n");
    put(folder.path(), b"n/f", File, b"2");
    put(folder.path(), b".GIT/config", File, b"[core]\n");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let (base, _) = read(folder.path(), "HEAD", true);
    assert_eq!(paths(&base.tree), [".gitignore", "n/f", "x.y", "x/y"]);
    assert_eq!((base.commit, base.git_tree, base.dirty, base.left_out), (None, None, false, 2));
    assert_eq!(refused(folder.path(), "main", false).code(), "rev-unknown");
}

#[test]
fn hostile_tree_objects_are_refused() {
    let repo = Repo::new();
    repo.write(b"f", File, b"1");
    repo.commit_all();
    let blob = repo.git(&["rev-parse", "HEAD:f"]);
    let bytes: Vec<u8> = (0..20).map(|i| u8::from_str_radix(&blob[2 * i..2 * i + 2], 16).unwrap()).collect();
    let entry = |mode: &str, name: &str| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &bytes].concat();
    for (fine, objects) in [
        (true, vec![entry("100644", "a"), entry("100755", "b")]),
        (false, vec![entry("100644", ".git")]),
        (false, vec![entry("100644", "..")]),
        (false, vec![entry("100644", "a/b")]),
        (false, vec![entry("100644", "a"), entry("120000", "a")]),
        (false, vec![entry("100644", "GIT~1")]),
    ] {
        let file = repo.beside("object");
        std::fs::write(&file, objects.concat()).unwrap();
        let id = repo.git(&["hash-object", "-t", "tree", "-w", "--literally", file.to_str().unwrap()]);
        let commit = repo.git(&["commit-tree", "-m", "x", &id]);
        let result = read_base(&repo.path(), &commit, false, &mut Vec::new());
        assert_eq!(result.is_ok(), fine, "{:?}", result.map(|base| paths(&base.tree)));
    }
}

/// Programs that leave a marker, named everywhere that git looks for programs.
fn bait(repo: &Repo) -> std::path::PathBuf {
    let marker = repo.beside("marker");
    let script = repo.beside("bait");
    std::fs::write(&script, format!("#!/bin/sh\necho x >> {}\ncat\n", marker.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = repo.beside("hooks");
    std::fs::create_dir(&hooks).unwrap();
    for hook in ["post-checkout", "pre-commit", "post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        std::fs::copy(&script, hooks.join(hook)).unwrap();
        std::fs::copy(&script, repo.path().join(".git/hooks").join(hook)).unwrap();
    }
    let script = script.to_str().unwrap();
    for (key, value) in [
        ("core.fsmonitor", script),
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("filter.bait.clean", script),
        ("filter.bait.smudge", script),
        ("filter.bait.process", script),
        ("diff.bait.textconv", script),
        ("diff.bait.command", script),
        ("core.autocrlf", "true"),
        ("core.sshCommand", script),
        ("core.pager", script),
    ] {
        repo.git(&["config", key, value]);
    }
    marker
}

#[test]
fn configuration_of_a_repository_has_no_effect() {
    let repo = Repo::new();
    repo.write(b".gitattributes", File, b"* filter=bait diff=bait\n");
    repo.write(b"f", File, b"1\r\n");
    repo.commit_all();
    let committed = repo.git(&["cat-file", "-s", "HEAD:f"]);
    assert_eq!(committed, "3", "the bytes went in raw");
    let marker = bait(&repo);
    repo.write(b"f", File, b"2\r\n");
    repo.write(b"g", File, b"3\n");

    let (base, bytes) = read(&repo.path(), "HEAD", false);
    let (dirty, dirty_bytes) = read(&repo.path(), "HEAD", true);
    let f = |base: &agora_tree::BaseTree, bytes: &Bytes| bytes[&base.tree.files[&"f".into()].digest].clone();
    assert_eq!((f(&base, &bytes), f(&dirty, &dirty_bytes)), (b"1\r\n".to_vec(), b"2\r\n".to_vec()));
    assert_eq!(paths(&dirty.tree), [".gitattributes", "f", "g"]);
    let commit = agora_tree::BranchCommit {
        tree: &dirty.tree,
        message: "x".to_owned(),
        author: ("A".to_owned(), "a@example.org".to_owned()),
        time_seconds: 0,
    };
    agora_tree::write_branch(&repo.path(), "agora/x", base.commit.as_deref(), &[commit], &dirty_bytes).unwrap();
    assert!(!marker.exists(), "nothing of the bait ran");

    // The twin: plain git runs it.
    let _its_own_answer = repo.try_git(&["status"]);
    assert!(marker.exists());
}

/// Only root can give a folder away; the users' own repositories are what every other test reads.
mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_repository_of_another_user_is_read() {
        let repo = Repo::new();
        repo.write(b"f", File, b"1");
        repo.commit_all();
        for path in [repo.path(), repo.path().join(".git")] {
            std::os::unix::fs::chown(path, Some(65_532), Some(65_532)).unwrap();
        }
        assert!(!repo.try_git(&["status"]).status.success(), "git itself minds");
        assert_eq!(paths(&read(&repo.path(), "HEAD", false).0.tree), ["f"]);
        assert_eq!(paths(&read(&repo.path(), "HEAD", true).0.tree), ["f"]);
    }
}
