//! Stops that nothing proves, runs that are parked, and deadlines that pass.

use std::sync::Arc;
use std::time::Duration;

use agora_core::id::{Enc, ItemId};
use agora_core::record::CancelVia;
use agora_engine::Engine;
use agora_engine::operations::{
    AnswerArgs, AuditArgs, Caller, CancelArgs, CancelMode, ForceArgs, StatusArgs, Until, View, WatchArgs,
};
use serde_json::{Value, json};

use crate::common::{
    HandClock, Home, PlayedClock, caller, check, code_of, fan_out, item, items, plan, states, submit, wait_end, within,
};
use crate::evidence::{bodies, log};

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

fn cancel(item: Option<&str>) -> CancelArgs {
    let (run_id, item_id) = ("run".to_owned(), item.map(str::to_owned));
    CancelArgs { run_id, item_id, mode: None, drain: None, reason: "wrong branch".to_owned() }
}

fn hold(drain: Option<bool>) -> CancelArgs {
    CancelArgs { mode: Some(CancelMode::Hold), drain, ..cancel(None) }
}

fn release() -> AnswerArgs {
    AnswerArgs { run_id: "run".to_owned(), ..AnswerArgs::default() }
}

fn force(item: &str) -> ForceArgs {
    ForceArgs { run_id: "run".to_owned(), item_id: item.to_owned(), reason: "the machine is gone".to_owned() }
}

fn locked(id: &str, key: &str) -> Value {
    let mut item = item(id, &[]);
    item["resourceLocks"] = json!([key]);
    item
}

/// Waits until a journal has so many entries of a type.
async fn wait_entries(home: &Home, kind: &str, count: usize) {
    within(async {
        while bodies(home.path(), kind).len() < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whatever the driver knew of before this is decided when it returns.
async fn barrier(engine: &Engine, name: &str) {
    let run = submit(engine, fan_out(name, 1)).await;
    assert_eq!(wait_end(engine, &[&run]).await[0].state, "done");
}

/// A home in which `a` of the run `run` was cancelled and cannot be stopped, and `b` waits for its lock; the stop was asked
/// for so long ago.
async fn stuck(seconds: i64) -> (Home, HandClock, Arc<Engine>, agora_engine::Driver) {
    let mut home = Home::new().await;
    let clock = HandClock::new();
    home.set_clock(clock.clone());
    for held in ["a", "b"] {
        home.compute.hold(&id(held));
    }
    home.compute.unstoppable(&id("a"), true);
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![locked("a", "x"), locked("b", "x")])).await;
    wait_entries(&home, "attempt.started", 1).await;
    let reply = within(engine.cancel(&caller(), cancel(Some("a")))).await.unwrap();
    assert_eq!(reply.state, "stopping");
    within(home.compute.wait_stop(&id("a"))).await;
    clock.turn(seconds * 1000);
    (home, clock, engine, driver)
}

#[tokio::test]
async fn a_stop_that_nothing_proves_keeps_its_locks_and_says_what_to_do() {
    let (_home, clock, engine, driver) = stuck(120).await;
    assert_eq!(states(&engine, "run").await, ["a: stopping", "b: ready"]);
    let view = |view| StatusArgs { view: Some(view), run_id: Some("run".to_owned()), ..StatusArgs::default() };
    let who = caller();
    let status = |args| engine.status(&who, args);
    assert!(status(view(View::Inbox)).await.unwrap().inbox.is_empty());
    let watch = WatchArgs { run_ids: Some(vec!["run".to_owned()]), wait_seconds: Some(0), ..WatchArgs::default() };
    let reply = within(engine.watch(&caller(), watch.clone(), &|_| {})).await.unwrap();
    assert!(reply.timed_out, "nobody is needed yet");
    assert_eq!(reply.runs[0].items.0.get("stopping"), Some(&1));

    clock.turn(1);
    assert_eq!(states(&engine, "run").await, ["a: stopping_unverified", "b: ready"]);
    let only = StatusArgs { state: Some("stopping_unverified".to_owned()), ..view(View::Run) };
    assert_eq!(status(only).await.unwrap().total, Some(1));
    let rows = items(&engine, "run").await.items;
    assert!(rows[0].blocked_by[0].starts_with("stopping_unverified: asked to stop at "), "{:?}", rows[0].blocked_by);
    assert!(rows[1].blocked_by[0].starts_with("lock: x is held by a"), "{:?}", rows[1].blocked_by);
    let inbox = status(view(View::Inbox)).await.unwrap().inbox;
    assert_eq!((inbox[0].kind.as_str(), inbox[0].item_id.as_deref()), ("stopping_unverified", Some("a")));
    assert!(inbox[0].next.contains("agora-admin force-resolve run a"), "{}", inbox[0].next);
    let diagnosis = status(view(View::Diagnose)).await.unwrap().diagnosis.unwrap();
    assert_eq!(diagnosis.likely_issue, "stop-unverified");
    let shown = &diagnosis.evidence[0];
    assert!(shown.starts_with("a: attempt 1, box fake:run:a:1:1 on the target local, asked to stop at "), "{shown}");
    assert!(shown.ends_with("it was cancelled") && diagnosis.next.contains("force-resolve"), "{diagnosis:?}");
    for until in [Until::Attention, Until::Terminal] {
        let watch = WatchArgs { until: Some(until), ..watch.clone() };
        let reply = within(engine.watch(&caller(), watch, &|_| {})).await.unwrap();
        assert_eq!(reply.timed_out, until == Until::Terminal, "{until:?}");
        assert_eq!(reply.runs[0].items.0.get("stopping_unverified"), Some(&1));
        assert!(reply.next.contains("inbox"), "{}", reply.next);
    }
    // What doctor compares agrees, also while an attempt is being stopped.
    check(&engine, &[]).await;
    driver.stop().await;
}

/// I7, I10.
#[tokio::test]
async fn an_operator_forces_the_end_of_what_nothing_proves_gone() {
    let (home, _clock, engine, driver) = stuck(121).await;
    let tool = Caller { actor: Enc::encode("human:ada"), via: CancelVia::Mcp, ..caller() };
    assert_eq!(code_of(engine.force_resolve(&tool, force("a")).await), "operator-only");
    assert_eq!(code_of(engine.force_resolve(&caller(), force("b")).await), "stop-not-unverified");
    assert_eq!(code_of(engine.force_resolve(&caller(), force("c")).await), "item-unknown");
    let reason = ForceArgs { reason: String::new(), ..force("a") };
    assert_eq!(code_of(engine.force_resolve(&caller(), reason).await), "cancel-shape");
    let reply = within(engine.force_resolve(&caller(), force("a"))).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.proof.as_str()), ("cancelled", "forced"));
    assert_eq!(code_of(engine.force_resolve(&caller(), force("a")).await), "item-over");

    // Its lock is free, though its box still runs.
    within(home.compute.wait_started(&id("b"))).await;
    assert_eq!(home.compute.running().len(), 2);
    let requests = bodies(home.path(), "cancel.requested");
    let (asked, forced) = (&requests[0], &requests[1]);
    assert_eq!((&asked["via"], &asked["reason"]), (&json!("cli"), &json!("requested")));
    assert_eq!((&forced["scope"], &forced["reason"]), (&json!("item"), &json!("forced")));
    let note = forced["note"].as_str().unwrap().parse().unwrap();
    assert_eq!(home.blobs.get(&note).await.unwrap(), b"the machine is gone");
    assert_eq!(bodies(home.path(), "item.cancelled")[0]["proof"], "forced");

    // It ends after all, and brings a result: too late to change anything, and its box is cleared away.
    home.compute.release(&id("a"));
    home.compute.release(&id("b"));
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(states(&engine, "run").await, ["a: cancelled", "b: done"]);
    within(driver.idle()).await;
    let ends: Vec<Value> = bodies(home.path(), "attempt.finished");
    let ends: Vec<_> = ends.iter().map(|body| (body["item"].clone(), body["outcome"].clone())).collect();
    assert_eq!(ends, [(json!("a"), json!("cancelled")), (json!("b"), json!("done"))]);
    check(&engine, &["run"]).await;
    let audit = engine.audit(&caller(), AuditArgs { run_id: "run".to_owned(), full: Some(true) }).await.unwrap();
    let story = audit.checks.iter().find(|row| row.code == "story").and_then(|row| row.detail.clone()).unwrap();
    assert!(story.contains("1 cancelled on an operator's word"), "{story}");
    driver.stop().await;
}

/// I10.
#[tokio::test]
async fn the_box_of_a_forced_end_is_ended_by_the_next_driver() {
    let (home, _clock, engine, driver) = stuck(121).await;
    driver.stop().await;
    within(engine.force_resolve(&caller(), force("a"))).await.unwrap();
    assert_eq!(home.compute.running().len(), 1, "nobody drives");
    home.compute.unstoppable(&id("a"), false);
    home.compute.release(&id("b"));
    let driver = engine.drive();
    within(home.compute.wait_gone(&id("a"))).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(bodies(home.path(), "attempt.finished").len(), 2, "the operator's, and the other item's");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// I10: a sweep that ends not everything is no driver's last word.
#[tokio::test(start_paused = true)]
async fn a_box_that_cannot_be_ended_is_tried_again_while_the_driver_drives() {
    let (home, clock, engine) = played().await;
    home.compute.unstoppable(&id("a"), true);
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    home.compute.wait_started(&id("a")).await;
    driver.stop().await;
    // To the driver of another store it is a box that nobody leases.
    let mut other = Home::with(home.compute.clone()).await;
    other.set_clock(clock);
    let engine = other.open().await;
    let driver = engine.drive();
    assert!(driver.idle().await);
    assert_eq!(home.compute.running().len(), 1);
    home.compute.unstoppable(&id("a"), false);
    home.compute.wait_gone(&id("a")).await;
    driver.stop().await;
}

/// C06, C13: who asked, why and through what stands there before anything is stopped, and once.
#[tokio::test]
async fn a_cancel_says_who_why_and_through_what_and_once() {
    let (home, _clock, engine, driver) = stuck(0).await;
    for _ in 0..2 {
        let reply = within(engine.cancel(&caller(), cancel(Some("a")))).await.unwrap();
        assert_eq!(reply.state, "stopping");
    }
    assert_eq!(bodies(home.path(), "cancel.requested").len(), 1);
    assert!(bodies(home.path(), "item.cancelled").is_empty());
    home.compute.unstoppable(&id("a"), false);
    home.compute.release(&id("b"));
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(bodies(home.path(), "item.cancelled")[0]["proof"], "absent");
    for (item, state) in [(Some("a"), "cancelled"), (Some("b"), "done"), (None, "failed")] {
        assert_eq!(within(engine.cancel(&caller(), cancel(item))).await.unwrap().state, state, "it says how it ended");
    }
    assert_eq!(bodies(home.path(), "cancel.requested").len(), 1);
    driver.stop().await;
}

#[tokio::test]
async fn a_parked_item_starts_anew_after_the_release_and_has_used_up_no_attempt() {
    let home = Home::new().await;
    home.compute.hold(&id("a"));
    let engine = home.open().await;
    let driver = engine.drive();
    let mut once = item("a", &[]);
    once["retry"] = json!({ "max_attempts": 1, "backoff_seconds": 600 });
    submit(&engine, plan("run", vec![once])).await;
    wait_entries(&home, "attempt.started", 1).await;
    let wrong = CancelArgs { drain: Some(false), ..cancel(None) };
    assert_eq!(code_of(engine.cancel(&caller(), wrong).await), "cancel-shape");
    // Drained, it goes on; then it is parked.
    assert_eq!(within(engine.cancel(&caller(), hold(Some(true)))).await.unwrap().state, "held");
    assert_eq!(code_of(engine.cancel(&caller(), hold(None)).await), "held-already");
    barrier(&engine, "drained").await;
    assert_eq!(states(&engine, "run").await, ["a: running"]);
    assert_eq!(within(engine.cancel(&caller(), hold(Some(false)))).await.unwrap().state, "held");
    within(home.compute.wait_gone(&id("a"))).await;
    wait_entries(&home, "item.retried", 1).await;
    barrier(&engine, "parked").await;
    let row = items(&engine, "run").await.items.remove(0);
    assert_eq!((row.state.as_str(), row.attempts), ("ready", 1));
    assert!(row.blocked_by[0].starts_with("hold"), "{:?}", row.blocked_by);
    let ended = &bodies(home.path(), "attempt.finished")[1];
    assert_eq!((&ended["outcome"], &ended["reason"]), (&json!("cancelled"), &json!("operator")));

    home.compute.release(&id("a"));
    assert_eq!(within(engine.answer(&caller(), release())).await.unwrap().state, "released");
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(items(&engine, "run").await.items[0].attempts, 2, "its only attempt to fail was still there");
    let modes: Vec<Value> = bodies(home.path(), "hold.set").iter().map(|body| body["mode"].clone()).collect();
    assert_eq!(modes, ["drain", "park"]);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn a_park_that_no_driver_saw_is_carried_out_by_the_next_one() {
    let home = Home::new().await;
    home.compute.hold(&id("a"));
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[])])).await;
    wait_entries(&home, "attempt.started", 1).await;
    driver.stop().await;
    within(engine.cancel(&caller(), hold(Some(false)))).await.unwrap();
    assert_eq!((home.compute.running().len(), states(&engine, "run").await), (1, vec!["a: stopping".to_owned()]));
    let driver = engine.drive();
    within(home.compute.wait_gone(&id("a"))).await;
    wait_entries(&home, "item.retried", 1).await;
    assert_eq!(states(&engine, "run").await, ["a: ready"]);
    check(&engine, &[]).await;
    driver.stop().await;
}

/// A home on a machine whose time is played, with `a` that never ends by itself.
async fn played() -> (Home, PlayedClock, Arc<Engine>) {
    let mut home = Home::new().await;
    let clock = PlayedClock::new();
    home.set_clock(clock.clone());
    home.compute.hold(&id("a"));
    let engine = home.open().await;
    (home, clock, engine)
}

/// Attempts of a second, half an hour for what is around them, and a minute for the worker to end them itself.
const EXPIRES: Duration = Duration::from_secs(1 + 1_800 + 60);

fn short(attempts: u64) -> Value {
    let mut item = item("a", &[]);
    item["timeoutSeconds"] = json!(1);
    item["retry"] = json!({ "max_attempts": attempts, "backoff_seconds": 0 });
    item
}

/// Waits for the end of the run, however long that takes.
async fn ended(engine: &Engine) -> String {
    let args = WatchArgs {
        run_ids: Some(vec!["run".to_owned()]),
        until: Some(Until::Terminal),
        wait_seconds: Some(1_500),
        ..WatchArgs::default()
    };
    loop {
        let reply = engine.watch(&caller(), args.clone(), &|_| {}).await.unwrap();
        if !reply.timed_out {
            return reply.runs[0].state.clone();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_is_recorded_and_the_attempt_fails_of_it() {
    let (home, clock, engine) = played().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![short(2)])).await;
    assert_eq!(ended(&engine).await, "failed");
    assert!(clock.passed() >= EXPIRES * 2, "{:?}", clock.passed());
    let requests = bodies(home.path(), "cancel.requested");
    let said: Vec<_> = requests.iter().map(|body| (body["attempt"].clone(), body["via"].clone())).collect();
    assert_eq!(said, [(json!(1), json!("engine")), (json!(2), json!("engine"))]);
    assert_eq!((&requests[0]["scope"], &requests[0]["reason"]), (&json!("attempt"), &json!("wall")));
    for body in bodies(home.path(), "attempt.finished") {
        assert_eq!(
            (&body["outcome"], &body["class"], &body["reason"]),
            (&json!("failed"), &json!("timeout"), &json!("wall"))
        );
    }
    assert_eq!(items(&engine, "run").await.items[0].failure.as_deref(), Some("timeout: wall"));
    assert!(log(home.path()).iter().all(|entry| entry["type"] != "clock.jump"), "time that passes is no leap");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_its_deadline_is_not_stopped() {
    let (home, clock, engine) = played().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![short(1)])).await;
    home.compute.wait_started(&id("a")).await;
    tokio::time::sleep(EXPIRES.saturating_sub(clock.passed() + Duration::from_secs(1))).await;
    home.compute.release(&id("a"));
    assert_eq!(ended(&engine).await, "done");
    assert!(bodies(home.path(), "cancel.requested").is_empty());
    driver.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outlives_its_driver() {
    let (home, clock, engine) = played().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![short(1)])).await;
    home.compute.wait_started(&id("a")).await;
    tokio::time::sleep(EXPIRES / 2).await;
    driver.stop().await;
    let driver = engine.drive();
    assert_eq!(ended(&engine).await, "failed");
    let passed = clock.passed();
    assert!(passed >= EXPIRES && passed < EXPIRES + Duration::from_secs(60), "as recorded, not anew: {passed:?}");
    driver.stop().await;
    check(&engine, &["run"]).await;
}

#[tokio::test(start_paused = true)]
async fn that_a_deadline_passed_is_still_why_after_the_driver_died() {
    let (home, _clock, engine) = played().await;
    home.compute.unstoppable(&id("a"), true);
    let driver = engine.drive();
    submit(&engine, plan("run", vec![short(1)])).await;
    home.compute.wait_stop(&id("a")).await;
    assert_eq!(states(&engine, "run").await, ["a: stopping"]);
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert_eq!(states(&engine, "run").await, ["a: stopping_unverified"], "it keeps its slot and locks");
    drop(driver);
    home.compute.unstoppable(&id("a"), false);
    let driver = engine.drive();
    assert_eq!(ended(&engine).await, "failed");
    assert_eq!(bodies(home.path(), "cancel.requested").len(), 1);
    assert_eq!(bodies(home.path(), "attempt.finished")[0]["reason"], "wall");
    driver.stop().await;
}
