//! Order, fairness and locks, case by case (C08).

use super::play::check;
use crate::decide;
use crate::decide::testing::{Planned, Player, Report, enc, opened, planned, terms, word};
use crate::record::HoldMode;
use crate::worker::Reason;

#[test]
fn two_runs_of_one_priority_take_turns_whatever_their_size() {
    let mut player = Player::new(&[("q0", 1)]);
    let large: Vec<Planned> = (0..6).map(|ix| planned(format!("a{ix}"), &[])).collect();
    let small: Vec<Planned> = (0..3).map(|ix| planned(format!("b{ix}"), &[])).collect();
    player.open("large", opened("q0"), &large);
    player.open("small", opened("q0"), &small);
    let mut order = Vec::new();
    while let Some((run, item)) = player.lease() {
        player.finish(&run, &item, Report::Done);
        order.push(item);
    }
    assert_eq!(order, ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "a4", "a5"]);
}

#[test]
fn within_a_run_priority_comes_first_and_then_plan_order_across_executors() {
    let mut player = Player::new(&[("q0", 1)]);
    let items = [
        planned("z-first", &[]).executor("other"),
        planned("second", &[]),
        planned("third", &[]).executor("other"),
        planned("urgent", &[]).priority(9),
    ];
    player.open("run", opened("q0"), &items);
    let mut order = Vec::new();
    while let Some((run, item)) = player.lease() {
        player.finish(&run, &item, Report::Done);
        order.push(item);
    }
    assert_eq!(order, ["urgent", "z-first", "second", "third"]);
}

#[test]
fn a_holder_of_many_locks_is_not_starved_by_a_stream_of_holders_of_one() {
    let mut player = Player::new(&[("q0", 4)]);
    let keys: Vec<String> = (0..4).map(|ix| format!("k{ix}")).collect();
    let small: Vec<Planned> =
        (0..80).map(|ix| planned(format!("small{ix}"), &[]).locks(&[keys[ix % 4].as_str()])).collect();
    player.open("a-stream", opened("q0"), &small);
    let all: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut running = player.lease_all();
    assert_eq!(running.len(), 4);
    player.open("b-large", opened("q0"), &[planned("large", &[]).locks(&all)]);
    let mut before = 0;
    while !running.contains(&"large".to_owned()) {
        // One at a time: a slot and a key are free at every moment, and all four keys never are by luck.
        let item = running.remove(0);
        player.finish("a-stream", &item, Report::Done);
        running.extend(player.lease_all());
        before += 1;
        assert!(before <= 24, "the large one starves");
    }
    assert_eq!(running, ["large"], "all or none");
}

#[test]
fn what_cannot_start_anyway_reserves_no_lock() {
    let setup = || {
        let mut player = Player::new(&[("q0", 4)]);
        player.open("a", opened("q0"), &[planned("holder", &[]).locks(&["x"])]);
        assert_eq!(player.lease_all(), ["holder"]);
        player.open("b", opened("q0"), &[planned("wants-both", &[]).locks(&["x", "y"]).executor("other")]);
        assert_eq!(player.lease_all(), Vec::<String>::new());
        player.open("c", opened("q0"), &[planned("wants-one", &[]).locks(&["y"])]);
        player
    };
    let mut player = setup();
    assert_eq!(player.lease_all(), Vec::<String>::new(), "y is reserved");
    player.play("b", |state| decide::hold(state, HoldMode::Drain, word("later"), None)).unwrap();
    assert_eq!(player.lease_all(), ["wants-one"], "a held run reserves nothing");
    player.play("b", decide::release).unwrap();
    player.finish("a", "holder", Report::Done);
    assert_eq!(player.lease_all(), Vec::<String>::new());
    player.finish("c", "wants-one", Report::Done);
    assert_eq!(player.lease_all(), ["wants-both"]);

    let mut player = setup();
    assert_eq!(player.lease_all(), Vec::<String>::new(), "y is reserved");
    player.capacity.down.insert(enc("remote"), "no room".to_owned());
    assert_eq!(player.lease_all(), ["wants-one"], "nor does what waits for a target that is down");
}

#[test]
fn locks_are_shared_by_runs_and_queues_and_disjoint_ones_fan_out() {
    let mut player = Player::new(&[("q0", 9), ("q1", 9)]);
    player.open("a", opened("q0"), &[planned("a1", &[]).locks(&["x"]), planned("a2", &[]).locks(&["y"])]);
    player.open("b", opened("q1"), &[planned("b1", &[]).locks(&["x"]).executor("other"), planned("b2", &[])]);
    assert_eq!(player.lease_all(), ["a1", "b2", "a2"]);
    player.start("a", "a1").unwrap();
    player.end("a", "a1", Report::Fail(Reason::AgentExit)).unwrap();
    assert_eq!(player.lease_all(), ["b1"], "a lock is freed by a failed attempt too, and its next one waits its turn");
    player.ms += 10_000;
    assert_eq!(player.lease_all(), Vec::<String>::new());
    player.finish("b", "b1", Report::Done);
    assert_eq!(player.lease_all(), ["a1"]);
}

#[test]
fn a_board_that_reads_what_others_leased_has_no_stale_back_offs() {
    let mut player = Player::new(&[("q0", 1)]);
    player.open("run", opened("q0"), &[planned("a", &[]), planned("b", &[])]);
    assert_eq!(player.lease(), Some(("run".to_owned(), "a".to_owned())));
    player.finish("run", "a", Report::Fail(Reason::AgentExit));
    player.ms += 10_000;
    // Another process leases it: this board applies the record without having been asked for a choice since.
    let now = player.now();
    player.play("run", |state| decide::lease(state, 0, terms(), now)).unwrap();
    assert_eq!(player.board.next_due(), None);
    check(&mut player);
}
