//! C03: ten real processes on one store; whoever of them drives is killed, and another takes over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::commits::Commits;
use crate::mcp::Client;
use crate::place::{Gate, Place, described, item, locking};
use crate::program::{DEADLINE, Program, gone};

/// Runs that the command line submits; another submits the last of them as well.
const COMMAND_LINE: [&str; 5] = ["cli-1", "cli-2", "cli-3", "both", "both"];
/// Runs that clients submit.
const CLIENTS: [&str; 3] = ["mcp-1", "mcp-2", "mcp-3"];
/// How often whoever drives is killed: some are left, each with the end of its run to tell.
const KILLS: usize = 5;
/// How long nobody may seem to drive before one looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The run that is cancelled.
const CANCELLED: &str = "mcp-3";

/// Three at once, two of them behind a lock that all runs share and one behind the run's gate; one that asks; one after all.
fn items(run: &str) -> Vec<Value> {
    vec![
        locking("one", "", &[], "shared"),
        locking("two", "", &[], "shared"),
        item("gated", run, &[]),
        json!({"id": "ask", "inputs": {"subagent": "asker"}}),
        item("last", "", &["one", "two", "gated", "ask"]),
    ]
}

struct Many {
    place: Place,
    commits: Commits,
    watchers: Vec<(&'static str, Program)>,
    clients: Vec<(&'static str, Client)>,
    gates: Vec<Gate>,
}

impl Many {
    /// Starts ten, all at once: five that submit and watch, three clients that submit, two that watch somebody's run.
    fn start() -> Self {
        let place = Place::new(true);
        let commits = Commits::listen(&place.env.home());
        let gates = COMMAND_LINE[..4].iter().chain(&CLIENTS).map(|run| place.shut(run)).collect();
        let mut many = Self { place, commits, watchers: Vec::new(), clients: Vec::new(), gates };
        for run in COMMAND_LINE {
            let path = many.place.plan(run, &items(run));
            many.watchers.push((run, many.place.start(&["submit", &path, "--watch"])));
        }
        for run in CLIENTS {
            let mut client = Client::start(&many.place);
            client.begin(1, "submit", &json!({"plan": Place::plan_of(run, &items(run))}));
            many.clients.push((run, client));
        }
        for (run, client) in &mut many.clients {
            assert_eq!(client.answer()["result"]["structuredContent"]["run_id"], *run);
        }
        for run in ["mcp-1", "mcp-2"] {
            many.watchers.push((run, many.place.start(&["watch", run])));
        }
        // Each says something once it stands.
        for (_, watcher) in &many.watchers {
            watcher.line();
        }
        many
    }

    /// Who drives now, one of the ten or what one of them left behind. Between two it is nobody for a moment.
    fn driver(&self) -> i32 {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(pid) = self.place.driver() {
                return pid;
            }
            // Nobody is told of a lock that was taken; who takes it mostly commits something next.
            let _ = self.commits.within(LOOK_AGAIN);
        }
        panic!("nobody drives; there are {:#?}", self.place.processes().into_iter().map(described).collect::<Vec<_>>());
    }

    /// Kills whoever drives, and lets a worker end: nobody but the next driver can take note of that.
    fn kill_driver(&mut self) {
        let pid = self.driver();
        self.watchers.retain_mut(|(_, watcher)| watcher.pid() != pid || !watcher.kill());
        self.clients.retain_mut(|(_, client)| client.program.pid() != pid || !client.program.kill());
        // One that none of them is. It may have ended by itself.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        assert!(gone(pid));
        self.commits.forget();
        drop(self.gates.remove(0));
        self.commits.next();
        assert_ne!(self.driver(), pid);
    }

    /// Answers what a run asks, once it does.
    fn answer(&self, run: &str) {
        loop {
            let asks = self.place.admin(&["answer", run, "ask", "blue"]);
            if asks.code == Some(0) {
                return;
            }
            assert!(asks.stderr.contains("question-missing"), "{}", asks.stderr);
            self.commits.next();
        }
    }
}

#[test]
fn ten_processes_on_one_store_lose_and_double_nothing_whoever_of_them_is_killed() {
    let mut many = Many::start();
    assert_eq!(many.watchers.len() + many.clients.len(), 10);
    let runs = [&COMMAND_LINE[..4], &CLIENTS].concat();
    for (at, run) in runs.iter().enumerate().filter(|(_, run)| **run != CANCELLED) {
        many.answer(run);
        if at == 2 {
            // Somebody's run ends early, with a worker behind its gate.
            assert_eq!(many.place.json(&["cancel", CANCELLED])["run_id"], CANCELLED);
        }
        if at < KILLS {
            many.kill_driver();
        }
    }
    many.gates.clear();
    // Whoever is left sees the end of its run.
    for (_, watcher) in &mut many.watchers {
        watcher.ends(0);
    }
    for (run, client) in &mut many.clients {
        let watch = json!({"run_ids": [run], "after": "0", "until": "terminal", "wait_seconds": 50});
        while client.call(2, "watch", &watch)["timed_out"] == true {}
    }
    for (_, client) in many.clients.drain(..) {
        client.leave().ends(0);
    }
    many.place.finish();
    let end = |run: &str| (run.to_owned(), if run == CANCELLED { "cancelled" } else { "done" });
    many.place.judge(&BTreeMap::from_iter(COMMAND_LINE.into_iter().chain(CLIENTS).map(end)));
}
