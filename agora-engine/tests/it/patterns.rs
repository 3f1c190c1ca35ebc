//! Patterns of queues: what they add, by whom that is recorded, what is refused, and that nothing is added twice.

use std::path::Path;
use std::sync::{Arc, Mutex};

use agora_core::id::{Digest, ItemId};
use agora_core::worker::{Outcome, OutputReport, Status, Task, VerifyReport};
use agora_engine::Engine;
use agora_engine::operations::{CatalogArgs, ResultArgs, StatusArgs, View, WatchArgs};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::{Value, json};

use crate::common::{Home, caller, check, item, plan, states, submit, try_submit, wait_end, within};
use crate::evidence::{bodies, entries};

fn template() -> Value {
    json!({ "inputs": { "subagent": "noop", "workerInput": { "prompt": "as told" } }, "retry": { "max_attempts": 1 } })
}

fn with(id: &str, key: &str, pattern: Value) -> Value {
    let mut item = item(id, &[]);
    item["inputs"][key] = pattern;
    item["retry"] = json!({ "max_attempts": 1 });
    item
}

fn gate(id: &str) -> Value {
    with(id, "gate", json!({ "onRed": "spawn-fix", "fixTemplate": template() }))
}

fn splitter(id: &str) -> Value {
    with(id, "mapReduce", json!({ "map": template(), "reduce": template() }))
}

fn quorum(id: &str) -> Value {
    let reviewers = [template(), template(), template()];
    with(
        id,
        "quorum",
        json!({ "reviewers": reviewers, "threshold": 2, "commit": template(), "onReject": "spawn-fix", "fixTemplate": template() }),
    )
}

fn in_queue(queue: &str, items: Vec<Value>) -> Value {
    let mut plan = plan("run", items);
    plan["queue"] = json!(queue);
    plan
}

/// Fails the items that end like this.
fn failing(which: &'static [&'static str]) -> FakeCompute {
    FakeCompute::new(move |task: &Task, _| {
        let fails = which.contains(&task.attempt.item.as_str());
        outcome_of(task, if fails { Status::Failed } else { Status::Done })
    })
}

/// Has the item `split` leave these outputs.
fn splitting(names: &'static [&'static str]) -> FakeCompute {
    FakeCompute::new(move |task: &Task, folder: &Path| {
        let mut outcome = outcome_of(task, Status::Done);
        if task.attempt.item.as_str() == "split" {
            std::fs::write(folder.join("out/outputs.pack"), b"x").unwrap();
            outcome.outputs = names.iter().map(|name| output(name)).collect();
        }
        outcome
    })
}

fn output(name: &str) -> OutputReport {
    OutputReport { path: name.to_owned(), digest: Digest::of(b"x"), size_bytes: 1 }
}

fn red(task: &Task, why: &str) -> Outcome {
    let verify = VerifyReport { passed: false, exit_code: Some(1), duration_ms: 1, text: why.to_owned() };
    Outcome { verify: Some(verify), ..outcome_of(task, Status::Done) }
}

/// Cause, source and actor of everything that was added.
fn added(home: &Home) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |bytes: Vec<u8>| {
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        let body = &entry["body"];
        (entry["type"] == "items.added").then(|| (text(&body["cause"]), text(&body["source"]), text(&entry["actor"])))
    };
    entries(home.path()).into_iter().filter_map(read).collect()
}

async fn issue(engine: &Engine, view: View) -> (String, Vec<String>) {
    let status = StatusArgs { view: Some(view), run_id: Some("run".into()), ..StatusArgs::default() };
    let why = engine.status(&caller(), status).await.unwrap().diagnosis.unwrap();
    (why.likely_issue, why.evidence)
}

#[tokio::test]
async fn a_red_gate_is_fixed_and_the_run_ends_done() {
    let home = Home::with(failing(&["test"])).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, in_queue("pipeline", vec![item("make", &[]), gate("test"), item("ship", &[])])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let wanted = ["make: done", "test: failed", "ship: skipped", "test-fix-1: done", "test~2: done", "ship~2: done"];
    assert_eq!(states(&engine, "run").await, wanted);
    let by = |cause: &str, source: &str, actor: &str| (cause.to_owned(), source.to_owned(), actor.to_owned());
    assert_eq!(added(&home), [by("plan", "", "human:ada"), by("pattern", "test", "pattern:pipeline")]);
    assert_eq!(bodies(home.path(), "item.skipped")[0]["cause"], "pattern");
    assert_eq!(issue(&engine, View::Diagnose).await.0, "all-done", "what was made good is no issue");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// The report of the verify is at hand for the fix.
#[tokio::test]
async fn a_gate_whose_verify_stays_red_ends_the_run_as_failed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let home = Home::with(FakeCompute::new(move |task: &Task, _| {
        let id = task.attempt.item.as_str();
        if id.contains("-fix-") {
            let keys: Vec<&str> = task.inputs.keys().map(String::as_str).collect();
            told.lock().unwrap().push(keys.join(" "));
        }
        if id.starts_with("test") && !id.contains("fix") {
            red(task, "two of three")
        } else {
            outcome_of(task, Status::Done)
        }
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, in_queue("pipeline", vec![gate("test"), item("ship", &[])])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    let wanted = ["test: done", "ship: skipped", "test-fix-1: done", "test~2: done", "ship~2: skipped"];
    assert_eq!(states(&engine, "run").await, wanted);
    assert_eq!(*seen.lock().unwrap(), ["report"]);
    let failed = bodies(home.path(), "pattern.failed");
    assert_eq!(failed, [json!({ "pattern": "pipeline:test~2", "reason": "gate-red" })]);
    for view in [View::Run, View::Diagnose] {
        let wanted = ("pattern-failed".to_owned(), vec!["test~2: pipeline: gate-red".to_owned()]);
        assert_eq!(issue(&engine, view).await, wanted);
    }
    let result = ResultArgs { run_id: "run".into(), ..ResultArgs::default() };
    let result = within(engine.result(&caller(), result)).await.unwrap();
    assert_eq!(result.failure.as_deref(), Some("pattern: test~2: pipeline: gate-red"));
    let args = WatchArgs {
        run_ids: Some(vec!["run".into()]),
        after: Some("0".into()),
        limit: Some(100),
        ..WatchArgs::default()
    };
    let events = within(engine.watch(&caller(), args, &|_| {})).await.unwrap().events;
    let event = events.iter().find(|event| event.event == "pattern.failed").unwrap();
    assert_eq!((&*event.details["pattern"], &*event.details["reason"]), ("pipeline:test~2", "gate-red"));
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn outputs_are_mapped_and_reduced() {
    let home = Home::with(splitting(&["a.json", "b"])).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, in_queue("map-reduce", vec![splitter("split")])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(states(&engine, "run").await, ["split: done", "map-a.json: done", "map-b: done", "reduce: done"]);
    let leased = bodies(home.path(), "attempt.leased");
    let map = leased.iter().find(|body| body["item"] == "map-b").unwrap();
    assert_eq!((&map["inputs"][0]["key"], &map["inputs"][0]["path"]), (&json!("item"), &json!("b")));
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn a_name_that_is_no_id_stops_the_pattern_and_not_the_rest() {
    let home = Home::with(splitting(&["fine", "not/fine"])).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, in_queue("map-reduce", vec![splitter("split"), item("other", &["split"])])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(states(&engine, "run").await, ["split: done", "other: done"]);
    assert_eq!(bodies(home.path(), "pattern.failed")[0]["reason"], "output-name");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn a_rejected_work_is_fixed_reviewed_again_and_committed() {
    let home = Home::with(FakeCompute::new(|task: &Task, _| match task.attempt.item.as_str() {
        "draft-review-1-1" => red(task, "no"),
        "draft-review-1-2" => outcome_of(task, Status::Failed),
        _ => outcome_of(task, Status::Done),
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, in_queue("quorum", vec![quorum("draft")])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let states = states(&engine, "run").await;
    assert_eq!(states.last().unwrap(), "draft-commit: done");
    assert_eq!(states.iter().filter(|state| state.ends_with(": failed")).count(), 1);
    assert_eq!(states.len(), 9, "{states:?}");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C15: a driver dies between the end of the gate and what follows it, or after; the next one adds nothing twice.
#[tokio::test]
async fn a_run_that_grew_by_itself_goes_on_after_a_crash_and_adds_nothing_twice() {
    let home = Home::with(failing(&["test"])).await;
    let fix = ItemId::new("test-fix-1").unwrap();
    home.compute.hold(&fix);
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, in_queue("pipeline", vec![gate("test"), item("ship", &[])])).await;
    within(home.compute.wait_started(&fix)).await;
    drop(driver);
    drop(first);
    let second = home.open().await;
    let driver = second.drive();
    home.compute.release(&fix);
    assert_eq!(wait_end(&second, &["run"]).await[0].state, "done");
    assert_eq!(added(&home).len(), 2);
    assert_eq!(bodies(home.path(), "attempt.leased").len(), 4);
    check(&second, &["run"]).await;
    driver.stop().await;
}

/// What a run was accepted with stays, whatever becomes of the configuration.
#[tokio::test]
async fn a_run_keeps_its_pattern_when_its_queue_is_gone_from_the_configuration() {
    let home = Home::with(failing(&["test"])).await;
    let test = ItemId::new("test").unwrap();
    home.compute.hold(&test);
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, in_queue("pipeline", vec![gate("test"), item("ship", &[])])).await;
    within(home.compute.wait_started(&test)).await;
    drop((driver, first));
    let config = home.path().join("agora.toml");
    let whole = std::fs::read_to_string(&config).unwrap();
    let text = whole.replace("[queues.pipeline]\npattern = \"pipeline\"\n", "");
    std::fs::write(&config, text).unwrap();
    let second = home.open().await;
    let mut refused = in_queue("pipeline", vec![item("a", &[])]);
    refused["id"] = json!("late");
    assert_eq!(try_submit(&second, refused).await.unwrap_err().first().code, "queue-unknown");
    let driver = second.drive();
    home.compute.release(&test);
    within(async {
        while issue(&second, View::Diagnose).await.0 != "queue-gone" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(added(&home).len(), 2, "the gate was answered");
    driver.stop().await;
    drop(second);
    std::fs::write(&config, whole).unwrap();
    let third = home.open().await;
    let driver = third.drive();
    assert_eq!(wait_end(&third, &["run"]).await[0].state, "done");
    driver.stop().await;
}

/// What patterns will add is checked before anything runs; and the catalog tells which queue has which.
#[tokio::test]
async fn a_plan_for_a_pattern_is_checked_whole() {
    let home = Home::new().await;
    let engine = home.open().await;
    let mut wrong = splitter("split");
    wrong["inputs"]["mapReduce"]["map"]["inputs"]["subagent"] = json!("nobody");
    wrong["inputs"]["mapReduce"]["reduce"]["inputs"]["workerInput"] = json!({ "prmpt": "x" });
    let error = try_submit(&engine, in_queue("map-reduce", vec![wrong, item("reduce", &[])])).await.unwrap_err();
    let mut found: Vec<_> = error.problems.iter().map(|p| (p.code.as_str(), p.at.as_deref().unwrap_or(""))).collect();
    found.sort_unstable();
    let wanted = [
        ("input-missing", "/items/0/inputs/mapReduce/reduce/inputs/workerInput"),
        ("pattern-plan", "/items/1/id"),
        ("subagent-unknown", "/items/0/inputs/mapReduce/map/inputs/subagent"),
    ];
    assert_eq!(found, wanted);
    let error = try_submit(&engine, plan("other", vec![gate("test")])).await.unwrap_err().first();
    assert_eq!((error.code.as_str(), error.hint.unwrap().contains("pipeline")), ("pattern-mismatch", true));
    let catalog = engine.catalog(&caller(), CatalogArgs::default()).await.unwrap();
    let queue = catalog.entries.iter().find(|entry| entry.name == "map-reduce").unwrap();
    assert_eq!(queue.details["pattern"], "map-reduce");
    assert!(entries(home.path()).is_empty());
}
