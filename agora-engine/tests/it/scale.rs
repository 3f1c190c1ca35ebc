//! C12: large plans are taken, run and sealed with work in proportion to their size.

use std::path::Path;
use std::time::Instant;

use crate::common::{Home, chain, check, fan_out, submit, wait_end, within};
use crate::evidence::entries;

/// Runs a plan and returns how many entries it took.
#[expect(clippy::print_stdout, reason = "a rate is for people to read; nothing depends on it")]
async fn run(plan: serde_json::Value) -> usize {
    let items = plan["items"].as_array().unwrap().len();
    // In memory where it can be: what disks take for it is measured by the bench.
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { Home::new_in(memory).await } else { Home::new().await };
    let engine = home.open().await;
    let started = Instant::now();
    submit(&engine, plan).await;
    let accepted = started.elapsed();
    let driver = engine.drive();
    within(driver.idle()).await;
    let rate = items as f64 / (started.elapsed() - accepted).as_secs_f64();
    println!("{items} items: accepted in {accepted:.1?}, {rate:.0} items/s");
    let rows = wait_end(&engine, &["run"]).await;
    assert_eq!((rows[0].state.as_str(), rows[0].items.0.get("done")), ("done", Some(&(items as u64))));
    assert_eq!(home.compute.started(), items as u64);
    check(&engine, &["run"]).await;
    driver.stop().await;
    entries(home.path()).len()
}

/// Entries of a run beside those of its items: opening, log, completion.
const AROUND: usize = 3;
/// Entries of an item: ready, leased, started, finished, done.
const EACH: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_independent_items() {
    let (few, many) = (run(fan_out("run", 100)).await, run(fan_out("run", 10_000)).await);
    assert_eq!(few, AROUND + 1 + 100 * EACH);
    // Items are added in as many entries as they fill.
    assert!((AROUND + 10_000 * EACH..AROUND + 100 + 10_000 * EACH).contains(&many), "{many}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_twenty_thousand() {
    let entries = run(chain("run", 20_000)).await;
    assert!((AROUND + 20_000 * EACH..AROUND + 200 + 20_000 * EACH).contains(&entries), "{entries}");
}
