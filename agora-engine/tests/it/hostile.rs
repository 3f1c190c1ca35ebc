//! I07: whatever a worker leaves in `out/`, it is refused with a reason or clamped; nothing of a lie becomes a result.

use std::os::unix::fs::symlink;
use std::path::Path;

use agora_core::canon;
use agora_core::id::Digest;
use agora_core::worker::{
    Failure, Outcome, OutputReport, PatchReport, Question, Reason, Status, Task, Usage, VerifyReport,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::{Value, json};

use crate::common::{Home, check, item, items, plan, submit, wait_end};
use crate::evidence::bodies;

type Lie = fn(&Task, &Path) -> Outcome;

fn done(task: &Task) -> Outcome {
    outcome_of(task, Status::Done)
}

/// Leaves these bytes as the outcome: the fake cannot write its own over it.
fn raw(task: &Task, out: &Path, bytes: &[u8]) -> Outcome {
    std::fs::write(out.join("outcome.json"), bytes).unwrap();
    std::fs::create_dir(out.join(".outcome.new")).unwrap();
    done(task)
}

/// The plainest outcome, changed as JSON.
fn changed(task: &Task, out: &Path, change: impl FnOnce(&mut Value)) -> Outcome {
    let mut outcome = serde_json::to_value(done(task)).unwrap();
    change(&mut outcome);
    raw(task, out, &canon::to_bytes_with_floats(&outcome).unwrap())
}

fn output(path: String, bytes: &[u8]) -> OutputReport {
    OutputReport { path, digest: Digest::of(bytes), size_bytes: bytes.len() as u64 }
}

/// This many outputs of one byte each.
fn outputs(task: &Task, out: &Path, count: usize) -> Outcome {
    std::fs::write(out.join("outputs.pack"), b"x").unwrap();
    let outputs = (0..count).map(|at| output(format!("o{at:05}"), b"x")).collect();
    Outcome { outputs, ..done(task) }
}

fn one_output(task: &Task, out: &Path, pack: &[u8], report: OutputReport) -> Outcome {
    std::fs::write(out.join("outputs.pack"), pack).unwrap();
    Outcome { outputs: vec![report], ..done(task) }
}

fn patch_report(bytes: &[u8]) -> Option<PatchReport> {
    let (digest, size_bytes) = (Digest::of(bytes), bytes.len() as u64);
    Some(PatchReport { digest, size_bytes, files: 1, added: 1, removed: 0, flags: Vec::new() })
}

/// A patch that adds a file to nothing, and the digest of the tree it gives.
fn honest_patch() -> (Vec<u8>, Digest) {
    use agora_core::tree::{Mode, Node, Tree};
    let content = b"hello\n".to_vec();
    let mut tree = Tree::default();
    let node = Node { mode: Mode::File, digest: Digest::of(&content), size_bytes: 6 };
    tree.files.insert("new.txt".into(), node);
    let blobs = std::collections::BTreeMap::from([(Digest::of(&content), content)]);
    let made = agora_tree::diff(&Tree::default(), &tree, &blobs).unwrap().unwrap();
    (made.bytes, tree.digest().unwrap())
}

fn patched(task: &Task, out: &Path, bytes: &[u8], result_tree: Digest) -> Outcome {
    std::fs::write(out.join("patch"), bytes).unwrap();
    let start = agora_core::tree::Tree::default().digest().unwrap();
    Outcome { start_tree: Some(start), result_tree: Some(result_tree), patch: patch_report(bytes), ..done(task) }
}

fn asked(task: &Task, question: Question) -> Outcome {
    Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
}

fn question(options: usize) -> Question {
    let options = (0..options).map(|at| format!("option {at}")).collect();
    Question { question: "which?".to_owned(), options, context: None, partial_state: None }
}

/// What is refused as `outcome-invalid`.
const LIES: &[(&str, Lie)] = &[
    ("not-json", |task, out| raw(task, out, b"all went well")),
    ("empty", |task, out| raw(task, out, b"")),
    ("null", |task, out| raw(task, out, b"null")),
    ("deep", |task, out| raw(task, out, "[".repeat(100_000).as_bytes())),
    ("huge", |task, out| raw(task, out, &vec![b' '; (4 << 20) + 1])),
    ("twice", |task, out| {
        let text = String::from_utf8(canon::to_bytes(&done(task)).unwrap()).unwrap();
        raw(task, out, text.replacen('{', "{\"status\":\"failed\",", 1).as_bytes())
    }),
    ("spaced", |task, out| {
        let text = serde_json::to_string_pretty(&done(task)).unwrap();
        raw(task, out, text.as_bytes())
    }),
    ("type-status", |task, out| changed(task, out, |outcome| outcome["status"] = json!(5))),
    ("type-steps", |task, out| changed(task, out, |outcome| outcome["steps"] = json!({ "a": 1 }))),
    ("type-log", |task, out| changed(task, out, |outcome| outcome["log"] = json!("log.jsonl"))),
    ("negative", |task, out| changed(task, out, |outcome| outcome["log"]["size_bytes"] = json!(-1))),
    ("unknown-member", |task, out| changed(task, out, |outcome| outcome["accepted"] = json!(true))),
    ("unknown-reason", |task, out| {
        changed(task, out, |outcome| {
            outcome["status"] = json!("failed");
            outcome["failure"] = json!({ "class": "agent", "reason": "because", "detail": "" });
        })
    }),
    ("other-format", |task, _| Outcome { format: "agora-outcome/v2".to_owned(), ..done(task) }),
    ("other-item", |task, _| {
        let mut outcome = done(task);
        outcome.attempt.item = agora_core::id::ItemId::new("honest").unwrap();
        outcome
    }),
    ("other-fence", |task, _| {
        let mut outcome = done(task);
        outcome.attempt.fence += 1;
        outcome
    }),
    ("other-task", |task, _| Outcome { task: Digest::of(b"another"), ..done(task) }),
    ("done-with-failure", |task, _| Outcome { failure: Some(Failure::new(Reason::AgentExit, "")), ..done(task) }),
    ("failed-without-failure", |task, _| Outcome { failure: None, ..outcome_of(task, Status::Failed) }),
    ("class-of-another-reason", |task, _| {
        let mut failure = Failure::new(Reason::AgentExit, "");
        failure.class = Reason::RateLimited.class();
        Outcome { failure: Some(failure), ..outcome_of(task, Status::Failed) }
    }),
    ("outputs-257", |task, out| outputs(task, out, 257)),
    ("outputs-10000", |task, out| outputs(task, out, 10_000)),
    ("output-forged", |task, out| one_output(task, out, b"y", output("a".to_owned(), b"x"))),
    ("output-size", |task, out| {
        let report = OutputReport { size_bytes: u64::MAX >> 11, ..output("a".to_owned(), b"x") };
        one_output(task, out, b"x", report)
    }),
    ("output-escape", |task, out| one_output(task, out, b"x", output("../../store.db".to_owned(), b"x"))),
    ("output-absolute", |task, out| one_output(task, out, b"x", output("/etc/passwd".to_owned(), b"x"))),
    ("output-nul", |task, out| one_output(task, out, b"x", output("a\0b".to_owned(), b"x"))),
    ("output-more-bytes", |task, out| one_output(task, out, b"xmore", output("a".to_owned(), b"x"))),
    ("output-no-pack", |task, _| Outcome { outputs: vec![output("a".to_owned(), b"x")], ..done(task) }),
    ("output-pack-link", |task, out| {
        std::fs::write(out.join("real"), b"x").unwrap();
        symlink("real", out.join("outputs.pack")).unwrap();
        Outcome { outputs: vec![output("a".to_owned(), b"x")], ..done(task) }
    }),
    ("outcome-link", |task, out| {
        std::fs::write(out.join("real"), canon::to_bytes(&done(task)).unwrap()).unwrap();
        // What the fake writes goes through the link, which then takes the outcome's name.
        symlink("real", out.join(".outcome.new")).unwrap();
        done(task)
    }),
    ("outcome-folder", |task, out| {
        std::fs::create_dir(out.join("outcome.json")).unwrap();
        done(task)
    }),
    ("log-link", |task, out| {
        std::fs::write(out.join("real"), b"").unwrap();
        symlink("real", out.join("log.jsonl")).unwrap();
        done(task)
    }),
    ("log-forged", |task, out| {
        std::fs::write(out.join("log.jsonl"), b"{}\n").unwrap();
        done(task)
    }),
    ("patch-forged", |task, out| {
        let (bytes, tree) = honest_patch();
        let mut outcome = patched(task, out, &bytes, tree);
        outcome.patch = patch_report(b"another");
        outcome
    }),
    ("patch-other-tree", |task, out| patched(task, out, &honest_patch().0, Digest::of(b"no such tree"))),
    ("patch-not-one", |task, out| patched(task, out, b"rm -rf /\n", honest_patch().1)),
    ("patch-escape", |task, out| {
        let (bytes, tree) = honest_patch();
        let text = String::from_utf8(bytes).unwrap().replace("new.txt", "../new");
        patched(task, out, text.as_bytes(), tree)
    }),
    ("patch-missing", |task, _| Outcome { patch: patch_report(b"x"), ..done(task) }),
    ("trees-without-patch", |task, _| {
        let (start, result) = (Some(Digest::of(b"a")), Some(Digest::of(b"b")));
        Outcome { start_tree: start, result_tree: result, ..done(task) }
    }),
    ("asks-nothing", |task, _| outcome_of(task, Status::NeedsInput)),
    ("done-and-asks", |task, _| Outcome { question: Some(question(1)), ..done(task) }),
    ("asks-17-options", |task, _| asked(task, question(17))),
    ("asks-at-length", |task, _| asked(task, Question { question: "?".repeat(4097), ..question(2) })),
];

/// What is odd, and accepted as far as it goes.
const ODD: &[(&str, Lie)] = &[
    ("honest", |task, _| done(task)),
    ("outputs-256", |task, out| outputs(task, out, 256)),
    ("honest-patch", |task, out| {
        let (bytes, tree) = honest_patch();
        patched(task, out, &bytes, tree)
    }),
    ("verify", |task, _| {
        let verify = VerifyReport { passed: false, exit_code: Some(1), duration_ms: 1, text: "red".repeat(1000) };
        Outcome { verify: Some(verify), ..done(task) }
    }),
    ("models", |task, _| {
        let models = (0..10_000).map(|at| format!("m{at}\u{1b}[31m")).collect();
        Outcome { usage: Some(Usage { models, ..Usage::default() }), ..done(task) }
    }),
];

async fn with(lies: &'static [(&'static str, Lie)]) -> Home {
    Home::with(FakeCompute::new(move |task: &Task, folder: &Path| {
        let lie = lies.iter().find(|(name, _)| *name == task.attempt.item.as_str()).unwrap().1;
        lie(task, &folder.join("out"))
    }))
    .await
}

fn plan_of(lies: &[(&str, Lie)]) -> Value {
    let items = lies.iter().map(|(name, _)| {
        let mut item = item(name, &[]);
        item["retry"] = json!({ "max_attempts": 1 });
        item
    });
    plan("run", items.collect())
}

#[tokio::test]
async fn no_lie_is_accepted() {
    let home = with(LIES).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan_of(LIES)).await;
    wait_end(&engine, &["run"]).await;
    for row in items(&engine, "run").await.items {
        assert_eq!(row.state, "failed", "{row:?}");
        assert_eq!(row.failure.as_deref(), Some("integrity: outcome-invalid"), "{row:?}");
        assert!(row.detail.as_ref().is_some_and(|detail| !detail.text.is_empty()), "{row:?}");
    }
    assert!(bodies(home.path(), "item.done").is_empty());
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn what_is_odd_and_true_is_accepted_within_bounds() {
    let home = with(ODD).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan_of(ODD)).await;
    wait_end(&engine, &["run"]).await;
    let rows = items(&engine, "run").await.items;
    assert!(rows.iter().all(|row| row.state == "done"), "{rows:?}");
    let row = |id: &str| rows.iter().find(|row| row.item_id == id).unwrap();
    assert_eq!((row("outputs-256").outputs, row("verify").verified), (Some(256), Some(false)));
    assert_eq!(row("honest-patch").patch.as_ref().map(|patch| patch.files), Some(1));
    let models = bodies(home.path(), "attempt.finished").into_iter().find(|body| body["item"] == "models").unwrap();
    assert_eq!(models["models"].as_array().unwrap().len(), 16, "more are not kept");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// No outcome at all is a lost worker, which is tried again.
#[tokio::test]
async fn a_worker_without_an_outcome_is_lost() {
    let home = Home::new().await;
    home.compute.lose(&agora_core::id::ItemId::new("i").unwrap());
    let engine = home.open().await;
    let driver = engine.drive();
    let mut one = item("i", &[]);
    one["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 0 });
    submit(&engine, plan("run", vec![one])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let first = &bodies(home.path(), "attempt.finished")[0];
    assert_eq!((first["outcome"].as_str(), first["reason"].as_str()), (Some("lost"), Some("worker-lost")));
    check(&engine, &["run"]).await;
    driver.stop().await;
}
