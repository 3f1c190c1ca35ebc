//! C16: clients that go away, or die, while their runs are open; and one that does not want to wait any more.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::place::{Gate, Place, item};
use crate::program::gone;

/// A client with an open run: its first item waits at the gate, its second comes after. A worker waits by now.
fn with_open_run(linger: bool) -> (Place, Gate, Client) {
    let place = Place::new(linger);
    let gate = place.shut("gate");
    let mut client = Client::start(&place);
    client.submit(1, "run", &[item("gated", "gate", &[]), item("after", "", &["gated"])]);
    let (mut id, mut after) = (2, json!("0"));
    loop {
        let watch = json!({"run_ids": ["run"], "after": after, "until": "change", "wait_seconds": 20});
        let reply = client.call(id, "watch", &watch);
        if reply["events"].as_array().unwrap().iter().any(|event| event["event"] == "attempt.started") {
            return (place, gate, client);
        }
        (after, id) = (reply["cursor"].clone(), id + 1);
    }
}

fn until_the_end() -> Value {
    json!({"run_ids": ["run"], "after": "0", "until": "terminal", "wait_seconds": 50})
}

fn watch_to_the_end(client: &mut Client, id: u64) {
    while client.call(id, "watch", &until_the_end())["timed_out"] == true {}
}

fn is_open(place: &Place) {
    assert_eq!(place.json(&["status", "run"])["run"]["state"], "open");
}

fn is_done(place: &Place) {
    place.judge(&BTreeMap::from([("run".to_owned(), "done")]));
}

/// Waits until every process of this place has ended by itself.
fn all_end(place: &Place) {
    // One may start another before it ends.
    loop {
        let processes = place.processes();
        if processes.is_empty() {
            return;
        }
        assert!(processes.into_iter().all(gone), "they do not end");
    }
}

#[test]
fn the_runs_of_a_client_that_goes_away_go_on_to_their_end() {
    let (place, gate, client) = with_open_run(true);
    client.leave().ends(0);
    is_open(&place);
    drop(gate);
    // Nobody else is there to drive.
    all_end(&place);
    is_done(&place);
}

#[test]
fn the_runs_of_a_client_that_is_asked_to_end_go_on_to_their_end() {
    let (place, gate, mut client) = with_open_run(true);
    let pid = Pid::from_raw(client.program.pid()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    client.program.ends(0);
    is_open(&place);
    drop(gate);
    all_end(&place);
    is_done(&place);
}

#[test]
fn the_runs_of_a_client_stay_where_nobody_lingers_and_the_next_one_goes_on() {
    let (place, gate, client) = with_open_run(false);
    client.leave().ends(0);
    drop(gate);
    // The worker ends, and nobody is left who would take note of it.
    all_end(&place);
    is_open(&place);
    let mut next = Client::start(&place);
    watch_to_the_end(&mut next, 1);
    next.leave().ends(0);
    is_done(&place);
}

#[test]
fn a_client_that_is_killed_leaves_its_workers_and_the_next_one_goes_on() {
    let (place, gate, mut client) = with_open_run(true);
    assert!(client.program.kill());
    is_open(&place);
    let mut next = Client::start(&place);
    next.begin(1, "watch", &until_the_end());
    drop(gate);
    assert_eq!(next.answer()["id"], 1);
    watch_to_the_end(&mut next, 2);
    next.leave().ends(0);
    is_done(&place);
}

/// What a client hears of its call 70: its progress, and its answer.
fn heard_of_70(client: &Client, from: usize) -> usize {
    let is_of = |message: &&Value| message["id"] == 70 || message["params"]["progressToken"] == 70;
    client.heard[from..].iter().filter(is_of).count()
}

/// Waits for the end of the run in two calls, one of which may be cancelled, and returns what is heard of that one after.
fn wait_twice(cancel: bool) -> usize {
    let (place, gate, mut client) = with_open_run(false);
    client.begin(70, "watch", &until_the_end());
    if cancel {
        client.give(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 70}}));
    }
    // Messages are read in turn: with this answer, the cancel has been read.
    client.call(71, "status", &json!({}));
    let from = client.heard.len();
    drop(gate);
    client.begin(72, "watch", &until_the_end());
    while !client.heard.iter().any(|message| message["id"] == 72) || (!cancel && heard_of_70(&client, from) == 0) {
        client.answer();
    }
    let count = heard_of_70(&client, from);
    client.leave().ends(0);
    is_done(&place);
    count
}

#[test]
fn a_call_that_is_cancelled_waits_no_longer_and_says_nothing_more() {
    assert_eq!(wait_twice(true), 0);
}

#[test]
fn a_call_that_is_not_cancelled_waits_to_the_end() {
    assert!(wait_twice(false) > 0);
}
