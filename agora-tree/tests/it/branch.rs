//! New branches.

use agora_core::error::Coded as _;
use agora_core::tree::Mode::{Exec, File, Gitlink, Link};
use agora_core::tree::Tree;
use agora_tree::{BranchCommit, BranchError, write_branch};

use crate::support::{Repo, read, tree};

fn commit<'a>(tree: &'a Tree, message: &str) -> BranchCommit<'a> {
    let author = ("Ann \u{DC}".to_owned(), "ann@example.org".to_owned());
    BranchCommit { tree, message: message.to_owned(), author, time_seconds: 1_700_000_000 }
}

fn loose_objects(repo: &Repo) -> u64 {
    let text = repo.git(&["count-objects"]);
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn commits_are_what_git_would_have_written() {
    let repo = Repo::new();
    for n in 0..20 {
        repo.write(format!("lib/{n}/f").as_bytes(), File, format!("{n}\n").as_bytes());
    }
    repo.write(b"lib.rs", File, b"x\n");
    let base_id = repo.commit_all();
    let (base, mut bytes) = read(&repo.path(), "HEAD", false);
    let mut first = base.tree.clone();
    first.files.extend(tree(&[(b"lib/0/f", Exec, b"0\n"), (b"lib-x", Link, b"lib.rs")], &mut bytes).files);
    let mut second = first.clone();
    second.files.remove(&"lib.rs".into());
    second.files.extend(tree(&[(b"lib.rs/a b", File, b"new\n")], &mut bytes).files);

    let before = loose_objects(&repo);
    let commits = [commit(&first, "one\n"), commit(&second, "two\n")];
    let ids = write_branch(&repo.path(), "agora/run-1", Some(&base_id), &commits, &bytes).unwrap();
    // One link, one new file; the trees lib/0, lib, / and then /, lib.rs; two commits.
    assert_eq!(loose_objects(&repo) - before, 2 + 5 + 2);
    repo.git(&["fsck", "--strict"]);
    assert_eq!(
        repo.git(&["rev-parse", "agora/run-1", "agora/run-1~1", "agora/run-1~2"]),
        format!("{}\n{}\n{base_id}", ids[1], ids[0])
    );
    assert_eq!(
        repo.git(&["log", "-1", "--format=%an|%ae|%at|%B", "agora/run-1"]),
        "Ann \u{DC}|ann@example.org|1700000000|two"
    );
    assert_eq!(read(&repo.path(), "agora/run-1", false).0.tree, second);
    assert_eq!(read(&repo.path(), &ids[0], false).0.tree, first);
    assert_eq!(repo.git(&["status", "--porcelain"]), "", "nothing is checked out");
}

#[test]
fn an_existing_branch_is_left_alone() {
    let repo = Repo::new();
    repo.write(b"f", File, b"1\n");
    let base_id = repo.commit_all();
    let (base, mut bytes) = read(&repo.path(), "HEAD", false);
    let changed = tree(&[(b"f", File, b"2\n")], &mut bytes);
    let other = tree(&[(b"f", File, b"3\n")], &mut bytes);
    let write =
        |branch: &str, tree: &Tree| write_branch(&repo.path(), branch, Some(&base_id), &[commit(tree, "m")], &bytes);
    let ids = write("b", &changed).unwrap();
    let objects = loose_objects(&repo);
    assert_eq!(write("b", &changed).unwrap(), ids, "the same again");
    assert_eq!(write("b", &other).unwrap_err().code(), "branch-exists");
    assert_eq!(write("main", &base.tree).unwrap_err().code(), "branch-exists");
    assert_eq!(write("b/c", &base.tree).unwrap_err().code(), "branch-exists", "a name below another");
    repo.git(&["branch", "x/y/z"]);
    assert_eq!(write("x/y", &base.tree).unwrap_err().code(), "branch-exists", "a name above another");
    assert_eq!(loose_objects(&repo), objects, "nothing was written");
    assert_eq!(repo.git(&["rev-parse", "b"]), ids[0]);
}

#[test]
fn bad_names_and_bases_are_refused() {
    let repo = Repo::new();
    repo.write(b"f", File, b"1\n");
    let base_id = repo.commit_all();
    let (base, bytes) = read(&repo.path(), "HEAD", false);
    let write = |branch: &str, base_commit: &str| {
        write_branch(&repo.path(), branch, Some(base_commit), &[commit(&base.tree, "m")], &bytes)
    };
    for name in ["", "-x", "a..b", "a b", "a~1", "HEAD", "x.lock", "/x", "a\0b"] {
        assert!(matches!(write(name, &base_id), Err(BranchError::Name(_))), "{name:?}");
    }
    assert!(matches!(write("fine", "main"), Err(BranchError::BaseMissing(_))));
    assert!(matches!(write("fine", &"1".repeat(40)), Err(BranchError::BaseMissing(_))));
    assert!(write("fine", &base_id).is_ok());
    let forged = BranchCommit { author: ("a\nparent x".to_owned(), "b".to_owned()), ..commit(&base.tree, "m") };
    assert!(matches!(write_branch(&repo.path(), "g", None, &[forged], &bytes), Err(BranchError::Text(_))));
    assert!(matches!(write_branch(&repo.path(), "g", None, &[], &bytes), Err(BranchError::Nothing)));
    let mut bytes = bytes;
    let git = tree(&[(b".git/config", File, b"x")], &mut bytes);
    assert!(matches!(write_branch(&repo.path(), "g", None, &[commit(&git, "m")], &bytes), Err(BranchError::Path(_))));
}

#[test]
fn a_repository_without_commits_gets_a_root_but_not_under_head() {
    let repo = Repo::new();
    let mut bytes = crate::support::Bytes::new();
    let id = b"1111111111111111111111111111111111111111";
    let first = tree(&[(b"f", File, b"1\n"), (b"sub", Gitlink, id)], &mut bytes);
    let refused = write_branch(&repo.path(), "main", None, &[commit(&first, "m")], &bytes).unwrap_err();
    assert_eq!(refused.code(), "branch-exists");
    write_branch(&repo.path(), "agora", None, &[commit(&first, "m")], &bytes).unwrap();
    assert_eq!(read(&repo.path(), "agora", false).0.tree, first);
}
