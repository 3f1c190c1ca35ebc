//! Where every item that is ready or running stands in the choice: kept in step with the states, record by record.

use std::collections::{BTreeMap, BTreeSet};

use super::lanes::Lanes;
use super::locks::{Locks, Place};
use crate::id::Enc;
use crate::state::{ItemStatus, RunState};
use crate::time::Time;

/// Where a ready item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Its back-off is not over.
    Delayed(Time),
    /// It may be chosen.
    Ready,
    /// It found a lock taken, and is looked at again when that may have changed.
    Parked,
}

#[derive(Debug)]
struct Waiting {
    executor: Enc,
    priority: u8,
    spot: Spot,
}

/// What the choice keeps of the runs.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) lanes: Lanes,
    pub(super) locks: Locks,
    waiting: BTreeMap<Place, Waiting>,
    delayed: BTreeSet<(Time, Place)>,
    running: BTreeMap<Enc, u64>,
}

impl Index {
    pub(super) fn add_run(&mut self, run: &RunState) {
        self.lanes.add_run(&run.id, &run.opened.queue, may_start(run));
        for (ix, item) in run.items.iter().enumerate() {
            self.enter(run, ix, item.status);
        }
    }

    pub(super) fn remove_run(&mut self, run: &RunState) {
        for (ix, item) in run.items.iter().enumerate() {
            self.leave(run, ix, item.status);
        }
        self.lanes.remove_run(&run.id);
    }

    /// The run was logged, held or released, perhaps. What is held reserves no lock.
    pub(super) fn reopen(&mut self, run: &RunState) {
        let open = may_start(run);
        self.lanes.set_open(&run.id, open);
        if !open {
            for place in self.locks.waiters_of(&run.id) {
                self.give_up(&place);
            }
        }
    }

    /// An item went from one status to another. What it takes is taken before what it waited for is passed on.
    pub(super) fn moved(&mut self, run: &RunState, ix: usize, from: ItemStatus, to: ItemStatus) {
        if to == ItemStatus::Running {
            self.lanes.served(&run.id);
        }
        if from == ItemStatus::Running {
            self.leave(run, ix, from);
            self.enter(run, ix, to);
        } else {
            self.enter(run, ix, to);
            self.leave(run, ix, from);
        }
    }

    fn enter(&mut self, run: &RunState, ix: usize, status: ItemStatus) {
        let item = &run.items[ix];
        let place = (run.id.clone(), ix);
        match status {
            ItemStatus::Ready => {
                let (executor, priority) = (item.executor.clone(), item.knobs.priority);
                let spot = match item.not_before {
                    Some(due) => {
                        self.delayed.insert((due, place.clone()));
                        Spot::Delayed(due)
                    }
                    None => {
                        self.lanes.insert(&run.id, &executor, priority, ix);
                        Spot::Ready
                    }
                };
                self.waiting.insert(place, Waiting { executor, priority, spot });
            }
            ItemStatus::Running => {
                *self.running.entry(run.opened.queue.clone()).or_default() += 1;
                self.locks.hold(&item.locks, &place);
            }
            ItemStatus::Pending
            | ItemStatus::Waiting
            | ItemStatus::Done
            | ItemStatus::Failed
            | ItemStatus::Skipped
            | ItemStatus::Cancelled
            | ItemStatus::Denied => {}
        }
    }

    fn leave(&mut self, run: &RunState, ix: usize, status: ItemStatus) {
        let place = (run.id.clone(), ix);
        match status {
            ItemStatus::Ready => {
                let Some(waiting) = self.waiting.remove(&place) else { return };
                match waiting.spot {
                    Spot::Delayed(due) => {
                        self.delayed.remove(&(due, place.clone()));
                    }
                    Spot::Ready => self.lanes.remove(&run.id, &waiting.executor, waiting.priority, ix),
                    Spot::Parked => {}
                }
                let next = self.locks.leave(&place);
                self.wake(next);
            }
            ItemStatus::Running => {
                if let Some(running) = self.running.get_mut(&run.opened.queue) {
                    *running -= 1;
                    if *running == 0 {
                        self.running.remove(&run.opened.queue);
                    }
                }
                let next = self.locks.free(&run.items[ix].locks, &place);
                self.wake(next);
            }
            ItemStatus::Pending
            | ItemStatus::Waiting
            | ItemStatus::Done
            | ItemStatus::Failed
            | ItemStatus::Skipped
            | ItemStatus::Cancelled
            | ItemStatus::Denied => {}
        }
    }

    /// Puts parked items back among those that may be chosen; they keep their places in the queues.
    fn wake(&mut self, places: Vec<Place>) {
        for place in places {
            if let Some(waiting) = self.waiting.get_mut(&place).filter(|waiting| waiting.spot == Spot::Parked) {
                waiting.spot = Spot::Ready;
                self.lanes.insert(&place.0, &waiting.executor, waiting.priority, place.1);
            }
        }
    }

    /// Takes back what a waiter reserved.
    fn give_up(&mut self, place: &Place) {
        let next = self.locks.leave(place);
        self.wake(vec![place.clone()]);
        self.wake(next);
    }

    /// Takes back what those reserved whose executor is one of these.
    pub(super) fn give_up_on(&mut self, executor_is_down: impl Fn(&Enc) -> bool) {
        let down = |place: &&Place| self.waiting.get(*place).is_some_and(|waiting| executor_is_down(&waiting.executor));
        let places: Vec<Place> = self.locks.waiters().filter(down).cloned().collect();
        for place in &places {
            self.give_up(place);
        }
    }

    /// A chosen item found a lock taken: it queues up, and is passed over until that may have changed.
    pub(super) fn park(&mut self, place: &Place, keys: &[Enc]) {
        self.locks.wait(keys, place);
        if let Some(waiting) = self.waiting.get_mut(place) {
            self.lanes.remove(&place.0, &waiting.executor, waiting.priority, place.1);
            waiting.spot = Spot::Parked;
        }
    }

    /// Back-offs that are over by now end.
    pub(super) fn wake_due(&mut self, now: Time) {
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, place)) = self.delayed.pop_first() else { return };
            if let Some(waiting) = self.waiting.get_mut(&place) {
                waiting.spot = Spot::Ready;
                self.lanes.insert(&place.0, &waiting.executor, waiting.priority, place.1);
            }
        }
    }

    /// Moves the end of every back-off along with the wall clock.
    pub(super) fn leap(&mut self, by_ms: u64, back: bool) {
        let leapt = |due: Time| if back { due.minus_ms(by_ms) } else { due.plus_ms(by_ms) };
        for (due, place) in std::mem::take(&mut self.delayed) {
            if let Some(waiting) = self.waiting.get_mut(&place) {
                waiting.spot = Spot::Delayed(leapt(due));
            }
            self.delayed.insert((leapt(due), place));
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// How many items of a queue run.
    pub(super) fn running(&self, queue: &Enc) -> u64 {
        self.running.get(queue).copied().unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn spots(&self) -> BTreeMap<Place, Spot> {
        self.waiting.iter().map(|(place, waiting)| (place.clone(), waiting.spot)).collect()
    }

    #[cfg(test)]
    pub(super) fn delayed(&self) -> &BTreeSet<(Time, Place)> {
        &self.delayed
    }

    #[cfg(test)]
    pub(super) fn all_running(&self) -> &BTreeMap<Enc, u64> {
        &self.running
    }
}

/// Whether anything of the run may start.
fn may_start(run: &RunState) -> bool {
    run.logged && run.hold.is_none() && !run.is_over()
}
