//! U05: why nothing happens is said with its evidence, what it is not, and what to do; and no longer once it is gone.
//!
//! A stop that nothing proves is in `stopping.rs`, the ends of runs are in `next.rs`.

use std::sync::Arc;

use agora_core::id::ItemId;
use agora_core::worker::Outcome;
use agora_core::worker::{Question, Status};
use agora_engine::Engine;
use agora_engine::operations::{
    AnswerArgs, CancelArgs, CancelMode, Diagnosis, ExtendArg, StatusArgs, SubmitArgs, View,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::{Value, json};

use crate::common::{HandClock, Home, caller, item, plan, submit, wait_end, within};

/// Every cause that a run which is not over can have.
const CAUSES: [&str; 12] = [
    "question-open",
    "held",
    "no-driver",
    "not-logged",
    "stop-unverified",
    "target-down",
    "queue-gone",
    "stopping",
    "lock-held",
    "back-off",
    "open-ended",
    "slots-full",
];

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

fn locked(id: &str, key: &str) -> Value {
    let mut item = item(id, &[]);
    item["resourceLocks"] = json!([key]);
    item
}

async fn diagnose(engine: &Engine, run: &str) -> Diagnosis {
    let args = StatusArgs { view: Some(View::Diagnose), run_id: Some(run.to_owned()), ..StatusArgs::default() };
    let found = engine.status(&caller(), args).await.unwrap().diagnosis.unwrap();
    let named = CAUSES.contains(&found.likely_issue.as_str());
    assert!(!found.ruled_out.contains(&found.likely_issue), "{found:?}");
    assert!(found.ruled_out.len() + usize::from(named) <= CAUSES.len(), "{found:?}");
    assert!(found.ruled_out.iter().all(|cause| CAUSES.contains(&cause.as_str())), "{found:?}");
    assert!(named || found.likely_issue == "nothing-wrong" || found.ruled_out.is_empty(), "{found:?}");
    found
}

/// The diagnosis, once it names this issue.
async fn until(engine: &Engine, run: &str, issue: &str) -> Diagnosis {
    within(async {
        loop {
            let found = diagnose(engine, run).await;
            if found.likely_issue == issue {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn hold() -> CancelArgs {
    let (run_id, mode, reason) = ("run".to_owned(), Some(CancelMode::Hold), "wait".to_owned());
    CancelArgs { run_id, item_id: None, mode, drain: None, reason }
}

#[tokio::test]
async fn a_question_is_open() {
    let home = Home::with(FakeCompute::new(|task, _| match task.attempt.attempt {
        1 => {
            let question = "which?".to_owned();
            let question = Question { question, options: Vec::new(), context: None, partial_state: None };
            Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
        }
        _ => outcome_of(task, Status::Done),
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    let found = until(&engine, "run", "question-open").await;
    assert!(found.evidence[0].starts_with("a: question: "), "{found:?}");
    assert_eq!(found.next, r#"status {"view":"inbox"}"#);
    assert!(found.ruled_out.contains(&"no-driver".to_owned()));
    let inbox = StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() };
    let question = engine.status(&caller(), inbox).await.unwrap().inbox[0].question_id.unwrap();
    let answer = AnswerArgs {
        run_id: "run".to_owned(),
        item_id: Some("a".to_owned()),
        question_id: Some(u32::try_from(question).unwrap()),
        text: Some("this".to_owned()),
        ..AnswerArgs::default()
    };
    engine.answer(&caller(), answer).await.unwrap();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn a_run_is_held() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    engine.cancel(&caller(), hold()).await.unwrap();
    let driver = engine.drive();
    let found = until(&engine, "run", "held").await;
    assert_eq!(
        (found.evidence[0].as_str(), found.next.as_str()),
        ("a: hold: the run is held", r#"answer {"run_id":"run"}"#)
    );
    engine.answer(&caller(), AnswerArgs { run_id: "run".to_owned(), ..AnswerArgs::default() }).await.unwrap();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn nobody_drives() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    let found = diagnose(&engine, "run").await;
    assert_eq!(
        (found.likely_issue.as_str(), found.evidence[0].as_str()),
        ("no-driver", "no process holds driver.lock")
    );
    assert!(found.next.contains("agora-admin serve") && found.ruled_out.contains(&"held".to_owned()), "{found:?}");
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

/// Some process holds the lock and does not drive: it is stopped, or its store fails.
#[tokio::test]
async fn whoever_has_the_lock_does_not_take_the_run_up() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    let lock = std::fs::OpenOptions::new().create(true).append(true).open(home.path().join("driver.lock")).unwrap();
    lock.lock().unwrap();
    let found = diagnose(&engine, "run").await;
    assert_eq!(found.likely_issue, "not-logged");
    assert_eq!(found.evidence, ["a: driver: no process has taken the run up yet"]);
    assert!(
        found.ruled_out.contains(&"no-driver".to_owned()) && found.next.contains("agora-admin doctor"),
        "{found:?}"
    );
    drop(lock);
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn a_target_is_down() {
    let home = Home::new().await;
    home.compute.fail_isolation(Some("no user namespaces"));
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    let found = until(&engine, "run", "target-down").await;
    assert!(
        found.evidence[0].starts_with("a: target down: local: ") && found.evidence[0].contains("no user namespaces")
    );
    assert!(found.next.contains("agora-admin doctor"), "{found:?}");
    driver.stop().await;
    home.compute.fail_isolation(None);
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn a_stop_is_under_way() {
    let home = Home::new().await;
    home.compute.hold(&id("a"));
    home.compute.unstoppable(&id("a"), true);
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    within(home.compute.wait_started(&id("a"))).await;
    let found = until(&engine, "run", "nothing-wrong").await;
    assert_eq!(found.evidence, ["1 running, 0 ready"]);
    assert!(found.ruled_out.contains(&"held".to_owned()));
    engine.cancel(&caller(), hold()).await.unwrap();
    assert!(
        !diagnose(&engine, "run").await.ruled_out.contains(&"held".to_owned()),
        "what runs goes on, and it is held"
    );
    let cancel = CancelArgs { mode: None, item_id: Some("a".to_owned()), ..hold() };
    engine.cancel(&caller(), cancel).await.unwrap();
    let found = until(&engine, "run", "stopping").await;
    assert_eq!(found.evidence, ["a: stopping: its absence is not proven yet"]);
    assert_eq!(found.next, r#"watch {"run_ids":["run"]}"#);
    home.compute.unstoppable(&id("a"), false);
    home.compute.release(&id("a"));
    wait_end(&engine, &["run"]).await;
    let found = diagnose(&engine, "run").await;
    assert_eq!((found.likely_issue.as_str(), found.evidence), ("cancelled", vec!["a: cancelled".to_owned()]));
    driver.stop().await;
}

#[tokio::test]
async fn another_run_has_the_lock() {
    let home = Home::new().await;
    home.compute.hold(&id("holder"));
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("other", vec![locked("holder", "db")])).await;
    within(home.compute.wait_started(&id("holder"))).await;
    submit(&engine, plan("run", vec![locked("a", "db")])).await;
    let found = until(&engine, "run", "lock-held").await;
    assert_eq!(found.evidence, ["a: lock: db is held by holder of the run other"]);
    assert_eq!(found.next, r#"watch {"run_ids":["run"]}"#);
    home.compute.release(&id("holder"));
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn a_retry_is_due_later() {
    let compute = FakeCompute::new(|task, _| match task.attempt.attempt {
        1 => outcome_of(task, Status::Failed),
        _ => outcome_of(task, Status::Done),
    });
    let mut home = Home::with(compute).await;
    let clock = HandClock::new();
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    let mut again = item("a", &[]);
    again["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 600 });
    submit(&engine, plan("run", vec![again])).await;
    let found = until(&engine, "run", "back-off").await;
    assert!(found.evidence[0].starts_with("a: back-off: until 20"), "{found:?}");
    // A driver that comes when it is due has no timer to wait for.
    driver.stop().await;
    clock.turn(3_600_000);
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn other_runs_have_every_slot() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine: Arc<Engine> = home.open().await;
    let driver = engine.drive();
    let queued = |id: &str, items: Vec<Value>| {
        let mut plan = plan(id, items);
        plan["queue"] = json!("other");
        plan
    };
    submit(&engine, queued("first", vec![item("x", &[]), item("y", &[])])).await;
    within(home.compute.wait_running(2)).await;
    submit(&engine, queued("run", vec![item("a", &[])])).await;
    let found = until(&engine, "run", "slots-full").await;
    assert_eq!(found.evidence, ["a: slot: all 2 of the queue other are taken"]);
    assert_eq!(diagnose(&engine, "first").await.likely_issue, "nothing-wrong");
    home.compute.release_all();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}

#[tokio::test]
async fn a_run_is_open_ended_and_has_nothing_left_to_do() {
    let home = Home::new().await;
    let engine: Arc<Engine> = home.open().await;
    let driver = engine.drive();
    let mut open = plan("run", vec![item("a", &[])]);
    open["openEnded"] = json!(true);
    submit(&engine, open).await;
    let found = until(&engine, "run", "open-ended").await;
    assert_eq!(found.next, r#"submit {"close":true,"extend":{"run_id":"run"}}"#);
    let extend = Some(ExtendArg { run_id: "run".to_owned(), items: None });
    let close = SubmitArgs { extend, close: Some(true), ..SubmitArgs::default() };
    engine.submit(&caller(), close).await.unwrap();
    wait_end(&engine, &["run"]).await;
    assert_eq!(diagnose(&engine, "run").await.likely_issue, "all-done");
    driver.stop().await;
}
