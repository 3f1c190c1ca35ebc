//! Whatever one driver may play: after every step I2, I3, I4, I7, I8 and the indices hold, and everything ends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::choose::Board;
use crate::choose::index::Spot;
use crate::decide::testing::{
    Planned, Player, Report, enc, item_id, opened, place, planned, run_id, started_record, word,
};
use crate::decide::{self, Force, Refusal};
use crate::id::{Enc, Hash, RunId};
use crate::record::{CancelVia, Entry, HoldMode, Record, RunOutcome};
use crate::state::{Counts, ItemStatus, RunState};
use crate::worker::{AttemptId, Reason};

type Place = (RunId, usize);

/// What must hold after every step, whatever was played.
pub(super) fn check(player: &mut Player) {
    let now = player.now();
    player.board.index.wake_due(now);
    let mut fresh = Board::default();
    let mut held: BTreeMap<Enc, Place> = BTreeMap::new();
    let mut running: BTreeMap<Enc, u64> = BTreeMap::new();
    for run in player.board.runs() {
        fresh.insert(run.clone());
        check_run(run);
        for (ix, item) in run.items.iter().enumerate().filter(|(_, item)| item.status == ItemStatus::Running) {
            *running.entry(run.opened.queue.clone()).or_default() += 1;
            for key in &item.locks {
                assert_eq!(held.insert(key.clone(), (run.id.clone(), ix)), None, "{key} is held twice (I4)");
            }
        }
    }
    for (queue, running) in &running {
        assert!(running <= &player.capacity.queues[queue], "too many run in {queue}");
    }
    fresh.index.wake_due(now);
    same_index(&player.board, &fresh);
    let holders: BTreeSet<&Enc> = player.board.index.locks.holders().keys().collect();
    assert_eq!(holders, held.keys().collect());
    assert_eq!(*player.board.index.all_running(), running);
}

/// What the bytes of the journals add up to is what is in memory, and no result was accepted twice.
fn check_replay(player: &Player) {
    for (id, journal) in &player.journals {
        assert_eq!(player.replay(id), *player.board.run(id).unwrap(), "replay equals live");
        let done: Vec<_> = journal.iter().filter_map(|(bytes, _)| done_item(bytes)).collect();
        assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len(), "accepted twice (I2)");
    }
}

fn done_item(bytes: &[u8]) -> Option<String> {
    match Entry::from_bytes(bytes).unwrap().record {
        Record::ItemDone { item, .. } => Some(item.to_string()),
        _ => None,
    }
}

fn check_run(run: &RunState) {
    let mut counts = Counts::default();
    for item in &run.items {
        counts.enter(item.status);
        let undone = item.depends_on.iter().filter(|dep| run.items[**dep].status != ItemStatus::Done).count();
        assert_eq!(item.undone, undone);
        match item.status {
            ItemStatus::Ready | ItemStatus::Running | ItemStatus::Waiting | ItemStatus::Done => {
                assert_eq!(undone, 0, "{} went ahead of what it depends on (I3)", item.id);
            }
            ItemStatus::Pending => {
                let stuck = item.depends_on.iter().map(|dep| run.items[*dep].status);
                assert!(undone > 0 && stuck.into_iter().all(|s| !s.is_terminal() || s == ItemStatus::Done));
            }
            ItemStatus::Failed | ItemStatus::Skipped | ItemStatus::Cancelled | ItemStatus::Denied => {}
        }
        assert_eq!(item.accepted.is_some(), item.status == ItemStatus::Done);
        assert_eq!(item.lease.is_some(), item.status == ItemStatus::Running);
        assert_eq!(item.ended.len() as u64 + u64::from(item.lease.is_some()), item.attempts);
        assert!(item.ended.is_sorted_by(|one, next| one.finished.fence < next.finished.fence));
    }
    assert_eq!(counts, run.counts);
    assert_eq!(run.is_over(), counts.terminal() == counts.total(), "completed exactly when all are terminal (I8)");
    if let Some((outcome, _)) = run.completed {
        let all_done = counts.of(ItemStatus::Done) == counts.total();
        let expected = match (all_done, run.cancel) {
            (true, _) => RunOutcome::Done,
            (false, Some(_)) => RunOutcome::Cancelled,
            (false, None) => RunOutcome::Failed,
        };
        assert_eq!(outcome, expected);
    }
}

/// A board kept in step and one made anew agree on all but who waits for whom, which is only the order of looking.
fn same_index(live: &Board, fresh: &Board) {
    let unparked = |board: &Board| -> BTreeMap<Place, Spot> {
        let spot = |spot| if spot == Spot::Parked { Spot::Ready } else { spot };
        board.index.spots().into_iter().map(|(place, at)| (place, spot(at))).collect()
    };
    assert_eq!(unparked(live), unparked(fresh));
    assert_eq!(live.index.delayed(), fresh.index.delayed());
    assert_eq!(live.index.locks.holders(), fresh.index.locks.holders());
    assert_eq!(live.index.all_running(), fresh.index.all_running());
    let parked: BTreeSet<Place> =
        live.index.spots().into_iter().filter(|(_, spot)| *spot == Spot::Parked).map(|(place, _)| place).collect();
    let ready: BTreeSet<Place> = live.index.lanes.ready().union(&parked).cloned().collect();
    assert_eq!(ready, fresh.index.lanes.ready());
    assert!(live.index.lanes.listed().is_subset(&fresh.index.lanes.listed()));
    for (id, ix) in &parked {
        let locks = &live.run(id).unwrap().items[*ix].locks;
        assert!(!live.index.locks.may_take(locks, &(id.clone(), *ix)), "{id} {ix} missed its wake-up");
    }
    for (key, queue) in live.index.locks.queues() {
        for (id, ix) in queue.values() {
            let run = live.run(id).unwrap();
            assert!(run.items[*ix].status == ItemStatus::Ready && run.hold.is_none(), "a reservation of {key} in vain");
        }
    }
}

/// No lock-free item of a higher priority was passed over for this one.
fn check_priority(player: &Player, run: &str, item: &str) {
    let granted = player.item(run, item).knobs.priority;
    for other in player.board.runs().filter(|run| run.logged && run.hold.is_none()) {
        if player.capacity.unready.contains(&other.id) {
            continue;
        }
        let slots = player.capacity.queues[&other.opened.queue];
        let taken = player.board.runs().filter(|run| run.opened.queue == other.opened.queue);
        let taken: u64 = taken.map(|run| run.counts.of(ItemStatus::Running)).sum();
        for passed in other.items.iter().filter(|item| item.status == ItemStatus::Ready && item.locks.is_empty()) {
            let target = &player.capacity.executors[&passed.executor];
            let due = passed.not_before.is_none_or(|due| due <= player.now());
            if due && taken < slots && !player.capacity.down.contains_key(target) {
                assert!(passed.knobs.priority <= granted, "{} was passed over for {item}", passed.id);
            }
        }
    }
}

/// A pick among the items of all runs that stand so.
fn pick(player: &Player, arg: usize, wanted: impl Fn(&RunState, usize) -> bool) -> Option<(String, String)> {
    let mut found = Vec::new();
    for run in player.board.runs() {
        let fits = (0..run.items.len()).filter(|ix| wanted(run, *ix));
        found.extend(fits.map(|ix| (run.id.to_string(), run.items[ix].id.to_string())));
    }
    (!found.is_empty()).then(|| found.swap_remove(arg % found.len()))
}

const REPORTS: [Report; 7] = [
    Report::Done,
    Report::Patch,
    Report::Done,
    Report::Fail(Reason::AgentExit),
    Report::Fail(Reason::GateFailed),
    Report::Lost,
    Report::Ask,
];

fn step(player: &mut Player, op: u8, arg: usize) {
    let running = |run: &RunState, ix: usize| run.items[ix].status == ItemStatus::Running;
    let run = player.board.runs().nth(arg % player.board.runs().count()).unwrap().id.to_string();
    match op {
        0..4 => {
            if let Some(grant) = player.next() {
                let (run, item) = (grant.run.to_string(), grant.item);
                let name = player.run(&run).items[item].id.to_string();
                check_priority(player, &run, &name);
                assert_eq!(player.next(), Some(grant), "a choice repeated is the same");
                player.lease();
            }
        }
        4..7 => {
            if let Some((run, item)) = pick(player, arg, running) {
                player.start(&run, &item).unwrap();
            }
        }
        7..11 => {
            if let Some((run, item)) = pick(player, arg, running) {
                player.end(&run, &item, REPORTS[arg % REPORTS.len()]).unwrap();
            }
        }
        11 => {
            let waiting = |run: &RunState, ix: usize| run.items[ix].status == ItemStatus::Waiting;
            if let Some((run, item)) = pick(player, arg, waiting) {
                let question = player.item(&run, &item).question.as_ref().unwrap().asked;
                player.answer(&run, arg.is_multiple_of(2).then_some(item.as_str()), question).unwrap();
                player.answer(&run, Some(&item), question).unwrap_err();
            }
        }
        12 if arg.is_multiple_of(4) => drop(player.cancel(&run, None)),
        12 => {
            if let Some((run, item)) = pick(player, arg, |_, _| true) {
                drop(player.cancel(&run, Some(&item)));
            }
        }
        13 if player.run(&run).hold.is_none() || arg.is_multiple_of(5) => {
            let mode = if arg.is_multiple_of(2) { HoldMode::Drain } else { HoldMode::Park };
            drop(player.play(&run, |state| decide::hold(state, mode, word("later"), None)));
        }
        13 => drop(player.play(&run, decide::release)),
        14 => player.ms += [1, 700, 1_500, 60_000][arg % 4],
        15 if arg.is_multiple_of(3) => {
            if let Some((run, item)) = pick(player, arg, running) {
                stop(player, &run, &item, arg);
            }
        }
        15 => stale(player, arg),
        16 => {
            let target = enc(["local", "remote"][arg % 2]);
            if player.capacity.down.remove(&target).is_none() {
                player.capacity.down.insert(target, "no room".to_owned());
            }
        }
        17 => {
            let state = player.board.remove(&run_id(&run)).unwrap();
            player.board.insert(state);
        }
        _ => {
            let id = run_id(&run);
            if !player.capacity.unready.remove(&id) {
                player.capacity.unready.insert(id);
            }
        }
    }
}

/// The deadline of a running attempt passes, or an operator forces its end, which counts only once the stop is unverified.
fn stop(player: &mut Player, run: &str, item: &str, arg: usize) {
    let now = player.now();
    let unverified = player.item(run, item).is_stop_unverified(now);
    if arg.is_multiple_of(2) {
        let lease = player.item(run, item).lease.clone().unwrap();
        let (run_id, item_id) = (run_id(run), item_id(item));
        let expired = AttemptId { run: run_id, item: item_id, attempt: lease.attempt, fence: lease.fence };
        player.play(run, |state| decide::expire(state, &expired, word("wall"))).unwrap();
        return;
    }
    let force = Force { item: item_id(item), via: CancelVia::Cli, reason: word("forced"), note: None };
    let forced = player.play(run, |state| decide::force(state, force, now));
    assert_eq!(forced.is_ok(), unverified, "{forced:?}");
}

/// What comes from an attempt that is not the running one changes nothing (I7).
fn stale(player: &mut Player, arg: usize) {
    let Some((run, item)) = pick(player, arg, |_, _| true) else { return };
    let over = player.run(&run).is_over();
    let before = player.run(&run).clone();
    let (attempt, fence) = match &before.item(&item_id(&item)).unwrap().lease {
        Some(lease) => (lease.attempt, lease.fence - 1),
        None => (1, 1),
    };
    let refused = player.play(&run, |state| decide::started(state, started_record(&item, attempt, fence)));
    match refused {
        Err(Refusal::Stale { .. }) if !over => {}
        Err(Refusal::Over { .. }) if over => {}
        other => panic!("a stale attempt: {other:?}"),
    }
    let record = Record::AttemptStarted(Box::new(started_record(&item, attempt, fence)));
    let leaf = Hash([9; 32]);
    let now = player.now();
    player.board.apply(&run_id(&run), now.max(before.last_at), leaf, &record).unwrap_err();
    assert_eq!(*player.run(&run), before);
}

/// Ends whatever is open; everything must come to its end.
fn drain(player: &mut Player) {
    player.capacity.down.clear();
    player.capacity.unready.clear();
    let ids: Vec<String> = player.board.runs().map(|run| run.id.to_string()).collect();
    for _ in 0..1_000 {
        for id in &ids {
            if player.run(id).hold.is_some() && !player.run(id).is_over() {
                player.play(id, decide::release).unwrap();
            }
        }
        player.ms += 3_600_000;
        player.lease_all();
        while let Some((run, item)) = pick(player, 0, |run, ix| run.items[ix].status == ItemStatus::Running) {
            player.finish(&run, &item, Report::Done);
        }
        while let Some((run, item)) = pick(player, 0, |run, ix| run.items[ix].status == ItemStatus::Waiting) {
            let question = player.item(&run, &item).question.as_ref().unwrap().asked;
            player.answer(&run, Some(&item), question).unwrap();
        }
        if player.board.runs().all(RunState::is_over) {
            return;
        }
    }
    panic!("something never ends");
}

fn graph() -> impl Strategy<Value = Vec<Planned>> {
    let item = (any::<u16>(), 0..16_u8, 0..3_u8, 1..4_u64, any::<bool>());
    prop::collection::vec(item, 1..10).prop_map(|items| {
        let mut planned_items: Vec<Planned> = Vec::new();
        for (ix, (edges, keys, priority, attempts, other)) in items.into_iter().enumerate() {
            // Few edges: what is all one chain shows nothing.
            let deps: Vec<String> = (0..ix)
                .filter(|dep| edges >> dep & 1 == 1 && edges >> (15 - dep) & 1 == 1)
                .map(|d| format!("i{d}"))
                .collect();
            let deps: Vec<&str> = deps.iter().map(String::as_str).collect();
            let locks: Vec<&str> = ["k0", "k1", "k2", "k3"]
                .into_iter()
                .enumerate()
                .filter(|(at, _)| keys >> at & 1 == 1)
                .map(|(_, k)| k)
                .collect();
            let executor = if other { "other" } else { "dispatch" };
            let made = planned(format!("i{ix}"), &deps).locks(&locks).priority(priority).attempts(attempts);
            planned_items.push(made.executor(executor));
        }
        planned_items
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_played_the_promises_hold_and_everything_ends(
        graphs in prop::collection::vec((graph(), any::<bool>()), 1..4),
        ops in prop::collection::vec((0..19_u8, 0..1_000_usize), 0..70),
    ) {
        let mut player = Player::new(&[("q0", 2), ("q1", 1)]);
        for (ix, (items, second)) in graphs.iter().enumerate() {
            player.open(&format!("run{ix}"), opened(if *second { "q1" } else { "q0" }), items);
        }
        check(&mut player);
        for (ix, (op, arg)) in ops.into_iter().enumerate() {
            step(&mut player, op, arg);
            check(&mut player);
            if ix % 16 == 15 {
                check_replay(&player);
            }
        }
        drain(&mut player);
        check(&mut player);
        check_replay(&player);
        for (id, journal) in &player.journals {
            let kinds: Vec<_> = journal.iter().map(|(bytes, _)| Entry::from_bytes(bytes).unwrap().record.kind()).collect();
            prop_assert_eq!(kinds.iter().filter(|kind| **kind == "run.completed").count(), 1);
            prop_assert_eq!(kinds.last(), Some(&"run.completed"));
            let state = player.board.run(id).unwrap();
            prop_assert_eq!(decide::logged(state, place(99)).unwrap_err(), Refusal::Over { run: id.to_string(), word: state.word() });
        }
    }
}
