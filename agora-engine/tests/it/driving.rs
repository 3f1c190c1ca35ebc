//! One driver at a time, and the next one at once.

use agora_core::id::ItemId;
use agora_engine::operations::{Until, WatchArgs};

use crate::common::{Home, caller, chain, check, fan_out, item, items, plan, submit, wait_end, within};
use crate::evidence::bodies;

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

#[tokio::test]
async fn when_the_driver_stops_the_next_one_takes_over_at_once() {
    let home = Home::new().await;
    home.compute.hold(&id("held"));
    let (first, second) = (home.open().await, home.open().await);
    let driver = first.drive();
    submit(&first, plan("run", vec![item("quick", &[]), item("held", &[]), item("after", &["held"])])).await;
    within(home.compute.wait_started(&id("held"))).await;
    let next = second.drive();
    assert!(driver.drives() && !next.drives() && second.driven());
    driver.stop().await;
    home.compute.release(&id("held"));
    let state = wait_end(&second, &["run"]).await.remove(0).state;
    assert_eq!(state, "done", "{:?}", items(&second, "run").await.items);
    assert!(next.drives());
    assert_eq!(home.compute.started(), 3, "what ran was taken up, not started again");
    assert_eq!(bodies(home.path(), "attempt.finished").len(), 3);
    check(&first, &["run"]).await;
    next.stop().await;
    assert!(!first.driven());
}

#[tokio::test]
async fn a_driver_that_is_dropped_in_the_middle_is_replaced_again_and_again() {
    let home = Home::new().await;
    let engine = home.open().await;
    let stops: Vec<ItemId> = (1..=5).map(|at| id(&format!("i{}", at * 10))).collect();
    for stop in &stops {
        home.compute.hold(stop);
    }
    submit(&engine, chain("run", 60)).await;
    for stop in &stops {
        let one = home.open().await;
        let driver = one.drive();
        within(home.compute.wait_started(stop)).await;
        // Its box may be known to the journal already or not yet: both happen here.
        drop((driver, one));
        home.compute.release(stop);
    }
    let last = home.open().await;
    let driver = last.drive();
    assert_eq!(wait_end(&last, &["run"]).await[0].state, "done");
    assert_eq!(bodies(home.path(), "item.done").len(), 60, "each was accepted once");
    let finished = bodies(home.path(), "attempt.finished").len();
    assert_eq!(bodies(home.path(), "attempt.leased").len(), finished);
    assert_eq!(home.compute.started(), finished as u64);
    check(&last, &["run"]).await;
    driver.stop().await;
}

/// A watcher hears of the very last commit of another process, which no later one makes up for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_elsewhere_ends_a_watch() {
    let home = Home::new().await;
    let (watching, writing) = (home.open().await, home.open().await);
    for at in 0..40 {
        let run = submit(&watching, fan_out(&format!("run-{at}"), 1)).await;
        let args = WatchArgs {
            run_ids: Some(vec![run.clone()]),
            until: Some(Until::Change),
            wait_seconds: Some(8),
            ..WatchArgs::default()
        };
        let (began, begun) = tokio::sync::oneshot::channel();
        let began = std::sync::Mutex::new(Some(began));
        let tell = move |_| {
            if let Some(began) = began.lock().unwrap().take() {
                let _ = began.send(());
            }
        };
        let watch = async { watching.watch(&caller(), args, &tell).await.unwrap() };
        let change = async {
            begun.await.unwrap();
            let hold = agora_engine::operations::CancelArgs {
                run_id: run.clone(),
                item_id: None,
                mode: Some(agora_engine::operations::CancelMode::Hold),
                drain: None,
                reason: "test".to_owned(),
            };
            writing.cancel(&caller(), hold).await.unwrap();
        };
        let (reply, ()) = tokio::join!(watch, change);
        assert!(!reply.timed_out, "the watch of {run} slept through the commit");
        assert!(reply.waited_ms < 5_000, "it was heard of late: {} ms", reply.waited_ms);
        assert_eq!(reply.events[0].event, "hold.set");
    }
}

/// A detached driver must not outlive its home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_ends_when_its_home_is_removed_or_moved_and_says_so() {
    let aside = tempfile::tempdir().unwrap();
    for moved in [false, true] {
        let home = Home::new().await;
        let engine = home.open().await;
        let driver = engine.drive();
        submit(&engine, plan("run", vec![item("one", &[])])).await;
        assert_eq!(wait_end(&engine, &["run"]).await[0].state, "done");
        // What else comes and goes in it is nothing to the driver.
        std::fs::write(home.path().join("other"), "").unwrap();
        std::fs::remove_file(home.path().join("other")).unwrap();
        submit(&engine, plan("next", vec![item("one", &[])])).await;
        assert_eq!(wait_end(&engine, &["next"]).await[0].state, "done");
        assert!(driver.drives() && driver.failure().is_none());
        match moved {
            true => std::fs::rename(home.path(), aside.path().join("home")).unwrap(),
            false => std::fs::remove_dir_all(home.path()).unwrap(),
        }
        within(driver.ended()).await;
        assert_eq!(driver.failure().unwrap().code, "home-missing");
    }
}
