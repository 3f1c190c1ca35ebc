//! C11: a store that cannot be used is refused with its own code, loses nothing, and goes on when it can.

use std::path::Path;

use agora_core::seam::BlobError;
use agora_core::worker::{Status, Task};
use agora_testkit::fakes::{FakeCompute, MemoryBlobs, outcome_of};
use rusqlite::Connection;
use serde_json::json;

use crate::common::{Home, check, code_of, fan_out, items, submit, try_submit, wait_end, within};
use crate::evidence::{bodies, entries};

fn sql(home: &Path, text: &str) {
    Connection::open(home.join("store.db")).unwrap().execute_batch(text).unwrap();
}

/// A home with a run in its store and nobody who has it open.
async fn used() -> Home {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("before", 2)).await;
    wait_end(&engine, &["before"]).await;
    driver.stop().await;
    drop(engine);
    // The journal's thread ends with the last handle and folds the write-ahead log into the file.
    within(async {
        while home.path().join("store.db-wal").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    home
}

/// Puts a store in the place of the home's that has the tables of the first version, and what they hold.
fn back_to_the_first_schema(home: &Path) {
    let (path, first) = (home.join("store.db"), home.join("first.db"));
    let store = Connection::open(&first).unwrap();
    let owner: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    store.execute_batch(include_str!("../../migrations/0001_first.sql")).unwrap();
    store.execute_batch(&format!("PRAGMA application_id = {owner}; PRAGMA user_version = 1")).unwrap();
    store.execute("ATTACH ?1 AS now", [path.to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = store.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let tables = names("SELECT name FROM main.sqlite_schema WHERE type = 'table'");
    assert_eq!(tables.len(), 8, "{tables:?}");
    // In whatever order they come.
    store.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for table in tables {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        store
            .execute_batch(&format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"))
            .unwrap();
    }
    store.execute_batch("DETACH now").unwrap();
    drop(store);
    std::fs::rename(first, path).unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let home = used().await;
    let path = home.path().join("store.db");
    let version: i64 =
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    sql(home.path(), &format!("PRAGMA user_version = {}", version + 1));
    let before = std::fs::read(home.path().join("store.db")).unwrap();
    assert_eq!(code_of(home.try_open().await), "store-newer");
    assert!(std::fs::read(home.path().join("store.db")).unwrap() == before, "it was written to");
    sql(home.path(), &format!("PRAGMA user_version = {version}"));
    check(&*home.open().await, &["before"]).await;
}

#[tokio::test]
async fn a_store_of_the_first_version_is_migrated() {
    let home = used().await;
    back_to_the_first_schema(home.path());
    let engine = home.open().await;
    check(&engine, &["before"]).await;
    let driver = engine.drive();
    submit(&engine, fan_out("after", 2)).await;
    wait_end(&engine, &["after"]).await;
    check(&engine, &["before", "after"]).await;
    driver.stop().await;
    let store = Connection::open(home.path().join("store.db")).unwrap();
    for table in ["growth", "schedules", "collected"] {
        let rows: i64 = store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let home = Home::new().await;
    sql(home.path(), "CREATE TABLE bookmarks (url TEXT)");
    assert_eq!(code_of(home.try_open().await), "store-foreign");
    let tables = Connection::open(home.path().join("store.db")).unwrap();
    let count: i64 = tables.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "nothing was added");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_a_restored_one_is_whole() {
    let home = used().await;
    let path = home.path().join("store.db");
    let good = std::fs::read(&path).unwrap();
    for bad in [b"this is not a database, however long one looks at it".repeat(200), vec![0xff; 8192]] {
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(code_of(home.try_open().await), "store-damaged");
    }
    std::fs::write(&path, &good).unwrap();
    check(&*home.open().await, &["before"]).await;
}

/// A lost store is not begun anew over what it held last.
#[tokio::test]
async fn a_store_that_left_its_write_ahead_log_is_missed() {
    let home = used().await;
    let (path, log) = (home.path().join("store.db"), home.path().join("store.db-wal"));
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&log, [7; 4096]).unwrap();
    assert_eq!(code_of(home.try_open().await), "store-damaged");
    assert!(!path.exists() && std::fs::read(&log).unwrap() == [7; 4096]);
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&path, &good).unwrap();
    check(&*home.open().await, &["before"]).await;
}

/// Who only looks waits for nobody's transaction.
#[tokio::test]
async fn a_store_that_is_being_written_is_opened_and_looked_at_at_once() {
    let home = used().await;
    let writer = Connection::open(home.path().join("store.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Less than a statement waits for a transaction.
    let looked = async { check(&*home.open().await, &["before"]).await };
    tokio::time::timeout(std::time::Duration::from_secs(20), looked).await.unwrap();
    writer.execute_batch("ROLLBACK").unwrap();
}

/// What SQLite does not notice, the chain does: one changed byte of one entry.
#[tokio::test]
async fn a_changed_entry_is_found() {
    let home = used().await;
    sql(home.path(), "UPDATE entries SET bytes = CAST(replace(bytes, 'local', 'lokal') AS BLOB) WHERE pos = 1");
    let engine = home.open().await;
    let found = engine.check_store(false).await.unwrap();
    assert!(found.iter().any(|row| row.status == agora_engine::operations::CheckStatus::Fail), "{found:?}");
    drop(engine);
    sql(home.path(), "UPDATE entries SET bytes = CAST(replace(bytes, 'lokal', 'local') AS BLOB) WHERE pos = 1");
    check(&*home.open().await, &["before"]).await;
}

/// A projection that does not agree with a replay is found (I6).
#[tokio::test]
async fn a_changed_projection_is_found() {
    let home = used().await;
    sql(home.path(), "UPDATE items SET status = 'failed' WHERE ix = 1");
    let found = home.open().await.check_store(false).await.unwrap();
    assert!(found.iter().any(|row| row.code == "run-projection"), "{found:?}");
    sql(home.path(), "UPDATE items SET status = 'done' WHERE ix = 1");
    check(&*home.open().await, &["before"]).await;
}

#[tokio::test]
async fn a_store_that_is_a_link_is_not_followed() {
    let home = used().await;
    let (path, elsewhere) = (home.path().join("store.db"), home.path().join("elsewhere.db"));
    std::fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!(code_of(home.try_open().await), "store-read-only");
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&elsewhere, &path).unwrap();
    check(&*home.open().await, &["before"]).await;
}

/// Somebody else's long transaction delays a submission and a driver; nothing is refused and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_store_is_waited_for() {
    let home = used().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let holder = Connection::open(home.path().join("store.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let submitting = {
        let engine = engine.clone();
        tokio::spawn(async move { submit(&engine, fan_out("run", 3)).await })
    };
    // The plan's own bytes are kept just before its transaction.
    within(async {
        while home.memory.puts() < 12 && !submitting.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!submitting.is_finished(), "it is acknowledged before it is committed");
    holder.execute_batch("ROLLBACK").unwrap();
    within(submitting).await.unwrap();
    wait_end(&engine, &["run"]).await;
    check(&engine, &["before", "run"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn without_room_for_blobs_nothing_is_accepted_and_then_it_is() {
    let home = Home::new().await;
    let engine = home.open().await;
    home.memory.fail_next(BlobError::NoRoom("test".to_owned()));
    assert_eq!(code_of(try_submit(&engine, fan_out("run", 2)).await), "disk-full");
    assert!(entries(home.path()).is_empty());
    assert!(!try_submit(&engine, fan_out("run", 2)).await.unwrap().deduplicated);
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// A result that cannot be kept is not accepted: the attempt fails as `no-room`, and the next one is.
#[tokio::test]
async fn without_room_for_a_result_the_item_is_tried_again() {
    let memory = MemoryBlobs::new();
    let full = memory.clone();
    let compute = FakeCompute::new(move |task: &Task, _| {
        if task.attempt.attempt == 1 {
            full.fail_next(BlobError::NoRoom("test".to_owned()));
        }
        outcome_of(task, Status::Done)
    });
    let home = Home::with_memory(compute, memory).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let mut plan = fan_out("run", 1);
    plan["items"][0]["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 0 });
    submit(&engine, plan).await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(items(&engine, "run").await.items[0].attempts, 2);
    let first = &bodies(home.path(), "attempt.finished")[0];
    assert_eq!((first["class"].as_str(), first["reason"].as_str()), (Some("capacity"), Some("no-room")));
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// File systems of their own, made in a namespace of their own: the test starts itself again inside.
mod needs_root {
    use std::process::Command;

    use super::*;

    /// Where the child's small file system is mounted.
    const SMALL: &str = "AGORA_TEST_SMALL";

    /// Starts this test again with `TMPDIR` on a file system of 24 MiB.
    fn inside(test: &str) {
        let folder = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=24m agora \"$0\" && TMPDIR=\"$0\" exec \"$@\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(SMALL, folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    #[ignore = "needs root"]
    async fn a_full_disk_refuses_work_and_goes_on_when_there_is_room() {
        let Some(small) = std::env::var_os(SMALL) else {
            return inside("store::needs_root::a_full_disk_refuses_work_and_goes_on_when_there_is_room");
        };
        let home = used().await;
        let engine = home.open().await;
        let filler = Path::new(&small).join("filler");
        // Until not even a page fits.
        let mut file = std::fs::File::create(&filler).unwrap();
        for size in [65_536, 512] {
            while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
        }
        let before = entries(home.path());
        assert_eq!(code_of(try_submit(&engine, fan_out("run", 200)).await), "disk-full");
        assert!(entries(home.path()) == before);
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        submit(&engine, fan_out("run", 200)).await;
        let driver = engine.drive();
        wait_end(&engine, &["run"]).await;
        check(&engine, &["before", "run"]).await;
        driver.stop().await;
    }

    #[tokio::test]
    #[ignore = "needs root"]
    async fn a_store_that_cannot_be_written_is_refused() {
        let Some(small) = std::env::var_os(SMALL) else {
            return inside("store::needs_root::a_store_that_cannot_be_written_is_refused");
        };
        let home = used().await;
        let remount = |how: &str| {
            let status = Command::new("mount").args(["-o", how]).arg(&small).status().unwrap();
            assert!(status.success());
        };
        remount("remount,ro");
        assert_eq!(code_of(home.try_open().await), "store-read-only");
        remount("remount,rw");
        check(&*home.open().await, &["before"]).await;
    }
}
