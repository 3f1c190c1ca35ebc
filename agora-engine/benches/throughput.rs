//! How fast the engine goes when the work itself is nothing: items a second, whether it stays linear, and how long a
//! submission of another process waits for its first launch. `cargo bench -p agora-engine`.
//!
//! The store is on the disk that `TMPDIR` names, with every commit durable; blobs are in memory and workers are closures,
//! so what is measured is the engine: journal, loop, and the files of each attempt. These are on the same disk or, where
//! there is a `/dev/shm`, in memory: making and removing them is most of the work on some file systems (ext4 does not use
//! the inode of a removed file again for five seconds, and looks for another one).

#![expect(clippy::unwrap_used, reason = "a panic in a measurement is the failure")]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agora_core::worker::Status;
use agora_engine::host::{Host as _, ThisMachine};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::Value;

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use common::{Home, chain, fan_out, submit, wait_end};

/// Says to a process that it is the one that submits, and where.
const CHILD: &str = "AGORA_BENCH_CHILD";
/// How many submissions the latency is taken from.
const SUBMISSIONS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(home) = std::env::var_os(CHILD) {
        return runtime.block_on(child(home.as_ref()));
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wants = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let memory = Path::new("/dev/shm");
    for (name, shape, attempts) in [
        ("independent, folders in memory", fan_out as fn(&str, usize) -> Value, Some(memory)),
        ("independent, folders on disk", fan_out, None),
        ("chain, folders in memory", chain, Some(memory)),
        ("chain, folders on disk", chain, None),
    ] {
        if wants(name) && attempts.is_none_or(Path::is_dir) {
            let small = runtime.block_on(items(shape, 1_000, attempts));
            let large = runtime.block_on(items(shape, 10_000, attempts));
            let rate = |count: f64, took: Duration| count / took.as_secs_f64();
            println!(
                "{name:<32} 1,000: {:>6.0} items/s   10,000: {:>6.0} items/s   time for ten times the items: {:.1} times",
                rate(1_000.0, small),
                rate(10_000.0, large),
                large.as_secs_f64() / small.as_secs_f64(),
            );
        }
    }
    if wants("latency") {
        let mut waits = runtime.block_on(latency());
        waits.sort_unstable();
        let at = |part: usize| Duration::from_micros(waits[(waits.len() - 1) * part / 100]).as_secs_f64() * 1000.0;
        println!("latency: acknowledged → launched, p50: {:.1} ms   p95: {:.1} ms", at(50), at(95));
    }
}

/// From the moment somebody drives to the seal.
async fn items(shape: fn(&str, usize) -> Value, count: usize, attempts: Option<&Path>) -> Duration {
    let mut home = Home::new().await;
    if let Some(attempts) = attempts {
        home.set_attempts(attempts);
    }
    let engine = home.open().await;
    submit(&engine, shape("run", count)).await;
    let started = Instant::now();
    let driver = engine.drive();
    driver.idle().await;
    let took = started.elapsed();
    assert_eq!(home.compute.started(), count as u64);
    assert!(!engine.has_open_runs().await.unwrap());
    driver.stop().await;
    took
}

/// Microseconds from the acknowledgement in another process to the launch in this one, of each submission.
async fn latency() -> Vec<u64> {
    let launched: Arc<Mutex<BTreeMap<String, i64>>> = Arc::default();
    let notes = Arc::clone(&launched);
    let compute = FakeCompute::new(move |task, _| {
        notes.lock().unwrap().insert(task.attempt.run.to_string(), ThisMachine.now().micros());
        outcome_of(task, Status::Done)
    });
    let home = Home::with_files(compute).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let mut child =
        Command::new(std::env::current_exe().unwrap()).env(CHILD, home.path()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let lines = tokio::task::spawn_blocking(move || {
        std::io::BufReader::new(stdout).lines().map(|line| line.unwrap()).collect::<Vec<_>>()
    });
    let lines = lines.await.unwrap();
    assert!(child.wait().unwrap().success());
    let runs: Vec<&str> = lines.iter().filter_map(|line| line.split_once(' ')).map(|(run, _)| run).collect();
    wait_end(&engine, &runs).await;
    driver.stop().await;
    let launched = launched.lock().unwrap();
    let wait = |line: &String| {
        let (run, at) = line.split_once(' ').unwrap();
        u64::try_from(launched[run] - at.parse::<i64>().unwrap()).unwrap_or(0)
    };
    lines.iter().map(wait).collect()
}

/// Submits one item after another, and says when each was acknowledged.
async fn child(home: &Path) {
    let engine = Home::visit(home).await;
    for at in 0..SUBMISSIONS {
        let run = submit(&engine, fan_out(&format!("run-{at}"), 1)).await;
        println!("{run} {}", ThisMachine.now().micros());
        // One at a time: it is the wait of one submission that is measured, not that of a queue of them.
        wait_end(&engine, &[&run]).await;
    }
}
