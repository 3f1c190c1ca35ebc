//! Open-ended runs: what is added to them, by whom, what is refused, and what of it outlives a crash.

use agora_core::id::ItemId;
use agora_core::worker::{Outcome, Status, Task};
use agora_engine::Engine;
use agora_engine::operations::{
    CancelArgs, CheckStatus, ExtendArg, OpError, StatusArgs, SubmitArgs, SubmitReply, View,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{Home, caller, check, code_of, item, plan, states, submit, try_submit, wait_end, within};
use crate::evidence::{bodies, entries};

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

fn open_ended(id: &str, items: Vec<Value>) -> Value {
    let mut plan = plan(id, items);
    plan["openEnded"] = json!(true);
    plan
}

fn more(run: &str, items: Vec<Value>, close: bool) -> SubmitArgs {
    let items = (!items.is_empty()).then_some(items);
    let extend = Some(ExtendArg { run_id: run.to_owned(), items });
    SubmitArgs { extend, close: close.then_some(true), ..SubmitArgs::default() }
}

async fn extend(engine: &Engine, args: SubmitArgs) -> Result<SubmitReply, OpError> {
    within(engine.submit(&caller(), args)).await
}

/// Fails every attempt at this item.
fn failing(which: &'static str) -> FakeCompute {
    FakeCompute::new(move |task: &Task, _| -> Outcome {
        let fails = task.attempt.item.as_str() == which;
        outcome_of(task, if fails { Status::Failed } else { Status::Done })
    })
}

async fn settled(engine: &Engine, run: &str, wanted: &[&str]) {
    within(async {
        while states(engine, run).await != wanted {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_grows_by_what_depends_on_what_it_has_and_ends_once_it_is_closed() {
    let home = Home::with(failing("bad")).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let mut bad = item("bad", &[]);
    bad["retry"] = json!({ "max_attempts": 1 });
    submit(&engine, open_ended("run", vec![item("a", &[]), bad])).await;
    settled(&engine, "run", &["a: done", "bad: failed"]).await;
    let items = vec![item("c", &["b", "a"]), item("b", &["a"]), item("d", &["bad"]), item("a", &[])];
    let reply = extend(&engine, more("run", items, false)).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.items, reply.added, reply.layers), ("open", 5, Some(3), 2));
    settled(&engine, "run", &["a: done", "bad: failed", "b: done", "c: done", "d: skipped"]).await;
    let status = StatusArgs { view: Some(View::Diagnose), run_id: Some("run".into()), ..StatusArgs::default() };
    let why = engine.status(&caller(), status).await.unwrap().diagnosis.unwrap();
    assert_eq!(why.likely_issue, "open-ended");
    assert_eq!(why.next, r#"submit {"close":true,"extend":{"run_id":"run"}}"#);
    let reply = extend(&engine, more("run", vec![item("e", &["c"])], true)).await.unwrap();
    assert_eq!((reply.items, reply.added, reply.closed), (6, Some(1), true));
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    let causes: Vec<Value> = bodies(home.path(), "items.added").iter().map(|body| body["cause"].clone()).collect();
    assert_eq!(causes, ["plan", "extend", "extend"]);
    let who = entries(home.path()).into_iter().filter_map(|bytes| {
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        (entry["body"]["cause"] == "extend").then(|| (entry["actor"].clone(), entry["auth"]["how"].clone()))
    });
    for (actor, how) in who {
        assert_eq!((actor, how.is_string()), (json!(caller().actor), true));
    }
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// C13.
#[tokio::test]
async fn what_is_closed_over_or_was_never_open_ended_takes_nothing() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    submit(&engine, plan("fixed", vec![item("a", &[])])).await;
    let b = || vec![item("b", &["a"])];
    assert_eq!(code_of(extend(&engine, more("fixed", b(), false)).await), "run-not-open-ended");
    assert!(extend(&engine, more("run", b(), true)).await.is_ok());
    let records = entries(home.path()).len();
    assert_eq!(code_of(extend(&engine, more("run", vec![item("c", &[])], false)).await), "run-closed");
    assert!(extend(&engine, more("run", Vec::new(), true)).await.is_ok(), "closing twice says the same");
    let driver = engine.drive();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let added = bodies(home.path(), "items.added").len();
    for args in [more("run", b(), false), more("run", Vec::new(), true)] {
        assert_eq!(code_of(extend(&engine, args).await), "run-over");
    }
    assert_eq!(bodies(home.path(), "items.added").len(), added);
    assert!(entries(home.path()).len() > records);
    assert_eq!(bodies(home.path(), "run.closed").len(), 1);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn an_extension_is_checked_whole_and_nothing_of_a_bad_one_is_stored() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    let before = entries(home.path()).len();
    let mut other = item("a", &[]);
    other["priority"] = json!(1);
    let mut unknown = item("b", &[]);
    unknown["inputs"]["subagent"] = json!("nobody");
    let error = extend(&engine, more("run", vec![other, unknown, item("c", &["nothing"])], true)).await.unwrap_err();
    let found: Vec<_> = error.problems.iter().map(|p| (p.code.as_str(), p.at.as_deref().unwrap_or(""))).collect();
    let wanted = [
        ("item-conflict", "/items/0/id"),
        ("subagent-unknown", "/items/1/inputs/subagent"),
        ("dep-unknown", "/items/2/depends_on/0"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(code_of(extend(&engine, more("run", Vec::new(), false)).await), "submit-shape");
    let both = SubmitArgs { plan: Some(plan("x", vec![item("a", &[])])), ..more("run", Vec::new(), true) };
    assert_eq!(code_of(extend(&engine, both).await), "submit-shape");
    let dry = SubmitArgs { dry_run: Some(true), ..more("run", vec![item("b", &["a"])], true) };
    let reply = extend(&engine, dry).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.added, reply.dry_run.is_some()), ("valid", Some(1), true));
    assert_eq!(entries(home.path()).len(), before);
}

/// P05: another actor cannot tell the run from one that is not there; its own actor can extend it.
#[tokio::test]
async fn only_who_may_act_on_a_run_extends_it() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    let mut bob = caller();
    bob.actor = agora_core::id::Actor::new("agent:bob").unwrap();
    let b = || vec![item("b", &[])];
    assert_eq!(code_of(engine.submit(&bob, more("run", b(), false)).await), "run-unknown");
    assert_eq!(code_of(engine.submit(&bob, more("none", b(), false)).await), "run-unknown");
    assert!(engine.submit(&caller(), more("run", b(), false)).await.is_ok());
}

#[tokio::test]
async fn a_request_extends_once() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    let args = |id: &str| SubmitArgs { request_id: Some("one".into()), ..more("run", vec![item(id, &[])], true) };
    let first = extend(&engine, args("b")).await.unwrap();
    let again = extend(&engine, args("b")).await.unwrap();
    assert_eq!((first.deduplicated, again.deduplicated, again.added), (false, true, Some(1)));
    assert_eq!(code_of(extend(&engine, args("c")).await), "idempotency-conflict");
    assert_eq!(bodies(home.path(), "items.added").len(), 2);
}

/// Another process extends while this one drives; then the driver dies, and the next one runs nothing twice.
#[tokio::test]
async fn a_run_that_grew_goes_on_after_a_crash_and_runs_nothing_twice() {
    let home = Home::new().await;
    home.compute.hold(&id("c"));
    let first = home.open().await;
    let driver = first.drive();
    submit(&first, open_ended("run", vec![item("a", &[])])).await;
    let client = home.open().await;
    let mut b = item("b", &["a"]);
    b["priority"] = json!(7);
    extend(&client, more("run", vec![b, item("c", &["b"])], false)).await.unwrap();
    within(home.compute.wait_started(&id("c"))).await;
    driver.stop().await;
    drop((first, client));

    let second = home.open().await;
    extend(&second, more("run", vec![item("d", &["c"]), item("c", &["b"])], true)).await.unwrap();
    let driver = second.drive();
    home.compute.release(&id("c"));
    assert_eq!(wait_end(&second, &["run"]).await[0].state, "done");
    assert_eq!(home.compute.started(), 4, "each item ran once");
    assert_eq!(bodies(home.path(), "attempt.leased").len(), 4);
    check(&second, &["run"]).await;
    driver.stop().await;
}

/// All that was added is over at once and the run is closed; it ends all the same, in a later step.
#[tokio::test]
async fn a_run_that_grew_by_nothing_but_skipped_items_ends() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    let cancel =
        CancelArgs { run_id: "run".into(), item_id: Some("a".into()), mode: None, drain: None, reason: "no".into() };
    engine.cancel(&caller(), cancel).await.unwrap();
    let reply = extend(&engine, more("run", vec![item("b", &["a"])], true)).await.unwrap();
    assert_eq!(reply.state, "open");
    let driver = engine.drive();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn an_open_ended_run_that_is_cancelled_ends() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    submit(&engine, open_ended("empty", Vec::new())).await;
    for run in ["run", "empty"] {
        let cancel = CancelArgs { run_id: run.into(), item_id: None, mode: None, drain: None, reason: "enough".into() };
        engine.cancel(&caller(), cancel).await.unwrap();
    }
    let driver = engine.drive();
    assert_eq!(wait_end(&engine, &["run", "empty"]).await.len(), 2);
    check(&engine, &["run", "empty"]).await;
    driver.stop().await;
}

/// The items stand beside the journal: what was changed there is found, and never run.
#[tokio::test]
async fn added_items_that_were_changed_are_found_and_not_run() {
    for (what, statement) in [
        ("are not those", "UPDATE growth SET bytes = CAST(replace(CAST(bytes AS TEXT), 'do it', 'do more') AS BLOB)"),
        ("are gone", "DELETE FROM growth"),
        ("adds none", "INSERT INTO growth (run, seq, bytes) SELECT run, 1, bytes FROM growth"),
    ] {
        let home = Home::new().await;
        let engine = home.open().await;
        submit(&engine, open_ended("run", vec![item("a", &[])])).await;
        extend(&engine, more("run", vec![item("b", &[])], true)).await.unwrap();
        check(&engine, &[]).await;
        drop(engine);
        Connection::open(home.path().join("store.db")).unwrap().execute_batch(statement).unwrap();
        let engine = home.open().await;
        let rows = engine.check_store(false).await.unwrap();
        let bad: Vec<_> = rows.iter().filter(|row| row.status != CheckStatus::Ok).collect();
        assert!(
            matches!(&bad[..], [one] if one.code == "run-projection" && one.detail.contains(what)),
            "{what}: {bad:?}"
        );
        let status = StatusArgs { run_id: Some("run".into()), ..StatusArgs::default() };
        let refused = engine.status(&caller(), status).await.err().map(|error| error.first().code);
        assert_eq!(refused.as_deref(), (what != "adds none").then_some("store-damaged"), "{what}");
    }
}

/// The registry moved on: a run keeps the version that it is bound to.
#[tokio::test]
async fn an_extension_is_bound_to_the_version_of_its_run() {
    let mut home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, open_ended("run", vec![item("a", &[])])).await;
    let old = bodies(home.path(), "items.added")[0]["resolved"].clone();
    let template = crate::common::blobs_text(&home.blobs, "another {{ prompt }}").await;
    home.registry.put("subagent", "noop", crate::common::subagent(&template)).await;
    home.registry.publish().await;
    let reply = extend(&engine, more("run", vec![item("b", &["a"])], true)).await.unwrap();
    assert_eq!(reply.registry_version, 1);
    assert_eq!(try_submit(&engine, plan("new", vec![item("a", &[])])).await.unwrap().registry_version, 2);
    let resolved: Vec<Value> = bodies(home.path(), "items.added").iter().map(|body| body["resolved"].clone()).collect();
    assert_eq!((&resolved[1], resolved[2] == old), (&old, false));
}
