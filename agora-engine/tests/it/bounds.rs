//! I08: the bounds of what callers say, at the boundary and one beyond.

use agora_core::decide::Verdict;
use agora_core::limits::{ANSWER_BYTES_MAX, REQUEST_ID_BYTES_MAX, SCHEDULES_MAX};
use agora_engine::operations::{AnswerArgs, ApproveArgs, SubmitArgs};
use serde_json::json;

use crate::approving::asked;
use crate::common::{Home, caller, code_of, fan_out, item, plan, submit, wait_end, within};
use crate::flow::{asking, wait_question};
use crate::schedules::try_add;

#[tokio::test]
async fn a_request_id_has_a_longest_length() {
    let home = Home::new().await;
    let engine = home.open().await;
    let submission = |run: &str, request: usize| SubmitArgs {
        plan: Some(fan_out(run, 1)),
        request_id: Some("r".repeat(request)),
        ..SubmitArgs::default()
    };
    assert_eq!(code_of(engine.submit(&caller(), submission("a", REQUEST_ID_BYTES_MAX + 1)).await), "request-id");
    assert_eq!(code_of(engine.submit(&caller(), submission("a", 0)).await), "request-id");
    assert_eq!(
        engine.submit(&caller(), submission("b", REQUEST_ID_BYTES_MAX)).await.unwrap().run_id.as_deref(),
        Some("b")
    );
}

#[tokio::test]
async fn an_answer_has_a_longest_length() {
    let home = asking().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("asks", &[])])).await;
    let question = wait_question(&home, &engine).await;
    let answer = |length: usize| AnswerArgs {
        run_id: "run".to_owned(),
        question_id: Some(question),
        text: Some("x".repeat(length)),
        ..AnswerArgs::default()
    };
    assert_eq!(code_of(engine.answer(&caller(), answer(ANSWER_BYTES_MAX + 1)).await), "answer-shape");
    engine.answer(&caller(), answer(ANSWER_BYTES_MAX)).await.unwrap();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    driver.stop().await;
}

/// Schedules that are there already are put in place as the store keeps them: adding a thousand one by one takes long.
#[tokio::test]
async fn a_home_has_a_largest_number_of_schedules() {
    let home = Home::new().await;
    let engine = home.open().await;
    let plan = json!({ "items": [item("a", &[])] });
    let add = async |name: &str| try_add(&engine, name, "0 2 * * *", &plan, false).await;
    add("first").await.unwrap();
    let store = rusqlite::Connection::open(home.path().join("store.db")).unwrap();
    let copy = "INSERT INTO schedules (name, cron, zone, plan, place, added_by, added_at, decided)
                SELECT 'copy-' || ?1, cron, zone, plan, place, added_by, added_at, decided FROM schedules LIMIT 1";
    for at in 2..SCHEDULES_MAX {
        store.execute(copy, [at.to_string()]).unwrap();
    }
    add("last").await.unwrap();
    assert_eq!(code_of(add("one-more").await), "limit-exceeded");
}

#[tokio::test]
async fn a_note_has_a_longest_length() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let gate = json!({ "id": "ok", "executor": "approval", "inputs": { "question": "ship it?" } });
    submit(&engine, plan("run", vec![gate])).await;
    let _row = asked(&engine).await;
    let approve = |length: usize| ApproveArgs {
        run_id: "run".to_owned(),
        item_id: "ok".to_owned(),
        verdict: Verdict::Approved,
        note: Some("x".repeat(length)),
        request_id: None,
    };
    assert_eq!(code_of(within(engine.approve(&caller(), approve(ANSWER_BYTES_MAX + 1))).await), "answer-shape");
    within(engine.approve(&caller(), approve(ANSWER_BYTES_MAX))).await.unwrap();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    driver.stop().await;
}
