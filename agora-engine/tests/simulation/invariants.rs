//! What must hold after every commit, checked on the entries alone, by code that shares nothing with the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agora_core::id::{ItemId, RunId};
use agora_core::limits::STOP_SECONDS_MAX;
use agora_core::time::Time;
use agora_core::worker::AttemptId;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::plans::Plan;

/// The most attempts of each queue at once, as the configuration says.
pub(crate) const QUEUES: [(&str, usize); 3] = [("default", 3), ("other", 2), ("checked", 2)];

#[derive(Debug, Default)]
struct Item {
    state: String,
    fence: u64,
    attempts: u64,
    /// The running attempt's locks.
    running: Option<Vec<String>>,
    done: u64,
    cancel_asked: bool,
    /// Whether the running attempt's deadline was recorded as passed.
    expired: bool,
    /// Whether somebody resolved its latest attempt by force: then nobody knows whether its box is gone.
    forced: bool,
    /// Whether it was running when its run was parked.
    parked: bool,
    /// How its latest attempt ended.
    outcome: String,
    /// When its running attempt was first asked to stop.
    stop_asked: Option<Time>,
    /// Until when another attempt waits: by the wall clock, and by the one that nobody turns.
    not_before: Option<(Time, Instant)>,
    open_question: Option<u64>,
    /// A person said so.
    approved: bool,
}

#[derive(Debug, Default)]
struct Run {
    queue: String,
    entries: u64,
    items: BTreeMap<String, Item>,
    logged: bool,
    held: bool,
    closed: bool,
    /// It was cancelled while it could grow: the next entry closes it.
    closes: bool,
    completed: bool,
    /// What the items depend on that a pattern added.
    added: BTreeMap<String, Vec<String>>,
    /// The items whose end a pattern has answered.
    answered: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Model {
    /// The last position of `entries` that was looked at.
    seen: i64,
    runs: BTreeMap<String, Run>,
    /// Lock key to who holds it.
    locks: BTreeMap<String, (String, String)>,
}

/// Follows the entries.
pub(crate) struct Checker {
    conn: Mutex<Option<Connection>>,
    model: Mutex<Model>,
    plans: BTreeMap<String, Plan>,
    broken: Mutex<Option<String>>,
    told: Notify,
}

impl Checker {
    pub(crate) fn new(plans: &[Plan]) -> Self {
        let plans = plans.iter().map(|plan| (plan.id.clone(), plan.clone())).collect();
        Self { conn: Mutex::default(), model: Mutex::default(), plans, broken: Mutex::default(), told: Notify::new() }
    }

    /// Opens the store, once it is made.
    pub(crate) fn open(&self, store: &Path) {
        let conn = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        *self.conn.lock().unwrap() = Some(conn);
    }

    /// Returns once an invariant is broken.
    pub(crate) async fn broken(&self) -> String {
        loop {
            if let Some(why) = self.broken.lock().unwrap().clone() {
                return why;
            }
            self.told.notified().await;
        }
    }

    /// Says that an invariant is broken; the first one counts.
    pub(crate) fn fail(&self, why: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.told.notify_waiters();
        self.told.notify_one();
    }

    /// Whether a run was ever opened.
    pub(crate) fn has(&self, run: &str) -> bool {
        self.model.lock().unwrap().runs.contains_key(run)
    }

    /// Whether a run has these items.
    pub(crate) fn has_items<'a>(&self, run: &str, mut items: impl Iterator<Item = &'a str>) -> bool {
        let model = self.model.lock().unwrap();
        model.runs.get(run).is_some_and(|run| items.all(|item| run.items.contains_key(item)))
    }

    /// Whether every run that was opened is completed.
    pub(crate) fn all_completed(&self) -> bool {
        self.model.lock().unwrap().runs.values().all(|run| run.completed)
    }

    /// How many attempts were leased.
    pub(crate) fn leased(&self, run: &str, item: &str) -> u64 {
        let model = self.model.lock().unwrap();
        model.runs.get(run).and_then(|run| run.items.get(item)).map_or(0, |item| item.attempts)
    }

    /// Each box that runs is that of a current lease: locks are free only once nothing of their holder runs.
    pub(crate) fn compare(&self, running: &[AttemptId]) {
        let model = self.model.lock().unwrap();
        for attempt in running {
            let item = model.runs.get(attempt.run.as_str()).and_then(|run| run.items.get(attempt.item.as_str()));
            if !item.is_some_and(|item| (item.running.is_some() || item.forced) && item.fence == attempt.fence) {
                self.fail(format!("I10, I4: a box runs without its lease: {attempt:?}"));
            }
        }
    }

    /// The attempts that run and were asked to stop.
    pub(crate) fn stopping(&self) -> Vec<AttemptId> {
        let model = self.model.lock().unwrap();
        let mut found = Vec::new();
        for (run, of) in &model.runs {
            for (item, at) in of.items.iter().filter(|(_, at)| at.running.is_some() && at.stop_asked.is_some()) {
                let (run, item) = (RunId::new(run.as_str()).unwrap(), ItemId::new(item.as_str()).unwrap());
                found.push(AttemptId { run, item, attempt: at.attempts, fence: at.fence });
            }
        }
        found
    }

    /// Looks at what was committed since the last look.
    pub(crate) fn look(&self) {
        let conn = self.conn.lock().unwrap();
        let Some(conn) = conn.as_ref() else { return };
        let mut model = self.model.lock().unwrap();
        let mut statement = conn.prepare_cached("SELECT pos, bytes FROM entries WHERE pos > ?1 ORDER BY pos").unwrap();
        let rows = statement.query_map([model.seen], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
        for (pos, bytes) in rows.map(Result::unwrap) {
            model.seen = pos;
            let entry: Value = serde_json::from_slice(&bytes).unwrap();
            if let Err(why) = self.apply(&mut model, &entry) {
                self.fail(format!("{why}: {entry}"));
            }
        }
        for (queue, most) in QUEUES {
            let runs = model.runs.values().filter(|run| run.queue == queue);
            let running = runs.flat_map(|run| run.items.values()).filter(|item| item.running.is_some()).count();
            if running > most {
                self.fail(format!("{running} attempts run in the queue {queue} of {most}"));
            }
        }
    }

    fn apply(&self, model: &mut Model, entry: &Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let at: Time = text(&entry["at"]).parse().map_err(|_| "a time that is none")?;
        let (id, kind, body) = (text(&entry["run"]), text(&entry["type"]), &entry["body"]);
        let plan = self.plans.get(&id).ok_or("a run that nobody submitted")?;
        if kind == "run.opened" {
            let queue = text(&plan.json["queue"]);
            if model.runs.insert(id, Run { queue, ..Run::default() }).is_some() {
                return Err("I1: a run is opened twice".to_owned());
            }
        }
        let Model { runs, locks, .. } = model;
        let id = text(&entry["run"]);
        let run = runs.get_mut(&id).ok_or("I6: an entry before its run's opening")?;
        if entry["seq"].as_u64() != Some(run.entries) {
            return Err(format!("I6: not entry {}", run.entries));
        }
        run.entries += 1;
        if run.completed {
            return Err("I8: an entry after the completion".to_owned());
        }
        if std::mem::take(&mut run.closes) && kind != "run.closed" {
            return Err("a cancelled run may still grow".to_owned());
        }
        let name = text(&body["item"]);
        let states: BTreeMap<String, String> =
            run.items.iter().map(|(name, item)| (name.clone(), item.state.clone())).collect();
        let state_of = |name: &String| states.get(name).cloned().unwrap_or_default();
        match kind.as_str() {
            "run.opened" | "question.asked" => {}
            "items.added" => {
                let grows = body["cause"] == "extend";
                if grows && (!plan.is_open_ended() || run.closed) {
                    return Err("C13: a run grows that takes nothing".to_owned());
                }
                let by_pattern = body["cause"] == "pattern";
                if by_pattern {
                    let source = text(&body["source"]);
                    if !plan.patterned || state_of(&source) != "failed" {
                        return Err("a pattern answers what it has no word in".to_owned());
                    }
                    if !run.answered.insert(source) {
                        return Err("C15: the end of an item is answered twice".to_owned());
                    }
                }
                for added in body["items"].as_array().into_iter().flatten() {
                    let name = text(&added["id"]);
                    if plan.items.contains_key(&name) == by_pattern {
                        return Err("an item that nobody submitted".to_owned());
                    }
                    if by_pattern {
                        let on = added["depends_on"].as_array().into_iter().flatten().map(text).collect();
                        run.added.insert(name.clone(), on);
                    }
                    let item = Item { state: "pending".to_owned(), ..Item::default() };
                    if run.items.insert(name.clone(), item).is_some() {
                        return Err("an item is added twice".to_owned());
                    }
                }
            }
            "pattern.failed" if plan.patterned => {}
            "run.closed" => run.closed = true,
            "run.logged" => run.logged = true,
            "hold.set" => {
                run.held = true;
                for item in run.items.values_mut().filter(|item| body["mode"] == "park" && item.running.is_some()) {
                    item.parked = true;
                    item.stop_asked.get_or_insert(at);
                }
            }
            "hold.released" => run.held = false,
            "run.completed" => {
                run.completed = true;
                if plan.is_open_ended() && !run.closed {
                    return Err("a run is completed that may grow".to_owned());
                }
                let terminal = ["done", "failed", "skipped", "cancelled", "denied"];
                if !states.values().all(|state| terminal.contains(&state.as_str())) {
                    return Err("I8: a run is completed before its items".to_owned());
                }
            }
            "cancel.requested" => {
                run.closes = body["scope"] == "run" && plan.is_open_ended() && !run.closed;
                for (id, item) in &mut run.items {
                    if body.get("item").is_some() && *id != name {
                        continue;
                    }
                    if item.running.is_some() {
                        item.stop_asked.get_or_insert(at);
                    }
                    if body["scope"] == "attempt" {
                        item.expired = true;
                        if body["attempt"].as_u64() != Some(item.attempts) || item.running.is_none() {
                            return Err("the deadline of an attempt that does not run".to_owned());
                        }
                    } else {
                        item.cancel_asked = true;
                    }
                }
            }
            "question.answered" => {
                let asked = body["asked"].as_u64();
                let item = run.items.values_mut().find(|item| item.open_question == asked && asked.is_some());
                let item = item.ok_or("C13: an answer to no open question")?;
                item.open_question = None;
                let by_a_person = text(&entry["actor"]).starts_with("human:");
                item.approved = body["decision"] == "approved" && by_a_person;
            }
            _ => {
                let before = state_of(&name);
                let deps = plan.items.get(&name).or_else(|| run.added.get(&name));
                let deps: Vec<String> = deps.ok_or("an item that is not in the plan")?.clone();
                let (held, logged) = (run.held, run.logged);
                let by_engine = entry["actor"] == "engine";
                let item = run.items.get_mut(&name).ok_or("an item that was not added")?;
                match kind.as_str() {
                    "item.ready" | "item.retried" => {
                        "ready".clone_into(&mut item.state);
                        if !deps.iter().all(|dep| state_of(dep) == "done") {
                            return Err("I3: ready before what it depends on is done".to_owned());
                        }
                        let until: Option<Time> = body["not_before"].as_str().and_then(|text| text.parse().ok());
                        item.not_before =
                            until.map(|until| (until, Instant::now() + Duration::from_millis(until.ms_since(at))));
                        if kind == "item.retried" && item.outcome == "cancelled" && !item.parked {
                            return Err("a retry of what was stopped for good".to_owned());
                        }
                    }
                    "attempt.leased" => {
                        let fence = body["fence"].as_u64().unwrap_or(0);
                        item.attempts += 1;
                        let problem = [
                            (before != "ready", "a lease of an item that is not ready"),
                            (item.running.is_some(), "I10: a second lease beside the first"),
                            (fence <= item.fence, "I7: a fence that does not rise"),
                            (body["attempt"].as_u64() != Some(item.attempts), "an attempt out of turn"),
                            (item.done > 0, "C01: an accepted item runs again"),
                            (item.cancel_asked, "C06: a lease after a cancel"),
                            (held, "a lease in a held run"),
                            (plan.approvals.contains(&name), "a lease of what a person decides"),
                            (
                                item.not_before.is_some_and(|(wall, steady)| at < wall && Instant::now() < steady),
                                "C10: a lease before its back-off is over",
                            ),
                            (!logged, "a lease before the log vouches for the run"),
                            (!deps.iter().all(|dep| state_of(dep) == "done"), "I3: a lease before its dependencies"),
                        ];
                        if let Some((_, why)) = problem.iter().find(|(broken, _)| *broken) {
                            return Err((*why).to_owned());
                        }
                        item.fence = fence;
                        (item.expired, item.parked, item.forced, item.stop_asked) = (false, false, false, None);
                        "running".clone_into(&mut item.state);
                        let keys: Vec<String> = body["locks"].as_array().into_iter().flatten().map(text).collect();
                        for key in &keys {
                            if locks.insert(key.clone(), (id.clone(), name.clone())).is_some() {
                                return Err(format!("I4: the lock {key} is held twice"));
                            }
                        }
                        item.running = Some(keys);
                    }
                    "attempt.started" | "attempt.finished" => {
                        if body["fence"].as_u64() != Some(item.fence) || item.running.is_none() {
                            return Err("I7: an attempt that is not the running one".to_owned());
                        }
                        if kind == "attempt.finished" {
                            item.outcome = text(&body["outcome"]);
                            let expected = match (item.cancel_asked, item.expired) {
                                (true, _) => Some("cancelled"),
                                (false, true) => Some("failed"),
                                (false, false) => None,
                            };
                            if expected.is_some_and(|outcome| body["outcome"] != outcome) {
                                return Err("what was recorded before is not why it ended".to_owned());
                            }
                            item.forced = !by_engine;
                            for key in item.running.take().unwrap_or_default() {
                                locks.remove(&key);
                            }
                        }
                    }
                    "item.done" => {
                        "done".clone_into(&mut item.state);
                        item.done += 1;
                        if plan.approvals.contains(&name) && !item.approved {
                            return Err("an approval is done without a person".to_owned());
                        }
                        if item.done > 1 || item.cancel_asked {
                            return Err("I2: accepted twice, or after a cancel".to_owned());
                        }
                    }
                    "item.waiting" => {
                        "waiting".clone_into(&mut item.state);
                        item.open_question = body["asked"].as_u64();
                    }
                    "item.failed" | "item.skipped" | "item.cancelled" | "item.denied" => {
                        item.state = kind.trim_start_matches("item.").to_owned();
                        if item.running.is_some() {
                            return Err("an item ends while its attempt runs".to_owned());
                        }
                        if kind == "item.failed" && item.parked && item.outcome == "cancelled" {
                            return Err("what was parked is failed for it".to_owned());
                        }
                        let forced = body["proof"] == "forced";
                        let waited = item.stop_asked.map_or(0, |asked| at.ms_since(asked));
                        if forced == by_engine && kind == "item.cancelled" && item.attempts > 0 && before == "running" {
                            return Err("who says that it is gone and how that is known do not agree".to_owned());
                        }
                        if forced && waited <= STOP_SECONDS_MAX * 1000 {
                            return Err(format!("forced {waited} ms after it was asked to stop"));
                        }
                        item.open_question = None;
                    }
                    other => return Err(format!("an entry that is not known here: {other}")),
                }
            }
        }
        Ok(())
    }
}
