//! I6, I8: what was changed behind the engine's back is found, named, and keeps nothing else from being looked at.

use agora_core::error::Class;
use agora_core::id::Digest;
use agora_core::worker::{Outcome, Question, Status, Task};
use agora_engine::Engine;
use agora_engine::operations::{
    AnswerArgs, AuditArgs, CheckStatus, InboxRow, ResultArgs, StatusArgs, StoreCheck, View, WatchArgs,
};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use rusqlite::Connection;

use crate::common::{Home, caller, check, code_of, failed, fan_out, items, submit, wait_end, within};
use crate::evidence::bodies;

/// Changes a store that nobody has open.
fn sql(home: &Home, text: &str) {
    Connection::open(home.path().join("store.db")).unwrap().execute_batch(text).unwrap();
}

/// A home with these runs, done and sealed, and `open`, which nobody drives.
async fn home(done: &[&str]) -> Home {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    for run in done {
        submit(&engine, fan_out(run, 2)).await;
    }
    wait_end(&engine, done).await;
    driver.stop().await;
    submit(&engine, fan_out("open", 1)).await;
    check(&engine, done).await;
    home
}

async fn found(home: &Home) -> Vec<StoreCheck> {
    let rows = home.open().await.check_store(false).await.unwrap();
    rows.into_iter().filter(|row| row.status != CheckStatus::Ok).collect()
}

fn named(rows: &[StoreCheck]) -> Vec<(&str, Option<&str>)> {
    rows.iter().map(|row| (row.code, row.run_id.as_deref())).collect()
}

fn delete(run: &str) -> String {
    let of = |table: &str| format!("DELETE FROM {table} WHERE run = (SELECT key FROM runs WHERE id = '{run}');");
    ["items", "plans", "entries"].map(of).concat() + &format!("DELETE FROM runs WHERE id = '{run}'")
}

#[tokio::test]
async fn a_deleted_run_is_missed() {
    let home = home(&["first", "second"]).await;
    sql(&home, &delete("first"));
    let rows = found(&home).await;
    assert_eq!(named(&rows), [("run-log", Some("first"))], "{rows:?}");
    assert!(failed(&*home.open().await, "second").await.is_empty());
}

#[tokio::test]
async fn a_run_without_its_opening_in_the_log_is_found() {
    let home = home(&["first", "second"]).await;
    sql(&home, "DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)");
    let rows = found(&home).await;
    assert!(named(&rows).contains(&("run-journal", Some("open"))), "{rows:?}");
    assert!(rows.iter().any(|row| row.code == "run-log" && row.detail.contains("log-chain")), "{rows:?}");
}

/// The end of the log and its signed checkpoint say what was cut off, even where rows and log agree.
#[tokio::test]
async fn a_log_that_was_cut_off_with_its_runs_is_found() {
    let home = home(&["first", "second"]).await;
    sql(&home, &delete("open"));
    sql(&home, "DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)");
    let rows = found(&home).await;
    assert_eq!(named(&rows), [("run-log", None)], "{rows:?}");
    for run in ["first", "second"] {
        sql(&home, &delete(run));
    }
    sql(&home, "DELETE FROM log WHERE seq > 1");
    let rows = found(&home).await;
    assert!(rows.iter().any(|row| row.detail.contains("checkpoint-size")), "{rows:?}");
}

/// Every column that follows from the entries, changed and changed back.
#[tokio::test]
async fn a_changed_row_is_found_whatever_its_column() {
    let home = home(&["run"]).await;
    for (table, column, value) in [
        ("runs", "actor", "'human:eve'"),
        ("runs", "queue", "'other'"),
        ("runs", "opened_at", "1"),
        ("runs", "log_seq", "0"),
        ("runs", "state", "'failed'"),
        ("runs", "logged", "0"),
        ("runs", "held", "1"),
        ("runs", "completed_at", "1"),
        ("runs", "completed_at", "NULL"),
        ("runs", "cost_microusd", "7"),
        ("runs", "entries", "3"),
        ("items", "id", "'other'"),
        ("items", "status", "'failed'"),
        ("items", "attempts", "2"),
        ("items", "since", "1"),
        ("plans", "bytes", "x'7b7d'"),
    ] {
        let row = match table {
            "runs" => "id = 'run'",
            "items" => "ix = 1",
            _ => "run = (SELECT key FROM runs WHERE id = 'run')",
        };
        sql(&home, &format!("CREATE TABLE kept AS SELECT {column} AS was FROM {table} WHERE {row}"));
        sql(&home, &format!("UPDATE {table} SET {column} = {value} WHERE {row}"));
        let rows = found(&home).await;
        assert_eq!(named(&rows), [("run-projection", Some("run"))], "{table}.{column}: {rows:?}");
        sql(&home, &format!("UPDATE {table} SET {column} = (SELECT was FROM kept) WHERE {row}; DROP TABLE kept"));
    }
    sql(&home, "DELETE FROM items WHERE ix = 1");
    assert_eq!(named(&found(&home).await), [("run-projection", Some("run"))]);
}

#[tokio::test]
async fn what_was_put_back_as_it_was_is_whole() {
    let home = home(&["run"]).await;
    sql(&home, "UPDATE runs SET held = 1 WHERE id = 'run'");
    assert_eq!(found(&home).await.len(), 1);
    sql(&home, "UPDATE runs SET held = 0 WHERE id = 'run'");
    check(&*home.open().await, &["run"]).await;
}

#[tokio::test]
async fn a_seal_that_row_and_log_do_not_both_have_is_found() {
    let home = home(&["run"]).await;
    for (run, sealed) in [("run", 0), ("open", 1)] {
        sql(&home, &format!("UPDATE runs SET sealed = {sealed} WHERE id = '{run}'"));
        let rows = found(&home).await;
        assert!(rows.iter().all(|row| row.run_id.as_deref() == Some(run)), "{rows:?}");
        assert!(rows.iter().any(|row| row.detail.contains("log-sealed")), "{rows:?}");
        assert!(failed(&*home.open().await, run).await.contains(&"log-sealed".to_owned()));
        sql(&home, &format!("UPDATE runs SET sealed = 1 - sealed WHERE id = '{run}'"));
    }
    check(&*home.open().await, &["run"]).await;
}

/// A row that says "not sealed" of a sealed run leads to no second seal, which nothing could take back (I8).
#[tokio::test]
async fn a_run_that_the_log_has_as_sealed_is_not_sealed_again() {
    let home = home(&["first", "second"]).await;
    let seals = || bodies_of_log(&home, "run.sealed");
    assert_eq!(seals(), 2);
    sql(&home, "UPDATE runs SET sealed = 0 WHERE id = 'first'");
    let engine = home.open().await;
    let driver = engine.drive();
    // Looked at by everybody, it is the driver's no more for that; and the others go on.
    items(&engine, "first").await;
    wait_end(&engine, &["open"]).await;
    assert!(within(driver.idle()).await);
    driver.stop().await;
    assert_eq!(seals(), 3);
    let rows = found(&home).await;
    assert!(
        rows.iter().any(|row| row.run_id.as_deref() == Some("first") && row.detail.contains("log-sealed")),
        "{rows:?}"
    );
    // A completed run whose seal was really owed gets it: row and log both as before it.
    sql(&home, "UPDATE runs SET sealed = 1 WHERE id = 'first'");
    let engine = home.open().await;
    let driver = engine.drive();
    assert!(within(driver.idle()).await);
    check(&engine, &["first", "second", "open"]).await;
    assert_eq!(seals(), 3);
    driver.stop().await;
}

/// Damage of any kind in a run that is open: it stands still, the others go on, and once it is whole again so does it.
#[tokio::test]
async fn one_damaged_run_stops_no_driver_for_the_others() {
    let home = home(&[]).await;
    let of = "run = (SELECT key FROM runs WHERE id = 'open')";
    let damages = [
        ("entries", "UPDATE entries SET bytes = x'00' WHERE seq = 0 AND"),
        ("entries", "UPDATE entries SET bytes = x'00' WHERE seq = 1 AND"),
        ("entries", "UPDATE entries SET leaf = x'00' WHERE seq = 1 AND"),
        ("entries", "DELETE FROM entries WHERE seq = 0 AND"),
        ("entries", "DELETE FROM entries WHERE"),
        ("entries", "DELETE FROM entries WHERE seq = (SELECT entries - 1 FROM runs WHERE id = 'open') AND"),
        ("plans", "UPDATE plans SET bytes = x'7b7d' WHERE"),
        ("plans", "UPDATE plans SET bytes = x'00' WHERE"),
        ("plans", "DELETE FROM plans WHERE"),
    ];
    for (at, (table, damage)) in damages.iter().enumerate() {
        sql(&home, &format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE {of}; {damage} {of}"));
        let engine = home.open().await;
        let driver = engine.drive();
        let other = submit(&engine, fan_out(&format!("other-{at}"), 2)).await;
        wait_end(&engine, &[&other]).await;
        let args = StatusArgs { view: Some(View::Run), run_id: Some("open".to_owned()), ..StatusArgs::default() };
        assert_eq!(code_of(engine.status(&caller(), args).await), "store-damaged", "{damage}");
        assert!(within(driver.idle()).await, "{damage}");
        driver.stop().await;
        let rows = found(&home).await;
        assert!(rows.iter().any(|row| row.run_id.as_deref() == Some("open")), "{damage}: {rows:?}");
        let back = format!("DELETE FROM {table} WHERE {of}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept");
        sql(&home, &back);
    }
    let engine = home.open().await;
    let driver = engine.drive();
    wait_end(&engine, &["open"]).await;
    check(&engine, &["open", "other-0"]).await;
    driver.stop().await;
}

/// The same while it runs: what runs of it is ended, as nobody holds its locks any more.
#[tokio::test]
async fn a_run_that_is_damaged_while_it_is_driven_stops_nothing_else() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("broken", 1)).await;
    within(home.compute.wait_running(1)).await;
    let held = home.compute.running().remove(0);
    sql(
        &home,
        "INSERT INTO entries (run, seq, bytes, leaf) SELECT run, max(seq) + 1, x'00', zeroblob(32) FROM entries
         WHERE run = (SELECT key FROM runs WHERE id = 'broken')",
    );
    // Nobody tells of that commit; this one is told of.
    submit(&engine, fan_out("whole", 1)).await;
    within(home.compute.wait_ended(&held)).await;
    home.compute.release_all();
    wait_end(&engine, &["whole"]).await;
    assert!(within(driver.idle()).await);
    driver.stop().await;
    let rows = found(&home).await;
    assert!(rows.iter().all(|row| row.run_id.as_deref() == Some("broken")) && !rows.is_empty(), "{rows:?}");
}

/// What an attempt of a damaged run has brought is not lost with it: it is collected once the run is whole again.
#[tokio::test]
async fn what_a_damaged_run_has_brought_is_there_once_it_is_whole() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", 1)).await;
    within(async {
        while bodies(home.path(), "attempt.started").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    driver.stop().await;
    home.compute.release_all();
    sql(
        &home,
        "INSERT INTO entries (run, seq, bytes, leaf) SELECT run, max(seq) + 1, x'00', zeroblob(32) FROM entries",
    );
    let engine = home.open().await;
    let driver = engine.drive();
    assert!(within(driver.idle()).await);
    driver.stop().await;
    sql(&home, "DELETE FROM entries WHERE bytes = x'00'");
    let engine = home.open().await;
    let driver = engine.drive();
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(home.compute.started(), 1, "its first attempt's result counts");
    check(&engine, &["run"]).await;
    driver.stop().await;
}

fn bodies_of_log(home: &Home, kind: &str) -> usize {
    let conn = Connection::open(home.path().join("store.db")).unwrap();
    let mut rows = conn.prepare("SELECT bytes FROM log").unwrap();
    let bytes = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    bytes.filter(|bytes| String::from_utf8_lossy(bytes.as_ref().unwrap()).contains(kind)).count()
}

#[tokio::test]
async fn a_log_without_its_end_and_an_end_without_its_log_are_damage() {
    let home = home(&["run"]).await;
    let take = |table: &str, row: &str| {
        format!("CREATE TABLE kept AS SELECT * FROM {table} WHERE {row}; DELETE FROM {table} WHERE {row}")
    };
    for (table, row) in [("meta", "key = 'log.head'"), ("log", "true")] {
        sql(&home, &take(table, row));
        let problem = home.try_open().await.err().unwrap().first();
        assert_eq!((problem.code.as_str(), problem.class), ("store-damaged", Class::Operator), "{table}: {problem}");
        assert!(problem.message.contains("the log of runs"), "{problem}");
        sql(&home, &format!("INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept"));
    }
    check(&*home.open().await, &["run"]).await;
}

#[tokio::test]
async fn a_checkpoint_that_is_gone_has_a_code() {
    let home = home(&["run"]).await;
    sql(&home, "UPDATE runs SET checkpoint = NULL WHERE id = 'run'");
    assert_eq!(failed(&*home.open().await, "run").await, ["checkpoint-unsigned"]);
}

/// What was changed says nothing any more of how whole or how isolated it was.
#[tokio::test]
async fn the_axes_of_a_broken_run_claim_nothing() {
    let home = home(&["run"]).await;
    let axes = async || {
        let args = AuditArgs { run_id: "run".to_owned(), full: None };
        let audit = home.open().await.audit(&caller(), args).await.unwrap();
        audit.axes.into_iter().map(|axis| format!("{}: {}", axis.axis, axis.value)).collect::<Vec<_>>()
    };
    let whole = axes().await;
    assert!(whole.contains(&"completeness: all-sealed".to_owned()), "{whole:?}");
    assert_eq!((whole[0].as_str(), whole.len()), ("integrity: consistent", 8), "{whole:?}");
    sql(&home, "UPDATE entries SET bytes = x'00' WHERE seq = 3 AND run = (SELECT key FROM runs WHERE id = 'run')");
    let broken = axes().await;
    assert_eq!(broken[0], "integrity: broken");
    assert!(broken[1..].iter().all(|axis| axis.ends_with(": none")), "{broken:?}");
}

/// What is kept beside the log is missed: its signed checkpoint once a run says that it is vouched for, how far that one
/// went, and the registry that was accepted last.
#[tokio::test]
async fn what_is_kept_beside_the_log_is_missed() {
    let young = home(&[]).await;
    assert!(found(&young).await.is_empty(), "nothing was signed yet");
    let home = home(&["run"]).await;
    assert!(found(&home).await.is_empty());
    for (key, code) in
        [("log.note", "checkpoint-unsigned"), ("log.signed", "checkpoint-size"), ("registry.seen", "log-registry")]
    {
        sql(&home, &format!("CREATE TABLE kept AS SELECT * FROM meta WHERE key = '{key}'"));
        sql(&home, &format!("DELETE FROM meta WHERE key = '{key}'"));
        let rows = found(&home).await;
        assert_eq!(named(&rows), [("run-log", None)], "{key}: {rows:?}");
        assert!(rows[0].detail.starts_with(&format!("{code}: ")), "{key}: {rows:?}");
        sql(&home, "INSERT INTO meta SELECT * FROM kept; DROP TABLE kept");
    }
    sql(&home, "UPDATE meta SET value = '1' WHERE key = 'log.signed'");
    assert_eq!(named(&found(&home).await), [("run-log", None)]);
}

/// What an attempt reported, logged and found in its own check is looked for as its patch is, and hides nothing else.
#[tokio::test]
async fn a_lost_report_is_found_and_the_rest_of_the_result_is_shown() {
    let home = home(&["run"]).await;
    let body = bodies(home.path(), "attempt.finished").remove(0);
    let result = async || {
        let args = ResultArgs {
            run_id: "run".to_owned(),
            item_id: body["item"].as_str().map(str::to_owned),
            ..ResultArgs::default()
        };
        home.open().await.result(&caller(), args).await.unwrap()
    };
    assert!(found(&home).await.is_empty());
    assert!(result().await.unreadable.is_empty());
    let report: Digest = body["report"].as_str().unwrap().parse().unwrap();
    home.memory.lose(&report);
    let rows = found(&home).await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.code == "artifact-bytes"), "{rows:?}");
    assert!(rows[0].detail.contains(&report.to_string()), "{rows:?}");
    let result = result().await;
    assert_eq!((result.state.as_str(), result.unreadable.len()), ("done", 1));
    assert!(result.unreadable[0].starts_with("manifest: blob-missing: "), "{:?}", result.unreadable);
}

/// An empty file is a store that was lost, never a new one: a second history would begin under the same keys.
#[tokio::test]
async fn an_empty_store_is_refused_and_none_is_made() {
    let home = Home::new().await;
    let store = home.path().join("store.db");
    std::fs::write(&store, "").unwrap();
    let problem = home.try_open().await.err().unwrap().first();
    assert_eq!((problem.code.as_str(), problem.class), ("store-damaged", Class::Operator), "{problem}");
    assert!(problem.message.contains("empty"), "{problem}");
    assert_eq!(std::fs::read(&store).unwrap(), b"");
    std::fs::remove_file(&store).unwrap();
    let engine = home.open().await;
    let names = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| !name.contains("new-")), "nothing is left of the making: {names:?}");
    check(&engine, &[]).await;
}

/// Damage of any kind in one run: the row names run and entry, and the other runs are looked at.
#[tokio::test]
async fn one_damaged_run_keeps_no_other_from_being_looked_at() {
    let home = home(&["a", "b", "c"]).await;
    let at = |run: &str, seq: u64| format!("run = (SELECT key FROM runs WHERE id = '{run}') AND seq = {seq}");
    sql(&home, &format!("UPDATE entries SET bytes = x'00' WHERE {}", at("a", 2)));
    sql(&home, &format!("UPDATE entries SET leaf = x'00' WHERE {}", at("b", 3)));
    sql(&home, "UPDATE items SET status = 'failed' WHERE run = (SELECT key FROM runs WHERE id = 'c') AND ix = 0");
    let rows = found(&home).await;
    let of = |run: &str| rows.iter().filter(|row| row.run_id.as_deref() == Some(run)).collect::<Vec<_>>();
    assert!(of("a").iter().any(|row| row.code == "run-journal" && row.detail.contains("entry 2")), "{rows:?}");
    assert!(of("b").iter().any(|row| row.code == "run-journal" && row.detail.contains("entry 3")), "{rows:?}");
    assert!(of("c").iter().all(|row| row.code == "run-projection") && of("c").len() == 1, "{rows:?}");
    assert!(of("open").is_empty());
}

/// Whoever looks at a damaged run is told what it is, which one, and what to do; others are shown as ever.
#[tokio::test]
async fn a_damaged_run_says_so_whoever_looks_at_it() {
    let home = home(&["a", "b"]).await;
    sql(&home, "UPDATE entries SET bytes = x'00' WHERE seq = 2 AND run = (SELECT key FROM runs WHERE id = 'a')");
    let engine = home.open().await;
    let status = |run: &str| StatusArgs { run_id: Some(run.to_owned()), ..StatusArgs::default() };
    let result = |run: &str| ResultArgs { run_id: run.to_owned(), ..ResultArgs::default() };
    let watch = |run: &str| WatchArgs {
        run_ids: Some(vec![run.to_owned()]),
        after: Some("0".to_owned()),
        wait_seconds: Some(0),
        ..WatchArgs::default()
    };
    let who = caller();
    let errors = [
        engine.status(&who, status("a")).await.unwrap_err(),
        engine.result(&who, result("a")).await.unwrap_err(),
        engine.watch(&who, watch("a"), &|_| {}).await.unwrap_err(),
    ];
    for error in errors {
        let problem = error.first();
        assert_eq!((problem.code.as_str(), problem.class), ("store-damaged", Class::Operator), "{problem}");
        assert!(problem.message.contains("of the run a"), "{problem}");
        assert!(problem.hint.unwrap().contains("restore the last backup"));
    }
    engine.status(&who, status("b")).await.unwrap();
    engine.result(&who, result("b")).await.unwrap();
    engine.watch(&who, watch("b"), &|_| {}).await.unwrap();
}

/// What asks once, and then is done.
fn asking() -> FakeCompute {
    FakeCompute::new(|task: &Task, _| match &task.resume {
        None => {
            let options = vec!["yes".to_owned(), "no".to_owned()];
            let question = format!("may {} go on?", task.attempt.run);
            let question = Question { question, options, context: None, partial_state: None };
            Outcome { question: Some(question), ..outcome_of(task, Status::NeedsInput) }
        }
        Some(_) => outcome_of(task, Status::Done),
    })
}

async fn inbox(engine: &Engine) -> Vec<InboxRow> {
    let args = StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() };
    let mut rows = engine.status(&caller(), args).await.unwrap().inbox;
    rows.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    rows
}

/// A question whose words are gone, and a run that cannot be read, are shown as what they are; the others as ever.
#[tokio::test]
async fn one_damaged_question_hides_no_other() {
    let home = Home::with(asking()).await;
    let engine = home.open().await;
    let driver = engine.drive();
    for run in ["a", "b", "c"] {
        submit(&engine, fan_out(run, 1)).await;
    }
    within(async {
        while bodies(home.path(), "item.waiting").len() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    driver.stop().await;
    let rows = inbox(&engine).await;
    assert!(rows.iter().all(|row| row.unreadable.is_none() && row.options.len() == 2), "{rows:?}");
    assert!(rows[0].question.as_ref().unwrap().text.contains("may a go on?"));

    for body in bodies(home.path(), "question.asked") {
        let digest: Digest = body["text"].as_str().unwrap().parse().unwrap();
        let words = String::from_utf8(home.blobs.get(&digest).await.unwrap()).unwrap();
        if words.contains("may a go on?") {
            home.memory.damage(&digest);
        }
    }
    sql(&home, "UPDATE entries SET bytes = x'00' WHERE seq = 3 AND run = (SELECT key FROM runs WHERE id = 'c')");
    let engine = home.open().await;
    let rows = inbox(&engine).await;
    let kinds: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.question.is_some())).collect();
    assert_eq!(kinds, [("question", false), ("question", true), ("damaged", false)], "{rows:?}");
    assert!(rows[0].unreadable.as_ref().unwrap().starts_with("blob-damaged: "), "{rows:?}");
    assert!(rows[2].unreadable.as_ref().unwrap().starts_with("store-damaged: "), "{rows:?}");
    // What cannot be read cannot be chosen from, and can be answered in words.
    let answer = AnswerArgs {
        run_id: "a".to_owned(),
        question_id: rows[0].question_id.map(|at| u32::try_from(at).unwrap()),
        ..AnswerArgs::default()
    };
    let choice = AnswerArgs { choice: Some(1), ..answer.clone() };
    assert_eq!(code_of(engine.answer(&caller(), choice).await), "blob-damaged");
    let words = AnswerArgs { text: Some("yes".to_owned()), ..answer };
    assert_eq!(engine.answer(&caller(), words).await.unwrap().state, "answered");
}

/// A row of a table of runs that cannot be read at all is a finding too.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_a_finding() {
    let home = home(&["a", "b"]).await;
    sql(&home, "UPDATE runs SET id = 'no id' WHERE id = 'a'");
    let rows = found(&home).await;
    assert!(rows.iter().any(|row| row.run_id.is_none() && row.detail.contains("the run in row")), "{rows:?}");
    assert!(rows.iter().any(|row| row.code == "run-log" && row.run_id.as_deref() == Some("a")), "{rows:?}");
    assert!(failed(&*home.open().await, "b").await.is_empty());
}

/// A store that others write while it is looked at is not taken for a damaged one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_is_looked_at_as_it_is() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let looker = home.open().await;
    let runs: Vec<String> = (0..20).map(|at| format!("run-{at}")).collect();
    let names: Vec<&str> = runs.iter().map(String::as_str).collect();
    let writing = async {
        for run in &names {
            submit(&engine, fan_out(run, 2)).await;
        }
        wait_end(&engine, &names).await;
    };
    let looking = async {
        for _ in 0..40 {
            check(&looker, &[]).await;
            for run in runs.iter().take(3) {
                let wish = AuditArgs { run_id: run.clone(), full: None };
                if let Ok(audit) = looker.audit(&caller(), wish).await {
                    assert_ne!(audit.verdict, "failed", "{:?}", audit.checks);
                }
            }
        }
    };
    tokio::join!(writing, looking);
    check(&looker, &names).await;
    driver.stop().await;
}
