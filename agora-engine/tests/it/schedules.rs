//! C14: a schedule that missed slots fires once for the latest; a bad one stops nothing else.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agora_core::id::Name;
use agora_core::time::Time;
use agora_engine::Engine;
use agora_engine::host::{Fault, Host, Step};
use agora_engine::operations::{
    AuditArgs, Caller, LastSlot, OpError, ScheduleArgs, ScheduleReply, ScheduleRow, StatusArgs,
};
use async_trait::async_trait;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{
    HandClock, Home, blobs_text, caller, check, code_of, item, plan, subagent, submit, try_submit, within,
};
use crate::evidence::{entries, log};

const HOUR: i64 = 3_600_000;

/// Half past ten on a Friday.
fn clock() -> HandClock {
    HandClock::at("2026-11-20T10:30:00.000000Z".parse().unwrap())
}

fn operator() -> Caller {
    Caller { all_runs: true, ..caller() }
}

fn simple() -> Value {
    json!({ "items": [item("a", &[])] })
}

pub(crate) async fn try_add(
    engine: &Engine,
    name: &str,
    cron: &str,
    plan: &Value,
    replace: bool,
) -> Result<ScheduleReply, OpError> {
    let plan = plan.to_string();
    let args = ScheduleArgs { name: Name::new(name).unwrap(), cron, zone: "UTC", plan: plan.as_bytes(), replace };
    within(engine.add_schedule(&operator(), args)).await
}

async fn add(engine: &Engine, name: &str, cron: &str) -> ScheduleReply {
    try_add(engine, name, cron, &simple(), false).await.unwrap()
}

async fn list(engine: &Engine, name: &str) -> ScheduleRow {
    let rows = within(engine.schedules()).await.unwrap().schedules;
    rows.into_iter().find(|row| row.name == name).unwrap()
}

/// Waits until this slot of a schedule is decided.
async fn decided(engine: &Engine, name: &str, slot: &str) -> LastSlot {
    let slot = format!("2026-11-{slot}:00.000000Z");
    within(async {
        loop {
            match list(engine, name).await.last {
                Some(last) if last.slot == slot => return last,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// Waits until the run of this slot is done.
async fn done(engine: &Engine, name: &str, slot: &str) -> String {
    within(async {
        loop {
            let last = decided(engine, name, slot).await;
            if last.state.as_deref() == Some("done") {
                return last.run_id.unwrap();
            }
        }
    })
    .await
}

/// The ids of all runs, in the order in which they were opened.
fn opened(home: &Path) -> Vec<String> {
    let opened = log(home).into_iter().filter(|entry| entry["type"] == "run.opened");
    opened.map(|entry| entry["body"]["run"].as_str().unwrap().to_owned()).collect()
}

async fn verified(engine: &Engine, run: &str) {
    check(engine, &[]).await;
    let audit = engine.audit(&operator(), AuditArgs { run_id: run.to_owned(), full: None }).await.unwrap();
    assert_eq!(audit.verdict, "verified", "{:?}", audit.checks);
}

#[tokio::test]
async fn a_slot_opens_a_run_of_its_own_once() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    let schedules = engine.fire_schedules();
    let reply = add(&engine, "hourly", "0 * * * *").await;
    assert_eq!(reply.slots[..2], ["2026-11-20T11:00:00.000000Z", "2026-11-20T12:00:00.000000Z"]);
    let row = list(&engine, "hourly").await;
    assert_eq!((row.next.as_deref(), row.due, row.last), (Some("2026-11-20T11:00:00.000000Z"), None, None));
    for slot in ["20T11:00", "20T12:00"] {
        clock.turn(HOUR);
        assert_eq!(done(&engine, "hourly", slot).await, format!("hourly@2026-11-{slot}Z"));
    }
    // Another process on the same store finds nothing left to do.
    drop(schedules);
    let other = home.open().await;
    let schedules = other.fire_schedules();
    clock.turn(HOUR);
    let last = done(&engine, "hourly", "20T13:00").await;
    assert_eq!(opened(home.path()).len(), 3);
    let first: Value = serde_json::from_slice(&entries(home.path())[0]).unwrap();
    assert_eq!(first["actor"], "schedule:hourly");
    assert_eq!((&first["auth"]["how"], &first["auth"]["rule"]), (&json!("schedule"), &json!("owner")));
    verified(&engine, &last).await;
    // It is nobody's run but the schedule's: who does not see all runs does not see it.
    let args = StatusArgs { run_id: Some(last.clone()), ..StatusArgs::default() };
    assert_eq!(code_of(engine.status(&caller(), args.clone()).await), "run-unknown");
    assert!(engine.status(&operator(), args).await.is_ok());
    drop(schedules);
    driver.stop().await;
}

#[tokio::test]
async fn of_missed_slots_the_latest_fires_once() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    add(&engine, "hourly", "0 * * * *").await;
    add(&engine, "yearly", "0 0 1 1 *").await;
    // A driver alone waits for no slot.
    clock.turn(30 * HOUR);
    assert_eq!(list(&engine, "hourly").await.due.as_deref(), Some("2026-11-21T16:00:00.000000Z"));
    let schedules = engine.fire_schedules();
    done(&engine, "hourly", "21T16:00").await;
    clock.turn(HOUR);
    done(&engine, "hourly", "21T17:00").await;
    assert_eq!(opened(home.path()), ["hourly@2026-11-21T16:00Z", "hourly@2026-11-21T17:00Z"]);
    drop(schedules);
    driver.stop().await;
}

#[tokio::test]
async fn a_clock_that_leaps_decides_no_slot_again() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    let schedules = engine.fire_schedules();
    add(&engine, "hourly", "0 * * * *").await;
    clock.turn(HOUR);
    done(&engine, "hourly", "20T11:00").await;
    clock.leap(-2 * HOUR);
    assert!(list(&engine, "hourly").await.problem.is_some_and(|problem| problem.code == "schedule-ahead"));
    clock.turn(HOUR);
    clock.turn(HOUR);
    // Eleven came again; what comes next is noon.
    clock.leap(5 * HOUR);
    done(&engine, "hourly", "20T16:00").await;
    assert_eq!(list(&engine, "hourly").await.problem, None);
    assert_eq!(opened(home.path()), ["hourly@2026-11-20T11:00Z", "hourly@2026-11-20T16:00Z"]);
    drop(schedules);
    driver.stop().await;
}

#[tokio::test]
async fn a_bad_schedule_stops_nothing_else_and_is_seen() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let template = blobs_text(&home.blobs, "{{ prompt }}").await;
    home.registry.put("subagent", "leaver", subagent(&template)).await;
    home.registry.publish().await;
    let engine = home.open().await;
    let driver = engine.drive();
    let plan =
        json!({ "items": [{ "id": "a", "inputs": { "subagent": "leaver", "workerInput": { "prompt": "x" } } }] });
    try_add(&engine, "a-left", "0 * * * *", &plan, false).await.unwrap();
    add(&engine, "b-broken", "0 * * * *").await;
    add(&engine, "c-good", "0 * * * *").await;
    home.registry.remove("subagent", "leaver");
    home.registry.publish().await;
    let store = Connection::open(home.path().join("store.db")).unwrap();
    store.execute("UPDATE schedules SET cron = 'never' WHERE name = 'b-broken'", []).unwrap();
    let schedules = engine.fire_schedules();
    for slot in ["20T11:00", "20T12:00"] {
        clock.turn(HOUR);
        done(&engine, "c-good", slot).await;
        let left = decided(&engine, "a-left", slot).await;
        assert_eq!((left.run_id, left.problems[0].code.as_str()), (None, "subagent-unknown"));
    }
    let broken = list(&engine, "b-broken").await;
    assert_eq!((broken.problem.unwrap().code.as_str(), broken.next, broken.last), ("schedule-cron", None, None));
    // It comes back by itself.
    home.registry.put("subagent", "leaver", subagent(&template)).await;
    home.registry.publish().await;
    clock.turn(HOUR);
    done(&engine, "a-left", "20T13:00").await;
    drop(schedules);
    driver.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once_and_nothing_is_kept() {
    let home = Home::new().await;
    let engine = home.open().await;
    let plan = json!({ "id": "mine", "items": [{ "id": "a", "inputs": { "subagent": "nobody" } }] });
    let error = try_add(&engine, "all", "61 * * * *", &plan, false).await.unwrap_err();
    let codes: Vec<&str> = error.problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["schedule-cron", "schedule-plan-id", "subagent-unknown"]);
    assert_eq!(code_of(try_add(&engine, "never", "0 0 30 2 *", &simple(), false).await), "schedule-never");
    assert_eq!(within(engine.schedules()).await.unwrap().schedules, []);
    // Allowed: the same without what is wrong, and once.
    add(&engine, "all", "0 * * * *").await;
    assert_eq!(code_of(try_add(&engine, "all", "5 * * * *", &simple(), false).await), "schedule-exists");
    assert_eq!(list(&engine, "all").await.cron, "0 * * * *");
    assert!(try_add(&engine, "all", "5  * * * *", &simple(), true).await.unwrap().replaced);
    assert_eq!(list(&engine, "all").await.cron, "5 * * * *");
    assert_eq!(code_of(engine.remove_schedule("al").await), "schedule-unknown");
    engine.remove_schedule("all").await.unwrap();
    assert_eq!(within(engine.schedules()).await.unwrap().schedules, []);
    assert_eq!(opened(home.path()), [""; 0]);
}

#[tokio::test]
async fn nobody_takes_the_place_of_a_run_that_is_to_come() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let engine = home.open().await;
    let driver = engine.drive();
    let taken = |slot: &str| plan(&format!("hourly@2026-11-20T{slot}Z"), vec![item("mine", &[])]);
    // Allowed before there is a schedule; then its slot is refused, and seen.
    submit(&engine, taken("12:00")).await;
    add(&engine, "hourly", "0 * * * *").await;
    assert_eq!(code_of(try_submit(&engine, taken("11:00")).await), "run-conflict");
    assert!(try_submit(&engine, taken("12:00")).await.unwrap().deduplicated);
    submit(&engine, plan("other@2026-11-20T11:00Z", vec![item("mine", &[])])).await;
    let schedules = engine.fire_schedules();
    clock.turn(HOUR);
    done(&engine, "hourly", "20T11:00").await;
    clock.turn(HOUR);
    assert_eq!(decided(&engine, "hourly", "20T12:00").await.problems[0].code, "run-conflict");
    clock.turn(HOUR);
    done(&engine, "hourly", "20T13:00").await;
    drop(schedules);
    driver.stop().await;
}

/// What happens at the next such step.
type Hook = (Step, Box<dyn FnOnce() -> Result<(), Fault> + Send>);

/// A machine on which something happens between two lines.
#[derive(Clone)]
struct Hooked {
    clock: HandClock,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Hooked {
    fn new(clock: &HandClock) -> Self {
        Self { clock: clock.clone(), hook: Arc::default() }
    }

    fn set(&self, step: Step, hook: impl FnOnce() -> Result<(), Fault> + Send + 'static) {
        *self.hook.lock().unwrap() = Some((step, Box::new(hook)));
    }

    fn is_set(&self) -> bool {
        self.hook.lock().unwrap().is_some()
    }
}

#[async_trait]
impl Host for Hooked {
    fn now(&self) -> Time {
        self.clock.now()
    }
    fn steady(&self) -> Duration {
        self.clock.steady()
    }
    async fn reached(&self, time: Time) {
        self.clock.reached(time).await;
    }
    fn at(&self, step: Step) -> Result<(), Fault> {
        let hook = self.hook.lock().unwrap().take_if(|(at, _)| *at == step);
        hook.map_or(Ok(()), |(_, hook)| hook())
    }
}

#[tokio::test]
async fn a_crash_on_either_side_of_the_commit_loses_and_doubles_nothing() {
    for (step, opened_by_then) in [(Step::Begin, 0), (Step::Commit, 0), (Step::Committed, 1)] {
        let (mut home, clock) = (Home::new().await, clock());
        let machine = Hooked::new(&clock);
        home.set_clock(machine.clone());
        let dying = home.open().await;
        add(&dying, "hourly", "0 * * * *").await;
        clock.turn(HOUR);
        let row = list(&dying, "hourly").await;
        assert_eq!(row.due.as_deref(), Some("2026-11-20T11:00:00.000000Z"));
        machine.set(step, || Err(Fault::Gone));
        let schedules = dying.fire_schedules();
        within(async {
            while machine.is_set() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // What the journal was asked for before this is over.
        list(&dying, "hourly").await;
        assert_eq!(opened(home.path()).len(), opened_by_then, "{step:?}");
        drop((schedules, dying));
        let next = home.open().await;
        let (driver, schedules) = (next.drive(), next.fire_schedules());
        let run = done(&next, "hourly", "20T11:00").await;
        clock.turn(HOUR);
        done(&next, "hourly", "20T12:00").await;
        assert_eq!(opened(home.path()), ["hourly@2026-11-20T11:00Z", "hourly@2026-11-20T12:00Z"], "{step:?}");
        verified(&next, &run).await;
        drop(schedules);
        driver.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_open_one_run() {
    let (mut home, clock) = (Home::new().await, clock());
    home.set_clock(clock.clone());
    let (one, two) = (home.open().await, home.open().await);
    let driver = one.drive();
    for name in ["a", "b", "c", "d"] {
        add(&one, name, "0 * * * *").await;
    }
    let both = (one.fire_schedules(), two.fire_schedules());
    for slot in ["20T11:00", "20T12:00", "20T13:00"] {
        clock.turn(HOUR);
        for name in ["a", "b", "c", "d"] {
            done(&two, name, slot).await;
        }
    }
    let mut runs = opened(home.path());
    runs.sort();
    runs.dedup();
    assert_eq!((runs.len(), opened(home.path()).len()), (12, 12));
    drop(both);
    driver.stop().await;
}

#[tokio::test]
async fn a_schedule_that_goes_while_its_slot_is_fired_opens_nothing() {
    for (change, left) in [
        ("DELETE FROM schedules WHERE name = 'hourly'", 0),
        ("UPDATE schedules SET key = 99, decided = decided + 3600000000 WHERE name = 'hourly'", 1),
    ] {
        let (mut home, clock) = (Home::new().await, clock());
        let machine = Hooked::new(&clock);
        home.set_clock(machine.clone());
        let engine = home.open().await;
        let driver = engine.drive();
        add(&engine, "hourly", "0 * * * *").await;
        add(&engine, "later", "30 11 * * *").await;
        clock.turn(HOUR / 2);
        let path = home.path().join("store.db");
        // The plan is checked by now, and nothing is committed yet.
        machine.set(Step::Begin, move || {
            Connection::open(path).unwrap().execute(change, []).unwrap();
            Ok(())
        });
        let schedules = engine.fire_schedules();
        within(async {
            while machine.is_set() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        clock.turn(HOUR / 2);
        done(&engine, "later", "20T11:30").await;
        assert_eq!(opened(home.path()), ["later@2026-11-20T11:30Z"]);
        assert_eq!(within(engine.schedules()).await.unwrap().schedules.len(), 1 + left);
        drop(schedules);
        driver.stop().await;
    }
}
