//! The open runs, and who may start next.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use crate::id::{Enc, Hash, ItemId, RunId};
use crate::record::Record;
use crate::state::{Applied, Blocked, Illegal, ItemStatus, Knobs, RunState};
use crate::time::Time;

/// How many of the items that one waits for are named.
const DEPENDENCIES_SHOWN_MAX: usize = 20;

/// What the configuration says about where items run.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    /// Queue to the number of its slots. A queue that is not here has none.
    pub queues: BTreeMap<Enc, u64>,
    /// Executor to the target's name. Nothing starts on one that is not here.
    pub executors: BTreeMap<Enc, Enc>,
    /// Targets that cannot run anything now, with the reason.
    pub down: BTreeMap<Enc, String>,
    /// Runs whose content is not read yet: nothing of theirs starts. Soon over, so what they reserved stays reserved.
    pub unready: BTreeSet<RunId>,
}

impl Capacity {
    fn is_up(&self, executor: &Enc) -> bool {
        self.executors.get(executor).is_some_and(|target| !self.down.contains_key(target))
    }
}

/// An item that may start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The run.
    pub run: RunId,
    /// The item's index.
    pub item: usize,
    /// The target's name.
    pub target: Enc,
}

/// The open runs, and who may start next.
#[derive(Debug, Default)]
pub struct Board {
    runs: BTreeMap<RunId, RunState>,
    pub(super) index: Index,
    /// The targets that were down at the last choice.
    down: BTreeSet<Enc>,
}

impl Board {
    /// Takes a run in, with whatever state it is in; in place of what it had of that run.
    pub fn insert(&mut self, run: RunState) {
        self.remove(&run.id);
        self.index.add_run(&run);
        self.runs.insert(run.id.clone(), run);
    }

    /// Lets a run go and returns it.
    pub fn remove(&mut self, id: &RunId) -> Option<RunState> {
        let run = self.runs.remove(id)?;
        self.index.remove_run(&run);
        Some(run)
    }

    /// The run.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Option<&RunState> {
        self.runs.get(id)
    }

    /// All runs, by id.
    pub fn runs(&self) -> impl Iterator<Item = &RunState> {
        self.runs.values()
    }

    /// Takes in what is known of items that a run is about to be given, see [`RunState::learn`].
    pub fn learn(&mut self, id: &RunId, knobs: BTreeMap<ItemId, Knobs>) {
        if let Some(run) = self.runs.get_mut(id) {
            run.learn(knobs);
        }
    }

    /// Applies a record to a run and keeps the indices in step.
    ///
    /// # Errors
    /// [`Illegal`] as [`RunState::apply`] says, also for a run that is not here; nothing has changed then.
    pub fn apply(&mut self, id: &RunId, at: Time, leaf: Hash, record: &Record) -> Result<Applied, Illegal> {
        let run = self.runs.get_mut(id).ok_or_else(|| Illegal {
            run: id.to_string(),
            seq: 0,
            kind: record.kind(),
            why: "the run is not loaded".to_owned(),
        })?;
        let applied = run.apply(at, leaf, record)?;
        match applied {
            Applied::Moved { item, from, to } => self.index.moved(run, item, from, to),
            Applied::Run => self.index.reopen(run),
            Applied::Grew { .. } => {}
        }
        Ok(applied)
    }

    /// Returns the item that starts next, if one may. Call again after its lease, or why it has none, was applied: until
    /// then the answer stays the same.
    pub fn next(&mut self, now: Time, capacity: &Capacity) -> Option<Grant> {
        self.index.wake_due(now);
        self.note_down(capacity);
        loop {
            let free = |queue: &Enc| self.free_slots(queue, capacity) > 0;
            let ready = |id: &RunId| !capacity.unready.contains(id);
            let (id, ix, executor) = self.index.lanes.best(free, |executor| capacity.is_up(executor), ready)?;
            let here = (id.clone(), ix);
            let locks = &self.runs.get(&id)?.items[ix].locks;
            if self.index.locks.may_take(locks, &here) {
                let target = capacity.executors.get(&executor)?.clone();
                return Some(Grant { run: id, item: ix, target });
            }
            self.index.park(&here, locks);
        }
    }

    /// When targets went down or up: what cannot start reserves no lock.
    fn note_down(&mut self, capacity: &Capacity) {
        if self.down.iter().eq(capacity.down.keys()) {
            return;
        }
        self.down = capacity.down.keys().cloned().collect();
        self.index.give_up_on(|executor| !capacity.is_up(executor));
    }

    /// The next moment at which a retry is due, if one is; in the past for those no choice has looked at since.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.index.next_due()
    }

    /// The wall clock leapt: back-offs that are under way last as long as they were meant to. A board that is made anew
    /// from the records does not know of it.
    pub fn leap(&mut self, by_ms: u64, back: bool) {
        self.index.leap(by_ms, back);
    }

    fn free_slots(&self, queue: &Enc, capacity: &Capacity) -> u64 {
        capacity.queues.get(queue).copied().unwrap_or(0).saturating_sub(self.index.running(queue))
    }

    /// Says why an item that is not terminal does not run. Empty for one that is terminal, that runs and was not asked to
    /// stop, that may start at once, or that is not here.
    #[must_use]
    pub fn blocked(&self, id: &RunId, ix: usize, now: Time, capacity: &Capacity) -> Vec<Blocked> {
        let Some(run) = self.runs.get(id) else { return Vec::new() };
        let Some(item) = run.items.get(ix) else { return Vec::new() };
        match item.status {
            ItemStatus::Pending => {
                let undone = item.depends_on.iter().map(|dep| &run.items[*dep]);
                let undone = undone.filter(|dep| dep.status != ItemStatus::Done).take(DEPENDENCIES_SHOWN_MAX);
                vec![Blocked::Dependency { items: undone.map(|dep| dep.id.clone()).collect() }]
            }
            ItemStatus::Waiting => {
                let question = item.question.as_ref().map_or(0, |question| question.asked);
                vec![Blocked::Question { question }]
            }
            ItemStatus::Ready => self.blocked_ready(run, ix, now, capacity),
            ItemStatus::Running => match item.stop() {
                Some(stop) if item.is_stop_unverified(now) => vec![Blocked::StopUnverified { since: stop.at }],
                Some(_) => vec![Blocked::Stopping],
                None => Vec::new(),
            },
            ItemStatus::Done
            | ItemStatus::Failed
            | ItemStatus::Skipped
            | ItemStatus::Cancelled
            | ItemStatus::Denied => Vec::new(),
        }
    }

    /// Every reason at once, but for the slot: it is one only where nothing else is.
    fn blocked_ready(&self, run: &RunState, ix: usize, now: Time, capacity: &Capacity) -> Vec<Blocked> {
        let item = &run.items[ix];
        let here = (run.id.clone(), ix);
        let mut why = Vec::new();
        if item.is_approval() {
            // Whoever drives asks for it at once.
            return vec![Blocked::NoDriver];
        }
        if !run.logged {
            why.push(Blocked::NoDriver);
        }
        if run.hold.is_some() {
            why.push(Blocked::Hold);
        }
        if let Some(until) = item.not_before.filter(|until| *until > now) {
            why.push(Blocked::BackOff { until });
        }
        match capacity.executors.get(&item.executor) {
            None => {
                let detail = format!("the executor {} is not configured any more", item.executor);
                why.push(Blocked::TargetDown { target: item.executor.clone(), detail });
            }
            Some(target) => {
                if let Some(detail) = capacity.down.get(target) {
                    why.push(Blocked::TargetDown { target: target.clone(), detail: detail.clone() });
                }
            }
        }
        for key in &item.locks {
            if let Some((holder, at)) = self.index.locks.in_the_way(key, &here)
                && let Some(other) = self.runs.get(holder).and_then(|run| run.items.get(*at))
            {
                why.push(Blocked::Lock { key: key.clone(), run: holder.clone(), item: other.id.clone() });
            }
        }
        if why.is_empty() && self.free_slots(&run.opened.queue, capacity) == 0 {
            let queue = run.opened.queue.clone();
            why.push(match capacity.queues.get(&queue) {
                Some(&concurrency) => Blocked::Slot { queue, concurrency },
                None => Blocked::QueueGone { queue },
            });
        }
        why
    }
}
