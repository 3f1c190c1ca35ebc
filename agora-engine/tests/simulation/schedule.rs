//! One schedule: processes come, work, die and come back while everything breaks; then nothing breaks any more and every run
//! must end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agora_core::id::{ItemId, RunId};
use agora_core::worker::AttemptId;
use agora_engine::{Engine, Options};
use agora_testkit::simulation::{Chaos, Life};
use tokio::task::JoinSet;

use super::client::Desk;
use super::common::{Home, check, tell_all};
use super::invariants::{Checker, QUEUES};
use super::machine::{Process, World};
use super::plans;

/// The longest that a calm world may take to end all runs: far beyond every deadline and back-off of theirs.
const CALM: Duration = Duration::from_secs(12 * 3600);

/// The longest that a stop may take in a calm world, with what a provider that hung before delays it.
const STOPPED: Duration = Duration::from_secs(30 * 60);

/// Plays a schedule.
///
/// # Panics
/// When an invariant is broken.
pub(crate) async fn play(chaos: Chaos) {
    let plans: Vec<_> = (0..1 + chaos.below(3) as usize).map(|at| plans::draw(&chaos, at)).collect();
    let checker = Arc::new(Checker::new(&plans));
    let memory = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm").to_owned() } else { std::env::temp_dir() };
    let home = Home::new_in(&memory).await;
    let queues = QUEUES.map(|(name, most)| format!("[queues.{name}]\nconcurrency = {most}\n")).concat();
    // The last of them.
    let queues = format!("{queues}pattern = \"pipeline\"\n");
    std::fs::write(home.path().join("agora.toml"), format!("{queues}[targets.local]\nprofiles = [\"none\"]\n"))
        .unwrap();
    let world = World::new(chaos.clone(), home.memory.clone(), Arc::clone(&checker));
    // The store is there before clients come; whoever made it may have died of it.
    while Engine::open(options(home.path(), &Process { world: world.clone(), life: Life::default() })).await.is_err() {}
    checker.open(&home.path().join("store.db"));
    let desk = Desk { plans: Arc::new(plans), acknowledged: Arc::default(), world: world.clone() };

    let over = Life::default();
    let mut processes = JoinSet::new();
    for _ in 0..=chaos.below(5) {
        processes.spawn(incarnations(home.path().to_owned(), desk.clone(), over.clone()));
    }
    let turns = world.clone();
    processes.spawn(async move {
        loop {
            tokio::time::sleep(turns.chaos.pause(60_000)).await;
            if turns.chaos.strikes("clock-jump", 300) {
                turns.turn_clock(i64::from(turns.chaos.below(7_200_000)) - 3_600_000);
            }
            if turns.chaos.is_calm() {
                std::future::pending::<()>().await;
            }
        }
    });
    let stormy = Duration::from_secs(20) + chaos.pause(120_000);
    tokio::select! {
        biased;
        why = checker.broken() => panic!("{why}"),
        () = tokio::time::sleep(stormy) => {}
    }
    chaos.step("calm");
    // What is under way then tells a story too.
    tell_all(home.path());
    chaos.calm_down();
    tokio::select! {
        biased;
        why = checker.broken() => panic!("{why}"),
        left = overdue(&desk) => panic!("asked to stop, and they go on: {left:?}"),
        ended = tokio::time::timeout(CALM, settle(home.path(), &desk)) => {
            if ended.is_err() {
                let process = Process { world: world.clone(), life: Life::default() };
                let engine = Engine::open(options(home.path(), &process)).await.unwrap();
                panic!("I12: in a calm world not every run ends:\n{}", desk.why(&engine).await);
            }
        }
    }
    over.kill();
    while processes.len() > 1 {
        processes.join_next().await;
    }
    processes.shutdown().await;
    finish(home.path(), &desk).await;
}

fn options(home: &Path, process: &Process) -> Options {
    let process = Arc::new(process.clone());
    Options { host: process.clone(), ..Options::new(home.to_owned(), process) }
}

/// One process after another in the place of one client.
async fn incarnations(home: std::path::PathBuf, desk: Desk, over: Life) {
    let chaos = desk.world.chaos.clone();
    while over.lives() {
        let life = Life::default();
        let process = Process { world: desk.world.clone(), life: life.clone() };
        chaos.step("a process begins");
        if let Ok(engine) = Engine::open(options(&home, &process)).await {
            let driver = engine.drive();
            let mut client = JoinSet::new();
            client.spawn(desk.clone().work(Arc::clone(&engine)));
            let ends = async {
                loop {
                    tokio::time::sleep(chaos.pause(60_000)).await;
                    if chaos.strikes("crash-any-time", 300) {
                        break false;
                    }
                    if chaos.strikes("orderly-stop", 200) {
                        break true;
                    }
                    if chaos.strikes("client-gone", 200) {
                        client.shutdown().await;
                        client.spawn(desk.clone().work(Arc::clone(&engine)));
                    }
                }
            };
            let orderly = tokio::select! {
                biased;
                () = life.killed() => false,
                () = driver.ended() => true,
                orderly = ends => orderly,
                () = over.killed() => true,
            };
            if orderly {
                driver.stop().await;
            } else {
                life.kill();
                drop(driver);
            }
        }
        life.kill();
        tokio::time::sleep(chaos.pause(3_000)).await;
    }
}

/// Returns, if ever, what was asked to stop before the calm and still runs a while later, though it can be stopped: whoever
/// drives by then has to know of it.
async fn overdue(desk: &Desk) -> Vec<AttemptId> {
    let asked = desk.world.checker.stopping();
    tokio::time::sleep(STOPPED).await;
    let (stopping, unstoppable) = (desk.world.checker.stopping(), desk.world.boxes.unstoppable());
    let left: Vec<_> = asked.into_iter().filter(|at| stopping.contains(at) && !unstoppable.contains(at)).collect();
    if left.is_empty() { std::future::pending().await } else { left }
}

/// In a calm world: submits what was never acknowledged, answers and releases, until every run is over and sealed.
async fn settle(home: &Path, desk: &Desk) {
    let process = Process { world: desk.world.clone(), life: Life::default() };
    let engine = Engine::open(options(home, &process)).await.unwrap();
    let mut pause = Duration::from_secs(5);
    loop {
        for plan in desk.plans.iter() {
            desk.submit(&engine, plan).await;
            for at in 0..plan.growth.len() {
                desk.extend(&engine, plan, at).await;
            }
            if plan.is_open_ended() {
                desk.close(&engine, plan).await;
            }
        }
        desk.settle(&engine).await;
        let runs = desk.runs(&engine).await;
        if runs.len() == desk.plans.len() && runs.iter().all(|run| run.sealed) && desk.world.checker.all_completed() {
            return;
        }
        // Most runs end at once; some have work of hours.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(300));
    }
}

/// What must hold at the end: a driver sweeps, and everything agrees with everything.
async fn finish(home: &Path, desk: &Desk) {
    let process = Process { world: desk.world.clone(), life: Life::default() };
    let engine = Engine::open(options(home, &process)).await.unwrap();
    desk.world.boxes.all_stoppable();
    // As of a run that was forced to its end, or of a store that is another by now.
    let stray =
        AttemptId { run: RunId::new("stray").unwrap(), item: ItemId::new("stray").unwrap(), attempt: 1, fence: 1 };
    desk.world.boxes.stray(&stray, home.join("attempts").join(stray.folder_name()));
    let driver = engine.drive();
    assert!(driver.idle().await, "the last driver does not come to rest");
    let swept = tokio::time::timeout(CALM, desk.world.boxes.none_left()).await;
    assert!(swept.is_ok(), "I10: boxes without a lease: {:?}", desk.world.boxes.running());
    driver.stop().await;
    let ids: Vec<&str> = desk.plans.iter().map(|plan| plan.id.as_str()).collect();
    check(&engine, &ids).await;
    let left: Vec<_> = std::fs::read_dir(home.join("attempts")).into_iter().flatten().collect();
    assert!(left.is_empty(), "attempts are left behind: {left:?}");
    for (attempt, starts) in desk.world.boxes.starts() {
        assert_eq!(starts, 1, "C05: {attempt:?} was started again");
        let leased = desk.world.checker.leased(attempt.run.as_str(), attempt.item.as_str());
        assert!(attempt.attempt <= leased, "a box without a lease: {attempt:?}");
    }
}
