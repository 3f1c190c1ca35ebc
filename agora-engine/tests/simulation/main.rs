//! Random schedules of the whole engine, each from one seed: real core, journal, loop and operations on a simulated machine
//! with one to five processes that die and come back, over a world in which everything fails now and then. After every
//! commit the invariants of `docs/architecture.md` hold; when the faults stop, every run ends.
//!
//! `AGORA_SCHEDULES=10000` says how many, `AGORA_SEED=…` where they begin. A violation prints its seed and its last steps;
//! `AGORA_SEED=that AGORA_SCHEDULES=1` plays it again.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

mod client;
#[expect(dead_code, unused_imports, reason = "other tests use more of it")]
#[path = "../common/mod.rs"]
mod common;
mod invariants;
mod machine;
mod plans;
mod schedule;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use agora_testkit::simulation::Chaos;

/// How many schedules a plain test run plays.
const SCHEDULES: u64 = 200;
/// The schedule in which one fault after the other strikes: two runs, a question, a cancel.
const SWEEP_SEED: u64 = 3;
/// Every kind of fault: one that never strikes is no test.
const KINDS: [&str; 43] = [
    "agent-approves",
    "answer-approval",
    "answer-stale",
    "blob-full",
    "blob-read",
    "cancel",
    "client-gone",
    "clock-jump",
    "close",
    "crash-after-commit",
    "crash-after-effect",
    "crash-any-time",
    "crash-before-commit",
    "crash-before-effect",
    "disk-failed",
    "disk-full",
    "end-told-twice",
    "extend",
    "extend-otherwise",
    "force-too-early",
    "forced",
    "hold",
    "launch-fails",
    "launch-fails-late",
    "launch-hangs",
    "launch-hangs-late",
    "list-fails",
    "list-slow",
    "orderly-stop",
    "outcome-cancelled-by-nobody",
    "outcome-of-another-fence",
    "park",
    "reject",
    "remove-fails",
    "stop-never",
    "stop-slow",
    "stop-unproven",
    "store-busy",
    "store-read",
    "target-down",
    "wait-fails",
    "worker-hung",
    "worker-lost",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

thread_local! {
    /// The first panic of this thread, also in a task that nobody waits for.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Plays one schedule on a runtime of its own; returns what struck and what tells it from others.
fn play(seed: u64) -> (BTreeMap<&'static str, u64>, u64, u64) {
    play_as(&Chaos::new(seed), &format!("seed {seed}"))
}

fn play_as(chaos: &Chaos, name: &str) -> (BTreeMap<&'static str, u64>, u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(schedule::play(chaos.clone()))));
    drop(runtime);
    let panicked = PANIC.with(RefCell::take);
    if played.is_err() || panicked.is_some() {
        let steps = chaos.last_steps().join("\n");
        panic!("{name}, step {}: {}\nthe last steps:\n{steps}", chaos.steps(), panicked.unwrap_or_default());
    }
    (chaos.fired(), chaos.trace(), chaos.steps())
}

/// Remembers every panic: a task's own would otherwise end with the task.
fn hear_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANIC.with_borrow_mut(|first| first.get_or_insert_with(|| info.to_string()).len());
        before(info);
    }));
}

#[test]
fn whatever_dies_nothing_is_lost() {
    let (first, count) = (number("AGORA_SEED", 1), number("AGORA_SCHEDULES", SCHEDULES));
    let (next, steps, fired) = (AtomicU64::new(first), AtomicU64::new(0), Mutex::new(BTreeMap::<&str, u64>::new()));
    hear_panics();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let (struck, _, took) = play(seed);
                    steps.fetch_add(took, Ordering::Relaxed);
                    let mut fired = fired.lock().unwrap();
                    for (kind, times) in struck {
                        *fired.entry(kind).or_default() += times;
                    }
                }
            });
        }
    });
    let (fired, steps) = (fired.into_inner().unwrap(), steps.into_inner());
    eprintln!("{count} schedules from seed {first}, {steps} steps, faults: {fired:?}");
    let unknown: Vec<_> = fired.keys().filter(|kind| !KINDS.contains(kind)).collect();
    assert!(unknown.is_empty(), "kinds that nobody counts: {unknown:?}");
    // Rare kinds may be missing from a few hundred schedules of other seeds.
    if count >= 5_000 || (first, count) == (1, SCHEDULES) {
        let never: Vec<_> = KINDS.iter().filter(|kind| !fired.contains_key(*kind)).collect();
        assert!(never.is_empty(), "kinds of fault that never struck: {never:?}");
    }
}

#[test]
fn a_seed_plays_the_same_schedule_again() {
    for seed in 1..=5 {
        let (first, again) = (play(seed), play(seed));
        assert_eq!(first, again, "seed {seed}");
    }
}

/// C04: one fault at a time, at every step that writes, reads or acts: nothing hangs on luck.
#[test]
fn a_fault_at_any_one_step_loses_nothing() {
    const SWEPT: [&str; 10] = [
        "blob-full",
        "blob-read",
        "crash-after-commit",
        "crash-after-effect",
        "crash-before-commit",
        "crash-before-effect",
        "disk-failed",
        "disk-full",
        "store-busy",
        "store-read",
    ];
    hear_panics();
    let next = AtomicU64::new(0);
    let steps = Mutex::new(BTreeMap::<&str, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(kind) = SWEPT.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
                    let mut chance = 0;
                    while play_as(&Chaos::with_one_fault(SWEEP_SEED, kind, chance), &format!("{kind} {chance}"))
                        .0
                        .contains_key(kind)
                    {
                        chance += 1;
                    }
                    steps.lock().unwrap().insert(kind, chance);
                }
            });
        }
    });
    let steps = steps.into_inner().unwrap();
    eprintln!("one fault at each of these steps: {steps:?}");
    assert!(steps.len() == SWEPT.len() && steps.values().all(|count| *count >= 5), "{steps:?}");
}
