//! Large runs (C12): the number of records and choices grows with the items alone, and nothing in between is so slow that
//! a debug build would not be done in seconds.

use crate::decide::testing::{Planned, Player, Report, opened, planned};

/// Plays a run to its end, many at a time; how many records and choices that took.
fn play(queue_slots: u64, runs: usize, items: impl Fn(usize) -> Vec<Planned>) -> (usize, usize) {
    let mut player = Player::new(&[("q0", queue_slots)]);
    player.bytes = false;
    for run in 0..runs {
        player.open(&format!("run{run}"), opened("q0"), &items(run));
    }
    let mut choices = 0;
    let mut running = std::collections::VecDeque::new();
    loop {
        while let Some(leased) = player.lease() {
            choices += 1;
            running.push_back(leased);
        }
        choices += 1;
        player.effects.clear();
        let Some((run, item)) = running.pop_front() else { break };
        player.finish(&run, &item, Report::Done);
    }
    assert!(player.board.runs().all(|run| run.word() == "done"));
    (player.records, choices)
}

fn chain(len: usize) -> Vec<Planned> {
    let id = |ix: usize| format!("i{ix}");
    let item = |ix: usize| match ix.checked_sub(1) {
        Some(before) => planned(id(ix), &[&id(before)]),
        None => planned(id(ix), &[]),
    };
    (0..len).map(item).collect()
}

#[test]
fn ten_thousand_independent_items_cost_ten_times_a_thousand() {
    let independent = |len: usize| move |_| (0..len).map(|ix| planned(format!("i{ix}"), &[])).collect();
    let (records, choices) = play(8, 1, independent(1_000));
    let (ten_records, ten_choices) = play(8, 1, independent(10_000));
    assert!(ten_records <= 10 * records && ten_choices <= 10 * choices, "{ten_records} {ten_choices}");
    assert_eq!(ten_choices, 2 * 10_000 + 1, "one choice a lease, one in vain after each end");
}

#[test]
fn a_chain_of_twenty_thousand_runs_to_its_end() {
    let (records, choices) = play(8, 1, |_| chain(20_000));
    // Ready, leased, started, finished and done for each; a few for the run and its items.
    assert!((5 * 20_000..5 * 20_000 + 100).contains(&records), "{records}");
    assert_eq!(choices, 2 * 20_000 + 1);
}

#[test]
fn ten_thousand_items_that_share_a_lock_go_one_after_another() {
    let shared = |_| (0..10_000).map(|ix| planned(format!("i{ix}"), &[]).locks(&["one"])).collect();
    let (_, choices) = play(8, 1, shared);
    assert_eq!(choices, 2 * 10_000 + 1);
}

#[test]
fn many_small_runs_cost_no_more_than_one_large_one() {
    let (records, _) = play(8, 1_000, |_| chain(5));
    assert_eq!(records, 1_000 * (5 * 5 + 3), "items, logged, completed beside five for each item");
}

#[test]
fn a_wide_join_is_no_more_than_its_edges() {
    let wide = |_| {
        let ids: Vec<String> = (0..5_000).map(|ix| format!("i{ix}")).collect();
        let all: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut items: Vec<Planned> = ids.iter().map(|id| planned(id.clone(), &[])).collect();
        items.push(planned("join", &all));
        items.extend((0..5_000).map(|ix| planned(format!("after{ix}"), &["join"])));
        items
    };
    let (records, _) = play(8, 1, wide);
    assert!(records < 5 * 10_001 + 200, "{records}");
}
