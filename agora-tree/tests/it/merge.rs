//! The start tree: merged, never stacked.

use std::time::Instant;

use agora_core::error::Coded as _;
use agora_core::id::{Digest, ItemId};
use agora_core::tree::Mode::{Exec, File, Link};
use agora_core::tree::{Node, Tree, TreePath};
use agora_core::worker::Change;
use agora_tree::{Content, ContentError, MergeError, Overlay, diff, merge_steps, start_tree};

use crate::support::{Bytes, File as Entry, tree};

/// A run in memory: a base and what items made.
struct Run {
    base: Tree,
    bytes: Bytes,
    patches: Bytes,
    changes: Vec<Change>,
}

impl Run {
    fn new(base: &[Entry<'_>]) -> Self {
        let mut bytes = Bytes::new();
        let base = tree(base, &mut bytes);
        Self { base, bytes, patches: Bytes::new(), changes: Vec::new() }
    }

    fn after(&self, names: &[&str]) -> Vec<Change> {
        self.changes.iter().filter(|change| names.contains(&change.item.as_str())).cloned().collect()
    }

    /// An item that starts from `after` and edits what it finds.
    fn item(&mut self, name: &str, after: &[&str], edit: impl FnOnce(&mut Tree, &mut Bytes)) {
        let start = start_tree(&self.base, &self.after(after), &self.bytes, &self.patches).unwrap();
        let mut result = start.tree.clone();
        edit(&mut result, &mut self.bytes);
        let patch = diff(&start.tree, &result, &Overlay::new(&start.added, &self.bytes)).unwrap();
        let patch = patch.map(|patch| {
            let digest = Digest::of(&patch.bytes);
            self.patches.insert(digest, patch.bytes);
            digest
        });
        self.changes.push(Change {
            item: ItemId::new(name).unwrap(),
            patch,
            after: after.iter().map(|name| ItemId::new(*name).unwrap()).collect(),
            result_tree: result.digest().unwrap(),
        });
    }

    fn merged(&self) -> Result<Tree, MergeError> {
        let merged = start_tree(&self.base, &self.changes, &self.bytes, &self.patches)?;
        let over = Overlay::new(&merged.added, &self.bytes);
        let missing = merged.tree.files.values().find(|node| agora_tree::Content::read(&over, &node.digest).is_err());
        assert_eq!(missing, None, "every byte of the result can be had");
        Ok(merged.tree)
    }
}

fn set(path: &'static str, mode: agora_core::tree::Mode, content: &'static str) -> impl FnOnce(&mut Tree, &mut Bytes) {
    move |result, bytes| {
        result.files.extend(tree(&[(path.as_bytes(), mode, content.as_bytes())], bytes).files);
    }
}

fn delete(path: &'static str) -> impl FnOnce(&mut Tree, &mut Bytes) {
    move |result, _| {
        result.files.remove(&TreePath::from(path));
    }
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

#[test]
fn edits_side_by_side_are_combined_in_files_and_lines() {
    let mut run = Run::new(&[(b"f", File, LINES.as_bytes()), (b"g", File, b"g\n"), (b"h", File, b"h\n")]);
    run.item("a", &[], set("f", File, "one\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    run.item("b", &[], set("f", Exec, "1\n2\n3\n4\n5\n6\n7\n8\nnine\n"));
    run.item("c", &[], delete("g"));
    run.item("d", &[], set("n/new", Link, "../f"));
    run.item("e", &[], |_, _| {});
    run.item("v", &["a", "b", "c"], set("h", File, "saw all\n"));
    let mut bytes = Bytes::new();
    let expected = tree(
        &[(b"f", Exec, b"one\n1\n2\n3\n4\n5\n6\n7\n8\nnine\n"), (b"h", File, b"saw all\n"), (b"n/new", Link, b"../f")],
        &mut bytes,
    );
    assert_eq!(run.merged().unwrap(), expected);
}

#[test]
fn the_same_change_by_two_items_is_no_conflict() {
    let mut run = Run::new(&[(b"f", File, b"1\n"), (b"g", File, b"1\n")]);
    for item in ["a", "b"] {
        run.item(item, &[], set("f", File, "2\n"));
    }
    run.item("c", &[], delete("g"));
    run.item("d", &[], delete("g"));
    assert_eq!(run.merged().unwrap().files.len(), 1);
}

#[test]
fn a_diamond_is_merged_once() {
    let mut run = Run::new(&[(b"f", File, LINES.as_bytes())]);
    run.item("top", &[], set("f", File, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    run.item("left", &["top"], set("f", File, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nleft\n"));
    run.item("right", &["top"], set("f", File, "right\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    run.item("end", &["top", "left", "right"], set("g", File, "end\n"));
    let mut bytes = Bytes::new();
    let expected =
        tree(&[(b"f", File, b"right\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nleft\n"), (b"g", File, b"end\n")], &mut bytes);
    assert_eq!(run.merged().unwrap(), expected);
}

#[test]
fn conflicts_name_both_items_and_the_paths() {
    type Edit = Box<dyn FnOnce(&mut Tree, &mut Bytes)>;
    let cases: Vec<(&str, Edit, Edit, &[&str])> = vec![
        ("lines", Box::new(set("f", File, "a\n")), Box::new(set("f", File, "b\n")), &["f"]),
        ("binary", Box::new(set("b", File, "\0a")), Box::new(set("b", File, "\0b")), &["b"]),
        ("delete and change", Box::new(delete("f")), Box::new(set("f", File, "b\n")), &["f"]),
        ("two additions", Box::new(set("n", File, "a\n")), Box::new(set("n", File, "b\n")), &["n"]),
        ("two modes", Box::new(set("n", File, "a\n")), Box::new(set("n", Exec, "a\n")), &["n"]),
        ("file and folder", Box::new(set("n", File, "a\n")), Box::new(set("n/x", File, "b\n")), &["n", "n/x"]),
        ("folder and file", Box::new(set("n/x", File, "a\n")), Box::new(set("n", File, "b\n")), &["n", "n/x"]),
        ("link and file", Box::new(set("f", Link, "b")), Box::new(set("f", File, "b\n")), &["f"]),
        ("two links", Box::new(set("l", Link, "b")), Box::new(set("l", Link, "f")), &["l"]),
    ];
    for (name, first, second, at) in cases {
        let mut run = Run::new(&[(b"b", File, b"\0"), (b"f", File, LINES.as_bytes()), (b"l", Link, b"x")]);
        run.item("bystander", &[], set("other", File, "1\n"));
        run.item("a", &[], first);
        run.item("b", &[], second);
        let error = run.merged().unwrap_err();
        assert_eq!(error.code(), "patch-conflict");
        let MergeError::Conflict { item, with, paths } = error else { panic!("{name}: {error}") };
        assert_eq!((item.as_str(), with.iter().map(ItemId::as_str).collect::<Vec<_>>()), ("b", vec!["a"]), "{name}");
        assert_eq!(paths.iter().map(|path| path.as_str()).collect::<Vec<_>>(), at, "{name}");
    }
}

/// Bytes that count how often they are asked for.
struct Counted<'a>(&'a Bytes, std::cell::Cell<usize>);

impl Content for Counted<'_> {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        self.1.set(self.1.get() + 1);
        self.0.read(digest)
    }
}

#[test]
fn a_run_is_merged_step_by_step_with_as_much_work_as_it_has_patches() {
    for count in [8, 24] {
        let lines: Vec<String> = (0..count).map(|line| format!("{line}\n\n\n\n")).collect();
        let mut run = Run::new(&[(b"f", File, lines.concat().as_bytes())]);
        for at in 0..count {
            let mut lines = lines.clone();
            lines[at] = format!("changed\n{}", lines[at]);
            let text = lines.concat();
            run.item(&format!("item-{at}"), &[], |result, bytes| {
                result.files.extend(tree(&[(b"f", File, text.as_bytes())], bytes).files);
            });
        }
        let (content, patches) =
            (Counted(&run.bytes, std::cell::Cell::new(0)), Counted(&run.patches, std::cell::Cell::new(0)));
        let steps = merge_steps(&run.base, &run.changes, &content, &patches).unwrap();
        for (at, step) in steps.trees.iter().enumerate() {
            let expected = start_tree(&run.base, &run.changes[..=at], &run.bytes, &run.patches).unwrap().tree;
            assert_eq!(step.as_ref().unwrap(), &expected);
            assert!(steps.added.contains_key(&expected.files[&"f".into()].digest), "every step's bytes can be had");
        }
        assert_eq!(patches.1.get(), count);
        assert!(content.1.get() <= 2 * count, "to apply each patch, and to merge what it gives");
    }
}

#[test]
fn every_conflict_of_a_run_is_named_and_what_follows_is_merged() {
    let mut run = Run::new(&[(b"f", File, b"1\n"), (b"g", File, b"1\n")]);
    run.item("a", &[], set("f", File, "a\n"));
    // Half of this change fits: nothing of it may stay.
    run.item("b", &[], |result, bytes| {
        set("f", File, "b\n")(result, bytes);
        set("a-new", File, "b\n")(result, bytes);
    });
    run.item("c", &[], set("g", File, "c\n"));
    run.item("after-b", &["b"], set("h", File, "1\n"));
    run.item("d", &[], set("g", File, "d\n"));
    let steps = merge_steps(&run.base, &run.changes, &run.bytes, &run.patches).unwrap();
    let told = |at: usize| match &steps.trees[at] {
        Ok(tree) => tree.files.keys().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(MergeError::Conflict { item, with, paths }) => format!("{item} meets {} at {}", with[0], paths[0]),
        Err(error) => error.to_string(),
    };
    let all: Vec<String> = (0..5).map(told).collect();
    assert_eq!(all, ["f g", "b meets a at f", "f g", "f g h", "d meets c at g"]);
}

#[test]
fn a_dependent_sees_the_change_and_so_does_not_conflict_with_it() {
    let mut run = Run::new(&[(b"f", File, b"1\n")]);
    run.item("a", &[], set("f", File, "2\n"));
    run.item("b", &["a"], set("f", File, "3\n"));
    assert_eq!(run.merged().unwrap().files[&"f".into()].digest, Digest::of(b"3\n"));
}

#[test]
fn what_was_recorded_must_come_out() {
    let mut run = Run::new(&[(b"f", File, b"1\n")]);
    run.item("a", &[], set("f", File, "2\n"));
    assert!(run.merged().is_ok());
    let good = run.changes[0].clone();
    run.changes[0].result_tree = run.base.digest().unwrap();
    assert!(matches!(run.merged(), Err(MergeError::TreeMismatch { item }) if item.as_str() == "a"));
    run.changes[0] = Change { patch: None, ..good.clone() };
    assert!(matches!(run.merged(), Err(MergeError::TreeMismatch { .. })));
    run.changes[0] = Change { after: vec![good.item.clone()], ..good.clone() };
    assert!(matches!(run.merged(), Err(MergeError::Order { .. })));
    run.changes = vec![good.clone(), good.clone()];
    assert!(matches!(run.merged(), Err(MergeError::Order { .. })));
    run.changes = vec![good];
    run.base = tree(&[(b"f", File, b"other\n")], &mut run.bytes);
    let error = run.merged().unwrap_err();
    assert_eq!((error.code(), matches!(error, MergeError::Patch { .. })), ("tree-mismatch", true));
}

#[test]
fn fifty_changes_on_fifty_thousand_files_are_quick() {
    let mut run = Run::new(&[]);
    let node = |n: u32| {
        let content = format!("{n}\n").into_bytes();
        (Node { mode: File, digest: Digest::of(&content), size_bytes: content.len() as u64 }, content)
    };
    for n in 0..50_000 {
        let (node, content) = node(n);
        run.bytes.insert(node.digest, content);
        run.base.files.insert(TreePath::new(format!("src/{:03}/file-{n}.rs", n % 500)), node);
    }
    // Five different patches, each made by ten items: making fifty here would take longer than merging them.
    for n in 0..5u32 {
        let mut result = run.base.clone();
        let path = TreePath::new(format!("src/{n:03}/file-{n}.rs"));
        let (changed, content) = node(n + 1_000_000);
        run.bytes.insert(changed.digest, content);
        result.files.insert(path, changed);
        let patch = diff(&run.base, &result, &run.bytes).unwrap().unwrap().bytes;
        let digest = Digest::of(&patch);
        run.patches.insert(digest, patch);
        let result_tree = result.digest().unwrap();
        run.changes.extend((0..10).map(|item| Change {
            item: ItemId::new(format!("i{n}-{item}")).unwrap(),
            patch: Some(digest),
            after: Vec::new(),
            result_tree,
        }));
    }
    let began = Instant::now();
    let merged = start_tree(&run.base, &run.changes, &run.bytes, &run.patches).unwrap();
    let took = began.elapsed();
    assert_eq!((run.changes.len(), merged.added.len()), (50, 5));
    // Half a second without optimising; quadratic work would be minutes.
    assert!(took.as_secs() < 20, "{took:?}");
}
