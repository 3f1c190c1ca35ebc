//! Races and corners around the ends of runs, items and attempts: who owes a seal, when an answer is read, what a question
//! leaves for the next attempt, who stopped a worker, and what an answer without a question is.

use std::path::Path;
use std::sync::{Arc, Mutex};

use agora_core::canon;
use agora_core::id::{Digest, ItemId};
use agora_core::seam::{BlobError, BlobStore};
use agora_core::worker::{Outcome, Question, Resume, Status, Task};
use agora_engine::Engine;
use agora_engine::operations::{AnswerArgs, CancelArgs, CancelMode, ResultArgs, StatusArgs, View};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::{Home, caller, check, code_of, fan_out, item, items, plan, states, submit, wait_end, within};
use crate::evidence::bodies;

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

fn cancel(run: &str, mode: CancelMode) -> CancelArgs {
    CancelArgs { run_id: run.to_owned(), item_id: None, mode: Some(mode), drain: None, reason: "test".to_owned() }
}

fn asks(task: &Task, partial_state: Option<Value>) -> Outcome {
    let question = Question { question: "go on?".to_owned(), options: Vec::new(), context: None, partial_state };
    Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
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

/// Answers the open question of the item at this place, in words.
async fn answer(engine: &Engine, run: &str, at: usize, text: &str) {
    let row = items(engine, run).await.items.remove(at);
    let args = AnswerArgs {
        run_id: run.to_owned(),
        item_id: Some(row.item_id),
        question_id: Some(u32::try_from(row.question_id.unwrap()).unwrap()),
        text: Some(text.to_owned()),
        ..AnswerArgs::default()
    };
    assert_eq!(within(engine.answer(&caller(), args)).await.unwrap().state, "answered");
}

/// Whatever the driver knew of before this is decided when it returns.
async fn barrier(engine: &Engine, name: &str) {
    let run = submit(engine, fan_out(name, 1)).await;
    assert_eq!(wait_end(engine, &[&run]).await[0].state, "done");
}

/// Readers of a run that is over let it go from memory; the driver of the same process still owes its seal.
#[tokio::test]
async fn a_run_that_a_cancel_completes_among_many_readers_is_sealed() {
    const READERS: usize = 12;
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    for round in 0..6 {
        let (run, first, second) = (format!("run-{round}"), format!("first-{round}"), format!("second-{round}"));
        // Held after its first item: nothing of it runs, so that the cancel itself completes it.
        home.compute.hold(&id(&first));
        submit(&engine, plan(&run, vec![item(&first, &[]), item(&second, &[&first])])).await;
        within(home.compute.wait_started(&id(&first))).await;
        within(engine.cancel(&caller(), cancel(&run, CancelMode::Hold))).await.unwrap();
        home.compute.release(&id(&first));
        wait_entries(&home, "item.done", round + 1).await;
        assert_eq!(states(&engine, &run).await, [format!("{first}: done"), format!("{second}: ready")]);

        let mut calls = JoinSet::new();
        let (canceller, args) = (Arc::clone(&engine), cancel(&run, CancelMode::Stop));
        calls.spawn(async move { assert_eq!(canceller.cancel(&caller(), args).await.unwrap().state, "cancelled") });
        for reader in 0..READERS {
            let (engine, run, first) = (Arc::clone(&engine), run.clone(), first.clone());
            calls.spawn(async move {
                if reader % 2 == 0 {
                    let args = ResultArgs { run_id: run, item_id: Some(first), ..ResultArgs::default() };
                    assert_eq!(engine.result(&caller(), args).await.unwrap().state, "done");
                } else {
                    let args = StatusArgs { view: Some(View::Run), run_id: Some(run), ..StatusArgs::default() };
                    assert_eq!(engine.status(&caller(), args).await.unwrap().items.len(), 2);
                }
            });
        }
        within(calls.join_all()).await;
        let rows = wait_end(&engine, &[&run]).await;
        assert_eq!((rows[0].state.as_str(), rows[0].sealed), ("cancelled", true), "{run}");
        check(&engine, &[&run]).await;
    }
    within(driver.idle()).await;
    driver.stop().await;
}

/// Blobs of which one is not handed out until the gate is open.
struct Gated {
    blobs: Arc<dyn BlobStore>,
    held: Digest,
    gate: watch::Sender<Gate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Closed,
    /// Closed, and somebody waits for the blob.
    Wanted,
    Open,
}

#[async_trait]
impl BlobStore for Gated {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        self.blobs.put(bytes).await
    }
    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        self.blobs.put_file(from).await
    }
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        if *digest == self.held {
            self.gate.send_if_modified(|gate| {
                let first = *gate == Gate::Closed;
                if first {
                    *gate = Gate::Wanted;
                }
                first
            });
            self.gate.subscribe().wait_for(|gate| *gate == Gate::Open).await.unwrap();
        }
        self.blobs.get(digest).await
    }
    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        self.blobs.export(digest, to).await
    }
    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.blobs.has(digest).await
    }
}

/// The driver reads the first answer when the others come: what it then has is not yet what the others need.
#[tokio::test]
async fn answers_that_come_while_another_is_read_are_read_too() {
    const ITEMS: usize = 8;
    let mut home = Home::with(FakeCompute::new(|task: &Task, _| match &task.resume {
        None if task.attempt.run.as_str() == "run" => asks(task, None),
        _ => outcome_of(task, Status::Done),
    }))
    .await;
    let (gate, _) = watch::channel(Gate::Closed);
    let blobs = Gated { blobs: Arc::clone(&home.blobs), held: Digest::of(b"answer 0"), gate: gate.clone() };
    home.blobs = Arc::new(blobs);
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", ITEMS)).await;
    wait_entries(&home, "item.waiting", ITEMS).await;
    answer(&engine, "run", 0, "answer 0").await;
    within(gate.subscribe().wait_for(|gate| *gate == Gate::Wanted)).await.unwrap();
    let mut calls = JoinSet::new();
    for at in 1..ITEMS {
        let engine = Arc::clone(&engine);
        calls.spawn(async move { answer(&engine, "run", at, &format!("answer {at}")).await });
    }
    within(calls.join_all()).await;
    barrier(&engine, "barrier").await;
    gate.send_replace(Gate::Open);
    wait_end(&engine, &["run"]).await;
    for row in items(&engine, "run").await.items {
        assert_eq!((row.state.as_str(), row.failure, row.attempts), ("done", None, 2), "{}", row.item_id);
    }
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// The same without anything held up: all are answered at once.
#[tokio::test]
async fn eight_questions_that_are_answered_at_once_end_done() {
    const ITEMS: usize = 8;
    let home = Home::with(FakeCompute::new(|task: &Task, _| match &task.resume {
        None => asks(task, None),
        Some(_) => outcome_of(task, Status::Done),
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", ITEMS)).await;
    wait_entries(&home, "item.waiting", ITEMS).await;
    let mut calls = JoinSet::new();
    for at in 0..ITEMS {
        let engine = Arc::clone(&engine);
        calls.spawn(async move { answer(&engine, "run", at, &format!("answer {at}")).await });
    }
    within(calls.join_all()).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let failures: Vec<_> = items(&engine, "run").await.items.into_iter().filter_map(|row| row.failure).collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(bodies(home.path(), "item.done").len(), ITEMS);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// What an attempt that goes on was told: where it goes on, and the bytes of that in its `in/`.
type Told = (String, Resume, Option<Vec<u8>>, Vec<u8>);

#[tokio::test]
async fn the_partial_state_of_a_question_reaches_the_next_attempt() {
    let state = json!({ "step": 3, "seen": ["a", "b"] });
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let (kept, left) = (Arc::clone(&told), state.clone());
    let home = Home::with(FakeCompute::new(move |task: &Task, folder: &Path| match &task.resume {
        None => asks(task, (task.attempt.item.as_str() == "keeps").then(|| left.clone())),
        Some(resume) => {
            let read = |digest: &Digest| std::fs::read(folder.join("in").join(digest.hex())).unwrap();
            let name = task.attempt.item.to_string();
            let listed = |digest: &Digest| task.blobs.iter().any(|blob| blob.digest == *digest);
            assert!(listed(&resume.answer) && resume.partial_state.as_ref().is_none_or(listed));
            let state = resume.partial_state.as_ref().map(read);
            kept.lock().unwrap().push((name, resume.clone(), state, read(&resume.answer)));
            outcome_of(task, Status::Done)
        }
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, plan("run", vec![item("keeps", &[]), item("plain", &[])])).await;
    wait_entries(&home, "item.waiting", 2).await;
    answer(&engine, "run", 0, "yes").await;
    answer(&engine, "run", 1, "no").await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    let mut told = told.lock().unwrap().clone();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let bytes = canon::to_bytes(&state).unwrap();
    let resume = |answer: &[u8], state: Option<&[u8]>| Resume {
        draft: None,
        answer: Digest::of(answer),
        partial_state: state.map(Digest::of),
    };
    let keeps = ("keeps".to_owned(), resume(b"yes", Some(&bytes)), Some(bytes.clone()), b"yes".to_vec());
    let plain = ("plain".to_owned(), resume(b"no", None), None, b"no".to_vec());
    assert_eq!(told, [keeps, plain]);
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// A worker that says it was cancelled where nobody cancelled it was stopped by something else: it is lost.
#[tokio::test]
async fn an_attempt_that_is_cancelled_by_nobody_is_lost_and_tried_again() {
    let home = Home::with(FakeCompute::new(|task: &Task, _| {
        let ends = task.attempt.item.as_str() == "always" || task.attempt.attempt == 1;
        outcome_of(task, if ends { Status::Cancelled } else { Status::Done })
    }))
    .await;
    let engine = home.open().await;
    let driver = engine.drive();
    let twice = |name: &str| {
        let mut item = item(name, &[]);
        item["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 0 });
        item
    };
    submit(&engine, plan("once", vec![twice("once")])).await;
    wait_end(&engine, &["once"]).await;
    assert_eq!(states(&engine, "once").await, ["once: done"]);
    let ends = |body: &Value| (body["outcome"].clone(), body["reason"].clone());
    let ended: Vec<_> = bodies(home.path(), "attempt.finished").iter().map(ends).collect();
    assert_eq!(ended, [(json!("lost"), json!("worker-lost")), (json!("done"), Value::Null)]);
    let retried: Vec<_> = bodies(home.path(), "item.retried").iter().map(|body| body["reason"].clone()).collect();
    assert_eq!(retried, ["worker-lost"]);

    submit(&engine, plan("always", vec![twice("always")])).await;
    assert_eq!(wait_end(&engine, &["always"]).await[0].state, "failed");
    let row = items(&engine, "always").await.items.remove(0);
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 2));
    assert_eq!(row.failure.as_deref(), Some("lost: worker-lost"));
    check(&engine, &["once", "always"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn an_attempt_whose_cancel_was_asked_for_ends_as_cancelled() {
    let home = Home::new().await;
    home.compute.hold(&id("a"));
    let engine = home.open().await;
    let driver = engine.drive();
    let mut held = item("a", &[]);
    held["retry"] = json!({ "max_attempts": 3, "backoff_seconds": 0 });
    submit(&engine, plan("run", vec![held])).await;
    within(home.compute.wait_started(&id("a"))).await;
    // The journal knows of its box, so that its worker is the one that is asked to end.
    wait_entries(&home, "attempt.started", 1).await;
    within(engine.cancel(&caller(), cancel("run", CancelMode::Stop))).await.unwrap();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "cancelled");
    assert_eq!(states(&engine, "run").await, ["a: cancelled"]);
    let ended = bodies(home.path(), "attempt.finished");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((&ended[0]["outcome"], &ended[0]["reason"]), (&json!("cancelled"), &json!("caller")));
    assert!(ended[0]["report"].is_string(), "it is the worker's own outcome: {}", ended[0]);
    assert!(bodies(home.path(), "item.retried").is_empty());
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// An answer that names no question releases a hold; one that says something was meant for a question.
#[tokio::test]
async fn an_answer_without_its_question_releases_no_hold() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 2)).await;
    within(engine.cancel(&caller(), cancel("run", CancelMode::Hold))).await.unwrap();
    let driver = engine.drive();
    let release = AnswerArgs { run_id: "run".to_owned(), ..AnswerArgs::default() };
    for wrong in [
        AnswerArgs { text: Some("yes".to_owned()), ..release.clone() },
        AnswerArgs { choice: Some(1), ..release.clone() },
        AnswerArgs { item_id: Some("i0".to_owned()), ..release.clone() },
        AnswerArgs { item_id: Some("i0".to_owned()), text: Some("yes".to_owned()), ..release.clone() },
    ] {
        assert_eq!(code_of(within(engine.answer(&caller(), wrong)).await), "answer-shape");
    }
    barrier(&engine, "barrier").await;
    assert_eq!(home.compute.started(), 1, "the barrier's alone");
    assert!(items(&engine, "run").await.run.unwrap().held);
    assert!(bodies(home.path(), "hold.released").is_empty());

    assert_eq!(within(engine.answer(&caller(), release)).await.unwrap().state, "released");
    let row = wait_end(&engine, &["run"]).await.remove(0);
    assert_eq!((row.state.as_str(), row.held), ("done", false));
    assert_eq!(bodies(home.path(), "hold.released").len(), 1);
    check(&engine, &["run", "barrier"]).await;
    driver.stop().await;
}
