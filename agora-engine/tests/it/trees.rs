//! An item works on what its dependencies made, however far up; patches are real ones, made and checked by
//! agora-tree.

use std::collections::BTreeMap;
use std::path::Path;

use agora_core::id::Digest;
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_core::worker::{Failure, Outcome, PatchReport, Reason, Status, Task};
use agora_engine::operations::{Caller, Part, ResultArgs, SubmitArgs};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use agora_tree::{Content, ContentError, MergeError, Overlay, Pack, diff, start_tree};
use serde_json::{Value, json};

use crate::common::{Home, caller, check, item, items, plan, states, wait_end, within};

/// The blobs in an attempt's `in/`.
struct In<'a>(&'a Path);

impl Content for In<'_> {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        std::fs::read(self.0.join("in").join(digest.hex())).map_err(|_| ContentError::Missing(*digest))
    }
}

/// A worker as `docs/worker.md` has it, whose agent appends its item's id to the file of its message, or makes it.
fn worker(task: &Task, folder: &Path) -> Outcome {
    let blobs = In(folder);
    let base = task.base.as_ref().unwrap();
    let tree = Tree::from_manifest(&blobs.read(&base.manifest).unwrap()).unwrap();
    let pack = Pack::open(&folder.join("in").join(base.pack.hex()), &tree).unwrap();
    let start = match start_tree(&tree, &task.changes, &pack, &blobs) {
        Ok(start) => start,
        Err(error @ MergeError::Conflict { .. }) => {
            let failure = Some(Failure::new(Reason::PatchConflict, error.to_string()));
            return Outcome { failure, ..outcome_of(task, Status::Failed) };
        }
        Err(error) => panic!("{error}"),
    };
    let under = Overlay::new(&start.added, &pack);
    let path = String::from_utf8(blobs.read(&task.message).unwrap()).unwrap();
    let path = TreePath::from(path.trim());
    let mut bytes = start.tree.files.get(&path).map(|node| under.read(&node.digest).unwrap()).unwrap_or_default();
    bytes.extend(format!("{}\n", task.attempt.item).as_bytes());
    let digest = Digest::of(&bytes);
    let mut result = start.tree.clone();
    result.files.insert(path, Node { mode: Mode::File, digest, size_bytes: bytes.len() as u64 });
    let added = BTreeMap::from([(digest, bytes)]);
    let made = diff(&start.tree, &result, &Overlay::new(&added, &under)).unwrap().unwrap();
    std::fs::write(folder.join("out/patch"), &made.bytes).unwrap();
    Outcome {
        start_tree: Some(start.tree.digest().unwrap()),
        result_tree: Some(result.digest().unwrap()),
        patch: Some(PatchReport {
            digest: Digest::of(&made.bytes),
            size_bytes: made.bytes.len() as u64,
            files: made.files,
            added: made.added,
            removed: made.removed,
            flags: Vec::new(),
        }),
        ..outcome_of(task, Status::Done)
    }
}

fn edits(id: &str, depends_on: &[&str], path: &str) -> Value {
    let mut item = item(id, depends_on);
    item["inputs"]["workerInput"] = json!({ "prompt": path });
    item["retry"] = json!({ "max_attempts": 1 });
    item
}

async fn home() -> (Home, Caller) {
    let home = Home::with(FakeCompute::new(worker)).await;
    let folder = home.path().join("work");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("shared.txt"), "base\n").unwrap();
    let caller = Caller { cwd: Some(folder), ..caller() };
    (home, caller)
}

async fn submit(engine: &agora_engine::Engine, caller: &Caller, items: Vec<Value>) {
    let mut plan = plan("run", items);
    plan["workspace"] = json!({ "name": "cwd" });
    within(engine.submit(caller, SubmitArgs { plan: Some(plan), ..SubmitArgs::default() })).await.unwrap();
}

/// The content of a file in the run's merged tree, or in that of one item and all it depends on.
async fn merged(engine: &agora_engine::Engine, item: Option<&str>, path: &str) -> String {
    let trees = engine.run_trees(&caller(), "run", item).await.unwrap();
    let last = &trees.steps.last().unwrap().tree;
    String::from_utf8(trees.content.read(&last.files[&TreePath::from(path)].digest).unwrap()).unwrap()
}

#[tokio::test]
async fn dependents_see_all_that_they_depend_on_and_nothing_else() {
    let (home, caller) = home().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let all = vec![
        edits("a", &[], "shared.txt"),
        edits("b", &["a"], "b.txt"),
        edits("c", &["a"], "c.txt"),
        edits("d", &["b", "c"], "shared.txt"),
        edits("e", &["d"], "b.txt"),
        edits("apart", &[], "apart.txt"),
    ];
    submit(&engine, &caller, all).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done", "{:?}", items(&engine, "run").await.items);
    assert_eq!(merged(&engine, None, "shared.txt").await, "base\na\nd\n");
    assert_eq!(merged(&engine, None, "b.txt").await, "b\ne\n");
    assert_eq!(merged(&engine, Some("d"), "b.txt").await, "b\n", "d does not see e");
    let trees = engine.run_trees(&caller, "run", Some("e")).await.unwrap();
    let members: Vec<&str> = trees.steps.iter().map(|step| step.item.as_str()).collect();
    assert_eq!(members, ["a", "b", "c", "d", "e"]);
    let last = &trees.steps.last().unwrap().tree;
    assert!(!last.files.contains_key(&TreePath::from("apart.txt")));
    let whole = ResultArgs { run_id: "run".to_owned(), part: Some(Part::Patch), ..ResultArgs::default() };
    let text = engine.result(&caller, whole).await.unwrap().page.unwrap().content.text;
    for line in ["+a", "+d", "+b", "+e", "+c", "+apart"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// Patches that do not combine fail what wanted both, and name the path; what wanted one of them is none the worse.
#[tokio::test]
async fn patches_that_do_not_combine_fail_their_dependent_before_its_agent() {
    let (home, caller) = home().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let all = vec![
        edits("a", &[], "shared.txt"),
        edits("b", &[], "shared.txt"),
        edits("both", &["a", "b"], "new.txt"),
        edits("one", &["a"], "one.txt"),
    ];
    submit(&engine, &caller, all).await;
    wait_end(&engine, &["run"]).await;
    assert_eq!(states(&engine, "run").await, ["a: done", "b: done", "both: failed", "one: done"]);
    assert_eq!(items(&engine, "run").await.items[2].failure.as_deref(), Some("input: patch-conflict"));
    let whole = ResultArgs { run_id: "run".to_owned(), ..ResultArgs::default() };
    let conflicts = engine.result(&caller, whole).await.unwrap().conflicts.unwrap().text;
    assert!(conflicts.lines().count() == 1 && conflicts.contains("shared.txt"), "{conflicts:?}");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// A patch that was accepted and is then damaged reaches no dependent.
#[tokio::test]
async fn a_damaged_patch_reaches_no_dependent() {
    for damage in [false, true] {
        let (home, caller) = home().await;
        let engine = home.open().await;
        let held = agora_core::id::ItemId::new("gate").unwrap();
        home.compute.hold(&held);
        let driver = engine.drive();
        let all = vec![
            edits("a", &[], "shared.txt"),
            edits("gate", &["a"], "gate.txt"),
            edits("after", &["gate"], "after.txt"),
        ];
        submit(&engine, &caller, all).await;
        within(home.compute.wait_started(&held)).await;
        let rows = items(&engine, "run").await.items;
        let patch: Digest = rows[0].patch.as_ref().unwrap().digest.parse().unwrap();
        if damage {
            home.memory.damage(&patch);
        }
        home.compute.release(&held);
        wait_end(&engine, &["run"]).await;
        let last = items(&engine, "run").await.items.remove(2);
        let expected = if damage { ("failed", Some("integrity: digest-mismatch")) } else { ("done", None) };
        assert_eq!((last.state.as_str(), last.failure.as_deref()), expected);
        assert_eq!(home.compute.started(), if damage { 2 } else { 3 });
        driver.stop().await;
    }
}
