//! Patches out and in, checked by `git apply` (I05).

use std::io::Write as _;
use std::process::Stdio;

use agora_core::patch::Patch;
use agora_core::tree::Mode::{Exec, File, Link};
use agora_core::tree::Tree;
use agora_tree::{Overlay, PatchError, apply, diff};

use crate::support::{Bytes, File as Entry, Repo, lay_out, read, tree};

const LONG: &[u8] = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n";
const LONG_CHANGED: &[u8] = b"1\ntwo\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n20\nend\n";

/// Each row: a name, the base, the result.
fn cases() -> Vec<(&'static str, Vec<Entry<'static>>, Vec<Entry<'static>>)> {
    let keep: Entry<'static> = (b"keep", File, b"k\n");
    vec![
        ("text", vec![keep, (b"d/f", File, LONG)], vec![keep, (b"d/f", File, LONG_CHANGED)]),
        (
            "binary",
            vec![(b"b", File, b"\0\x01\x02abc")],
            vec![(b"b", File, b"\0\x01\x02abd\xFF\n"), (b"n", File, b"\0")],
        ),
        ("binary gone", vec![keep, (b"b", File, b"\0\x01")], vec![keep]),
        (
            "names",
            vec![keep, (b"\xFF\xFEx y", File, b"1\n")],
            vec![keep, (b"\xFF\xFEx y", File, b"2\n"), (b"a\"b\xC3\xBC", File, b"q")],
        ),
        ("deletion", vec![keep, (b"x/y", File, b"1\n2"), (b"x/z", Exec, b"")], vec![keep]),
        ("rename", vec![(b"old name", File, LONG)], vec![(b"new name", File, LONG)]),
        ("mode", vec![(b"s", File, b"#!\n"), (b"t", Exec, b"1\n")], vec![(b"s", Exec, b"#!\n"), (b"t", File, b"2\n")]),
        ("symlink", vec![keep, (b"l", Link, b"keep")], vec![keep, (b"l", Link, b"./keep"), (b"m", Link, b"nowhere")]),
        ("file to link", vec![keep, (b"f", File, b"1\n")], vec![keep, (b"f", Link, b"keep")]),
        ("link to file", vec![keep, (b"f", Link, b"keep")], vec![keep, (b"f", Exec, b"1\n")]),
        ("empty", vec![keep, (b"e", File, b"")], vec![keep, (b"e", File, b"1"), (b"g", File, b""), (b"h", Exec, b"")]),
        ("emptied", vec![keep, (b"e", File, b"1\n2\n")], vec![keep, (b"e", File, b"")]),
        (
            "no newline",
            vec![(b"a", File, b"1\n2"), (b"b", File, b"1\n")],
            vec![(b"a", File, b"1\n2\n"), (b"b", File, b"1")],
        ),
        ("crlf", vec![(b"c", File, b"1\r\n2\r\n3\r\n")], vec![(b"c", File, b"1\r\n2\n3\r")]),
        ("latin-1", vec![(b"c", File, b"\xE9\n1\n")], vec![(b"c", File, b"\xE9\n\xE8\n")]),
        ("file to folder", vec![keep, (b"p", File, b"1\n")], vec![keep, (b"p/q", File, b"2\n")]),
        (
            "folder to file",
            vec![keep, (b"p/q", File, b"1\n"), (b"p/r/s", File, b"1\n")],
            vec![keep, (b"p", File, b"2\n")],
        ),
        ("folder to link", vec![keep, (b"p/q", File, b"1\n")], vec![keep, (b"p", Link, b"keep")]),
        ("looks like a patch", vec![(b"f", File, b"-- a\n")], vec![(b"f", File, b"++ b\n@@ -1 +1 @@\n-- \n")]),
        (
            "space at the end",
            vec![keep, (b"a b/c d", File, b"1\n")],
            vec![keep, (b"a b/c d", File, b"2\n"), (b" x", File, b"3\n")],
        ),
    ]
}

fn made(base: &[Entry<'_>], result: &[Entry<'_>]) -> (Tree, Tree, Bytes, Vec<u8>) {
    let mut bytes = Bytes::new();
    let (base, result) = (tree(base, &mut bytes), tree(result, &mut bytes));
    let patch = diff(&base, &result, &bytes).unwrap().unwrap();
    (base, result, bytes, patch.bytes)
}

#[test]
fn the_real_git_applies_what_is_made_and_gets_the_same_tree() {
    for (name, base, result) in cases() {
        let (base, result, bytes, patch) = made(&base, &result);
        let repo = Repo::new();
        lay_out(&repo.path(), &base, &bytes);
        repo.commit_all();
        let mut child = repo
            .command(&repo.path(), &["apply", "--index", "--whitespace=nowarn", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&patch).unwrap();
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&patch);
        assert!(output.status.success(), "{name}: {}\n{shown}", String::from_utf8_lossy(&output.stderr));
        let applied = repo.git(&["write-tree"]);

        let wanted = Repo::new();
        lay_out(&wanted.path(), &result, &bytes);
        wanted.git(&["add", "-A"]);
        assert_eq!(applied, wanted.git(&["write-tree"]), "{name}\n{shown}");
    }
}

#[test]
fn what_is_made_applies_here_and_only_to_its_own_tree() {
    for (name, base, result) in cases() {
        let (base, result, bytes, patch) = made(&base, &result);
        let merged = apply(&patch, &base, &bytes).unwrap();
        assert_eq!(merged.tree, result, "{name}");
        // The bytes of the result are those of the base and what was added.
        let base_bytes: Bytes = base.files.values().map(|node| (node.digest, bytes[&node.digest].clone())).collect();
        let again = apply(&patch, &base, &base_bytes).unwrap();
        let over = Overlay::new(&again.added, &base_bytes);
        assert!(diff(&base, &result, &over).unwrap().is_some(), "{name}");
        assert!(apply(&patch, &result, &bytes).is_err(), "{name}: a second time");
    }
}

#[test]
fn what_git_diff_writes_applies_here() {
    for (name, base, result) in cases() {
        let mut bytes = Bytes::new();
        let (base, result) = (tree(&base, &mut bytes), tree(&result, &mut bytes));
        let repo = Repo::new();
        lay_out(&repo.path(), &base, &bytes);
        repo.commit_all();
        for path in base.files.keys() {
            use std::os::unix::ffi::OsStrExt as _;
            std::fs::remove_file(repo.path().join(std::ffi::OsStr::from_bytes(path.as_bytes()))).unwrap();
        }
        let left =
            std::fs::read_dir(repo.path()).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != ".git");
        for folder in left {
            std::fs::remove_dir_all(folder.path()).unwrap();
        }
        lay_out(&repo.path(), &result, &bytes);
        repo.git(&["add", "-A"]);
        let patch = repo.try_git(&["diff", "--cached", "--binary", "--full-index", "--no-renames", "HEAD"]).stdout;
        let applied = apply(&patch, &base, &bytes);
        assert_eq!(applied.unwrap().tree, result, "{name}\n{}", String::from_utf8_lossy(&patch));
    }
}

#[test]
fn headers_are_quoted_and_nothing_is_a_rename() {
    let (_, _, _, patch) = made(&[(b"a b", File, LONG)], &[(b"c d", File, LONG)]);
    let text = String::from_utf8(patch).unwrap();
    assert!(text.starts_with("diff --git \"a/a\\040b\" \"b/a\\040b\"\ndeleted file mode 100644\nindex "), "{text}");
    assert!(text.contains("+++ \"b/c\\040d\"\n") && !text.contains("rename"), "{text}");
    let (_, _, _, patch) = made(&[(b"s", File, b"1")], &[(b"s", Exec, b"1")]);
    assert_eq!(patch, b"diff --git a/s b/s\nold mode 100644\nnew mode 100755\n");
}

#[test]
fn no_difference_is_no_patch_and_counts_are_right() {
    let mut bytes = Bytes::new();
    let base = tree(&[(b"a", File, LONG)], &mut bytes);
    let result = tree(&[(b"a", File, LONG_CHANGED), (b"b", File, b"x\n")], &mut bytes);
    assert_eq!(diff(&base, &base, &bytes).unwrap(), None);
    let patch = diff(&base, &result, &bytes).unwrap().unwrap();
    assert_eq!((patch.files, patch.added, patch.removed), (2, 3, 2));
}

#[test]
fn patches_that_lie_are_refused() {
    let (base, _, bytes, patch) = made(&[(b"d/f", File, LONG)], &[(b"d/f", File, LONG_CHANGED)]);
    let text = String::from_utf8(patch).unwrap();
    assert!(apply(text.as_bytes(), &base, &bytes).is_ok());
    let unfit = |text: &str| matches!(apply(text.as_bytes(), &base, &bytes), Err(PatchError::Unfit { .. }));
    assert!(unfit(&text.replace("+two", "+TWO")), "another content than its id");
    assert!(unfit(&text.replace("-19", "-18")), "a line that is not there");
    assert!(unfit(&text.replace(" 100644", " 100755")), "another mode");
    assert!(unfit(&text.replace("d/f", "d/g")), "another path");
    assert!(matches!(apply(text.replace("d/f", "../f").as_bytes(), &base, &bytes), Err(PatchError::Path(_))));
    assert!(matches!(apply(text.replace("d/f", ".GIT/f").as_bytes(), &base, &bytes), Err(PatchError::Path(_))));
}

#[test]
fn a_patch_cannot_put_a_file_where_a_folder_or_link_is() {
    let mut bytes = Bytes::new();
    let base = tree(&[(b"d/f", File, b"1"), (b"l", Link, b"d")], &mut bytes);
    for (path, fine) in [(&b"l/x"[..], false), (b"d", false), (b"d/f/g", false), (b"d/g", true)] {
        let added = tree(&[(path, File, b"2")], &mut bytes);
        let patch = diff(&Tree::default(), &added, &bytes).unwrap().unwrap();
        assert_eq!(apply(&patch.bytes, &base, &bytes).is_ok(), fine, "{}", String::from_utf8_lossy(path));
    }
}

#[test]
fn binary_content_is_inflated_no_further_than_it_says() {
    let zeros = vec![0; 300_000];
    let (base, result, bytes, patch) = made(&[(b"k", File, b"")], &[(b"k", File, b""), (b"z", File, &zeros)]);
    assert!(patch.len() < 3_000, "it is deflated");
    assert_eq!(apply(&patch, &base, &bytes).unwrap().tree, result);
    let text = String::from_utf8(patch).unwrap();
    for (from, to) in [("literal 300000", "literal 299999"), ("literal 300000", "literal 300001")] {
        assert!(
            matches!(apply(text.replace(from, to).as_bytes(), &base, &bytes), Err(PatchError::Unfit { .. })),
            "{to}"
        );
    }
    let huge = text.replace("literal 300000", "literal 4000000000");
    assert!(matches!(apply(huge.as_bytes(), &base, &bytes), Err(PatchError::Unfit { .. })));
}

#[test]
fn submodules_are_carried_and_never_changed() {
    use agora_core::tree::Mode::Gitlink;
    let id: &[u8] = b"1111111111111111111111111111111111111111";
    let mut bytes = Bytes::new();
    let base = tree(&[(b"sub", Gitlink, id)], &mut bytes);
    let more = tree(&[(b"sub", Gitlink, id), (b"f", File, b"1\n")], &mut bytes);
    assert!(diff(&base, &more, &bytes).unwrap().is_some());
    assert!(matches!(
        diff(&more, &tree(&[(b"f", File, b"1\n")], &mut bytes), &bytes),
        Err(PatchError::Uncarried { .. })
    ));
    let gitlink = "diff --git a/s b/s\nnew file mode 160000\nindex 0000000000000000000000000000000000000000..\
                   1111111111111111111111111111111111111111\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n\
                   +Subproject commit 1111111111111111111111111111111111111111\n";
    assert!(Patch::parse(gitlink.as_bytes()).is_ok());
    assert!(matches!(apply(gitlink.as_bytes(), &base, &bytes), Err(PatchError::Uncarried { .. })));
}

#[test]
fn a_patch_of_a_revision_read_from_git_applies_to_it() {
    let repo = Repo::new();
    repo.write(b"a", File, b"1\n");
    repo.commit_all();
    let (base, mut bytes) = read(&repo.path(), "HEAD", false);
    let result = tree(&[(b"a", File, b"2\n")], &mut bytes);
    let patch = diff(&base.tree, &result, &bytes).unwrap().unwrap();
    assert_eq!(apply(&patch.bytes, &base.tree, &bytes).unwrap().tree, result);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn any_two_trees_have_an_exact_patch(
        old in proptest::collection::btree_map("[ab]", ("[xy\n\0]{0,12}", 0u8..3), 0..3),
        new in proptest::collection::btree_map("[ab]", ("[xy\n\0]{0,12}", 0u8..3), 0..3),
    ) {
        let mut bytes = Bytes::new();
        let mut side = |files: &std::collections::BTreeMap<String, (String, u8)>| {
            let entries: Vec<Entry<'_>> = files
                .iter()
                .map(|(path, (content, mode))| (path.as_bytes(), [File, Exec, Link][usize::from(*mode)], content.as_bytes()))
                .collect();
            tree(&entries, &mut bytes)
        };
        let (old, new) = (side(&old), side(&new));
        // `diff` proves it itself: it would answer with an error.
        proptest::prop_assert_eq!(diff(&old, &new, &bytes).unwrap().is_none(), old == new);
    }
}
