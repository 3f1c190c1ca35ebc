//! What replies name next can be sent as it stands, and every address they hand out can be read.

use std::path::Path;

use agora_core::id::Digest;
use agora_core::worker::{Outcome, OutputReport, Question, Status, Task};
use agora_engine::Engine;
use agora_engine::operations::{
    Address, AnswerArgs, AuditArgs, CancelArgs, CancelMode, DispatchArgs, DispatchReply, OpError, Part, ResultArgs,
    StatusArgs, StatusReply, Until, View, WatchArgs, WatchReply,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::{Home, caller, fan_out, item, plan, submit, wait_end, within};

/// Sends what a reply names next, as it stands, and returns what the operation says: its reply, or the code of its error.
async fn send(engine: &Engine, next: &str) -> Result<Value, String> {
    fn args<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
    }
    fn said<T: serde::Serialize>(reply: Result<T, OpError>) -> Result<Value, String> {
        reply.map(|reply| serde_json::to_value(reply).unwrap()).map_err(|error| error.first().code)
    }
    let (tool, rest) = next.split_once(' ').unwrap();
    let given: Value = serde_json::Deserializer::from_str(rest).into_iter().next().unwrap().unwrap();
    let caller = caller();
    match tool {
        "status" => said(engine.status(&caller, args(given)).await),
        "result" => said(engine.result(&caller, args(given)).await),
        "audit" => said(engine.audit(&caller, args(given)).await),
        "answer" => said(engine.answer(&caller, args(given)).await),
        // Whether it is taken, not what it waits for.
        "watch" => said(engine.watch(&caller, WatchArgs { wait_seconds: Some(0), ..args(given) }, &|_| {}).await),
        other => panic!("{other} is no tool that is named next: {next}"),
    }
}

/// An item does what its id says.
fn worker(task: &Task, folder: &Path) -> Outcome {
    let done = outcome_of(task, Status::Done);
    match task.attempt.item.as_str() {
        "fails" => outcome_of(task, Status::Failed),
        "asks" if task.attempt.attempt == 1 => {
            let question = "which?".to_owned();
            let question = Question { question, options: Vec::new(), context: None, partial_state: None };
            Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
        }
        "prints" => {
            let bytes = [b'x'; 50];
            std::fs::write(folder.join("out/outputs.pack"), bytes).unwrap();
            let output = OutputReport { path: "a b".to_owned(), digest: Digest::of(&bytes), size_bytes: 50 };
            Outcome { outputs: vec![output], ..done }
        }
        _ => done,
    }
}

async fn watch(engine: &Engine, args: WatchArgs) -> WatchReply {
    within(engine.watch(&caller(), args, &|_| {})).await.unwrap()
}

fn watching(run: &str, until: Until) -> WatchArgs {
    let (run_ids, wait_seconds) = (Some(vec![run.to_owned()]), Some(110));
    WatchArgs { run_ids, until: Some(until), wait_seconds, ..WatchArgs::default() }
}

fn named(view: View, run: &str) -> StatusArgs {
    StatusArgs { view: Some(view), run_id: Some(run.to_owned()), ..StatusArgs::default() }
}

async fn diagnosed(engine: &Engine, run: &str) -> (String, String) {
    let reply: StatusReply = engine.status(&caller(), named(View::Diagnose, run)).await.unwrap();
    let found = reply.diagnosis.unwrap();
    (found.likely_issue, found.next)
}

fn of_item(item: &str, part: Part) -> ResultArgs {
    let item_id = Some(item.to_owned());
    ResultArgs { run_id: "run".to_owned(), item_id, part: Some(part), ..ResultArgs::default() }
}

#[tokio::test]
async fn what_comes_next_is_a_call_that_is_taken() {
    let home = Home::with(FakeCompute::new(worker)).await;
    let engine = home.open().await;
    // Nobody drives yet, and there is no run.
    let none = watch(&engine, WatchArgs { wait_seconds: Some(0), ..WatchArgs::default() }).await;
    assert_eq!(send(&engine, &none.next).await.unwrap()["view"], "runs");
    let items = ["fails", "asks", "prints"].map(|id| {
        let mut item = item(id, &[]);
        item["retry"] = json!({ "max_attempts": 1 });
        item
    });
    let submitted = crate::common::try_submit(&engine, plan("run", items.to_vec())).await.unwrap();
    assert_eq!(send(&engine, &submitted.next).await.unwrap()["runs"][0]["run_id"], "run");
    let cancel =
        |mode| CancelArgs { run_id: "run".to_owned(), item_id: None, mode, drain: None, reason: "why not".to_owned() };
    let held = engine.cancel(&caller(), cancel(Some(CancelMode::Hold))).await.unwrap();
    let (issue, next) = diagnosed(&engine, "run").await;
    assert_eq!((issue.as_str(), held.next.split(" releases").next().unwrap()), ("held", next.as_str()));
    assert_eq!(send(&engine, &held.next).await.unwrap()["state"], "released");
    assert_eq!(send(&engine, &next).await.unwrap_err(), "not-held", "the same once more");

    let driver = engine.drive();
    // The inbox is where an open question leads, and what it names answers nothing by itself.
    let mut reply = watch(&engine, watching("run", Until::Attention)).await;
    while !reply.runs[0].items.0.contains_key("waiting") {
        reply = watch(&engine, WatchArgs { after: Some(reply.cursor), ..watching("run", Until::Change) }).await;
    }
    for next in [reply.next, diagnosed(&engine, "run").await.1] {
        let inbox = send(&engine, &next).await.unwrap();
        let answer = inbox["inbox"][0]["next"].as_str().unwrap();
        assert_eq!(send(&engine, answer).await.unwrap_err(), "answer-shape");
    }
    let stopped = engine.cancel(&caller(), cancel(None)).await.unwrap();
    assert_eq!(send(&engine, &stopped.next).await.unwrap()["run"]["run_id"], "run");
    wait_end(&engine, &["run"]).await;

    // A failed run leads to the item that failed, and that to why.
    let over = watch(&engine, watching("run", Until::Terminal)).await;
    assert!(send(&engine, &over.next).await.is_ok(), "{}", over.next);
    let (issue, next) = diagnosed(&engine, "run").await;
    let failed = send(&engine, &next).await.unwrap();
    assert_eq!((issue.as_str(), &failed["item_id"]), ("failed", &json!("fails")));
    assert!(send(&engine, failed["next"].as_str().unwrap()).await.is_ok(), "{failed}");
    let whole =
        engine.result(&caller(), ResultArgs { run_id: "run".to_owned(), ..ResultArgs::default() }).await.unwrap();
    assert!(send(&engine, &whole.next.unwrap()).await.is_ok());

    // The next page is the next page, and an address is what it is the address of.
    let (path, limit) = (Some("a b".to_owned()), Some(30));
    let page = engine.result(&caller(), ResultArgs { path, limit, ..of_item("prints", Part::Output) }).await.unwrap();
    let rest = send(&engine, page.next.as_deref().unwrap()).await.unwrap();
    assert_eq!(
        (rest["page"]["offset"].as_u64(), rest["page"]["content"]["text"].as_str().unwrap().len()),
        (Some(30), 20)
    );
    let log = engine.result(&caller(), of_item("prints", Part::Log)).await.unwrap();
    for page in [page.page.unwrap(), log.page.unwrap()] {
        let Address::Part(args) = Address::parse(&page.resource.unwrap()).unwrap() else { panic!("no part") };
        assert_eq!(engine.result(&caller(), *args).await.unwrap().page.unwrap().total_bytes, page.total_bytes);
    }
    assert!(engine.audit(&caller(), AuditArgs { run_id: "run".to_owned(), full: None }).await.is_ok());
    driver.stop().await;
}

async fn dispatched(worker: fn(&Task, &Path) -> Outcome) -> (Home, std::sync::Arc<Engine>, DispatchReply) {
    let home = Home::with(FakeCompute::new(worker)).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let args = json!({ "subagent": "noop", "input": { "prompt": "do it" }, "wait_seconds": 110 });
    let args: DispatchArgs = serde_json::from_value(args).unwrap();
    let reply = within(engine.dispatch(&caller(), args)).await.unwrap();
    driver.stop().await;
    (home, engine, reply)
}

/// After a dispatch that waited comes what fits how it ended: the evidence, why it failed, or the question.
#[tokio::test]
async fn after_a_dispatch_comes_what_fits_its_end() {
    let (_home, engine, done) = dispatched(|task, _| outcome_of(task, Status::Done)).await;
    assert_eq!((done.state.as_str(), done.next.split(' ').next()), ("done", Some("audit")));
    assert!(send(&engine, &done.next).await.is_ok());

    let (_home, engine, failed) = dispatched(|task, _| outcome_of(task, Status::Failed)).await;
    assert_eq!(failed.state, "failed");
    assert!(!failed.next.contains("patch"), "{}", failed.next);
    assert!(send(&engine, &failed.next).await.is_ok(), "{}", failed.next);

    let (_home, engine, asks) = dispatched(|task, _| {
        let question = "which?".to_owned();
        let question = Question { question, options: Vec::new(), context: None, partial_state: None };
        Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
    })
    .await;
    assert_eq!(asks.state, "waiting");
    assert_eq!(send(&engine, &asks.next).await.unwrap()["inbox"][0]["run_id"], asks.run_id.as_str());
}

#[tokio::test]
async fn what_is_left_of_a_run_that_was_cancelled_is_its_status() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 2)).await;
    let args =
        CancelArgs { run_id: "run".to_owned(), item_id: None, mode: None, drain: None, reason: "why not".to_owned() };
    engine.cancel(&caller(), args).await.unwrap();
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    let (issue, next) = diagnosed(&engine, "run").await;
    assert_eq!((issue.as_str(), next.as_str()), ("cancelled", r#"status {"run_id":"run"}"#));
    assert!(send(&engine, &next).await.is_ok());
    driver.stop().await;
}

/// Rows and events of one answer are of one moment, whoever commits meanwhile: no row knows of what no event has told.
#[tokio::test]
async fn rows_are_as_the_events_so_far_make_them() {
    let home = Home::new().await;
    let (engine, other) = (home.open().await, home.open().await);
    submit(&engine, fan_out("run", 1)).await;
    let change = async {
        for _ in 0..200 {
            let (run_id, reason) = ("run".to_owned(), "why not".to_owned());
            let hold = CancelArgs { run_id, item_id: None, mode: Some(CancelMode::Hold), drain: None, reason };
            other.cancel(&caller(), hold).await.unwrap();
            let release = AnswerArgs { run_id: "run".to_owned(), ..AnswerArgs::default() };
            other.answer(&caller(), release).await.unwrap();
        }
    };
    let look = async {
        let (mut held, mut releases, mut after) = (false, 0, "0".to_owned());
        while releases < 200 {
            let (wait_seconds, limit) = (Some(0), Some(500));
            let args = WatchArgs { after: Some(after), wait_seconds, limit, ..watching("run", Until::Terminal) };
            let reply = watch(&engine, args).await;
            for event in &reply.events {
                held = if event.event.starts_with("hold.") { event.event == "hold.set" } else { held };
                releases += usize::from(event.event == "hold.released");
            }
            assert_eq!(reply.runs[0].held, held, "{:?}", reply.events.last());
            after = reply.cursor;
        }
    };
    tokio::join!(change, look);
}

/// More events than fit come in pages, also before what is waited for; then nothing was waited for.
#[tokio::test]
async fn what_does_not_fit_is_told_at_once_and_the_rest_by_the_call_that_is_named() {
    let home = Home::new().await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 4)).await;
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    let mut args = watching("run", Until::Terminal);
    (args.after, args.limit) = (Some("0".to_owned()), Some(3));
    let mut reply = serde_json::to_value(watch(&engine, args).await).unwrap();
    let mut told = 0;
    while reply["more"] == true {
        assert_eq!(reply["events"].as_array().unwrap().len(), 3);
        assert_eq!(reply["timed_out"], false);
        told += 3;
        reply = send(&engine, reply["next"].as_str().unwrap()).await.unwrap();
    }
    told += reply["events"].as_array().unwrap().len();
    // Ready, leased, started, finished and done for each, and the end of the run.
    assert_eq!(told, 4 * 5 + 1);
    assert!(reply["next"].as_str().unwrap().starts_with("result "), "{reply}");
    driver.stop().await;
}
