//! Approvals: what depends on one waits for a person, and for nobody else.

use agora_core::decide::Verdict;
use agora_core::id::Enc;
use agora_core::record::CancelVia;
use agora_engine::Engine;
use agora_engine::operations::{
    AnswerArgs, AnswerReply, ApproveArgs, Caller, ExtendArg, InboxRow, OpError, StatusArgs, SubmitArgs, View,
};
use serde_json::{Value, json};

use crate::common::{Home, caller, check, code_of, item, plan, states, submit, wait_end, within};
use crate::evidence::entries;

fn approval(id: &str, deps: &[&str]) -> Value {
    json!({ "id": id, "executor": "approval", "depends_on": deps, "inputs": { "question": "ship it?" } })
}

fn decision(run: &str, item: &str, verdict: Verdict) -> ApproveArgs {
    let (note, request_id) = (Some("seen".to_owned()), None);
    ApproveArgs { run_id: run.to_owned(), item_id: item.to_owned(), verdict, note, request_id }
}

async fn decide(engine: &Engine, args: ApproveArgs) -> Result<AnswerReply, OpError> {
    within(engine.approve(&caller(), args)).await
}

/// The first thing that needs somebody, once there is one.
pub(crate) async fn asked(engine: &Engine) -> InboxRow {
    within(async {
        loop {
            let args = StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() };
            if let Some(row) = engine.status(&caller(), args).await.unwrap().inbox.into_iter().next() {
                return row;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn what_depends_on_an_approval_runs_once_a_person_approved() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("a", &[]), approval("ok", &["a"]), item("b", &["ok"])])).await;
    let row = asked(&engine).await;
    assert_eq!((row.kind.as_str(), row.item_id.as_deref()), ("approval", Some("ok")));
    assert!(row.question.unwrap().text.contains("ship it?") && row.next.contains("agora-admin approve run ok"));
    assert_eq!(states(&engine, "run").await, ["a: done", "ok: waiting", "b: pending"]);
    let first = ApproveArgs { request_id: Some("r".to_owned()), ..decision("run", "ok", Verdict::Approved) };
    let reply = decide(&engine, first.clone()).await.unwrap();
    assert_eq!((reply.state.as_str(), reply.deduplicated), ("approved", false));
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert!(decide(&engine, first.clone()).await.unwrap().deduplicated, "the same again");
    let other = ApproveArgs { verdict: Verdict::Rejected, ..first };
    assert_eq!(code_of(decide(&engine, other).await), "idempotency-conflict");
    driver.stop().await;
    check(&engine, &["run"]).await;
    let said = entries(home.path()).into_iter().map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    let answered = said.into_iter().find(|entry| entry["type"] == "question.answered").unwrap();
    assert_eq!((&answered["body"]["decision"], &answered["actor"]), (&json!("approved"), &json!("human:ada")));
}

#[tokio::test]
async fn what_depends_on_a_rejected_approval_never_runs() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![approval("ok", &[]), item("b", &["ok"])])).await;
    let _row = asked(&engine).await;
    assert_eq!(decide(&engine, decision("run", "ok", Verdict::Rejected)).await.unwrap().state, "rejected");
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "failed");
    assert_eq!(states(&engine, "run").await, ["ok: failed", "b: skipped"]);
    driver.stop().await;
    check(&engine, &["run"]).await;
}

#[tokio::test]
async fn no_agent_approves_and_no_words_do() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![approval("ok", &[])])).await;
    let row = asked(&engine).await;
    let yes = || decision("run", "ok", Verdict::Approved);
    let agent = Caller { actor: Enc::encode("agent:a"), via: CancelVia::Mcp, all_runs: true, ..caller() };
    let over_a_tool = Caller { via: CancelVia::Mcp, ..caller() };
    for not_a_person in [agent, over_a_tool] {
        assert_eq!(code_of(within(engine.approve(&not_a_person, yes())).await), "approval-for-people");
    }
    let words = AnswerArgs {
        run_id: "run".to_owned(),
        item_id: Some("ok".to_owned()),
        question_id: row.question_id.map(|id| u32::try_from(id).unwrap()),
        text: Some("approved".to_owned()),
        ..AnswerArgs::default()
    };
    assert_eq!(code_of(within(engine.answer(&caller(), words)).await), "approval-wanted");
    assert_eq!(states(&engine, "run").await, ["ok: waiting"]);
    for (run, item, code) in [("run", "ok?", "id-syntax"), ("run", "no", "item-unknown"), ("none", "ok", "run-unknown")]
    {
        assert_eq!(code_of(decide(&engine, decision(run, item, Verdict::Approved)).await), code);
    }
    decide(&engine, yes()).await.unwrap();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done", "the twin");
    assert_eq!(code_of(decide(&engine, yes()).await), "run-over");
    driver.stop().await;
}

/// An approval waits as long as it must: across the end of the process that asked, and in what a run grows by.
#[tokio::test]
async fn an_approval_outlives_the_driver_that_asked() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let mut first = plan("run", vec![approval("ok", &[])]);
    first["openEnded"] = json!(true);
    submit(&engine, first).await;
    let _row = asked(&engine).await;
    driver.stop().await;
    drop(engine);
    let engine = home.open().await;
    let more = vec![approval("sure", &["ok"]), item("b", &["sure"])];
    let extend = Some(ExtendArg { run_id: "run".to_owned(), items: Some(more) });
    within(engine.submit(&caller(), SubmitArgs { extend, close: Some(true), ..SubmitArgs::default() })).await.unwrap();
    decide(&engine, decision("run", "ok", Verdict::Approved)).await.unwrap();
    assert_eq!(states(&engine, "run").await, ["ok: done", "sure: ready", "b: pending"], "nobody drives, nobody asks");
    let driver = engine.drive();
    assert_eq!(asked(&engine).await.item_id.as_deref(), Some("sure"));
    decide(&engine, decision("run", "sure", Verdict::Approved)).await.unwrap();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    driver.stop().await;
    check(&engine, &["run"]).await;
}
