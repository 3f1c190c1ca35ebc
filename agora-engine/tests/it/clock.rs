//! A wall clock that leaps.

use agora_core::limits::CLOCK_JUMP_MS_MIN;
use agora_core::worker::Status;
use agora_engine::Engine;
use agora_testkit::fakes::{FakeCompute, outcome_of};
use serde_json::json;

use crate::common::{HandClock, Home, check, fan_out, item, plan, states, submit, wait_end, within};
use crate::evidence::{bodies, log};

/// Whatever the driver knew of before this is decided when it returns.
async fn barrier(engine: &Engine, name: &str) {
    let run = submit(engine, fan_out(name, 1)).await;
    assert_eq!(wait_end(engine, &[&run]).await[0].state, "done");
}

fn jumps(home: &Home) -> Vec<(u64, bool)> {
    let jumps = log(home.path()).into_iter().filter(|entry| entry["type"] == "clock.jump");
    jumps.map(|entry| (entry["body"]["by_ms"].as_u64().unwrap(), entry["body"]["back"].as_bool().unwrap())).collect()
}

#[tokio::test]
async fn a_wall_clock_that_leaps_is_recorded_and_cuts_no_back_off_short() {
    let flaky = FakeCompute::new(|task, _| {
        let fails = task.attempt.item.as_str() == "flaky" && task.attempt.attempt == 1;
        outcome_of(task, if fails { Status::Failed } else { Status::Done })
    });
    let mut home = Home::with(flaky).await;
    let clock = HandClock::new();
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    let mut flaky = item("flaky", &[]);
    flaky["retry"] = json!({ "max_attempts": 2, "backoff_seconds": 600 });
    submit(&engine, plan("run", vec![flaky])).await;
    within(async {
        while bodies(home.path(), "item.retried").is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A minute is no leap; more is.
    clock.leap(i64::try_from(CLOCK_JUMP_MS_MIN).unwrap());
    barrier(&engine, "minute").await;
    assert_eq!(jumps(&home), []);
    clock.leap(2 * 3_600_000);
    barrier(&engine, "forth").await;
    assert_eq!(jumps(&home), [(2 * 3_600_000, false)]);
    assert_eq!(states(&engine, "run").await, ["flaky: ready"], "ten minutes have not passed");
    clock.leap(-3_600_000);
    barrier(&engine, "back").await;
    assert_eq!(jumps(&home), [(2 * 3_600_000, false), (3_600_000, true)]);
    // Ten minutes, and up to a quarter of it as jitter.
    clock.turn(13 * 60_000);
    barrier(&engine, "later").await;
    assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
    assert_eq!(jumps(&home).len(), 2);
    check(&engine, &["run"]).await;
    driver.stop().await;
}
