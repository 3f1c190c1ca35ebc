//! From a plan to verified evidence, and what happens to it on the way.

use agora_core::id::{Digest, Enc, ItemId};
use agora_core::seam::{BlobError, ComputeError};
use agora_core::worker::{Outcome, Question, Status, Task};
use agora_engine::operations::{
    AnswerArgs, Caller, CancelArgs, CancelMode, DispatchArgs, ResultArgs, StatusArgs, SubmitArgs, View, WatchArgs,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::{Value, json};

use crate::common::{
    HandClock, Home, caller, check, code_of, fan_out, item, items, plan, states, submit, try_submit, wait_end, within,
};
use crate::evidence::{bodies, entries, log};

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

/// Fails the first attempts at an item.
fn failing(which: &'static str, times: u64) -> FakeCompute {
    FakeCompute::new(move |task: &Task, _| -> Outcome {
        let fails = task.attempt.item.as_str() == which && task.attempt.attempt <= times;
        outcome_of(task, if fails { Status::Failed } else { Status::Done })
    })
}

fn with_retry(mut item: Value, max_attempts: u64, backoff_seconds: u64) -> Value {
    item["retry"] = json!({ "max_attempts": max_attempts, "backoff_seconds": backoff_seconds });
    item
}

#[tokio::test]
async fn a_fan_out_is_submitted_driven_watched_shown_and_audited() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let reply = try_submit(&engine, fan_out("fan", 10)).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.items, reply.layers, reply.registry_version), ("open", 10, 1, 1));
    let rows = wait_end(&engine, &["fan"]).await;
    assert_eq!((rows[0].state.as_str(), rows[0].sealed), ("done", true));
    assert_eq!(rows[0].items.0.get("done"), Some(&10));
    let args = ResultArgs { run_id: "fan".to_owned(), item_id: Some("i3".to_owned()), ..ResultArgs::default() };
    let result = engine.result(&caller(), args).await.unwrap();
    assert_eq!((result.state.as_str(), result.isolation.as_deref()), ("done", Some("process/none")));
    assert_eq!(home.compute.started(), 10);
    within(driver.idle()).await;
    check(&engine, &["fan"]).await;
    assert!(!engine.has_open_runs().await.unwrap());
    driver.stop().await;
}

#[tokio::test]
async fn nothing_starts_before_what_it_depends_on_is_done() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let diamond = vec![item("a", &[]), item("b", &["a"]), item("c", &["a"]), item("d", &["b", "c"])];
    submit(&engine, plan("run", diamond)).await;
    wait_end(&engine, &["run"]).await;
    let order: Vec<String> = entries(home.path())
        .iter()
        .map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap())
        .filter(|entry| ["item.done", "attempt.leased"].contains(&entry["type"].as_str().unwrap()))
        .map(|entry| format!("{} {}", entry["type"].as_str().unwrap(), entry["body"]["item"].as_str().unwrap()))
        .collect();
    let at = |what: &str| order.iter().position(|line| line == what).unwrap();
    for (first, then) in [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")] {
        assert!(at(&format!("item.done {first}")) < at(&format!("attempt.leased {then}")), "{order:?}");
    }
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C01, C05: the box goes on without its driver, and the next engine takes it up where it is.
#[tokio::test]
async fn a_fresh_engine_over_the_same_store_completes_the_run() {
    let home = Home::new().await;
    home.compute.hold(&id("b"));
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, plan("run", vec![item("a", &[]), item("b", &["a"]), item("c", &["b"]), item("d", &["a"])])).await;
    within(home.compute.wait_started(&id("b"))).await;
    driver.stop().await;
    drop(first);

    let second = home.open().await;
    let driver = second.drive();
    home.compute.release(&id("b"));
    assert_eq!(wait_end(&second, &["run"]).await[0].state, "done");
    assert_eq!(home.compute.started(), 4, "each item ran once");
    assert_eq!(bodies(home.path(), "item.done").len(), 4);
    assert_eq!(bodies(home.path(), "attempt.leased").len(), 4);
    check(&second, &["run"]).await;
    driver.stop().await;
}

/// C05, I10: a lease whose box nobody has any more is a lost attempt; a box that nobody leases is ended.
#[tokio::test]
async fn leases_and_boxes_are_joined_by_the_next_driver() {
    let home = Home::new().await;
    home.compute.hold_all();
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, plan("run", vec![with_retry(item("a", &[]), 2, 0)])).await;
    within(home.compute.wait_started(&id("a"))).await;
    let mut wait = StatusArgs { run_id: Some("run".to_owned()), view: Some(View::Run), ..StatusArgs::default() };
    wait.limit = Some(1);
    within(async {
        while bodies(home.path(), "attempt.started").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    driver.stop().await;
    // Another machine, as it were: its provider knows of no box.
    let second = home.open_with(FakeCompute::default()).await;
    let driver = second.drive();
    assert_eq!(wait_end(&second, &["run"]).await[0].state, "done");
    let ends: Vec<Value> = bodies(home.path(), "attempt.finished").iter().map(|body| body["outcome"].clone()).collect();
    assert_eq!(ends, ["lost", "done"], "the lost attempt counts, the second one is accepted");
    driver.stop().await;
    // The first provider still has the box of the first attempt: its driver ends it before anything else.
    assert_eq!(home.compute.running().len(), 1);
    let third = home.open().await;
    let driver = third.drive();
    within(driver.idle()).await;
    assert!(home.compute.running().is_empty());
    check(&third, &["run"]).await;
    driver.stop().await;
}

/// C09.
#[tokio::test]
async fn a_flaky_item_recovers() {
    let home = Home::with(failing("flaky", 2)).await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![with_retry(item("flaky", &[]), 3, 0), item("after", &["flaky"])])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(items(&engine, "run").await.items[0].attempts, 3);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C09.
#[tokio::test]
async fn what_always_fails_uses_its_attempts_up_and_skips_its_dependents_alone() {
    let home = Home::with(failing("bad", u64::MAX)).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let bad = with_retry(item("bad", &[]), 3, 0);
    submit(&engine, plan("run", vec![bad, item("near", &["bad"]), item("far", &["near"]), item("other", &[])])).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(states(&engine, "run").await, ["bad: failed", "near: skipped", "far: skipped", "other: done"]);
    let rows = items(&engine, "run").await.items;
    assert_eq!((rows[0].attempts, rows[0].failure.as_deref()), (3, Some("agent: agent-exit")));
    assert_eq!(rows[2].due_to.as_deref(), Some("bad"));
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C07: one provider call that fails, or never returns, is that attempt's own trouble.
#[tokio::test]
async fn a_launch_that_fails_or_hangs_delays_nobody_else() {
    let home = Home::new().await;
    home.compute.fail_launch(&id("i0"), ComputeError::Failed("no".to_owned()));
    home.compute.hang_launch(&id("i1"));
    let engine = home.open().await;
    let driver = engine.drive();
    let mut four = fan_out("run", 4);
    four["items"][0]["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 0 });
    submit(&engine, four).await;
    submit(&engine, plan("other", vec![item("x", &[]), item("y", &["x"])])).await;
    wait_end(&engine, &["other"]).await;
    home.compute.release(&id("i1"));
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(items(&engine, "run").await.items.iter().map(|row| row.attempts).collect::<Vec<_>>(), [2, 1, 1, 1]);
    check(&engine, &["run", "other"]).await;
    driver.stop().await;
}

/// C10.
#[tokio::test]
async fn a_back_off_is_kept_across_a_restart_and_nothing_cascades_meanwhile() {
    let mut home = Home::with(failing("flaky", 1)).await;
    let clock = HandClock::new();
    home.set_clock(clock.clone());
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, plan("run", vec![with_retry(item("flaky", &[]), 2, 600), item("after", &["flaky"])])).await;
    within(async {
        while bodies(home.path(), "item.retried").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    driver.stop().await;
    drop(first);

    for minutes in [0, 9] {
        clock.turn(minutes * 60_000);
        let engine = home.open().await;
        let driver = engine.drive();
        // Whatever would start has started when a later run is over.
        let barrier = submit(&engine, fan_out(&format!("barrier-{minutes}"), 1)).await;
        wait_end(&engine, &[&barrier]).await;
        let rows = items(&engine, "run").await.items;
        assert_eq!((rows[0].state.as_str(), rows[0].attempts), ("ready", 1));
        assert!(rows[0].blocked_by[0].contains("back"), "{:?}", rows[0].blocked_by);
        assert_eq!(rows[1].state, "pending");
        driver.stop().await;
    }

    // Ten minutes, and up to a quarter of it as jitter.
    clock.turn(4 * 60_000);
    let last = home.open().await;
    let driver = last.drive();
    assert_eq!(wait_end(&last, &["run"]).await[0].state, "done");
    assert_eq!(states(&last, "run").await, ["flaky: done", "after: done"]);
    check(&last, &["run"]).await;
    driver.stop().await;
}

fn cancel(run: &str, item: Option<&str>) -> CancelArgs {
    CancelArgs {
        run_id: run.to_owned(),
        item_id: item.map(str::to_owned),
        mode: None,
        drain: None,
        reason: "test".to_owned(),
    }
}

/// C06.
#[tokio::test]
async fn a_cancel_that_no_driver_saw_beats_the_first_start() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 3)).await;
    submit(&engine, fan_out("twin", 3)).await;
    assert_eq!(engine.cancel(&caller(), cancel("run", None)).await.unwrap().state, "cancelled");
    let driver = engine.drive();
    wait_end(&engine, &["run", "twin"]).await;
    assert_eq!(states(&engine, "run").await, ["i0: cancelled", "i1: cancelled", "i2: cancelled"]);
    assert_eq!(home.compute.started(), 3, "the twin's");
    check(&engine, &["run", "twin"]).await;
    driver.stop().await;
}

/// A cancel is recorded first: what the attempt brings afterwards is evidence, not a result (I7).
#[tokio::test]
async fn what_a_cancelled_attempt_brings_is_no_result() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[]), item("b", &["a"]), item("c", &[])])).await;
    within(home.compute.wait_running(2)).await;
    let reply = engine.cancel(&caller(), cancel("run", Some("a"))).await.unwrap();
    assert!(["stopping", "cancelled"].contains(&reply.state.as_str()), "{}", reply.state);
    home.compute.release_all();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(states(&engine, "run").await, ["a: cancelled", "b: skipped", "c: done"]);
    assert_eq!(bodies(home.path(), "item.done").len(), 1);
    assert!(home.compute.running().is_empty());
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C13.
#[tokio::test]
async fn a_sealed_run_never_changes() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", 3)).await;
    wait_end(&engine, &["run"]).await;
    let before = (entries(home.path()), log(home.path()));
    assert_eq!(engine.cancel(&caller(), cancel("run", None)).await.unwrap().state, "done");
    assert_eq!(engine.cancel(&caller(), cancel("run", Some("i1"))).await.unwrap().state, "done");
    assert_eq!(code_of(engine.cancel(&caller(), cancel("run", Some("i9"))).await), "item-unknown");
    let answer = AnswerArgs { run_id: "run".to_owned(), ..AnswerArgs::default() };
    assert_eq!(code_of(engine.answer(&caller(), answer).await), "run-over");
    assert!(try_submit(&engine, fan_out("run", 3)).await.unwrap().deduplicated);
    assert_eq!(code_of(try_submit(&engine, fan_out("run", 4)).await), "run-conflict");
    driver.stop().await;
    let other = home.open().await;
    let driver = other.drive();
    within(driver.idle()).await;
    driver.stop().await;
    assert!((entries(home.path()), log(home.path())) == before, "a byte of the sealed run changed");
    check(&other, &["run"]).await;
}

/// The item `asks` asks once; everything else is done.
pub(crate) async fn asking() -> Home {
    Home::with(FakeCompute::new(|task: &Task, _| match &task.resume {
        None if task.attempt.item.as_str() == "asks" => {
            let mut outcome = outcome_of(task, Status::NeedsInput);
            let options = vec!["yes".to_owned(), "no".to_owned()];
            outcome.question =
                Some(Question { question: "go on?".to_owned(), options, context: None, partial_state: None });
            outcome
        }
        _ => outcome_of(task, Status::Done),
    }))
    .await
}

/// Waits until the first item of the run asks, and returns the question's number.
pub(crate) async fn wait_question(home: &Home, engine: &agora_engine::Engine) -> u32 {
    within(async {
        while bodies(home.path(), "item.waiting").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    u32::try_from(items(engine, "run").await.items[0].question_id.unwrap()).unwrap()
}

/// C13.
#[tokio::test]
async fn a_question_is_answered_once() {
    let home = asking().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("asks", &[]), item("after", &["asks"])])).await;
    let question = wait_question(&home, &engine).await;
    let answer = |choice: u32, request: Option<&str>| AnswerArgs {
        run_id: "run".to_owned(),
        item_id: Some("asks".to_owned()),
        question_id: Some(question),
        choice: Some(choice),
        request_id: request.map(str::to_owned),
        ..AnswerArgs::default()
    };
    assert_eq!(code_of(engine.answer(&caller(), answer(3, None)).await), "answer-shape");
    let who = caller();
    let (one, two) = tokio::join!(engine.answer(&who, answer(1, Some("r"))), engine.answer(&who, answer(1, Some("r"))));
    let mut replies = [one.unwrap().deduplicated, two.unwrap().deduplicated];
    replies.sort_unstable();
    assert_eq!(replies, [false, true], "one is the answer, the other learns of it");
    assert_eq!(code_of(engine.answer(&caller(), answer(2, None)).await), "question-unknown");
    assert_eq!(code_of(engine.answer(&caller(), answer(2, Some("r"))).await), "idempotency-conflict");
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert!(engine.answer(&caller(), answer(1, Some("r"))).await.unwrap().deduplicated);
    assert_eq!(bodies(home.path(), "question.answered").len(), 1);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// What is refused leaves nothing behind: not the caller's words, not the plan.
#[tokio::test]
async fn a_refused_call_keeps_no_blob_and_one_that_is_done_does() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 2)).await;
    let cancel = |run: &str, item: Option<&str>, mode: CancelMode| CancelArgs {
        run_id: run.to_owned(),
        item_id: item.map(str::to_owned),
        mode: Some(mode),
        drain: None,
        reason: format!("why {run} {item:?} {mode:?}"),
    };
    let who = caller();
    let before = home.memory.puts();
    assert_eq!(code_of(engine.cancel(&who, cancel("none", None, CancelMode::Stop)).await), "run-unknown");
    assert_eq!(code_of(engine.cancel(&who, cancel("run", Some("none"), CancelMode::Stop)).await), "item-unknown");
    assert_eq!(code_of(engine.cancel(&who, cancel("run", Some("i0"), CancelMode::Hold)).await), "cancel-shape");
    let answer = AnswerArgs { run_id: "run".to_owned(), text: Some("yes".to_owned()), ..AnswerArgs::default() };
    assert_eq!(code_of(engine.answer(&who, answer.clone()).await), "answer-shape");
    let asked = AnswerArgs { question_id: Some(1), ..answer };
    assert_eq!(code_of(engine.answer(&who, asked).await), "question-unknown");
    let dispatch = |subagent: &str| DispatchArgs {
        subagent: subagent.to_owned(),
        ..serde_json::from_value(json!({ "subagent": "x", "input": { "prompt": "do it" } })).unwrap()
    };
    assert_eq!(code_of(engine.dispatch(&who, dispatch("nobody")).await), "subagent-unknown");
    assert_eq!(code_of(try_submit(&engine, fan_out("run", 3)).await), "run-conflict");
    assert_eq!(home.memory.puts(), before, "nothing was kept");

    assert_eq!(engine.cancel(&who, cancel("run", None, CancelMode::Hold)).await.unwrap().state, "held");
    assert_eq!(home.memory.puts(), before + 1);
    assert_eq!(code_of(engine.cancel(&who, cancel("run", None, CancelMode::Hold)).await), "held-already");
    assert_eq!(engine.cancel(&who, cancel("run", None, CancelMode::Stop)).await.unwrap().state, "cancelled");
    assert_eq!(home.memory.puts(), before + 2);
    assert_eq!(engine.cancel(&who, cancel("run", None, CancelMode::Stop)).await.unwrap().state, "cancelled");
    assert_eq!(home.memory.puts(), before + 2, "what was over before was told, and not recorded");
    engine.dispatch(&who, dispatch("noop")).await.unwrap();
    assert_eq!(home.memory.puts(), before + 3);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_can() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 2)).await;
    let who = caller();
    let status = |run: Option<&str>, state: &str| StatusArgs {
        run_id: run.map(str::to_owned),
        state: Some(state.to_owned()),
        ..StatusArgs::default()
    };
    for (run, wrong, right) in [(None, "dnoe", "done"), (None, "opne", "open"), (Some("run"), "raedy", "ready")] {
        let problem = engine.status(&who, status(run, wrong)).await.unwrap_err().first();
        assert_eq!((problem.code.as_str(), problem.at.as_deref()), ("invalid-argument", Some("state")));
        assert!(problem.hint.unwrap().starts_with(&format!("did you mean {right}?")));
        engine.status(&who, status(run, right)).await.unwrap();
    }
    assert_eq!(engine.status(&who, status(Some("run"), "stopping")).await.unwrap().total, Some(0));

    let watch = |after: Option<String>| {
        let run_ids = Some(vec!["run".to_owned()]);
        WatchArgs { run_ids, after, wait_seconds: Some(0), ..WatchArgs::default() }
    };
    let newest = engine.watch(&who, watch(None), &|_| {}).await.unwrap().cursor;
    engine.watch(&who, watch(Some(newest.clone())), &|_| {}).await.unwrap();
    let beyond = (newest.parse::<u64>().unwrap() + 1).to_string();
    for wrong in [beyond.as_str(), "-1", "x"] {
        let problem = engine.watch(&who, watch(Some(wrong.to_owned())), &|_| {}).await.unwrap_err().first();
        assert_eq!((problem.code.as_str(), problem.at.as_deref()), ("cursor", Some("after")), "{wrong}");
    }

    let there = home.blobs.put(b"pinned").await.unwrap();
    let mut plan = fan_out("pinned", 2);
    plan["items"][1]["inputs"]["inputRefs"] = json!({ "spec.md": Digest::of(b"nowhere").to_string() });
    let problem = try_submit(&engine, plan.clone()).await.unwrap_err().first();
    assert_eq!(problem.code, "blob-missing");
    assert_eq!(problem.at.as_deref(), Some("/items/1/inputs/inputRefs/spec.md"));
    plan["items"][1]["inputs"]["inputRefs"] = json!({ "spec.md": there.to_string() });
    plan["budget"] = json!({ "usd": "0.00" });
    let problem = try_submit(&engine, plan.clone()).await.unwrap_err().first();
    assert_eq!((problem.code.as_str(), problem.at.as_deref()), ("plan-shape", Some("/budget/usd")));
    plan["budget"] = json!({ "usd": "0.01" });
    try_submit(&engine, plan).await.unwrap();
}

#[tokio::test]
async fn a_run_is_cancelled_without_room_for_the_reason() {
    let home = Home::new().await;
    let engine = home.open().await;
    for run in ["full", "roomy"] {
        submit(&engine, fan_out(run, 2)).await;
    }
    let cancel = |run: &str| CancelArgs {
        run_id: run.to_owned(),
        item_id: None,
        mode: None,
        drain: None,
        reason: "it fills the disk".to_owned(),
    };
    home.memory.fail_next(BlobError::NoRoom("test".to_owned()));
    let reply = engine.cancel(&caller(), cancel("full")).await.unwrap();
    assert_eq!(reply.state, "cancelled");
    assert!(reply.reason_not_kept.unwrap().starts_with("disk-full: "));
    let reply = engine.cancel(&caller(), cancel("roomy")).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.reason_not_kept), ("cancelled", None));
    let notes: Vec<bool> =
        bodies(home.path(), "cancel.requested").iter().map(|body| body.get("note").is_some()).collect();
    assert_eq!(notes, [false, true]);
}

/// P05: that an id is taken says nothing of whose run has it, and the run is as unknown as one that is not there.
#[tokio::test]
async fn an_id_that_is_taken_tells_nothing_of_anothers_run() {
    let home = Home::new().await;
    let engine = home.open().await;
    let bob = Caller { actor: Enc::encode("agent:bob"), ..caller() };
    submit(&engine, fan_out("ours", 1)).await;
    let try_as = async |who: &Caller, count| {
        let plan = fan_out("ours", count);
        engine.submit(who, SubmitArgs { plan: Some(plan), ..SubmitArgs::default() }).await
    };
    let mine = try_as(&caller(), 2).await.unwrap_err();
    for count in [1, 2] {
        let theirs = try_as(&bob, count).await.unwrap_err();
        assert_eq!((theirs.problems.len(), theirs.first()), (1, mine.first()));
        assert_eq!(theirs.first().code, "run-conflict");
    }
    let look = async |run: &str| {
        let args = StatusArgs { run_id: Some(run.to_owned()), ..StatusArgs::default() };
        engine.status(&bob, args).await.unwrap_err().first().message.replace(run, "")
    };
    assert_eq!(look("ours").await, look("nothing").await);
    // The same plan by who has it is the same run, and another id is anybody's.
    assert!(try_as(&caller(), 1).await.unwrap().deduplicated);
    let plan = fan_out("bobs", 1);
    assert!(engine.submit(&bob, SubmitArgs { plan: Some(plan), ..SubmitArgs::default() }).await.is_ok());
}

/// An empty answer is none: it could not be taken back.
#[tokio::test]
async fn an_answer_says_something() {
    let home = asking().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("asks", &[])])).await;
    let question = wait_question(&home, &engine).await;
    let answer = |text: &str| AnswerArgs {
        run_id: "run".to_owned(),
        item_id: Some("asks".to_owned()),
        question_id: Some(question),
        text: Some(text.to_owned()),
        ..AnswerArgs::default()
    };
    for text in ["", " \n\t"] {
        assert_eq!(code_of(engine.answer(&caller(), answer(text)).await), "answer-shape");
    }
    assert_eq!(engine.answer(&caller(), answer("x")).await.unwrap().state, "answered");
    wait_end(&engine, &["run"]).await;
    driver.stop().await;
}

/// Who does not name the question may repeat the call: it gives the first answer again, and never answers another question.
#[tokio::test]
async fn an_answer_to_the_open_question_is_given_once() {
    let home = asking().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("asks", &[])])).await;
    wait_question(&home, &engine).await;
    let answer = |text: &str, request: &str| AnswerArgs {
        run_id: "run".to_owned(),
        item_id: Some("asks".to_owned()),
        text: Some(text.to_owned()),
        request_id: Some(request.to_owned()),
        ..AnswerArgs::default()
    };
    let first = engine.answer_open(&caller(), answer("red", "r")).await.unwrap();
    assert_eq!((first.state.as_str(), first.deduplicated), ("answered", false));
    let again = engine.answer_open(&caller(), answer("red", "r")).await.unwrap();
    assert_eq!((again.state.as_str(), again.deduplicated), ("answered", true));
    assert_eq!(code_of(engine.answer_open(&caller(), answer("blue", "r")).await), "idempotency-conflict");
    wait_end(&engine, &["run"]).await;
    assert!(engine.answer_open(&caller(), answer("red", "r")).await.unwrap().deduplicated);
    assert_eq!(code_of(engine.answer_open(&caller(), answer("red", "s")).await), "question-missing");
    assert_eq!(bodies(home.path(), "question.answered").len(), 1);
    driver.stop().await;
}

#[tokio::test]
async fn a_request_is_answered_again_and_never_done_again() {
    let home = Home::new().await;
    let engine = home.open().await;
    let mut plan = fan_out("x", 2);
    plan.as_object_mut().unwrap().remove("id");
    let args = |plan: &Value, request: &str| SubmitArgs {
        plan: Some(plan.clone()),
        request_id: Some(request.to_owned()),
        ..SubmitArgs::default()
    };
    let first = engine.submit(&caller(), args(&plan, "one")).await.unwrap();
    let again = engine.submit(&caller(), args(&plan, "one")).await.unwrap();
    assert_eq!((&first.run_id, again.deduplicated), (&again.run_id, true));
    let other = engine.submit(&caller(), args(&plan, "two")).await.unwrap();
    assert_ne!(first.run_id, other.run_id, "another request is another run");
    assert_eq!(code_of(engine.submit(&caller(), args(&fan_out("y", 1), "one")).await), "idempotency-conflict");
    assert_eq!(code_of(engine.submit(&caller(), args(&plan, "")).await), "request-id");
    let who = caller();
    let (a, b) = tokio::join!(engine.submit(&who, args(&plan, "three")), engine.submit(&who, args(&plan, "three")));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.run_id, b.run_id, "at once, too");
    assert_ne!(a.deduplicated, b.deduplicated);
    assert_eq!(bodies(home.path(), "run.opened").len(), 3);
}
