//! C08: locks are taken all or none, across runs, queues and executors, and nobody starves.

use agora_core::id::ItemId;
use serde_json::{Value, json};

use crate::common::{Home, check, fan_out, item, items, plan, states, submit, wait_end, within};

fn locked(id: &str, locks: &[&str]) -> Value {
    let mut item = item(id, &[]);
    item["resourceLocks"] = json!(locks);
    item
}

fn running(home: &Home) -> Vec<String> {
    let mut items: Vec<String> = home.compute.running().iter().map(|attempt| attempt.item.to_string()).collect();
    items.sort();
    items
}

#[tokio::test]
async fn one_key_has_one_holder_across_runs_queues_and_executors() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    let mut second = plan("second", vec![locked("b", &["key"]), item("free-b", &[])]);
    second["queue"] = json!("other");
    let mut elsewhere = locked("c", &["key", "more"]);
    elsewhere["executor"] = json!("second");
    for plan in
        [plan("first", vec![locked("a", &["key"]), item("free-a", &[])]), second, plan("third", vec![elsewhere])]
    {
        submit(&engine, plan).await;
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        within(home.compute.wait_running(3)).await;
        let holders: Vec<String> = running(&home).into_iter().filter(|id| !id.starts_with("free")).collect();
        assert_eq!(holders.len(), 1, "{holders:?}");
        for (run, id) in [("first", "a"), ("second", "b"), ("third", "c")] {
            let row = items(&engine, run).await.items.remove(0);
            let waits = row.state == "ready" && row.blocked_by.iter().any(|why| why.contains("key"));
            assert!(waits || row.state == "running" || order.contains(&id.to_owned()), "{row:?}");
        }
        home.compute.release(&ItemId::new(holders[0].clone()).unwrap());
        order.extend(holders);
    }
    home.compute.release_all();
    wait_end(&engine, &["first", "second", "third"]).await;
    order.sort();
    assert_eq!(order, ["a", "b", "c"]);
    check(&engine, &["first", "second", "third"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn who_waits_for_many_keys_is_not_overtaken_by_who_wants_one() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    let all = vec![locked("small", &["a"]), locked("large", &["a", "b"]), locked("late", &["b"]), item("free", &[])];
    submit(&engine, plan("run", all)).await;
    within(home.compute.wait_running(2)).await;
    // A later run would take b now, if b were not reserved.
    submit(&engine, plan("later", vec![locked("later", &["b"]), item("free-2", &[])])).await;
    within(home.compute.wait_running(3)).await;
    assert_eq!(running(&home), ["free", "free-2", "small"]);
    for (ends, next) in [("small", "large"), ("large", "late"), ("late", "later")] {
        home.compute.release(&ItemId::new(ends).unwrap());
        within(home.compute.wait_started(&ItemId::new(next).unwrap())).await;
        assert_eq!(running(&home), ["free", "free-2", next]);
    }
    home.compute.release_all();
    wait_end(&engine, &["run", "later"]).await;
    check(&engine, &["run", "later"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn disjoint_keys_fan_out_and_queues_have_their_slots() {
    let home = Home::new().await;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    let disjoint = (0..20).map(|at| locked(&format!("i{at}"), &[&format!("key-{at}")])).collect();
    submit(&engine, plan("wide", disjoint)).await;
    within(home.compute.wait_running(20)).await;
    let mut narrow = fan_out("narrow", 5);
    narrow["queue"] = json!("other");
    submit(&engine, narrow).await;
    within(home.compute.wait_running(22)).await;
    let waiting = states(&engine, "narrow").await.iter().filter(|state| state.ends_with("ready")).count();
    assert_eq!(waiting, 3, "the queue has two slots");
    home.compute.release_all();
    wait_end(&engine, &["wide", "narrow"]).await;
    check(&engine, &["wide", "narrow"]).await;
    driver.stop().await;
}
